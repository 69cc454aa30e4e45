//! Commits that travel from one mirror to another without a forge between them.

use crate::{Error, Mirror};
use domain::CommitId;

/// Largest pack that is made of one commit, in bytes: twice what a sandbox may hand in.
const LARGEST: usize = 512 << 20;

impl Mirror {
    /// Those of `commits` that the mirror does not have, in the same order.
    pub async fn missing(&self, commits: &[CommitId]) -> Result<Vec<CommitId>, Error> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let asked: String = commits.iter().flat_map(|commit| [commit.as_str(), "\n"]).collect();
        let output = self.call("cat-file").arg("--batch-check=%(objecttype)").stdin(asked).run().await?.text()?;
        if output.lines().count() != commits.len() {
            let detail = "not one line for each commit".to_owned();
            return Err(Error::Unexpected { command: "cat-file".to_owned(), detail });
        }
        let lacks = |(commit, kind): (&CommitId, &str)| (kind != "commit").then(|| commit.clone());
        Ok(commits.iter().zip(output.lines()).filter_map(lacks).collect())
    }

    /// What another mirror needs to have `commit` as well, provided that it has the commits `on`.
    pub async fn pack(&self, commit: &CommitId, on: &[CommitId]) -> Result<Vec<u8>, Error> {
        let wanted: String =
            std::iter::once(format!("{commit}\n")).chain(on.iter().map(|known| format!("^{known}\n"))).collect();
        let options = ["--revs", "--thin", "--stdout", "--delta-base-offset", "--threads=1", "--quiet"];
        let call = self.call("pack-objects").args(options).stdin(wanted).at_most(LARGEST);
        Ok(call.run().await?.stdout)
    }

    /// Takes in what [`Mirror::pack`] made of `commit`. The same pack again changes nothing.
    ///
    /// Errors: [`Error::MissingCommit`] when the commit is not in it, or stands on one that the mirror does not have.
    pub async fn unpack(&self, commit: &CommitId, pack: &[u8]) -> Result<(), Error> {
        let taken = self.call("index-pack").args(["--stdin", "--fix-thin", "--strict", "--threads=1"]).stdin(pack);
        match taken.run().await {
            Err(Error::Git { .. }) => Err(Error::MissingCommit { commit: commit.clone() }),
            Err(error) => Err(error),
            Ok(_) if self.has_commit(commit).await? => Ok(()),
            Ok(_) => Err(Error::MissingCommit { commit: commit.clone() }),
        }
    }
}
