//! What can go wrong, by what the caller can do about it.

use domain::Refused;

/// Why the store did not do what was asked; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller's lease is not the session's any more: stop at once.
    #[error("the lease with epoch {epoch} is no longer held")]
    Fenced {
        /// The epoch that the caller had.
        epoch: i64,
    },
    /// Somebody else changed it first: read again and decide anew.
    #[error("{what} changed in the meantime: expected {expected}, found {found}")]
    Stale {
        /// What changed.
        what: String,
        /// What the caller had read.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A state machine does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It exists already and is something else.
    #[error("{what} exists already: {detail}")]
    Conflict {
        /// What exists.
        what: &'static str,
        /// Which one.
        detail: String,
    },
    /// What the write is about does not exist.
    #[error("there is no {what} {id}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// Nobody would be left who may let people in.
    #[error("this is the last active admin")]
    LastAdmin,
    /// The database was written by a newer version of Runyard, or its migrations were altered.
    #[error(
        "the database does not fit this version of Runyard: {0}; start the version that wrote it, or restore a backup"
    )]
    Version(String),
    /// What is stored cannot be read: a bug or a damaged database.
    #[error("the stored {what} is damaged: {detail}")]
    Damaged {
        /// What is damaged.
        what: &'static str,
        /// How.
        detail: String,
    },
    /// The database could not be reached or failed; trying again later may help.
    #[error("the database failed to {attempt}")]
    Database {
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// A failure of the database that a test asked for (`faultpoint`).
    pub fn injected(why: String) -> Self {
        Self::Database { attempt: "do what was asked", source: why.into() }
    }

    /// True when the database has no room left on its disk.
    pub fn is_full(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        let error = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        // SQLite's SQLITE_FULL, PostgreSQL's disk_full.
        error.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "13" || code == "53100")
    }

    /// True when trying the same again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database { .. })
    }
}
