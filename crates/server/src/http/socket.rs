//! GraphQL over a WebSocket: subscriptions, for as long as whoever opened it may come in.

use super::{
    caller,
    flush::{Flushing, talk},
    problem::Answer,
};
use crate::{
    gate::{Caller, Proof, Refusal},
    graphql::{Call, Schema},
    metrics::Open,
    state::State,
};
use async_graphql::{Data, Executor, Request, Response, ServerError};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::{
    extract::{
        State as Shared, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderMap, StatusCode, header},
    response::Response as HttpResponse,
};
use futures::{SinkExt as _, Stream, StreamExt as _, stream::BoxStream};
use prometheus_client::metrics::gauge::Gauge;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Whether somebody may still come in is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// Whoever does not begin in this time is sent away.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// Whoever says nothing for this long, not even a ping, is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// Subscriptions of one connection.
const MOST_STREAMS: usize = 32;
/// The longest message that is taken.
const LONGEST_MESSAGE: usize = 64 * 1024;
/// What waits to be sent together is at most about so much.
const TOGETHER: usize = 8 * 1024;
/// A message is never longer than this: an event and what surrounds it.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The one sub-protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";
/// Close codes of the protocol: <https://github.com/enisdenny/graphql-ws/blob/master/PROTOCOL.md>.
const FORBIDDEN: u16 = 4403;
/// RFC 6455: the server goes down.
const GOING_AWAY: u16 = 1001;

pub async fn open(
    Shared(state): Shared<Arc<State>>,
    Shared(schema): Shared<Schema>,
    headers: HeaderMap,
    protocol: Result<GraphQLProtocol, StatusCode>,
    upgrade: WebSocketUpgrade,
) -> Result<HttpResponse, Answer> {
    let caller = caller(&state, &headers, state.origins.own_socket(&headers)).await?;
    let told = || Answer::bad("ask for the sub-protocol graphql-transport-ws");
    let protocol = protocol.map_err(|_| told())?;
    // An older protocol of almost the same name has no way to say what the limits here say.
    if headers.get(header::SEC_WEBSOCKET_PROTOCOL).is_none_or(|name| name != PROTOCOL) {
        return Err(told());
    }
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE)
        .read_buffer_size(4096)
        .write_buffer_size(TOGETHER)
        .max_write_buffer_size(TOGETHER + LONGEST_ANSWER);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let subscriptions = state.metrics.subscriptions.clone();
        let viewer = Viewer { schema, live: Arc::default(), subscriptions, asked: None };
        serve(&state, socket, protocol, caller, viewer).await;
    }))
}

async fn serve(state: &Arc<State>, socket: WebSocket, protocol: GraphQLProtocol, caller: Caller, viewer: Viewer) {
    let _open = Open::one(&state.metrics.sockets);
    let proof = caller.proof;
    let mut data = Data::default();
    let asked = Call::shared(state, caller);
    data.insert(Arc::clone(&asked));
    let viewer = Viewer { asked: Some(asked), ..viewer };
    let (sink, stream) = socket.split();
    let sink = Flushing::new(sink);
    let over = {
        let words = GraphQLWebSocket::new_with_pair(sink.clone(), Box::pin(begins_in_time(stream)), viewer, protocol)
            .with_data(data)
            .keepalive_timeout(SILENCE)
            .serve();
        tokio::select! {
            () = talk(sink.clone(), words) => None,
            () = revoked(state, proof) => Some((FORBIDDEN, "you are not signed in any more")),
            () = state.down.cancelled() => Some((GOING_AWAY, "the server goes down; come again")),
        }
    };
    if let Some((code, reason)) = over {
        let mut mouth = sink.clone();
        let word = async {
            let _ = mouth.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
        };
        talk(sink, word).await;
    }
}

/// Completes when whoever has this proof may not come in any more.
async fn revoked(state: &State, proof: Proof) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        match state.gate.again(proof).await {
            Ok(_) => {}
            // The record may be back in a moment, and what is shown until then was allowed.
            Err(Refusal::Store(error)) => tracing::warn!(%error, "a viewer's sign-in could not be looked at"),
            Err(Refusal::Unauthenticated | Refusal::Expired) => return,
        }
    }
}

/// The messages of a viewer, which end when the first one does not come in time.
fn begins_in_time<S>(stream: S) -> impl Stream<Item = Result<Message, axum::Error>> + Send
where
    S: Stream<Item = Result<Message, axum::Error>> + Send + Unpin,
{
    futures::stream::unfold((stream, false), |(mut stream, began)| async move {
        let next = if began {
            stream.next().await
        } else {
            tokio::time::timeout(BEGIN_WITHIN, stream.next()).await.ok().flatten()
        };
        Some((next?, (stream, true)))
    })
}

/// The schema for one connection, which has so many subscriptions at once and no more.
#[derive(Clone)]
struct Viewer {
    schema: Schema,
    live: Arc<AtomicUsize>,
    subscriptions: Gauge,
    /// Who asks.
    asked: Option<Arc<Call>>,
}

/// One subscription that lives.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Executor for Viewer {
    async fn execute(&self, request: Request) -> Response {
        self.schema.execute(request).await
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let place = Place(Arc::clone(&self.live));
        if self.live.fetch_add(1, Ordering::Relaxed) >= MOST_STREAMS {
            let told = format!("one connection has at most {MOST_STREAMS} subscriptions");
            let refused = Response::from_errors(vec![ServerError::new(told, None)]);
            return futures::stream::once(async move {
                drop(place);
                refused
            })
            .boxed();
        }
        let stream = Executor::execute_stream(&self.schema, request, session_data);
        let open = Open::one(&self.subscriptions);
        let asked = self.asked.clone();
        let noted = stream.then(move |response| {
            let asked = asked.clone();
            async move {
                if let Some(asked) = asked.filter(|_| response.is_err()) {
                    asked.note_refusals(&response).await;
                }
                response
            }
        });
        noted.inspect(move |_| _ = (&place, &open)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_begin_is_sent_away_and_whoever_began_may_be_silent() {
        let (_silent, messages) = mpsc::unbounded();
        let began = Instant::now();
        assert!(begins_in_time(messages).boxed().next().await.is_none());
        assert_eq!(began.elapsed(), BEGIN_WITHIN);

        let (talker, messages) = mpsc::unbounded();
        let mut heard = begins_in_time(messages).boxed();
        talker.unbounded_send(Ok(Message::text("one"))).expect("is read");
        assert!(heard.next().await.is_some());
        let later = tokio::spawn(async move {
            tokio::time::sleep(BEGIN_WITHIN * 5).await;
            talker.unbounded_send(Ok(Message::text("two"))).expect("is read");
        });
        assert!(heard.next().await.is_some(), "there is no hurry after the first message");
        later.await.expect("is told");
        assert!(heard.next().await.is_none());
    }
}
