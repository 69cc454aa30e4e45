//! Sandboxes that take all they can get: each limit holds, its reason is told, and nobody else notices.

use crate::rig::*;
use sandbox::{
    Error, ExecSpec, ExitReason, Finished, Lease, Limit, Limits, Provider, Reached, Record, Requirement, Sandbox,
    SandboxSpec,
};
use std::{path::Path, sync::Arc, time::Duration};

const MIB: u64 = 1 << 20;

fn best_effort(value: u64) -> Limit {
    Limit { value, requirement: Requirement::BestEffort }
}

fn required(value: u64) -> Limit {
    Limit { value, requirement: Requirement::Required }
}

fn small_disk(value: u64, files: u64) -> Rig {
    Rig::with(|config| config.limits = Limits { disk: Some(best_effort(value)), files, ..Limits::default() })
}

/// Loop devices over files below `dir`.
fn loops_below(dir: &Path) -> Vec<String> {
    let devices = std::fs::read_dir("/sys/block").unwrap().flatten();
    let files = devices.filter_map(|device| std::fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.filter(|file| Path::new(file.trim_end()).starts_with(dir)).collect()
}

/// What `df` says of the workspace: bytes in all and free.
async fn space(sandbox: &Arc<dyn Sandbox>) -> (u64, u64) {
    let said = say(sandbox, "df --output=size,avail -B1 /code | tail -1").await;
    let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Fills a directory until it is refused.
async fn fill(sandbox: &Arc<dyn Sandbox>, dir: &str) -> Finished {
    run(sandbox, &format!("cat /dev/zero > {dir}/filler; rc=$?; ls -l {dir}/filler >&2; exit $rc")).await
}

#[tokio::test]
async fn a_full_disk_is_full_for_its_own_sandbox_alone() {
    if !is_root() {
        return;
    }
    let rig = small_disk(64 * MIB, 5000);
    let (greedy, neighbour) = (rig.sandbox().await, rig.sandbox().await);
    assert!(local(greedy.record()).disk, "it has no disk of its own");
    let calm = run(&greedy, "false").await;
    assert_eq!(calm.reached, Reached::default());
    for dir in ["/code", "/home/agent"] {
        let full = fill(&greedy, dir).await;
        let said = String::from_utf8_lossy(&full.stderr);
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!((full.status.reason, full.reached.words().as_deref()), (ExitReason::Exited, Some("disk")));
        // The shim, its spool and the host's disk are not concerned, and neither is anybody else.
        assert_eq!(say(&greedy, "seq 200000 | wc -l").await, "200000");
        assert_eq!(say(&neighbour, "echo free > /code/x && cat /code/x").await, "free");
        say(&greedy, &format!("rm {dir}/filler")).await;
    }
    let large = small_disk(300 * MIB, 1_000_000);
    let base = large.data.path().join("base");
    std::fs::create_dir(&base).unwrap();
    let large = large.create(|spec| spec.base = Some(base)).await;
    let tidy = run(&large, "cat /dev/zero > /code/filler || { sleep 1; rm /code/filler; exit 9; }").await;
    assert_eq!((tidy.status.code, tidy.reached.disk), (Some(9), true), "it was full for a second");
    // Sparse files and hard links take what they take.
    say(&greedy, "truncate -s 1T /code/sparse && ln /code/sparse /code/again && rm /code/sparse /code/again").await;
    let many = run(&greedy, "cd /code && for i in $(seq 6000); do : > f$i || exit 9; done 2>&1 | tail -1").await;
    assert!(String::from_utf8_lossy(&many.stdout).contains("No space left"), "5000 files may be made, not 6000");
    assert!(many.reached.disk, "a disk that is full of files is full");
    say(&greedy, "find /code -name 'f*' -delete").await;
    let (size, avail) = space(&greedy).await;
    assert!(size <= 64 * MIB && avail > size / 2, "{avail} of {size}");
}

#[tokio::test]
async fn memory_that_looks_like_a_disk_is_small_too() {
    let rig = Rig::with(|config| (config.tmp_size, config.shm_size) = (8 * MIB, 4 * MIB));
    let sandbox = rig.sandbox().await;
    for dir in ["/tmp", "/dev/shm"] {
        let full = fill(&sandbox, dir).await;
        assert!(String::from_utf8_lossy(&full.stderr).contains("No space left"), "{dir}: {full:?}");
        assert!(full.reached.disk, "{dir}");
        say(&sandbox, &format!("rm {dir}/filler")).await;
    }
    for dir in ["/", "/dev", "/run", "/etc", "/opt", "/usr", "/proc", "/run/egress"] {
        let refused = run(&sandbox, &format!("echo x > {dir}/filler")).await;
        assert!(!refused.status.success(), "{dir} can be written");
    }
}

#[tokio::test]
async fn a_disk_outlives_its_server_and_a_pause_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let rig = small_disk(64 * MIB, 5000);
    let sandbox = rig.sandbox().await;
    let id = local(sandbox.record()).id;
    say(&sandbox, "echo kept > /code/kept && chmod 700 /code && head -c 20M /dev/urandom > /home/agent/much").await;
    let sum = say(&sandbox, "sha256sum < /home/agent/much").await;
    let record = sandbox.record().clone();
    drop(sandbox);
    let adopted = rig.provider.adopt(&record, Lease { epoch: 2, ..LEASE }).await.unwrap();
    assert_eq!(say(&adopted, "cat /code/kept").await, "kept");
    drop(adopted);
    // Started again at once: the former mount may still be writing back, and two at a time would destroy it.
    for epoch in 3..6 {
        rig.provider.pause(&record).await.unwrap();
        let again = rig.provider.create(SandboxSpec::new(id, Lease { epoch, ..LEASE })).await.unwrap();
        assert!(again.continued());
        assert_eq!(say(&again, "cat /code/kept; sha256sum < /home/agent/much").await, format!("kept\n{sum}"));
        say(&again, "head -c 5M /dev/urandom > /home/agent/more; ls -d /code/kept").await;
    }
    assert!(!loops_below(rig.data.path()).is_empty(), "this test looks in the wrong place");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&id.to_string()), "the host sees the mount");
    rig.provider.destroy(&record).await.unwrap();
    assert!(!exists(&local(&record).dir));
    until("its loop device is given back", || loops_below(rig.data.path()).is_empty()).await;
}

