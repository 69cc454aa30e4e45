//! The machine that is measured on, and whether it has anything else to do.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long is watched before anything is measured.
const WATCHED: Duration = Duration::from_secs(1);
/// Below this part of idle time, figures are not to be believed.
const IDLE: f64 = 0.9;

/// What is worth knowing of the machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Its kernel.
    pub kernel: String,
    /// Its processors.
    pub processors: usize,
    /// Their kind.
    pub model: String,
    /// Which part of their time was idle just before.
    pub idle: f64,
    /// False when so much else went on that ratios are off.
    pub quiet: bool,
    /// True when our programs were built with optimisation.
    pub optimised: bool,
}

impl Machine {
    /// Watches it for a moment.
    pub async fn watch() -> Self {
        let before = times();
        tokio::time::sleep(WATCHED).await;
        let after = times();
        let spent = (after.1 - before.1).max(1.0);
        let idle = (after.0 - before.0) / spent;
        let text = |file| fs::read_to_string(file).unwrap_or_default();
        let model = text("/proc/cpuinfo");
        let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        Self {
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.trim_start_matches([':', ' ', '\t']).to_owned(),
            idle,
            quiet: idle >= IDLE,
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// Idle time and all time of all processors so far, in ticks.
fn times() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    // idle and iowait
    (fields.iter().skip(3).take(2).sum(), fields.iter().sum())
}

/// A program of this machine.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The memory that a process has in use, in MiB.
pub fn resident_mib(process: u32) -> Option<f64> {
    status_mib(Path::new(&format!("/proc/{process}/status")), "VmRSS:")
}

/// Lets this process, and those that it starts, have as many files and connections open as the system allows.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The most memory that this process had in use since [`forget_peak`], in MiB.
pub fn peak_mib() -> Option<f64> {
    status_mib(Path::new("/proc/self/status"), "VmHWM:")
}

/// Begins to look for a peak anew.
pub fn forget_peak() {
    // Where that is not allowed the peak is that of the whole process: too large, never too small.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status_mib(file: &Path, field: &str) -> Option<f64> {
    let status = fs::read_to_string(file).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
}
