//! Pull requests of the local forge.

use super::{
    call,
    enums::ChangeStateKind,
    error::{Code, Failure, odd},
    scalars::DateTime,
};
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use domain::ChangeState;
use engine::{Command, PullRequestRef, PullRequestView, Reply};
use store::PullRequestState;

/// A pull request with everything about it.
pub struct PullRequest(PullRequestView);

impl PullRequest {
    /// Reads one that must be there.
    pub async fn read(ctx: &Context<'_>, repository: String, number: i64) -> Result<Self, Failure> {
        let call = call(ctx).map_err(|error| Failure::new(Code::Internal, error.message))?;
        let pull_request = PullRequestRef { repository: Some(repository), number };
        match call.ask(Command::PullRequest { pull_request }).await? {
            Reply::PullRequest(view) => Ok(Self(*view)),
            _ => Err(odd()),
        }
    }
}

#[Object]
impl PullRequest {
    async fn number(&self) -> i64 {
        self.0.line.pull_request.number
    }

    /// The repository's name.
    async fn repository(&self) -> &str {
        &self.0.line.repository
    }

    /// The session that made it.
    async fn session(&self) -> Option<i64> {
        self.0.line.session.map(|number| number.0)
    }

    async fn title(&self) -> &str {
        &self.0.line.pull_request.title
    }

    /// Its description, as Markdown.
    async fn body(&self) -> &str {
        &self.0.line.pull_request.body
    }

    /// The branch that it goes into.
    async fn base(&self) -> &str {
        self.0.base.as_str()
    }

    /// The branch that it brings.
    async fn head(&self) -> &str {
        self.0.line.pull_request.head.as_str()
    }

    /// The head's commit.
    async fn head_commit(&self) -> Option<&str> {
        self.0.head.as_ref().map(domain::CommitId::as_str)
    }

    async fn state(&self) -> ChangeStateKind {
        let found = &self.0.line.pull_request;
        let state = match found.state {
            PullRequestState::Open if found.draft => ChangeState::Draft,
            PullRequestState::Open => ChangeState::Open,
            PullRequestState::Merged => ChangeState::Merged,
            PullRequestState::Closed => ChangeState::Closed,
        };
        state.into()
    }

    async fn labels(&self) -> &[String] {
        &self.0.line.pull_request.labels
    }

    /// Who made it.
    async fn author(&self) -> &str {
        &self.0.line.pull_request.author
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.line.pull_request.created_at)
    }

    /// Numbers of the steps that are in it.
    async fn steps(&self) -> &[String] {
        &self.0.line.steps
    }

    /// Commits between base and head, oldest first.
    async fn commits(&self) -> Vec<Commit> {
        let each = self.0.commits.iter();
        each.map(|(id, subject)| Commit { id: id.as_str().to_owned(), subject: subject.clone() }).collect()
    }

    /// Comments on the whole, oldest first.
    async fn comments(&self) -> Vec<Comment> {
        self.0.comments.iter().filter(|comment| comment.thread.is_none()).map(Comment::from).collect()
    }

    /// Review threads, oldest first.
    async fn threads(&self) -> Vec<Thread> {
        let each = self.0.threads.iter().map(|thread| Thread {
            id: thread.id.to_string().into(),
            path: thread.path.clone(),
            line: thread.line,
            resolved: thread.resolved,
            comments: self.0.comments.iter().filter(|it| it.thread == Some(thread.id)).map(Comment::from).collect(),
        });
        each.collect()
    }

    /// Checks of the head.
    async fn checks(&self) -> Vec<Check> {
        let each = self.0.checks.iter();
        each.map(|it| Check { name: it.name.clone(), passed: it.passed, summary: it.summary.clone() }).collect()
    }

    /// Its diff, as unified text.
    #[graphql(complexity = 100)]
    async fn diff(&self, ctx: &Context<'_>) -> Result<String> {
        let line = &self.0.line;
        let pull_request =
            PullRequestRef { repository: Some(line.repository.clone()), number: line.pull_request.number };
        match call(ctx)?.ask(Command::PullRequestDiff { pull_request }).await? {
            Reply::Text(text) => Ok(text),
            _ => Err(odd().into()),
        }
    }
}

/// A commit.
#[derive(Debug, SimpleObject)]
pub struct Commit {
    id: String,
    subject: String,
}

/// A comment.
#[derive(Debug, SimpleObject)]
pub struct Comment {
    id: ID,
    author: String,
    /// As Markdown.
    body: String,
    created_at: DateTime,
}

impl From<&store::Comment> for Comment {
    fn from(comment: &store::Comment) -> Self {
        Self {
            id: comment.id.to_string().into(),
            author: comment.author.clone(),
            body: comment.body.clone(),
            created_at: DateTime(comment.created_at),
        }
    }
}

/// A conversation about one line.
#[derive(Debug, SimpleObject)]
pub struct Thread {
    id: ID,
    path: String,
    /// In the head's version, from 1.
    line: i64,
    resolved: bool,
    comments: Vec<Comment>,
}

/// One check's result.
#[derive(Debug, SimpleObject)]
pub struct Check {
    name: String,
    passed: bool,
    /// As Markdown.
    summary: String,
}