#[tokio::test]
async fn what_a_crash_left_half_made_is_made_anew_and_what_it_left_dirty_is_mended() {
    if !is_root() {
        return;
    }
    let rig = small_disk(64 * MIB, 5000);
    let sandbox = rig.sandbox().await;
    let record = local(sandbox.record()).clone();
    say(&sandbox, "echo kept > /code/kept && sync").await;
    // As a machine without power leaves it: the blocks of a mounted file system.
    let torn = std::fs::read(record.dir.join("disk.img")).unwrap();
    drop(sandbox);
    rig.provider.pause(&Record::Local(record.clone())).await.unwrap();
    until("the disk is free", || loops_below(rig.data.path()).is_empty()).await;
    std::fs::write(record.dir.join("disk.img"), torn).unwrap();
    let again = rig.provider.create(SandboxSpec::new(record.id, Lease { epoch: 2, ..LEASE })).await.unwrap();
    assert_eq!(say(&again, "cat /code/kept").await, "kept");
    rig.provider.pause(&Record::Local(record.clone())).await.unwrap();
    // A launcher that was killed while it made the file system.
    std::fs::remove_file(record.dir.join("disk.img")).unwrap();
    std::fs::write(record.dir.join("disk.new"), "half").unwrap();
    let fresh = rig.provider.create(SandboxSpec::new(record.id, Lease { epoch: 3, ..LEASE })).await.unwrap();
    assert!(!fresh.continued(), "there was nothing to go on with");
    assert_eq!(say(&fresh, "ls /code | wc -l").await, "0");
}

#[tokio::test]
async fn a_required_disk_limit_is_set_aside_or_refused() {
    let limits = |value| Limits { disk: Some(required(value)), ..Limits::default() };
    if !is_root() {
        let rig = Rig::with(|config| config.limits = limits(64 * MIB));
        let missing = rig.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err().unwrap();
        assert!(matches!(&missing, Error::Missing { part, .. } if part == "disk limit"), "{missing:?}");
        return;
    }
    let rig = Rig::with(|config| config.limits = limits(64 * MIB));
    let sandbox = rig.sandbox().await;
    let image = std::fs::metadata(local(sandbox.record()).dir.join("disk.img")).unwrap();
    let taken = std::os::unix::fs::MetadataExt::blocks(&image) * 512;
    assert!(taken >= 64 * MIB, "{taken} bytes are set aside");
    let absurd = Rig::with(|config| config.limits = limits(1 << 43));
    let refused = absurd.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err().unwrap();
    assert!(matches!(&refused, Error::NoRoom { mend, .. } if mend.contains("sandbox.limits.disk")), "{refused:?}");
    assert_eq!(std::fs::read_dir(absurd.data.path().join("sandboxes")).unwrap().count(), 0);
}

