//! What a reviewer should look at twice.

use crate::{Diff, DiffLimits, Error, Mirror};
use domain::{CommitId, is_invisible};
use serde::{Deserialize, Serialize};

/// Why a changed file deserves attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// It runs in continuous integration, with its secrets.
    ContinuousIntegration,
    /// It steers coding agents.
    AgentConfiguration,
    /// It runs on the machine of whoever works with the repository.
    Hook,
    /// It is a command that a package manager runs.
    PackageScript,
    /// It is a command that people run to build.
    Build,
    /// It decides which code of others is used.
    LockFile,
    /// It holds characters that change how text looks without being seen.
    InvisibleCharacters,
    /// It says who must review, or what git does with files.
    RepositoryRules,
}

/// A changed file that deserves attention.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Warning {
    /// The file.
    pub path: String,
    /// Why.
    pub kind: WarningKind,
    /// More about it, for people.
    pub detail: String,
}

impl Mirror {
    /// What a reviewer of `head` against `base` should look at twice, by path.
    pub async fn warnings(&self, base: &CommitId, head: &CommitId) -> Result<Vec<Warning>, Error> {
        let limits = DiffLimits { files: usize::MAX, patch_bytes: usize::MAX, total_bytes: 64 << 20 };
        let diff = self.diff(base, head, &limits).await?;
        let mut warnings = in_diff(&diff);
        for file in diff.files.iter().filter(|file| name_of(&file.path) == "package.json") {
            let before = self.scripts(base, file.old_path.as_deref().unwrap_or(&file.path)).await?;
            let after = self.scripts(head, &file.path).await?;
            if before != after {
                let detail = "its `scripts` changed".to_owned();
                warnings.push(Warning { path: file.path.clone(), kind: WarningKind::PackageScript, detail });
            }
        }
        warnings.sort();
        Ok(warnings)
    }

    /// The `scripts` of a `package.json`; what cannot be read counts as its whole text, so that any change shows.
    async fn scripts(&self, commit: &CommitId, path: &str) -> Result<serde_json::Value, Error> {
        match self.file_at(commit, path, 4 << 20).await {
            Ok(None) => Ok(serde_json::Value::Null),
            Ok(Some(bytes)) => Ok(serde_json::from_slice::<serde_json::Value>(&bytes).map_or_else(
                |_| String::from_utf8_lossy(&bytes).into_owned().into(),
                |package| package.get("scripts").cloned().unwrap_or_default(),
            )),
            Err(
                error @ (Error::Symlink { .. }
                | Error::TooLarge { .. }
                | Error::NotAFile { .. }
                | Error::InvalidPath { .. }),
            ) => Ok(error.to_string().into()),
            Err(other) => Err(other),
        }
    }
}

/// What paths and added lines show, without reading files.
fn in_diff(diff: &Diff) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for file in &diff.files {
        for path in [Some(&file.path), file.old_path.as_ref()].into_iter().flatten() {
            if let Some((kind, detail)) = by_path(path) {
                warnings.push(Warning { path: path.clone(), kind, detail: detail.to_owned() });
            }
        }
        let odd = |text: &str| text.chars().find(|c| is_invisible(*c));
        let added = || file.patch.lines().filter(|line| line.starts_with('+')).find_map(odd);
        if let Some(found) = odd(&file.path).or_else(added) {
            let detail = format!("it has the character U+{:04X}", u32::from(found));
            warnings.push(Warning { path: file.path.clone(), kind: WarningKind::InvisibleCharacters, detail });
        }
    }
    warnings
}

fn by_path(path: &str) -> Option<(WarningKind, &'static str)> {
    use WarningKind as K;
    // Some file systems do not tell case apart.
    let path = path.to_lowercase();
    let name = name_of(&path);
    let below = |dir: &str| path.starts_with(&format!("{dir}/")) || path.contains(&format!("/{dir}/"));
    let ci_file = matches!(
        name,
        ".gitlab-ci.yml" | ".travis.yml" | "azure-pipelines.yml" | "jenkinsfile" | "bitbucket-pipelines.yml"
    );
    if path.starts_with(".github/workflows/") || path.starts_with(".github/actions/") || below(".circleci") || ci_file {
        return Some((K::ContinuousIntegration, "it runs in continuous integration"));
    }
    if name == "claude.md"
        || name == "claude.local.md"
        || name == "agents.md"
        || name == ".mcp.json"
        || below(".claude")
        || below(".cursor")
    {
        return Some((K::AgentConfiguration, "it steers coding agents"));
    }
    if below(".husky")
        || below(".githooks")
        || below("hooks") && !path.contains("src/")
        || name.starts_with(".pre-commit-config.")
        || name == "lefthook.yml"
    {
        return Some((K::Hook, "it may run on the machines of those who work here"));
    }
    if below(".vscode") && matches!(name, "tasks.json" | "launch.json" | "settings.json")
        || name == ".envrc"
        || below(".devcontainer")
    {
        return Some((K::Hook, "an editor or shell may run it on opening the folder"));
    }
    let build = matches!(
        name,
        "makefile" | "gnumakefile" | "justfile" | "taskfile.yml" | "build.rs" | "setup.py" | "dockerfile" | "rakefile"
    ) || has_extension(name, "mk");
    if build {
        return Some((K::Build, "people and machines run it to build"));
    }
    let lock = matches!(
        name,
        "package-lock.json" | "npm-shrinkwrap.json" | "pnpm-lock.yaml" | "go.sum" | "gemfile.lock" | ".npmrc"
    ) || has_extension(name, "lock")
        || has_extension(name, "lockb");
    if lock {
        return Some((K::LockFile, "it decides which code of others is used"));
    }
    if matches!(name, "codeowners" | ".gitattributes" | ".gitmodules" | ".lfsconfig") {
        return Some((K::RepositoryRules, "it says who reviews, or what git does with files"));
    }
    None
}

fn has_extension(name: &str, wanted: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == wanted)
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
