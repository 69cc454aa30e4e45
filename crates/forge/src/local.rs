//! The forge of repositories on disk: branches are the repository's own, pull requests are in the store.

mod merging;

use crate::{
    Edit, Error, Forge, Git, MergeHow, Merged, Mirror, NewComment, NewPullRequest, Push, Pushed, Upstream,
    git::shell_quoted,
};
use async_trait::async_trait;
use domain::{BranchName, Clock, CommitId, Generation, Repository, Timestamp};
use std::{path::Path, sync::Arc};
use store::{Check, Comment, PullRequest, PullRequestState, PullRequests, StoreError, Thread};
use uuid::Uuid;

/// How often a change of a pull request is tried when others change it at the same time.
const TRIES: u32 = 8;

/// The forge of repositories on disk. [`Repository::location`] is the repository's absolute path.
pub struct LocalForge {
    git: Git,
    store: Arc<dyn PullRequests>,
    clock: Arc<dyn Clock>,
    /// The life of the record that it acts for; none where a record has one life only.
    generation: Option<Generation>,
}

impl std::fmt::Debug for LocalForge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalForge").field("git", &self.git).finish_non_exhaustive()
    }
}

impl LocalForge {
    /// A forge that keeps its pull requests in `store`.
    pub fn new(git: Git, store: Arc<dyn PullRequests>, clock: Arc<dyn Clock>) -> Self {
        Self { git, store, clock, generation: None }
    }

    /// The same, for one life of the record: once a later one works on a repository, nothing is moved there any more.
    #[must_use]
    pub fn of_generation(self, generation: Generation) -> Self {
        Self { generation: Some(generation), ..self }
    }

    /// Fails with [`Error::Superseded`] when a later life of the record works on the repository.
    pub async fn check_generation(&self, repository: &Repository) -> Result<(), Error> {
        match &self.generation {
            Some(generation) => self.upstream(repository).await?.check_generation(generation).await,
            None => Ok(()),
        }
    }

    /// The repository on disk.
    pub async fn upstream(&self, repository: &Repository) -> Result<Upstream, Error> {
        Upstream::open(&self.git, Path::new(&repository.location)).await
    }

