//! The other end of the way out: a Messages API that notes what arrives and tells scripted agents what to do. Each life
//! of a server has an address of its own, so that it is known by whose way out something came.

use crate::{
    history::{History, What},
    play::KEY,
};
use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the agent is told, by what its prompt contains. The first that fits counts, as often as it says.
pub struct Told {
    /// What the prompt contains.
    pub when: String,
    /// How often; the next one that fits counts after that.
    pub times: usize,
    /// The orders.
    pub orders: Value,
}

/// A listening sink.
pub struct Sink {
    port: u16,
}

struct Shared {
    history: History,
    told: Mutex<Vec<Told>>,
    /// What was answered to an agent's first report: a report may come twice when its answer was lost.
    given: Mutex<HashMap<String, Value>>,
}

impl Sink {
    /// Listens; ends with the runtime.
    pub async fn start(history: History, told: Vec<Told>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { history, told: Mutex::new(told), given: Mutex::default() });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // A connection that breaks is the business of who broke it.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Ok(Self { port })
    }

    /// The address for one life of a server.
    pub fn address(&self, life: usize) -> String {
        format!("http://127.0.0.1:{}/life/{life}", self.port)
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let life = line.split('/').nth(2).and_then(|life| life.parse().ok()).unwrap_or(usize::MAX);
        let mut length = 0;
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await?;
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let (answer, report) = shared.answer(life, &body);
        if report["event"] == "echo" {
            echo(stream.get_mut()).await?;
            continue;
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        stream.get_mut().write_all(head.as_bytes()).await?;
    }
}

/// A stream of events that holds the key, cut in the middle: what the sandbox gets of it must not.
async fn echo(stream: &mut TcpStream) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let (first, second) = KEY.split_at(KEY.len() / 2);
    let begin = r#"data: {"type":"message_start","message":{"model":"scripted","usage":{"input_tokens":10,"output_tokens":5}}}"#;
    for piece in
        [format!("{begin}\n\ndata: {{\"type\":\"ping\",\"echo\":\"{first}"), format!("{second}\"}}\n\n"), String::new()]
    {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
        stream.flush().await?;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Shared {
    fn answer(&self, life: usize, body: &[u8]) -> (String, Value) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let report = body["messages"][0]["content"].as_str().unwrap_or_default();
        let report: Value = serde_json::from_str(report).unwrap_or_default();
        self.history.note(What::Reported { life, report: report.clone() });
        let orders = if report["event"] == "start" { self.orders(&report) } else { json!({}) };
        let answer = json!({
            "type": "message", "role": "assistant", "model": "scripted", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": orders.to_string()}],
            "usage": {"input_tokens": 10, "output_tokens": 5},
        });
        (answer.to_string(), report)
    }

    fn orders(&self, report: &Value) -> Value {
        let agent = report["agent"].as_str().unwrap_or_default().to_owned();
        let prompt = report["prompt"].as_str().unwrap_or_default();
        let mut given = self.given.lock();
        if let Some(known) = given.get(&agent) {
            return known.clone();
        }
        let mut told = self.told.lock();
        let found = told.iter_mut().find(|told| told.times > 0 && prompt.contains(&told.when));
        let orders = found.map_or_else(
            || json!({"lines": 1}),
            |told| {
                told.times -= 1;
                told.orders.clone()
            },
        );
        given.insert(agent, orders.clone());
        orders
    }
}
