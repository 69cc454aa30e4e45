//! Starting a sandbox.

use super::{
    Shared, blocking,
    cgroup::{self, Groups, Hierarchies},
    config::Requirement,
    disk, layout,
    record::{LocalRecord, Process},
};
use crate::{Error, SandboxSpec, Workspace};
use shim::{
    proto::Forward,
    spec::{InitSpec, LaunchSpec, Launched},
};
use std::{io, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

/// Longer than the launcher's own patience with the shim.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes everything that a sandbox needs and starts its shim. Tells whether its workspace was there before.
pub(super) async fn launch(shared: &Shared, spec: &SandboxSpec) -> Result<(LocalRecord, bool), Error> {
    let fresh = shared.record(spec.id).is_none();
    let mut record = intend(shared, spec).await?;
    faultpoint::crash_point!("crash-sandbox-recorded");
    faultpoint::error_point!("fail-sandbox-create", |why: String| Error::io("make the sandbox")(io::Error::other(why)));
    let continued = !fresh && layout::has_files(&record);
    let mut started = start(shared, spec, &mut record, continued).await;
    if let Err(error) = &started
        && disk::is_not_mounted(error)
        && !continued
    {
        if shared.config.limits.disk.is_some_and(|limit| limit.requirement == Requirement::Required) {
            started = Err(disk::missing(error.to_string()));
        } else {
            tracing::warn!(%error, "sandboxes get no disk of their own here");
            super::end(&record).await?;
            disk::give_up(&mut record)?;
            started = start(shared, spec, &mut record, continued).await;
        }
    }
    if let Err(error) = started {
        let _ = super::end(&record).await;
        if fresh {
            let dir = record.dir.clone();
            let removed = blocking(move || super::remove::remove_tree(&dir).map_err(Error::io("remove"))).await;
            if removed.is_ok() {
                shared.forget(spec.id)?;
            }
        }
        return Err(error);
    }
    Ok((record, continued))
}

/// Chooses a uid and writes the record.
async fn intend(shared: &Shared, spec: &SandboxSpec) -> Result<LocalRecord, Error> {
    let _alone = shared.choosing.lock().await;
    let before = shared.record(spec.id);
    if before.as_ref().is_some_and(|record| record.shim.is_some_and(Process::alive)) {
        return Err(Error::Invalid(format!("sandbox {} runs already: adopt it", spec.id)));
    }
    let dir = layout::sandboxes(&shared.config.data_dir).join(spec.id.to_string());
    let limits = &shared.config.limits;
    let disk = match &before {
        Some(record) => record.disk,
        None => limits.disk.is_some() && disk::possible(shared.root).is_ok(),
    };
    if before.is_none() {
        if shared.config.strict {
            super::probe::require_all(shared).await?;
        }
        disk::check_room(shared).await?;
    }
    let uid = match &before {
        Some(record) => record.uid,
        None => choose_uid(shared, spec.uid)?,
    };
    let record = LocalRecord {
        id: spec.id,
        uid,
        egress_dir: spec.egress_dir.clone().unwrap_or_else(|| dir.join("egress")),
        dir,
        // A workspace that began as an overlay, or did not, is continued as such.
        workspace: before.map_or(Workspace::Plain, |record| record.workspace),
        env: layout::environment(&spec.env),
        cgroups: Vec::new(),
        memory_held: false,
        disk,
        shim: None,
        monitor: None,
    };
    shared.remember(&record)?;
    Ok(record)
}

fn choose_uid(shared: &Shared, hint: Option<u32>) -> Result<u32, Error> {
    if !shared.root {
        return Ok(rustix::process::geteuid().as_raw());
    }
    let taken: Vec<u32> = shared.records()?.iter().map(|record| record.uid).collect();
    let range = &shared.config.uids;
    let free = |uid: &u32| *uid != 0 && range.contains(uid) && !taken.contains(uid);
    let chosen = hint.filter(free).or_else(|| range.clone().find(free));
    chosen.ok_or_else(|| Error::Invalid(format!("all uids from {} to {} are in use", range.start(), range.end())))
}

async fn start(shared: &Shared, spec: &SandboxSpec, record: &mut LocalRecord, continued: bool) -> Result<(), Error> {
    let root = shared.root;
    let sandboxes = layout::sandboxes(&shared.config.data_dir);
    layout::check_reachable(&sandboxes, record.uid, root)?;
    layout::check_reachable(&shared.shim, record.uid, root)?;
    if spec.egress_dir.is_some() {
        layout::check_reachable(&record.egress_dir, record.uid, root)?;
    }
    // A workspace that began without a base has its files where an overlay would hide them.
    let plain = if record.disk {
        continued && record.workspace == Workspace::Plain
    } else {
        record.dir.join("code").exists() && !record.dir.join("upper").exists()
    };
    let base = spec.base.clone().filter(|_| !plain);
    let made = record.clone();
    let overlay = base.is_some();
    blocking(move || {
        layout::make_dirs(&made, overlay, root).map_err(Error::io(format!("prepare {}", made.dir.display())))
    })
    .await?;
    if let Some(limit) = shared.config.limits.disk.filter(|_| record.disk) {
        disk::make(&shared.config, record, limit).await?;
    }
    let mounts = layout::mounts(&shared.config, spec, record, &shared.shim, root)?;

    let limits = shared.config.limits;
    let id = record.id.to_string();
    let groups = blocking(move || Ok(Hierarchies::detect(root).make(&id, &limits))).await?;
    record.cgroups.clone_from(&groups.dirs);
    record.memory_held = groups.memory;
    shared.remember(record)?;
    require(&limits, &groups, record.disk)?;

    let order = LaunchSpec {
        dir: record.dir.clone(),
        drop_to: root.then_some(record.uid),
        cgroups: groups.dirs,
        base,
        disk: record.disk,
        bwrap: shared.config.bwrap.clone(),
        mounts,
        init: InitSpec {
            sandbox: record.id.to_string(),
            epoch: spec.lease.epoch,
            ttl_ms: u64::try_from(spec.lease.ttl.as_millis()).unwrap_or(u64::MAX),
            forwards: spec
                .forwards
                .iter()
                .map(|(port, socket)| Forward { port: *port, socket: socket.clone() })
                .collect(),
            disk: disk::watched(&shared.config, record),
        },
    };
    let launched = run_launcher(&shared.shim, &order).await?;
    faultpoint::crash_point!("crash-sandbox-launched");
    match launched {
        Launched::Running { monitor, shim, overlay: mounted } => {
            record.shim = Process::find(shim);
            record.monitor = Process::find(monitor);
            let was = record.workspace;
            record.workspace = if mounted { Workspace::Overlay } else { Workspace::Plain };
            if continued && was == Workspace::Overlay && !mounted {
                return Err(Error::Launch { log: "the workspace's overlay cannot be mounted any more".to_owned() });
            }
            shared.remember(record)
        }
        Launched::Failed { detail } => Err(explain(detail)),
    }
}

/// Runs `shim launch`.
pub(super) async fn run_launcher(shim: &Path, order: &LaunchSpec) -> Result<Launched, Error> {
    let io = |what: &str| Error::io(format!("{what} {}", shim.display()));
    let text = serde_json::to_vec(order).map_err(|error| io("write to")(error.into()))?;
    let mut command = Command::new(shim);
    command.arg("launch").env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut launcher = spawn(&mut command).await.map_err(io("start"))?;
    let mut stdin = launcher.stdin.take();
    let run = async move {
        if let Some(stdin) = &mut stdin {
            stdin.write_all(&text).await?;
        }
        drop(stdin);
        launcher.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .map_err(|_| Error::Launch { log: "the launcher does not end".to_owned() })?
        .map_err(io("run"))?;
    serde_json::from_slice(&output.stdout).map_err(|_| Error::Launch {
        log: format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
    })
}

/// Starts a program that may have been written a moment ago: as long as some other child of this process, between its
/// fork and its exec, still has the file open for writing, the kernel refuses to run it (ETXTBSY of execve(2)).
pub(super) async fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..200 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
            other => return other,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    command.spawn()
}

/// Refuses when a required limit does not hold for the sandbox as a whole.
fn require(limits: &super::Limits, groups: &Groups, disk: bool) -> Result<(), Error> {
    if !disk && limits.disk.is_some_and(|limit| limit.requirement == Requirement::Required) {
        let why = disk::possible(rustix::process::geteuid().is_root()).err();
        return Err(disk::missing(format!("it is required, and {}", why.unwrap_or("there is no disk of its own"))));
    }
    let held = [
        ("memory limit", limits.memory, groups.memory),
        ("process limit", limits.pids, groups.pids),
        ("processor limit", limits.cpu, groups.cpu),
    ];
    for (part, limit, held) in held {
        if !held && limit.is_some_and(|limit| limit.requirement == Requirement::Required) {
            return Err(Error::Missing {
                part: part.to_owned(),
                detail: "it is required, and no control group that this user may write has its controller".to_owned(),
                mend: cgroup::MEND.to_owned(),
            });
        }
    }
    Ok(())
}

/// What bubblewrap's commonest complaints mean.
fn explain(log: String) -> Error {
    let missing =
        |part: &str, mend: &str| Error::Missing { part: part.to_owned(), detail: log.clone(), mend: mend.to_owned() };
    if log.contains("failed to start") && log.contains("No such file") {
        return missing("bubblewrap", super::probe::MEND_BWRAP);
    }
    if log.contains("new namespace") || log.contains("uid map") || log.contains("user namespaces") {
        return missing("user namespaces", super::probe::MEND_USERNS);
    }
    Error::Launch { log }
}
