//! `runyard context`, `runyard persona` and `runyard learning`.

use super::{edit::read, unexpected};
use crate::{
    app::{App, Workers},
    cli::{ContextCommand, LearningCommand, PersonaCommand},
    connect::Connection,
    control::Client,
    exit::{Exit, Failure},
    render,
};
use domain::{ContextFile, Knowledge, KnowledgeId, KnowledgeKind, Learning, LearningState, Persona, Piece};
use engine::{Command, LearningFilter, Learnings, NewKnowledge, Reply};

/// Lists and changes context files.
pub async fn context(app: &mut App, command: ContextCommand) -> Result<Exit, Failure> {
    let connection = Connection::open(app, Workers::Rest).await?;
    let result = context_on(app, &connection.client, command).await;
    connection.close().await;
    result
}

/// Lists and changes personas.
pub async fn persona(app: &mut App, command: PersonaCommand) -> Result<Exit, Failure> {
    let connection = Connection::open(app, Workers::Rest).await?;
    let result = persona_on(app, &connection.client, command).await;
    connection.close().await;
    result
}

async fn context_on(app: &mut App, client: &Client, command: ContextCommand) -> Result<Exit, Failure> {
    match command {
        ContextCommand::List(json) => {
            let all = all(client, KnowledgeKind::ContextFile).await?;
            if json.json {
                app.screen.json(&all);
            } else {
                app.screen.lines(render::context_files(&all, app.style));
            }
        }
        ContextCommand::Show { name, json } => {
            let (known, file) = file_named(client, &name).await?;
            if json.json {
                app.screen.json(&known);
            } else {
                app.screen.lines(render::markdown(&file.text, app.style));
            }
        }
        ContextCommand::Add { file, about } => {
            let piece = Piece::ContextFile(ContextFile {
                title: about.title.unwrap_or_default(),
                text: read(&file)?,
                repositories: about.repositories,
                priority: about.priority.unwrap_or_default(),
                enabled: !about.off,
            });
            let new = Command::AddKnowledge(NewKnowledge { piece, own: false });
            say(app, "added", &written(client.call(new).await?)?);
        }
        ContextCommand::Edit { name, file, about, for_all, on } => {
            let (known, old) = file_named(client, &name).await?;
            let new = ContextFile {
                title: about.title.unwrap_or(old.title),
                text: file.map_or(Ok(old.text), |file| read(&file))?,
                repositories: if for_all || !about.repositories.is_empty() {
                    about.repositories
                } else {
                    old.repositories
                },
                priority: about.priority.unwrap_or(old.priority),
                enabled: on || (old.enabled && !about.off),
            };
            change(app, client, &known, Piece::ContextFile(new)).await?;
        }
        ContextCommand::Remove { name } => {
            let known = named(client, KnowledgeKind::ContextFile, &name).await?;
            remove(app, client, &known).await?;
        }
    }
    Ok(Exit::Done)
}

async fn persona_on(app: &mut App, client: &Client, command: PersonaCommand) -> Result<Exit, Failure> {
    match command {
        PersonaCommand::List(json) => {
            let all = all(client, KnowledgeKind::Persona).await?;
            if json.json {
                app.screen.json(&all);
            } else {
                app.screen.lines(render::personas(&all, app.style));
            }
        }
        PersonaCommand::Show { name, json } => {
            let (known, persona) = persona_named(client, &name).await?;
            if json.json {
                app.screen.json(&known);
            } else {
                app.screen.lines(render::markdown(&persona.instructions, app.style));
            }
        }
        PersonaCommand::Add { name, file, role, shared } => {
            let persona = Persona { name, role, instructions: read(&file)?, default: false };
            let new = NewKnowledge { piece: Piece::Persona(persona), own: !shared };
            say(app, "added", &written(client.call(Command::AddKnowledge(new)).await?)?);
        }
        PersonaCommand::Edit { name, file, rename, role } => {
            let (known, old) = persona_named(client, &name).await?;
            let new = Persona {
                name: rename.unwrap_or(old.name),
                role: role.unwrap_or(old.role),
                instructions: file.map_or(Ok(old.instructions), |file| read(&file))?,
                default: old.default,
            };
            change(app, client, &known, Piece::Persona(new)).await?;
        }
        PersonaCommand::Remove { name } => {
            let known = named(client, KnowledgeKind::Persona, &name).await?;
            remove(app, client, &known).await?;
        }
    }
    Ok(Exit::Done)
}

async fn change(app: &mut App, client: &Client, known: &Knowledge, piece: Piece) -> Result<(), Failure> {
    if piece == known.piece {
        return Err(Failure::usage("nothing is different").mend("say what to change, such as --file FILE"));
    }
    let own = known.owner.is_some();
    let command = Command::ChangeKnowledge { id: known.id, expected: known.version, own, piece };
    say(app, "changed", &written(client.call(command).await?)?);
    Ok(())
}

