//! From an info string to a block: typed attributes, safe paths, ids.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::diagnostic::{Code, is_bidi_control, suggest};
use crate::duration::parse_duration;
use crate::info::{BadInfo, Info, Word, read_info};
use crate::model::{Attributes, BlockKind, Encoding, Expect, FileBlock, Runnable};
use crate::variables::{is_forbidden, is_variable_name};

/// A problem of one block, before it has a place.
pub(crate) struct BlockProblem {
    pub(crate) code: Code,
    /// A part of the info string to point at; empty for all of it.
    pub(crate) near: String,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// A fence's purpose and language, with what is wrong in its info string.
pub(crate) struct Interpreted {
    pub(crate) kind: BlockKind,
    pub(crate) language: Option<String>,
    pub(crate) problems: Vec<BlockProblem>,
}

/// Languages with a built-in runtime: each name with its canonical one.
const BUILT_IN: [(&str, &str); 10] = [
    ("python", "python"),
    ("py", "python"),
    ("node", "node"),
    ("js", "node"),
    ("javascript", "node"),
    ("bash", "bash"),
    ("sh", "bash"),
    ("shell", "bash"),
    ("go", "go"),
    ("golang", "go"),
];

const RUNNABLE_ATTRIBUTES: [&str; 14] = [
    "name",
    "timeout",
    "cwd",
    "env.X",
    "stdin",
    "tty",
    "background",
    "isolated",
    "needs",
    "if",
    "retry",
    "expect",
    "network",
    "check",
];
const FILE_ATTRIBUTES: [&str; 3] = ["file", "mode", "encoding"];

/// The longest name of one file on the file systems we write to, in bytes.
const MAX_COMPONENT: usize = 255;

/// The canonical name of a language with a built-in runtime, in any letter case.
pub fn built_in_runtime(language: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(name, _)| name.eq_ignore_ascii_case(language)).map(|(_, canonical)| *canonical)
}

/// Every name under which a built-in runtime is known.
pub(crate) fn built_in_languages<'a>() -> impl Iterator<Item = &'a str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Interprets the info string of a fence. The id and index of a runnable block are set later.
pub(crate) fn interpret(info: &str) -> Interpreted {
    let mut reader = Reader { problems: Vec::new() };
    let (kind, language) = match read_info(info) {
        Info::Plain { language } => (BlockKind::Plain, language),
        Info::Runnable { language, words } => {
            let attributes = reader.runnable(words);
            if language.is_none() {
                reader.report(
                    Code::MissingLanguage,
                    "runnable",
                    "a runnable block needs a language".to_owned(),
                    "write `runnable bash`, `runnable python`, `runnable node` or `runnable go`".to_owned(),
                );
            }
            let written = language.clone().unwrap_or_default();
            let runtime = built_in_runtime(&written).map_or_else(|| written.to_lowercase(), str::to_owned);
            let runnable = Runnable { id: String::new(), index: 0, runtime, attributes };
            (BlockKind::Runnable(Box::new(runnable)), language)
        }
        Info::File { language, words } => (BlockKind::File(reader.file(words)), language),
    };
    Interpreted { kind, language, problems: reader.problems }
}

type Words = Result<Vec<Word>, BadInfo>;

struct Reader {
    problems: Vec<BlockProblem>,
}

impl Reader {
    fn report(&mut self, code: Code, near: &str, message: String, help: String) {
        self.problems.push(BlockProblem { code, near: near.to_owned(), message, help });
    }

    fn words(&mut self, words: Words) -> Vec<Word> {
        words.unwrap_or_else(|bad| {
            let (message, help) = match bad {
                BadInfo::Quote => ("a quote in the info string is not closed", "close it with the same kind of quote"),
                BadInfo::Brace => ("a brace in the info string is not closed", "end the info string with `}`"),
                BadInfo::Json => ("the attributes are not a JSON object of plain values", "write `key=value` instead"),
            };
            self.report(Code::BadAttribute, "", message.to_owned(), help.to_owned());
            Vec::new()
        })
    }

