//! Who lives in the sandboxes of one test.

use std::fs;
use std::path::{Path, PathBuf};

/// Processes in the sandboxes of one data directory, found by what they see mounted: that cannot be changed from inside,
/// and other tests' sandboxes have folders of their own.
pub struct Inhabitants {
    sandboxes: PathBuf,
}

impl Inhabitants {
    /// Of the sandboxes below this data directory.
    pub fn of(data: &Path) -> Self {
        Self { sandboxes: data.join("sandboxes") }
    }

    /// Command lines of all of them, the shim among them.
    pub fn all(&self) -> Vec<String> {
        let wanted = self.sandboxes.to_str().expect("a path in UTF-8");
        // A mount's root is named from the root of its file system, which may be mounted somewhere below `/`.
        let tail = wanted.trim_start_matches('/');
        processes()
            .filter(|process| {
                let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
                mounts
                    .lines()
                    .any(|line| line.split(' ').nth(3).is_some_and(|root| root.contains(tail) || tail_of(root, wanted)))
            })
            .filter_map(|process| command_line(&process))
            .collect()
    }

    /// Those whose command line contains a text.
    pub fn running(&self, text: &str) -> Vec<String> {
        self.all().into_iter().filter(|line| line.contains(text)).collect()
    }
}

/// On a file system that is mounted at `/tmp`, the root of a mount lacks that beginning.
fn tail_of(root: &str, whole: &str) -> bool {
    let first = root.trim_start_matches('/').split('/').next().unwrap_or_default();
    first.starts_with("runyard-test-") && whole.contains(first)
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .map(|entry| entry.path())
}

/// None for a process that ended, or that only waits for its parent to notice.
fn command_line(process: &Path) -> Option<String> {
    let bytes = fs::read(process.join("cmdline")).ok().filter(|bytes| !bytes.is_empty())?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned())
}
