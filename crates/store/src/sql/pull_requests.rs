//! Pull requests of the local forge.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values, word},
};
use crate::{Check, Comment, PullRequest, StoreError, Thread, backend::PullRequestRows};
use async_trait::async_trait;
use domain::{CommitId, RepositoryId, Timestamp};

macro_rules! pull_requests_where {
    ($rest:literal) => {
        concat!(
            "SELECT repository, number, key, title, body, base, head, draft, labels, state, merge_commit, merged_head,
                author, created_at, updated_at
             FROM pull_requests WHERE ",
            $rest
        )
    };
}

statements! {
    LOCK_REPOSITORY("lock a repository") =
        "UPDATE repositories SET pull_requests = pull_requests WHERE id = $1 RETURNING pull_requests";
    COUNT_PULL_REQUEST("number a pull request") = "UPDATE repositories SET pull_requests = $2 WHERE id = $1";
    ADD_PULL_REQUEST("add a pull request") =
        "INSERT INTO pull_requests (repository, number, key, title, body, base, head, draft, labels, state,
            merge_commit, merged_head, author, created_at, updated_at, threads)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0)";
    PULL_REQUEST("read a pull request") = pull_requests_where!("repository = $1 AND number = $2");
    PULL_REQUEST_WITH_KEY("read a pull request") = pull_requests_where!("repository = $1 AND key = $2");
    PULL_REQUESTS("list pull requests") = pull_requests_where!("repository = $1 ORDER BY number");
    PULL_REQUESTS_KEYED("list pull requests") =
        pull_requests_where!("repository = $1 AND substr(key, 1, length($2)) = $2 ORDER BY number");
    PUT_PULL_REQUEST("write a pull request") =
        "UPDATE pull_requests SET title = $4, body = $5, base = $6, head = $7, draft = $8, labels = $9, state = $10,
            merge_commit = $11, merged_head = $12, updated_at = $13
         WHERE repository = $1 AND number = $2 AND updated_at = $3";
    ADD_COMMENT("add a comment") =
        "INSERT INTO comments (id, repository, number, author, body, thread, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
    COMMENTS("read comments") =
        "SELECT id, author, body, thread, created_at FROM comments WHERE repository = $1 AND number = $2
         ORDER BY created_at, id";
    NEXT_THREAD("number a thread") =
        "UPDATE pull_requests SET threads = threads + 1 WHERE repository = $1 AND number = $2 RETURNING threads";
    PUT_THREAD("write a thread") =
        "INSERT INTO threads (id, repository, number, position, path, line, commit_id, resolved)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET path = excluded.path, line = excluded.line, commit_id = excluded.commit_id,
            resolved = excluded.resolved
         WHERE threads.repository = excluded.repository AND threads.number = excluded.number";
    THREADS("read threads") =
        "SELECT id, path, line, commit_id, resolved FROM threads WHERE repository = $1 AND number = $2
         ORDER BY position";
    PUT_CHECK("write a check") =
        "INSERT INTO checks (repository, commit_id, name, passed, summary) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (repository, commit_id, name) DO UPDATE SET passed = excluded.passed, summary = excluded.summary";
    CHECKS("read checks") =
        "SELECT commit_id, name, passed, summary FROM checks WHERE repository = $1 AND commit_id = $2 ORDER BY name";
}

#[async_trait]
impl PullRequestRows for SqlRows {
    async fn lock_repository(&mut self, id: RepositoryId) -> Result<Option<i64>, StoreError> {
        let row = self.one(&LOCK_REPOSITORY, values![id]).await?;
        row.map(|row| row.columns("repository").int()).transpose()
    }

    async fn add_pull_request(&mut self, new: &PullRequest) -> Result<(), StoreError> {
        self.write(&COUNT_PULL_REQUEST, values![new.repository, new.number]).await?;
        let values = values![
            new.repository,
            new.number,
            &new.key,
            &new.title,
            &new.body,
            &new.base,
            &new.head,
            new.draft,
            json(&new.labels)?,
            word(&new.state)?,
            new.merge_commit.as_ref(),
            new.merged_head.as_ref(),
            &new.author,
            new.created_at,
            new.updated_at,
        ];
        self.write(&ADD_PULL_REQUEST, values).await.map(drop)
    }

