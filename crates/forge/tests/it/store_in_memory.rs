//! The store in memory, with a switch to fail like a crash.

use domain::{CommitId, RepositoryId, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Check, Comment, MemoryStore, PullRequest, PullRequests, StoreError, Thread};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Default)]
pub struct Crashing {
    pub store: MemoryStore,
    /// The next update fails, as if the server died before it.
    pub before_update: AtomicBool,
}

#[async_trait::async_trait]
impl PullRequests for Crashing {
    async fn open_pull_request(&self, new: &PullRequest) -> Result<PullRequest> {
        self.store.open_pull_request(new).await
    }

    async fn pull_request(&self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>> {
        self.store.pull_request(repository, number).await
    }

    async fn pull_request_by_key(&self, repository: RepositoryId, key: &str) -> Result<Option<PullRequest>> {
        self.store.pull_request_by_key(repository, key).await
    }

    async fn pull_requests(&self, repository: RepositoryId) -> Result<Vec<PullRequest>> {
        self.store.pull_requests(repository).await
    }

    async fn pull_requests_keyed(&self, repository: RepositoryId, prefix: &str) -> Result<Vec<PullRequest>> {
        self.store.pull_requests_keyed(repository, prefix).await
    }

    async fn update_pull_request(&self, new: &PullRequest, seen: Timestamp) -> Result<()> {
        if self.before_update.swap(false, Ordering::SeqCst) {
            let source = "the server died".into();
            return Err(StoreError::Database { attempt: "update a pull request", source });
        }
        self.store.update_pull_request(new, seen).await
    }

    async fn add_comment(&self, repository: RepositoryId, number: i64, comment: &Comment) -> Result<()> {
        self.store.add_comment(repository, number, comment).await
    }

    async fn comments(&self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>> {
        self.store.comments(repository, number).await
    }

    async fn put_thread(&self, repository: RepositoryId, number: i64, thread: &Thread) -> Result<()> {
        self.store.put_thread(repository, number, thread).await
    }

    async fn threads(&self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>> {
        self.store.threads(repository, number).await
    }

    async fn put_check(&self, repository: RepositoryId, check: &Check) -> Result<()> {
        self.store.put_check(repository, check).await
    }

    async fn checks(&self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>> {
        self.store.checks(repository, commit).await
    }
}
