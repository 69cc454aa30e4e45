//! Steering a session: say, execute, stop, retry, answer.

use super::{again::again, done, publishing};
use crate::{
    Problem, ProblemCode, Reply, Selection,
    queue::{Unfinished, note_key, queued, step_event, take_out},
    selection::leaves_to_queue,
    shared::Shared,
};
use domain::{
    Action, ActionId, ActionKind, ActionState, Actor, Answer, EventPayload, Failure, Mode, PrMode, Request, RequestId,
    RequestKind, RequestState, RunbookVersion, Session, SessionNumber, Step, StepEvent, StepId, StepState, User,
};
use std::{collections::HashMap, time::Duration};
use store::{Fence, Write};

/// Longest message in bytes.
const LONGEST_MESSAGE: usize = 256 * 1024;

pub(super) fn checked_text(text: &str, what: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::new(ProblemCode::BadRequest, format!("the {what} is empty"))
            .mend("say in plain words what is to be done"));
    }
    if text.len() > LONGEST_MESSAGE {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            format!("the {what} has {} KiB, the limit is {} KiB", text.len() / 1024, LONGEST_MESSAGE / 1024),
        )
        .mend("put long material into a file of the repository and name the file"));
    }
    Ok(text.to_owned())
}

/// The newest version and the states of its steps.
pub(crate) async fn plan_of(
    shared: &Shared,
    session: &Session,
) -> Result<(RunbookVersion, HashMap<StepId, Step>), Problem> {
    let version = shared.store.runbook(session.id, None).await?.ok_or_else(|| {
        Problem::new(ProblemCode::Conflict, format!("{} has no plan yet", session.number))
            .mend("wait until it is planned")
            .command(format!("`runyard attach {}` shows how far planning is", session.number))
    })?;
    let steps = shared.store.steps(session.id).await?.into_iter().map(|step| (step.id, step)).collect();
    Ok((version, steps))
}

/// Queues an answer to what a person said.
pub(super) async fn message(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    text: &str,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let message = checked_text(text, "message")?;
    let queue = shared.store.queue(session.id).await?;
    let action = queued(shared, &session, &queue, 0, ActionKind::Answer { message: message.clone() }, Some(user.id));
    let event = EventPayload::Message { from: Actor::Person(user.id), run: None, text: message };
    shared.store.commit(session.id, Fence::Open, &[Write::Enqueue(action)], &[event], shared.now()).await?;
    faultpoint::crash_point!("crash-message-stored");
    Ok(Reply::Queued(vec!["answer".to_owned()]))
}

