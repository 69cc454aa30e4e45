use super::{err, home, out, run, runyard};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// A process that is ended when the test is over, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_second_serve_names_the_first() {
    let home = home();
    let data = home.path().join("data");
    fs::create_dir(&data).expect("made");
    let mut lock = fs::File::create(data.join("lock")).expect("made");
    writeln!(lock, "4711 serve").expect("written");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("locked");

    let second = run(home.path(), &["serve"]);
    assert_eq!(second.status.code(), Some(4));
    assert!(err(&second).starts_with("error: process 4711 (runyard serve) has the data directory"), "{}", err(&second));
    assert_eq!(fs::read_to_string(data.join("lock")).expect("there"), "4711 serve\n");
}

#[test]
fn a_data_directory_that_sandboxes_cannot_enter_is_refused_by_root() {
    if !rustix::process::geteuid().is_root() {
        // Without root, sandboxes have the server's own uid and get everywhere that it gets.
        return;
    }
    let home = home();
    let closed = home.path().join("closed");
    fs::create_dir(&closed).expect("made");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("closed");
    let output = run(home.path(), &["session", "list", "--data-dir", "closed/data"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("closed may not be entered by others"), "{}", err(&output));
    assert!(err(&output).contains("help: chmod o+x"), "{}", err(&output));
}

#[test]
fn a_server_serves_others_and_leaves_cleanly() {
    let home = home();
    let data = home.path().join("data");
    let mut server = Ended(runyard(home.path()).arg("serve").stdout(Stdio::piped()).spawn().expect("starts"));
    let mut said = String::new();
    BufReader::new(server.0.stdout.take().expect("piped")).read_line(&mut said).expect("reads");
    assert!(said.starts_with("serving "), "{said}");
    let pid = server.0.id();

    let modes = |name: &str| fs::metadata(data.join(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!((modes(""), modes("lock"), modes("control.sock")), (0o711, 0o600, 0o600));

    for file in ["runyard.db", "runyard.db-wal"] {
        assert_eq!(modes(file), 0o600, "{file} is open to others");
    }
    let list = run(home.path(), &["session", "list", "--json"]);
    assert_eq!((list.status.code(), out(&list).trim()), (Some(0), "[]"), "{}", err(&list));
    let missing = run(home.path(), &["session", "show", "9"]);
    assert_eq!(missing.status.code(), Some(2), "{}", err(&missing));
    let second = run(home.path(), &["serve"]);
    assert_eq!(second.status.code(), Some(4));
    assert!(err(&second).contains(&format!("process {pid} (runyard serve)")), "{}", err(&second));

    let process = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("sent");
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.0.try_wait().expect("waits").is_none() {
        assert!(Instant::now() < deadline, "the server does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!data.join("control.sock").exists());

    // Without a server the same command looks by itself, also past the socket of one that was killed.
    drop(std::os::unix::net::UnixListener::bind(data.join("control.sock")).expect("bound"));
    let list = run(home.path(), &["session", "list", "--json"]);
    assert_eq!((list.status.code(), out(&list).trim()), (Some(0), "[]"), "{}", err(&list));
}
