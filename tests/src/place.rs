//! A folder for one test.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A folder that is removed at the end. The users of sandboxes may pass through it and look at nothing in it.
pub struct Place(tempfile::TempDir);

impl Place {
    /// Makes a new one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("runyard-test-").tempdir().expect("a temporary folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).expect("permissions of the folder");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Leaves it on disk, for whoever looks into a failed test.
    pub fn keep(&mut self) {
        self.0.disable_cleanup(true);
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}
