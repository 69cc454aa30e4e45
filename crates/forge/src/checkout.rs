//! Base checkouts: the read-only lower layer of workspaces, one per commit.

use crate::{Error, Mirror, ObjectFormat};
use domain::CommitId;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How the names of checkouts begin that are being built.
pub(crate) const HALF_BUILT: &str = ".base-";
/// How much a tree may unfold to: a few objects can name billions of files.
const MOST_FILES: usize = 1_000_000;
const MOST_BYTES: u64 = 32 << 30;
/// A large tree takes its time on a slow disk.
const CHECKOUT_TIME: Duration = Duration::from_mins(20);

impl Mirror {
    /// A directory with the tree of `commit` and a `.git` of its own, for use as the lower layer of workspaces.
    ///
    /// `at` is where it will be; when something is there already it is taken for this checkout and returned as it is.
    /// Its parent must be closed to others (0700 or 0711 and ours): files and directories in it can be read and
    /// written by everyone, so that a sandbox's uid can copy them up. HEAD is detached at `commit`, the index is
    /// written and matches (`git status` is clean at once, whatever the uid), there is no remote, and history is
    /// borrowed: `objects_inside` is the path at which the sandbox will see [`Mirror::objects`].
    ///
    /// It appears at once and whole: it is built beside `at` and renamed. A tree of more than a million files or 32 GiB
    /// is refused ([`Error::TreeTooLarge`]) before anything is written.
    pub async fn base_checkout(&self, commit: &CommitId, at: &Path, objects_inside: &Path) -> Result<PathBuf, Error> {
        let at = std::path::absolute(at).map_err(Error::io("find the checkout"))?;
        let io = || Error::io(format!("make the checkout {}", at.display()));
        if tokio::fs::try_exists(&at).await.map_err(io())? {
            return Ok(at);
        }
        if !self.has_commit(commit).await? {
            return Err(Error::MissingCommit { commit: commit.clone() });
        }
        self.check_size(commit, MOST_FILES, MOST_BYTES).await?;
        let parent = at.parent().unwrap_or(&at).to_owned();
        tokio::fs::create_dir_all(&parent).await.map_err(io())?;
        let scratch = tempfile::Builder::new().prefix(HALF_BUILT).tempdir_in(&parent).map_err(io())?;
        let tree = scratch.path().join("tree");
        let git_dir = tree.join(".git");
        prepare(&git_dir, commit, self.format()).map_err(io())?;

        let borrowed = |call: crate::git::Call| {
            let call = call.env("GIT_DIR", &git_dir).env("GIT_WORK_TREE", &tree).time(CHECKOUT_TIME);
            call.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.objects())
        };
        let read = self.git().call("read-tree").args(["-u", "--reset", "--no-recurse-submodules", commit.as_str()]);
        borrowed(read).run().await?;
        let opened = tree.clone();
        let walk = tokio::task::spawn_blocking(move || open_to_all(&opened));
        walk.await.unwrap_or_else(|error| Err(error.into())).map_err(io())?;
        borrowed(self.git().call("update-index").args(["-q", "--refresh"])).run().await?;

        let mut alternates = objects_inside.as_os_str().to_owned();
        alternates.push("\n");
        let info = git_dir.join("objects/info/alternates");
        fs::write(&info, alternates.as_encoded_bytes()).map_err(io())?;
        for written in [info, git_dir.join("index")] {
            fs::set_permissions(written, fs::Permissions::from_mode(0o666)).map_err(io())?;
        }
        match fs::rename(&tree, &at) {
            Ok(()) => Ok(at),
            // Somebody else was faster with the same checkout.
            Err(_) if at.is_dir() => Ok(at),
            Err(error) => Err(io()(error)),
        }
    }

    /// Counts what the tree of `commit` unfolds to, and stops counting at the limits.
    async fn check_size(&self, commit: &CommitId, files: usize, bytes: u64) -> Result<(), Error> {
        let refused = |limit: String| Err(Error::TreeTooLarge { commit: commit.clone(), limit });
        let list = |format| self.call("ls-tree").args(["-r", "-z", "--full-tree", format, commit.as_str()]);
        // Two bytes for each file, and no look at it: a bomb is cut off long before it has unfolded.
        if list("--format=x").first(files.saturating_mul(2)).run().await?.truncated {
            return refused(format!("{files} files"));
        }
        let sizes = list("--format=%(objectsize)").at_most(files.saturating_mul(20)).run().await?;
        let size = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse::<u64>().ok();
        let sum = sizes.stdout.split(|byte| *byte == 0).filter_map(size).fold(0, u64::saturating_add);
        if sum > bytes {
            return refused(format!("{} GiB", bytes >> 30));
        }
        Ok(())
    }

    /// Removes a base checkout; one that is not there is no error. No workspace may be using it.
    pub async fn remove_base_checkout(&self, at: &Path) -> Result<(), Error> {
        match tokio::fs::remove_dir_all(at).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove the checkout {}", at.display()))(error))
            }
            _ => Ok(()),
        }
    }
}

/// A `.git` directory by hand: no template, no hook, no remote.
fn prepare(git_dir: &Path, commit: &CommitId, format: ObjectFormat) -> std::io::Result<()> {
    for dir in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        fs::create_dir_all(git_dir.join(dir))?;
    }
    let (version, extensions) = match format {
        ObjectFormat::Sha1 => (0, ""),
        ObjectFormat::Sha256 => (1, "[extensions]\n\tobjectFormat = sha256\n"),
    };
    // Uid, inode and ctime differ between here and a sandbox; git is told to look at size and mtime only.
    let config = format!(
        "[core]\n\trepositoryFormatVersion = {version}\n\tbare = false\n\tfileMode = true\n\tcheckStat = minimal\n\
         \ttrustCTime = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n{extensions}"
    );
    fs::write(git_dir.join("config"), config)?;
    fs::write(git_dir.join("HEAD"), format!("{commit}\n"))
}

/// Everything in our own fresh directory becomes readable and writable for all, and older than the index that is
/// written next: git takes a file as old as its index for "racily clean" and reads it again on every status.
fn open_to_all(root: &Path) -> std::io::Result<()> {
    let written = fs::metadata(root)?.modified()?;
    let earlier =
        written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().saturating_sub(Duration::from_secs(10));
    let stamp = Timespec { tv_sec: i64::try_from(earlier.as_secs()).unwrap_or(0), tv_nsec: 0 };
    let times = Timestamps { last_access: stamp, last_modification: stamp };
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                waiting.push(path);
                continue;
            }
            if kind.is_file() {
                let executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
                let mode = if executable { 0o777 } else { 0o666 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            }
            utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
    }
    Ok(())
}
