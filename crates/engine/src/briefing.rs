//! What a run is told of what the team knows: chosen once for each run, kept with it, and the same after a crash.

use crate::{
    context::Context,
    halt::{Halt, chain},
    learnings::{self, Evidence},
    personas,
    prompt::{self, Briefing, Note},
};
use agent::Phase;
use domain::{
    BlobHash, CommitId, ContextFile, EventPayload, Knowledge, KnowledgeKind, KnowledgeRef, Learning, LearningState,
    Lesson, NoteLevel, Piece, RunId, Timestamp,
};
use forge::Mirror;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::HashSet};
use store::Write;

/// How much of the context files one run is given, in bytes of text.
pub(crate) const CONTEXT_BUDGET: usize = 64 * 1024;

/// So many files that context files name are pointed out at most.
const MOST_PATHS: usize = 50;

/// A repository with more files than this is not looked through for those that context files and learnings name.
const MOST_FILES: usize = 500_000;

/// A manifest that is longer than this, in bytes, is not read.
const LONGEST_MANIFEST: u64 = 256 * 1024;

/// The beginning of the keys under which briefs are noted.
pub(crate) const BRIEFS: &str = "brief:";

/// What a run was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Brief {
    pub at: Timestamp,
    pub plans: bool,
    /// Persona first, then context files, then learnings.
    pub used: Vec<KnowledgeRef>,
    pub left_out: Vec<KnowledgeRef>,
    /// The words that are added to the agent's instructions.
    text: BlobHash,
    /// The notes that are added to the run's first prompt, when there are any.
    #[serde(default)]
    notes: Option<BlobHash>,
}

fn key(run: RunId) -> String {
    format!("{BRIEFS}{run}")
}

/// The words that the current run is told, chosen when it asks for the first time.
pub(crate) async fn of_run(context: &Context, mirror: &Mirror, phase: Phase) -> Result<String, Halt> {
    let run = context.run_id()?;
    let known: Option<Brief> = context.journal(&key(run)).await?;
    let brief = match known {
        Some(brief) => brief,
        None => choose(context, mirror, phase, run, None).await?,
    };
    words(context, brief.text).await
}

/// The prompt of the current run's first exchange, with what was learned before and fits what is asked: chosen together
/// with everything else that the run is told, when it asks for the first time.
pub(crate) async fn with_notes(
    context: &Context,
    mirror: &Mirror,
    phase: Phase,
    asked: &str,
    prompt: String,
) -> Result<String, Halt> {
    let run = context.run_id()?;
    let known: Option<Brief> = context.journal(&key(run)).await?;
    let brief = match known {
        Some(brief) => brief,
        None => choose(context, mirror, phase, run, Some(asked)).await?,
    };
    match brief.notes {
        Some(notes) => Ok(format!("{prompt}{}", words(context, notes).await?)),
        None => Ok(prompt),
    }
}

async fn words(context: &Context, blob: BlobHash) -> Result<String, Halt> {
    let words = context.shared.store.blob(blob).await?;
    let words = words.ok_or_else(|| Halt::failed("what the run was told is gone from the record"))?;
    Ok(String::from_utf8_lossy(&words).into_owned())
}

async fn choose(
    context: &Context,
    mirror: &Mirror,
    phase: Phase,
    run: RunId,
    asked: Option<&str>,
) -> Result<Brief, Halt> {
    let (store, account) = (&context.shared.store, context.shared.account.id);
    let repository = context.repository().await?;
    let stored = store.knowledge(account, KnowledgeKind::Persona).await?;
    let personas = personas::with_defaults(account, stored);
    let chosen = context.session.extras.persona;
    let persona = personas::persona_for(&personas, chosen, phase);
    let files = store.knowledge(account, KnowledgeKind::ContextFile).await?;
    let files = concerning(&files, &repository.name);
    let named: Vec<Vec<String>> = files.iter().map(|(_, file)| runbook::file_references(&file.text)).collect();
    let learned = match asked {
        Some(_) => store.knowledge(account, KnowledgeKind::Learning).await?,
        None => Vec::new(),
    };
    let learned = active(learned, &repository.name);
    let names_files = named.iter().any(|paths| !paths.is_empty()) || learned.iter().any(has_subjects);
    let paths = if names_files { paths(context, mirror, &context.session.base).await? } else { Vec::new() };
    let there = existing(&paths, &named);
    let fitting = match asked {
        Some(asked) if !learned.is_empty() => {
            let manifests = manifests(mirror, &context.session.base, &paths).await;
            learnings::fitting(&learned, &repository.name, asked, &Evidence::new(paths, &manifests))
        }
        _ => Vec::new(),
    };
    let lessons = if fitting.is_empty() { Vec::new() } else { store.lessons(account).await? };
    let selection = select(files.into_iter().zip(named).collect(), &there);
    let words = prompt::briefing(&Briefing {
        repository: &repository.name,
        persona: persona.map(|(_, persona)| persona),
        files: &selection.files.iter().map(|(_, file)| *file).collect::<Vec<_>>(),
        paths: &selection.paths,
    });
    let used: Vec<KnowledgeRef> = persona
        .iter()
        .map(|(known, _)| *known)
        .chain(selection.files.iter().map(|(known, _)| *known))
        .chain(fitting.iter().map(|(known, _)| *known))
        .map(KnowledgeRef::from)
        .collect();
    let left_out: Vec<KnowledgeRef> = selection.left_out.into_iter().map(KnowledgeRef::from).collect();
    let brief = Brief {
        at: context.shared.now(),
        plans: phase == Phase::Plan,
        text: context.put_blob(words.into_bytes()).await?,
        notes: match prompt::notes(&notes(&fitting, &lessons)) {
            text if text.is_empty() => None,
            text => Some(context.put_blob(text.into_bytes()).await?),
        },
        used,
        left_out,
    };
    let mut events = Vec::new();
    let last = last_like(context, &brief).await?;
    // What Runyard itself comes with is no news.
    let is_news = match &last {
        Some(last) => (&last.used, &last.left_out) != (&brief.used, &brief.left_out),
        None => brief.used.iter().any(|known| known.version > 0) || !brief.left_out.is_empty(),
    };
    if is_news {
        events.push(EventPayload::Knowledge { run, used: brief.used.clone(), left_out: brief.left_out.clone() });
    }
    let is_gone = chosen.is_some_and(|chosen| personas.iter().all(|known| known.id != chosen));
    if is_gone && (is_news || last.is_none()) {
        let text = "The persona that was chosen for this session does not exist any more; the default one is used.";
        events.push(EventPayload::Note { level: NoteLevel::Warning, text: text.to_owned() });
    }
    let note = serde_json::to_value(&brief).map_err(|error| Halt::failed(error.to_string()))?;
    let ids = brief.used.iter().map(|known| known.id).collect();
    context.commit(&[Write::Journal(key(run), note), Write::UsedKnowledge(ids)], &events).await?;
    Ok(brief)
}

