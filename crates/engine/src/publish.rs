//! From a tree that a run proposes to a commit, a branch and a pull request.

use crate::{
    body, carried,
    context::Context,
    halt::{Halt, chain},
    heads, kept,
    marks::Marks,
    markup::prose,
    stack::{self, Goal},
};
use domain::{
    ActionKind, Change, ChangeId, ChangeKey, ChangeState, CheckOutcome, CommitId, Mode, PrMode, Run, RunbookVersion,
    StepId, StepState,
};
use forge::{Edit, Forge, Message, Mirror, NewComment, NewPullRequest};
use std::collections::HashMap;
use store::{PullRequest, Write};

/// How often the text of a pull request is written when people change it at the same time.
const TRIES: usize = 8;

/// Where a run's checks are kept.
pub(crate) fn evidence_key(run: domain::RunId) -> String {
    format!("evidence:{run}")
}

/// Makes the commit of a leaf's tree and notes it together with the change that it joins, before anything is pushed.
pub(crate) async fn commit_leaf(
    context: &Context,
    mirror: &Mirror,
    run: &Run,
    leaf: StepId,
    tree: &CommitId,
    said: &str,
) -> Result<ChangeId, Halt> {
    let version = context.runbook().await?;
    let changes = context.shared.store.changes(context.session.id).await?;
    let ground = stack::Ground::read(context).await?;
    let goal = stack::goal(&context.session, &changes, &version, leaf, &ground);
    let base = run.base.clone().ok_or_else(|| Halt::failed("the run has no base"))?;
    if stack::start_of(&goal, &changes).as_ref() != Some(&base) {
        return Err(Halt::transient("the branch moved while the step was executed"));
    }
    let step = version.step(leaf).ok_or_else(|| Halt::failed("the step is no longer in the runbook"))?;
    let top = version.top_level(leaf).unwrap_or(step);
    let message = commit_message(context, run, &format!("{} {}", step.number, step.title), Some(&step.number), said);
    let commit = make_commit(context, mirror, run, &base, tree, &message).await?;
    let whole = matches!(goal_key(&goal, &changes), ChangeKey::Session);
    let title = body::title(&context.session, &top.title, whole, in_progress(context));
    let mut change = match goal {
        Goal::Existing(id) => changes
            .iter()
            .find(|change| change.id == id)
            .cloned()
            .ok_or_else(|| Halt::failed("the change is gone from the record"))?,
        Goal::New { key, base_branch, base } => Change {
            id: ChangeId::new(context.shared.mint.as_ref()),
            session: context.session.id,
            key,
            position: changes.iter().map(|change| change.position).max().unwrap_or(-1) + 1,
            branch: stack::branch_of(context.session.number, &context.session, &key, Some(&top.number), &top.title),
            base_branch,
            base: base.clone(),
            head: base,
            pushed: None,
            state: ChangeState::Branch,
            pull_request: None,
            title,
            steps: Vec::new(),
            version: version.version,
        },
    };
    change.head = commit.clone();
    change.steps.retain(|known| *known != leaf);
    change.steps.push(leaf);
    note_commit(context, mirror, run, change, commit).await
}

/// Makes the commit of a tree on top of a change that exists.
pub(crate) async fn commit_onto(
    context: &Context,
    mirror: &Mirror,
    run: &Run,
    change: ChangeId,
    tree: &CommitId,
    (subject, said): (&str, &str),
) -> Result<ChangeId, Halt> {
    let base = run.base.clone().ok_or_else(|| Halt::failed("the run has no base"))?;
    let mut change = change_by_id(context, change).await?;
    if change.head != base {
        return Err(Halt::transient("the branch moved in the meantime"));
    }
    let message = commit_message(context, run, subject, None, said);
    let commit = make_commit(context, mirror, run, &base, tree, &message).await?;
    change.head = commit.clone();
    note_commit(context, mirror, run, change, commit).await
}

pub(crate) async fn change_by_id(context: &Context, id: ChangeId) -> Result<Change, Halt> {
    context
        .shared
        .store
        .change(id)
        .await?
        .filter(|change| change.session == context.session.id)
        .ok_or_else(|| Halt::failed("the change is gone from the record"))
}

/// Notes the intent: from here on the commit is published, whoever does it.
async fn note_commit(
    context: &Context,
    mirror: &Mirror,
    run: &Run,
    change: Change,
    commit: CommitId,
) -> Result<ChangeId, Halt> {
    let base = run.base.clone();
    mirror.keep(&kept::run(run.id)?, &commit).await?;
    mirror.keep(&kept::change(change.id)?, &commit).await?;
    let pack = carried::note(context, mirror, &commit, base.as_slice()).await?;
    faultpoint::crash_point!("crash-commit-made");
    let mut writes = vec![pack, Write::RunCommit(run.id, commit.clone())];
    writes.extend(heads::moved(context, &change).await?);
    context.commit(&writes, &[stack::event(&change)]).await?;
    faultpoint::crash_point!("crash-commit-noted");
    context.set_run(Run { commit: Some(commit), ..context.run().unwrap_or_else(|| run.clone()) });
    Ok(change.id)
}