    async fn pull_request(&mut self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>, StoreError> {
        self.one(&PULL_REQUEST, values![repository, number]).await?.as_ref().map(pull_request).transpose()
    }

    async fn pull_request_with_key(
        &mut self,
        repository: RepositoryId,
        key: &str,
    ) -> Result<Option<PullRequest>, StoreError> {
        self.one(&PULL_REQUEST_WITH_KEY, values![repository, key]).await?.as_ref().map(pull_request).transpose()
    }

    async fn pull_requests(&mut self, repository: RepositoryId) -> Result<Vec<PullRequest>, StoreError> {
        self.all(&PULL_REQUESTS, values![repository]).await?.iter().map(pull_request).collect()
    }

    async fn pull_requests_keyed(
        &mut self,
        repository: RepositoryId,
        prefix: &str,
    ) -> Result<Vec<PullRequest>, StoreError> {
        self.all(&PULL_REQUESTS_KEYED, values![repository, prefix]).await?.iter().map(pull_request).collect()
    }

    async fn put_pull_request(&mut self, new: &PullRequest, seen: Timestamp) -> Result<bool, StoreError> {
        let values = values![
            new.repository,
            new.number,
            seen,
            &new.title,
            &new.body,
            &new.base,
            &new.head,
            new.draft,
            json(&new.labels)?,
            word(&new.state)?,
            new.merge_commit.as_ref(),
            new.merged_head.as_ref(),
            new.updated_at,
        ];
        Ok(self.write(&PUT_PULL_REQUEST, values).await? == 1)
    }

    async fn add_comment(
        &mut self,
        repository: RepositoryId,
        number: i64,
        comment: &Comment,
    ) -> Result<(), StoreError> {
        let values =
            values![comment.id, repository, number, &comment.author, &comment.body, comment.thread, comment.created_at];
        self.write(&ADD_COMMENT, values).await.map(drop)
    }

    async fn comments(&mut self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>, StoreError> {
        self.all(&COMMENTS, values![repository, number]).await?.iter().map(comment).collect()
    }

    async fn next_thread(&mut self, repository: RepositoryId, number: i64) -> Result<i64, StoreError> {
        match self.one(&NEXT_THREAD, values![repository, number]).await? {
            Some(row) => row.columns("pull request").int(),
            None => Err(StoreError::Missing { what: "pull request", id: number.to_string() }),
        }
    }

    async fn put_thread(
        &mut self,
        (repository, number): (RepositoryId, i64),
        position: i64,
        thread: &Thread,
    ) -> Result<(), StoreError> {
        let values = values![
            thread.id,
            repository,
            number,
            position,
            &thread.path,
            thread.line,
            &thread.commit,
            thread.resolved
        ];
        self.write(&PUT_THREAD, values).await.map(drop)
    }

    async fn threads(&mut self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>, StoreError> {
        self.all(&THREADS, values![repository, number]).await?.iter().map(thread).collect()
    }

    async fn put_check(&mut self, repository: RepositoryId, check: &Check) -> Result<(), StoreError> {
        let values = values![repository, &check.commit, &check.name, check.passed, &check.summary];
        self.write(&PUT_CHECK, values).await.map(drop)
    }

    async fn checks(&mut self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>, StoreError> {
        self.all(&CHECKS, values![repository, commit]).await?.iter().map(check).collect()
    }
}

fn pull_request(row: &Row) -> Result<PullRequest, StoreError> {
    let mut columns = row.columns("pull request");
    Ok(PullRequest {
        repository: RepositoryId(columns.uuid()?),
        number: columns.int()?,
        key: columns.text()?,
        title: columns.text()?,
        body: columns.text()?,
        base: columns.branch()?,
        head: columns.branch()?,
        draft: columns.bool()?,
        labels: columns.json()?,
        state: columns.word()?,
        merge_commit: columns.maybe_commit()?,
        merged_head: columns.maybe_commit()?,
        author: columns.text()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
    })
}

fn comment(row: &Row) -> Result<Comment, StoreError> {
    let mut columns = row.columns("comment");
    Ok(Comment {
        id: columns.uuid()?,
        author: columns.text()?,
        body: columns.text()?,
        thread: columns.maybe_uuid()?,
        created_at: columns.time()?,
    })
}

fn thread(row: &Row) -> Result<Thread, StoreError> {
    let mut columns = row.columns("thread");
    Ok(Thread {
        id: columns.uuid()?,
        path: columns.text()?,
        line: columns.int()?,
        commit: columns.commit()?,
        resolved: columns.bool()?,
    })
}

fn check(row: &Row) -> Result<Check, StoreError> {
    let mut columns = row.columns("check");
    Ok(Check { commit: columns.commit()?, name: columns.text()?, passed: columns.bool()?, summary: columns.text()? })
}
