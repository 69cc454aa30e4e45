//! Replacing secrets in streams.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroize as _;

use crate::Secret;
use crate::encodings::{forms, is_line_break};
use crate::scanner::{At, Scanner};

/// What stands where a secret was.
pub const MASK: &str = "[redacted]";

/// After so many line breaks in a row nothing is a wrapped secret any more; without an end, blank lines could be held
/// back for ever.
const BLANK: usize = 4;

/// Finds secrets in all their usual forms (as they are, hexadecimal, base64 at any alignment, the escapes of URLs, JSON,
/// shells and quoted-printable; each of them also wrapped into lines) and replaces them by [`MASK`]. Cheap to clone.
///
/// Every byte that any form covers goes, with the line breaks in between; overlapping finds become one mask. Not found
/// are secrets that are compressed, encrypted, in UTF-16, or with anything but line breaks between their characters.
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
    held: Vec<u8>,
    written: u64,
    read: u64,
    /// Where the line breaks are that were passed over since the earliest possible beginning of a match.
    breaks: VecDeque<u64>,
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

    /// One that finds these secrets too.
    #[must_use]
    pub fn with<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let patterns = secrets.into_iter().flat_map(|secret| forms(secret.expose()));
        Self { scanner: Arc::new(self.scanner.with(patterns)) }
    }

    /// Begins a stream.
    pub fn stream(&self) -> RedactedStream {
        RedactedStream {
            scanner: self.scanner.clone(),
            at: Scanner::START,
            held: Vec::new(),
            written: 0,
            read: 0,
            breaks: VecDeque::new(),
            finds: VecDeque::new(),
            masked_to: 0,
        }
    }

    /// True when there is no secret to be found.
    pub fn is_empty(&self) -> bool {
        self.scanner.is_empty()
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
        if self.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.redact(text.as_bytes())).into_owned()
    }

    /// Redacts every text in a JSON value, names of fields too; true when there was something to redact.
    pub fn redact_json(&self, json: &mut Value) -> bool {
        if self.is_empty() {
            return false;
        }
        match json {
            Value::String(text) => {
                let found = self.finds_in(text.as_bytes());
                if found {
                    *text = self.redact_text(text);
                }
                found
            }
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.redact_json(item) | found),
            Value::Object(fields) => {
                let mut found = fields.values_mut().fold(false, |found, value| self.redact_json(value) | found);
                if fields.keys().any(|name| self.finds_in(name.as_bytes())) {
                    found = true;
                    *fields =
                        std::mem::take(fields).into_iter().map(|(name, it)| (self.redact_text(&name), it)).collect();
                }
                found
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// True when there is a secret in these bytes.
    pub fn finds_in(&self, bytes: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut stream = self.stream();
        stream.scan(bytes);
        !stream.finds.is_empty()
    }
}

impl RedactedStream {
    /// Takes a chunk and gives what is sure to hold no secret.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.scanner.is_empty() {
            return chunk.to_vec();
        }
        if faultpoint::planted!("planted-redaction-per-chunk") {
            *self = Redactor { scanner: self.scanner.clone() }.stream();
        }
        let mut out = Vec::with_capacity(self.held.len() + chunk.len());
        self.scan(chunk);
        let decided = self.begin_of(self.read, self.scanner.depth(self.at));
        let decided = if faultpoint::planted!("planted-redaction-per-chunk") { self.read } else { decided };
        self.write_up_to(decided, chunk, &mut out);
        out
    }

    /// Ends the stream and gives what waited.
    pub fn finish(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_up_to(self.read, &[], &mut out);
        out
    }

    /// Reads a chunk and notes what is found in it.
    fn scan(&mut self, chunk: &[u8]) {
        let scanner = Arc::clone(&self.scanner);
        let (mut at, mut done) = (self.at, 0);
        while done < chunk.len() {
            let (next, count) = scanner.run(at, &chunk[done..]);
            (at, done) = (next, done + count);
            let end = self.read + done as u64;
            if is_line_break(chunk[done - 1]) {
                if at != Scanner::START {
                    at = self.line_break(at, end - 1);
                }
            } else if scanner.matched(at) > 0 {
                self.found(self.begin_of(end, scanner.matched(at)), end);
            }
        }
        self.at = at;
        self.read += chunk.len() as u64;
    }

    /// Passes over a line break within what may be a match; where the scan stands after it.
    fn line_break(&mut self, at: At, offset: u64) -> At {
        let begin = self.begin_of(offset, self.scanner.depth(at));
        while self.breaks.front().is_some_and(|earlier| *earlier < begin) {
            self.breaks.pop_front();
        }
        self.breaks.push_back(offset);
        let blank = self.breaks.len() > BLANK && self.breaks[self.breaks.len() - 1 - BLANK] == offset - BLANK as u64;
        if blank { Scanner::START } else { at }
    }

    /// Where `length` bytes that end before `end` begin, not counting the line breaks that were passed over.
    fn begin_of(&self, end: u64, length: usize) -> u64 {
        let mut begin = end - length as u64;
        if length > 0 {
            for passed in self.breaks.iter().rev() {
                if *passed < begin {
                    break;
                }
                begin -= 1;
            }
        }
        begin
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

    /// Writes what comes before `decided` and holds back the rest; `chunk` is what was read last.
    fn write_up_to(&mut self, decided: u64, chunk: &[u8], out: &mut Vec<u8>) {
        let base = self.written;
        let at = |offset: u64| usize::try_from(offset - base).unwrap_or(usize::MAX);
        while self.written < decided {
            if self.written < self.masked_to {
                self.written = self.masked_to.min(decided);
                continue;
            }
            let next_find = self.finds.front().map_or(decided, |(from, _)| *from);
            if next_find == self.written {
                out.extend_from_slice(MASK.as_bytes());
                self.masked_to = self.finds.pop_front().map_or(0, |(_, to)| to);
            } else {
                let until = next_find.min(decided);
                copy(&self.held, chunk, at(self.written)..at(until), out);
                self.written = until;
            }
        }
        let mut rest = Vec::new();
        copy(&self.held, chunk, at(self.written)..self.held.len() + chunk.len(), &mut rest);
        self.held.zeroize();
        self.held = rest;
    }
}

