//! What the team knows: context files and personas.

use super::{
    Call, call,
    enums::{KnowledgeKind, PersonaRole},
    error::{Code, Failure, odd},
    people::{Person, person},
    scalars::DateTime,
    session::Session,
};
use async_graphql::{ComplexObject, Context, ID, InputObject, Object, Result, SimpleObject};
use domain::{Knowledge, KnowledgeId, Piece, SessionNumber, UserId};
use engine::{Command, NewKnowledge, Reply};

/// A document that the agent is given whenever it works on one of the repositories that it is about.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct ContextFile {
    pub id: ID,
    title: String,
    /// Markdown.
    text: String,
    /// Names of repositories, in which `*` stands for anything; none: all repositories.
    repositories: Vec<String>,
    /// Higher ones come first, and are kept when there is not room for all.
    priority: i32,
    /// Whether it is given out at all.
    enabled: bool,
    /// What looks like files in it. Those that a repository has are pointed out to the agent.
    files: Vec<String>,
    /// Rises with every change.
    version: i64,
    changed_at: DateTime,
    /// How many runs were told of it.
    used: i64,
    used_at: Option<DateTime>,
    #[graphql(skip)]
    author_id: Option<UserId>,
}

#[ComplexObject]
impl ContextFile {
    /// Who wrote this version.
    async fn author(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.author_id).await
    }
}

/// How the agent is to work.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Persona {
    pub id: ID,
    name: String,
    /// For which work.
    role: PersonaRole,
    /// What the agent is told, word for word.
    instructions: String,
    /// Whether it is used when nobody chose another one; such a one keeps its name and stays.
    default: bool,
    /// Of a default one: what it says as Runyard comes.
    original: Option<&'static str>,
    /// False for one that only the viewer sees.
    shared: bool,
    /// Rises with every change; 0 for a default one that nobody has changed.
    version: i64,
    /// Null for a default one that nobody has changed.
    changed_at: Option<DateTime>,
    /// How many runs were told of it.
    used: i64,
    used_at: Option<DateTime>,
    #[graphql(skip)]
    author_id: Option<UserId>,
}

#[ComplexObject]
impl Persona {
    /// Who wrote this version.
    async fn author(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.author_id).await
    }
}

/// Something that the team knows, as a session has it.
#[derive(Debug, SimpleObject)]
pub struct KnowledgeRef {
    id: ID,
    kind: KnowledgeKind,
    title: String,
    version: i64,
}

impl From<&domain::KnowledgeRef> for KnowledgeRef {
    fn from(known: &domain::KnowledgeRef) -> Self {
        let domain::KnowledgeRef { id, kind, title, version } = known;
        Self { id: id.to_string().into(), kind: (*kind).into(), title: title.clone(), version: *version }
    }
}

/// Something that the team knows, and how a session used it.
#[derive(Debug, SimpleObject)]
pub struct KnowledgeUse {
    #[graphql(flatten)]
    known: KnowledgeRef,
    /// How many of its runs were told of it.
    runs: usize,
    /// Whether there was no room for it in the last one.
    left_out: bool,
}

impl From<&engine::KnowledgeUse> for KnowledgeUse {
    fn from(used: &engine::KnowledgeUse) -> Self {
        Self { known: (&used.known).into(), runs: used.runs, left_out: used.left_out }
    }
}

/// What a context file says.
#[derive(Debug, InputObject)]
pub struct ContextFileInput {
    /// The text's first heading when none is given.
    title: Option<String>,
    text: String,
    /// Names of repositories, in which `*` stands for anything; none: all repositories.
    repositories: Option<Vec<String>>,
    #[graphql(default = 0)]
    priority: i32,
    #[graphql(default = true)]
    enabled: bool,
}

impl From<ContextFileInput> for Piece {
    fn from(input: ContextFileInput) -> Self {
        Self::ContextFile(domain::ContextFile {
            title: input.title.unwrap_or_default(),
            text: input.text,
            repositories: input.repositories.unwrap_or_default(),
            priority: input.priority.into(),
            enabled: input.enabled,
        })
    }
}

/// What a persona says.
#[derive(Debug, InputObject)]
pub struct PersonaInput {
    name: String,
    role: PersonaRole,
    instructions: String,
}

impl From<PersonaInput> for Piece {
    fn from(input: PersonaInput) -> Self {
        Self::Persona(domain::Persona {
            name: input.name,
            role: input.role.into(),
            instructions: input.instructions,
            default: false,
        })
    }
}

fn context_file(known: Knowledge) -> Result<ContextFile, Failure> {
    let Piece::ContextFile(file) = known.piece else { return Err(odd()) };
    Ok(ContextFile {
        id: known.id.to_string().into(),
        files: runbook::file_references(&file.text),
        title: file.title,
        text: file.text,
        repositories: file.repositories,
        priority: file.priority.try_into().unwrap_or_default(),
        enabled: file.enabled,
        version: known.version,
        changed_at: DateTime(known.changed_at),
        used: known.used,
        used_at: known.used_at.map(DateTime),
        author_id: known.author,
    })
}

fn persona(known: Knowledge) -> Result<Persona, Failure> {
    let Piece::Persona(persona) = known.piece else { return Err(odd()) };
    Ok(Persona {
        id: known.id.to_string().into(),
        original: if persona.default { engine::default_instructions(persona.role) } else { None },
        name: persona.name,
        role: persona.role.into(),
        instructions: persona.instructions,
        default: persona.default,
        shared: known.owner.is_none(),
        version: known.version,
        changed_at: (known.version > 0).then_some(DateTime(known.changed_at)),
        used: known.used,
        used_at: known.used_at.map(DateTime),
        author_id: known.author,
    })
}

