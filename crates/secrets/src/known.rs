//! The secrets that a process knows, in one place.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::{Redactor, Secret};

/// What a process knows to be secret, shared by everything that writes something down. Cheap to clone; all clones know
/// the same.
///
/// It only learns: a value that was replaced or removed is still hidden, since a sandbox, a log or an answer may yet bring
/// it. Only its forms are kept, scattered over an automaton, never the value.
#[derive(Clone)]
pub struct Known(Arc<RwLock<Redactor>>);

impl Known {
    /// Knows nothing yet.
    pub fn nothing() -> Self {
        Self(Arc::new(RwLock::new(Redactor::new([]))))
    }

    /// From now on these are hidden too, by every redactor that is taken from now on.
    pub fn learn<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) {
        let mut redactor = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *redactor = redactor.with(secrets);
    }

    /// What hides all that is known now. A stream that goes on for long should take a new one now and then.
    pub fn redactor(&self) -> Redactor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_is_still_hidden() {
        let known = Known::nothing();
        let clone = known.clone();
        assert_eq!(clone.redactor().redact_text("old-value-1 new-value-2"), "old-value-1 new-value-2");
        known.learn([&Secret::new("old-value-1")]);
        known.learn([&Secret::new("new-value-2")]);
        assert_eq!(clone.redactor().redact_text("old-value-1 new-value-2"), "[redacted] [redacted]");
    }
}
