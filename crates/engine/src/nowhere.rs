//! A machine on which no sandbox can be made, for tests.

use async_trait::async_trait;
use domain::SandboxId;
use sandbox::{Error, Lease, Provider, Record, Report, Sandbox, SandboxSpec, Swept};
use std::sync::Arc;

pub(crate) struct Nowhere;

fn nothing<T>() -> Result<T, Error> {
    Err(Error::Gone { reason: "there are no sandboxes here".to_owned() })
}

#[async_trait]
impl Provider for Nowhere {
    async fn probe(&self) -> Report {
        Report { checks: Vec::new() }
    }

    async fn limits(&self) -> Report {
        Report { checks: Vec::new() }
    }

    async fn create(&self, _spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, Error> {
        nothing()
    }

    async fn adopt(&self, _record: &Record, _lease: Lease) -> Result<Arc<dyn Sandbox>, Error> {
        nothing()
    }

    async fn destroy(&self, _record: &Record) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy_unrecorded(&self, _id: SandboxId) -> Result<(), Error> {
        Ok(())
    }

    async fn pause(&self, _record: &Record) -> Result<(), Error> {
        Ok(())
    }

    async fn sweep(&self, _keep: &[SandboxId]) -> Result<Swept, Error> {
        Ok(Swept::default())
    }
}