    /// Reads, changes and writes until nobody came between; `change` says whether there is anything to write.
    async fn change(
        &self,
        repository: &Repository,
        number: i64,
        change: impl Fn(&mut PullRequest) -> Result<bool, Error> + Send + Sync,
    ) -> Result<PullRequest, Error> {
        let mut tries = 1;
        loop {
            let before = self.get(repository, number).await?;
            let mut after = before.clone();
            if !change(&mut after)? {
                return Ok(before);
            }
            // The time of the last change is what writers compare, so it always rises.
            after.updated_at = self.clock.now().max(Timestamp(before.updated_at.0 + 1));
            match self.store.update_pull_request(&after, before.updated_at).await {
                Ok(()) => return self.get(repository, number).await,
                Err(StoreError::Stale { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[async_trait]
impl Forge for LocalForge {
    fn kind(&self) -> &'static str {
        "local"
    }

    async fn mirror(&self, repository: &Repository, dir: &Path) -> Result<Mirror, Error> {
        let upstream = self.upstream(repository).await?;
        Mirror::open_or_create(&self.git, dir, upstream.object_format()).await
    }

    async fn fetch(&self, repository: &Repository, mirror: &Mirror) -> Result<(), Error> {
        mirror.fetch(&self.upstream(repository).await?).await
    }

    async fn default_branch(&self, repository: &Repository) -> Result<Option<BranchName>, Error> {
        self.upstream(repository).await?.head_branch().await
    }

    async fn branch(&self, repository: &Repository, name: &BranchName) -> Result<Option<CommitId>, Error> {
        self.upstream(repository).await?.branch(name).await
    }

    async fn heads(
        &self,
        repository: &Repository,
        names: &[&BranchName],
    ) -> Result<Vec<(BranchName, CommitId)>, Error> {
        self.upstream(repository).await?.heads(names).await
    }

    async fn push(&self, repository: &Repository, mirror: &Mirror, push: Push<'_>) -> Result<Pushed, Error> {
        let upstream = self.upstream(repository).await?;
        self.check_generation(repository).await?;
        mirror.push(&upstream, push.branch, push.new, push.expected_old).await
    }

    async fn remove_branch(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        branch: &BranchName,
        at: &CommitId,
    ) -> Result<bool, Error> {
        mirror.remove_branch(&self.upstream(repository).await?, branch, at).await
    }

    async fn open(&self, repository: &Repository, new: &NewPullRequest) -> Result<PullRequest, Error> {
        if let Some(there) = self.find_by_key(repository, &new.key).await? {
            return Ok(there);
        }
        let upstream = self.upstream(repository).await?;
        for branch in [&new.base, &new.head] {
            if upstream.branch(branch).await?.is_none() {
                return Err(Error::MissingBranch { name: branch.clone(), near: Vec::new(), known: Vec::new() });
            }
        }
        let now = self.clock.now();
        let pull = PullRequest {
            repository: repository.id,
            number: 0,
            key: new.key.clone(),
            title: new.title.clone(),
            body: new.body.clone(),
            base: new.base.clone(),
            head: new.head.clone(),
            draft: new.draft,
            labels: once_each(&new.labels),
            state: PullRequestState::Open,
            merge_commit: None,
            merged_head: None,
            author: new.author.clone(),
            created_at: now,
            updated_at: now,
        };
        let opened = self.store.open_pull_request(&pull).await?;
        faultpoint::error_point!("fail-open-answer", |why| Error::Store(StoreError::injected(why)));
        Ok(opened)
    }

    async fn find_by_key(&self, repository: &Repository, key: &str) -> Result<Option<PullRequest>, Error> {
        Ok(self.store.pull_request_by_key(repository.id, key).await?)
    }

    async fn get(&self, repository: &Repository, number: i64) -> Result<PullRequest, Error> {
        self.store.pull_request(repository.id, number).await?.ok_or(Error::MissingPullRequest { number })
    }

    async fn list(&self, repository: &Repository) -> Result<Vec<PullRequest>, Error> {
        Ok(self.store.pull_requests(repository.id).await?)
    }

    async fn update(&self, repository: &Repository, number: i64, edit: &Edit) -> Result<PullRequest, Error> {
        let labels = edit.labels.as_deref().map(once_each);
        let apply = |pull: &mut PullRequest| {
            if edit.seen.is_some_and(|seen| seen != pull.updated_at) {
                return Err(Error::Changed { number });
            }
            let before = pull.clone();
            replace(&mut pull.title, edit.title.as_ref());
            replace(&mut pull.body, edit.body.as_ref());
            replace(&mut pull.base, edit.base.as_ref());
            replace(&mut pull.draft, edit.draft.as_ref());
            replace(&mut pull.labels, labels.as_ref());
            Ok(edit.seen.is_some() || *pull != before)
        };
        self.change(repository, number, apply).await
    }

    async fn close(&self, repository: &Repository, number: i64) -> Result<PullRequest, Error> {
        self.change(repository, number, |pull| move_to(pull, PullRequestState::Closed)).await
    }

    async fn reopen(&self, repository: &Repository, number: i64) -> Result<PullRequest, Error> {
        self.change(repository, number, |pull| move_to(pull, PullRequestState::Open)).await
    }

    async fn comment(&self, repository: &Repository, number: i64, new: &NewComment) -> Result<Comment, Error> {
        self.get(repository, number).await?;
        if let Some(thread) = new.thread
            && !self.threads(repository, number).await?.iter().any(|known| known.id == thread)
        {
            return Err(Error::MissingThread { number, thread });
        }
        let comment = Comment {
            id: new.id,
            author: new.author.clone(),
            body: new.body.clone(),
            thread: new.thread,
            created_at: self.clock.now(),
        };
        self.store.add_comment(repository.id, number, &comment).await?;
        let stored = self.comments(repository, number).await?.into_iter().find(|stored| stored.id == new.id);
        Ok(stored.unwrap_or(comment))
    }

    async fn comments(&self, repository: &Repository, number: i64) -> Result<Vec<Comment>, Error> {
        Ok(self.store.comments(repository.id, number).await?)
    }

    async fn put_thread(&self, repository: &Repository, number: i64, thread: &Thread) -> Result<(), Error> {
        self.get(repository, number).await?;
        Ok(self.store.put_thread(repository.id, number, thread).await?)
    }

    async fn threads(&self, repository: &Repository, number: i64) -> Result<Vec<Thread>, Error> {
        Ok(self.store.threads(repository.id, number).await?)
    }

    async fn resolve(&self, repository: &Repository, number: i64, thread: Uuid, resolved: bool) -> Result<(), Error> {
        let known = self.threads(repository, number).await?.into_iter().find(|known| known.id == thread);
        let known = known.ok_or(Error::MissingThread { number, thread })?;
        Ok(self.store.put_thread(repository.id, number, &Thread { resolved, ..known }).await?)
    }

    async fn set_check(&self, repository: &Repository, check: &Check) -> Result<(), Error> {
        Ok(self.store.put_check(repository.id, check).await?)
    }

    async fn checks(&self, repository: &Repository, commit: &CommitId) -> Result<Vec<Check>, Error> {
        Ok(self.store.checks(repository.id, commit).await?)
    }

    async fn merge(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        number: i64,
        how: &MergeHow,
    ) -> Result<Merged, Error> {
        self.check_generation(repository).await?;
        self.merge_into_base(repository, mirror, number, how).await
    }

    async fn refresh(&self, repository: &Repository, mirror: &Mirror, number: i64) -> Result<PullRequest, Error> {
        self.record_merge_by_hand(repository, mirror, number).await
    }

    async fn retarget_children(
        &self,
        repository: &Repository,
        merged: &PullRequest,
    ) -> Result<Vec<PullRequest>, Error> {
        let mut moved = Vec::new();
        for child in self.list(repository).await? {
            if child.state == PullRequestState::Open && child.base == merged.head && child.number != merged.number {
                let edit = Edit { base: Some(merged.base.clone()), ..Edit::default() };
                moved.push(self.update(repository, child.number, &edit).await?);
            }
        }
        Ok(moved)
    }
}

/// A path as one word of `sh`.
pub(crate) fn quoted(path: &Path) -> String {
    shell_quoted(path.as_os_str()).to_string_lossy().into_owned()
}

fn move_to(pull: &mut PullRequest, state: PullRequestState) -> Result<bool, Error> {
    if pull.state == PullRequestState::Merged {
        return Err(Error::NotOpen { number: pull.number, state: "merged" });
    }
    let changed = pull.state != state;
    pull.state = state;
    Ok(changed)
}

fn replace<T: Clone>(field: &mut T, with: Option<&T>) {
    if let Some(value) = with {
        field.clone_from(value);
    }
}

fn once_each(labels: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    labels.iter().filter(|label| seen.insert(label.as_str())).cloned().collect()
}
