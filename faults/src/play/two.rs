//! Two servers on one PostgreSQL: one dies or stands still past its lease, the other one carries on, and then the first
//! is back.

use super::{Stage, person::Person, server_over, until_stopped};
use crate::{
    cases::{Case, Mode, PATIENCE},
    history::What,
    processes,
};
use anyhow::Result;
use product_tests::Repository;
use rustix::process::Signal;
use std::time::Duration;
use tokio::sync::watch;

impl Stage<'_> {
    pub(super) async fn two_servers(
        &self,
        case: &Case,
        repository: &Repository,
        happened: &mut Vec<(&'static str, Mode)>,
    ) -> Result<()> {
        let (up, lives) = watch::channel(None);
        let mut person = Person::new(case, self.data, repository, self.history.clone(), lives);
        let mut servers = vec![self.start(0, 0, &case.faults, case)?];
        let served = {
            let wishes = person.get_it_done();
            tokio::pin!(wishes);
            tokio::select! {
                done = &mut wishes => done,
                failed = self.take_over(case, &mut servers, &up, happened) => failed,
            }
        };
        for server in &mut servers {
            server_over(server, self.history).await;
        }
        served
    }

    /// Ends only when something fails.
    async fn take_over(
        &self,
        case: &Case,
        servers: &mut Vec<crate::server::Server>,
        up: &watch::Sender<Option<(usize, usize)>>,
        happened: &mut Vec<(&'static str, Mode)>,
    ) -> Result<()> {
        let arrives = async |life: usize, place: usize| {
            self.until_up(place).await;
            self.history.note(What::Up { life });
            up.send_replace(Some((life, place)));
        };
        arrives(0, 0).await;
        let first = servers[0].pid;
        until_stopped(first).await;
        let hangs = case.faults.iter().any(|fault| fault.mode == Mode::Hang);
        happened.extend(case.faults.iter().map(|fault| (fault.point, fault.mode)));
        up.send_replace(None);
        if hangs {
            self.history.note(What::Hung { life: 0, hangs: true });
        } else {
            server_over(&mut servers[0], self.history).await;
        }
        servers.push(self.start(1, 1, &[], case)?);
        arrives(1, 1).await;
        tokio::time::sleep(PATIENCE * 2 + Duration::from_millis(500)).await;
        if hangs {
            self.history.note(What::Hung { life: 0, hangs: false });
            processes::signal(first, Signal::CONT);
        } else {
            servers[0] = self.start(2, 0, &[], case)?;
            self.until_up(0).await;
            self.history.note(What::Up { life: 2 });
        }
        std::future::pending().await
    }
}
