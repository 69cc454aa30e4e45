//! The document as the rest of the program sees it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::diagnostic::{Code, Diagnostic};
use crate::heading::Tag;
use crate::number::StepNumber;
use crate::position::{LineIndex, Position};

/// A parsed runbook. It keeps its text, and every part is a range of it, so writing it out again is the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub(crate) text: String,
    pub(crate) lines: LineIndex,
    pub(crate) front_matter: FrontMatter,
    pub(crate) title: Option<Title>,
    pub(crate) headings: Vec<Heading>,
    pub(crate) steps: Vec<Step>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) variables: Vec<VariableUse>,
    pub(crate) problems: Vec<Diagnostic>,
    /// Where the headings that may be steps begin and end.
    pub(crate) steps_range: Range<usize>,
}

/// A top-level heading of the document, step or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    pub(crate) level: u8,
    pub(crate) atx: bool,
    /// Whole lines, without the last line ending.
    pub(crate) range: Range<usize>,
    /// The words.
    pub(crate) text: Range<usize>,
}

/// The title of a document and where it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) text: String,
    /// The words of the first `#` heading, without `Runbook: `; `None` when only the front matter has a title.
    pub(crate) heading: Option<Range<usize>>,
}

/// What the YAML at the top says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontMatter {
    /// The whole of it with both `---` lines; empty when there is none.
    pub range: Range<usize>,
    /// `title`.
    pub title: Option<String>,
    pub(crate) title_range: Option<Range<usize>>,
    /// `description`.
    pub description: Option<String>,
    /// `variables`, by name.
    pub variables: BTreeMap<String, Variable>,
    /// `timeout`: the limit for each block that sets none.
    pub timeout: Option<Duration>,
    /// `runtimes`, by language.
    pub runtimes: BTreeMap<String, Runtime>,
}

/// A variable that the front matter declares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// For the person who is asked.
    pub description: Option<String>,
    /// Used when no value is given.
    pub default: Option<String>,
    /// The declaration's key.
    #[serde(skip)]
    pub range: Range<usize>,
}

/// A language that a document brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// File extension of the source, without dot.
    pub extension: Option<String>,
    /// Container image.
    pub image: Option<String>,
    /// Jupyter kernel.
    pub kernel: Option<String>,
}

/// A use of a variable, `{{NAME}}`, outside runnable and file blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableUse {
    /// The name.
    pub name: String,
    /// With its braces.
    pub range: Range<usize>,
}

/// A numbered step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As written, even where that is an error.
    pub number: StepNumber,
    /// Tags before the title.
    pub tags: Vec<Tag>,
    /// Without number and tags; may be empty.
    pub title: String,
    /// Heading level, 1 to 6: how it is written, not where it stands in the tree.
    pub level: u8,
    /// The heading's line, without its line ending.
    pub heading: Range<usize>,
    /// Its own text: after the heading's line, up to the next step's heading or the end of the steps.
    pub body: Range<usize>,
    /// Heading, own text and all substeps.
    pub extent: Range<usize>,
    /// Where the heading starts.
    pub position: Position,
    /// Index in [`Document::steps`] of the step above it.
    pub parent: Option<usize>,
    /// Indices in [`Document::steps`] of its substeps.
    pub children: Vec<usize>,
    /// For a conditional step: the words of its bold condition line.
    pub condition: Option<String>,
    /// The items of the lists in its own text, outermost level only.
    pub bullets: Vec<Range<usize>>,
    pub(crate) number_range: Range<usize>,
    pub(crate) label_range: Range<usize>,
    pub(crate) title_range: Range<usize>,
}

impl Step {
    /// Whether it has no substeps, so is itself what is executed.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Whether it carries the tag.
    pub fn has(&self, tag: Tag) -> bool {
        self.tags.contains(&tag)
    }
}

/// A code block: fenced or indented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What is to be done with it.
    pub kind: BlockKind,
    /// The language as written; `None` when the info string names none.
    pub language: Option<String>,
    /// The info string, unescaped as CommonMark says.
    pub info: String,
    /// The contents as CommonMark decodes them: without the fence's indentation and the prefixes of lists and quotes,
    /// lines ended by `\n`, all else byte for byte. In file blocks `\r\n` is kept too.
    pub body: String,
    /// The whole block, from the opening fence to the end of the closing one.
    pub range: Range<usize>,
    /// From the opening fence to the end of its line.
    pub opening: Range<usize>,
    /// The lines between the fences in the text, prefixes and all.
    pub body_range: Range<usize>,
    /// Where the block starts.
    pub position: Position,
    /// Index in [`Document::steps`] of the step whose own text holds it.
    pub step: Option<usize>,
    pub(crate) closed: bool,
}

