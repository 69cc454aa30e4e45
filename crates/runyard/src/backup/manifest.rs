//! What a backup says of itself.

use domain::{Generation, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of archives that this version writes and reads.
pub const FORMAT: u32 = 1;

/// The first entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the archive.
    pub format: u32,
    /// The version of Runyard that wrote it.
    pub runyard: String,
    /// When it was begun.
    pub made_at: Timestamp,
    /// Which database the record was in: `sqlite` or `postgres`.
    pub database: String,
    /// The newest migration that the record went through.
    pub migration: i64,
    /// The life of the record that it is a copy of.
    pub generation: Option<Generation>,
    /// Rows by table.
    pub rows: BTreeMap<String, i64>,
    /// The other entries, in their order.
    pub parts: Vec<Part>,
    /// What is not in it, for people.
    pub left_out: Vec<String>,
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the archive.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// What it is.
    pub holds: Holds,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "holds", rename_all = "snake_case")]
pub enum Holds {
    /// The record, as a SQLite file.
    Record,
    /// Commits that one mirror keeps, as a git bundle.
    Commits {
        /// The repository.
        repository: domain::RepositoryId,
        /// True when its objects are named by SHA-256.
        sha256_objects: bool,
    },
}

impl Manifest {
    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        self.rows.get(table).copied().unwrap_or(0)
    }

    /// Rows of a record that differ from what is written here, as `table: expected, found`.
    pub fn differences(&self, found: &BTreeMap<String, i64>) -> Vec<String> {
        let tables: std::collections::BTreeSet<_> = self.rows.keys().chain(found.keys()).collect();
        let count = |rows: &BTreeMap<String, i64>, table: &str| rows.get(table).copied().unwrap_or(0);
        tables
            .into_iter()
            .map(|table| (table, count(&self.rows, table), count(found, table)))
            .filter(|(_, expected, found)| expected != found)
            .map(|(table, expected, found)| format!("{table} has {found} rows instead of {expected}"))
            .collect()
    }
}
