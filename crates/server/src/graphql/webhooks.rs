//! Webhooks: addresses outside that are told what happens. Maintainers only: an address may hold what only they know.

use super::{
    Call, call,
    enums::{DeliveryState, WebhookEvent},
    error::{Code, Failure},
    scalars::{DateTime, Long},
};
use crate::{
    people::checked_name,
    webhooks::{SealError, new_secret},
};
use async_graphql::{
    ComplexObject, Context, ID, InputObject, Object, Result, SimpleObject,
    connection::{Connection, ConnectionNameType, CursorType, Edge, EdgeNameType, EmptyFields, EnableNodesField},
};
use domain::{Delivery, DeliveryId, SecretId, Timestamp, Webhook, WebhookId};
use engine::{Right, Told};
use store::{MOST_WEBHOOKS, StoreError};

/// Deliveries of a page at most.
const LONGEST_PAGE: i32 = 100;

/// A place among the deliveries of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(Timestamp, DeliveryId);

impl CursorType for Place {
    type Error = &'static str;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        let wrong = "this is no cursor of a list of deliveries";
        let (at, id) = text.split_once('/').ok_or(wrong)?;
        Ok(Self(Timestamp(at.parse().map_err(|_| wrong)?), id.parse().map_err(|_| wrong)?))
    }

    fn encode_cursor(&self) -> String {
        format!("{}/{}", self.0.0, self.1)
    }
}

type Deliveries =
    Connection<Place, DeliveryShown, EmptyFields, EmptyFields, DeliveriesName, DeliveryEdgeName, EnableNodesField>;

/// Names of the types of a page of deliveries.
pub struct DeliveriesName;

impl ConnectionNameType for DeliveriesName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "WebhookDeliveryConnection".to_owned()
    }
}

/// The name of its edges' type.
pub struct DeliveryEdgeName;

impl EdgeNameType for DeliveryEdgeName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "WebhookDeliveryEdge".to_owned()
    }
}

/// An address outside that is told what happens.
#[derive(Debug, SimpleObject)]
#[graphql(name = "Webhook", complex)]
pub struct WebhookShown {
    id: ID,
    name: String,
    url: String,
    /// What it is told of; null: everything.
    events: Option<Vec<WebhookEvent>>,
    /// Whether it is told.
    active: bool,
    /// Why the server switched it off; null when it did not.
    switched_off: Option<String>,
    /// The first failed attempt after which none succeeded.
    failing_since: Option<DateTime>,
    /// When its signing secret was made.
    secret_made_at: DateTime,
    created_at: DateTime,
    changed_at: DateTime,
    #[graphql(skip)]
    own: WebhookId,
}

#[ComplexObject]
impl WebhookShown {
    /// What it was told, newest first. Those that are over are kept for 30 days, and of each webhook a thousand.
    #[graphql(complexity = "(first.clamp(1, 100) as usize) * child_complexity / 2")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20)] first: i32,
        after: Option<String>,
    ) -> Result<Deliveries> {
        if !(1..=LONGEST_PAGE).contains(&first) {
            let told = format!("ask for 1 to {LONGEST_PAGE} deliveries");
            return Err(Failure::new(Code::BadRequest, told).field("first").into());
        }
        let told = |wrong: &str| Failure::new(Code::BadRequest, wrong).field("after");
        let before = after.map(|cursor| Place::decode_cursor(&cursor).map_err(told)).transpose()?;
        let call = call(ctx)?;
        let (record, limit) = (&call.state.webhooks.parts.record, i64::from(first) + 1);
        let before = before.map(|Place(at, id)| (at, id));
        let found = record.deliveries(call.state.account, self.own, before, limit).await;
        let mut found = found.map_err(Failure::from)?;
        let length = usize::try_from(first)?;
        let mut shown = Deliveries::new(before.is_some(), found.len() > length);
        found.truncate(length);
        shown.edges.extend(found.into_iter().map(|it| Edge::new(Place(it.created_at, it.id), it.into())));
        Ok(shown)
    }
}

