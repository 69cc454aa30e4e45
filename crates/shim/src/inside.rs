//! Process 1 of a sandbox: owns its execs, its lease and its way out.

mod disk;
mod exec;
mod feed;
mod forward;
mod lease;
mod serve;
mod spool;

use crate::{host::inherited, sys};
use disk::Disk;
use exec::Execs;
use lease::Lease;
use rustix::{
    fs::{Mode, OFlags},
    process::{DumpableBehavior, WaitOptions},
};
use shim::spec::InitSpec;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

/// Connections at once. A server uses one; a second one comes while the first dies.
const MAX_CONNECTIONS: usize = 32;
/// Stack of a thread: enough for JSON of the accepted depth.
const STACK: usize = 512 << 10;

/// What the threads of a shim share.
struct Sandbox {
    id: String,
    lease: Lease,
    execs: Arc<Execs>,
    root: OwnedFd,
}

/// Runs until the lease runs out or a client says so. When this process ends the kernel kills everything inside.
pub fn init() -> ExitCode {
    match begin() {
        Ok((sandbox, listener)) => serve::accept(&sandbox, &listener),
        Err(error) => {
            let _ = writeln!(io::stderr(), "the shim cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> io::Result<(Arc<Sandbox>, UnixListener)> {
    // First of all: from here on nobody of the same uid can look at this process's descriptors or memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let listener = UnixListener::from(sys::inherited(inherited::LISTENER)?);
    let spool = sys::inherited(inherited::SPOOL)?;
    let config = sys::inherited(inherited::CONFIG)?;
    let ready = sys::inherited(inherited::READY)?;
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        return Err(io::Error::other("it is not process 1"));
    }
    let mut text = String::new();
    File::from(config).read_to_string(&mut text)?;
    let spec: InitSpec = serde_json::from_str(&text)?;

    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let lease = Lease::start(spec.epoch, Duration::from_millis(spec.ttl_ms), spool.try_clone()?)?;
    let disk = Arc::new(Disk::new(spec.disk, spool.try_clone()?));
    let execs = Arc::new(Execs::new(spool, disk.clone()));
    let watched = execs.clone();
    spawn("disk", move || disk::watch(&disk, &watched))?;
    let sandbox = Arc::new(Sandbox { id: spec.sandbox, lease, execs, root });
    spawn("reap", reap)?;
    for forward in spec.forwards {
        forward::start(&forward).map_err(|e| io::Error::other(format!("port {}: {e:?}", forward.port)))?;
    }
    rustix::io::write(&ready, b"1")?;
    Ok((sandbox, listener))
}

/// A thread with a small stack. Fails, instead of panicking, when no more processes are allowed.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(run).map(drop)
}

/// Takes leave of children. How an exec ended is known by its pidfd and its keeper's word, so neither statuses nor haste
/// are needed.
fn reap() {
    loop {
        if let Err(rustix::io::Errno::CHILD) = rustix::process::wait(WaitOptions::empty()) {
            thread::sleep(Duration::from_millis(500));
        }
    }
}
