//! The rules of the queue and the leases.

use super::{
    clean::Cleaned,
    commit::{append, apply, missing},
    webhooks::{self, Happened},
};
use crate::{
    Claim, ClaimLimits, StoreError, Write,
    backend::{LeaseRow, News, Rows},
};
use domain::{ActionState, EventPayload, Lease, ServerId, Session, SessionId, SessionNumber, Timestamp, Usage};

type Result<T> = std::result::Result<T, StoreError>;

/// What an attempt to claim came to.
pub(super) enum Attempt {
    /// An action was claimed.
    Claimed(Box<Claim>),
    /// Nothing may run.
    Nothing,
    /// Another claimant was faster with what was found: look again.
    Again,
}

/// Makes a session with its first writes and events.
pub(super) async fn begin_session(
    rows: &mut dyn Rows,
    new: &Cleaned<Session>,
    writes: &[Cleaned<Write>],
    events: &[Cleaned<EventPayload>],
    now: Timestamp,
) -> Result<Session> {
    if rows.session(new.id).await?.is_some() {
        return Err(StoreError::Conflict { what: "session", detail: new.id.to_string() });
    }
    let repository = rows.repository(new.repository).await?.filter(|found| found.account == new.account);
    repository.ok_or_else(|| missing("repository", new.repository))?;
    let requester = rows.user(new.requester).await?.filter(|found| found.account == new.account);
    requester.ok_or_else(|| missing("person", new.requester))?;
    let session = Session {
        number: SessionNumber(rows.next_session_number(new.account).await?),
        version: 0,
        last_event: i64::try_from(events.len()).unwrap_or(i64::MAX),
        usage: Usage::default(),
        ..Session::clone(new)
    };
    rows.add_session(&session).await?;
    apply(rows, session.id, writes, now).await?;
    append(rows, session.id, 0, events, now).await?;
    webhooks::tell(rows, session.id, &Happened { begins: true, writes, events, after: 0 }, now).await?;
    rows.announce(News::Work).await?;
    rows.session(session.id).await?.ok_or_else(|| missing("session", session.id))
}

/// Takes the next action that may run, with the lease of its session.
pub(super) async fn claim(
    rows: &mut dyn Rows,
    owner: ServerId,
    limits: ClaimLimits,
    now: Timestamp,
) -> Result<Attempt> {
    let Some(id) = rows.candidate(limits.per_account, now).await? else { return Ok(Attempt::Nothing) };
    // The candidate was found as of before its lock: everything that it depends on is looked at again under the locks.
    let session = rows.session(id).await?.ok_or_else(|| missing("session", id))?;
    rows.lock_account(session.account).await?;
    let free = rows.lease(id).await?.filter(|lease| lease.owner.is_none());
    let Some(lease) = free else { return Ok(Attempt::Again) };
    if rows.count_leased(session.account).await? >= limits.per_account {
        return Ok(Attempt::Again);
    }
    let queue = rows.queue(id).await?;
    let idle = queue.iter().all(|action| action.state != ActionState::Running);
    let first = queue.into_iter().next().filter(|first| idle && first.state == ActionState::Queued);
    let Some(mut action) = first.filter(|first| first.not_before <= now) else { return Ok(Attempt::Again) };

    action.state = action.state.next(ActionState::Running)?;
    action.attempts += 1;
    let taken = LeaseRow { owner: Some(owner), epoch: lease.epoch + 1, beat: 0 };
    if !rows.put_action(&action, ActionState::Queued).await? || !rows.put_lease(id, lease, taken).await? {
        return Ok(Attempt::Again);
    }
    rows.mark_served(id).await?;
    let lease = Lease { owner, epoch: taken.epoch, beat: taken.beat };
    Ok(Attempt::Claimed(Box::new(Claim { session, action, lease })))
}

/// Takes a lease from whoever holds it as `seen`; with a rise of its epoch when the holder did not give it back.
/// False when it is not as `seen` any more.
pub(super) async fn free(rows: &mut dyn Rows, session: SessionId, seen: Lease, given_back: bool) -> Result<bool> {
    if rows.take_event_numbers(session, 0).await?.is_none() {
        return Ok(false);
    }
    let held = LeaseRow { owner: Some(seen.owner), epoch: seen.epoch, beat: seen.beat };
    let epoch = if given_back { seen.epoch } else { seen.epoch + 1 };
    if !rows.put_lease(session, held, LeaseRow { owner: None, epoch, beat: seen.beat }).await? {
        return Ok(false);
    }
    for mut action in rows.queue(session).await? {
        if action.state == ActionState::Running {
            action.state = action.state.next(ActionState::Queued)?;
            action.handed_back += i64::from(faultpoint::planted!("planted-attempts-not-counted"));
            rows.put_action(&action, ActionState::Running).await?;
        }
    }
    rows.announce(News::Work).await?;
    Ok(true)
}

/// Gives back a lease that `owner` holds with `epoch`.
pub(super) async fn release(rows: &mut dyn Rows, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool> {
    // The beat locks the lease's row, so that the holder's own next beat cannot come between reading and freeing it;
    // the session's row goes first, as everywhere.
    if rows.take_event_numbers(session, 0).await?.is_none() || !rows.beat(session, owner, epoch).await? {
        return Ok(false);
    }
    let beat = rows.lease(session).await?.map_or(0, |lease| lease.beat);
    free(rows, session, Lease { owner, epoch, beat }, true).await
}
