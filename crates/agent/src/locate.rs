use std::{
    env,
    path::{Path, PathBuf},
};

/// The version of Claude Code that this crate was tested with.
pub const PINNED: &str = "2.1.197";

/// Claude Code is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Claude Code was not found ({tried}): run `cargo xtask setup`, or `npm install -g \
     @anthropic-ai/claude-code@{PINNED}`, or set agent.claude"
)]
pub struct NotFound {
    /// Where it was looked for.
    pub tried: String,
}

/// What the search depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// An explicit path: the setting `agent.claude` or `RUNYARD_CLAUDE`. Nothing else is tried then.
    pub explicit: Option<PathBuf>,
    /// Whether this process is root, and so uses the machine's cache.
    pub root: bool,
    /// `XDG_CACHE_HOME`.
    pub cache_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<std::ffi::OsString>,
}

impl Surroundings {
    /// Those of this process; `setting` is `agent.claude`, over which `RUNYARD_CLAUDE` wins.
    pub fn of_process(setting: Option<PathBuf>) -> Self {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            explicit: path("RUNYARD_CLAUDE").or(setting),
            root: rustix::process::geteuid().is_root(),
            cache_home: path("XDG_CACHE_HOME"),
            home: path("HOME"),
            path: env::var_os("PATH"),
        }
    }

    /// Where `cargo xtask setup` puts Claude Code, if that is known.
    pub fn cache(&self) -> Option<PathBuf> {
        let cache = if self.root {
            PathBuf::from("/var/cache")
        } else {
            self.cache_home.clone().or_else(|| Some(self.home.as_ref()?.join(".cache")))?
        };
        Some(cache.join("runyard/claude-code").join(PINNED))
    }
}

/// Finds the program with this process's surroundings; `setting` is `agent.claude`.
pub fn locate(setting: Option<PathBuf>) -> Result<PathBuf, NotFound> {
    locate_with(&Surroundings::of_process(setting))
}

/// Finds the program.
pub fn locate_with(surroundings: &Surroundings) -> Result<PathBuf, NotFound> {
    if let Some(explicit) = &surroundings.explicit {
        let found = is_file(explicit).then(|| explicit.clone());
        return found.ok_or_else(|| NotFound { tried: explicit.display().to_string() });
    }
    let cached = surroundings.cache().map(|cache| {
        let package = match env::consts::ARCH {
            "aarch64" => "claude-code-linux-arm64",
            _ => "claude-code-linux-x64",
        };
        cache.join("node_modules/@anthropic-ai").join(package).join("claude")
    });
    let on_path = surroundings.path.iter().flat_map(env::split_paths).map(|dir| dir.join("claude"));
    cached.iter().cloned().chain(on_path).find(|path| is_file(path)).ok_or_else(|| NotFound {
        tried: match &cached {
            Some(cached) => format!("not in {}, not on PATH", cached.display()),
            None => "not on PATH".to_owned(),
        },
    })
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_explicit_path_wins_and_its_absence_is_not_papered_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let on_path = dir.path().join("claude");
        fs::write(&on_path, "").expect("written");
        let found = Surroundings { path: Some(dir.path().into()), ..Surroundings::default() };
        assert_eq!(locate_with(&found), Ok(on_path.clone()));
        let cached = dir
            .path()
            .join("cache/runyard/claude-code")
            .join(PINNED)
            .join("node_modules/@anthropic-ai")
            .join(if cfg!(target_arch = "aarch64") { "claude-code-linux-arm64" } else { "claude-code-linux-x64" })
            .join("claude");
        fs::create_dir_all(cached.parent().expect("a parent")).expect("made");
        fs::write(&cached, "").expect("written");
        let both = Surroundings { cache_home: Some(dir.path().join("cache")), ..found.clone() };
        assert_eq!(locate_with(&both), Ok(cached), "the pinned one wins over PATH");
        let wrong = Surroundings { explicit: Some("/nowhere/claude".into()), ..found };
        let error = locate_with(&wrong).expect_err("not there").to_string();
        assert!(error.contains("/nowhere/claude") && error.contains("cargo xtask setup"), "{error}");
    }
}
