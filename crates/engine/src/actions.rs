//! What each kind of action does.

mod conflict;
mod finish;
mod planning;
mod revert;
mod revise;
mod step;

use crate::{context::Context, halt::Halt, learnings};
use domain::{ActionKind, ActionState, EventPayload, Failure, RunEvent};
pub(crate) use planning::has_planned;
use std::sync::Arc;
use store::Write;

/// Does what the claimed action asks.
pub(crate) async fn perform(context: &Arc<Context>) -> Result<(), Halt> {
    if context.action.stop_requested {
        // It was asked while nobody was at work on it.
        return Err(Halt::Stopped);
    }
    if context.action.is_poison() {
        let message = format!(
            "{} attempts were lost to crashes, so it is not tried again by itself; look at the server's log, then \
             `runyard session retry {}`",
            context.action.lost_attempts(),
            context.session.number
        );
        return Err(Halt::Failed { why: Failure::Poison, message });
    }
    #[cfg(feature = "simulation")]
    if let Some(script) = &context.shared.script {
        return crate::simulation::perform(script.as_ref(), context).await;
    }
    match context.action.kind.clone() {
        ActionKind::Plan => planning::plan(context).await,
        ActionKind::Answer { message } => planning::answer(context, &message).await,
        ActionKind::ExecuteStep { step, version } => step::execute(context, step, version).await,
        ActionKind::Revise { change, instructions } | ActionKind::Rework { change, instructions } => {
            revise::revise(context, change, &instructions).await
        }
        ActionKind::RevertStep { step } => revert::revert(context, step).await,
        ActionKind::ResolveConflict { change, files } => conflict::resolve(context, change, &files).await,
        ActionKind::Finish => finish::finish(context).await,
    }
}

/// The write that ends the claimed action in good order.
fn done(context: &Context) -> Write {
    Write::Action {
        id: context.action.id,
        from: ActionState::Running,
        to: ActionState::Done,
        not_before: None,
        handed_back: true,
    }
}

/// Ends run and action as succeeded, with whatever else belongs into that transaction.
pub(crate) async fn succeed(
    context: &Context,
    mut writes: Vec<Write>,
    mut events: Vec<EventPayload>,
) -> Result<(), Halt> {
    let (w, e) = learnings::taught(context).await;
    writes.extend(w);
    events.extend(e);
    let (w, e) = context.run_moves(RunEvent::Succeed, None)?;
    writes.extend(w);
    events.extend(e);
    if faultpoint::planted!("planted-two-transactions") {
        context.commit(&std::mem::take(&mut writes), &std::mem::take(&mut events)).await?;
    }
    writes.push(done(context));
    faultpoint::crash_point!("crash-before-the-end");
    context.commit(&writes, &events).await?;
    faultpoint::crash_point!("crash-after-the-end");
    Ok(())
}
