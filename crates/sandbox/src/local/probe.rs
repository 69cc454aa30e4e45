//! What this machine can do, for `runyard doctor`.
//!
//! Settings are only read to explain: whether things hold is found out by starting a sandbox and looking around in it.

use super::{
    LocalProvider, Shared,
    cgroup::{self, Hierarchies},
    config::{Limit, Requirement},
    disk,
    holes::{self, Version},
};
use crate::{Check, Error, ExecSpec, Lease, LocalConfig, Provider, Report, Sandbox, SandboxSpec, Status, Workspace};
use domain::{ExecId, SandboxId};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::process::Command;

pub(super) const MEND_BWRAP: &str = "install it: `apt install bubblewrap` or `dnf install bubblewrap`";
pub(super) const MEND_USERNS: &str = "allow them: `sysctl -w user.max_user_namespaces=15000`, and where it exists \
    `sysctl -w kernel.unprivileged_userns_clone=1`";

/// What lifts Ubuntu's restriction; `cargo xtask setup` prints the same file.
const APPARMOR: &str = concat!(
    "write this to /etc/apparmor.d/runyard and run `apparmor_parser -r /etc/apparmor.d/runyard`:\n",
    include_str!("../../apparmor/runyard")
);

/// The first kernel that counts processes per user namespace, which is how the process limit holds without groups.
const COUNTS_PER_NAMESPACE: Version = [5, 14, 0];
const GIT_NEEDED: Version = [2, 39, 0];

/// All checks, in the order to show them.
pub(super) async fn probe(provider: &LocalProvider) -> Report {
    let shared = &provider.shared;
    let mut checks = vec![bubblewrap(&shared.config).await, namespaces(), users(shared)];
    let (tried, walled) = trial(provider).await;
    checks.extend(tried);
    checks.extend(limits(shared, walled).await);
    checks.push(git(&shared.config).await);
    Report { checks }
}

fn check(name: &str, status: Status, detail: impl Into<String>, mend: Option<&str>) -> Check {
    Check { name: name.to_owned(), status, detail: detail.into(), mend: mend.map(str::to_owned) }
}

/// Fails unless every wall stands. Starts nothing; looks afresh each time.
pub(super) async fn require_all(shared: &Shared) -> Result<(), Error> {
    let config = &shared.config;
    let mut walls = vec![bubblewrap(config).await, users(shared), git(config).await];
    walls.extend(limits(shared, None).await);
    match walls.into_iter().find(|wall| wall.status != Status::Ok) {
        None => Ok(()),
        Some(open) => Err(Error::WallOpen {
            wall: open.name,
            detail: open.detail,
            mend: open.mend.unwrap_or_else(|| "see `runyard doctor`".to_owned()),
        }),
    }
}

async fn bubblewrap(config: &LocalConfig) -> Check {
    let path = &config.bwrap;
    let name = "bubblewrap";
    let said = version_of(path).await;
    let Some(version) = said.as_deref().and_then(version) else {
        return check(name, Status::Fail, format!("{} does not run", path.display()), Some(MEND_BWRAP));
    };
    let text = holes::dotted(version);
    if fs::metadata(path).is_ok_and(|found| found.mode() & 0o4000 != 0) {
        let detail = format!("{text}, installed setuid root, which is not needed and adds a way to become root");
        return check(name, Status::Warn, detail, Some("`chmod u-s` it, where user namespaces are allowed"));
    }
    holes::check(name, version, &config.accepted_holes).unwrap_or_else(|| check(name, Status::Ok, text, None))
}

