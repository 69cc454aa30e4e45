//! Data streams to a client, held back by its credit.

use super::exec::Exec;
use shim::{
    frame::{self, FrameError, MAX_BODY},
    proto::{Answer, Ended, Refusal},
};
use std::{
    io,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// The sending half of a connection, shared by its threads. A frame is written whole.
#[derive(Clone)]
pub struct Sender(Arc<Mutex<UnixStream>>);

impl Sender {
    /// Takes the stream over.
    pub fn new(stream: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    /// Sends one frame.
    pub fn send(&self, answer: &Answer, body: &[u8]) -> Result<(), FrameError> {
        frame::write(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), answer, body)
    }
}

/// What a stream may send.
pub struct Credit {
    left: Mutex<Left>,
    changed: Condvar,
    exec: Option<Arc<Exec>>,
}

struct Left {
    bytes: u64,
    closed: bool,
}

impl Credit {
    /// Credit for the output of `exec`, or for an archive.
    pub fn new(bytes: u64, exec: Option<Arc<Exec>>) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(Left { bytes, closed: false }), changed: Condvar::new(), exec })
    }

    /// Grants more.
    pub fn grant(&self, bytes: u64) {
        let mut left = self.lock();
        left.bytes = left.bytes.saturating_add(bytes);
        drop(left);
        self.changed.notify_all();
    }

    /// Ends the stream.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
        if let Some(exec) = &self.exec {
            // Under the exec's lock, so that its follower is either before its look at `closed` or asleep.
            let _state = exec.lock();
            exec.changed.notify_all();
        }
    }

    fn closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for credit and takes at most `most` of it; `None` when the stream was closed.
    fn take(&self, most: usize) -> Option<usize> {
        let mut left = self.lock();
        while left.bytes == 0 && !left.closed {
            left = self.changed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        if left.closed {
            return None;
        }
        let taken = most.min(usize::try_from(left.bytes).unwrap_or(usize::MAX));
        left.bytes -= taken as u64;
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends an exec's output from `from` on, until it is over.
pub fn follow(exec: &Exec, from: u64, stream: u64, credit: &Credit, sender: &Sender) {
    let result = follow_on(exec, from, stream, credit, sender);
    let _ = sender.send(&Answer::End { stream, result }, &[]);
}

fn follow_on(exec: &Exec, mut at: u64, stream: u64, credit: &Credit, sender: &Sender) -> Result<Ended, Refusal> {
    let failed = |error: io::Error| Refusal::Failed { detail: format!("output cannot be read: {error}") };
    loop {
        let segment = {
            let mut state = exec.lock();
            loop {
                if credit.closed() {
                    return Ok(Ended::Detached);
                }
                if at < state.spool.total() {
                    break state.spool.locate(at).map_err(failed)?;
                }
                if at > state.spool.total() {
                    return Err(Refusal::Invalid { detail: format!("there is no output at {at} yet") });
                }
                if let Some(status) = &state.status {
                    return Ok(Ended::Output { total: at, status: status.clone() });
                }
                state = exec.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let room = usize::try_from(segment.end - at).unwrap_or(usize::MAX).min(MAX_BODY);
        let Some(most) = credit.take(room) else { return Ok(Ended::Detached) };
        let bytes = segment.read(at, most).map_err(failed)?;
        let answer = Answer::Output { stream, offset: at, from: segment.stream };
        if sender.send(&answer, &bytes).is_err() {
            return Ok(Ended::Detached);
        }
        at += bytes.len() as u64;
    }
}

/// Sends what is written to it as [`Answer::Data`], at most `limit` bytes.
pub struct DataWriter<'a> {
    stream: u64,
    credit: &'a Credit,
    sender: &'a Sender,
    left: u64,
    held: Vec<u8>,
}

impl<'a> DataWriter<'a> {
    /// For the stream of that number.
    pub fn new(stream: u64, credit: &'a Credit, sender: &'a Sender, limit: u64) -> Self {
        Self { stream, credit, sender, left: limit, held: Vec::with_capacity(MAX_BODY) }
    }

    fn send_held(&mut self) -> io::Result<()> {
        while !self.held.is_empty() {
            let Some(length) = self.credit.take(self.held.len()) else {
                return Err(io::ErrorKind::ConnectionAborted.into());
            };
            let answer = Answer::Data { stream: self.stream };
            self.sender.send(&answer, &self.held[..length]).map_err(io::Error::other)?;
            self.held.drain(..length);
        }
        Ok(())
    }
}

impl io::Write for DataWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let length = bytes.len().min(MAX_BODY - self.held.len());
        self.held.extend_from_slice(&bytes[..length]);
        self.left -= length as u64;
        if self.held.len() == MAX_BODY {
            self.send_held()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_held()
    }
}
