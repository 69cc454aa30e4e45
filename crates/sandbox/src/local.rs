//! Sandboxes on this machine, by bubblewrap.

mod config;
mod record;

pub use config::{Limit, Limits, LocalConfig, Requirement};
pub use record::{LocalRecord, Process};

use crate::{Error, Lease, Provider, Record, Report, Sandbox, SandboxSpec, Swept};
use async_trait::async_trait;
use domain::SandboxId;
use std::{io, os::unix::net::UnixListener, path::Path, sync::Arc};

/// Makes sandboxes on this machine.
#[derive(Debug)]
pub struct LocalProvider {
    config: LocalConfig,
}

impl LocalProvider {
    /// Checks the configuration.
    pub fn new(config: LocalConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config })
    }
}

/// Listens on the socket `name` in an egress directory.
pub fn listen_in(dir: &Path, name: &str) -> io::Result<UnixListener> {
    UnixListener::bind(dir.join(name))
}

#[async_trait]
impl Provider for LocalProvider {
    async fn probe(&self) -> Report {
        todo!("{:?}", self.config)
    }

    async fn create(&self, _: SandboxSpec) -> Result<Arc<dyn Sandbox>, Error> {
        todo!()
    }

    async fn adopt(&self, _: &Record, _: Lease) -> Result<Arc<dyn Sandbox>, Error> {
        todo!()
    }

    async fn destroy(&self, _: &Record) -> Result<(), Error> {
        todo!()
    }

    async fn pause(&self, _: &Record) -> Result<(), Error> {
        todo!()
    }

    async fn sweep(&self, _: &[SandboxId]) -> Result<Swept, Error> {
        todo!()
    }
}
