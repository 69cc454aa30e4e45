//! Disk space: a file system of its own for each sandbox where the server is root, and room for it on the host's disk.
//!
//! The file system is an ext4 in a sparse file, mounted by the launcher (`shim launch`, see its `host/disk.rs`). A
//! required limit sets the whole space aside at once, so that it is there however full the host's disk becomes.

use super::{
    LocalConfig, Shared, blocking, config::Limit, config::Requirement, layout, record::LocalRecord, remove::remove_tree,
};
use crate::Error;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// The file that the file system is in.
pub(super) const IMAGE: &str = "disk.img";
/// How long making a file system may take; 40 ms are usual.
const PATIENCE: Duration = Duration::from_mins(2);
/// Smaller ones have no room for their own tables.
const LEAST: u64 = 8 << 20;
/// Bytes for each file that can be made, at the least: an inode takes 256, whether it is used or not.
const BYTES_PER_FILE: u64 = 4096;
/// What the launcher's message begins with when there is no wall to be had.
const NOT_MOUNTED: &str = "failed to mount the sandbox's disk";

/// What is needed besides root.
pub(super) const MEND: &str =
    "run the server as root on a machine with e2fsprogs and loop devices: `apt install e2fsprogs`, `modprobe loop`";

/// Whether sandboxes can have a file system of their own, as far as can be told without making one.
pub(super) fn possible(root: bool) -> Result<(), &'static str> {
    if !root {
        return Err("the server is not root");
    }
    if mkfs().is_none() {
        return Err("there is no mkfs.ext4");
    }
    if !Path::new("/dev/loop-control").exists() {
        return Err("there are no loop devices");
    }
    Ok(())
}

/// Whether a launch failed for want of a wall.
pub(super) fn is_not_mounted(error: &Error) -> bool {
    matches!(error, Error::Launch { log } if log.contains(NOT_MOUNTED))
}

/// What a required limit says when it cannot be held.
pub(super) fn missing(detail: impl Into<String>) -> Error {
    Error::Missing { part: "disk limit".to_owned(), detail: detail.into(), mend: MEND.to_owned() }
}

/// Makes the file system of a new sandbox; nothing when it is there.
pub(super) async fn make(config: &LocalConfig, record: &LocalRecord, limit: Limit) -> Result<(), Error> {
    let image = record.dir.join(IMAGE);
    if image.exists() {
        return Ok(());
    }
    let mkfs = mkfs().ok_or_else(|| missing("there is no mkfs.ext4"))?;
    let size = limit.value.max(LEAST);
    let fresh = record.dir.join("disk.new");
    let reserve = limit.requirement == Requirement::Required;
    // Asked before: what sets space aside takes all that there is before it finds that there is not enough.
    if reserve && free(&config.data_dir)? < size.saturating_add(config.min_free_disk) {
        return Err(no_room_for(size));
    }
    let file = fresh.clone();
    blocking(move || set_aside(&file, size, reserve)).await?;
    let owner = format!("lazy_itable_init=1,nodiscard,root_owner={0}:{0}", record.uid);
    let inodes = config.limits.files.min(size / BYTES_PER_FILE).max(16).to_string();
    let mut command = Command::new(mkfs);
    command.args(["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", &owner, "-N", &inodes]).arg(&fresh);
    // With no configuration of the host's in play.
    command.env_clear().env("MKE2FS_CONFIG", "/dev/null").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let run = async { super::launch::spawn(&mut command).await?.wait_with_output().await };
    let failed = |why: String| Error::Launch { log: format!("{NOT_MOUNTED}: mkfs.ext4: {why}") };
    match tokio::time::timeout(PATIENCE, run).await {
        Err(_) => Err(failed("it does not end".to_owned())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(output)) if !output.status.success() => {
            Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
        // Under its name only when it is whole, whatever dies in between.
        Ok(Ok(_)) => fs::rename(&fresh, &image).map_err(Error::io(format!("name {}", image.display()))),
    }
}

fn set_aside(path: &Path, size: u64, reserve: bool) -> Result<(), Error> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let made = || -> io::Result<()> {
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        if reserve {
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size)?;
        }
        Ok(rustix::fs::ftruncate(&file, size)?)
    };
    made().map_err(|error| {
        let _ = fs::remove_file(path);
        match error.kind() {
            io::ErrorKind::StorageFull => no_room_for(size),
            _ => Error::io(format!("make {}", path.display()))(error),
        }
    })
}