#[tokio::test]
async fn without_room_on_the_servers_disk_no_sandbox_is_made() {
    let floor = Rig::with(|config| config.min_free_disk = 1 << 60);
    let refused = floor.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err().unwrap();
    assert!(matches!(&refused, Error::NoRoom { mend, .. } if mend.contains("sandbox.min_free_disk")), "{refused:?}");
    assert_eq!(std::fs::read_dir(floor.data.path().join("sandboxes")).unwrap().count(), 0);

    let together = Rig::with(|config| config.total_disk = Some(30 * MIB));
    let first = together.sandbox().await;
    say(&first, "head -c 40M /dev/urandom > /code/much && sync /code/much").await;
    let refused = together.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err().unwrap();
    assert!(matches!(&refused, Error::NoRoom { mend, .. } if mend.contains("sandbox.total_disk")), "{refused:?}");
    // What there is may be started again.
    let id = local(first.record()).id;
    together.provider.pause(first.record()).await.unwrap();
    together.provider.create(SandboxSpec::new(id, Lease { epoch: 2, ..LEASE })).await.unwrap();
}

#[tokio::test]
async fn who_goes_on_writing_while_the_servers_disk_is_nearly_full_is_stopped_and_others_are_not() {
    let rig = Rig::with(|config| config.min_free_disk = 0);
    let record = {
        let sandbox = rig.sandbox().await;
        let record = local(sandbox.record()).clone();
        rig.provider.pause(&Record::Local(record.clone())).await.unwrap();
        record
    };
    // From now on the disk counts as nearly full; what is there already may still be started.
    let full = Rig::beside(&rig, |config| config.min_free_disk = 1 << 60);
    let sandbox = full.provider.create(SandboxSpec::new(record.id, Lease { epoch: 2, ..LEASE })).await.unwrap();
    let mut quiet = sandbox.exec(sh("echo up; read; echo done")).await.unwrap();
    await_output(&mut quiet, "up").await;
    assert_eq!(say(&sandbox, "echo little > /code/x; cat /code/x").await, "little");
    drop(quiet);
    let greedy =
        run(&sandbox, "for i in 1 2 3 4 5 6; do head -c 30M /dev/zero > /code/f$i; sleep 0.5; done; sleep 600").await;
    assert_eq!((greedy.status.reason, greedy.reached.disk), (ExitReason::HostDiskFull, true));
    assert_eq!(say(&sandbox, "rm /code/f*; echo tidy").await, "tidy");
}

#[tokio::test]
async fn without_a_disk_of_its_own_what_is_kept_is_measured() {
    if is_root() {
        return;
    }
    let rig = small_disk(40 * MIB, 100_000);
    let sandbox = rig.sandbox().await;
    let greedy = run(&sandbox, "head -c 80M /dev/zero > /code/much; sleep 600").await;
    assert_eq!((greedy.status.reason, greedy.reached.words().as_deref()), (ExitReason::DiskQuota, Some("disk")));
    assert_eq!(say(&sandbox, "rm /code/much; echo tidy").await, "tidy");
    let rig = small_disk(40 * MIB, 50);
    let sandbox = rig.sandbox().await;
    let greedy = run(&sandbox, "cd /code; for i in $(seq 200); do : > f$i; done; sleep 600").await;
    assert_eq!(greedy.status.reason, ExitReason::DiskQuota);
}

