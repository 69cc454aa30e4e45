use crate::policy::Phase;
use domain::MicroUsd;
use serde_json::{Value, json};
use uuid::Uuid;

/// Where the file with [`managed_settings`] must be bound, read-only, for the agent.
pub const MANAGED_SETTINGS_PATH: &str = "/etc/claude-code/managed-settings.json";

/// Which conversation a process continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversation {
    /// A new one with this id, which must be stored before the process starts.
    New(Uuid),
    /// The one whose archived transcript is at this path (inside, ending in `.jsonl`); it keeps its id.
    Resume(String),
    /// The same, to decide about a deferred call: start it only when the decision is at hand, and without a prompt.
    ResumeDeferred {
        /// The transcript's path.
        transcript: String,
        /// The deferred call's tool.
        tool: String,
    },
}

/// How to start Claude Code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program, as seen from where it runs.
    pub program: String,
    /// What it is to do; decides which tools it has.
    pub phase: Phase,
    /// Whether nobody can be asked.
    pub one_shot: bool,
    /// Which conversation.
    pub conversation: Conversation,
    /// The model; none: the agent's default.
    pub model: Option<String>,
    /// A file with instructions that are added to the system prompt: persona, `CLAUDE.md` of the base branch.
    pub instructions: Option<String>,
    /// A budget for this process.
    pub max_budget: Option<MicroUsd>,
    /// A limit of turns for this process.
    pub max_turns: Option<u32>,
    /// Its home, private to the session.
    pub home: String,
    /// Where it finds the Messages API, such as `http://127.0.0.1:8080`.
    pub base_url: String,
    /// The surrogate of the API key.
    pub api_key: String,
    /// How often it asks the API again after an error that may pass.
    pub max_retries: u32,
    /// Further environment; wins over the rest.
    pub env: Vec<(String, String)>,
    /// Further arguments.
    pub args: Vec<String>,
}

impl Launch {
    /// A launch with the usual limits.
    pub fn new(
        program: impl Into<String>,
        phase: Phase,
        conversation: Conversation,
        home: impl Into<String>,
        base_url: impl Into<String>,
        api_key: impl Into<String>,
    ) -> Self {
        Self {
            program: program.into(),
            phase,
            one_shot: false,
            conversation,
            model: None,
            instructions: None,
            max_budget: None,
            max_turns: None,
            home: home.into(),
            base_url: base_url.into(),
            api_key: api_key.into(),
            max_retries: 6,
            env: Vec::new(),
            args: Vec::new(),
        }
    }

    /// The arguments, without the program. What it is asked goes through standard input.
    pub fn args(&self) -> Vec<String> {
        let mut args: Vec<String> = [
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--replay-user-messages",
            "--permission-prompt-tool",
            "stdio",
            "--permission-mode",
            "default",
            "--strict-mcp-config",
            "--setting-sources",
            "user",
            "--disable-slash-commands",
        ]
        .map(str::to_owned)
        .into();
        let mut add = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
        add("--tools", tools(self.phase, self.one_shot).join(","));
        match &self.conversation {
            Conversation::New(id) => add("--session-id", id.to_string()),
            Conversation::Resume(transcript) => add("--resume", transcript.clone()),
            Conversation::ResumeDeferred { transcript, tool } => {
                add("--resume", transcript.clone());
                // The resumed call may be looked at before the callbacks are registered: without this rule one that
                // the agent thinks harmless would run, whatever was decided.
                add("--settings", json!({"permissions": {"ask": [tool]}}).to_string());
            }
        }
        if let Some(model) = &self.model {
            add("--model", model.clone());
        }
        if let Some(file) = &self.instructions {
            add("--append-system-prompt-file", file.clone());
        }
        if let Some(MicroUsd(budget)) = self.max_budget {
            add("--max-budget-usd", format!("{}.{:06}", budget.max(0) / 1_000_000, budget.max(0) % 1_000_000));
        }
        if let Some(turns) = self.max_turns {
            add("--max-turns", turns.to_string());
        }
        args.extend(self.args.iter().cloned());
        args
    }

    /// Program and arguments.
    pub fn argv(&self) -> Vec<String> {
        std::iter::once(self.program.clone()).chain(self.args()).collect()
    }

    /// The environment, to be added to a PATH.
    ///
    /// `CLAUDE_CODE_SUBPROCESS_ENV_SCRUB` is not in it: where bwrap exists and socat does not, it makes every command fail
    /// ("Sandbox is required but failed to initialize"). What commands see is the surrogate of the key.
    pub fn env(&self) -> Vec<(String, String)> {
        let retries = self.max_retries.to_string();
        let fixed = [
            ("HOME", self.home.as_str()),
            ("ANTHROPIC_BASE_URL", &self.base_url),
            ("ANTHROPIC_API_KEY", &self.api_key),
            ("CLAUDE_CODE_MAX_RETRIES", &retries),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ];
        let mut env: Vec<_> = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        env.retain(|(name, _)| self.env.iter().all(|(other, _)| other != name));
        env.extend(self.env.iter().cloned());
        env
    }
}

/// The built-in tools of a phase. The host's own come on top.
pub fn tools(phase: Phase, one_shot: bool) -> Vec<&'static str> {
    let mut tools = vec!["Read", "Glob", "Grep", "Bash"];
    if phase == Phase::Execute {
        tools.extend(["Edit", "Write", "NotebookEdit", "Task"]);
        tools.extend(["TaskCreate", "TaskGet", "TaskList", "TaskUpdate", "TaskOutput", "TaskStop"]);
    }
    if !one_shot {
        tools.push("AskUserQuestion");
    }
    tools
}

/// The settings that nothing in a repository can override: bind them read-only at [`MANAGED_SETTINGS_PATH`].
pub fn managed_settings(base_url: &str) -> Value {
    json!({
        "env": {
            "ANTHROPIC_BASE_URL": base_url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
        "allowManagedHooksOnly": true,
        "permissions": {"disableBypassPermissionsMode": "disable"},
        "enableAllProjectMcpServers": false,
        "includeCoAuthoredBy": false,
        "autoMemoryEnabled": false,
        "disableRemoteControl": true,
        "disableWorkflows": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_is_as_written() {
        let mut launch = Launch::new(
            "/opt/claude",
            Phase::Plan,
            Conversation::New(Uuid::nil()),
            "/home/agent",
            "http://127.0.0.1:8080",
            "sk-ant-surrogate",
        );
        launch.max_budget = Some(MicroUsd(1_500_000));
        launch.instructions = Some("/run/instructions.md".into());
        insta::assert_snapshot!(launch.argv().join(" "), @"/opt/claude -p --input-format stream-json --output-format stream-json --verbose --include-partial-messages --replay-user-messages --permission-prompt-tool stdio --permission-mode default --strict-mcp-config --setting-sources user --disable-slash-commands --tools Read,Glob,Grep,Bash,AskUserQuestion --session-id 00000000-0000-0000-0000-000000000000 --append-system-prompt-file /run/instructions.md --max-budget-usd 1.500000");
        launch.env = vec![("CLAUDE_CODE_MAX_RETRIES".into(), "1".into())];
        let env = launch.env();
        assert_eq!(env.iter().filter(|(name, _)| name == "CLAUDE_CODE_MAX_RETRIES").count(), 1);
        assert!(!tools(Phase::Plan, true).contains(&"AskUserQuestion"));
        assert!(!tools(Phase::Plan, false).contains(&"Write"));
    }
}
