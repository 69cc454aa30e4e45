//! Merging a pull request of the local forge: a commit of ours, then one guarded move of the base branch.

use super::{LocalForge, quoted};
use crate::{Error, Forge, Merge, MergeHow, MergeMethod, Merged, Message, Mirror, Signature, git::shell_quoted};
use domain::{CommitId, Repository};
use std::{ffi::OsStr, path::Path};
use store::{PullRequest, PullRequestState};

/// Says in a squashed commit which pull request and which head it holds, so that it is found again after a crash.
const TRAILER: &str = "Runyard-Pull-Request";

/// A pull request with the commits that its branches have.
struct Tips {
    pull: PullRequest,
    base: CommitId,
    head: CommitId,
}

impl LocalForge {
    pub(super) async fn merge_into_base(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        number: i64,
        how: &MergeHow,
    ) -> Result<Merged, Error> {
        let pull = self.get(repository, number).await?;
        match (pull.state, &pull.merge_commit) {
            (PullRequestState::Merged, Some(commit)) => {
                let commit = commit.clone();
                return self.merged(repository, pull, commit).await;
            }
            (PullRequestState::Open, _) => {}
            (PullRequestState::Merged, None) => return Err(Error::NotOpen { number, state: "merged" }),
            (PullRequestState::Closed, _) => return Err(Error::NotOpen { number, state: "closed" }),
        }
        let upstream = self.upstream(repository).await?;
        let tips = tips(&upstream, mirror, pull).await?;
        if let Some(commit) = merged_already(mirror, &tips).await? {
            return self.record(repository, &tips, commit).await;
        }
        if tips.pull.draft {
            return Err(Error::Draft { number });
        }
        if let Some(expected) = how.expected_head.as_ref().filter(|expected| **expected != tips.head) {
            let (branch, found) = (tips.pull.head.clone(), Some(tips.head.clone()));
            return Err(Error::Moved { branch, expected: Some(expected.clone()), found });
        }
        let tree = match mirror.merge(&tips.base, &tips.head).await? {
            Merge::Merged { tree } => tree,
            Merge::Conflict(conflict) => return Err(Error::Conflict { files: conflict.files }),
        };
        if how.method == MergeMethod::Squash && tree == mirror.tree_of(&tips.base).await? {
            return Err(Error::NothingToMerge { number, base: tips.pull.base.clone() });
        }
        if let Some(worktree) = upstream.checked_out(&tips.pull.base).await? {
            let command = command(&worktree, &tips, how.method);
            return Err(Error::CheckedOut { branch: tips.pull.base.clone(), worktree, command });
        }
        let who = Signature { name: how.name.clone(), email: how.email.clone(), at: self.clock.now() };
        let (parents, message) = match how.method {
            MergeMethod::Merge => (vec![tips.base.clone(), tips.head.clone()], Message::new(&subject(&tips.pull))),
            MergeMethod::Squash => (vec![tips.base.clone()], squash_message(mirror, &tips, &who).await?),
        };
        let message = message.trailer(TRAILER, &trailer_value(&tips));
        let commit = mirror.commit_tree(&tree, &parents, &message, &who, &who).await?;
        mirror.push(&upstream, &tips.pull.base, &commit, Some(&tips.base)).await?;
        self.record(repository, &tips, commit).await
    }

    pub(super) async fn record_merge_by_hand(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        number: i64,
    ) -> Result<PullRequest, Error> {
        let pull = self.get(repository, number).await?;
        if pull.state != PullRequestState::Open {
            return Ok(pull);
        }
        let upstream = self.upstream(repository).await?;
        let tips = match tips(&upstream, mirror, pull.clone()).await {
            // Somebody tidied up; what became of the work cannot be told from here.
            Err(Error::MissingBranch { .. }) => return Ok(pull),
            other => other?,
        };
        match merged_already(mirror, &tips).await? {
            Some(commit) => Ok(self.record(repository, &tips, commit).await?.pull_request),
            None => Ok(pull),
        }
    }

    async fn record(&self, repository: &Repository, tips: &Tips, commit: CommitId) -> Result<Merged, Error> {
        let note = |pull: &mut PullRequest| {
            let changed = pull.state != PullRequestState::Merged;
            pull.state = PullRequestState::Merged;
            pull.draft = false;
            pull.merge_commit = Some(commit.clone());
            pull.merged_head = Some(tips.head.clone());
            Ok(changed)
        };
        let pull = self.change(repository, tips.pull.number, note).await?;
        self.merged(repository, pull, commit).await
    }

