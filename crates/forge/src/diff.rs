//! What differs between two commits.

use crate::{Error, Mirror};
use domain::{CommitId, Timestamp};
use serde::{Deserialize, Serialize};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// It is new.
    Added,
    /// Its content or mode changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It was moved, and perhaps changed.
    Renamed,
    /// It became something else, such as a symbolic link.
    TypeChanged,
}

impl FileStatus {
    /// Reads the status of git-diff-tree's raw format.
    pub(crate) fn from_letter(status: &str) -> Option<Self> {
        Some(match status.bytes().next()? {
            b'A' | b'C' => Self::Added,
            b'M' => Self::Modified,
            b'D' => Self::Deleted,
            b'R' => Self::Renamed,
            b'T' => Self::TypeChanged,
            _ => return None,
        })
    }
}

/// How much of a diff is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffLimits {
    /// Files.
    pub files: usize,
    /// Bytes of one file's patch.
    pub patch_bytes: usize,
    /// Bytes of all patches.
    pub total_bytes: usize,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self { files: 1000, patch_bytes: 256 << 10, total_bytes: 8 << 20 }
    }
}

/// What differs between two commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The files, by path.
    pub files: Vec<FileDiff>,
    /// How many further files were left out.
    pub more_files: usize,
}

/// What differs in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// Its path; the old one when it is gone. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Where it was, when it was renamed.
    pub old_path: Option<String>,
    /// What happened to it.
    pub status: FileStatus,
    /// Lines added; 0 for binary files.
    pub additions: u64,
    /// Lines removed; 0 for binary files.
    pub deletions: u64,
    /// Whether git takes it for binary.
    pub binary: bool,
    /// The unified patch with its header lines, in git's format.
    pub patch: String,
    /// Whether some or all of the patch was left out.
    pub truncated: bool,
}

/// How much differs between two commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffStat {
    /// Files.
    pub files: u64,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// One commit in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The commit.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// Its author's name.
    pub author: String,
    /// When it was made.
    pub at: Timestamp,
}

/// All about paths and lines; no program of anybody's configuration takes part.
const PLAIN: [&str; 5] = ["-r", "-M", "--no-ext-diff", "--no-textconv", "--no-color"];

impl Mirror {
    /// What `head` has that `base` has not, and the other way round (two trees compared, not histories). For a pull
    /// request compare with [`Mirror::merge_base`].
    pub async fn diff(&self, base: &CommitId, head: &CommitId, limits: &DiffLimits) -> Result<Diff, Error> {
        let mut files = self.changed_files(base, head).await?;
        let more_files = files.len().saturating_sub(limits.files);
        let call = self.call("diff-tree").args(PLAIN).args(["-p", "--full-index", base.as_str(), head.as_str()]);
        let output = call.first(limits.total_bytes).run().await?;
        let mut patches = Patches { rest: &output.stdout };
        files.truncate(limits.files);
        for file in &mut files {
            // A change of type is printed as two patches: the old file goes, the new one comes.
            let patch = patches.next(if file.status == FileStatus::TypeChanged { 2 } else { 1 });
            let last = output.truncated && patches.rest.is_empty();
            let kept = patch.len().min(limits.patch_bytes);
            file.truncated = last || kept < patch.len();
            file.patch = String::from_utf8_lossy(&patch[..kept]).into_owned();
        }
        Ok(Diff { files, more_files })
    }

    /// How much differs between two commits.
    pub async fn diffstat(&self, base: &CommitId, head: &CommitId) -> Result<DiffStat, Error> {
        let files = self.changed_files(base, head).await?;
        let start = DiffStat { files: u64::try_from(files.len()).unwrap_or(u64::MAX), ..DiffStat::default() };
        Ok(files.iter().fold(start, |sum, file| DiffStat {
            additions: sum.additions.saturating_add(file.additions),
            deletions: sum.deletions.saturating_add(file.deletions),
            ..sum
        }))
    }

