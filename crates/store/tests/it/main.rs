//! The store's promises, tried on memory, SQLite and PostgreSQL.

mod access;
mod arrivals;
mod audit;
mod claims;
mod copies;
mod differential;
mod engines;
mod guards;
mod keeping;
mod library;
mod log;
mod opening;
mod postgres;
mod redaction;
mod vault;
mod webhooks;
mod world;
