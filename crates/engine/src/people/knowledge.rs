//! What the team knows: context files, personas and learnings.

#[cfg(test)]
mod tests;

use super::learnings;
use crate::{
    KnowledgeUse, NewKnowledge, Problem, ProblemCode, Reply,
    briefing::{self, Brief, CONTEXT_BUDGET},
    personas,
    shared::Shared,
};
use domain::{
    ContextFile, EventPayload, Knowledge, KnowledgeId, KnowledgeKind, KnowledgeRef, NoteLevel, Persona, Piece, Session,
    SessionNumber, User,
};
use std::collections::HashMap;
use store::{Fence, StoreError, Write};

/// The longest context file, in bytes.
const LONGEST_FILE: usize = CONTEXT_BUDGET / 2;
/// The longest instructions of a persona, in bytes.
const LONGEST_INSTRUCTIONS: usize = 16 * 1024;
/// So many of a kind an account has at most.
const MOST: usize = 200;
/// So many personas of their own somebody has at most.
const MOST_OWN: usize = 50;

/// What the asker sees of a kind: context files by priority, personas with the default ones first.
pub(super) async fn list(shared: &Shared, user: &User, kind: KnowledgeKind) -> Result<Vec<Knowledge>, Problem> {
    let mut all = shared.store.knowledge(shared.account.id, kind).await?;
    if kind == KnowledgeKind::Persona {
        all = personas::with_defaults(shared.account.id, all);
    }
    all.retain(|known| known.owner.is_none_or(|owner| owner == user.id));
    let rank = |known: &Knowledge| match &known.piece {
        Piece::ContextFile(file) => (-file.priority, file.title.to_lowercase()),
        Piece::Persona(persona) if persona.default => (-1, String::new()),
        Piece::Persona(persona) => (0, persona.name.to_lowercase()),
        // As they were learned.
        Piece::Learning(_) => (0, String::new()),
    };
    // Default personas keep their order.
    all.sort_by_cached_key(rank);
    Ok(all)
}

pub(super) async fn add(shared: &Shared, user: &User, new: NewKnowledge) -> Result<Reply, Problem> {
    let NewKnowledge { mut piece, own } = new;
    if let Piece::Persona(persona) = &mut piece {
        persona.default = false;
    }
    let piece = checked(piece)?;
    let kind = piece.kind();
    if own && kind != KnowledgeKind::Persona {
        return Err(Problem::new(ProblemCode::BadRequest, "only a persona can be somebody's own"));
    }
    let all = shared.store.knowledge(shared.account.id, kind).await?;
    let owner = own.then_some(user.id);
    if let Some(alike) = all.iter().find(|known| known.piece.likeness().is_some_and(|it| Some(it) == piece.likeness()))
    {
        return Err(learnings::there_is_one(alike));
    }
    learnings::has_room(&piece, &all)?;
    let there = all.iter().filter(|known| known.owner == owner).count();
    let most = match kind {
        KnowledgeKind::Learning => learnings::MOST,
        KnowledgeKind::ContextFile | KnowledgeKind::Persona => {
            if own {
                MOST_OWN
            } else {
                MOST
            }
        }
    };
    if there >= most {
        let message = format!("there are {there} {kind}s already, which is as many as there can be");
        return Err(Problem::new(ProblemCode::Conflict, message).mend("remove one that nobody needs any more"));
    }
    let now = shared.now();
    let new = Knowledge {
        id: KnowledgeId::new(shared.mint.as_ref()),
        account: shared.account.id,
        owner,
        version: 1,
        piece,
        author: Some(user.id),
        created_at: now,
        changed_at: now,
        used: 0,
        used_at: None,
    };
    match shared.store.add_knowledge(&new).await {
        Err(StoreError::Conflict { .. }) if kind == KnowledgeKind::Learning => {
            return Err(learnings::there_is_one(&new));
        }
        added => added?,
    }
    stored(shared, new.id).await
}

