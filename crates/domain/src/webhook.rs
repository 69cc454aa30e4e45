//! Webhooks: addresses outside that are told what happens, and each telling, a delivery.

use crate::{
    AccountId, ChangeState, DeliveryId, EventPayload, RunState, SecretId, SessionId, StepState, Timestamp, WebhookId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use uuid::Uuid;

/// How often a delivery is tried before it is given up.
pub const MOST_ATTEMPTS: i64 = 12;
/// How often a delivery is tried before later ones of its session go past it.
pub const HOLDS_BACK: i64 = 5;
/// How long a webhook may fail before it is switched off.
pub const MAY_FAIL: Duration = Duration::from_hours(3 * 24);
/// The wait after the first attempt; three times as long after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait, also when the other side asks for a longer one.
pub const LONGEST_WAIT: Duration = Duration::from_hours(8);
/// An event that is longer, as JSON, is told without its details.
const LONGEST_EVENT: usize = 32 * 1024;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a webhook can be told of: a thing and its new state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum WebhookEvent {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl WebhookEvent {
            /// All of them, by what they are about.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is told.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

events! {
    /// Somebody tries whether the webhook works.
    Ping = "ping",
    /// A session was made.
    SessionCreated = "session.created",
    /// Every step of a session's runbook is completed.
    SessionCompleted = "session.completed",
    /// A session was put away.
    SessionArchived = "session.archived",
    /// A session was taken out of the archive.
    SessionUnarchived = "session.unarchived",
    /// A runbook has a new version.
    RunbookVersion = "runbook.version",
    /// Something waits for a person.
    QuestionAsked = "question.asked",
    /// A person answered, or it was cancelled.
    QuestionAnswered = "question.answered",
    /// A step left the queue unstarted, or was taken back.
    StepNotStarted = "step.not_started",
    /// A step waits for its turn.
    StepQueued = "step.queued",
    /// A run works on a step.
    StepInProgress = "step.in_progress",
    /// A step's run waits for a person.
    StepWaiting = "step.waiting",
    /// A step is done.
    StepCompleted = "step.completed",
    /// A step's run failed or was stopped.
    StepFailed = "step.failed",
    /// A run began, or goes on.
    RunRunning = "run.running",
    /// A run waits for a person.
    RunWaiting = "run.waiting",
    /// A run did its work.
    RunSucceeded = "run.succeeded",
    /// A run failed.
    RunFailed = "run.failed",
    /// A person stopped a run.
    RunStopped = "run.stopped",
    /// A branch is being built; there is no pull request yet.
    ChangeBranch = "change.branch",
    /// A pull request is a draft, or its branch moved.
    ChangeDraft = "change.draft",
    /// A pull request is open for review, or its branch moved.
    ChangeOpen = "change.open",
    /// A pull request was merged.
    ChangeMerged = "change.merged",
    /// A pull request was closed without a merge.
    ChangeClosed = "change.closed",
}

impl WebhookEvent {
    /// What an entry of a session's log is told as; none when it is not.
    pub fn of(payload: &EventPayload) -> Option<Self> {
        Some(match payload {
            EventPayload::Question { .. } => Self::QuestionAsked,
            EventPayload::Answer { .. } => Self::QuestionAnswered,
            EventPayload::PlanVersion { .. } => Self::RunbookVersion,
            EventPayload::StepState { state, .. } => match state {
                StepState::NotStarted => Self::StepNotStarted,
                StepState::Queued => Self::StepQueued,
                StepState::InProgress => Self::StepInProgress,
                StepState::Waiting => Self::StepWaiting,
                StepState::Completed(_) => Self::StepCompleted,
                StepState::Failed(_) => Self::StepFailed,
            },
            EventPayload::RunState { state, .. } => match state {
                RunState::Queued => return None,
                RunState::Running => Self::RunRunning,
                RunState::Waiting => Self::RunWaiting,
                RunState::Succeeded => Self::RunSucceeded,
                RunState::Failed(_) => Self::RunFailed,
                RunState::Stopped => Self::RunStopped,
            },
            EventPayload::ChangeState { state, .. } => match state {
                ChangeState::Branch => Self::ChangeBranch,
                ChangeState::Draft => Self::ChangeDraft,
                ChangeState::Open => Self::ChangeOpen,
                ChangeState::Merged => Self::ChangeMerged,
                ChangeState::Closed => Self::ChangeClosed,
            },
            EventPayload::Message { .. }
            | EventPayload::ToolStarted { .. }
            | EventPayload::ToolFinished { .. }
            | EventPayload::Text { .. }
            | EventPayload::Output { .. }
            | EventPayload::CheckResult { .. }
            | EventPayload::Usage { .. }
            | EventPayload::SandboxState { .. }
            | EventPayload::Knowledge { .. }
            | EventPayload::Learned { .. }
            | EventPayload::Note { .. } => return None,
        })
    }
}

/// An address outside that is told of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub account: AccountId,
    /// Its name; unique within the account.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it is told of; none: everything.
    pub events: Option<Vec<WebhookEvent>>,
    /// Whether it is told.
    pub active: bool,
    /// Why the server switched it off, in words for people; none when it did not.
    pub switched_off: Option<String>,
    /// The first failed attempt after which none succeeded.
    pub failing_since: Option<Timestamp>,
    /// The secret that its deliveries are signed with.
    pub secret: SecretId,
    /// When that was made.
    pub secret_made_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a person changed it last.
    pub changed_at: Timestamp,
}

impl Webhook {
    /// The name of the stored secret that its deliveries are signed with.
    pub fn secret_name(id: WebhookId) -> String {
        format!("webhook.{id}")
    }

    /// Whether it is told of an event.
    pub fn wants(&self, event: WebhookEvent) -> bool {
        self.active && self.events.as_ref().is_none_or(|events| events.contains(&event))
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be tried, again or for the first time.
    Waiting,
    /// The other side took it.
    Delivered,
    /// It is not tried any more.
    GivenUp,
}

/// What came of trying once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The status that the other side answered; none when it did not.
    pub status: Option<i64>,
    /// Why it failed, in words for people; none when it did not.
    pub error: Option<String>,
    /// How the answer begins.
    pub answer: String,
}

/// One telling of one event to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id, the same for every attempt.
    pub id: DeliveryId,
    /// Whom it tells.
    pub webhook: WebhookId,
    /// Of what.
    pub event: WebhookEvent,
    /// In which session; none for a ping.
    pub session: Option<SessionId>,
    /// Its place among those of the session.
    pub place: i64,
    /// What is told.
    pub data: serde_json::Value,
    /// When it happened.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next. While an attempt goes on: when it counts as lost.
    pub due_at: Timestamp,
    /// What came of the last attempt that ended.
    pub last: Option<Attempt>,
}

impl Delivery {
    /// A new one. Its id follows from what it tells whom, so that nothing is told under two ids.
    pub fn new(
        webhook: WebhookId,
        event: WebhookEvent,
        (session, place): (SessionId, i64),
        data: serde_json::Value,
        now: Timestamp,
    ) -> Self {
        let mut digest = Sha256::new_with_prefix(b"runyard delivery\0");
        digest.update(webhook.0.as_bytes());
        digest.update(session.0.as_bytes());
        digest.update(place.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.finalize()[..16]);
        Self {
            id: DeliveryId(uuid::Builder::from_custom_bytes(id).into_uuid()),
            webhook,
            event,
            session: Some(session),
            place,
            data,
            created_at: now,
            state: DeliveryState::Waiting,
            attempts: 0,
            due_at: now,
            last: None,
        }
    }

    /// One that only shows that the webhook works.
    pub fn ping(id: Uuid, webhook: WebhookId, now: Timestamp) -> Self {
        let id = DeliveryId(id);
        let data = serde_json::json!({});
        let (state, event) = (DeliveryState::Waiting, WebhookEvent::Ping);
        let (session, place, attempts, last) = (None, 0, 0, None);
        Self { id, webhook, event, session, place, data, created_at: now, state, attempts, due_at: now, last }
    }

    /// How long to wait after an attempt failed, the `attempts`-th; none when it is given up. The other side may ask for a
    /// longer wait. Waits differ by up to a fifth, so that what failed together does not come back together.
    pub fn wait(&self, attempts: i64, asked: Option<Duration>) -> Option<Duration> {
        if attempts >= MOST_ATTEMPTS {
            return None;
        }
        let exponent = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
        let wait = FIRST_WAIT.saturating_mul(3_u32.saturating_pow(exponent)).min(LONGEST_WAIT);
        let mut digest = Sha256::new_with_prefix(self.id.0.as_bytes());
        digest.update(attempts.to_be_bytes());
        let share = u32::from(digest.finalize()[0]);
        let wait = wait * (80 + share * 40 / 255) / 100;
        Some(wait.max(asked.unwrap_or_default()).min(LONGEST_WAIT + LONGEST_WAIT / 5))
    }
}

/// An entry of a session's log as it is told: what is too long for that keeps its type alone.
pub fn told_payload(payload: &EventPayload) -> serde_json::Value {
    let whole = serde_json::to_value(payload).unwrap_or_default();
    if whole.to_string().len() <= LONGEST_EVENT {
        return whole;
    }
    serde_json::json!({ "type": whole["type"], "cut": true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn delivery(place: i64) -> Delivery {
        let at = (SessionId(Uuid::nil()), place);
        Delivery::new(WebhookId(Uuid::nil()), WebhookEvent::Ping, at, serde_json::Value::Null, Timestamp(0))
    }

    #[test]
    fn names_are_unique_and_stored_as_told() {
        let names: BTreeSet<_> = WebhookEvent::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), WebhookEvent::ALL.len());
        for event in WebhookEvent::ALL {
            assert_eq!(serde_json::to_value(event).expect("serialises"), event.name());
        }
    }

    #[test]
    fn waits_grow_differ_and_end_after_a_day() {
        let (one, other) = (delivery(1), delivery(2));
        assert_ne!(one.id, other.id);
        assert_eq!(one.id, delivery(1).id);
        let mut whole = Duration::ZERO;
        let mut before = Duration::ZERO;
        for attempts in 1..MOST_ATTEMPTS {
            let wait = one.wait(attempts, None).expect("again");
            assert!(wait > before || wait >= LONGEST_WAIT * 4 / 5, "{attempts}: {wait:?} after {before:?}");
            (whole, before) = (whole + wait, wait);
        }
        assert!(whole > Duration::from_hours(20) && whole < Duration::from_hours(36), "{whole:?}");
        assert_eq!(one.wait(MOST_ATTEMPTS, None), None);
        assert_ne!(one.wait(9, None), other.wait(9, None), "they do not come back together");
        let first = one.wait(1, None).expect("again");
        assert!(first >= Duration::from_secs(4) && first <= Duration::from_secs(6), "{first:?}");
        assert_eq!(one.wait(1, Some(Duration::from_secs(90))), Some(Duration::from_secs(90)));
        assert!(one.wait(1, Some(Duration::MAX)).expect("again") < Duration::from_hours(10), "not for ever");
    }

    #[test]
    fn what_is_long_is_told_without_its_details() {
        let note = |text: String| EventPayload::Note { level: crate::NoteLevel::Info, text };
        assert_eq!(told_payload(&note("x".into()))["text"], "x");
        let long = told_payload(&note("x".repeat(LONGEST_EVENT)));
        assert_eq!(long, serde_json::json!({ "type": "note", "cut": true }));
    }
}