/// Queues what `what` means; `note` is told to the agent of the first leaf.
pub(crate) async fn execute(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    what: &Selection,
    note: Option<&str>,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let (version, steps) = plan_of(shared, &session).await?;
    let document = runbook::Document::parse(version.text.as_str());
    let diagnostics = runbook::check_plan(&document);
    if runbook::has_errors(&diagnostics) {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!(
                "version {} of the runbook cannot be executed:\n{}",
                version.version,
                runbook::render_text("runbook", &diagnostics)
            ),
        )
        .mend("mend the lines that are named")
        .command(format!("mend it with `runyard session edit {}`", session.number)));
    }
    let missing = document.missing_variables(&std::collections::BTreeMap::new());
    if !missing.is_empty() {
        let names: Vec<_> = missing.into_iter().collect();
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("the runbook's variables {} have neither a value nor a default", names.join(", ")),
        )
        .mend("give them a default in the front matter of the runbook")
        .command(format!("give them a default in the front matter with `runyard session edit {}`", session.number)));
    }
    let states = steps.iter().map(|(id, step)| (*id, step.state)).collect();
    let chosen = leaves_to_queue(&version, &states, what)?;
    let queue = shared.store.queue(session.id).await?;
    let mut writes = Vec::new();
    let mut events = Vec::new();
    let mut numbers = Vec::new();
    if session.pr_mode == PrMode::Manual
        && let Some(row) = publishing::ask_before_executing(shared, &session, &queue).await?
    {
        let (write, event) = row;
        writes.extend(write);
        events.push(event);
    }
    for (place, id) in chosen.iter().enumerate() {
        let from = steps.get(id).map_or(StepState::NotStarted, |step| step.state);
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let kind = ActionKind::ExecuteStep { step: *id, version: version.version };
        // One place is left free in front for a choice that is asked first.
        let action = queued(shared, &session, &queue, place + 1, kind, Some(user.id));
        if let Some(text) = note.filter(|_| place == 0) {
            writes.push(Write::Journal(note_key(action.id), serde_json::Value::from(text)));
        }
        writes.push(Write::Enqueue(action));
        writes.push(Write::Step { id: *id, from, event: StepEvent::Queue });
        events.push(step_event(&version, *id, StepState::Queued));
        numbers.push(version.step(*id).map_or_else(String::new, |step| step.number.clone()));
    }
    let last = queue.iter().any(|row| row.kind == ActionKind::Finish);
    let rest = |leaf: &domain::VersionStep| {
        !chosen.contains(&leaf.id) && steps.get(&leaf.id).is_none_or(|step| state_is_open(step.state))
    };
    if session.mode == Mode::OneShot && !last && !version.leaves().any(rest) {
        // What a failure took out of the queue: the pull requests are ready for review when everything is done.
        let place = i64::try_from(chosen.len()).unwrap_or(i64::MAX - 1) + 1;
        writes.push(Write::Enqueue(queued(shared, &session, &queue, place, ActionKind::Finish, Some(user.id))));
    }
    if let Some(text) = note {
        events.push(EventPayload::Message { from: Actor::Person(user.id), run: None, text: text.to_owned() });
    }
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    Ok(Reply::Queued(numbers))
}

/// Nothing was done about it and nothing is about to be.
fn state_is_open(state: StepState) -> bool {
    matches!(state, StepState::NotStarted | StepState::Failed(_))
}

/// How long a new request to execute waits for the end of what is being stopped.
const STOPPING: Duration = Duration::from_secs(15);

/// Waits until nothing is being stopped any more: what is asked after a stop starts after it.
pub(super) async fn until_stopped(shared: &Shared, session: SessionNumber) -> Result<(), Problem> {
    let session = shared.session(session).await?;
    let over = async {
        loop {
            let seen = shared.store.session(session.id).await?.map_or(0, |session| session.last_event);
            let queue = shared.store.queue(session.id).await?;
            if !queue.iter().any(|row| row.stop_requested && row.state == ActionState::Running) {
                return Ok(());
            }
            shared.store.wait_for_events(session.id, seen).await;
        }
    };
    tokio::time::timeout(STOPPING, over).await.unwrap_or_else(|_| {
        Err(Problem::new(ProblemCode::Conflict, format!("{} is still being stopped", session.number))
            .mend("ask again in a moment"))
    })
}

