//! What sessions taught.

use super::{
    Call, call,
    enums::{LearningMoment, LearningState},
    error::{Code, Failure, odd},
    knowledge::{read, removed, written},
    people::{Person, person},
    scalars::DateTime,
};
use async_graphql::{
    ComplexObject, Context, ID, InputObject, Object, Result, SimpleObject,
    connection::{Connection, ConnectionNameType, CursorType, Edge, EdgeNameType, EmptyFields, EnableNodesField},
};
use domain::{Knowledge, Piece, UserId};
use engine::{Command, LearningFilter, LearningLine, NewKnowledge, Reply};

/// Learnings of a page at most.
pub const LONGEST_PAGE: i32 = 100;

/// A place in the list of learnings: how many come before what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

impl CursorType for Place {
    type Error = std::num::ParseIntError;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        text.strip_prefix("l/").unwrap_or("-").parse().map(Self)
    }

    fn encode_cursor(&self) -> String {
        format!("l/{}", self.0)
    }
}

/// A page of learnings.
pub type Page = Connection<Place, Learning, Counts, EmptyFields, PageName, EdgeName, EnableNodesField>;

/// How many there are beside those of the page.
#[derive(Debug, SimpleObject)]
pub struct Counts {
    /// How many fit what was asked for.
    found: usize,
    /// How many of the account wait for a person.
    proposed: usize,
}

/// Names of the types of a page of learnings.
pub struct PageName;

impl ConnectionNameType for PageName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "LearningConnection".to_owned()
    }
}

/// The name of its edges' type.
pub struct EdgeName;

impl EdgeNameType for EdgeName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "LearningEdge".to_owned()
    }
}

/// What a session taught, or a person wrote down as such. Its texts may be an agent's, and are plain text.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Learning {
    pub id: ID,
    /// What one runs into.
    pattern: String,
    /// What to do then.
    solution: String,
    /// Files, frameworks and commands that it is about; none: whatever its words fit.
    applies_to: Vec<String>,
    /// Names of repositories, in which `*` stands for anything; none: all repositories.
    repositories: Vec<String>,
    state: LearningState,
    /// The runs that taught it, oldest first; none when a person wrote it.
    lessons: Vec<Lesson>,
    /// Rises with every change.
    version: i64,
    created_at: DateTime,
    changed_at: DateTime,
    /// How many runs were told of it.
    used: i64,
    used_at: Option<DateTime>,
    #[graphql(skip)]
    author_id: Option<UserId>,
}

#[ComplexObject]
impl Learning {
    /// Who wrote this version; null for the agent of the session that taught it.
    async fn author(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.author_id).await
    }
}

/// A run that taught a learning.
#[derive(Debug, SimpleObject)]
pub struct Lesson {
    /// The session's number.
    session: i64,
    /// The run.
    run: ID,
    moment: LearningMoment,
    at: DateTime,
}

/// What a learning says.
#[derive(Debug, InputObject)]
pub struct LearningInput {
    pattern: String,
    solution: String,
    applies_to: Option<Vec<String>>,
    /// Names of repositories, in which `*` stands for anything; none: all repositories.
    repositories: Option<Vec<String>>,
    #[graphql(default_with = "LearningState::Active")]
    state: LearningState,
}

impl From<LearningInput> for Piece {
    fn from(input: LearningInput) -> Self {
        Self::Learning(domain::Learning {
            pattern: input.pattern,
            solution: input.solution,
            applies_to: input.applies_to.unwrap_or_default(),
            repositories: input.repositories.unwrap_or_default(),
            state: input.state.into(),
        })
    }
}

fn learning(LearningLine { known, lessons }: LearningLine) -> Result<Learning, Failure> {
    let Knowledge { piece: Piece::Learning(learning), .. } = known else { return Err(odd()) };
    let lesson = |lesson: domain::Lesson| Lesson {
        session: lesson.number.0,
        run: lesson.run.to_string().into(),
        moment: lesson.moment.into(),
        at: DateTime(lesson.at),
    };
    Ok(Learning {
        id: known.id.to_string().into(),
        pattern: learning.pattern,
        solution: learning.solution,
        applies_to: learning.applies_to,
        repositories: learning.repositories,
        state: learning.state.into(),
        lessons: lessons.into_iter().map(lesson).collect(),
        version: known.version,
        created_at: DateTime(known.created_at),
        changed_at: DateTime(known.changed_at),
        used: known.used,
        used_at: known.used_at.map(DateTime),
        author_id: known.author,
    })
}

