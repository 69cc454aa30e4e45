//! Taking in work from a sandbox: a bundle that somebody hostile may have written becomes a checked tree.
//!
//! The bundle's header is read here, its pack by `git index-pack --strict` in a fresh repository that borrows the
//! mirror's objects, under limits on memory, processor time, file size and time. (`git bundle unbundle` would not
//! check objects, and not every version of `git fetch` checks those of a bundle.) Only after every check do the
//! objects that the tree needs, and no others, move into the mirror.

pub mod fuzzing;
mod header;
mod paths;

pub use paths::{FlaggedLink, LinkProblem};

use crate::{
    Error, FileStatus, Mirror,
    git::{Call, Confine},
    mirror::init_bare,
};
use domain::CommitId;
use std::{
    fs::File,
    io::{Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

/// Where a bundle is.
#[derive(Debug, Clone, Copy)]
pub enum Bundle<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file of ours, into which it was streamed.
    File(&'a Path),
}

/// How much a sandbox's work may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Size of the bundle.
    pub bundle_bytes: u64,
    /// Objects in the bundle.
    pub objects: u64,
    /// Size of one file.
    pub file_bytes: u64,
    /// Size of all new objects together.
    pub total_bytes: u64,
    /// Changed files.
    pub files: usize,
    /// Files of the whole tree.
    pub tree_files: usize,
    /// Address space of each process that reads the bundle.
    pub memory_bytes: u64,
    /// Time of each of the few steps.
    pub time: Duration,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            bundle_bytes: 256 << 20,
            objects: 200_000,
            file_bytes: 50 << 20,
            total_bytes: 1 << 30,
            files: 20_000,
            tree_files: 1_000_000,
            memory_bytes: 2 << 30,
            time: Duration::from_mins(1),
        }
    }
}

/// Why a sandbox's work was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleRefused {
    /// It is no bundle, or one of a kind that is not made here.
    #[error("it is not a bundle: {0}")]
    NotABundle(String),
    /// Its objects are damaged, incomplete or forbidden.
    #[error("its objects do not pass git's checks: {0}")]
    Damaged(String),
    /// It is too large in some way.
    #[error("{what}: {found} is more than {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How much was found.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Reading it took too long, or more memory than allowed.
    #[error("reading it took too much: {0}")]
    TooCostly(String),
    /// Its commit does not stand on the commit that the sandbox was given.
    #[error("its commit must have {expected} as its only parent, found {}", if found.is_empty() { "none".to_owned() } else { found.join(" ") })]
    WrongParent {
        /// The commit that the sandbox was given.
        expected: CommitId,
        /// The parents found.
        found: Vec<String>,
    },
    /// A changed path may not be in a repository.
    #[error("the path `{}` is refused: {reason}", path.escape_debug())]
    Path {
        /// The path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// A changed entry is of a kind that may not be added.
    #[error("`{}` is {what}", path.escape_debug())]
    Mode {
        /// The path.
        path: String,
        /// What it is.
        what: String,
    },
}

/// A file that differs between base and proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path.
    pub path: String,
    /// What happened to it; renames count as one deleted and one added.
    pub status: FileStatus,
}

/// Checked work: the mirror holds its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// The tree; make the commit with [`Mirror::commit_tree`].
    pub tree: CommitId,
    /// The commit that it starts from.
    pub base: CommitId,
    /// The commit that the sandbox made, for the record; it is not in the mirror.
    pub sandbox_commit: CommitId,
    /// What differs from the base, by path.
    pub files: Vec<ChangedFile>,
    /// Symbolic links among them that lead out of the repository or into `.git`.
    pub links: Vec<FlaggedLink>,
}

