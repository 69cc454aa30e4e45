//! Where things lie on the host, and what the sandbox's root is built from.

use super::{config, record::LocalRecord};
use crate::{Error, LocalConfig, Mount, SandboxSpec};
use shim::{
    proto::{EGRESS_INSIDE, SHIM_INSIDE},
    spec::MountOp,
};
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Component, Path, PathBuf},
};

const HOME: &str = "/home/agent";
const ALTERNATES: usize = 16;

/// Git trusts every directory here (each belongs to the same uid or is read-only), judges files by size and time of
/// change alone (inode data differ between checkout and overlay), and runs no hook.
const GITCONFIG: &str = "[safe]\n\tdirectory = *\n[core]\n\tcheckStat = minimal\n\ttrustctime = false\n\
    \thooksPath = /dev/null\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[init]\n\tdefaultBranch = main\n";

/// `DATA/sandboxes`.
pub(super) fn sandboxes(data: &Path) -> PathBuf {
    data.join("sandboxes")
}

/// Makes a directory that others may pass through but not list.
pub(super) fn make_passage(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// The first directory on the way to `path` that `uid`, being nobody's relation, cannot enter.
pub(super) fn closed_for(path: &Path, uid: u32) -> Option<PathBuf> {
    let mut way: Vec<_> = path.ancestors().collect();
    way.reverse();
    way.into_iter()
        .find(|dir| {
            fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() != uid && found.mode() & 0o001 == 0)
        })
        .map(Into::into)
}

/// Fails unless `uid` can get to `path`. Only a server that is root has another uid for its sandboxes.
pub(super) fn check_reachable(path: &Path, uid: u32, root: bool) -> Result<(), Error> {
    match closed_for(path, uid) {
        Some(dir) if root => Err(Error::NotTraversable { dir, uid }),
        _ => Ok(()),
    }
}

