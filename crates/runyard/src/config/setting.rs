//! Types of settings: how each is read from text or TOML, and how it is shown.

use domain::{MicroUsd, PrMode, Role};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A value as it was found, before its type is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// From the environment or a flag: text whatever the type.
    Written(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML float, as written.
    Float(String),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Raw>),
    /// Another TOML type, by name.
    Other(&'static str),
}

impl Raw {
    fn found(&self) -> &'static str {
        match self {
            Self::Written(_) | Self::Text(_) => "text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Written(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn wrong<T: Setting>(&self) -> String {
        match self.text() {
            Some(text) => format!("`{}` is not {}", text.escape_debug(), T::SHAPE),
            None => format!("expected {}, found {}", T::SHAPE, self.found()),
        }
    }
}

/// The type of a setting.
pub trait Setting: Sized {
    /// What a value looks like, with its article, such as `a time span such as 30s`.
    const SHAPE: &'static str;

    /// Reads a value; the error is a sentence fragment for people.
    fn read(raw: &Raw) -> Result<Self, String>;

    /// The value as it could be written after `=` in the file; empty when there is none.
    fn show(&self) -> String;
}

impl Setting for bool {
    const SHAPE: &'static str = "`true` or `false`";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(value) => Ok(*value),
            Raw::Written(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err(raw.wrong::<Self>()),
            },
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Setting for Count<MIN, MAX> {
    const SHAPE: &'static str = "a whole number";

    fn read(raw: &Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Integer(number) => *number,
            Raw::Written(text) => text.trim().replace('_', "").parse().map_err(|_| raw.wrong::<Self>())?,
            _ => return Err(raw.wrong::<Self>()),
        };
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else if MAX == i64::MAX {
            Err(format!("{number} is too small: the least is {MIN}"))
        } else {
            Err(format!("{number} is out of range: choose from {MIN} to {MAX}"))
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Setting for Duration {
    const SHAPE: &'static str = "a time span such as 30s, 5m or 1h30m";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| match raw {
            Raw::Integer(number) => format!("{number} has no unit: write \"{number}s\" for seconds"),
            _ => raw.wrong::<Self>(),
        })?;
        runbook::parse_duration(text.trim()).map_err(|_| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        quoted(&runbook::format_duration(*self))
    }
}

impl Setting for String {
    const SHAPE: &'static str = "text";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?;
        if text.chars().any(char::is_control) {
            return Err("it holds a control character".to_owned());
        }
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

/// An absolute path; `~/` stands for the home directory.
impl Setting for PathBuf {
    const SHAPE: &'static str = "an absolute path";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?;
        let path = match (text.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => Self::from(text),
        };
        if path.is_absolute() { Ok(path) } else { Err(raw.wrong::<Self>()) }
    }

    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

/// A program: an absolute path, or a name to look up in `PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub PathBuf);

impl Program {
    /// The program's absolute path without links, when it exists and can be executed.
    pub fn find(&self) -> Option<PathBuf> {
        let found = if self.0.is_absolute() {
            is_executable(&self.0).then(|| self.0.clone())?
        } else {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|dir| dir.join(&self.0)).find(|file| is_executable(file))?
        };
        found.canonicalize().ok()
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

impl Setting for Program {
    const SHAPE: &'static str = "a program's name or its absolute path";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?;
        if text.contains('/') {
            return PathBuf::read(raw).map(Self).map_err(|_| raw.wrong::<Self>());
        }
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(text.into())) }
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string_lossy())
    }
}

impl Setting for PrMode {
    const SHAPE: &'static str = "stacked_pr, single_pr or manual";

    fn read(raw: &Raw) -> Result<Self, String> {
        raw.text().and_then(|text| text.parse().ok()).ok_or_else(|| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::StackedPr => "stacked_pr",
            Self::SinglePr => "single_pr",
            Self::Manual => "manual",
        })
    }
}

impl Setting for Role {
    const SHAPE: &'static str = "member, maintainer or admin";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some("member") => Ok(Self::Member),
            Some("maintainer") => Ok(Self::Maintainer),
            Some("admin") => Ok(Self::Admin),
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Member => "member",
            Self::Maintainer => "maintainer",
            Self::Admin => "admin",
        })
    }
}

impl Setting for MicroUsd {
    const SHAPE: &'static str = "an amount in US dollars such as 2.50";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = match raw {
            Raw::Integer(number) => number.to_string(),
            Raw::Float(text) | Raw::Written(text) | Raw::Text(text) => text.clone(),
            _ => return Err(raw.wrong::<Self>()),
        };
        dollars(&text).map(Self).ok_or_else(|| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        let cents = self.0 % 1_000_000;
        let mut digits = format!("{cents:06}");
        digits.truncate(2.max(digits.trim_end_matches('0').len()));
        format!("{}.{digits}", self.0 / 1_000_000)
    }
}

/// Reads `2`, `2.5`, `$2.50` or `2.50 USD` as micro-dollars, without going through floating point.
fn dollars(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text);
    let text = text.strip_suffix("USD").unwrap_or(text).trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 || text.ends_with('.') {
        return None;
    }
    let micros: i64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)
}

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Setting for Bytes {
    const SHAPE: &'static str = "a size such as 512MiB or 4GiB";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?.trim();
        SIZES
            .iter()
            .find_map(|(unit, size)| {
                let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
                number.checked_mul(*size).filter(|bytes| *bytes > 0).map(Self)
            })
            .ok_or_else(|| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        let (unit, size) = SIZES.into_iter().find(|(_, size)| self.0.is_multiple_of(*size)).unwrap_or(("B", 1));
        quoted(&format!("{}{unit}", self.0 / size))
    }
}