fn goal_key(goal: &Goal, changes: &[Change]) -> ChangeKey {
    match goal {
        Goal::New { key, .. } => *key,
        Goal::Existing(id) => {
            changes.iter().find(|change| change.id == *id).map_or(ChangeKey::Session, |change| change.key)
        }
    }
}

async fn make_commit(
    context: &Context,
    mirror: &Mirror,
    run: &Run,
    base: &CommitId,
    tree: &CommitId,
    message: &Message,
) -> Result<CommitId, Halt> {
    // The run's own start is the commit's time: made again after a crash it is the same commit.
    let who = stack::signature(context, run.started_at);
    let _lock = context.shared.lock_mirror(context.session.repository).await;
    Ok(mirror.commit_tree(tree, std::slice::from_ref(base), message, &who, &who).await?)
}

fn commit_message(context: &Context, run: &Run, subject: &str, step: Option<&str>, said: &str) -> Message {
    let mut message = Message::new(subject)
        .paragraph(said)
        .provenance(context.session.number, step, Some(run.id))
        .co_author(&context.requester.name, &context.requester.email);
    if context.shared.settings.agent_attribution {
        message = message.co_author("Claude", "noreply@anthropic.com");
    }
    message
}

/// True while a one-shot is being worked on: its pull requests say so.
fn in_progress(context: &Context) -> bool {
    context.session.mode == Mode::OneShot
}

/// Pushes the run's change, opens or refreshes its pull request, and lets those above follow. Every act is looked up
/// before it is done, so that it may be repeated.
pub(crate) async fn publish(context: &Context, mirror: &Mirror, id: ChangeId) -> Result<Change, Halt> {
    let mut change = change_by_id(context, id).await?;
    let manual = context.session.pr_mode == PrMode::Manual && change.pull_request.is_none();
    if !manual {
        change = stack::push(context, mirror, change).await?;
        change = open_pull_request(context, mirror, change, in_progress(context)).await?;
        tell_revisions(context, &change).await?;
    }
    stack::follow(context, mirror, change.id).await?;
    refresh_open(context, mirror, Some(change.id)).await?;
    Ok(change)
}

/// Opens the pull request of a pushed change, or brings its text up to date.
pub(crate) async fn open_pull_request(
    context: &Context,
    mirror: &Mirror,
    mut change: Change,
    draft_for_now: bool,
) -> Result<Change, Halt> {
    let shared = &context.shared;
    let repository = context.repository().await?;
    context.check()?;
    let draft = context.session.draft || draft_for_now;
    let pull_request = if let Some(number) = change.pull_request {
        write(context, number, Say::AsRecorded(mirror, &change)).await?
    } else {
        let text = body_of(context, mirror, &change).await?;
        let new = NewPullRequest {
            key: format!("{}/{}", context.session.id, change.key),
            title: change.title.clone(),
            body: text,
            base: change.base_branch.clone(),
            head: change.branch.clone(),
            draft,
            labels: context.session.labels.clone(),
            author: context.requester.name.clone(),
        };
        stands_on_its_base(context, mirror, &change).await?;
        context.still_held().await?;
        faultpoint::crash_point!("crash-pull-request-intended");
        let opened = shared.forge.open(&repository, &new).await?;
        faultpoint::crash_point!("crash-pull-request-opened");
        opened
    };
    for outcome in latest_evidence(context, &change).await?.values().flatten() {
        let check = store::Check {
            commit: change.head.clone(),
            name: outcome.name.clone(),
            passed: outcome.passed(),
            summary: format!("`{}`", outcome.command.trim()),
        };
        shared.forge.set_check(&repository, &check).await?;
    }
    let before = (change.pull_request, change.state);
    change.pull_request = Some(pull_request.number);
    if before.0.is_none() {
        // Only now does its own place in the stack have a number.
        if body_of(context, mirror, &change).await? != pull_request.body {
            write(context, pull_request.number, Say::AsRecorded(mirror, &change)).await?;
        }
    }
    if matches!(change.state, ChangeState::Branch | ChangeState::Draft | ChangeState::Open) {
        change.state = if pull_request.draft { ChangeState::Draft } else { ChangeState::Open };
    }
    // People hear of it when something became of it, not each time its text is brought up to date.
    if (change.pull_request, change.state) != before {
        stack::put(context, &change).await?;
        faultpoint::crash_point!("crash-pull-request-noted");
    }
    Ok(change)
}

