//! The mark that a restored record leaves in every repository that it works on, so that an instance which still runs on
//! an earlier life of the same record sees that it must end.
//!
//! A record that never was restored leaves no mark. The mark is a ref outside of branches and tags, on a commit without
//! files and parents whose message says which life it is.

use crate::{Error, Upstream};
use domain::{CommitId, Generation, Timestamp};
use uuid::Uuid;

/// How often the mark is written while others write it.
const TRIES: u32 = 8;

impl Upstream {
    /// The newest life of `record` that ever began to work on this repository after a restore.
    pub async fn generation(&self, record: Uuid) -> Result<Option<Generation>, Error> {
        Ok(self.mark(record).await?.map(|(_, generation)| generation))
    }

    /// Fails with [`Error::Superseded`] when a later life of the record works on this repository.
    pub async fn check_generation(&self, ours: &Generation) -> Result<(), Error> {
        match self.generation(ours.record).await? {
            Some(found) if ours.yields_to(&found) => {
                Err(Error::Superseded { path: self.path().to_owned(), ours: ours.number, found: found.number })
            }
            _ => Ok(()),
        }
    }

    /// Leaves the mark of a restored record, unless a later life did. Marks of other records are left alone.
    pub async fn raise_generation(&self, ours: &Generation) -> Result<(), Error> {
        if ours.number <= 1 {
            return self.check_generation(ours).await;
        }
        for _ in 0..TRIES {
            let old = self.mark(ours.record).await?;
            if let Some((_, found)) = &old {
                if ours.yields_to(found) {
                    return self.check_generation(ours).await;
                }
                if found.instance == ours.instance {
                    return Ok(());
                }
            }
            let tree = self.call("hash-object").args(["-t", "tree", "-w", "--stdin"]).stdin("").run().await?.id()?;
            let mut call = self.call("commit-tree");
            for role in ["AUTHOR", "COMMITTER"] {
                call = call
                    .env(format!("GIT_{role}_NAME"), "Runyard")
                    .env(format!("GIT_{role}_EMAIL"), "runyard@localhost");
                call = call.env(format!("GIT_{role}_DATE"), format!("@{} +0000", ours.since.0.max(0) / 1_000_000));
            }
            let mark = call.arg(tree.as_str()).stdin(message(ours)).run().await?.id()?;
            let nothing = "0".repeat(mark.as_str().len());
            let before = old.as_ref().map_or(nothing.as_str(), |(commit, _)| commit.as_str());
            let call = self.call("update-ref").accept(&[0, 1, 128]);
            let moved = call.args([&name(ours.record), mark.as_str(), before]).run().await?;
            if moved.code == 0 {
                return Ok(());
            }
        }
        Err(Error::NotWritable {
            path: self.path().to_owned(),
            reason: format!("{} cannot be written", name(ours.record)),
        })
    }

    /// The mark and what it says. One that cannot be read says that a later life began: it is safe to stop.
    async fn mark(&self, record: Uuid) -> Result<Option<(CommitId, Generation)>, Error> {
        let call = self.call("rev-parse").accept(&[0, 1]);
        let found = call.args(["--verify", "--quiet", "--end-of-options", &name(record)]).run().await?;
        if found.code != 0 {
            return Ok(None);
        }
        let mark = found.id()?;
        let text = self.call("cat-file").accept(&[0, 1, 128]).args(["-p", mark.as_str()]).run().await?.stdout;
        let unreadable = Generation {
            record,
            number: i64::MAX,
            instance: Uuid::nil(),
            since: Timestamp(0),
            backed_up_at: None,
            unsettled: false,
        };
        let generation = read(record, &String::from_utf8_lossy(&text)).unwrap_or(unreadable);
        Ok(Some((mark, generation)))
    }
}

fn name(record: Uuid) -> String {
    format!("refs/runyard/records/{record}")
}

fn message(generation: &Generation) -> String {
    format!(
        "Runyard works on from a restored backup\n\n\
         Servers on an earlier life of this record end when they see this.\n\n\
         Generation: {}\nInstance: {}\nSince: {}\n",
        generation.number, generation.instance, generation.since.0
    )
}

fn read(record: Uuid, text: &str) -> Option<Generation> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    Some(Generation {
        record,
        number: value("Generation")?.parse().ok()?,
        instance: value("Instance")?.parse().ok()?,
        since: Timestamp(value("Since")?.parse().ok()?),
        backed_up_at: None,
        unsettled: false,
    })
}