/// What the session's last run of this kind was told.
async fn last_like(context: &Context, brief: &Brief) -> Result<Option<Brief>, Halt> {
    let earlier = of_session(context.shared.store.as_ref(), context.session.id).await?;
    Ok(earlier.into_iter().filter(|other| other.plans == brief.plans).max_by_key(|other| other.at))
}

/// What the runs of a session were told, in no order.
pub(crate) async fn of_session(
    store: &dyn store::Store,
    session: domain::SessionId,
) -> Result<Vec<Brief>, store::StoreError> {
    let notes = store.notes(session, BRIEFS).await?;
    Ok(notes.into_iter().filter_map(|(_, note)| serde_json::from_value(note).ok()).collect())
}

type File<'a> = (&'a Knowledge, &'a ContextFile);

/// The enabled context files that are about a repository.
fn concerning<'a>(all: &'a [Knowledge], repository: &str) -> Vec<File<'a>> {
    all.iter()
        .filter_map(|known| match &known.piece {
            Piece::ContextFile(file) => Some((known, file)),
            Piece::Persona(_) | Piece::Learning(_) => None,
        })
        .filter(|(_, file)| file.enabled && file.concerns(repository))
        .collect()
}

/// The learnings that agents are told of in this repository.
fn active(mut all: Vec<Knowledge>, repository: &str) -> Vec<Knowledge> {
    all.retain(|known| match &known.piece {
        Piece::Learning(learning) => learning.state == LearningState::Active && learning.concerns(repository),
        Piece::ContextFile(_) | Piece::Persona(_) => false,
    });
    all
}

fn has_subjects(known: &Knowledge) -> bool {
    matches!(&known.piece, Piece::Learning(learning) if !learning.applies_to.is_empty())
}

/// The session's base's files.
async fn paths(context: &Context, mirror: &Mirror, base: &CommitId) -> Result<Vec<String>, Halt> {
    match mirror.list_tree(base, None, MOST_FILES).await {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.path).collect()),
        Err(error) => {
            let text = format!("the files that the team's knowledge names were not looked up: {}", chain(&error));
            context.note(NoteLevel::Warning, text).await?;
            Ok(Vec::new())
        }
    }
}

