//! What both sides say to each other, as the JSON headers of [frames](crate::frame).
//!
//! A client sends [`Call`]s and the shim answers each with one [`Answer::Reply`] of the same number, except for
//! [`Request::Credit`], which has none, and for the calls that open a stream ([`Request::Attach`],
//! [`Request::GetArchive`]), whose data frames come between the reply and [`Answer::End`].

use serde::{Deserialize, Serialize};

/// The protocol's version, exchanged in the first call of a connection. Raised when old and new cannot work together.
pub const VERSION: u32 = 1;
/// Where the shim binary appears inside a sandbox.
pub const SHIM_INSIDE: &str = "/run/runyard/shim";
/// Where the egress sockets' directory appears inside a sandbox.
pub const EGRESS_INSIDE: &str = "/run/egress";
/// Directories inside that archives may be put into and taken from.
pub const OPEN_ROOTS: [&str; 3] = ["/code", "/home/agent", "/tmp"];
/// The most input that the shim holds for an exec that does not read it; more is [`Refusal::Busy`].
pub const STDIN_BUFFER: usize = 4 << 20;

/// A request with its number, unique among a connection's open calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The number that the answers carry.
    pub call: u64,
    /// What is wanted.
    pub request: Request,
}

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The first call of a connection.
    Hello {
        /// [`VERSION`] of the client.
        version: u32,
        /// The epoch that the client works under; requests that change something are refused when a higher one is seen.
        epoch: i64,
    },
    /// Moves the lease's deadline to `ttl_ms` from now.
    Renew {
        /// The epoch of the lease.
        epoch: i64,
        /// Milliseconds.
        ttl_ms: u64,
    },
    /// Starts an exec.
    Exec(ExecRequest),
    /// Streams an exec's output as [`Answer::Output`] frames.
    Attach {
        /// Which.
        exec: String,
        /// The byte offset to start at, over both streams together.
        from: u64,
        /// How many bytes may be under way unacknowledged.
        window: u64,
    },
    /// Grants a stream `bytes` more.
    Credit {
        /// The number of the call that opened the stream.
        stream: u64,
        /// How many bytes were taken in.
        bytes: u64,
    },
    /// Ends a stream early.
    Detach {
        /// The number of the call that opened the stream.
        stream: u64,
    },
    /// Input for an exec, in the frame's body. The first frame has `seq` 0, each further one the next number; a number
    /// that was taken in before is acknowledged and dropped.
    Stdin {
        /// Which.
        exec: String,
        /// The frame's number.
        seq: u64,
    },
    /// Closes an exec's input after what was sent.
    CloseStdin {
        /// Which.
        exec: String,
    },
    /// Sends a signal to the exec's main process group.
    Signal {
        /// Which.
        exec: String,
        /// The signal's number on Linux.
        signal: i32,
    },
    /// Kills an exec with everything in it.
    Kill {
        /// Which.
        exec: String,
    },
    /// Kills all execs.
    KillAll,
    /// Answered when the exec has ended.
    Wait {
        /// Which.
        exec: String,
    },
    /// Drops a finished exec.
    Forget {
        /// Which.
        exec: String,
    },
    /// All execs.
    List,
    /// Takes a tar from the [`Request::Data`] frames that follow and unpacks it; answered when done.
    PutArchive {
        /// Absolute directory inside, made when absent.
        path: String,
    },
    /// A part of a tar in the frame's body; without a reply of its own.
    Data {
        /// The number of the [`Request::PutArchive`] call.
        stream: u64,
        /// Whether it is the last part.
        last: bool,
    },
    /// Streams a tar of `path` as [`Answer::Data`] frames.
    GetArchive {
        /// Absolute path inside.
        path: String,
        /// The most bytes that the tar may have.
        limit: u64,
        /// How many bytes may be under way unacknowledged.
        window: u64,
    },
    /// Forwards connections to a loopback port to a socket of the egress directory.
    Forward(Forward),
    /// Ends the sandbox.
    Shutdown,
}

/// A loopback port and where its connections go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The port on `127.0.0.1` inside.
    pub port: u16,
    /// A file name in the egress directory.
    pub socket: String,
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// The exec's name: 1 to 64 of `[A-Za-z0-9-]`.
    pub exec: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Absolute directory inside.
    pub cwd: String,
    /// What it reads.
    pub stdin: Stdin,
    /// Killed after so many milliseconds.
    pub time_limit_ms: Option<u64>,
    /// Killed when its output takes more bytes, see [`ExitReason::OutputQuota`].
    pub output_quota: u64,
    /// The most processes and threads of the whole sandbox, as seen by this exec.
    pub processes: Option<u64>,
    /// The most bytes of writable private memory of each of its processes.
    pub process_memory: Option<u64>,
    /// Whether it may use `ptrace` among its own processes.
    pub allow_ptrace: bool,
}