/// Asks the running action's worker to stop and takes queued steps out of the queue, in one commit.
pub(super) async fn stop(shared: &Shared, session: SessionNumber) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let queue = shared.store.queue(session.id).await?;
    let version = shared.store.runbook(session.id, None).await?;
    let steps: HashMap<_, _> = shared.store.steps(session.id).await?.into_iter().map(|step| (step.id, step)).collect();
    let number = |action: &Action| {
        action
            .kind
            .step()
            .and_then(|id| version.as_ref()?.step(id).map(|step| step.number.clone()))
            .unwrap_or_else(|| action.kind.name().to_owned())
    };
    let mut writes = Vec::new();
    let mut events = Vec::new();
    let mut stopping = None;
    let mut running = None;
    let mut removed = Vec::new();
    let unfinished = Unfinished::read(shared.store.as_ref(), session.id).await?;
    for action in &queue {
        match action.state {
            // Its worker died or waits to try again: the next one ends what it left.
            ActionState::Queued if unfinished.has(action) => {
                running = Some(number(action));
                writes.push(Write::RequestStop(action.id));
            }
            ActionState::Running => {
                running = Some(number(action));
                stopping = Some(action.id);
                writes.push(Write::RequestStop(action.id));
            }
            ActionState::Waiting => {
                running = Some(number(action));
                let (w, e) = stop_waiting(shared, &session, action, version.as_ref(), &steps).await?;
                writes.extend(w);
                events.extend(e);
            }
            ActionState::Queued
                if matches!(action.kind, ActionKind::ExecuteStep { .. } | ActionKind::Finish | ActionKind::Plan) =>
            {
                removed.push(number(action));
                let (w, e) = take_out(action, version.as_ref(), &steps, &unfinished);
                writes.extend(w);
                events.extend(e);
            }
            _ => {}
        }
    }
    if !writes.is_empty() {
        faultpoint::crash_point!("crash-stop-accepted");
        shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
        faultpoint::crash_point!("crash-stop-requested");
        shared.stops.notify_waiters();
    }
    if let Some(id) = stopping {
        // Its worker may have put it to rest, or back into the queue, between reading and asking.
        let now = shared.store.action(id).await?.map(|action| action.state);
        if matches!(now, Some(ActionState::Waiting | ActionState::Queued)) {
            let clash = Problem::new(ProblemCode::Conflict, "the action was put to rest at the same moment");
            return Err(Problem { clash: true, ..clash });
        }
    }
    Ok(Reply::Stopped { running, removed })
}

/// Ends an action that waits for a person and that no worker holds.
async fn stop_waiting(
    shared: &Shared,
    session: &Session,
    action: &Action,
    version: Option<&RunbookVersion>,
    steps: &HashMap<StepId, Step>,
) -> Result<(Vec<Write>, Vec<EventPayload>), Problem> {
    let mut writes = vec![Write::Action {
        id: action.id,
        from: ActionState::Waiting,
        to: ActionState::Done,
        not_before: None,
        handed_back: true,
    }];
    let mut events = Vec::new();
    for run in shared.store.runs(session.id).await?.iter().filter(|run| run.action == action.id && !run.state.is_over())
    {
        let message = Some("stopped by a person".to_owned());
        writes.push(Write::Run {
            id: run.id,
            from: run.state,
            event: domain::RunEvent::Stop,
            message: message.clone(),
        });
        events.push(EventPayload::RunState {
            run: run.id,
            action: action.id,
            action_kind: action.kind.name().to_owned(),
            step: run.step,
            state: domain::RunState::Stopped,
            message,
        });
    }
    for request in shared.store.requests(session.id).await?.iter().filter(|request| request.state == RequestState::Open)
    {
        writes.push(Write::Request(request.id, RequestState::Cancelled));
        events.push(EventPayload::Answer { request: request.id, from: Actor::System, answer: None });
    }
    if let (ActionKind::ExecuteStep { step, .. }, Some(version)) = (&action.kind, version)
        && let Some(row) = steps.get(step).filter(|row| row.state.is_running())
    {
        writes.push(Write::Step { id: *step, from: row.state, event: StepEvent::Fail(Failure::Stopped) });
        events.push(step_event(version, *step, StepState::Failed(Failure::Stopped)));
    }
    Ok((writes, events))
}