    fn runnable(&mut self, words: Words) -> Attributes {
        let mut found = Attributes::default();
        for Word { key, value } in self.words(words) {
            if let Some(name) = key.strip_prefix("env.") {
                self.environment(name, value.unwrap_or_default(), &mut found.env);
                continue;
            }
            match (key.as_str(), value) {
                ("tty", value) => found.tty = self.flag(&key, value.as_deref()),
                ("background", value) => found.background = self.flag(&key, value.as_deref()),
                ("isolated", value) => found.isolated = self.flag(&key, value.as_deref()),
                ("check", value) => found.check = self.flag(&key, value.as_deref()),
                ("network", value) => found.network = Some(value.unwrap_or_else(|| "on".to_owned())),
                ("name", Some(name)) => found.name = self.block_name(name),
                ("timeout", Some(text)) => found.timeout = self.timeout(&text),
                ("cwd", Some(path)) => {
                    if path != "."
                        && let Some(reason) = path_problem(&path)
                    {
                        self.bad_path(&path, reason);
                    }
                    found.cwd = Some(path);
                }
                ("stdin", Some(text)) => found.stdin = Some(text),
                ("needs", Some(list)) => {
                    found.needs = list.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
                }
                ("if", Some(condition)) => found.condition = Some(condition),
                ("retry", Some(text)) => match text.parse::<u32>() {
                    Ok(n) if n <= 100 => found.retry = n,
                    _ => self.bad_value("retry", &text, "a whole number from 0 to 100, as in `retry=2`"),
                },
                ("expect", Some(text)) => match text.parse::<i64>() {
                    Err(_) if text.is_empty() => self.bad_value("expect", &text, "an exit code or a text"),
                    Err(_) => found.expect = Some(Expect::Output(text)),
                    Ok(code) => match u8::try_from(code) {
                        Ok(code) => found.expect = Some(Expect::Exit(code)),
                        Err(_) => self.bad_value("expect", &text, "an exit code from 0 to 255"),
                    },
                },
                (known, None) if RUNNABLE_ATTRIBUTES.contains(&known) => {
                    self.report(
                        Code::BadAttribute,
                        known,
                        format!("attribute `{known}` has no value"),
                        format!("write `{known}=…`"),
                    );
                }
                (unknown, _) => self.unknown(unknown, &RUNNABLE_ATTRIBUTES),
            }
        }
        found
    }

    fn file(&mut self, words: Words) -> FileBlock {
        let mut found = FileBlock { path: String::new(), mode: 0o644, encoding: Encoding::Text };
        let mut path = None;
        for (i, Word { key, value }) in self.words(words).into_iter().enumerate() {
            match (key.as_str(), value) {
                (_, None) if i == 0 => path = Some(key),
                ("file", Some(value)) => path = Some(value),
                ("mode", Some(text)) => match u32::from_str_radix(&text, 8) {
                    // No set-id bits: a document must not make programs that act as someone else.
                    Ok(mode) if mode <= 0o777 => found.mode = mode,
                    _ => self.bad_value("mode", &text, "octal permission bits up to 0777, as in `mode=0755`"),
                },
                ("encoding", Some(text)) => match text.as_str() {
                    "base64" => found.encoding = Encoding::Base64,
                    "text" => found.encoding = Encoding::Text,
                    _ => self.bad_value("encoding", &text, "`text` or `base64`"),
                },
                (unknown, _) => self.unknown(unknown, &FILE_ATTRIBUTES),
            }
        }
        found.path = path.unwrap_or_default();
        if let Some(reason) = path_problem(&found.path) {
            self.bad_path(&found.path, reason);
        }
        found
    }