/// What a block is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Code to run.
    Runnable(Box<Runnable>),
    /// A file to put into the sandbox.
    File(FileBlock),
    /// A fence that is only text.
    Plain,
    /// Indented code; never runnable.
    Indented,
}

/// A runnable block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runnable {
    /// Its name, else a hash of language and body; unique within the document.
    pub id: String,
    /// Among the runnable blocks, from 0.
    pub index: usize,
    /// The language's canonical name (`python`, `node`, `bash`, `go`), else as written in lower case.
    pub runtime: String,
    /// What the info string sets.
    pub attributes: Attributes,
}

/// A file block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileBlock {
    /// Relative to the working directory. Safe to join only when the document checks without error.
    pub path: String,
    /// Permission bits; 0644 unless set.
    pub mode: u32,
    /// How the body stands for the bytes.
    pub encoding: Encoding,
}

/// How a file block's body stands for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The body is the file.
    #[default]
    Text,
    /// The body is the file in base64 with white space anywhere.
    Base64,
}

/// The attributes of a runnable block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attributes {
    /// `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `timeout`; the document's applies when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// `cwd`, relative to the working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// `env.X`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `stdin`: the text to feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// `tty`: run in a terminal.
    pub tty: bool,
    /// `background`: do not wait for it.
    pub background: bool,
    /// `isolated`: a process of its own that shares no state with other blocks.
    pub isolated: bool,
    /// `needs`: ids of blocks to run before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// `if`: the condition under which to run.
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// `retry`: how many more times to try after a failure.
    pub retry: u32,
    /// `expect`: what counts as success; exit code 0 when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// `network`: the network policy asked for (a bare word is `on`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// `check`: decides whether the step succeeded.
    pub check: bool,
}

/// What counts as success of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// This exit code (`expect=3`).
    Exit(u8),
    /// Exit code 0, and this text somewhere in what it prints (`expect="all good"`).
    Output(String),
}

impl Block {
    /// The runnable part, when it is one.
    pub fn runnable(&self) -> Option<&Runnable> {
        if let BlockKind::Runnable(r) = &self.kind { Some(r) } else { None }
    }

    /// The file part, when it is one.
    pub fn file(&self) -> Option<&FileBlock> {
        if let BlockKind::File(f) = &self.kind { Some(f) } else { None }
    }

    /// Whether this is a runnable block marked `check`.
    pub fn is_check(&self) -> bool {
        self.runnable().is_some_and(|r| r.attributes.check)
    }

    /// Whether the block's text must stay as it is: variables are not filled in.
    pub fn is_verbatim(&self) -> bool {
        matches!(self.kind, BlockKind::Runnable(_) | BlockKind::File(_))
    }

    /// The bytes that a file block stands for, or the body's; `None` when the base64 is broken.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match &self.kind {
            BlockKind::File(FileBlock { encoding: Encoding::Base64, .. }) => crate::blocks::decode_base64(&self.body),
            _ => Some(self.body.clone().into_bytes()),
        }
    }
}

impl Document {
    /// The text that was parsed, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text back.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The front matter; all defaults when there is none.
    pub fn front_matter(&self) -> &FrontMatter {
        &self.front_matter
    }

    /// The front matter's title, else the first `#` heading without `Runbook: `.
    pub fn title(&self) -> Option<&str> {
        self.title.as_ref().map(|t| t.text.as_str())
    }

    /// All steps in the order of the text, parents before their substeps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// All code blocks in the order of the text.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The blocks that start within a range of the text.
    pub fn blocks_in(&self, range: &Range<usize>) -> &[Block] {
        let at = |offset: usize| self.blocks.partition_point(|b| b.range.start < offset);
        let (from, to) = (at(range.start), at(range.end));
        &self.blocks[from..to.max(from)]
    }

    /// Every use of a variable outside runnable and file blocks, in the order of the text.
    pub fn variable_uses(&self) -> &[VariableUse] {
        &self.variables
    }

    /// The line and column of a byte.
    pub fn position(&self, offset: usize) -> Position {
        self.lines.position(&self.text, offset)
    }

    pub(crate) fn diagnostic(&self, code: Code, span: Range<usize>, message: String, help: String) -> Diagnostic {
        Diagnostic { code, severity: code.severity(), position: self.position(span.start), span, message, help }
    }

    pub(crate) fn problem(&mut self, code: Code, span: Range<usize>, message: String, help: String) {
        let diagnostic = self.diagnostic(code, span, message, help);
        self.problems.push(diagnostic);
    }
}
