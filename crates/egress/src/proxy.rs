//! One request, from the sandbox to the upstream and back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use secrets::{Known, RedactedStream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::answer::{Body, Denied, full, streamed};
use crate::gate::{Admission, Again, Call, Note, Refusal, Spent};
use crate::listener::Route;
use crate::meter::Meter;
use crate::policy::{Asked, answer_headers, check_target, describe, request_headers};

/// What all requests of one sandbox share.
pub(crate) struct Proxy {
    pub(crate) route: Route,
    pub(crate) known: Known,
    pub(crate) in_flight: Arc<Semaphore>,
    /// To the task that tells the gate what was used. A call that is dropped half-way cannot take its account with it.
    pub(crate) accounts: mpsc::UnboundedSender<Statement>,
}

/// What a call used, and whom to tell when the gate knows it.
pub(crate) struct Statement {
    pub(crate) spent: Spent,
    pub(crate) delivered: Option<oneshot::Sender<()>>,
}

impl Proxy {
    pub(crate) async fn serve(self: Arc<Self>, request: hyper::Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let what = describe(&head);
        match self.clone().answer(head, body).await {
            Ok(response) => response,
            Err(denied) => {
                tracing::debug!(%what, status = denied.status.as_u16(), why = %denied.message, "refused a request");
                let why = denied.message.clone();
                let note = if denied.status.is_server_error() {
                    Note::UpstreamFailed { why }
                } else {
                    Note::Refused { what, status: denied.status.as_u16(), why }
                };
                self.route.gate.note(note).await;
                denied.into_response()
            }
        }
    }

    async fn answer(self: Arc<Self>, head: Parts, body: Incoming) -> Result<Response<Body>, Denied> {
        let Asked::Call(call) = check_target(&head)? else {
            return Ok(Response::new(full(Bytes::new())));
        };
        let headers = request_headers(&head.headers, &self.route.surrogate, &self.route.key)?;
        let busy = |_| Denied::bad_gateway("this sandbox's way out is closed");
        let permit = self.in_flight.clone().acquire_owned().await.map_err(busy)?;
        let body = self.receive(body).await?;
        let model = asked_model(&body)?;
        self.admit(call, &model, body.len()).await?;
        self.forward(call, head.uri.query(), headers, body, model, permit).await
    }

    async fn receive(&self, body: Incoming) -> Result<Bytes, Denied> {
        let limits = &self.route.upstream.limits;
        let collected = tokio::time::timeout(limits.receive, Limited::new(body, limits.request_bytes).collect()).await;
        let timeout =
            |_| Denied::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", "the request did not arrive in time");
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            if error.is::<LengthLimitError>() {
                let message = format!("the request is larger than {} bytes", limits.request_bytes);
                Denied::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
            } else {
                Denied::new(StatusCode::BAD_REQUEST, "invalid_request_error", "the request broke off")
            }
        };
        Ok(collected.map_err(timeout)?.map_err(failed)?.to_bytes())
    }

    async fn admit(&self, call: Call, model: &str, bytes: usize) -> Result<(), Denied> {
        let admission = Admission { call, model: model.to_owned(), bytes };
        self.route.gate.admit(&admission).await.map_err(|refusal| match refusal {
            Refusal::Stale(message) | Refusal::Denied(message) => Denied::forbidden(message),
            Refusal::Unavailable(message) => Denied::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", message),
            Refusal::Budget(message) => Denied::new(StatusCode::BAD_REQUEST, "invalid_request_error", message),
        })
    }

    async fn forward(
        self: Arc<Self>,
        call: Call,
        query: Option<&str>,
        headers: HeaderMap,
        body: Bytes,
        model: String,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<Body>, Denied> {
        let upstream = &self.route.upstream;
        let mut account = Account::open(self.clone(), call, body.len(), model);
        let request = upstream.client.post(upstream.address(call.path(), query)).headers(headers).body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                if error.is_connect() {
                    account.cancel();
                }
                return Err(self.unreachable(error));
            }
        };
        let status = answer.status();
        let redactor = self.known.redactor();
        let headers = answer_headers(answer.headers(), &redactor);
        let request_id = headers.get("request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        self.route
            .gate
            .note(Note::Answered { call, status: status.as_u16(), request_id, again: again(&headers) })
            .await;
        if !status.is_success() {
            account.cancel();
        }
        if status.is_redirection() || status.is_informational() {
            return Err(Denied::bad_gateway(format!("the upstream answered {status}; redirects are not followed")));
        }
        let encoding = answer.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            return Err(Denied::bad_gateway("the upstream compressed its answer although it was asked not to"));
        }

        let is_stream = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let body = if is_stream {
            let chunks = answer.bytes_stream().map(|chunk| chunk.map_err(reqwest::Error::without_url)).boxed();
            let redacted = Some(redactor.stream());
            streamed(stream::unfold(Passing { chunks, redacted, account, _permit: permit }, Passing::next).boxed())
        } else {
            let whole = self.collect(answer).await?;
            account.meter.whole(&whole);
            account.settle().await;
            full(redactor.redact(&whole))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn collect(&self, answer: reqwest::Response) -> Result<Vec<u8>, Denied> {
        let mut whole = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            whole.extend_from_slice(&chunk.map_err(|error| self.unreachable(error))?);
            if whole.len() > self.route.upstream.limits.answer_bytes {
                return Err(Denied::bad_gateway("the upstream's answer is too large"));
            }
        }
        Ok(whole)
    }

    fn unreachable(&self, error: reqwest::Error) -> Denied {
        let reason = if error.is_timeout() { "timed out" } else { "failed" };
        let detail = chain(&error.without_url());
        Denied::bad_gateway(format!(
            "the connection to the Messages API {reason}: {}",
            self.known.redactor().redact_text(&secrets::without_userinfo(&detail))
        ))
    }
}

