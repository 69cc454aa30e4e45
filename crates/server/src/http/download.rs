//! The audit log as a file: a link that an admin's browser follows, or a program with a token.

use super::{
    file::{self, STRIDE},
    problem::Answer,
    query,
};
use crate::{export::AuditFormat, gate::Caller, state::State, time};
use axum::{
    body::Bytes,
    extract::{Path, State as Shared},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use domain::AuditFilter;
use engine::{Command, Reply, Right, Told, may};
use futures::{Stream, stream};
use serde::Deserialize;
use std::{io, sync::Arc};
use store::AuditPage;

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
        _ => return Err(file::missing()),
    };
    let caller = file::reader(&state, &headers).await?;
    if !may(caller.role, Right::Administer) {
        state.refused(caller.deed(&state, Told::new("audit.export", name))).await;
        return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", "only an admin may read the audit log"));
    }
    let filter = query::<Asked>(&uri)?.filter()?;
    state.note(&caller, Told::new("audit.export", ending)).await?;
    let day = time::rfc3339(state.clock.now());
    let name = format!("runyard-audit-{}.{ending}", day.get(..10).unwrap_or_default());
    Ok(file::attachment(kind, &name, lines(state, caller, filter, format)))
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
            let command = Command::Audit { filter, page: AuditPage::Oldest(after), limit: STRIDE };
            let Reply::Audit(entries) = file::next(&state, &caller, Right::Administer, command).await? else {
                return Err(file::odd());
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