pub(super) async fn change(
    shared: &Shared,
    user: &User,
    id: KnowledgeId,
    expected: i64,
    own: bool,
    piece: Piece,
) -> Result<Reply, Problem> {
    let current = find(shared, user, id, own).await?;
    seen(&current, expected)?;
    let piece = checked(changed(&current.piece, piece)?)?;
    let new = Knowledge {
        version: current.version + 1,
        piece,
        author: Some(user.id),
        changed_at: shared.now(),
        ..current.clone()
    };
    let written = if current.version == 0 {
        // A default persona is stored once somebody changes it.
        shared.store.add_knowledge(&Knowledge { created_at: new.changed_at, ..new.clone() }).await
    } else {
        shared.store.change_knowledge(&new, expected).await
    };
    match written {
        Ok(()) => stored(shared, id).await,
        // Somebody was faster just now: said with what is there.
        Err(error @ (StoreError::Conflict { .. } | StoreError::Stale { .. })) => {
            let now = find(shared, user, id, own).await?;
            seen(&now, expected)?;
            if let (StoreError::Conflict { .. }, Piece::Learning(_)) = (error, &new.piece) {
                return Err(learnings::there_is_one(&new));
            }
            Err(Problem::new(ProblemCode::Conflict, "somebody else changed it at the same moment").mend("try again"))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove(
    shared: &Shared,
    user: &User,
    id: KnowledgeId,
    expected: i64,
    own: bool,
) -> Result<Reply, Problem> {
    let current = find(shared, user, id, own).await?;
    if let Piece::Persona(Persona { default: true, name, .. }) = &current.piece {
        let message = format!("`{name}` is used whenever nobody chose another persona, so it stays");
        return Err(Problem::new(ProblemCode::Conflict, message).mend("change what it says, or add another one"));
    }
    seen(&current, expected)?;
    shared.store.remove_knowledge(shared.account.id, id, expected).await?;
    Ok(Reply::Done)
}

/// Gives a session another persona.
pub(super) async fn switch(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    persona: Option<&str>,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let persona = match persona {
        Some(given) => Some(persona_named(shared, user, given).await?),
        None => None,
    };
    let chosen = persona.as_ref().map(|known| known.id);
    if chosen != session.extras.persona {
        let text = match &persona {
            Some(known) => format!("{} chose the persona `{}`, from the next run on.", user.name, known.piece.title()),
            None => format!("{} chose the default personas, from the next run on.", user.name),
        };
        let event = EventPayload::Note { level: NoteLevel::Info, text };
        shared.store.commit(session.id, Fence::Open, &[Write::Persona(chosen)], &[event], shared.now()).await?;
    }
    Ok(Reply::Done)
}

/// The persona with this id or name that the asker sees.
pub(super) async fn persona_named(shared: &Shared, user: &User, given: &str) -> Result<Knowledge, Problem> {
    let all = list(shared, user, KnowledgeKind::Persona).await?;
    let given = given.trim();
    let id = given.parse::<KnowledgeId>().ok();
    let named = |known: &&Knowledge| Some(known.id) == id || known.piece.title().eq_ignore_ascii_case(given);
    match all.iter().filter(named).collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Problem::new(ProblemCode::NotFound, format!("there is no persona `{}`", given.escape_debug()))
            .mend("choose one of Settings → Personas")
            .command("`runyard persona list` shows all personas")),
        many => Err(Problem::new(
            ProblemCode::BadRequest,
            format!("there are {} personas with the name `{}`", many.len(), given.escape_debug()),
        )
        .mend("name it by its id")),
    }
}

/// The chosen persona of a session as it is now, and what its runs were told.
pub(super) async fn of_session(
    shared: &Shared,
    session: &Session,
) -> Result<(Option<KnowledgeRef>, Vec<KnowledgeUse>), Problem> {
    let persona = match session.extras.persona {
        Some(id) => match shared.store.piece_of_knowledge(shared.account.id, id).await? {
            Some(known) => Some(KnowledgeRef::from(&known)),
            None => personas::with_defaults(shared.account.id, Vec::new())
                .iter()
                .find(|known| known.id == id)
                .map(KnowledgeRef::from),
        },
        None => None,
    };
    Ok((persona, uses(briefing::of_session(shared.store.as_ref(), session.id).await?)))
}

/// Everything that was told, in the order in which it was told first.
fn uses(mut briefs: Vec<Brief>) -> Vec<KnowledgeUse> {
    briefs.sort_by_key(|brief| brief.at);
    let mut uses: Vec<KnowledgeUse> = Vec::new();
    let mut places: HashMap<KnowledgeId, usize> = HashMap::new();
    for brief in briefs {
        let told = brief.used.into_iter().map(|known| (known, false));
        for (known, left_out) in told.chain(brief.left_out.into_iter().map(|known| (known, true))) {
            let place = *places.entry(known.id).or_insert_with(|| {
                uses.push(KnowledgeUse { known: known.clone(), runs: 0, left_out });
                uses.len() - 1
            });
            let found = &mut uses[place];
            found.runs += usize::from(!left_out);
            found.left_out = left_out;
            found.known = known;
        }
    }
    uses
}

async fn find(shared: &Shared, user: &User, id: KnowledgeId, own: bool) -> Result<Knowledge, Problem> {
    let missing =
        || Problem::new(ProblemCode::NotFound, "it does not exist any more").mend("look at what there is now");
    let found = match shared.store.piece_of_knowledge(shared.account.id, id).await? {
        Some(found) => found,
        None => personas::with_defaults(shared.account.id, Vec::new())
            .into_iter()
            .find(|known| known.id == id)
            .ok_or_else(missing)?,
    };
    // Whoever asks for their own gets nothing else, and the other way round: the right was asked for by that.
    let expected = own.then_some(user.id);
    if found.owner == expected { Ok(found) } else { Err(missing()) }
}

fn seen(current: &Knowledge, expected: i64) -> Result<(), Problem> {
    if current.version == expected {
        return Ok(());
    }
    let kind = current.piece.kind();
    let mut problem = Problem::new(
        ProblemCode::Conflict,
        format!("the {kind} is at version {} now, yours started from version {expected}", current.version),
    )
    .mend("look at the newest version and change that");
    problem.current_version = Some(current.version);
    Err(problem)
}

async fn stored(shared: &Shared, id: KnowledgeId) -> Result<Reply, Problem> {
    let found = shared.store.piece_of_knowledge(shared.account.id, id).await?;
    let gone = || Problem::new(ProblemCode::NotFound, "somebody removed it at the same moment");
    found.map(|known| Reply::Piece(Box::new(known))).ok_or_else(gone)
}

/// What may be changed of it: the kind stays, and of a default persona all but the instructions.
fn changed(current: &Piece, new: Piece) -> Result<Piece, Problem> {
    match (current, new) {
        (Piece::ContextFile(_), new @ Piece::ContextFile(_)) | (Piece::Learning(_), new @ Piece::Learning(_)) => {
            Ok(new)
        }
        (Piece::Persona(old), Piece::Persona(new)) => {
            let default = old.default;
            if default && (&new.name, new.role) != (&old.name, old.role) {
                let message = format!("`{}` keeps its name and its role", old.name);
                return Err(Problem::new(ProblemCode::BadRequest, message).mend("add another persona"));
            }
            Ok(Piece::Persona(Persona { default, ..new }))
        }
        (current, _) => {
            Err(Problem::new(ProblemCode::BadRequest, format!("a {} cannot become something else", current.kind())))
        }
    }
}

/// The piece with its texts trimmed, when everything about it is right.
fn checked(piece: Piece) -> Result<Piece, Problem> {
    match piece {
        Piece::ContextFile(file) => checked_file(file).map(Piece::ContextFile),
        Piece::Persona(persona) => checked_persona(persona).map(Piece::Persona),
        Piece::Learning(learning) => learnings::checked(learning).map(Piece::Learning),
    }
}

fn checked_file(file: ContextFile) -> Result<ContextFile, Problem> {
    let bad = |message: String| Problem::new(ProblemCode::BadRequest, message);
    checked_text("the text", &file.text, LONGEST_FILE)?;
    let title = match file.title.trim() {
        "" => runbook::first_heading(&file.text).map(|title| title.chars().take(200).collect()).ok_or_else(|| {
            bad("the context file has no title".to_owned()).mend("give one, or begin the text with `# Title`")
        })?,
        title => title.to_owned(),
    };
    checked_line("the title", &title, 200)?;
    let repositories = checked_repositories(KnowledgeKind::ContextFile, &file.repositories)?;
    if !(-100..=100).contains(&file.priority) {
        return Err(bad(format!("{} is not a priority", file.priority)).mend("give one between -100 and 100"));
    }
    Ok(ContextFile { title, repositories, ..file })
}

/// The names that are there, each once.
pub(super) fn checked_repositories(kind: KnowledgeKind, patterns: &[String]) -> Result<Vec<String>, Problem> {
    if patterns.len() > 50 {
        return Err(Problem::new(ProblemCode::BadRequest, format!("a {kind} can name 50 repositories at most"))
            .mend("use `*`, as in `team/*`, or name none for all repositories"));
    }
    let mut repositories: Vec<String> = Vec::new();
    for pattern in patterns.iter().map(|pattern| pattern.trim()).filter(|pattern| !pattern.is_empty()) {
        checked_line("a repository's name", pattern, 100)?;
        if !repositories.iter().any(|known| known == pattern) {
            repositories.push(pattern.to_owned());
        }
    }
    Ok(repositories)
}

fn checked_persona(persona: Persona) -> Result<Persona, Problem> {
    let name = persona.name.trim().to_owned();
    checked_line("the name", &name, 100)?;
    checked_text("the instructions", &persona.instructions, LONGEST_INSTRUCTIONS)?;
    if name.parse::<KnowledgeId>().is_ok() {
        return Err(Problem::new(ProblemCode::BadRequest, "an id is no name").mend("choose words"));
    }
    Ok(Persona { name, ..persona })
}

pub(super) fn checked_line(what: &str, text: &str, most: usize) -> Result<(), Problem> {
    if text.is_empty() || text.chars().count() > most || text.chars().any(|c| c.is_control() || domain::is_invisible(c))
    {
        let message = format!("{what} has to have 1 to {most} characters, all of them visible");
        return Err(Problem::new(ProblemCode::BadRequest, message));
    }
    Ok(())
}

fn checked_text(what: &str, text: &str, most: usize) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new(ProblemCode::BadRequest, format!("{what} must not be empty")));
    }
    if text.len() > most {
        let message = format!("{what} has {} bytes, the limit is {most}", text.len());
        return Err(Problem::new(ProblemCode::BadRequest, message)
            .mend("say it shorter, or put it into a file of the repository and name that file"));
    }
    Ok(())
}
