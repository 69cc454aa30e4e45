//! What the engine is told from outside.

use domain::{Budget, PrMode};
use std::{path::PathBuf, time::Duration};

/// Everything that can be configured about how work is done. Where a value came from is the binary's business.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Workers of this server: how many sessions it works on at once.
    pub workers: usize,
    /// Sessions of one account that may be worked on at once, over all servers.
    pub per_account: i64,
    /// How often a lease's beat is raised.
    pub beat: Duration,
    /// How long a lease must be silent before another server takes it.
    pub lease: Duration,
    /// How long a sandbox is kept after the last action.
    pub sandbox_idle: Duration,
    /// Default of new sessions.
    pub pr_mode: PrMode,
    /// Default of new sessions.
    pub draft: bool,
    /// What each run may use.
    pub run_budget: Budget,
    /// What a session may use when it does not say.
    pub session_budget: Budget,
    /// Whether the pre-execution script runs before every step instead of once per sandbox.
    pub pre_execution_every_step: bool,
    /// How long the pre-execution script may take.
    pub pre_execution_timeout: Duration,
    /// How long a check may take when it does not say.
    pub check_timeout: Duration,
    /// How much a check, or the pre-execution script, may write before it is ended, in bytes.
    pub check_output: u64,
    /// How often a failing check goes back to the agent within a run.
    pub check_retries: usize,
    /// How long a decision of a person is awaited before the agent is put to rest.
    pub hold: Duration,
    /// How long the agent may say nothing while it works, before it is ended and its conversation resumed.
    pub silence: Duration,
    /// How often a passing failure (overload, lost connection) is retried.
    pub transient_retries: i64,
    /// The first wait before such a retry; doubled each time, with jitter.
    pub backoff: Duration,
    /// The longest wait before such a retry.
    pub backoff_cap: Duration,
    /// Whether commits name the agent as co-author.
    pub agent_attribution: bool,
    /// How people reach this server's pages; shown in pull requests once there are pages.
    pub public_url: Option<String>,
    /// The agent.
    pub agent: AgentSettings,
}

/// How the agent is run.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The Claude Code program on the host.
    pub claude: PathBuf,
    /// What that program must be; none: what it is at the first start of an agent.
    pub sha256: Option<agent::ProgramDigest>,
    /// The model, Claude Code's default when none is given.
    pub model: Option<String>,
    /// Where the Messages API is.
    pub base_url: String,
    /// How often the agent itself asks the Messages API again before its run counts as a passing failure.
    pub retries: u32,
    /// Rules per phase, in Claude Code's grammar.
    pub planning: ToolRules,
    /// Rules per phase, in Claude Code's grammar.
    pub execution: ToolRules,
}

/// Which tools the agent may use; empty lists leave the defaults.
#[derive(Debug, Clone, Default)]
pub struct ToolRules {
    /// When not empty, only these.
    pub allow: Vec<String>,
    /// Never these.
    pub deny: Vec<String>,
    /// Only when a person allows the call.
    pub ask: Vec<String>,
}
