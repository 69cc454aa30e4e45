//! What comes out of a statement.

use crate::StoreError;
use domain::{BlobHash, BranchName, CommitId, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

/// One row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Reads the columns of a row from left to right.
pub(super) struct Columns<'r> {
    row: &'r Row,
    what: &'static str,
    next: usize,
}

impl Row {
    /// The columns of a row that is a `what`, for messages.
    pub(super) fn columns(&self, what: &'static str) -> Columns<'_> {
        Columns { row: self, what, next: 0 }
    }
}

macro_rules! column {
    ($(#[$doc:meta])* $name:ident, $optional:ident -> $type:ty) => {
        $(#[$doc])*
        pub(super) fn $name(&mut self) -> Result<$type, StoreError> {
            let at = self.advance();
            match self.row {
                Row::Sqlite(row) => row.try_get(at),
                Row::Postgres(row) => row.try_get(at),
            }
            .map_err(|error| self.damaged(&error))
        }

        /// The same, when it may be absent.
        pub(super) fn $optional(&mut self) -> Result<Option<$type>, StoreError> {
            let at = self.advance();
            match self.row {
                Row::Sqlite(row) => row.try_get(at),
                Row::Postgres(row) => row.try_get(at),
            }
            .map_err(|error| self.damaged(&error))
        }
    };
}

impl Columns<'_> {
    column!(
        /// A number.
        int, maybe_int -> i64
    );
    column!(
        /// A text.
        text, maybe_text -> String
    );
    column!(
        /// An id.
        uuid, maybe_uuid -> Uuid
    );

    /// A truth value.
    pub(super) fn bool(&mut self) -> Result<bool, StoreError> {
        let at = self.advance();
        match self.row {
            Row::Sqlite(row) => row.try_get(at),
            Row::Postgres(row) => row.try_get(at),
        }
        .map_err(|error| self.damaged(&error))
    }

    /// Bytes.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        let at = self.advance();
        match self.row {
            Row::Sqlite(row) => row.try_get(at),
            Row::Postgres(row) => row.try_get(at),
        }
        .map_err(|error| self.damaged(&error))
    }

    /// A moment.
    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp)
    }

    /// A blob's name.
    pub(super) fn hash(&mut self) -> Result<BlobHash, StoreError> {
        let bytes = self.bytes()?;
        bytes.try_into().map(BlobHash).map_err(|_| self.damaged(&"a hash of the wrong length"))
    }

    /// A full object id.
    pub(super) fn commit(&mut self) -> Result<CommitId, StoreError> {
        self.text()?.parse().map_err(|error| self.damaged(&error))
    }

    /// A full object id that may be absent.
    pub(super) fn maybe_commit(&mut self) -> Result<Option<CommitId>, StoreError> {
        self.maybe_text()?.map(|text| text.parse().map_err(|error| self.damaged(&error))).transpose()
    }

    /// A branch.
    pub(super) fn branch(&mut self) -> Result<BranchName, StoreError> {
        self.text()?.parse().map_err(|error| self.damaged(&error))
    }

    /// Anything that was stored as JSON text.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        serde_json::from_str(&self.text()?).map_err(|error| self.damaged(&error))
    }

    /// The same, when it may be absent.
    pub(super) fn maybe_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StoreError> {
        let text = self.maybe_text()?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.damaged(&error))).transpose()
    }

    /// An enum without fields that was stored as a plain word.
    pub(super) fn word<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        serde_json::from_value(self.text()?.into()).map_err(|error| self.damaged(&error))
    }

    fn advance(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn damaged(&self, detail: &dyn std::fmt::Display) -> StoreError {
        StoreError::Damaged { what: self.what, detail: format!("column {}: {}", self.next, detail) }
    }
}