/// A comment on the pull request for each revision of the change, so that reviewers find its commit.
///
/// It is owed from the moment that a run's commit is on record, and that is where it is read from: when the run was given
/// up before it said so, whoever publishes the change next does. The comment has the run's id, so it is found again.
async fn tell_revisions(context: &Context, change: &Change) -> Result<(), Halt> {
    let Some(number) = change.pull_request else { return Ok(()) };
    let shared = &context.shared;
    let mut owed = Vec::new();
    for run in shared.store.runs(context.session.id).await? {
        let Some(commit) = run.commit.filter(|_| run.step.is_none()) else { continue };
        let Some(action) = shared.store.action(run.action).await? else { continue };
        if matches!(action.kind, ActionKind::Revise { change: id, .. } | ActionKind::Rework { change: id, .. } if id == change.id)
        {
            owed.push((run.id, commit));
        }
    }
    if owed.is_empty() {
        return Ok(());
    }
    let repository = context.repository().await?;
    let told = shared.forge.comments(&repository, number).await?;
    for (run, commit) in owed {
        if told.iter().any(|comment| comment.id == run.0) {
            continue;
        }
        let comment = NewComment {
            id: run.0,
            author: "runyard".to_owned(),
            body: format!("Revised in {}.", commit.short()),
            thread: None,
        };
        shared.forge.comment(&repository, number, &comment).await?;
        faultpoint::crash_point!("crash-revision-told");
    }
    Ok(())
}

/// What a pull request is to say.
#[derive(Clone, Copy)]
enum Say<'a> {
    /// What is on record about its change.
    AsRecorded(&'a Mirror, &'a Change),
    /// That it can be reviewed, under this title.
    Ready(&'a str),
}

/// Has a pull request say something, and only while the session is ours.
///
/// The lease is read after the pull request was looked at: whoever takes the session over later also writes later, so what
/// a server writes that was overtaken in between is refused.
async fn write(context: &Context, number: i64, say: Say<'_>) -> Result<PullRequest, Halt> {
    let repository = context.repository().await?;
    for _ in 0..TRIES {
        let found = context.shared.forge.get(&repository, number).await?;
        let seen = found.updated_at;
        context.still_held().await?;
        let edit = match say {
            Say::AsRecorded(mirror, change) => {
                let (text, base) = (body_of(context, mirror, change).await?, change.base_branch.clone());
                // People may have put labels of their own onto it.
                let labels = [found.labels, context.session.labels.clone()].concat();
                Edit { body: Some(text), base: Some(base), labels: Some(labels), ..Edit::default() }
            }
            Say::Ready(title) => {
                Edit { title: Some(title.to_owned()), draft: Some(context.session.draft), ..Edit::default() }
            }
        };
        let edit = Edit { seen: Some(seen), ..edit };
        match context.shared.forge.update(&repository, number, &edit).await {
            Err(forge::Error::Changed { .. }) => {}
            other => return Ok(other?),
        }
    }
    Err(Halt::transient(format!("others keep changing pull request #{number}")))
}

/// A target branch that moved on is none of the pull request's business; one that was rewritten is, since the pull
/// request would bring back what was taken out there.
async fn stands_on_its_base(context: &Context, mirror: &Mirror, change: &Change) -> Result<(), Halt> {
    if change.base_branch != context.session.target_branch {
        return Ok(());
    }
    let target = &change.base_branch;
    let number = context.session.number;
    let tip = {
        let _lock = context.shared.lock_mirror(context.session.repository).await;
        context.shared.forge.fetch(&context.repository().await?, mirror).await?;
        mirror.resolve_branch(target).await
    };
    let tip = tip.map_err(|error| {
        Halt::failed(format!(
            "{}; the work is on `{}`. Make `{target}` again, then retry (`runyard session retry {number}`)",
            chain(&error),
            change.branch
        ))
    })?;
    if mirror.is_ancestor(&change.base, &tip).await? {
        return Ok(());
    }
    Err(Halt::failed(format!(
        "`{target}` was rewritten since the session began: it does not hold {} any more, so a pull request would bring \
         back what was taken out. The work is on `{}`; start a new session from `{target}`, or put it back where it was \
         and retry (`runyard session retry {number}`)",
        change.base.short(),
        change.branch
    )))
}

