//! The store's promises, tried on memory, SQLite and PostgreSQL.

mod claims;
mod engines;
mod guards;
mod log;
mod postgres;
mod sqlite;
mod world;
