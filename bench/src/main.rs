//! Benchmarks: how much what Runyard adds costs, as a ratio to the same work without Runyard.
//!
//! Machines differ and drift, so a number by itself says little: each row measures ours and its anchor in one run, turn
//! by turn, and what counts is the ratio of their medians.
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod document;
mod lines;
mod machine;
mod masking;
mod measure;
mod output;
mod picture;
mod postgres;
mod queue;
mod record;
mod recovery;
mod room;
mod start;
mod tree;
mod viewers;
mod way_out;

use anyhow::{Context as _, Result};
use clap::Parser;
use machine::Machine;
use measure::Row;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Measures Runyard against what one would use without it.
#[derive(Parser)]
struct Arguments {
    /// Only benchmarks whose name contains one of these.
    names: Vec<String>,
    /// Fewer repetitions: about a minute instead of five.
    #[arg(long)]
    quick: bool,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draws the results into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How many lines `lines` sends; a multiple of its slices.
    #[arg(long, default_value_t = 10_000_000)]
    lines: u64,
    /// In how many slices.
    #[arg(long, default_value_t = 10)]
    slices: u64,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    quick: bool,
}

impl Effort {
    /// `full` repetitions, or a fifth of them.
    pub fn repetitions(self, full: usize) -> usize {
        if self.quick { (full / 5).max(3) } else { full }
    }
}

/// Everything that came of a run.
#[derive(Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// True when it was measured with fewer repetitions.
    pub quick: bool,
    /// What was measured.
    pub rows: Vec<Row>,
    /// What could not be measured here, and why.
    pub left_out: Vec<LeftOut>,
}

/// A benchmark that could not be run.
#[derive(Serialize)]
pub struct LeftOut {
    /// Which.
    pub name: &'static str,
    /// Why.
    pub why: String,
}

impl Report {
    fn take(&mut self, name: &'static str, measured: Result<Vec<Row>>) {
        match measured {
            Ok(rows) => {
                for row in rows {
                    println!("{row}");
                    self.rows.push(row);
                }
            }
            Err(error) => {
                let why = format!("{error:#}");
                println!("{name:<26} left out: {why}");
                self.left_out.push(LeftOut { name, why });
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Not a benchmark: the server that two of them look at.
    if arguments.names == ["viewers-server"] {
        return viewers::serve().await;
    }
    let wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|part| name.contains(part));
    let effort = Effort { quick: arguments.quick };
    let begun = Instant::now();
    let machine = Machine::watch().await;
    if !machine.quiet {
        println!("this machine is busy ({:.0} % idle): the ratios are not to be believed", machine.idle * 100.0);
    }
    if !machine.optimised {
        println!("this is a build without optimisation: the ratios are not to be believed");
    }
    println!("{}", Row::headings());
    let mut report = Report { machine, quick: arguments.quick, rows: Vec::new(), left_out: Vec::new() };
    macro_rules! measure {
        ($($name:literal => $measured:expr;)*) => {$(
            if wanted($name) {
                report.take($name, $measured.await);
            }
        )*};
    }
    measure! {
        "runbook" => async { document::parse() };
        "sandbox" => room::all(effort);
        "workspace" => tree::ready(effort);
        "output" => output::stream(effort);
        "store" => record::append(effort);
        "queue" => queue::all(effort);
        "recovery" => recovery::first_claim(effort);
        "egress" => way_out::requests(effort);
        "redaction" => async { masking::redact(effort) };
        "server" => start::server(effort);
        "viewers" => viewers::messages(effort);
        "page" => viewers::page(effort);
    }
    // A test at length rather than a benchmark: only when it is asked for.
    if arguments.names.iter().any(|name| name == "lines") {
        let outcome = lines::all(arguments.lines, arguments.slices).await?;
        report.take("lines", Ok(vec![outcome.row]));
        let rate = u128::from(outcome.lines) * 1000 / outcome.took.as_millis().max(1);
        println!(
            "  {} lines through one sandbox, each once and in order: {rate} lines/s in {:.1} s; {} readers were dropped",
            outcome.lines,
            outcome.took.as_secs_f64(),
            outcome.dropped
        );
    }
    anyhow::ensure!(
        !report.rows.is_empty() || !report.left_out.is_empty(),
        "no benchmark is called {}; there are runbook, sandbox, workspace, output, store, queue, recovery, egress, \
         redaction, server, viewers, page, lines",
        arguments.names.join(", ")
    );
    let met = report.rows.iter().filter(|row| row.met).count();
    println!("{met} of {} goals met, in {:.0} s", report.rows.len(), begun.elapsed().as_secs_f64());
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text + "\n").with_context(|| format!("failed to write {}", file.display()))?;
    }
    if let Some(file) = &arguments.svg {
        std::fs::write(file, picture::draw(&report)).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}
