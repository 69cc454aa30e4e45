//! Repositories and new sessions.

use super::{following::checked_description, knowledge, steering::checked_text};
use crate::{
    NewSession, Problem, ProblemCode, Reply, Spec,
    halt::chain,
    kept,
    queue::queued,
    shared::{Shared, ensure_user},
};
use domain::{
    ActionKind, Actor, BranchName, CommitId, Deed, EventPayload, Extras, Mode, NoteLevel, PrMode, Repository,
    RepositoryId, Role, Session, SessionId, SessionNumber, SpecFile, Usage, User,
};
use forge::Forge;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Longest title that is made from a request, in characters.
const TITLE_LENGTH: usize = 72;

/// Longest specification in bytes.
const LONGEST_SPEC: usize = 512 * 1024;

impl From<forge::Error> for Problem {
    fn from(error: forge::Error) -> Self {
        let code = match &error {
            forge::Error::PathMissing { .. }
            | forge::Error::NotARepository { .. }
            | forge::Error::MissingBranch { .. } => ProblemCode::NotFound,
            _ if error.is_transient() => ProblemCode::Environment,
            _ => ProblemCode::Conflict,
        };
        let problem = Self::new(code, chain(&error));
        match error {
            forge::Error::Draft { number } => problem
                .mend("make it ready for review first")
                .command(format!("make it ready for review first: `runyard pr ready {number}`")),
            _ => problem,
        }
    }
}

fn canonical(path: &str) -> Result<PathBuf, Problem> {
    if !Path::new(path).is_absolute() {
        return Err(Problem::new(ProblemCode::BadRequest, format!("`{path}` is not an absolute path"))
            .mend("give the whole path, from `/` on"));
    }
    std::fs::canonicalize(path).map_err(|error| {
        Problem::new(
            ProblemCode::NotFound,
            format!("`{path}` is neither a registered repository nor a folder: {error}"),
        )
        .mend("name one that is registered, or give the path of a git repository")
        .command("`runyard repo list` shows the registered ones; or give the path of a git repository")
    })
}

/// Registers a repository on disk; the same path again gives the one that is registered.
pub(super) async fn add_repository(shared: &Shared, name: Option<String>, path: &str) -> Result<Repository, Problem> {
    let upstream = forge::Upstream::open(&shared.git, &canonical(path)?).await?;
    let location = upstream.path().to_string_lossy().into_owned();
    let known = shared.store.repositories(shared.account.id).await?;
    if let Some(found) = known.iter().find(|repository| repository.location == location) {
        return match name {
            Some(name) if name != found.name => Err(Problem::new(
                ProblemCode::Conflict,
                format!("`{location}` is registered as `{}` already", found.name),
            )),
            _ => Ok(found.clone()),
        };
    }
    let name = match name {
        Some(name) => checked_name(&name)?,
        None => free_name(&location, &known),
    };
    let new = Repository {
        id: RepositoryId::new(shared.mint.as_ref()),
        account: shared.account.id,
        name,
        forge: shared.forge.kind().to_owned(),
        location,
    };
    Ok(shared.store.add_repository(&new).await?)
}

fn checked_name(name: &str) -> Result<String, Problem> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) || name.starts_with(['/', '.', '-']) {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            format!("`{}` is not a repository name", name.escape_debug()),
        )
        .mend("use letters, digits, `-`, `_`, `.` and `/`, up to 100"));
    }
    Ok(name.to_owned())
}

/// The folder's name, with a number behind it when another repository has that name.
fn free_name(location: &str, known: &[Repository]) -> String {
    let folder = Path::new(location).file_name().map_or_else(|| "repository".into(), |name| name.to_string_lossy());
    let cleaned: String = folder
        .trim_end_matches(".git")
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
        .collect();
    let base = if cleaned.is_empty() { "repository".to_owned() } else { cleaned };
    let taken = |name: &str| known.iter().any(|repository| repository.name == name);
    if !taken(&base) {
        return base;
    }
    (2..1_000_000).map(|n| format!("{base}-{n}")).find(|name| !taken(name)).unwrap_or(base)
}

/// The repository with this name, or at this path.
pub(super) async fn find_repository(shared: &Shared, given: &str) -> Result<Repository, Problem> {
    let known = shared.store.repositories(shared.account.id).await?;
    if let Some(found) = known.iter().find(|repository| repository.name == given) {
        return Ok(found.clone());
    }
    // A relative path means something to whoever has a working directory, which is not this server: clients make it
    // absolute.
    if !Path::new(given).is_absolute() {
        return Err(Problem::new(ProblemCode::NotFound, format!("no repository is registered as `{given}`"))
            .mend("name one that is registered")
            .command("`runyard repo list` shows the registered ones; or give the path of a git repository"));
    }
    let registers = |deed: &mut Deed| {
        "repository.add".clone_into(&mut deed.action);
        given.clone_into(&mut deed.target);
        deed.details = BTreeMap::from([("path".to_owned(), given.to_owned())]);
    };
    store::besides(registers, add_repository(shared, None, given)).await
}

