//! What stands beside a step and is none of its text: why it was skipped.
//!
//! It is noted under the step's id, so that it stays with the step whatever becomes of the runbook.

use domain::{Session, StepId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use store::{Store, StoreError, Write};

/// How the keys begin under which all of it is noted.
const MARKS: &str = "step:";
const SKIPPED: &str = "skipped";

/// That a step was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// Who decided it; none when the agent did.
    pub by: Option<UserId>,
    /// Why, in words for people.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What stands beside the steps of a session.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    skips: HashMap<StepId, Skip>,
}

impl Marks {
    /// Reads them all at once.
    pub async fn read(store: &dyn Store, session: &Session) -> Result<Self, StoreError> {
        let mut marks = Self::default();
        for (key, value) in store.notes(session.id, MARKS).await? {
            let Some((step, what)) = key.strip_prefix(MARKS).and_then(|rest| rest.split_once(':')) else { continue };
            let Ok(step) = step.parse::<StepId>() else { continue };
            if what == SKIPPED
                && let Ok(Some(skip)) = serde_json::from_value(value)
            {
                marks.skips.insert(step, skip);
            }
        }
        Ok(marks)
    }

    /// Why a step was skipped the last time.
    pub fn skip(&self, step: StepId) -> Option<&Skip> {
        self.skips.get(&step)
    }
}

/// Notes why a step is skipped, or that it is not any more.
pub(crate) fn skipped(step: StepId, skip: Option<&Skip>) -> Write {
    Write::Journal(format!("{MARKS}{step}:{SKIPPED}"), serde_json::to_value(skip).unwrap_or_default())
}
