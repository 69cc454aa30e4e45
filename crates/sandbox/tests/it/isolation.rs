//! What a sandbox cannot see or do.

use crate::rig::*;
use sandbox::{ExecSpec, Mount, Sandbox};
use std::{collections::BTreeMap, sync::Arc};

#[tokio::test]
async fn no_right_is_left() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let status = say(&sandbox, "cat /proc/self/status").await;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    let uid = local(sandbox.record()).uid;
    assert_ne!(uid, 0);
    assert_eq!(field("Uid"), vec![uid.to_string(); 4].join("\t"));
    assert_eq!(say(&sandbox, "id -un; umask").await, "agent\n0022");
}

#[tokio::test]
async fn the_system_calls_that_lead_out_are_refused() {
    let rig = Rig::new();
    let answers = probe(&rig, false).await;
    let expected = BTreeMap::from(
        [
            ("unshare user", "EPERM"),
            ("unshare mount", "EPERM"),
            ("setns", "EPERM"),
            ("clone user", "EPERM"),
            ("clone3", "ENOSYS"),
            ("mount", "EPERM"),
            ("umount", "EPERM"),
            ("pivot_root", "EPERM"),
            ("chroot", "EPERM"),
            ("open_tree", "EPERM"),
            ("fsopen", "EPERM"),
            ("mount_setattr", "EPERM"),
            ("ptrace", "EPERM"),
            ("process_vm_readv", "EPERM"),
            ("pidfd_getfd", "EPERM"),
            ("bpf", "EPERM"),
            ("perf_event_open", "EPERM"),
            ("keyctl", "EPERM"),
            ("add_key", "EPERM"),
            ("io_uring_setup", "ENOSYS"),
            ("userfaultfd", "ENOSYS"),
            ("open_by_handle_at", "EPERM"),
            ("fanotify_init", "EPERM"),
            ("init_module", "EPERM"),
            ("kexec_load", "EPERM"),
            ("reboot", "EPERM"),
            ("settimeofday", "EPERM"),
            ("sethostname", "EPERM"),
            ("syslog", "EPERM"),
            ("setuid 0", "EINVAL"),
            ("mknod", "EPERM"),
            ("socket vsock", "EPERM"),
            ("socket alg", "EPERM"),
            ("socket packet", "EPERM"),
            ("socket raw", "EPERM"),
            ("socket netlink audit", "EPERM"),
            ("socketpair tipc", "EPERM"),
            ("socket unix", "ok"),
            ("socket inet", "ok"),
            ("socket netlink route", "ok"),
            ("ioctl TIOCSTI", "EPERM"),
            ("ioctl TIOCSTI high bits", "EPERM"),
            ("ioctl TIOCLINUX", "EPERM"),
            ("kill 1", "ok"),
            ("still here", "ok"),
        ]
        .map(|(name, answer)| (name.to_owned(), answer.to_owned())),
    );
    assert_eq!(answers, expected);
    let traced = probe(&rig, true).await;
    assert_eq!(traced["ptrace"], "ok");
}