    /// The commits that `head` has and `base` has not, newest first, at most `max`.
    pub async fn log(&self, base: &CommitId, head: &CommitId, max: usize) -> Result<Vec<LogEntry>, Error> {
        let call = self.call("log").args(["-z", "--format=%H%n%ct%n%an%n%s", "--topo-order"]);
        let call = call.arg(format!("--max-count={max}")).arg(head.as_str()).arg(format!("^{base}"));
        let output = call.run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let read = |entry: &str| {
            let mut lines = entry.trim_start_matches('\n').splitn(4, '\n');
            let commit = lines.next()?.parse().ok()?;
            let seconds: i64 = lines.next()?.parse().ok()?;
            let author = lines.next()?.to_owned();
            let subject = lines.next()?.trim_end().to_owned();
            Some(LogEntry { commit, subject, author, at: Timestamp(seconds.saturating_mul(1_000_000)) })
        };
        let entries = text.split('\0').filter(|entry| !entry.trim().is_empty());
        entries.map(|entry| read(entry).ok_or_else(|| output.unexpected(entry))).collect()
    }

    /// The files with their numbers and without their patches.
    pub(crate) async fn changed_files(&self, base: &CommitId, head: &CommitId) -> Result<Vec<FileDiff>, Error> {
        let call = self.call("diff-tree").args(PLAIN).args(["--raw", "--numstat", "-z", base.as_str(), head.as_str()]);
        let output = call.at_most(64 << 20).run().await?;
        files(&output.stdout).ok_or_else(|| output.unexpected("a list of files cut short"))
    }
}

/// Reads `diff-tree --raw --numstat -z`: first all raw entries (`:modes ids status NUL path NUL [path NUL]`), then all
/// numbers (`added TAB removed TAB path NUL`, or for renames an empty path and two more fields) in the same order.
fn files(output: &[u8]) -> Option<Vec<FileDiff>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = output.split(|byte| *byte == 0).peekable();
    let mut files = Vec::new();
    while let Some(meta) = fields.next_if(|field| field.starts_with(b":")) {
        let status = FileStatus::from_letter(std::str::from_utf8(meta).ok()?.rsplit(' ').next()?)?;
        let first = text(fields.next()?);
        let (old_path, path) = match status {
            FileStatus::Renamed => (Some(first), text(fields.next()?)),
            _ => (None, first),
        };
        let patch = String::new();
        files.push(FileDiff {
            path,
            old_path,
            status,
            additions: 0,
            deletions: 0,
            binary: false,
            patch,
            truncated: false,
        });
    }
    for file in &mut files {
        let numbers = fields.next()?;
        let mut parts = numbers.splitn(3, |byte| *byte == b'\t');
        let (added, removed) = (text(parts.next()?), text(parts.next()?));
        if parts.next()?.is_empty() {
            fields.next()?;
            fields.next()?;
        }
        file.binary = added == "-";
        file.additions = added.parse().unwrap_or(0);
        file.deletions = removed.parse().unwrap_or(0);
    }
    Some(files)
}

/// Splits a patch of many files: only a header begins a line with `diff --git `, since every line of content begins
/// with a blank, `+`, `-` or a backslash.
struct Patches<'a> {
    rest: &'a [u8],
}

impl<'a> Patches<'a> {
    fn next(&mut self, headers: usize) -> &'a [u8] {
        let mut end = 0;
        for _ in 0..headers {
            end = self.end_of_one(end);
        }
        let (patch, rest) = self.rest.split_at(end);
        self.rest = rest;
        patch
    }

    fn end_of_one(&self, from: usize) -> usize {
        const HEADER: &[u8] = b"\ndiff --git ";
        let Some(body) = self.rest.get(from + 1..) else { return self.rest.len() };
        body.windows(HEADER.len()).position(|window| window == HEADER).map_or(self.rest.len(), |at| from + 1 + at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_split_at_headers_only() {
        let one = "diff --git a/x b/x\n@@ -1 +1 @@\n-diff --git a/y b/y\n+ diff --git\n";
        let two = "diff --git a/z b/z\nnew file mode 100644\n";
        let both = format!("{one}{two}");
        let mut patches = Patches { rest: both.as_bytes() };
        assert_eq!(patches.next(1), one.as_bytes());
        assert_eq!(patches.next(1), two.as_bytes());
        assert_eq!(patches.next(1), b"");
        assert_eq!(Patches { rest: both.as_bytes() }.next(2), both.as_bytes());
    }
}
