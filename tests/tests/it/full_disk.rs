//! The disk of the record is full: the server says so, keeps what it has, and goes on once there is room.

use crate::{
    happy::two_files,
    scripts::{held_then, plan, script, step, turn, write, writes},
};
use product_tests::{Finished, Log, World};
use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];
const ENVIRONMENT: i32 = 4;
const WAITING: i32 = 3;

/// A file system of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// The disk of this world's record; none, which is said, where nothing may be mounted.
    #[expect(clippy::print_stderr, reason = "whoever reads the results should know what was not tried")]
    fn of(world: &mut World) -> Option<Self> {
        let dir = world.path().join("disk");
        std::fs::create_dir(&dir).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=6m,mode=700", "runyard-test"]).arg(&dir);
        if !rustix::process::geteuid().is_root() || !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a full disk needs the right to mount one");
            return None;
        }
        let url = format!("sqlite:{}", dir.join("record.db").display());
        world.environment.push(("RUNYARD_DATABASE_URL".into(), url));
        Some(Self(dir))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room that there is, to the last byte.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler()).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        let more = File::create(self.0.join("more")).and_then(|mut file| file.write_all(&[b'x'; 1 << 12]));
        assert_eq!(more.expect_err("it is full").kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it was full");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

/// What must be there for ever once it was seen.
fn assert_begins_with(log: &Log, before: &Log) {
    log.assert_whole();
    let seen = |log: &Log| log.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>();
    assert_eq!(seen(log)[..before.len()], seen(before), "what was acknowledged is still there");
}

/// A command that writes is refused in words that say what is wrong and what to do.
fn assert_says_that_it_is_full(finished: &Finished) {
    assert_eq!(finished.code, Some(ENVIRONMENT), "{}", finished.said());
    assert!(finished.stderr.contains("disk is full"), "{}", finished.said());
    assert!(finished.stderr.contains("make room"), "{}", finished.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_refused_in_words_while_the_disk_is_full_and_work_once_there_is_room() {
    let mut world = World::new(&two_files(), &FILES).await;
    let Some(disk) = SmallDisk::of(&mut world) else { return };
    let server = world.serve().await;
    world.run("Write two files", &["--json"]).ends().await.expect_code(WAITING);
    let before = world.log("1").await;

    disk.fill();
    // More than once: a connection that was refused must not stay in the transaction that the database took back.
    for _ in 0..3 {
        assert_says_that_it_is_full(&world.runyard(["session", "execute", "1", "all"]).await);
    }
    assert_eq!(world.log("1").await.outline(), before.outline(), "it is read, and nothing was done by halves");

    disk.make_room();
    world.runyard(["session", "execute", "1", "all", "--follow"]).await.expect_code(0);
    let log = world.log("1").await;
    assert_begins_with(&log, &before);
    assert_eq!((log.step("1"), log.step("2")), ("completed(changed)".into(), "completed(changed)".into()));
    assert_eq!(world.repository.pushed().len(), 2);
    world.assert_foreseen();
    server.killed().await;
}

/// The first step begins, waits for the test, and then writes its file.
fn held_step() -> String {
    let turns = [
        turn("I begin.", &[write("begun.txt", "begun\n")]),
        held_then("room", &[write("one.txt", "1\n")]),
        turn("It is written.", &[]),
    ];
    script(&[plan(crate::happy::RUNBOOK), step("1", "Write one", &turns), writes("2", "Write two", "two.txt", "2\n")])
}

async fn at_work_on(world: &World, disk: &SmallDisk) -> Log {
    world.run("Write two files", &["--json"]).ends().await.expect_code(WAITING);
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    world.wait_for("1", "the step has begun", |event| event.kind() == "tool_finished").await;
    let before = world.log("1").await;
    disk.fill();
    before
}

async fn assert_comes_to_its_end(world: &World, before: &Log) {
    world.until_idle("1").await;
    let log = world.log("1").await;
    assert_begins_with(&log, before);
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    assert_eq!(log.step("2"), "completed(changed)", "{}", log.outline());
    let branches = world.repository.pushed();
    assert_eq!(branches.len(), 2, "{branches:?}");
    assert_eq!(world.repository.show(&branches[1], "one.txt"), "1\n");
    assert_eq!(world.repository.show(&branches[1], "two.txt"), "2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_disk_fills_up_is_finished_once_there_is_room() {
    let mut world = World::new(&held_step(), &FILES).await;
    world.environment.push(("RUNYARD_RETRY_TIMES".into(), "100".into()));
    let Some(disk) = SmallDisk::of(&mut world) else { return };
    let mut server = world.serve().await;
    let before = at_work_on(&world, &disk).await;
    world.model.release("room");
    server.complains("disk is full").await;
    assert_says_that_it_is_full(&world.runyard(["session", "message", "1", "Are you there?"]).await);

    disk.make_room();
    assert_comes_to_its_end(&world, &before).await;
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_the_disk_is_full_loses_nothing() {
    let mut world = World::new(&held_step(), &FILES).await;
    let Some(disk) = SmallDisk::of(&mut world) else { return };
    let mut server = world.serve().await;
    let before = at_work_on(&world, &disk).await;
    world.model.release("room");
    server.complains("disk is full").await;
    server.killed().await;
    // One that starts now may come up or refuse, and says in either case what is wrong.
    let mut second = world.start(["serve"]);
    second.complains("disk is full").await;
    second.killed().await;

    disk.make_room();
    let third = world.serve().await;
    assert_comes_to_its_end(&world, &before).await;
    third.killed().await;
}

/// The disk is what these tests say it is.
#[tokio::test]
async fn a_small_disk_is_full_and_has_room_again() {
    let mut world = World::new(&two_files(), &FILES).await;
    let Some(disk) = SmallDisk::of(&mut world) else { return };
    disk.fill();
    disk.make_room();
    let probe: &Path = &disk.0.join("probe");
    std::fs::write(probe, vec![b'x'; 1 << 16]).expect("there is room");
}