/// Runs [`inside`] in a sandbox.
async fn probe(rig: &Rig, allow_ptrace: bool) -> BTreeMap<String, String> {
    let program = rig.data.path().join("probe");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mount = Mount { host: program, inside: "/opt/probe".into() };
    let sandbox = rig.create(|spec| spec.mounts.push(mount)).await;
    let test = "isolation::inside";
    let mut spec = ExecSpec::new(new_exec(), ["/opt/probe", test, "--exact", "--nocapture", "--test-threads=1"]);
    spec.env.push((INSIDE.to_owned(), "yes".to_owned()));
    spec.allow_ptrace = allow_ptrace;
    let done = sandbox.exec(spec).await.unwrap().run_to_end(1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}");
    text.lines()
        .filter_map(|line| line.strip_prefix("ANSWER ")?.split_once(": "))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// Set for [`inside`] where it is run by [`probe`]; nowhere else does it try anything.
const INSIDE: &str = "RUNYARD_TEST_INSIDE";

#[test]
#[expect(unsafe_code, reason = "system calls are tried as a hostile program would")]
fn inside() {
    fn answer(name: &str, result: i64) {
        let error = std::io::Error::last_os_error().raw_os_error();
        let text = match error {
            _ if result >= 0 => "ok",
            Some(libc::EPERM) => "EPERM",
            Some(libc::ENOSYS) => "ENOSYS",
            Some(libc::EINVAL) => "EINVAL",
            Some(libc::EACCES) => "EACCES",
            Some(libc::ENOTTY) => "ENOTTY",
            Some(libc::EFAULT) => "EFAULT",
            _ => "another error",
        };
        println!("ANSWER {name}: {text}");
    }
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    // The harness has begun a line of its own.
    println!();
    let calls: [(&str, i64, [i64; 3]); 36] = [
        ("unshare user", libc::SYS_unshare, [i64::from(libc::CLONE_NEWUSER), 0, 0]),
        ("unshare mount", libc::SYS_unshare, [i64::from(libc::CLONE_NEWNS), 0, 0]),
        ("setns", libc::SYS_setns, [0, 0, 0]),
        ("clone user", libc::SYS_clone, [i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD), 0, 0]),
        ("clone3", libc::SYS_clone3, [0, 0, 0]),
        ("mount", libc::SYS_mount, [0, 0, 0]),
        ("umount", libc::SYS_umount2, [0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, [0, 0, 0]),
        ("chroot", libc::SYS_chroot, [0, 0, 0]),
        ("open_tree", libc::SYS_open_tree, [0, 0, 0]),
        ("fsopen", libc::SYS_fsopen, [0, 0, 0]),
        ("mount_setattr", libc::SYS_mount_setattr, [0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, 0, 0]),
        ("add_key", libc::SYS_add_key, [0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [1, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [0, 0, 0]),
        ("fanotify_init", libc::SYS_fanotify_init, [0, 0, 0]),
        ("init_module", libc::SYS_init_module, [0, 0, 0]),
        ("kexec_load", libc::SYS_kexec_load, [0, 0, 0]),
        ("reboot", libc::SYS_reboot, [0, 0, 0]),
        ("settimeofday", libc::SYS_settimeofday, [0, 0, 0]),
        ("sethostname", libc::SYS_sethostname, [0, 0, 0]),
        ("syslog", libc::SYS_syslog, [0, 0, 0]),
        ("setuid 0", libc::SYS_setuid, [0, 0, 0]),
        ("socket vsock", libc::SYS_socket, [i64::from(libc::AF_VSOCK), i64::from(libc::SOCK_STREAM), 0]),
        ("socket alg", libc::SYS_socket, [i64::from(libc::AF_ALG), i64::from(libc::SOCK_SEQPACKET), 0]),
        ("socket packet", libc::SYS_socket, [i64::from(libc::AF_PACKET), i64::from(libc::SOCK_RAW), 0]),
        ("socket raw", libc::SYS_socket, [i64::from(libc::AF_INET), i64::from(libc::SOCK_RAW | libc::SOCK_CLOEXEC), 1]),
        ("socket unix", libc::SYS_socket, [i64::from(libc::AF_UNIX), i64::from(libc::SOCK_STREAM), 0]),
        ("socket inet", libc::SYS_socket, [i64::from(libc::AF_INET), i64::from(libc::SOCK_STREAM), 0]),
        ("socket netlink route", libc::SYS_socket, [i64::from(libc::AF_NETLINK), i64::from(libc::SOCK_RAW), 0]),
    ];
    for (name, number, [a, b, c]) in calls {
        // SAFETY: all of these fail at once for their arguments if they are not refused before.
        answer(name, unsafe { libc::syscall(number, a, b, c, 0, 0, 0) });
    }
    // SAFETY: as above; the pointers are to what the calls expect, or null.
    unsafe {
        answer("socket netlink audit", libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 9).into());
        answer("socketpair tipc", libc::socketpair(libc::AF_TIPC, libc::SOCK_STREAM, 0, [0; 2].as_mut_ptr()).into());
        let node = libc::mknod(c"/tmp/disk".as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(8, 0));
        answer("mknod", node.into());
        answer("ptrace", libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0));
        answer("ioctl TIOCSTI", libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()).into());
        let high = libc::TIOCSTI.cast_signed() | 1 << 32;
        answer("ioctl TIOCSTI high bits", libc::syscall(libc::SYS_ioctl, 0, high, c"x".as_ptr()));
        answer("ioctl TIOCLINUX", libc::ioctl(0, libc::TIOCLINUX, c"x".as_ptr()).into());
        answer("kill 1", libc::kill(1, libc::SIGKILL).into());
        answer("still here", 0);
    }
}