/// What the settings say; whether they suffice is seen by the trial.
fn namespaces() -> Check {
    let name = "user namespaces";
    let setting = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let root = rustix::process::geteuid().is_root();
    if setting("/proc/sys/user/max_user_namespaces") == Some(0)
        || setting("/proc/sys/kernel/unprivileged_userns_clone") == Some(0)
    {
        return check(name, Status::Fail, "they are switched off", Some(MEND_USERNS));
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        let detail = "AppArmor restricts them; a profile lifts that for bubblewrap and the shim";
        return check(name, Status::Warn, detail, Some(APPARMOR));
    }
    check(name, Status::Ok, if root { "allowed; sandboxes drop to uids of their own" } else { "allowed" }, None)
}

fn users(shared: &Shared) -> Check {
    let name = "uids";
    if !shared.root {
        let detail = "all sandboxes have this user's uid: what holds them apart is their namespaces alone";
        return check(name, Status::Warn, detail, Some("run the server as root, so that each sandbox gets its own"));
    }
    let (first, last) = (*shared.config.uids.start(), *shared.config.uids.end());
    let text = format!("one of {first} to {last} for each sandbox");
    for file in ["/etc/subuid", "/etc/subgid"] {
        let ranges = fs::read_to_string(file).unwrap_or_default();
        for line in ranges.lines() {
            let mut fields = line.split(':').skip(1).map_while(|field| field.parse::<u64>().ok());
            if let (Some(start), Some(count)) = (fields.next(), fields.next())
                && start <= u64::from(last)
                && start.saturating_add(count) > u64::from(first)
            {
                let detail = format!("{text}, of which {file} gives some to somebody else: `{line}`");
                return check(name, Status::Warn, detail, Some("set another range in the configuration"));
            }
        }
    }
    check(name, Status::Ok, text, None)
}

/// Starts a sandbox over a small base and looks around in it.
///
/// The second value tells whether it had a disk of its own, if it could be started.
async fn trial(provider: &LocalProvider) -> (Vec<Check>, Option<bool>) {
    let shared = &provider.shared;
    let start = Instant::now();
    let id = SandboxId(uuid::Builder::from_random_bytes(rand::random()).into_uuid());
    let base = shared.config.data_dir.join(format!(".probe-{id}"));
    let made = super::layout::make_passage(&base, 0o755).and_then(|()| fs::write(base.join("seen"), "seen"));
    if let Err(error) = made {
        let detail = format!("failed to write {}: {error}", base.display());
        return (vec![check("sandbox", Status::Fail, detail, None)], None);
    }
    let mut spec = SandboxSpec::new(id, Lease { epoch: 1, ttl: Duration::from_mins(1) });
    spec.base = Some(base.clone());
    let created = provider.create(spec).await;
    let checks = match &created {
        Ok(sandbox) => vec![isolation(sandbox, start).await, overlay(sandbox).await],
        Err(error) => vec![failure(error)],
    };
    let walled = created.as_ref().ok().map(|sandbox| {
        let crate::Record::Local(record) = sandbox.record();
        record.disk
    });
    if let Ok(sandbox) = created
        && let Err(error) = provider.destroy(sandbox.record()).await
    {
        tracing::warn!(%error, "a trial sandbox was left behind");
    }
    let _ = fs::remove_dir_all(&base);
    (checks, walled)
}

fn failure(error: &Error) -> Check {
    let mend = match error {
        Error::Missing { mend, .. } => Some(mend.as_str()),
        _ => None,
    };
    check("sandbox", Status::Fail, format!("none could be started: {error}"), mend)
}