/// A page of those that a filter lets through.
pub async fn page(call: &Call, filter: LearningFilter, first: i32, after: Option<&str>) -> Result<Page, Failure> {
    let page = usize::try_from(first).ok().filter(|_| (1..=LONGEST_PAGE).contains(&first));
    let page = page.ok_or_else(|| {
        Failure::new(Code::BadRequest, format!("ask for 1 to {LONGEST_PAGE} learnings")).field("first")
    })?;
    let told = || Failure::new(Code::BadRequest, "this is no cursor of a list of learnings").field("after");
    let skip = match after {
        Some(cursor) => Place::decode_cursor(cursor).map_err(|_| told())?.0,
        None => 0,
    };
    let found = ask(call, LearningFilter { skip, limit: page, ..filter }).await?;
    let counts = Counts { found: found.found, proposed: found.proposed };
    let more = found.found > skip.saturating_add(found.lines.len());
    let mut learnings = Page::with_additional_fields(skip > 0, more, counts);
    for (line, place) in found.lines.into_iter().zip(skip.saturating_add(1)..) {
        learnings.edges.push(Edge::new(Place(place), learning(line)?));
    }
    Ok(learnings)
}

/// The one with this id.
pub async fn one(call: &Call, id: &ID) -> Result<Option<Learning>, Failure> {
    let Ok(id) = read(id) else { return Ok(None) };
    let mut found = ask(call, LearningFilter { id: Some(id), limit: 1, ..LearningFilter::default() }).await?;
    found.lines.pop().map(learning).transpose()
}

async fn ask(call: &Call, filter: LearningFilter) -> Result<engine::Learnings, Failure> {
    match call.ask(Command::Learnings(filter)).await? {
        Reply::Learnings(found) => Ok(found),
        _ => Err(odd()),
    }
}

/// The learning that a command wrote, with those who taught it.
async fn changed(call: &Call, command: Command) -> Result<Learning, Failure> {
    let known = written(call, command).await?;
    let found = ask(call, LearningFilter { id: Some(known.id), limit: 1, ..LearningFilter::default() }).await?;
    let lessons = found.lines.into_iter().filter(|line| line.known.id == known.id).flat_map(|line| line.lessons);
    learning(LearningLine { lessons: lessons.collect(), known })
}

/// What can be asked of learnings.
#[derive(Debug, Default)]
pub struct LearningMutations;

#[Object]
impl LearningMutations {
    /// Adds a learning: one with the state `PROPOSED`, which agents are not told of yet, or another one (maintainers only).
    /// Fails with `CONFLICT` when there is one that says the same.
    async fn add_learning(&self, ctx: &Context<'_>, input: LearningInput) -> Result<Learning> {
        let new = NewKnowledge { piece: input.into(), own: false };
        Ok(changed(&*call(ctx)?, Command::AddKnowledge(new)).await?)
    }

    /// Changes a learning, or lets it stand, or turns it off. Fails with `CONFLICT` when there is a newer version than the
    /// one that was changed. Maintainers only.
    async fn change_learning(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: i64,
        input: LearningInput,
    ) -> Result<Learning> {
        let id = read(&id)?;
        let command = Command::ChangeKnowledge { id, expected: expected_version, own: false, piece: input.into() };
        Ok(changed(&*call(ctx)?, command).await?)
    }

    /// Removes a learning, unless there is a newer version than the one that was seen; its id. Maintainers only.
    async fn remove_learning(&self, ctx: &Context<'_>, id: ID, expected_version: i64) -> Result<ID> {
        let call = call(ctx)?;
        removed(&call, Command::RemoveKnowledge { id: read(&id)?, expected: expected_version, own: false }).await?;
        Ok(id)
    }
}
