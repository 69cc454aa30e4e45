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

/// Whether others of this machine can read or change what is the server's alone.
pub(super) fn permissions(config: &Config) -> Check {
    const NAME: &str = "permissions";
    let dir = &config.data_dir;
    let own = rustix::process::geteuid().as_raw();
    let mut open = Vec::new();
    if let Ok(found) = std::fs::metadata(dir)
        && found.mode() & 0o022 != 0
    {
        open.push(format!("{} can be written by others (mode {:o})", dir.display(), found.mode() & 0o777));
    }
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        let for_others = found.mode() & 0o077;
        let closed = for_others == 0 && found.uid() == own;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Only files are secret; directories are passed through, and what agents are told of policy may be read.
        if found.is_file() && !closed && name != "managed-settings.json" && name != "runyard.toml" && name != "host" {
            open.push(format!("{name} has mode {:o} and uid {}", found.mode() & 0o777, found.uid()));
        }
    }
    if open.is_empty() {
        return ok(NAME, "the server's files are closed to others");
    }
    let mend = format!("chmod go-rwx the files and go-w {}, and chown them to uid {own}", dir.display());
    warn(NAME, open.join("; "), mend)
}

/// Whether the clock can be right: leases do not depend on it, what people read and certificates do.
pub(super) fn clock() -> Check {
    const NAME: &str = "clock";
    // Nothing of this program was built before 2025, nor is it meant to run after 2100.
    const SANE: std::ops::Range<i64> = 1_735_689_600..4_102_444_800;
    let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
    let steady = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let later = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    if (later.tv_sec, later.tv_nsec) < (steady.tv_sec, steady.tv_nsec) {
        return fail(NAME, "the monotonic clock runs backwards", "this kernel cannot hold a lease: take another one");
    }
    if SANE.contains(&wall) {
        ok(NAME, "set, and steady")
    } else {
        warn(NAME, format!("it stands at {wall} s after 1970"), "set it: `timedatectl set-ntp true`")
    }
}

/// Whether a crash of the server would write its memory to disk.
pub(super) fn cores() -> Check {
    const NAME: &str = "core dumps";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core).current;
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    // A pipe gets the memory whatever the limit says (core(5)), save for 1, which nobody sets by hand.
    match (limit, pattern.starts_with('|')) {
        (Some(0), false) => ok(NAME, "off"),
        (Some(0 | 1), true) => ok(NAME, "off for files; what the kernel pipes them to is up to it"),
        _ => warn(
            NAME,
            "a crash of the server would write its memory to disk, with the key in it",
            "start it with `ulimit -c 0`, or `LimitCORE=0` in its service",
        ),
    }
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
