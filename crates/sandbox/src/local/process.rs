//! Processes of this machine, named so that a later one with the same number is never taken for them.

use super::record::Process;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags, Signal},
};
use std::{fs, io, os::fd::OwnedFd, time::Duration};
use uuid::Uuid;

impl Process {
    /// The process that has this number now.
    pub(super) fn find(pid: i32) -> Option<Self> {
        let (_, start) = stat(pid)?;
        Some(Self { pid, start, boot: boot()? })
    }

    /// Whether it still runs.
    pub(super) fn alive(self) -> bool {
        let same = |(state, start)| start == self.start && !matches!(state, 'Z' | 'X');
        boot() == Some(self.boot) && stat(self.pid).is_some_and(same)
    }

    /// Kills it and waits for its end; true when it is gone.
    pub(super) fn kill(self, patience: Duration) -> bool {
        let Ok(Some(handle)) = self.open() else { return !self.alive() };
        let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
        await_end(&handle, patience) || !self.alive()
    }

    /// Waits for its end; true when it is gone.
    pub(super) fn await_end(self, patience: Duration) -> bool {
        match self.open() {
            Ok(Some(handle)) => await_end(&handle, patience) || !self.alive(),
            _ => !self.alive(),
        }
    }

    fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        // Looked at after the handle was taken: now it cannot change any more.
        Ok(self.alive().then_some(handle))
    }
}

fn await_end(handle: &OwnedFd, patience: Duration) -> bool {
    let limit = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    rustix::event::poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&limit)).is_ok_and(|ready| ready > 0)
}

fn boot() -> Option<Uuid> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().parse().ok()
}

/// State and start time (fields 3 and 22 of proc(5)); the name between them may hold anything, even parentheses.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_life_of_a_number_is_left_alone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(child.id().cast_signed()).unwrap();
        let other = Process { start: process.start + 1, ..process };
        let rebooted = Process { boot: Uuid::nil(), ..process };
        assert!(!other.alive() && !rebooted.alive());
        rebooted.kill(Duration::ZERO);
        assert!(other.kill(Duration::ZERO), "what is not there counts as gone");
        assert!(process.alive(), "the wrong process was killed");
        assert!(process.kill(Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(!process.alive());
    }
}