/// All context files, in the order in which they count.
pub async fn context_files(call: &Call) -> Result<Vec<ContextFile>> {
    let all = all(call, domain::KnowledgeKind::ContextFile).await?;
    Ok(all.into_iter().map(context_file).collect::<Result<_, Failure>>()?)
}

/// All personas that the caller sees, the default ones first.
pub async fn personas(call: &Call) -> Result<Vec<Persona>> {
    let all = all(call, domain::KnowledgeKind::Persona).await?;
    Ok(all.into_iter().map(persona).collect::<Result<_, Failure>>()?)
}

/// What the caller sees. A token of the account is nobody, so nothing is its own.
async fn all(call: &Call, kind: domain::KnowledgeKind) -> Result<Vec<Knowledge>, Failure> {
    let Reply::Knowledge(mut all) = call.ask(Command::Knowledge { kind }).await? else { return Err(odd()) };
    if call.caller.member.is_none() {
        all.retain(|known| known.owner.is_none());
    }
    Ok(all)
}

/// The persona that the caller means by an id or a name, if they see it.
pub async fn chosen(call: &Call, given: Option<String>, field: &str) -> Result<Option<String>, Failure> {
    let (Some(given), true) = (&given, call.caller.member.is_none()) else { return Ok(given) };
    let all = all(call, domain::KnowledgeKind::Persona).await?;
    let told = || Failure::new(Code::NotFound, "there is no such persona").field(field);
    let found = all.iter().find(|known| known.id.to_string() == *given || known.piece.title() == given);
    Ok(Some(found.ok_or_else(told)?.id.to_string()))
}

/// What can be asked of what the team knows.
#[derive(Debug, Default)]
pub struct KnowledgeMutations;

#[Object]
impl KnowledgeMutations {
    /// Adds a context file. Maintainers only.
    async fn add_context_file(&self, ctx: &Context<'_>, input: ContextFileInput) -> Result<ContextFile> {
        let new = NewKnowledge { piece: input.into(), own: false };
        Ok(context_file(written(&*call(ctx)?, Command::AddKnowledge(new)).await?)?)
    }

    /// Changes a context file. Fails with `CONFLICT` when there is a newer version than the one that was changed.
    /// Maintainers only.
    async fn change_context_file(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: i64,
        input: ContextFileInput,
    ) -> Result<ContextFile> {
        let id = read(&id)?;
        let command = Command::ChangeKnowledge { id, expected: expected_version, own: false, piece: input.into() };
        Ok(context_file(written(&*call(ctx)?, command).await?)?)
    }

    /// Removes a context file, unless there is a newer version than the one that was seen. Maintainers only.
    async fn remove_context_file(&self, ctx: &Context<'_>, id: ID, expected_version: i64) -> Result<Vec<ContextFile>> {
        let call = call(ctx)?;
        removed(&call, Command::RemoveKnowledge { id: read(&id)?, expected: expected_version, own: false }).await?;
        context_files(&call).await
    }

    /// Adds a persona that only the viewer sees, or with `shared` one for everybody (maintainers only).
    async fn add_persona(
        &self,
        ctx: &Context<'_>,
        input: PersonaInput,
        #[graphql(default = false)] shared: bool,
    ) -> Result<Persona> {
        let call = call(ctx)?;
        if !shared {
            call.must_be_person()?;
        }
        Ok(persona(written(&call, Command::AddKnowledge(NewKnowledge { piece: input.into(), own: !shared })).await?)?)
    }

    /// Changes a persona: the viewer's own, or a shared one (maintainers only). Fails with `CONFLICT` when there is a newer
    /// version than the one that was changed.
    async fn change_persona(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: i64,
        input: PersonaInput,
    ) -> Result<Persona> {
        let (call, id) = (call(ctx)?, read(&id)?);
        let own = is_own(&call, id).await?;
        let command = Command::ChangeKnowledge { id, expected: expected_version, own, piece: input.into() };
        Ok(persona(written(&call, command).await?)?)
    }

    /// Removes a persona: the viewer's own, or a shared one (maintainers only). Sessions that have it go on with the
    /// default ones.
    async fn remove_persona(&self, ctx: &Context<'_>, id: ID, expected_version: i64) -> Result<Vec<Persona>> {
        let (call, id) = (call(ctx)?, read(&id)?);
        let own = is_own(&call, id).await?;
        removed(&call, Command::RemoveKnowledge { id, expected: expected_version, own }).await?;
        personas(&call).await
    }

    /// Gives a session another persona from its next run on; the default ones without one.
    async fn switch_persona(&self, ctx: &Context<'_>, session: i64, persona: Option<String>) -> Result<Session> {
        let call = call(ctx)?;
        let persona = chosen(&call, persona, "persona").await?;
        removed(&call, Command::SwitchPersona { session: SessionNumber(session), persona }).await?;
        Ok(Session::read(ctx, session).await?)
    }
}

pub(super) async fn written(call: &Call, command: Command) -> Result<Knowledge, Failure> {
    match call.ask(command).await? {
        Reply::Piece(known) => Ok(*known),
        _ => Err(odd()),
    }
}

pub(super) async fn removed(call: &Call, command: Command) -> Result<(), Failure> {
    match call.ask(command).await? {
        Reply::Done => Ok(()),
        _ => Err(odd()),
    }
}

/// Whether a persona is the caller's own. What they do not see counts as shared, so that a member is not told whether
/// there is one.
async fn is_own(call: &Call, id: KnowledgeId) -> Result<bool, Failure> {
    let all = all(call, domain::KnowledgeKind::Persona).await?;
    Ok(all.iter().any(|known| known.id == id && known.owner.is_some()))
}

pub(super) fn read(id: &ID) -> Result<KnowledgeId, Failure> {
    id.parse().map_err(|_| Failure::new(Code::NotFound, "there is no such thing").field("id"))
}
