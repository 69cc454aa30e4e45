//! A page of a session's log.

use crate::{EVENTS_BYTES, StoreError};
use domain::{Event, SessionId, Timestamp};

/// Events as they are read, until there are enough of them.
#[derive(Default)]
pub(crate) struct Page {
    pub events: Vec<Event>,
    bytes: usize,
}

impl Page {
    /// Takes an event, unless it would be too much; says whether it was taken.
    pub fn take(&mut self, session: SessionId, number: i64, at: Timestamp, payload: &str) -> Result<bool, StoreError> {
        self.bytes = self.bytes.saturating_add(payload.len());
        if self.bytes > EVENTS_BYTES && !self.events.is_empty() {
            return Ok(false);
        }
        let payload = serde_json::from_str(payload)
            .map_err(|error| StoreError::Damaged { what: "event", detail: error.to_string() })?;
        self.events.push(Event { session, number, at, payload });
        Ok(true)
    }
}
