//! The client of a shim, over any byte stream.

use crate::{Error, Lease};
use bytes::Bytes;
use parking_lot::Mutex;
use shim::{
    frame::{self, FrameError, Lengths, MAX_HEADER, PREFIX},
    proto::{Answer, Call, Refusal, Reply, Request, VERSION},
};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{mpsc, oneshot, watch},
};

/// How many bytes of one stream may be under way.
pub(crate) const WINDOW: u64 = 1 << 20;

/// A connection to a shim. Calls may overlap.
#[derive(Debug)]
pub(crate) struct Client {
    epoch: AtomicI64,
    numbers: AtomicU64,
    frames: mpsc::Sender<Outgoing>,
    open: Arc<Mutex<Open>>,
    closed: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Outgoing {
    head: Vec<u8>,
    body: Bytes,
}

impl Outgoing {
    /// Fails when the request is too large, which harms nobody else's calls.
    fn new(call: u64, request: Request, body: Bytes) -> Result<Self, Error> {
        let head = frame::encode_head(&Call { call, request }, body.len()).map_err(|error| match error {
            FrameError::TooLarge { .. } => {
                Error::TooLarge { what: "a request to the sandbox".to_owned(), limit: MAX_HEADER as u64 }
            }
            other => Error::Invalid(other.to_string()),
        })?;
        Ok(Self { head, body })
    }
}

#[derive(Debug, Default)]
struct Open {
    calls: HashMap<u64, oneshot::Sender<Result<Reply, Refusal>>>,
    flows: HashMap<u64, Incoming>,
    lost: bool,
}

#[derive(Debug)]
struct Incoming {
    items: mpsc::UnboundedSender<(Answer, Bytes)>,
    under_way: Arc<AtomicU64>,
}

impl Client {
    /// Greets the shim on `stream` under `epoch`; the second value is the sandbox id that the shim has.
    pub async fn connect<S>(stream: S, epoch: i64) -> Result<(Arc<Self>, String), Error>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let (frames, queue) = mpsc::channel(64);
        let open = Arc::new(Mutex::new(Open::default()));
        let (lost, closed) = watch::channel(false);
        tokio::spawn(send(writer, queue, closed.clone()));
        tokio::spawn(receive(reader, open.clone(), lost));
        let client = Arc::new(Self { epoch: epoch.into(), numbers: AtomicU64::new(1), frames, open, closed });
        match client.call(Request::Hello { version: VERSION, epoch }, Bytes::new()).await? {
            Reply::Hello { version: VERSION, sandbox, .. } => Ok((client, sandbox)),
            other => Err(Error::Protocol(format!("unexpected {other:?} to a greeting"))),
        }
    }

    /// Makes a call and waits for its reply.
    pub async fn call(&self, request: Request, body: Bytes) -> Result<Reply, Error> {
        let (_, reply) = self.begin(request, body).await?;
        self.finish(reply).await
    }

    /// A call whose reply is [`Reply::Done`].
    pub async fn done(&self, request: Request) -> Result<(), Error> {
        match self.call(request, Bytes::new()).await? {
            Reply::Done => Ok(()),
            other => Err(Error::Protocol(format!("unexpected {other:?}"))),
        }
    }

    /// Sends a call and gives its number and the place where its reply will come.
    pub async fn begin(
        &self,
        request: Request,
        body: Bytes,
    ) -> Result<(u64, oneshot::Receiver<Result<Reply, Refusal>>), Error> {
        let call = self.numbers.fetch_add(1, Ordering::Relaxed);
        let outgoing = Outgoing::new(call, request, body)?;
        let (answer, reply) = oneshot::channel();
        {
            let mut open = self.open.lock();
            if open.lost {
                return Err(Error::Disconnected);
            }
            open.calls.retain(|_, waiting| !waiting.is_closed());
            open.calls.insert(call, answer);
        }
        self.send(outgoing).await?;
        Ok((call, reply))
    }

    /// Waits for a reply.
    pub async fn finish(&self, reply: oneshot::Receiver<Result<Reply, Refusal>>) -> Result<Reply, Error> {
        reply.await.map_err(|_| Error::Disconnected)?.map_err(|refusal| self.refused(refusal))
    }

    /// Sends a request that has no reply.
    pub async fn tell(&self, request: Request, body: Bytes) -> Result<(), Error> {
        self.send(Outgoing::new(0, request, body)?).await
    }

