//! Webhooks: what happens is told to those who want it, signed, again when it fails, and to nobody who may not be told.

use crate::{
    receiver::{Act, Got, Receiver},
    world::{ACCOUNT, Ahead, Guest, World, code},
};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    Account, AccountId, ActionId, BranchName, Budget, Clock as _, EventPayload, Mode, PrMode, Repository, RepositoryId,
    Role, RunId, RunState, Session, SessionId, SessionNumber, SystemClock, Usage, User, UserId,
};
use serde_json::{Value, json};
use server::Doors;
use std::{sync::Arc, time::Duration};
use store::{Audit as _, AuditPage, Fence, Store as _, Vault as _, Webhooks as _, Write};
use tokio::time::sleep;
use uuid::Uuid;

const FIELDS: &str = "id event session state attempts status error answer nextAttemptAt durationMs";

fn id(n: u128) -> Uuid {
    Uuid::from_u128(7_000 + n)
}

struct Place {
    world: World,
    ada: Guest,
    clock: Arc<Ahead>,
}

impl Place {
    /// A server whose clock can be put forward, with a session of the account.
    async fn new() -> Self {
        let clock = Ahead::new();
        let world = World::through(Doors::default(), clock.clone()).await;
        let ada = world.admin().await;
        settle(&world, ACCOUNT, 1).await;
        Self { world, ada, clock }
    }

    /// Adds a webhook; its id and its secret.
    async fn add(&self, name: &str, url: &str, rest: &str) -> (String, String) {
        let query = format!(
            "mutation {{ addWebhook(input: {{ name: \"{name}\", url: \"{url}\"{rest} }}) {{ secret webhook {{ id }} }} }}"
        );
        let answer = self.world.ask(&self.ada, &query).await;
        let new = &answer["data"]["addWebhook"];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        (text(&new["webhook"]["id"]), text(&new["secret"]))
    }

    async fn webhook(&self, id: &str) -> Value {
        let query = format!(
            "{{ webhook(id: \"{id}\") {{ name active switchedOff failingSince deliveries(first: 100) {{ nodes {{ {FIELDS} }} }} }} }}"
        );
        self.world.ask(&self.ada, &query).await["data"]["webhook"].clone()
    }

    async fn deliveries(&self, id: &str) -> Vec<Value> {
        self.webhook(id).await["deliveries"]["nodes"].as_array().expect("a list").clone()
    }

