//! Workers claim actions under a lease, keep it beating, and settle what came of them.

use crate::{
    actions,
    begin::never_begun,
    context::{Context, LetGo},
    halt::{Halt, chain, in_words},
    publish,
    queue::{self, Unfinished},
    settings::Settings,
    shared::Shared,
    stack, workspace,
};
use domain::{
    ActionKind, ActionState, Actor, EventPayload, Failure, Mint, NoteLevel, RequestState, RunEvent, StepEvent,
    StepState, Timestamp,
};
use std::{sync::Arc, time::Duration};
use store::{Claim, ClaimLimits, Write};
use tokio::sync::watch;

/// How often a worker looks whether a person asked to stop what it does, beside being woken.
const STOP_POLL: Duration = Duration::from_millis(300);

/// Claims and works until the server goes down.
pub(crate) async fn run(shared: Arc<Shared>) {
    let limits = ClaimLimits { per_account: shared.settings.per_account };
    let mut down = shared.down.subscribe();
    while !shared.is_going_down() {
        match shared.store.claim(shared.server, limits, shared.now()).await {
            Ok(Some(claim)) => {
                faultpoint::crash_point!("crash-action-claimed");
                work(&shared, claim).await;
            }
            Ok(None) => {
                tokio::select! {
                    () = shared.store.wait_for_work() => {}
                    _ = down.wait_for(|down| *down) => {}
                }
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "failed to claim work; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Works on one claimed action, from first to last.
pub(crate) async fn work(shared: &Arc<Shared>, claim: Claim) {
    let at_work = (claim.session.id, claim.lease.epoch);
    shared.at_work.lock().insert(at_work);
    let requester = match shared.user_or_owner(claim.session.requester).await {
        Ok(user) => user,
        Err(error) => {
            tracing::error!(error = chain(&error), "failed to read who asked for the session");
            shared.owner.clone()
        }
    };
    let (signal, let_go) = watch::channel(LetGo::No);
    let context = Arc::new(Context::new(shared.clone(), claim, requester, let_go));
    let keeper = tokio::spawn(keep(context.clone(), signal));
    let task = tokio::spawn({
        let context = context.clone();
        async move { actions::perform(&context).await }
    });
    let result = match task.await {
        Ok(result) => result,
        Err(error) => Err(Halt::failed(format!("a bug in Runyard ended the work: {error}"))),
    };
    note_worked(&context).await;
    match settle(&context, result).await {
        Ok(()) => tell_progress(&context).await,
        Err(error) => {
            tracing::warn!(session = %context.session.number, ?error, "failed to settle an action; another worker will");
        }
    }
    keeper.abort();
    if shared.is_superseded() {
        // The sandbox would go on until its lease runs out; what it does is nobody's work any more.
        kill_everything(&context).await;
    }
    faultpoint::crash_point!("crash-lease-kept");
    if let Err(error) = shared.store.release(context.session.id, context.lease.owner, context.lease.epoch).await {
        tracing::warn!(error = chain(&error), "failed to give a lease back; it is taken back once it was silent");
    }
    faultpoint::crash_point!("crash-lease-released");
    shared.at_work.lock().remove(&at_work);
}

/// Holds the lease and the sandbox, and tells the work when to let go. Ends when the lease is lost.
///
/// What only looks after the work has its own turn: a record that answers it late delays neither beat nor sandbox.
pub(crate) async fn keep(context: Arc<Context>, signal: watch::Sender<LetGo>) {
    tokio::select! {
        biased;
        () = hold(&context, &signal) => {}
        () = look_after(&context, &signal) => {}
    }
}

fn say(signal: &watch::Sender<LetGo>, what: LetGo) {
    signal.send_if_modified(|now| {
        let more = what > *now;
        *now = what.max(*now);
        more
    });
}

/// Raises the beat, and right after each one that was heard renews the sandbox. Returns once the lease is lost, or may be.
async fn hold(context: &Context, signal: &watch::Sender<LetGo>) {
    let shared = &context.shared;
    let (beat, lease) = (shared.settings.beat, shared.settings.lease);
    let mut last_beat = shared.clock.monotonic();
    let silent = |last_beat: Duration| shared.clock.monotonic().saturating_sub(last_beat);
    loop {
        if *signal.borrow() == LetGo::Fenced {
            return;
        }
        let next_beat = tokio::time::Instant::now() + beat;
        // Others may see the beat before we hear of it.
        let asked = shared.clock.monotonic();
        faultpoint::crash_point!("crash-beat-due");
        let raised = shared.store.beat(context.session.id, context.lease.owner, context.lease.epoch);
        let held = match tokio::time::timeout(lease.saturating_sub(silent(last_beat)), raised).await {
            Ok(Ok(true)) => {
                last_beat = asked;
                true
            }
            Ok(Ok(false)) => return say(signal, LetGo::Fenced),
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "failed to raise a lease's beat");
                false
            }
            Err(_) => {
                tracing::warn!("the record does not answer a lease's beat");
                false
            }
        };
        if silent(last_beat) >= lease {
            // Others may have seen us silent for that long.
            return say(signal, LetGo::Fenced);
        }
        faultpoint::crash_point!("crash-beat-noted");
        let sandbox = context.sandbox.lock().clone();
        if let Some(sandbox) = sandbox.filter(|_| held && *signal.borrow() != LetGo::Fenced) {
            // One that does not answer must not cost the lease as well.
            match tokio::time::timeout(beat, sandbox.renew(context.sandbox_lease())).await {
                Ok(Ok(())) => {
                    faultpoint::crash_point!("crash-sandbox-renewed");
                }
                Ok(Err(sandbox::Error::StaleEpoch { .. })) => return say(signal, LetGo::Fenced),
                Ok(Err(error)) => tracing::debug!(error = chain(&error), "failed to renew a sandbox's lease"),
                Err(_) => tracing::debug!("a sandbox does not answer the renewal of its lease"),
            }
        }
        tokio::time::sleep_until(next_beat).await;
    }
}

/// Watches for a stop and for the server's end, and keeps the time budgets up to date.
async fn look_after(context: &Context, signal: &watch::Sender<LetGo>) {
    let shared = &context.shared;
    let mut next_note = tokio::time::Instant::now();
    let mut down = shared.down.subscribe();
    loop {
        if shared.is_superseded() {
            say(signal, LetGo::Fenced);
        } else if shared.is_going_down() {
            say(signal, LetGo::GoingDown);
        }
        match shared.store.action(context.action.id).await {
            Ok(Some(action)) if action.stop_requested => say(signal, LetGo::Stopped),
            Ok(_) => {}
            Err(error) => tracing::debug!(error = chain(&error), "failed to read an action"),
        }
        if tokio::time::Instant::now() >= next_note {
            next_note = tokio::time::Instant::now() + shared.settings.beat;
            note_worked(context).await;
            take_over_budgets(context).await;
        }
        tokio::select! {
            () = tokio::time::sleep(STOP_POLL) => {}
            () = shared.stops.notified() => {}
            _ = down.wait_for(|down| *down), if !shared.is_going_down() => {}
        }
    }
}

/// Notes how long was worked, for the time budgets. What is not noted when the server dies is not counted.
async fn note_worked(context: &Context) {
    let gate = context.gate.lock().clone();
    if let Some(gate) = gate
        && let Err(error) = context.try_commit(&gate.worked(), &[]).await
    {
        tracing::debug!(error = chain(&error), "failed to note how long was worked");
    }
}

/// A person may raise or lower a budget while it is being used up.
async fn take_over_budgets(context: &Context) {
    let gate = context.gate.lock().clone();
    if let Some(gate) = gate
        && let Ok(Some(session)) = context.shared.store.session(context.session.id).await
    {
        gate.set_budgets(&session);
    }
}

/// True when a person asked to stop the action, whatever else ended the attempt.
async fn is_to_stop(context: &Context) -> Result<bool, Halt> {
    Ok(context.shared.store.action(context.action.id).await?.is_some_and(|action| action.stop_requested))
}

/// Reads where action and run stand: what failed may have been done unheard, and an attempt that ended before its run was
/// looked up still ends the run that an earlier one left open. False when there is nothing left to settle.
async fn look_again(context: &Context) -> Result<bool, Halt> {
    let store = &context.shared.store;
    if store.action(context.action.id).await?.is_none_or(|action| action.state != ActionState::Running) {
        return Ok(false);
    }
    let known = context.run().map(|run| run.id);
    let ours = |run: &domain::Run| match known {
        Some(id) => run.id == id,
        None => run.action == context.action.id && !run.state.is_over(),
    };
    if let Some(run) = store.runs(context.session.id).await?.into_iter().rev().find(ours) {
        context.set_run(run);
    }
    Ok(true)
}

/// Writes down what came of an action, in one transaction.
pub(crate) async fn settle(context: &Context, result: Result<(), Halt>) -> Result<(), Halt> {
    let Err(mut halt) = result else { return Ok(()) };
    if matches!(halt, Halt::Transient { .. }) && is_to_stop(context).await? {
        halt = Halt::Stopped;
    }
    let ends = matches!(halt, Halt::Stopped | Halt::Failed { .. } | Halt::Transient { .. });
    if ends && !look_again(context).await? {
        return Ok(());
    }
    tracing::info!(session = %context.session.number, action = context.action.kind.name(), ?halt, "an action did not finish");
    match halt {
        Halt::Fenced => Ok(()),
        Halt::Waiting => stop_at_rest(context).await,
        Halt::GoingDown => hand_back(context, None).await,
        Halt::Stopped => {
            faultpoint::crash_point!("crash-stop-heard");
            kill_everything(context).await;
            faultpoint::crash_point!("crash-stop-killed");
            finish(context, RunEvent::Stop, Failure::Stopped, "stopped by a person".to_owned()).await?;
            keep_what_it_did(context).await;
            Ok(())
        }
        Halt::Failed { why, message } => {
            kill_everything(context).await;
            finish(context, RunEvent::Fail(why), why, message).await?;
            keep_what_it_did(context).await;
            Ok(())
        }
        Halt::Transient { message, after } => {
            kill_everything(context).await;
            try_again_later(context, message, after).await?;
            keep_what_it_did(context).await;
            Ok(())
        }
    }
}

/// A stop that was asked for while the action was being put to rest: the next claim ends it at once.
async fn stop_at_rest(context: &Context) -> Result<(), Halt> {
    if !is_to_stop(context).await? {
        return Ok(());
    }
    let wake = Write::Action {
        id: context.action.id,
        from: ActionState::Waiting,
        to: ActionState::Queued,
        not_before: Some(context.shared.now()),
        handed_back: false,
    };
    // Refused when the one who stopped it, or an answer, was faster.
    let _ = context.commit(&[wake], &[]).await;
    Ok(())
}

/// Ends the run and puts the action back into the queue for later; fails it when that was done too often.
async fn try_again_later(context: &Context, message: String, after: Option<Duration>) -> Result<(), Halt> {
    let shared = &context.shared;
    let key = format!("transient:{}", context.action.id);
    let failures: i64 = context.journal(&key).await?.unwrap_or(0) + 1;
    let most = shared.settings.transient_retries;
    if failures > most {
        let message = format!(
            "{message} (tried {failures} times); `runyard session retry {}` tries again",
            context.session.number
        );
        return finish(context, RunEvent::Fail(Failure::Error), Failure::Error, message).await;
    }
    // Those who wait for the same limit do not all come back in the same moment.
    let wait = after.unwrap_or_default() + backoff(&shared.settings, shared.mint.as_ref(), failures);
    let text = format!("{}; trying again in {} ({failures} of {most})", message.trim_end_matches('.'), in_words(wait));
    let mut writes = vec![Write::Journal(key, failures.into())];
    let mut events = vec![EventPayload::Note { level: NoteLevel::Warning, text }];
    // A run whose commit is noted goes on with publishing it; a new one would do the work again.
    if context.run().is_some_and(|run| run.commit.is_none()) {
        let (w, e) = context.run_moves(RunEvent::Fail(Failure::Error), Some(message))?;
        writes.extend(w);
        events.extend(e);
    }
    let (w, e) = withdraw_requests(context).await?;
    writes.extend(w);
    events.extend(e);
    let version = shared.store.runbook(context.session.id, None).await?;
    if let (ActionKind::ExecuteStep { step, .. }, Some(version)) = (&context.action.kind, &version) {
        let steps = shared.store.steps(context.session.id).await?;
        let mut state = steps.iter().find(|row| row.id == *step).map_or(StepState::NotStarted, |row| row.state);
        if state == StepState::Waiting {
            writes.push(Write::Step { id: *step, from: state, event: StepEvent::Resume });
            state = StepState::InProgress;
        }
        if state == StepState::InProgress {
            writes.push(Write::Step { id: *step, from: state, event: StepEvent::Queue });
            events.push(queue::step_event(version, *step, StepState::Queued));
        }
    }
    writes.push(requeue(context, Some(shared.now().after(wait))));
    faultpoint::crash_point!("crash-retry-intended");
    context.commit(&writes, &events).await?;
    faultpoint::crash_point!("crash-retry-noted");
    if is_to_stop(context).await? {
        let steps = shared.store.steps(context.session.id).await?.into_iter().map(|step| (step.id, step)).collect();
        let unfinished = Unfinished::read(shared.store.as_ref(), context.session.id).await?;
        let (writes, events) = queue::take_out(&context.action, version.as_ref(), &steps, &unfinished);
        // Refused when the one who stopped it did so already.
        let _ = context.commit(&writes, &events).await;
    }
    Ok(())
}

/// Exponential back-off, half of it jitter.
fn backoff(settings: &Settings, mint: &dyn Mint, failures: i64) -> Duration {
    let exponent = u32::try_from(failures - 1).unwrap_or(0).min(16);
    let ceiling = settings.backoff.saturating_mul(1 << exponent).min(settings.backoff_cap);
    let ceiling = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX).max(1);
    // The last bits of an id are the randomness that a simulation can repeat.
    let (_, random) = mint.uuid().as_u64_pair();
    Duration::from_millis(ceiling / 2 + random % (ceiling / 2 + 1))
}

fn requeue(context: &Context, not_before: Option<Timestamp>) -> Write {
    Write::Action {
        id: context.action.id,
        from: ActionState::Running,
        to: ActionState::Queued,
        not_before,
        handed_back: true,
    }
}

async fn hand_back(context: &Context, not_before: Option<Timestamp>) -> Result<(), Halt> {
    context.commit(&[requeue(context, not_before)], &[]).await
}

/// Nothing that the action started in the sandbox may outlive it.
async fn kill_everything(context: &Context) {
    let held = context.sandbox.lock().clone();
    let sandbox = match held {
        Some(sandbox) => Some(sandbox),
        // An attempt before this one may have left a living sandbox.
        None => workspace::living(context).await.unwrap_or_default(),
    };
    if let Some(sandbox) = sandbox
        && let Err(error) = sandbox.kill_all().await
    {
        tracing::warn!(error = chain(&error), "failed to kill what runs in a sandbox; destroying it");
        if let Err(error) = context.shared.provider.destroy(sandbox.record()).await {
            tracing::error!(error = chain(&error), "failed to destroy a sandbox");
        }
    }
}

/// A step that ended without a commit published nothing, so the pull requests do not know yet.
async fn tell_progress(context: &Context) {
    let ended = context.run().is_some_and(|run| run.step.is_some() && run.state.is_over() && run.commit.is_none());
    #[cfg(feature = "simulation")]
    let ended = ended && context.shared.script.is_none();
    if !ended {
        return;
    }
    context.heed_only_the_fence();
    if let Err(halt) = publish::tell_progress(context).await {
        tracing::info!(session = %context.session.number, ?halt, "the pull requests could not be brought up to date");
    }
}

/// The tree of a step's failed run is kept and shown as a diff; the step itself starts from the last commit again.
async fn keep_what_it_did(context: &Context) {
    if !matches!(context.action.kind, ActionKind::ExecuteStep { .. }) || context.sandbox.lock().is_none() {
        return;
    }
    context.heed_only_the_fence();
    match workspace::acquire(context).await {
        Ok(place) => stack::keep_unfinished_tree(context, &place).await,
        Err(halt) => tracing::info!(?halt, "the sandbox of a failed run could not be looked into"),
    }
}

/// Ends the action: its run and its step fail, later steps leave the queue, requests no longer wait.
async fn finish(context: &Context, event: RunEvent, why: Failure, message: String) -> Result<(), Halt> {
    let shared = &context.shared;
    let mut writes = Vec::new();
    let mut events = Vec::new();
    if context.run().is_none() {
        let run = never_begun(context);
        writes.push(Write::AddRun(run.clone()));
        context.set_run(run);
    }
    if context.run().is_some_and(|run| !run.state.is_over()) {
        let (w, e) = context.run_moves(event, Some(message.clone()))?;
        writes.extend(w);
        events.extend(e);
    }
    // Before the steps: what is queued later by a person stays.
    let queue = shared.store.queue(context.session.id).await?;
    let steps: std::collections::HashMap<_, _> =
        shared.store.steps(context.session.id).await?.into_iter().map(|step| (step.id, step)).collect();
    if let ActionKind::ExecuteStep { step, .. } = context.action.kind
        && steps.get(&step).is_some_and(|row| row.state.is_running() || row.state == StepState::Queued)
    {
        let (w, e) = context.step_moves(step, StepEvent::Fail(why)).await?;
        writes.extend(w);
        events.extend(e);
    }
    let (w, e) = withdraw_requests(context).await?;
    writes.extend(w);
    events.extend(e);
    let version = shared.store.runbook(context.session.id, None).await?;
    let unfinished = Unfinished::read(shared.store.as_ref(), context.session.id).await?;
    for row in queue {
        if row.state == ActionState::Queued && matches!(row.kind, ActionKind::ExecuteStep { .. } | ActionKind::Finish) {
            let (w, e) = queue::take_out(&row, version.as_ref(), &steps, &unfinished);
            writes.extend(w);
            events.extend(e);
        }
    }
    let level = if why == Failure::Stopped { NoteLevel::Warning } else { NoteLevel::Error };
    events.push(EventPayload::Note { level, text: format!("{} {message}", headline(context, event)) });
    writes.push(Write::Action {
        id: context.action.id,
        from: ActionState::Running,
        to: ActionState::Done,
        not_before: None,
        handed_back: true,
    });
    context.commit(&writes, &events).await
}

/// What the run asked is not waited for any more.
async fn withdraw_requests(context: &Context) -> Result<(Vec<Write>, Vec<EventPayload>), Halt> {
    let (mut writes, mut events) = (Vec::new(), Vec::new());
    for request in context.shared.store.requests(context.session.id).await? {
        if request.state == RequestState::Open && request.run.is_some() {
            writes.push(Write::Request(request.id, RequestState::Cancelled));
            events.push(EventPayload::Answer { request: request.id, from: Actor::System, answer: None });
        }
    }
    Ok((writes, events))
}

fn headline(context: &Context, event: RunEvent) -> &'static str {
    match (&context.action.kind, event) {
        (_, RunEvent::Stop) => "Stopped:",
        (ActionKind::Plan, _) => "Planning failed:",
        (ActionKind::ExecuteStep { .. }, _) => "The step failed:",
        _ => "That failed:",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letting_go_only_ever_gets_more_pressing() {
        assert!(LetGo::Fenced > LetGo::Stopped && LetGo::Stopped > LetGo::GoingDown && LetGo::GoingDown > LetGo::No);
    }
}