impl From<Webhook> for WebhookShown {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id.to_string().into(),
            own: webhook.id,
            name: webhook.name,
            url: webhook.url,
            events: webhook.events.map(|events| events.into_iter().map(WebhookEvent::from).collect()),
            active: webhook.active,
            switched_off: webhook.switched_off,
            failing_since: webhook.failing_since.map(DateTime),
            secret_made_at: DateTime(webhook.secret_made_at),
            created_at: DateTime(webhook.created_at),
            changed_at: DateTime(webhook.changed_at),
        }
    }
}

/// One telling of one event to one webhook.
#[derive(Debug, SimpleObject)]
#[graphql(name = "WebhookDelivery")]
pub struct DeliveryShown {
    /// The same for every attempt, also as `webhook-id`.
    id: ID,
    event: WebhookEvent,
    /// The session that it is about, such as `r/42`; null for a ping.
    session: Option<String>,
    /// When it happened.
    created_at: DateTime,
    state: DeliveryState,
    /// How often it was tried.
    attempts: i32,
    /// When it is tried next; null when it is not.
    next_attempt_at: Option<DateTime>,
    /// When it was tried last.
    attempted_at: Option<DateTime>,
    /// How long that took, in milliseconds.
    duration_ms: Option<Long>,
    /// The status of the answer.
    status: Option<i32>,
    /// Why it failed.
    error: Option<String>,
    /// How the answer begins.
    answer: Option<String>,
}

impl From<Delivery> for DeliveryShown {
    fn from(delivery: Delivery) -> Self {
        let waits = delivery.state == domain::DeliveryState::Waiting;
        let last = delivery.last;
        Self {
            id: delivery.id.to_string().into(),
            event: delivery.event.into(),
            session: delivery.data["session"].as_str().map(str::to_owned),
            created_at: DateTime(delivery.created_at),
            state: delivery.state.into(),
            attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
            next_attempt_at: waits.then_some(DateTime(delivery.due_at)),
            attempted_at: last.as_ref().map(|last| DateTime(last.at)),
            duration_ms: last.as_ref().map(|last| last.duration_ms.into()),
            status: last.as_ref().and_then(|last| last.status).and_then(|status| i32::try_from(status).ok()),
            error: last.as_ref().and_then(|last| last.error.clone()),
            answer: last.map(|last| last.answer),
        }
    }
}

/// A webhook and its signing secret, which is never shown again.
#[derive(Debug, SimpleObject)]
pub struct NewWebhookSecret {
    webhook: WebhookShown,
    secret: String,
}

/// What a webhook is.
#[derive(Debug, InputObject)]
pub struct WebhookInput {
    name: String,
    /// `https://`, with a host that is public, unless the configuration allows others.
    url: String,
    /// What it is told of; null: everything.
    events: Option<Vec<WebhookEvent>>,
    /// Whether it is told.
    #[graphql(default = true)]
    active: bool,
}

/// What can be read of webhooks.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookQuery;

#[Object]
impl WebhookQuery {
    /// Webhooks by name, at most 20. Maintainers only.
    #[graphql(complexity = "20 * child_complexity")]
    async fn webhooks(&self, ctx: &Context<'_>) -> Result<Vec<WebhookShown>> {
        all(&*call(ctx)?).await
    }

    /// A webhook; null when there is none with this id. Maintainers only.
    async fn webhook(&self, ctx: &Context<'_>, id: ID) -> Result<Option<WebhookShown>> {
        Ok(all(&*call(ctx)?).await?.into_iter().find(|webhook| webhook.id == id))
    }
}

/// What can be changed about webhooks.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookMutations;

#[Object]
impl WebhookMutations {
    /// Adds a webhook. The secret that its deliveries are signed with is in the answer and is never shown again.
    /// Maintainers only.
    async fn add_webhook(&self, ctx: &Context<'_>, input: WebhookInput) -> Result<NewWebhookSecret> {
        let call = call(ctx)?;
        let wanted = checked(&call, input)?;
        let (state, secret) = (&call.state, new_secret());
        let (mint, now) = (state.mint.as_ref(), state.clock.now());
        let webhook = Webhook {
            id: WebhookId::new(mint),
            account: state.account,
            name: wanted.name,
            url: wanted.url,
            events: wanted.events,
            active: wanted.active,
            switched_off: None,
            failing_since: None,
            secret: SecretId::new(mint),
            secret_made_at: now,
            created_at: now,
            changed_at: now,
        };
        let sealed = state.webhooks.seals.seal(webhook.id, webhook.secret, &secret, now).await.map_err(unsealed)?;
        let told = told("webhook.add", &webhook);
        let added = call.doing(told, state.webhooks.parts.record.add_webhook(&webhook, &sealed)).await;
        added.map_err(taken)?;
        Ok(NewWebhookSecret { webhook: webhook.into(), secret: secret.expose().to_owned() })
    }

