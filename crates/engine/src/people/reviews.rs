//! Pull requests as people review them.

use super::{
    merging::not_at_work_on,
    noticing::{note_ready, notice},
    sessions::find_repository,
    steering::checked_text,
    views::render_diff,
};
use crate::{
    Problem, ProblemCode, PullRequestLine, PullRequestRef, PullRequestView, Reply, body::WORK_IN_PROGRESS,
    queue::queued, shared::Shared,
};
use domain::{ActionKind, Actor, BranchName, Change, CommitId, EventPayload, Repository, Session, SessionNumber, User};
use forge::{DiffLimits, Edit, Forge, Mirror, NewComment};
use std::fmt::Write as _;
use store::{Fence, PullRequest, PullRequestState, Thread, Write};

/// A pull request with the repository that it is in and the session that made it.
pub(super) struct Found {
    pub repository: Repository,
    pub pull_request: PullRequest,
    pub made_by: Option<(Session, Change)>,
}

/// Finds what a person means by a number, with or without a repository.
pub(super) async fn find(shared: &Shared, wanted: &PullRequestRef) -> Result<Found, Problem> {
    let repositories = match &wanted.repository {
        Some(given) => vec![find_repository(shared, given).await?],
        None => shared.store.repositories(shared.account.id).await?,
    };
    let mut found = Vec::new();
    for repository in repositories {
        if let Some(pull_request) = shared.store.pull_request(repository.id, wanted.number).await? {
            found.push((repository, pull_request));
        }
    }
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|(repository, _)| repository.name.as_str()).collect();
        return Err(Problem::new(
            ProblemCode::BadRequest,
            format!("#{} is a pull request of {}", wanted.number, names.join(" and of ")),
        )
        .mend("name the repository")
        .command("name the repository with --repo"));
    }
    let (repository, pull_request) = found.pop().ok_or_else(|| {
        Problem::new(ProblemCode::NotFound, format!("there is no pull request #{}", wanted.number))
            .mend("look among the changes of its session")
            .command("`runyard pr list` shows them")
    })?;
    let Some((session, _)) = maker(shared, &repository, &pull_request).await? else {
        return Ok(Found { repository, pull_request, made_by: None });
    };
    notice(shared, &session).await?;
    let pull_request = shared.forge.get(&repository, wanted.number).await?;
    let made_by = maker(shared, &repository, &pull_request).await?;
    Ok(Found { repository, pull_request, made_by })
}

/// The session and the change that a pull request belongs to.
async fn maker(
    shared: &Shared,
    repository: &Repository,
    pull_request: &PullRequest,
) -> Result<Option<(Session, Change)>, Problem> {
    let Some(session) = pull_request.key.split('/').next().and_then(|id| id.parse().ok()) else { return Ok(None) };
    let Some(session) = shared.store.session(session).await? else { return Ok(None) };
    if session.account != shared.account.id || session.repository != repository.id {
        return Ok(None);
    }
    let changes = shared.store.changes(session.id).await?;
    let change = changes.into_iter().find(|change| change.pull_request == Some(pull_request.number));
    Ok(change.map(|change| (session, change)))
}

async fn line(shared: &Shared, found: &Found) -> Result<PullRequestLine, Problem> {
    let mut steps = Vec::new();
    if let Some((session, change)) = &found.made_by
        && let Some(version) = shared.store.runbook(session.id, None).await?
    {
        steps =
            version.leaves().filter(|leaf| change.steps.contains(&leaf.id)).map(|leaf| leaf.number.clone()).collect();
    }
    Ok(PullRequestLine {
        repository: found.repository.name.clone(),
        repository_id: found.repository.id,
        pull_request: found.pull_request.clone(),
        session: found.made_by.as_ref().map(|(session, _)| session.number),
        steps,
        state: found.made_by.as_ref().map(|(_, change)| change.state),
    })
}

