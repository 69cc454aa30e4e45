//! `runyard backup` and `runyard restore`.

use crate::{
    app::App,
    backup::{self, Manifest},
    cli::{BackupArgs, BackupCommand},
    exit::{Exit, Failure},
};
use domain::SystemMint;
use std::path::Path;

/// Makes a backup, or proves one.
pub async fn make(app: &mut App, args: BackupArgs) -> Result<Exit, Failure> {
    if let Some(BackupCommand::Verify { file, json }) = args.verify {
        let manifest = tokio::select! {
            manifest = backup::verify(&file) => manifest?,
            _ = app.interrupts.recv() => return Ok(Exit::Stopped),
        };
        if json.json {
            app.screen.json(&manifest);
        } else {
            app.screen.line(format!("{} is whole: {}", file.display(), holds(&manifest)));
        }
        return Ok(Exit::Done);
    }
    let to = args.to.ok_or_else(|| Failure::usage("a backup needs a file or a directory"))?;
    let made = tokio::select! {
        made = backup::make(&app.config, &to, app.clock.as_ref()) => made?,
        _ = app.interrupts.recv() => return Ok(Exit::Stopped),
    };
    if args.json.json {
        app.screen.json(&made);
        return Ok(Exit::Done);
    }
    let (file, size) = (made.file.display(), backup::size(made.size));
    app.screen.line(format!("{file} ({size}) is written and proven: {}", holds(&made.manifest)));
    app.screen.line("not in it:");
    app.screen.lines(made.manifest.left_out.iter().map(|what| format!("  {what}")));
    Ok(Exit::Done)
}

/// Puts a backup in place.
pub async fn restore(app: &mut App, file: &Path, replace: bool, json: bool) -> Result<Exit, Failure> {
    let (clock, mint) = (app.clock.clone(), SystemMint);
    let restored = tokio::select! {
        restored = backup::restore(&app.config, file, replace, clock.as_ref(), &mint) => restored?,
        _ = app.interrupts.recv() => return Ok(Exit::Stopped),
    };
    if json {
        app.screen.json(&restored);
        return Ok(Exit::Done);
    }
    let (dir, generation) = (restored.data_dir.display(), restored.generation.number);
    app.screen.line(format!("{dir} holds the backup as generation {generation}: sessions: {}", restored.sessions));
    if let Some(before) = &restored.before {
        app.screen.line(format!("what was there before is in {}", before.display()));
    }
    for repository in &restored.unreached {
        app.screen.note(&format!("warning: not told about the restore yet: {repository}"));
    }
    app.screen.line("keys and runyard.toml are not part of a backup; then: runyard serve");
    Ok(Exit::Done)
}

fn holds(manifest: &Manifest) -> String {
    let count = |table| manifest.count(table);
    format!(
        "sessions: {}, events: {}, blobs: {}, repositories: {}",
        count("sessions"),
        count("events"),
        count("blobs"),
        count("repositories")
    )
}
