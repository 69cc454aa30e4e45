//! Looking through files and git objects.

use crate::{Canaries, Leak};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Files of at most this size are read whole.
const WHOLE: u64 = 64 << 20;

/// Larger ones are read in pieces of this size, which overlap.
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 256;

/// The canaries in all files below a folder, in their names, in where links lead to, and in the objects of every git
/// repository, whether packed or not.
///
/// Only regular files are read; what vanishes while it is looked at is left out.
pub fn files(canaries: &Canaries, folder: &Path) -> Vec<Leak> {
    let (mut leaks, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        if folder.join("objects").is_dir() && folder.join("HEAD").is_file() {
            leaks.extend(git_objects(canaries, &folder));
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let place = path.display().to_string();
            leaks.extend(canaries.look_flat(&format!("the name of {place}"), place.as_bytes()));
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    leaks.extend(file(canaries, &path));
                }
                Ok(kind) if kind.is_symlink() => {
                    let target = fs::read_link(&path).unwrap_or_default();
                    leaks.extend(
                        canaries.look_flat(&format!("the target of {place}"), target.as_os_str().as_encoded_bytes()),
                    );
                }
                _ => {}
            }
        }
    }
    leaks
}

/// The canaries in one file. One that is large, such as the disk of a sandbox, is read in pieces and without its holes,
/// and not looked into for compressed data.
fn file(canaries: &Canaries, path: &Path) -> BTreeSet<Leak> {
    let place = path.display().to_string();
    if path.metadata().is_ok_and(|found| found.len() <= WHOLE) {
        return canaries.look(&place, &fs::read(path).unwrap_or_default()).into_iter().collect();
    }
    let mut leaks = BTreeSet::new();
    let Ok(file) = fs::File::open(path) else { return leaks };
    let mut piece = vec![0; PIECE + OVERLAP];
    let mut at = 0;
    while let Ok(data) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
        let read = file.read_at(&mut piece, data).unwrap_or(0);
        leaks.extend(canaries.look_flat(&place, &piece[..read]));
        if read == 0 {
            break;
        }
        at = data + read.min(PIECE) as u64;
    }
    leaks
}

/// The canaries in all objects of a repository: packs hold some of them only as differences from others.
pub fn git_objects(canaries: &Canaries, repository: &Path) -> Vec<Leak> {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("GIT_CONFIG_NOSYSTEM", "1");
    git.args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]).arg("--git-dir").arg(absolute(repository));
    git.args(["cat-file", "--batch", "--batch-all-objects", "--unordered"]);
    let objects = git.output().expect("git").stdout;
    canaries.look_flat(&format!("objects of {}", repository.display()), &objects)
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const CANARY: &str = "cnryQ7wE4rT9yU2iO5pA8sD1fG6hJ3kL0";

    fn git(folder: &Path, arguments: &[&str]) {
        let done = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn files_names_links_and_git_objects_are_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let canaries = Canaries::new([("key", CANARY)]);
        let places = || files(&canaries, dir.path()).into_iter().map(|leak| leak.place).collect::<Vec<_>>();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        assert_eq!(places(), Vec::<String>::new());
        fs::write(dir.path().join("a/b/file"), format!("x{CANARY}")).unwrap();
        fs::write(dir.path().join(CANARY), "").unwrap();
        symlink(CANARY, dir.path().join("link")).unwrap();
        let found = places();
        assert!(found.iter().any(|place| place.ends_with("a/b/file")), "{found:?}");
        assert!(found.iter().any(|place| place.starts_with("the name of ")), "{found:?}");
        assert!(found.iter().any(|place| place.starts_with("the target of ")), "{found:?}");
    }

    #[test]
    fn a_large_file_with_holes_is_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("disk")).unwrap();
        file.set_len(20 << 30).unwrap();
        let canaries = Canaries::new([("key", CANARY)]);
        assert_eq!(files(&canaries, dir.path()), []);
        // Over the border of two pieces that begin where the data does.
        file.write_at(&[1], 7 << 30).unwrap();
        file.write_at(CANARY.as_bytes(), (7 << 30) + (4 << 20) - 5).unwrap();
        assert_eq!(files(&canaries, dir.path()).len(), 1);
    }

    #[test]
    fn a_file_that_was_committed_and_packed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        // Two versions of a long file: one is packed as a difference.
        let long = (0..3000).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
        for text in [format!("{long}{CANARY}\n"), long] {
            fs::write(work.join("file"), text).unwrap();
            git(&work, &["add", "."]);
            git(&work, &["-c", "user.name=a", "-c", "user.email=b", "commit", "--quiet", "--message", "one"]);
        }
        git(&work, &["gc", "--quiet"]);
        let found = files(&Canaries::new([("key", CANARY)]), dir.path());
        assert!(found.iter().any(|leak| leak.place.starts_with("objects of ")), "{found:?}");
    }
}
