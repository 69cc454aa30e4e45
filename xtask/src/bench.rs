//! `cargo xtask bench`: builds the benchmarks for release and runs them.

use crate::{setup, shell, workspace};
use anyhow::Result;
use std::path::PathBuf;

/// What `bench` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only benchmarks whose name contains one of these; `simulate` runs simulated servers with seeded faults instead.
    names: Vec<String>,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// With `simulate`: how many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// With `simulate`: the first of them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// With `simulate`: prints all that happened.
    #[arg(long)]
    history: bool,
}

/// `cargo xtask bench`.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.names == ["simulate"] {
        return simulate(arguments);
    }
    setup::ensure()?;
    shell::step("building for release", || {
        shell::run(workspace::cargo().args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "bench",
            "--package",
            "shim",
        ]))
    })?;
    let mut bench = workspace::cargo();
    bench.args(["run", "--release", "--quiet", "--package", "bench", "--"]).args(&arguments.names);
    if let Some(file) = &arguments.json {
        bench.arg("--json").arg(std::path::absolute(file)?);
    }
    shell::run(&mut bench)
}

/// Servers of the engine under virtual time, with seeded faults.
fn simulate(arguments: &Arguments) -> Result<()> {
    let (seeds, seed) = (arguments.seeds.to_string(), arguments.seed.to_string());
    let mut simulation = workspace::cargo();
    simulation.args(["run", "--quiet", "--package", "simulation", "--", "--seeds", &seeds, "--seed", &seed]);
    if arguments.history {
        simulation.arg("--history");
    }
    shell::run(&mut simulation)
}
