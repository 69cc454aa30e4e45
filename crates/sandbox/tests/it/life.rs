//! Lives, deaths and take-overs.

use crate::rig::*;
use sandbox::{
    Error, ExitReason, Lease, Limit, Limits, LocalConfig, LocalProvider, Provider, Requirement, SandboxSpec, Status,
};
use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

#[tokio::test]
async fn a_program_runs_and_its_end_is_told() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let done = run(&sandbox, "echo out; echo err >&2; exit 3").await;
    assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!((done.status.code, done.status.signal, done.status.reason), (Some(3), None, ExitReason::Exited));
    let died = run(&sandbox, "kill -TERM $$").await;
    assert_eq!((died.status.code, died.status.signal), (None, Some(15)));
    let missing = sandbox.exec(sandbox::ExecSpec::new(new_exec(), ["no-such-program"])).await.unwrap_err();
    assert!(matches!(&missing, Error::Start { detail } if detail.contains("no-such-program")), "{missing:?}");
    let mut nowhere = sh("true");
    nowhere.cwd = "/nowhere".to_owned();
    assert!(matches!(sandbox.exec(nowhere).await, Err(Error::Start { .. })));
}

#[tokio::test]
async fn an_exec_takes_everything_it_started_with_it() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    for by_kill in [false, true] {
        let mark = mark();
        let script = format!(
            "for i in 1 2 3; do setsid bash -c 'trap \"\" TERM HUP INT; while :; do sleep 0.1; done; : {mark}' & done; \
             disown -a; echo up; {}",
            if by_kill { "sleep 600" } else { "exit 0" }
        );
        let mut exec = sandbox.exec(sh(&script)).await.unwrap();
        await_output(&mut exec, "up").await;
        if by_kill {
            until("the children run", || processes_with(&mark).len() >= 4).await;
            exec.kill().await.unwrap();
        }
        let status = exec.wait().await.unwrap();
        assert_eq!(status.reason, if by_kill { ExitReason::Killed } else { ExitReason::Exited });
        assert_eq!(processes_with(&mark), Vec::<i32>::new(), "something outlived its exec");
    }
}

#[tokio::test]
async fn signals_reach_the_whole_process_group() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let mut exec =
        sandbox.exec(sh("trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.05; done")).await.unwrap();
    await_output(&mut exec, "up").await;
    exec.signal(2).await.unwrap();
    await_output(&mut exec, "caught").await;
    assert_eq!(exec.wait().await.unwrap().code, Some(5));
    exec.signal(2).await.unwrap();
    assert!(matches!(exec.signal(9999).await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn a_lease_that_runs_out_ends_everything_with_no_client_there() {
    let rig = Rig::new();
    let id = new_id();
    let sandbox =
        rig.provider.create(SandboxSpec::new(id, Lease { epoch: 1, ttl: Duration::from_secs(2) })).await.unwrap();
    let mark = mark();
    let mut exec = sandbox.exec(sh(&format!("setsid sleep 600 {mark} & echo up; sleep 600; : {mark}"))).await.unwrap();
    await_output(&mut exec, "up").await;
    let record = sandbox.record().clone();
    drop((exec, sandbox));
    until("the lease ends it", || processes_with(&mark).is_empty()).await;
    let shim = local(&record).shim.unwrap();
    until("the shim ends", || !exists(format!("/proc/{}", shim.pid))).await;
    let gone = rig.provider.adopt(&record, LEASE).await.err().unwrap();
    assert!(matches!(&gone, Error::Gone { reason } if reason.contains("lease")), "{gone:?}");
    let swept = rig.provider.sweep(&[id]).await.unwrap();
    assert_eq!(swept.dead, [id]);
    assert!(files(local(&record)).exists(), "the workspace of a kept sandbox went");
}

#[tokio::test]
async fn a_renewed_lease_holds() {
    let rig = Rig::new();
    let sandbox =
        rig.provider.create(SandboxSpec::new(new_id(), Lease { epoch: 1, ttl: Duration::from_secs(2) })).await.unwrap();
    sandbox.renew(Lease { epoch: 1, ttl: Duration::from_mins(5) }).await.unwrap();
    assert_eq!(say(&sandbox, "sleep 3; echo still here").await, "still here");
}

#[tokio::test]
async fn whoever_was_overtaken_can_look_but_not_touch() {
    let rig = Rig::new();
    let old = rig.sandbox().await;
    let mut exec = old.exec(sh("echo up; read line; echo got $line")).await.unwrap();
    await_output(&mut exec, "up").await;
    let new = rig.provider.adopt(old.record(), Lease { epoch: 2, ..LEASE }).await.unwrap();
    let stale = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::StaleEpoch { ours: 1, current: 2 })), "{result:?}");
    };
    stale(old.exec(sh("true")).await.map(drop));
    stale(old.renew(LEASE).await);
    stale(exec.kill().await);
    stale(exec.write_stdin(0, bytes("x\n")).await.map(drop));
    stale(old.kill_all().await);
    stale(old.write_file("/code/x", bytes("x"), 0o644).await);
    assert_eq!(old.list().await.unwrap().len(), 1);
    assert!(matches!(rig.provider.adopt(old.record(), LEASE).await.err(), Some(Error::StaleEpoch { .. })));
    say(&new, "true").await;
}

