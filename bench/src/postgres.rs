//! A PostgreSQL server of its own with its defaults, flushing to the disk as in earnest.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs a program until the input ends.
const GUARD: &str = r#""$@" <&- & cat >/dev/null; kill -QUIT $!; wait $!"#;

/// The server; it ends with this value.
pub struct Postgres {
    folder: tempfile::TempDir,
    server: Child,
}

impl Postgres {
    /// Starts one; fails when it is not installed.
    pub async fn start() -> Result<Self> {
        let programs = programs().context("PostgreSQL is not installed; `cargo xtask setup` installs it")?;
        let folder = tempfile::Builder::new().prefix("runyard-bench-").tempdir_in("/tmp")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        let user = give_away(folder.path())?;
        let data = folder.path().join("data");
        let mut initdb = as_user(user, &programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=runyard", "--encoding=UTF8", "--locale=C.UTF-8", "-D"]).arg(&data);
        let made = initdb.output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        // It ends when its input does, which is when this process is gone, however it went.
        let mut server = as_user(user, Path::new("/bin/sh"));
        server.args(["-c", GUARD, "guard"]).arg(programs.join("postgres")).stdin(Stdio::piped());
        server.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c"]);
        server.arg(format!("unix_socket_directories={}", folder.path().display()));
        let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let this = Self { folder, server };
        let begun = Instant::now();
        loop {
            let ready =
                Command::new(programs.join("pg_isready")).arg("-q").arg("-h").arg(this.folder.path()).status()?;
            if ready.success() {
                return Ok(this);
            }
            ensure!(begun.elapsed() < PATIENCE, "PostgreSQL does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where its database is.
    pub fn url(&self) -> String {
        format!("postgres://runyard@localhost/postgres?host={}", self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The folder goes away with all that it wrote, so it need not end in good order.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path());
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    Some(versions.filter(|path| path.join("bin/initdb").exists()).max_by_key(version)?.join("bin"))
}

/// PostgreSQL refuses to be root: then a user without rights is, who is given the folder.
fn give_away(folder: &Path) -> Result<Option<(u32, u32)>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |user: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        let mut fields = line.split(':').skip(2).map(str::parse::<u32>);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    let (uid, gid) = ids("postgres").or_else(|| ids("nobody")).context("there is no user without rights")?;
    chown(folder, Some(uid), Some(gid))?;
    Ok(Some((uid, gid)))
}

fn as_user(user: Option<(u32, u32)>, program: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}