    fn environment(&mut self, name: &str, value: String, env: &mut BTreeMap<String, String>) {
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_forbidden(name) {
            self.report(
                Code::ForbiddenVariable,
                name,
                format!("`{name}` steers programs and cannot be set from a document"),
                "choose another name, or set it inside the block".to_owned(),
            );
        } else if valid {
            env.insert(name.to_owned(), value);
        } else {
            self.bad_value("env.X", name, "a name of letters, digits and `_`, as in `env.MODE=fast`");
        }
    }

    fn flag(&mut self, key: &str, value: Option<&str>) -> bool {
        match value {
            None | Some("true" | "yes" | "on" | "1") => true,
            Some("false" | "no" | "off" | "0") => false,
            Some(other) => {
                self.bad_value(key, other, "`true` or `false`");
                false
            }
        }
    }

    fn block_name(&mut self, name: String) -> Option<String> {
        let plain =
            !name.trim().is_empty() && name.len() <= 100 && !name.contains(|c: char| c.is_control() || c == ',');
        // An id may also be an index, so a name of digits would be ambiguous.
        if plain && !name.bytes().all(|b| b.is_ascii_digit()) {
            return Some(name);
        }
        self.bad_value("name", &name, "up to 100 characters, not only digits, without comma");
        None
    }

    fn timeout(&mut self, text: &str) -> Option<Duration> {
        let read = parse_duration(text);
        if let Err(bad) = &read {
            self.report(Code::BadTimeout, text, bad.to_string(), "write it like `timeout=90s`".to_owned());
        }
        read.ok()
    }

    fn bad_path(&mut self, path: &str, reason: &str) {
        self.report(
            Code::BadPath,
            path,
            format!("the path \"{path}\" {reason}"),
            "give a path relative to the working directory, as in `src/main.py`".to_owned(),
        );
    }

    fn bad_value(&mut self, key: &str, value: &str, expected: &str) {
        self.report(
            Code::BadAttribute,
            key,
            format!("attribute `{key}` cannot be \"{value}\""),
            format!("it takes {expected}"),
        );
    }

    fn unknown(&mut self, key: &str, known: &[&str]) {
        let help = suggest(key, known.iter().copied())
            .map_or_else(|| format!("known ones are {}", known.join(", ")), |k| format!("did you mean `{k}`?"));
        self.report(Code::UnknownAttribute, key, format!("unknown attribute `{key}`"), help);
    }
}

/// Why a path may not be written to; `None` when it is safe to join to the working directory.
pub fn path_problem(path: &str) -> Option<&'static str> {
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.is_empty() {
        Some("is missing")
    } else if path.contains(|c: char| c.is_control() || is_bidi_control(c)) {
        Some("holds control characters")
    } else if path.starts_with('/') || drive {
        Some("is absolute")
    } else if path.contains('\\') {
        Some("holds a backslash")
    } else if path.split('/').any(|part| part == "..") {
        Some("leaves the working directory")
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        Some("has an empty or `.` part")
    } else if path.split('/').any(|part| part.len() > MAX_COMPONENT) || path.len() > 4000 {
        Some("is too long")
    } else {
        None
    }
}

/// The id of a runnable block without name: a hash of language and body.
pub(crate) fn hashed_id(runtime: &str, body: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(runtime.as_bytes());
    hash.update([0]);
    hash.update(body.as_bytes());
    format!("b-{}", &hex::encode(hash.finalize())[..12])
}

pub(crate) fn decode_base64(body: &str) -> Option<Vec<u8>> {
    let text: String = body.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Whether a variable may be declared or used under this name; else what is wrong with it.
pub(crate) fn variable_name_problem(name: &str) -> Option<(Code, String, String)> {
    if is_forbidden(name) {
        let message = format!("the variable name `{name}` is refused, since it steers programs");
        Some((Code::ForbiddenVariable, message, "choose another name, as in `TARGET_…`".to_owned()))
    } else if !is_variable_name(name) {
        let message = format!("`{name}` is not a variable name");
        Some((Code::BadVariable, message, "use capital letters, digits and `_`, beginning with a letter".to_owned()))
    } else {
        None
    }
}