/// That there is what a session needs besides a repository.
pub(super) async fn checked_means(shared: &Shared) -> Result<(), Problem> {
    if shared.keys.model_key(shared.account.id).await?.is_none() {
        return Err(Problem::new(ProblemCode::Environment, "there is no key for the Messages API").mend(
            "set ANTHROPIC_API_KEY, or put the key into a file with mode 0600 and name it in anthropic.key_file, or store \
             it with `runyard secret set` and name it in anthropic.key_secret",
        ));
    }
    if !shared.settings.agent.claude.is_file() {
        return Err(Problem::new(
            ProblemCode::Environment,
            format!("there is no Claude Code at {}", shared.settings.agent.claude.display()),
        )
        .mend(format!(
            "install version {0} (`npm install -g @anthropic-ai/claude-code@{0}`, or `cargo xtask setup` in a checkout), or name it in agent.claude",
            agent::PINNED
        )));
    }
    Ok(())
}

/// Where a session starts.
pub(super) struct Start {
    /// The repository's mirror, which is as new as the repository.
    pub mirror: forge::Mirror,
    /// The branch to start from and to merge into.
    pub target_branch: BranchName,
    /// Its newest commit.
    pub base: CommitId,
    /// What whoever asks should know.
    pub warnings: Vec<String>,
    /// Nobody else touches the mirror meanwhile.
    pub lock: tokio::sync::OwnedMutexGuard<()>,
}

/// Finds where a session starts: at the target branch as it is now, by default the repository's current one.
pub(super) async fn start(
    shared: &Shared,
    repository: &Repository,
    target: Option<BranchName>,
) -> Result<Start, Problem> {
    let lock = shared.lock_mirror(repository.id).await;
    let mirror = shared.forge.mirror(repository, &shared.mirror_dir(repository.id)).await?;
    shared.forge.fetch(repository, &mirror).await?;
    let target_branch = match target {
        Some(branch) => branch,
        None => shared.forge.default_branch(repository).await?.ok_or_else(|| {
            Problem::new(ProblemCode::BadRequest, format!("`{}` has no branch checked out", repository.location))
                .mend("name the target branch")
                .command("name one with --target-branch")
        })?,
    };
    let base = mirror.resolve_branch(&target_branch).await?;
    let upstream = forge::Upstream::open(&shared.git, Path::new(&repository.location)).await?;
    let mut warnings = Vec::new();
    if upstream.has_uncommitted_work().await.unwrap_or(false) {
        warnings.push(format!(
            "`{}` has uncommitted work; the session starts from the last commit of {target_branch} and does not see it",
            repository.location
        ));
    }
    Ok(Start { mirror, target_branch, base, warnings, lock })
}

/// Makes a session: everything that can be wrong with the request is found before anything is stored.
pub(super) async fn create(shared: &Shared, user: &User, new: NewSession) -> Result<Reply, Problem> {
    let prompt = checked_text(&new.prompt, "task")?;
    let target: Option<BranchName> = match &new.target_branch {
        Some(name) => Some(
            name.parse()
                .map_err(|error: domain::InvalidBranch| Problem::new(ProblemCode::BadRequest, error.to_string()))?,
        ),
        None => None,
    };
    let labels = checked_labels(&new.labels)?;
    let description = new.description.as_deref().map(checked_description).transpose()?.flatten();
    let spec = new.spec.as_ref().map(checked_spec).transpose()?;
    let persona = match &new.persona {
        Some(given) => Some(knowledge::persona_named(shared, user, given).await?.id),
        None => None,
    };
    checked_means(shared).await?;
    let repository = find_repository(shared, &new.repository).await?;
    let Start { mirror, target_branch, base, warnings, lock: _lock } = start(shared, &repository, target).await?;
    let requester = match &new.requester {
        Some(person) => {
            ensure_user(shared.store.as_ref(), shared.mint.as_ref(), shared.account.id, person, Role::Member).await?
        }
        None => user.clone(),
    };
    let one_shot = new.mode == Mode::OneShot;
    // A one-shot is one draft that grows, unless the request says otherwise.
    let pr_mode = new.pr_mode.unwrap_or(if one_shot { PrMode::SinglePr } else { shared.settings.pr_mode });
    if one_shot && pr_mode == PrMode::Manual {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            "a one-shot asks nobody, so it cannot use manual pull requests",
        )
        .mend("choose stacked pull requests or a single one, or have it planned first")
        .command("choose stacked_pr or single_pr, or leave out --one-shot"));
    }
    let settings = &shared.settings;
    let mut session = Session {
        id: SessionId::new(shared.mint.as_ref()),
        number: SessionNumber(0),
        account: shared.account.id,
        repository: repository.id,
        requester: requester.id,
        title: title_of(new.title.as_deref(), &prompt),
        prompt: prompt.clone(),
        mode: new.mode,
        pr_mode,
        draft: new.draft.unwrap_or(settings.draft),
        labels,
        extras: Extras { description, spec: None, persona },
        target_branch,
        base,
        budget: domain::Budget {
            cost: new.budget.cost.or(settings.session_budget.cost),
            tokens: new.budget.tokens.or(settings.session_budget.tokens),
            seconds: new.budget.seconds.or(settings.session_budget.seconds),
        },
        run_budget: settings.run_budget,
        agent_session: shared.mint.uuid(),
        version: 0,
        last_event: 0,
        usage: Usage::default(),
        archived: false,
        created_at: shared.now(),
    };
    if let Some(Spec { name, text }) = spec {
        let text = shared.store.put_blob(text.as_bytes()).await?;
        session.extras.spec = Some(SpecFile { name: name.clone(), text });
    }
    mirror.keep(&kept::base(session.id)?, &session.base).await?;
    let action = queued(shared, &session, &[], 0, ActionKind::Plan, Some(requester.id));
    let mut events = vec![EventPayload::Message { from: Actor::Person(requester.id), run: None, text: prompt }];
    events.extend(warnings.iter().map(|text| EventPayload::Note { level: NoteLevel::Warning, text: text.clone() }));
    faultpoint::crash_point!("crash-session-accepted");
    let session = shared.store.create_session(&session, &[action], &events, shared.now()).await?;
    faultpoint::crash_point!("crash-session-created");
    Ok(Reply::Created { session: Box::new(session), warnings })
}

