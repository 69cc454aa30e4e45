//! Connections of clients.

use super::{
    Sandbox,
    feed::{self, Credit, DataWriter, Sender},
    forward,
};
use shim::{
    archive, frame,
    proto::{Answer, Call, Ended, Refusal, Reply, Request, VERSION},
};
use std::{
    collections::HashMap,
    io::{self, Read},
    os::unix::net::{UnixListener, UnixStream},
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    time::Duration,
};

/// Takes clients in for as long as the sandbox lives.
pub fn accept(sandbox: &Arc<Sandbox>, listener: &UnixListener) -> ExitCode {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        if open.load(Ordering::Relaxed) >= super::MAX_CONNECTIONS {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (sandbox, count) = (sandbox.clone(), open.clone());
        let run = move || {
            // A client that breaks the rules, or leaves, loses its connection and nothing else.
            let _ = serve(&sandbox, stream);
            count.fetch_sub(1, Ordering::Relaxed);
        };
        if super::spawn("client", run).is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn serve(sandbox: &Arc<Sandbox>, stream: UnixStream) -> Result<(), frame::FrameError> {
    let mut reader = io::BufReader::with_capacity(64 << 10, stream.try_clone()?);
    let mut client = Client {
        sandbox: sandbox.clone(),
        sender: Sender::new(stream),
        epoch: None,
        streams: Arc::default(),
        uploads: HashMap::new(),
    };
    let result = loop {
        match frame::read::<Call>(&mut reader) {
            Ok(Some((call, body))) => {
                if let Err(error) = client.handle(call, body) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    for credit in client.streams.lock().unwrap_or_else(PoisonError::into_inner).values() {
        credit.close();
    }
    result
}

struct Client {
    sandbox: Arc<Sandbox>,
    sender: Sender,
    epoch: Option<i64>,
    streams: Arc<Mutex<HashMap<u64, Arc<Credit>>>>,
    uploads: HashMap<u64, SyncSender<Vec<u8>>>,
}

type Outcome = Result<Reply, Refusal>;

impl Client {
    fn handle(&mut self, Call { call, request }: Call, body: Vec<u8>) -> Result<(), frame::FrameError> {
        if self.epoch.is_none() && !matches!(request, Request::Hello { .. }) {
            let detail = "the first call is a greeting".to_owned();
            return self.reply(call, Err(Refusal::Invalid { detail }));
        }
        if changes(&request)
            && let Err(stale) = self.sandbox.lease.check(self.epoch.unwrap_or(i64::MIN))
        {
            return self.reply(call, Err(stale));
        }
        let execs = &self.sandbox.execs;
        let done = |result: Result<(), Refusal>| result.map(|()| Reply::Done);
        let outcome: Outcome = match request {
            Request::Hello { version, epoch } => self.greet(version, epoch),
            Request::Renew { epoch, ttl_ms } => {
                let renewed = self.sandbox.lease.renew(epoch, Duration::from_millis(ttl_ms));
                if renewed.is_ok() {
                    self.epoch = Some(epoch);
                }
                done(renewed)
            }
            Request::Exec(exec) => done(execs.start(&exec).map(drop)),
            Request::Attach { exec, from, window } => return self.attach(call, &exec, from, window),
            Request::Credit { stream, bytes } => {
                self.with_stream(stream, |credit| credit.grant(bytes));
                return Ok(());
            }
            Request::Detach { stream } => {
                self.with_stream(stream, Credit::close);
                return Ok(());
            }
            Request::Stdin { exec, seq } => {
                execs.get(&exec).and_then(|exec| exec.input(seq, &body)).map(|next| Reply::Stdin { next })
            }
            Request::CloseStdin { exec } => done(execs.get(&exec).map(|exec| exec.close_input())),
            Request::Signal { exec, signal } => done(execs.get(&exec).and_then(|exec| exec.signal(signal))),
            Request::Kill { exec } => done(execs.get(&exec).map(|exec| exec.kill(shim::proto::ExitReason::Killed))),
            Request::KillAll => {
                execs.kill_all(shim::proto::ExitReason::Killed);
                Ok(Reply::Done)
            }
            Request::Wait { exec } => return self.wait(call, &exec),
            Request::Forget { exec } => done(execs.forget(&exec)),
            Request::List => Ok(Reply::Execs { execs: execs.list() }),
            Request::PutArchive { path } => return self.receive(call, path),
            Request::Data { stream, last } => {
                self.take_data(stream, last, body);
                return Ok(());
            }
            Request::GetArchive { path, limit, window } => return self.send_archive(call, path, limit, window),
            Request::Forward(forward) => done(forward::start(&forward)),
            Request::Shutdown => {
                self.reply(call, Ok(Reply::Done))?;
                self.sandbox.lease.end();
            }
        };
        self.reply(call, outcome)
    }

    fn reply(&self, call: u64, result: Outcome) -> Result<(), frame::FrameError> {
        self.sender.send(&Answer::Reply { call, result }, &[])
    }

    fn greet(&mut self, version: u32, epoch: i64) -> Outcome {
        if version != VERSION {
            return Err(Refusal::Version { ours: VERSION });
        }
        self.epoch = Some(epoch);
        let epoch = self.sandbox.lease.greet(epoch);
        Ok(Reply::Hello { version: VERSION, sandbox: self.sandbox.id.clone(), epoch })
    }

    fn attach(&mut self, call: u64, name: &str, from: u64, window: u64) -> Result<(), frame::FrameError> {
        let exec = match self.sandbox.execs.get(name) {
            Ok(exec) => exec,
            Err(refusal) => return self.reply(call, Err(refusal)),
        };
        let stdin_next = exec.info().stdin_next;
        let credit = Credit::new(window, Some(exec.clone()));
        self.open(call, Reply::Attached { stdin_next }, credit, move |credit, sender| {
            feed::follow(&exec, from, call, credit, sender);
        })
    }

    fn send_archive(&mut self, call: u64, path: String, limit: u64, window: u64) -> Result<(), frame::FrameError> {
        let sandbox = self.sandbox.clone();
        self.open(call, Reply::Done, Credit::new(window, None), move |credit, sender| {
            let packed = archive::pack(&sandbox.root, &path, DataWriter::new(call, credit, sender, limit));
            let result = match packed {
                Err(Refusal::TooLarge { limit: 0 }) => Err(Refusal::TooLarge { limit }),
                other => other.map(|()| Ended::Archive),
            };
            let _ = sender.send(&Answer::End { stream: call, result }, &[]);
        })
    }

    /// Replies, then runs `send` on a thread of its own.
    fn open(
        &mut self,
        call: u64,
        reply: Reply,
        credit: Arc<Credit>,
        send: impl FnOnce(&Credit, &Sender) + Send + 'static,
    ) -> Result<(), frame::FrameError> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(call, credit.clone());
        self.reply(call, Ok(reply))?;
        let (sender, streams) = (self.sender.clone(), self.streams.clone());
        let spawned = super::spawn("stream", move || {
            send(&credit, &sender);
            streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        });
        match spawned {
            Ok(()) => Ok(()),
            Err(error) => {
                self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
                let result = Err(Refusal::Failed { detail: error.to_string() });
                self.sender.send(&Answer::End { stream: call, result }, &[])
            }
        }
    }

    fn with_stream(&self, stream: u64, act: impl FnOnce(&Credit)) {
        let found = self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned();
        if let Some(credit) = found {
            act(&credit);
        }
    }

    fn wait(&self, call: u64, name: &str) -> Result<(), frame::FrameError> {
        let exec = match self.sandbox.execs.get(name) {
            Ok(exec) => exec,
            Err(refusal) => return self.reply(call, Err(refusal)),
        };
        let sender = self.sender.clone();
        let spawned = super::spawn("wait", move || {
            let mut state = exec.lock();
            let status = loop {
                if let Some(status) = &state.status {
                    break status.clone();
                }
                state = exec.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            let _ = sender.send(&Answer::Reply { call, result: Ok(Reply::Exited { status }) }, &[]);
        });
        match spawned {
            Ok(()) => Ok(()),
            Err(error) => self.reply(call, Err(Refusal::Failed { detail: error.to_string() })),
        }
    }

    fn receive(&mut self, call: u64, path: String) -> Result<(), frame::FrameError> {
        let (parts, inbox) = mpsc::sync_channel(4);
        let (sandbox, sender) = (self.sandbox.clone(), self.sender.clone());
        let spawned = super::spawn("unpack", move || {
            let mut parts = Parts { inbox, part: Vec::new(), at: 0, complete: false };
            let result = archive::unpack(&sandbox.root, &path, &mut parts).map(|()| Reply::Done);
            let _ = sender.send(&Answer::Reply { call, result }, &[]);
            // What is still under way is taken in and dropped, so that the client's other calls are not held up.
            while !parts.complete && parts.refill() {}
        });
        match spawned {
            Ok(()) => {
                self.uploads.insert(call, parts);
                Ok(())
            }
            Err(error) => self.reply(call, Err(Refusal::Failed { detail: error.to_string() })),
        }
    }

    fn take_data(&mut self, stream: u64, last: bool, body: Vec<u8>) {
        let Some(parts) = self.uploads.get(&stream) else { return };
        let gone = (!body.is_empty() && parts.send(body).is_err()) || (last && parts.send(Vec::new()).is_err());
        if last || gone {
            self.uploads.remove(&stream);
        }
    }
}

/// Whether a request is for the holder of the lease alone.
fn changes(request: &Request) -> bool {
    match request {
        Request::Hello { .. }
        | Request::Renew { .. }
        | Request::Attach { .. }
        | Request::Credit { .. }
        | Request::Detach { .. }
        | Request::Wait { .. }
        | Request::List
        | Request::Data { .. }
        | Request::GetArchive { .. } => false,
        Request::Exec(_)
        | Request::Stdin { .. }
        | Request::CloseStdin { .. }
        | Request::Signal { .. }
        | Request::Kill { .. }
        | Request::KillAll
        | Request::Forget { .. }
        | Request::PutArchive { .. }
        | Request::Forward(_)
        | Request::Shutdown => true,
    }
}

/// A tar that arrives in parts; an empty part is its end, and a missing one an error.
struct Parts {
    inbox: Receiver<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
    complete: bool,
}

impl Parts {
    fn refill(&mut self) -> bool {
        match self.inbox.recv() {
            Ok(part) => {
                self.complete = part.is_empty();
                (self.part, self.at) = (part, 0);
                true
            }
            Err(_) => false,
        }
    }
}

impl Read for Parts {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.at == self.part.len() && !self.complete && !self.refill() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = to.len().min(self.part.len() - self.at);
        to[..length].copy_from_slice(&self.part[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
