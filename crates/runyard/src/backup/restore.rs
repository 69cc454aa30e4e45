//! Putting a backup in place: proven first, built beside, moved in by rename, and begun as a new generation of the
//! record, so that whatever still runs of the old one ends.

use super::{
    RECORD, moment,
    verify::{open, unpack},
};
use crate::{
    compose,
    config::Config,
    data_dir::{self, Ownership},
    exit::{Failure, chain},
};
use domain::{Account, AccountId, Clock, Deed, DoerKind, Generation, Mint, Outcome, Repository, Via};
use forge::{Git, Upstream};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};
use store::{Audit as _, SqlStore, Store as _, StoreError, StoreOptions};

/// Where a restore builds, inside of the data directory, so that moving in is a rename.
const STAGE: &str = ".restoring";
/// In the stage, once what is old may have been moved away and what is new moved in.
const MOVING: &str = "moving";
/// What a data directory holds of a record and its work, the record itself last.
const OCCUPIED: [&str; 9] = [
    "mirrors",
    "bases",
    "sandboxes",
    "host",
    "git",
    "managed-settings.json",
    "runyard.db-shm",
    "runyard.db-wal",
    "runyard.db",
];

/// A backup that was put in place.
#[derive(Debug, serde::Serialize)]
pub struct Restored {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The life of the record that began.
    pub generation: Generation,
    /// Sessions in it.
    pub sessions: i64,
    /// Where what was there before is now.
    pub before: Option<PathBuf>,
    /// Repositories that could not be told, and why.
    pub unreached: Vec<String>,
}

/// Puts the backup in `file` into the data directory and the database of `config`.
pub async fn restore(
    config: &Config,
    file: &Path,
    replace: bool,
    clock: &dyn Clock,
    mint: &dyn Mint,
) -> Result<Restored, Failure> {
    let archive = open(file).await?;
    let dir = &config.data_dir;
    data_dir::prepare(dir)?;
    let _lock = match data_dir::lock(dir, "restore")? {
        Ownership::Ours(lock) => lock,
        Ownership::Theirs(holder) => {
            let who = holder.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            return Err(Failure::environment(format!("{who} has the data directory {}", dir.display()))
                .mend("end it first, or restore into another --data-dir; nothing was changed"));
        }
    };
    let target = config.database_url();
    let sqlite = compose::is_sqlite(&target);
    if sqlite && config.values.database_url.is_some() {
        return Err(Failure::usage("a record in a SQLite file of its own cannot be restored into place")
            .mend("leave database.url unset, so that the record is in the data directory; or name a PostgreSQL URL"));
    }
    clear_stage(dir).map_err(|error| super::failed("tidy up after an interrupted restore", &error))?;
    refuse_what_is_there(config, &target, sqlite, replace).await?;

    let stage = dir.join(STAGE);
    fs::DirBuilder::new().mode(0o711).create(&stage).map_err(|error| super::failed("make a directory", &error))?;
    let restored = async {
        unpack(&archive, &stage).await?;
        let record = stage.join(RECORD);
        let made_at = archive.manifest.made_at;
        let prepared = prepare(&record, &target, sqlite, (&stage, made_at), clock, mint).await?;
        let before = move_in(dir, &stage, replace, clock.now(), sqlite)
            .map_err(|error| super::failed("move the restored data into place", &error))?;
        if !sqlite {
            let filled = SqlStore::fill_postgres(&target, &record).await;
            filled.map_err(|error| super::failed("fill the database", &error))?;
        }
        Ok::<_, Failure>((prepared, before))
    };
    let restored = restored.await;
    let cleared = fs::remove_dir_all(&stage);
    let ((generation, repositories), before) = restored?;
    cleared.map_err(|error| super::failed("tidy up", &error))?;
    let unreached = raise(dir, &generation, &repositories).await;
    let sessions = archive.manifest.count("sessions");
    Ok(Restored { data_dir: dir.clone(), generation, sessions, before, unreached })
}

/// Removes what an interrupted restore left. One that was moving in has the data directory half-way: what it moved in is
/// taken out again; what it moved away stays where it was put.
fn clear_stage(dir: &Path) -> io::Result<()> {
    let stage = dir.join(STAGE);
    if !stage.exists() {
        return Ok(());
    }
    if stage.join(MOVING).exists() && stage.join(RECORD).exists() && dir.join("mirrors").exists() {
        fs::remove_dir_all(dir.join("mirrors"))?;
    }
    fs::remove_dir_all(stage)
}

async fn refuse_what_is_there(config: &Config, target: &str, sqlite: bool, replace: bool) -> Result<(), Failure> {
    if replace {
        return Ok(());
    }
    let dir = &config.data_dir;
    let mend = "restore into another --data-dir, or say --replace: what is there is then moved aside";
    if let Some(there) = OCCUPIED.iter().find(|name| dir.join(name).exists()) {
        let message = format!("{} is in use already: it holds `{there}`", dir.display());
        return Err(Failure::usage(message).mend(mend));
    }
    if !sqlite && SqlStore::is_in_use(target).await.map_err(|error| Failure::from(compose::database(&error)))? {
        return Err(Failure::usage("the database holds sessions already")
            .mend("restore into an empty database, or say --replace: what is there is then lost"));
    }
    Ok(())
}

