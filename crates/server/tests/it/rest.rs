//! The REST API as other programs use it. Cases that other tools document have their number in the test's name.

use crate::world::{Guest, World};
use domain::{Change, ChangeId, ChangeKey, ChangeState, Mode, PrMode, SessionId, StepId, Usage};
use engine::{Command, NewSession};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A program with the token of somebody.
struct Program<'w> {
    world: &'w World,
    guest: Guest,
}

impl<'w> Program<'w> {
    async fn of_ada(world: &'w World) -> Self {
        let ada = world.admin().await;
        Self { world, guest: world.token(&ada, false).await }
    }

    async fn asks(&self, method: Method, path: &str, body: Option<&str>) -> (u16, Value) {
        let mut request = self.world.request(method, path);
        if let Some((name, value)) = &self.guest.proof {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.asks(Method::GET, path, None).await
    }

    async fn post(&self, body: &Value) -> (u16, Value) {
        self.asks(Method::POST, "/api/v1/runbook", Some(&body.to_string())).await
    }

    async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.asks(Method::PATCH, path, Some(&body.to_string())).await
    }
}

/// A request for the one repository, with more about it.
fn wanted(more: &Value) -> Value {
    let mut body = json!({ "repository": { "org": "local", "name": "shop" }, "prompt": "x" });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn created(world: &World) -> Vec<NewSession> {
    let asked = world.stand_in.asked.lock().expect("no test panicked");
    let new = asked.iter().filter_map(|(_, command)| match command {
        Command::CreateSession(new) => Some(new.clone()),
        _ => None,
    });
    new.collect()
}

fn twist(world: &World, how: fn(&mut engine::SessionView)) {
    *world.stand_in.twist.lock().expect("no test panicked") = how;
}

fn no_plan(view: &mut engine::SessionView) {
    view.runbook = None;
    view.steps.clear();
}

#[tokio::test]
async fn t001_a_session_is_made_and_told_about() {
    let world = World::new().await;
    twist(&world, no_plan);
    let program = Program::of_ada(&world).await;
    let (status, told) = program.post(&wanted(&json!({}))).await;
    assert_eq!(status, 202, "{told}");
    let steps = json!({ "total": 0, "not_started": 0, "in_progress": 0, "completed": 0, "failed": 0, "queued": 0 });
    let url = format!("{}/r/1", world.origin());
    let expected = json!({
        "runbook_number": 1, "url": url, "status": "generating_steps", "steps": steps, "pull_requests": []
    });
    assert_eq!(told, expected);
    assert_eq!(program.get("/api/v1/runbook/1").await, (200, expected));
}

#[tokio::test]
async fn t003_t005_what_cannot_be_made_is_not_made() {
    let world = World::new().await;
    let program = Program::of_ada(&world).await;
    let without = json!({ "repository": { "org": "local", "name": "shop" } });
    let elsewhere = json!({ "repository": { "org": "acme", "name": "shop" }, "intent": "x" });
    let path = json!({ "repository": { "org": "", "name": "srv/shop" }, "intent": "x" });
    for (body, status, code, field) in [
        (without, 400, "bad-request", "intent"),
        (wanted(&json!({ "prompt": " \n" })), 400, "bad-request", "intent"),
        (wanted(&json!({ "intent": "y" })), 400, "bad-request", "intent"),
        (wanted(&json!({ "prompt": "x".repeat(65_537) })), 400, "bad-request", "intent"),
        (wanted(&json!({ "labels": ["a", "\u{7f}"] })), 400, "bad-request", "labels"),
        (wanted(&json!({ "author_email": "nobody@example.org" })), 400, "bad-request", "author_email"),
        (
            wanted(&json!({ "spec_file": { "filename": "../x", "content": "" } })),
            400,
            "bad-request",
            "spec_file.filename",
        ),
        (elsewhere, 404, "not-found", "repository"),
        (path, 400, "bad-request", "repository.org"),
    ] {
        let (got, told) = program.post(&body).await;
        assert_eq!((got, told["error"].as_str(), told["field"].as_str()), (status, Some(code), Some(field)), "{told}");
        assert!(!told["message"].as_str().expect("a sentence").is_empty());
    }
    assert!(created(&world).is_empty());
}

#[tokio::test]
async fn json_is_taken_word_for_word() {
    let world = World::new().await;
    let program = Program::of_ada(&world).await;
    let shop = r#""repository":{"org":"local","name":"shop"}"#;
    for (body, named) in [
        (format!(r#"{{{shop},"prompt":"x","role":"admin"}}"#), "role"),
        (format!(r#"{{{shop},"prompt":"x","prompt":"y"}}"#), "prompt"),
        (r#"{"repository":{"org":"local","name":"shop","id":1},"prompt":"x"}"#.to_owned(), "id"),
        (format!(r#"{{{shop},"prompt":"\ud800"}}"#), "surrogate"),
        (format!(r#"{{{shop},"prompt":1e999}}"#), "prompt"),
        (format!("\u{feff}{{{shop},\"prompt\":\"x\"}}"), "expected value"),
        (format!(r#"{{"prompt":{}1{}}}"#, "[".repeat(9000), "]".repeat(9000)), "invalid type"),
        (String::new(), "EOF"),
    ] {
        let (status, told) = program.asks(Method::POST, "/api/v1/runbook", Some(&body)).await;
        assert_eq!((status, told["error"].as_str()), (400, Some("bad-request")), "{body:.80}: {told}");
        let message = told["message"].as_str().expect("a sentence");
        assert!(message.contains(named) || named == "surrogate" || named == "prompt", "{body:.80}: {message}");
    }
    let long = wanted(&json!({ "description": "x".repeat(1_100_000) })).to_string();
    let (status, told) = program.asks(Method::POST, "/api/v1/runbook", Some(&long)).await;
    assert_eq!((status, told["error"].as_str()), (413, Some("payload-too-large")), "{told}");
    let (status, told) = program.asks(Method::POST, "/api/v1/runbook", None).await;
    assert_eq!((status, told["error"].as_str()), (415, Some("unsupported-media-type")), "{told}");
    for query in ["org=local&repo=shop&page=0", "org=local&repo=shop&per_page=101", "org=local&repo=shop&page=1&page=2"]
    {
        let (status, told) = program.get(&format!("/api/v1/runbook?{query}")).await;
        assert_eq!((status, told["error"].as_str()), (400, Some("bad-request")), "{query}: {told}");
    }
    let (status, told) = program.get("/api/v1/runbook?org=local&repo=shop&sort=secret").await;
    assert!(status == 400 && told["message"].as_str().is_some_and(|it| it.contains("sort")), "{told}");
    assert!(created(&world).is_empty());
}

#[tokio::test]
async fn t008_t010_a_session_is_what_was_asked_for() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let of_account = Program { world: &world, guest: world.token(&ada, true).await };
    let spec = json!({ "filename": "SPEC.md", "content": "# Spec" });
    let (status, told) = of_account
        .post(&wanted(&json!({
            "title": "T", "draft": true, "pr_mode": "stacked_pr", "target_branch": "dev", "description": "P",
            "labels": ["a", "b"], "author_email": "Grace@example.org", "spec_file": spec
        })))
        .await;
    assert_eq!(status, 202, "{told}");
    let made = created(&world).remove(0);
    assert_eq!(made.requester.expect("somebody").email, "grace@example.org");
    assert_eq!(made.mode, Mode::OneShot, "steps start by themselves unless it is said otherwise");
    assert_eq!((made.title.as_deref(), made.draft, made.pr_mode), (Some("T"), Some(true), Some(PrMode::StackedPr)));
    assert_eq!((made.target_branch.as_deref(), made.description.as_deref()), (Some("dev"), Some("P")));
    assert_eq!(
        (made.labels, made.repository.as_str(), made.prompt.as_str()),
        (vec!["a".into(), "b".into()], "shop", "x")
    );
    assert_eq!(made.spec.map(|it| (it.name, it.text)), Some(("SPEC.md".to_owned(), "# Spec".to_owned())));

    let (status, _) = of_account.post(&wanted(&json!({ "oneshot": false }))).await;
    let made = created(&world).remove(1);
    assert_eq!((status, made.mode, made.requester), (202, Mode::Standard, None));

    // A member speaks for herself, a maintainer for others too.
    let grace = Program { world: &world, guest: world.token(&grace, false).await };
    let for_ada = wanted(&json!({ "author_email": "ada@example.org" }));
    let (status, told) = grace.post(&for_ada).await;
    assert_eq!((status, told["field"].as_str()), (403, Some("author_email")), "{told}");
    assert_eq!(grace.post(&wanted(&json!({ "author_email": "grace@example.org" }))).await.0, 202);
    let ada = Program { world: &world, guest: world.token(&ada, false).await };
    assert_eq!(ada.post(&wanted(&json!({ "author_email": "grace@example.org" }))).await.0, 202);
}

#[tokio::test]
async fn t020_t021_leaves_are_counted_and_a_pull_request_is_named_once() {
    let world = World::new().await;
    twist(&world, |view| {
        let change = |n, steps: &[u128], pull_request| Change {
            id: ChangeId(Uuid::from_u128(n)),
            session: SessionId(Uuid::from_u128(1)),
            key: ChangeKey::Session,
            position: 0,
            branch: "runyard/one".parse().expect("a branch"),
            base_branch: "main".parse().expect("a branch"),
            base: "0".repeat(40).parse().expect("a commit"),
            head: "1".repeat(40).parse().expect("a commit"),
            pushed: None,
            state: ChangeState::Open,
            pull_request,
            title: "T".to_owned(),
            steps: steps.iter().map(|step| StepId(Uuid::from_u128(*step))).collect(),
            version: 1,
        };
        view.changes = vec![change(60, &[51], Some(12)), change(61, &[51], Some(12)), change(62, &[], None)];
    });
    let program = Program::of_ada(&world).await;
    let (_, told) = program.get("/api/v1/runbook/1").await;
    assert_eq!(told["steps"]["total"], 1, "a parent is no step of its own: {told}");
    let url = format!("{}/r/1/changes/12", world.origin());
    assert_eq!(told["pull_requests"], json!([{ "number": 12, "url": url, "step_numbers": ["1.1"] }]));
    let (_, told) = program.get("/api/v1/runbook/1/detail?fields=runbook_state").await;
    assert_eq!(told["runbook_state"]["working_branch"], "runyard/one");
}

#[tokio::test]
async fn t023_t028_what_is_not_there_is_not_found_and_what_is_empty_is_refused() {
    let world = World::new().await;
    let program = Program::of_ada(&world).await;
    for number in ["2", "0", "-1", "x", "99999999999999999999"] {
        let path = format!("/api/v1/runbook/{number}");
        let (status, told) = program.get(&path).await;
        assert_eq!((status, told["error"].as_str()), (404, Some("not-found")), "{number}: {told}");
        assert_eq!(program.get(&format!("{path}/detail")).await.0, 404);
        assert_eq!(program.patch(&path, &json!({ "prompt": "x" })).await.0, 404);
    }
    for body in [json!({}), json!({ "labels": ["a"] }), json!({ "prompt": null })] {
        let (status, told) = program.patch("/api/v1/runbook/1", &body).await;
        assert_eq!((status, told["error"].as_str()), (400, Some("bad-request")), "{body}: {told}");
    }
    let asked = world.stand_in.asked.lock().expect("no test panicked");
    assert!(!asked.iter().any(|(_, it)| matches!(it, Command::FollowUp { session, .. } if session.0 == 1)));
}

#[tokio::test]
async fn what_is_said_reaches_the_session_unless_it_is_about_another_version() {
    let world = World::new().await;
    let program = Program::of_ada(&world).await;
    let body = json!({ "intent": "more", "labels": ["c"], "description": "Q", "expected_version": 1 });
    let (status, told) = program.patch("/api/v1/runbook/1", &body).await;
    assert_eq!((status, told["status"].as_str()), (202, Some("not_started")), "{told}");
    {
        let asked = world.stand_in.asked.lock().expect("no test panicked");
        let said = asked.iter().find(|(_, command)| matches!(command, Command::FollowUp { .. })).expect("said");
        assert_eq!(said.0.as_deref(), Some("ada@example.org"));
        let Command::FollowUp { text, labels, description, .. } = &said.1 else { unreachable!() };
        assert_eq!(
            (text.as_str(), labels.as_slice(), description.as_deref()),
            ("more", &["c".to_owned()][..], Some("Q"))
        );
    }
    let (status, told) = program.patch("/api/v1/runbook/1", &json!({ "prompt": "x", "expected_version": 7 })).await;
    assert_eq!((status, told["error"].as_str()), (409, Some("stale-runbook-version")), "{told}");
    assert_eq!((told["current_version"].as_i64(), told["expected_version"].as_i64()), (Some(1), Some(7)));
}

#[tokio::test]
async fn t006_a_session_without_a_budget_left_is_not_asked_for_more() {
    let world = World::new().await;
    twist(&world, |view| {
        view.session.budget.tokens = Some(10);
        view.session.usage = Usage { input: 10, ..Usage::default() };
    });
    let program = Program::of_ada(&world).await;
    let (status, told) = program.patch("/api/v1/runbook/1", &json!({ "prompt": "x" })).await;
    assert_eq!((status, told["error"].as_str()), (402, Some("insufficient-credits")), "{told}");
    let asked = world.stand_in.asked.lock().expect("no test panicked");
    assert!(!asked.iter().any(|(_, command)| matches!(command, Command::FollowUp { .. })));
}

#[tokio::test]
async fn t030_t031_details_are_what_was_asked_for() {
    let world = World::new().await;
    let program = Program::of_ada(&world).await;
    let (status, all) = program.get("/api/v1/runbook/1/detail").await;
    assert_eq!(status, 200, "{all}");
    assert!(all["steps_markdown"].as_str().is_some_and(|text| text.starts_with("# Add a schema")), "{all}");
    assert_eq!((&all["intent"], &all["spec_files"]), (&json!("Add a schema, please"), &json!([])));
    assert_eq!(
        all["runbook_state"]["steps"][1],
        json!({ "step_number": "1.1", "title": "Add the schema", "status": "not_started" })
    );
    let (_, some) = program.get("/api/v1/runbook/1/detail/?fields=intent").await;
    let mut names: Vec<_> = some.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["intent", "pull_requests", "runbook_number", "runbook_version", "url"]);
    let (status, told) = program.get("/api/v1/runbook/1/detail?fields=intent,bogus").await;
    let message = told["message"].as_str().expect("a sentence");
    assert!(status == 400 && message.contains("bogus") && message.contains("steps_markdown"), "{told}");
    twist(&world, no_plan);
    let (status, told) = program.get("/api/v1/runbook/1/detail").await;
    assert_eq!((status, told["error"].as_str()), (400, Some("bad-request")));
    assert!(told["message"].as_str().is_some_and(|it| it.contains("hasn't been generated yet")), "{told}");
}

#[tokio::test]
async fn lists_are_of_the_caller_and_have_pages() {
    let world = World::new().await;
    let ada = world.admin().await;
    let program = Program { world: &world, guest: world.token(&ada, false).await };
    let (status, told) = program.get("/api/v1/runbook/?org=local&repo=shop&per_page=1&status=active").await;
    assert_eq!(status, 200, "{told}");
    assert_eq!((&told["page"], &told["per_page"], &told["has_more"]), (&json!(1), &json!(1), &json!(false)));
    let first = &told["runbooks"][0];
    assert_eq!((&first["runbook_number"], &first["intent"]), (&json!(1), &json!("Add a schema, please")));
    assert_eq!((&first["runbook_version"], &first["working_branch"]), (&json!(1), &Value::Null));
    let of_account = Program { world: &world, guest: world.token(&ada, true).await };
    of_account.get("/api/v1/runbook?org=local&repo=shop&page=3&per_page=10&working_branch=b&status=archived").await;
    let (status, told) = program.get("/api/v1/runbook?org=acme&repo=shop").await;
    assert_eq!((status, told["error"].as_str()), (404, Some("not-found")), "{told}");
    let asked = world.stand_in.asked.lock().expect("no test panicked");
    let overviews: Vec<_> =
        asked.iter().filter_map(|(_, it)| if let Command::Overview(it) = it { Some(it) } else { None }).collect();
    assert!(overviews[0].requester.is_some() && overviews[1].requester.is_none());
    assert_eq!((overviews[0].archived, overviews[0].skip, overviews[0].limit), (Some(false), 0, 2));
    assert_eq!((overviews[1].archived, overviews[1].skip, overviews[1].limit), (Some(true), 20, 11));
    assert_eq!((overviews[1].branch.as_deref(), overviews[2].repository.as_str()), (Some("b"), "acme/shop"));
}

/// Every route with something that it takes.
const ROUTES: &[(&str, &str, &str)] = &[
    ("POST", "/api/v1/runbook", r#"{"repository":{"org":"local","name":"shop"},"intent":"x"}"#),
    ("GET", "/api/v1/runbook", "?org=local&repo=shop"),
    ("GET", "/api/v1/runbook/{number}", ""),
    ("PATCH", "/api/v1/runbook/{number}", r#"{"intent":"x"}"#),
    ("GET", "/api/v1/runbook/{number}/detail", ""),
];

#[tokio::test]
async fn every_route_is_for_those_who_may_and_for_nobody_else() {
    let world = World::new().await;
    let beside = world.beside().await;
    let ada = world.admin().await;
    let member = world.invited(&ada, "member", "MEMBER").await;
    let stranger = beside.admin().await;
    let revoked = world.token(&ada, true).await;
    let tokens = world.ask(&ada, "{ tokens { id } }").await;
    let id = tokens["data"]["tokens"][0]["id"].as_str().expect("an id");
    world.ask(&ada, &format!("mutation {{ revokeToken(id: \"{id}\") {{ id }} }}")).await;
    let all = [
        ("a token of the account", world.token(&ada, true).await, 0),
        ("an admin's token", world.token(&ada, false).await, 0),
        ("a member's token", world.token(&member, false).await, 0),
        ("nobody", Guest { proof: None }, 401),
        ("a token that was revoked", revoked, 401),
        ("a token of another account", beside.token(&stranger, false).await, 401),
        ("a cookie without the page's own header", ada.clone(), 403),
    ];
    for (method, path, rest) in ROUTES {
        let path = path.replace("{number}", "1");
        let method: Method = method.parse().expect("a method");
        let (query, body) = if rest.starts_with('{') { ("", Some(*rest)) } else { (*rest, None) };
        for (who, guest, refused) in &all {
            let program = Program { world: &world, guest: guest.clone() };
            let bare = program.asks(method.clone(), &format!("{path}{query}"), body).await;
            let slash = program.asks(method.clone(), &format!("{path}/{query}"), body).await;
            assert_eq!(bare, slash, "with and without a slash: {method} {path}");
            match refused {
                0 => assert!(matches!(bare.0, 200 | 202), "{who}: {method} {path}: {bare:?}"),
                status => assert_eq!(bare.0, *status, "{who}: {method} {path}: {bare:?}"),
            }
        }
    }
    // A page of ours says that it means it.
    let (name, cookie) = ada.proof.expect("a cookie");
    let request = world.request(Method::GET, "/api/v1/runbook/1").header(name, cookie).header("x-runyard", "1");
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 200);
}

#[test]
fn every_route_that_is_described_is_named() {
    let document = server::document();
    let mut described = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        described.extend(methods.as_object().expect("methods").keys().map(|it| (it.to_uppercase(), path.clone())));
    }
    described.sort();
    let mut named: Vec<_> = ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    named.sort();
    assert_eq!(described, named);
}
