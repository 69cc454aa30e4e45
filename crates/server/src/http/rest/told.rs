//! What the REST API tells about sessions.

use super::status::{Counts, Status, StepStatus};
use crate::{origin::Origins, time};
use domain::{Change, RunbookVersion};
use engine::SessionView;
use serde::Serialize;
use utoipa::ToSchema;

/// Where a session stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Runbook {
    /// The session's number.
    #[serde(rename = "runbook_number")]
    pub number: i64,
    /// Its page.
    pub url: String,
    /// How far it is.
    pub status: Status,
    /// Its leaves.
    pub steps: Counts,
    /// Its pull requests, bottom of the stack first.
    pub pull_requests: Vec<PullRequest>,
}

/// A pull request of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct PullRequest {
    /// Its number.
    pub number: i64,
    /// Its page.
    pub url: String,
    /// The steps whose work it holds.
    pub step_numbers: Vec<String>,
}

/// A page of sessions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// The sessions.
    pub runbooks: Vec<Summary>,
    /// Which page it is.
    #[serde(rename = "page")]
    pub number: i64,
    /// Sessions of a page.
    #[serde(rename = "per_page")]
    pub size: i64,
    /// Whether there is another page.
    pub has_more: bool,
}

/// A session in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// The session's number.
    pub runbook_number: i64,
    /// Its page.
    pub url: String,
    /// The branch on top of its stack.
    pub working_branch: Option<String>,
    /// Where its pull requests go.
    pub target_branch: Option<String>,
    /// How far it is.
    pub status: Status,
    /// What is wanted.
    pub intent: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The newest version of its runbook.
    pub runbook_version: Option<i64>,
    /// Its pull requests, bottom of the stack first.
    pub pull_requests: Vec<PullRequest>,
}

/// Everything about a session, as far as it was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Detail {
    /// The session's number.
    pub runbook_number: i64,
    /// Its page.
    pub url: String,
    /// The newest version of its runbook.
    pub runbook_version: Option<i64>,
    /// What is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// The runbook's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_markdown: Option<String>,
    /// The specifications that came with the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_files: Option<Vec<KeptSpec>>,
    /// Where its steps stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook_state: Option<RunbookState>,
    /// Its pull requests, bottom of the stack first.
    pub pull_requests: Vec<PullRequest>,
}

/// A specification that came with a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptSpec {
    /// The name of the file.
    pub filename: String,
    /// Its text.
    pub content: String,
    /// What kind of text it is, by its name.
    pub mime_type: &'static str,
}

/// Where the steps of a session stand.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunbookState {
    /// Where its pull requests go.
    pub target_branch: String,
    /// The branch on top of its stack.
    pub working_branch: Option<String>,
    /// All steps in document order, those with substeps too.
    pub steps: Vec<Step>,
}

/// A step of the newest version.
#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    /// Its number, such as `1` or `1.1`.
    #[serde(rename = "step_number")]
    pub number: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: StepStatus,
    /// The commit of its newest run that made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<String>,
    /// The pull request that holds its work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr_number: Option<i64>,
    /// That pull request's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr_url: Option<String>,
}

impl Runbook {
    /// A session as it is now.
    pub fn of(view: &SessionView, origins: &Origins) -> Self {
        let steps = counts(view);
        Self {
            number: view.session.number.0,
            url: page(view, origins),
            status: steps.status(),
            steps,
            pull_requests: pull_requests(view, origins),
        }
    }
}

impl Summary {
    /// A session as it is now.
    pub fn of(view: &SessionView, origins: &Origins) -> Self {
        Self {
            runbook_number: view.session.number.0,
            url: page(view, origins),
            working_branch: working_branch(view),
            target_branch: Some(view.session.target_branch.as_str().to_owned()),
            status: counts(view).status(),
            intent: Some(view.session.prompt.clone()),
            created_at: time::rfc3339(view.session.created_at),
            runbook_version: version(view),
            pull_requests: pull_requests(view, origins),
        }
    }
}

impl Detail {
    /// A session as it is now, with nothing that has to be asked for.
    pub fn of(view: &SessionView, origins: &Origins) -> Self {
        Self {
            runbook_number: view.session.number.0,
            url: page(view, origins),
            runbook_version: version(view),
            intent: None,
            steps_markdown: None,
            spec_files: None,
            runbook_state: None,
            pull_requests: pull_requests(view, origins),
        }
    }
}

impl RunbookState {
    /// The steps of a session with a runbook.
    pub fn of(view: &SessionView, runbook: &RunbookVersion, origins: &Origins) -> Self {
        let steps = runbook.steps.iter().zip(&view.steps).map(|(row, step)| {
            let newest = view.runs.iter().rev().find(|run| run.step == Some(row.id) && run.commit.is_some());
            Step {
                number: step.number.clone(),
                title: step.title.clone(),
                status: step.state.into(),
                commit_sha: newest.and_then(|run| run.commit.as_ref()).map(|commit| commit.as_str().to_owned()),
                pr_number: step.pull_request,
                pr_url: step.pull_request.map(|number| pull_request_page(view, number, origins)),
            }
        });
        Self {
            target_branch: view.session.target_branch.as_str().to_owned(),
            working_branch: working_branch(view),
            steps: steps.collect(),
        }
    }
}

fn counts(view: &SessionView) -> Counts {
    Counts::of(view.steps.iter().filter(|step| step.leaf).map(|step| step.state))
}

fn version(view: &SessionView) -> Option<i64> {
    view.runbook.as_ref().map(|runbook| runbook.version)
}

fn page(view: &SessionView, origins: &Origins) -> String {
    origins.url(&format!("/{}", view.session.number))
}

fn pull_request_page(view: &SessionView, number: i64, origins: &Origins) -> String {
    origins.url(&format!("/{}/changes/{number}", view.session.number))
}

fn working_branch(view: &SessionView) -> Option<String> {
    view.changes.last().map(|change| change.branch.as_str().to_owned())
}

fn pull_requests(view: &SessionView, origins: &Origins) -> Vec<PullRequest> {
    let numbers = |change: &Change| {
        let runbook = view.runbook.iter();
        let steps = runbook.flat_map(|runbook| change.steps.iter().filter_map(|step| runbook.step(*step)));
        steps.map(|step| step.number.clone()).collect::<Vec<_>>()
    };
    let mut told: Vec<PullRequest> = Vec::new();
    for change in &view.changes {
        let Some(number) = change.pull_request else { continue };
        let step_numbers = numbers(change);
        match told.iter_mut().find(|known| known.number == number) {
            Some(known) => {
                let more = step_numbers.into_iter().filter(|number| !known.step_numbers.contains(number));
                let more: Vec<_> = more.collect();
                known.step_numbers.extend(more);
            }
            None => told.push(PullRequest { number, url: pull_request_page(view, number, origins), step_numbers }),
        }
    }
    told
}