    /// The newest delivery, once it is as wanted.
    async fn newest(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..2_000 {
            if let Some(found) = self.deliveries(id).await.into_iter().next().filter(&wanted) {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not come to be: {:?}", self.deliveries(id).await);
    }

    fn forward(&self, minutes: i64) {
        self.clock.minutes.fetch_add(minutes, std::sync::atomic::Ordering::SeqCst);
    }

    /// A run of the session changes its state.
    async fn happens(&self, state: RunState) {
        commit(&self.world, 1, &[run_is(state)]).await;
    }
}

fn run_is(state: RunState) -> EventPayload {
    let (run, action) = (RunId(id(1)), ActionId(id(2)));
    EventPayload::RunState { run, action, action_kind: "plan".into(), step: None, state, message: None }
}

async fn commit(world: &World, session: u128, events: &[EventPayload]) {
    let (session, now) = (SessionId(id(100 + session)), SystemClock::new().now());
    world.store.commit(session, Fence::Open, &[], events, now).await.expect("commits");
}

/// An account with a session.
async fn settle(world: &World, account: AccountId, n: u128) {
    let store = &world.store;
    store.account(&Account { id: account, name: account.to_string() }).await.expect("an account");
    let (repository, requester) = (RepositoryId(id(10 + n)), UserId(id(20 + n)));
    let name = if n == 1 { "engine".to_owned() } else { format!("engine {n}") };
    let (forge, location) = ("local".to_owned(), format!("/srv/git/{n}"));
    let of = Repository { id: repository, account, name, forge, location };
    store.add_repository(&of).await.expect("a repository");
    let (name, email) = ("Grace".to_owned(), format!("grace{n}@example.org"));
    store.user(&User { id: requester, account, name, email, role: Role::Member }).await.expect("a person");
    let commit = "1".repeat(40);
    let session = Session {
        id: SessionId(id(100 + n)),
        number: SessionNumber(0),
        account,
        repository,
        requester,
        title: "Add an index".to_owned(),
        prompt: "Add an index".to_owned(),
        mode: Mode::Standard,
        pr_mode: PrMode::StackedPr,
        draft: false,
        labels: vec![],
        extras: domain::Extras::default(),
        target_branch: BranchName::try_from("main".to_owned()).expect("a branch"),
        base: commit.parse().expect("a commit"),
        budget: Budget::default(),
        run_budget: Budget::default(),
        agent_session: id(50),
        version: 0,
        last_event: 0,
        usage: Usage::default(),
        archived: false,
        created_at: domain::Timestamp(1),
    };
    store.begin_session(&session, &[], &[], domain::Timestamp(2)).await.expect("a session");
}

/// Whether a request is signed with a secret, as `docs/webhooks.md` says.
fn is_signed(got: &Got, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("Base64");
    let mut signed = format!("{}.{}.", got.header("webhook-id"), got.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&got.body);
    let signature = STANDARD.decode(got.header("webhook-signature").strip_prefix("v1,").expect("v1")).expect("Base64");
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &signature).is_ok()
}

#[tokio::test]
async fn what_happens_is_told_signed_and_in_order() {
    let place = Place::new().await;
    let (all, some) = (Receiver::start([]).await, Receiver::start([]).await);
    let (hook, secret) = place.add("all", &all.url, "").await;
    place.add("some", &some.url.replace("127.0.0.1", "localhost"), ", events: [RUN_SUCCEEDED]").await;
    place.happens(RunState::Running).await;
    place.happens(RunState::Waiting).await;
    place.happens(RunState::Succeeded).await;
    let (session, now) = (SessionId(id(101)), place.clock.now());
    let said = EventPayload::Message { from: domain::Actor::System, run: None, text: "away".to_owned() };
    place.world.store.commit(session, Fence::Open, &[Write::Archive(true)], &[said], now).await.expect("commits");

    let got = all.count(4).await;
    let told: Vec<_> = got.iter().map(|got| got.json()["type"].as_str().expect("text").to_owned()).collect();
    assert_eq!(told, ["run.running", "run.waiting", "run.succeeded", "session.archived"]);
    for got in &got {
        assert!(is_signed(got, &secret), "{got:?}");
        assert!(!is_signed(&Got { body: b"{}".to_vec(), ..got.clone() }, &secret), "the body is signed");
        let body = got.json();
        assert_eq!(got.header("webhook-id"), body["id"]);
        assert_eq!((got.header("content-type"), got.path.as_str()), ("application/json", "/hook"));
        assert!(got.header("user-agent").starts_with("runyard/"));
        assert_eq!((&body["data"]["session"], &body["data"]["repository"]), (&json!("r/1"), &json!("engine")));
        assert_eq!(body["data"]["url"], format!("{}/r/1", place.world.origin()));
    }
    let first = got[0].json();
    assert_eq!((&first["data"]["number"], &first["data"]["event"]["state"]), (&json!(1), &json!("running")));
    let at = first["timestamp"].as_str().expect("text");
    assert!(at.starts_with("20") && at.ends_with('Z') && at.len() == 24, "{at}");
    let only = some.count(1).await;
    assert_eq!(only[0].json()["type"], "run.succeeded");
    assert_ne!(only[0].header("webhook-id"), got[2].header("webhook-id"), "each webhook has its own deliveries");
    let newest = place.newest(&hook, |newest| newest["state"] == "DELIVERED").await;
    assert_eq!((&newest["event"], &newest["attempts"]), (&json!("SESSION_ARCHIVED"), &json!(1)));
    assert_eq!((&newest["status"], &newest["error"]), (&json!(204), &Value::Null));
    assert_eq!((some.got().len(), all.got().len()), (1, 4), "once each");
}

#[tokio::test]
async fn what_failed_is_tried_again_the_same_and_holds_back_what_came_after_it() {
    let place = Place::new().await;
    let acts = [Act::Answer(500, "", "oops"), Act::Cut, Act::Answer(302, "location: http://127.0.0.1:1/\r\n", "")];
    let receiver = Receiver::start(acts).await;
    let (hook, secret) = place.add("flaky", &receiver.url, "").await;
    place.happens(RunState::Running).await;
    place.happens(RunState::Succeeded).await;
    let errors = ["answered 500", "connection was cut", "redirects are not followed"];
    for (tries, error) in (1..).zip(errors) {
        receiver.count(tries).await;
        let failed = |all: &[Value]| {
            let first = all.iter().find(|it| it["event"] == "RUN_RUNNING").cloned().unwrap_or_default();
            (first["attempts"] == json!(tries) && !first["error"].is_null()).then_some(first)
        };
        let mut first = None;
        for _ in 0..2_000 {
            first = failed(&place.deliveries(&hook).await).filter(|it| it["error"].to_string().contains(error));
            if first.is_some() {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        let first = first.unwrap_or_else(|| panic!("{error}"));
        assert_eq!(first["state"], "WAITING");
        assert!(!first["nextAttemptAt"].is_null());
        assert_eq!(receiver.got().len(), tries, "the clock stands, and nothing else comes meanwhile");
        place.forward(5);
    }
    let got = receiver.count(5).await;
    let ids: Vec<_> = got.iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0], "{ids:?}");
    assert!(got[..4].iter().all(|other| other.body == got[0].body), "the same words");
    assert!(got.iter().all(|got| is_signed(got, &secret)), "each attempt is signed with its own time");
    assert_ne!(got[0].header("webhook-timestamp"), got[3].header("webhook-timestamp"));
    assert_eq!(got[4].json()["type"], "run.succeeded");
    place.newest(&hook, |newest| newest["state"] == "DELIVERED").await;
    assert_eq!(place.webhook(&hook).await["failingSince"], Value::Null);
}

#[tokio::test]
async fn a_receiver_may_ask_for_a_longer_wait() {
    let place = Place::new().await;
    let receiver = Receiver::start([Act::Answer(429, "retry-after: 3600\r\n", "slow down")]).await;
    let (hook, _) = place.add("busy", &receiver.url, "").await;
    place.happens(RunState::Running).await;
    let failed = place.newest(&hook, |newest| !newest["error"].is_null()).await;
    assert_eq!((&failed["status"], &failed["answer"]), (&json!(429), &json!("slow down")));
    place.forward(30);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.got().len(), 1);
    place.forward(31);
    receiver.count(2).await;
}

