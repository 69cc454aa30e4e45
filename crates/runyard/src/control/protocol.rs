//! JSON lines on the control socket.
//!
//! The server greets with `{"runyard":"0.1.0","protocol":1,"pid":7}`. Then each side writes lines: the client
//! `{"id":1,"who":{…},"command":{…}}`, `{"id":2,"people":{…}}` or `{"id":3,"follow":{"session":42,"after":0}}`, the
//! server `{"id":1,"reply":{…}}`, `{"id":1,"problem":{…}}`, `{"id":2,"told":{…}}`, and `{"id":3,"event":{…}}` as often as
//! there are events.

use domain::{Event, SessionNumber};
use engine::{Command, Person, Problem, Reply};
use serde::{Deserialize, Serialize};
use server::{PeopleCommand, PeopleReply};

/// Raised when a line means something else than before.
pub const VERSION: u32 = 1;

/// The name of the socket in the data directory.
pub(super) const SOCKET: &str = "control.sock";

/// The longest line that a server reads.
pub(super) const MAX_REQUEST: usize = 8 << 20;

/// The longest line that a client reads.
pub(super) const MAX_RESPONSE: usize = 256 << 20;

/// The server's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// The server's version.
    pub runyard: String,
    /// Its [`VERSION`].
    pub protocol: u32,
    /// Its process.
    pub pid: u32,
}

/// A client's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Chosen by the client; the answers carry it.
    pub id: u64,
    /// Who asks; the server's own user when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Person>,
    /// To be done, or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// about people, or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<PeopleCommand>,
    /// to be followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<Follow>,
}

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Follow {
    /// The session.
    pub session: SessionNumber,
    /// The last event that the client saw.
    pub after: i64,
}

/// A server's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Response {
    /// The request's; none when it could not be read.
    pub id: Option<u64>,
    /// What came of it.
    #[serde(flatten)]
    pub body: Body,
}

/// What a server's line carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// It was done.
    Reply(Reply),
    /// It was done, about people.
    Told(PeopleReply),
    /// It was not.
    Problem(Problem),
    /// It happened.
    Event(Event),
}
