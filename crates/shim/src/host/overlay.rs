//! The workspace as an overlay over a checkout that is shared between sandboxes.

use crate::sys::{self, Fork};
use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags},
    pipe::PipeFlags,
};
use shim::spec::LaunchSpec;
use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::Path,
};

/// Gives this process, which is root, a mount namespace that takes its mounts with it when it ends.
pub fn own_mounts() -> Result<(), String> {
    sys::unshare(libc::CLONE_NEWNS).map_err(|e| failed(&e))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(|e| failed(&e.into()))
}

fn failed(error: &io::Error) -> String {
    format!("failed to make a mount namespace: {error}")
}

/// Mounts `code` of the sandbox's files over `base` in a mount namespace of this process, which takes the mount with it when it ends; one
/// that is root is in such a one already ([`own_mounts`]). False where this machine cannot do it: then `dir/code` stays
/// an ordinary directory.
pub fn mount(spec: &LaunchSpec, base: &Path) -> Result<bool, String> {
    let Some(uid) = spec.drop_to else {
        let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).is_err() {
            return Ok(false);
        }
        map_self(ids.0, ids.1).map_err(|e| failed(&e))?;
        return Ok(overlay(&spec.dir, base, "userxattr").is_ok());
    };
    let lower = spec.dir.join("ctl/base");
    let done = fs::create_dir_all(&lower)
        .and_then(|()| show_as(base, &lower, uid))
        .and_then(|()| overlay(&spec.files(), &lower, ""));
    Ok(done.is_ok())
}

/// Maps one uid and gid to themselves in this process's new user namespace.
pub fn map_self(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn overlay(files: &Path, lower: &Path, extra: &str) -> io::Result<()> {
    let mut options = Vec::new();
    for (key, path) in [("lowerdir=", lower), (",upperdir=", &files.join("upper")), (",workdir=", &files.join("work"))]
    {
        // The kernel takes these apart at commas and colons.
        if path.as_os_str().as_bytes().iter().any(|byte| b",:\\".contains(byte)) {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename));
        }
        options.extend_from_slice(key.as_bytes());
        options.extend_from_slice(path.as_os_str().as_bytes());
    }
    if !extra.is_empty() {
        options.extend_from_slice(format!(",{extra}").as_bytes());
    }
    let options = CString::new(options)?;
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    Ok(rustix::mount::mount("overlay", files.join("code"), "overlay", flags, options.as_c_str())?)
}

/// Mounts `base` at `at`, read-only, with what its owner owns shown as `uid`'s: a sandbox can only change (a copy of)
/// what is its own.
fn show_as(base: &Path, at: &Path, uid: u32) -> io::Result<()> {
    let owner = fs::metadata(base)?;
    let owners = user_namespace(&format!("{} {uid} 1", owner.uid()), &format!("{} {uid} 1", owner.gid()))?;
    let tree = rustix::mount::open_tree(CWD, base, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    sys::map_owners(&tree, &owners)?;
    rustix::mount::move_mount(&tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// A user namespace with these maps, held by its descriptor alone.
fn user_namespace(uids: &str, gids: &str) -> io::Result<OwnedFd> {
    let (made_read, made_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (end_read, end_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let pid = match sys::fork()? {
        Fork::Child => {
            drop((made_read, end_write));
            if sys::unshare(libc::CLONE_NEWUSER).is_ok() {
                let _ = rustix::io::write(&made_write, b"1");
                let _ = rustix::io::read(&end_read, &mut [0; 1]);
            }
            sys::exit_now(0);
        }
        Fork::Parent(pid) => pid,
    };
    drop((made_write, end_read));
    let made = (|| {
        if rustix::io::read(&made_read, &mut [0; 1])? != 1 {
            return Err(io::Error::other("no user namespace can be made"));
        }
        fs::write(format!("/proc/{pid}/uid_map"), uids)?;
        fs::write(format!("/proc/{pid}/gid_map"), gids)?;
        Ok(rustix::fs::open(format!("/proc/{pid}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    })();
    drop(end_write);
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    made
}
