//! Proving a backup by reading it back as a restore does, into a place that is thrown away.

use super::{
    archive::Archive,
    check_room, failed,
    manifest::{Holds, Manifest},
};
use crate::exit::Failure;
use forge::{Git, Mirror, ObjectFormat};
use std::path::Path;
use store::SqlStore;

/// Proves a backup to the last byte, row and commit.
pub async fn verify(file: &Path) -> Result<Manifest, Failure> {
    let archive = open(file).await?;
    let scratch = tempfile::tempdir().map_err(|error| failed("make a temporary directory", &error))?;
    unpack(&archive, scratch.path()).await?;
    Ok(archive.manifest)
}

/// Reads and proves the whole archive.
pub async fn open(file: &Path) -> Result<Archive, Failure> {
    let path = file.to_owned();
    let opened = tokio::task::spawn_blocking(move || Archive::open(&path)).await;
    opened.map_err(|error| failed("read the backup", &error))?.map_err(|error| {
        let failure = Failure::from_error(crate::exit::Exit::Environment, &error);
        failure.mend("nothing was changed; take another backup, `runyard backup verify FILE` tells which are whole")
    })
}

/// Unpacks an archive into `dir`: `record.db`, proven, and `mirrors/`. The record is not brought up to date.
pub async fn unpack(archive: &Archive, dir: &Path) -> Result<(), Failure> {
    let total: u64 = archive.manifest.parts.iter().map(|part| part.size).sum();
    check_room(dir, total.saturating_mul(2))?;
    let git = Git::new("git", &dir.join("git")).await.map_err(|error| failed("start git", &error))?;
    let mirrors = dir.join("mirrors");
    std::fs::create_dir_all(&mirrors).map_err(|error| failed("make a directory", &error))?;
    for part in &archive.manifest.parts {
        let to = match &part.holds {
            Holds::Record => dir.join(super::RECORD),
            Holds::Commits { repository, .. } => dir.join(format!("{repository}.bundle")),
        };
        tokio::task::block_in_place(|| archive.extract(part, &to))
            .map_err(|error| failed("unpack the backup", &error))?;
        match &part.holds {
            Holds::Record => {
                let examined = SqlStore::examine(&to).await.map_err(|error| failed("read the record", &error))?;
                let mut wrong = examined.wrong;
                wrong.extend(archive.manifest.differences(&examined.rows));
                if !wrong.is_empty() {
                    return Err(Failure::environment(format!(
                        "the record in the backup is damaged: {}",
                        wrong.join("; ")
                    )));
                }
            }
            Holds::Commits { repository, sha256_objects } => {
                let attempt = format!("take in the commits of repository {repository}");
                let failed = |error: forge::Error| failed(&attempt, &error);
                let format = if *sha256_objects { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
                let mirror = mirrors.join(format!("{repository}.git"));
                let mirror = Mirror::open_or_create(&git, &mirror, format).await.map_err(failed)?;
                mirror.take_in_kept(&to).await.map_err(failed)?;
                std::fs::remove_file(&to).map_err(|error| super::failed("remove a bundle", &error))?;
            }
        }
    }
    Ok(())
}
