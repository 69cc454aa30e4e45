//! One attempt: a signed request, in time, and the beginning of the answer.

use super::{
    reach::{OutOfReach, Reach},
    sign,
};
use crate::time;
use domain::{Attempt, Clock, Delivery, Timestamp, Webhook};
use jiff::fmt::rfc2822;
use reqwest::{Client, Response, StatusCode, header};
use secrets::{Known, Secret};
use serde_json::json;
use std::{error::Error, time::Duration};

/// So much of an answer is kept; the rest is not read.
const KEPT: usize = 1024;

/// What came of an attempt.
pub struct Outcome {
    /// As it is kept.
    pub attempt: Attempt,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether the other side says that the webhook is gone for good.
    pub gone: bool,
}

/// What every attempt needs.
pub struct Sender {
    /// What connects only where webhooks may be.
    pub client: Client,
    /// Where that is.
    pub reach: Reach,
    /// What may not be sent.
    pub known: Known,
    /// Where people find this server, without a slash at the end.
    pub pages: String,
}

impl Sender {
    /// What a delivery says, the same for every attempt as long as nothing in it becomes a secret.
    pub fn body(&self, delivery: &Delivery) -> Vec<u8> {
        let mut data = delivery.data.clone();
        let number = data["session"].as_str().and_then(|session| session.strip_prefix("r/")).map(str::to_owned);
        if let Some(number) = number {
            data["url"] = json!(format!("{}/r/{number}", self.pages));
        }
        let mut body = json!({
            "id": delivery.id,
            "type": delivery.event.name(),
            "timestamp": time::rfc3339(delivery.created_at),
            "data": data,
        });
        self.known.redactor().redact_json(&mut body);
        body.to_string().into_bytes()
    }

    /// Tries once.
    pub async fn attempt(&self, webhook: &Webhook, secret: &Secret, delivery: &Delivery, clock: &dyn Clock) -> Outcome {
        let (at, began) = (clock.now(), clock.monotonic());
        let sent = self.send(webhook, secret, delivery, at).await;
        let mut outcome = match sent {
            Ok(answer) => self.read(answer, at).await,
            Err(error) => failed(at, error),
        };
        let took = clock.monotonic().saturating_sub(began);
        outcome.attempt.duration_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        outcome
    }

    async fn send(
        &self,
        webhook: &Webhook,
        secret: &Secret,
        delivery: &Delivery,
        at: Timestamp,
    ) -> Result<Response, String> {
        // An address that is written out is never looked up, and the settings may be others than when it was given.
        let url = self.reach.check(&webhook.url)?;
        let body = self.body(delivery);
        let signature = sign::signature(secret, delivery.id, at, &body);
        let request = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", delivery.id.to_string())
            .header("webhook-timestamp", sign::seconds(at).to_string())
            .header("webhook-signature", signature)
            .body(body);
        request.send().await.map_err(|error| why(&error))
    }

    async fn read(&self, mut answer: Response, at: Timestamp) -> Outcome {
        let status = answer.status();
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| asked(text, at));
        let mut kept = Vec::new();
        // The status counts, whatever becomes of the rest.
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = KEPT - kept.len();
            kept.extend_from_slice(&chunk[..room.min(chunk.len())]);
            if kept.len() == KEPT {
                break;
            }
        }
        let error = if status.is_success() {
            None
        } else if status.is_redirection() {
            Some(format!("it answered {status}, and redirects are not followed"))
        } else {
            Some(format!("it answered {status}"))
        };
        let answer = String::from_utf8_lossy(&kept).into_owned();
        let attempt = Attempt { at, duration_ms: 0, status: Some(i64::from(status.as_u16())), error, answer };
        Outcome { attempt, retry_after, gone: status == StatusCode::GONE }
    }
}

/// An attempt that brought no answer.
pub fn failed(at: Timestamp, error: String) -> Outcome {
    let attempt = Attempt { at, duration_ms: 0, status: None, error: Some(error), answer: String::new() };
    Outcome { attempt, retry_after: None, gone: false }
}

/// What went wrong, without the address (it may hold a secret) and without what a name leads to.
fn why(error: &reqwest::Error) -> String {
    let mut root: &dyn Error = error;
    loop {
        if root.downcast_ref::<OutOfReach>().is_some() {
            return format!("{OutOfReach}; webhooks.networks in the configuration allows others than public ones");
        }
        match root.source() {
            Some(source) => root = source,
            None => break,
        }
    }
    if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else if error.is_connect() {
        format!("it could not be reached: {root}")
    } else {
        format!("the connection was cut: {root}")
    }
}

/// The wait that a `Retry-After` header asks for: seconds, or a moment.
fn asked(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Timestamp(until.as_microsecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_as_a_moment() {
        let now = Timestamp(1_764_306_000_000_000);
        for (text, wanted) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Fri, 28 Nov 2025 05:01:00 GMT", Some(60)),
            ("Fri, 28 Nov 2025 04:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(asked(text, now), wanted.map(Duration::from_secs), "{text}");
        }
    }
}