/// Pull requests, newest first.
pub(super) async fn list(
    shared: &Shared,
    session: Option<SessionNumber>,
    repository: Option<&str>,
) -> Result<Reply, Problem> {
    let only = match session {
        Some(number) => Some(shared.session(number).await?),
        None => None,
    };
    let repositories = match (repository, &only) {
        (Some(given), _) => vec![find_repository(shared, given).await?],
        (None, Some(session)) => vec![shared.repository_of(session).await?],
        (None, None) => shared.store.repositories(shared.account.id).await?,
    };
    let mut lines = Vec::new();
    for repository in repositories {
        notice_all(shared, &repository).await?;
        for pull_request in shared.store.pull_requests(repository.id).await? {
            let made_by = maker(shared, &repository, &pull_request).await?;
            let wanted =
                only.as_ref().is_none_or(|only| made_by.as_ref().is_some_and(|(session, _)| session.id == only.id));
            if wanted {
                lines.push(line(shared, &Found { repository: repository.clone(), pull_request, made_by }).await?);
            }
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse((line.pull_request.created_at, line.pull_request.number)));
    Ok(Reply::PullRequests(lines))
}

/// Notices merges of every open pull request that a session made.
async fn notice_all(shared: &Shared, repository: &Repository) -> Result<(), Problem> {
    let mut seen = Vec::new();
    for pull_request in shared.store.pull_requests(repository.id).await? {
        if pull_request.state == PullRequestState::Closed {
            continue;
        }
        match maker(shared, repository, &pull_request).await? {
            Some((session, _)) if !seen.contains(&session.id) => {
                seen.push(session.id);
                notice(shared, &session).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The mirror, and the commits between which a pull request's diff is: what it brings, and no more.
async fn ends(shared: &Shared, found: &Found) -> Result<(Mirror, CommitId, CommitId), Problem> {
    let repository = &found.repository;
    let _lock = shared.lock_mirror(repository.id).await;
    let mirror = shared.forge.mirror(repository, &shared.mirror_dir(repository.id)).await?;
    shared.forge.fetch(repository, &mirror).await?;
    let gone = |what: &str| {
        Problem::new(ProblemCode::NotFound, format!("the {what} of #{} is gone", found.pull_request.number))
    };
    let head = match &found.pull_request.merged_head {
        Some(head) => head.clone(),
        None => match shared.forge.branch(repository, &found.pull_request.head).await? {
            Some(head) => head,
            None => found.made_by.as_ref().map(|(_, change)| change.head.clone()).ok_or_else(|| gone("branch"))?,
        },
    };
    if let Some((_, change)) = &found.made_by {
        return Ok((mirror, change.base.clone(), head));
    }
    let tip = shared.forge.branch(repository, &found.pull_request.base).await?.ok_or_else(|| gone("base branch"))?;
    let base = mirror.merge_base(&tip, &head).await?.unwrap_or(tip);
    Ok((mirror, base, head))
}

/// One pull request with everything about it.
pub(super) async fn show(shared: &Shared, wanted: &PullRequestRef) -> Result<Reply, Problem> {
    let found = find(shared, wanted).await?;
    let (mirror, base, head) = ends(shared, &found).await?;
    let number = found.pull_request.number;
    let commits = mirror.log(&base, &head, 200).await?.into_iter().map(|entry| (entry.commit, entry.subject)).collect();
    let base_branch: BranchName = found.pull_request.base.clone();
    Ok(Reply::PullRequest(Box::new(PullRequestView {
        line: line(shared, &found).await?,
        commits,
        comments: shared.forge.comments(&found.repository, number).await?,
        threads: shared.forge.threads(&found.repository, number).await?,
        checks: shared.forge.checks(&found.repository, &head).await?,
        head: Some(head),
        base: base_branch,
    })))
}

/// The diff of a pull request.
pub(super) async fn diff(shared: &Shared, wanted: &PullRequestRef) -> Result<Reply, Problem> {
    let found = find(shared, wanted).await?;
    let (mirror, base, head) = ends(shared, &found).await?;
    let diff = mirror.diff(&base, &head, &DiffLimits::default()).await?;
    Ok(Reply::Text(render_diff(&diff)))
}

/// Adds a comment, or begins a review thread on a line.
pub(super) async fn comment(
    shared: &Shared,
    user: &User,
    wanted: &PullRequestRef,
    body: &str,
    at: Option<(String, i64)>,
) -> Result<Reply, Problem> {
    let body = checked_text(body, "comment")?;
    let found = find(shared, wanted).await?;
    let number = found.pull_request.number;
    let mut thread = None;
    if let Some((path, row)) = at {
        let (mirror, _, head) = ends(shared, &found).await?;
        let text = mirror
            .file_at(&head, &path, 16 << 20)
            .await?
            .ok_or_else(|| Problem::new(ProblemCode::NotFound, format!("#{number} has no file `{path}`")))?;
        let rows = i64::try_from(text.split(|byte| *byte == b'\n').count()).unwrap_or(i64::MAX);
        if row < 1 || row > rows {
            return Err(Problem::new(ProblemCode::BadRequest, format!("`{path}` has no line {row}"))
                .mend(format!("it has lines 1 to {rows}")));
        }
        let new = Thread { id: shared.mint.uuid(), path, line: row, commit: head, resolved: false };
        shared.forge.put_thread(&found.repository, number, &new).await?;
        thread = Some(new.id);
    }
    let new = NewComment { id: shared.mint.uuid(), author: user.name.clone(), body, thread };
    shared.forge.comment(&found.repository, number, &new).await?;
    Ok(Reply::Done)
}

/// How often a pull request is looked at again that others change meanwhile.
const TRIES: usize = 5;

/// Takes the mark of a draft off a pull request, with that of work in progress.
pub(super) async fn make_ready(shared: &Shared, wanted: &PullRequestRef) -> Result<Reply, Problem> {
    for _ in 0..TRIES {
        let Found { repository, pull_request, made_by } = find(shared, wanted).await?;
        let number = pull_request.number;
        match pull_request.state {
            PullRequestState::Open => {}
            PullRequestState::Merged => {
                return Err(Problem::new(ProblemCode::Conflict, format!("#{number} is merged already")));
            }
            PullRequestState::Closed => {
                return Err(Problem::new(ProblemCode::Conflict, format!("#{number} is closed")));
            }
        }
        if let Some((session, change)) = &made_by {
            not_at_work_on(shared, session, change).await?;
        }
        let title = pull_request.title.strip_prefix(WORK_IN_PROGRESS).map(str::to_owned);
        let edit = Edit { draft: Some(false), title, seen: Some(pull_request.updated_at), ..Edit::default() };
        let ready = match shared.forge.update(&repository, number, &edit).await {
            Err(forge::Error::Changed { .. }) => continue,
            updated => updated?,
        };
        if let Some((_, change)) = &made_by {
            note_ready(shared, change, &ready).await?;
        }
        return Ok(Reply::Done);
    }
    Err(Problem::new(ProblemCode::Conflict, format!("others keep changing #{}", wanted.number)).mend("try again"))
}

/// Hands all unresolved review threads, and the given words, to the agent as one batch.
pub(super) async fn revise(
    shared: &Shared,
    user: &User,
    wanted: &PullRequestRef,
    instructions: Option<&str>,
) -> Result<Reply, Problem> {
    let found = find(shared, wanted).await?;
    let number = found.pull_request.number;
    let (session, change) = found.made_by.as_ref().ok_or_else(|| {
        Problem::new(ProblemCode::Conflict, format!("#{number} was not made by a session, so no agent knows it"))
            .mend("start a session for what you want changed")
    })?;
    if found.pull_request.state != PullRequestState::Open {
        return Err(Problem::new(ProblemCode::Conflict, format!("#{number} is not open any more")));
    }
    let comments = shared.forge.comments(&found.repository, number).await?;
    let mut text = String::new();
    for thread in shared.forge.threads(&found.repository, number).await?.iter().filter(|thread| !thread.resolved) {
        let _ = writeln!(text, "## {}, line {}", thread.path, thread.line);
        for comment in comments.iter().filter(|comment| comment.thread == Some(thread.id)) {
            let _ = writeln!(text, "{}: {}", comment.author, comment.body);
        }
        text.push('\n');
    }
    if let Some(words) = instructions.map(str::trim).filter(|words| !words.is_empty()) {
        let _ = writeln!(text, "{words}");
    }
    if text.trim().is_empty() {
        return Err(Problem::new(ProblemCode::BadRequest, format!("#{number} has no unresolved review comment"))
            .mend("comment on a line, or say what is to be changed"));
    }
    let queue = shared.store.queue(session.id).await?;
    let kind = ActionKind::Revise { change: change.id, instructions: text };
    let action = queued(shared, session, &queue, 0, kind, Some(user.id));
    let said = format!("Asked to revise #{number}.");
    let event = EventPayload::Message { from: Actor::Person(user.id), run: None, text: said };
    shared.store.commit(session.id, Fence::Open, &[Write::Enqueue(action)], &[event], shared.now()).await?;
    Ok(Reply::Queued(vec![format!("revise #{number}")]))
}
