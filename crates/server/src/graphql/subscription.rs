//! What comes by itself.

use super::{
    call,
    error::{Code, Failure, problem},
    session_parts::Event,
};
use async_graphql::{Context, Result, Subscription as Subscribes};
use domain::SessionNumber;
use engine::Right;
use futures::{Stream, StreamExt as _};

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

    /// A number that rises whenever lists of sessions may look different; the first one comes at once.
    async fn sessions_changed(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = i64> + use<>> {
        let call = call(ctx)?;
        call.must(Right::Look)?;
        Ok(call.state.pulse.follow())
    }
}
