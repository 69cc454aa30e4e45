//! What a live view does next: pure, from what the session is.

use crate::exit::Exit;
use domain::{EventPayload, Failure, Request, RunState, StepState};
use engine::{Phase, SessionView};

/// How the last thing that ended came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// Not.
    Failed,
    /// A person stopped it.
    Stopped,
}

impl Outcome {
    /// The outcome that an event tells, if it tells one.
    pub fn of(payload: &EventPayload) -> Option<Self> {
        match payload {
            EventPayload::RunState { state: RunState::Succeeded, .. } => Some(Self::Succeeded),
            EventPayload::RunState { state: RunState::Stopped, .. }
            | EventPayload::StepState { state: StepState::Failed(Failure::Stopped), .. } => Some(Self::Stopped),
            EventPayload::RunState { state: RunState::Failed(_), .. }
            | EventPayload::StepState { state: StepState::Failed(_), .. } => Some(Self::Failed),
            _ => None,
        }
    }
}

/// What the person wants to see done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Everything, by way of a plan that a person agrees to (or that is taken as agreed).
    Everything {
        /// Execute the plan without asking.
        yes: bool,
    },
    /// What was queued.
    Action,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Decision {
    /// Work goes on.
    GoOn,
    /// A person must answer this.
    Ask(Box<Request>),
    /// A person must say what becomes of the plan.
    AskPlan,
    /// The plan is to be executed.
    Execute,
    /// There is nothing more to see.
    Finish(Exit),
}

/// Decides. `executed` is true once this command executed everything there was, `last` the last outcome that it saw.
pub fn decide(view: &SessionView, goal: Goal, interactive: bool, executed: bool, last: Option<Outcome>) -> Decision {
    if let Some(request) = view.open_requests.first() {
        return if interactive { Decision::Ask(Box::new(request.clone())) } else { Decision::Finish(Exit::Waiting) };
    }
    let over = match last {
        Some(Outcome::Succeeded) => Some(Exit::Done),
        Some(Outcome::Failed) => Some(Exit::Failed),
        Some(Outcome::Stopped) => Some(Exit::Stopped),
        None => None,
    };
    match (&view.phase, goal) {
        // Waiting without an open request: the answer was just given.
        (Phase::Waiting | Phase::Planning | Phase::Executing { .. } | Phase::Working { .. } | Phase::Queued, _) => {
            Decision::GoOn
        }
        (_, Goal::Action) if over.is_some() => Decision::Finish(over.unwrap_or(Exit::Done)),
        (Phase::Failed { reason: Failure::Stopped, .. }, _) => Decision::Finish(Exit::Stopped),
        (Phase::PlanFailed { .. }, _) if last == Some(Outcome::Stopped) => Decision::Finish(Exit::Stopped),
        (Phase::PlanFailed { .. } | Phase::Failed { .. }, _) => Decision::Finish(Exit::Failed),
        (Phase::Planned, Goal::Everything { yes: true }) if !executed => Decision::Execute,
        (Phase::Planned, Goal::Everything { .. }) if interactive => Decision::AskPlan,
        (Phase::Planned, Goal::Everything { .. }) => Decision::Finish(Exit::Waiting),
        (Phase::Planned, Goal::Action) | (Phase::Completed, _) => Decision::Finish(Exit::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn view(phase: Phase) -> SessionView {
        SessionView { phase, open_requests: Vec::new(), ..fixtures::view() }
    }

    const RUN: Goal = Goal::Everything { yes: false };
    const YES: Goal = Goal::Everything { yes: true };

    #[test]
    fn a_question_goes_before_everything() {
        let waiting = SessionView { phase: Phase::Waiting, ..fixtures::view() };
        assert!(matches!(decide(&waiting, YES, true, false, None), Decision::Ask(_)));
        assert_eq!(decide(&waiting, YES, false, false, None), Decision::Finish(Exit::Waiting));
    }

    #[test]
    fn a_plan_is_executed_once_when_that_was_said_and_asked_about_else() {
        assert_eq!(decide(&view(Phase::Planned), YES, false, false, None), Decision::Execute);
        assert_eq!(decide(&view(Phase::Planned), YES, false, true, None), Decision::Finish(Exit::Waiting));
        assert_eq!(decide(&view(Phase::Planned), RUN, true, false, None), Decision::AskPlan);
        assert_eq!(decide(&view(Phase::Planned), RUN, false, false, None), Decision::Finish(Exit::Waiting));
        assert_eq!(decide(&view(Phase::Planned), Goal::Action, true, false, None), Decision::Finish(Exit::Done));
    }

    #[test]
    fn exit_codes_tell_how_it_ended() {
        let failed = |reason| view(Phase::Failed { step: "1".into(), reason });
        assert_eq!(decide(&failed(Failure::Check), RUN, true, true, None), Decision::Finish(Exit::Failed));
        assert_eq!(decide(&failed(Failure::Stopped), RUN, true, true, None), Decision::Finish(Exit::Stopped));
        let no_plan = view(Phase::PlanFailed { message: "no".into() });
        assert_eq!(decide(&no_plan, RUN, true, false, Some(Outcome::Failed)), Decision::Finish(Exit::Failed));
        assert_eq!(decide(&no_plan, RUN, true, false, Some(Outcome::Stopped)), Decision::Finish(Exit::Stopped));
        assert_eq!(decide(&view(Phase::Completed), RUN, true, true, None), Decision::Finish(Exit::Done));
    }

    #[test]
    fn a_message_that_was_answered_is_done_even_when_a_step_failed_before() {
        let failed = view(Phase::Failed { step: "1".into(), reason: Failure::Check });
        let last = Some(Outcome::Succeeded);
        assert_eq!(decide(&failed, Goal::Action, true, false, last), Decision::Finish(Exit::Done));
    }

    #[test]
    fn work_goes_on_until_the_queue_is_empty() {
        for phase in [Phase::Queued, Phase::Planning, Phase::Executing { step: "1".into() }, Phase::Waiting] {
            assert_eq!(decide(&view(phase), RUN, false, true, Some(Outcome::Succeeded)), Decision::GoOn);
        }
    }
}
