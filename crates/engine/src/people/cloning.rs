//! A session that begins with another one's plan, and what a session is called.

use super::{
    knowledge,
    runbooks::{version_event, version_of},
    sessions::{Start, checked_means, start, titled},
    steering::plan_of,
};
use crate::{Problem, ProblemCode, Reply, kept, shared::Shared};
use domain::{Actor, EventPayload, Extras, Mode, NoteLevel, Session, SessionId, SessionNumber, Usage, User};
use runbook::Document;
use store::{Fence, Write};

/// Makes a session that is planned already: request, options and newest plan are those of `session`, of what was said
/// and done there it has nothing. It starts from the target branch as it is now.
///
/// Also the copy of a one-shot waits for a person to execute it: nobody asked for its work yet.
pub(super) async fn clone_session(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    title: Option<&str>,
) -> Result<Reply, Problem> {
    let original = shared.session(session).await?;
    let (plan, _) = plan_of(shared, &original).await?;
    let title = title.map(checked_title).transpose()?.unwrap_or_else(|| format!("{} (copy)", original.title));
    checked_means(shared).await?;
    let repository = shared.store.repository(original.repository).await?;
    let repository = repository.ok_or_else(|| {
        Problem::new(ProblemCode::NotFound, format!("the repository of {} is no longer registered", original.number))
    })?;
    let Start { mirror, target_branch, base, mut warnings, lock: _lock } =
        start(shared, &repository, Some(original.target_branch.clone())).await?;
    // A private persona of somebody else stays theirs.
    let persona = match original.extras.persona {
        Some(id) => match knowledge::persona_named(shared, user, &id.to_string()).await {
            Ok(persona) => Some(persona.id),
            Err(problem) if problem.code == ProblemCode::NotFound => {
                warnings.push(format!("The persona of {} is not yours to use; the default ones are.", original.number));
                None
            }
            Err(problem) => return Err(problem),
        },
        None => None,
    };
    let session = Session {
        id: SessionId::new(shared.mint.as_ref()),
        requester: user.id,
        title,
        mode: Mode::Standard,
        target_branch,
        base,
        extras: Extras { persona, ..original.extras.clone() },
        agent_session: shared.mint.uuid(),
        version: 0,
        last_event: 0,
        usage: Usage::default(),
        archived: false,
        created_at: shared.now(),
        ..original.clone()
    };
    mirror.keep(&kept::base(session.id)?, &session.base).await?;
    let document = Document::parse(plan.text.as_str());
    let (version, leaves) =
        version_of(shared.mint.as_ref(), &session, None, &document, Some(user.id), session.created_at);
    let by = Actor::Person(user.id);
    let from = format!("Begins with version {} of the runbook of {}.", plan.version, original.number);
    let mut events = vec![
        EventPayload::Message { from: by, run: None, text: session.prompt.clone() },
        EventPayload::Note { level: NoteLevel::Info, text: from },
        version_event(&version, by),
    ];
    events.extend(warnings.iter().map(|text| EventPayload::Note { level: NoteLevel::Warning, text: text.clone() }));
    let writes = [Write::AddRunbook(version, leaves)];
    let session = shared.store.begin_session(&session, &writes, &events, shared.now()).await?;
    Ok(Reply::Created { session: Box::new(session), warnings })
}

/// Calls a session something else.
pub(super) async fn rename(shared: &Shared, by: Actor, session: SessionNumber, title: &str) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let title = checked_title(title)?;
    if title == session.title {
        return Ok(Reply::Done);
    }
    let text = format!("Renamed the session from “{}” to “{title}”.", session.title);
    let event = EventPayload::Message { from: by, run: None, text };
    shared.store.commit(session.id, Fence::Open, &[Write::Title(title)], &[event], shared.now()).await?;
    Ok(Reply::Done)
}

fn checked_title(title: &str) -> Result<String, Problem> {
    let empty =
        || Problem::new(ProblemCode::BadRequest, "the title is empty").mend("say in a few words what it is about");
    titled(title).ok_or_else(empty)
}
