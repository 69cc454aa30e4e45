//! One PostgreSQL server for this test binary, and a database of its own for each test.

use sqlx::{Connection as _, PgConnection};
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the server may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the server until its own stdin ends, which is when the test process is gone, however it went.
const GUARD: &str = r#"trap '' INT TERM HUP
dir=$1; shift
"$@" >"$dir/log" 2>&1 &
cat >/dev/null
kill -QUIT $! 2>/dev/null; wait $!; rm -rf "$dir""#;

struct Server {
    dir: PathBuf,
    /// Holds the write end of the guard's stdin.
    _guard: Child,
}

/// The URL of a new and empty database.
pub async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&url("postgres")).await.expect("reaches the server");
    let create = format!("CREATE DATABASE {name} TEMPLATE template0");
    sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.expect("makes a database");
    connection.close().await.expect("closes");
    url(&name)
}

fn url(database: &str) -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(start);
    format!("postgres://runyard@localhost/{database}?host={}", server.dir.display())
}

fn start() -> Server {
    let programs = programs();
    let dir = tempfile::Builder::new().prefix("runyard-pg").tempdir_in("/tmp").expect("a directory").keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("private");
    let user = server_user(&dir);
    let data = dir.join("data");

    let mut initdb = as_user(user.as_deref(), &programs.join("initdb"));
    initdb.args(["--no-sync", "--auth=trust", "--username=runyard", "--encoding=UTF8", "--locale=C.UTF-8", "-D"]);
    let done = initdb.arg(&data).output().expect("runs initdb");
    assert!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));

    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD, "guard"]).arg(&dir);
    let server = as_user(user.as_deref(), &programs.join("postgres"));
    guard.arg(server.get_program()).args(server.get_args()).arg("-D").arg(&data);
    for setting in ["fsync=off", "listen_addresses=", "max_connections=400", "shared_buffers=64MB"] {
        guard.args(["-c", setting]);
    }
    guard.arg("-c").arg(format!("unix_socket_directories={}", dir.display()));
    let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("runs the server");

    let begun = Instant::now();
    let is_ready = || Command::new(programs.join("pg_isready")).arg("-q").arg("-h").arg(&dir).status();
    while !is_ready().expect("runs pg_isready").success() {
        let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start: {}", log());
        thread::sleep(Duration::from_millis(50));
    }
    Server { dir, _guard: guard }
}

/// The directory of the newest PostgreSQL's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| version(path));
    newest.expect("PostgreSQL's server programs are not installed: run `cargo xtask setup`").join("bin")
}

/// PostgreSQL refuses to run as root: then a user without rights does, who is given the directory.
fn server_user(dir: &Path) -> Option<String> {
    let ids = |user: &str| {
        let passwd = fs::read_to_string("/etc/passwd").expect("reads the users");
        let line = passwd.lines().find(|line| line.starts_with(&format!("{user}:")))?.to_owned();
        let mut fields = line.split(':').skip(2).map(|field| field.parse::<u32>().expect("a number"));
        Some((user.to_owned(), fields.next()?, fields.next()?))
    };
    if fs::metadata(dir).expect("exists").uid() != 0 {
        return None;
    }
    let (user, uid, gid) = ids("postgres").or_else(|| ids("nobody")).expect("a user without rights");
    chown(dir, Some(uid), Some(gid)).expect("gives the directory away");
    Some(user)
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).args(["--clear-groups", "--"]).arg(program);
    command
}
