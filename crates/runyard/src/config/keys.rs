//! Every setting: its key, type, default and meaning. The one table behind the file, the environment, flags,
//! `config show` and `docs/configuration.md`.

use super::{
    address::{ApiAddress, Issuer, Listen, Network},
    setting::{Bytes, Count, LogFilter, LogFormat, Processors, Program, Raw, Setting},
};
use agent::ProgramDigest;
use domain::{MicroUsd, PrMode, Role};
use sandbox::local::Requirement;
use server::ProxyHeader;
use std::{path::PathBuf, time::Duration};

/// What is known about a key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its dotted name.
    pub name: &'static str,
    /// What a value looks like.
    pub shape: &'static str,
    /// The default as a person would write it; empty for none, or for one that depends on the machine.
    pub default: &'static str,
    /// What it means, Markdown.
    pub doc: &'static str,
}

impl Key {
    /// The name of the environment variable, such as `RUNYARD_LEASE_BEAT`.
    pub fn variable(&self) -> String {
        format!("RUNYARD_{}", self.name.replace('.', "_").to_uppercase())
    }
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty = $default:literal as $name:literal;)*) => {
        /// All settings with their types.
        #[derive(Debug, Clone)]
        pub struct Values {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        /// All keys, in the order of the documentation.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            shape: <$type as Setting>::SHAPE,
            default: $default,
            doc: concat!($($doc, "\n"),*),
        }),*];

        impl Values {
            /// Every default of the table.
            pub fn defaults() -> Result<Self, String> {
                Ok(Self { $(
                    $field: <$type as Setting>::read(&Raw::Written($default.to_owned()))
                        .map_err(|error| format!("the default of {}: {error}", $name))?,
                )* })
            }

            /// Sets a key. `None` when there is no such key; the inner error says what is wrong with the value.
            pub fn set(&mut self, name: &str, raw: &Raw) -> Option<Result<(), String>> {
                match name {
                    $($name => Some(<$type as Setting>::read(raw).map(|value| self.$field = value)),)*
                    _ => None,
                }
            }

            /// A key's value as it could be written in the file; empty when it has none.
            pub fn show(&self, name: &str) -> String {
                match name {
                    $($name => self.$field.show(),)*
                    _ => String::new(),
                }
            }
        }
    };
}

