//! The stack of changes: which one a leaf's commit joins, and how those above follow when one below moves. The first
//! half is pure.

use crate::{body, carried, context::Context, halt::Halt, heads, kept, queue, workspace::Place};
use domain::{
    ActionKind, BranchName, Change, ChangeId, ChangeKey, ChangeState, CommitId, EventPayload, NoteLevel, PrMode,
    RunbookVersion, Session, SessionNumber, StepId,
};
use forge::{BranchSeed, Forge, Message, Mirror, Push, Pushed, Restack, Restacked, Signature};
use serde::{Deserialize, Serialize};
use store::{Fence, Write};

/// What a person chose for the next step, in manual mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NextBranch {
    /// Its commit joins the newest branch.
    #[default]
    Same,
    /// It begins a branch on top of the newest.
    OnTop,
    /// It begins a branch from the target branch.
    Fresh,
}

/// Where that choice is kept.
pub(crate) const NEXT_BRANCH: &str = "manual:next";

/// Where the newest merge of a change of the session into its target branch is kept.
pub(crate) const LANDED: &str = "landed";

/// What new changes begin from.
pub(crate) struct Ground {
    /// The commit of the target branch: where the session started, or the newest merge of one of its changes.
    pub landed: CommitId,
    /// What a person chose in manual mode.
    pub next: NextBranch,
}

impl Ground {
    pub async fn read(context: &Context) -> Result<Self, Halt> {
        let landed = context.journal(LANDED).await?.unwrap_or_else(|| context.session.base.clone());
        Ok(Self { landed, next: context.journal(NEXT_BRANCH).await?.unwrap_or_default() })
    }
}

/// Where a leaf's commit goes: into a change that exists, or into a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal {
    Existing(ChangeId),
    New { key: ChangeKey, base_branch: BranchName, base: CommitId },
}

/// Decides where the commit of `leaf` goes.
pub(crate) fn goal(
    session: &Session,
    changes: &[Change],
    version: &RunbookVersion,
    leaf: StepId,
    Ground { landed, next }: &Ground,
) -> Goal {
    let lives = |change: &&Change| !matches!(change.state, ChangeState::Merged | ChangeState::Closed);
    let existing = |key: ChangeKey| changes.iter().filter(lives).find(|change| change.key == key);
    let taken = |key: ChangeKey| changes.iter().any(|change| change.key == key);
    let top = changes.iter().rfind(lives);
    let (base_branch, base) = match top {
        Some(change) => (change.branch.clone(), change.head.clone()),
        None => (session.target_branch.clone(), landed.clone()),
    };
    let manual = |n: usize| ChangeKey::Manual(i64::try_from(n).unwrap_or(i64::MAX));
    let key = match session.pr_mode {
        PrMode::StackedPr => ChangeKey::Step(version.top_level(leaf).map_or(leaf, |step| step.id)),
        PrMode::SinglePr => ChangeKey::Session,
        PrMode::Manual => match (top, *next) {
            (Some(change), NextBranch::Same) => return Goal::Existing(change.id),
            (_, NextBranch::Fresh) => {
                return Goal::New {
                    key: manual(changes.len()),
                    base_branch: session.target_branch.clone(),
                    base: landed.clone(),
                };
            }
            _ => return Goal::New { key: manual(changes.len()), base_branch, base },
        },
    };
    match existing(key) {
        Some(change) => Goal::Existing(change.id),
        // The change for it was merged or closed: what comes later gets one of its own.
        None if taken(key) => Goal::New { key: manual(changes.len()), base_branch, base },
        None => Goal::New { key, base_branch, base },
    }
}

/// The commit that a leaf's run starts from.
pub(crate) fn start_of(goal: &Goal, changes: &[Change]) -> Option<CommitId> {
    match goal {
        Goal::New { base, .. } => Some(base.clone()),
        Goal::Existing(id) => changes.iter().find(|change| change.id == *id).map(|change| change.head.clone()),
    }
}

/// The branch of a new change.
pub(crate) fn branch_of(
    number: SessionNumber,
    session: &Session,
    key: &ChangeKey,
    step: Option<&str>,
    title: &str,
) -> BranchName {
    forge::change_branch(&BranchSeed { number, session: session.id, key, step, title })
}

/// Brings every change above `moved` in line with it, bottom first. Where that conflicts, the branch stays as it is and
/// the agent is asked to resolve it.
pub(crate) async fn follow(context: &Context, mirror: &Mirror, moved: ChangeId) -> Result<(), Halt> {
    let changes = context.shared.store.changes(context.session.id).await?;
    let Some(start) = changes.iter().position(|change| change.id == moved) else { return Ok(()) };
    let mut below = changes[start].clone();
    for change in changes.into_iter().skip(start + 1) {
        if matches!(change.state, ChangeState::Merged | ChangeState::Closed) || change.base_branch != below.branch {
            continue;
        }
        match bring_in_line(context, mirror, change, &below.head).await? {
            Some(change) => below = change,
            None => break,
        }
    }
    Ok(())
}

