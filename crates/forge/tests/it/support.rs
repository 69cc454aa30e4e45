//! Repositories to try things on.

use domain::{BranchName, Clock, CommitId, Timestamp};
use forge::{Git, Mirror, Signature, Upstream};
use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};
use tempfile::TempDir;

/// A directory of its own and a git program.
pub struct World {
    pub dir: TempDir,
    pub git: Git,
    program: PathBuf,
}

/// One world for each git on this machine: the first on the PATH, and the system's when it is another version.
pub async fn worlds() -> Vec<World> {
    let mut worlds: Vec<World> = Vec::new();
    let mut versions = Vec::new();
    for program in ["git", "/usr/bin/git"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let git = Git::new(program, &dir.path().join("private")).await.expect("git");
        let Ok(version) = git.version().await else { continue };
        if !versions.contains(&version) {
            versions.push(version);
            worlds.push(World { dir, git, program: program.into() });
        }
    }
    assert!(!worlds.is_empty(), "there is no git");
    worlds
}

impl World {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs git as a person would, in `at`, with no configuration but the repository's.
    pub fn git_in<S: AsRef<OsStr>>(&self, at: &Path, args: &[S]) -> String {
        let output = self.command(at).args(args).output().expect("git starts");
        let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub fn command(&self, at: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(at).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Pat Person").env(format!("GIT_{role}_EMAIL"), "pat@example.org");
            command.env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        }
        command
    }

    pub fn feed(&self, at: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child =
            self.command(at).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git starts");
        child.stdin.take().expect("piped").write_all(input).expect("git reads");
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {args:?}");
        output.stdout
    }

    /// An empty repository with a working tree, `main` unborn.
    pub fn empty(&self, name: &str) -> PathBuf {
        let at = self.path(name);
        std::fs::create_dir_all(&at).expect("a directory");
        self.git_in(&at, &["init", "-q", "-b", "main", "."]);
        at
    }

    /// A repository with a working tree and a first commit.
    pub fn repository(&self, name: &str) -> PathBuf {
        let at = self.empty(name);
        self.commit(&at, "README.md", "hello\n");
        at
    }

    /// A bare repository with the branches of `of`.
    pub fn bare(&self, of: &Path, name: &str) -> PathBuf {
        let at = self.path(name);
        self.git_in(
            self.dir.path(),
            &[OsStr::new("clone"), "-q".as_ref(), "--bare".as_ref(), of.as_os_str(), at.as_os_str()],
        );
        at
    }

    /// Writes a file and commits everything.
    pub fn commit(&self, at: &Path, path: &str, content: &str) -> CommitId {
        write(&at.join(path), content);
        self.commit_all(at, &format!("Write {path}"))
    }

    pub fn commit_all(&self, at: &Path, message: &str) -> CommitId {
        self.git_in(at, &["add", "-A"]);
        self.git_in(at, &["commit", "-q", "--allow-empty", "-m", message]);
        self.tip(at, "HEAD")
    }

    pub fn tip(&self, at: &Path, revision: &str) -> CommitId {
        self.git_in(at, &["rev-parse", revision]).parse().expect("an id")
    }

    pub fn switch(&self, at: &Path, branch: &str) {
        self.git_in(at, &["checkout", "-q", "-B", branch]);
    }

    pub async fn upstream(&self, at: &Path) -> Upstream {
        Upstream::open(&self.git, at).await.expect("a repository")
    }

    /// A mirror that has fetched from `at`.
    pub async fn mirror(&self, at: &Path) -> Mirror {
        let upstream = self.upstream(at).await;
        let dir = self.path("mirror");
        let mirror = Mirror::open_or_create(&self.git, &dir, upstream.object_format()).await.expect("a mirror");
        mirror.fetch(&upstream).await.expect("fetch");
        mirror
    }
}

pub fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    std::fs::write(path, content).expect("a file");
}

pub fn branch(name: &str) -> BranchName {
    name.parse().expect("a branch name")
}

pub fn pat() -> Signature {
    Signature { name: "Pat Person".into(), email: "pat@example.org".into(), at: Timestamp(1_790_000_000_000_000) }
}

/// A clock that goes on by a second at each look.
#[derive(Debug, Default)]
pub struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000_000 + 1_000_000 * self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}
