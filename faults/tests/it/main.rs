//! The fault harness as part of every test run, and what it rests on.

mod names;
mod sweep;
