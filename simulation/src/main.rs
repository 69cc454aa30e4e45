//! Runs many simulations, and says how to repeat one that went wrong.
#![expect(clippy::print_stdout, reason = "what came of it is the result")]

use anyhow::Result;
use clap::Parser;
use simulation::world::{Outcome, Plan, many};
use std::{
    io::Write as _,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// From so many seeds on, everything must have been met.
const ENOUGH: u64 = 2000;

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
    let failed = AtomicU64::new(0);
    let each = |seed: u64, outcome: &Outcome| {
        // One lock for all that is said of a seed, since several run at once.
        let mut out = std::io::stdout().lock();
        let mut said = || -> std::io::Result<()> {
            if arguments.history {
                for (at, fact) in &outcome.history {
                    writeln!(out, "{:>10.3} {fact:?}", at.as_secs_f64())?;
                }
                writeln!(out, "history {}", outcome.hash)?;
            }
            for violation in &outcome.violations {
                writeln!(out, "seed {seed}: {violation}")?;
            }
            if !outcome.violations.is_empty() {
                failed.fetch_add(1, Ordering::Relaxed);
                writeln!(out, "again: cargo xtask bench simulate --seeds 1 --seed {seed} --history")?;
            }
            Ok(())
        };
        // Who closed the pipe does not want to hear more.
        let _ = said();
    };
    let seeds = arguments.seed..arguments.seed + arguments.seeds;
    let met = many(seeds, Plan::new, &tools, each)?;
    let failed = failed.into_inner();
    println!("met: {met}");
    println!("{} seeds in {:.1} s, {failed} with violations", arguments.seeds, began.elapsed().as_secs_f64());
    let unmet = if arguments.seeds >= ENOUGH { met.unmet() } else { Vec::new() };
    if !unmet.is_empty() {
        println!("nothing was shown about {}: never met", unmet.join(", "));
    }
    Ok(if failed == 0 && unmet.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