/// Executes the failed step again, or plans again.
pub(super) async fn retry(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    message: Option<&str>,
) -> Result<Reply, Problem> {
    let found = shared.session(session).await?;
    let nothing = || {
        Problem::new(ProblemCode::Conflict, format!("nothing of {} failed", found.number))
            .mend("execute the next step instead")
            .command(format!("`runyard session execute {}` executes the next step", found.number))
    };
    let queue = shared.store.queue(found.id).await?;
    if found.version == 0 {
        if !queue.is_empty() {
            return Err(nothing());
        }
        let action = queued(shared, &found, &queue, 0, ActionKind::Plan, Some(user.id));
        let events: Vec<_> = message
            .map(|text| EventPayload::Message { from: Actor::Person(user.id), run: None, text: text.to_owned() })
            .into_iter()
            .collect();
        let mut writes = Vec::new();
        if let Some(text) = message {
            writes.push(Write::Journal(note_key(action.id), serde_json::Value::from(text)));
        }
        writes.push(Write::Enqueue(action));
        shared.store.commit(found.id, Fence::Open, &writes, &events, shared.now()).await?;
        return Ok(Reply::Queued(vec!["plan".to_owned()]));
    }
    let (version, steps) = plan_of(shared, &found).await?;
    let failed = version
        .leaves()
        .find(|leaf| steps.get(&leaf.id).is_some_and(|step| matches!(step.state, StepState::Failed(_))));
    let Some(failed) = failed else {
        if let Some(reply) = again(shared, user, &found).await? {
            return Ok(reply);
        }
        // A plan may be stored and its run be given up before the steps of a one-shot were queued.
        if found.mode == Mode::OneShot && queue.is_empty() && planning_failed(shared, &found).await? {
            return execute(shared, user, session, &Selection::All, message).await;
        }
        return Err(nothing());
    };
    execute(shared, user, session, &Selection::Step(failed.number.clone()), message).await
}

/// Whether the last thing that was tried was to plan, and failed.
async fn planning_failed(shared: &Shared, session: &Session) -> Result<bool, Problem> {
    let runs = shared.store.runs(session.id).await?;
    let Some(last) = runs.last().filter(|run| matches!(run.state, domain::RunState::Failed(_))) else {
        return Ok(false);
    };
    Ok(shared.store.action(last.action).await?.is_some_and(|action| action.kind == ActionKind::Plan))
}

/// Stores an answer; the first valid one wins. What waits for it goes on.
pub(super) async fn answer(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    request: Option<RequestId>,
    answer: Answer,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let requests = shared.store.requests(session.id).await?;
    let found: &Request = match request {
        Some(id) => requests.iter().find(|request| request.id == id),
        None => requests.iter().find(|request| request.state == RequestState::Open),
    }
    .ok_or_else(|| Problem::new(ProblemCode::NotFound, format!("nothing of {} waits for an answer", session.number)))?;
    if let RequestState::Answered { by, .. } = &found.state {
        let who = match by {
            Some(id) => shared.user_or_owner(*id).await?.name,
            None => "somebody".to_owned(),
        };
        return Err(Problem::new(ProblemCode::Conflict, format!("this was already answered by {who}")));
    }
    if found.state == RequestState::Cancelled {
        return Err(Problem::new(ProblemCode::Conflict, "this no longer waits for an answer"));
    }
    let answer = match (&found.kind, answer) {
        // One question may be answered without repeating it.
        (RequestKind::Question { questions, .. }, Answer::Chosen { option }) if questions.len() == 1 => {
            Answer::Answers { answers: [(questions[0].question.clone(), option)].into() }
        }
        (_, answer) => answer,
    };
    found.kind.accepts(&answer).map_err(|why| Problem::new(ProblemCode::BadRequest, why))?;
    done::fits_manual(&found.kind, &answer)?;
    let state = RequestState::Answered { by: Some(user.id), via: "cli".to_owned(), answer: answer.clone() };
    let mut writes = vec![Write::Request(found.id, state)];
    let mut events =
        vec![EventPayload::Answer { request: found.id, from: Actor::Person(user.id), answer: Some(answer.clone()) }];
    let queue = shared.store.queue(session.id).await?;
    let asker = match found.run {
        Some(run) => shared.store.runs(session.id).await?.into_iter().find(|row| row.id == run).map(|row| row.action),
        None => None,
    };
    // A choice between runs is waited for by the one action that has no run.
    let waits = |row: &&Action| row.state == ActionState::Waiting && asker.is_none_or(|asker| row.id == asker);
    if let Some(waiting) = queue.iter().find(waits) {
        writes.push(Write::Action {
            id: waiting.id,
            from: ActionState::Waiting,
            to: ActionState::Queued,
            not_before: Some(shared.now()),
            handed_back: false,
        });
    }
    if matches!(&answer, Answer::Chosen { option } if option == "cancel") {
        let version = shared.store.runbook(session.id, None).await?;
        let steps = shared.store.steps(session.id).await?.into_iter().map(|step| (step.id, step)).collect();
        let unfinished = Unfinished::read(shared.store.as_ref(), session.id).await?;
        for action in queue.iter().filter(|row| row.state == ActionState::Queued && row.kind.step().is_some()) {
            let (w, e) = take_out(action, version.as_ref(), &steps, &unfinished);
            writes.extend(w);
            events.extend(e);
        }
    }
    faultpoint::crash_point!("crash-answer-accepted");
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    faultpoint::crash_point!("crash-answer-stored");
    Ok(Reply::Done)
}

