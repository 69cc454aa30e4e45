//! The `runyard` binary.
mod config;
fn main() {}
