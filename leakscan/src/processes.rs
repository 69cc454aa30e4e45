//! Looking at processes: command lines, environments, memory.

use crate::{Canaries, Leak};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often a [`Sampler`] looks.
const EVERY: Duration = Duration::from_millis(20);

/// Memory is looked at in pieces of this size, which overlap by [`OVERLAP`].
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 256;

/// The canaries in the command line and the environment of a process.
pub fn process(canaries: &Canaries, pid: i32) -> Vec<Leak> {
    let look = |name: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let command = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        canaries.look_flat(&format!("{name} of {pid} ({})", String::from_utf8_lossy(&command).trim()), &bytes)
    };
    [look("cmdline"), look("environ")].concat()
}

/// The canaries in the memory of a process that can be read, and how many bytes of it were looked at. Needs root, or a
/// process of the same user that does not refuse it.
pub fn memory(canaries: &Canaries, pid: i32) -> (Vec<Leak>, u64) {
    let (mut leaks, mut looked_at) = (BTreeSet::new(), 0);
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let Ok(mut memory) = fs::File::open(format!("/proc/{pid}/mem")) else { return (Vec::new(), 0) };
    // A program may reserve gigabytes that it never writes to.
    let pages = fs::File::open(format!("/proc/{pid}/pagemap")).ok().zip(page_size());
    let mut piece = vec![0; PIECE + OVERLAP];
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let name = words.nth(3).unwrap_or("anonymous");
        // What cannot be written came from a file.
        if !rights.starts_with("rw") {
            continue;
        }
        let bounds =
            range.split_once('-').map(|(from, to)| (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)));
        let Some((Ok(mut from), Ok(to))) = bounds else { continue };
        while from < to {
            let length = usize::try_from(to - from).unwrap_or(usize::MAX).min(piece.len());
            // What is shared may have been written by somebody else.
            let private = rights.ends_with('p');
            if private && pages.as_ref().is_some_and(|(pages, size)| nothing_there(pages, *size, from, length)) {
                from += PIECE as u64;
                continue;
            }
            let read = memory.seek(SeekFrom::Start(from)).and_then(|_| memory.read(&mut piece[..length])).unwrap_or(0);
            if read == 0 {
                from += PIECE as u64;
                continue;
            }
            looked_at += read as u64;
            leaks.extend(canaries.look_flat(&format!("memory of {pid} ({name})"), &piece[..read]));
            from += u64::try_from(read.min(PIECE)).unwrap_or(u64::MAX);
        }
    }
    (leaks.into_iter().collect(), looked_at)
}

/// Whether none of these pages was ever written to: of the eight bytes that the kernel shows of a page, the two highest
/// bits say that it is in memory or swapped out. False when nothing can be learnt.
fn nothing_there(pages: &fs::File, page_size: u64, from: u64, length: usize) -> bool {
    let (first, end) = (from / page_size, (from + length as u64).div_ceil(page_size));
    let Ok(count) = usize::try_from(end - first) else { return false };
    let mut entries = vec![0; count * 8];
    let read = pages.read_exact_at(&mut entries, first * 8);
    let (entries, _) = entries.as_chunks();
    read.is_ok() && entries.iter().all(|entry| u64::from_ne_bytes(*entry) >> 62 == 0)
}

/// As the kernel told this process when it was started.
fn page_size() -> Option<u64> {
    const AT_PAGESZ: usize = 6;
    let told = fs::read("/proc/self/auxv").ok()?;
    let (words, _) = told.as_chunks::<{ size_of::<usize>() }>();
    let words: Vec<_> = words.iter().map(|word| usize::from_ne_bytes(*word)).collect();
    words.chunks_exact(2).find(|pair| pair[0] == AT_PAGESZ).and_then(|pair| u64::try_from(pair[1]).ok())
}

/// The processes that see a folder below `folder` mounted, such as the inhabitants of its sandboxes.
pub fn pids_below(folder: &Path) -> Vec<i32> {
    let wanted = folder.to_string_lossy().trim_start_matches('/').to_owned();
    let last: String = wanted.split('/').skip(1).collect::<Vec<_>>().join("/");
    let sees = |pid: &i32| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        // A mount's root is named from the root of its file system, which may be mounted somewhere below `/`.
        mounts
            .lines()
            .any(|line| line.split(' ').nth(3).is_some_and(|root| root.contains(&wanted) || root.contains(&last)))
    };
    pids().into_iter().filter(sees).collect()
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Looks every 20 ms at the command line and the environment of every process that was started after it.
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(BTreeSet<Leak>, BTreeSet<i32>)>,
}

impl Sampler {
    /// Begins to look.
    pub fn start(canaries: Arc<Canaries>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let before: BTreeSet<i32> = pids().into_iter().collect();
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut leaks, mut seen) = (BTreeSet::new(), BTreeSet::new());
            while !until.load(Ordering::Relaxed) {
                for pid in pids().into_iter().filter(|pid| !before.contains(pid)) {
                    seen.insert(pid);
                    leaks.extend(process(&canaries, pid));
                }
                thread::sleep(EVERY);
            }
            (leaks, seen)
        });
        Self { stop, thread }
    }

    /// Ends it: what was found, and how many processes were seen.
    pub fn end(self) -> (Vec<Leak>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let (leaks, seen) = self.thread.join().expect("the sampler does not panic");
        (leaks.into_iter().collect(), seen.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead as _, BufReader},
        process::{Child, Command, Stdio},
    };

    const CANARY: &str = "cnryQ7wE4rT9yU2iO5pA8sD1fG6hJ3kL0";

    /// A shell that has read a line, says so, and waits for its input to end.
    fn shell(script: &str, environment: &[(&str, &str)]) -> Child {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child
    }

    fn id(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    #[test]
    fn arguments_environments_and_memory_of_others_are_seen() {
        let canaries = Canaries::new([("key", CANARY)]);
        let argument = shell(&format!("echo ready; : {CANARY}; read x"), &[]);
        assert!(process(&canaries, id(&argument)).iter().any(|leak| leak.place.starts_with("cmdline")));
        let variable = shell("echo ready; read x", &[("TOKEN", CANARY)]);
        assert!(process(&canaries, id(&variable)).iter().any(|leak| leak.place.starts_with("environ")));
        // Put together within the process, so that it is in its memory only.
        let (first, second) = CANARY.split_at(11);
        let (second, third) = second.split_at(11);
        let holder = shell(&format!("a={first}; b={second}; c={third}; k=$a$b$c; echo ready; read x"), &[]);
        assert_eq!(process(&canaries, id(&holder)), []);
        let (leaks, looked_at) = memory(&canaries, id(&holder));
        assert!(looked_at > 0 && !leaks.is_empty(), "{looked_at} bytes");
        let clean = shell("echo ready; read x", &[]);
        assert_eq!(memory(&canaries, id(&clean)).0, []);
        for mut child in [argument, variable, holder, clean] {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_sampler_sees_what_is_started_after_it() {
        let sampler = Sampler::start(Arc::new(Canaries::new([("key", CANARY)])));
        let seen = |leaks: &[Leak]| leaks.iter().any(|leak| leak.place.starts_with("environ"));
        // It is there until the sampler has looked; how soon that is does not matter.
        let mut child = shell("echo ready; read x", &[("TOKEN", CANARY)]);
        while !seen(&process(&Canaries::new([("key", CANARY)]), id(&child))) {}
        for _ in 0..10 {
            thread::sleep(EVERY);
        }
        let (leaks, count) = sampler.end();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(seen(&leaks) && count > 0, "{leaks:?}");
    }
}
