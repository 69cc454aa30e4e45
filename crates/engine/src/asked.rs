//! What belongs to the commands: what is wanted, and of what.

use domain::{Budget, KnowledgeId, LearningState, Mode, Piece, PrMode, SessionNumber, UserId};
use serde::{Deserialize, Serialize};

/// A pull request by number; the repository by name or path when there is more than one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestRef {
    /// The repository's name or path.
    pub repository: Option<String>,
    /// The number.
    pub number: i64,
}

/// What a new session needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The repository's name, or the path of one (registered when it is not yet).
    pub repository: String,
    /// The request in plain words.
    pub prompt: String,
    /// Its title; made from the request when none is given.
    pub title: Option<String>,
    /// How much it asks.
    pub mode: Mode,
    /// How work becomes pull requests; the configured default when none is given.
    pub pr_mode: Option<PrMode>,
    /// Whether pull requests are drafts; the configured default when none is given.
    pub draft: Option<bool>,
    /// Labels of every pull request.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What the body of the first pull request begins with.
    #[serde(default)]
    pub description: Option<String>,
    /// A specification that the plan is made from.
    #[serde(default)]
    pub spec: Option<Spec>,
    /// The branch to start from and to merge into; the repository's current one when none is given.
    pub target_branch: Option<String>,
    /// What the session may use.
    #[serde(default)]
    pub budget: Budget,
    /// The id or the name of its persona; the default ones when none is given.
    #[serde(default)]
    pub persona: Option<String>,
    /// Who asks; the server's own user when none is given.
    pub requester: Option<Person>,
}

/// Something new that the team knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKnowledge {
    /// What it says.
    pub piece: Piece,
    /// Whether only the asker sees it; personas only.
    pub own: bool,
}

/// Which learnings are wanted, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearningFilter {
    /// Only this one.
    pub id: Option<KnowledgeId>,
    /// Words that it holds, or the beginnings of such; the ones that fit best come first.
    pub search: Option<String>,
    /// The name of a repository that it is about.
    pub repository: Option<String>,
    /// Where it stands.
    pub state: Option<LearningState>,
    /// A session that taught it.
    pub session: Option<SessionNumber>,
    /// Those that most runs were told of first, instead of the newest.
    pub most_used: bool,
    /// How many of the first ones are passed over.
    pub skip: usize,
    /// At most this many.
    pub limit: usize,
}

/// A specification that comes with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The name of the file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Which sessions are wanted with everything about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The repository's name.
    pub repository: String,
    /// Only those that this person asked for.
    pub requester: Option<UserId>,
    /// Only those with a change on this branch.
    pub branch: Option<String>,
    /// Only archived ones, only others, or all.
    pub archived: Option<bool>,
    /// So many of the newest are left out.
    pub skip: i64,
    /// At most this many.
    pub limit: i64,
}

/// A person, as git knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub email: String,
}

/// Which steps to execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "select", content = "step", rename_all = "snake_case")]
pub enum Selection {
    /// The first leaf that is not completed.
    Next,
    /// This leaf, or all leaves of this parent; and those before that are not completed.
    Step(String),
    /// Everything.
    All,
}

/// A change of the runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// The whole document.
    Text {
        /// The new text.
        text: String,
    },
    /// One step: its heading and its text.
    Step {
        /// The step's number.
        step: String,
        /// The new text; its first line is the title.
        text: String,
    },
    /// Takes a step out; later ones move up.
    Delete {
        /// The step's number.
        step: String,
    },
    /// Puts a step with its substeps in another place.
    Move {
        /// The step's number.
        step: String,
        /// Where to.
        to: StepPlace,
    },
}

/// A place for a step, in the numbers before the move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", content = "of", rename_all = "snake_case")]
pub enum StepPlace {
    /// Before the one that stands before it on its level.
    Up,
    /// After the one that stands after it on its level.
    Down,
    /// Before this step, on its level.
    Before(String),
    /// After this step and its substeps, on its level.
    After(String),
    /// As the last substep of this step.
    Into(String),
    /// As the last top-level step.
    End,
}