/// See [`body::merge_subject`].
pub(crate) fn merge_subject(context: &Context, change: &Change) -> String {
    body::merge_subject(&context.session.title, &change.title, change.base_branch.as_str())
}

/// Puts one change on a new base by a merge commit of ours. Nothing when it conflicts.
pub(crate) async fn bring_in_line(
    context: &Context,
    mirror: &Mirror,
    mut change: Change,
    new_base: &CommitId,
) -> Result<Option<Change>, Halt> {
    let message = Message::new(&merge_subject(context, &change)).provenance(context.session.number, None, None);
    let who = signature(context, context.shared.now());
    let old_base = change.base.clone();
    let stack = Restack { old_base: &old_base, new_base, head: &change.head };
    let outcome = {
        let _lock = context.shared.lock_mirror(context.session.repository).await;
        mirror.restack(stack, &message, &who).await?
    };
    match outcome {
        Restacked::UpToDate => {
            if change.base != *new_base {
                change.base = new_base.clone();
                put(context, &change).await?;
            }
        }
        Restacked::Commit(commit) => {
            mirror.keep(&kept::change(change.id)?, &commit).await?;
            let pack = carried::note(context, mirror, &commit, &[change.head.clone(), new_base.clone()]).await?;
            faultpoint::crash_point!("crash-merge-commit-made");
            change.base = new_base.clone();
            change.head = commit;
            let mut writes = vec![pack];
            writes.extend(heads::moved(context, &change).await?);
            context.commit(&writes, &[event(&change)]).await?;
            faultpoint::crash_point!("crash-merge-commit-noted");
        }
        Restacked::Conflict(conflict) => {
            let text = format!(
                "{} no longer fits on {}: {} conflict. The branch was left as it is; the agent will resolve them.",
                change.branch,
                change.base_branch,
                conflict.files.join(", ")
            );
            let queue = context.shared.store.queue(context.session.id).await?;
            let asked = |row: &domain::Action| {
                row.id != context.action.id
                    && matches!(row.kind, ActionKind::ResolveConflict { change: id, .. } if id == change.id)
            };
            if queue.iter().any(asked) {
                return Ok(None);
            }
            let kind = ActionKind::ResolveConflict { change: change.id, files: conflict.files };
            let action = queue::queued(&context.shared, &context.session, &queue, 0, kind, None);
            context
                .commit(&[Write::Enqueue(action)], &[EventPayload::Note { level: NoteLevel::Warning, text }])
                .await?;
            return Ok(None);
        }
    }
    // Also what an earlier life of this action noted and could not push any more.
    if change.pushed.is_some() { push(context, mirror, change).await.map(Some) } else { Ok(Some(change)) }
}

/// Stores a change and tells people where it is.
pub(crate) async fn put(context: &Context, change: &Change) -> Result<(), Halt> {
    context.commit(&[Write::PutChange(change.clone())], &[event(change)]).await
}

pub(crate) fn event(change: &Change) -> EventPayload {
    EventPayload::ChangeState {
        change: change.id,
        state: change.state,
        branch: change.branch.to_string(),
        head: change.head.clone(),
        pull_request: change.pull_request,
        title: change.title.clone(),
    }
}

/// Pushes a change's head. The branch must be where we know it to be, or at an earlier head of ours whose push nobody heard
/// of: what somebody else pushed is never overwritten.
pub(crate) async fn push(context: &Context, mirror: &Mirror, change: Change) -> Result<Change, Halt> {
    if change.pushed.as_ref() == Some(&change.head) {
        return Ok(change);
    }
    context.still_held().await?;
    push_noted(context, mirror, change).await
}

