//! The server's log: to standard error for `serve` and with `-v`, else to `DATA/runyard.log`.
//!
//! Every record passes [`Records`], whoever wrote it: what is known to be secret is masked, and a record is one line.

use crate::{
    config::{Config, LogFormat},
    exit::Failure,
};
use secrets::{Known, without_userinfo};
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    panic,
};
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// A log file beyond this is begun anew; the one before is kept as `runyard.log.1`.
const LARGEST: u64 = 16 << 20;

/// Starts to log. A second call changes nothing.
pub fn start(config: &Config, command: &str, verbose: u8, known: &Known) -> Result<(), Failure> {
    let filter: Targets =
        config.values.log.0.parse().map_err(|error| Failure::usage(format!("`log` is no filter: {error}")))?;
    let format = config.values.log_format;
    if command == "serve" || verbose > 0 {
        let layer = layer(Records { known: known.clone(), format, to: io::stderr });
        // Only tests start twice in one process.
        let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
        return Ok(());
    }
    let path = config.data_dir.join("runyard.log");
    let failed = |error| Failure::environment(format!("failed to open {}: {error}", path.display()));
    if path.metadata().is_ok_and(|found| found.len() > LARGEST) {
        std::fs::rename(&path, path.with_extension("log.1")).map_err(failed)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    let file = std::sync::Arc::new(file);
    let records = Records { known: known.clone(), format, to: move || file.clone() };
    let layer = layer(records);
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Ok(())
}

/// What writes records, one line each.
fn layer<S, F, W>(records: Records<F>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn() -> W + Send + Sync + 'static,
    W: Write + 'static,
{
    match records.format {
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(records).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(records).boxed(),
    }
}

/// A panic is told like everything else: masked, to standard error and to the log.
pub fn tell_panics(known: &Known) {
    let known = known.clone();
    panic::set_hook(Box::new(move |info| {
        let said = info.payload_as_str().unwrap_or("it does not say why");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let mut text = safe(&format!("runyard panicked at {place}: {said}"), &known);
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = write!(text, "\n{trace}");
        }
        // There is no one left to tell when this fails.
        let _ = writeln!(io::stderr(), "{text}");
        tracing::error!("{text}");
    }));
}

/// A text for a person or a log, without what is known to be secret and without credentials in addresses.
pub fn safe(text: &str, known: &Known) -> String {
    known.redactor().redact_text(&without_userinfo(text))
}

/// Where records go, each through a [`Record`].
struct Records<F> {
    known: Known,
    format: LogFormat,
    to: F,
}

impl<'w, W: Write, F: Fn() -> W> MakeWriter<'w> for Records<F> {
    type Writer = Record<W>;

    fn make_writer(&'w self) -> Record<W> {
        Record { known: self.known.clone(), format: self.format, to: (self.to)(), text: Vec::new() }
    }
}

/// One record: written whole, when all of it is there.
struct Record<W: Write> {
    known: Known,
    format: LogFormat,
    to: W,
    text: Vec<u8>,
}

impl<W: Write> Write for Record<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Record<W> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            let text = String::from_utf8_lossy(&self.text);
            let line = one_line(&safe(text.trim_end_matches('\n'), &self.known), self.format);
            // A log that cannot be written must not stop the work.
            let _ = self.to.write_all(line.as_bytes());
        }
    }
}

/// The record as one line that a terminal and every reader of lines takes for one: whatever could end it, move the cursor
/// or change the order of what is read is escaped.
fn one_line(record: &str, format: LogFormat) -> String {
    let mut line = String::with_capacity(record.len() + 1);
    for c in record.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers && c != '\t' {
            match format {
                LogFormat::Text => line.extend(c.escape_default()),
                LogFormat::Json => line.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            }
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use secrets::Secret;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_is_one_line_without_secrets_whatever_is_in_its_fields() {
        let (kept, known) = (Kept::default(), Known::nothing());
        let (to, records) = (kept.clone(), known.clone());
        let layer = layer(Records { known: records, format: LogFormat::Text, to: move || to.clone() });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            known.learn([&Secret::new("tok_9f86d081884c7d65")]);
            tracing::info!(field = "tok_9f86d081884c7d65", "it is tok_9f86d081884c7d65");
            let forged = "a\n{\"level\":\"error\"}\r\u{1b}[31m\u{2028}2026-01-01 ERROR \u{202e}";
            tracing::warn!(debug = ?forged, display = %forged, "{forged}");
            tracing::error!("failed to clone https://u:p4ss@example.org/x.git");
        });
        let text = String::from_utf8(kept.0.lock().clone()).expect("text");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains("9f86d081884c") && !text.contains("p4ss"), "{text}");
        assert!(text.matches(secrets::MASK).count() == 3, "{text}");
        assert!(!text.contains(['\r', '\u{1b}', '\u{2028}', '\u{202e}']), "{text}");
    }

    #[test]
    fn a_record_in_json_is_one_object_without_secrets_that_names_its_request() {
        let (kept, known) = (Kept::default(), Known::nothing());
        let (to, records) = (kept.clone(), known.clone());
        let layer = layer(Records { known: records, format: LogFormat::Json, to: move || to.clone() });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            known.learn([&Secret::new("tok_9f86d081884c7d65")]);
            let _request = tracing::info_span!("request", id = "4711").entered();
            tracing::warn!(said = "a\n\"}\u{2028}tok_9f86d081884c7d65", "it is told");
        });
        let text = String::from_utf8(kept.0.lock().clone()).expect("text");
        assert!(text.lines().count() == 1 && !text.contains("9f86d081884c"), "{text}");
        let record: serde_json::Value = serde_json::from_str(&text).expect("an object");
        assert_eq!(record["said"], format!("a\n\"}}\u{2028}{}", secrets::MASK));
        assert_eq!((&record["level"], &record["message"]), (&"WARN".into(), &"it is told".into()));
        assert_eq!(record["span"]["id"], "4711");
    }
}