/// What the base's manifests say, as far as they can be read.
async fn manifests(mirror: &Mirror, base: &CommitId, paths: &[String]) -> Vec<String> {
    let mut texts = Vec::new();
    for name in learnings::MANIFESTS.iter().filter(|name| paths.iter().any(|path| path == *name)) {
        if let Ok(Some(bytes)) = mirror.file_at(base, name, LONGEST_MANIFEST).await {
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    texts
}

/// The learnings with where they come from.
fn notes<'a>(fitting: &[(&'a Knowledge, &'a Learning)], lessons: &[Lesson]) -> Vec<Note<'a>> {
    let note = |(known, learning): &(&'a Knowledge, &'a Learning)| Note {
        learning,
        taught: lessons.iter().find(|lesson| lesson.learning == known.id).map(|lesson| (lesson.number, lesson.moment)),
    };
    fitting.iter().map(note).collect()
}

/// Which of the named files and folders the session's base has.
fn existing(paths: &[String], named: &[Vec<String>]) -> HashSet<String> {
    let mut wanted: HashSet<&str> = named.iter().flatten().map(String::as_str).collect();
    let mut found = HashSet::new();
    for of_base in paths {
        let folders = of_base.match_indices('/').map(|(end, _)| &of_base[..end]);
        for path in folders.chain([of_base.as_str()]) {
            if wanted.remove(path) {
                found.insert(path.to_owned());
            }
        }
        if wanted.is_empty() {
            break;
        }
    }
    found
}

struct Selection<'a> {
    files: Vec<File<'a>>,
    left_out: Vec<&'a Knowledge>,
    paths: Vec<String>,
}

/// Those that there is room for: by priority, then by how many files of this repository they name, then by title. What
/// does not fit is left out whole.
fn select<'a>(candidates: Vec<(File<'a>, Vec<String>)>, there: &HashSet<String>) -> Selection<'a> {
    let mut ordered: Vec<(File<'a>, Vec<String>)> = candidates
        .into_iter()
        .map(|(file, paths)| (file, paths.into_iter().filter(|path| there.contains(path)).collect()))
        .collect();
    ordered.sort_by(|((one_id, one), one_paths), ((other_id, other), other_paths)| {
        let rank = |file: &ContextFile, paths: &[String]| (Reverse(file.priority), Reverse(paths.len()));
        let by_rank = rank(one, one_paths).cmp(&rank(other, other_paths));
        by_rank.then_with(|| one.title.cmp(&other.title)).then_with(|| one_id.id.cmp(&other_id.id))
    });
    let mut selection = Selection { files: Vec::new(), left_out: Vec::new(), paths: Vec::new() };
    let mut room = CONTEXT_BUDGET;
    for ((known, file), paths) in ordered {
        let Some(left) = room.checked_sub(file.text.len()) else {
            selection.left_out.push(known);
            continue;
        };
        room = left;
        selection.files.push((known, file));
        for path in paths {
            if selection.paths.len() < MOST_PATHS && !selection.paths.contains(&path) {
                selection.paths.push(path);
            }
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, KnowledgeId};
    use uuid::Uuid;

    fn file(title: &str, text: &str, priority: i64) -> Knowledge {
        Knowledge {
            id: KnowledgeId(Uuid::nil()),
            account: AccountId(Uuid::nil()),
            owner: None,
            version: 1,
            piece: Piece::ContextFile(ContextFile {
                title: title.to_owned(),
                text: text.to_owned(),
                repositories: vec!["shop".to_owned()],
                priority,
                enabled: true,
            }),
            author: None,
            created_at: Timestamp(0),
            changed_at: Timestamp(0),
            used: 0,
            used_at: None,
        }
    }

    fn titles<'a>(known: impl IntoIterator<Item = &'a Knowledge>) -> Vec<&'a str> {
        known.into_iter().map(|known| known.piece.title()).collect()
    }

    fn selected(all: &[Knowledge], there: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let there = there.iter().map(|path| (*path).to_owned()).collect();
        let candidates = concerning(all, "shop").into_iter();
        let selection = select(
            candidates.map(|(known, file)| ((known, file), runbook::file_references(&file.text))).collect(),
            &there,
        );
        let owned = |titles: Vec<&str>| titles.into_iter().map(str::to_owned).collect();
        (
            owned(titles(selection.files.iter().map(|(known, _)| *known))),
            owned(titles(selection.left_out)),
            selection.paths,
        )
    }

    #[test]
    fn priority_comes_first_then_files_that_are_there_then_the_title() {
        let all = [
            file("b", "`gone.rs` `gone2.rs`", 0),
            file("a", "none", 0),
            file("c", "`src/a.rs` and `src/gone.rs`", 0),
            file("d", "`src`", 9),
        ];
        let (files, left_out, paths) = selected(&all, &["src/a.rs", "src"]);
        assert_eq!(files, ["d", "c", "a", "b"]);
        assert_eq!((left_out, paths), (vec![], vec!["src/a.rs".to_owned()]), "`src` alone is no path");
    }

    #[test]
    fn what_there_is_no_room_for_is_left_out_whole_and_smaller_ones_still_fit() {
        let most = "x".repeat(CONTEXT_BUDGET - 10);
        let all = [file("big", &most, 5), file("too much", &"y".repeat(11), 4), file("small", &"z".repeat(10), 3)];
        let (files, left_out, _) = selected(&all, &[]);
        assert_eq!((files, left_out), (vec!["big".to_owned(), "small".to_owned()], vec!["too much".to_owned()]));
    }

    #[test]
    fn what_is_off_or_about_other_repositories_is_not_there() {
        let change = |known: &Knowledge, act: fn(&mut ContextFile)| {
            let mut known = known.clone();
            if let Piece::ContextFile(file) = &mut known.piece {
                act(file);
            }
            known
        };
        let here = file("here", "", 0);
        let all = [
            change(&here, |file| file.enabled = false),
            change(&here, |file| file.repositories = vec!["sho".to_owned()]),
            here,
        ];
        assert_eq!(concerning(&all, "shop").len(), 1);
    }
}
