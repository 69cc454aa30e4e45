//! What lies where the sandbox's uid cannot go, bound where it can.

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    mount::{MoveMountFlags, OpenTreeFlags},
};
use shim::spec::{LaunchSpec, MountOp};
use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where the `number`th step of building the root finds what it shows. Only in the launcher's mount namespace is there
/// anything.
pub fn place(spec: &LaunchSpec, number: usize) -> PathBuf {
    spec.dir.join("ctl/shown").join(number.to_string())
}

/// Binds the source of every [`MountOp::Show`] at its place. This process must be in a mount namespace of its own.
pub fn bind(spec: &LaunchSpec) -> Result<(), String> {
    for (number, mount) in spec.mounts.iter().enumerate() {
        let MountOp::Show { from, .. } = mount else { continue };
        show(from, &place(spec, number))
            .map_err(|e| format!("failed to show {} to the sandbox: {e}", from.display()))?;
    }
    Ok(())
}

/// No link is followed: root opens this, and whoever owns a directory on the way may have put one there meanwhile.
fn show(from: &Path, at: &Path) -> io::Result<()> {
    let parent = at.parent().unwrap_or(at);
    fs::create_dir_all(parent)?;
    fs::set_permissions(parent, Permissions::from_mode(0o711))?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let source = rustix::fs::openat2(CWD, from, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    if rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&source)?.st_mode).is_dir() {
        fs::create_dir(at)?;
    } else {
        File::create_new(at)?;
    }
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(&source, "", clone)?;
    Ok(rustix::mount::move_mount(&tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}
