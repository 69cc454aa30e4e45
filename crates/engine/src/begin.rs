//! How a run begins: a new attempt, or one that a crash or a wait left behind.

use crate::{context::Context, halt::Halt, waits::Waits, workspace};
use domain::{
    ActionKind, Actor, CommitId, EventPayload, NoteLevel, RequestState, Run, RunEvent, RunId, RunState, StepEvent,
    StepId, StepState, Usage,
};
use store::Write;
use uuid::Uuid;

/// What a run starts from.
pub(crate) struct Start {
    pub step: Option<StepId>,
    pub agent_session: Uuid,
    pub base: CommitId,
    pub version: Option<i64>,
}

/// Begins the action's run, or goes on with the one that it has.
pub(crate) async fn begin(context: &Context, start: Start) -> Result<Run, Halt> {
    let shared = &context.shared;
    let runs = shared.store.runs(context.session.id).await?;
    let earlier = runs.into_iter().rev().find(|run| run.action == context.action.id && !run.state.is_over());
    let mut writes = Vec::new();
    let mut events = Vec::new();
    if let Some(run) = earlier {
        let sandbox_lives = workspace::adopt(context).await?.is_some();
        if run.state == RunState::Waiting || run.commit.is_some() || sandbox_lives {
            return go_on(context, run).await;
        }
        // Whatever it did was in a sandbox that is gone.
        let message = "lost: the server that worked on it died, and so did its sandbox".to_owned();
        writes.push(Write::Run {
            id: run.id,
            from: run.state,
            event: RunEvent::Fail(domain::Failure::Error),
            message: Some(message.clone()),
        });
        events.push(context.run_event(&run, RunState::Failed(domain::Failure::Error), Some(message)));
        // What it asked and nobody heard an answer to; its successor asks again.
        let requests = context.shared.store.requests(context.session.id).await?;
        for request in requests.iter().filter(|it| it.run == Some(run.id) && it.state == RequestState::Open) {
            writes.push(Write::Request(request.id, RequestState::Cancelled));
            events.push(EventPayload::Answer { request: request.id, from: Actor::System, answer: None });
        }
        let text = "The last attempt was lost in a crash; starting again from the last commit.".to_owned();
        events.push(EventPayload::Note { level: NoteLevel::Warning, text });
    }
    let run = Run {
        step: start.step,
        version: start.version,
        agent_session: start.agent_session,
        base: Some(start.base),
        ..never_begun(context)
    };
    writes.push(Write::AddRun(run.clone()));
    events.push(context.run_event(&run, RunState::Running, None));
    if let Some(step) = start.step {
        let (w, e) = context.step_moves(step, StepEvent::Start).await?;
        writes.extend(w);
        events.extend(e);
    }
    context.commit(&writes, &events).await?;
    faultpoint::crash_point!("crash-run-begun");
    context.set_run(run.clone());
    Ok(run)
}

/// The run of an attempt that is over before it could begin. Every action that ends has one: it is what a person is shown,
/// and what is tried again when they ask for it. That it starts from nothing tells it from the others.
pub(crate) fn never_begun(context: &Context) -> Run {
    Run {
        id: RunId::new(context.shared.mint.as_ref()),
        session: context.session.id,
        action: context.action.id,
        step: match context.action.kind {
            ActionKind::ExecuteStep { step, .. } => Some(step),
            _ => None,
        },
        state: RunState::Running,
        version: None,
        agent_session: context.session.agent_session,
        base: None,
        commit: None,
        message: None,
        usage: Usage::default(),
        started_at: context.shared.now(),
        finished_at: None,
    }
}

async fn go_on(context: &Context, run: Run) -> Result<Run, Halt> {
    let waits = Waits::of(context.shared.store.as_ref(), context.session.id, run.id).await?;
    *context.waits.lock() = waits;
    context.set_run(run.clone());
    let mut writes = Vec::new();
    let mut events = Vec::new();
    if run.state == RunState::Waiting {
        let (w, e) = context.run_moves(RunEvent::Resume, None)?;
        writes.extend(w);
        events.extend(e);
    } else {
        let text = "Another worker carries on where the last one was cut off.".to_owned();
        events.push(EventPayload::Note { level: NoteLevel::Info, text });
    }
    if let Some(step) = run.step {
        let steps = context.shared.store.steps(context.session.id).await?;
        let state = steps.iter().find(|row| row.id == step).map_or(StepState::NotStarted, |row| row.state);
        let event = match state {
            StepState::Waiting => Some(StepEvent::Resume),
            StepState::Queued => Some(StepEvent::Start),
            _ => None,
        };
        if let Some(event) = event {
            let (w, e) = context.step_moves(step, event).await?;
            writes.extend(w);
            events.extend(e);
        }
    }
    context.commit(&writes, &events).await?;
    Ok(context.run().unwrap_or(run))
}