/// Labels in the given order, each once.
pub(super) fn checked_labels(labels: &[String]) -> Result<Vec<String>, Problem> {
    let mut kept: Vec<String> = Vec::new();
    for label in labels {
        let label = label.trim();
        if label.is_empty() || label.chars().count() > 50 || label.chars().any(char::is_control) {
            return Err(Problem::new(ProblemCode::BadRequest, format!("`{}` is not a label", label.escape_debug()))
                .mend("a label has 1 to 50 characters and no control characters"));
        }
        if !kept.iter().any(|known| known == label) {
            kept.push(label.to_owned());
        }
    }
    Ok(kept)
}

/// A specification that is not too long, with a name that is one.
fn checked_spec(spec: &Spec) -> Result<&Spec, Problem> {
    let Spec { name, text } = spec;
    if name.trim().is_empty() || name.chars().count() > 200 || name.chars().any(|c| c.is_control() || c == '/') {
        return Err(Problem::new(ProblemCode::BadRequest, format!("`{}` is not a file's name", name.escape_debug()))
            .mend("give one like `SPEC.md`, without folders"));
    }
    if text.len() > LONGEST_SPEC {
        let told = format!("the specification has {} KiB, the limit is {} KiB", text.len() / 1024, LONGEST_SPEC / 1024);
        return Err(Problem::new(ProblemCode::BadRequest, told)
            .mend("put long material into a file of the repository and name the file"));
    }
    Ok(spec)
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), "")
}

/// A title as it is kept: one line of at most 200 characters; nothing when there is none.
pub(super) fn titled(title: &str) -> Option<String> {
    let title = in_one_line(title);
    (!title.is_empty()).then(|| title.chars().take(200).collect())
}

/// The given title, else the request's first line, cut at a word.
fn title_of(given: Option<&str>, prompt: &str) -> String {
    if let Some(title) = given.and_then(titled) {
        return title;
    }
    let line = in_one_line(prompt.lines().next().unwrap_or_default());
    if line.chars().count() <= TITLE_LENGTH {
        return line;
    }
    let mut title = String::new();
    for word in line.split(' ') {
        if title.chars().count() + word.chars().count() + 2 > TITLE_LENGTH && !title.is_empty() {
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    format!("{}…", title.chars().take(TITLE_LENGTH - 1).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_cut_at_a_word() {
        assert_eq!(title_of(None, "Fix the tests\nmore"), "Fix the tests");
        assert_eq!(title_of(Some("  Given\ttitle "), "x"), "Given title");
        let long = title_of(None, &"word ".repeat(40));
        assert!(long.chars().count() <= TITLE_LENGTH && long.ends_with("word…"), "{long}");
        assert_eq!(title_of(None, &"x".repeat(200)).chars().count(), TITLE_LENGTH);
    }

    #[test]
    fn labels_are_kept_once_in_order() {
        let labels = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(checked_labels(&labels).expect("valid"), ["a", "b"]);
        assert!(checked_labels(&["\u{1b}[31m".to_owned()]).is_err());
    }
}