/// Queues the taking back of a completed leaf.
pub(super) async fn revert(shared: &Shared, user: &User, session: SessionNumber, step: &str) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let (version, steps) = plan_of(shared, &session).await?;
    let leaf = leaf_numbered(&version, step)?;
    if !steps.get(&leaf).is_some_and(|row| row.state.is_completed()) {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("step {step} is not completed, so there is nothing to take back"),
        ));
    }
    let queue = shared.store.queue(session.id).await?;
    if queue.iter().any(|row| row.kind == ActionKind::RevertStep { step: leaf }) {
        return Err(Problem::new(ProblemCode::Conflict, format!("the revert of step {step} is queued already")));
    }
    let action = queued(shared, &session, &queue, 0, ActionKind::RevertStep { step: leaf }, Some(user.id));
    shared.store.commit(session.id, Fence::Open, &[Write::Enqueue(action)], &[], shared.now()).await?;
    Ok(Reply::Queued(vec![format!("revert {step}")]))
}

pub(super) fn leaf_numbered(version: &RunbookVersion, number: &str) -> Result<StepId, Problem> {
    let step = version
        .numbered(number)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound, format!("the runbook has no step {number}")))?;
    if !step.leaf {
        return Err(Problem::new(ProblemCode::BadRequest, format!("step {number} has substeps"))
            .mend("name one of its substeps"));
    }
    Ok(step.id)
}

/// Takes an action out of the queue.
pub(super) async fn cancel(shared: &Shared, session: SessionNumber, id: ActionId) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let queue = shared.store.queue(session.id).await?;
    let action = queue
        .iter()
        .find(|action| action.id == id)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound, "that action is not in the queue"))?;
    if action.state != ActionState::Queued {
        return Err(Problem::new(ProblemCode::Conflict, "that action has started")
            .mend("stop it instead")
            .command(format!("`runyard session stop {}` stops it", session.number)));
    }
    let unfinished = Unfinished::read(shared.store.as_ref(), session.id).await?;
    let (writes, events) = if unfinished.has(action) {
        // Something of it may still be going on in a sandbox: whoever claims it next ends that too.
        (vec![Write::RequestStop(action.id)], Vec::new())
    } else {
        let version = shared.store.runbook(session.id, None).await?;
        let steps = shared.store.steps(session.id).await?.into_iter().map(|step| (step.id, step)).collect();
        take_out(action, version.as_ref(), &steps, &unfinished)
    };
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    Ok(Reply::Done)
}

/// Puts a session away or takes it out.
pub(super) async fn archive(
    shared: &Shared,
    by: Actor,
    session: SessionNumber,
    archived: bool,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    if archived && shared.store.queue(session.id).await?.iter().any(|action| action.state == ActionState::Running) {
        return Err(Problem::new(ProblemCode::Conflict, format!("{} is at work", session.number))
            .mend("stop it first")
            .command(format!("stop it first: `runyard session stop {}`", session.number)));
    }
    let text = if archived { "Archived the session." } else { "Took the session out of the archive." };
    let event = EventPayload::Message { from: by, run: None, text: text.to_owned() };
    shared.store.commit(session.id, Fence::Open, &[Write::Archive(archived)], &[event], shared.now()).await?;
    Ok(Reply::Done)
}
