//! The secrets that a process knows, in one place.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use crate::{Redactor, Secret};

/// What a process knows to be secret, shared by everything that writes something down. Cheap to clone; all clones know
/// the same.
///
/// It only learns: a value that was replaced or removed is still hidden, since a sandbox, a log or an answer may yet bring
/// it. Only its forms are kept, scattered over an automaton, never the value.
#[derive(Clone)]
pub struct Known(Arc<RwLock<Knowledge>>);

struct Knowledge {
    redactor: Redactor,
    /// Of each value that was learned, so that it is not learned again.
    digests: BTreeSet<[u8; 32]>,
}

impl Known {
    /// Knows nothing yet.
    pub fn nothing() -> Self {
        Self::of(Redactor::new([]), BTreeSet::new())
    }

    /// One that knows the same now and learns for itself.
    #[must_use]
    pub fn apart(&self) -> Self {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Self::of(own.redactor.clone(), own.digests.clone())
    }

    /// From now on these are hidden too, by every redactor that is taken from now on.
    pub fn learn<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let digest = |secret: &Secret| Sha256::digest(secret.expose()).into();
        let new: Vec<&Secret> = secrets.into_iter().filter(|secret| own.digests.insert(digest(secret))).collect();
        if !new.is_empty() {
            own.redactor = own.redactor.with(new);
        }
    }

    /// What hides all that is known now. A stream that goes on for long should take a new one now and then.
    pub fn redactor(&self) -> Redactor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).redactor.clone()
    }

    fn of(redactor: Redactor, digests: BTreeSet<[u8; 32]>) -> Self {
        Self(Arc::new(RwLock::new(Knowledge { redactor, digests })))
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
        let apart = known.apart();
        apart.learn([&Secret::new("own-value-3")]);
        assert_eq!(apart.redactor().redact_text("new-value-2 own-value-3"), "[redacted] [redacted]");
        assert_eq!(known.redactor().redact_text("own-value-3"), "own-value-3");
    }
}
