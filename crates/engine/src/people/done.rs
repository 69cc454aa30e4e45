//! Steps that a person does.

use super::{
    MANUAL,
    steering::{leaf_numbered, plan_of},
};
use crate::{
    Problem, ProblemCode, Reply,
    queue::{Unfinished, step_event, take_out},
    shared::Shared,
};
use domain::{
    ActionState, Actor, Answer, Completion, EventPayload, Request, RequestKind, RequestState, Run, RunEvent, RunState,
    SessionNumber, StepEvent, StepId, StepState, User,
};
use store::{Fence, Write};

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

/// Marks a leaf as done by a person. One that waits for a person, or in the queue, is over with that.
pub(super) async fn mark_done(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    step: &str,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let (version, steps) = plan_of(shared, &session).await?;
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
        let (w, e) = answered_done(run, request, user);
        writes.extend(w);
        events.extend(e);
    }
    let done = StepEvent::Complete(Completion::ByPerson);
    let state = from.next(done).map_err(|refused| Problem::new(ProblemCode::Conflict, refused.to_string()))?;
    writes.push(Write::Step { id: leaf, from, event: done });
    events.push(step_event(&version, leaf, state));
    let text = format!("Marked step {step} as done.");
    events.push(EventPayload::Message { from: Actor::Person(user.id), run: None, text });
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
fn answered_done(run: &Run, request: &Request, user: &User) -> (Vec<Write>, Vec<EventPayload>) {
    let answers = match &request.kind {
        RequestKind::Question { questions, .. } => {
            questions.iter().map(|question| (question.question.clone(), "done".to_owned())).collect()
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