#[tokio::test]
async fn process_one_keeps_its_secrets() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    // Two namespaces deep: process 1 is the exec's keeper, and the shim is not to be seen at all.
    let numbers = say(&sandbox, "cd /proc; echo [0-9]*").await;
    assert!(numbers.split(' ').count() <= 3, "other processes are seen: {numbers}");
    for file in ["environ", "mem", "maps", "fd", "root", "cwd", "exe", "stack", "auxv"] {
        let tried =
            run(&sandbox, &format!("cat /proc/1/{file} || ls /proc/1/{file}/ || readlink /proc/1/{file}")).await;
        assert!(!tried.status.success(), "/proc/1/{file}: {}", String::from_utf8_lossy(&tried.stdout));
    }
    let kept = run(&sandbox, "kill -9 1; kill -TERM 1; sleep 0.1; echo here").await;
    assert_eq!(kept.stdout, b"here\n");
}

#[tokio::test]
async fn only_three_descriptors_are_open_and_no_socket_is_seen() {
    let rig = Rig::new();
    // A server has many descriptors open, and not all of them close at exec.
    let files: Vec<_> = (0..100).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    for file in &files {
        rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty()).unwrap();
    }
    let sandbox = rig.sandbox().await;
    // Asked one by one, since listing them opens another.
    let fds = say(&sandbox, "for fd in {0..1100}; do test -e /proc/$$/fd/$fd && echo $fd; done; true").await;
    assert_eq!(fds.lines().collect::<Vec<_>>(), ["0", "1", "2"]);
    let places = say(&sandbox, "readlink /proc/$$/fd/0 /proc/$$/cwd").await;
    assert_eq!(places, "/dev/null\n/code");
    assert_eq!(say(&sandbox, "find / -xdev -type s 2>/dev/null; find /run /tmp /code /home -type s").await, "");
    // The shim's own connections are nameless pairs; a name is what one could connect to.
    assert_eq!(say(&sandbox, "tail -n +2 /proc/net/unix | grep -o '[/@].*'; true").await, "");
    for cwd in ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/root"] {
        let mut spec = sh("pwd -P");
        spec.cwd = cwd.to_owned();
        assert!(sandbox.exec(spec).await.is_err(), "{cwd} was entered");
    }
}

#[tokio::test]
async fn there_is_no_network_but_loopback() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let devices = say(&sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1").await;
    assert_eq!(devices.trim(), "lo");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for target in [format!("127.0.0.1/{port}"), "1.1.1.1/80".to_owned()] {
        assert!(!run(&sandbox, &format!("exec 3<>/dev/tcp/{target}")).await.status.success(), "{target} was reached");
    }
}

#[tokio::test]
async fn the_machine_shows_nothing_that_it_need_not() {
    let rig = Rig::new();
    let sandbox = rig.create(|spec| spec.env.push(("GIVEN".to_owned(), "1".to_owned()))).await;
    assert_eq!(
        say(&sandbox, "cd /; echo *; cd /etc; echo *; cd /home; echo *").await,
        "bin code dev etc home lib lib64 proc run sbin tmp usr\n\
         alternatives gitconfig group hosts ld.so.cache nsswitch.conf passwd ssl\nagent"
    );
    let env = say(&sandbox, "env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    assert_eq!(env, "GIT_CONFIG_SYSTEM GIVEN HOME LANG LOGNAME PATH PWD SHELL SHLVL TMPDIR USER _");
    let nodes = say(&sandbox, "find /dev -type b -o -type c | sort | tr '\\n' ' '").await;
    assert!(!nodes.contains("vd") && !nodes.contains("sd") && nodes.split(' ').count() <= 8, "{nodes}");
    assert_eq!(say(&sandbox, "hostname; cat /proc/sys/kernel/hostname").await, "sandbox\nsandbox");
}

#[tokio::test]
async fn nothing_but_the_workspace_can_be_written() {
    let rig = Rig::new();
    let mirror = rig.data.path().join("mirror.git");
    std::fs::create_dir_all(mirror.join("objects")).unwrap();
    let sandbox = rig.create(|spec| spec.mirror = Some(mirror.clone())).await;
    for path in
        ["/x", "/etc/x", "/usr/x", "/home/x", "/run/x", "/run/egress/x", "/run/runyard/x", "/mirror/x", "/dev/x"]
    {
        assert!(!run(&sandbox, &format!("touch {path}")).await.status.success(), "{path} was written");
    }
    let knobs = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/sys/fs/binfmt_misc/register",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/memory/release_agent",
    ];
    for knob in knobs {
        assert!(!run(&sandbox, &format!("echo x > {knob}")).await.status.success(), "{knob} was written");
    }
    say(&sandbox, "touch /code/x ~/x /tmp/x /dev/shm/x").await;
    let full = run(&sandbox, "head -c 100M /dev/zero > /dev/shm/big").await;
    assert!(!full.status.success(), "/dev/shm has no limit");
    assert!(!exists(mirror.join("x")));
}

