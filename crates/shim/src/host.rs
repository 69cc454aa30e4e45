//! The launcher: builds the sandbox's surroundings, gives up every right that it does not need and becomes bubblewrap.
//!
//! It runs in two processes. The first waits until the shim says that it is ready, answers and ends; the second detaches
//! from the server and turns into bubblewrap, so that the sandbox outlives whoever asked for it.

mod bwrap;
mod disk;
mod overlay;
pub mod rights;
mod shown;

pub use overlay::map_self;

use crate::sys::{self, Fork};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketAddrUnix, SocketType},
    pipe::PipeFlags,
};
use shim::spec::{LaunchSpec, Launched};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{OpenOptionsExt, PermissionsExt, chown},
            process::CommandExt,
        },
    },
    path::Path,
    process::{Command, ExitCode},
};

/// How long the shim may take until it is ready.
const PATIENCE_SECONDS: i64 = 30;

/// Reads a [`LaunchSpec`] from standard input, acts on it and writes a [`Launched`] to standard output.
pub fn launch() -> ExitCode {
    let answer = read_spec().and_then(|spec| start(&spec));
    let launched = answer.unwrap_or_else(|detail| Launched::Failed { detail });
    let line = serde_json::to_string(&launched).unwrap_or_default();
    let told = writeln!(io::stdout(), "{line}");
    ExitCode::from(u8::from(told.is_err() || matches!(launched, Launched::Failed { .. })))
}

fn read_spec() -> Result<LaunchSpec, String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|e| format!("the launcher cannot read its orders: {e}"))?;
    let spec: LaunchSpec =
        serde_json::from_str(&text).map_err(|e| format!("the launcher cannot understand its orders: {e}"))?;
    rights::check(spec.drop_to)?;
    Ok(spec)
}

fn start(spec: &LaunchSpec) -> Result<Launched, String> {
    let control = ControlDir::open(spec).map_err(|e| format!("failed to prepare {}: {e}", spec.dir.display()))?;
    let pipes = Pipes::new(spec).map_err(|e| format!("failed to make pipes: {e}"))?;
    let monitor = match sys::fork().map_err(|e| format!("failed to fork: {e}"))? {
        Fork::Child => {
            // Nothing is closed before the reason is in the log: the father reads it when the pipes have ended.
            let why = become_sandbox(spec, &control, &pipes);
            let _ = writeln!(io::stderr(), "{why}");
            sys::exit_now(1);
        }
        Fork::Parent(pid) => pid,
    };
    let Pipes { ready, info, notes, config } = pipes;
    // What is left open is the child's alone, so that its death is seen as an end of file.
    drop((ready.1, info.1, notes.1, config));
    let said = await_ready(&ready.0);
    let log = || fs::read_to_string(spec.dir.join("ctl/launch.log")).unwrap_or_default();
    if let Err(why) = said {
        if let Some(pid) = rustix::process::Pid::from_raw(monitor) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        return Err(format!("{}{}", log().trim(), why));
    }
    let shim = read_all(info.0)
        .and_then(|text| serde_json::from_str::<BwrapInfo>(&text).map_err(io::Error::other))
        .map_err(|e| format!("bubblewrap did not say which process it started: {e}"))?
        .child_pid;
    let overlay = read_all(notes.0).is_ok_and(|text| text == "overlay");
    Ok(Launched::Running { monitor, shim, overlay })
}

#[derive(serde::Deserialize)]
struct BwrapInfo {
    #[serde(rename = "child-pid")]
    child_pid: i32,
}

/// What lies in the host-only directory: the shim's socket, its spool, the launcher's log.
struct ControlDir {
    listener: OwnedFd,
    spool: OwnedFd,
    log: File,
}

impl ControlDir {
    fn open(spec: &LaunchSpec) -> io::Result<Self> {
        let dir = spec.dir.join("ctl");
        let log =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(dir.join("launch.log"))?;
        let socket = dir.join("shim.sock");
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = bind(&dir)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        if let Some(uid) = spec.drop_to {
            chown(&socket, Some(uid), Some(uid))?;
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let spool = rustix::fs::open(dir.join("spool"), flags, Mode::empty())?;
        Ok(Self { listener, spool, log })
    }
}

/// Binds `shim.sock` in `dir` by a short name, since a socket's address has room for 107 bytes only (unix(7)).
fn bind(dir: &Path) -> io::Result<OwnedFd> {
    rustix::process::chdir(dir)?;
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new("shim.sock")?)?;
    rustix::net::listen(&socket, 64)?;
    rustix::process::chdir("/")?;
    Ok(socket)
}