async fn remove(app: &mut App, client: &Client, known: &Knowledge) -> Result<(), Failure> {
    let own = known.owner.is_some();
    match client.call(Command::RemoveKnowledge { id: known.id, expected: known.version, own }).await? {
        Reply::Done => {
            app.screen.line(format!("removed {}", render::one_line(known.piece.title(), 100)));
            Ok(())
        }
        other => Err(unexpected(&other)),
    }
}

fn say(app: &mut App, what: &str, known: &Knowledge) {
    app.screen.line(format!("{what} {} (version {})", render::one_line(known.piece.title(), 100), known.version));
}

fn written(reply: Reply) -> Result<Knowledge, Failure> {
    match reply {
        Reply::Piece(known) => Ok(*known),
        other => Err(unexpected(&other)),
    }
}

async fn all(client: &Client, kind: KnowledgeKind) -> Result<Vec<Knowledge>, Failure> {
    match client.call(Command::Knowledge { kind }).await? {
        Reply::Knowledge(all) => Ok(all),
        other => Err(unexpected(&other)),
    }
}

async fn file_named(client: &Client, name: &str) -> Result<(Knowledge, ContextFile), Failure> {
    let known = named(client, KnowledgeKind::ContextFile, name).await?;
    match known.piece.clone() {
        Piece::ContextFile(file) => Ok((known, file)),
        _ => Err(Failure::environment("the server gave something else instead of a context file")),
    }
}

async fn persona_named(client: &Client, name: &str) -> Result<(Knowledge, Persona), Failure> {
    let known = named(client, KnowledgeKind::Persona, name).await?;
    match known.piece.clone() {
        Piece::Persona(persona) => Ok((known, persona)),
        _ => Err(Failure::environment("the server gave something else instead of a persona")),
    }
}

/// The one with this title or id.
async fn named(client: &Client, kind: KnowledgeKind, name: &str) -> Result<Knowledge, Failure> {
    let mut found = all(client, kind).await?;
    found.retain(|known| known.piece.title().eq_ignore_ascii_case(name.trim()) || known.id.to_string() == name.trim());
    let list = match kind {
        KnowledgeKind::ContextFile => "`runyard context list` shows all",
        KnowledgeKind::Persona => "`runyard persona list` shows all",
        KnowledgeKind::Learning => "`runyard learning list` shows all",
    };
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Failure::usage(format!("there is no {kind} `{}`", name.escape_debug())).mend(list)),
        (Some(_), more) => Err(Failure::usage(format!("there are {} {kind}s `{}`", more + 1, name.escape_debug()))
            .mend("name it by its id, which the list shows with --json")),
    }
}

/// Lists and changes learnings.
pub async fn learning(app: &mut App, command: LearningCommand) -> Result<Exit, Failure> {
    let connection = Connection::open(app, Workers::Rest).await?;
    let result = learning_on(app, &connection.client, command).await;
    connection.close().await;
    result
}

async fn learning_on(app: &mut App, client: &Client, command: LearningCommand) -> Result<Exit, Failure> {
    match command {
        LearningCommand::List { words, repo, state, json } => {
            let search = Some(words.join(" "));
            let filter = LearningFilter { search, repository: repo, state, limit: 100, ..LearningFilter::default() };
            let found = found(client, filter).await?;
            if json.json {
                app.screen.json(&found);
            } else {
                app.screen.lines(render::learnings(&found, app.style));
            }
        }
        LearningCommand::Add { pattern, solution, repositories, applies_to } => {
            let learning = Learning { pattern, solution, applies_to, repositories, state: LearningState::Active };
            let new = NewKnowledge { piece: Piece::Learning(learning), own: false };
            say(app, "added", &written(client.call(Command::AddKnowledge(new)).await?)?);
        }
        LearningCommand::Accept { id } => put(app, client, id, LearningState::Active).await?,
        LearningCommand::Off { id } => put(app, client, id, LearningState::Off).await?,
        LearningCommand::Remove { id } => {
            let (known, _) = learning_with(client, id).await?;
            remove(app, client, &known).await?;
        }
    }
    Ok(Exit::Done)
}

async fn put(app: &mut App, client: &Client, id: KnowledgeId, state: LearningState) -> Result<(), Failure> {
    let (known, learning) = learning_with(client, id).await?;
    change(app, client, &known, Piece::Learning(Learning { state, ..learning })).await
}

async fn found(client: &Client, filter: LearningFilter) -> Result<Learnings, Failure> {
    match client.call(Command::Learnings(filter)).await? {
        Reply::Learnings(found) => Ok(found),
        other => Err(unexpected(&other)),
    }
}

async fn learning_with(client: &Client, id: KnowledgeId) -> Result<(Knowledge, Learning), Failure> {
    let filter = LearningFilter { id: Some(id), limit: 1, ..LearningFilter::default() };
    let known = found(client, filter).await?.lines.pop().map(|line| line.known);
    match known.map(|known| (known.piece.clone(), known)) {
        Some((Piece::Learning(learning), known)) => Ok((known, learning)),
        _ => Err(Failure::usage(format!("there is no learning {id}")).mend("`runyard learning list` shows all")),
    }
}
