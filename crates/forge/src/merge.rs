//! Merging without a working tree.

use crate::{Error, Message, Mirror, Signature};
use domain::CommitId;

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Both sides fit together.
    Merged {
        /// The tree of both.
        tree: CommitId,
    },
    /// They do not.
    Conflict(Conflict),
}

/// Where two sides do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The files, in git's order.
    pub files: Vec<String>,
    /// A tree with conflict markers in those files, to show or to work from.
    pub tree: CommitId,
}

/// A branch whose base moved.
#[derive(Debug, Clone, Copy)]
pub struct Restack<'a> {
    /// The base's commit that `head` holds already.
    pub old_base: &'a CommitId,
    /// The base's commit now: a descendant of `old_base`, or, after a squash-merge, another history with the same work.
    pub new_base: &'a CommitId,
    /// The branch's commit.
    pub head: &'a CommitId,
}

/// What restacking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restacked {
    /// The branch holds the new base already.
    UpToDate,
    /// A merge commit with parents `head` and `new_base`; no ref was moved.
    Commit(CommitId),
    /// The branch's own work and the base's do not fit together.
    Conflict(Conflict),
}

impl Mirror {
    /// Whether every commit of `ancestor` is in `of`; a commit is its own ancestor.
    pub async fn is_ancestor(&self, ancestor: &CommitId, of: &CommitId) -> Result<bool, Error> {
        let call = self.call("merge-base").args(["--is-ancestor", ancestor.as_str(), of.as_str()]);
        Ok(call.accept(&[0, 1]).run().await?.code == 0)
    }

    /// The best common ancestor; none when the histories have nothing in common.
    pub async fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, Error> {
        let output = self.call("merge-base").args([a.as_str(), b.as_str()]).accept(&[0, 1]).run().await?;
        if output.code == 0 { output.id().map(Some) } else { Ok(None) }
    }

    /// Merges `theirs` into `ours` in memory; makes no commit.
    pub async fn merge(&self, ours: &CommitId, theirs: &CommitId) -> Result<Merge, Error> {
        if self.merge_base(ours, theirs).await?.is_none() {
            return Err(Error::Unrelated { ours: ours.clone(), theirs: theirs.clone() });
        }
        let call = self.call("merge-tree").args(["--write-tree", "-z", "--name-only", "--no-messages"]);
        let output = call.args([ours.as_str(), theirs.as_str()]).accept(&[0, 1]).run().await?;
        let mut fields = output.stdout.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let tree = fields.next().and_then(|id| std::str::from_utf8(id).ok()?.trim().parse().ok());
        let tree = tree.ok_or_else(|| output.unexpected("no tree"))?;
        if output.code == 0 {
            return Ok(Merge::Merged { tree });
        }
        let mut files: Vec<String> = fields.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        files.dedup();
        Ok(Merge::Conflict(Conflict { files, tree }))
    }

    /// Merges and makes the commit with parents `ours` and `theirs`; no ref is moved.
    pub async fn merge_commit(
        &self,
        ours: &CommitId,
        theirs: &CommitId,
        message: &Message,
        who: &Signature,
    ) -> Result<Result<CommitId, Conflict>, Error> {
        match self.merge(ours, theirs).await? {
            Merge::Merged { tree } => {
                let parents = [ours.clone(), theirs.clone()];
                self.commit_tree(&tree, &parents, message, who, who).await.map(Ok)
            }
            Merge::Conflict(conflict) => Ok(Err(conflict)),
        }
    }

    /// Brings a branch onto its moved base by a merge commit, so that its diff against the new base is its own work.
    ///
    /// The merge starts from `old_base` whatever the histories say: after a squash-merge they would say that the lower
    /// branch's work was done on both sides.
    pub async fn restack(&self, stack: Restack<'_>, message: &Message, who: &Signature) -> Result<Restacked, Error> {
        let Restack { old_base, new_base, head } = stack;
        if self.is_ancestor(new_base, head).await? {
            return Ok(Restacked::UpToDate);
        }
        let merge = if self.is_ancestor(old_base, head).await? {
            // `merge-tree --merge-base` needs git 2.40; a commit of the new base's tree on the old one says the same.
            let tree = self.tree_of(new_base).await?;
            let moved = self
                .commit_tree(&tree, std::slice::from_ref(old_base), &Message::new("Move the base"), who, who)
                .await?;
            self.merge(head, &moved).await?
        } else {
            self.merge(head, new_base).await?
        };
        match merge {
            Merge::Merged { tree } => {
                let parents = [head.clone(), new_base.clone()];
                self.commit_tree(&tree, &parents, message, who, who).await.map(Restacked::Commit)
            }
            Merge::Conflict(conflict) => Ok(Restacked::Conflict(conflict)),
        }
    }
}