/// Copies a range of two slices that stand one after the other.
fn copy(first: &[u8], second: &[u8], range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    let within = |offset: usize| offset.min(first.len());
    out.extend_from_slice(&first[within(range.start)..within(range.end)]);
    let beyond = |offset: usize| offset.saturating_sub(first.len());
    out.extend_from_slice(&second[beyond(range.start)..beyond(range.end)]);
}

impl Drop for RedactedStream {
    fn drop(&mut self) {
        self.held.zeroize();
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
        let json = Value::from(KEY).to_string();
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

    /// A text with the key in each form that is promised to be found, and what is left of it.
    fn in_each_form() -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for form in forms(KEY) {
            let form = String::from_utf8(form).unwrap();
            texts.push((format!("<é {form}>"), "<é [redacted]>".to_owned()));
            let wrapped = form.as_bytes().chunks(9).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
            texts.push((wrapped.join("\n"), MASK.to_owned()));
            texts.push((wrapped.join("\r\n"), MASK.to_owned()));
        }
        texts
    }

    #[test]
    fn two_and_three_pieces_of_every_form_leave_the_same_as_the_whole() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let mut tried = 0;
        for (text, wanted) in in_each_form() {
            for first in 0..=text.len() {
                for second in 0..=text.len() - first {
                    let left = in_chunks(&redactor, text.as_bytes(), &[first, second]);
                    assert!(left == wanted.as_bytes(), "{text:?} cut at {first} and {}", first + second);
                    tried += 1;
                }
            }
            let single: Vec<usize> = vec![1; text.len()];
            assert_eq!(in_chunks(&redactor, text.as_bytes(), &single), wanted.as_bytes(), "byte by byte");
        }
        assert!(tried > 20_000, "{tried}");
    }

    #[test]
    fn hundreds_of_secrets_that_overlap_all_go() {
        let secrets: Vec<Secret> = (0..500)
            .map(|n| format!("{}.*[{n:03}]\0{}", "(a|b)+$^".repeat(1 + n % 3), "x".repeat(n % 40)))
            .map(Secret::new)
            .collect();
        let redactor = Redactor::new(&secrets);
        for secret in &secrets {
            let text = format!("<{}>", secret.expose());
            assert_eq!(redactor.redact_text(&text), "<[redacted]>", "{text}");
        }
    }

    #[test]
    fn what_is_not_promised_is_known() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let utf16: Vec<u8> = KEY.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let coloured: String = KEY.chars().flat_map(|c| ['\u{1b}', '[', '1', 'm', c]).collect();
        for text in [utf16, coloured.into_bytes(), KEY.replace('-', "-\n\n\n\n\n").into_bytes()] {
            assert_eq!(redactor.redact(&text), text);
        }
    }

    #[test]
    fn texts_in_json_go_and_its_structure_stays() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let mut json = serde_json::json!({"a": [KEY, {KEY: 1, "b": null}], "n": 1.5});
        assert!(redactor.redact_json(&mut json));
        assert!(!redactor.redact_json(&mut json), "there is nothing left to redact");
        assert_eq!(json, serde_json::json!({"a": [MASK, {MASK: 1, "b": null}], "n": 1.5}));
    }

    /// Which bytes any form covers when line breaks within it do not count.
    fn covered(text: &[u8], forms: &[Vec<u8>]) -> Vec<bool> {
        let mut covered = vec![false; text.len()];
        for from in 0..text.len() {
            for form in forms {
                let (mut at, mut matched, mut blank) = (from, 0, 0);
                while at < text.len() && matched < form.len() {
                    if is_line_break(text[at]) {
                        blank += 1;
                        if matched == 0 || blank > BLANK {
                            break;
                        }
                    } else if text[at] == form[matched] {
                        (matched, blank) = (matched + 1, 0);
                    } else {
                        break;
                    }
                    at += 1;
                }
                if matched == form.len() {
                    covered[from..at].fill(true);
                }
            }
        }
        covered
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn any_chunking_gives_the_same_and_never_a_secret(
            secrets in prop::collection::vec("[abAB]{1,9}", 1..4),
            text in "([abABcYWJh]{0,20}\n{0,6}){0,4}",
            cuts in prop::collection::vec(0usize..9, 0..40),
        ) {
            let secrets: Vec<Secret> = secrets.into_iter().map(Secret::new).collect();
            let redactor = Redactor::new(&secrets);
            let whole = redactor.redact(text.as_bytes());
            prop_assert_eq!(&in_chunks(&redactor, text.as_bytes(), &cuts), &whole);

            let forms: Vec<_> = secrets.iter().flat_map(|secret| forms(secret.expose())).collect();
            let covered = covered(text.as_bytes(), &forms);
            prop_assert_eq!(redactor.finds_in(text.as_bytes()), covered.contains(&true));
            let kept: Vec<u8> = text.bytes().zip(&covered).filter(|(_, covered)| !**covered).map(|(byte, _)| byte).collect();
            let passed = String::from_utf8(whole).unwrap().replace(MASK, "");
            prop_assert_eq!(passed.into_bytes(), kept, "exactly the bytes that no secret covers pass");
        }
    }
}
