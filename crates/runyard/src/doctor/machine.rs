//! Directories and disks.

use super::{fail, ok, warn};
use crate::{
    config::Config,
    data_dir::{self, DataDirError},
};
use sandbox::Check;
use std::{os::unix::fs::MetadataExt as _, path::Path};

/// Below this a session may not get through.
const LITTLE: u64 = 2 << 30;
/// Below this nothing gets through.
const TOO_LITTLE: u64 = 200 << 20;

/// The file that was read, and what looked misspelt.
pub(super) fn configuration(config: &Config) -> Check {
    let detail = match &config.file {
        Some(file) => file.display().to_string(),
        None => "defaults; no file".to_owned(),
    };
    if config.warnings.is_empty() {
        ok("configuration", detail)
    } else {
        warn("configuration", config.warnings.join("; "), "unset what is not meant")
    }
}

/// Whether the data directory can be used by us, and entered by sandboxes.
pub(super) fn data_directory(config: &Config) -> Check {
    const NAME: &str = "data directory";
    let dir = &config.data_dir;
    let shown = dir.display().to_string();
    let root = rustix::process::geteuid().is_root();
    let Ok(found) = std::fs::metadata(dir) else {
        let parent = existing_parent(dir);
        let problem = if root { data_dir::traversable(parent).err() } else { None };
        return match problem {
            None if rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_ok() => {
                ok(NAME, format!("{shown} will be made"))
            }
            None => fail(
                NAME,
                format!("{shown} cannot be made in {}", parent.display()),
                "choose another place with --data-dir",
            ),
            Some(error) => unusable(&error),
        };
    };
    if !root && found.uid() != rustix::process::geteuid().as_raw() {
        return fail(NAME, format!("{shown} belongs to uid {}", found.uid()), "choose another place with --data-dir");
    }
    match if root { data_dir::traversable(dir) } else { Ok(()) } {
        Ok(()) => ok(NAME, shown),
        Err(error) => unusable(&error),
    }
}

fn unusable(error: &DataDirError) -> Check {
    let failure = crate::exit::Failure::from_error(crate::exit::Exit::Environment, error);
    let mend = match error {
        DataDirError::Closed(path) => format!("chmod o+x {}; or choose another place with --data-dir", path.display()),
        DataDirError::Io { .. } | DataDirError::Foreign { .. } => "choose another place with --data-dir".to_owned(),
    };
    fail("data directory", failure.message, mend)
}

/// Free space where the data directory is or will be.
pub(super) fn disk_space(config: &Config) -> Option<Check> {
    const NAME: &str = "disk space";
    let stat = rustix::fs::statvfs(existing_parent(&config.data_dir)).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let detail = format!("{:.1} GiB free", free as f64 / (1u64 << 30) as f64);
    Some(match free {
        ..TOO_LITTLE => fail(NAME, detail, "make room, or choose another place with --data-dir"),
        TOO_LITTLE..LITTLE => warn(NAME, detail, "make room: each session needs a checkout and what its tools build"),
        _ => ok(NAME, detail),
    })
}

fn existing_parent(dir: &Path) -> &Path {
    dir.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_its_parent() {
        assert_eq!(existing_parent(Path::new("/nonexistent/a/b")), Path::new("/"));
        assert_eq!(existing_parent(Path::new("/tmp")), Path::new("/tmp"));
    }
}
