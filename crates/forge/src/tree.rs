//! Reading files of a commit without checking it out and without following anything.

use crate::{Error, Mirror};
use domain::CommitId;

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path from the root; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes; none for a submodule.
    pub size: Option<u64>,
}

impl Mirror {
    /// The content of a file of a commit; none when there is no such file.
    ///
    /// Errors: [`Error::Symlink`] when the path is or goes through a symbolic link, [`Error::NotAFile`] for directories
    /// and submodules, [`Error::TooLarge`], [`Error::InvalidPath`].
    pub async fn file_at(&self, commit: &CommitId, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        check_path(path)?;
        let Some((mode, id)) = self.entry(commit, path).await? else {
            for (end, _) in path.match_indices('/') {
                match self.entry(commit, &path[..end]).await? {
                    Some((mode, _)) if mode == "120000" => {
                        return Err(Error::Symlink { path: path[..end].to_owned() });
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            return Ok(None);
        };
        match mode.as_str() {
            "100644" | "100755" | "100664" => {}
            "120000" => return Err(Error::Symlink { path: path.to_owned() }),
            _ => return Err(Error::NotAFile { path: path.to_owned() }),
        }
        let size = self.call("cat-file").args(["-s", id.as_str()]).run().await?.text()?;
        if size.trim().parse::<u64>().map_or(true, |size| size > max_bytes) {
            return Err(Error::TooLarge { what: path.to_owned(), limit: max_bytes });
        }
        let room = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let output = self.call("cat-file").args(["blob", id.as_str()]).at_most(room).run().await?;
        Ok(Some(output.stdout))
    }

    /// The files of a commit, in git's order, at most `max`; only those below `under` when it is given.
    pub async fn list_tree(&self, commit: &CommitId, under: Option<&str>, max: usize) -> Result<Vec<TreeEntry>, Error> {
        let call = self.call("ls-tree").args(["-r", "-l", "-z", "--full-tree", commit.as_str()]).at_most(256 << 20);
        let call = match under {
            Some(path) => {
                check_path(path)?;
                call.arg("--").arg(format!("{path}/"))
            }
            None => call,
        };
        let output = call.run().await?;
        let mut entries = Vec::new();
        for line in output.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()).take(max) {
            let line = String::from_utf8_lossy(line);
            entries.push(entry(&line).ok_or_else(|| output.unexpected(line.clone()))?);
        }
        Ok(entries)
    }

    async fn entry(&self, commit: &CommitId, path: &str) -> Result<Option<(String, CommitId)>, Error> {
        let call = self.call("ls-tree").args(["-z", "--full-tree", commit.as_str(), "--", path]);
        let output = call.run().await?;
        if output.stdout.is_empty() {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = line.split([' ', '\t']);
        let mode = words.next().map(str::to_owned);
        let id = words.nth(1).and_then(|id| id.parse().ok());
        mode.zip(id).map(Some).ok_or_else(|| output.unexpected(line.clone()))
    }
}

fn entry(line: &str) -> Option<TreeEntry> {
    let (meta, path) = line.split_once('\t')?;
    let mut words = meta.split_ascii_whitespace();
    let kind = match words.next()? {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::File,
    };
    Some(TreeEntry { path: path.to_owned(), kind, size: words.nth(2)?.parse().ok() })
}

fn check_path(path: &str) -> Result<(), Error> {
    let refuse = |reason| Err(Error::InvalidPath { path: path.to_owned(), reason });
    if path.is_empty() || path.len() > 4096 {
        return refuse("it must have 1 to 4096 bytes");
    }
    if path.contains('\0') {
        return refuse("it must not hold a zero byte");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("it must be relative, without empty parts, `.` and `..`");
    }
    Ok(())
}
