//! A disk of the sandbox's own: an ext4 file system in a file, so that a full one is full for that sandbox alone.
//!
//! It is mounted in the launcher's mount namespace, which the sandbox inherits and nobody else has. So it lives exactly
//! as long as the sandbox does, whatever becomes of the server: with the last process the kernel takes the mount down,
//! and with the mount the loop device.

use crate::sys;
use rustix::{
    fs::{CWD, FlockOperation, Mode, OFlags},
    io::Errno,
    mount::MountFlags,
};
use shim::spec::LaunchSpec;
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt, FileExt, PermissionsExt, chown},
            process::CommandExt,
        },
    },
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long the former life of a sandbox may take to write back what it left in memory.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often somebody else may take the loop device first.
const ATTEMPTS: usize = 100;

/// Mounts `dir/disk.img` at `dir/disk` and makes the sandbox's directories there. This process must be root and in a
/// mount namespace of its own.
pub fn mount(spec: &LaunchSpec) -> Result<(), String> {
    let failed = |error: io::Error| format!("failed to mount the sandbox's disk: {error}");
    let Some(uid) = spec.drop_to else { return Err(failed(io::Error::other("only root can"))) };
    let image = hold(&spec.dir.join("disk.img")).map_err(failed)?;
    if !is_clean(&image).map_err(failed)? {
        check(&spec.dir.join("disk.img")).map_err(failed)?;
    }
    let at = spec.dir.join("disk");
    attach(&image).and_then(|device| mount_device(&device, &at)).map_err(failed)?;
    make_dirs(&at, uid, spec.base.is_some()).map_err(failed)
}

/// Opens the image with a lock that the loop device holds on to: it is free only when no earlier mount is left. Two
/// mounts of one image at once would destroy it.
fn hold(image: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, image, flags, Mode::empty())?;
    let start = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            Err(Errno::WOULDBLOCK) => return Err(io::Error::other("an earlier life of the sandbox still has it")),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether it was unmounted in good order: field `s_state` of the superblock (ext4's documentation, "Super Block").
fn is_clean(image: &OwnedFd) -> io::Result<bool> {
    let mut state = [0; 2];
    fs::File::from(image.try_clone()?).read_exact_at(&mut state, 1024 + 0x3A)?;
    Ok(u16::from_le_bytes(state) == 1)
}

/// Mends what a loss of power left. The image has no journal: its contents are made again from commits when need be.
fn check(image: &Path) -> io::Result<()> {
    let mut fsck = Command::new("e2fsck");
    fsck.args(["-f", "-y"]).arg(image).env_clear().env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let status = fsck.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).arg0("e2fsck").status()?;
    // 1: there were errors and all were mended (e2fsck(8)).
    match status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(io::Error::other(format!("it was not unmounted in good order, and e2fsck ended with {status}"))),
    }
}

/// A loop device over the image.
fn attach(image: &OwnedFd) -> io::Result<(String, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let control = rustix::fs::openat(CWD, "/dev/loop-control", flags, Mode::empty())?;
    for _ in 0..ATTEMPTS {
        let path = format!("/dev/loop{}", sys::unused_loop(&control)?);
        let taken = rustix::fs::openat(CWD, &path, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|device| sys::fill_loop(&device, image).map(|()| device));
        match taken {
            Ok(device) => return Ok((path, device)),
            // Somebody was faster, or the device's file is about to be made.
            Err(error) if [libc::EBUSY, libc::ENOENT, libc::ENXIO].map(Some).contains(&error.raw_os_error()) => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no loop device is free"))
}

fn mount_device((path, _open): &(String, OwnedFd), at: &Path) -> io::Result<()> {
    let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOATIME;
    Ok(rustix::mount::mount(path.as_str(), at, "ext4", flags, c"errors=remount-ro")?)
}

fn make_dirs(at: &Path, uid: u32, overlay: bool) -> io::Result<()> {
    fs::set_permissions(at, Permissions::from_mode(0o711))?;
    let names: &[&str] = if overlay { &["code", "home", "upper", "work"] } else { &["code", "home"] };
    for name in names {
        let dir = at.join(name);
        match DirBuilder::new().mode(0o755).create(&dir) {
            // What was there is the sandbox's, and is left as it made it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o755))?;
        chown(&dir, Some(uid), Some(uid))?;
    }
    Ok(())
}
