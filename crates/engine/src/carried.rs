//! Commits of ours travel with the record.
//!
//! A commit is noted before it is pushed, and some are never pushed: those of a branch without a pull request, and trees
//! of runs that did not finish. Each server has a mirror of its own, so what one of them noted would be out of reach for
//! the one that takes over from it. Therefore the transaction that notes a commit also notes a pack of what it adds to its
//! parents, and a mirror that lacks a commit on record gets it from there.

use crate::{context::Context, halt::Halt, kept, shared::Shared, stack};
use domain::{BlobHash, ChangeState, CommitId, RunId, Session};
use forge::{Forge, Mirror};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::Write;

/// How many commits may stand on one another and all be missing.
const DEEPEST: usize = 10_000;

/// Where a commit is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Carried {
    /// The pack.
    blob: BlobHash,
    /// The commits that must be there before it.
    on: Vec<CommitId>,
}

fn key(commit: &CommitId) -> String {
    format!("pack:{commit}")
}

/// Where the commit of a run's kept tree is noted.
fn kept_key(run: RunId) -> String {
    format!("kept:{run}")
}

/// What belongs into the transaction that notes `commit`, which stands on `parents`.
pub(crate) async fn note(
    context: &Context,
    mirror: &Mirror,
    commit: &CommitId,
    parents: &[CommitId],
) -> Result<Write, Halt> {
    let blob = context.put_blob(mirror.pack(commit, parents).await?).await?;
    let carried = Carried { blob, on: parents.to_vec() };
    let value = serde_json::to_value(carried).map_err(|error| Halt::failed(error.to_string()))?;
    Ok(Write::Journal(key(commit), value))
}

/// Notes the commit of a run's kept tree, so that every server finds it.
pub(crate) async fn note_kept(
    context: &Context,
    mirror: &Mirror,
    run: RunId,
    commit: &CommitId,
    base: &CommitId,
) -> Result<(), Halt> {
    let pack = note(context, mirror, commit, std::slice::from_ref(base)).await?;
    context.commit(&[pack, Write::Journal(kept_key(run), commit.as_str().into())], &[]).await
}

/// The commit of a run's kept tree, brought into the mirror when another server kept it.
pub(crate) async fn kept_of(
    shared: &Shared,
    session: &Session,
    mirror: &Mirror,
    run: RunId,
) -> Result<Option<CommitId>, Halt> {
    if let Some(commit) = mirror.kept(&kept::run(run)?).await? {
        return Ok(Some(commit));
    }
    let Some(commit) = read::<CommitId>(shared, session, &kept_key(run)).await? else { return Ok(None) };
    if !restore(shared, session, mirror, &commit).await? {
        return Ok(None);
    }
    mirror.keep(&kept::run(run)?, &commit).await?;
    Ok(Some(commit))
}

/// Sees to it that the mirror has every commit that the session's work stands on or has yet to publish: from the forge,
/// or else from the record.
pub(crate) async fn bring(shared: &Shared, session: &Session, mirror: &Mirror) -> Result<(), Halt> {
    let lives = |change: &domain::Change| !matches!(change.state, ChangeState::Merged | ChangeState::Closed);
    let changes: Vec<_> = shared.store.changes(session.id).await?.into_iter().filter(lives).collect();
    let mut wanted = vec![session.base.clone()];
    wanted.extend(read::<CommitId>(shared, session, stack::LANDED).await?);
    wanted.extend(changes.iter().flat_map(|change| [change.base.clone(), change.head.clone()]));
    wanted.sort();
    wanted.dedup();
    let missing = mirror.missing(&wanted).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let _lock = shared.lock_mirror(session.repository).await;
    let repository = shared.store.repository(session.repository).await?;
    let repository = repository.ok_or_else(|| Halt::failed("the session's repository is gone from the record"))?;
    shared.forge.fetch(&repository, mirror).await?;
    for commit in mirror.missing(&missing).await? {
        let head_of = changes.iter().find(|change| change.head == commit);
        let found = restore(shared, session, mirror, &commit).await?;
        match head_of {
            Some(change) if found => mirror.keep(&kept::change(change.id)?, &commit).await?,
            Some(change) => {
                return Err(Halt::failed(format!(
                    "the commit {} of `{}` is neither in the repository nor on record: only the data directory of the \
                     server that made it has it. Start that server again, then `runyard session retry {}`",
                    commit.short(),
                    change.branch,
                    session.number
                )));
            }
            // Whoever needs it will say what for.
            None => {}
        }
    }
    Ok(())
}

/// Takes a commit from the record, and before it those that it stands on; false when one of them is not on record.
async fn restore(shared: &Shared, session: &Session, mirror: &Mirror, commit: &CommitId) -> Result<bool, Halt> {
    let mut open = vec![commit.clone()];
    while let Some(next) = open.last().cloned() {
        let Some(carried) = read::<Carried>(shared, session, &key(&next)).await? else { return Ok(false) };
        let lacking = mirror.missing(&carried.on).await?;
        if !lacking.is_empty() {
            if open.len() > DEEPEST {
                return Err(Halt::failed(format!("the commits that {} stands on have no end", commit.short())));
            }
            open.extend(lacking);
            continue;
        }
        let Some(pack) = shared.store.blob(carried.blob).await? else { return Ok(false) };
        mirror.unpack(&next, &pack).await?;
        open.pop();
    }
    Ok(true)
}

async fn read<T: DeserializeOwned>(shared: &Shared, session: &Session, key: &str) -> Result<Option<T>, Halt> {
    let Some(value) = shared.store.journal(session.id, key).await? else { return Ok(None) };
    serde_json::from_value(value).map_err(|error| Halt::failed(format!("the note `{key}` is damaged: {error}")))
}
