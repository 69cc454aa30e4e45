//! What people see of sessions.

use crate::{
    Overview, Phase, Problem, ProblemCode, Reply, SessionLine, SessionView, StepView, carried,
    marks::Marks,
    search::Search,
    selection::is_below,
    shared::{Shared, spec_of},
    waits::Waits,
};
use domain::{
    ActionKind, ActionState, Change, Completion, RepositoryId, RequestState, Run, RunId, RunState, RunbookVersion,
    Session, SessionId, SessionNumber, Step, StepId, StepState, Usage,
};
use forge::{DiffLimits, Forge};
use std::{collections::HashMap, fmt::Write as _, time::Duration};
use store::{SessionFilter, SessionSearch};

/// Most sessions whose state is worked out for one search.
const LOOKED_AT: usize = 2_000;

/// Most times that a session is read for one view of it.
const READS: usize = 3;

/// A list of sessions, newest first, of the repository with this name or of all, of those that a search finds or of all.
pub(super) async fn sessions(
    shared: &Shared,
    filter: SessionFilter,
    repository: Option<&str>,
    search: Option<&str>,
) -> Result<Reply, Problem> {
    let known = shared.store.repositories(shared.account.id).await?;
    let repository = match repository {
        Some(name) => {
            let found = known.iter().find(|repository| repository.name == name).ok_or_else(|| {
                Problem::new(ProblemCode::NotFound, format!("no repository is registered as `{name}`"))
                    .mend("name one that is registered")
                    .command("`runyard repo list` shows the registered ones")
            })?;
            Some(found.id)
        }
        None => None,
    };
    let filter = SessionFilter { repository, limit: filter.limit.clamp(0, 1000), ..filter };
    let names: HashMap<_, _> = known.into_iter().map(|repository| (repository.id, repository.name)).collect();
    if let Some(text) = search {
        return found(shared, filter, &Search::parse(text)?, &names).await.map(Reply::Sessions);
    }
    let mut lines = Vec::new();
    for session in shared.store.sessions(shared.account.id, &filter).await? {
        lines.push(line(shared, session, &names).await?);
    }
    Ok(Reply::Sessions(lines))
}

/// The sessions that a search finds.
async fn found(
    shared: &Shared,
    filter: SessionFilter,
    search: &Search,
    names: &HashMap<RepositoryId, String>,
) -> Result<Vec<SessionLine>, Problem> {
    let wanted = usize::try_from(filter.limit).unwrap_or(0).max(1);
    let mut lines = Vec::new();
    let mut asked = SessionSearch {
        archived: filter.archived,
        repository: filter.repository,
        before: filter.before,
        words: search.words.clone(),
        repositories: search.repositories.clone(),
        authors: search.authors.clone(),
        branches: search.branches.clone(),
        limit: filter.limit.max(1),
    };
    let mut looked_at = 0;
    loop {
        let part = shared.store.find_sessions(shared.account.id, &asked).await?;
        looked_at += part.sessions.len();
        for session in part.sessions {
            // Where a session stands is worked out from its parts, so it is asked of those only that have all else.
            let line = line(shared, session, names).await?;
            if search.wants(&line.phase) {
                lines.push(line);
            }
            if lines.len() == wanted {
                return Ok(lines);
            }
        }
        let Some(reached) = part.reached else { return Ok(lines) };
        if looked_at >= LOOKED_AT {
            let told = format!("more than {LOOKED_AT} sessions have all of this but the state");
            return Err(Problem::new(ProblemCode::BadRequest, told)
                .mend("say more of what is looked for: a word of the title, `author:`, or `repo:`"));
        }
        asked.before = Some(reached);
    }
}

async fn line(
    shared: &Shared,
    session: Session,
    names: &HashMap<RepositoryId, String>,
) -> Result<SessionLine, Problem> {
    let (phase, steps) = standing(shared, session.id).await?;
    let leaves = || steps.iter().filter(|step| step.leaf);
    Ok(SessionLine {
        number: session.number,
        title: session.title,
        repository: names.get(&session.repository).cloned().unwrap_or_default(),
        completed: leaves().filter(|step| step.state.is_completed()).count(),
        total: leaves().count(),
        phase,
        cost: session.usage.cost,
        created_at: session.created_at,
        archived: session.archived,
    })
}

