//! The store's promises, tried on memory, SQLite and PostgreSQL.

mod sqlite;
mod world;
