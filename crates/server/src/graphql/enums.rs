//! Words of `domain` in the words of GraphQL.

use async_graphql::Enum;
use domain::{Completion, Failure as StepFailure};
use engine::Phase as EnginePhase;

macro_rules! remote {
    ($($(#[doc = $doc:literal])* $name:ident = $of:ty { $($variant:ident),* $(,)? })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $(
            $variant,
        )* }

        impl From<$of> for $name {
            fn from(value: $of) -> Self {
                match value { $(<$of>::$variant => Self::$variant,)* }
            }
        }

        impl From<$name> for $of {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant,)* }
            }
        }
    )*};
}

remote! {
    /// What a person may do.
    Role = domain::Role { Member, Maintainer, Admin }
    /// How much a session asks.
    Mode = domain::Mode { Standard, OneShot }
    /// How work becomes pull requests.
    PrMode = domain::PrMode { StackedPr, SinglePr, Manual }
    /// Where an action stands.
    ActionStateKind = domain::ActionState { Queued, Running, Waiting, Done, Removed }
    /// Where a change stands.
    ChangeStateKind = domain::ChangeState { Branch, Draft, Open, Merged, Closed }
    /// Where a sandbox stands.
    SandboxStateKind = domain::SandboxState { Creating, Ready, Paused, Destroyed }
    /// The kinds of what a team knows.
    KnowledgeKind = domain::KnowledgeKind { ContextFile, Persona, Learning }
    /// Where a learning stands: it waits for a person, agents are told of it, or it is kept and they are not.
    LearningState = domain::LearningState { Proposed, Active, Off }
    /// On what occasion something was learned.
    LearningMoment = domain::Moment { ErrorResolved, ChecksFixed, ReviewAddressed, PlanCorrected }
    /// For which work a persona is: planning and answering, executing and revising, or everything.
    PersonaRole = domain::PersonaRole { Planner, Developer, Custom }
    /// What kind of somebody did something.
    DoerKind = domain::DoerKind { Person, AccountToken, CommandLine, Stranger, Server }
    /// Which way something came.
    Way = domain::Via { Page, Api, CommandLine, Server }
    /// What became of something.
    DoneOrRefused = domain::Outcome { Done, Refused }
    /// What a webhook can be told of: a thing and its new state.
    WebhookEvent = domain::WebhookEvent {
        Ping, SessionCreated, SessionCompleted, SessionArchived, SessionUnarchived, RunbookVersion, QuestionAsked,
        QuestionAnswered, StepNotStarted, StepQueued, StepInProgress, StepWaiting, StepCompleted, StepFailed, RunRunning,
        RunWaiting, RunSucceeded, RunFailed, RunStopped, ChangeBranch, ChangeDraft, ChangeOpen, ChangeMerged, ChangeClosed,
    }
    /// Where a delivery stands.
    DeliveryState = domain::DeliveryState { Waiting, Delivered, GivenUp }
    /// What a link is for.
    InvitationPurpose = domain::LinkPurpose { FirstAdmin, Invitation, PasswordReset }
}

/// What a session is doing, from most to least pressing.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub enum PhaseKind {
    /// Something waits for a person.
    Waiting,
    /// The agent makes the plan.
    Planning,
    /// A step is being executed.
    Executing,
    /// Something else is being done.
    Working,
    /// Something is queued and will start.
    Queued,
    /// Planning failed.
    PlanFailed,
    /// A step failed.
    Failed,
    /// There is a plan; a person may execute it.
    Planned,
    /// Everything is completed.
    Completed,
}

impl From<&EnginePhase> for PhaseKind {
    fn from(phase: &EnginePhase) -> Self {
        match phase {
            EnginePhase::Waiting => Self::Waiting,
            EnginePhase::Planning => Self::Planning,
            EnginePhase::Executing { .. } => Self::Executing,
            EnginePhase::Working { .. } => Self::Working,
            EnginePhase::Queued => Self::Queued,
            EnginePhase::PlanFailed { .. } => Self::PlanFailed,
            EnginePhase::Failed { .. } => Self::Failed,
            EnginePhase::Planned => Self::Planned,
            EnginePhase::Completed => Self::Completed,
        }
    }
}

/// Where a step stands.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub enum StepStateKind {
    /// Nobody asked for it yet.
    NotStarted,
    /// It will start.
    Queued,
    /// It is worked on.
    InProgress,
    /// A person is asked.
    Waiting,
    /// It is done.
    Completed,
    /// It was not done.
    Failed,
}

/// Why a step is completed or failed.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub enum StepReason {
    /// It changed something.
    Changed,
    /// There was nothing to change.
    NoChange,
    /// It was left out.
    Skipped,
    /// A person did it.
    ByPerson,
    /// Something went wrong.
    Error,
    /// A check failed.
    Check,
    /// A person stopped it.
    Stopped,
    /// A budget was used up.
    Budget,
    /// It was lost to crashes again and again.
    Poison,
}

impl From<StepFailure> for StepReason {
    fn from(failure: StepFailure) -> Self {
        match failure {
            StepFailure::Error => Self::Error,
            StepFailure::Check => Self::Check,
            StepFailure::Stopped => Self::Stopped,
            StepFailure::Budget => Self::Budget,
            StepFailure::Poison => Self::Poison,
        }
    }
}

/// A step's state and its reason.
pub fn step_state(state: domain::StepState) -> (StepStateKind, Option<StepReason>) {
    match state {
        domain::StepState::NotStarted => (StepStateKind::NotStarted, None),
        domain::StepState::Queued => (StepStateKind::Queued, None),
        domain::StepState::InProgress => (StepStateKind::InProgress, None),
        domain::StepState::Waiting => (StepStateKind::Waiting, None),
        domain::StepState::Completed(how) => {
            let reason = match how {
                Completion::Changed => StepReason::Changed,
                Completion::NoChange => StepReason::NoChange,
                Completion::Skipped => StepReason::Skipped,
                Completion::ByPerson => StepReason::ByPerson,
            };
            (StepStateKind::Completed, Some(reason))
        }
        domain::StepState::Failed(why) => (StepStateKind::Failed, Some(why.into())),
    }
}

/// Where a run stands.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub enum RunStateKind {
    /// It will start.
    Queued,
    /// It works.
    Running,
    /// It waits for a person.
    Waiting,
    /// It did what was asked.
    Succeeded,
    /// It did not.
    Failed,
    /// A person stopped it.
    Stopped,
}

/// A run's state and its reason.
pub fn run_state(state: domain::RunState) -> (RunStateKind, Option<StepReason>) {
    match state {
        domain::RunState::Queued => (RunStateKind::Queued, None),
        domain::RunState::Running => (RunStateKind::Running, None),
        domain::RunState::Waiting => (RunStateKind::Waiting, None),
        domain::RunState::Succeeded => (RunStateKind::Succeeded, None),
        domain::RunState::Failed(why) => (RunStateKind::Failed, Some(why.into())),
        domain::RunState::Stopped => (RunStateKind::Stopped, None),
    }
}

/// What is asked of a person.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub enum RequestKindName {
    /// The agent wants to know something.
    Question,
    /// The agent wants to do something that a person must allow.
    Permission,
    /// What becomes of the work so far.
    Publish,
}
