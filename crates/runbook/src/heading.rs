//! What one heading line says: number, tags, title.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::number::StepNumber;

/// What a heading may say about its step before the title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tag {
    /// `[NO-CODE-CHANGE]`: finishes without a change.
    #[serde(alias = "NO-CODE-CHANGE")]
    NoCodeChange,
    /// `[CONDITIONAL]`: the agent decides by the bold condition line.
    #[serde(alias = "CONDITIONAL")]
    Conditional,
    /// `[MANUAL]`: a person marks it done.
    #[serde(alias = "MANUAL")]
    Manual,
}

impl Tag {
    /// Every tag.
    pub const ALL: [Self; 3] = [Self::NoCodeChange, Self::Conditional, Self::Manual];

    /// The word between the brackets.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoCodeChange => "NO-CODE-CHANGE",
            Self::Conditional => "CONDITIONAL",
            Self::Manual => "MANUAL",
        }
    }
}

/// The text of an ATX heading: its level and where its words are (without `#`, spaces and a closing run of `#`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Atx {
    pub(crate) level: u8,
    pub(crate) text: Range<usize>,
}

/// Reads one line (without line ending) as an ATX heading; `None` for anything else.
/// Rules: <https://spec.commonmark.org/0.31.2/#atx-headings>.
pub(crate) fn read_atx(line: &str) -> Option<Atx> {
    let blank = |c: char| c == ' ' || c == '\t';
    let indent = line.len() - line.trim_start_matches(' ').len();
    let marks = line[indent..].bytes().take_while(|b| *b == b'#').count();
    let rest = &line[indent + marks..];
    if indent > 3 || !(1..=6).contains(&marks) || !(rest.is_empty() || rest.starts_with(blank)) {
        return None;
    }
    let start = line.len() - rest.trim_start_matches(blank).len();
    let mut end = start.max(line.trim_end_matches(blank).len());
    let unclosed = line[start..end].trim_end_matches('#').len() + start;
    if unclosed == start || line[..unclosed].ends_with(blank) {
        end = start.max(line[..unclosed].trim_end_matches(blank).len());
    }
    Some(Atx { level: u8::try_from(marks).ok()?, text: start..end })
}

/// A heading's text read as that of a step. Ranges are within the text given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepHeading {
    pub(crate) number: StepNumber,
    /// The digits and dots.
    pub(crate) number_range: Range<usize>,
    /// Whether the word `Step` stands before the number.
    pub(crate) keyword: bool,
    pub(crate) tags: Vec<Tag>,
    /// From the first tag (or the title) to the end.
    pub(crate) label_range: Range<usize>,
    pub(crate) title_range: Range<usize>,
}

/// Reads a heading's text as a step's: `Step N: T`, `N: T`, `N. T`, `N) T`, `N.M: T`, `N.M.K: T` or a bare number.
pub(crate) fn read_step(text: &str) -> Option<StepHeading> {
    let (keyword, start) = number_start(text);
    let run = text[start..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let digits = text[start..start + run].trim_end_matches('.');
    let end = start + digits.len();
    let number: StepNumber = digits.parse().ok()?;
    let after = &text[end..];
    let separator = match after.chars().next() {
        None => 0,
        Some(':' | ')' | '.') if after.len() == 1 || after[1..].starts_with([' ', '\t']) => 1,
        // `Step 1:Title` is unmistakable; `1:30` is a time of day.
        Some(':') if keyword => 1,
        Some(' ' | '\t') if after.trim().is_empty() => 0,
        Some(_) => return None,
    };
    let label = skip_blank(text, end + separator);
    let (tags, title) = read_tags(text, label);
    Some(StepHeading {
        number,
        number_range: start..end,
        keyword,
        tags,
        label_range: label..text.len(),
        title_range: title..text.len(),
    })
}

/// Whether a heading looks as if a step was meant, though [`read_step`] does not take it for one.
pub(crate) fn resembles_step(text: &str) -> bool {
    let (keyword, start) = number_start(text);
    let run = &text[start..start + text[start..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count()];
    run.starts_with(|c: char| c.is_ascii_digit()) && (keyword || run.trim_end_matches('.').contains('.'))
}

/// Reads the tags at `from`; answers them and where the title starts.
pub(crate) fn read_tags(text: &str, from: usize) -> (Vec<Tag>, usize) {
    let mut at = from;
    let mut tags = Vec::new();
    while let Some(tag) = Tag::ALL.into_iter().find(|t| bracketed(&text[at..]) == Some(t.word())) {
        tags.push(tag);
        at = skip_blank(text, at + tag.word().len() + 2);
    }
    (tags, at)
}

/// The word in brackets at the start of `text`, unless it is a link.
pub(crate) fn bracketed(text: &str) -> Option<&str> {
    let (word, rest) = text.strip_prefix('[')?.split_once(']')?;
    (!rest.starts_with(['(', '['])).then_some(word)
}

fn number_start(text: &str) -> (bool, usize) {
    let keyword = text.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("step")) && text[4..].starts_with([' ', '\t']);
    (keyword, if keyword { skip_blank(text, 4) } else { 0 })
}

fn skip_blank(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Option<(String, &str)> {
        read_step(text).map(|s| (s.number.to_string(), &text[s.title_range]))
    }

    #[test]
    fn atx_headings_as_commonmark_says() {
        let words = |line: &'static str| read_atx(line).map(|h| (h.level, &line[h.text]));
        assert_eq!(words("### Step 1: a ###  "), Some((3, "Step 1: a")));
        assert_eq!(words("   # C#"), Some((1, "C#")));
        assert_eq!(words("##"), Some((2, "")));
        assert_eq!(words("### ###"), Some((3, "")));
        assert_eq!(words("#\ta"), Some((1, "a")));
        assert_eq!(words("    # a"), None);
        assert_eq!(words("#a"), None);
        assert_eq!(words("####### a"), None);
    }

    #[test]
    fn every_written_form_of_a_step() {
        for (text, number, title) in [
            ("Step 1: T", "1", "T"),
            ("step 2: T", "2", "T"),
            ("Step 3:T", "3", "T"),
            ("4: T", "4", "T"),
            ("5. T", "5", "T"),
            ("6) T", "6", "T"),
            ("1.1: T", "1.1", "T"),
            ("1.1. T", "1.1", "T"),
            ("1.2.3: T", "1.2.3", "T"),
            ("Step 1.1: T", "1.1", "T"),
            ("7", "7", ""),
            ("1.4", "1.4", ""),
            ("Step 8", "8", ""),
            ("9:", "9", ""),
            ("1.1: [NO-CODE-CHANGE] [MANUAL] T", "1.1", "T"),
            ("1.1: [DRAFT] T", "1.1", "[DRAFT] T"),
            ("1.1: [MANUAL](x) T", "1.1", "[MANUAL](x) T"),
        ] {
            assert_eq!(step(text), Some((number.to_owned(), title)), "{text}");
        }
        for text in [
            "",
            "Step",
            "Steps 1: T",
            "Step one: T",
            "2024 roadmap",
            "3 ways",
            "1.1 T",
            "1:30 pm",
            "1..2: T",
            "v1: T",
            "1.x: T",
            "１: T",
        ] {
            assert_eq!(step(text), None, "{text}");
        }
    }

    #[test]
    fn near_misses_are_known() {
        assert!(resembles_step("1.1 T") && resembles_step("Step 3 - T"));
        assert!(!resembles_step("2024 roadmap") && !resembles_step("Step by step"));
    }
}
