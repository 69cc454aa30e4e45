//! What keeps the house in order beside the workers: silent leases are taken over, idle sandboxes are kept alive and
//! then taken down, leftovers of dead ones are swept. Each round starts from the record, so it does not matter which
//! rounds were missed.

use crate::{Problem, generation, halt::chain, shared::Shared};
use domain::{SandboxRecord, SandboxState, SessionId, Watcher};
use std::{collections::HashMap, sync::Arc};
use store::{Fence, StoreError, Write};

/// Runs a round every beat until the server goes down.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut watchers = HashMap::new();
    let mut down = shared.down.subscribe();
    for round in 0.. {
        if shared.is_going_down() {
            return;
        }
        if let Err(error) = generation::heed(&shared, round).await {
            tracing::warn!(error = chain(&error), "failed to tell whether the record was restored");
        }
        if shared.is_going_down() {
            return;
        }
        if let Err(error) = take_over_silent(&shared, &mut watchers).await {
            tracing::warn!(error = chain(&error), "failed to look after leases");
        }
        if let Err(error) = tend_sandboxes(&shared).await {
            tracing::warn!(error = chain(&error), "failed to look after sandboxes");
        }
        tokio::select! {
            () = tokio::time::sleep(shared.settings.beat) => {}
            _ = down.wait_for(|down| *down) => {}
        }
    }
}

/// Takes every lease that anybody holds: only for a server that knows itself to be the only one.
pub(crate) async fn take_over_everything(shared: &Shared) -> Result<(), Problem> {
    for (session, lease) in shared.store.leases().await? {
        if lease.owner != shared.server {
            shared.store.expire(session, lease, shared.now()).await?;
        }
    }
    Ok(())
}

/// Removes what is left of sandboxes that nobody has on record any more.
pub(crate) async fn sweep(shared: &Shared) -> Result<(), Problem> {
    let keep: Vec<_> = own_sandboxes(shared).await?.iter().map(|record| record.id).collect();
    match shared.provider.sweep(&keep).await {
        Ok(swept) => {
            if !swept.removed.is_empty() {
                tracing::info!(removed = swept.removed.len(), "removed what was left of dead sandboxes");
            }
            Ok(())
        }
        Err(error) => Err(Problem::new(crate::ProblemCode::Environment, chain(&error))
            .mend("`runyard doctor` says what is missing and how to get it")),
    }
}

async fn own_sandboxes(shared: &Shared) -> Result<Vec<SandboxRecord>, StoreError> {
    let all = shared.store.live_sandboxes().await?;
    Ok(all.into_iter().filter(|record| record.host == shared.host).collect())
}

pub(crate) async fn take_over_silent(
    shared: &Shared,
    watchers: &mut HashMap<SessionId, Watcher>,
) -> Result<(), StoreError> {
    let leases = shared.store.leases().await?;
    watchers.retain(|session, _| leases.iter().any(|(held, _)| held == session));
    for (session, lease) in leases {
        // One in our own name that none of our workers knows of: the answer to its claim or to its release was lost.
        if lease.owner == shared.server && shared.at_work.lock().contains(&(session, lease.epoch)) {
            watchers.remove(&session);
            continue;
        }
        let now = if faultpoint::planted!("planted-wall-clock-lease") {
            std::time::Duration::from_micros(shared.now().0.unsigned_abs())
        } else {
            shared.clock.monotonic()
        };
        let watcher = watchers.entry(session).or_insert_with(|| Watcher::new(lease, now));
        if watcher.observe(lease, now, shared.settings.lease) {
            let taken = shared.store.expire(session, watcher.seen(), shared.now()).await?;
            tracing::info!(%session, taken, "took over a session whose server fell silent");
            watchers.remove(&session);
        }
    }
    Ok(())
}

/// Sandboxes that nobody works in are renewed until they were idle for too long; what is left of dead ones is removed.
async fn tend_sandboxes(shared: &Shared) -> Result<(), StoreError> {
    let leases: HashMap<_, _> = shared.store.leases().await?.into_iter().collect();
    for record in own_sandboxes(shared).await? {
        if leases.contains_key(&record.session) {
            continue;
        }
        if record.state == SandboxState::Creating {
            if is_abandoned(shared, &record).await? {
                take_down(shared, record, None).await?;
            }
            continue;
        }
        if record.state != SandboxState::Ready {
            continue;
        }
        let Ok(provider) = serde_json::from_value::<sandbox::Record>(record.provider.clone()) else { continue };
        let archived = shared.store.session(record.session).await?.is_some_and(|session| session.archived);
        let idle = shared.now().since(record.used_at) >= shared.settings.sandbox_idle;
        let epoch = shared.store.lease(record.session).await?.map_or(0, |lease| lease.epoch);
        let lease = sandbox::Lease { epoch, ttl: shared.settings.lease };
        let alive = if idle || archived {
            false
        } else {
            match shared.provider.adopt(&provider, lease).await {
                // With a stale epoch somebody claimed the session between; it is theirs.
                Ok(_) | Err(sandbox::Error::StaleEpoch { .. }) => true,
                Err(error) => {
                    tracing::debug!(error = chain(&error), "an idle sandbox is gone");
                    false
                }
            }
        };
        // A session with work to do starts its sandbox again on what it left.
        let needed = !idle && !archived && !shared.store.queue(record.session).await?.is_empty();
        if !alive && !needed {
            take_down(shared, record, Some(&provider)).await?;
        }
    }
    Ok(())
}

/// Whether nobody is at work on making it: each action that makes one notes a new id, so one that is still not made
/// after its session was seen free will never be.
async fn is_abandoned(shared: &Shared, record: &SandboxRecord) -> Result<bool, StoreError> {
    let free = !shared.store.leases().await?.iter().any(|(session, _)| *session == record.session);
    let now = shared.store.sandboxes(record.session).await?;
    Ok(free && now.iter().any(|row| row.id == record.id && row.state == SandboxState::Creating))
}

async fn take_down(
    shared: &Shared,
    mut record: SandboxRecord,
    provider: Option<&sandbox::Record>,
) -> Result<(), StoreError> {
    let destroyed = match provider {
        Some(provider) => shared.provider.destroy(provider).await,
        None => shared.provider.destroy_unrecorded(record.id).await,
    };
    if let Err(error) = destroyed {
        tracing::warn!(error = chain(&error), "failed to take a sandbox down; trying again");
        return Ok(());
    }
    faultpoint::crash_point!("crash-sandbox-taken-down");
    record.state = SandboxState::Destroyed;
    let session = record.session;
    shared.store.commit(session, Fence::Open, &[Write::PutSandbox(record)], &[], shared.now()).await?;
    Ok(())
}