    /// Makes a call that opens a stream.
    pub async fn open(self: &Arc<Self>, request: Request) -> Result<(Reply, Flow), Error> {
        let call = self.numbers.fetch_add(1, Ordering::Relaxed);
        let outgoing = Outgoing::new(call, request, Bytes::new())?;
        let (answer, reply) = oneshot::channel();
        let (items, inbox) = mpsc::unbounded_channel();
        let under_way = Arc::new(AtomicU64::new(0));
        {
            let mut open = self.open.lock();
            if open.lost {
                return Err(Error::Disconnected);
            }
            open.calls.insert(call, answer);
            open.flows.insert(call, Incoming { items, under_way: under_way.clone() });
        }
        // From here on its drop tidies up.
        let flow = Flow { client: Arc::downgrade(self), stream: call, inbox, under_way, owed: 0, over: false };
        self.send(outgoing).await?;
        Ok((self.finish(reply).await?, flow))
    }

    /// Moves the lease's deadline.
    pub async fn renew(&self, lease: Lease) -> Result<(), Error> {
        self.epoch.store(lease.epoch, Ordering::Relaxed);
        let ttl_ms = u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX);
        self.done(Request::Renew { epoch: lease.epoch, ttl_ms }).await
    }

    /// Resolves when the connection is lost.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        let _ = closed.wait_for(|lost| *lost).await;
    }

    /// What a refusal means to the caller.
    pub fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Version { ours } => {
                Error::Protocol(format!("the shim speaks version {ours}, this program version {VERSION}"))
            }
            Refusal::StaleEpoch { current } => Error::StaleEpoch { ours: self.epoch.load(Ordering::Relaxed), current },
            Refusal::NotFound { what } => Error::NotFound(what),
            Refusal::Exists => Error::Exists,
            Refusal::Start { detail } => Error::Start { detail },
            Refusal::Busy => Error::Busy,
            Refusal::Gap { next } => Error::Refused(format!("input numbers before {next} are missing")),
            Refusal::Closed => Error::Closed,
            Refusal::TooLarge { limit } => Error::TooLarge { what: "the request".to_owned(), limit },
            Refusal::Invalid { detail } | Refusal::Failed { detail } => Error::Refused(detail),
        }
    }

    async fn send(&self, outgoing: Outgoing) -> Result<(), Error> {
        self.frames.send(outgoing).await.map_err(|_| Error::Disconnected)
    }

    /// Sends a request that has no reply, without waiting for room.
    pub fn send_later(&self, request: Request) {
        let Ok(outgoing) = Outgoing::new(0, request, Bytes::new()) else { return };
        let Err(mpsc::error::TrySendError::Full(outgoing)) = self.frames.try_send(outgoing) else { return };
        let frames = self.frames.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { frames.send(outgoing).await });
        }
    }
}

/// A stream of data frames with its credit. Dropping it detaches.
#[derive(Debug)]
pub(crate) struct Flow {
    client: Weak<Client>,
    stream: u64,
    inbox: mpsc::UnboundedReceiver<(Answer, Bytes)>,
    under_way: Arc<AtomicU64>,
    owed: u64,
    over: bool,
}

impl Flow {
    /// The next frame; the last one is an [`Answer::End`].
    pub async fn next(&mut self) -> Result<(Answer, Bytes), Error> {
        let (answer, body) = self.inbox.recv().await.ok_or(Error::Disconnected)?;
        self.over |= matches!(answer, Answer::End { .. });
        let taken = body.len() as u64;
        self.under_way.fetch_sub(taken, Ordering::AcqRel);
        self.owed += taken;
        if self.owed >= WINDOW / 4
            && !self.over
            && let Some(client) = self.client.upgrade()
        {
            client.send_later(Request::Credit { stream: self.stream, bytes: std::mem::take(&mut self.owed) });
        }
        Ok((answer, body))
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if let Some(client) = self.client.upgrade() {
            client.open.lock().flows.remove(&self.stream);
            if !self.over {
                client.send_later(Request::Detach { stream: self.stream });
            }
        }
    }
}

async fn send(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>, closed: watch::Receiver<bool>) {
    let mut closed = closed;
    loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            _ = closed.wait_for(|lost| *lost) => None,
        };
        let Some(Outgoing { head, body }) = next else { break };
        let sent = async {
            writer.write_all(&head).await?;
            writer.write_all(&body).await?;
            writer.flush().await
        };
        if sent.await.is_err() {
            break;
        }
    }
    // The reader sees the end of the stream and settles all open calls.
    let _ = writer.shutdown().await;
}