/// Brings the record up to date and makes it the beginning of a new generation: which, and the repositories in it.
async fn prepare(
    record: &Path,
    target: &str,
    sqlite: bool,
    (stage, made_at): (&Path, domain::Timestamp),
    clock: &dyn Clock,
    mint: &dyn Mint,
) -> Result<(Generation, Vec<Repository>), Failure> {
    let failed = |error: StoreError| super::failed("bring the record up to date", &error);
    let location = record.display().to_string();
    let store = SqlStore::open(&location, StoreOptions::hiding(secrets::Known::nothing())).await.map_err(failed)?;
    let account = Account { id: AccountId::new(mint), name: "default".to_owned() };
    let account = store.account(&account).await.map_err(failed)?;
    let repositories = store.repositories(account.id).await.map_err(failed)?;
    let known = store.generation(&Generation::first(mint, clock.now())).await.map_err(failed)?;
    let git = Git::new("git", &stage.join("git")).await.map_err(|error| super::failed("start git", &error))?;
    let mut seen = 0;
    for repository in &repositories {
        if let Ok(upstream) = Upstream::open(&git, Path::new(&repository.location)).await
            && let Ok(Some(found)) = upstream.generation(known.record).await
        {
            seen = seen.max(found.number);
        }
    }
    if !sqlite && let Ok(there) = SqlStore::open(target, StoreOptions::hiding(secrets::Known::nothing())).await {
        seen = seen.max(there.known_generation().await.ok().flatten().map_or(0, |known| known.number));
        there.close().await;
    }
    let next = known.next(seen.min(i64::MAX - 1), mint, made_at, clock.now());
    store.begin_generation(&next).await.map_err(failed)?;
    let details = [("generation", next.number.to_string()), ("backed_up_at", moment(made_at).to_string())];
    let deed = Deed {
        at: clock.now(),
        kind: DoerKind::CommandLine,
        actor: "command line".to_owned(),
        via: Via::CommandLine,
        address: None,
        action: "record.restore".to_owned(),
        target: String::new(),
        outcome: Outcome::Done,
        details: details.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    store.note_deed(account.id, &deed).await.map_err(failed)?;
    store.close().await;
    Ok((next, repositories))
}

/// Moves what is there aside and what is new in, the record last: without it the directory counts as empty.
fn move_in(
    dir: &Path,
    stage: &Path,
    replace: bool,
    now: domain::Timestamp,
    sqlite: bool,
) -> io::Result<Option<PathBuf>> {
    let flush = |dir: &Path| File::open(dir)?.sync_all();
    File::create(stage.join(MOVING))?;
    flush(stage)?;
    let mut before = None;
    if replace && OCCUPIED.iter().any(|name| dir.join(name).exists()) {
        let aside = dir.join(format!("before-restore-{}", moment(now).strftime("%Y%m%dT%H%M%SZ")));
        fs::DirBuilder::new().mode(0o700).create(&aside)?;
        // The record first: a crash half-way leaves a directory that no server takes for a whole one.
        for name in OCCUPIED.iter().rev() {
            match fs::rename(dir.join(name), aside.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        flush(&aside)?;
        before = Some(aside);
    }
    fs::rename(stage.join("mirrors"), dir.join("mirrors"))?;
    if sqlite {
        File::open(stage.join(RECORD))?.sync_all()?;
        fs::rename(stage.join(RECORD), dir.join("runyard.db"))?;
    }
    flush(dir)?;
    Ok(before)
}

/// Tells every repository that can be reached; a server that starts tells the others.
async fn raise(dir: &Path, generation: &Generation, repositories: &[Repository]) -> Vec<String> {
    let mut unreached = Vec::new();
    let told = async {
        let git = Git::new("git", &dir.join("git")).await.map_err(|error| chain(&error))?;
        for repository in repositories {
            let raised = match Upstream::open(&git, Path::new(&repository.location)).await {
                Ok(upstream) => upstream.raise_generation(generation).await,
                Err(error) => Err(error),
            };
            if let Err(error) = raised {
                unreached.push(format!("{}: {}", repository.name, chain(&error)));
            }
        }
        Ok::<_, String>(())
    };
    if let Err(error) = told.await {
        unreached.push(error);
    }
    unreached
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    fn entries(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("reads")
            .map(|entry| entry.expect("one").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    fn staged(dir: &Path) -> PathBuf {
        let stage = dir.join(STAGE);
        fs::create_dir_all(stage.join("mirrors/new.git")).expect("made");
        fs::write(stage.join(RECORD), "new").expect("written");
        stage
    }

    #[test]
    fn what_was_there_is_moved_aside_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["runyard.db", "runyard.db-wal", "host", "runyard.toml"] {
            fs::write(dir.path().join(name), name).expect("written");
        }
        let stage = staged(dir.path());
        let before =
            move_in(dir.path(), &stage, true, Timestamp(0), true).expect("moves").expect("something was there");
        assert_eq!(entries(&before), ["host", "runyard.db", "runyard.db-wal"]);
        assert_eq!(fs::read(dir.path().join("runyard.db")).expect("reads"), b"new");
        assert!(dir.path().join("runyard.toml").exists(), "the configuration is nobody's record");
        assert!(dir.path().join("mirrors/new.git").exists());
    }

    /// A restore may die at any moment; the next one finds an empty place again or a whole one.
    #[test]
    fn an_interrupted_restore_is_taken_back() {
        let dir = tempfile::tempdir().expect("a directory");
        staged(dir.path());
        clear_stage(dir.path()).expect("clears");
        assert_eq!(entries(dir.path()), [""; 0]);

        let stage = staged(dir.path());
        fs::write(stage.join(MOVING), "").expect("written");
        fs::rename(stage.join("mirrors"), dir.path().join("mirrors")).expect("moved");
        clear_stage(dir.path()).expect("clears");
        assert_eq!(entries(dir.path()), [""; 0], "the record was not in yet");

        let stage = staged(dir.path());
        move_in(dir.path(), &stage, false, Timestamp(0), true).expect("moves");
        clear_stage(dir.path()).expect("clears");
        assert_eq!(entries(dir.path()), ["mirrors", "runyard.db"], "it was whole, and stays");
    }
}