/// A stream of events on its way to the sandbox. It reads no further than the sandbox does.
struct Passing {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    redacted: Option<RedactedStream>,
    account: Account,
    _permit: OwnedSemaphorePermit,
}

impl Passing {
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        loop {
            // Taken by the end, whether clean or not: after it nothing follows.
            let mut redacted = self.redacted.take()?;
            match self.chunks.next().await {
                Some(Ok(chunk)) => {
                    self.account.meter.push(&chunk);
                    if self.account.meter.has_ended() {
                        self.account.settle().await;
                    }
                    let safe = redacted.push(&chunk);
                    self.redacted = Some(redacted);
                    if !safe.is_empty() {
                        return Some((Ok(safe.into()), self));
                    }
                }
                Some(Err(error)) => {
                    let proxy = self.account.proxy.clone();
                    let why = proxy.known.redactor().redact_text(&chain(&error));
                    proxy.route.gate.note(Note::UpstreamFailed { why: format!("the answer broke off: {why}") }).await;
                    self.account.settle().await;
                    return Some((Err(std::io::Error::other("the upstream's answer broke off")), self));
                }
                None => {
                    self.account.settle().await;
                    let rest = redacted.finish();
                    return (!rest.is_empty()).then(|| (Ok(rest.into()), self));
                }
            }
        }
    }
}

/// What one call owes. It is settled once: at the end of the answer, or late when everything was dropped before.
struct Account {
    proxy: Arc<Proxy>,
    meter: Meter,
    model: String,
    is_open: bool,
}

impl Account {
    fn open(proxy: Arc<Proxy>, call: Call, request_bytes: usize, model: String) -> Self {
        Self { proxy, meter: Meter::new(request_bytes), model, is_open: call == Call::Messages }
    }

    /// The call was not served, so nothing is owed.
    fn cancel(&mut self) {
        self.is_open = false;
    }

    async fn settle(&mut self) {
        if self.is_open {
            self.is_open = false;
            let (delivered, known) = oneshot::channel();
            self.state(Some(delivered));
            let _ = known.await;
        }
    }

    fn state(&self, delivered: Option<oneshot::Sender<()>>) {
        let model = self.meter.model().unwrap_or(&self.model).to_owned();
        let tokens = self.meter.tokens();
        let usage = domain::Usage {
            input: tokens.input,
            output: tokens.output,
            cache_read: tokens.cache_read,
            cache_write: tokens.cache_write,
            cost: self.proxy.route.prices.cost(&model, tokens),
        };
        let spent = Spent { model, usage, complete: self.meter.is_complete() };
        // The receiver outlives every request, or the whole program ends.
        let _ = self.proxy.accounts.send(Statement { spent, delivered });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.is_open {
            self.state(None);
        }
    }
}

fn again(headers: &HeaderMap) -> Again {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    Again {
        after: seconds("retry-after").map(|seconds| Duration::from_secs(seconds.into())),
        resets_at: seconds("anthropic-ratelimit-unified-reset").map(|at| Timestamp(i64::from(at) * 1_000_000)),
    }
}

#[derive(Deserialize)]
struct AskedModel {
    model: String,
}

fn asked_model(body: &[u8]) -> Result<String, Denied> {
    let asked: Result<AskedModel, _> = serde_json::from_slice(body);
    asked.map(|asked| asked.model).map_err(|_| {
        let message = "the body is not a Messages API request with a model";
        Denied::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
