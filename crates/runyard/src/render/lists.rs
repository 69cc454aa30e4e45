//! Lists: sessions, repositories, versions, queues.

use super::{
    clean::one_line,
    session::phase_words,
    style::{Colour, Style},
    time::moment,
};
use domain::{Action, ActionState, Deed, Member, Outcome, Repository, Role, RunbookVersion, VersionStep};
use engine::{SecretLine, SessionLine, SessionView};
use jiff::tz::TimeZone;

/// Rows in columns: cells are padded to the widest one, the last is not. Cells must not be coloured; `paint` colours
/// a padded cell by its column and row.
pub fn table(rows: &[Vec<String>], paint: impl Fn(usize, usize, &str) -> String) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    rows.iter()
        .enumerate()
        .map(|(at, row)| {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(column, cell)| {
                    let width = if column + 1 == row.len() { 0 } else { widths[column] };
                    paint(at, column, &format!("{cell:width$}"))
                })
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// What is said instead of an empty list; `any`: there are some that were not asked for.
pub fn no_sessions(any: bool, archived: bool) -> &'static str {
    match (any, archived) {
        (false, _) => "No sessions yet. Begin one: runyard run \"TASK\" --repo PATH",
        (true, false) => "All sessions are archived. See them: runyard session list --all",
        (true, true) => "No session is archived. See the others: runyard session list",
    }
}

/// Stored secrets, one line each.
pub fn secrets(lines: &[SecretLine], zone: &TimeZone) -> Vec<String> {
    if lines.is_empty() {
        return vec!["No secret is stored. Store one: runyard secret set NAME < FILE".to_owned()];
    }
    let row = |line: &SecretLine| {
        vec![line.name.clone(), format!("changed {}", moment(line.changed_at, zone)), format!("key {}", line.key)]
    };
    table(&lines.iter().map(row).collect::<Vec<_>>(), |_, _, cell| cell.to_owned())
}

/// What was done, one line each.
pub fn audit<'d>(entries: impl Iterator<Item = (i64, &'d Deed)>, zone: &TimeZone) -> Vec<String> {
    let row = |(number, deed): (i64, &Deed)| {
        let details = deed.details.iter().map(|(name, value)| format!("{name}={value}"));
        let from = deed.address.iter().map(|address| format!("from {address}"));
        let refused = (deed.outcome == Outcome::Refused).then(|| "REFUSED".to_owned());
        let rest: Vec<_> = refused.into_iter().chain(details).chain(from).collect();
        let cells = [deed.actor.as_str(), &deed.action, &deed.target, &rest.join("  ")].map(|cell| one_line(cell, 120));
        [vec![number.to_string(), moment(deed.at, zone)], cells.to_vec()].concat()
    };
    table(&entries.map(row).collect::<Vec<_>>(), |_, _, cell| cell.to_owned())
}

/// People, one line each.
pub fn people(people: &[Member]) -> Vec<String> {
    let row = |member: &Member| {
        let state = match (member.active, member.has_password) {
            (false, _) => "sent away",
            (true, true) => "",
            (true, false) => "no password",
        };
        let user = &member.user;
        let role = match user.role {
            Role::Member => "member",
            Role::Maintainer => "maintainer",
            Role::Admin => "admin",
        };
        vec![one_line(&user.name, 40), one_line(&user.email, 60), role.to_owned(), state.to_owned()]
    };
    table(&people.iter().map(row).collect::<Vec<_>>(), |_, _, cell| cell.to_owned())
}

/// Sessions, one line each.
pub fn sessions(lines: &[SessionLine], style: Style, zone: &TimeZone) -> Vec<String> {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let archived = if line.archived { " (archived)" } else { "" };
            vec![
                line.number.to_string(),
                moment(line.created_at, zone),
                one_line(&line.repository, 24),
                format!("{}/{}", line.completed, line.total),
                line.cost.to_string(),
                phase_words(&line.phase, (line.completed, line.total)),
                format!("{}{archived}", one_line(&line.title, 60)),
            ]
        })
        .collect();
    table(&rows, |row, column, cell| match column {
        0 => style.paint(Colour::Bold, cell),
        1 | 2 | 4 => style.paint(Colour::Dim, cell),
        5 => style.paint((&lines[row].phase).into(), cell),
        _ => cell.to_owned(),
    })
}

