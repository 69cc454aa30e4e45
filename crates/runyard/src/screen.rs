//! Where output goes: lines on standard output, and a status line below them on a terminal.

use crate::render::Style;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{self, Write},
    time::Duration,
};

/// Standard output with a status line.
pub struct Screen {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// None when there is no terminal.
    status: Option<Status>,
    broken: bool,
}

struct Status {
    template: &'static str,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// A screen that writes to `out` and `err`, with a status line on standard error when `live`.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, live: bool, style: Style) -> Self {
        let template = if style.colours { "{spinner:.cyan} {wide_msg:.dim}" } else { "{spinner} {wide_msg}" };
        Self { out, err, status: live.then_some(Status { template, bar: None }), broken: false }
    }

    /// True when nobody reads any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Prints lines.
    pub fn lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) {
        let mut text = String::new();
        for line in lines {
            text.push_str(line.as_ref());
            text.push('\n');
        }
        self.text(&text);
    }

    /// Prints one line.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.lines([line]);
    }

    /// Prints text as it is.
    pub fn text(&mut self, text: &str) {
        if text.is_empty() || self.broken {
            return;
        }
        let out = &mut self.out;
        let written = suspended(self.status.as_ref(), || out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        self.broken = written.is_err();
    }

    /// Prints a JSON document, with line breaks for people who read it.
    pub fn json(&mut self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(error) => self.note(&format!("error: failed to write JSON: {error}")),
        }
    }

    /// Prints a line to standard error.
    pub fn note(&mut self, line: &str) {
        let err = &mut self.err;
        // There is no one left to tell when this fails.
        let _ = suspended(self.status.as_ref(), || writeln!(err, "{line}").and_then(|()| err.flush()));
    }

    /// Shows a status line, or takes it away.
    pub fn status(&mut self, message: Option<String>) {
        let Some(status) = &mut self.status else { return };
        match message {
            None => {
                if let Some(bar) = status.bar.take() {
                    bar.finish_and_clear();
                }
            }
            Some(message) => {
                let template = status.template;
                let bar = status.bar.get_or_insert_with(|| {
                    let bar = ProgressBar::new_spinner();
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style.tick_chars("◐◓◑◒◐"));
                    }
                    bar.enable_steady_tick(Duration::from_millis(120));
                    bar
                });
                bar.set_message(message);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.status(None);
    }
}

fn suspended(status: Option<&Status>, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match status.and_then(|status| status.bar.as_ref()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
