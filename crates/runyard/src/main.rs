//! The `runyard` binary.
mod cli;
mod config;
mod control;
mod data_dir;
#[cfg(test)]
mod fixtures;
mod render;
fn main() {}
