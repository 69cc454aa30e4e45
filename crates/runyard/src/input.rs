//! What a person types: lines on demand, and Ctrl-C.

use async_trait::async_trait;
use std::io::BufRead as _;
use tokio::sync::mpsc;

/// Where lines come from.
#[async_trait]
pub trait Input: Send {
    /// The next line without its end; none at the end of input. Cancel-safe.
    async fn line(&mut self) -> Option<String>;
}

/// Standard input. It is read only while a line is awaited, so that an editor can have it in between.
#[derive(Debug)]
pub struct Terminal {
    ask: std::sync::mpsc::Sender<()>,
    lines: mpsc::UnboundedReceiver<Option<String>>,
    asked: bool,
}

impl Terminal {
    /// Standard input of this process.
    pub fn new() -> Self {
        let (ask, asked) = std::sync::mpsc::channel();
        let (send, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line).ok().filter(|bytes| *bytes > 0);
                if send.send(read.map(|_| line.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
                    return;
                }
            }
        });
        Self { ask, lines, asked: false }
    }
}

#[async_trait]
impl Input for Terminal {
    async fn line(&mut self) -> Option<String> {
        if !self.asked {
            self.ask.send(()).ok()?;
            self.asked = true;
        }
        let line = self.lines.recv().await;
        self.asked = false;
        line.flatten()
    }
}

/// Receives something for each Ctrl-C. Taking this over means that Ctrl-C no longer ends the process by itself.
pub fn interrupts() -> std::io::Result<mpsc::UnboundedReceiver<()>> {
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let (send, receive) = mpsc::unbounded_channel();
    tokio::spawn(async move { while signal.recv().await.is_some() && send.send(()).is_ok() {} });
    Ok(receive)
}