#[tokio::test]
async fn a_paused_workspace_is_continued_and_a_destroyed_one_is_gone_without_trace() {
    let rig = Rig::new();
    let id = new_id();
    let sandbox = rig.create(|spec| spec.id = id).await;
    say(&sandbox, "echo kept > /code/file; echo too > ~/file; sleep 600 & disown").await;
    let record = sandbox.record().clone();
    rig.provider.pause(&record).await.unwrap();
    rig.provider.pause(&record).await.unwrap();
    sandbox.closed().await;
    assert!(matches!(sandbox.list().await, Err(Error::Disconnected)));
    let again = rig.create(|spec| spec.id = id).await;
    assert_eq!(say(&again, "cat /code/file ~/file").await, "kept\ntoo");
    assert_eq!((sandbox.continued(), again.continued()), (false, true));
    let twice = rig.provider.create(SandboxSpec::new(id, LEASE)).await.err().unwrap();
    assert!(matches!(twice, Error::Invalid(_)), "{twice:?}");

    // A tree that a careless removal stumbles over.
    say(&again, "mkdir -p /code/a/b; touch /code/a/b/c; chmod 0 /code/a/b /code/a; ln -s / /code/link").await;
    let record = again.record().clone();
    for _ in 0..2 {
        rig.provider.destroy(&record).await.unwrap();
    }
    let record = local(&record);
    assert!(!exists(&record.dir) && !exists(record.dir.with_extension("json")));
    for group in &record.cgroups {
        assert!(!exists(group), "{} was left", group.display());
    }
    for process in [record.shim, record.monitor].into_iter().flatten() {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "a process was left: {state}");
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&id.to_string()), "a mount was left");
}

#[tokio::test]
async fn a_sweep_removes_what_nobody_knows_any_more() {
    let rig = Rig::new();
    let kept = rig.sandbox().await;
    let lost = rig.sandbox().await;
    let record = local(lost.record()).clone();
    let swept = rig.provider.sweep(&[local(kept.record()).id]).await.unwrap();
    assert_eq!((swept.removed, swept.dead), (vec![record.id], vec![]));
    assert!(!exists(&record.dir));
    say(&kept, "true").await;
}

#[tokio::test]
async fn a_sandbox_whose_server_died_before_writing_down_its_process_is_still_ended() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let mut record = local(sandbox.record()).clone();
    let (shim, monitor) = (record.shim.take().unwrap(), record.monitor.take().unwrap());
    record.cgroups.clear();
    rig.provider.destroy(&sandbox::Record::Local(record.clone())).await.unwrap();
    until("its processes end", || !exists(format!("/proc/{}", shim.pid)) && !exists(format!("/proc/{}", monitor.pid)))
        .await;
    assert!(!exists(&record.dir));
}

#[tokio::test]
async fn another_life_of_the_server_finds_it_and_a_foreign_record_is_refused() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let text = serde_json::to_string(sandbox.record()).unwrap();
    drop(sandbox);
    let second = LocalProvider::new(LocalConfig::new(rig.data.path())).unwrap();
    let record: sandbox::Record = serde_json::from_str(&text).unwrap();
    let again = second.adopt(&record, Lease { epoch: 2, ..LEASE }).await.unwrap();
    assert_eq!(say(&again, "echo $HOME").await, "/home/agent");
    let mut foreign = local(&record).clone();
    foreign.dir = rig.data.path().to_owned();
    assert!(rig.provider.destroy(&sandbox::Record::Local(foreign)).await.is_err(), "it would have removed anything");
}

