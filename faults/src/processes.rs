//! Who lives in the sandboxes of a case, looked at from the host ten times a second.

use crate::history::{History, What};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const PERIOD: Duration = Duration::from_millis(100);

/// Finds the processes of sandboxes by their PID namespaces: what a namespace has mounted is looked at once.
#[derive(Debug, Default)]
pub struct Watch {
    /// The data directories, by their number.
    places: Vec<PathBuf>,
    /// Which place and which sandbox a process with its namespace belongs to: both numbers are used again, so what was
    /// not there at the last look is forgotten.
    known: HashMap<(i32, u64), (usize, String)>,
    own: u64,
}

/// A process in a sandbox.
#[derive(Debug, Clone)]
pub struct Inhabitant {
    /// Its number on the host.
    pub pid: i32,
    /// The data directory of its sandbox.
    pub place: usize,
    /// Its sandbox.
    pub sandbox: String,
    /// Its command line.
    pub command: String,
}

impl Inhabitant {
    /// The sandbox's first process.
    pub fn is_shim(&self) -> bool {
        self.command.contains("shim init") || self.command.contains("shim") && self.command.contains("init")
    }
}

impl Watch {
    /// For the sandboxes below these data directories.
    pub fn of(places: Vec<PathBuf>) -> Self {
        Self { places, known: HashMap::new(), own: namespace(Path::new("/proc/self")).unwrap_or(0) }
    }

    /// Everybody now. Zombies are nobody.
    pub fn look(&mut self) -> Vec<Inhabitant> {
        let mut found = Vec::new();
        let mut before = std::mem::take(&mut self.known);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let process = entry.path();
            let Some(namespace) = namespace(&process).filter(|found| *found != self.own) else { continue };
            let key = (pid, namespace);
            // One that is being built has not mounted anything of ours yet, so only what was found is remembered.
            let Some(home) = before.remove(&key).or_else(|| home_of(&self.places, &process)) else { continue };
            let (place, sandbox) = home.clone();
            self.known.insert(key, home);
            let Ok(command) = fs::read(process.join("cmdline")) else { continue };
            if command.is_empty() {
                continue;
            }
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(Inhabitant { pid, place, sandbox, command });
        }
        found
    }
}

/// Which place's sandbox a process is in, by where its mounts come from: that cannot be changed from inside.
fn home_of(places: &[PathBuf], process: &Path) -> Option<(usize, String)> {
    let mounts = fs::read_to_string(process.join("mountinfo")).ok()?;
    places.iter().enumerate().find_map(|(number, place)| {
        // The root of a mount is named from the root of its file system, which may be mounted somewhere below `/`.
        let parts: Vec<_> = place.iter().rev().take(2).collect();
        let tail: PathBuf = parts.into_iter().rev().collect();
        let tail = format!("{}/sandboxes/", tail.to_string_lossy());
        let sandbox = mounts.lines().find_map(|line| {
            let (_, rest) = line.split(' ').nth(3)?.split_once(&tail)?;
            Some(rest.split('/').next()?.to_owned())
        })?;
        Some((number, sandbox))
    })
}

fn namespace(process: &Path) -> Option<u64> {
    let link = fs::read_link(process.join("ns/pid")).ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// Notes each change until it is dropped.
pub async fn sample(mut watch: Watch, history: History) {
    let mut before = BTreeMap::new();
    loop {
        let (looked, now) = tokio::task::spawn_blocking(move || {
            let found = watch.look();
            (watch, found)
        })
        .await
        .unwrap_or_default();
        watch = looked;
        let mut counts: BTreeMap<(String, usize), (usize, usize)> = BTreeMap::new();
        for inhabitant in &now {
            let count = counts.entry((inhabitant.sandbox.clone(), inhabitant.place)).or_default();
            count.0 += 1;
            count.1 += usize::from(!inhabitant.is_shim());
        }
        for (key, count) in &counts {
            if before.get(key) != Some(count) {
                let ((sandbox, place), (all, more)) = (key.clone(), *count);
                history.note(What::Sandbox { sandbox, place, all, more });
            }
        }
        for (sandbox, place) in before.keys().filter(|key| !counts.contains_key(*key)).cloned() {
            history.note(What::Sandbox { sandbox, place, all: 0, more: 0 });
        }
        before = counts;
        tokio::time::sleep(PERIOD).await;
    }
}

/// `kill -9`, or another signal. Whoever is gone already needs none.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process is stopped.
pub fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}
