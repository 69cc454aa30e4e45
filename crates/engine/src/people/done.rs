//! Steps that a person does, or says need not be done.

use super::{
    MANUAL,
    following::stale,
    steering::{leaf_numbered, plan_of},
};
use crate::{
    Problem, ProblemCode, Reply, Skip, marks,
    queue::{Unfinished, queued, step_event, take_out},
    shared::Shared,
};
use domain::{
    ActionKind, ActionState, Actor, Answer, Completion, EventPayload, Mode, Request, RequestKind, RequestState, Run,
    RunEvent, RunState, Session, SessionNumber, StepEvent, StepId, StepState, User, VersionStep,
};
use store::{Fence, Write};

/// The longest reason for skipping a step, in characters.
const LONGEST_REASON: usize = 1_000;

/// Whether the step is done is answered by a choice: in other words it could not be told from the opposite.
pub(super) fn fits_manual(kind: &RequestKind, answer: &Answer) -> Result<(), Problem> {
    let (RequestKind::Question { questions, tool_use_id }, Answer::Answers { answers }) = (kind, answer) else {
        return Ok(());
    };
    if !tool_use_id.starts_with(MANUAL) {
        return Ok(());
    }
    let offered = questions.iter().flat_map(|question| &question.options).map(|option| option.label.as_str());
    let offered: Vec<&str> = offered.collect();
    match answers.values().find(|said| !offered.contains(&said.as_str())) {
        Some(said) => Err(Problem::new(
            ProblemCode::BadRequest,
            format!("`{said}` is not offered: choose one of {}", offered.join(", ")),
        )
        .mend("leave it unanswered until the step is done")),
        None => Ok(()),
    }
}

/// What a person makes of a step.
enum ByHand<'w> {
    /// They did it.
    Done,
    /// It is not done, for this reason.
    Skipped(&'w str),
}

/// Marks a leaf as done by a person. One that waits for a person, or in the queue, is over with that.
pub(super) async fn mark_done(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    step: &str,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    by_hand(shared, user, &session, step, ByHand::Done).await
}

/// Skips a leaf: it counts as completed, and a person may take that back.
pub(super) async fn skip(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    step: &str,
    reason: &str,
    expected: Option<i64>,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    is_newest(&session, expected)?;
    let reason = reason.trim();
    let bad = |message: String| Problem::new(ProblemCode::BadRequest, message);
    if reason.is_empty() {
        return Err(bad("the reason is empty".to_owned()).mend("say why the step is not done"));
    }
    if reason.chars().count() > LONGEST_REASON {
        return Err(bad(format!("the reason has more than {LONGEST_REASON} characters"))
            .mend("say it shorter, and the rest in a message"));
    }
    by_hand(shared, user, &session, step, ByHand::Skipped(reason)).await
}

/// Takes back that a leaf was skipped, whoever skipped it.
pub(super) async fn unskip(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    step: &str,
    expected: Option<i64>,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    is_newest(&session, expected)?;
    let (version, steps) = plan_of(shared, &session).await?;
    let leaf = leaf_numbered(&version, step)?;
    let from = steps.get(&leaf).map_or(StepState::NotStarted, |row| row.state);
    if from != StepState::Completed(Completion::Skipped) {
        let problem =
            Problem::new(ProblemCode::Conflict, format!("step {step} is not skipped: it is {}", from.words()));
        return Err(if from.is_completed() { problem.mend("revert it to have it done again") } else { problem });
    }
    let queue = shared.store.queue(session.id).await?;
    if queue.iter().any(|row| row.kind == (ActionKind::RevertStep { step: leaf })) {
        return Err(Problem::new(ProblemCode::Conflict, format!("the revert of step {step} is queued already")));
    }
    let writes = [Write::Step { id: leaf, from, event: StepEvent::Revert }, marks::skipped(leaf, None)];
    let text = format!("Step {step} is to be done after all.");
    let events = [
        step_event(&version, leaf, StepState::NotStarted),
        EventPayload::Message { from: Actor::Person(user.id), run: None, text },
    ];
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    Ok(Reply::Done)
}

/// A number means the step that the person saw only as long as there is no newer version.
pub(super) fn is_newest(session: &Session, expected: Option<i64>) -> Result<(), Problem> {
    match expected.filter(|expected| *expected != session.version) {
        Some(expected) => Err(stale(expected, session.version)),
        None => Ok(()),
    }
}