impl Proposed {
    /// Whether it is the base's tree.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Mirror {
    /// Checks a bundle of one commit on `base`, as `git bundle create - HEAD ^BASE` makes it, and takes its tree in.
    ///
    /// Errors: [`Error::Bundle`] with the reason; then nothing of it is in the mirror. The same bundle again gives the
    /// same answer.
    pub async fn import(&self, bundle: Bundle<'_>, base: &CommitId, limits: &ImportLimits) -> Result<Proposed, Error> {
        let header = header::read(bundle, limits)?;
        let quarantine = Quarantine::new(self, base, *limits).await?;
        quarantine.unpack(bundle, header.pack_at).await?;
        let tree = quarantine.check_commit(&header.head).await?;
        quarantine.check_objects(&header.head).await?;
        quarantine.check_extent(&tree).await?;
        let changes = quarantine.changes(&tree).await?;
        let links = quarantine.check_changes(&changes).await?;
        if !changes.is_empty() {
            faultpoint::crash_point!("crash-import-checked");
            quarantine.hand_over(&tree).await?;
            faultpoint::crash_point!("crash-import-handed-over");
        }
        let files =
            changes.into_iter().map(|change| ChangedFile { path: change.path, status: change.status }).collect();
        Ok(Proposed { tree, base: base.clone(), sandbox_commit: header.head, files, links })
    }
}

struct Quarantine<'a> {
    mirror: &'a Mirror,
    base: &'a CommitId,
    limits: ImportLimits,
    git_dir: PathBuf,
    _scratch: tempfile::TempDir,
}

struct Change {
    path: String,
    status: FileStatus,
    old_mode: String,
    new_mode: String,
    id: String,
}

impl<'a> Quarantine<'a> {
    async fn new(mirror: &'a Mirror, base: &'a CommitId, limits: ImportLimits) -> Result<Self, Error> {
        if !mirror.has_commit(base).await? {
            return Err(Error::MissingCommit { commit: base.clone() });
        }
        let scratch = mirror.scratch("quarantine")?;
        let git_dir = scratch.path().join("q.git");
        init_bare(mirror.git(), &git_dir, mirror.format()).await?;
        let mut alternates = mirror.objects().into_os_string();
        alternates.push("\n");
        std::fs::write(git_dir.join("objects/info/alternates"), alternates.as_encoded_bytes())
            .map_err(Error::io("prepare the quarantine"))?;
        Ok(Self { mirror, base, limits, git_dir, _scratch: scratch })
    }

