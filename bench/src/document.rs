//! Reading a runbook of 1 MiB, against the Markdown parser underneath alone.

use crate::measure::{Comparison, Goal, Row, Series};
use anyhow::{Result, ensure};
use pulldown_cmark::Parser;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

const SIZE: usize = 1 << 20;
const REPETITIONS: usize = 25;

pub fn parse() -> Result<Vec<Row>> {
    let text = runbook()?;
    let steps = runbook::Document::parse(text.clone()).leaves().len();
    ensure!(steps > 1000, "the document has only {steps} leaves");
    let (mut ours, mut anchor) = (Series::default(), Series::default());
    for _ in 0..REPETITIONS {
        let copy = text.clone();
        let start = Instant::now();
        black_box(runbook::Document::parse(copy));
        ours.add(start.elapsed());
        let start = Instant::now();
        black_box(Parser::new(&text).into_offset_iter().count());
        anchor.add(start.elapsed());
    }
    let row =
        Comparison { name: "runbook/parse-1MiB", anchor: "pulldown-cmark alone", unit: "ms", goal: Goal::AtMost(3.0) };
    Ok(vec![row.of(&ours, &anchor)])
}

fn runbook() -> Result<String> {
    let mut text = String::from("# Runbook: Long\n\nContext for {{NAME}}.\n\n## Execution Steps\n");
    for step in 1.. {
        write!(
            text,
            "\n### Step {step}: Do part {step}\nContext with `code`, a [link](https://example.com) and **weight**.\n"
        )?;
        for substep in 1..=4 {
            write!(
                text,
                "\n#### {step}.{substep}: Do piece {substep} of part {step}\n- one thing in `src/{step}.rs`\n- another thing\n"
            )?;
            write!(
                text,
                "\n```runnable bash check name=c{step}x{substep} timeout=30s\ngrep -q piece src/{step}.rs\n```\n"
            )?;
        }
        if text.len() >= SIZE {
            break;
        }
    }
    Ok(text)
}
