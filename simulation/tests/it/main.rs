//! The model, its planted mistakes, and its paths against the real store.

mod explored;
mod replayed;
mod simulated;
