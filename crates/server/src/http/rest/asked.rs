//! What is asked of the REST API, checked as far as no session is needed for it. The limits are those that the published
//! document names.

use crate::http::problem::Answer;
use domain::{Mode, PrMode};
use serde::{Deserialize, Deserializer, de::Error as _};
use utoipa::{IntoParams, ToSchema};

/// The longest request, description or message, in characters.
pub const LONGEST_TEXT: usize = 65_536;
/// The longest specification, in characters.
pub const LONGEST_SPEC: usize = 100_000;
const LONGEST_LINE: usize = 200;
const LONGEST_LABEL: usize = 50;
const MOST_LABELS: usize = 100;
/// Sessions of a page at most.
const LONGEST_PAGE: i64 = 100;
/// The furthest page.
const LAST_PAGE: i64 = 10_000;

/// A repository.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryName {
    /// What stands before the last slash of the name under which it is registered; `local` when there is none.
    #[schema(min_length = 1)]
    pub org: String,
    /// What stands behind it.
    #[schema(min_length = 1)]
    pub name: String,
}

impl RepositoryName {
    /// The name under which it is registered.
    pub fn registered(&self) -> String {
        registered(&self.org, &self.name)
    }
}

/// The name under which a repository is registered. What is none is nobody's name.
fn registered(org: &str, name: &str) -> String {
    if org == "local" { name.to_owned() } else { format!("{org}/{name}") }
}

/// How work becomes pull requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestMode {
    /// A person says when one is made.
    Manual,
    /// One for the whole session.
    SinglePr,
    /// One for each top-level step, on top of each other.
    StackedPr,
}

impl From<PullRequestMode> for PrMode {
    fn from(mode: PullRequestMode) -> Self {
        match mode {
            PullRequestMode::Manual => Self::Manual,
            PullRequestMode::SinglePr => Self::SinglePr,
            PullRequestMode::StackedPr => Self::StackedPr,
        }
    }
}

/// A specification that the plan is made from.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenSpec {
    /// The name of the file, such as `SPEC.md`.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f/]+$")]
    pub filename: String,
    /// Its text.
    #[schema(max_length = 100_000)]
    pub content: String,
}

/// A new session. Exactly one of `intent` and `prompt` says what is wanted.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRunbook {
    pub repository: RepositoryName,
    /// What is wanted, in plain words.
    #[schema(
        max_length = 65_536,
        pattern = r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    )]
    pub intent: Option<String>,
    /// The former name of `intent`.
    #[schema(
        deprecated,
        max_length = 65_536,
        pattern = r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    )]
    pub prompt: Option<String>,
    /// Made from the request when none is given.
    #[schema(max_length = 200)]
    pub title: Option<String>,
    /// Whether the steps are executed without being asked for.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub oneshot: bool,
    /// Whether pull requests are drafts; the configured default when it is not given.
    pub draft: Option<bool>,
    /// The configured default when it is not given.
    pub pr_mode: Option<PullRequestMode>,
    /// The branch to start from and to merge into; the repository's current one when none is given.
    #[schema(min_length = 1, max_length = 200)]
    pub target_branch: Option<String>,
    /// What the body of the first pull request begins with.
    #[schema(max_length = 65_536)]
    pub description: Option<String>,
    /// Labels of every pull request; repeated ones count once.
    #[serde(default)]
    #[schema(max_items = 100, schema_with = super::openapi::labels)]
    pub labels: Vec<String>,
    /// Whose session it is, when it is not the caller's: somebody of the account.
    #[schema(min_length = 1, max_length = 254)]
    pub author_email: Option<String>,
    pub spec_file: Option<GivenSpec>,
}

/// An integer as JSON Schema means it: `1.0` is one.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "a float of that size holds a whole number exactly")]
    let exact = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    let whole = number.as_i64().or_else(|| number.as_f64().and_then(exact));
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("`{number}` is not an integer of 64 bits")))
}

fn yes() -> bool {
    true
}

impl NewRunbook {
    /// What is wanted.
    pub fn wanted(&self) -> Result<&str, Answer> {
        one_of(self.intent.as_deref(), self.prompt.as_deref())
    }

    /// How much the session asks.
    pub fn mode(&self) -> Mode {
        if self.oneshot { Mode::OneShot } else { Mode::Standard }
    }

    /// What is too long or is not what it should be.
    pub fn check(&self) -> Result<(), Answer> {
        text("intent", Some(self.wanted()?), LONGEST_TEXT)?;
        text("title", self.title.as_deref(), LONGEST_LINE)?;
        text("description", self.description.as_deref(), LONGEST_TEXT)?;
        text("target_branch", self.target_branch.as_deref(), LONGEST_LINE)?;
        not_empty("target_branch", self.target_branch.as_deref())?;
        text("author_email", self.author_email.as_deref(), 254)?;
        not_empty("author_email", self.author_email.as_deref())?;
        not_empty("repository.org", Some(&self.repository.org))?;
        not_empty("repository.name", Some(&self.repository.name))?;
        labels(&self.labels)?;
        if let Some(spec) = &self.spec_file {
            text("spec_file.filename", Some(&spec.filename), LONGEST_LINE)?;
            text("spec_file.content", Some(&spec.content), LONGEST_SPEC)?;
            if spec.filename.is_empty() || spec.filename.chars().any(|c| c.is_control() || c == '/') {
                let told = "give the name of a file, without folders and control characters";
                return Err(Answer::bad(told).field("spec_file.filename"));
            }
        }
        Ok(())
    }
}

