//! The watch over what the sandbox keeps on disk.
//!
//! Where the sandbox has a file system of its own, the kernel is the wall and this only notices that it was reached.
//! Elsewhere this measures from time to time and ends what runs: a check that comes late, and that a program can hide
//! from, so it is no wall. In both cases nothing may go on writing while the host's own disk is nearly full.

use super::exec::Execs;
use shim::{proto::ExitReason, spec::DiskSpec};
use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How often it looks.
const TICK: Duration = Duration::from_millis(100);
/// A walk over all files is followed by a rest of so many times its length.
const REST: u32 = 20;
/// The least rest after a walk.
const LEAST_REST: Duration = Duration::from_millis(500);
/// Bytes that count as nothing.
const TRIFLE: u64 = 64 << 10;
/// The part of a file system that may be left when it is full: what it held back for its own tables while data waited
/// to be written comes free afterwards, and a large write is refused while a small one still fits.
const REST_OF_FULL: u64 = 256;
/// What may still be written while the host's disk is nearly full.
const GRACE: u64 = 16 << 20;

/// Where the sandbox's files are.
const FILES: [&str; 2] = ["/code", "/home/agent"];
/// Writable memory of a limited size.
const MEMORY: [&str; 2] = ["/tmp", "/dev/shm"];

/// What is known of the sandbox's disk.
pub struct Disk {
    spec: DiskSpec,
    /// Lies on the host's disk, where output is spooled.
    spool: OwnedFd,
    /// How often it was seen full.
    full: AtomicU64,
}

impl Disk {
    /// Nothing was looked at yet.
    pub fn new(spec: DiskSpec, spool: OwnedFd) -> Self {
        Self { spec, spool, full: AtomicU64::new(0) }
    }

    /// How often it was seen full so far.
    pub fn seen_full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    /// The same, after looking once more.
    pub fn times_full(&self) -> u64 {
        let looked = MEMORY.iter().chain(self.spec.walled.then_some(&FILES[1]));
        if looked.into_iter().any(|path| is_full(Path::new(path)).unwrap_or(false)) {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
        self.seen_full()
    }

    fn host_is_low(&self) -> bool {
        rustix::fs::fstatvfs(&self.spool)
            .is_ok_and(|host| host.f_bavail.saturating_mul(host.f_frsize) < self.spec.floor)
    }
}

/// Whether nothing more can be written to a file system.
fn is_full(path: &Path) -> io::Result<bool> {
    let found = rustix::fs::statvfs(path)?;
    // Some file systems count no files.
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let left = TRIFLE.max(bytes(found.f_blocks) / REST_OF_FULL);
    Ok(bytes(found.f_bavail) < left || (found.f_files > 0 && found.f_ffree < 2))
}

/// Looks for as long as the sandbox lives.
pub fn watch(disk: &Disk, execs: &Arc<Execs>) {
    let mut usage = Usage::new(&disk.spec);
    // What it held when the host had room.
    let mut calm = None;
    loop {
        thread::sleep(TICK);
        if !execs.any_runs() {
            calm = None;
            continue;
        }
        disk.times_full();
        let low = disk.host_is_low();
        let now = usage.measure(low);
        if usage.is_over(now) {
            disk.full.fetch_add(1, Ordering::Relaxed);
            execs.kill_all(ExitReason::DiskQuota);
        }
        let held = now.bytes + execs.spooled();
        match calm {
            Some(calm_bytes) if low && held > calm_bytes + GRACE => {
                execs.kill_all(ExitReason::HostDiskFull);
                calm = Some(held);
            }
            Some(_) if low => {}
            _ => calm = Some(held),
        }
    }
}

/// Bytes on disk and how many files they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    bytes: u64,
    files: u64,
}

/// What the sandbox has written.
struct Usage<'a> {
    spec: &'a DiskSpec,
    /// What was there from the start: the checked-out tree.
    base: Held,
    last: Held,
    next: Instant,
    /// Raised whenever it was reached, so that short programs that tidy up can still run.
    allowed: Held,
}

impl<'a> Usage<'a> {
    fn new(spec: &'a DiskSpec) -> Self {
        let allowed = Held { bytes: spec.bytes.unwrap_or(u64::MAX), files: spec.files.unwrap_or(u64::MAX) };
        let base = if spec.walled { Held::default() } else { walk(&FILES.map(PathBuf::from)) };
        Self { spec, base, last: Held::default(), next: Instant::now(), allowed }
    }

    /// Measures now if it costs little, is due or is pressing.
    fn measure(&mut self, pressing: bool) -> Held {
        if self.spec.walled {
            let found = rustix::fs::statvfs(FILES[1]);
            self.last.bytes = found.map_or(0, |found| (found.f_blocks - found.f_bfree).saturating_mul(found.f_frsize));
        } else if pressing || self.next <= Instant::now() {
            let start = Instant::now();
            let now = walk(&FILES.map(PathBuf::from));
            let more = |now: u64, base: u64| now.saturating_sub(base);
            self.last = Held { bytes: more(now.bytes, self.base.bytes), files: more(now.files, self.base.files) };
            self.next = Instant::now() + (start.elapsed() * REST).max(LEAST_REST);
        }
        self.last
    }

    fn is_over(&mut self, now: Held) -> bool {
        let over = !self.spec.walled && (now.bytes > self.allowed.bytes || now.files > self.allowed.files);
        if over {
            let bytes = self.allowed.bytes.max(now.bytes.saturating_add(GRACE));
            self.allowed = Held { bytes, files: self.allowed.files.max(now.files.saturating_add(1000)) };
        }
        over
    }
}

/// What lies in these directories and below. Follows no link; what cannot be looked into counts as one file.
fn walk(dirs: &[PathBuf]) -> Held {
    let mut held = Held::default();
    let mut open = dirs.to_vec();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            held.files += 1;
            // Of the entry itself, not of what it points to.
            let Ok(found) = entry.metadata() else { continue };
            held.bytes += found.blocks() * 512 / found.nlink().max(1);
            if found.is_dir() {
                open.push(entry.path());
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_counts_what_is_there_and_follows_nothing() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("in")).unwrap();
        fs::write(home.path().join("in/a"), vec![1; 100_000]).unwrap();
        fs::hard_link(home.path().join("in/a"), home.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/usr", home.path().join("link")).unwrap();
        let held = walk(&[home.path().to_owned()]);
        assert_eq!(held.files, 4);
        assert!((100_000..140_000).contains(&held.bytes), "{held:?}");
    }

    #[test]
    fn what_is_over_ends_once_and_leaves_room_to_tidy_up() {
        let spec = DiskSpec { walled: false, bytes: Some(1000), files: Some(10), floor: 0 };
        let start = Instant::now();
        let allowed = Held { bytes: 1000, files: 10 };
        let mut usage = Usage { spec: &spec, base: Held::default(), last: Held::default(), next: start, allowed };
        assert!(!usage.is_over(Held { bytes: 1000, files: 10 }));
        assert!(usage.is_over(Held { bytes: 1001, files: 10 }));
        assert!(!usage.is_over(Held { bytes: 1002, files: 10 }), "its tidying up was ended too");
        assert!(usage.is_over(Held { bytes: 1002 + GRACE, files: 10 }));
        assert!(usage.is_over(Held { bytes: 0, files: 2000 }));
    }
}
