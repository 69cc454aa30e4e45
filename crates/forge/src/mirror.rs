//! The mirror: our own copy of a repository's history, out of which sandboxes are fed and into which checked work goes.

use crate::{Error, Git, Upstream, git::Call};
use domain::{BranchName, CommitId};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How git names objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 hexadecimal digits.
    #[default]
    Sha1,
    /// 64 hexadecimal digits.
    Sha256,
}

impl ObjectFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// Where the forge's branches are kept.
const BRANCHES: &str = "refs/remotes/origin/";
/// Where commits are kept that no branch of the forge holds.
const KEPT: &str = "refs/runyard/";
/// The first copy of a large repository takes its time.
const FETCH_TIME: Duration = Duration::from_mins(30);

/// A bare repository of ours. Cheap to clone; safe to use from several tasks and processes at once.
///
/// Nothing is ever removed from it: git's own housekeeping is off, so that a workspace which borrows objects never
/// loses one.
#[derive(Debug, Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    git: Git,
    dir: PathBuf,
    format: ObjectFormat,
}

impl Mirror {
    /// The mirror under `dir`, which is ours alone; made when there is none. An existing one keeps its format.
    pub async fn open_or_create(git: &Git, dir: &Path, format: ObjectFormat) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(Error::io("find the mirror"))?;
        let made = || Error::io(format!("make {}", dir.display()));
        tokio::fs::create_dir_all(dir.join("tmp")).await.map_err(made())?;
        let opened = |format| Self { inner: Arc::new(Inner { git: git.clone(), dir: dir.clone(), format }) };
        let mirror = opened(format);
        let _lock = mirror.lock().await?;
        let there = mirror.git_dir();
        if !tokio::fs::try_exists(&there).await.map_err(made())? {
            let scratch = mirror.scratch("init")?;
            let fresh = scratch.path().join("repo.git");
            init_bare(git, &fresh, format).await?;
            // Sandboxes read it under uids of their own, whatever the umask of the server.
            git.call("config").in_git_dir(&fresh).args(["core.sharedRepository", "0644"]).run().await?;
            tokio::fs::rename(&fresh, &there).await.map_err(made())?;
            return Ok(mirror);
        }
        let found = mirror.call("rev-parse").arg("--show-object-format").run().await?.text()?;
        Ok(opened(if found.trim() == "sha256" { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 }))
    }

    /// The bare repository; bind it read-only into sandboxes.
    pub fn git_dir(&self) -> PathBuf {
        self.inner.dir.join("repo.git")
    }

    /// Its objects: what a workspace borrows from.
    pub fn objects(&self) -> PathBuf {
        self.git_dir().join("objects")
    }

    /// Brings branches and tags up to date with the repository's, removed ones included. What was known before stays
    /// readable by its id. Nothing that the repository's configuration names is executed.
    pub async fn fetch(&self, from: &Upstream) -> Result<(), Error> {
        if !from.path().is_dir() {
            return Err(Error::PathMissing { path: from.path().to_owned() });
        }
        let _lock = self.lock().await?;
        let mut other_side = std::ffi::OsString::from("--upload-pack=");
        other_side.push(self.git().other_side("upload-pack"));
        let call = self.call("fetch").local_transport().time(FETCH_TIME).config("fetch.writeCommitGraph=false");
        let options = ["--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"];
        let call = call.args(options).arg("--no-recurse-submodules").arg(other_side).arg("--end-of-options");
        let refs = [format!("+refs/heads/*:{BRANCHES}*"), "+refs/tags/*:refs/tags/*".to_owned()];
        match call.arg(from.path()).args(refs.iter().map(String::as_str)).run().await {
            Err(Error::Git { stderr, .. }) if stderr.contains("does not appear to be a git repository") => {
                Err(Error::NotARepository { path: from.path().to_owned() })
            }
            other => other.map(drop),
        }
    }

    /// The commit that a branch of the forge had at the last fetch.
    ///
    /// Errors: [`Error::Unborn`] when the repository has no branch at all, [`Error::MissingBranch`] with the names that
    /// are most like it, and all there are.
    pub async fn resolve_branch(&self, name: &BranchName) -> Result<CommitId, Error> {
        if let Some(commit) = self.ref_commit(&format!("{BRANCHES}{name}")).await? {
            return Ok(commit);
        }
        let branches = self.branches().await?;
        if branches.is_empty() {
            return Err(Error::Unborn);
        }
        let near = near(name, &branches);
        let known = branches.into_iter().map(|(branch, _)| branch.to_string()).collect();
        Err(Error::MissingBranch { name: name.clone(), near, known })
    }

    /// The forge's branches at the last fetch, by name. Names that are no branch names for us are left out.
    pub async fn branches(&self) -> Result<Vec<(BranchName, CommitId)>, Error> {
        let call = self.call("for-each-ref").at_most(256 << 20);
        let output = call.args(["--format=%(objectname) %(refname)", BRANCHES]).run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let read = |line: &str| {
            let (id, name) = line.split_once(' ')?;
            Some((name.strip_prefix(BRANCHES)?.parse().ok()?, id.parse().ok()?))
        };
        Ok(text.lines().filter_map(read).collect())
    }

    /// Whether the mirror has this commit.
    pub async fn has_commit(&self, commit: &CommitId) -> Result<bool, Error> {
        let call = self.call("cat-file").accept(&[0, 1, 128]);
        let output = call.args(["-t", commit.as_str()]).run().await?;
        Ok(output.code == 0 && output.stdout.trim_ascii() == b"commit")
    }

    /// The tree of a commit.
    pub async fn tree_of(&self, commit: &CommitId) -> Result<CommitId, Error> {
        self.required(&format!("{commit}^{{tree}}"), commit).await
    }

    /// The parents of a commit, in order.
    pub async fn parents(&self, commit: &CommitId) -> Result<Vec<CommitId>, Error> {
        let output = self.call("rev-list").args(["--parents", "-1", "--end-of-options", commit.as_str()]).run().await?;
        let text = output.text()?;
        let read = |id: &str| {
            id.parse().map_err(|error: domain::InvalidCommit| Error::Unexpected {
                command: "rev-list".to_owned(),
                detail: error.to_string(),
            })
        };
        text.split_whitespace().skip(1).map(read).collect()
    }

    /// Keeps a commit under `refs/runyard/NAME`, replacing what was there. `name` follows the rules of branch names,
    /// such as `runs/<id>`.
    pub async fn keep(&self, name: &BranchName, commit: &CommitId) -> Result<(), Error> {
        let _lock = self.lock().await?;
        faultpoint::crash_point!("crash-commit-kept");
        self.call("update-ref").args([&format!("{KEPT}{name}"), commit.as_str()]).run().await.map(drop)
    }

    /// The commit that is kept under a name.
    pub async fn kept(&self, name: &BranchName) -> Result<Option<CommitId>, Error> {
        self.ref_commit(&format!("{KEPT}{name}")).await
    }

    /// Forgets a kept name; one that is not there is no error.
    pub async fn drop_kept(&self, name: &BranchName) -> Result<(), Error> {
        let _lock = self.lock().await?;
        self.call("update-ref").args(["-d", &format!("{KEPT}{name}")]).run().await.map(drop)
    }

    /// Removes what a crash left behind: scratch of imports, and half-built checkouts among the base checkouts in
    /// `checkouts`. Call it when nothing else uses the mirror, such as at the start of the server.
    pub async fn sweep(&self, checkouts: &Path) -> Result<(), Error> {
        let _lock = self.lock().await?;
        let (scratch, checkouts) = (self.inner.dir.join("tmp"), checkouts.to_owned());
        let sweep = move || {
            remove_entries(&scratch, "")?;
            remove_entries(&checkouts, crate::checkout::HALF_BUILT)
        };
        tokio::task::spawn_blocking(sweep)
            .await
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(Error::io("sweep the mirror"))
    }

    pub(crate) fn git(&self) -> &Git {
        &self.inner.git
    }

    pub(crate) fn format(&self) -> ObjectFormat {
        self.inner.format
    }

    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        self.inner.git.call(subcommand).in_git_dir(&self.git_dir())
    }

    /// A directory beside the repository that goes away with the handle.
    pub(crate) fn scratch(&self, purpose: &str) -> Result<tempfile::TempDir, Error> {
        let beside = self.inner.dir.join("tmp");
        tempfile::Builder::new().prefix(purpose).tempdir_in(beside).map_err(Error::io("make a scratch directory"))
    }

    /// One writer of refs at a time, over tasks and processes: git itself fails rather than waits.
    pub(crate) async fn lock(&self) -> Result<File, Error> {
        let path = self.inner.dir.join("lock");
        let taken = tokio::task::spawn_blocking(move || {
            let file = File::options().create(true).truncate(false).write(true).open(path)?;
            file.lock()?;
            Ok(file)
        });
        taken.await.unwrap_or_else(|error| Err(error.into())).map_err(Error::io("lock the mirror"))
    }

    async fn ref_commit(&self, full: &str) -> Result<Option<CommitId>, Error> {
        let call = self.call("rev-parse").accept(&[0, 1]);
        let output = call.args(["--verify", "--quiet", "--end-of-options", full]).run().await?;
        if output.code == 0 { output.id().map(Some) } else { Ok(None) }
    }

    async fn required(&self, revision: &str, commit: &CommitId) -> Result<CommitId, Error> {
        let call = self.call("rev-parse").accept(&[0, 1, 128]);
        let output = call.args(["--verify", "--quiet", "--end-of-options", revision]).run().await?;
        if output.code == 0 { output.id() } else { Err(Error::MissingCommit { commit: commit.clone() }) }
    }
}

