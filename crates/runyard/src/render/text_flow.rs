//! The agent's text as it is being written, broken into lines that are ready to print.

use super::clean::clean;

/// Collects pieces of text and gives out lines.
#[derive(Debug, Default)]
pub(super) struct TextFlow {
    /// Everything since the last finished message.
    whole: String,
    /// What is not printed yet.
    pending: String,
}

impl TextFlow {
    /// Takes in a piece; gives out the lines that are complete.
    pub(super) fn push(&mut self, delta: &str, width: Option<usize>) -> Vec<String> {
        self.whole.push_str(delta);
        self.pending.push_str(delta);
        let mut lines = Vec::new();
        while let Some(newline) = self.pending.find('\n') {
            let line: String = self.pending.drain(..=newline).collect();
            lines.extend(wrap(line.trim_end(), width));
        }
        if let Some(width) = width {
            let mut rows = wrap(&self.pending, Some(width));
            if rows.len() > 1 {
                let open = self.pending.ends_with(' ');
                self.pending = rows.pop().unwrap_or_default();
                if open {
                    self.pending.push(' ');
                }
                lines.append(&mut rows);
            }
        }
        lines
    }

    /// True when a line has begun and is not finished.
    pub(super) fn is_open(&self) -> bool {
        !self.pending.trim().is_empty()
    }

    /// The last, unfinished line, if there is one.
    pub(super) fn flush(&mut self, width: Option<usize>) -> Vec<String> {
        let rest = std::mem::take(&mut self.pending);
        if rest.trim().is_empty() { Vec::new() } else { wrap(rest.trim_end(), width) }
    }

    /// The message is finished: what is left to print of it, which is all when it was never streamed.
    pub(super) fn finish(&mut self, text: &str, width: Option<usize>) -> Vec<String> {
        let mut lines = self.flush(width);
        let streamed = std::mem::take(&mut self.whole);
        if !streamed.trim().ends_with(text.trim()) {
            lines.extend(text.trim().lines().flat_map(|line| wrap(line, width)));
        }
        lines
    }
}

/// Breaks a line at blanks into rows of at most `width` characters; a longer word is broken.
pub(super) fn wrap(line: &str, width: Option<usize>) -> Vec<String> {
    let line = clean(line).replace('\t', "    ");
    let Some(width) = width.filter(|width| *width >= 10) else { return vec![line] };
    let indent: String = line.chars().take_while(|c| *c == ' ').take(width / 2).collect();
    let mut rows = Vec::new();
    let mut row = String::new();
    for word in line.split_inclusive(' ') {
        let mut word = word;
        if row.chars().count() + word.trim_end().chars().count() > width && !row.trim().is_empty() {
            rows.push(row.trim_end().to_owned());
            row.clone_from(&indent);
        }
        while row.chars().count() + word.trim_end().chars().count() > width {
            let room = width - row.chars().count();
            let at = word.char_indices().nth(room.max(1)).map_or(word.len(), |(at, _)| at);
            row.push_str(&word[..at]);
            rows.push(std::mem::replace(&mut row, indent.clone()));
            word = &word[at..];
        }
        row.push_str(word);
    }
    if !row.trim().is_empty() || rows.is_empty() {
        rows.push(row.trim_end().to_owned());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn streamed_text_is_not_printed_again() {
        let mut flow = TextFlow::default();
        assert_eq!(flow.push("I look ", None), Vec::<String>::new());
        assert_eq!(flow.push("first.\nThen", None), ["I look first."]);
        assert_eq!(flow.finish("I look first.\nThen", None), ["Then"]);
        assert_eq!(flow.finish("Never streamed\nat all", None), ["Never streamed", "at all"]);
    }

    #[test]
    fn long_lines_come_out_while_they_are_written() {
        let mut flow = TextFlow::default();
        assert_eq!(flow.push("one two three four", Some(10)), ["one two"]);
        assert_eq!(flow.push(" five", Some(10)), ["three four"]);
        assert_eq!(flow.flush(Some(10)), ["five"]);
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_letter_and_the_width(line in "[a-zé ]{0,80}", width in 10usize..30) {
            let rows = wrap(&line, Some(width));
            prop_assert!(rows.iter().all(|row| row.chars().count() <= width), "{rows:?}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&rows.concat()), letters(&line));
        }
    }
}
