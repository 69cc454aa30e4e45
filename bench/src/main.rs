//! Benchmarks: how much what Runyard adds costs, as a ratio to the same work without Runyard.
//!
//! Machines differ and drift, so a number by itself says little: each row measures ours and its anchor in one run, turn
//! by turn, and what counts is the ratio of their medians.
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod document;
mod lines;
mod measure;
mod record;
mod room;

use anyhow::{Context as _, Result};
use clap::Parser;
use measure::Row;
use std::path::PathBuf;

/// Measures Runyard against what one would use without it.
#[derive(Parser)]
struct Arguments {
    /// Only benchmarks whose name contains one of these.
    names: Vec<String>,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many lines `lines` sends; a multiple of its slices.
    #[arg(long, default_value_t = 10_000_000)]
    lines: u64,
    /// In how many slices.
    #[arg(long, default_value_t = 10)]
    slices: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|part| name.contains(part));
    let mut rows = Vec::new();
    println!("{}", Row::headings());
    if wanted("runbook") {
        shown(&mut rows, document::parse()?);
    }
    if wanted("sandbox") {
        for row in room::all().await? {
            shown(&mut rows, row);
        }
    }
    if wanted("lines") {
        let outcome = lines::all(arguments.lines, arguments.slices).await?;
        shown(&mut rows, outcome.row);
        let rate = u128::from(outcome.lines) * 1000 / outcome.took.as_millis().max(1);
        println!(
            "  {} lines through one sandbox, each once and in order: {rate} lines/s in {:.1} s; {} readers were dropped",
            outcome.lines,
            outcome.took.as_secs_f64(),
            outcome.dropped
        );
    }
    if wanted("store") {
        for row in record::append().await? {
            shown(&mut rows, row);
        }
    }
    anyhow::ensure!(
        !rows.is_empty(),
        "no benchmark is called {}; there are runbook, sandbox, lines, store",
        arguments.names.join(", ")
    );
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&rows)?;
        std::fs::write(file, text + "\n").with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}

fn shown(rows: &mut Vec<Row>, row: Row) {
    println!("{row}");
    rows.push(row);
}