/// Where a session stands, and nothing else of it: a list reads this of each of its sessions.
async fn standing(shared: &Shared, session: SessionId) -> Result<(Phase, Vec<StepView>), Problem> {
    let store = &shared.store;
    let runbook = store.runbook(session, None).await?;
    let steps = store.steps(session).await?.into_iter().map(|step| (step.id, step)).collect();
    let queue = store.queue(session).await?;
    let waits = store.requests(session).await?.iter().any(|request| request.state == RequestState::Open);
    // Only why planning failed is told by a run.
    let runs = if runbook.is_none() && queue.is_empty() { store.runs(session).await? } else { Vec::new() };
    let views = runbook
        .as_ref()
        .map_or_else(Vec::new, |version| step_views(version, &steps, &[], &[], &HashMap::new(), &Marks::default()));
    Ok((phase_of(&views, &queue, &runs, waits, runbook.as_ref()), views))
}

/// Sessions of one repository with everything about them, newest first.
pub(super) async fn overview(shared: &Shared, wanted: Overview) -> Result<Reply, Problem> {
    let known = shared.store.repositories(shared.account.id).await?;
    let repository = known.iter().find(|repository| repository.name == wanted.repository).ok_or_else(|| {
        let told = format!("no repository is registered as `{}`", wanted.repository.escape_debug());
        Problem::new(ProblemCode::NotFound, told)
    })?;
    let filter = SessionFilter {
        archived: wanted.archived,
        repository: Some(repository.id),
        before: None,
        requester: wanted.requester,
        branch: wanted.branch,
        skip: wanted.skip.max(0),
        limit: wanted.limit.clamp(1, 1000),
    };
    let mut views = Vec::new();
    for found in shared.store.sessions(shared.account.id, &filter).await? {
        views.push(session(shared, found).await?);
    }
    Ok(Reply::Overview(views))
}

/// The text of the specification that came with a session's request.
pub(super) async fn spec(shared: &Shared, session: SessionNumber) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    match spec_of(shared, &session).await? {
        Some((_, text)) => Ok(Reply::Text(text)),
        None => Err(Problem::new(ProblemCode::NotFound, format!("no specification came with {}", session.number))),
    }
}

/// One session as it is now.
///
/// It is put together from many reads while work goes on, and what was read before a commit does not fit what was read
/// after it. So it is read again when something was committed meanwhile, a few times: a busy session is never quiet. Its
/// `last_event` is read after everything else in any case, so that whoever knows the log up to there knows of everything
/// that the view shows.
pub(super) async fn session(shared: &Shared, mut session: Session) -> Result<SessionView, Problem> {
    let mut reads = 1;
    loop {
        let before = session.last_event;
        let mut view = parts(shared, session).await?;
        session = shared.session(view.session.number).await?;
        if session.last_event == before || reads == READS {
            view.session = session;
            return Ok(view);
        }
        reads += 1;
    }
}

/// A session and what belongs to it, each read by itself.
async fn parts(shared: &Shared, session: Session) -> Result<SessionView, Problem> {
    let store = &shared.store;
    let repository = store.repository(session.repository).await?.map_or_else(String::new, |repository| repository.name);
    let runbook = store.runbook(session.id, None).await?;
    let steps: HashMap<_, _> = store.steps(session.id).await?.into_iter().map(|step| (step.id, step)).collect();
    let queue = store.queue(session.id).await?;
    let runs = store.runs(session.id).await?;
    let changes = store.changes(session.id).await?;
    let open_requests: Vec<_> =
        store.requests(session.id).await?.into_iter().filter(|request| request.state == RequestState::Open).collect();
    let sandbox = store.sandboxes(session.id).await?.last().map(|record| record.state);
    let actions = store.actions(session.id).await?;
    let names: HashMap<_, _> = actions.iter().map(|action| (action.id, action.kind.name())).collect();
    let kinds = runs.iter().filter_map(|run| Some((run.id, (*names.get(&run.action)?).to_owned()))).collect();
    let now = shared.now();
    let waits = Waits::of_all(store.as_ref(), session.id).await?;
    let worked_on = |run: &Run| waits.get(&run.id).copied().unwrap_or_default().worked(run, now);
    let worked: HashMap<_, _> = runs.iter().map(|run| (run.id, worked_on(run))).collect();
    let marks = Marks::read(store.as_ref(), &session).await?;
    let views =
        runbook.as_ref().map_or_else(Vec::new, |version| step_views(version, &steps, &runs, &changes, &worked, &marks));
    let worked_ms = worked.values().sum::<Duration>().as_millis().try_into().unwrap_or(u64::MAX);
    let (persona, knowledge) = super::knowledge::of_session(shared, &session).await?;
    let phase = phase_of(&views, &queue, &runs, !open_requests.is_empty(), runbook.as_ref());
    Ok(SessionView {
        session,
        repository,
        phase,
        runbook,
        steps: views,
        queue,
        runs,
        kinds,
        worked_ms,
        changes,
        open_requests,
        sandbox,
        persona,
        knowledge,
    })
}

