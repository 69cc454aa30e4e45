//! Whether the agent's program still is the one that was trusted.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProgramDigest([u8; 32]);

/// A text that is no SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a SHA-256 digest: expected 64 hexadecimal digits", .0.escape_debug())]
pub struct NoDigest(pub String);

impl FromStr for ProgramDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut digest = [0; 32];
        match hex::decode_to_slice(text.trim(), &mut digest) {
            Ok(()) => Ok(Self(digest)),
            Err(_) => Err(NoDigest(text.to_owned())),
        }
    }
}

impl fmt::Display for ProgramDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ProgramDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why the agent is not started.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// The program cannot be read.
    #[error("Claude Code at {} cannot be read", path.display())]
    Unreadable {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not the program that the settings name.
    #[error(
        "Claude Code at {} has the SHA-256 digest {found}, and agent.sha256 says {expected}: put the right program there, \
         or change the setting if this one is to be trusted",
        path.display()
    )]
    Other {
        /// Where it is.
        path: PathBuf,
        /// What the settings say.
        expected: ProgramDigest,
        /// What it is.
        found: ProgramDigest,
    },
    /// It was replaced since this server first started it.
    #[error(
        "Claude Code at {} was replaced while the server ran (its SHA-256 digest was {known} and is {found}): restart the \
         server if that was meant",
        path.display()
    )]
    Replaced {
        /// Where it is.
        path: PathBuf,
        /// What it was.
        known: ProgramDigest,
        /// What it is now.
        found: ProgramDigest,
    },
}

/// What tells a file from the same file after somebody wrote to it. The time of change cannot be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// The agent's program, trusted as it was at the first look, or as the settings say.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    expected: Option<ProgramDigest>,
    known: Mutex<Option<(Stamp, ProgramDigest)>>,
}

impl Program {
    /// The program at `path`, which must have this digest if one is given.
    pub fn new(path: impl Into<PathBuf>, expected: Option<ProgramDigest>) -> Self {
        Self { path: path.into(), expected, known: Mutex::new(None) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its digest, when it may be started. It is read (some 250 MB) at the first call, and whenever the file is not the
    /// one that was read last; otherwise this costs one look at the directory. Blocks.
    pub fn verify(&self) -> Result<ProgramDigest, Distrust> {
        let unreadable = |source| Distrust::Unreadable { path: self.path.clone(), source };
        let mut known = self.known.lock();
        let mut file = fs::File::open(&self.path).map_err(unreadable)?;
        let stamp = stamp(&file).map_err(unreadable)?;
        if let Some((_, digest)) = known.filter(|(seen, _)| *seen == stamp) {
            return Ok(digest);
        }
        let found = digest(&mut file).map_err(unreadable)?;
        if let Some(expected) = self.expected.filter(|expected| *expected != found) {
            return Err(Distrust::Other { path: self.path.clone(), expected, found });
        }
        if let Some((_, known)) = known.filter(|(_, digest)| self.expected.is_none() && *digest != found) {
            return Err(Distrust::Replaced { path: self.path.clone(), known, found });
        }
        *known = Some((stamp, found));
        Ok(found)
    }
}

fn digest(file: &mut fs::File) -> io::Result<ProgramDigest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ProgramDigest(hash.finalize().into())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn stamp(file: &fs::File) -> io::Result<Stamp> {
    let found = file.metadata()?;
    let changed = (found.ctime(), found.ctime_nsec());
    Ok(Stamp { device: found.dev(), inode: found.ino(), size: found.size(), changed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_replaced_or_written_to_is_not_trusted_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("claude");
        fs::write(&path, "one").expect("written");
        let program = Program::new(&path, None);
        let first = program.verify().expect("trusted at first");
        assert_eq!(program.verify().expect("the same"), first);

        fs::write(&path, "two").expect("written");
        let why = program.verify().expect_err("written to, same inode and size").to_string();
        assert!(why.contains("restart the server") && why.contains(&first.to_string()), "{why}");
        fs::remove_file(&path).expect("removed");
        assert!(matches!(program.verify(), Err(Distrust::Unreadable { .. })));
        fs::write(dir.path().join("new"), "three").expect("written");
        fs::rename(dir.path().join("new"), &path).expect("renamed");
        assert!(matches!(program.verify(), Err(Distrust::Replaced { .. })));
        fs::write(&path, "one").expect("written");
        assert_eq!(program.verify().expect("what it was counts, not when it was written"), first);
    }

    #[test]
    fn a_program_that_the_settings_name_is_the_only_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("claude");
        fs::write(&path, "abc").expect("written");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let program = Program::new(&path, Some(abc.parse().expect("a digest")));
        assert_eq!(program.verify().expect("it is that one").to_string(), abc);
        fs::write(&path, "abd").expect("written");
        let why = program.verify().expect_err("another one").to_string();
        assert!(why.contains("agent.sha256") && why.contains(abc), "{why}");
        for text in ["", "abc", &abc[1..], &format!("{abc}0"), &abc.replace('b', "x")] {
            assert!(text.parse::<ProgramDigest>().is_err(), "{text}");
        }
    }
}