    /// Changes a webhook. One that is switched off is told nothing, also not of what waits. Maintainers only.
    async fn change_webhook(&self, ctx: &Context<'_>, id: ID, input: WebhookInput) -> Result<WebhookShown> {
        let call = call(ctx)?;
        let wanted = checked(&call, input)?;
        let old = one(&call, &id).await?;
        let webhook = Webhook {
            name: wanted.name,
            url: wanted.url,
            events: wanted.events,
            active: wanted.active,
            changed_at: call.state.clock.now(),
            ..old
        };
        let told = told("webhook.change", &webhook);
        let changed = call.doing(told, call.state.webhooks.parts.record.change_webhook(&webhook)).await;
        Ok(changed.map_err(taken)?.into())
    }

    /// Removes a webhook with its secret and all that is known of its deliveries. Maintainers only.
    async fn remove_webhook(&self, ctx: &Context<'_>, id: ID) -> Result<Vec<WebhookShown>> {
        let call = call(ctx)?;
        let webhook = one(&call, &id).await?;
        let told = Told::new("webhook.remove", &webhook.name).with("id", webhook.id);
        let work = call.state.webhooks.parts.record.remove_webhook(call.state.account, webhook.id);
        if !call.doing(told, work).await.map_err(Failure::from)? {
            return Err(missing("webhook").into());
        }
        all(&call).await
    }

    /// Gives a webhook another signing secret, which is in the answer and is never shown again. The one before signs
    /// nothing any more. Maintainers only.
    async fn rotate_webhook_secret(&self, ctx: &Context<'_>, id: ID) -> Result<NewWebhookSecret> {
        let call = call(ctx)?;
        let webhook = one(&call, &id).await?;
        let (state, secret, now) = (&call.state, new_secret(), call.state.clock.now());
        let row = SecretId::new(state.mint.as_ref());
        let sealed = state.webhooks.seals.seal(webhook.id, row, &secret, now).await.map_err(unsealed)?;
        let told = Told::new("webhook.rotate_secret", &webhook.name).with("id", webhook.id);
        let work = state.webhooks.parts.record.rotate_webhook(webhook.id, &sealed, now);
        let webhook = call.doing(told, work).await.map_err(Failure::from)?;
        Ok(NewWebhookSecret { webhook: webhook.into(), secret: secret.expose().to_owned() })
    }

    /// Tells a webhook `ping`, to try whether it works. Maintainers only.
    async fn ping_webhook(&self, ctx: &Context<'_>, id: ID) -> Result<DeliveryShown> {
        let call = call(ctx)?;
        let webhook = one(&call, &id).await?;
        on(&webhook)?;
        let state = &call.state;
        let ping = Delivery::ping(state.mint.uuid(), webhook.id, state.clock.now());
        let told = Told::new("webhook.ping", &webhook.name).with("id", webhook.id);
        let work = state.webhooks.parts.record.add_delivery(state.account, &ping);
        call.doing(told, work).await.map_err(Failure::from)?;
        state.webhooks.hurry();
        Ok(ping.into())
    }

    /// Tells a webhook once more what it was told, or what was given up: the same words under the same id. Maintainers
    /// only.
    async fn redeliver(&self, ctx: &Context<'_>, webhook: ID, delivery: ID) -> Result<DeliveryShown> {
        let call = call(ctx)?;
        let webhook = one(&call, &webhook).await?;
        on(&webhook)?;
        let id: DeliveryId = delivery.parse().map_err(|_| missing("delivery"))?;
        let state = &call.state;
        let told = Told::new("webhook.redeliver", &webhook.name).with("delivery", id);
        let work = state.webhooks.parts.record.redeliver(state.account, webhook.id, id, state.clock.now());
        let again = call.doing(told, work).await.map_err(|error| match error {
            StoreError::Missing { .. } => missing("delivery"),
            StoreError::Conflict { .. } => Failure::new(Code::Conflict, "it is being delivered already"),
            other => other.into(),
        })?;
        state.webhooks.hurry();
        Ok(again.into())
    }
}

