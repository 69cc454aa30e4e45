//! The audit log for other programs: one entry a line.

use crate::time;
use domain::{AuditEntry, Deed};
use serde::Serialize;
use std::fmt::Write as _;

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    /// One JSON object a line. It holds everything that was hashed, byte for byte.
    Ndjson,
    /// A table for people (RFC 4180).
    Csv,
}

const HEADINGS: [&str; 11] =
    ["number", "time", "kind", "actor", "via", "address", "action", "target", "outcome", "details", "hash"];

impl AuditFormat {
    /// What stands before the first entry.
    pub fn head(self) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => row(HEADINGS.map(str::to_owned)),
        }
    }

    /// One entry with the end of its line.
    pub fn line(self, entry: &AuditEntry) -> String {
        // What cannot be read is written out all the same, so that it can be looked at.
        let deed: Result<Deed, _> = serde_json::from_str(&entry.deed);
        match (self, deed) {
            (Self::Ndjson, Ok(deed)) => {
                let (number, time, hash) = (entry.number, time::rfc3339(deed.at), entry.hash);
                format!("{{\"number\":{number},\"time\":\"{time}\",\"hash\":\"{hash}\",\"deed\":{}}}\n", entry.deed)
            }
            (Self::Ndjson, Err(_)) => {
                let text = serde_json::Value::String(entry.deed.clone());
                format!("{{\"number\":{},\"hash\":\"{}\",\"unreadable\":{text}}}\n", entry.number, entry.hash)
            }
            (Self::Csv, Ok(deed)) => {
                let mut details = String::new();
                for (name, value) in &deed.details {
                    let between = if details.is_empty() { "" } else { "; " };
                    let _ = write!(details, "{between}{name}={value}");
                }
                row([
                    entry.number.to_string(),
                    time::rfc3339(deed.at),
                    word(&deed.kind),
                    deed.actor,
                    word(&deed.via),
                    deed.address.unwrap_or_default(),
                    deed.action,
                    deed.target,
                    word(&deed.outcome),
                    details,
                    entry.hash.to_string(),
                ])
            }
            (Self::Csv, Err(_)) => {
                let mut cells = HEADINGS.map(|_| String::new());
                (cells[0], cells[9], cells[10]) =
                    (entry.number.to_string(), entry.deed.clone(), entry.hash.to_string());
                row(cells)
            }
        }
    }
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn row<const N: usize>(cells: [String; N]) -> String {
    let cells = cells.map(|cell| cell_of(&cell));
    format!("{}\r\n", cells.join(","))
}

/// A cell on one line that no table program takes for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>): an apostrophe in front makes it a text.
fn cell_of(text: &str) -> String {
    let text = text.replace(['\r', '\n'], " ");
    let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let formula = begins.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '|', '%']) || text.starts_with('\t');
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AuditHash, DoerKind, Outcome, Timestamp, Via};
    use std::collections::BTreeMap;

    fn entry(actor: &str, target: &str) -> AuditEntry {
        let deed = Deed {
            at: Timestamp(1_764_306_000_123_456),
            kind: DoerKind::Stranger,
            actor: actor.to_owned(),
            via: Via::Page,
            address: None,
            action: "sign_in".to_owned(),
            target: target.to_owned(),
            outcome: Outcome::Refused,
            details: BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]),
        };
        AuditEntry { number: 7, deed: serde_json::to_string(&deed).expect("JSON"), hash: AuditHash::BEGINNING }
    }

    #[test]
    fn a_table_program_runs_nothing_and_splits_nothing() {
        for (text, cell) in [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" \t=1", "\"' \t=1\""),
            ("\r=1", "\"' =1\""),
            ("＝1", "\"'＝1\""),
            ("ada@x", "\"ada@x\""),
            ("a\",=1", "\"a\"\",=1\""),
            ("a\n=1", "\"a =1\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell_of(text), cell, "{text:?}");
        }
        let line = AuditFormat::Csv.line(&entry("=cmd|'/c calc'!A0", "x,y"));
        let hash = "0".repeat(64);
        assert_eq!(
            line,
            format!(
                "\"7\",\"2025-11-28T05:00:00.123Z\",\"stranger\",\"'=cmd|'/c calc'!A0\",\"page\",\"\",\"sign_in\",\"x,y\",\
                 \"refused\",\"a=1; b=2\",\"{hash}\"\r\n"
            )
        );
        assert_eq!(AuditFormat::Csv.head().matches(',').count(), 10);
    }

    #[test]
    fn a_line_of_json_holds_what_was_hashed_byte_for_byte() {
        let entry = entry("a\"b\u{2028}", "x");
        let line = AuditFormat::Ndjson.line(&entry);
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1 && line.contains(&entry.deed), "{line}");
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
        let odd = AuditEntry { deed: "no\ndeed".to_owned(), ..entry };
        let line = AuditFormat::Ndjson.line(&odd);
        assert!(line.matches('\n').count() == 1 && serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
}