/// The checks of each leaf of a change, as they were in its last run that made a commit.
async fn latest_evidence(context: &Context, change: &Change) -> Result<HashMap<StepId, Vec<CheckOutcome>>, Halt> {
    let mut evidence = HashMap::new();
    for run in context.shared.store.runs(context.session.id).await? {
        let Some(step) = run.step.filter(|step| change.steps.contains(step) && run.commit.is_some()) else { continue };
        if let Some(outcomes) = context.journal(&evidence_key(run.id)).await? {
            evidence.insert(step, outcomes);
        }
    }
    Ok(evidence)
}

async fn body_of(context: &Context, mirror: &Mirror, change: &Change) -> Result<String, Halt> {
    let shared = &context.shared;
    let version = context.runbook().await?;
    let states = states_of(context).await?;
    let mut stack = shared.store.changes(context.session.id).await?;
    for known in stack.iter_mut().filter(|known| known.id == change.id) {
        *known = change.clone();
    }
    let evidence = latest_evidence(context, change).await?;
    let warnings: Vec<(String, String)> = mirror
        .warnings(&change.base, &change.head)
        .await?
        .into_iter()
        .map(|warning| (warning.path, warning.detail))
        .collect();
    Ok(body::render(&body::Body {
        session: &context.session,
        requester: &context.requester.name,
        public_url: shared.settings.public_url.as_deref(),
        texts: &texts_of(&version),
        version: &version,
        states: &states,
        marks: &Marks::read(shared.store.as_ref(), &context.session).await?,
        change,
        stack: &stack,
        evidence: &evidence,
        warnings: &warnings,
    }))
}

/// The states of all steps. What is being published counts as done: the step itself follows in the transaction that ends
/// the run.
async fn states_of(context: &Context) -> Result<HashMap<StepId, StepState>, Halt> {
    let steps = context.shared.store.steps(context.session.id).await?;
    let mut states: HashMap<_, _> = steps.into_iter().map(|step| (step.id, step.state)).collect();
    if let Some(run) = context.run().filter(|run| run.commit.is_some() && !run.state.is_over()) {
        if let Some(step) = run.step {
            states.insert(step, StepState::Completed(domain::Completion::Changed));
        }
        if let ActionKind::RevertStep { step } = context.action.kind {
            states.insert(step, StepState::NotStarted);
        }
    }
    Ok(states)
}

/// The own text of every step, without its checks: those are in the evidence. Code blocks stay as they are.
fn texts_of(version: &RunbookVersion) -> HashMap<StepId, String> {
    let document = runbook::Document::parse(version.text.as_str());
    let own = |step: &runbook::Step| {
        let (mut text, mut at) = (String::new(), step.body.start);
        for block in document.blocks_in(&step.body) {
            let (start, end) = (block.range.start.max(at), block.range.end.max(at).min(step.body.end));
            text.push_str(&prose(&document.text()[at..start]));
            if !block.is_check() {
                text.push_str(&document.text()[start..end]);
            }
            at = end;
        }
        text + &prose(&document.text()[at..step.body.end])
    };
    version.steps.iter().zip(document.steps()).map(|(row, step)| (row.id, own(step))).collect()
}

/// After a step that made no commit: the open pull requests tell how far things are all the same.
pub(crate) async fn tell_progress(context: &Context) -> Result<(), Halt> {
    let mirror = context.mirror().await?;
    refresh_open(context, &mirror, None).await
}

/// Brings the bodies of open pull requests up to date: their progress list and their stack changed.
async fn refresh_open(context: &Context, mirror: &Mirror, but: Option<ChangeId>) -> Result<(), Halt> {
    for change in context.shared.store.changes(context.session.id).await? {
        let open = matches!(change.state, ChangeState::Draft | ChangeState::Open);
        if open && Some(change.id) != but && change.pull_request.is_some() {
            open_pull_request(context, mirror, change, in_progress(context)).await?;
        }
    }
    Ok(())
}

/// Takes the mark of work in progress off every pull request of the session and makes them ready for review.
pub(crate) async fn make_ready(context: &Context) -> Result<Vec<i64>, Halt> {
    let shared = &context.shared;
    let mut numbers = Vec::new();
    for mut change in shared.store.changes(context.session.id).await? {
        let Some(number) = change.pull_request.filter(|_| change.state == ChangeState::Draft) else { continue };
        let title = change.title.strip_prefix(body::WORK_IN_PROGRESS).unwrap_or(&change.title).to_owned();
        write(context, number, Say::Ready(&title)).await?;
        faultpoint::crash_point!("crash-pull-request-made-ready");
        change.title = title;
        change.state = if context.session.draft { ChangeState::Draft } else { ChangeState::Open };
        let event = stack::event(&change);
        context.commit(&[Write::PutChange(change)], &[event]).await?;
        numbers.push(number);
    }
    Ok(numbers)
}