struct Wanted {
    name: String,
    url: String,
    events: Option<Vec<domain::WebhookEvent>>,
    active: bool,
}

/// What somebody wants who may, checked field by field.
fn checked(call: &Call, input: WebhookInput) -> Result<Wanted, Failure> {
    call.must(Right::Configure)?;
    let wrong = |field: &str, why: String| Failure::new(Code::BadRequest, why).field(format!("input.{field}"));
    let name = checked_name(&input.name).map_err(|why| wrong("name", why))?;
    let state = &call.state;
    let url = state.webhooks.reach.check(&input.url).map_err(|why| wrong("url", why.to_owned()))?;
    let host = url.host_str().unwrap_or_default();
    let named = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if state.origins.is_here(&named) {
        return Err(wrong("url", "this is Runyard itself".to_owned()));
    }
    if state.webhooks.parts.known.redactor().finds_in(input.url.as_bytes()) {
        let why = "there is a stored secret in this address, which would be masked";
        return Err(wrong("url", why.to_owned()).mend("deliveries are signed: they need no secret in the address"));
    }
    let events = input.events.map(|events| {
        let mut events: Vec<_> = events.into_iter().map(domain::WebhookEvent::from).collect();
        events.sort_unstable();
        events.dedup();
        events
    });
    if events.as_ref().is_some_and(Vec::is_empty) {
        return Err(wrong("events", "choose at least one event, or all of them".to_owned()));
    }
    Ok(Wanted { name, url: url.to_string(), events, active: input.active })
}

/// How the audit log tells what a webhook is from now on. Of its address the host is told: the rest may be secret.
fn told(action: &'static str, webhook: &Webhook) -> Told {
    let host = url::Url::parse(&webhook.url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let events = webhook.events.as_ref().map_or_else(
        || "all".to_owned(),
        |events| events.iter().map(|event| event.name()).collect::<Vec<_>>().join(", "),
    );
    Told::new(action, &webhook.name)
        .with("id", webhook.id)
        .with("host", host)
        .with("events", events)
        .with("active", webhook.active)
}

async fn all(call: &Call) -> Result<Vec<WebhookShown>> {
    Ok(rows(call).await?.into_iter().map(WebhookShown::from).collect())
}

async fn rows(call: &Call) -> Result<Vec<Webhook>, Failure> {
    call.must(Right::Configure)?;
    Ok(call.state.webhooks.parts.record.webhooks(call.state.account).await?)
}

async fn one(call: &Call, id: &ID) -> Result<Webhook, Failure> {
    let found = rows(call).await?.into_iter().find(|webhook| webhook.id.to_string() == **id);
    found.ok_or_else(|| missing("webhook"))
}

fn on(webhook: &Webhook) -> Result<(), Failure> {
    if webhook.active {
        return Ok(());
    }
    Err(Failure::new(Code::Conflict, "this webhook is switched off").mend("switch it on first"))
}

fn missing(what: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no such {what}"))
}

fn taken(error: StoreError) -> Failure {
    match error {
        StoreError::Conflict { what: "webhook", .. } => {
            Failure::new(Code::Conflict, "there is a webhook of this name already").field("input.name")
        }
        StoreError::Conflict { what: "webhooks", .. } => {
            Failure::new(Code::Conflict, format!("an account has at most {MOST_WEBHOOKS} webhooks"))
                .mend("remove one that nobody needs")
        }
        other => other.into(),
    }
}

fn unsealed(error: SealError) -> Failure {
    match error {
        SealError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "the signing secret of a webhook cannot be sealed");
            Failure::new(Code::Environment, "the signing secret cannot be sealed; the server's log says why").mend(
                "`secrets.keyring` names the file of the keys; servers that share a database need the same one: make \
                 it with `runyard secret set` on one and copy it to the others",
            )
        }
    }
}
