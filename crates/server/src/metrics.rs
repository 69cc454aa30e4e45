//! What is counted, for Prometheus. No value of a label comes from whoever asks.

use axum::http::{Method, StatusCode};
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::{fmt, time::Duration};

type Labels = Vec<(&'static str, String)>;

/// The numbers of one server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
    operations: Family<Labels, Counter>,
    /// Connections, WebSockets too.
    pub connections: Gauge,
    /// Connections that were not let in.
    pub refused: Counter,
    /// WebSockets.
    pub sockets: Gauge,
    /// Subscriptions on them.
    pub subscriptions: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// All at nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("runyard");
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (requests, operations) = (Family::default(), Family::default());
        let (connections, sockets, subscriptions) = (Gauge::default(), Gauge::default(), Gauge::default());
        let refused = Counter::default();
        registry.register("http_requests", "Requests that were answered", Family::clone(&requests));
        registry.register("http_request_duration_seconds", "How long answers took", Family::clone(&durations));
        registry.register("graphql_operations", "GraphQL operations over HTTP", Family::clone(&operations));
        registry.register("connections", "Connections that are open", Gauge::clone(&connections));
        registry.register("connections_refused", "Connections beyond the limits", Counter::clone(&refused));
        registry.register("websockets", "WebSockets that are open", Gauge::clone(&sockets));
        registry.register("subscriptions", "GraphQL subscriptions that live", Gauge::clone(&subscriptions));
        Self { registry, requests, durations, operations, connections, refused, sockets, subscriptions }
    }

    /// Counts an answer of a route, by the pattern of its path.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => method.as_str(),
            _ => "other",
        };
        let route = ("route", route.to_owned());
        self.durations.get_or_create(&vec![route.clone()]).observe(took.as_secs_f64());
        let labels = vec![route, ("method", method.to_owned()), ("status", status.as_str().to_owned())];
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts a GraphQL operation, by the code of its first error.
    pub fn operated(&self, outcome: &'static str) {
        self.operations.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    /// All numbers as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut all = String::new();
        text::encode(&mut all, &self.registry)?;
        Ok(all)
    }
}

fn histogram() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0])
}

/// Something that is open, for as long as this is kept.
#[derive(Debug)]
pub struct Open(Gauge);

impl Open {
    /// One more.
    pub fn one(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
