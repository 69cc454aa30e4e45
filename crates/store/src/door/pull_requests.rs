//! Pull requests of the local forge, for every backend.

use super::{
    audit::change,
    clean::{self, Clean as _, Cleaned},
    commit::missing,
};
use crate::{
    Check, Comment, PullRequest, PullRequests, StoreError, Thread,
    backend::{Backend, Rows},
};
use async_trait::async_trait;
use domain::{CommitId, RepositoryId, Timestamp};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl<B: Backend> PullRequests for B {
    async fn open_pull_request(&self, new: &PullRequest) -> Result<PullRequest> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| open(rows, &new))
    }

    async fn pull_request(&self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>> {
        self.read().await?.pull_request(repository, number).await
    }

    async fn pull_request_by_key(&self, repository: RepositoryId, key: &str) -> Result<Option<PullRequest>> {
        self.read().await?.pull_request_with_key(repository, &clean::text(key, &self.known().redactor())).await
    }

    async fn pull_requests(&self, repository: RepositoryId) -> Result<Vec<PullRequest>> {
        self.read().await?.pull_requests(repository).await
    }

    async fn pull_requests_keyed(&self, repository: RepositoryId, prefix: &str) -> Result<Vec<PullRequest>> {
        let prefix = clean::text(prefix, &self.known().redactor());
        self.read().await?.pull_requests_keyed(repository, &prefix).await
    }

    async fn update_pull_request(&self, new: &PullRequest, seen: Timestamp) -> Result<()> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| update(rows, &new, seen))
    }

    async fn add_comment(&self, repository: RepositoryId, number: i64, comment: &Comment) -> Result<()> {
        let comment = comment.clean(&self.known().redactor())?;
        change!(self, |rows| add_comment(rows, repository, number, &comment))
    }

    async fn comments(&self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>> {
        self.read().await?.comments(repository, number).await
    }

    async fn put_thread(&self, repository: RepositoryId, number: i64, thread: &Thread) -> Result<()> {
        let thread = thread.clean(&self.known().redactor())?;
        change!(self, |rows| put_thread(rows, repository, number, &thread))
    }

    async fn threads(&self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>> {
        self.read().await?.threads(repository, number).await
    }

    async fn put_check(&self, repository: RepositoryId, check: &Check) -> Result<()> {
        let check = check.clean(&self.known().redactor())?;
        change!(self, |rows| put_check(rows, repository, &check))
    }

    async fn checks(&self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>> {
        self.read().await?.checks(repository, commit).await
    }
}

async fn open(rows: &mut dyn Rows, new: &Cleaned<PullRequest>) -> Result<PullRequest> {
    let count = rows.lock_repository(new.repository).await?.ok_or_else(|| missing("repository", new.repository))?;
    let mut new = PullRequest::clone(new);
    if faultpoint::planted!("planted-pull-request-without-look-up") {
        new.key = format!("{}#{count}", new.key);
    }
    if let Some(old) = rows.pull_request_with_key(new.repository, &new.key).await? {
        return Ok(old);
    }
    let new = PullRequest { number: count + 1, ..new };
    rows.add_pull_request(&new).await?;
    Ok(new)
}

async fn update(rows: &mut dyn Rows, new: &Cleaned<PullRequest>, seen: Timestamp) -> Result<()> {
    if rows.put_pull_request(new, seen).await? {
        return Ok(());
    }
    match rows.pull_request(new.repository, new.number).await? {
        None => Err(missing("pull request", new.number)),
        Some(old) => Err(StoreError::Stale {
            what: format!("pull request {}", new.number),
            expected: format!("{seen:?}"),
            found: format!("{:?}", old.updated_at),
        }),
    }
}

async fn add_comment(
    rows: &mut dyn Rows,
    repository: RepositoryId,
    number: i64,
    comment: &Cleaned<Comment>,
) -> Result<()> {
    rows.pull_request(repository, number).await?.ok_or_else(|| missing("pull request", number))?;
    rows.add_comment(repository, number, comment).await
}

async fn put_thread(
    rows: &mut dyn Rows,
    repository: RepositoryId,
    number: i64,
    thread: &Cleaned<Thread>,
) -> Result<()> {
    let position = rows.next_thread(repository, number).await?;
    rows.put_thread((repository, number), position, thread).await
}

async fn put_check(rows: &mut dyn Rows, repository: RepositoryId, check: &Cleaned<Check>) -> Result<()> {
    rows.repository(repository).await?.ok_or_else(|| missing("repository", repository))?;
    rows.put_check(repository, check).await
}
