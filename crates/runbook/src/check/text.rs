//! Characters that no document should hold, and variables in prose.

use std::collections::HashSet;

use crate::blocks::variable_name_problem;
use crate::diagnostic::Code;

use super::Checker;

impl Checker<'_> {
    pub(super) fn text(&mut self) {
        let document = self.document;
        let mut told = HashSet::new();
        for (at, byte) in document.text.bytes().enumerate() {
            let line_ending = byte == b'\r' && document.text.as_bytes().get(at + 1) == Some(&b'\n');
            // A form feed separates pages in some real documents, and does nothing.
            let harmless = !(byte.is_ascii_control()) || matches!(byte, b'\n' | b'\t' | 0x0c) || line_ending;
            if !harmless && told.insert(byte) {
                self.report(
                    Code::ControlCharacter,
                    at..at + 1,
                    format!("the text holds the control character U+{byte:04X}"),
                    "take it out wherever it occurs; only its first place is told",
                );
            }
        }
        let mut told = HashSet::new();
        for used in &document.variables {
            if document.front_matter.variables.contains_key(&used.name) || !told.insert(used.name.as_str()) {
                continue;
            }
            if let Some((code, message, help)) = variable_name_problem(&used.name) {
                self.report(code, used.range.clone(), message, help);
            }
        }
    }
}
