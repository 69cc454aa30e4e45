//! The one way out of a sandbox, and what is shown of repositories.

use crate::rig::*;
use sandbox::{Provider, SandboxSpec, Workspace, listen_in};
use std::{io::Write, os::unix::net::UnixListener, process::Command, thread};

#[tokio::test]
async fn a_port_leads_to_a_socket_and_again_after_the_server_came_back() {
    let rig = Rig::new();
    let sandbox = rig.create(|spec| spec.forwards.push((8080, "out.sock".to_owned()))).await;
    let ask = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'hello\\n' >&3; read -t 20 line <&3; echo $line";
    assert!(!run(&sandbox, "exec 3<>/dev/tcp/127.0.0.1/8080; read -t 20 line <&3").await.status.success());
    for word in ["first", "second"] {
        // The second listener takes the place of the first, as after a restart.
        let listener = listen_in(&sandbox.egress_dir(), "out.sock").unwrap();
        let served = line_echo(listener, word);
        assert_eq!(say(&sandbox, ask).await, format!("{word} hello"));
        served.join().unwrap();
    }
    sandbox.forward(9090, "out.sock").await.unwrap();
    let served = line_echo(listen_in(&sandbox.egress_dir(), "out.sock").unwrap(), "third");
    assert_eq!(say(&sandbox, &ask.replace("8080", "9090")).await, "third hello");
    served.join().unwrap();
    for bad in ["../x", "", ".x", "a/b"] {
        assert!(sandbox.forward(9091, bad).await.is_err(), "{bad}");
    }
    // From inside the folder can be looked at and not altered.
    assert!(!run(&sandbox, "rm /run/egress/out.sock").await.status.success());
}

fn line_echo(listener: UnixListener, word: &'static str) -> thread::JoinHandle<()> {
    listener.set_nonblocking(false).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut line).unwrap();
        (&stream).write_all(format!("{word} {line}").as_bytes()).unwrap();
    })
}

#[tokio::test]
async fn a_base_checkout_is_shared_and_never_changed() {
    let rig = Rig::new();
    let base = rig.data.path().join("base");
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"]).arg(&base).args(args);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::create_dir(&base).unwrap();
    std::fs::create_dir(base.join("dir")).unwrap();
    std::fs::write(base.join("file"), "from the base\n").unwrap();
    std::fs::write(base.join("dir/other"), "too\n").unwrap();
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let (one, two) = (
        rig.create(|spec| spec.base = Some(base.clone())).await,
        rig.create(|spec| spec.base = Some(base.clone())).await,
    );
    if one.workspace() == Workspace::Plain {
        assert_eq!(say(&one, "ls -A /code").await, "");
        return;
    }
    assert_eq!(
        say(&one, "cat /code/file; stat -c %u /code/file").await,
        format!("from the base\n{}", local(one.record()).uid)
    );
    assert_eq!(say(&one, "cd /code; git status --porcelain; git log --format=%s").await, "one");
    say(&one, "cd /code; echo changed > file; rm -r dir; echo new > new; git add -A; git -c user.name=x -c user.email=x@y commit -qm two").await;
    assert_eq!(say(&two, "cd /code; cat file dir/other; git log --format=%s").await, "from the base\ntoo\none");
    assert_eq!(std::fs::read_to_string(base.join("file")).unwrap(), "from the base\n");
    // A pause keeps the layer.
    let record = one.record().clone();
    rig.provider.pause(&record).await.unwrap();
    let mut spec = SandboxSpec::new(local(&record).id, LEASE);
    spec.base = Some(base.clone());
    let again = rig.provider.create(spec).await.unwrap();
    assert_eq!(again.workspace(), Workspace::Overlay);
    assert_eq!(say(&again, "cd /code; cat file new; git log --format=%s").await, "changed\nnew\ntwo\none");
    // By the record of before the pause: the store may not have heard of the second start.
    rig.provider.destroy(&record).await.unwrap();
    let shim = local(again.record()).shim.unwrap();
    until("the second shim ends", || !exists(format!("/proc/{}", shim.pid))).await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&rig.data.path().display().to_string()), "a mount was left");
}

#[tokio::test]
async fn a_mirror_with_alternates_can_be_cloned_from() {
    let rig = Rig::new();
    let (base, mirror) = (rig.data.path().join("base.git"), rig.data.path().join("mirror.git"));
    let script = "set -e; git init -q w; cd w; echo x > f; git add f; git -c user.name=a -c user.email=a@b commit -qm one; \
                  cd ..; git clone -q --bare w base.git; git clone -q --bare --shared base.git mirror.git; rm -rf w";
    let made = Command::new("sh").args(["-c", script]).current_dir(rig.data.path()).status().unwrap();
    assert!(made.success());
    let sandbox = rig.create(|spec| spec.mirror = Some(mirror.clone())).await;
    assert_eq!(sandbox.workspace(), Workspace::Plain);
    assert_eq!(say(&sandbox, "git clone -q --shared /mirror /code/w && cat /code/w/f").await, "x");
    for attempt in ["git -C /mirror update-ref refs/heads/x HEAD", "git -C /code/w push -q origin HEAD:refs/heads/x"] {
        assert!(!run(&sandbox, attempt).await.status.success(), "`{attempt}` altered the mirror");
    }
    assert!(base.exists());
}