/// Each is (reading end, writing end).
struct Pipes {
    config: (OwnedFd, OwnedFd),
    ready: (OwnedFd, OwnedFd),
    info: (OwnedFd, OwnedFd),
    notes: (OwnedFd, OwnedFd),
}

impl Pipes {
    fn new(spec: &LaunchSpec) -> io::Result<Self> {
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
        let config = pipe()?;
        let text = serde_json::to_vec(&spec.init)?;
        // Written before anybody reads: it must fit into the pipe.
        if text.len() > 32 << 10 {
            return Err(io::Error::other("too many ports to forward"));
        }
        rustix::io::write(&config.1, &text)?;
        Ok(Self { config, ready: pipe()?, info: pipe()?, notes: pipe()? })
    }
}

/// Descriptors that process 1 inside is started with.
pub mod inherited {
    /// The listening socket.
    pub const LISTENER: i32 = 3;
    /// The spool directory.
    pub const SPOOL: i32 = 4;
    /// An `InitSpec`, as JSON.
    pub const CONFIG: i32 = 5;
    /// Closed after a byte when the shim is ready.
    pub const READY: i32 = 6;
    /// Bubblewrap's own report; closed by it.
    pub(super) const INFO: i32 = 7;
}

/// Never returns unless it fails, and then says why.
fn become_sandbox(spec: &LaunchSpec, control: &ControlDir, pipes: &Pipes) -> String {
    let step = |what: &'static str| move |error: io::Error| format!("failed to {what}: {error}");
    let prepare = || -> Result<(), String> {
        sys::place(&control.log, 2).map_err(step("open the log"))?;
        rustix::process::setsid().map_err(|e| step("start a session")(e.into()))?;
        for group in &spec.cgroups {
            fs::write(group.join("cgroup.procs"), "0")
                .map_err(|e| format!("failed to join {}: {e}", group.display()))?;
        }
        if spec.drop_to.is_some() {
            overlay::own_mounts()?;
        }
        if spec.disk {
            disk::mount(spec)?;
        }
        shown::bind(spec)?;
        let overlaid = match &spec.base {
            Some(base) => overlay::mount(spec, base)?,
            None => false,
        };
        rights::limit().map_err(step("set resource limits"))?;
        rights::give_up(spec.drop_to).map_err(step("give up rights"))?;
        if overlaid {
            rustix::io::write(&pipes.notes.1, b"overlay").map_err(|e| step("report")(e.into()))?;
        }
        Ok(())
    };
    if let Err(why) = prepare() {
        return why;
    }
    let args = bwrap::arguments(spec);
    let place = || -> io::Result<()> {
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        // Moved out of the way first, so that no number is overwritten before it was copied.
        let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 100);
        let moved = [
            (high(&control.listener)?, inherited::LISTENER),
            (high(&control.spool)?, inherited::SPOOL),
            (high(&pipes.config.0)?, inherited::CONFIG),
            (high(&pipes.ready.1)?, inherited::READY),
            (high(&pipes.info.1)?, inherited::INFO),
        ];
        let null = high(&OwnedFd::from(null))?;
        sys::place(&null, 0)?;
        sys::place(&2, 1)?;
        for (fd, number) in &moved {
            sys::place(fd, *number)?;
        }
        sys::close_from_at_exec(8)
    };
    if let Err(error) = place() {
        return format!("failed to arrange descriptors: {error}");
    }
    let error = Command::new(&spec.bwrap).args(args).env_clear().current_dir("/").exec();
    format!("failed to start {}: {error}", spec.bwrap.display())
}

fn await_ready(ready: &OwnedFd) -> Result<(), String> {
    let mut wait = [PollFd::new(ready, PollFlags::IN)];
    let patience = Timespec { tv_sec: PATIENCE_SECONDS, tv_nsec: 0 };
    match rustix::event::poll(&mut wait, Some(&patience)) {
        Ok(0) => return Err(format!("\nit was not ready after {PATIENCE_SECONDS} s")),
        Ok(_) => {}
        Err(error) => return Err(format!("\nfailed to wait for it: {error}")),
    }
    let mut byte = [0];
    match rustix::io::read(ready, &mut byte) {
        Ok(1) => Ok(()),
        _ => Err(String::new()),
    }
}

fn read_all(fd: OwnedFd) -> io::Result<String> {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text)?;
    Ok(text)
}
