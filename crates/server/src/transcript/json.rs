//! A session as one JSON object. Its fields are named in `docs/sessions.md`; more may come.

use super::name;
use crate::time::rfc3339;
use domain::{Change, Event, Payload, Usage, UserId};
use engine::{SessionView, StepView};
use serde::Serialize;
use std::collections::HashMap;

#[derive(Serialize)]
struct Head<'v> {
    number: i64,
    title: &'v str,
    prompt: &'v str,
    repository: &'v str,
    target_branch: String,
    base: String,
    requester: &'v str,
    mode: domain::Mode,
    pr_mode: domain::PrMode,
    labels: &'v [String],
    archived: bool,
    created_at: String,
    usage: Usage,
    runbook: Option<Runbook<'v>>,
    steps: &'v [StepView],
    changes: Vec<Shown<'v>>,
}

#[derive(Serialize)]
struct Runbook<'v> {
    version: i64,
    text: &'v str,
}

#[derive(Serialize)]
struct Shown<'v> {
    title: &'v str,
    branch: String,
    base_branch: String,
    head: String,
    state: domain::ChangeState,
    pull_request: Option<i64>,
}

impl<'v> From<&'v Change> for Shown<'v> {
    fn from(change: &'v Change) -> Self {
        Self {
            title: &change.title,
            branch: change.branch.to_string(),
            base_branch: change.base_branch.to_string(),
            head: change.head.to_string(),
            state: change.state,
            pull_request: change.pull_request,
        }
    }
}

#[derive(Serialize)]
struct Entry<'e> {
    number: i64,
    at: String,
    payload: &'e Payload,
}

pub fn begin(view: &SessionView, people: &HashMap<UserId, String>) -> String {
    let session = &view.session;
    let head = Head {
        number: session.number.0,
        title: &session.title,
        prompt: &session.prompt,
        repository: &view.repository,
        target_branch: session.target_branch.to_string(),
        base: session.base.to_string(),
        requester: name(people, session.requester),
        mode: session.mode,
        pr_mode: session.pr_mode,
        labels: &session.labels,
        archived: session.archived,
        created_at: rfc3339(session.created_at),
        usage: session.usage,
        runbook: view.runbook.as_ref().map(|found| Runbook { version: found.version, text: &found.text }),
        steps: &view.steps,
        changes: view.changes.iter().map(Shown::from).collect(),
    };
    // The people are told by name in the head, and by id in the events.
    let people: HashMap<String, &str> = people.iter().map(|(id, name)| (id.to_string(), name.as_str())).collect();
    format!("{{\"session\":{},\"people\":{},\"events\":[", text(&head), text(&people))
}

pub fn event(event: &Event, first: bool) -> String {
    let between = if first { "\n" } else { ",\n" };
    format!("{between}{}", text(&Entry { number: event.number, at: rfc3339(event.at), payload: &event.payload }))
}

pub fn end() -> String {
    "\n]}\n".to_owned()
}

/// All of these are made of strings, numbers, lists and objects with names, so that nothing can go wrong.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