/// The same without a look at the lease: what a server does that stood still after that look. What it pushes is on record
/// as the branch's, so a late push does no harm, unless it makes a branch again.
pub(crate) async fn push_noted(context: &Context, mirror: &Mirror, mut change: Change) -> Result<Change, Halt> {
    let repository = context.repository().await?;
    let forge = &context.shared.forge;
    let push = Push { branch: &change.branch, new: &change.head, expected_old: change.pushed.as_ref() };
    faultpoint::crash_point!("crash-push-intended");
    let mut made = change.pushed.is_none();
    let pushed = match forge.push(&repository, mirror, push).await {
        Err(forge::Error::Moved { branch, expected, found: Some(found) }) => {
            made = false;
            if heads::unheard(&context.shared, &change).await?.contains(&found) {
                forge.push(&repository, mirror, Push { expected_old: Some(&found), ..push }).await
            } else {
                Err(forge::Error::Moved { branch, expected, found: Some(found) })
            }
        }
        other => other,
    };
    let pushed = pushed.map_err(|error| refused(context, &change, error))?;
    faultpoint::crash_point!("crash-pushed");
    let made = made && pushed == Pushed::Updated;
    change.pushed = Some(change.head.clone());
    let mut writes = vec![Write::PutChange(change.clone())];
    if made {
        writes.push(Write::Journal(made_key(&change), context.lease.epoch.into()));
    }
    let noted = context.commit(&writes, &[]).await;
    if noted == Err(Halt::Fenced) && made {
        take_back(context, mirror, &change).await?;
    }
    noted?;
    faultpoint::crash_point!("crash-push-noted");
    Ok(change)
}

/// Where the epoch is kept under which a change's branch was made.
fn made_key(change: &Change) -> String {
    format!("made:{}", change.id)
}

/// A push that was under way when the lease was lost may come so late that the branch was made by the next owner, and
/// deleted by a person, before. Git cannot tell that from a branch that never was; the record can: a branch is made once,
/// so one that was made again is taken away.
async fn take_back(context: &Context, mirror: &Mirror, change: &Change) -> Result<(), Halt> {
    let by: Option<i64> = context.journal(&made_key(change)).await?;
    if by.is_none_or(|epoch| epoch == context.lease.epoch) {
        return Ok(());
    }
    let repository = context.repository().await?;
    if !context.shared.forge.remove_branch(&repository, mirror, &change.branch, &change.head).await? {
        return Ok(());
    }
    let text = format!(
        "A server that had lost the session made `{}` again after it was deleted; the branch was taken away again.",
        change.branch
    );
    let event = EventPayload::Note { level: NoteLevel::Warning, text };
    let shared = &context.shared;
    shared.store.commit(context.session.id, Fence::Open, &[], &[event], shared.now()).await?;
    Ok(())
}

/// Says what a person can do about a push that was refused. The commit is kept in the mirror; trying again pushes it.
fn refused(context: &Context, change: &Change, error: forge::Error) -> Halt {
    let forge::Error::Moved { branch, found, .. } = &error else { return error.into() };
    let number = context.session.number;
    let (ours, old) = (change.head.short(), change.pushed.as_ref());
    let message = match (found, old) {
        (Some(theirs), _) => {
            let back = match old {
                Some(old) => format!("put `{branch}` back (`git branch --force {branch} {old}`)"),
                None => format!("take `{branch}` away (`git branch -D {branch}`)"),
            };
            format!(
                "somebody else moved `{branch}` to {}. Nothing of theirs is overwritten, and our commit {ours} is kept. \
                 Keep their work elsewhere (`git branch NAME {theirs}`), {back}, then `runyard session retry {number}`",
                theirs.short()
            )
        }
        (None, Some(old)) => format!(
            "somebody else deleted `{branch}`. Our commit {ours} is kept. Make the branch again \
             (`git branch {branch} {old}`), then `runyard session retry {number}`"
        ),
        (None, None) => return error.into(),
    };
    Halt::failed(message)
}

/// Who commits: the person who asked, at a given moment, so that doing it again gives the same commit.
pub(crate) fn signature(context: &Context, at: domain::Timestamp) -> Signature {
    Signature { name: context.requester.name.clone(), email: context.requester.email.clone(), at }
}

