//! Sessions, their events and the versions of their runbooks.

use super::tables::{MemoryRows, pick};
use crate::{SessionFilter, StoreError, backend::LeaseRow, backend::SessionRows, page::Page};
use async_trait::async_trait;
use domain::{AccountId, Event, RunbookVersion, Session, SessionId, SessionNumber, Step, StepId, StepState, Timestamp};
use serde_json::Value as Json;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl SessionRows for MemoryRows {
    async fn add_session(&mut self, new: &Session) -> Result<()> {
        let served = self.tables.sessions.values().map(|(_, served)| *served).max().unwrap_or(0);
        self.add(|tables| &mut tables.sessions, new.id, (new.clone(), served))?;
        let free = LeaseRow { owner: None, epoch: 0, beat: 0 };
        self.add(|tables| &mut tables.leases, new.id, free)
    }

    async fn session(&mut self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.tables.sessions.get(&id).map(|(session, _)| session.clone()))
    }

    async fn session_numbered(&mut self, account: AccountId, number: SessionNumber) -> Result<Option<Session>> {
        let mut sessions = self.tables.sessions.values().map(|(session, _)| session);
        Ok(sessions.find(|session| session.account == account && session.number == number).cloned())
    }

    async fn pulse(&mut self, account: AccountId) -> Result<i64> {
        let sessions = pick(&self.tables.sessions, |(session, _)| session.account == account);
        Ok(sessions.iter().map(|(session, _)| session.last_event + 1).sum())
    }

    async fn sessions(&mut self, account: AccountId, filter: &SessionFilter) -> Result<Vec<Session>> {
        let works_on = |session, branch: &str| {
            let mut changes = self.tables.changes.values();
            changes.any(|change| change.session == session && change.branch.as_str() == branch)
        };
        let rows = pick(&self.tables.sessions, |(session, _)| {
            session.account == account
                && filter.archived.is_none_or(|archived| session.archived == archived)
                && filter.repository.is_none_or(|repository| session.repository == repository)
                && filter.before.is_none_or(|before| session.number < before)
                && filter.requester.is_none_or(|requester| session.requester == requester)
                && filter.branch.as_ref().is_none_or(|branch| works_on(session.id, branch))
        });
        let mut sessions: Vec<_> = rows.into_iter().map(|(session, _)| session).collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.number));
        let skip = usize::try_from(filter.skip).unwrap_or(0).min(sessions.len());
        sessions.drain(..skip);
        sessions.truncate(usize::try_from(filter.limit).unwrap_or(0));
        Ok(sessions)
    }

    async fn branches(
        &mut self,
        account: AccountId,
        oldest: SessionNumber,
        newest: SessionNumber,
    ) -> Result<Vec<(SessionId, String)>> {
        let is_meant = |id: SessionId| {
            let session = self.tables.sessions.get(&id).map(|(session, _)| session);
            session.is_some_and(|it| it.account == account && (oldest..=newest).contains(&it.number))
        };
        let changes = self.tables.changes.values().filter(|change| is_meant(change.session));
        Ok(changes.map(|change| (change.session, change.branch.as_str().to_owned())).collect())
    }

    async fn take_event_numbers(&mut self, id: SessionId, count: i64) -> Result<Option<i64>> {
        let Some((mut session, served)) = self.tables.sessions.get(&id).cloned() else { return Ok(None) };
        session.last_event += count;
        let last_event = session.last_event;
        self.put(|tables| &mut tables.sessions, id, (session, served));
        Ok(Some(last_event))
    }

    async fn put_session(&mut self, session: &Session) -> Result<()> {
        if let Some((old, served)) = self.tables.sessions.get(&session.id).cloned() {
            let new = Session {
                title: session.title.clone(),
                version: session.version,
                usage: session.usage,
                archived: session.archived,
                budget: session.budget,
                run_budget: session.run_budget,
                labels: session.labels.clone(),
                extras: session.extras.clone(),
                ..old
            };
            self.put(|tables| &mut tables.sessions, session.id, (new, served));
        }
        Ok(())
    }

    async fn add_event(&mut self, session: SessionId, number: i64, at: Timestamp, payload: &str) -> Result<()> {
        self.add(|tables| &mut tables.events, (session, number), (at, payload.to_owned()))
    }

    async fn events(&mut self, session: SessionId, after: i64, limit: i64) -> Result<Vec<Event>> {
        let after = after.saturating_add(1);
        let rows = self.tables.events.range((session, after)..=(session, i64::MAX));
        let mut page = Page::default();
        for ((_, number), (at, payload)) in rows.take(usize::try_from(limit).unwrap_or(0)) {
            if !page.take(session, *number, *at, payload)? {
                break;
            }
        }
        Ok(page.events)
    }

    async fn last_event(&mut self, session: SessionId) -> Result<Option<i64>> {
        Ok(self.tables.sessions.get(&session).map(|(session, _)| session.last_event))
    }

    async fn add_runbook(&mut self, new: &RunbookVersion) -> Result<()> {
        self.add(|tables| &mut tables.runbooks, (new.session, new.version), new.clone())
    }

    async fn runbook(&mut self, session: SessionId, version: Option<i64>) -> Result<Option<RunbookVersion>> {
        let mut newest_first = self.runbooks(session).await?.into_iter().rev();
        Ok(newest_first.find(|runbook| version.is_none_or(|version| runbook.version == version)))
    }

    async fn runbooks(&mut self, session: SessionId) -> Result<Vec<RunbookVersion>> {
        Ok(pick(&self.tables.runbooks, |runbook| runbook.session == session))
    }

    async fn add_step(&mut self, new: &Step) -> Result<()> {
        self.add(|tables| &mut tables.steps, new.id, new.clone())
    }

    async fn step(&mut self, id: StepId) -> Result<Option<Step>> {
        Ok(self.tables.steps.get(&id).cloned())
    }

    async fn steps(&mut self, session: SessionId) -> Result<Vec<Step>> {
        Ok(pick(&self.tables.steps, |step| step.session == session))
    }

    async fn put_step(&mut self, step: &Step, from: StepState) -> Result<bool> {
        let Some(old) = self.tables.steps.get(&step.id).filter(|old| old.state == from).cloned() else {
            return Ok(false);
        };
        self.put(|tables| &mut tables.steps, step.id, Step { state: step.state, usage: step.usage, ..old });
        Ok(true)
    }

    async fn put_note(&mut self, session: SessionId, key: &str, note: &Json) -> Result<()> {
        self.put(|tables| &mut tables.journal, (session, key.to_owned()), note.clone());
        Ok(())
    }

    async fn note(&mut self, session: SessionId, key: &str) -> Result<Option<Json>> {
        Ok(self.tables.journal.get(&(session, key.to_owned())).cloned())
    }

    async fn notes(&mut self, session: SessionId, prefix: &str) -> Result<Vec<(String, Json)>> {
        let from = self.tables.journal.range((session, prefix.to_owned())..);
        let own = from.take_while(|((of, key), _)| *of == session && key.starts_with(prefix));
        Ok(own.map(|((_, key), note)| (key.clone(), note.clone())).collect())
    }
}
