//! `runyard repo`.

use super::{run::repository, unexpected};
use crate::{
    app::{App, Workers},
    cli::RepoCommand,
    connect::Connection,
    exit::{Exit, Failure},
    render,
};
use engine::{Command, Reply};

/// Registers and lists repositories.
pub async fn repo(app: &mut App, command: RepoCommand) -> Result<Exit, Failure> {
    let (command, json) = match command {
        RepoCommand::List(json) => (Command::Repositories, json),
        RepoCommand::Add { first, path, json } => {
            let (name, path) = match path {
                Some(path) => (Some(first), path.to_string_lossy().into_owned()),
                None => (None, first),
            };
            let path = if path.contains('/') { path } else { format!("./{path}") };
            (Command::AddRepository { name, path: repository(&path)? }, json)
        }
    };
    let connection = Connection::open(app, Workers::Rest).await?;
    let reply = connection.client.call(command).await;
    connection.close().await;
    match reply? {
        Reply::Repository(repository) if json.json => app.screen.json(&repository),
        Reply::Repositories(repositories) if json.json => app.screen.json(&repositories),
        Reply::Repository(repository) => app.screen.lines(render::repositories(&[repository])),
        Reply::Repositories(repositories) => app.screen.lines(render::repositories(&repositories)),
        other => return Err(unexpected(&other)),
    }
    Ok(Exit::Done)
}
