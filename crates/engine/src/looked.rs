//! What is looked for in a session, and parts of what its processes wrote.

use domain::{Payload, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which events are wanted; what is left out does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFilter {
    /// With this in one of their texts, in small or capital letters.
    pub text: Option<String>,
    /// Of this kind, such as `tool_started`.
    pub kind: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
}

impl EventFilter {
    /// The same, ready to be asked of many events.
    pub(crate) fn prepared(&self) -> Self {
        Self { text: self.text.as_ref().map(|text| text.to_lowercase()), ..self.clone() }
    }

    /// Whether an event has all that is wanted; asked of what [`EventFilter::prepared`] gave.
    pub(crate) fn holds(&self, payload: &Payload) -> bool {
        let Ok(value) = serde_json::to_value(payload) else { return false };
        let is = |key: &str, wanted: &str| value.get(key).and_then(Value::as_str) == Some(wanted);
        self.kind.as_ref().is_none_or(|kind| is("type", kind))
            && self.run.is_none_or(|run| is("run", &run.to_string()))
            && self.text.as_ref().is_none_or(|text| says(&value, text))
    }
}

/// Whether one of the texts in it has these words, which are in small letters.
fn says(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => text.to_lowercase().contains(words),
        Value::Array(items) => items.iter().any(|item| says(item, words)),
        Value::Object(fields) => fields.values().any(|item| says(item, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A part of what a process wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPart {
    /// The bytes as text; what is no text is replaced.
    pub text: String,
    /// The offset of the first byte.
    pub from: u64,
    /// The offset after the last byte.
    pub to: u64,
    /// How many bytes there are so far.
    pub size: u64,
}

impl OutputPart {
    /// The part of these bytes that is shown: it neither begins nor ends within a character, and ends with a line when
    /// more comes after it. A line that is longer than the part is cut.
    pub(crate) fn of(bytes: &[u8], from: u64, size: u64) -> Self {
        let is_middle = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        let begin = if from == 0 { 0 } else { bytes.iter().take(3).take_while(is_middle).count() };
        let shown = &bytes[begin..];
        let is_end = from + bytes.len() as u64 >= size;
        let end = if is_end { shown.len() } else { last_line(shown).unwrap_or_else(|| last_character(shown)) };
        let from = from + begin as u64;
        Self { text: String::from_utf8_lossy(&shown[..end]).into_owned(), from, to: from + end as u64, size }
    }
}

/// Where the last line ends.
fn last_line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1)
}

/// Where the last whole character ends; what is none at all is taken along.
fn last_character(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let begins = bytes[tail..].iter().rposition(|byte| *byte >= 0b1100_0000).map(|at| tail + at);
    match begins {
        Some(at) if at > 0 && std::str::from_utf8(&bytes[at..]).is_err_and(|error| error.error_len().is_none()) => at,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{EventPayload, NoteLevel};

    #[test]
    fn an_event_is_found_by_what_it_says_its_kind_and_its_run() {
        let run = RunId(uuid::Uuid::from_u128(7));
        let called = Payload::Known(EventPayload::ToolStarted {
            run,
            call: "c1".to_owned(),
            tool: "Bash".to_owned(),
            kind: domain::ToolKind::Execute,
            title: "cargo test".to_owned(),
            input: serde_json::json!({"command": "cargo test", "more": ["Größe \"quoted\""]}),
        });
        let noted = Payload::Known(EventPayload::Note { level: NoteLevel::Info, text: "cargo".to_owned() });
        let newer = Payload::Unknown(serde_json::json!({"type": "newer", "x": {"y": "cargo"}}));
        let holds = |filter: EventFilter| [&called, &noted, &newer].map(|event| filter.prepared().holds(event));
        let text = |words: &str| EventFilter { text: Some(words.to_owned()), ..EventFilter::default() };
        assert_eq!(holds(EventFilter::default()), [true; 3]);
        assert_eq!(holds(text("CARGO")), [true; 3]);
        assert_eq!(holds(text("GRÖSSE")), [false; 3]);
        assert_eq!(holds(text("GRÖßE \"Q")), [true, false, false]);
        assert_eq!(holds(EventFilter { kind: Some("newer".to_owned()), ..text("cargo") }), [false, false, true]);
        assert_eq!(holds(EventFilter { run: Some(run), ..EventFilter::default() }), [true, false, false]);
        // Names of fields are nothing that anybody said.
        assert_eq!(holds(text("command\":")), [false; 3]);
    }

    #[test]
    fn a_part_of_output_is_cut_between_lines_or_characters_and_loses_nothing() {
        let whole = "eins\nzwei\n".repeat(3) + &"ünïcödé".repeat(20) + "\nend";
        for most in [5, 6, 7, 8, 9, 10, 64] {
            let (mut told, mut from) = (String::new(), 0);
            while from < whole.len() {
                let to = whole.len().min(from + most);
                let part = OutputPart::of(&whole.as_bytes()[from..to], from as u64, whole.len() as u64);
                assert!(part.to > part.from, "{most}: nothing at {from}");
                assert_eq!(part.from, from as u64);
                told += &part.text;
                from = usize::try_from(part.to).expect("small");
            }
            assert_eq!(told, whole);
        }
        let part = OutputPart::of(&"üx\n".as_bytes()[1..], 1, 4);
        assert_eq!((part.text.as_str(), part.from, part.to), ("x\n", 2, 4));
        let part = OutputPart::of(&[0xff, 0x80, 0x80, 0x80, b'a'], 0, 9);
        assert_eq!((part.text.chars().count(), part.to), (5, 5));
    }
}
