//! Redaction of output: how much of a processor it takes.

use crate::Effort;
use crate::measure::{Comparison, Goal, Row, Series};
use anyhow::{Result, ensure};
use secrets::{Redactor, Secret};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

const SIZE: usize = 8 << 20;
const CHUNK: usize = 64 * 1024;
/// At most a tenth of a processor at 50 MB/s.
const LIMIT_MB_S: f64 = 500.0;

pub fn redact(effort: Effort) -> Result<Vec<Row>> {
    let secrets = ["sk-ant-api03-made-up-made-up-0123456789", "ghp_made_up_made_up_0123456789abcdef"].map(Secret::new);
    let redactor = Redactor::new(&secrets);
    let mut text = String::with_capacity(SIZE + 200);
    for line in 0.. {
        writeln!(text, "line {line}: compiling crate number {} of many, warnings: {}", line % 997, line % 7)?;
        if text.len() >= SIZE {
            break;
        }
    }
    let mut ours = Series::default();
    for _ in 0..effort.repetitions(20) {
        let mut stream = redactor.stream();
        let (mut out, start) = (0, Instant::now());
        for chunk in text.as_bytes().chunks(CHUNK) {
            out += black_box(stream.push(chunk)).len();
        }
        out += stream.finish().len();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        ours.push(text.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
        ensure!(out == text.len(), "text without secrets was altered");
    }
    let row = Comparison {
        name: "redaction/stream",
        anchor: "the limit: a tenth of a processor at 50 MB/s",
        unit: "MB/s",
        goal: Goal::AtLeast(1.0),
    };
    Ok(vec![row.with(&ours, LIMIT_MB_S)])
}