#[tokio::test]
async fn what_hangs_or_floods_costs_nobody_else_anything() {
    let place = Place::new().await;
    let (hangs, floods, good) =
        (Receiver::always(Act::Hang).await, Receiver::always(Act::Flood).await, Receiver::start([]).await);
    let (hook, _) = place.add("hangs", &hangs.url, "").await;
    let (flood, _) = place.add("floods", &floods.url, "").await;
    place.add("good", &good.url, "").await;
    for n in 2..20 {
        settle(&place.world, ACCOUNT, n).await;
    }
    let began = std::time::Instant::now();
    for n in 2..20 {
        commit(&place.world, n, &[run_is(RunState::Running), run_is(RunState::Succeeded)]).await;
    }
    good.count(18 * 3).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let failed = place.newest(&flood, |newest| newest["state"] == "DELIVERED").await;
    assert_eq!(failed["answer"].as_str().map(str::len), Some(1024), "a bounded part of the answer is kept");
    // What fits into the buffers of a connection goes out, and no more.
    let each = floods.flooded() / floods.got().len();
    assert!(each < 16 << 20, "{each} bytes each");
    let mut timed_out = false;
    for _ in 0..2_000 {
        timed_out = place.deliveries(&hook).await.iter().any(|it| it["error"] == "it did not answer in time");
        if timed_out {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(timed_out);
}

#[tokio::test]
async fn what_fails_for_long_is_given_up_and_the_webhook_is_switched_off_and_said_so() {
    let place = Place::new().await;
    let receiver = Receiver::always(Act::Answer(503, "", "")).await;
    let (hook, _) = place.add("dead", &receiver.url, "").await;
    place.happens(RunState::Running).await;
    for attempt in 1..=12 {
        place.newest(&hook, |newest| newest["attempts"] == json!(attempt) && newest["status"] == 503).await;
        if attempt < 12 {
            place.newest(&hook, |newest| newest["state"] == "WAITING").await;
            place.forward(if attempt < 8 { 80 } else { 600 });
        }
    }
    place.newest(&hook, |newest| newest["state"] == "GIVEN_UP").await;
    assert_eq!(place.webhook(&hook).await["active"], true, "it failed for two days");
    place.forward(24 * 60);
    place.happens(RunState::Waiting).await;
    for attempt in 1..5 {
        let failed = |newest: &Value| newest["event"] == "RUN_WAITING" && newest["attempts"] == json!(attempt);
        place
            .newest(&hook, |newest| failed(newest) && !newest["error"].is_null() && newest["state"] == "WAITING")
            .await;
        assert_eq!(place.webhook(&hook).await["active"], true, "one failure after a long time is no reason");
        place.forward(80);
    }
    place.newest(&hook, |newest| newest["event"] == "RUN_WAITING" && newest["state"] == "GIVEN_UP").await;
    let off = place.webhook(&hook).await;
    assert_eq!(off["active"], false, "{off}");
    assert!(off["switchedOff"].as_str().expect("a reason").contains("3 days"), "{off}");
    let entries = place.world.store.audit(ACCOUNT, &domain::AuditFilter::default(), AuditPage::Newest(None), 1).await;
    let newest = &entries.expect("reads")[0].deed;
    assert!(newest.contains("webhook.switch_off") && newest.contains("\"server\""), "{newest}");

    place.happens(RunState::Succeeded).await;
    assert_eq!(place.deliveries(&hook).await.len(), 2, "nothing is kept for one that is off");
    let ping = format!("mutation {{ pingWebhook(id: \"{hook}\") {{ id }} }}");
    assert_eq!(code(&place.world.ask(&place.ada, &ping).await), Some("CONFLICT"));
    receiver.afterwards(None);
    let on = format!(
        "mutation {{ changeWebhook(id: \"{hook}\", input: {{ name: \"dead\", url: \"{}\" }}) {{ active switchedOff failingSince }} }}",
        receiver.url
    );
    let on = place.world.ask(&place.ada, &on).await;
    assert_eq!(
        on["data"]["changeWebhook"],
        json!({ "active": true, "switchedOff": null, "failingSince": null }),
        "{on}"
    );
    assert!(place.world.ask(&place.ada, &ping).await["errors"].is_null());
    let ping = place.newest(&hook, |newest| newest["state"] == "DELIVERED").await;
    assert_eq!((&ping["event"], &ping["session"]), (&json!("PING"), &Value::Null));
}

#[tokio::test]
async fn one_that_is_gone_is_switched_off_at_once_and_one_by_hand_is_told_again() {
    let place = Place::new().await;
    let receiver = Receiver::start([Act::Answer(410, "", "")]).await;
    let (hook, _) = place.add("gone", &receiver.url, "").await;
    place.happens(RunState::Running).await;
    let given_up = place.newest(&hook, |newest| newest["state"] == "GIVEN_UP").await;
    for _ in 0..2_000 {
        if place.webhook(&hook).await["active"] == false {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    let id = given_up["id"].as_str().expect("an id");
    let again = format!("mutation {{ redeliver(webhook: \"{hook}\", delivery: \"{id}\") {{ state attempts }} }}");
    assert_eq!(code(&place.world.ask(&place.ada, &again).await), Some("CONFLICT"), "it is off");
    let input = format!("{{ name: \"gone\", url: \"{}\" }}", receiver.url);
    let on = format!("mutation {{ changeWebhook(id: \"{hook}\", input: {input}) {{ active }} }}");
    assert_eq!(place.world.ask(&place.ada, &on).await["data"]["changeWebhook"]["active"], true);
    let answer = place.world.ask(&place.ada, &again).await;
    assert_eq!(answer["data"]["redeliver"], json!({ "state": "WAITING", "attempts": 0 }), "{answer}");
    let got = receiver.count(2).await;
    assert_eq!((got[0].header("webhook-id"), &got[0].body), (got[1].header("webhook-id"), &got[1].body));
    place.newest(&hook, |newest| newest["state"] == "DELIVERED").await;
    let unknown = again.replace(id, &Uuid::nil().to_string());
    assert_eq!(code(&place.world.ask(&place.ada, &unknown).await), Some("NOT_FOUND"));
}

#[tokio::test]
async fn the_secret_is_shown_once_sealed_hidden_everywhere_and_replaced_at_once() {
    let place = Place::new().await;
    let receiver = Receiver::start([]).await;
    let (hook, secret) = place.add("one", &receiver.url, "").await;
    place.happens(RunState::Running).await;
    assert!(is_signed(&receiver.count(1).await[0], &secret));
    let rows = place.world.store.secrets(ACCOUNT).await.expect("reads");
    assert_eq!(rows.len(), 1);
    let bare = secret.strip_prefix("whsec_").expect("a prefix");
    let holds = |bytes: &[u8], part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(!holds(&rows[0].sealed, bare) && !holds(&rows[0].sealed, &bare[4..20]));
    assert!(place.world.known.redactor().finds_in(secret.as_bytes()));
    assert!(place.world.known.redactor().finds_in(format!("x {bare} y").as_bytes()));

    // Whatever holds it from then on is told without it, also to the webhook itself.
    let note = EventPayload::RunState {
        run: RunId(id(1)),
        action: ActionId(id(2)),
        action_kind: "plan".into(),
        step: None,
        state: RunState::Failed(domain::Failure::Error),
        message: Some(format!("the secret is {secret}")),
    };
    commit(&place.world, 1, &[note]).await;
    let got = receiver.count(2).await;
    assert!(!holds(&got[1].body, bare) && holds(&got[1].body, "the secret is"), "{got:?}");

    let rotate = format!("mutation {{ rotateWebhookSecret(id: \"{hook}\") {{ secret webhook {{ id }} }} }}");
    let answer = place.world.ask(&place.ada, &rotate).await;
    let other = answer["data"]["rotateWebhookSecret"]["secret"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert_ne!(other, secret);
    place.happens(RunState::Succeeded).await;
    let got = receiver.count(3).await;
    assert!(is_signed(&got[2], other) && !is_signed(&got[2], &secret), "the old one signs nothing any more");
    assert_eq!(place.world.store.secrets(ACCOUNT).await.expect("reads").len(), 1);

    let removed = place.world.ask(&place.ada, &format!("mutation {{ removeWebhook(id: \"{hook}\") {{ id }} }}")).await;
    assert_eq!(removed["data"]["removeWebhook"], json!([]), "{removed}");
    assert_eq!(place.world.store.secrets(ACCOUNT).await.expect("reads").len(), 0, "its secret goes with it");
}

#[tokio::test]
async fn a_secret_in_an_answer_is_not_kept() {
    let place = Place::new().await;
    let value = "tok_9f86d081884c7d659a2feaa0c55ad015";
    place.world.known.learn([&secrets::Secret::new(value)]);
    let echo = Receiver::always(Act::Answer(200, "", "you sent tok_9f86d081884c7d659a2feaa0c55ad015")).await;
    let (hook, _) = place.add("echo", &echo.url, "").await;
    place.happens(RunState::Running).await;
    let newest = place.newest(&hook, |newest| newest["state"] == "DELIVERED").await;
    let answer = newest["answer"].as_str().expect("text");
    assert!(answer.starts_with("you sent ") && !answer.contains(value), "{answer}");
}

#[tokio::test]
async fn what_is_wrong_is_told_field_by_field() {
    let place = Place::new().await;
    place.world.known.learn([&secrets::Secret::new("tok_9f86d081884c7d659a2feaa0c55ad015")]);
    place.add("taken", "http://127.0.0.1:1/", ", active: false").await;
    let (other, _) = place.add("other", "http://127.0.0.1:1/", ", active: false").await;
    let own = place.world.origin();
    for (name, url, rest, field, code_is) in [
        ("", "http://127.0.0.1:1/", "", "input.name", "BAD_REQUEST"),
        ("taken", "http://127.0.0.1:1/", "", "input.name", "CONFLICT"),
        ("x", "hooks.example.org", "", "input.url", "BAD_REQUEST"),
        ("x", "ftp://hooks.example.org", "", "input.url", "BAD_REQUEST"),
        ("x", "http://10.0.0.1/", "", "input.url", "BAD_REQUEST"),
        ("x", "http://[::1]/", "", "input.url", "BAD_REQUEST"),
        ("x", "https://169.254.169.254/latest/meta-data", "", "input.url", "BAD_REQUEST"),
        ("x", "http://ada:pw@127.0.0.1/", "", "input.url", "BAD_REQUEST"),
        ("x", "http://127.0.0.1:1/tok_9f86d081884c7d659a2feaa0c55ad015", "", "input.url", "BAD_REQUEST"),
        ("x", own.as_str(), "", "input.url", "BAD_REQUEST"),
        ("x", "http://127.0.0.1:1/", ", events: []", "input.events", "BAD_REQUEST"),
    ] {
        let input = format!("input: {{ name: \"{name}\", url: \"{url}\"{rest} }}");
        for query in [
            format!("mutation {{ addWebhook({input}) {{ secret }} }}"),
            format!("mutation {{ changeWebhook(id: \"{other}\", {input}) {{ id }} }}"),
        ] {
            let answer = place.world.ask(&place.ada, &query).await;
            let told = (code(&answer), answer["errors"][0]["extensions"]["field"].as_str());
            assert_eq!(told, (Some(code_is), Some(field)), "{query}: {answer}");
        }
    }
    for n in 0..18 {
        place.add(&format!("hook {n}"), "http://127.0.0.1:1/", ", active: false").await;
    }
    let query = "mutation { addWebhook(input: { name: \"one more\", url: \"http://127.0.0.1:1/\" }) { secret } }";
    let answer = place.world.ask(&place.ada, query).await;
    assert_eq!(code(&answer), Some("CONFLICT"), "{answer}");
    assert!(answer["errors"][0]["message"].to_string().contains("at most 20"), "{answer}");
    assert_eq!(place.world.store.secrets(ACCOUNT).await.expect("reads").len(), 20, "no secret is left over");
}

#[tokio::test]
async fn another_account_sees_tells_and_redelivers_nothing() {
    let place = Place::new().await;
    let receiver = Receiver::start([]).await;
    let (hook, _) = place.add("mine", &receiver.url, "").await;
    place.happens(RunState::Running).await;
    let mine = place.newest(&hook, |newest| newest["state"] == "DELIVERED").await;
    let delivery = mine["id"].as_str().expect("an id");
    let beside = place.world.beside().await;
    let eve = beside.admin().await;
    assert_eq!(beside.ask(&eve, "{ webhooks { id } }").await["data"]["webhooks"], json!([]));
    let looked = beside.ask(&eve, &format!("{{ webhook(id: \"{hook}\") {{ id }} }}")).await;
    assert_eq!(looked["data"]["webhook"], Value::Null);
    let input = "input: { name: \"x\", url: \"http://127.0.0.1:1/\" }";
    for query in [
        format!("mutation {{ changeWebhook(id: \"{hook}\", {input}) {{ id }} }}"),
        format!("mutation {{ removeWebhook(id: \"{hook}\") {{ id }} }}"),
        format!("mutation {{ rotateWebhookSecret(id: \"{hook}\") {{ secret }} }}"),
        format!("mutation {{ pingWebhook(id: \"{hook}\") {{ id }} }}"),
        format!("mutation {{ redeliver(webhook: \"{hook}\", delivery: \"{delivery}\") {{ id }} }}"),
    ] {
        assert_eq!(code(&beside.ask(&eve, &query).await), Some("NOT_FOUND"), "{query}");
    }
    // With a webhook of their own they do not reach another's delivery either.
    let query = format!(
        "mutation {{ addWebhook(input: {{ name: \"eve\", url: \"{}\" }}) {{ webhook {{ id }} }} }}",
        receiver.url
    );
    let answer = beside.ask(&eve, &query).await;
    let own = answer["data"]["addWebhook"]["webhook"]["id"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let query = format!("mutation {{ redeliver(webhook: \"{own}\", delivery: \"{delivery}\") {{ id }} }}");
    assert_eq!(code(&beside.ask(&eve, &query).await), Some("NOT_FOUND"));
    // What happens in one account is told to nobody of the other.
    place.happens(RunState::Succeeded).await;
    receiver.count(2).await;
    assert_eq!(
        place
            .world
            .store
            .deliveries(AccountId(Uuid::from_u128(99)), own.parse().expect("an id"), None, 9)
            .await
            .expect("reads"),
        []
    );
    let grace = place.world.invited(&place.ada, "member", "MEMBER").await;
    assert_eq!(code(&place.world.ask(&grace, "{ webhooks { url } }").await), Some("FORBIDDEN"));
}

#[tokio::test]
async fn two_servers_on_one_record_tell_everything_once() {
    let place = Place::new().await;
    let other = server::Server::start(place.world.parts(crate::world::here())).await.expect("starts");
    let receiver = Receiver::start([]).await;
    place.add("one", &receiver.url, "").await;
    for _ in 0..20 {
        commit(&place.world, 1, &[run_is(RunState::Running), run_is(RunState::Waiting)]).await;
    }
    let got = receiver.count(40).await;
    let numbers: Vec<_> = got.iter().map(|got| got.json()["data"]["number"].as_i64().expect("a number")).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "in order");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(receiver.got().len(), 40, "once");
    drop(other);
}

#[tokio::test]
async fn deliveries_are_paged() {
    let place = Place::new().await;
    let receiver = Receiver::start([]).await;
    let (hook, _) = place.add("one", &receiver.url, "").await;
    commit(&place.world, 1, &vec![run_is(RunState::Running); 5]).await;
    let mut after = String::new();
    let mut seen = Vec::new();
    loop {
        let query = format!(
            "{{ webhook(id: \"{hook}\") {{ deliveries(first: 2{after}) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        );
        let page = place.world.ask(&place.ada, &query).await["data"]["webhook"]["deliveries"].clone();
        seen.extend(page["nodes"].as_array().expect("a list").iter().map(|it| it["id"].to_string()));
        if page["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5, "each once");
    for (rest, field) in [("(first: 0)", "first"), ("(first: 101)", "first"), ("(after: \"x\")", "after")] {
        let query = format!("{{ webhook(id: \"{hook}\") {{ deliveries{rest} {{ nodes {{ id }} }} }} }}");
        let answer = place.world.ask(&place.ada, &query).await;
        assert_eq!(answer["errors"][0]["extensions"]["field"], field, "{answer}");
    }
}