async fn isolation(sandbox: &Arc<dyn Sandbox>, start: Instant) -> Check {
    let name = "sandbox";
    let status = match look(sandbox, &["cat", "/proc/self/status"]).await {
        Ok(status) => status,
        Err(error) => return check(name, Status::Fail, format!("nothing can be run in it: {error}"), None),
    };
    let took = start.elapsed().as_millis();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let uid = field("Uid").and_then(|uids| uids.split_whitespace().next());
    let wanted =
        [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000")];
    for (what, value) in wanted {
        if field(what) != Some(value) {
            return check(name, Status::Fail, format!("{what} is {:?} in it", field(what)), None);
        }
    }
    if uid.is_none_or(|uid| uid == "0") {
        return check(name, Status::Fail, "programs in it have uid 0", None);
    }
    check(name, Status::Ok, format!("one was started in {took} ms: no capabilities, filtered system calls"), None)
}

async fn overlay(sandbox: &Arc<dyn Sandbox>) -> Check {
    let name = "overlay";
    let seen = look(sandbox, &["cat", "/code/seen"]).await.is_ok_and(|text| text == "seen");
    if sandbox.workspace() == Workspace::Overlay && seen {
        return check(name, Status::Ok, "workspaces share one checkout per commit", None);
    }
    let detail = "it cannot be mounted: each workspace is checked out anew, which takes longer and more disk";
    check(name, Status::Warn, detail, Some("use Linux 5.19 or newer (5.11 as an ordinary user) and ext4, xfs or btrfs"))
}

async fn look(sandbox: &Arc<dyn Sandbox>, argv: &[&str]) -> Result<String, Error> {
    let id = ExecId(uuid::Builder::from_random_bytes(rand::random()).into_uuid());
    let mut spec = ExecSpec::new(id, argv.iter().copied());
    spec.time_limit = Some(Duration::from_secs(20));
    let done = sandbox.exec(spec).await?.run_to_end(64 << 10).await?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Whether the configured limits hold, tried on groups that are removed again. `walled` tells whether a sandbox was seen
/// to have a disk of its own.
pub(super) async fn limits(shared: &Shared, walled: Option<bool>) -> Vec<Check> {
    let limits = shared.config.limits;
    let root = shared.root;
    let id = format!("probe-{}", uuid::Builder::from_random_bytes(rand::random()).into_uuid());
    let tried = super::blocking(move || {
        let hierarchies = Hierarchies::detect(root);
        let groups = hierarchies.make(&id, &limits);
        cgroup::remove(&groups.dirs, Duration::from_secs(2));
        Ok((hierarchies.describe(), groups))
    });
    let (kind, groups) = tried.await.unwrap_or_default();
    let kernel: Version = version(rustix::system::uname().release().to_string_lossy().as_ref()).unwrap_or_default();
    let pids_without = (kernel >= COUNTS_PER_NAMESPACE).then_some("counted per user namespace");
    vec![
        limit("memory limit", limits.memory, groups.memory, &kind, "only each process is limited, not the sandbox"),
        match pids_without {
            Some(how) if !groups.pids && limits.pids.is_some_and(best_effort) => {
                check("process limit", Status::Ok, format!("holds for each sandbox ({how})"), None)
            }
            _ => limit("process limit", limits.pids, groups.pids, &kind, "it counts all processes of this user"),
        },
        limit("processor limit", limits.cpu, groups.cpu, &kind, "there are only time limits"),
        disk_limit(limits.disk, disk::possible(shared.root), walled),
    ]
}

fn best_effort(limit: Limit) -> bool {
    limit.requirement == Requirement::BestEffort
}

fn limit(name: &str, limit: Option<Limit>, held: bool, kind: &str, otherwise: &str) -> Check {
    match limit {
        None => check(name, Status::Ok, "none is set", None),
        Some(_) if held => check(name, Status::Ok, format!("holds for each sandbox (control groups {kind})"), None),
        Some(limit) => {
            let status = if best_effort(limit) { Status::Warn } else { Status::Fail };
            let detail = format!("does not hold for a sandbox as a whole (control groups: {kind}): {otherwise}");
            check(name, status, detail, Some(cgroup::MEND))
        }
    }
}

fn disk_limit(limit: Option<Limit>, possible: Result<(), &'static str>, walled: Option<bool>) -> Check {
    let name = "disk limit";
    let why = match (limit, possible, walled) {
        (None, _, _) => return check(name, Status::Ok, "none is set", None),
        (Some(_), Ok(()), None | Some(true)) => {
            return check(name, Status::Ok, "holds for each sandbox (a file system of its own)", None);
        }
        (Some(_), Err(why), _) => why,
        (Some(_), Ok(()), Some(false)) => "this machine cannot mount it",
    };
    let status = if limit.is_some_and(best_effort) { Status::Warn } else { Status::Fail };
    let detail = format!(
        "a sandbox has no file system of its own ({why}): what it keeps is measured now and then, and who goes on \
         writing is stopped late"
    );
    check(name, status, detail, Some(disk::MEND))
}

async fn git(config: &LocalConfig) -> Check {
    let mend = format!("install git {} or newer", holes::dotted(GIT_NEEDED));
    match version_of(&config.git).await.as_deref().and_then(version) {
        Some(found) if found >= GIT_NEEDED => holes::check("git", found, &config.accepted_holes)
            .unwrap_or_else(|| check("git", Status::Ok, holes::dotted(found), None)),
        Some(found) => check("git", Status::Fail, format!("{} is too old", holes::dotted(found)), Some(&mend)),
        None => check("git", Status::Fail, "it does not run", Some(&mend)),
    }
}

async fn version_of(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let run = super::launch::spawn(&mut command).await.ok()?.wait_with_output();
    let output = tokio::time::timeout(Duration::from_secs(10), run).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first `N.N` or `N.N.N` in a text.
fn version(text: &str) -> Option<Version> {
    let word = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let mut numbers = word.split(|end: char| !end.is_ascii_digit()).map_while(|number| number.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_bubblewrap_and_the_shim_outside_and_inside() {
        use crate::local::binary::PREFIX;
        let inside = shim::proto::SHIM_INSIDE.trim_start_matches('/');
        assert!(APPARMOR.contains("/usr/bin/bwrap "), "{APPARMOR}");
        assert!(APPARMOR.contains(&format!("/{{{inside},**/bin/{PREFIX}*}} ")), "{APPARMOR}");
    }

    #[test]
    fn versions_are_read_as_programs_print_them() {
        assert_eq!(version("bubblewrap 0.8.0\n"), Some([0, 8, 0]));
        assert_eq!(version("git version 2.39.5 (Apple)"), Some([2, 39, 5]));
        assert_eq!(version("6.18.44-fc-v595"), Some([6, 18, 44]));
        assert_eq!(version("no number"), None);
    }

    #[tokio::test]
    async fn an_absent_bubblewrap_fails_with_the_mend() {
        let found = bubblewrap(&LocalConfig { bwrap: "/nonexistent/bwrap".into(), ..LocalConfig::new("/") }).await;
        assert_eq!((found.status, found.mend.as_deref()), (Status::Fail, Some(MEND_BWRAP)));
    }

    #[tokio::test]
    async fn an_old_bubblewrap_is_named_with_its_hole() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let stub = home.path().join("bwrap");
        for (said, status) in [("0.8.0", Status::Warn), ("0.12.1", Status::Ok), ("1.0.0", Status::Ok)] {
            fs::write(&stub, format!("#!/bin/sh\necho bubblewrap {said}\n")).unwrap();
            fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
            let found = bubblewrap(&LocalConfig { bwrap: stub.clone(), ..LocalConfig::new("/") }).await;
            assert_eq!(found.status, status, "{found:?}");
            assert_eq!(found.detail.contains("CVE-2026-87766"), status == Status::Warn);
        }
    }

    #[test]
    fn a_required_limit_that_does_not_hold_is_a_failure() {
        let required = Limit { value: 1, requirement: Requirement::Required };
        let best = Limit { value: 1, requirement: Requirement::BestEffort };
        assert_eq!(limit("x", Some(required), false, "none", "y").status, Status::Fail);
        assert_eq!(limit("x", Some(best), false, "none", "y").status, Status::Warn);
        assert_eq!(limit("x", Some(required), true, "v2", "y").status, Status::Ok);
    }
}