/// What an exec reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// What the client sends.
    Pipe,
}

/// One of an exec's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What the shim sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The answer to a call.
    Reply {
        /// The call's number.
        call: u64,
        /// Its result.
        result: Result<Reply, Refusal>,
    },
    /// A part of an exec's output, in the frame's body; never mixes the streams.
    Output {
        /// The number of the [`Request::Attach`] call.
        stream: u64,
        /// The byte offset of the body's first byte.
        offset: u64,
        /// Where it was written to.
        from: Stream,
    },
    /// A part of a tar, in the frame's body.
    Data {
        /// The number of the [`Request::GetArchive`] call.
        stream: u64,
    },
    /// A stream's end.
    End {
        /// The number of the call that opened it.
        stream: u64,
        /// What became of it.
        result: Result<Ended, Refusal>,
    },
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Ended {
    /// An exec's output is complete, of that many bytes, and the exec has ended.
    Output {
        /// Bytes of both streams together.
        total: u64,
        /// How the exec ended.
        status: ExitStatus,
    },
    /// The tar is complete.
    Archive,
    /// The client detached.
    Detached,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done; nothing to tell.
    Done,
    /// To [`Request::Hello`].
    Hello {
        /// [`VERSION`] of the shim.
        version: u32,
        /// The sandbox's id.
        sandbox: String,
        /// The highest epoch seen.
        epoch: i64,
    },
    /// To [`Request::Attach`]: the data follows.
    Attached {
        /// The number of the next input frame.
        stdin_next: u64,
    },
    /// To [`Request::Stdin`].
    Stdin {
        /// The number of the next frame.
        next: u64,
    },
    /// To [`Request::Wait`].
    Exited {
        /// How it ended.
        status: ExitStatus,
    },
    /// To [`Request::List`].
    Execs {
        /// All of them, oldest first.
        execs: Vec<ExecInfo>,
    },
}

/// An exec as the shim knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecInfo {
    /// Its name.
    pub exec: String,
    /// How it ended; `None` while it runs.
    pub status: Option<ExitStatus>,
    /// Bytes of output so far.
    pub output: u64,
    /// The number of the next input frame.
    pub stdin_next: u64,
}

/// How an exec ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// What the program returned, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Why it ended.
    pub reason: ExitReason,
    /// Whether the sandbox's disk space was used up at some time while it ran.
    #[serde(default)]
    pub disk_full: bool,
}

impl ExitStatus {
    /// Whether the program ended by itself with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0) && self.reason == ExitReason::Exited
    }
}

/// Why an exec ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// By itself, or by a signal from inside or from [`Request::Signal`].
    Exited,
    /// By [`Request::Kill`].
    Killed,
    /// It ran for longer than its time limit.
    TimedOut,
    /// Its output was longer than its quota, in which each switch between the streams counts 16 bytes.
    OutputQuota,
    /// Its output could not be kept, as when the disk is full.
    SpoolFailed,
    /// The sandbox kept more on disk than it may, where no wall stops it.
    DiskQuota,
    /// The host's disk is nearly full, and the sandbox went on writing.
    HostDiskFull,
}

/// Why the shim does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// The two sides' [`VERSION`]s differ.
    Version {
        /// The shim's.
        ours: u32,
    },
    /// A newer epoch was seen.
    StaleEpoch {
        /// It.
        current: i64,
    },
    /// There is none of that name.
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// An exec of that name exists.
    Exists,
    /// The program could not be started.
    Start {
        /// Why.
        detail: String,
    },
    /// More than [`STDIN_BUFFER`] bytes wait to be read: try again later.
    Busy,
    /// An input frame was left out.
    Gap {
        /// The number that was expected.
        next: u64,
    },
    /// The exec's input is closed, or it has ended.
    Closed,
    /// Something is larger than its limit.
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The request makes no sense, or an archive has an entry that is not allowed.
    Invalid {
        /// What is wrong.
        detail: String,
    },
    /// The machine failed.
    Failed {
        /// What it said.
        detail: String,
    },
}
