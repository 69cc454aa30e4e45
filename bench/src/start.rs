//! `runyard serve`: how long until it answers, and how much memory it has then, against a web server that says hello.

use crate::measure::{Comparison, Goal, Row, Series};
use crate::{Effort, machine};
use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a server rests before its memory is looked at.
const REST: Duration = Duration::from_millis(300);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub async fn server(effort: Effort) -> Result<Vec<Row>> {
    let own = std::env::current_exe()?;
    let runyard = own.with_file_name("runyard");
    ensure!(runyard.is_file(), "{} was not built", runyard.display());
    let node = machine::find("node").context("there is no node on this machine to compare with")?;
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let data = folder.path().join("data");
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    let (mut memory, mut their_memory) = (Series::default(), Series::default());
    for n in 0..effort.repetitions(20) {
        let start = Instant::now();
        let server = serve(&runyard, &data)?;
        answer_of(&data.join("control.sock"), start)?;
        // The first start makes the record.
        if n > 0 {
            ours.add(start.elapsed());
        }
        tokio::time::sleep(REST).await;
        memory.push(machine::resident_mib(server.0.id()).context("the server is gone")?);
        drop(server);

        let start = Instant::now();
        let (server, port) = hello(&node)?;
        get(port, start)?;
        theirs.add(start.elapsed());
        tokio::time::sleep(REST).await;
        their_memory.push(machine::resident_mib(server.0.id()).context("the server is gone")?);
    }
    let of =
        |name, unit, most| Comparison { name, anchor: "a Node server that says hello", unit, goal: Goal::AtMost(most) };
    Ok(vec![
        of("server/start to answer", "ms", 2.0).of(&ours, &theirs),
        of("server/idle memory", "MiB", 1.0).of(&memory, &their_memory),
    ])
}

fn serve(runyard: &Path, data: &Path) -> Result<Server> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(runyard);
    command.arg("serve").arg("--data-dir").arg(data).env_clear().env("PATH", path).env("RUNYARD_LISTEN", "127.0.0.1:0");
    command.env("RUNYARD_USER_NAME", "Ada").env("RUNYARD_USER_EMAIL", "ada@example.com");
    Ok(Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
}

/// Asks over the control socket until there is an answer.
fn answer_of(socket: &Path, start: Instant) -> Result<()> {
    loop {
        if let Ok(mut stream) = UnixStream::connect(socket) {
            stream.write_all(b"{\"id\":1,\"command\":{\"command\":\"repositories\"}}\n")?;
            let lines = BufReader::new(stream).lines().take(2).collect::<std::io::Result<Vec<_>>>()?;
            ensure!(lines.len() == 2 && lines[1].contains("\"reply\""), "it answered {lines:?}");
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "the server does not answer");
        std::thread::sleep(Duration::from_micros(500));
    }
}

const HELLO: &str = "const server = require('http').createServer((_, answer) => answer.end('hello'));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));";

fn hello(node: &Path) -> Result<(Server, u16)> {
    let mut command = Command::new(node);
    command.arg("-e").arg(HELLO).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("it was piped")?).read_line(&mut line)?;
    Ok((Server(child), line.trim().parse().context("node did not say its port")?))
}

fn get(port: u16, start: Instant) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.ends_with("hello") && start.elapsed() < PATIENCE, "node said {answer:?}");
    Ok(())
}
