//! `cargo xtask bench`: builds the benchmarks for release and runs them.

use crate::{setup, shell, workspace};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// Where the benchmarks look for the programs that they compare with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What `bench` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only benchmarks whose name contains one of these; `simulate` runs simulated servers with seeded faults instead,
    /// `crash` the real ones.
    names: Vec<String>,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draws the results into this file, as SVG; the one of the guide is `docs/benchmarks.svg`.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Fewer repetitions: about a minute instead of five.
    #[arg(long)]
    quick: bool,
    /// With `simulate`: how many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// With `simulate` and `crash`: the first of them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// With `simulate` and `crash`: prints all that happened.
    #[arg(long)]
    history: bool,
    /// With `lines`: how many lines go through one sandbox.
    #[arg(long, default_value_t = 10_000_000)]
    lines: u64,
    /// With `lines`: in how many slices.
    #[arg(long, default_value_t = 10)]
    slices: u64,
    #[command(flatten)]
    crash: Crash,
}

/// What `bench crash` can be told on top.
#[derive(clap::Args)]
#[command(next_help_heading = "With `crash`")]
struct Crash {
    /// Goes on until so many processes were killed.
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// So many of the kills at least with the real Claude Code.
    #[arg(long, default_value_t = 50)]
    real_claude: u64,
    /// So many cases instead of so many kills.
    #[arg(long)]
    cases: Option<u64>,
    /// The case that goes for this point only.
    #[arg(long)]
    point: Option<String>,
    /// How many cases are played at once.
    #[arg(long, default_value_t = 2)]
    worlds: u64,
    /// Keeps the data of cases in which something is wrong.
    #[arg(long)]
    keep: bool,
    /// Switches these defects on, separated by commas (docs/faults.md).
    #[arg(long)]
    plant: Option<String>,
}

/// `cargo xtask bench`.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.names == ["simulate"] {
        return simulate(arguments);
    }
    if arguments.names == ["crash"] {
        return crash(arguments);
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
            "runyard",
            "--package",
            "shim",
        ]))
    })?;
    // Nothing of this environment: a variable that some library looks at may change a figure tenfold.
    let mut bench = Command::new(workspace::target_dir()?.join("release/bench"));
    bench.args(&arguments.names).current_dir(workspace::root()).env_clear().env("PATH", PATH);
    for (flag, file) in [("--json", &arguments.json), ("--svg", &arguments.svg)] {
        if let Some(file) = file {
            bench.arg(flag).arg(std::path::absolute(file)?);
        }
    }
    bench.args(["--lines", &arguments.lines.to_string(), "--slices", &arguments.slices.to_string()]);
    if arguments.quick {
        bench.arg("--quick");
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

/// The real programs, killed, hung and failed by seed.
fn crash(arguments: &Arguments) -> Result<()> {
    setup::ensure()?;
    let told = &arguments.crash;
    shell::step("building", || {
        shell::run(workspace::cargo().args(["build", "--quiet", "--package", "faults", "--bins"]))
    })?;
    let mut faults = workspace::cargo();
    faults.args(["run", "--quiet", "--package", "faults", "--"]);
    let real = if told.cases.is_some() && told.real_claude == 50 { 0 } else { told.real_claude };
    for (flag, value) in
        [("--seed", arguments.seed), ("--kills", told.kills), ("--real-claude", real), ("--worlds", told.worlds)]
    {
        faults.args([flag, &value.to_string()]);
    }
    if let Some(cases) = told.cases {
        faults.args(["--cases", &cases.to_string()]);
    }
    for (flag, value) in [("--point", &told.point), ("--plant", &told.plant)] {
        if let Some(value) = value {
            faults.args([flag, value]);
        }
    }
    for (flag, wanted) in [("--history", arguments.history), ("--keep", told.keep)] {
        if wanted {
            faults.arg(flag);
        }
    }
    if let Some(file) = &arguments.json {
        faults.arg("--json").arg(std::path::absolute(file)?);
    }
    shell::run(&mut faults)
}
