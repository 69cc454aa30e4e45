//! A secret value and the places it is read from.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::{memory, strength};

const LARGEST_FILE: u64 = 64 << 10;

/// A secret text. It has no `Display`, its `Debug` says nothing, its memory is kept out of swap and core files, and is
/// wiped when it is dropped.
pub struct Secret(SecretString);

/// Why a secret is not there. No variant holds any part of a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// The value has no characters besides surrounding white space.
    #[error("{0} is empty")]
    Empty(String),
    /// The value is not UTF-8, or has a control character (a line break in the middle, for one).
    #[error("{0} is not one line of text")]
    NotText(String),
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a regular file, or larger than 64 KiB.
    #[error("{0} is not a regular file of at most 64 KiB")]
    NotAFile(PathBuf),
    /// It could be guessed, or met by chance in ordinary text.
    #[error(
        "{0} is too short or too simple to be kept as a secret: a dozen random letters and digits is the least, so that it \
         cannot be guessed and does not hide ordinary words"
    )]
    Weak(String),
    /// Others may read or write the file.
    #[error("{path} has mode {mode:04o} and must be closed to others: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to somebody who could change it under us.
    #[error("{path} belongs to uid {owner}, not to uid {expected}, as which this program runs")]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who we are.
        expected: u32,
    },
}

impl Secret {
    /// Wraps a value as it is.
    pub fn new(value: impl Into<String>) -> Self {
        let value = SecretString::from(value.into());
        memory::keep_in(value.expose_secret().as_bytes());
        Self(value)
    }

    /// Reads an environment variable; surrounding white space is dropped.
    pub fn from_env(name: &str) -> Result<Self, SecretError> {
        let value = std::env::var_os(name).ok_or_else(|| SecretError::Unset(name.to_owned()))?;
        let value = value.into_string().map_err(|_| SecretError::NotText(name.to_owned()))?;
        Self::checked(&Zeroizing::new(value), name)
    }

    /// Reads a file that only its owner, who is us, can read; surrounding white space is dropped.
    ///
    /// The checks are made on the open file, so that nothing can be exchanged between check and reading.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretError> {
        let path = path.as_ref();
        Self::checked(&private_file(path)?, &path.display().to_string())
    }

    /// A value that is to be kept: text of any number of lines that is not [`SecretError::Weak`]; white space around it is
    /// dropped. `name` is for messages.
    pub fn to_keep(value: &str, name: &str) -> Result<Self, SecretError> {
        let text = value.trim();
        if text.is_empty() {
            return Err(SecretError::Empty(name.to_owned()));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(SecretError::NotText(name.to_owned()));
        }
        let secret = Self::new(text);
        if secret.is_weak() { Err(SecretError::Weak(name.to_owned())) } else { Ok(secret) }
    }

    /// True for a value that is worth less than about 60 bits, so that it could be found by trying what gets masked, and
    /// masking it would hide words that say nothing.
    pub fn is_weak(&self) -> bool {
        strength::bits(self.expose()) < strength::FEWEST_BITS
    }

    /// The value itself. Every caller of this is a place to look at in a review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether `candidate` is this secret, in a time that does not depend on where they differ.
    pub fn is(&self, candidate: &[u8]) -> bool {
        let own = self.expose().as_bytes();
        let difference = own.iter().zip(candidate).fold(0u8, |all, (a, b)| all | (a ^ b));
        own.len() == candidate.len() && std::hint::black_box(difference) == 0
    }

    fn checked(value: &str, name: &str) -> Result<Self, SecretError> {
        let text = value.trim();
        if text.is_empty() {
            return Err(SecretError::Empty(name.to_owned()));
        }
        if text.chars().any(char::is_control) {
            return Err(SecretError::NotText(name.to_owned()));
        }
        Ok(Self::new(text))
    }
}

/// The text of a file that only its owner, who is us, can read.
pub(crate) fn private_file(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    // Without NONBLOCK, opening a FIFO would wait for its writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > LARGEST_FILE {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    let expected = rustix::process::geteuid().as_raw();
    if metadata.uid() != expected {
        return Err(SecretError::ForeignOwner { path: path.to_owned(), owner: metadata.uid(), expected });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::TooOpen { path: path.to_owned(), mode });
    }
    // One allocation of the full size: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST_FILE).unwrap_or(0)));
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText(path.display().to_string()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::new(self.expose())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn debug_says_nothing_of_the_value() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-ant-1"))), "Some(Secret(…))");
    }

    #[test]
    fn a_private_file_is_read_without_its_line_end() {
        for mode in [0o600, 0o400] {
            let file = file(b"  sk-ant-1\n", mode);
            assert_eq!(Secret::from_file(file.path()).unwrap().expose(), "sk-ant-1");
        }
    }

    #[test]
    fn an_open_file_is_refused_with_the_command_that_mends_it() {
        for mode in [0o644, 0o640, 0o602, 0o660] {
            let file = file(b"sk-ant-1\n", mode);
            let error = Secret::from_file(file.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let file = file(b"sk-ant-1\n", 0o600);
        let us = rustix::process::geteuid();
        let other = rustix::process::Uid::from_raw(12_345);
        if us.is_root() {
            rustix::fs::chown(file.path(), Some(other), None).unwrap();
            let error = Secret::from_file(file.path()).unwrap_err();
            assert!(matches!(error, SecretError::ForeignOwner { owner: 12_345, .. }), "{error}");
        } else {
            let error = Secret::from_file("/etc/passwd").unwrap_err();
            assert!(matches!(error, SecretError::ForeignOwner { owner: 0, .. }), "{error}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_showing_it() {
        assert!(matches!(Secret::from_file(file(b" \n", 0o600).path()).unwrap_err(), SecretError::Empty(_)));
        let two_lines = Secret::from_file(file(b"first\nsecond\n", 0o600).path()).unwrap_err();
        assert!(
            matches!(two_lines, SecretError::NotText(_)) && !format!("{two_lines} {two_lines:?}").contains("first")
        );
        assert!(matches!(Secret::from_file(file(b"\xff\xfe", 0o600).path()).unwrap_err(), SecretError::NotText(_)));
        assert!(matches!(Secret::from_file("/dev/null").unwrap_err(), SecretError::NotAFile(_)));
        assert!(matches!(Secret::from_file("/nowhere/key").unwrap_err(), SecretError::Unreadable { .. }));
        assert!(matches!(Secret::from_env("RUNYARD_NO_SUCH_VARIABLE").unwrap_err(), SecretError::Unset(_)));
    }

    #[test]
    fn what_is_kept_has_lines_and_strength() {
        let pem =
            "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END KEY-----";
        assert_eq!(Secret::to_keep(&format!("{pem}\n"), "it").unwrap().expose(), pem);
        for (value, wanted) in [
            ("", "it is empty"),
            ("\u{1b}[31mabcdefghijklmnop", "it is not one line of text"),
            ("hunter2", "it is too short"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "it is too short or too simple"),
        ] {
            let error = Secret::to_keep(value, "it").unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn comparison_wants_all_of_it() {
        let secret = Secret::new("abc");
        assert!(secret.is(b"abc"));
        for other in [&b"abd"[..], b"ab", b"abcd", b""] {
            assert!(!secret.is(other));
        }
    }
}
