//! The shim, embedded by `build.rs`, and where it lies on this machine.

use crate::Error;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

static SHIM: &[u8] = include_bytes!(env!("SHIM_BINARY"));

/// What its name begins with; the AppArmor profile says so too.
pub(super) const PREFIX: &str = "runyard-shim-";

/// Writes the shim to `DATA/bin/runyard-shim-<hash>` unless it is there. Sandboxes of an earlier version keep theirs.
pub(super) fn install(data: &Path) -> Result<PathBuf, Error> {
    let bin = data.join("bin");
    let hash = hex::encode(Sha256::digest(SHIM));
    let path = bin.join(format!("{PREFIX}{}", &hash[..16]));
    let io = |what: &str| Error::io(format!("{what} {}", path.display()));
    super::layout::make_passage(&bin, 0o755).map_err(io("make the directory of"))?;
    if fs::read(&path).is_ok_and(|there| there == SHIM) {
        return Ok(path);
    }
    let fresh = bin.join(format!(".{PREFIX}{}-{}", &hash[..16], std::process::id()));
    write_new(&fresh).and_then(|()| fs::rename(&fresh, &path)).map_err(io("write"))?;
    Ok(path)
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o755).open(path)?;
    file.write_all(SHIM)?;
    // The mode at creation is cut by the umask.
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    file.sync_all()
}
