//! Life after a restore: an instance that was superseded ends, and what was done outside after the backup was made is
//! looked up, told to people, and left to them.

use crate::{Problem, ProblemCode, halt::chain, heads, shared::Shared};
use domain::{Change, ChangeState, CommitId, EventPayload, Generation, NoteLevel, Session, Timestamp};
use std::collections::{HashMap, HashSet, hash_map::Entry};
use store::{Fence, SessionFilter, StoreError, Write};

/// How many sessions are read at once.
const PAGE: i64 = 200;

/// Leaves the mark of a restored record in its repositories, and refuses when a later life works there.
pub(crate) async fn take_up(shared: &Shared) -> Result<(), Problem> {
    let Some(generation) = shared.generation else { return Ok(()) };
    for repository in shared.store.repositories(shared.account.id).await? {
        let raised = match shared.forge.upstream(&repository).await {
            Ok(upstream) => upstream.raise_generation(&generation).await,
            Err(error) => Err(error),
        };
        match raised {
            Ok(()) => {}
            Err(error @ forge::Error::Superseded { .. }) => return Err(superseded(&chain(&error))),
            // What cannot be reached or written cannot be pushed to either.
            Err(error) => tracing::warn!(
                repository = repository.name,
                error = chain(&error),
                "a repository could not be told about the restore"
            ),
        }
    }
    if generation.unsettled {
        settle(shared, &generation).await?;
        shared.store.settle_generation(generation.instance).await?;
    }
    Ok(())
}

/// Ends this server when the record, or a repository, belongs to a later life. Repositories that are worked on are looked
/// at in each round, the others in turn: `round` says whose turn it is.
pub(crate) async fn heed(shared: &Shared, round: usize) -> Result<(), StoreError> {
    let Some(generation) = shared.generation else { return Ok(()) };
    let now = shared.store.generation(&generation).await?;
    if now.instance != generation.instance {
        shared.supersede("the record was replaced by one that was restored from a backup");
        return Ok(());
    }
    let repositories = shared.store.repositories(shared.account.id).await?;
    let mut wanted: HashSet<_> =
        repositories.get(round % repositories.len().max(1)).map(|one| one.id).into_iter().collect();
    let at_work: HashSet<_> = shared.at_work.lock().iter().map(|(session, _)| *session).collect();
    for session in at_work {
        wanted.extend(shared.store.session(session).await?.map(|session| session.repository));
    }
    for repository in repositories.iter().filter(|repository| wanted.contains(&repository.id)) {
        if let Err(error @ forge::Error::Superseded { .. }) = shared.forge.check_generation(repository).await {
            shared.supersede(&chain(&error));
            return Ok(());
        }
    }
    Ok(())
}

/// What the person who started this server reads.
pub(crate) fn superseded(why: &str) -> Problem {
    Problem::new(ProblemCode::Environment, format!("this server does no work any more: {why}")).mend(
        "use the data directory that was restored; if this one is to go on instead, `runyard backup` it and \
         `runyard restore` that: the newest restore wins",
    )
}

/// Tells every session that a restore can have touched what was found, once.
async fn settle(shared: &Shared, generation: &Generation) -> Result<(), Problem> {
    let mut branches = HashMap::new();
    let mut before = None;
    loop {
        let filter = SessionFilter { archived: Some(false), before, limit: PAGE, ..SessionFilter::default() };
        let page = shared.store.sessions(shared.account.id, &filter).await?;
        let Some(last) = page.last() else { return Ok(()) };
        before = Some(last.number);
        for session in page {
            let changes = shared.store.changes(session.id).await?;
            let key = format!("restored:{}", generation.instance);
            if shared.store.journal(session.id, &key).await?.is_some() {
                continue;
            }
            let found = match branches.entry(session.repository) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(tips(shared, &session).await?),
            };
            let mut text = opening(shared, &session, generation).await?;
            let mut ours = HashSet::new();
            for change in &changes {
                ours.extend(heads::unheard(shared, change).await?);
            }
            let beyond = beyond(&session, &changes, &ours, found.as_ref());
            if text.is_empty() && beyond.is_empty() {
                continue;
            }
            if text.is_empty() {
                text = restored_at(generation);
            }
            let level = if beyond.is_empty() { NoteLevel::Info } else { NoteLevel::Warning };
            for line in beyond {
                text.push_str("\n- ");
                text.push_str(&line);
            }
            let writes = [Write::Journal(key, true.into())];
            let events = [EventPayload::Note { level, text }];
            shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
        }
    }
}

