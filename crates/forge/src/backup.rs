//! What a backup holds of a mirror: the commits that we keep, with all of their history, as one bundle.
//!
//! The branches of the repository itself are fetched again; what only the mirror has would be lost with it: commits that
//! were made and not pushed yet, trees of unfinished runs, and bases that the repository may have rewritten since.

use crate::{Error, Mirror, ObjectFormat};
use std::{path::Path, time::Duration};

/// How long it may take to write or read the bundle of a large repository.
const TIME: Duration = Duration::from_mins(30);

impl Mirror {
    /// Writes every kept commit to a new file; false, and no file, when none is kept. Servers go on working meanwhile:
    /// what is kept after it was asked for may be left out.
    pub async fn bundle_kept(&self, to: &Path) -> Result<bool, Error> {
        if self.call("for-each-ref").args(["--count=1", "refs/runyard/"]).run().await?.stdout.is_empty() {
            return Ok(false);
        }
        let call = self.call("bundle").time(TIME).config("pack.threads=1").args(["create", "--quiet"]).arg(to);
        call.args(["--glob=refs/runyard/*"]).run().await?;
        Ok(true)
    }

    /// Takes a bundle of [`Mirror::bundle_kept`] into a fresh mirror. That nothing is missing or altered is checked; not
    /// whether old commits of people are as git would make them today, since a restore must not fail for that.
    pub async fn take_in_kept(&self, bundle: &Path) -> Result<(), Error> {
        let _lock = self.lock().await?;
        let call = self.call("fetch").local_transport().time(TIME).config("fetch.writeCommitGraph=false");
        let options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules"];
        let call = call.args(options).arg("--end-of-options").arg(bundle);
        call.args(["refs/runyard/*:refs/runyard/*"]).run().await.map(drop)
    }

    /// How objects are named.
    pub fn object_format(&self) -> ObjectFormat {
        self.format()
    }
}
