//! What the team knows, in lists and of a session.

use super::{
    clean::one_line,
    lists::table,
    style::{Colour, Style},
};
use domain::{Knowledge, LearningState, Piece};
use engine::{Learnings, SessionView};

/// Context files, one line each.
pub fn context_files(all: &[Knowledge], style: Style) -> Vec<String> {
    if all.is_empty() {
        return vec!["There are no context files. Add one: runyard context add FILE".to_owned()];
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .filter_map(|known| match &known.piece {
            Piece::ContextFile(file) => Some(vec![
                one_line(&file.title, 60),
                if file.enabled { "on".to_owned() } else { "off".to_owned() },
                format!("priority {}", file.priority),
                match file.repositories.as_slice() {
                    [] => "all repositories".to_owned(),
                    some => one_line(&some.join(", "), 60),
                },
                counted(known.used),
            ]),
            Piece::Persona(_) | Piece::Learning(_) => None,
        })
        .collect();
    table(&rows, |_, column, cell| if column == 0 { cell.to_owned() } else { style.paint(Colour::Dim, cell) })
}

/// Personas, one line each.
pub fn personas(all: &[Knowledge], style: Style) -> Vec<String> {
    let rows: Vec<Vec<String>> = all
        .iter()
        .filter_map(|known| match &known.piece {
            Piece::Persona(persona) => Some(vec![
                one_line(&persona.name, 60),
                persona.role.name().to_owned(),
                match (persona.default, known.owner) {
                    (true, _) if known.version == 0 => "as it comes".to_owned(),
                    (true, _) => "changed".to_owned(),
                    (false, None) => "shared".to_owned(),
                    (false, Some(_)) => "yours".to_owned(),
                },
                counted(known.used),
            ]),
            Piece::ContextFile(_) | Piece::Learning(_) => None,
        })
        .collect();
    table(&rows, |_, column, cell| if column == 0 { cell.to_owned() } else { style.paint(Colour::Dim, cell) })
}

/// Learnings, a few lines each: what they say, and where they come from.
pub fn learnings(found: &Learnings, style: Style) -> Vec<String> {
    if found.lines.is_empty() {
        return vec!["There are no such learnings.".to_owned()];
    }
    let mut lines = Vec::new();
    for line in &found.lines {
        let Piece::Learning(learning) = &line.known.piece else { continue };
        let (colour, state) = match learning.state {
            LearningState::Proposed => (Colour::Waiting, "waits for a person"),
            LearningState::Active => (Colour::Done, "active"),
            LearningState::Off => (Colour::Dim, "off"),
        };
        lines.push(format!("{}  {}", one_line(&learning.pattern, 300), style.paint(colour, state)));
        lines.push(format!("  → {}", one_line(&learning.solution, 300)));
        let mut about = vec![match learning.repositories.as_slice() {
            [] => "all repositories".to_owned(),
            some => one_line(&some.join(", "), 100),
        }];
        about.extend((!learning.applies_to.is_empty()).then(|| one_line(&learning.applies_to.join(", "), 200)));
        about.push(match line.lessons.as_slice() {
            [] => "written by a person".to_owned(),
            [lesson] => format!("taught in {}, {}", lesson.number, lesson.moment),
            [lesson, more @ ..] => format!("taught in {}, {}, and {} more", lesson.number, lesson.moment, more.len()),
        });
        about.push(counted(line.known.used));
        lines.push(style.paint(Colour::Dim, &format!("  {} · {}", line.known.id, about.join(" · "))));
    }
    if found.found > found.lines.len() {
        lines.push(format!("{} more; look for fewer with words or --state", found.found - found.lines.len()));
    }
    lines
}

fn counted(used: i64) -> String {
    match used {
        0 => "never used".to_owned(),
        1 => "used by 1 run".to_owned(),
        many => format!("used by {many} runs"),
    }
}

/// What a session's runs were told, in one line; none when it was only what Runyard comes with.
pub(super) fn told(view: &SessionView) -> Option<String> {
    let own = |used: &&engine::KnowledgeUse| used.known.version > 0;
    let used: Vec<String> = view
        .knowledge
        .iter()
        .filter(own)
        .map(|used| {
            let title = one_line(&used.known.title, 60);
            let left_out = if used.left_out { ", no room for it" } else { "" };
            format!("{title} ({}{left_out})", used.known.kind)
        })
        .collect();
    (!used.is_empty()).then(|| format!("Told {}", used.join(", ")))
}
