//! Configuration: `runyard.toml`, then the environment, then flags, each heavier than the one before.
//!
//! One file is read: the one named by `--config` or `RUNYARD_CONFIG`, else `DATA/runyard.toml` when it exists. Nothing
//! is ever read from the directory that the command is called in, since that may be a repository of strangers.

mod address;
mod file;
mod keys;
mod setting;
mod settings;
mod show;

pub use address::Listen;
pub use keys::{KEYS, Key, Values};
pub use setting::{LogFormat, Raw, Setting};
pub use show::{render_json, render_text};

use domain::MicroUsd;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// Reads money as `2`, `2.5` or `$2.50`, for flags.
pub fn money(text: &str) -> Result<MicroUsd, String> {
    MicroUsd::read(&Raw::Written(text.to_owned()))
}

/// Reads a span of whole seconds such as `90m`, for flags.
pub fn seconds(text: &str) -> Result<u64, String> {
    match std::time::Duration::read(&Raw::Written(text.to_owned()))? {
        span if span.as_secs() > 0 => Ok(span.as_secs()),
        _ => Err("a time budget has at least a second".to_owned()),
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table, or this machine.
    Default,
    /// The file, at a line.
    File(PathBuf, usize),
    /// This environment variable.
    Environment(String),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A configuration that cannot be used: where, why, and what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The place, such as `/etc/runyard.toml:3:1` or `environment RUNYARD_WORKERS`.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do, if that is known.
    pub help: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// What a command line says about configuration.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Each `--set KEY=VALUE`.
    pub set: Vec<String>,
}

/// The surroundings that configuration is read from.
pub struct Surroundings<'a> {
    /// An environment variable by name.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The names of all environment variables.
    pub variables: Vec<String>,
    /// True for root.
    pub root: bool,
    /// The home directory.
    pub home: Option<PathBuf>,
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every value.
    pub values: Values,
    /// Where each value that is no default came from.
    pub origins: BTreeMap<&'static str, Origin>,
    /// The data directory, whoever chose it.
    pub data_dir: PathBuf,
    /// The file of the keys of stored secrets, whoever chose it.
    pub keyring: PathBuf,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What a person should know, such as variables that look misspelt.
    pub warnings: Vec<String>,
}

impl Config {
    /// True when nobody set a key.
    pub fn is_default(&self, key: &str) -> bool {
        self.origins.get(key).is_none_or(|origin| *origin == Origin::Default)
    }
}

/// Variables that begin with `RUNYARD_` and are no settings.
/// Variables of `faultpoint`, which exist where it does anything.
const FAULT_VARIABLES: [&str; 3] = ["RUNYARD_FAILPOINTS", "RUNYARD_FAILPOINTS_TRACE", "RUNYARD_PLANTED"];
const OTHER_VARIABLES: [&str; 6] = [
    "RUNYARD_CONFIG",
    "RUNYARD_CLAUDE",
    "RUNYARD_OIDC_CLIENT_SECRET",
    "RUNYARD_WRITE_DOCS",
    "RUNYARD_CORPUS",
    "RUNYARD_ADVISORY_DB",
];