async fn by_hand(
    shared: &Shared,
    user: &User,
    session: &Session,
    step: &str,
    what: ByHand<'_>,
) -> Result<Reply, Problem> {
    let (version, steps) = plan_of(shared, session).await?;
    let leaf = leaf_numbered(&version, step)?;
    let mut from = steps.get(&leaf).map_or(StepState::NotStarted, |row| row.state);
    let queue = shared.store.queue(session.id).await?;
    let mut writes = Vec::new();
    let mut events = Vec::new();
    if from == StepState::Queued {
        let unfinished = Unfinished::read(shared.store.as_ref(), session.id).await?;
        for action in queue.iter().filter(|row| row.state == ActionState::Queued && row.kind.step() == Some(leaf)) {
            let (w, e) = take_out(action, Some(&version), &steps, &unfinished);
            writes.extend(w);
            events.extend(e);
        }
        from = StepState::NotStarted;
    }
    if from.is_running() {
        let runs = shared.store.runs(session.id).await?;
        let requests = shared.store.requests(session.id).await?;
        let waiting = manual_of(&runs, &requests, leaf)
            .filter(|(run, _)| queue.iter().any(|row| row.id == run.action && row.state == ActionState::Waiting));
        let Some((run, request)) = waiting else {
            return Err(Problem::new(ProblemCode::Conflict, format!("step {step} is being executed"))
                .mend("stop it first")
                .command(format!("stop it first: `runyard session stop {}`", session.number)));
        };
        let label = if matches!(what, ByHand::Done) { "done" } else { "skip" };
        let (w, e) = answered(run, request, user, label);
        writes.extend(w);
        events.extend(e);
    }
    let (how, text, why) = match what {
        ByHand::Done => (Completion::ByPerson, format!("Marked step {step} as done."), None),
        ByHand::Skipped(reason) => (Completion::Skipped, format!("Skipped step {step}: {reason}"), Some(reason)),
    };
    let done = StepEvent::Complete(how);
    let state = from.next(done).map_err(|_| {
        let problem = Problem::new(ProblemCode::Conflict, format!("step {step} is {}", from.words()));
        problem.mend("revert it first, if it is to be something else")
    })?;
    writes.push(Write::Step { id: leaf, from, event: done });
    let mut event = step_event(&version, leaf, state);
    if let (Some(reason), EventPayload::StepState { why, .. }) = (why, &mut event) {
        *why = Some(reason.to_owned());
        let skip = Skip { by: Some(user.id), reason: reason.to_owned(), at: shared.now() };
        writes.push(marks::skipped(leaf, Some(&skip)));
    }
    events.push(event);
    events.push(EventPayload::Message { from: Actor::Person(user.id), run: None, text });
    let is_open =
        |other: &VersionStep| other.id != leaf && steps.get(&other.id).is_none_or(|row| !row.state.is_completed());
    if session.mode == Mode::OneShot
        && !version.leaves().any(is_open)
        && !queue.iter().any(|row| row.kind == ActionKind::Finish)
    {
        // Nothing is left to execute that would bring it along: the pull requests are ready for review.
        writes.push(Write::Enqueue(queued(shared, session, &queue, 0, ActionKind::Finish, Some(user.id))));
    }
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    Ok(Reply::Done)
}

/// The run of a `[MANUAL]` leaf that waits, and what it asked.
fn manual_of<'a>(runs: &'a [Run], requests: &'a [Request], leaf: StepId) -> Option<(&'a Run, &'a Request)> {
    let run = runs.iter().rev().find(|run| run.step == Some(leaf) && run.state == RunState::Waiting)?;
    let request = requests.iter().find(|request| {
        let manual =
            matches!(&request.kind, RequestKind::Question { tool_use_id, .. } if tool_use_id.starts_with(MANUAL));
        manual && request.run == Some(run.id) && request.state == RequestState::Open
    })?;
    Some((run, request))
}

/// The question is answered, its run and its action have done their work.
fn answered(run: &Run, request: &Request, user: &User, label: &str) -> (Vec<Write>, Vec<EventPayload>) {
    let answers = match &request.kind {
        RequestKind::Question { questions, .. } => {
            questions.iter().map(|question| (question.question.clone(), label.to_owned())).collect()
        }
        _ => std::collections::BTreeMap::new(),
    };
    let answer = Answer::Answers { answers };
    let state = RequestState::Answered { by: Some(user.id), via: "cli".to_owned(), answer: answer.clone() };
    let step = |from, event| Write::Run { id: run.id, from, event, message: None };
    let writes = vec![
        Write::Request(request.id, state),
        step(RunState::Waiting, RunEvent::Resume),
        step(RunState::Running, RunEvent::Succeed),
        Write::Action {
            id: run.action,
            from: ActionState::Waiting,
            to: ActionState::Done,
            not_before: None,
            handed_back: true,
        },
    ];
    let events = vec![
        EventPayload::Answer { request: request.id, from: Actor::Person(user.id), answer: Some(answer) },
        EventPayload::RunState {
            run: run.id,
            action: run.action,
            action_kind: "execute_step".to_owned(),
            step: run.step,
            state: RunState::Succeeded,
            message: None,
        },
    ];
    (writes, events)
}