    async fn merged(&self, repository: &Repository, pull: PullRequest, commit: CommitId) -> Result<Merged, Error> {
        let open = self.list(repository).await?;
        let below = open.iter().find(|other| other.state == PullRequestState::Open && other.head == pull.base);
        Ok(Merged { into_open: below.map(|other| other.number), pull_request: pull, commit })
    }
}

async fn tips(upstream: &crate::Upstream, mirror: &Mirror, pull: PullRequest) -> Result<Tips, Error> {
    mirror.fetch(upstream).await?;
    let base = mirror.resolve_branch(&pull.base).await?;
    let head = mirror.resolve_branch(&pull.head).await?;
    Ok(Tips { pull, base, head })
}

/// The commit of the base that holds the head's work already: by a merge, or by a squash that says so.
async fn merged_already(mirror: &Mirror, tips: &Tips) -> Result<Option<CommitId>, Error> {
    if tips.base == tips.head {
        // No commit of its own was ever made, or the base was moved forward onto it: a merge in either case.
        return Ok(Some(tips.base.clone()));
    }
    let since = format!("^{}", tips.head);
    if mirror.is_ancestor(&tips.head, &tips.base).await? {
        let call = mirror.call("rev-list").args(["--first-parent", "--ancestry-path", tips.base.as_str(), &since]);
        let output = call.at_most(64 << 20).run().await?.text()?;
        let oldest = output.lines().last().and_then(|id| id.parse().ok());
        return Ok(Some(oldest.unwrap_or_else(|| tips.base.clone())));
    }
    let format = format!("--format=%H%x00%(trailers:key={TRAILER},valueonly,separator=%x00)");
    let call = mirror.call("log").args(["--first-parent", "--max-count=1000", &format, tips.base.as_str(), &since]);
    let output = call.run().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let wanted = trailer_value(tips);
    let holds = |line: &&str| line.split('\0').skip(1).any(|value| value.trim() == wanted);
    Ok(text.lines().find(holds).and_then(|line| line.split('\0').next()?.parse().ok()))
}

fn subject(pull: &PullRequest) -> String {
    let number = format!(" (#{})", pull.number);
    let room = 72 - number.len();
    let title: String = pull.title.chars().take(room).collect();
    format!("{}{number}", title.trim_end())
}

fn trailer_value(tips: &Tips) -> String {
    format!("#{} {}", tips.pull.number, tips.head)
}

/// The subjects of all commits, and everybody who shares in them.
async fn squash_message(mirror: &Mirror, tips: &Tips, who: &Signature) -> Result<Message, Error> {
    let format = "--format=%s%x00%an <%ae>%x00%(trailers:key=Co-authored-by,valueonly,separator=%x00)";
    let since = format!("^{}", tips.base);
    let call =
        mirror.call("log").args(["--reverse", "--no-merges", "--max-count=200", format, tips.head.as_str(), &since]);
    let output = call.run().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut message = Message::new(&subject(&tips.pull));
    let subjects: Vec<String> = text.lines().filter_map(|l| l.split('\0').next()).map(|s| format!("- {s}")).collect();
    message = message.paragraph(&subjects.join("\n"));
    let mut people: Vec<&str> = text.lines().flat_map(|line| line.split('\0').skip(1)).map(str::trim).collect();
    people.sort_unstable();
    people.dedup();
    let me = format!("<{}>", who.email);
    for person in people.into_iter().filter(|person| !person.is_empty() && !person.ends_with(&me)) {
        message = message.trailer("Co-authored-by", person);
    }
    Ok(message)
}

/// What a person types where the base is checked out; [`LocalForge::refresh`] then finds it merged.
fn command(worktree: &Path, tips: &Tips, method: MergeMethod) -> String {
    let word = |text: &str| shell_quoted(OsStr::new(text)).to_string_lossy().into_owned();
    let (at, head, subject) = (quoted(worktree), word(tips.pull.head.as_str()), word(&subject(&tips.pull)));
    match method {
        MergeMethod::Merge => format!("git -C {at} merge --no-ff -m {subject} {head}"),
        MergeMethod::Squash => {
            let trailer = word(&format!("{TRAILER}: {}", trailer_value(tips)));
            format!("git -C {at} merge --squash {head} && git -C {at} commit -m {subject} -m {trailer}")
        }
    }
}
