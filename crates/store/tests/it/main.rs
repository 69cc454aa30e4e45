//! The store's promises, tried on memory, SQLite and PostgreSQL.

mod engines;
mod log;
mod postgres;
mod sqlite;
mod world;
