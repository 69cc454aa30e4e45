//! Front matter: the YAML between two `---` lines at the top.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Options, Spanned};

use crate::blocks::variable_name_problem;
use crate::diagnostic::{Code, suggest};
use crate::duration::parse_duration;
use crate::model::{FrontMatter, Runtime, Variable};
use crate::position::next_line;

/// A problem of the front matter, with its place in the document.
pub(crate) struct FrontProblem {
    pub(crate) code: Code,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

const KEYS: [&str; 5] = ["title", "description", "variables", "timeout", "runtimes"];
const VARIABLE_KEYS: [&str; 2] = ["description", "default"];
const RUNTIME_KEYS: [&str; 4] = ["command", "extension", "image", "kernel"];

/// More than any person writes; a bound on what hostile YAML can cost.
const MAX_BYTES: usize = 256 * 1024;

/// Reads the front matter of a text, if it begins with one. `start` skips a byte order mark.
///
/// As everywhere, the opening line must be the first, must not be followed by a blank line, and needs a closing
/// `---` or `...`; otherwise it is a thematic break.
pub(crate) fn read_front_matter(text: &str, start: usize) -> (FrontMatter, Vec<FrontProblem>) {
    let Some((range, yaml)) = locate(text, start) else {
        return (FrontMatter { range: start..start, ..FrontMatter::default() }, Vec::new());
    };
    let mut reader = Reader {
        text,
        yaml: yaml.clone(),
        found: FrontMatter { range, ..FrontMatter::default() },
        problems: Vec::new(),
    };
    reader.read();
    (reader.found, reader.problems)
}

fn locate(text: &str, start: usize) -> Option<(Range<usize>, Range<usize>)> {
    let fence = |line: &str, marks: &[&str]| marks.contains(&line.trim_end());
    let first = next_line(text, start);
    if !fence(&text[start..first], &["---"]) || first == text.len() {
        return None;
    }
    let mut at = first;
    while at < text.len() {
        let next = next_line(text, at);
        let line = &text[at..next];
        if fence(line, &["---", "..."]) {
            return Some((start..next, first..at));
        }
        if at == first && line.trim().is_empty() {
            return None;
        }
        at = next;
    }
    None
}

/// A YAML value with its place; scalars as written, so that `1.10` stays `1.10`.
#[derive(Debug)]
enum Node {
    Null,
    Text(String),
    /// A number or truth value: its words are in the source.
    Literal,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Literal)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Literal)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
                Ok(Node::Literal)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Literal)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
                Ok(Node::Literal)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Literal)
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                Node::deserialize(deserializer)
            }
            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Node::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Node::Map(map))
            }
        }
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct Reader<'a> {
    text: &'a str,
    yaml: Range<usize>,
    found: FrontMatter,
    problems: Vec<FrontProblem>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let yaml = &self.text[self.yaml.clone()];
        let whole = self.found.range.clone();
        if yaml.len() > MAX_BYTES {
            let help = "keep it to a few lines".to_owned();
            self.report(Code::BadFrontMatter, whole, "the front matter is larger than 256 KiB".to_owned(), help);
            return;
        }
        if yaml.trim().is_empty() {
            return;
        }
        match serde_saphyr::from_str_with_options::<Spanned<Node>>(yaml, options()) {
            Err(error) => {
                let error = error.without_snippet();
                let span = error.location().map_or(whole, |l| self.span(&l));
                // The location is already the diagnostic's; only the first line speaks of the cause.
                let rendered = error.to_string();
                let cause = rendered.lines().next().unwrap_or("it is not YAML").trim().to_owned();
                let help = "mend the YAML between the `---` lines; quote texts that hold `: ` or `#`".to_owned();
                self.report(Code::BadFrontMatter, span, format!("the front matter cannot be read: {cause}"), help);
            }
            Ok(Spanned { value: Node::Null, .. }) => {}
            Ok(Spanned { value: Node::Map(entries), .. }) => {
                for (key, value) in entries {
                    self.entry(&key, &value);
                }
            }
            Ok(other) => {
                let span = self.span(&other.referenced);
                let help = "write `key: value` lines".to_owned();
                self.report(Code::BadFrontMatter, span, "the front matter is not a map of keys".to_owned(), help);
            }
        }
    }

    fn entry(&mut self, key: &Spanned<String>, value: &Spanned<Node>) {
        match key.value.as_str() {
            "title" => {
                self.found.title_range = Some(self.span(&value.referenced));
                self.found.title = self.scalar(value, "title").filter(|t| !t.trim().is_empty());
            }
            "description" => self.found.description = self.scalar(value, "description"),
            "timeout" => {
                if let Some(text) = self.scalar(value, "timeout") {
                    match parse_duration(&text) {
                        Ok(limit) => self.found.timeout = Some(limit),
                        Err(bad) => {
                            let help = "write it like `timeout: 30m`".to_owned();
                            self.report(Code::BadTimeout, self.span(&value.referenced), bad.to_string(), help);
                        }
                    }
                }
            }
            "variables" => {
                for (name, value) in self.map(value, "variables") {
                    self.variable(name, value);
                }
            }
            "runtimes" => {
                for (name, value) in self.map(value, "runtimes") {
                    self.runtime(name, value);
                }
            }
            _ => self.unknown(key, &KEYS),
        }
    }

    fn variable(&mut self, name: &Spanned<String>, value: &Spanned<Node>) {
        let range = self.span(&name.referenced);
        if let Some((code, message, help)) = variable_name_problem(&name.value) {
            self.report(code, range, message, help);
            return;
        }
        let mut variable = Variable { range, ..Variable::default() };
        match &value.value {
            Node::Null => {}
            Node::Map(entries) => {
                for (key, value) in entries {
                    match key.value.as_str() {
                        "description" => variable.description = self.scalar(value, "description"),
                        "default" => variable.default = self.scalar(value, "default"),
                        _ => self.unknown(key, &VARIABLE_KEYS),
                    }
                }
            }
            _ => variable.default = self.scalar(value, &name.value),
        }
        self.found.variables.insert(name.value.clone(), variable);
    }

    fn runtime(&mut self, name: &Spanned<String>, value: &Spanned<Node>) {
        let mut runtime = Runtime::default();
        for (key, value) in self.map(value, &name.value) {
            match key.value.as_str() {
                "command" => {
                    runtime.command = if let Node::List(items) = &value.value {
                        items.iter().filter_map(|item| self.scalar(item, "command")).collect()
                    } else {
                        let line = self.scalar(value, "command").unwrap_or_default();
                        line.split_whitespace().map(str::to_owned).collect()
                    };
                }
                "extension" => {
                    runtime.extension = self.scalar(value, "extension").map(|e| e.trim_start_matches('.').to_owned());
                }
                "image" => runtime.image = self.scalar(value, "image"),
                "kernel" => runtime.kernel = self.scalar(value, "kernel"),
                _ => self.unknown(key, &RUNTIME_KEYS),
            }
        }
        self.found.runtimes.insert(name.value.to_lowercase(), runtime);
    }

    fn scalar(&mut self, node: &Spanned<Node>, what: &str) -> Option<String> {
        match &node.value {
            Node::Null => None,
            Node::Text(text) => Some(text.clone()),
            Node::Literal => Some(self.text[self.span(&node.defined)].trim().to_owned()),
            Node::List(_) | Node::Map(_) => {
                let help = "write one value".to_owned();
                self.report(
                    Code::BadFrontMatter,
                    self.span(&node.referenced),
                    format!("`{what}` takes one value"),
                    help,
                );
                None
            }
        }
    }

    fn map<'n>(&mut self, node: &'n Spanned<Node>, what: &str) -> &'n [(Spanned<String>, Spanned<Node>)] {
        match &node.value {
            Node::Map(entries) => entries,
            Node::Null => &[],
            _ => {
                let help = "write `key: value` lines below it".to_owned();
                self.report(Code::BadFrontMatter, self.span(&node.referenced), format!("`{what}` takes a map"), help);
                &[]
            }
        }
    }

    fn unknown(&mut self, key: &Spanned<String>, known: &[&'static str]) {
        let help = suggest(&key.value, known.iter().copied())
            .map_or_else(|| format!("known ones are {}", known.join(", ")), |k| format!("did you mean `{k}`?"));
        self.report(Code::UnknownKey, self.span(&key.referenced), format!("unknown key `{}`", key.value), help);
    }

    fn report(&mut self, code: Code, span: Range<usize>, message: String, help: String) {
        self.problems.push(FrontProblem { code, span, message, help });
    }

    fn span(&self, location: &Location) -> Range<usize> {
        let span = location.span();
        let narrow = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let offset = narrow(span.byte_offset().unwrap_or(0));
        let length = narrow(span.byte_len().unwrap_or(0));
        let clamp = |n: usize| {
            let mut at = self.yaml.start.saturating_add(n).min(self.yaml.end);
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        clamp(offset)..clamp(offset.saturating_add(length))
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.with_snippet = false;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = 32;
        budget.flow_nesting_limit = 32;
        budget.max_nodes = 20_000;
        budget.max_aliases = 100;
        budget.max_documents = 1;
    }
    options
}