    async fn unpack(&self, bundle: Bundle<'_>, pack_at: u64) -> Result<(), Error> {
        let call = self.call("index-pack").args(["--stdin", "--fix-thin", "--strict", "--threads=1"]);
        let call = call.arg(format!("--max-input-size={}", self.limits.bundle_bytes));
        let call = match bundle {
            Bundle::Bytes(bytes) => {
                call.stdin(&bytes[usize::try_from(pack_at).unwrap_or(usize::MAX).min(bytes.len())..])
            }
            Bundle::File(path) => {
                let open = || {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(pack_at))?;
                    Ok(file)
                };
                call.stdin_file(open().map_err(Error::io("read the bundle"))?)
            }
        };
        call.run().await.map_err(as_refusal).map(drop)
    }

    /// The commit's tree, if its only parent is the base.
    async fn check_commit(&self, head: &CommitId) -> Result<CommitId, Error> {
        let call = self.call("cat-file").args(["commit", head.as_str()]).at_most(64 << 10);
        let output = call.run().await.map_err(as_refusal)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let headers = text.split("\n\n").next().unwrap_or_default();
        let values = |key: &str| -> Vec<String> {
            headers.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect()
        };
        let parents = values("parent ");
        if parents != [self.base.as_str()] {
            return Err(BundleRefused::WrongParent { expected: self.base.clone(), found: parents }.into());
        }
        let tree = values("tree ").into_iter().next().and_then(|id| id.parse().ok());
        tree.ok_or_else(|| BundleRefused::Damaged("the commit names no tree".to_owned()).into())
    }

    /// Everything that the commit needs is there, and none of it is too large.
    async fn check_objects(&self, head: &CommitId) -> Result<(), Error> {
        let limit = self.limits.objects;
        let room = usize::try_from(limit.saturating_add(1).saturating_mul(66)).unwrap_or(usize::MAX);
        let call = self.call("rev-list").args(["--objects", "--no-object-names", head.as_str()]);
        let listed = call.arg(format!("^{}", self.base)).at_most(room).run().await.map_err(as_refusal)?.stdout;
        let sizes = self.call("cat-file").arg("--batch-check=%(objecttype) %(objectsize)").stdin(listed).at_most(room);
        let sizes = sizes.run().await.map_err(as_refusal)?.text()?;
        let mut total: u64 = 0;
        for line in sizes.lines() {
            let (kind, size) = line.split_once(' ').unwrap_or((line, ""));
            let Ok(size) = size.parse::<u64>() else {
                return Err(BundleRefused::Damaged(format!("an object is {kind}")).into());
            };
            if size > self.limits.file_bytes {
                return Err(too_large(&format!("bytes of one {kind}"), size, self.limits.file_bytes));
            }
            total = total.saturating_add(size);
        }
        if total > self.limits.total_bytes {
            return Err(too_large("bytes of all new objects", total, self.limits.total_bytes));
        }
        Ok(())
    }

    /// A few trees that name each other unfold to any number of files; this lists them without keeping them.
    async fn check_extent(&self, tree: &CommitId) -> Result<(), Error> {
        let limit = self.limits.tree_files;
        let call = self.call("ls-tree").args(["-r", "--format=.", tree.as_str()]).at_most(limit.saturating_mul(2));
        match call.run().await {
            Err(Error::TooMuchOutput { .. }) => {
                let limit = u64::try_from(limit).unwrap_or(u64::MAX);
                Err(too_large("files of the whole tree", limit.saturating_add(1), limit))
            }
            other => other.map_err(as_refusal).map(drop),
        }
    }

    async fn changes(&self, tree: &CommitId) -> Result<Vec<Change>, Error> {
        let call = self.call("diff-tree").args(["-r", "--raw", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff"]);
        let call = call.args([self.base.as_str(), tree.as_str()]);
        let room = self.limits.files.saturating_add(1).saturating_mul(300).max(1 << 20);
        let output = match call.at_most(room).run().await {
            Err(Error::TooMuchOutput { .. }) => {
                let limit = u64::try_from(self.limits.files).unwrap_or(u64::MAX);
                return Err(too_large("changed files", limit.saturating_add(1), limit));
            }
            other => other.map_err(as_refusal)?,
        };
        let mut fields = output.stdout.split(|byte| *byte == 0);
        let mut changes = Vec::new();
        while let Some(meta) = fields.next().filter(|meta| !meta.is_empty()) {
            let path = fields.next().unwrap_or_default();
            let meta = String::from_utf8_lossy(meta);
            let words: Vec<&str> = meta.trim_start_matches(':').split(' ').collect();
            let [old_mode, new_mode, _, id, status] = words[..] else {
                return Err(output.unexpected(meta));
            };
            let path = String::from_utf8(path.to_vec()).map_err(|error| BundleRefused::Path {
                path: String::from_utf8_lossy(error.as_bytes()).into_owned(),
                reason: "it is not UTF-8",
            })?;
            let status = FileStatus::from_letter(status).ok_or_else(|| output.unexpected(meta.clone()))?;
            let (old_mode, new_mode, id) = (old_mode.to_owned(), new_mode.to_owned(), id.to_owned());
            changes.push(Change { path, status, old_mode, new_mode, id });
        }
        let (found, limit) = (changes.len(), self.limits.files);
        if found > limit {
            let number = |n| u64::try_from(n).unwrap_or(u64::MAX);
            return Err(too_large("changed files", number(found), number(limit)));
        }
        Ok(changes)
    }

    /// Refuses paths and modes that may not be added; returns the links that lead somewhere odd.
    async fn check_changes(&self, changes: &[Change]) -> Result<Vec<FlaggedLink>, Error> {
        let mut links = Vec::new();
        for change in changes.iter().filter(|change| change.status != FileStatus::Deleted) {
            if let Some(reason) = paths::refused(&change.path) {
                return Err(BundleRefused::Path { path: change.path.clone(), reason }.into());
            }
            match (change.old_mode.as_str(), change.new_mode.as_str()) {
                (_, "100644" | "100755") | ("160000", "160000") => {}
                (_, "120000") => links.push(change),
                (_, "160000") => return Err(mode(change, "a submodule that the base does not have".to_owned())),
                (_, other) => return Err(mode(change, format!("an entry of mode {other}"))),
            }
        }
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let ids: String = links.iter().flat_map(|change| [change.id.as_str(), "\n"]).collect();
        let call = self.call("cat-file").arg("--batch=%(objectsize)").stdin(ids).at_most(16 << 20);
        let output = call.run().await.map_err(as_refusal)?;
        let mut rest = output.stdout.as_slice();
        let mut flagged = Vec::new();
        for change in links {
            let target = paths::next_of_batch(&mut rest).ok_or_else(|| output.unexpected("a batch cut short"))?;
            if target.len() > 4095 || target.contains(&0) {
                return Err(mode(change, "a symbolic link whose target is no path".to_owned()));
            }
            let target = String::from_utf8_lossy(target).into_owned();
            if let Some(problem) = paths::link_problem(&change.path, &target) {
                flagged.push(FlaggedLink { path: change.path.clone(), target, problem });
            }
        }
        Ok(flagged)
    }

    /// Moves what the tree needs into the mirror: a commit of ours carries it, so nothing else in the pack comes along.
    async fn hand_over(&self, tree: &CommitId) -> Result<(), Error> {
        let mut call = self.call("commit-tree").args(["-p", self.base.as_str(), tree.as_str()]);
        for role in ["AUTHOR", "COMMITTER"] {
            call =
                call.env(format!("GIT_{role}_NAME"), "runyard").env(format!("GIT_{role}_EMAIL"), "runyard@localhost");
            call = call.env(format!("GIT_{role}_DATE"), "@0 +0000");
        }
        let carrier = call.stdin("import\n").run().await?.id()?;
        self.call("update-ref").args(["refs/import", carrier.as_str()]).run().await?;
        let mut other_side = std::ffi::OsString::from("--upload-pack=");
        other_side.push(self.mirror.git().other_side("upload-pack"));
        let call = self.mirror.call("fetch").local_transport().config("transfer.fsckObjects=true");
        let call =
            call.args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules"]);
        let call = call.arg(format!("--negotiation-tip={}", self.base)).arg(other_side).arg("--end-of-options");
        call.arg(&self.git_dir).arg("refs/import").run().await.map(drop)
    }

    fn call(&self, subcommand: &'static str) -> Call {
        let confine = Confine {
            memory_bytes: self.limits.memory_bytes,
            file_bytes: self.limits.bundle_bytes.saturating_mul(2).max(self.limits.total_bytes),
            cpu: self.limits.time,
        };
        // Large blobs are hashed in a stream, and packs are mapped a window at a time, so that the memory limit holds
        // back bombs and not honest work on a large mirror.
        self.mirror
            .git()
            .call(subcommand)
            .in_git_dir(&self.git_dir)
            .confined(confine)
            .time(self.limits.time)
            .config("core.bigFileThreshold=8m")
            .config("core.packedGitWindowSize=16m")
            .config("core.packedGitLimit=256m")
            .config("core.deltaBaseCacheLimit=64m")
    }
}

fn too_large(what: &str, found: u64, limit: u64) -> Error {
    BundleRefused::TooLarge { what: what.to_owned(), found, limit }.into()
}

fn mode(change: &Change, what: String) -> Error {
    BundleRefused::Mode { path: change.path.clone(), what }.into()
}

/// What git makes of hostile input is the input's fault.
fn as_refusal(error: Error) -> Error {
    match error {
        Error::Git { status, stderr, .. } if status.starts_with("signal") || stderr.contains("ut of memory") => {
            BundleRefused::TooCostly(format!("git ended with {status} {stderr}")).into()
        }
        Error::Git { stderr, .. } => BundleRefused::Damaged(stderr).into(),
        Error::TimedOut { seconds, .. } => BundleRefused::TooCostly(format!("more than {seconds} s")).into(),
        Error::TooMuchOutput { command, limit } => {
            BundleRefused::TooCostly(format!("more than {limit} bytes from git {command}")).into()
        }
        other => other,
    }
}
