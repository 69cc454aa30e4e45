//! What can be read.

use super::{
    call,
    enums::LearningState,
    error::{Code, Failure, odd},
    knowledge::{self, ContextFile, Persona},
    learnings::{self, Learning},
    people::{Account, Invitation, Person, Repository, Token, Viewer},
    pull_request::PullRequest,
    session::{Session, SessionLine},
};
use async_graphql::{
    Context, ID, Object, Result,
    connection::{Connection, CursorType, Edge, EmptyFields, EnableNodesField},
};
use domain::{Role, SessionNumber};
use engine::{Command, LearningFilter, Reply, Right};

/// Sessions of a page at most.
const LONGEST_PAGE: i32 = 100;

/// A place in the list of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(i64);

impl CursorType for Place {
    type Error = std::num::ParseIntError;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        text.strip_prefix("r/").unwrap_or("-").parse().map(Self)
    }

    fn encode_cursor(&self) -> String {
        format!("r/{}", self.0)
    }
}

type Sessions =
    Connection<Place, SessionLine, EmptyFields, EmptyFields, SessionsName, SessionEdgeName, EnableNodesField>;

/// Names of the types of a page of sessions.
pub struct SessionsName;

impl async_graphql::connection::ConnectionNameType for SessionsName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "SessionConnection".to_owned()
    }
}

/// The name of its edges' type.
pub struct SessionEdgeName;

impl async_graphql::connection::EdgeNameType for SessionEdgeName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "SessionEdge".to_owned()
    }
}

/// What can be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looks;

