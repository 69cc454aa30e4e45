//! `cargo xtask bench`: builds the benchmarks for release and runs them.

use crate::{setup, shell, workspace};
use anyhow::Result;
use std::path::PathBuf;

/// What `bench` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only benchmarks whose name contains one of these.
    names: Vec<String>,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// `cargo xtask bench`.
pub fn run(arguments: &Arguments) -> Result<()> {
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
