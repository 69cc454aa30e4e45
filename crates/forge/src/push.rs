//! Moving branches of a repository on disk, each from the commit where it was expected and from no other.

use crate::{Error, Mirror, Upstream};
use domain::{BranchName, CommitId};

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch was made or moved.
    Updated,
    /// It was there already.
    AlreadyThere,
}

impl Mirror {
    /// Moves one branch of `to` to `new`, if it is at `expected_old` (none: if it does not exist). A branch that is at
    /// `new` already is left alone, whatever was expected: the push happened before.
    ///
    /// Git compares and swaps under the ref's lock, so of two pushes with the same expectation one wins. The move need
    /// not be forward. No hook of the repository runs; its working tree and index are not touched, and a branch that is
    /// checked out is refused whatever the repository's configuration says.
    ///
    /// Errors: [`Error::Moved`], [`Error::CheckedOut`], [`Error::Rejected`], [`Error::NotWritable`].
    pub async fn push(
        &self,
        to: &Upstream,
        branch: &BranchName,
        new: &CommitId,
        expected_old: Option<&CommitId>,
    ) -> Result<Pushed, Error> {
        let moved = |found| Error::Moved { branch: branch.clone(), expected: expected_old.cloned(), found };
        let found = to.branch(branch).await?;
        if found.as_ref() == Some(new) {
            return Ok(Pushed::AlreadyThere);
        }
        if found.as_ref() != expected_old {
            return Err(moved(found));
        }
        if let Some(worktree) = to.checked_out(branch).await? {
            let command = format!("git -C {} switch --detach", crate::local::quoted(&worktree));
            return Err(Error::CheckedOut { branch: branch.clone(), worktree, command });
        }
        let full = branch.full_ref();
        let mut other_side = std::ffi::OsString::from("--receive-pack=");
        other_side.push(self.git().other_side("receive-pack"));
        let call = self.call("push").local_transport().accept(&[0, 1, 128]);
        let call =
            call.args(["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed"]);
        let lease = format!("--force-with-lease={full}:{}", expected_old.map_or("", CommitId::as_str));
        let call = call.arg(lease).arg(other_side).arg("--end-of-options").arg(to.path());
        let output = call.arg(format!("{new}:{full}")).run().await?;
        if output.code == 0 {
            return Ok(Pushed::Updated);
        }
        let found = to.branch(branch).await?;
        if found.as_ref() == Some(new) {
            return Ok(Pushed::AlreadyThere);
        }
        if found.as_ref() != expected_old {
            return Err(moved(found));
        }
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
        let reason = reason(&said);
        let unwritable =
            ["ermission denied", "Read-only file system", "insufficient permission", "unable to create temporary"];
        if unwritable.iter().any(|words| said.contains(words)) {
            return Err(Error::NotWritable { path: to.path().to_owned(), reason });
        }
        Err(Error::Rejected { branch: branch.clone(), reason })
    }
}

/// The words in brackets of `!\tsrc:dst\t[remote rejected] (words)`, or the first line that says something.
fn reason(said: &str) -> String {
    let rejected = said.lines().find(|line| line.starts_with('!')).and_then(|line| line.rsplit('\t').next());
    let line = rejected.or_else(|| said.lines().find(|line| line.contains("error:") || line.contains("fatal:")));
    line.or_else(|| said.lines().next()).unwrap_or("git gave no reason").trim().to_owned()
}
