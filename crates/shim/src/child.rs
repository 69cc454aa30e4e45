//! The first processes of an exec.
//!
//! A helper makes namespaces and becomes the father of process 1 of the new PID namespace, the *keeper*. The keeper
//! mounts that namespace's `/proc`, gives up all rights, puts the filter on itself, starts the program and waits for it.
//! When the program ends the keeper tells the shim and ends too, and the kernel kills what is left in the namespace.

mod filter;

use crate::{
    host::{map_self, rights},
    sys::{self, Fork},
};
use rustix::{
    mount::{MountFlags, MountPropagationFlags},
    process::{DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, setrlimit},
};
use serde::{Deserialize, Serialize};
use shim::{frame, proto::ExecRequest};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::{
        fd::{AsRawFd, IntoRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode},
};

/// Where the connection to the shim ends up.
const CONTROL: i32 = 3;

/// What the shim is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The keeper's process number, in the shim's namespace. It stays valid until the shim answers [`Order::Go`].
    Keeper(i32),
    /// The program runs.
    Started,
    /// It could not be started.
    Failed(String),
    /// The program returned.
    Exited(i32),
    /// The program died by a signal.
    Signalled(i32),
}

/// What the shim says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What to start.
    Start(ExecRequest),
    /// The keeper is known by a descriptor now.
    Go,
    /// A signal for the program's process group.
    Signal(i32),
}

/// The helper.
pub fn run() -> ExitCode {
    match help() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn help() -> io::Result<()> {
    let number = std::env::args().nth(2).and_then(|number| number.parse().ok());
    let control = sys::inherited(number.ok_or_else(|| io::Error::other("no connection is named"))?)?;
    // Moved below everything else that may have been inherited, which is closed.
    sys::place(&control, CONTROL)?;
    if control.as_raw_fd() == CONTROL {
        // It is taken up again below.
        let _ = control.into_raw_fd();
    } else {
        drop(control);
    }
    sys::close_from(4)?;
    let mut control = UnixStream::from(sys::inherited(CONTROL)?);
    let Some((Order::Start(request), _)) = frame::read(&mut control).map_err(io::Error::other)? else {
        return Err(io::Error::other("no orders"));
    };
    let (hold_read, hold_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let keeper = isolate(&request).and_then(|()| sys::fork());
    match keeper {
        Ok(Fork::Child) => {
            drop(hold_write);
            // The helper and the keeper share the connection: it is the keeper's from when the helper has ended.
            let _ = File::from(hold_read).read(&mut [0; 1]);
            keep(&request, control)
        }
        Ok(Fork::Parent(pid)) => {
            tell(&mut control, &Report::Keeper(pid))?;
            let _: Option<(Order, _)> = frame::read(&mut control).map_err(io::Error::other)?;
            Ok(())
        }
        Err(error) => tell(&mut control, &Report::Failed(format!("it cannot be isolated: {error}"))),
    }
}

fn tell(control: &mut UnixStream, report: &Report) -> io::Result<()> {
    frame::write(control, report, &[]).map_err(io::Error::other)
}

/// Sets limits and makes the namespaces. The process limit must be set before: the new user namespace takes it over as
/// the most that it may ever count, and so it holds even where there are no control groups.
fn isolate(request: &ExecRequest) -> io::Result<()> {
    // When memory runs out, the exec goes before the shim does.
    fs::write("/proc/self/oom_score_adj", "500")?;
    for (resource, limit) in [(Resource::Nproc, request.processes), (Resource::Data, request.process_memory)] {
        if let Some(limit) = limit {
            setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
        }
    }
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNS)?;
    map_self(uid, gid)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// The keeper's life.
fn keep(request: &ExecRequest, mut control: UnixStream) -> ! {
    match begin(request) {
        Ok(program) => {
            let told = tell(&mut control, &Report::Started);
            if told.is_ok() {
                pass_signals(program, &control);
                let end = watch(program);
                let _ = tell(&mut control, &end);
            }
        }
        Err(why) => {
            let _ = tell(&mut control, &Report::Failed(why));
        }
    }
    sys::exit_now(0)
}

/// Closes the door and starts the program.
fn begin(request: &ExecRequest) -> Result<Pid, String> {
    let failed = |what: &'static str| move |error: rustix::io::Errno| format!("failed to {what}: {error}");
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(failed("make mounts private"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "/proc", "proc", flags, None).map_err(failed("mount /proc"))?;
    rights::drop_bounding_set().and_then(|()| rights::drop_capabilities()).map_err(|e| format!("capabilities: {e}"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("set no_new_privs"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("become undumpable"))?;
    filter::install(request.allow_ptrace).map_err(|e| format!("failed to install the filter: {e}"))?;
    let (why_read, why_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let program = match sys::fork().map_err(|e| format!("failed to fork: {e}"))? {
        Fork::Child => {
            drop(why_read);
            let why = become_program(request);
            let _ = rustix::io::write(&why_write, why.as_bytes());
            sys::exit_now(127);
        }
        Fork::Parent(pid) => pid,
    };
    drop(why_write);
    // The ends of the program's pipes are the program's alone.
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
    for number in 0..3 {
        sys::place(&null, number).map_err(|e| format!("failed to let go of the pipes: {e}"))?;
    }
    let mut why = String::new();
    File::from(why_read).read_to_string(&mut why).map_err(|e| format!("failed to hear of the program: {e}"))?;
    if !why.is_empty() {
        return Err(why);
    }
    Pid::from_raw(program).ok_or_else(|| "it has no number".to_owned())
}

/// Returns why it failed, if it returns.
fn become_program(request: &ExecRequest) -> String {
    let Some((program, args)) = request.argv.split_first() else { return "no program is given".to_owned() };
    let ready = (|| {
        rustix::process::setsid()?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        sys::close_from_at_exec(3)
    })();
    if let Err(error) = ready {
        return format!("it cannot be prepared: {error}");
    }
    if let Err(error) = rustix::process::chdir(request.cwd.as_str()) {
        return format!("the directory `{}` cannot be entered: {error}", request.cwd);
    }
    let envs = request.env.iter().map(|(name, value)| (name, value));
    let error = Command::new(program).args(args).env_clear().envs(envs).exec();
    format!("{program}: {error}")
}

/// Hands on signals for as long as the connection lasts. Without this thread, as when no more processes are allowed,
/// the exec can only be killed.
fn pass_signals(program: Pid, control: &UnixStream) {
    let Ok(mut control) = control.try_clone() else { return };
    let pass = move || {
        while let Ok(Some((order, _))) = frame::read(&mut control) {
            if let Order::Signal(number) = order
                && let Some(signal) = Signal::from_named_raw(number)
            {
                let _ = rustix::process::kill_process_group(program, signal);
            }
        }
    };
    let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(pass);
}

/// Reaps everything of the namespace until the program has ended.
fn watch(program: Pid) -> Report {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => {
                return match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Report::Exited(code),
                    (None, Some(signal)) => Report::Signalled(signal),
                    (None, None) => continue,
                };
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Report::Failed(format!("failed to wait: {error}")),
        }
    }
}

/// A connection to a child that is about to be started, and the child's end of it.
pub fn connection() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into()))
}
