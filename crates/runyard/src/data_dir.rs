//! The data directory: made with the right modes, owned by one server at a time.

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Something failed.
    #[error("failed to {attempt} {}", path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Sandboxes of a server that is root run under other uids, and these could not get there.
    #[error("sandboxes cannot get to the data directory: {} may not be entered by others", .0.display())]
    Closed(PathBuf),
    /// It belongs to somebody else.
    #[error("the data directory {} belongs to uid {uid}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
}

/// Who has the data directory.
#[derive(Debug)]
pub enum Ownership {
    /// This process, as long as the lock is kept.
    Ours(Lock),
    /// Another process.
    Theirs(Holder),
}

/// The right to the data directory; released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What another process wrote into the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process, when it is known already.
    pub pid: Option<u32>,
    /// Its command, such as `serve`.
    pub command: String,
}

/// Makes the data directory (0711, so that sandboxes get to their own directories and see no others) when it is not
/// there, and checks that it can be used.
pub fn prepare(dir: &Path) -> Result<(), DataDirError> {
    fs::DirBuilder::new().recursive(true).mode(0o711).create(dir).map_err(|source| DataDirError::Io {
        attempt: "make",
        path: dir.to_owned(),
        source,
    })?;
    let failed = |attempt, source| DataDirError::Io { attempt, path: dir.to_owned(), source };
    let found = fs::metadata(dir).map_err(|source| failed("look at", source))?;
    let own = rustix::process::geteuid();
    if found.uid() != own.as_raw() && !own.is_root() {
        return Err(DataDirError::Foreign { path: dir.to_owned(), uid: found.uid() });
    }
    if found.mode() & 0o777 != 0o711 {
        fs::set_permissions(dir, Permissions::from_mode(0o711)).map_err(|source| failed("set the mode of", source))?;
    }
    if own.is_root() {
        traversable(dir)?;
    }
    Ok(())
}

/// Checks that every directory down to `dir` may be entered by others.
pub fn traversable(dir: &Path) -> Result<(), DataDirError> {
    let failed = |source| DataDirError::Io { attempt: "look at", path: dir.to_owned(), source };
    let real = dir.canonicalize().map_err(failed)?;
    for ancestor in real.ancestors() {
        if fs::metadata(ancestor).map_err(failed)?.mode() & 0o001 == 0 {
            return Err(DataDirError::Closed(ancestor.to_owned()));
        }
    }
    Ok(())
}

/// Takes the lock, or says who has it. `command` is told to others.
pub fn lock(dir: &Path, command: &str) -> Result<Ownership, DataDirError> {
    let path = dir.join("lock");
    let failed = |attempt| {
        let path = path.clone();
        move |source| DataDirError::Io { attempt, path, source }
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let write = |file: &mut File| {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{} {command}", std::process::id())
            };
            write(&mut file).map_err(failed("write"))?;
            Ok(Ownership::Ours(Lock { _file: file }))
        }
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            file.take(1024).read_to_string(&mut text).map_err(failed("read"))?;
            let (pid, command) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            Ok(Ownership::Theirs(Holder { pid: pid.parse().ok(), command: command.to_owned() }))
        }
        Err(error) => Err(failed("lock")(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_other_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = lock(dir.path(), "serve").expect("locks");
        assert!(matches!(first, Ownership::Ours(_)));
        let Ownership::Theirs(holder) = lock(dir.path(), "run").expect("looks") else { panic!("two owners") };
        assert_eq!(holder, Holder { pid: Some(std::process::id()), command: "serve".into() });
        drop(first);
        assert!(matches!(lock(dir.path(), "run").expect("locks"), Ownership::Ours(_)));
        assert_eq!(fs::metadata(dir.path().join("lock")).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn others_may_go_through_but_not_look() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("opened");
        let data = dir.path().join("a/b");
        prepare(&data).expect("made");
        assert_eq!(fs::metadata(&data).expect("there").mode() & 0o777, 0o711);
        traversable(&data).expect("open");

        fs::set_permissions(dir.path().join("a"), Permissions::from_mode(0o700)).expect("closed");
        let error = traversable(&data).expect_err("closed");
        assert!(matches!(&error, DataDirError::Closed(path) if path.ends_with("a")), "{error}");
    }
}
