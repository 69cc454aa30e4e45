//! Reading a text into a [`Document`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::blocks::{hashed_id, interpret};
use crate::front::read_front_matter;
use crate::heading::read_atx;
use crate::model::{Block, BlockKind, Document, Heading, Title, VariableUse};
use crate::position::{LineIndex, line_end, next_line};
use crate::steps;
use crate::variables::find_variables;

impl Document {
    /// Reads a text. Never fails: what is wrong with it is for [`crate::check`] to say.
    ///
    /// Linear in the size of the text. Structure is that of CommonMark without extensions, after the front matter.
    pub fn parse(text: impl Into<String>) -> Self {
        let text = text.into();
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let (front_matter, front_problems) = read_front_matter(&text, start);
        let mut document = Self {
            lines: LineIndex::new(&text),
            text,
            front_matter,
            title: None,
            headings: Vec::new(),
            steps: Vec::new(),
            blocks: Vec::new(),
            variables: Vec::new(),
            problems: Vec::new(),
            steps_range: 0..0,
        };
        for p in front_problems {
            document.problem(p.code, p.span, p.message, p.help);
        }
        let walk = walk(&document);
        document.headings = walk.headings;
        document.title = title(&document);
        for fence in walk.code {
            document.add_block(fence);
        }
        document.name_blocks();
        steps::build(&mut document, &walk.items);
        document.find_variable_uses();
        document
    }

    fn add_block(&mut self, code: Code) {
        let opening = code.range.start..line_end(&self.text, code.range.start).min(code.range.end);
        let (kind, language, info) = match code.info {
            None => (BlockKind::Indented, None, String::new()),
            Some(info) => {
                let found = interpret(&info);
                for p in found.problems {
                    let line = &self.text[opening.clone()];
                    let near =
                        Some(p.near.as_str()).filter(|n| !n.is_empty()).and_then(|n| Some((line.find(n)?, n.len())));
                    let span = near.map_or(opening.clone(), |(at, len)| opening.start + at..opening.start + at + len);
                    self.problem(p.code, span, p.message, p.help);
                }
                (found.kind, found.language, info)
            }
        };
        let exact = matches!(kind, BlockKind::File(_)) || !code.body.contains('\r');
        self.blocks.push(Block {
            body: if exact { code.body } else { code.body.replace("\r\n", "\n").replace('\r', "\n") },
            position: self.position(code.range.start),
            kind,
            language,
            info,
            range: code.range,
            opening,
            body_range: code.body_range,
            step: None,
            closed: code.closed,
        });
    }

    /// Gives runnable blocks their index and an id that no other has.
    fn name_blocks(&mut self) {
        let mut uses: HashMap<String, usize> = HashMap::new();
        let mut index = 0;
        for block in &mut self.blocks {
            let BlockKind::Runnable(runnable) = &mut block.kind else { continue };
            let id = runnable.attributes.name.clone().unwrap_or_else(|| hashed_id(&runnable.runtime, &block.body));
            let count = uses.entry(id.clone()).or_default();
            *count += 1;
            runnable.id = if *count == 1 { id } else { format!("{id}-{count}") };
            runnable.index = index;
            index += 1;
        }
    }

    fn find_variable_uses(&mut self) {
        let start = self.front_matter.range.end;
        let mut kept = self.blocks.iter().filter(|b| b.is_verbatim()).map(|b| b.range.clone()).peekable();
        for (range, name) in find_variables(&self.text[start..], start) {
            while kept.next_if(|k| k.end <= range.start).is_some() {}
            if kept.peek().is_none_or(|k| k.start >= range.end) {
                self.variables.push(VariableUse { name: name.to_owned(), range });
            }
        }
    }
}

/// Removes NUL characters, which no store and no program can keep, and says how many there were.
pub fn without_nul(text: String) -> (String, usize) {
    let count = text.bytes().filter(|b| *b == 0).count();
    if count == 0 { (text, 0) } else { (text.replace('\0', ""), count) }
}

/// A code block as CommonMark sees it.
struct Code {
    /// `None` for indented code.
    info: Option<String>,
    range: Range<usize>,
    body: String,
    body_range: Range<usize>,
    closed: bool,
}

