//! Removing what a sandbox left on disk.

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags},
    io::Errno,
};
use std::{ffi::CStr, io, os::fd::OwnedFd, path::Path};

/// Removes a directory with everything in it. Follows no link, and needs neither stack nor descriptors for the depth:
/// directories are moved up to the top before they are looked into, however deep they were nested.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match open_dir(CWD, path) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut moved = 0_u64;
    loop {
        let mut dirs = Vec::new();
        for entry in Dir::read_from(&top)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." && !unlink(&top, name)? {
                dirs.push(name.to_owned());
            }
        }
        if dirs.is_empty() {
            break;
        }
        for name in dirs {
            let dir = open_dir(&top, name.as_c_str())?;
            for entry in Dir::read_from(&dir)? {
                let entry = entry?;
                let inner = entry.file_name();
                if inner == c"." || inner == c".." || unlink(&dir, inner)? {
                    continue;
                }
                // A directory can be moved only by who may write it, since its `..` changes.
                make_open(&dir, inner)?;
                loop {
                    moved += 1;
                    match rustix::fs::renameat_with(
                        &dir,
                        inner,
                        &top,
                        format!("moved-{moved}"),
                        rustix::fs::RenameFlags::NOREPLACE,
                    ) {
                        Err(Errno::EXIST) => {}
                        other => break other?,
                    }
                }
            }
            rustix::fs::unlinkat(&top, name.as_c_str(), AtFlags::REMOVEDIR)?;
        }
    }
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

/// Removes a file or link; false when it is a directory.
fn unlink(dir: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Ok(false);
    }
    rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
    Ok(true)
}

fn open_dir<Fd: std::os::fd::AsFd, P: rustix::path::Arg + Copy>(at: Fd, name: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(at.as_fd(), name, flags, Mode::empty());
    let dir = match open() {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(at.as_fd(), name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        other => other?,
    };
    match rustix::fs::fchmod(&dir, Mode::RWXU) {
        Ok(()) | Err(Errno::PERM) => Ok(dir),
        Err(error) => Err(error),
    }
}

fn make_open(dir: &OwnedFd, name: &CStr) -> io::Result<()> {
    open_dir(dir, name).map(drop).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_hostile_tree_goes_and_what_its_links_name_stays() {
        let home = tempfile::tempdir().unwrap();
        let kept = home.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let tree = home.path().join("tree");
        fs::create_dir_all(tree.join("a/closed/inner")).unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        fs::write(tree.join("moved-1"), "in the way").unwrap();
        fs::create_dir(tree.join("moved-2")).unwrap();
        fs::set_permissions(tree.join("a/closed"), PermissionsExt::from_mode(0o000)).unwrap();
        // Seven times as deep as the longest path (PATH_MAX) reaches.
        let mut deep = open_dir(CWD, tree.as_path()).unwrap();
        let name = "d".repeat(100);
        for _ in 0..300 {
            rustix::fs::mkdirat(&deep, name.as_str(), Mode::RWXU).unwrap();
            deep = open_dir(&deep, name.as_str()).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists(), "a link was followed");
        remove_tree(&tree).unwrap();
    }
}
