//! The execs of a sandbox.

use super::{disk::Disk, spool::Spool};
use crate::child::{self, Order, Report};
use rustix::{
    event::{PollFd, PollFlags, Timespec, eventfd},
    process::{Pid, PidfdFlags, Signal},
};
use shim::{
    frame,
    proto::{ExecInfo, ExecRequest, ExitReason, ExitStatus, Refusal, SHIM_INSIDE, STDIN_BUFFER, Stdin, Stream},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long the start of an exec may take until it counts as failed.
const START: Duration = Duration::from_secs(20);
/// Execs that are kept, running or not, until they are forgotten.
const MAX_EXECS: usize = 1024;

/// All execs that were not forgotten.
pub struct Execs {
    spool: OwnedFd,
    disk: Arc<Disk>,
    all: Mutex<Table>,
    // A child's connection is inheritable for a moment: nothing else may be started in it.
    starting: Mutex<()>,
}

#[derive(Default)]
struct Table {
    next: u64,
    execs: BTreeMap<u64, Arc<Exec>>,
}

impl Execs {
    /// None yet.
    pub fn new(spool: OwnedFd, disk: Arc<Disk>) -> Self {
        Self { spool, disk, all: Mutex::default(), starting: Mutex::default() }
    }

    /// The exec of that name.
    pub fn get(&self, name: &str) -> Result<Arc<Exec>, Refusal> {
        let table = lock(&self.all);
        let found = table.execs.values().find(|exec| exec.name == name);
        found.cloned().ok_or_else(|| Refusal::NotFound { what: format!("exec {name}") })
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<ExecInfo> {
        lock(&self.all).execs.values().map(|exec| exec.info()).collect()
    }

    /// Kills all that run.
    pub fn kill_all(&self, reason: ExitReason) {
        let all: Vec<_> = lock(&self.all).execs.values().cloned().collect();
        for exec in all {
            exec.kill(reason);
        }
    }

    /// Whether any runs.
    pub fn any_runs(&self) -> bool {
        lock(&self.all).execs.values().any(|exec| exec.lock().status.is_none())
    }

    /// Bytes of output that are kept.
    pub fn spooled(&self) -> u64 {
        lock(&self.all).execs.values().map(|exec| exec.lock().spool.spent()).sum()
    }

    /// Drops a finished exec.
    pub fn forget(&self, name: &str) -> Result<(), Refusal> {
        let exec = self.get(name)?;
        if exec.lock().status.is_none() {
            return Err(Refusal::Invalid { detail: format!("exec {name} still runs") });
        }
        lock(&self.all).execs.retain(|_, other| !Arc::ptr_eq(other, &exec));
        Spool::remove(&self.spool, name);
        Ok(())
    }

    /// Starts one.
    pub fn start(&self, request: &ExecRequest) -> Result<Arc<Exec>, Refusal> {
        check(request)?;
        let _alone = lock(&self.starting);
        if self.get(&request.exec).is_ok() {
            return Err(Refusal::Exists);
        }
        if lock(&self.all).execs.len() >= MAX_EXECS {
            return Err(Refusal::Invalid { detail: format!("{MAX_EXECS} execs are kept already: forget some") });
        }
        let failed = |error: io::Error| Refusal::Failed { detail: format!("an exec cannot be started: {error}") };
        let spool = Spool::create(&self.spool, &request.exec).map_err(failed)?;
        let started = Started::new(request).and_then(|started| Exec::begin(request, spool, started, self.disk.clone()));
        let exec = match started {
            Ok(exec) => exec,
            Err(refusal) => {
                Spool::remove(&self.spool, &request.exec);
                return Err(refusal);
            }
        };
        let mut table = lock(&self.all);
        table.next += 1;
        let number = table.next;
        table.execs.insert(number, exec.clone());
        Ok(exec)
    }
}

fn check(request: &ExecRequest) -> Result<(), Refusal> {
    let refuse = |detail: &str| Err(Refusal::Invalid { detail: detail.to_owned() });
    let name = &request.exec;
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return refuse("an exec's name is 1 to 64 letters, digits and `-`");
    }
    if request.argv.first().is_none_or(String::is_empty) {
        return refuse("no program is given");
    }
    if !request.cwd.starts_with('/') {
        return refuse("the directory is not absolute");
    }
    let env = request.env.iter();
    if env.clone().any(|(name, _)| name.is_empty() || name.contains('=')) {
        return refuse("a variable's name is empty or has `=` in it");
    }
    let texts = request.argv.iter().chain(env.flat_map(|(name, value)| [name, value])).chain([&request.cwd]);
    if texts.into_iter().any(|text| text.contains('\0')) {
        return refuse("a text has a NUL in it");
    }
    Ok(())
}

/// One process tree.
pub struct Exec {
    name: String,
    /// Process 1 of its namespace.
    keeper: OwnedFd,
    control: Mutex<UnixStream>,
    /// Written to when the pump has something new to do.
    wake: OwnedFd,
    disk: Arc<Disk>,
    /// How often the disk was seen full before.
    full_before: u64,
    state: Mutex<State>,
    /// Told of new output, of new credit and of the end.
    pub changed: Condvar,
}

/// What changes about an exec.
pub struct State {
    /// Its output.
    pub spool: Spool,
    /// How it ended.
    pub status: Option<ExitStatus>,
    stopping: Option<ExitReason>,
    input: VecDeque<u8>,
    input_next: u64,
    input_open: bool,
}

impl Exec {
    fn begin(request: &ExecRequest, spool: Spool, started: Started, disk: Arc<Disk>) -> Result<Arc<Self>, Refusal> {
        let failed = |error: io::Error| Refusal::Failed { detail: format!("an exec cannot be followed: {error}") };
        let Started { keeper, control, mut pipes } = started;
        let wake = eventfd(0, rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK);
        let state = State {
            spool,
            status: None,
            stopping: None,
            input: VecDeque::new(),
            input_next: 0,
            input_open: request.stdin == Stdin::Pipe,
        };
        let exec = Arc::new(Self {
            name: request.exec.clone(),
            keeper,
            control: Mutex::new(control),
            wake: wake.map_err(|e| failed(e.into()))?,
            full_before: disk.seen_full(),
            disk,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let deadline = request.time_limit_ms.map(|ms| Instant::now() + Duration::from_millis(ms.min(1 << 40)));
        let (pumped, quota) = (exec.clone(), request.output_quota);
        super::spawn("exec", move || pumped.pump(&mut pipes, deadline, quota)).map_err(|error| {
            let _ = rustix::process::pidfd_send_signal(&exec.keeper, Signal::KILL);
            failed(error)
        })?;
        Ok(exec)
    }

    /// The state, held.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What a client is told of it.
    pub fn info(&self) -> ExecInfo {
        let state = self.lock();
        ExecInfo {
            exec: self.name.clone(),
            status: state.status.clone(),
            output: state.spool.total(),
            stdin_next: state.input_next,
        }
    }

    /// Takes in input.
    pub fn input(&self, seq: u64, bytes: &[u8]) -> Result<u64, Refusal> {
        let mut state = self.lock();
        if seq < state.input_next {
            return Ok(state.input_next);
        }
        if seq > state.input_next {
            return Err(Refusal::Gap { next: state.input_next });
        }
        if !state.input_open || state.status.is_some() {
            return Err(Refusal::Closed);
        }
        if !state.input.is_empty() && state.input.len() + bytes.len() > STDIN_BUFFER {
            return Err(Refusal::Busy);
        }
        state.input.extend(bytes);
        state.input_next += 1;
        let next = state.input_next;
        drop(state);
        self.wake();
        Ok(next)
    }

    /// Closes its input after what was sent.
    pub fn close_input(&self) {
        self.lock().input_open = false;
        self.wake();
    }

    /// Has its keeper send a signal.
    pub fn signal(&self, number: i32) -> Result<(), Refusal> {
        if Signal::from_named_raw(number).is_none() {
            return Err(Refusal::Invalid { detail: format!("{number} is no signal") });
        }
        if self.lock().status.is_some() {
            return Ok(());
        }
        let mut control = lock(&self.control);
        // The keeper is gone when it cannot be written to, and so is whom the signal was for.
        let _ = frame::write(&mut *control, &Order::Signal(number), &[]);
        Ok(())
    }

    /// Kills process 1 of its namespace, and so all of it.
    pub fn kill(&self, reason: ExitReason) {
        let mut state = self.lock();
        if state.status.is_none() {
            state.stopping.get_or_insert(reason);
            let _ = rustix::process::pidfd_send_signal(&self.keeper, Signal::KILL);
        }
    }

    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Moves bytes until the exec is over.
    fn pump(&self, pipes: &mut Pipes, mut deadline: Option<Instant>, quota: u64) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let over = self.await_something(pipes, deadline);
            let mut wakes = [0; 8];
            let _ = rustix::io::read(&self.wake, &mut wakes);
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.kill(ExitReason::TimedOut);
                deadline = None;
            }
            self.feed(&mut pipes.input);
            // When all processes are gone their output is in the pipes: it is read to the end before the exec is over.
            // A pipe that somebody else was handed, and keeps open, does not hold this up.
            loop {
                let more_out = self.drain(&mut pipes.out, Stream::Stdout, &mut buffer, quota);
                let more_err = self.drain(&mut pipes.err, Stream::Stderr, &mut buffer, quota);
                if !(over && (more_out || more_err)) {
                    break;
                }
            }
            if over {
                return self.finish();
            }
        }
    }

    /// Waits; true when no process of the exec is left.
    fn await_something(&self, pipes: &Pipes, deadline: Option<Instant>) -> bool {
        let waiting_input = !self.lock().input.is_empty();
        let mut waits = vec![PollFd::new(&self.keeper, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        for pipe in [&pipes.out, &pipes.err].into_iter().flatten() {
            waits.push(PollFd::new(pipe, PollFlags::IN));
        }
        if let Some(input) = &pipes.input
            && waiting_input
        {
            waits.push(PollFd::new(input, PollFlags::OUT));
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            let tv_sec = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            Timespec { tv_sec, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let _ = rustix::event::poll(&mut waits, timeout.as_ref());
        waits.first().is_some_and(|keeper| !keeper.revents().is_empty())
    }

    /// Writes what the program takes of its input.
    fn feed(&self, pipe: &mut Option<ChildStdin>) {
        let mut state = self.lock();
        let Some(input) = pipe else {
            state.input.clear();
            return;
        };
        let mut gone = false;
        while !state.input.is_empty() {
            match input.write(state.input.as_slices().0) {
                Ok(0) => break,
                Ok(n) => drop(state.input.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    gone = true;
                    break;
                }
            }
        }
        if gone {
            state.input_open = false;
        }
        if gone || (state.input.is_empty() && !state.input_open) {
            state.input.clear();
            *pipe = None;
        }
    }

    /// Reads one piece of output; false when there is none now.
    fn drain(&self, pipe: &mut Option<OwnedFd>, stream: Stream, buffer: &mut [u8], quota: u64) -> bool {
        let Some(fd) = pipe else { return false };
        let length = match rustix::io::read(&*fd, &mut *buffer) {
            Ok(0) => {
                *pipe = None;
                return false;
            }
            Ok(length) => length,
            Err(rustix::io::Errno::INTR) => return true,
            Err(rustix::io::Errno::AGAIN) => return false,
            Err(_) => {
                *pipe = None;
                return false;
            }
        };
        let mut state = self.lock();
        let room = usize::try_from(quota.saturating_sub(state.spool.spent())).unwrap_or(usize::MAX);
        let keep = length.min(room);
        let full = keep < length;
        let kept = if keep == 0 { Ok(()) } else { state.spool.append(stream, &buffer[..keep]) };
        drop(state);
        self.changed.notify_all();
        if full || kept.is_err() {
            self.kill(if full { ExitReason::OutputQuota } else { ExitReason::SpoolFailed });
            *pipe = None;
            return false;
        }
        true
    }

    fn finish(&self) {
        let mut control = lock(&self.control);
        let _ = control.set_read_timeout(Some(Duration::from_secs(1)));
        let report = frame::read::<Report>(&mut *control).ok().flatten().map(|(report, _)| report);
        let disk_full = self.disk.times_full() > self.full_before;
        let mut state = self.lock();
        let (code, signal) = match &report {
            Some(Report::Exited(code)) => (Some(*code), None),
            Some(Report::Signalled(signal)) => (None, Some(*signal)),
            _ => (None, Some(Signal::KILL.as_raw())),
        };
        let reason = match state.stopping {
            // The kill came too late.
            Some(reason) if report.is_some() && !about_output(reason) => ExitReason::Exited,
            other => other.unwrap_or(ExitReason::Exited),
        };
        state.status = Some(ExitStatus { code, signal, reason, disk_full });
        state.input.clear();
        state.input_open = false;
        drop(state);
        self.changed.notify_all();
    }
}

/// Whether it concerns what an exec wrote, and so counts also when the program had ended before the kill.
fn about_output(reason: ExitReason) -> bool {
    matches!(reason, ExitReason::OutputQuota | ExitReason::SpoolFailed)
}

struct Pipes {
    input: Option<ChildStdin>,
    out: Option<OwnedFd>,
    err: Option<OwnedFd>,
}

/// A program that runs.
struct Started {
    keeper: OwnedFd,
    control: UnixStream,
    pipes: Pipes,
}

impl Started {
    fn new(request: &ExecRequest) -> Result<Self, Refusal> {
        let failed = |error: io::Error| Refusal::Failed { detail: format!("an exec cannot be started: {error}") };
        let (mut control, theirs) = child::connection().map_err(failed)?;
        let pipes = helper(request, &theirs).map_err(failed)?;
        drop(theirs);
        control.set_read_timeout(Some(START)).map_err(failed)?;
        let order = |control: &mut UnixStream, order: &Order| {
            frame::write(control, order, &[]).map_err(|e| failed(io::Error::other(e)))
        };
        order(&mut control, &Order::Start(request.clone()))?;
        let keeper = match report(&mut control)? {
            // The helper waits for the answer, and as long as it has not ended its child's number is not given anew.
            Report::Keeper(pid) => Pid::from_raw(pid)
                .ok_or(rustix::io::Errno::SRCH)
                .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
                .map_err(|e| failed(e.into()))?,
            Report::Failed(detail) => return Err(Refusal::Start { detail }),
            other => return Err(failed(io::Error::other(format!("{other:?} came instead of a number")))),
        };
        let outcome = order(&mut control, &Order::Go).and_then(|()| match report(&mut control)? {
            Report::Started => Ok(()),
            Report::Failed(detail) => Err(Refusal::Start { detail }),
            other => Err(failed(io::Error::other(format!("{other:?} came instead of a start")))),
        });
        if let Err(refusal) = outcome {
            let _ = rustix::process::pidfd_send_signal(&keeper, Signal::KILL);
            return Err(refusal);
        }
        control.set_read_timeout(None).map_err(failed)?;
        Ok(Self { keeper, control, pipes })
    }
}

fn report(control: &mut UnixStream) -> Result<Report, Refusal> {
    match frame::read(control) {
        Ok(Some((report, _))) => Ok(report),
        Ok(None) => Err(Refusal::Failed { detail: "an exec's first process died".to_owned() }),
        Err(error) => Err(Refusal::Failed { detail: format!("an exec's first process is silent: {error}") }),
    }
}

/// Starts `shim child` with the connection as an inherited descriptor.
fn helper(request: &ExecRequest, control: &OwnedFd) -> io::Result<Pipes> {
    let input = if request.stdin == Stdin::Pipe { Stdio::piped() } else { Stdio::null() };
    rustix::io::fcntl_setfd(control, rustix::io::FdFlags::empty())?;
    let mut command = Command::new(SHIM_INSIDE);
    command.arg0("shim").arg("child").arg(control.as_raw_fd().to_string());
    let mut child = command.env_clear().stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pipes = Pipes {
        input: child.stdin.take(),
        out: child.stdout.take().map(Into::into),
        err: child.stderr.take().map(Into::into),
    };
    for fd in [&pipes.out, &pipes.err].into_iter().flatten() {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    if let Some(fd) = &pipes.input {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    Ok(pipes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