/// What is said to a session. Exactly one of `intent` and `prompt` says it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    /// What is wanted now, in plain words.
    #[schema(
        max_length = 65_536,
        pattern = r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    )]
    pub intent: Option<String>,
    /// The same under the name that other programs know.
    #[schema(
        max_length = 65_536,
        pattern = r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    )]
    pub prompt: Option<String>,
    /// Replaces what the body of the first pull request begins with; an empty one takes it away.
    #[schema(max_length = 65_536)]
    pub description: Option<String>,
    /// More labels of every pull request; those that it has stay.
    #[serde(default)]
    #[schema(max_items = 100, schema_with = super::openapi::labels)]
    pub labels: Vec<String>,
    /// The version of the runbook that the caller saw: nothing is done when there is another one.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 0)]
    pub expected_version: Option<i64>,
}

impl FollowUp {
    /// What is said.
    pub fn said(&self) -> Result<&str, Answer> {
        one_of(self.intent.as_deref(), self.prompt.as_deref())
    }

    /// What is too long or is not what it should be.
    pub fn check(&self) -> Result<(), Answer> {
        text("prompt", Some(self.said()?), LONGEST_TEXT)?;
        text("description", self.description.as_deref(), LONGEST_TEXT)?;
        if self.expected_version.is_some_and(|version| version < 0) {
            return Err(Answer::bad("versions are counted from 0").field("expected_version"));
        }
        labels(&self.labels)
    }
}

/// Which sessions a list shows.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// As in `repository`.
    #[param(min_length = 1)]
    pub org: String,
    /// The repository's name there.
    #[param(min_length = 1)]
    pub repo: String,
    /// Only those that work on this branch.
    pub working_branch: Option<String>,
    /// Only these; without it all.
    #[param(inline)]
    pub status: Option<Shelf>,
    /// From 1.
    #[serde(default = "one")]
    #[param(minimum = 1, maximum = 10_000, default = 1)]
    pub page: i64,
    /// Sessions of a page.
    #[serde(default = "twenty")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub per_page: i64,
}

fn one() -> i64 {
    1
}

fn twenty() -> i64 {
    20
}

impl Wanted {
    /// The name under which the repository is registered.
    pub fn registered(&self) -> String {
        registered(&self.org, &self.repo)
    }

    /// What is out of bounds.
    pub fn check(&self) -> Result<(), Answer> {
        not_empty("org", Some(&self.org))?;
        not_empty("repo", Some(&self.repo))?;
        if !(1..=LAST_PAGE).contains(&self.page) {
            return Err(Answer::bad(format!("there are pages 1 to {LAST_PAGE}")).field("page"));
        }
        if !(1..=LONGEST_PAGE).contains(&self.per_page) {
            return Err(Answer::bad(format!("a page has 1 to {LONGEST_PAGE} sessions")).field("per_page"));
        }
        Ok(())
    }
}

/// Whether sessions were put away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shelf {
    /// Not put away.
    Active,
    /// Put away.
    Archived,
}

/// What a detailed answer tells.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Fields {
    /// Any of `steps_markdown`, `spec_files`, `runbook_state` and `intent`, with commas between them; without it all.
    #[param(
        pattern = "^(steps_markdown|spec_files|runbook_state|intent)(,(steps_markdown|spec_files|runbook_state|intent))*$"
    )]
    pub fields: Option<String>,
}

fn one_of<'a>(intent: Option<&'a str>, prompt: Option<&'a str>) -> Result<&'a str, Answer> {
    let told = |what| Answer::bad(what).field("intent");
    match (intent, prompt) {
        (Some(_), Some(_)) => Err(told("give `intent` or `prompt`, which are the same, and not both")),
        (None, None) => Err(told("say in `intent` what is wanted")),
        (Some(text), None) | (None, Some(text)) if text.chars().all(|c| c.is_whitespace() || c.is_control()) => {
            Err(told("say in plain words what is wanted"))
        }
        (Some(text), None) | (None, Some(text)) => Ok(text),
    }
}

fn text(field: &'static str, given: Option<&str>, longest: usize) -> Result<(), Answer> {
    let length = given.map_or(0, |text| text.chars().count());
    if length <= longest {
        return Ok(());
    }
    Err(Answer::bad(format!("`{field}` has {length} characters, the limit is {longest}")).field(field))
}

fn not_empty(field: &'static str, given: Option<&str>) -> Result<(), Answer> {
    if given == Some("") { Err(Answer::bad(format!("`{field}` is empty")).field(field)) } else { Ok(()) }
}

fn labels(given: &[String]) -> Result<(), Answer> {
    if given.len() > MOST_LABELS {
        return Err(Answer::bad(format!("there are at most {MOST_LABELS} labels")).field("labels"));
    }
    let bad = |label: &String| {
        label.chars().count() > LONGEST_LABEL
            || label.chars().any(char::is_control)
            || label.chars().all(char::is_whitespace)
    };
    match given.iter().find(|label| bad(label)) {
        Some(label) => {
            let told = format!("`{}` is no label: it has 1 to 50 characters that can be seen", label.escape_debug());
            Err(Answer::bad(told).field("labels"))
        }
        None => Ok(()),
    }
}
