//! Byte offsets are unsigned in the code and signed in a database.

use crate::StoreError;

/// An offset as a database keeps it.
pub(crate) fn signed(offset: u64) -> Result<i64, StoreError> {
    i64::try_from(offset).map_err(|_| damaged(&offset))
}

/// An offset from a database.
pub(crate) fn unsigned(offset: i64) -> Result<u64, StoreError> {
    u64::try_from(offset).map_err(|_| damaged(&offset))
}

fn damaged(offset: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: "offset", detail: format!("{offset} is no offset in a file") }
}