#[derive(Default)]
struct Walk {
    headings: Vec<Heading>,
    code: Vec<Code>,
    /// Items of outermost lists.
    items: Vec<Range<usize>>,
}

fn walk(document: &Document) -> Walk {
    let text = document.text.as_str();
    let base = document.front_matter.range.end;
    let mut found = Walk::default();
    let mut containers = 0usize;
    let mut code: Option<Code> = None;
    let source = with_line_feeds(&text[base..]);
    for (event, range) in Parser::new_ext(&source, Options::empty()).into_offset_iter() {
        let range = base + range.start..base + range.end;
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = if let CodeBlockKind::Fenced(info) = kind { Some(info.into_string()) } else { None };
                let body_start = if info.is_some() { next_line(text, range.start).min(range.end) } else { range.start };
                code =
                    Some(Code { info, body: String::new(), body_range: body_start..body_start, closed: false, range });
            }
            Event::Text(part) if code.is_some() => {
                if let Some(code) = &mut code {
                    code.add_text(text, &part, &range);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some(mut code) = code.take() {
                    // Every line of the contents has its text, so what is left can only be the closing fence.
                    let rest = text.get(code.body_range.end..code.range.end).unwrap_or_default();
                    code.closed = code.info.is_none() || rest.contains(['`', '~']);
                    found.code.push(code);
                }
            }
            Event::Start(Tag::Heading { level, .. }) if containers == 0 => {
                found.headings.push(heading(document, level as u8, &range));
            }
            Event::Start(tag) if is_container(&tag) => {
                if matches!(tag, Tag::Item) && containers == 1 {
                    found.items.push(range.start..range.start + text[range].trim_end().len());
                }
                containers += 1;
            }
            Event::End(TagEnd::List(_) | TagEnd::Item | TagEnd::BlockQuote(_)) => containers -= 1,
            _ => {}
        }
    }
    found
}

/// The text with each lone `\r`, a line ending that the Markdown parser knows only in places, as `\n`: offsets stay.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let lone = |at: usize| bytes.get(at + 1) != Some(&b'\n');
    if !text.match_indices('\r').any(|(at, _)| lone(at)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.char_indices().map(|(at, c)| if c == '\r' && lone(at) { '\n' } else { c }).collect())
}

fn is_container(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::List(_) | Tag::Item | Tag::BlockQuote(_))
}

impl Code {
    fn add_text(&mut self, text: &str, part: &str, range: &Range<usize>) {
        let end = self.body_range.end;
        // The Markdown parser drops the `\r` of a `\r\n`; the gap shows where one was.
        if range.start == end + 1 && text.as_bytes().get(end) == Some(&b'\r') {
            self.body.push('\r');
        }
        // Spaces that stand for a part of a tab have no place in the text.
        self.body.push_str(if range.is_empty() { part } else { &text[range.clone()] });
        self.body_range.end = end.max(range.end);
    }
}

fn heading(document: &Document, level: u8, range: &Range<usize>) -> Heading {
    let text = document.text.as_str();
    let start = document.lines.line_start(range.start);
    let end = line_end(text, start);
    if let Some(atx) = read_atx(&text[start..end]) {
        return Heading {
            level: atx.level,
            atx: true,
            range: start..end,
            text: start + atx.text.start..start + atx.text.end,
        };
    }
    let whole = range.start..range.start + text[range.clone()].trim_end().len();
    let words = text[range.start..end.max(range.start)].trim_end().len();
    Heading { level, atx: false, text: range.start..range.start + words, range: start..whole.end }
}

fn title(document: &Document) -> Option<Title> {
    let heading = document.headings.iter().find(|h| h.level == 1).map(|h| {
        let words = &document.text[h.text.clone()];
        let prefixed = words.get(..8).is_some_and(|p| p.eq_ignore_ascii_case("runbook:"));
        let start = if prefixed { h.text.end - words[8..].trim_start().len() } else { h.text.start };
        start..h.text.end
    });
    let written = heading.clone().map(|range| document.text[range].to_owned()).filter(|t| !t.is_empty());
    let text = document.front_matter.title.clone().or(written)?;
    Some(Title { text, heading })
}
