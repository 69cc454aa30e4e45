//! Changes, requests, sandboxes, blobs and pull requests.

use super::tables::{MemoryRows, pick};
use crate::{
    Check, Comment, PullRequest, StoreError, Thread,
    backend::{BlobRows, PullRequestRows, RequestRows},
};
use async_trait::async_trait;
use domain::{
    BlobHash, Change, ChangeId, ChangeKey, ChangeState, CommitId, RepositoryId, Request, RequestId, RequestState,
    SandboxId, SandboxRecord, SandboxState, SessionId, Timestamp,
};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl RequestRows for MemoryRows {
    async fn add_change(&mut self, new: &Change) -> Result<()> {
        self.add(|tables| &mut tables.changes, new.id, new.clone())
    }

    async fn change(&mut self, id: ChangeId) -> Result<Option<Change>> {
        Ok(self.tables.changes.get(&id).cloned())
    }

    async fn change_with_key(&mut self, session: SessionId, key: ChangeKey) -> Result<Option<Change>> {
        let mut changes = self.tables.changes.values();
        Ok(changes.find(|change| change.session == session && change.key == key).cloned())
    }

    async fn changes(&mut self, session: SessionId) -> Result<Vec<Change>> {
        let mut changes = pick(&self.tables.changes, |change| change.session == session);
        changes.sort_by_key(|change| (change.position, change.id));
        Ok(changes)
    }

    async fn put_change(&mut self, change: &Change, from: ChangeState) -> Result<bool> {
        if self.tables.changes.get(&change.id).is_none_or(|old| old.state != from) {
            return Ok(false);
        }
        self.put(|tables| &mut tables.changes, change.id, change.clone());
        Ok(true)
    }

    async fn add_request(&mut self, new: &Request) -> Result<()> {
        self.add(|tables| &mut tables.requests, new.id, new.clone())
    }

    async fn request(&mut self, id: RequestId) -> Result<Option<Request>> {
        Ok(self.tables.requests.get(&id).cloned())
    }

    async fn requests(&mut self, session: SessionId) -> Result<Vec<Request>> {
        let mut requests = pick(&self.tables.requests, |request| request.session == session);
        requests.sort_by_key(|request| (request.asked_at, request.id));
        Ok(requests)
    }

    async fn put_request(&mut self, id: RequestId, from: &RequestState, to: &RequestState) -> Result<bool> {
        let Some(old) = self.tables.requests.get(&id).filter(|old| old.state == *from).cloned() else {
            return Ok(false);
        };
        self.put(|tables| &mut tables.requests, id, Request { state: to.clone(), ..old });
        Ok(true)
    }

    async fn add_sandbox(&mut self, new: &SandboxRecord) -> Result<()> {
        self.add(|tables| &mut tables.sandboxes, new.id, new.clone())
    }

    async fn sandbox(&mut self, id: SandboxId) -> Result<Option<SandboxRecord>> {
        Ok(self.tables.sandboxes.get(&id).cloned())
    }

    async fn sandboxes(&mut self, session: Option<SessionId>) -> Result<Vec<SandboxRecord>> {
        let mut sandboxes = pick(&self.tables.sandboxes, |sandbox| {
            sandbox.state != SandboxState::Destroyed && session.is_none_or(|session| sandbox.session == session)
        });
        sandboxes.sort_by_key(|sandbox| (sandbox.created_at, sandbox.id));
        Ok(sandboxes)
    }

    async fn put_sandbox(&mut self, sandbox: &SandboxRecord, from: SandboxState) -> Result<bool> {
        let Some(old) = self.tables.sandboxes.get(&sandbox.id).filter(|old| old.state == from) else {
            return Ok(false);
        };
        let new = SandboxRecord { created_at: old.created_at, ..sandbox.clone() };
        self.put(|tables| &mut tables.sandboxes, sandbox.id, new);
        Ok(true)
    }
}

#[async_trait]
impl BlobRows for MemoryRows {
    async fn add_blob(&mut self, hash: BlobHash, size: i64) -> Result<bool> {
        Ok(self.add(|tables| &mut tables.blobs, hash, size).is_ok())
    }

    async fn add_blob_chunk(&mut self, hash: BlobHash, number: i64, data: &[u8]) -> Result<()> {
        self.add(|tables| &mut tables.blob_chunks, (hash, number), data.to_owned())
    }

    async fn blob_size(&mut self, hash: BlobHash) -> Result<Option<i64>> {
        Ok(self.tables.blobs.get(&hash).copied())
    }