#[tokio::test]
async fn files_belong_to_the_sandbox_and_never_to_root() {
    use std::os::unix::fs::MetadataExt;
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let record = local(sandbox.record());
    say(&sandbox, "mkdir /code/d; echo x > /code/d/f; chmod 4755 /code/d/f").await;
    let inside =
        if record.disk { format!("/proc/{}/root", record.shim.unwrap().pid).into() } else { record.dir.clone() };
    let found = std::fs::metadata(inside.join("code/d/f")).unwrap();
    assert_eq!((found.uid(), found.gid()), (record.uid, record.uid));
    assert_ne!(found.uid(), 0);
    assert_eq!(say(&sandbox, "stat -c %u /code/d/f").await, record.uid.to_string());
    assert_eq!(std::fs::metadata(&record.dir).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn two_sandboxes_know_nothing_of_each_other() {
    let rig = Rig::new();
    let (one, two) = (rig.sandbox().await, rig.sandbox().await);
    if is_root() {
        assert_ne!(local(one.record()).uid, local(two.record()).uid);
    }
    let secret = mark();
    let plant = format!("echo {secret} | tee /code/s ~/s /tmp/s /dev/shm/s; sleep 600; : {secret}");
    let mut planted = one.exec(sh(&plant)).await.unwrap();
    await_output(&mut planted, &secret).await;
    let look = "cat /code/s ~/s /tmp/s /dev/shm/s; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '; ls /dev/mqueue; ipcs; true";
    let seen = run(&two, look).await;
    assert!(!String::from_utf8_lossy(&seen.stdout).contains(&secret));
    // Nor do two execs of one sandbox see each other's processes.
    let seen = run(&one, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").await;
    assert!(!String::from_utf8_lossy(&seen.stdout).contains(&secret));
    kill_all_leaves_the_other(&one, &two, planted).await;
}

async fn kill_all_leaves_the_other(one: &Arc<dyn Sandbox>, two: &Arc<dyn Sandbox>, planted: sandbox::Exec) {
    let other = two.exec(sh("sleep 600")).await.unwrap();
    one.kill_all().await.unwrap();
    planted.wait().await.unwrap();
    assert!(two.list().await.unwrap().iter().any(|exec| exec.id == other.id() && exec.status.is_none()));
}

#[tokio::test]
async fn bubblewrap_is_never_started_as_root() {
    if !is_root() {
        return;
    }
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let record = local(sandbox.record());
    for process in [record.shim, record.monitor].into_iter().flatten() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap();
        let field = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert_eq!(field("Uid:"), format!("Uid:{}", format!("\t{}", record.uid).repeat(4)));
        assert_eq!(field("Groups:").trim_end(), "Groups:");
        assert_eq!(field("NoNewPrivs:"), "NoNewPrivs:\t1");
    }
    let bin = rig.data.path().join("bin");
    let shim = std::fs::read_dir(bin).unwrap().next().unwrap().unwrap().path();
    for drop_to in ["null", "0"] {
        let init = r#"{"sandbox":"x","epoch":1,"ttl_ms":1000,"forwards":[],"disk":{"walled":false,"bytes":null,"files":null,"floor":0}}"#;
        let dir = rig.data.path().display();
        let order = format!(
            r#"{{"dir":"{dir}","drop_to":{drop_to},"cgroups":[],"base":null,"disk":false,"bwrap":"/usr/bin/bwrap","mounts":[],"init":{init}}}"#
        );
        let mut launcher = std::process::Command::new(&shim);
        let mut child = launcher
            .arg("launch")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), order.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains("uid"), "{said}");
    }
}
