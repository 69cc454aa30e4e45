//! The two servers, each in a process of its own.

use super::Ready;
use crate::machine;
use anyhow::{Context as _, Result, ensure};
use std::{path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// What one would write: each message is made once and sent to everybody, ten in a row.
const NODE: &str = r#"
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('listening', () => console.log('127.0.0.1:' + server.address().port));
server.on('connection', (socket) => socket.on('message', (text) => {
  if (JSON.parse(text).type === 'connection_init') socket.send('{"type":"connection_ack"}');
}));
let number = 20;
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  let left = Number(line);
  const some = () => {
    for (let n = 0; n < 10 && left > 0; n++, left--) {
      const payload = { type: 'note', level: 'info', text: String(number).padStart(150) };
      const events = { number: ++number, at: '2026-09-21T13:33:20Z', kind: 'note', payload };
      const message = JSON.stringify({ type: 'next', id: '1', payload: { data: { events } } });
      for (const client of server.clients) client.send(message);
    }
    if (left > 0) setImmediate(some); else console.log('done');
  };
  some();
});
"#;

/// A server that runs.
pub struct Peer {
    child: Child,
    tell: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    address: String,
    ready: Option<Ready>,
}

impl Peer {
    /// Ours.
    pub async fn ours() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut peer = Self::of(command.arg("viewers-server")).await?;
        let ready: Ready = serde_json::from_str(&peer.address).context("our server says where it is")?;
        peer.address.clone_from(&ready.address);
        peer.ready = Some(ready);
        Ok(peer)
    }

    /// Node's.
    pub async fn node() -> Result<Self> {
        let node = machine::find("node").context("there is no node on this machine to compare with")?;
        let packages = Path::new("dashboard/node_modules");
        ensure!(packages.join("ws").is_dir(), "the package ws is not here: `cargo xtask dashboard` fetches it");
        let mut command = Command::new(node);
        Self::of(command.arg("-e").arg(NODE).env("NODE_PATH", packages)).await
    }

    async fn of(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let tell = child.stdin.take().context("it was piped")?;
        let mut said = BufReader::new(child.stdout.take().context("it was piped")?).lines();
        let address = said.next_line().await?.context("the server ended before it said where it is")?;
        Ok(Self { child, tell, said, address, ready: None })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What ours said; nothing of Node's.
    pub fn ready(&self) -> Option<&Ready> {
        self.ready.as_ref()
    }

    /// Lets so many events happen.
    pub async fn send(&mut self, events: usize) -> Result<()> {
        self.tell.write_all(format!("{events}\n").as_bytes()).await?;
        Ok(self.tell.flush().await?)
    }

    /// Waits until they have happened.
    pub async fn sent(&mut self) -> Result<()> {
        let line = self.said.next_line().await?;
        ensure!(line.as_deref() == Some("done"), "the server said {line:?}");
        Ok(())
    }

    /// Its memory.
    pub fn resident_kib(&self) -> Result<f64> {
        let id = self.child.id().context("the server is gone")?;
        Ok(machine::resident_mib(id).context("the server is gone")? * 1024.0)
    }
}
