//! What comes by itself.

use super::{
    call,
    error::{Code, Failure, problem},
    session_parts::Event,
};
use crate::presence;
use async_graphql::{Context, ID, Result, SimpleObject, Subscription as Subscribes};
use domain::SessionNumber;
use engine::{Command, Right};
use futures::{Stream, StreamExt as _};

/// Somebody who has a session's page open.
#[derive(Debug, SimpleObject)]
pub struct Present {
    /// The person's.
    id: ID,
    name: String,
    /// True while they write a message.
    typing: bool,
}

/// What comes by itself.
#[derive(Debug, Clone, Copy)]
pub struct Subscription;

#[expect(clippy::unused_async, reason = "a resolver is async by its trait")]
#[Subscribes]
impl Subscription {
    /// The events of a session above a number, each once and in order, and those that come.
    async fn events(
        &self,
        ctx: &Context<'_>,
        session: i64,
        #[graphql(default = 0)] after: i64,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        let call = call(ctx)?;
        call.must(Right::Look)?;
        if after < 0 {
            return Err(Failure::new(Code::BadRequest, "events are numbered from 1").field("after").into());
        }
        let (audience, backend) = (call.state.audience.clone(), call.state.backend.clone());
        let events = audience.follow(backend, call.caller.person(), (SessionNumber(session), after));
        Ok(events.map(|event| event.map(Event).map_err(|why| problem(why).into())))
    }

    /// Everybody who has the session's page open: at once, and whenever that changes. Whoever follows this is among them.
    async fn presence(&self, ctx: &Context<'_>, session: i64) -> Result<impl Stream<Item = Vec<Present>> + use<>> {
        let call = call(ctx)?;
        let session = SessionNumber(session);
        call.ask(Command::Events { session, after: i64::MAX - 1, limit: 1 }).await?;
        let who = call.caller.member.as_ref().map(|member| (member.user.id, member.user.name.clone()));
        let present =
            |it: presence::Present| Present { id: it.person.to_string().into(), name: it.name, typing: it.typing };
        Ok(call.state.presence.follow(session, who).map(move |all| all.into_iter().map(present).collect()))
    }

    /// A number that rises whenever lists of sessions may look different; the first one comes at once.
    async fn sessions_changed(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = i64> + use<>> {
        let call = call(ctx)?;
        call.must(Right::Look)?;
        Ok(call.state.pulse.follow())
    }
}
