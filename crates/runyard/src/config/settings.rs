//! The configuration as the parts of Runyard want it.

use super::Config;
use domain::Budget;
use engine::{AgentSettings, Settings, ToolRules};
use sandbox::{
    LocalConfig,
    local::{self, Limit},
};
use secrets::Secret;
use server::{Doors, Limits, Listening, ProviderSettings, Proxies, TlsFiles, WebhookSettings};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// How soon a renewed certificate is in use.
const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(10);

impl Config {
    /// What the engine is told; `claude` is the program that was found, or the configured name when none was.
    pub fn engine_settings(&self, claude: PathBuf) -> Settings {
        let v = &self.values;
        Settings {
            data_dir: self.data_dir.clone(),
            workers: usize::try_from(v.workers.0).unwrap_or(1),
            per_account: v.per_account.0,
            beat: v.lease_beat,
            lease: v.lease_patience,
            sandbox_idle: v.sandbox_idle,
            pr_mode: v.pr_mode,
            draft: v.draft,
            run_budget: Budget {
                cost: v.run_usd,
                tokens: v.run_tokens.map(|tokens| tokens.0),
                seconds: v.run_time.map(|time| time.as_secs().max(1)),
            },
            session_budget: Budget {
                cost: v.session_usd,
                tokens: v.session_tokens.map(|tokens| tokens.0),
                seconds: v.session_time.map(|time| time.as_secs().max(1)),
            },
            pre_execution_every_step: v.pre_execution_every_step,
            pre_execution_timeout: v.pre_execution_timeout,
            check_timeout: v.check_timeout,
            check_output: v.check_output.0,
            check_retries: usize::try_from(v.check_retries.0).unwrap_or(0),
            hold: v.hold,
            silence: v.silence,
            transient_retries: v.transient_retries.0,
            backoff: v.backoff,
            backoff_cap: v.backoff_cap,
            agent_attribution: v.agent_attribution,
            public_url: v.public_url.clone(),
            agent: AgentSettings {
                retries: u32::try_from(v.agent_retries.0).unwrap_or(0),
                claude,
                sha256: v.claude_sha256,
                model: v.model.clone(),
                base_url: v.base_url.0.clone(),
                planning: ToolRules {
                    allow: v.planning_allow.clone(),
                    deny: v.planning_deny.clone(),
                    ask: v.planning_ask.clone(),
                },
                execution: ToolRules {
                    allow: v.execution_allow.clone(),
                    deny: v.execution_deny.clone(),
                    ask: v.execution_ask.clone(),
                },
            },
        }
    }

    /// What sandboxes on this machine are made with.
    pub fn sandbox(&self) -> LocalConfig {
        let v = &self.values;
        LocalConfig {
            read_only_paths: v.read_only_paths.clone(),
            limits: local::Limits {
                memory: Some(Limit { value: v.memory.0, requirement: v.memory_requirement }),
                pids: Some(Limit {
                    value: u64::try_from(v.processes.0).unwrap_or(u64::MAX),
                    requirement: v.processes_requirement,
                }),
                cpu: Some(Limit { value: v.cpu.0, requirement: v.cpu_requirement }),
                disk: Some(Limit { value: v.disk.0, requirement: v.disk_requirement }),
                files: u64::try_from(v.disk_files.0).unwrap_or(u64::MAX),
            },
            strict: v.strict,
            accepted_holes: v.accepted_holes.clone(),
            min_free_disk: v.min_free_disk.0,
            total_disk: v.total_disk.map(|bytes| bytes.0),
            ..LocalConfig::new(&self.data_dir)
        }
    }

    /// How pages are served at an address. The error names what is missing.
    pub fn listening(&self, address: SocketAddr) -> Result<Listening, String> {
        let v = &self.values;
        let tls = match (&v.tls_certificate, &v.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: certificate.clone(), key: key.clone(), look_every: LOOK_AT_CERTIFICATE })
            }
            (Some(_), None) => return Err("tls.certificate is set and tls.key is not".to_owned()),
            (None, Some(_)) => return Err("tls.key is set and tls.certificate is not".to_owned()),
        };
        Ok(Listening {
            public_url: v.public_url.clone(),
            tls,
            proxies: Proxies {
                trusted: v.trusted_proxies.iter().map(|network| network.0).collect(),
                header: v.proxy_header,
            },
            limits: Limits {
                connections: usize::try_from(v.connections.0).unwrap_or(usize::MAX),
                per_peer: usize::try_from(v.connections_per_peer.0).unwrap_or(usize::MAX),
                handshake: v.handshake_time,
                head: v.head_time,
                body: v.body_time,
                ..Limits::default()
            },
            ..Listening::at(address)
        })
    }

    /// How people come in, with the secret that the provider knows us by. The error says what is missing.
    pub fn doors(&self, client_secret: Option<Secret>) -> Result<Doors, String> {
        let v = &self.values;
        let Some(issuer) = &v.issuer else {
            let closed = "password_sign_in is false and oidc.issuer is not set, so nobody could sign in";
            return if v.password_sign_in { Ok(Doors::default()) } else { Err(closed.to_owned()) };
        };
        let client_id = v.oidc_client.clone().ok_or("oidc.issuer is set and oidc.client_id is not")?;
        if let Some(missing) = ["openid", "email"].iter().find(|it| !v.oidc_scopes.iter().any(|scope| scope == *it)) {
            return Err(format!("oidc.scopes lacks `{missing}`"));
        }
        let provider = ProviderSettings {
            issuer: issuer.0.clone(),
            client_id,
            client_secret,
            scopes: v.oidc_scopes.clone(),
            label: v.oidc_label.clone().unwrap_or_else(|| issuer.host().to_owned()),
            domains: v.oidc_domains.clone(),
            role: v.oidc_role,
            link_existing: v.oidc_link_existing,
            require_verified_email: v.oidc_require_verified_email,
            sign_in_lasts: v.oidc_sign_in_lasts,
        };
        Ok(Doors { passwords: v.password_sign_in, provider: Some(provider) })
    }

    /// Where webhooks may be.
    pub fn webhooks(&self) -> WebhookSettings {
        let v = &self.values;
        WebhookSettings {
            http: v.webhooks_http,
            networks: v.webhooks_networks.iter().map(|network| network.0).collect(),
            within: v.webhooks_within,
            ..WebhookSettings::default()
        }
    }

    /// Where the database is.
    pub fn database_url(&self) -> String {
        self.values
            .database_url
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join("runyard.db").display()))
    }
}