#[tokio::test]
async fn memory_runs_out_for_who_takes_it_and_for_nobody_else() {
    if !is_root() {
        return;
    }
    let limits = Limits { memory: Some(required(128 * MIB)), ..Limits::default() };
    let rig = Rig::with(|config| (config.limits, config.tmp_size, config.shm_size) = (limits, 1 << 30, 1 << 30));
    let (greedy, neighbour) = (rig.sandbox().await, rig.sandbox().await);
    let beside = neighbour.exec(sh("sleep 600")).await.unwrap();
    let bombs = [
        // One large piece, and many small ones in one process and in many.
        "head -c 1G /dev/zero | tail -c 900M | wc -c; test ${PIPESTATUS[1]} = 0",
        "perl -e 'my @all; while (1) { push @all, \"x\" x 4096 }'",
        "for i in $(seq 40); do perl -e 'my $all = \"x\" x 20_000_000; sleep 600' & done; wait -n; exit $?",
    ];
    for bomb in bombs {
        let end = run(&greedy, bomb).await;
        assert!(!end.status.success(), "{bomb} fitted: {end:?}");
        assert_eq!(end.reached.words().as_deref(), Some("memory"), "{bomb}: {end:?}");
        assert_eq!(say(&greedy, "echo alive").await, "alive", "{bomb} hit the shim");
    }
    // Memory in the guise of files outlives who wrote them, so it is less than all: the next program still starts.
    for dir in ["/tmp", "/dev/shm"] {
        let full = fill(&greedy, dir).await;
        assert!(String::from_utf8_lossy(&full.stderr).contains("No space left"), "{dir}: {full:?}");
    }
    assert_eq!(say(&greedy, "echo alive").await, "alive");
    say(&greedy, "rm /tmp/filler /dev/shm/filler").await;
    // What the kernel keeps for them is theirs: reading a large file is no reason to die.
    assert_eq!(say(&greedy, "head -c 400M /dev/zero > /code/large; wc -c < /code/large").await, "419430400");
    assert_eq!(say(&neighbour, "echo alive").await, "alive");
    beside.kill().await.unwrap();
    let status = beside.wait().await.unwrap();
    assert_eq!((status.reason, beside.reached(&status)), (ExitReason::Killed, Reached::default()));
}

#[tokio::test]
async fn bombs_of_processes_and_of_threads_stay_within_their_number() {
    let pids = Some(best_effort(80));
    let rig = Rig::with(|config| config.limits = Limits { pids, ..Limits::default() });
    for bomb in [
        ":(){ :|:& };: 2>/dev/null; sleep 1; exit 7",
        "perl -e 'while (1) { fork }' 2>/dev/null & perl -e 'while (1) { fork }' 2>/dev/null & sleep 1; exit 7",
    ] {
        let sandbox = rig.sandbox().await;
        let mut spec = sh(bomb);
        spec.time_limit = Some(Duration::from_secs(20));
        let end = sandbox.exec(spec).await.unwrap().run_to_end(1 << 20).await.unwrap();
        assert!(!end.status.success(), "{bomb}: {end:?}");
        if is_root() {
            assert_eq!(end.reached.words().as_deref(), Some("processes"), "{bomb}: {end:?}");
        }
        assert_eq!(say(&sandbox, "echo alive").await, "alive", "{bomb}");
    }
}

#[tokio::test]
async fn many_that_spin_get_their_share_together() {
    if !is_root() {
        return;
    }
    let limits = Limits { cpu: Some(required(300)), ..Limits::default() };
    let rig = Rig::with(|config| config.limits = limits);
    let sandbox = rig.sandbox().await;
    // 64 of them, some with other priorities, for a time on their own clock: what they used is asked of the kernel.
    let spin = "for i in $(seq 64); do (nice -n -20 true; while :; do :; done) 2>/dev/null & done; sleep 4";
    let group = local(sandbox.record()).cgroups.iter().find(|dir| dir.join("cpu.stat").exists()).unwrap().clone();
    let used = || {
        let v1 =
            std::fs::read_to_string(group.join("cpuacct.usage")).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let v2 = std::fs::read_to_string(group.join("cpu.stat")).unwrap();
        let v2 = v2.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<u64>().ok()).map(|us| us * 1000);
        v1.or(v2).unwrap()
    };
    let start = std::time::Instant::now();
    let before = used();
    let mut spec = ExecSpec::new(new_exec(), ["/bin/bash", "-c", spin]);
    spec.time_limit = Some(Duration::from_mins(1));
    sandbox.exec(spec).await.unwrap().wait().await.unwrap();
    let took = start.elapsed();
    let share = Duration::from_nanos(used() - before).as_secs_f64() / took.as_secs_f64();
    assert!(share < 0.36, "they used {share} processors of 0.3");
    assert_eq!(say(&sandbox, "echo alive").await, "alive");
}
