//! The git program, called in one way only: no one's configuration but ours, no hooks, no prompt, bounded.
//!
//! Every call starts from an empty environment. What a repository's own configuration could make git execute is
//! overridden on the command line, which wins over the repository's file, or is never reached by the few plumbing
//! commands that are used. Works with git 2.39 and newer.

mod run;

pub(crate) use run::{Call, Confine};

use crate::Error;
use secrets::Known;
use std::{
    ffi::{OsStr, OsString},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where helper programs of git are looked for (`sh`, and git itself when it is given by name).
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Read instead of the machine's and the user's configuration; a repository's own still comes after it, so nothing
/// here is relied on where a repository could say otherwise. `safe.directory` is only honoured in such a file.
const CONFIGURATION: &str = "[safe]
\tdirectory = *
[core]
\thooksPath = /dev/null
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tfsmonitor = false
[protocol]
\tallow = never
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tuseConfigOnly = true
[init]
\tdefaultBranch = main
";

/// The git program with a private home. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git {
    inner: Arc<Inner>,
    known: Known,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    home: PathBuf,
    search: OsString,
}

impl Git {
    /// Git by name (looked up in the usual places) or absolute path. `private` is a directory of ours, made when
    /// absent and closed to others; it stands in for a home.
    pub async fn new(program: impl Into<PathBuf>, private: &Path) -> Result<Self, Error> {
        let program = program.into();
        let home = private.to_owned();
        let failed = || Error::io(format!("prepare {}", private.display()));
        let write = {
            let home = home.clone();
            move || {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&home)?;
                std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))?;
                let mut file = tempfile::NamedTempFile::new_in(&home)?;
                std::io::Write::write_all(&mut file, CONFIGURATION.as_bytes())?;
                file.persist(home.join("gitconfig")).map_err(|error| error.error)?;
                std::path::absolute(&home)
            }
        };
        let home = tokio::task::spawn_blocking(write).await.map_err(|e| failed()(e.into()))?.map_err(failed())?;
        let mut search = OsString::new();
        if let Some(dir) = program.parent().filter(|dir| dir.is_absolute()) {
            search.push(dir);
            search.push(":");
        }
        search.push(SEARCH);
        Ok(Self { inner: Arc::new(Inner { program, home, search }), known: Known::nothing() })
    }

    /// The same, with what must not get into a commit's message.
    #[must_use]
    pub fn hiding(self, known: Known) -> Self {
        Self { known, ..self }
    }

    /// A text for a commit.
    pub(crate) fn safe(&self, text: &str) -> String {
        self.known.redactor().redact_text(text)
    }

    /// The program's version, such as `2.39.5`.
    pub async fn version(&self) -> Result<String, Error> {
        let output = self.call("version").run().await?.text()?;
        Ok(output.trim().trim_start_matches("git version ").to_owned())
    }

    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        Call::new(self.clone(), subcommand)
    }

    pub(crate) fn program(&self) -> &Path {
        &self.inner.program
    }

    /// The whole environment of a call; nothing of the server's own is passed on.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let home = self.inner.home.as_os_str();
        let fixed = |value: &str| OsString::from(value);
        vec![
            ("PATH", self.inner.search.clone()),
            ("HOME", home.to_owned()),
            ("XDG_CONFIG_HOME", home.to_owned()),
            ("LC_ALL", fixed("C")),
            ("TZ", fixed("UTC")),
            ("GIT_CONFIG_NOSYSTEM", fixed("1")),
            ("GIT_CONFIG_GLOBAL", self.inner.home.join("gitconfig").into_os_string()),
            ("GIT_ATTR_NOSYSTEM", fixed("1")),
            ("GIT_TEMPLATE_DIR", fixed("")),
            ("GIT_TERMINAL_PROMPT", fixed("0")),
            ("GIT_ASKPASS", fixed("false")),
            ("SSH_ASKPASS", fixed("false")),
            ("GIT_SSH_COMMAND", fixed("false")),
            ("GIT_EDITOR", fixed("false")),
            ("GIT_PAGER", fixed("cat")),
            ("GIT_OPTIONAL_LOCKS", fixed("0")),
            ("GIT_NO_REPLACE_OBJECTS", fixed("1")),
            ("GIT_NO_LAZY_FETCH", fixed("1")),
            ("GIT_LITERAL_PATHSPECS", fixed("1")),
            ("GIT_ADVICE", fixed("0")),
        ]
    }

    /// The program of the other side of a local transport, with what its repository's configuration could make it
    /// execute switched off. Local transport clears `-c` settings for that side, so they are part of its command.
    pub(crate) fn other_side(&self, program: &'static str) -> OsString {
        let mut command = OsString::from("GIT_ALLOW_PROTOCOL=none ");
        command.push(shell_quoted(self.inner.program.as_os_str()));
        for setting in OVERRIDES.iter().chain(RECEIVING) {
            command.push(" -c ");
            command.push(setting);
        }
        command.push(" ");
        command.push(program);
        command
    }
}

/// Settings that could make git start a program, or write where it was not asked to.
const OVERRIDES: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "core.sshCommand=false",
    "core.askPass=false",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
];

/// What holds for a repository that receives: its working tree is never touched, whatever its owner set.
const RECEIVING: &[&str] =
    &["receive.denyCurrentBranch=refuse", "receive.autogc=false", "receive.updateServerInfo=false"];

/// `text` as one word of `sh`.
pub(crate) fn shell_quoted(text: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut quoted = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}
