//! Replacing ranges of a text.

use std::ops::Range;

/// A range of the old text and what stands there afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// Applies splices that do not overlap; answers the new text and where each splice's text is in it.
pub(super) fn apply(text: &str, mut splices: Vec<Splice>) -> (String, Vec<Range<usize>>) {
    splices.sort_by_key(|s| (s.range.start, s.range.end));
    let mut out = String::with_capacity(text.len());
    let mut places = Vec::with_capacity(splices.len());
    let mut copied = 0;
    for splice in splices {
        out.push_str(&text[copied..splice.range.start]);
        let start = out.len();
        out.push_str(&splice.text);
        places.push(start..out.len());
        copied = splice.range.end;
    }
    out.push_str(&text[copied..]);
    (out, places)
}

/// The line ending that a text uses: that of its first line.
pub(super) fn line_ending(text: &str) -> &'static str {
    let first = text.find('\n');
    if first.is_some_and(|at| text[..at].ends_with('\r')) { "\r\n" } else { "\n" }
}

/// The text with every line ended as `ending` says.
pub(super) fn with_line_endings(text: &str, ending: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    if ending == "\n" { unix } else { unix.replace('\n', ending) }
}

/// The text without line endings at its end; other white space stays.
pub(crate) fn without_final_newlines(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

/// Whether a text ends with an empty line (or is empty).
pub(super) fn ends_blank(text: &str) -> bool {
    let line = text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r']));
    text.is_empty() || line.is_some_and(|t| t.is_empty() || t.ends_with(['\n', '\r']))
}
