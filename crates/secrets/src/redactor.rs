//! Replacing secrets in streams.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize as _;

use crate::Secret;
use crate::encodings::forms;
use crate::scanner::{At, Scanner};

/// What stands where a secret was.
pub const MASK: &str = "[redacted]";

/// Finds secrets in all their usual forms (as they are, hexadecimal, base64 at any alignment, URL and JSON escapes) and
/// replaces them by [`MASK`]. Cheap to clone.
///
/// Every byte that any form covers goes; overlapping finds become one mask. Forms broken by line wrapping are not found.
#[derive(Clone)]
pub struct Redactor {
    scanner: Arc<Scanner>,
}

/// A stream on its way through a [`Redactor`]. The output does not depend on how the input is cut into chunks, and only
/// bytes that may be the beginning of a secret wait for the next chunk.
pub struct RedactedStream {
    scanner: Arc<Scanner>,
    at: At,
    /// Bytes that are read and neither written nor masked; they begin at stream offset `written`.
    held: VecDeque<u8>,
    written: u64,
    read: u64,
    /// Finds that begin after `written`, in order and not overlapping.
    finds: VecDeque<(u64, u64)>,
    /// A mask that is already written stands for everything before this offset.
    masked_to: u64,
}

impl Redactor {
    /// A redactor for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let patterns = secrets.into_iter().flat_map(|secret| forms(secret.expose()));
        Self { scanner: Arc::new(Scanner::new(patterns)) }
    }

    /// Begins a stream.
    pub fn stream(&self) -> RedactedStream {
        RedactedStream {
            scanner: self.scanner.clone(),
            at: Scanner::START,
            held: VecDeque::new(),
            written: 0,
            read: 0,
            finds: VecDeque::new(),
            masked_to: 0,
        }
    }

    /// Redacts bytes that are complete.
    pub fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut out = stream.push(bytes);
        out.extend(stream.finish());
        out
    }

    /// Redacts text that is complete.
    pub fn redact_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.redact(text.as_bytes())).into_owned()
    }
}

impl RedactedStream {
    /// Takes a chunk and gives what is sure to hold no secret.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len());
        for byte in chunk {
            self.held.push_back(*byte);
            self.read += 1;
            self.at = self.scanner.step(self.at, *byte);
            let length = self.scanner.matched(self.at);
            if length > 0 {
                self.found(self.read - length as u64, self.read);
            }
        }
        let undecided = self.scanner.depth(self.at) as u64;
        self.write_up_to(self.read - undecided, &mut out);
        out
    }

    /// Ends the stream and gives what waited.
    pub fn finish(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_up_to(self.read, &mut out);
        out
    }

    fn found(&mut self, mut from: u64, mut to: u64) {
        while let Some((earlier_from, earlier_to)) = self.finds.back().copied().filter(|(_, end)| *end > from) {
            from = from.min(earlier_from);
            to = to.max(earlier_to);
            self.finds.pop_back();
        }
        if from < self.masked_to {
            self.masked_to = self.masked_to.max(to);
        } else {
            self.finds.push_back((from, to));
        }
    }

    fn write_up_to(&mut self, decided: u64, out: &mut Vec<u8>) {
        while self.written < decided {
            if self.written < self.masked_to {
                self.drop_up_to(self.masked_to.min(decided));
                continue;
            }
            let next_find = self.finds.front().map_or(decided, |(from, _)| *from);
            if next_find == self.written {
                out.extend_from_slice(MASK.as_bytes());
                self.masked_to = self.finds.pop_front().map_or(0, |(_, to)| to);
            } else {
                let count = usize::try_from(next_find.min(decided) - self.written).unwrap_or(usize::MAX);
                out.extend(self.held.iter().take(count));
                self.drop_up_to(next_find.min(decided));
            }
        }
    }

    fn drop_up_to(&mut self, offset: u64) {
        let count = usize::try_from(offset - self.written).unwrap_or(usize::MAX);
        self.held.drain(..count);
        self.written = offset;
    }
}

impl Drop for RedactedStream {
    fn drop(&mut self) {
        self.held.make_contiguous().zeroize();
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl fmt::Debug for RedactedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactedStream(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk-ant-api03-Abc123_xyz/\"q";

    fn in_chunks(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        let mut rest = text;
        for cut in cuts {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            out.extend(stream.push(chunk));
            rest = after;
        }
        out.extend(stream.push(rest));
        out.extend(stream.finish());
        out
    }

    #[test]
    fn every_form_goes_at_every_cut() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let base64 = STANDARD.encode(format!("x:{KEY}"));
        let json = serde_json::Value::from(KEY).to_string();
        let text = format!("a {KEY} b {} c {base64} d {json} e", hex::encode(KEY));
        let whole = redactor.redact_text(&text);
        assert_eq!(whole.matches(MASK).count(), 4, "{whole}");
        for cut in 0..text.len() {
            assert_eq!(in_chunks(&redactor, text.as_bytes(), &[cut]), whole.as_bytes());
        }
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        let redactor = Redactor::new([&Secret::new("abcdef"), &Secret::new("defghi"), &Secret::new("de")]);
        assert_eq!(redactor.redact_text("<abcdefghi>"), "<[redacted]>");
        assert_eq!(redactor.redact_text("<abcde>"), "<abc[redacted]>");
        assert_eq!(redactor.redact_text("abcdefabcdef"), "[redacted][redacted]");
    }

    #[test]
    fn harmless_bytes_pass_at_once_and_a_beginning_waits() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let mut stream = redactor.stream();
        assert_eq!(stream.push(b"event: ping\n\n"), b"event: ping\n\n");
        assert_eq!(stream.push(b"see sk-ant-ap"), b"see ");
        assert_eq!(stream.push(b"ple"), b"sk-ant-apple");
        assert_eq!(stream.finish(), b"");
    }

    #[test]
    fn an_endless_repetition_holds_no_more_than_the_longest_secret() {
        let redactor = Redactor::new([&Secret::new("aaaaaaaaaaaaaaaab"), &Secret::new("aaaaaaaa")]);
        let mut stream = redactor.stream();
        let mut out = 0;
        for _ in 0..2_000_000 {
            out += stream.push(b"a").len();
            assert!(stream.held.len() <= 17 && stream.finds.len() <= 17);
        }
        assert_eq!(out, MASK.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_chunking_gives_the_same_and_never_a_secret(
            secrets in prop::collection::vec("[abAB]{1,9}", 1..4),
            text in "[abABcYWJh]{0,80}",
            cuts in prop::collection::vec(0usize..9, 0..40),
        ) {
            let secrets: Vec<Secret> = secrets.into_iter().map(Secret::new).collect();
            let redactor = Redactor::new(&secrets);
            let whole = redactor.redact(text.as_bytes());
            prop_assert_eq!(&in_chunks(&redactor, text.as_bytes(), &cuts), &whole);

            let mut covered = vec![false; text.len()];
            for form in secrets.iter().flat_map(|secret| forms(secret.expose())) {
                for start in 0..text.len() {
                    if text.as_bytes()[start..].starts_with(&form) {
                        covered[start..start + form.len()].fill(true);
                    }
                }
            }
            let kept: Vec<u8> = text.bytes().zip(&covered).filter(|(_, covered)| !**covered).map(|(byte, _)| byte).collect();
            let passed = String::from_utf8(whole).unwrap().replace(MASK, "");
            prop_assert_eq!(passed.into_bytes(), kept, "exactly the bytes that no secret covers pass");
        }
    }
}
