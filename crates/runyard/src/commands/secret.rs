//! `runyard secret`: values are sealed here, in the process that a person started, and travel sealed.

use super::unexpected;
use crate::{
    app::{App, Workers},
    cli::{SecretArgs, SecretCommand},
    connect::Connection,
    exit::{Exit, Failure},
    render,
};
use domain::{SecretId, SystemMint};
use engine::{Command, Reply, SecretLine};
use rand::{TryRngCore as _, rngs::OsRng};
use secrets::{Keyring, KeyringError, Secret};
use std::{
    io::{IsTerminal as _, Read as _},
    path::Path,
};
use store::SealedSecret;
use zeroize::Zeroizing;

/// The longest value, in bytes.
const LARGEST: u64 = 64 << 10;

/// Stores, lists and removes secrets.
pub async fn secret(app: &mut App, command: SecretCommand) -> Result<Exit, Failure> {
    let connection = Connection::open(app, Workers::Rest).await?;
    let result = match command {
        SecretCommand::Set(args) => put(app, &connection, &args, false).await,
        SecretCommand::Rotate(args) => put(app, &connection, &args, true).await,
        SecretCommand::List(json) => list(app, &connection, json.json).await,
        SecretCommand::Remove { name } => remove(app, &connection, name).await,
        SecretCommand::RotateKey { forget_old } => rotate_key(app, &connection, forget_old).await,
    };
    connection.close().await;
    result
}

async fn put(app: &mut App, connection: &Connection, args: &SecretArgs, replace: bool) -> Result<Exit, Failure> {
    let stored = stored(connection).await?;
    let known = stored.iter().find(|line| line.name == args.name);
    let id = match (known, replace) {
        (Some(line), true) => line.id,
        (None, true) => {
            let failure = Failure::usage(format!("there is no secret `{}`", args.name.escape_debug()));
            return Err(failure.mend("`runyard secret list` shows all secrets"));
        }
        (_, false) => SecretId::new(&SystemMint),
    };
    let value = read_value(args.from_file.as_deref())?;
    let value = Secret::to_keep(&value, "the value").map_err(|error| Failure::usage(error.to_string()))?;
    app.known.learn([&value]);
    let keyring = keyring(app, &stored)?;
    let sealed = keyring.seal(&SealedSecret::seat(&id), &value, &mut OsRng.unwrap_err());
    let command = Command::PutSecret { id, name: args.name.clone(), sealed: hex::encode(sealed), replace };
    match connection.client.call(command).await? {
        Reply::Done => {
            let what = if replace { "replaced" } else { "stored" };
            app.screen.line(format!("{what} {}", args.name));
            Ok(Exit::Done)
        }
        other => Err(unexpected(&other)),
    }
}

async fn list(app: &mut App, connection: &Connection, json: bool) -> Result<Exit, Failure> {
    let stored = stored(connection).await?;
    if json {
        app.screen.json(&stored);
    } else {
        app.screen.lines(render::secrets(&stored, &app.zone));
    }
    Ok(Exit::Done)
}

async fn remove(app: &mut App, connection: &Connection, name: String) -> Result<Exit, Failure> {
    match connection.client.call(Command::RemoveSecret { name: name.clone() }).await? {
        Reply::Done => {
            app.screen.line(format!("removed {name}"));
            app.screen.note(
                "backups of the database that were made before still hold it, sealed; \
                 `runyard secret rotate-key --forget-old` makes them unreadable",
            );
            Ok(Exit::Done)
        }
        other => Err(unexpected(&other)),
    }
}

async fn rotate_key(app: &mut App, connection: &Connection, forget_old: bool) -> Result<Exit, Failure> {
    let stored = stored(connection).await?;
    let path = app.config.keyring.clone();
    let current = keyring(app, &stored)?.current().to_string();
    // A rotation that was cut off goes on with the key that it made.
    if stored.iter().all(|line| line.key == current) {
        Keyring::renew(&path, &mut OsRng.unwrap_err()).map_err(|error| failed(&error))?;
    }
    match connection.client.call(Command::ResealSecrets).await? {
        Reply::Resealed { sealed, left: 0 } => {
            app.screen.line(format!(
                "{sealed} of {} secrets sealed anew under the first key of {}",
                stored.len(),
                path.display()
            ));
        }
        Reply::Resealed { left, .. } => {
            let message = format!("{left} secrets are still sealed under an old key: they were stored at this moment");
            return Err(Failure::environment(message).mend("run it again: runyard secret rotate-key"));
        }
        other => return Err(unexpected(&other)),
    }
    if forget_old {
        let keyring = Keyring::forget_old(&path).map_err(|error| failed(&error))?;
        app.screen.line(format!("{} is the only key left in {}", keyring.current(), path.display()));
    }
    Ok(Exit::Done)
}

async fn stored(connection: &Connection) -> Result<Vec<SecretLine>, Failure> {
    match connection.client.call(Command::Secrets).await? {
        Reply::Secrets(lines) => Ok(lines),
        other => Err(unexpected(&other)),
    }
}

/// The keyring. A new one is made only where nothing is sealed yet, and none is used that does not hold the keys of what
/// is.
fn keyring(app: &mut App, stored: &[SecretLine]) -> Result<Keyring, Failure> {
    let path = app.config.keyring.clone();
    let keyring = match Keyring::read(&path) {
        Err(KeyringError::Missing(_)) if stored.is_empty() => {
            let made = Keyring::create(&path, &mut OsRng.unwrap_err()).map_err(|error| failed(&error))?;
            app.screen.note(&format!(
                "made the keyring {}: keep a copy of it, and never together with one of the data",
                path.display()
            ));
            made
        }
        found => found.map_err(|error| failed(&error))?,
    };
    let held: Vec<String> = keyring.ids().map(|id| id.to_string()).collect();
    match stored.iter().find(|line| !held.contains(&line.key)) {
        None => Ok(keyring),
        Some(line) => {
            let message = format!(
                "the keyring {} does not hold the key {} under which `{}` is sealed",
                path.display(),
                line.key,
                line.name
            );
            let mend = "put the right keyring in place, or let go of what cannot be read: runyard secret remove NAME";
            Err(Failure::environment(message).mend(mend))
        }
    }
}

fn failed(error: &KeyringError) -> Failure {
    Failure::from_error(Exit::Environment, error)
}

fn read_value(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let (mut value, name) =
        (Zeroizing::new(String::new()), file.map_or("standard input".into(), |it| it.display().to_string()));
    let unreadable = |error| Failure::usage(format!("failed to read {name}: {error}"));
    let read = match file {
        Some(file) => {
            let file = std::fs::File::open(file).map_err(unreadable)?;
            file.take(LARGEST + 1).read_to_string(&mut value)
        }
        None if std::io::stdin().is_terminal() => read_unseen(&mut value),
        None => std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut value),
    };
    let length = read.map_err(unreadable)?;
    if length as u64 > LARGEST {
        return Err(Failure::usage(format!("{name} holds more than 64 KiB")));
    }
    Ok(value)
}

/// Reads a line from the terminal, which does not show it.
fn read_unseen(value: &mut String) -> std::io::Result<usize> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    let mut err = std::io::stderr();
    std::io::Write::write_all(&mut err, b"value (not shown): ")?;
    tcsetattr(&stdin, OptionalActions::Flush, &unseen)?;
    let read = stdin.read_line(value);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    std::io::Write::write_all(&mut err, b"\n")?;
    read
}
