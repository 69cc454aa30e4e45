//! A repository on disk that belongs to people: read from and pushed to, never changed in any other way.

mod own;

use crate::{Error, Git, ObjectFormat, git::Call};
use domain::{BranchName, CommitId};
use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// How many names are given to git at once: its arguments have to fit.
const NAMES_AT_ONCE: usize = 500;

/// A repository on disk that belongs to people.
///
/// Its working tree, index and configuration are never touched, and nothing that its configuration names is executed:
/// no hook, filter, file-system monitor or helper.
#[derive(Debug, Clone)]
pub struct Upstream {
    git: Git,
    path: PathBuf,
    bare: bool,
    format: ObjectFormat,
}

impl Upstream {
    /// The repository whose working tree or bare repository is exactly at `path`.
    ///
    /// Errors: [`Error::PathMissing`], [`Error::NotARepository`]; [`Error::Borrows`] when something in it leads git to
    /// another repository.
    pub async fn open(git: &Git, path: &Path) -> Result<Self, Error> {
        let path = match tokio::fs::canonicalize(path).await {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::PathMissing { path: path.to_owned() });
            }
            Err(error) => return Err(Error::io(format!("look at {}", path.display()))(error)),
        };
        let not = || Error::NotARepository { path: path.clone() };
        if !path.is_dir() {
            return Err(not());
        }
        own::check(git, &path).await?;
        let asked = git.call("rev-parse").in_directory(&path).accept(&[0, 128]);
        let output = asked.args(["--is-bare-repository", "--show-object-format"]).run().await?;
        if output.code != 0 {
            return Err(not());
        }
        let text = output.text()?;
        let (bare, format) = text.trim().split_once('\n').ok_or_else(not)?;
        let format = if format == "sha256" { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
        Ok(Self { git: git.clone(), path, bare: bare == "true", format })
    }

    /// Its canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has no working tree of its own.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// How its objects are named.
    pub fn object_format(&self) -> ObjectFormat {
        self.format
    }

    /// The commit of one of its branches, as it is now.
    pub async fn branch(&self, name: &BranchName) -> Result<Option<CommitId>, Error> {
        let call = self.call("rev-parse").accept(&[0, 1]);
        let output = call.args(["--verify", "--quiet", "--end-of-options", &name.full_ref()]).run().await?;
        if output.code == 0 { output.id().map(Some) } else { Ok(None) }
    }

    /// The commits of those of these branches that are there, as they are now.
    pub async fn heads(&self, names: &[&BranchName]) -> Result<Vec<(BranchName, CommitId)>, Error> {
        let mut found = Vec::new();
        for names in names.chunks(NAMES_AT_ONCE) {
            let refs: Vec<_> = names.iter().map(|name| name.full_ref()).collect();
            // A name is a pattern too, of what lies below it.
            found.extend(self.listed(&refs).await?.into_iter().filter(|(name, _)| names.contains(&name)));
        }
        Ok(found)
    }

    /// Its branches whose names begin so, as they are now. Names that are no branch names for us are left out.
    pub async fn branches(&self, prefix: &str) -> Result<Vec<(BranchName, CommitId)>, Error> {
        self.listed(&[format!("refs/heads/{prefix}")]).await
    }

    async fn listed(&self, patterns: &[String]) -> Result<Vec<(BranchName, CommitId)>, Error> {
        let call = self.call("for-each-ref").at_most(256 << 20).args(["--format=%(objectname) %(refname)"]);
        let output = call.args(patterns.iter().map(String::as_str)).run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let read = |line: &str| {
            let (id, name) = line.split_once(' ')?;
            Some((name.strip_prefix("refs/heads/")?.parse().ok()?, id.parse().ok()?))
        };
        Ok(text.lines().filter_map(read).collect())
    }

    /// The branch that its HEAD names, also when it has no commit; none when HEAD is detached.
    pub async fn head_branch(&self) -> Result<Option<BranchName>, Error> {
        let output = self.call("symbolic-ref").accept(&[0, 1]).args(["--quiet", "HEAD"]).run().await?;
        if output.code != 0 {
            return Ok(None);
        }
        let text = output.text()?;
        text.trim().strip_prefix("refs/heads/").map(|name| name.parse().map_err(Error::from)).transpose()
    }

    /// The working tree, the repository's own or a linked one, that has the branch checked out.
    pub async fn checked_out(&self, branch: &BranchName) -> Result<Option<PathBuf>, Error> {
        let output = self.call("worktree").args(["list", "--porcelain", "-z"]).run().await?;
        let wanted = branch.full_ref();
        let mut worktree = None;
        let mut bare = false;
        for line in output.stdout.split(|byte| *byte == 0) {
            if let Some(path) = line.strip_prefix(b"worktree ") {
                worktree = Some(PathBuf::from(OsString::from_vec(path.to_vec())));
                bare = false;
            } else if line == b"bare" {
                bare = true;
            } else if line.strip_prefix(b"branch ") == Some(wanted.as_bytes()) && !bare {
                return Ok(worktree);
            }
        }
        Ok(None)
    }

    /// Whether its working tree holds anything that is not committed; a bare one holds nothing.
    ///
    /// Asks `git status` with every filter of the repository's configuration blanked, file-system monitor and hooks
    /// off, submodules left alone and no lock taken, so that nothing is executed and nothing is written. A file whose
    /// filter is blanked may count as changed once its time stamp differs; this is for a warning only.
    pub async fn has_uncommitted_work(&self) -> Result<bool, Error> {
        if self.bare {
            return Ok(false);
        }
        let pattern = r"^filter\..*\.(clean|smudge|process|required)$";
        let listed = self.call("config").accept(&[0, 1]).args(["-z", "--name-only", "--get-regexp", pattern]).run();
        let listed = listed.await?;
        // By environment rather than `-c`: a filter's name may hold any character.
        let mut call = self.call("status");
        let mut count = 0;
        for name in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let value = if name.ends_with(b".required") { "false" } else { "" };
            call = call.env(format!("GIT_CONFIG_KEY_{count}"), OsString::from_vec(name.to_vec()));
            call = call.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        let call = call.env("GIT_CONFIG_COUNT", count.to_string()).config("core.untrackedCache=false");
        let call = call.config("status.submoduleSummary=false").first(1);
        let options = ["--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=all", "--no-renames"];
        Ok(!call.args(options).run().await?.stdout.is_empty())
    }

    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        self.git.call(subcommand).in_directory(&self.path)
    }
}
