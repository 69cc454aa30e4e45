//! Programs inside that want out, want to stay, or want the next start to go elsewhere.

use crate::rig::*;
use sandbox::{ExitReason, Provider};
use std::{
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

#[tokio::test]
async fn planted_programs_get_no_right_that_their_owner_has_not() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let uid = say(&sandbox, "id -u").await;
    let plant = "for place in /code ~ /tmp /dev/shm; do cp /usr/bin/id $place/id; chmod 6755 $place/id; \
                 $place/id -u || echo refused; $place/id -g || echo refused; done 2> /dev/null";
    for line in say(&sandbox, plant).await.lines() {
        assert!(line == uid || line == "refused", "{line}");
    }
}

#[tokio::test]
async fn no_address_of_this_machine_is_reached() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let name = mark();
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    assert!(!run(&sandbox, &format!("grep -q {name} /proc/net/unix")).await.status.success(), "its name is seen");
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    // Where the way to a default route, a bridge, a neighbour or a cloud's data would be.
    let own = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut hosts: Vec<String> =
        own.lines().filter_map(|line| line.trim().strip_prefix("|-- ")).map(str::to_owned).collect();
    hosts.extend(["169.254.169.254", "172.17.0.1", "10.0.0.1", "127.0.0.1", "::1", "fe80::1"].map(str::to_owned));
    // Which stands for loopback, the only thing that there is.
    hosts.retain(|host| !host.starts_with("0."));
    hosts.sort();
    hosts.dedup();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "for host in {}; do for port in {port} 22 53 80 443 2375; do \
           (exec 3<> /dev/tcp/$host/$port) && echo reached $host $port; done; \
           (echo x > /dev/udp/$host/53) && [ $host != 127.0.0.1 ] && [ $host != ::1 ] && [ ${{host%%.*}} != 127 ] && echo sent $host; \
         done 2> /dev/null; true",
        hosts.join(" ")
    );
    assert_eq!(say(&sandbox, &script).await, "");
    assert!(listener.accept().is_err(), "somebody called");
    let routes = say(&sandbox, "tail -n +2 /proc/net/route; grep -v ' lo$' /proc/net/ipv6_route; true").await;
    assert_eq!(routes, "", "there is a way out");
}

#[tokio::test]
async fn a_program_that_will_not_end_ends() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let stubborn = [
        "trap '' TERM HUP INT QUIT; echo up; while :; do sleep 600; done",
        "echo up; kill -STOP $$; sleep 600",
        "(setsid bash -c 'kill -STOP $$') & echo up; kill -STOP 0; sleep 600",
        "trap '' TERM; mkfifo /tmp/f 2> /dev/null; echo up; exec cat /tmp/f",
    ];
    for script in stubborn {
        let mark = mark();
        let mut exec = sandbox.exec(sh(&format!("{script}; : {mark}"))).await.unwrap();
        await_output(&mut exec, "up").await;
        exec.kill().await.unwrap();
        assert_eq!(exec.wait().await.unwrap().reason, ExitReason::Killed, "{script}");
        assert_eq!(processes_with(&mark), Vec::<i32>::new(), "{script}");
    }
    let mut spec = sh("trap '' TERM; kill -STOP $$; sleep 600");
    spec.time_limit = Some(std::time::Duration::from_secs(1));
    let ended = sandbox.exec(spec).await.unwrap().wait().await.unwrap();
    assert_eq!(ended.reason, ExitReason::TimedOut, "a time limit holds for what stops itself");
}

#[tokio::test]
async fn the_keepers_survive_what_they_keep() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let other = sandbox.exec(sh("sleep 600")).await.unwrap();
    // Everything that can be signalled is, and a thousand dead children wait to be taken note of.
    let done = run(&sandbox, "for n in $(seq 1000); do (exit 0) & done; kill -KILL -1; kill -KILL 1; echo here").await;
    assert_eq!(done.stdout, b"here\n");
    assert_eq!(say(&sandbox, "ls -d /proc/[0-9]* | wc -l | xargs test 6 -gt; echo $?").await, "0", "the dead are left");
    assert!(sandbox.list().await.unwrap().iter().any(|exec| exec.id == other.id() && exec.status.is_none()));
    // Neither the shim nor the way out is a process that could be named from inside.
    for what in ["shim", "runyard", "bwrap"] {
        let found = run(&sandbox, &format!("cat /proc/[0-9]*/comm | grep -v bash | grep -i {what}")).await;
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let killed =
            run(&sandbox, "for p in /proc/[0-9]*; do [ ${p#/proc/} = $$ ] || kill -KILL ${p#/proc/}; done").await;
        drop(killed);
        assert_eq!(say(&sandbox, "echo alive").await, "alive", "{found}");
    }
}

#[tokio::test]
async fn links_planted_where_the_platform_goes_lead_nowhere() {
    let rig = Rig::new();
    let id = new_id();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().display().to_string();
    let sandbox = rig.create(|spec| spec.id = id).await;
    let names = [".git", ".claude", ".mcp.json", ".runyard", "CLAUDE.md", "x"];
    let targets = [target.as_str(), "/oldroot/etc", "../../../../..", "/proc/self/root/etc", "/proc/1/root"];
    for (number, to) in targets.iter().enumerate() {
        for name in names {
            say(&sandbox, &format!("ln -sfn {to} /code/{name}{number}; ln -sfn {to} ~/{name}{number}")).await;
        }
    }
    say(&sandbox, &format!("rm -rf ~/.claude; ln -s {target} ~/.claude; ln -s {target} ~/instructions.md")).await;
    // Another start on the same workspace, and files of ours written through each of them.
    rig.provider.pause(sandbox.record()).await.unwrap();
    let again = rig.create(|spec| spec.id = id).await;
    assert!(again.continued());
    for at in ["/code", "/home/agent"] {
        for number in 0..targets.len() {
            for name in names {
                let path = format!("{at}/{name}{number}/escaped");
                assert!(again.write_file(&path, bytes("x"), 0o644).await.is_err(), "{path} was written");
                assert!(again.read_file(&path, 100).await.is_err(), "{path} was read");
            }
        }
    }
    assert!(again.write_file("/home/agent/.claude/projects/x", bytes("x"), 0o644).await.is_err());
    again.write_file("/home/agent/instructions.md", bytes("x"), 0o644).await.unwrap();
    assert_eq!(say(&again, "test ! -L ~/instructions.md; cat ~/instructions.md").await, "x", "the link is replaced");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "something was written outside");
    rig.provider.destroy(again.record()).await.unwrap();
    assert!(exists(outside.path()), "a link was followed when the sandbox was removed");
}