/// Makes an empty bare repository without hooks or anything else of a template.
pub(crate) async fn init_bare(git: &Git, at: &Path, format: ObjectFormat) -> Result<(), Error> {
    let format = format!("--object-format={}", format.name());
    let call = git.call("init").args(["--quiet", "--bare", "--template=", &format, "--end-of-options"]).arg(at);
    call.run().await.map(drop)
}

fn remove_entries(dir: &Path, prefix: &str) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn near(name: &BranchName, branches: &[(BranchName, CommitId)]) -> Vec<String> {
    let wanted = name.as_str().to_lowercase();
    let score = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let inside = candidate.contains(&wanted) || wanted.contains(&candidate);
        strsim::jaro_winkler(&wanted, &candidate).max(if inside { 0.9 } else { 0.0 })
    };
    // `main` and `master` stand for each other: the commonest mistake of all.
    let twin = match wanted.as_str() {
        "main" => "master",
        "master" => "main",
        _ => "",
    };
    let mut found: Vec<(f64, &str)> = branches
        .iter()
        .map(|(branch, _)| (if branch.as_str() == twin { 1.0 } else { score(branch.as_str()) }, branch.as_str()))
        .filter(|(score, _)| *score >= 0.8)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    found.into_iter().take(3).map(|(_, branch)| branch.to_owned()).collect()
}
