//! Saying what is wanted next, once there is something.

use super::{sessions::checked_labels, steering::checked_text};
use crate::{Problem, ProblemCode, Reply, queue::queued, shared::Shared};
use domain::{ActionKind, Actor, Change, ChangeState, EventPayload, SessionNumber, User};
use store::{Fence, Write};

/// Longest beginning of a pull request's body, in bytes.
const LONGEST_DESCRIPTION: usize = 256 * 1024;

/// What a person wants next.
pub(super) struct Said {
    pub text: String,
    pub labels: Vec<String>,
    pub description: Option<String>,
    pub expected: Option<i64>,
}

/// Queues what the agent is to do: on the newest pull request that is open, so that it gets further commits, else an
/// answer, which may be another plan. What pull requests say is changed with the agent's next commit.
pub(super) async fn follow_up(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    said: Said,
) -> Result<Reply, Problem> {
    let text = checked_text(&said.text, "message")?;
    let session = shared.session(session).await?;
    if let Some(expected) = said.expected.filter(|expected| *expected != session.version) {
        return Err(stale(expected, session.version));
    }
    let description = match said.description {
        Some(given) => checked_description(&given)?,
        None => session.extras.description.clone(),
    };
    let more = checked_labels(&said.labels)?;
    let labels = checked_labels(&[session.labels.clone(), more].concat())?;
    let mut writes = Vec::new();
    if (&labels, &description) != (&session.labels, &session.extras.description) {
        writes.push(Write::Describe { labels, description });
    }
    let changes = shared.store.changes(session.id).await?;
    let open = |change: &&Change| {
        matches!(change.state, ChangeState::Draft | ChangeState::Open) && change.pull_request.is_some()
    };
    let newest = changes.iter().rfind(open);
    let kind = match newest {
        Some(change) => ActionKind::Revise { change: change.id, instructions: text.clone() },
        None => ActionKind::Answer { message: text.clone() },
    };
    let queue = shared.store.queue(session.id).await?;
    let told = match newest.and_then(|change| change.pull_request) {
        Some(number) => format!("revise #{number}"),
        None => "answer".to_owned(),
    };
    writes.push(Write::Enqueue(queued(shared, &session, &queue, 0, kind, Some(user.id))));
    let event = EventPayload::Message { from: Actor::Person(user.id), run: None, text };
    shared.store.commit(session.id, Fence::Open, &writes, &[event], shared.now()).await?;
    faultpoint::crash_point!("crash-message-stored");
    Ok(Reply::Queued(vec![told]))
}

/// There is another version of a runbook than the one that a person saw.
pub(super) fn stale(expected: i64, current: i64) -> Problem {
    let told = format!("the runbook has version {current}, not {expected}");
    let mut problem = Problem::new(ProblemCode::Conflict, told).mend("read it again, then decide again");
    problem.current_version = Some(current);
    problem
}

/// What the body of a pull request begins with; nothing when it is blank.
pub(super) fn checked_description(text: &str) -> Result<Option<String>, Problem> {
    if text.len() > LONGEST_DESCRIPTION {
        let told = format!("the description has more than {} KiB", LONGEST_DESCRIPTION / 1024);
        return Err(Problem::new(ProblemCode::BadRequest, told));
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
