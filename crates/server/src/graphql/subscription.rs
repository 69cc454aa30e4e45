//! What comes by itself.

use super::{
    Call, call,
    error::{Code, Failure, problem},
    session_parts::Event,
};
use async_graphql::{Context, Result, Subscription as Subscribes};
use domain::SessionNumber;
use engine::Right;
use futures::{Stream, StreamExt as _};
use std::{sync::Arc, time::Duration};

/// How often it is looked whether lists may look different.
const LOOK: Duration = Duration::from_secs(1);

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
        let events = call.state.backend.clone().follow(SessionNumber(session), after);
        Ok(events.map(|event| event.map(Event).map_err(|why| problem(why).into())))
    }

    /// A number that rises whenever lists of sessions may look different; the first one comes at once.
    async fn sessions_changed(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<i64>> + use<>> {
        let call = call(ctx)?;
        call.must(Right::Look)?;
        let first: Option<i64> = None;
        Ok(futures::stream::try_unfold((call, first), |(call, seen)| async move {
            let pulse = next_pulse(&call, seen).await?;
            Ok(Some((pulse, (call, Some(pulse)))))
        }))
    }
}

async fn next_pulse(call: &Arc<Call>, seen: Option<i64>) -> Result<i64> {
    loop {
        let pulse = call.state.store.pulse(call.state.account).await.map_err(Failure::from)?;
        if seen != Some(pulse) {
            return Ok(pulse);
        }
        tokio::time::sleep(LOOK).await;
    }
}