fn restored_at(generation: &Generation) -> String {
    let at = generation.backed_up_at.unwrap_or(Timestamp(0)).0 / 1_000_000;
    let made = jiff::Timestamp::from_second(at).map_or_else(|_| String::new(), |at| format!(" of {at}"));
    format!("The record was restored from a backup{made}. What happened after that is not on record.")
}

/// For a session that has work to do: that it goes on from the backup.
async fn opening(shared: &Shared, session: &Session, generation: &Generation) -> Result<String, StoreError> {
    let idle = shared.store.queue(session.id).await?.is_empty();
    Ok(if idle { String::new() } else { restored_at(generation) })
}

/// The branches of a session's repository, by name; none when it cannot be reached.
async fn tips(shared: &Shared, session: &Session) -> Result<Option<HashMap<String, CommitId>>, StoreError> {
    let Some(repository) = shared.store.repository(session.repository).await? else { return Ok(None) };
    let read = async { shared.forge.upstream(&repository).await?.branches("runyard/").await };
    match read.await {
        Ok(branches) => Ok(Some(branches.into_iter().map(|(name, tip)| (name.to_string(), tip)).collect())),
        Err(error) => {
            tracing::warn!(error = chain(&error), "the branches of a repository could not be looked up");
            Ok(None)
        }
    }
}

/// Branches of the session that are not where the record has them. They are left as they are: a push from an older
/// place is refused when it comes to it, and says what a person can do.
fn beyond(
    session: &Session,
    changes: &[Change],
    ours: &HashSet<CommitId>,
    found: Option<&HashMap<String, CommitId>>,
) -> Vec<String> {
    let Some(found) = found else { return Vec::new() };
    let mut lines = Vec::new();
    for change in changes.iter().filter(|change| !matches!(change.state, ChangeState::Merged | ChangeState::Closed)) {
        let branch = change.branch.as_str();
        match (found.get(branch), &change.pushed) {
            (Some(tip), pushed) if Some(tip) != pushed.as_ref() && *tip != change.head && !ours.contains(tip) => {
                let place = pushed.as_ref().map_or("not pushed", |pushed| pushed.short());
                lines.push(format!(
                    "`{branch}` is at {} and on record it is {place}: it holds work from after the backup. It is never \
                     overwritten; keep it elsewhere (`git branch NAME {}`) or take it away before this step is \
                     executed again.",
                    tip.short(),
                    tip.short()
                ));
            }
            (None, Some(pushed)) => {
                lines.push(format!("`{branch}` is gone; on record it is at {}.", pushed.short()));
            }
            _ => {}
        }
    }
    let ours = format!("runyard/r-{}-", session.number.0);
    let known: HashSet<_> = changes.iter().map(|change| change.branch.as_str()).collect();
    let mut unknown: Vec<_> =
        found.iter().filter(|(name, _)| name.starts_with(&ours) && !known.contains(name.as_str())).collect();
    unknown.sort();
    for (name, tip) in unknown {
        lines.push(format!(
            "`{name}` (at {}) is not on record: it was pushed after the backup. It is never overwritten; keep it \
             elsewhere (`git branch NAME {}`) and take it away (`git branch -D {name}`) before its step is executed \
             again.",
            tip.short(),
            tip.short()
        ));
    }
    lines
}