fn step_views(
    version: &RunbookVersion,
    steps: &HashMap<StepId, Step>,
    runs: &[Run],
    changes: &[Change],
    worked: &HashMap<RunId, Duration>,
    marks: &Marks,
) -> Vec<StepView> {
    let state = |id: StepId| steps.get(&id).map_or(StepState::NotStarted, |step| step.state);
    let mut spent_on: HashMap<StepId, Duration> = HashMap::new();
    for run in runs {
        let spent = worked.get(&run.id).copied().unwrap_or_default();
        run.step.into_iter().for_each(|step| *spent_on.entry(step).or_default() += spent);
    }
    version
        .steps
        .iter()
        .map(|step| {
            let leaves: Vec<StepId> = if step.leaf {
                vec![step.id]
            } else {
                version.leaves().filter(|leaf| is_below(&leaf.number, &step.number)).map(|leaf| leaf.id).collect()
            };
            let mut usage = Usage::default();
            let mut spent = Duration::ZERO;
            for leaf in &leaves {
                usage += steps.get(leaf).map(|step| step.usage).unwrap_or_default();
                spent += spent_on.get(leaf).copied().unwrap_or_default();
            }
            let pull_request =
                changes.iter().rev().find(|change| leaves.iter().any(|leaf| change.steps.contains(leaf)));
            let shown = StepState::of_parent(leaves.iter().map(|leaf| state(*leaf)));
            StepView {
                id: step.id,
                number: step.number.clone(),
                title: step.title.clone(),
                leaf: step.leaf,
                state: shown,
                skip: marks
                    .skip(step.id)
                    .filter(|_| step.leaf && shown == StepState::Completed(Completion::Skipped))
                    .cloned(),
                usage,
                pull_request: pull_request.and_then(|change| change.pull_request),
                seconds: spent.as_secs(),
            }
        })
        .collect()
}

fn phase_of(
    steps: &[StepView],
    queue: &[domain::Action],
    runs: &[Run],
    waits: bool,
    runbook: Option<&RunbookVersion>,
) -> Phase {
    if waits {
        return Phase::Waiting;
    }
    let number =
        |id: StepId| runbook.and_then(|version| version.step(id)).map_or_else(String::new, |step| step.number.clone());
    if let Some(running) = queue.iter().find(|action| action.state == ActionState::Running) {
        return match &running.kind {
            ActionKind::Plan => Phase::Planning,
            ActionKind::ExecuteStep { step, .. } => Phase::Executing { step: number(*step) },
            other => Phase::Working { action: other.name().to_owned() },
        };
    }
    if !queue.is_empty() {
        return Phase::Queued;
    }
    let Some(version) = runbook else {
        let message = runs.iter().rev().find_map(|run| match run.state {
            RunState::Failed(_) | RunState::Stopped => Some(run.message.clone().unwrap_or_default()),
            _ => None,
        });
        return Phase::PlanFailed { message: message.unwrap_or_else(|| "the agent made no plan".to_owned()) };
    };
    let leaves = || steps.iter().filter(|step| step.leaf);
    let failed = leaves().find_map(|step| match step.state {
        StepState::Failed(reason) => Some((step, reason)),
        _ => None,
    });
    if let Some((step, reason)) = failed {
        return Phase::Failed { step: step.number.clone(), reason };
    }
    if version.leaves().next().is_some() && leaves().all(|step| step.state.is_completed()) {
        Phase::Completed
    } else {
        Phase::Planned
    }
}