#[tokio::test]
async fn a_required_limit_that_does_not_hold_starts_nothing() {
    if is_root() {
        return limits_hold_as_root().await;
    }
    let memory = Some(Limit { value: 1 << 30, requirement: Requirement::Required });
    let rig = Rig::with(|config| config.limits = Limits { memory, ..Limits::default() });
    let missing = rig.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err().unwrap();
    assert!(
        matches!(&missing, Error::Missing { part, mend, .. } if part == "memory limit" && !mend.is_empty()),
        "{missing:?}"
    );
    assert_eq!(std::fs::read_dir(rig.data.path().join("sandboxes")).unwrap().count(), 0);
}

async fn limits_hold_as_root() {
    let required = |value| Some(Limit { value, requirement: Requirement::Required });
    let limits = Limits { memory: required(256 << 20), pids: required(200), cpu: required(1000), ..Limits::default() };
    let rig = Rig::with(|config| config.limits = limits);
    let sandbox = rig.sandbox().await;
    let before = sandbox.oom_kills().await.unwrap();
    let eaten = run(&sandbox, "head -c 1G /dev/zero | tail -c 900M | wc -c; test ${PIPESTATUS[1]} = 0").await;
    assert!(!eaten.status.success(), "900 MB fit into 256");
    assert!(sandbox.oom_kills().await.unwrap() > before);
    assert_eq!(say(&sandbox, "echo alive").await, "alive", "the sandbox itself was hit");
}

#[tokio::test]
async fn a_fork_bomb_stays_within_its_number_and_leaves_the_shim_able_to_act() {
    let pids = Some(Limit { value: 60, requirement: Requirement::BestEffort });
    let rig = Rig::with(|config| config.limits = Limits { pids, ..Limits::default() });
    let sandbox = rig.sandbox().await;
    let mark = (1..=9).map(|_| rand::random_range('1'..='9')).collect::<String>();
    // A plain `sh` gives up at the first refusal and leaves what it has started.
    let script =
        format!("sh -c 'for i in $(seq 200); do sleep 600.{mark} & done' 2>/dev/null; echo up; exec sleep 600");
    let mut bomb = sandbox.exec(sh(&script)).await.unwrap();
    await_output(&mut bomb, "up").await;
    let started = processes_with(&format!("600.{mark}")).len();
    assert!((20..60).contains(&started), "{started} processes were started");
    bomb.kill().await.unwrap();
    bomb.wait().await.unwrap();
    assert_eq!(say(&sandbox, "echo alive").await, "alive");
}

#[tokio::test]
async fn a_data_directory_that_the_sandbox_cannot_reach_is_named() {
    if !is_root() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let inner = data.path().join("data");
    std::fs::create_dir(&inner).unwrap();
    std::fs::set_permissions(data.path(), Permissions::from_mode(0o700)).unwrap();
    let error = LocalProvider::new(LocalConfig::new(&inner)).unwrap_err();
    assert!(error.to_string().contains(&format!("chmod o+x {}", data.path().display())), "{error}");
}

#[tokio::test]
async fn the_doctor_tries_everything_and_leaves_nothing() {
    let rig = Rig::new();
    let report = rig.provider.probe().await;
    assert_ne!(report.get("git").unwrap().status, Status::Fail, "whatever holes it has");
    for name in ["sandbox", "overlay", "process limit"] {
        let check = report.get(name).unwrap();
        assert_eq!(check.status, Status::Ok, "{check:?}");
    }
    for name in ["memory limit", "processor limit", "disk limit", "uids"] {
        let check = report.get(name).unwrap();
        assert_eq!(check.status, if is_root() { Status::Ok } else { Status::Warn }, "{check:?}");
        assert_eq!(check.mend.is_some(), check.status != Status::Ok, "{check:?}");
    }
    let limits: Vec<_> = report.checks.iter().filter(|check| check.name.ends_with("limit")).cloned().collect();
    assert_eq!((limits.len(), rig.provider.limits().await.checks), (4, limits));
    assert_eq!(std::fs::read_dir(rig.data.path().join("sandboxes")).unwrap().count(), 0);
    assert_eq!(
        std::fs::read_dir(rig.data.path()).unwrap().count(),
        2,
        "something besides `bin` and `sandboxes` is left"
    );
}

#[tokio::test]
async fn the_doctor_says_which_part_keeps_a_sandbox_from_starting() {
    let rig = Rig::with(|config| config.bwrap = "/nonexistent/bwrap".into());
    let missing = rig.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err().unwrap();
    assert!(matches!(&missing, Error::Missing { part, .. } if part == "bubblewrap"), "{missing:?}");
    let report = rig.provider.probe().await;
    assert_eq!(report.status(), Status::Fail, "{report:?}");
    println!("{report:#?}");
    assert!(report.get("sandbox").unwrap().mend.as_deref().unwrap().contains("install"));
}