/// Makes a sandbox's directories, or mends them when it is started again.
pub(super) fn make_dirs(record: &LocalRecord, overlay: bool, root: bool) -> io::Result<()> {
    let dir = &record.dir;
    let own = |path: &Path, mode: u32| {
        match fs::DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        if root { chown(path, Some(record.uid), Some(record.uid)) } else { Ok(()) }
    };
    own(dir, 0o700)?;
    // Statuses and output belong to one life of the shim.
    super::remove::remove_tree(&dir.join("ctl"))?;
    for name in ["ctl", "ctl/spool"] {
        own(&dir.join(name), 0o700)?;
    }
    if record.disk {
        // The rest is on the disk, which the launcher mounts here.
        own(&dir.join("disk"), 0o711)?;
    } else {
        let names: &[&str] = if overlay { &["code", "home", "upper", "work"] } else { &["code", "home"] };
        for name in names {
            own(&dir.join(name), 0o755)?;
        }
    }
    make_passage(&dir.join("egress"), 0o755)?;
    make_passage(&dir.join("etc"), 0o755)?;
    let uid = record.uid;
    let files = [
        ("passwd", format!("root:x:0:0:root:/:/bin/false\nagent:x:{uid}:{uid}:agent:{HOME}:/bin/bash\n")),
        ("group", format!("root:x:0:\nagent:x:{uid}:\n")),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
        ("gitconfig", GITCONFIG.to_owned()),
    ];
    for (name, text) in files {
        let path = dir.join("etc").join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Whether there are files of an earlier life of this sandbox.
pub(super) fn has_files(record: &LocalRecord) -> bool {
    record.dir.join(if record.disk { super::disk::IMAGE } else { "code" }).exists()
}

/// The environment that every exec starts from.
pub(super) fn environment(extra: &[(String, String)]) -> Vec<(String, String)> {
    let own = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", HOME),
        ("USER", "agent"),
        ("LOGNAME", "agent"),
        ("SHELL", "/bin/bash"),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
        // A git that was built for another prefix looks elsewhere (git(1)).
        ("GIT_CONFIG_SYSTEM", "/etc/gitconfig"),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    merge(own, extra)
}

/// `base` with `over` on top.
pub(super) fn merge(mut base: Vec<(String, String)>, over: &[(String, String)]) -> Vec<(String, String)> {
    base.retain(|(name, _)| over.iter().all(|(other, _)| other != name));
    base.extend(over.iter().cloned());
    base
}

/// The steps that build the root. Destinations lie on the fresh root or on a mount made here, never below a directory
/// that a sandbox could have written before (CVE-2026-87766 of bubblewrap < 0.12).
pub(super) fn mounts(
    config: &LocalConfig,
    spec: &SandboxSpec,
    record: &LocalRecord,
    shim: &Path,
    root: bool,
) -> Result<Vec<MountOp>, Error> {
    let read = |from: &Path, to: &str| MountOp::Read { from: from.into(), to: to.into(), optional: false };
    let mut mounts = vec![read(Path::new("/usr"), "/usr")];
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let path = Path::new("/").join(name);
        if let Ok(text) = fs::read_link(&path) {
            mounts.push(MountOp::Link { text, at: path });
        } else if path.is_dir() {
            mounts.push(MountOp::Read { from: path.clone(), to: path, optional: false });
        }
    }
    for name in ["/etc/ssl", "/etc/alternatives", "/etc/ld.so.cache"] {
        mounts.push(MountOp::Read { from: name.into(), to: name.into(), optional: true });
    }
    for name in ["passwd", "group", "nsswitch.conf", "hosts", "gitconfig"] {
        mounts.push(read(&record.dir.join("etc").join(name), &format!("/etc/{name}")));
    }
    mounts.extend([MountOp::Proc, MountOp::Dev { shm: part_of_memory(config, config.shm_size, 8) }]);
    mounts.push(MountOp::Memory { at: "/tmp".into(), size: part_of_memory(config, config.tmp_size, 2) });
    mounts.push(read(shim, SHIM_INSIDE));
    mounts.push(read(&record.egress_dir, EGRESS_INSIDE));
    let files = shim::spec::files(&record.dir, record.disk);
    mounts.push(MountOp::Write { from: files.join("code"), to: "/code".into() });
    mounts.push(MountOp::Write { from: files.join("home"), to: HOME.into() });
    if let Some(mirror) = &spec.mirror {
        check_reachable(mirror, record.uid, root)?;
        mounts.push(read(mirror, "/mirror"));
        for (from, to) in alternates(mirror)? {
            check_reachable(&from, record.uid, root)?;
            mounts.push(MountOp::Read { from, to, optional: false });
        }
    }
    let toolchains: Vec<_> =
        config.read_only_paths.iter().map(|path| Mount { host: path.clone(), inside: path.clone() }).collect();
    for mount in toolchains.iter().chain(&config.tools).chain(&spec.mounts) {
        let from = config::check_mount(mount, root)?;
        let to = mount.inside.clone();
        mounts.push(match closed_for(&from, record.uid) {
            Some(_) if root => MountOp::Show { from, to },
            _ => MountOp::Read { from, to, optional: false },
        });
    }
    Ok(mounts)
}

/// A size of memory that files take, cut to a part of the sandbox's memory: files stay when programs are killed, and when
/// they took all of it no program could start any more, not even one that removes them.
fn part_of_memory(config: &LocalConfig, size: u64, part: u64) -> u64 {
    config.limits.memory.map_or(size, |limit| size.min(limit.value / part))
}

/// The object directories that a repository borrows from, and theirs: (on the host, where they are looked for inside).
/// See gitrepository-layout(5), `objects/info/alternates`.
fn alternates(mirror: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let mut found = Vec::new();
    let mut open = vec![(mirror.join("objects"), PathBuf::from("/mirror/objects"))];
    while let Some((host, inside)) = open.pop() {
        let list = fs::read_to_string(host.join("info/alternates")).unwrap_or_default();
        for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let next = (normal(&host.join(line)), normal(&inside.join(line)));
            let writable = ["/code", HOME].iter().any(|dir| next.1.starts_with(dir));
            if writable || next.1.components().count() < 2 || found.len() == ALTERNATES {
                return Err(Error::Invalid(format!(
                    "the alternate `{line}` of {} cannot be mounted",
                    mirror.display()
                )));
            }
            if !found.contains(&next) {
                found.push(next.clone());
                open.push(next);
            }
        }
    }
    Ok(found)
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternates_are_followed_to_where_git_looks_for_them_inside() {
        let home = tempfile::tempdir().unwrap();
        let write = |repo: &str, text: &str| {
            fs::create_dir_all(home.path().join(repo).join("objects/info")).unwrap();
            fs::write(home.path().join(repo).join("objects/info/alternates"), text).unwrap();
        };
        write("mirror.git", "../../base.git/objects\n");
        write("base.git", "/srv/far/objects\n");
        let found = alternates(&home.path().join("mirror.git")).unwrap();
        assert_eq!(
            found,
            [
                (home.path().join("base.git/objects"), "/base.git/objects".into()),
                ("/srv/far/objects".into(), "/srv/far/objects".into())
            ]
        );
        write("mirror.git", "/code/objects\n");
        assert!(alternates(&home.path().join("mirror.git")).is_err(), "a mount below the workspace");
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(home.path().join("a"), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(closed_for(&deep, 299_999), Some(home.path().join("a")));
    }
}