/// Processors, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processors(pub u64);

impl Setting for Processors {
    const SHAPE: &'static str = "a number of processors such as 2 or 1.5";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = match raw {
            Raw::Integer(number) => number.to_string(),
            Raw::Float(text) | Raw::Written(text) => text.clone(),
            _ => return Err(raw.wrong::<Self>()),
        };
        let number: f64 = text.trim().parse().map_err(|_| raw.wrong::<Self>())?;
        if !(0.001..=4096.0).contains(&number) {
            return Err(raw.wrong::<Self>());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was just checked")]
        Ok(Self((number * 1000.0).round() as u64))
    }

    fn show(&self) -> String {
        let part = format!("{:03}", self.0 % 1000);
        match part.trim_end_matches('0') {
            "" => (self.0 / 1000).to_string(),
            part => format!("{}.{part}", self.0 / 1000),
        }
    }
}

impl Setting for sandbox::local::Requirement {
    const SHAPE: &'static str = "required or best_effort";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some("required") => Ok(Self::Required),
            Some("best_effort") => Ok(Self::BestEffort),
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Required => "required",
            Self::BestEffort => "best_effort",
        })
    }
}

impl Setting for agent::ProgramDigest {
    const SHAPE: &'static str = "a SHA-256 digest of 64 hexadecimal digits, as sha256sum prints it";

    fn read(raw: &Raw) -> Result<Self, String> {
        raw.text().and_then(|text| text.parse().ok()).ok_or_else(|| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// What the log of the server holds: a level, or directives such as `info,engine=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl Setting for LogFilter {
    const SHAPE: &'static str = "error, warn, info, debug, trace, or directives such as info,engine=debug";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?;
        match text.parse::<tracing_subscriber::filter::Targets>() {
            Ok(_) if !text.trim().is_empty() => Ok(Self(text.to_owned())),
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One object on each line.
    Json,
}

impl Setting for LogFormat {
    const SHAPE: &'static str = "text or json";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// A value that may be absent: written as empty text.
impl<T: Setting> Setting for Option<T> {
    const SHAPE: &'static str = T::SHAPE;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some(text) if text.trim().is_empty() => Ok(None),
            _ => T::read(raw).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

/// A TOML list. In the environment and in flags it is a TOML list too, or the items between commas.
impl<T: Setting> Setting for Vec<T> {
    const SHAPE: &'static str = "a list";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => items.iter().map(T::read).collect(),
            Raw::Written(text) if text.trim_start().starts_with('[') => {
                let table = format!("list = {text}");
                let (_, list) = super::file::entries(&table)
                    .ok()
                    .and_then(|mut entries| entries.pop())
                    .map(|entry| (entry.key, entry.raw))
                    .ok_or_else(|| raw.wrong::<Self>())?;
                Self::read(&list)
            }
            Raw::Written(text) => text
                .split(',')
                .filter(|item| !item.trim().is_empty())
                .map(|item| T::read(&Raw::Written(item.trim().to_owned())))
                .collect(),
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T: Setting>(text: &str) -> Result<T, String> {
        T::read(&Raw::Written(text.to_owned()))
    }

    #[test]
    fn money_is_exact() {
        for (text, micros) in
            [("2", 2_000_000), ("2.5", 2_500_000), ("$0.1", 100_000), ("0.000001", 1), ("3 USD", 3_000_000)]
        {
            assert_eq!(written(text), Ok(MicroUsd(micros)), "{text}");
        }
        for text in ["", "-1", "2.", ".5", "1e3", "0.0000001", "two", "99999999999999999999"] {
            assert!(written::<MicroUsd>(text).is_err(), "{text}");
        }
        assert_eq!(MicroUsd(2_500_000).show(), "2.50");
        assert_eq!(MicroUsd(1).show(), "0.000001");
    }

    #[test]
    fn a_bare_number_is_no_time_span() {
        assert_eq!(Duration::read(&Raw::Integer(30)), Err("30 has no unit: write \"30s\" for seconds".to_owned()));
        assert_eq!(written("1h30m"), Ok(Duration::from_mins(90)));
    }

    #[test]
    fn sizes_and_processors_read_back_as_shown() {
        assert_eq!(written("4GiB"), Ok(Bytes(4 << 30)));
        assert_eq!(Bytes(1536 << 20).show(), "\"1536MiB\"");
        assert!(written::<Bytes>("4GB").is_err());
        assert_eq!(written("1.5"), Ok(Processors(1500)));
        assert_eq!(Processors(1500).show(), "1.5");
        assert!(written::<Processors>("NaN").is_err());
    }

    #[test]
    fn lists_are_read_from_toml_and_from_commas() {
        assert_eq!(written(" a, b ,"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(written(r#"["Bash(a, b)"]"#), Ok(vec!["Bash(a, b)".to_owned()]));
        assert!(written::<Vec<PathBuf>>("relative").is_err());
    }

    #[test]
    fn counts_keep_their_range() {
        assert_eq!(written::<Count<1, 64>>("65"), Err("65 is out of range: choose from 1 to 64".to_owned()));
        assert_eq!(written::<Count<0, { i64::MAX }>>("-1"), Err("-1 is too small: the least is 0".to_owned()));
    }
}
