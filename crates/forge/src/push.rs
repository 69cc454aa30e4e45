//! Moving branches of a repository on disk, each from the commit where it was expected and from no other.

use crate::{Error, Mirror, Upstream};
use domain::{BranchName, CommitId};
use std::{path::Path, time::Duration};

/// How often a push is tried while others hold the ref's lock.
const TRIES: u32 = 6;

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
        let mut tries = 1;
        loop {
            let found = to.branch(branch).await?;
            if found.as_ref() == Some(new) {
                return Ok(Pushed::AlreadyThere);
            }
            if found.as_ref() != expected_old {
                return Err(Error::Moved { branch: branch.clone(), expected: expected_old.cloned(), found });
            }
            if let Some(worktree) = to.checked_out(branch).await? {
                let command = format!("git -C {} switch --detach", crate::local::quoted(&worktree));
                return Err(Error::CheckedOut { branch: branch.clone(), worktree, command });
            }
            faultpoint::error_point!("fail-push", |why| Error::Rejected { branch: branch.clone(), reason: why });
            let Some(said) = self.push_once(to, branch, Some(new), expected_old).await? else {
                faultpoint::error_point!("fail-push-answer", |why| Error::Rejected {
                    branch: branch.clone(),
                    reason: why
                });
                return Ok(Pushed::Updated);
            };
            // Git fails rather than waits while another holds the ref's lock. What moved shows at the top of the loop.
            let moved = to.branch(branch).await? != found;
            if moved || (tries < TRIES && said.contains("lock")) {
                tokio::time::sleep(Duration::from_millis(10 << tries)).await;
                tries += 1;
                continue;
            }
            return Err(refusal(to.path(), branch, &said));
        }
    }

    /// Removes a branch of `of` that is still at `at`; false when it is elsewhere or gone. One that is checked out is
    /// refused.
    pub async fn remove_branch(&self, of: &Upstream, branch: &BranchName, at: &CommitId) -> Result<bool, Error> {
        if of.branch(branch).await?.as_ref() != Some(at) {
            return Ok(false);
        }
        let Some(said) = self.push_once(of, branch, None, Some(at)).await? else { return Ok(true) };
        if of.branch(branch).await?.as_ref() != Some(at) {
            return Ok(false);
        }
        Err(refusal(of.path(), branch, &said))
    }

    /// One push, or the removal of the branch when nothing is `new`; what git said when it was refused.
    async fn push_once(
        &self,
        to: &Upstream,
        branch: &BranchName,
        new: Option<&CommitId>,
        expected_old: Option<&CommitId>,
    ) -> Result<Option<String>, Error> {
        let full = branch.full_ref();
        let mut other_side = std::ffi::OsString::from("--receive-pack=");
        other_side.push(self.git().other_side("receive-pack"));
        let call = self.call("push").local_transport().accept(&[0, 1, 128]);
        let options = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed"];
        let lease = format!("--force-with-lease={full}:{}", expected_old.map_or("", CommitId::as_str));
        let call = call.args(options).arg(lease).arg(other_side).arg("--end-of-options").arg(to.path());
        let output = call.arg(format!("{}:{full}", new.map_or("", CommitId::as_str))).run().await?;
        let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
        Ok((output.code != 0).then(said))
    }
}

fn refusal(path: &Path, branch: &BranchName, said: &str) -> Error {
    let reason = reason(said);
    let unwritable =
        ["ermission denied", "Read-only file system", "insufficient permission", "unable to create temporary"];
    if unwritable.iter().any(|words| said.contains(words)) {
        return Error::NotWritable { path: path.to_owned(), reason };
    }
    Error::Rejected { branch: branch.clone(), reason }
}

/// The words in brackets of `!\tsrc:dst\t[remote rejected] (words)`, or the first line that says something.
fn reason(said: &str) -> String {
    let rejected = said.lines().find(|line| line.starts_with('!')).and_then(|line| line.rsplit('\t').next());
    let line = rejected.or_else(|| said.lines().find(|line| line.contains("error:") || line.contains("fatal:")));
    line.or_else(|| said.lines().next()).unwrap_or("git gave no reason").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_mend() {
        let branch = "runyard/x".parse().expect("a branch");
        let told = |said| refusal(Path::new("/srv/repo"), &branch, said).to_string();
        let unpack = "remote: error: insufficient permission for adding an object to repository database objects\n\
            To /srv/repo\n!\tabc:refs/heads/runyard/x\t[remote rejected] (unpacker error)\nDone\nerror: failed to push";
        insta::assert_snapshot!(told(unpack), @"/srv/repo cannot be written: [remote rejected] (unpacker error)");
        let forward = "To /srv/repo\n!\tabc:refs/heads/runyard/x\t[remote rejected] (non-fast-forward)\nDone\n";
        insta::assert_snapshot!(told(forward), @"the push of `runyard/x` was rejected: [remote rejected] (non-fast-forward)");
        insta::assert_snapshot!(told(""), @"the push of `runyard/x` was rejected: git gave no reason");
    }
}
