//! The audit log as a file: a link that an admin's browser follows, or a program with a token.

use super::{caller, problem::Answer, query};
use crate::{export::AuditFormat, gate::Caller, origin::Origins, state::State, time};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use domain::AuditFilter;
use engine::{Command, Reply, Right, Told, may};
use futures::{Stream, stream};
use serde::Deserialize;
use std::{io, sync::Arc};
use store::AuditPage;

/// So many entries are in memory at once.
const STRIDE: i64 = 500;

/// What a link may ask for; the same names as the arguments of `auditLog`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    who: Option<String>,
    action: Option<String>,
    target: Option<String>,
    text: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl Asked {
    fn filter(self) -> Result<AuditFilter, Answer> {
        let moment = |text: Option<String>, field| {
            let text = text.filter(|text| !text.is_empty());
            let told = || Answer::bad("give a time as in 2026-11-28T05:00:00Z").field(field);
            text.map(|text| time::parse(&text).ok_or_else(told)).transpose()
        };
        let (since, until) = (moment(self.since, "since")?, moment(self.until, "until")?);
        Ok(AuditFilter { who: self.who, action: self.action, target: self.target, text: self.text, since, until })
    }
}

pub async fn audit(
    Shared(state): Shared<Arc<State>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Answer> {
    let (format, kind, ending) = match name.as_str() {
        "audit.csv" => (AuditFormat::Csv, "text/csv; charset=utf-8", "csv"),
        "audit.ndjson" => (AuditFormat::Ndjson, "application/x-ndjson", "ndjson"),
        _ => return Err(Answer::new(StatusCode::NOT_FOUND, "not-found", "there is no such file")),
    };
    let own = Origins::own_link(&headers).and_then(|()| state.origins.own_page(&Method::GET, &headers));
    let caller = caller(&state, &headers, own).await?;
    if !may(caller.role, Right::Administer) {
        state.refused(caller.deed(&state, Told::new("audit.export", name))).await;
        return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", "only an admin may read the audit log"));
    }
    let filter = query::<Asked>(&uri)?.filter()?;
    state.note(&caller, Told::new("audit.export", ending)).await?;
    let day = time::rfc3339(state.clock.now());
    let name = format!("attachment; filename=\"runyard-audit-{}.{ending}\"", day.get(..10).unwrap_or_default());
    let mut response = Body::from_stream(lines(state, caller, filter, format)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Reads on as the caller takes the bytes, for as long as they may come in.
fn lines(
    state: Arc<State>,
    caller: Caller,
    filter: AuditFilter,
    format: AuditFormat,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let begin = (Some(0), format.head());
    stream::try_unfold(begin, move |(after, mut text)| {
        let (state, caller, filter) = (Arc::clone(&state), caller.clone(), filter.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let caller = again(&state, caller).await?;
            let command = Command::Audit { filter, page: AuditPage::Oldest(after), limit: STRIDE };
            // A file that ends early must not look whole: an error cuts the connection.
            let entries = match state.call(&caller, command).await {
                Ok(Reply::Audit(entries)) => entries,
                Ok(_) => return Err(io::Error::other("the engine answered something else")),
                Err(problem) => return Err(io::Error::other(problem)),
            };
            for entry in &entries {
                text.push_str(&format.line(entry));
            }
            let full = i64::try_from(entries.len()).is_ok_and(|found| found >= STRIDE);
            let next = entries.last().filter(|_| full).map(|entry| entry.number);
            Ok(Some((Bytes::from(text), (next, String::new()))))
        }
    })
}

async fn again(state: &State, caller: Caller) -> io::Result<Caller> {
    let now = state.gate.again(caller.proof).await.map_err(io::Error::other)?;
    if may(now.role, Right::Administer) {
        Ok(Caller { from: caller.from, ..now })
    } else {
        Err(io::Error::other("no admin any more"))
    }
}
