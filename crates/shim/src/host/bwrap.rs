//! Bubblewrap's command line.

use shim::{
    proto::SHIM_INSIDE,
    spec::{LaunchSpec, MountOp},
};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// The arguments that start process 1 of a sandbox. The same for a launcher that was root and one that was not.
///
/// Not given, on purpose: `--die-with-parent`, since a sandbox outlives its server until its lease runs out;
/// `--seccomp` and `--disable-userns`, since the shim makes a PID namespace for each exec and filters it itself.
pub fn arguments(spec: &LaunchSpec) -> Vec<OsString> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let mut args = Args::default();
    args.add(&["--unshare-all", "--unshare-user", "--uid", &uid, "--gid", &uid_to_gid(), "--hostname", "sandbox"]);
    args.add(&["--cap-drop", "ALL", "--new-session", "--as-pid-1", "--clearenv"]);
    args.add(&["--info-fd", &super::inherited::INFO.to_string()]);
    for (number, mount) in spec.mounts.iter().enumerate() {
        match mount {
            MountOp::Show { to, .. } => args.read("--ro-bind", &super::shown::place(spec, number), to),
            mount => args.mount(mount),
        }
    }
    // The root itself is memory without a limit until it is read-only; nothing can be mounted afterwards.
    args.add(&["--remount-ro", "/", "--chdir", "/", "--", SHIM_INSIDE, "init"]);
    args.0
}

fn uid_to_gid() -> String {
    rustix::process::getegid().as_raw().to_string()
}

#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn add<S: AsRef<OsStr>>(&mut self, args: &[S]) {
        self.0.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
    }

    fn read(&mut self, how: &str, from: &Path, to: &Path) {
        self.add(&[OsStr::new(how), from.as_os_str(), to.as_os_str()]);
    }

    fn mount(&mut self, mount: &MountOp) {
        match mount {
            MountOp::Read { from, to, optional } => {
                self.read(if *optional { "--ro-bind-try" } else { "--ro-bind" }, from, to);
            }
            MountOp::Show { from, to } => self.read("--ro-bind", from, to),
            MountOp::Write { from, to } => self.add(&[OsStr::new("--bind"), from.as_os_str(), to.as_os_str()]),
            MountOp::Link { text, at } => self.add(&[OsStr::new("--symlink"), text.as_os_str(), at.as_os_str()]),
            MountOp::Memory { at, size } => {
                let size = size.to_string();
                self.add(&[OsStr::new("--size"), size.as_ref(), OsStr::new("--tmpfs"), at.as_os_str()]);
            }
            MountOp::Proc => self.add(&["--proc", "/proc"]),
            MountOp::Dev { shm } => {
                self.add(&["--dev", "/dev", "--size", &shm.to_string(), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim::spec::{DiskSpec, InitSpec};

    #[test]
    fn every_memory_mount_is_sized_and_the_root_is_sealed_last() {
        let mounts = vec![
            MountOp::Proc,
            MountOp::Dev { shm: 5 },
            MountOp::Memory { at: "/tmp".into(), size: 7 },
            MountOp::Write { from: "/x/code".into(), to: "/code".into() },
        ];
        let init = InitSpec { sandbox: "a".into(), epoch: 1, ttl_ms: 1, forwards: vec![], disk: DiskSpec::default() };
        let (dir, bwrap) = ("/x".into(), "/usr/bin/bwrap".into());
        let spec = LaunchSpec { dir, drop_to: None, cgroups: vec![], base: None, disk: false, bwrap, mounts, init };
        let args: Vec<String> = arguments(&spec).into_iter().map(|arg| arg.into_string().unwrap()).collect();
        for (at, arg) in args.iter().enumerate() {
            if arg == "--tmpfs" {
                assert_eq!(args[at - 2], "--size", "an unlimited memory mount in {args:?}");
            }
        }
        let sealed = args.windows(2).rposition(|pair| pair == ["--remount-ro", "/"]).unwrap();
        assert!(!args[sealed + 2..].iter().any(|arg| arg.contains("bind") || arg.contains("tmpfs")), "{args:?}");
        assert!(args[sealed + 2..].ends_with(&["--".into(), SHIM_INSIDE.into(), "init".into()]));
        assert!(!args.iter().any(|arg| arg == "--die-with-parent"), "the sandbox must outlive its server");
        for needed in ["--unshare-all", "--unshare-user", "--new-session", "--clearenv", "--as-pid-1"] {
            assert!(args.iter().any(|arg| arg == needed), "{needed} is missing");
        }
    }
}