/// What a session, or the last run of one of its steps, changed. The work of a failed run is shown as well.
pub(super) async fn diff(shared: &Shared, session: SessionNumber, step: Option<&str>) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let repository = shared.repository_of(&session).await?;
    let mirror = shared.forge.mirror(&repository, &shared.mirror_dir(repository.id)).await?;
    carried::bring(shared, &session, &mirror).await?;
    let nothing = || Problem::new(ProblemCode::NotFound, format!("{} has changed nothing yet", session.number));
    let (base, head) = match step {
        None => {
            let changes = shared.store.changes(session.id).await?;
            let head = changes.last().ok_or_else(nothing)?.head.clone();
            (session.base.clone(), head)
        }
        Some(number) => {
            let (version, _) = super::steering::plan_of(shared, &session).await?;
            let id = version
                .numbered(number)
                .ok_or_else(|| Problem::new(ProblemCode::NotFound, format!("the runbook has no step {number}")))?
                .id;
            let runs = shared.store.runs(session.id).await?;
            let mut found = None;
            for run in runs.iter().rev().filter(|run| run.step == Some(id)) {
                let head = match &run.commit {
                    Some(commit) => Some(commit.clone()),
                    None => carried::kept_of(shared, &session, &mirror, run.id).await?,
                };
                if let (Some(base), Some(head)) = (run.base.clone(), head) {
                    found = Some((base, head));
                    break;
                }
            }
            found.ok_or_else(nothing)?
        }
    };
    let diff = mirror.diff(&base, &head, &DiffLimits::default()).await?;
    Ok(Reply::Text(render_diff(&diff)))
}

/// A diff as text, patches one after another.
pub(super) fn render_diff(diff: &forge::Diff) -> String {
    let mut text = String::new();
    for file in &diff.files {
        text.push_str(&file.patch);
        if !file.patch.is_empty() && !file.patch.ends_with('\n') {
            text.push('\n');
        }
        if file.truncated {
            let _ = writeln!(text, "(the rest of {} is not shown: it is too long)", file.path);
        }
    }
    if diff.more_files > 0 {
        let _ = writeln!(text, "({} more files are not shown)", diff.more_files);
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::testing::House;
    use domain::{EventPayload, NoteLevel};
    use store::{Fence, Store as _};

    const STEPS: usize = 2_000;

    #[tokio::test]
    async fn who_knows_the_log_up_to_a_views_last_event_knows_of_all_that_it_shows() {
        let house = House::new().await;
        let session = house.session(1).await;
        let shared = house.server("people").await;
        // The row was read, and before the rest is read the work comes to its end.
        let note = EventPayload::Note { level: NoteLevel::Info, text: "the end".to_owned() };
        house.store.commit(session.id, Fence::Open, &[], &[note], house.clock_now()).await.expect("committed");
        let view = super::session(&shared, session.clone()).await.expect("a view");
        assert_eq!(view.session.last_event, session.last_event + 1);
    }

    #[tokio::test]
    async fn a_search_finds_by_words_and_by_where_a_session_stands() {
        let house = House::new().await;
        for _ in 0..3 {
            house.session(1).await;
        }
        let shared = house.server("people").await;
        let queue = house.session(1).await.id;
        let queued = house.store.queue(queue).await.expect("read");
        let removed = queued.into_iter().map(|action| store::Write::Action {
            id: action.id,
            from: action.state,
            to: domain::ActionState::Removed,
            not_before: None,
            handed_back: false,
        });
        let removed: Vec<_> = removed.collect();
        house.store.commit(queue, Fence::Open, &removed, &[], house.clock_now()).await.expect("removed");
        let find = async |text: &str, limit: i64| {
            let filter = store::SessionFilter { limit, ..store::SessionFilter::default() };
            match super::sessions(&shared, filter, None, Some(text)).await.expect("looks") {
                crate::Reply::Sessions(lines) => lines.into_iter().map(|line| line.number.0).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(find("files state:queued", 10).await, [3, 2, 1]);
        assert_eq!(find("state:Queued", 2).await, [3, 2]);
        assert_eq!(find("state:planned", 10).await, [4]);
        assert_eq!(find("state:planned state:queued", 10).await, [4, 3, 2, 1]);
        assert_eq!(find("other state:planned", 10).await, [0_i64; 0]);
        assert_eq!(find("\"write files\" r/2", 10).await, [2]);
    }

    #[tokio::test]
    async fn a_plan_of_thousands_of_steps_is_queued_and_shown() {
        let house = House::new().await;
        let session = house.session(STEPS).await;
        let shared = house.server("people").await;
        let view = super::session(&shared, session).await.expect("a view");
        assert_eq!((view.steps.len(), view.queue.len()), (STEPS, STEPS));
    }
}