    async fn blob_chunks(&mut self, hash: BlobHash) -> Result<Vec<Vec<u8>>> {
        Ok(self.tables.blob_chunks.range((hash, 0)..=(hash, i64::MAX)).map(|(_, data)| data.clone()).collect())
    }
}

#[async_trait]
impl PullRequestRows for MemoryRows {
    async fn lock_repository(&mut self, id: RepositoryId) -> Result<Option<i64>> {
        Ok(self.tables.repositories.get(&id).map(|(_, newest)| *newest))
    }

    async fn add_pull_request(&mut self, new: &PullRequest) -> Result<()> {
        if let Some((repository, _)) = self.tables.repositories.get(&new.repository).cloned() {
            self.put(|tables| &mut tables.repositories, new.repository, (repository, new.number));
        }
        self.add(|tables| &mut tables.pull_requests, (new.repository, new.number), (new.clone(), 0))
    }

    async fn pull_request(&mut self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>> {
        Ok(self.tables.pull_requests.get(&(repository, number)).map(|(pull_request, _)| pull_request.clone()))
    }

    async fn pull_request_with_key(&mut self, repository: RepositoryId, key: &str) -> Result<Option<PullRequest>> {
        Ok(self.pull_requests(repository).await?.into_iter().find(|pull_request| pull_request.key == key))
    }

    async fn pull_requests_keyed(&mut self, repository: RepositoryId, prefix: &str) -> Result<Vec<PullRequest>> {
        let all = self.pull_requests(repository).await?;
        Ok(all.into_iter().filter(|pull_request| pull_request.key.starts_with(prefix)).collect())
    }

    async fn pull_requests(&mut self, repository: RepositoryId) -> Result<Vec<PullRequest>> {
        let rows = pick(&self.tables.pull_requests, |(pull_request, _)| pull_request.repository == repository);
        Ok(rows.into_iter().map(|(pull_request, _)| pull_request).collect())
    }

    async fn put_pull_request(&mut self, new: &PullRequest, seen: Timestamp) -> Result<bool> {
        let key = (new.repository, new.number);
        let Some((old, threads)) = self.tables.pull_requests.get(&key).filter(|(old, _)| old.updated_at == seen) else {
            return Ok(false);
        };
        let new =
            PullRequest { key: old.key.clone(), author: old.author.clone(), created_at: old.created_at, ..new.clone() };
        let row = (new, *threads);
        self.put(|tables| &mut tables.pull_requests, key, row);
        Ok(true)
    }

    async fn add_comment(&mut self, repository: RepositoryId, number: i64, comment: &Comment) -> Result<()> {
        if !self.tables.comments.contains_key(&comment.id) {
            self.put(|tables| &mut tables.comments, comment.id, ((repository, number), comment.clone()));
        }
        Ok(())
    }

    async fn comments(&mut self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>> {
        let rows = pick(&self.tables.comments, |(at, _)| *at == (repository, number));
        let mut comments: Vec<_> = rows.into_iter().map(|(_, comment)| comment).collect();
        comments.sort_by_key(|comment| (comment.created_at, comment.id));
        Ok(comments)
    }

    async fn next_thread(&mut self, repository: RepositoryId, number: i64) -> Result<i64> {
        let key = (repository, number);
        let Some((pull_request, newest)) = self.tables.pull_requests.get(&key).cloned() else {
            return Err(StoreError::Missing { what: "pull request", id: number.to_string() });
        };
        self.put(|tables| &mut tables.pull_requests, key, (pull_request, newest + 1));
        Ok(newest + 1)
    }

    async fn put_thread(&mut self, at: (RepositoryId, i64), position: i64, thread: &Thread) -> Result<()> {
        let position = match self.tables.threads.get(&thread.id) {
            Some((elsewhere, ..)) if *elsewhere != at => return Ok(()),
            Some((_, position, _)) => *position,
            None => position,
        };
        self.put(|tables| &mut tables.threads, thread.id, (at, position, thread.clone()));
        Ok(())
    }

    async fn threads(&mut self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>> {
        let mut rows = pick(&self.tables.threads, |(at, ..)| *at == (repository, number));
        rows.sort_by_key(|(_, position, _)| *position);
        Ok(rows.into_iter().map(|(_, _, thread)| thread).collect())
    }

    async fn put_check(&mut self, repository: RepositoryId, check: &Check) -> Result<()> {
        let key = (repository, check.commit.to_string(), check.name.clone());
        self.put(|tables| &mut tables.checks, key, check.clone());
        Ok(())
    }

    async fn checks(&mut self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>> {
        let of_commit = self.tables.checks.iter().filter(|((of, on, _), _)| *of == repository && on == commit.as_str());
        Ok(of_commit.map(|(_, check)| check.clone()).collect())
    }
}
