//! What an attack could have changed on this machine, before and after.

use crate::World;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Where a program that got out would leave a mark.
const PLACES: &[&str] =
    &["/", "/etc", "/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/home", "/usr/bin", "/usr/local/bin", "/opt"];

/// Settings of the kernel by which programs got out of sandboxes before.
const KNOBS: &[&str] = &[
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/hostname",
    "/proc/sys/fs/suid_dumpable",
    "/etc/passwd",
    "/etc/ld.so.preload",
];

/// What can be seen of a world from outside its data directory, and of the machine as far as its marker goes: other
/// programs of this machine come and go meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub struct Host(BTreeMap<String, String>);

impl Host {
    /// As it is now. Whatever gets out has `marker` in its name.
    pub fn of(world: &World, marker: &str) -> Self {
        let mut facts = BTreeMap::new();
        files(world.path(), &world.data(), &mut facts);
        for place in PLACES {
            for name in fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.file_name()) {
                let name = name.to_string_lossy();
                if name.contains(marker) {
                    facts.insert(format!("{place}/{name}"), "is there".to_owned());
                }
            }
        }
        for knob in KNOBS {
            facts.insert((*knob).to_owned(), fs::read_to_string(knob).unwrap_or_default());
        }
        let ours = |line: &str| line.contains(marker) || line.contains(&*world.path().to_string_lossy());
        for list in ["/proc/self/mountinfo", "/proc/net/unix", "/proc/mdstat"] {
            let lines = fs::read_to_string(list).unwrap_or_default();
            // A server that listens for commands does so in its data directory.
            for line in lines.lines().filter(|line| ours(line) && !line.contains("/data/")) {
                facts.insert(format!("{list}: {line}"), String::new());
            }
        }
        for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
            // A sandbox has a disk of its own, which lies in the data directory.
            if ours(&file) && !file.contains("/data/") {
                facts.insert(format!("{}: {file}", device.path().display()), String::new());
            }
        }
        Self(facts)
    }

    /// What differs, in words; nothing when nothing does.
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (what, was) in &self.0 {
            match later.0.get(what) {
                Some(is) if is == was => {}
                Some(is) => found.push(format!("{what} was {was:?} and is {is:?}")),
                None => found.push(format!("{what} is gone")),
            }
        }
        found.extend(later.0.keys().filter(|what| !self.0.contains_key(*what)).map(|what| format!("{what} is new")));
        found
    }
}

/// Everything below `dir` except for the data directory, and for what a push may add to a repository.
fn files(dir: &Path, data: &Path, facts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let text = path.to_string_lossy().into_owned();
        let pushed = [".git/objects", ".git/refs/heads/runyard", ".git/logs/refs/heads/runyard"]
            .iter()
            .any(|end| text.ends_with(end));
        let Ok(found) = path.symlink_metadata() else { continue };
        if path == data || pushed {
            continue;
        }
        let (mode, links) = (found.mode(), fs::read_link(&path).unwrap_or_default());
        if found.is_dir() {
            facts.insert(text, format!("{mode:o} {}", found.uid()));
            files(&path, data, facts);
        } else {
            let changed = (found.ctime(), found.ctime_nsec());
            facts.insert(text, format!("{mode:o} {} {} {changed:?} {}", found.uid(), found.size(), links.display()));
        }
    }
}

/// Control groups of this machine whose name is one of these.
pub fn control_groups(names: &[String]) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![Path::new("/sys/fs/cgroup").to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if names.iter().any(|name| entry.file_name().to_string_lossy() == **name) {
                found.push(entry.path().display().to_string());
            }
            open.push(entry.path());
        }
    }
    found
}

/// Command lines of all processes of this machine that have `text` in theirs or in their environment, but for this one.
pub fn processes_with(text: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = all.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.bytes().all(|byte| byte.is_ascii_digit()) && *name != *own
    });
    let lossy =
        |path: std::path::PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).replace('\0', " ");
    numbers
        .map(|entry| (lossy(entry.path().join("cmdline")), lossy(entry.path().join("environ"))))
        .filter(|(line, environment)| line.contains(text) || environment.contains(text))
        .map(|(line, _)| line)
        .collect()
}
