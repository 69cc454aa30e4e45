//! What Runyard talks about: ids, sessions, steps, runs, leases, requests, changes, events.
//!
//! Types and state machines only. Nothing here does I/O, awaits, reads a clock or rolls a die: time comes in through
//! [`Clock`] and ids through [`Mint`], so that the whole core can be replayed.

mod access;
mod action;
mod audit;
mod budget;
mod change;
mod clock;
mod event;
mod generation;
mod git;
mod ids;
mod knowledge;
mod learning;
mod lease;
mod request;
mod run;
mod sandbox;
mod session;
mod step;
mod text;
mod usage;
mod webhook;

pub use access::{
    Admission, Arrival, BearerHash, Errand, Identity, Link, LinkPurpose, Member, MemberChange, SignIn, Token, Welcome,
    Welcomed,
};
pub use action::{Action, ActionKind, ActionState, MAX_LOST_ATTEMPTS};
pub use audit::{
    AuditEntry, AuditFilter, AuditHash, AuditIndex, AuditMark, AuditVerdict, Chain, Deed, DoerKind, NoAuditHash,
    Outcome, Unfit, Via,
};
pub use budget::{Budget, Exceeded};
pub use change::{Change, ChangeKey, ChangeState};
pub use clock::{Clock, Mint, SystemClock, SystemMint, Timestamp};
pub use event::{Actor, CheckOutcome, Event, EventPayload, NoteLevel, Payload, ToolKind, TurnEnd};
pub use generation::{EPOCHS_PER_GENERATION, Generation};
pub use git::{BranchName, CommitId, InvalidBranch, InvalidCommit};
pub use ids::{
    AccountId, ActionId, BlobHash, ChangeId, DeliveryId, ExecId, HostId, InvalidId, KnowledgeId, LinkId, RepositoryId,
    RequestId, RunId, SandboxId, SecretId, ServerId, SessionId, SessionNumber, SignInId, StepId, TokenId, UserId,
    WebhookId,
};
pub use knowledge::{ContextFile, Knowledge, KnowledgeKind, KnowledgeRef, Persona, PersonaRole, Piece, fits};
pub use learning::{Learning, LearningState, Lesson, Moment};
pub use lease::{Lease, Watcher};
pub use request::{Answer, Choice, Question, Request, RequestKind, RequestState};
pub use run::{Run, RunEvent, RunState};
pub use sandbox::{SandboxEvent, SandboxRecord, SandboxState};
pub use session::{
    Account, Extras, Mode, PrMode, Repository, Role, RunbookVersion, Session, SpecFile, User, VersionStep,
};
pub use step::{Completion, Failure, Step, StepEvent, StepState};
pub use text::is_invisible;
pub use usage::{MicroUsd, Usage};
pub use webhook::{
    Attempt, Delivery, DeliveryState, HOLDS_BACK, MAY_FAIL, MOST_ATTEMPTS, Webhook, WebhookEvent, told_payload,
};

/// A transition that a state machine does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {machine} that is {state} cannot take {event}")]
pub struct Refused {
    /// The machine, such as `step`.
    pub machine: &'static str,
    /// The state that it was in.
    pub state: String,
    /// What was asked of it.
    pub event: String,
}

impl Refused {
    pub(crate) fn new(machine: &'static str, state: &impl std::fmt::Debug, event: &impl std::fmt::Debug) -> Self {
        Self { machine, state: format!("{state:?}"), event: format!("{event:?}") }
    }
}
