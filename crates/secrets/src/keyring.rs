//! The keys under which stored secrets are sealed, in a file of their own.
//!
//! One line for each key, `key ID KEY`, both in hexadecimal; the first one is current, the others open what was sealed
//! before. The id follows from the key, so that a damaged line is noticed and a wrong key is never taken for the right one.

use std::fmt::{self, Write as _};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rand::CryptoRng;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{SecretError, memory, secret::private_file};

const ABOUT: &str = "\
# The keys of the secrets that Runyard stores; the first one is current.
# Whoever has this file and the database can read them: never put both into one backup.
# Without it the stored secrets are lost.
";

/// Names a key without telling anything of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

/// One key.
pub(crate) struct Key(Box<Zeroizing<[u8; 32]>>);

/// The current key and those before it.
pub struct Keyring {
    keys: Vec<(KeyId, Key)>,
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no such file.
    #[error("there is no keyring at {}", .0.display())]
    Missing(PathBuf),
    /// It is there already: a new one would make what is sealed under the old one unreadable.
    #[error("there is a keyring at {} already", .0.display())]
    Exists(PathBuf),
    /// It is not as it should be: open to others, of another owner, no text.
    #[error(transparent)]
    File(#[from] SecretError),
    /// A line is no key.
    #[error("line {line} of the keyring {} is damaged: {why}; restore the file from where you keep a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It holds no key.
    #[error("the keyring {} holds no key", .0.display())]
    Empty(PathBuf),
    /// It could not be written.
    #[error("failed to write the keyring {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Keyring {
    /// One new key, in memory only.
    pub fn fresh(rng: &mut impl CryptoRng) -> Self {
        Self { keys: vec![Key::fresh(rng)] }
    }

    /// Reads the file, which only its owner, who is us, may be able to read.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let text = match private_file(path) {
            Err(SecretError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(KeyringError::Missing(path.to_owned()));
            }
            found => found?,
        };
        let mut keys = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            keys.push(read_line(text).map_err(|why| KeyringError::Damaged { path: path.to_owned(), line, why })?);
        }
        if keys.is_empty() { Err(KeyringError::Empty(path.to_owned())) } else { Ok(Self { keys }) }
    }

    /// Makes the file with one new key. Never replaces one that is there.
    pub fn create(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, KeyringError> {
        let _lock = lock(path)?;
        if path.symlink_metadata().is_ok() {
            return Err(KeyringError::Exists(path.to_owned()));
        }
        let keyring = Self::fresh(rng);
        keyring.write(path)?;
        Ok(keyring)
    }

    /// Puts a new current key into the file; the old ones stay behind it.
    pub fn renew(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, KeyringError> {
        let _lock = lock(path)?;
        let mut keyring = Self::read(path)?;
        keyring.keys.insert(0, Key::fresh(rng));
        keyring.write(path)?;
        Ok(keyring)
    }

    /// Takes every key but the current one out of the file. What is still sealed under one of them is lost.
    pub fn forget_old(path: &Path) -> Result<Self, KeyringError> {
        let _lock = lock(path)?;
        let mut keyring = Self::read(path)?;
        keyring.keys.truncate(1);
        keyring.write(path)?;
        Ok(keyring)
    }

    /// The key under which is sealed from now on.
    pub fn current(&self) -> KeyId {
        self.keys[0].0
    }

    /// All keys, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }

    pub(crate) fn current_key(&self) -> &Key {
        &self.keys[0].1
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|(own, _)| *own == id).map(|(_, key)| key)
    }

    /// Writes the file so that it is there whole or as it was.
    fn write(&self, path: &Path) -> Result<(), KeyringError> {
        let unwritable = |source| KeyringError::Unwritable { path: path.to_owned(), source };
        let mut text = Zeroizing::new(String::with_capacity(ABOUT.len() + self.keys.len() * 100));
        text.push_str(ABOUT);
        for (id, key) in &self.keys {
            let _ = writeln!(text, "key {id} {}", *Zeroizing::new(hex::encode(key.bytes())));
        }
        let fresh = path.with_extension("new");
        let write = || {
            match std::fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)?;
            File::open(folder_of(path))?.sync_all()
        };
        write().map_err(unwritable)
    }
}

impl Key {
    fn fresh(rng: &mut impl CryptoRng) -> (KeyId, Self) {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        let key = Self::new(&bytes);
        (key.id(), key)
    }

    fn new(bytes: &[u8; 32]) -> Self {
        let key = Box::new(Zeroizing::new(*bytes));
        memory::keep_in(key.as_slice());
        Self(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn id(&self) -> KeyId {
        let digest = Sha256::new_with_prefix(b"runyard keyring\0").chain_update(self.bytes()).finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }
}

fn read_line(text: &str) -> Result<(KeyId, Key), &'static str> {
    let mut words = text.split_ascii_whitespace();
    let (Some("key"), Some(id), Some(key), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("it is not `key ID KEY`");
    };
    let id: KeyId = id.parse()?;
    if key.len() != 64 {
        return Err("the key is not 64 hexadecimal digits long");
    }
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(key, &mut *bytes).map_err(|_| "the key is not in hexadecimal")?;
    let key = Key::new(&bytes);
    if key.id() == id { Ok((id, key)) } else { Err("the key is not the one with that id") }
}

/// Keeps others from changing the keyring at the same time.
fn lock(path: &Path) -> Result<File, KeyringError> {
    let unwritable = |source| KeyringError::Unwritable { path: path.to_owned(), source };
    let folder = folder_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    let folder = File::open(folder).map_err(unwritable)?;
    flock(&folder, FlockOperation::LockExclusive).map_err(|error| unwritable(error.into()))?;
    Ok(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 8];
        hex::decode_to_slice(text, &mut id).map_err(|_| "a key's id is 16 hexadecimal digits")?;
        Ok(Self(id))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(7)
    }

    #[test]
    fn keys_are_made_renewed_and_forgotten_in_a_closed_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/runyard/keyring");
        assert!(matches!(Keyring::read(&path), Err(KeyringError::Missing(_))));
        let mut rng = rng();
        let first = Keyring::create(&path, &mut rng).unwrap().current();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        assert!(matches!(Keyring::create(&path, &mut rng), Err(KeyringError::Exists(_))), "never over an old one");

        let second = Keyring::renew(&path, &mut rng).unwrap().current();
        assert_ne!(first, second);
        assert_eq!(Keyring::read(&path).unwrap().ids().collect::<Vec<_>>(), [second, first]);
        assert_eq!(Keyring::forget_old(&path).unwrap().ids().collect::<Vec<_>>(), [second]);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_no_keyring_is_refused_with_words_and_without_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyring");
        Keyring::create(&path, &mut rng()).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let key = good.split_whitespace().last().unwrap();
        let other = if key.starts_with('0') { '1' } else { '0' };
        for (text, wanted) in [
            (good.replace(key, &key[..62]), "64 hexadecimal digits"),
            (good.replace(key, &format!("{other}{}", &key[1..])), "not the one with that id"),
            (good.replace(key, &"g".repeat(64)), "not in hexadecimal"),
            (good.replace("key ", "kee "), "`key ID KEY`"),
            (String::new(), "holds no key"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Keyring::read(&path).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(wanted) && !said.contains(&key[1..20]), "{said}");
        }
        std::fs::write(&path, good).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Keyring::read(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