/// Repositories, one line each.
pub fn repositories(repositories: &[Repository]) -> Vec<String> {
    if repositories.is_empty() {
        return vec!["No repositories yet. Register one: runyard repo add PATH".into()];
    }
    let rows: Vec<Vec<String>> = repositories
        .iter()
        .map(|repository| {
            vec![one_line(&repository.name, 60), repository.forge.clone(), one_line(&repository.location, 400)]
        })
        .collect();
    table(&rows, |_, _, cell| cell.to_owned())
}

/// Versions of a runbook, one line each.
pub fn versions(versions: &[RunbookVersion], zone: &TimeZone) -> Vec<String> {
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|version| {
            let who = if version.author.is_some() { "a person" } else { "the agent" };
            let what = version.restores.map(|old| format!("restores version {old}")).unwrap_or_default();
            let leaves = version.leaves().count();
            vec![
                version.version.to_string(),
                moment(version.created_at, zone),
                who.into(),
                counted(leaves, "leaf", "leaves"),
                what,
            ]
        })
        .collect();
    if rows.is_empty() { vec!["No plan yet.".into()] } else { table(&rows, |_, _, cell| cell.to_owned()) }
}

/// What is queued, running or waiting, one line each.
pub fn queue(view: &SessionView, style: Style) -> Vec<String> {
    if view.queue.is_empty() {
        return vec!["Nothing is queued.".into()];
    }
    let rows: Vec<Vec<String>> = view
        .queue
        .iter()
        .map(|action| {
            let state = match action.state {
                ActionState::Queued => "◔ queued",
                ActionState::Running => "◐ running",
                ActionState::Waiting => "⏸ waiting",
                ActionState::Done => "✓ done",
                ActionState::Removed => "○ removed",
            };
            vec![handle(view, action), state.into(), action_words(view, action)]
        })
        .collect();
    table(&rows, |row, column, cell| match (column, view.queue[row].state) {
        (0, _) => style.paint(Colour::Dim, cell),
        (1, ActionState::Running) => style.paint(Colour::Running, cell),
        (1, ActionState::Waiting) => style.paint(Colour::Waiting, cell),
        (1, ActionState::Queued) => style.paint(Colour::Queued, cell),
        _ => cell.to_owned(),
    })
}

/// The end of an action's id, which is its random part: long enough to be the only such one in the queue.
fn handle(view: &SessionView, action: &Action) -> String {
    let id = action.id.to_string();
    let tail = |length: usize| &id[id.len() - length..];
    let shared =
        |length: &usize| view.queue.iter().filter(|other| other.id.to_string().ends_with(tail(*length))).count() > 1;
    tail((6..id.len()).find(|length| !shared(length)).unwrap_or(id.len())).to_owned()
}

/// What a person may mean by `named`: actions on the step with this number, else those whose id it is, begins or ends.
pub fn queued_as<'a>(view: &'a SessionView, named: &str) -> Vec<&'a Action> {
    let named = named.trim().to_lowercase();
    let found = |fits: &dyn Fn(&Action) -> bool| view.queue.iter().filter(|action| fits(action)).collect::<Vec<_>>();
    let of_step = found(&|action| step_of(view, action).is_some_and(|step| step.number == named));
    if !of_step.is_empty() || named.len() < 4 {
        return of_step;
    }
    found(&|action| {
        let id = action.id.to_string();
        id.starts_with(&named) || id.ends_with(&named)
    })
}

fn step_of<'a>(view: &'a SessionView, action: &Action) -> Option<&'a VersionStep> {
    action.kind.step().and_then(|id| view.runbook.as_ref()?.step(id))
}

/// An action in words, such as `execute step 1.2 Write it`.
pub fn action_words(view: &SessionView, action: &Action) -> String {
    let step = step_of(view, action);
    let what = match &action.kind {
        domain::ActionKind::Answer { message } => format!("answer: {}", one_line(message, 60)),
        other => other.name().replace('_', " "),
    };
    match step {
        Some(step) => format!("{what} {} {}", step.number, one_line(&step.title, 60)),
        None => what,
    }
}

/// `1 leaf`, `2 leaves`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
