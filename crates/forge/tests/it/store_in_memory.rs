//! Pull requests in memory, with the promises of the contract, and a switch to fail like a crash.

use domain::{CommitId, RepositoryId, Timestamp};
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
use store::{Check, Comment, PullRequest, PullRequests, StoreError, Thread};

#[derive(Default)]
pub struct InMemory {
    pulls: Mutex<Vec<PullRequest>>,
    comments: Mutex<Vec<(i64, Comment)>>,
    threads: Mutex<Vec<(i64, Thread)>>,
    checks: Mutex<Vec<Check>>,
    /// The next update fails, as if the server died before it.
    pub crash_before_update: AtomicBool,
}

#[async_trait::async_trait]
impl PullRequests for InMemory {
    async fn open_pull_request(&self, new: &PullRequest) -> Result<PullRequest, StoreError> {
        let mut pulls = self.pulls.lock().expect("lock");
        if let Some(there) = pulls.iter().find(|pull| pull.key == new.key) {
            return Ok(there.clone());
        }
        let number = i64::try_from(pulls.len()).expect("few") + 1;
        pulls.push(PullRequest { number, ..new.clone() });
        Ok(pulls[pulls.len() - 1].clone())
    }

    async fn pull_request(&self, _: RepositoryId, number: i64) -> Result<Option<PullRequest>, StoreError> {
        Ok(self.pulls.lock().expect("lock").iter().find(|pull| pull.number == number).cloned())
    }

    async fn pull_request_by_key(&self, _: RepositoryId, key: &str) -> Result<Option<PullRequest>, StoreError> {
        Ok(self.pulls.lock().expect("lock").iter().find(|pull| pull.key == key).cloned())
    }

    async fn pull_requests(&self, _: RepositoryId) -> Result<Vec<PullRequest>, StoreError> {
        Ok(self.pulls.lock().expect("lock").clone())
    }

    async fn update_pull_request(&self, new: &PullRequest, seen: Timestamp) -> Result<(), StoreError> {
        if self.crash_before_update.swap(false, Ordering::SeqCst) {
            let source = "the server died".into();
            return Err(StoreError::Database { attempt: "update a pull request", source });
        }
        let mut pulls = self.pulls.lock().expect("lock");
        let there = pulls.iter_mut().find(|pull| pull.number == new.number).expect("it exists");
        if there.updated_at != seen {
            let (expected, found) = (format!("{seen:?}"), format!("{:?}", there.updated_at));
            return Err(StoreError::Stale { what: "pull request".into(), expected, found });
        }
        *there = new.clone();
        Ok(())
    }

    async fn add_comment(&self, _: RepositoryId, number: i64, comment: &Comment) -> Result<(), StoreError> {
        let mut comments = self.comments.lock().expect("lock");
        if !comments.iter().any(|(_, there)| there.id == comment.id) {
            comments.push((number, comment.clone()));
        }
        Ok(())
    }

    async fn comments(&self, _: RepositoryId, number: i64) -> Result<Vec<Comment>, StoreError> {
        let comments = self.comments.lock().expect("lock");
        Ok(comments.iter().filter(|(of, _)| *of == number).map(|(_, comment)| comment.clone()).collect())
    }

    async fn put_thread(&self, _: RepositoryId, number: i64, thread: &Thread) -> Result<(), StoreError> {
        let mut threads = self.threads.lock().expect("lock");
        match threads.iter_mut().find(|(_, there)| there.id == thread.id) {
            Some((_, there)) => *there = thread.clone(),
            None => threads.push((number, thread.clone())),
        }
        Ok(())
    }

    async fn threads(&self, _: RepositoryId, number: i64) -> Result<Vec<Thread>, StoreError> {
        let threads = self.threads.lock().expect("lock");
        Ok(threads.iter().filter(|(of, _)| *of == number).map(|(_, thread)| thread.clone()).collect())
    }

    async fn put_check(&self, _: RepositoryId, check: &Check) -> Result<(), StoreError> {
        let mut checks = self.checks.lock().expect("lock");
        checks.retain(|there| (&there.commit, &there.name) != (&check.commit, &check.name));
        checks.push(check.clone());
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    async fn checks(&self, _: RepositoryId, commit: &CommitId) -> Result<Vec<Check>, StoreError> {
        Ok(self.checks.lock().expect("lock").iter().filter(|check| check.commit == *commit).cloned().collect())
    }
}