keys! {
    /// Where everything that lasts is kept.
    /// Default: `/var/lib/runyard` for root, else `$XDG_DATA_HOME/runyard` (`~/.local/share/runyard`).
    data_dir: Option<PathBuf> = "" as "data_dir";
    /// What the log holds. `runyard serve` writes it to the terminal, other commands to `DATA/runyard.log`.
    log: LogFilter = "info" as "log";
    /// How the log is written: lines for people, or `json`, one object on each line.
    log_format: LogFormat = "text" as "log_format";
    /// How many sessions this server works on at once.
    workers: Count<1, 256> = "2" as "workers";
    /// How many sessions of one account are worked on at once, over all servers.
    per_account: Count<1, 10_000> = "4" as "per_account";
    /// Where `runyard serve` listens for browsers and programs; nowhere when it is empty.
    /// When the default is taken by another program, a free port is chosen.
    listen: Option<Listen> = "127.0.0.1:8480" as "listen";
    /// How people reach this server's pages, such as `https://runyard.example.org`; shown in links and pull requests.
    /// Default: where it listens.
    public_url: Option<String> = "" as "public_url";
    /// The certificate with which `runyard serve` speaks TLS itself, followed by those that lead to one that browsers know
    /// (PEM). It is read again when it changes. Plain HTTP when empty.
    tls_certificate: Option<PathBuf> = "" as "tls.certificate";
    /// The certificate's private key (PEM), which others should not be able to read.
    tls_key: Option<PathBuf> = "" as "tls.key";
    /// Proxies, by network, that may say for whom they ask; nobody else is believed. The caller is the right-most address
    /// that is none of them.
    trusted_proxies: Vec<Network> = "" as "trusted_proxies";
    /// The header in which they say it: `x-forwarded-for` (with `X-Forwarded-Proto` and `X-Forwarded-Host`), or `forwarded`.
    /// The other one is not looked at.
    proxy_header: ProxyHeader = "x-forwarded-for" as "proxy_header";
    /// How many connections there may be at once.
    connections: Count<1, 1_000_000> = "4096" as "connections.most";
    /// How many of them from one IPv4 address, or from one /64 network of IPv6; trusted proxies may have more.
    connections_per_peer: Count<1, 1_000_000> = "1024" as "connections.per_peer";
    /// How long a TLS handshake may take.
    handshake_time: Duration = "10s" as "connections.handshake";
    /// How long the head of a request may take, counted from the end of what was before it on the connection.
    head_time: Duration = "20s" as "connections.head";
    /// How long the body of a request may take.
    body_time: Duration = "1m" as "connections.body";
    /// Whether people sign in with a password. When they do not, the links of `runyard user reset-password` still let
    /// somebody in, once.
    password_sign_in: bool = "true" as "password_sign_in";
    /// A provider of OpenID Connect at which people sign in, by its own name for itself, to the letter.
    issuer: Option<Issuer> = "" as "oidc.issuer";
    /// The provider's name for this server.
    oidc_client: Option<String> = "" as "oidc.client_id";
    /// A file of mode 0600 that holds the client's secret. `RUNYARD_OIDC_CLIENT_SECRET` in the environment goes before it.
    oidc_secret_file: Option<PathBuf> = "" as "oidc.client_secret_file";
    /// The name of a stored secret that holds the client's secret (`runyard secret set NAME`), used when neither of those is
    /// there. It is read when the server starts.
    oidc_secret_name: Option<String> = "" as "oidc.client_secret_name";
    /// What the provider is asked for. `openid` and `email` are needed.
    oidc_scopes: Vec<String> = "openid, email, profile" as "oidc.scopes";
    /// What the page calls the provider, after "Sign in with". Default: the issuer's host.
    oidc_label: Option<String> = "" as "oidc.label";
    /// Whoever has a mail address of one of these domains comes in without an invitation. Without a domain, people are
    /// invited.
    oidc_domains: Vec<String> = "" as "oidc.domains";
    /// The role of those who come in without an invitation: `member`, `maintainer` or `admin`.
    oidc_role: Role = "member" as "oidc.role";
    /// Whether the provider's word is enough to become a person who is there already with the same, verified, mail address.
    oidc_link_existing: bool = "false" as "oidc.link_existing";
    /// Whether a mail address counts only when the provider says that it is verified. Without it, an address about which the
    /// provider says nothing counts too.
    oidc_require_verified_email: bool = "true" as "oidc.require_verified_email";
    /// How long a sign-in lasts before the provider is asked again.
    oidc_sign_in_lasts: Duration = "7d" as "oidc.sign_in_lasts";
    /// Whether webhooks may be reached without TLS, by `http`. Deliveries are signed all the same, and can be read on the way.
    webhooks_http: bool = "false" as "webhooks.http";
    /// Networks that are not public and that webhooks may be in nevertheless, such as `10.0.0.0/8`. Everything else on this
    /// machine, on private networks and at a cloud's own addresses is refused.
    webhooks_networks: Vec<Network> = "" as "webhooks.networks";
    /// How long a webhook may take to answer.
    webhooks_within: Duration = "10s" as "webhooks.within";
    /// Your name, as git knows you. Default: git's `user.name`, else the login name.
    user_name: Option<String> = "" as "user.name";
    /// Your mail address, as git knows you. Default: git's `user.email`, else `login@hostname`.
    user_email: Option<String> = "" as "user.email";
    /// The database: `sqlite:PATH` or `postgres://…`. Default: `DATA/runyard.db`.
    /// A password in it is not shown by `config show`.
    database_url: Option<String> = "" as "database.url";
    /// How often a server shows that it is alive.
    lease_beat: Duration = "5s" as "lease.beat";
    /// How long a server must be silent before another takes over its sessions.
    lease_patience: Duration = "15s" as "lease.patience";
    /// How work becomes pull requests when a session does not say.
    pr_mode: PrMode = "stacked_pr" as "pull_requests.mode";
    /// Whether pull requests are opened as drafts when a session does not say.
    draft: bool = "false" as "pull_requests.draft";
    /// Whether commits name the agent as co-author.
    agent_attribution: bool = "false" as "pull_requests.agent_attribution";
    /// US dollars that one run may cost.
    run_usd: Option<MicroUsd> = "" as "budget.run.usd";
    /// Tokens that one run may use.
    run_tokens: Option<Count<1, { i64::MAX }>> = "" as "budget.run.tokens";
    /// Time that one run may work.
    run_time: Option<Duration> = "1h" as "budget.run.time";
    /// US dollars that a session may cost when it does not say.
    session_usd: Option<MicroUsd> = "" as "budget.session.usd";
    /// Tokens that a session may use when it does not say.
    session_tokens: Option<Count<1, { i64::MAX }>> = "" as "budget.session.tokens";
    /// Time that a session may work when it does not say.
    session_time: Option<Duration> = "" as "budget.session.time";
    /// Whether the pre-execution script runs before every step instead of once per sandbox.
    pre_execution_every_step: bool = "false" as "pre_execution.every_step";
    /// How long the pre-execution script may take.
    pre_execution_timeout: Duration = "10m" as "pre_execution.timeout";
    /// How long a check may take when it does not say.
    check_timeout: Duration = "10m" as "checks.timeout";
    /// How much a check, or the pre-execution script, may write before it is ended. All of it is kept in the database.
    check_output: Bytes = "64MiB" as "checks.output";
    /// How often a failing check goes back to the agent within a run.
    check_retries: Count<0, 20> = "2" as "checks.retries";
    /// How long the agent is kept waiting for a person's decision before it is put to rest.
    hold: Duration = "2m" as "agent.hold";
    /// How long the agent may say nothing while it works, before it is ended and its conversation is resumed. Claude Code
    /// gives a command up to ten minutes and is silent meanwhile.
    silence: Duration = "15m" as "agent.silence";
    /// The Claude Code program.
    /// Default: where `RUNYARD_CLAUDE` says, else where `cargo xtask setup` puts it, else `claude` in `PATH`.
    claude: Option<Program> = "" as "agent.claude";
    /// The SHA-256 digest that the Claude Code program must have.
    /// Without it the program is trusted as it is at the first start of an agent, until the server ends.
    claude_sha256: Option<ProgramDigest> = "" as "agent.sha256";
    /// The model; Claude Code's own choice when empty.
    model: Option<String> = "" as "agent.model";
    /// While planning: when not empty, only these tools (in Claude Code's grammar).
    planning_allow: Vec<String> = "" as "agent.planning.allow";
    /// While planning: never these tools.
    planning_deny: Vec<String> = "" as "agent.planning.deny";
    /// While planning: these tools only when a person allows the call.
    planning_ask: Vec<String> = "" as "agent.planning.ask";
    /// While executing: when not empty, only these tools (in Claude Code's grammar).
    execution_allow: Vec<String> = "" as "agent.execution.allow";
    /// While executing: never these tools.
    execution_deny: Vec<String> = "" as "agent.execution.deny";
    /// While executing: these tools only when a person allows the call.
    execution_ask: Vec<String> = "" as "agent.execution.ask";
    /// Where the Messages API is, without user, query and fragment.
    /// `ANTHROPIC_BASE_URL` is read too when this is set nowhere else.
    base_url: ApiAddress = "https://api.anthropic.com" as "anthropic.base_url";
    /// A file of mode 0600 that holds the API key. `ANTHROPIC_API_KEY` in the environment goes before it.
    key_file: Option<PathBuf> = "" as "anthropic.key_file";
    /// The name of a stored secret that holds the API key (`runyard secret set NAME`), used when neither
    /// `ANTHROPIC_API_KEY` nor `anthropic.key_file` is there.
    key_secret: Option<String> = "" as "anthropic.key_secret";
    /// The file of the keys under which stored secrets are sealed; never within the data directory.
    /// Default: `/etc/runyard/keyring` for root, else `$XDG_CONFIG_HOME/runyard/keyring` (`~/.config/runyard/keyring`).
    keyring: Option<PathBuf> = "" as "secrets.keyring";
    /// How often the agent itself asks the Messages API again, before its run counts as a passing failure.
    agent_retries: Count<0, 100> = "6" as "retry.agent";
    /// How often a passing failure (overload, lost connection) is retried.
    transient_retries: Count<0, 100> = "5" as "retry.times";
    /// The first wait before such a retry; doubled each time.
    backoff: Duration = "2s" as "retry.first";
    /// The longest wait before such a retry.
    backoff_cap: Duration = "2m" as "retry.longest";
    /// How long a sandbox is kept after the last action.
    sandbox_idle: Duration = "30m" as "sandbox.idle";
    /// Toolchains of this machine that sandboxes see, read-only, at the same path. Never a home directory itself.
    read_only_paths: Vec<PathBuf> = "" as "sandbox.read_only_paths";
    /// Memory of a sandbox, swap included.
    memory: Bytes = "4GiB" as "sandbox.limits.memory.value";
    /// Whether no sandbox starts where this machine cannot hold its memory limit.
    memory_requirement: Requirement = "best_effort" as "sandbox.limits.memory.requirement";
    /// Processes and threads of a sandbox.
    processes: Count<16, 1_000_000> = "1024" as "sandbox.limits.processes.value";
    /// Whether no sandbox starts where this machine cannot hold its process limit.
    processes_requirement: Requirement = "best_effort" as "sandbox.limits.processes.requirement";
    /// Processors' worth of time of a sandbox.
    cpu: Processors = "2" as "sandbox.limits.cpu.value";
    /// Whether no sandbox starts where this machine cannot hold its processor limit.
    cpu_requirement: Requirement = "best_effort" as "sandbox.limits.cpu.requirement";
    /// What a sandbox may keep on disk: its changes to the workspace, and its home.
    disk: Bytes = "10GiB" as "sandbox.limits.disk.value";
    /// Whether no sandbox starts where this machine cannot hold its disk limit.
    /// A required limit is set aside on the disk when a sandbox is made.
    disk_requirement: Requirement = "best_effort" as "sandbox.limits.disk.requirement";
    /// Files and directories that a sandbox may make; no more than one for each 4 KiB of its disk limit.
    disk_files: Count<1_000, 1_000_000_000> = "1000000" as "sandbox.limits.disk.files";
    /// Whether no sandbox is made where a wall is open: a limit that does not hold, a uid that is shared, a program with
    /// a known hole. `runyard doctor --strict` says which.
    strict: bool = "false" as "sandbox.strict";
    /// Known holes, by their CVE numbers, that your distribution has mended without a new version.
    accepted_holes: Vec<String> = "" as "sandbox.accepted_holes";
    /// Free space on the data directory's disk below which no sandbox is made.
    /// At half of it, sandboxes that go on writing are stopped.
    min_free_disk: Bytes = "1GiB" as "sandbox.min_free_disk";
    /// What all sandboxes of this server may take on disk together before no further one is made.
    total_disk: Option<Bytes> = "" as "sandbox.total_disk";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_fits_its_type() {
        Values::defaults().expect("defaults");
    }

    #[test]
    fn every_key_has_its_own_variable_and_a_meaning() {
        let variables: BTreeSet<_> = KEYS.iter().map(Key::variable).collect();
        assert_eq!(variables.len(), KEYS.len());
        for key in KEYS {
            assert!(key.doc.len() > 10, "{}", key.name);
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let values = Values::defaults().expect("defaults");
        for key in KEYS {
            let shown = values.show(key.name);
            if shown.is_empty() {
                continue;
            }
            let text = format!("{} = {shown}", key.name);
            let entries = super::super::file::entries(&text).expect(&text);
            let mut again = Values::defaults().expect("defaults");
            again.set(key.name, &entries[0].raw).expect("known").expect(&text);
            assert_eq!(again.show(key.name), shown);
        }
    }
}
