//! Runs many simulations, and says how to repeat one that went wrong.
#![expect(clippy::print_stdout, reason = "what came of it is the result")]

use anyhow::Result;
use clap::Parser;
use simulation::world::{Outcome, Plan};
use std::{process::ExitCode, time::Instant};

/// Simulates servers of the engine under virtual time, with seeded faults.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Prints all that happened.
    #[arg(long)]
    history: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let dir = tempfile::tempdir()?;
    let tools = simulation::world::tools(dir.path())?;
    let mut failed = 0_u64;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let Outcome { hash, history, violations } = simulation::world::run(Plan::new(seed), &tools)?;
        if arguments.history {
            for (at, fact) in &history {
                println!("{:>10.3} {fact:?}", at.as_secs_f64());
            }
            println!("history {hash}");
        }
        for violation in &violations {
            println!("seed {seed}: {violation}");
        }
        if !violations.is_empty() {
            failed += 1;
            println!("again: cargo xtask bench simulate --seeds 1 --seed {seed} --history");
        }
    }
    println!("{} seeds in {:.1} s, {failed} with violations", arguments.seeds, began.elapsed().as_secs_f64());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