/// Keeps the tree of a run that made no commit (it failed, was stopped, or waits) in the mirror, so that it outlives its
/// sandbox and can be looked at.
pub(crate) async fn keep_unfinished_tree(context: &Context, place: &Place) {
    let Some(run) = context.run() else { return };
    let (Some(base), None) = (run.base.clone(), run.commit.clone()) else { return };
    let kept = async {
        if let Some(proposed) = place.propose(context, &base).await? {
            let message = Message::new("Work of an unfinished run");
            let message = message.provenance(context.session.number, None, Some(run.id));
            let who = signature(context, run.started_at);
            let on = std::slice::from_ref(&base);
            let commit = place.mirror.commit_tree(&proposed.tree, on, &message, &who, &who).await?;
            place.mirror.keep(&kept::run(run.id)?, &commit).await?;
            carried::note_kept(context, &place.mirror, run.id, &commit, &base).await?;
        }
        Ok::<_, Halt>(())
    };
    if let Err(halt) = kept.await {
        tracing::info!(session = %context.session.number, ?halt, "the tree of an unfinished run could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, Budget, Mode, RepositoryId, SessionId, Timestamp, Usage, UserId, VersionStep};
    use uuid::Uuid;

    fn commit(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().expect("a commit id")
    }

    fn session(pr_mode: PrMode) -> Session {
        Session {
            id: SessionId(Uuid::nil()),
            number: SessionNumber(1),
            account: AccountId(Uuid::nil()),
            repository: RepositoryId(Uuid::nil()),
            requester: UserId(Uuid::nil()),
            title: "Demo".into(),
            prompt: "Demo".into(),
            mode: Mode::Standard,
            pr_mode,
            draft: false,
            labels: Vec::new(),
            extras: domain::Extras::default(),
            target_branch: "main".parse().expect("a branch"),
            base: commit('0'),
            budget: Budget::default(),
            run_budget: Budget::default(),
            agent_session: Uuid::nil(),
            version: 1,
            last_event: 0,
            usage: Usage::default(),
            archived: false,
            created_at: Timestamp(0),
        }
    }

    fn version() -> RunbookVersion {
        let step = |n: u128, number: &str, leaf| VersionStep {
            id: StepId(Uuid::from_u128(n)),
            number: number.into(),
            title: number.into(),
            leaf,
        };
        RunbookVersion {
            session: SessionId(Uuid::nil()),
            version: 1,
            text: String::new(),
            steps: vec![step(1, "1", false), step(11, "1.1", true), step(2, "2", true)],
            author: None,
            restores: None,
            created_at: Timestamp(0),
        }
    }

    fn change(n: u128, key: ChangeKey, head: char, state: ChangeState) -> Change {
        Change {
            id: ChangeId(Uuid::from_u128(n)),
            session: SessionId(Uuid::nil()),
            key,
            position: i64::try_from(n).expect("small"),
            branch: format!("runyard/{n}").parse().expect("a branch"),
            base_branch: "main".parse().expect("a branch"),
            base: commit('0'),
            head: commit(head),
            pushed: None,
            state,
            pull_request: None,
            title: String::new(),
            steps: Vec::new(),
            version: 1,
        }
    }

    fn step(n: u128) -> StepId {
        StepId(Uuid::from_u128(n))
    }

    fn ground(next: NextBranch) -> Ground {
        Ground { landed: commit('0'), next }
    }

    #[test]
    fn each_top_level_step_stacks_on_the_one_before() {
        let session = session(PrMode::StackedPr);
        let first = goal(&session, &[], &version(), step(11), &ground(NextBranch::Same));
        assert_eq!(
            first,
            Goal::New { key: ChangeKey::Step(step(1)), base_branch: "main".parse().expect("ok"), base: commit('0') }
        );
        let below = change(5, ChangeKey::Step(step(1)), 'a', ChangeState::Open);
        assert_eq!(
            goal(&session, std::slice::from_ref(&below), &version(), step(11), &ground(NextBranch::Same)),
            Goal::Existing(below.id)
        );
        let second = goal(&session, std::slice::from_ref(&below), &version(), step(2), &ground(NextBranch::Same));
        assert_eq!(
            second,
            Goal::New { key: ChangeKey::Step(step(2)), base_branch: below.branch.clone(), base: commit('a') }
        );
    }

    #[test]
    fn after_a_merge_work_starts_from_the_target_again() {
        let session = session(PrMode::StackedPr);
        let merged = change(5, ChangeKey::Step(step(1)), 'a', ChangeState::Merged);
        let ground = Ground { landed: commit('b'), next: NextBranch::Same };
        let next = goal(&session, &[merged], &version(), step(11), &ground);
        assert_eq!(
            next,
            Goal::New { key: ChangeKey::Manual(1), base_branch: "main".parse().expect("ok"), base: commit('b') }
        );
    }

    #[test]
    fn a_person_chooses_the_branch_in_manual_mode() {
        let session = session(PrMode::Manual);
        let top = change(5, ChangeKey::Manual(0), 'a', ChangeState::Branch);
        let all = [top.clone()];
        assert_eq!(goal(&session, &all, &version(), step(2), &ground(NextBranch::Same)), Goal::Existing(top.id));
        assert_eq!(
            goal(&session, &all, &version(), step(2), &ground(NextBranch::OnTop)),
            Goal::New { key: ChangeKey::Manual(1), base_branch: top.branch.clone(), base: commit('a') }
        );
        assert_eq!(
            goal(&session, &all, &version(), step(2), &ground(NextBranch::Fresh)),
            Goal::New { key: ChangeKey::Manual(1), base_branch: "main".parse().expect("ok"), base: commit('0') }
        );
    }
}