async fn receive(reader: impl AsyncRead + Unpin, open: Arc<Mutex<Open>>, lost: watch::Sender<bool>) {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    loop {
        match read(&mut reader).await {
            Ok(Some((answer, body))) => {
                if let Err(why) = deliver(&open, answer, body) {
                    tracing::warn!(why, "the shim broke the protocol");
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "the connection to a shim broke");
                break;
            }
        }
    }
    let mut open = open.lock();
    open.lost = true;
    open.calls.clear();
    open.flows.clear();
    drop(open);
    let _ = lost.send(true);
}

fn deliver(open: &Mutex<Open>, answer: Answer, body: Bytes) -> Result<(), &'static str> {
    let mut open = open.lock();
    match answer {
        Answer::Reply { call, result } => {
            if let Some(waiting) = open.calls.remove(&call) {
                let _ = waiting.send(result);
            }
        }
        Answer::Output { stream, .. } | Answer::Data { stream } => {
            if let Some(flow) = open.flows.get(&stream) {
                // Empty pieces cost no credit, so they could be sent without end.
                if body.is_empty() {
                    return Err("a piece of nothing");
                }
                let before = flow.under_way.fetch_add(body.len() as u64, Ordering::AcqRel);
                if before + body.len() as u64 > WINDOW {
                    return Err("more data than was asked for");
                }
                let _ = flow.items.send((answer, body));
            }
        }
        Answer::End { stream, .. } => {
            if let Some(flow) = open.flows.remove(&stream) {
                let _ = flow.items.send((answer, Bytes::new()));
            }
        }
    }
    Ok(())
}

async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Result<Option<(Answer, Bytes)>, FrameError> {
    let mut prefix = [0; PREFIX];
    match reader.read_exact(&mut prefix).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let lengths = Lengths::parse(prefix)?;
    let mut header = vec![0; lengths.header];
    reader.read_exact(&mut header).await?;
    let answer = serde_json::from_slice(&header)?;
    let mut body = vec![0; lengths.body];
    reader.read_exact(&mut body).await?;
    Ok(Some((answer, body.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shim::proto::Stream;
    use tokio::io::DuplexStream;

    /// A shim that greets, replies to the next call, and then writes `bytes` and goes away.
    async fn shim_that_writes(bytes: Vec<u8>, mut stream: DuplexStream) {
        for reply in
            [Reply::Hello { version: VERSION, sandbox: "s".to_owned(), epoch: 1 }, Reply::Attached { stdin_next: 0 }]
        {
            let mut prefix = [0; PREFIX];
            stream.read_exact(&mut prefix).await.expect("a call");
            let lengths = Lengths::parse(prefix).expect("a call");
            let mut header = vec![0; lengths.header];
            stream.read_exact(&mut header).await.expect("a call");
            let Call { call, .. } = serde_json::from_slice(&header).expect("a call");
            let head = frame::encode_head(&Answer::Reply { call, result: Ok(reply) }, 0).expect("small");
            stream.write_all(&head).await.expect("heard");
        }
        // The client may hang up on us in the middle.
        let _ = stream.write_all(&bytes).await;
    }

    /// What a client takes out of a stream that it opened, until the connection is gone.
    async fn taken_from(bytes: Vec<u8>) -> usize {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let shim = tokio::spawn(shim_that_writes(bytes, theirs));
        let (client, _) = Client::connect(ours, 1).await.expect("greeted");
        let attach = Request::Attach { exec: "a".to_owned(), from: 0, window: WINDOW };
        let (_, mut flow) = client.open(attach).await.expect("opened");
        let mut taken = 0;
        while flow.next().await.is_ok() {
            taken += 1;
        }
        client.closed().await;
        shim.await.expect("no panic");
        assert!(matches!(client.done(Request::KillAll).await, Err(Error::Disconnected)));
        taken
    }

    fn piece(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, &Answer::Output { stream: 2, offset: 0, from: Stream::Stdout }, body).expect("small");
        bytes
    }

    #[tokio::test]
    async fn pieces_that_cost_no_credit_end_the_connection() {
        assert_eq!(taken_from([piece(b"x"), piece(b"y")].concat()).await, 2);
        assert_eq!(taken_from([piece(b"x"), piece(b""), piece(b"y")].concat()).await, 1);
    }

    proptest! {
        #[test]
        fn whatever_a_shim_writes_every_caller_is_told(
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<Option<u8>>()), 0..6),
        ) {
            let mut seeds = shim::fuzzing::frame_seeds();
            seeds.push(piece(b"body"));
            let mut bytes = Vec::new();
            for (seed, at, value) in picks {
                let mut frame = seeds[seed.index(seeds.len())].clone();
                if let Some(value) = value {
                    let at = at.index(frame.len());
                    frame[at] = value;
                }
                bytes.extend(frame);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(taken_from(bytes));
        }
    }
}
