//! Control groups: limits for a sandbox as a whole, and a second way to kill it.
//!
//! Both versions are used, also side by side: limits where the controllers are, and the unified hierarchy for its
//! `cgroup.kill` even when it has no controllers (cgroups(7), Documentation/admin-guide/cgroup-v2.rst).

use super::config::Limits;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Our directory within a hierarchy.
const OURS: &str = "runyard";
/// Processes that the shim itself may need beyond what its execs are given.
const RESERVE: u64 = 64;
const PERIOD_US: u64 = 100_000;
/// What to do where limits do not hold.
pub(super) const MEND: &str = "run the server as root, or where groups are delegated to you: \
    `systemd-run --user --scope -p Delegate=yes runyard serve`";

/// Where groups can be made on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    v1: BTreeMap<String, PathBuf>,
    v2: Vec<PathBuf>,
}

/// The groups of one sandbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// To be joined.
    pub dirs: Vec<PathBuf>,
    /// Which limits hold for the sandbox as a whole.
    pub memory: bool,
    /// See `memory`.
    pub pids: bool,
    /// See `memory`.
    pub cpu: bool,
}

impl Hierarchies {
    /// Looks at what this process is in.
    pub(super) fn detect(root: bool) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::parse(&mounts, &own, root)
    }

    fn parse(mounts: &str, own: &str, root: bool) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let Some((mount, fs_part)) = line.split_once(" - ") else { continue };
            let mut mount = mount.split(' ').skip(3);
            let (Some(fs_root), Some(point)) = (mount.next(), mount.next()) else { continue };
            let mut fs_part = fs_part.split(' ');
            let (kind, options) = (fs_part.next(), fs_part.nth(1).unwrap_or_default());
            let place = |path: &str| {
                let below = Path::new(path).strip_prefix(fs_root).unwrap_or(Path::new(""));
                Path::new(point).join(below)
            };
            let mine = own.lines().filter_map(|line| {
                let mut fields = line.splitn(3, ':');
                Some((fields.nth(1)?, fields.next()?))
            });
            match kind {
                Some("cgroup2") => {
                    // A service's own group is emptied when it is restarted, which sandboxes are to survive: root
                    // leaves it.
                    if root {
                        found.v2.push(point.into());
                    }
                    found.v2.extend(mine.filter(|(names, _)| names.is_empty()).map(|(_, path)| place(path)));
                }
                Some("cgroup") => {
                    for (names, path) in mine {
                        for name in names.split(',').filter(|name| ["memory", "pids", "cpu"].contains(name)) {
                            if options.split(',').any(|option| option == name) {
                                found.v1.insert(name.to_owned(), place(path));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// What there is, in words.
    pub(super) fn describe(&self) -> String {
        let v1: Vec<_> = self.v1.keys().map(String::as_str).collect();
        match (v1.is_empty(), self.v2.is_empty()) {
            (true, true) => "none".to_owned(),
            (true, false) => "v2".to_owned(),
            (false, true) => format!("v1 ({})", v1.join(", ")),
            (false, false) => format!("v1 ({}) beside v2", v1.join(", ")),
        }
    }

    /// Makes a sandbox's groups, as many as this machine allows.
    pub(super) fn make(&self, id: &str, limits: &Limits) -> Groups {
        let mut groups = Groups::default();
        let memory = limits.memory.map(|limit| limit.value.to_string());
        let pids = limits.pids.map(|limit| limit.value.saturating_add(RESERVE).to_string());
        let quota = limits.cpu.map(|limit| limit.value.saturating_mul(PERIOD_US / 1000).max(1000));
        let quota_v1 = quota.map(|quota| quota.to_string());
        let quota_v2 = quota.map(|quota| format!("{quota} {PERIOD_US}"));
        for base in &self.v2 {
            delegate(base);
            let Some(dir) = make_dir(base, id) else { continue };
            groups.memory |= set(&dir, "memory.max", memory.as_ref());
            if groups.memory {
                // Without swap of its own; a kernel without swap has no such file.
                let _ = fs::write(dir.join("memory.swap.max"), "0");
            }
            groups.pids |= set(&dir, "pids.max", pids.as_ref());
            groups.cpu |= set(&dir, "cpu.max", quota_v2.as_ref());
            groups.dirs.push(dir);
            break;
        }
        for (controller, base) in &self.v1 {
            let Some(dir) = make_dir(base, id) else { continue };
            match controller.as_str() {
                "memory" => {
                    groups.memory |= set(&dir, "memory.limit_in_bytes", memory.as_ref());
                    let _ = memory.as_ref().map(|memory| fs::write(dir.join("memory.memsw.limit_in_bytes"), memory));
                }
                "pids" => groups.pids |= set(&dir, "pids.max", pids.as_ref()),
                _ => {
                    let _ = fs::write(dir.join("cpu.cfs_period_us"), PERIOD_US.to_string());
                    groups.cpu |= set(&dir, "cpu.cfs_quota_us", quota_v1.as_ref());
                }
            }
            groups.dirs.push(dir);
        }
        groups
    }

    /// The groups of a sandbox that exist here, whether or not they were recorded.
    pub(super) fn of(&self, id: &str) -> Vec<PathBuf> {
        let bases = self.v2.iter().chain(self.v1.values());
        bases.map(|base| base.join(OURS).join(id)).filter(|dir| dir.is_dir()).collect()
    }
}

/// Kills what is in the groups and removes them; true when all are gone.
pub(super) fn remove(dirs: &[PathBuf], patience: Duration) -> bool {
    let start = Instant::now();
    for dir in dirs {
        let _ = fs::write(dir.join("cgroup.kill"), "1");
    }
    let mut left: Vec<_> = dirs.iter().collect();
    loop {
        left.retain(|dir| match fs::remove_dir(dir) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
        if left.is_empty() || start.elapsed() > patience {
            // The common directory goes with the last sandbox.
            for parent in dirs.iter().filter_map(|dir| dir.parent()) {
                let _ = fs::remove_dir(parent);
            }
            return left.is_empty();
        }
        for dir in &left {
            kill_members(dir);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// How many processes of the groups were killed for lack of memory.
pub(super) fn oom_kills(dirs: &[PathBuf]) -> Option<u64> {
    dirs.iter().find_map(|dir| {
        let text =
            ["memory.events", "memory.oom_control"].iter().find_map(|file| fs::read_to_string(dir.join(file)).ok())?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    })
}

/// What the groups of a sandbox have counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Processes that were killed for lack of memory.
    oom_kills: u64,
    /// Most processes at once.
    most: u64,
}

/// What was counted so far; all 0 where there are no groups.
pub(super) fn counts(dirs: &[PathBuf]) -> Counts {
    let most = dirs.iter().find_map(|dir| fs::read_to_string(dir.join("pids.peak")).ok()?.trim().parse().ok());
    Counts { oom_kills: oom_kills(dirs).unwrap_or(0), most: most.unwrap_or(0) }
}

impl Counts {
    /// Whether memory ran out since `before`.
    pub(super) fn ran_out_of_memory(self, before: Self) -> bool {
        self.oom_kills > before.oom_kills
    }

    /// Whether `limit` processes were reached since `before`, for the first time in the sandbox's life: nobody counts
    /// how often.
    pub(super) fn ran_out_of_processes(self, before: Self, limit: u64) -> bool {
        (before.most < limit) && self.most >= limit
    }
}

fn kill_members(dir: &Path) {
    let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in members.lines().filter_map(|line| line.parse().ok()).filter_map(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn make_dir(base: &Path, id: &str) -> Option<PathBuf> {
    let dir = base.join(OURS).join(id);
    // Another sandbox may remove the common directory in between.
    let made = (0..10).any(|_| fs::create_dir_all(&dir).is_ok());
    if made {
        delegate(&base.join(OURS));
    }
    made.then_some(dir)
}

/// Passes the controllers of a v2 group on to its children, one by one since not all of them may exist.
fn delegate(group: &Path) {
    for controller in ["+memory", "+pids", "+cpu"] {
        let _ = fs::write(group.join("cgroup.subtree_control"), controller);
    }
}

/// Sets a limit and reads it back; a limit that is not wanted does not count as held.
fn set(dir: &Path, file: &str, value: Option<&String>) -> bool {
    let Some(value) = value else { return false };
    let path = dir.join(file);
    // Kernels round memory down to pages, so it is compared only that something was taken in.
    path.exists()
        && fs::write(&path, value).is_ok()
        && fs::read_to_string(&path).is_ok_and(|now| !now.starts_with("max"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn groups_are_made_below_our_own_place_in_each_hierarchy() {
        let own = "4:memory:/docker/abc/inner\n3:cpu,cpuacct:/\n0::/user.slice/x\n";
        let found = Hierarchies::parse(V1, own, false);
        assert_eq!(found.v1["memory"], Path::new("/sys/fs/cgroup/memory/inner"));
        assert_eq!(found.v1["cpu"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(found.v2, [Path::new("/sys/fs/cgroup/unified/user.slice/x")]);
        assert_eq!(found.describe(), "v1 (cpu, memory) beside v2");
    }

    #[test]
    fn root_leaves_its_services_group_so_that_sandboxes_outlive_a_restart() {
        let found = Hierarchies::parse(V1, "0::/system.slice/runyard.service\n", true);
        assert_eq!(found.v2.first().map(PathBuf::as_path), Some(Path::new("/sys/fs/cgroup/unified")));
    }
}
