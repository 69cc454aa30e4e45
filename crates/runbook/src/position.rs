//! From byte offsets to lines and columns.

use serde::{Deserialize, Serialize};

/// A place in a text, as editors count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Where each line of a text starts. A line ends after `\n`, `\r\n` or a lone `\r`, as CommonMark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends_line = |i: &usize| bytes[*i] == b'\n' || (bytes[*i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
        Self(std::iter::once(0).chain((0..bytes.len()).filter(ends_line).map(|i| i + 1)).collect())
    }

    pub(crate) fn line_start(&self, offset: usize) -> usize {
        self.0[self.0.partition_point(|start| *start <= offset) - 1]
    }

    pub(crate) fn position(&self, text: &str, offset: usize) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.0.partition_point(|start| *start <= offset);
        let before = &text[self.0[line - 1]..offset];
        // A byte order mark is not a character that a reader can count.
        let column = before.chars().count() - usize::from(line == 1 && before.starts_with('\u{feff}')) + 1;
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { line: narrow(line), column: narrow(column) }
    }
}

/// The end of the line that holds `offset`, without its line ending.
pub(crate) fn line_end(text: &str, offset: usize) -> usize {
    text[offset..].find(['\n', '\r']).map_or(text.len(), |i| offset + i)
}

/// The start of the line after the one that holds `offset`.
pub(crate) fn next_line(text: &str, offset: usize) -> usize {
    let end = line_end(text, offset);
    let ending = if text[end..].starts_with("\r\n") { 2 } else { 1 };
    (end + ending).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_skip_the_byte_order_mark() {
        let text = "\u{feff}äb\r\nc\rd";
        let index = LineIndex::new(text);
        let at = |needle: &str| index.position(text, text.find(needle).unwrap());
        assert_eq!(at("ä"), Position { line: 1, column: 1 });
        assert_eq!(at("b"), Position { line: 1, column: 2 });
        assert_eq!(at("c"), Position { line: 2, column: 1 });
        assert_eq!(at("d"), Position { line: 3, column: 1 });
        assert_eq!(index.position(text, 999), Position { line: 3, column: 2 });
    }
}
