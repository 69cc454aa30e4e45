//! What is told by webhooks: a receiver on this machine that answers, or misbehaves, as it is told to.

use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Longer than anything here takes; it is only reached when something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with a status, header lines, and a body.
    Answer(u16, &'static str, &'static str),
    /// Reads the request and closes the connection.
    Cut,
    /// Says nothing.
    Hang,
    /// Answers without end.
    Flood,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }
}

#[derive(Default)]
struct Inner {
    got: Vec<Got>,
    acts: VecDeque<Act>,
    afterwards: Option<Act>,
    /// Bytes that went out in floods.
    flooded: usize,
}

pub struct Receiver {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// One that does these in turn, and then answers 204.
    pub async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let inner = Arc::new(Mutex::new(Inner { acts: acts.into_iter().collect(), ..Inner::default() }));
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, inner, task }
    }

    /// One that does the same with every request.
    pub async fn always(act: Act) -> Self {
        let receiver = Self::start([]).await;
        receiver.afterwards(Some(act));
        receiver
    }

    pub fn afterwards(&self, act: Option<Act>) {
        self.inner.lock().expect("no test panicked").afterwards = act;
    }

    pub fn got(&self) -> Vec<Got> {
        self.inner.lock().expect("no test panicked").got.clone()
    }

    pub fn flooded(&self) -> usize {
        self.inner.lock().expect("no test panicked").flooded
    }

    /// What came, once there are so many.
    pub async fn count(&self, count: usize) -> Vec<Got> {
        let look = async {
            while self.got().len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = timeout(PATIENCE, look).await;
        assert!(seen.is_ok(), "{} of {count} requests came", self.got().len());
        self.got()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Inner>>) {
    let Some(got) = read(&mut stream).await else { return };
    let act = {
        let mut inner = shared.lock().expect("no test panicked");
        inner.got.push(got);
        let next = inner.acts.pop_front().or_else(|| inner.afterwards.clone());
        next.unwrap_or(Act::Answer(204, "", ""))
    };
    match act {
        Act::Answer(status, headers, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Act::Cut => {}
        Act::Hang => sleep(PATIENCE).await,
        Act::Flood => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            let block = vec![b'x'; 64 * 1024];
            while stream.write_all(&block).await.is_ok() {
                shared.lock().expect("no test panicked").flooded += block.len();
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("text");
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: HashMap<_, _> = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Got { path, headers, body: bytes[head..head + length].to_vec() })
}
