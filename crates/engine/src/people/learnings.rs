//! Looking through what sessions taught, and writing it.

#[cfg(test)]
mod tests;

use super::knowledge::{checked_line, checked_repositories};
use crate::{
    LearningFilter, LearningLine, Learnings, Problem, ProblemCode,
    learnings::{about, visible},
    ranking,
    shared::Shared,
};
use domain::{Knowledge, KnowledgeKind, Learning, LearningState, Lesson, Piece};
use std::cmp::Reverse;

pub(super) use crate::learnings::MOST;
use crate::learnings::MOST_PROPOSED;

/// The most that are given out at once.
const MOST_AT_ONCE: usize = 200;
/// Longest text that is looked for, in bytes.
const LONGEST_SEARCH: usize = 1_000;

/// The learnings that are looked for: the ones that fit the words best first, among equals and without words the newest,
/// or those that were used most.
pub(super) async fn find(shared: &Shared, filter: &LearningFilter) -> Result<Learnings, Problem> {
    let search = filter.search.as_deref().unwrap_or_default();
    if search.len() > LONGEST_SEARCH {
        let told = format!("the search has more than {LONGEST_SEARCH} bytes");
        return Err(Problem::new(ProblemCode::BadRequest, told).mend("look for fewer words"));
    }
    let (store, account) = (&shared.store, shared.account.id);
    let lessons = store.lessons(account).await?;
    let all: Vec<LearningLine> = store
        .knowledge(account, KnowledgeKind::Learning)
        .await?
        .into_iter()
        .map(|known| line(known, &lessons))
        .collect();
    let proposed = all.iter().filter(|line| state(line) == Some(LearningState::Proposed)).count();
    let mut found: Vec<(u64, LearningLine)> = matching(all, search)
        .into_iter()
        .filter(|(_, line)| {
            let taught_by = |number| line.lessons.iter().any(|lesson| lesson.number == number);
            let about = |name: &String| learning(line).is_some_and(|it| it.concerns(name));
            filter.id.is_none_or(|id| line.known.id == id)
                && filter.state.is_none_or(|wanted| state(line) == Some(wanted))
                && filter.repository.as_ref().is_none_or(about)
                && filter.session.is_none_or(taught_by)
        })
        .collect();
    found.sort_by_key(|(score, LearningLine { known, .. })| {
        let used = if filter.most_used { known.used } else { 0 };
        (Reverse(*score), Reverse(used), Reverse(known.changed_at), known.id)
    });
    let (count, limit) = (found.len(), filter.limit.clamp(1, MOST_AT_ONCE));
    let lines = found.into_iter().skip(filter.skip).take(limit).map(|(_, line)| line).collect();
    Ok(Learnings { lines, found: count, proposed })
}

fn line(known: Knowledge, lessons: &[Lesson]) -> LearningLine {
    let lessons = lessons.iter().filter(|lesson| lesson.learning == known.id).cloned().collect();
    LearningLine { known, lessons }
}

fn learning(line: &LearningLine) -> Option<&Learning> {
    match &line.known.piece {
        Piece::Learning(learning) => Some(learning),
        Piece::ContextFile(_) | Piece::Persona(_) => None,
    }
}

fn state(line: &LearningLine) -> Option<LearningState> {
    learning(line).map(|learning| learning.state)
}

/// Those that hold every word that was typed, or a word that begins so, each with how well it fits.
fn matching(all: Vec<LearningLine>, search: &str) -> Vec<(u64, LearningLine)> {
    let typed: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    let texts: Vec<Vec<String>> = all.iter().filter_map(learning).map(about).collect();
    let scores = ranking::scores(&texts, &ranking::words(search));
    let holds = |line: &LearningLine| {
        let Some(Learning { pattern, solution, applies_to, .. }) = learning(line) else { return false };
        let text = format!("{pattern}\n{solution}\n{}", applies_to.join("\n")).to_lowercase();
        typed.iter().all(|word| text.contains(word.as_str()))
    };
    scores.into_iter().zip(all).filter(|(_, line)| holds(line)).collect()
}

/// The learning with its texts trimmed, when everything about it is right.
pub(super) fn checked(learning: Learning) -> Result<Learning, Problem> {
    let Learning { pattern, solution, applies_to, repositories, state } = learning;
    let pattern = pattern.trim().to_owned();
    checked_line("the pattern", &pattern, Learning::LONGEST_PATTERN)?;
    let solution = visible(&solution, true);
    if solution.is_empty() || solution.chars().count() > Learning::LONGEST_SOLUTION {
        let message = format!("the solution has to have 1 to {} characters", Learning::LONGEST_SOLUTION);
        return Err(Problem::new(ProblemCode::BadRequest, message).mend("say it shorter, or write a context file"));
    }
    let mut subjects: Vec<String> = Vec::new();
    for subject in applies_to.iter().map(|subject| subject.trim()).filter(|subject| !subject.is_empty()) {
        checked_line("what it applies to", subject, Learning::LONGEST_SUBJECT)?;
        if !subjects.iter().any(|known| known == subject) {
            subjects.push(subject.to_owned());
        }
    }
    if subjects.len() > Learning::MOST_SUBJECTS {
        let message = format!("a learning can apply to {} things at most", Learning::MOST_SUBJECTS);
        return Err(Problem::new(ProblemCode::BadRequest, message).mend("name the most important ones"));
    }
    let repositories = checked_repositories(KnowledgeKind::Learning, &repositories)?;
    Ok(Learning { pattern, solution, applies_to: subjects, repositories, state })
}

/// Refuses one more that waits for a person when too many do.
pub(super) fn has_room(new: &Piece, all: &[Knowledge]) -> Result<(), Problem> {
    let proposed = |piece: &Piece| matches!(piece, Piece::Learning(it) if it.state == LearningState::Proposed);
    let waiting = all.iter().filter(|known| proposed(&known.piece)).count();
    if proposed(new) && waiting >= MOST_PROPOSED {
        let message = format!("{waiting} learnings wait for a person, which is as many as there can be");
        return Err(Problem::new(ProblemCode::Conflict, message).mend("ask a maintainer to look through them"));
    }
    Ok(())
}

/// What somebody is told who writes what is there already.
pub(super) fn there_is_one(alike: &Knowledge) -> Problem {
    let title: String = alike.piece.title().chars().take(80).collect();
    Problem::new(ProblemCode::Conflict, format!("there is a learning that says the same: {title}"))
        .mend("change that one instead")
}
