//! Why work on an action ends before it is done.

use domain::Failure;
use std::time::Duration;
use store::StoreError;

/// Why work on an action ends early, by what becomes of the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Somebody else holds the session now: nothing may be written any more.
    Fenced,
    /// This server goes down: the action goes back into the queue as it is and what runs in the sandbox is left alone.
    GoingDown,
    /// A person stopped it.
    Stopped,
    /// It waits for a person; what it waits for is on record.
    Waiting,
    /// It failed for good.
    Failed {
        /// The kind of failure.
        why: Failure,
        /// For people: what happened and what to do next.
        message: String,
    },
    /// It failed for a reason that may pass: it is tried again later.
    Transient {
        /// For people.
        message: String,
        /// Not before this long, when the other side said so.
        after: Option<Duration>,
    },
}

impl Halt {
    /// A failure that trying again does not mend.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { why: Failure::Error, message: message.into() }
    }

    /// A failure that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), after: None }
    }
}

/// An error with all of its causes, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A span of time as people say it, rounded up to whole seconds.
pub(crate) fn in_words(span: Duration) -> String {
    let seconds = u64::try_from(span.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Fenced { .. } => Self::Fenced,
            _ if error.is_transient() => Self::transient(chain(&error)),
            // A state that is not what was read means that another hand moved it: look again from the start.
            StoreError::Stale { .. } => Self::transient(chain(&error)),
            _ => Self::failed(chain(&error)),
        }
    }
}

impl From<sandbox::Error> for Halt {
    fn from(error: sandbox::Error) -> Self {
        match &error {
            sandbox::Error::StaleEpoch { .. } => Self::Fenced,
            sandbox::Error::Gone { .. } | sandbox::Error::Disconnected => Self::transient(chain(&error)),
            _ => Self::failed(chain(&error)),
        }
    }
}

impl From<forge::Error> for Halt {
    fn from(error: forge::Error) -> Self {
        match &error {
            forge::Error::Superseded { .. } => Self::Fenced,
            _ if error.is_transient() => Self::transient(chain(&error)),
            _ => Self::failed(chain(&error)),
        }
    }
}

impl From<Halt> for crate::Problem {
    fn from(halt: Halt) -> Self {
        let message = match halt {
            Halt::Failed { message, .. } | Halt::Transient { message, .. } => message,
            other => format!("{other:?}"),
        };
        Self::new(crate::ProblemCode::Internal, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_their_largest_units() {
        let said =
            [1, 999, 1001, 60_000, 61_000, 3_600_000, 3_659_000, 7_260_000].map(Duration::from_millis).map(in_words);
        assert_eq!(said, ["1 s", "1 s", "2 s", "1 min", "1 min 1 s", "1 h", "1 h", "2 h 1 min"]);
    }
}