#[expect(clippy::unused_async, reason = "a resolver is async by its trait")]
#[Object]
impl Looks {
    /// Who asks, and where.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        Ok(viewer(&*call(ctx)?))
    }

    /// A session by its number; null when there is none that the viewer may see.
    async fn session(&self, ctx: &Context<'_>, number: i64) -> Result<Option<Session>> {
        Session::find(ctx, number).await
    }

    /// Sessions, newest first; of one repository, when one is named; that a search finds, when there is one: words of the
    /// title, the request and the branches, a number, and `state:waiting`, `author:ada`, `repo:shop`, `branch:main`.
    #[graphql(
        complexity = "(first.clamp(1, 100) as usize) * child_complexity / 2 + if search.is_some() { 200 } else { 0 }"
    )]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20)] first: i32,
        after: Option<String>,
        #[graphql(default = false)] archived: bool,
        repository: Option<String>,
        search: Option<String>,
    ) -> Result<Sessions> {
        if !(1..=LONGEST_PAGE).contains(&first) {
            let told = format!("ask for 1 to {LONGEST_PAGE} sessions");
            return Err(Failure::new(Code::BadRequest, told).field("first").into());
        }
        let before = match &after {
            Some(cursor) => {
                let told = || Failure::new(Code::BadRequest, "this is no cursor of a list of sessions").field("after");
                let place = Place::decode_cursor(cursor).map_err(|_| told())?;
                Some(SessionNumber(place.0))
            }
            None => None,
        };
        let limit = i64::from(first) + 1;
        let command = Command::Sessions { archived, all: false, limit, before, repository, search };
        let Reply::Sessions(mut lines) = call(ctx)?.ask(command).await? else { return Err(odd().into()) };
        let page = usize::try_from(first)?;
        let more = lines.len() > page;
        lines.truncate(page);
        let mut sessions = Sessions::new(before.is_some(), more);
        sessions.edges.extend(lines.iter().map(|line| Edge::new(Place(line.number.0), SessionLine::from(line))));
        Ok(sessions)
    }

    /// Repositories by name.
    async fn repositories(&self, ctx: &Context<'_>) -> Result<Vec<Repository>> {
        match call(ctx)?.ask(Command::Repositories).await? {
            Reply::Repositories(found) => Ok(found.into_iter().map(Repository::from).collect()),
            _ => Err(odd().into()),
        }
    }

    /// A pull request of a repository; null when there is none.
    async fn pull_request(&self, ctx: &Context<'_>, repository: String, number: i64) -> Result<Option<PullRequest>> {
        match PullRequest::read(ctx, repository, number).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// People of the account, by name.
    async fn people(&self, ctx: &Context<'_>) -> Result<Vec<Person>> {
        let call = call(ctx)?;
        call.must(Right::Look)?;
        let members = call.state.access.members(call.state.account).await.map_err(Failure::from)?;
        Ok(members.iter().map(Person::from).collect())
    }

    /// Links that were handed out and not used yet. Admins only.
    async fn invitations(&self, ctx: &Context<'_>) -> Result<Vec<Invitation>> {
        let call = call(ctx)?;
        call.must(Right::Administer)?;
        invitations(&call).await
    }

    /// Context files, in the order in which they count.
    #[graphql(complexity = "20 * child_complexity")]
    async fn context_files(&self, ctx: &Context<'_>) -> Result<Vec<ContextFile>> {
        knowledge::context_files(&*call(ctx)?).await
    }

    /// A context file; null when there is none with this id.
    async fn context_file(&self, ctx: &Context<'_>, id: ID) -> Result<Option<ContextFile>> {
        Ok(knowledge::context_files(&*call(ctx)?).await?.into_iter().find(|file| file.id == id))
    }

    /// A persona; null when there is none with this id that the viewer sees.
    async fn persona(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Persona>> {
        Ok(knowledge::personas(&*call(ctx)?).await?.into_iter().find(|persona| persona.id == id))
    }

    /// Personas that the viewer sees, the default ones first.
    #[graphql(complexity = "20 * child_complexity")]
    async fn personas(&self, ctx: &Context<'_>) -> Result<Vec<Persona>> {
        knowledge::personas(&*call(ctx)?).await
    }

    /// Learnings: those that fit the words of `search` best first, else the newest, or with `mostUsed` those that most runs
    /// were told of.
    #[graphql(complexity = "(first.clamp(1, 100) as usize) * child_complexity / 2 + 200")]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the query")]
    async fn learnings(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 30)] first: i32,
        after: Option<String>,
        search: Option<String>,
        repository: Option<String>,
        state: Option<LearningState>,
        session: Option<i64>,
        #[graphql(default = false)] most_used: bool,
    ) -> Result<learnings::Page> {
        let filter = LearningFilter {
            search,
            repository,
            state: state.map(Into::into),
            session: session.map(SessionNumber),
            most_used,
            ..LearningFilter::default()
        };
        Ok(learnings::page(&*call(ctx)?, filter, first, after.as_deref()).await?)
    }

    /// A learning; null when there is none with this id.
    async fn learning(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Learning>> {
        Ok(learnings::one(&*call(ctx)?, &id).await?)
    }

    /// The viewer's own tokens, and the account's for admins.
    async fn tokens(&self, ctx: &Context<'_>) -> Result<Vec<Token>> {
        let call = call(ctx)?;
        tokens(&call).await
    }
}

/// Who asks.
pub fn viewer(call: &super::Call) -> Viewer {
    Viewer {
        person: call.caller.member.as_ref().map(Person::from),
        account: Account { id: call.state.account.to_string().into(), name: "default".to_owned() },
        role: call.caller.role.into(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Links that may still be used.
pub async fn invitations(call: &super::Call) -> Result<Vec<Invitation>> {
    let now = call.state.clock.now();
    let links = call.state.access.links(call.state.account, now).await.map_err(Failure::from)?;
    Ok(links.into_iter().map(Invitation::from).collect())
}

/// Tokens that the caller may see.
pub async fn tokens(call: &super::Call) -> Result<Vec<Token>> {
    let own = call.must_be_person()?.user.id;
    let is_admin = call.caller.role == Role::Admin;
    let found = call.state.access.tokens(call.state.account).await.map_err(Failure::from)?;
    let seen = found.into_iter().filter(|token| token.user == Some(own) || (is_admin && token.user.is_none()));
    Ok(seen.map(Token::from).collect())
}
