//! One function for each route.

use super::{
    Asker,
    asked::{Fields, FollowUp, NewRunbook, Shelf, Wanted},
    numbered, odd, query, read,
    told::{Detail, KeptSpec, Page, Runbook, RunbookState, Summary},
};
use crate::{
    http::problem::{Answer, Refused},
    state::State,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as Shared, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
};
use domain::{Budget, Role};
use engine::{Command, NewSession, Overview, Person, Reply, SessionView, Spec};
use std::{sync::Arc, time::Duration};

type Body = Result<Bytes, BytesRejection>;
type Accepted = (StatusCode, Json<Runbook>);

/// What can be told in detail.
const FIELDS: [&str; 4] = ["steps_markdown", "spec_files", "runbook_state", "intent"];

/// Makes a session and has it planned, and executed unless `oneshot` is false.
#[utoipa::path(
    post, path = "/api/v1/runbook", operation_id = "createRunbook", tag = "runbook",
    request_body = NewRunbook,
    responses(
        (status = 202, description = "It is made; planning goes on by itself", body = Runbook),
        (status = 400, description = "The request makes no sense as it is", body = Refused),
        (status = 401, description = "The token is missing or not good", body = Refused),
        (status = 403, description = "The caller may not", body = Refused),
        (status = 404, description = "No repository is registered under that name", body = Refused),
        (status = 409, description = "The repository is not in a state that allows it", body = Refused),
        (status = 413, description = "The body is too long", body = Refused),
        (status = 415, description = "The body is not JSON", body = Refused),
        (status = 503, description = "Something is missing on the server's machine", body = Refused),
    )
)]
pub async fn create(
    Shared(state): Shared<Arc<State>>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Accepted, Answer> {
    let asker = Asker::of(&state, &method, &headers).await?;
    let new: NewRunbook = read(&headers, body)?;
    new.check()?;
    let repository = new.repository.registered();
    asker.must_be_registered(&repository).await?;
    let requester = author(&asker, new.author_email.as_deref()).await?;
    let new = NewSession {
        repository,
        prompt: new.wanted()?.to_owned(),
        mode: new.mode(),
        title: new.title,
        pr_mode: new.pr_mode.map(Into::into),
        draft: new.draft,
        labels: new.labels,
        description: new.description,
        spec: new.spec_file.map(|spec| Spec { name: spec.filename, text: spec.content }),
        target_branch: new.target_branch,
        budget: Budget::default(),
        persona: None,
        requester,
    };
    let Reply::Created { session, .. } = asker.ask(Command::CreateSession(new)).await? else { return Err(odd()) };
    Ok(accepted(&asker, &*asker.session(session.number).await?))
}

/// Whose a new session is: the caller's, or somebody's of the account whom the caller may act for.
async fn author(asker: &Asker, email: Option<&str>) -> Result<Option<Person>, Answer> {
    let own = asker.caller.member.as_ref();
    let Some(email) = email.map(str::trim) else { return Ok(asker.caller.person()) };
    if own.is_some_and(|member| member.user.email.eq_ignore_ascii_case(email)) {
        return Ok(asker.caller.person());
    }
    // A token of the account is nobody itself, so it acts for those who use it.
    if own.is_some() && asker.caller.role == Role::Member {
        let told = "only a maintainer, or a token of the account, may make a session for somebody else";
        return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", told).field("author_email"));
    }
    let members = asker.state.access.members(asker.state.account).await?;
    let found = members.into_iter().find(|it| it.active && it.user.email.eq_ignore_ascii_case(email));
    let told = || Answer::bad("nobody of this account has that mail address").field("author_email");
    found.map(|it| Some(Person { name: it.user.name, email: it.user.email })).ok_or_else(told)
}

/// Sessions in a repository, newest first: those of the caller, or of everybody for a token of the account.
#[utoipa::path(
    get, path = "/api/v1/runbook", operation_id = "listRunbooks", tag = "runbook",
    params(Wanted),
    responses(
        (status = 200, description = "A page of them", body = Page),
        (status = 400, description = "The address makes no sense as it is", body = Refused),
        (status = 401, description = "The token is missing or not good", body = Refused),
        (status = 403, description = "The caller may not", body = Refused),
        (status = 404, description = "No repository is registered under that name", body = Refused),
    )
)]
pub async fn list(
    Shared(state): Shared<Arc<State>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Page>, Answer> {
    let asker = Asker::of(&state, &method, &headers).await?;
    let wanted: Wanted = query(&uri)?;
    wanted.check()?;
    let overview = Overview {
        repository: wanted.registered(),
        requester: asker.caller.member.as_ref().map(|member| member.user.id),
        branch: wanted.working_branch,
        archived: wanted.status.map(|shelf| shelf == Shelf::Archived),
        skip: (wanted.page - 1) * wanted.per_page,
        limit: wanted.per_page + 1,
    };
    let Reply::Overview(mut views) = asker.ask(Command::Overview(overview)).await? else { return Err(odd()) };
    let page = usize::try_from(wanted.per_page).unwrap_or(usize::MAX);
    let has_more = views.len() > page;
    views.truncate(page);
    let runbooks = views.iter().map(|view| Summary::of(view, &state.origins)).collect();
    Ok(Json(Page { runbooks, number: wanted.page, size: wanted.per_page, has_more }))
}

/// Where a session stands.
#[utoipa::path(
    get, path = "/api/v1/runbook/{number}", operation_id = "getRunbook", tag = "runbook",
    params(("number" = i64, Path, minimum = 1, description = "The session's number")),
    responses(
        (status = 200, description = "Where it stands", body = Runbook),
        (status = 401, description = "The token is missing or not good", body = Refused),
        (status = 403, description = "The caller may not", body = Refused),
        (status = 404, description = "There is no such session", body = Refused),
    )
)]
pub async fn status(
    Shared(state): Shared<Arc<State>>,
    Path(number): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Json<Runbook>, Answer> {
    let asker = Asker::of(&state, &method, &headers).await?;
    let view = asker.session(numbered(&number)?).await?;
    Ok(Json(Runbook::of(&view, &state.origins)))
}

/// Says something to a session. The agent goes on: on the branch of the newest open pull request when there is one, else
/// with the plan.
#[utoipa::path(
    patch, path = "/api/v1/runbook/{number}", operation_id = "followUp", tag = "runbook",
    params(("number" = i64, Path, minimum = 1, description = "The session's number")),
    request_body = FollowUp,
    responses(
        (status = 202, description = "It was said; where the session stands at this moment", body = Runbook),
        (status = 400, description = "The request makes no sense as it is", body = Refused),
        (status = 401, description = "The token is missing or not good", body = Refused),
        (status = 402, description = "The session's budget is used up", body = Refused),
        (status = 403, description = "The caller may not", body = Refused),
        (status = 404, description = "There is no such session", body = Refused),
        (status = 409, description = "The runbook has another version than the expected one", body = Refused),
        (status = 413, description = "The body is too long", body = Refused),
        (status = 415, description = "The body is not JSON", body = Refused),
    )
)]
pub async fn follow_up(
    Shared(state): Shared<Arc<State>>,
    Path(number): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Accepted, Answer> {
    let asker = Asker::of(&state, &method, &headers).await?;
    let said: FollowUp = read(&headers, body)?;
    said.check()?;
    let session = numbered(&number)?;
    has_budget(&*asker.session(session).await?)?;
    let text = said.said()?.to_owned();
    let FollowUp { labels, description, expected_version: expected, .. } = said;
    let command = Command::FollowUp { session, text, labels, description, expected };
    asker.ask(command).await.map_err(|refused| refused.expected(expected))?;
    Ok(accepted(&asker, &*asker.session(session).await?))
}

/// Refuses what a session could not do any more.
fn has_budget(view: &SessionView) -> Result<(), Answer> {
    match view.session.budget.exceeded(&view.session.usage, Duration::from_millis(view.worked_ms)) {
        Some(exceeded) => {
            let told = format!("{exceeded}; raise the session's budget first");
            Err(Answer::new(StatusCode::PAYMENT_REQUIRED, "insufficient-credits", told))
        }
        None => Ok(()),
    }
}

/// Everything about a session, or the part of it that is asked for.
#[utoipa::path(
    get, path = "/api/v1/runbook/{number}/detail", operation_id = "getRunbookDetail", tag = "runbook",
    params(("number" = i64, Path, minimum = 1, description = "The session's number"), Fields),
    responses(
        (status = 200, description = "What was asked for", body = Detail),
        (status = 400, description = "A field is unknown, or there are no steps yet", body = Refused),
        (status = 401, description = "The token is missing or not good", body = Refused),
        (status = 403, description = "The caller may not", body = Refused),
        (status = 404, description = "There is no such session", body = Refused),
    )
)]
pub async fn detail(
    Shared(state): Shared<Arc<State>>,
    Path(number): Path<String>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Detail>, Answer> {
    let asker = Asker::of(&state, &method, &headers).await?;
    let Fields { fields } = query(&uri)?;
    let fields: Vec<&str> = fields.as_deref().map_or_else(|| FIELDS.to_vec(), |given| given.split(',').collect());
    if let Some(unknown) = fields.iter().find(|field| !FIELDS.contains(field)) {
        let told = format!("there is no field `{}`; there are {}", unknown.escape_debug(), FIELDS.join(", "));
        return Err(Answer::bad(told).field("fields"));
    }
    let view = asker.session(numbered(&number)?).await?;
    let Some(runbook) = &view.runbook else {
        return Err(Answer::bad(format!("the runbook of {} hasn't been generated yet", view.session.number)));
    };
    let mut detail = Detail::of(&view, &state.origins);
    for field in fields {
        match field {
            "steps_markdown" => detail.steps_markdown = Some(runbook.text.clone()),
            "spec_files" => detail.spec_files = Some(specs(&asker, &view).await?),
            "runbook_state" => detail.runbook_state = Some(RunbookState::of(&view, runbook, &state.origins)),
            _ => detail.intent = Some(view.session.prompt.clone()),
        }
    }
    Ok(Json(detail))
}

async fn specs(asker: &Asker, view: &SessionView) -> Result<Vec<KeptSpec>, Answer> {
    let Some(spec) = &view.session.extras.spec else { return Ok(Vec::new()) };
    let command = Command::Spec { session: view.session.number };
    let Reply::Text(content) = asker.ask(command).await? else { return Err(odd()) };
    let mime_type = match spec.name.rsplit('.').next().unwrap_or_default() {
        "md" | "markdown" => "text/markdown",
        "json" => "application/json",
        _ => "text/plain",
    };
    Ok(vec![KeptSpec { filename: spec.name.clone(), content, mime_type }])
}

fn accepted(asker: &Asker, view: &SessionView) -> Accepted {
    (StatusCode::ACCEPTED, Json(Runbook::of(view, &asker.state.origins)))
}
