//! A viewer that does as little as it can: it finds the frames of RFC 6455 and counts what they bring.

use super::peer::Peer;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What the page asks for.
const QUERY: &str = "subscription E($session: Int!, $after: Int!) \
                     { events(session: $session, after: $after) { number at kind payload } }";

/// One connection.
pub struct Watcher {
    stream: TcpStream,
    read: Vec<u8>,
    /// The number of the last event.
    last: i64,
    /// Events in excess, in a gap or out of order.
    wrong: usize,
}

impl Watcher {
    /// Connects and subscribes.
    pub async fn connect(peer: &Peer) -> Result<Self> {
        let stream = TcpStream::connect(peer.address()).await?;
        let (session, last) = peer.ready().map_or((1, 20), |ready| ready.watched);
        let mut watcher = Self { stream, read: Vec::with_capacity(4096), last, wrong: 0 };
        let cookie = peer.ready().map_or_else(String::new, |ready| format!("Cookie: {}\r\n", ready.cookie));
        let head = format!(
            "GET /graphql/ws HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: graphql-transport-ws\r\n{cookie}\r\n",
            peer.address()
        );
        watcher.stream.write_all(head.as_bytes()).await?;
        let answer = watcher.head().await?;
        ensure!(answer.starts_with("HTTP/1.1 101"), "the server said {answer}");
        watcher.say(&json!({ "type": "connection_init" })).await?;
        let word = watcher.frame().await?;
        ensure!(word == br#"{"type":"connection_ack"}"#, "the server said {}", String::from_utf8_lossy(&word));
        let payload = json!({ "query": QUERY, "variables": { "session": session, "after": last } });
        watcher.say(&json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
        Ok(watcher)
    }

    /// Hears so many events.
    pub async fn hear(&mut self, events: usize) -> Result<()> {
        for _ in 0..events {
            let frame = self.frame().await?;
            self.last += 1;
            // Whole words are looked for, so that `12` is no `123`.
            let wanted = format!("\"number\":{},", self.last);
            let there = frame.windows(wanted.len()).any(|window| window == wanted.as_bytes());
            self.wrong += usize::from(!there);
        }
        Ok(())
    }

    /// That each event came once, in order, and nothing else.
    pub fn heard_all(self) -> Result<()> {
        ensure!(self.wrong == 0, "{} events did not come in their turn", self.wrong);
        ensure!(self.read.is_empty(), "there is more: {}", String::from_utf8_lossy(&self.read));
        Ok(())
    }

    async fn say(&mut self, message: &Value) -> Result<()> {
        let text = message.to_string();
        let length = u16::try_from(text.len()).context("a short message")?;
        // Masked (with zeros, which leaves the text as it is), and its length in the next two bytes.
        let mut frame = vec![0x81, 0xfe];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        Ok(self.stream.write_all(&frame).await?)
    }

    async fn more(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the server closed the connection");
        Ok(())
    }

    async fn head(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return Ok(String::from_utf8(head)?);
            }
            self.more().await?;
        }
    }

    /// The next text.
    async fn frame(&mut self) -> Result<Vec<u8>> {
        loop {
            let (begin, length) = match self.read.as_slice() {
                [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
                [_, length, ..] if *length < 126 => (2, usize::from(*length)),
                [_, length, ..] if *length > 126 => bail!("a message of more than 64 KiB"),
                _ => (2, usize::MAX / 2),
            };
            if self.read.len() >= begin + length {
                ensure!(self.read[0] == 0x81, "not a text: {}", String::from_utf8_lossy(&self.read));
                let text = self.read[begin..begin + length].to_vec();
                self.read.drain(..begin + length);
                return Ok(text);
            }
            self.more().await?;
        }
    }
}