fn no_room_for(size: u64) -> Error {
    Error::NoRoom {
        detail: format!("{} is set aside for each sandbox, and that is more than can be spared", amount(size)),
        mend: "make room, or lower sandbox.limits.disk.value".to_owned(),
    }
}

fn mkfs() -> Option<PathBuf> {
    ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"]
        .map(PathBuf::from)
        .into_iter()
        .find(|it| it.exists())
}

/// Refuses another sandbox when there is no room for one: the record's database lies on the same disk.
pub(super) async fn check_room(shared: &Shared) -> Result<(), Error> {
    let config = &shared.config;
    let free = free(&config.data_dir)?;
    if free < config.min_free_disk {
        return Err(Error::NoRoom {
            detail: format!(
                "{} free where {} is, and {} are kept back",
                amount(free),
                config.data_dir.display(),
                amount(config.min_free_disk)
            ),
            mend: "make room, or lower sandbox.min_free_disk".to_owned(),
        });
    }
    let Some(most) = config.total_disk else { return Ok(()) };
    let held = held_by_all(shared).await?;
    if held < most {
        return Ok(());
    }
    Err(Error::NoRoom {
        detail: format!("all sandboxes together hold {}, and {} are allowed", amount(held), amount(most)),
        mend: "archive sessions that are done, or raise sandbox.total_disk".to_owned(),
    })
}

/// Bytes that are free for the server on a directory's disk.
fn free(dir: &Path) -> Result<u64, Error> {
    let found =
        rustix::fs::statvfs(dir).map_err(|error| Error::io(format!("look at {}", dir.display()))(error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes that all sandboxes take on disk.
async fn held_by_all(shared: &Shared) -> Result<u64, Error> {
    let dir = layout::sandboxes(&shared.config.data_dir);
    blocking(move || Ok(held_below(&dir))).await
}

/// Bytes that lie below a directory. No link is followed; what sandboxes closed is not seen.
fn held_below(top: &Path) -> u64 {
    let mut held = 0;
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            held += found.blocks() * 512 / found.nlink().max(1);
            if found.is_dir() {
                open.push(entry.path());
            }
        }
    }
    held
}

/// Gives a wall up where none is to be had: the sandbox was never started, so nothing is in it.
pub(super) fn give_up(record: &mut LocalRecord) -> Result<(), Error> {
    record.disk = false;
    for name in [IMAGE, "disk.new"] {
        match fs::remove_file(record.dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove a disk")(error)),
            _ => {}
        }
    }
    remove_tree(&record.dir.join("disk")).map_err(Error::io("remove a disk's directory"))
}

/// What the shim is told to watch.
pub(super) fn watched(config: &LocalConfig, record: &LocalRecord) -> shim::spec::DiskSpec {
    shim::spec::DiskSpec {
        walled: record.disk,
        bytes: config.limits.disk.map(|limit| limit.value),
        files: config.limits.disk.map(|_| config.limits.files),
        // Half of what is kept back: a new sandbox is refused before an old one is stopped.
        floor: config.min_free_disk / 2,
    }
}

/// Bytes as people say them.
pub(super) fn amount(bytes: u64) -> String {
    let whole = |shift: u32| bytes >> shift;
    match bytes {
        ..0x10_0000 => format!("{} KiB", whole(10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", whole(20)),
        _ => format!("{}.{} GiB", whole(30), ((bytes & 0x3FFF_FFFF) * 10) >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_in_their_largest_unit() {
        let said = [0, 2048, 5 << 20, 3 << 29, 10 << 30].map(amount);
        assert_eq!(said, ["0 KiB", "2 KiB", "5 MiB", "1.5 GiB", "10.0 GiB"]);
    }

    #[test]
    fn what_is_set_aside_is_there_and_what_is_not_is_sparse() {
        let home = tempfile::tempdir().unwrap();
        for (reserve, least, most) in [(true, 4 << 20, u64::MAX), (false, 0, 1 << 16)] {
            let path = home.path().join(format!("{reserve}"));
            set_aside(&path, 4 << 20, reserve).unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.len(), found.mode() & 0o777), (4 << 20, 0o600));
            assert!((least..=most).contains(&(found.blocks() * 512)), "{found:?}");
        }
        let error = set_aside(&home.path().join("x"), 1 << 50, true).unwrap_err();
        assert!(!home.path().join("x").exists(), "a file that is too large was left: {error}");
    }
}
