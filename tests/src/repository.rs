//! Repositories to work on.

use crate::programs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A real git repository with a working tree.
pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// One commit on `main` with these files; a name that ends in `.sh` is executable.
    pub fn with(path: PathBuf, files: &[(&str, &str)]) -> Self {
        let repository = Self::unborn(path);
        for (name, text) in files {
            repository.write(name, text);
        }
        repository.commit("Begin");
        repository
    }

    /// No commit yet.
    pub fn unborn(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("the repository's folder");
        let repository = Self { path };
        repository.git(["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// A clone of Runyard's own repository, with `main` at what is checked out there.
    pub fn clone_of_runyard(path: PathBuf) -> Self {
        let from = programs::root().to_str().expect("a path in UTF-8");
        let to = path.to_str().expect("a path in UTF-8");
        // The clone's owner differs from the original's in some set-ups, and the original is only read.
        run(git_in(Path::new("/")).args(["-c", "safe.directory=*", "clone", "--quiet", "--no-local", from, to]));
        let repository = Self { path };
        repository.git(["checkout", "--quiet", "-B", "main"]);
        repository.git(["remote", "remove", "origin"]);
        repository
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of the working tree.
    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.path.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
        std::fs::write(&file, text).expect("a file");
        let mode = if file.extension().is_some_and(|it| it == "sh") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("permissions");
    }

    /// Commits the whole working tree.
    pub fn commit(&self, message: &str) {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--message", message]);
    }

    /// What git says; panics when it fails.
    pub fn git<const N: usize>(&self, arguments: [&str; N]) -> String {
        run(git_in(&self.path).args(arguments))
    }

    /// Branches that Runyard pushed, in order of their names.
    pub fn pushed(&self) -> Vec<String> {
        let all = self.git(["for-each-ref", "--format=%(refname:short)", "refs/heads/runyard/"]);
        all.lines().map(str::to_owned).collect()
    }

    /// A file as it is on a branch.
    pub fn show(&self, branch: &str, file: &str) -> String {
        self.git(["show", &format!("{branch}:{file}")])
    }

    /// Subjects of the commits in a range such as `main..branch`, newest first.
    pub fn subjects(&self, range: &str) -> Vec<String> {
        self.git(["log", "--format=%s", range]).lines().map(str::to_owned).collect()
    }
}

fn git_in(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git
}

fn run(git: &mut Command) -> String {
    let output = git.output().expect("git");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{git:?}: {complaint}");
    String::from_utf8(output.stdout).expect("UTF-8 from git")
}
