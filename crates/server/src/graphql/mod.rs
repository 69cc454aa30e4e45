//! GraphQL: everything that the page shows and does.

mod audit;
mod call;
mod enums;
mod error;
mod knowledge;
mod learnings;
mod people;
mod people_mutations;
mod pull_request;
mod query;
mod scalars;
mod session;
mod session_mutations;
mod session_parts;
mod step_mutations;
mod subscription;
mod webhooks;

pub use call::Call;
pub use error::Code;

use crate::state::State;
use async_graphql::MergedObject;
use audit::AuditQuery;
use knowledge::KnowledgeMutations;
use learnings::LearningMutations;
use people_mutations::PeopleMutations;
use query::Looks;
use session_mutations::SessionMutations;
use std::sync::Arc;
use step_mutations::StepMutations;
use subscription::Subscription;
use webhooks::{WebhookMutations, WebhookQuery};

/// A query may be so deep: a session's steps' usage is four; what tools ask about the schema is fifteen, since they expect
/// lists of lists of lists.
const DEEPEST: usize = 15;
/// How much a query may ask for; each field counts, and lists count what they are asked for.
const DEAREST: usize = 5000;

/// Everything that can be read.
#[derive(Debug, Default, MergedObject)]
pub struct Query(Looks, AuditQuery, WebhookQuery);

/// Everything that changes something.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    SessionMutations,
    StepMutations,
    PeopleMutations,
    KnowledgeMutations,
    LearningMutations,
    WebhookMutations,
);

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema with its limits.
pub fn schema() -> Schema {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(DEEPEST)
        .limit_complexity(DEAREST)
        .limit_directives(20)
        .finish()
}

/// The schema in its definition language, as it is published.
pub fn definition() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_enum_items().sorted_arguments();
    schema().sdl_with_options(options)
}

/// What resolvers share, for one request.
fn call(ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Arc<Call>> {
    ctx.data::<Arc<Call>>().cloned()
}

impl Call {
    /// What the resolvers of a request of `caller` share.
    pub fn shared(state: &Arc<State>, caller: crate::gate::Caller) -> Arc<Self> {
        Arc::new(Self::new(Arc::clone(state), caller))
    }
}