impl Config {
    /// Reads everything.
    pub fn load(flags: &Flags, around: &Surroundings<'_>) -> Result<Self, ConfigError> {
        let values =
            Values::defaults().map_err(|message| ConfigError { place: "defaults".into(), message, help: None })?;
        let mut config = Self {
            values,
            origins: BTreeMap::new(),
            data_dir: PathBuf::new(),
            keyring: PathBuf::new(),
            file: None,
            warnings: Vec::new(),
        };

        let named = flags
            .config
            .clone()
            .or_else(|| (around.variable)("RUNYARD_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        if let Some(path) = &named {
            config.read_file(path)?;
        }
        config.read_environment(around)?;
        config.read_flags(flags)?;

        config.data_dir = match &config.values.data_dir {
            Some(chosen) => chosen.clone(),
            None => default_data_dir(around)?,
        };
        let usual = config.data_dir.join("runyard.toml");
        if named.is_none() && usual.exists() {
            config.read_file(&usual)?;
            if matches!(config.origins.get("data_dir"), Some(Origin::File(..))) {
                return Err(ConfigError {
                    place: usual.display().to_string(),
                    message: "`data_dir` cannot be set in the file that is found by it".into(),
                    help: Some("name the file with --config, or set RUNYARD_DATA_DIR".into()),
                });
            }
            config.read_environment(around)?;
            config.read_flags(flags)?;
        }
        config.keyring = config.find_keyring(around)?;
        Ok(config)
    }

    /// Where the keyring is: chosen, or the usual place.
    fn find_keyring(&self, around: &Surroundings<'_>) -> Result<PathBuf, ConfigError> {
        let path = self.values.keyring.clone().unwrap_or_else(|| default_keyring(around));
        if path.starts_with(&self.data_dir) {
            let place =
                self.origins.get("secrets.keyring").map_or_else(|| "secrets.keyring".into(), ToString::to_string);
            let message = format!("the keyring {} lies within the data directory", path.display());
            let help = "who has a copy of the data directory must not have the keys too: name a place outside of it";
            return Err(ConfigError { place, message, help: Some(help.into()) });
        }
        Ok(path)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            place: path.display().to_string(),
            message: format!("failed to read the file: {error}"),
            help: None,
        })?;
        let place = |offset: usize| {
            let (line, column) = file::position(&text, offset);
            (format!("{}:{line}:{column}", path.display()), line)
        };
        let entries = file::entries(&text).map_err(|error| ConfigError {
            place: place(error.offset).0,
            message: error.message,
            help: None,
        })?;
        for entry in entries {
            let (key_place, line) = place(entry.key_span.start);
            match self.values.set(&entry.key, &entry.raw) {
                None => return Err(unknown(key_place, &entry.key)),
                Some(Err(message)) => {
                    let message = format!("`{}`: {message}", entry.key);
                    return Err(ConfigError { place: place(entry.value_span.start).0, message, help: None });
                }
                Some(Ok(())) => self.note(&entry.key, Origin::File(path.to_owned(), line)),
            }
        }
        self.file = Some(path.to_owned());
        Ok(())
    }

    fn read_environment(&mut self, around: &Surroundings<'_>) -> Result<(), ConfigError> {
        // As everywhere on Unix, a variable that is set to nothing is as good as unset.
        let variable = |name: &str| (around.variable)(name).filter(|value| !value.trim().is_empty());
        let elsewhere = self.origins.contains_key("anthropic.base_url");
        if let Some(url) = variable("ANTHROPIC_BASE_URL").filter(|_| !elsewhere) {
            self.assign("anthropic.base_url", &url, Origin::Environment("ANTHROPIC_BASE_URL".into()))?;
        }
        for key in KEYS {
            let name = key.variable();
            if let Some(value) = variable(&name) {
                self.assign(key.name, &value, Origin::Environment(name))?;
            }
        }
        self.warnings = misspelt(&around.variables);
        Ok(())
    }

    fn read_flags(&mut self, flags: &Flags) -> Result<(), ConfigError> {
        if let Some(path) = &flags.data_dir {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            self.assign("data_dir", &absolute.to_string_lossy(), Origin::Flag("--data-dir"))?;
        }
        for assignment in &flags.set {
            let (key, value) = assignment.split_once('=').ok_or_else(|| ConfigError {
                place: "flag --set".into(),
                message: format!("`{assignment}` is not KEY=VALUE"),
                help: Some("for example --set workers=4".into()),
            })?;
            self.assign(key.trim(), value, Origin::Flag("--set"))?;
        }
        Ok(())
    }

    fn assign(&mut self, key: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        match self.values.set(key, &Raw::Written(value.to_owned())) {
            None => Err(unknown(origin.to_string(), key)),
            Some(Err(message)) => {
                Err(ConfigError { place: origin.to_string(), message: format!("`{key}`: {message}"), help: None })
            }
            Some(Ok(())) => {
                self.note(key, origin);
                Ok(())
            }
        }
    }

    fn note(&mut self, key: &str, origin: Origin) {
        if let Some(key) = KEYS.iter().find(|known| known.name == key) {
            self.origins.insert(key.name, origin);
        }
    }
}

fn unknown(place: String, key: &str) -> ConfigError {
    let section = KEYS.iter().any(|known| known.name.starts_with(&format!("{key}.")));
    let help = if section {
        Some(format!("`{key}` is a section: write [{key}] and its keys below"))
    } else {
        nearest(key, KEYS.iter().map(|known| known.name))
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| Some("`runyard config show` lists all keys".into()))
    };
    ConfigError { place, message: format!("unknown key `{}`", key.escape_debug()), help }
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A key that was written without its section is meant as surely as a misspelt one.
    let distance = |candidate: &str| {
        let tail = candidate.rsplit('.').next().unwrap_or(candidate);
        let last = word.rsplit('.').next().unwrap_or(word);
        strsim::damerau_levenshtein(word, candidate).min(strsim::damerau_levenshtein(last, tail) + 1)
    };
    known
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().min(word.len().max(3)))
        .min()
        .map(|(_, candidate)| candidate)
}

fn misspelt(variables: &[String]) -> Vec<String> {
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    variables
        .iter()
        .filter(|name| name.starts_with("RUNYARD_"))
        .filter(|name| !known.contains(name) && !OTHER_VARIABLES.contains(&name.as_str()))
        .filter(|name| !(cfg!(feature = "failpoints") && FAULT_VARIABLES.contains(&name.as_str())))
        .map(|name| match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("the variable {name} is no setting; did you mean {near}?"),
            None => format!("the variable {name} is no setting"),
        })
        .collect()
}

fn default_keyring(around: &Surroundings<'_>) -> PathBuf {
    let config_home = (around.variable)("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = match (config_home, &around.home) {
        (Some(folder), _) if !around.root => folder,
        (None, Some(home)) if !around.root => home.join(".config"),
        // For root; and where the data directory was named, so that there needs to be no home.
        _ => PathBuf::from("/etc"),
    };
    folder.join("runyard/keyring")
}

fn default_data_dir(around: &Surroundings<'_>) -> Result<PathBuf, ConfigError> {
    if around.root {
        return Ok(PathBuf::from("/var/lib/runyard"));
    }
    // The XDG Base Directory Specification says that a relative path is to be ignored.
    let data_home = (around.variable)("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    data_home
        .or_else(|| around.home.as_ref().map(|home| home.join(".local/share")))
        .map(|dir| dir.join("runyard"))
        .ok_or_else(|| ConfigError {
            place: "data_dir".into(),
            message: "there is no home directory to keep data in".into(),
            help: Some("say where with --data-dir or RUNYARD_DATA_DIR".into()),
        })
}

#[cfg(test)]
mod tests;
