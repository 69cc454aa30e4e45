//! The model, its planted mistakes, and its paths against the real store.

mod explored;
#[path = "../../../crates/store/tests/it/postgres.rs"]
mod postgres;
mod replayed;
mod simulated;
