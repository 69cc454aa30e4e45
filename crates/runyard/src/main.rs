//! The `runyard` binary.
fn main() {}
