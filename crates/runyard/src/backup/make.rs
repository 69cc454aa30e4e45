//! Making a backup while servers work on the record.

use super::{
    RECORD,
    archive::{self, Archive},
    check_room, failed,
    manifest::{FORMAT, Holds, Manifest},
    moment,
};
use crate::{compose, config::Config, exit::Failure};
use domain::{Clock, RepositoryId};
use forge::{Git, Mirror, ObjectFormat};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};
use store::{Source, SqlStore};

/// A backup that was made.
#[derive(Debug, serde::Serialize)]
pub struct Made {
    /// Where it is.
    pub file: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Makes a backup of the record and the mirrors of `config` at `to`, a new file or a directory, and proves it.
///
/// The record is copied before the mirrors: a commit is kept in its mirror before it is on record, and nothing is ever
/// removed there, so what the copy names is in the bundles.
pub async fn make(config: &Config, to: &Path, clock: &dyn Clock) -> Result<Made, Failure> {
    let made_at = clock.now();
    let location = config.database_url();
    if compose::is_sqlite(&location)
        && !config.data_dir.join("runyard.db").exists()
        && config.values.database_url.is_none()
    {
        return Err(Failure::usage(format!("there is no record in {}", config.data_dir.display()))
            .mend("name the data directory with --data-dir"));
    }
    let to = target(to, made_at)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mirrors = config.data_dir.join("mirrors");
    let record_size = SqlStore::size(&location).await.map_err(|error| Failure::from(compose::database(&error)))?;
    check_room(parent, 2 * record_size.saturating_add(size_of(&mirrors)))?;
    let scratch = tempfile::Builder::new().prefix(".runyard-backup-").tempdir_in(parent);
    let scratch = scratch.map_err(|error| failed(&format!("write into {}", parent.display()), &error))?;

    let record = scratch.path().join(RECORD);
    let source = SqlStore::copy(&location, &record).await.map_err(|error| failed("copy the record", &error))?;
    let examined = SqlStore::examine(&record).await.map_err(|error| failed("read the copy of the record", &error))?;
    if !examined.wrong.is_empty() {
        let wrong = examined.wrong.join("; ");
        return Err(Failure::environment(format!("the record itself is damaged, so no backup was made: {wrong}"))
            .mend("keep the backups that you have, and restore the newest one: `runyard restore FILE`"));
    }
    let mut files = vec![(Holds::Record, RECORD.to_owned(), record)];
    let git = Git::new("git", &scratch.path().join("git")).await.map_err(|error| failed("start git", &error))?;
    for (repository, dir) in mirrors_in(&mirrors) {
        let attempt = format!("copy the commits of {}", dir.display());
        let failed = |error: forge::Error| failed(&attempt, &error);
        let mirror = Mirror::open_or_create(&git, &dir, ObjectFormat::Sha1).await.map_err(failed)?;
        let name = format!("mirrors/{repository}.bundle");
        let file = scratch.path().join(format!("{repository}.bundle"));
        if mirror.bundle_kept(&file).await.map_err(failed)? {
            let sha256_objects = mirror.object_format() == ObjectFormat::Sha256;
            files.push((Holds::Commits { repository, sha256_objects }, name, file));
        }
    }
    let database = if source == Source::Postgres { "postgres" } else { "sqlite" }.to_owned();
    let written = {
        let (at, examined) = (scratch.path().join("archive"), examined);
        tokio::task::spawn_blocking(move || {
            let mut parts = Vec::new();
            for (holds, name, file) in files {
                parts.push((archive::part(&name, holds, &file)?, file));
            }
            let manifest = Manifest {
                format: FORMAT,
                runyard: env!("CARGO_PKG_VERSION").to_owned(),
                made_at,
                database,
                migration: examined.migration,
                generation: examined.generation,
                rows: examined.rows,
                parts: parts.iter().map(|(part, _)| part.clone()).collect(),
                left_out: [
                    "keys, and files with keys: put them back by hand",
                    "runyard.toml and the log",
                    "sandboxes and base checkouts: they are made anew",
                    "branches of your repositories: they are fetched again",
                ]
                .map(str::to_owned)
                .to_vec(),
            };
            archive::write(&at, &manifest, &parts)?;
            // As it will be read again, from the disk.
            Archive::open(&at).map(|archive| (at, archive.manifest))
        })
    };
    let written = written.await.map_err(|error| failed("write the backup", &error))?;
    let (at, manifest) = written.map_err(|error| failed("write the backup", &error))?;
    let size = fs::metadata(&at).map_or(0, |found| found.len());
    let placed = renameat_with(CWD, &at, CWD, &to, RenameFlags::NOREPLACE)
        .map_err(std::io::Error::from)
        .and_then(|()| File::open(parent)?.sync_all());
    placed.map_err(|error| failed(&format!("put the backup at {}", to.display()), &error))?;
    Ok(Made { file: to, size, manifest })
}

/// The file to write: one with the time in its name when a directory is meant.
fn target(to: &Path, at: domain::Timestamp) -> Result<PathBuf, Failure> {
    let to = if to.is_dir() {
        to.join(format!("runyard-{}.backup", moment(at).strftime("%Y%m%dT%H%M%SZ")))
    } else {
        to.to_owned()
    };
    if to.exists() {
        return Err(Failure::usage(format!("{} is there already", to.display()))
            .mend("a backup never replaces a file; choose another name, or name a directory"));
    }
    Ok(to)
}

/// The mirrors of a data directory.
fn mirrors_in(dir: &Path) -> Vec<(RepositoryId, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.strip_suffix(".git")?.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort_by_key(|(repository, _)| *repository);
    found
}

/// The bytes of all files below a directory.
fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
