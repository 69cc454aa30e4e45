//! Who did what: every operation that changes something is written down, refusals are bounded, and only admins read it.

use crate::world::{ACCOUNT, Guest, PASSWORD, World, code};
use domain::{AuditEntry, AuditFilter, Deed, DoerKind, Outcome, Via, Webhook};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Access as _, Audit as _, AuditPage, Webhooks as _};

/// The action and target of an entry, or why there is none.
type Wanted = Result<(&'static str, &'static str), &'static str>;

/// Every mutation of the schema with arguments that work (or that the stand-in takes), and how it is told: its action
/// and its target. One that changes nothing has the reason instead.
const TABLE: &[(&str, &str, Wanted)] = &[
    ("addRepository", "(path: \"/srv/x\") { name }", Ok(("repository.add", "changed"))),
    ("createSession", "(input: { repository: \"shop\", prompt: \"x\" }) { warnings }", Ok(("session.create", ""))),
    ("sendMessage", "(session: 1, text: \"x\") { queued }", Ok(("session.message", "r/1"))),
    ("execute", "(session: 1) { queued }", Ok(("session.execute", "r/1"))),
    ("stop", "(session: 1) { removed }", Ok(("session.stop", "r/1"))),
    ("setTyping", "(session: 1, typing: true)", Err("it is seen for a moment and kept nowhere")),
    ("retry", "(session: 1) { queued }", Ok(("session.retry", "r/1"))),
    ("answer", "(session: 1, request: \"NOBODY\", answer: { allow: true }) { number }", Ok(("session.answer", "r/1"))),
    ("editRunbook", "(session: 1, expectedVersion: 1, text: \"x\") { version }", Ok(("runbook.edit", "r/1"))),
    ("editStep", "(session: 1, expectedVersion: 1, step: \"1\", text: \"x\") { version }", Ok(("runbook.edit", "r/1"))),
    ("deleteStep", "(session: 1, expectedVersion: 1, step: \"1\") { version }", Ok(("runbook.edit", "r/1"))),
    ("restoreVersion", "(session: 1, version: 1) { version }", Ok(("runbook.restore", "r/1"))),
    ("lintRunbook", "(text: \"x\") { code }", Err("it looks at a text and keeps nothing")),
    ("revertStep", "(session: 1, step: \"1\") { queued }", Ok(("step.revert", "r/1"))),
    ("markStepDone", "(session: 1, step: \"1\") { number }", Ok(("step.mark_done", "r/1"))),
    ("moveStep", "(session: 1, expectedVersion: 1, step: \"1\", to: DOWN) { version }", Ok(("runbook.edit", "r/1"))),
    ("skipStep", "(session: 1, step: \"1\", reason: \"x\") { number }", Ok(("step.skip", "r/1"))),
    ("unskipStep", "(session: 1, step: \"1\") { number }", Ok(("step.unskip", "r/1"))),
    ("cancelAction", "(session: 1, action: \"NOBODY\") { number }", Ok(("session.cancel", "r/1"))),
    ("setBudget", "(session: 1, budget: {}, runBudget: {}) { number }", Ok(("session.budget", "r/1"))),
    ("cloneSession", "(session: 1) { warnings }", Ok(("session.clone", ""))),
    ("renameSession", "(session: 1, title: \"x\") { number }", Ok(("session.rename", "r/1"))),
    ("archiveSession", "(session: 1) { number }", Ok(("session.archive", "r/1"))),
    (
        "commentOnPullRequest",
        "(repository: \"shop\", number: 1, body: \"x\") { number }",
        Ok(("pull_request.comment", "shop#1")),
    ),
    ("makePullRequestReady", "(repository: \"shop\", number: 1) { number }", Ok(("pull_request.ready", "shop#1"))),
    ("revisePullRequest", "(repository: \"shop\", number: 1) { queued }", Ok(("pull_request.revise", "shop#1"))),
    ("mergePullRequest", "(repository: \"shop\", number: 1) { commit }", Ok(("pull_request.merge", "shop#1"))),
    ("addContextFile", "(input: { text: \"x\" }) { id }", Ok(("context_file.add", ""))),
    (
        "changeContextFile",
        "(id: \"NOBODY\", expectedVersion: 1, input: { text: \"x\" }) { id }",
        Ok(("context_file.change", "")),
    ),
    ("removeContextFile", "(id: \"NOBODY\", expectedVersion: 1) { id }", Ok(("knowledge.remove", "0000"))),
    ("addLearning", "(input: { pattern: \"Hm\", solution: \"x\" }) { id }", Ok(("learning.add", "Hm"))),
    (
        "changeLearning",
        "(id: \"NOBODY\", expectedVersion: 1, input: { pattern: \"Hm\", solution: \"x\" }) { id }",
        Ok(("learning.change", "Hm")),
    ),
    ("removeLearning", "(id: \"NOBODY\", expectedVersion: 1)", Ok(("knowledge.remove", "0000"))),
    ("addPersona", "(input: { name: \"Zoe\", role: CUSTOM, instructions: \"x\" }) { id }", Ok(("persona.add", "Zoe"))),
    (
        "changePersona",
        "(id: \"NOBODY\", expectedVersion: 1, input: { name: \"Zoe\", role: CUSTOM, instructions: \"x\" }) { id }",
        Ok(("persona.change", "Zoe")),
    ),
    ("removePersona", "(id: \"NOBODY\", expectedVersion: 1) { id }", Ok(("knowledge.remove", "0000"))),
    ("switchPersona", "(session: 1) { number }", Ok(("session.persona", "r/1"))),
    ("addWebhook", "(input: { name: \"ci\", url: \"http://127.0.0.1:1/\" }) { secret }", Ok(("webhook.add", "ci"))),
    ("pingWebhook", "(id: \"WEBHOOK\") { id }", Ok(("webhook.ping", "ci"))),
    ("redeliver", "(webhook: \"WEBHOOK\", delivery: \"DELIVERY\") { id }", Ok(("webhook.redeliver", "ci"))),
    ("rotateWebhookSecret", "(id: \"WEBHOOK\") { secret }", Ok(("webhook.rotate_secret", "ci"))),
    (
        "changeWebhook",
        "(id: \"WEBHOOK\", input: { name: \"cd\", url: \"http://127.0.0.1:1/\" }) { id }",
        Ok(("webhook.change", "cd")),
    ),
    ("removeWebhook", "(id: \"WEBHOOK\") { id }", Ok(("webhook.remove", "cd"))),
    ("invite", "(email: \"new@example.org\", role: MEMBER) { url }", Ok(("link.invite", "new@example.org"))),
    ("resetPassword", "(person: \"GRACE\") { url }", Ok(("link.reset_password", "grace@example.org"))),
    ("revokeInvitation", "(id: \"LINK\") { id }", Ok(("link.revoke", "new@example.org"))),
    ("setRole", "(person: \"GRACE\", role: MAINTAINER) { id }", Ok(("person.role", "grace@example.org"))),
    ("deactivatePerson", "(person: \"GRACE\") { id }", Ok(("person.deactivate", "grace@example.org"))),
    ("activatePerson", "(person: \"GRACE\") { id }", Ok(("person.activate", "grace@example.org"))),
    (
        "changePassword",
        "(current: \"correct horse battery\", new: \"another horse battery\") { role }",
        Ok(("person.password", "ada@example.org")),
    ),
    ("renameMyself", "(name: \"Ada L\") { id }", Ok(("person.name", "ada@example.org"))),
    ("createToken", "(name: \"robot\") { value }", Ok(("token.create", "robot"))),
    ("revokeToken", "(id: \"TOKEN\") { id }", Ok(("token.revoke", "robot"))),
    ("signOutEverywhere", "{ role }", Ok(("sign_in.end_others", "ada@example.org"))),
];

async fn entries(world: &World) -> Vec<AuditEntry> {
    let page = AuditPage::Oldest(0);
    world.store.audit(ACCOUNT, &AuditFilter::default(), page, 100_000).await.expect("reads")
}

fn read(entry: &AuditEntry) -> Deed {
    serde_json::from_str(&entry.deed).expect("a deed")
}

async fn deeds(world: &World) -> Vec<Deed> {
    entries(world).await.iter().map(read).collect()
}

async fn sign_in(world: &World, email: &str, password: &str) -> reqwest::Response {
    let body = json!({ "email": email, "password": password });
    world.post("/auth/sign-in", &body).send().await.expect("an answer")
}

async fn ids(world: &World) -> [(&'static str, String); 6] {
    let members = world.store.members(ACCOUNT).await.expect("reads");
    let grace = members.iter().find(|member| member.user.name == "grace").expect("is there");
    let links = world.store.links(ACCOUNT, domain::Timestamp(0)).await.expect("reads");
    let tokens = world.store.tokens(ACCOUNT).await.expect("reads");
    let link = links.iter().find(|link| link.email.as_deref() == Some("new@example.org"));
    let webhooks = world.store.webhooks(ACCOUNT).await.expect("reads");
    let deliveries = match webhooks.first() {
        Some(webhook) => world.store.deliveries(ACCOUNT, webhook.id, None, 1).await.expect("reads"),
        None => vec![],
    };
    [
        ("WEBHOOK", webhooks.first().map(|webhook| webhook.id.to_string()).unwrap_or_default()),
        ("DELIVERY", deliveries.first().map(|delivery| delivery.id.to_string()).unwrap_or_default()),
        ("NOBODY", uuid::Uuid::nil().to_string()),
        ("GRACE", grace.user.id.to_string()),
        ("LINK", link.map(|link| link.id.to_string()).unwrap_or_default()),
        ("TOKEN", tokens.first().map(|token| token.id.to_string()).unwrap_or_default()),
    ]
}

#[tokio::test]
async fn every_mutation_is_told_or_has_a_reason_not_to_be() {
    let world = World::new().await;
    let ada = world.admin().await;
    world.invited(&ada, "grace", "MEMBER").await;
    // A second browser, so that there is another sign-in to end.
    assert_eq!(sign_in(&world, "ada@example.org", PASSWORD).await.status(), StatusCode::NO_CONTENT);

    let answer = world.ask(&ada, "{ __schema { mutationType { fields { name } } } }").await;
    let fields = answer["data"]["__schema"]["mutationType"]["fields"].as_array().expect("mutations");
    let mut served: Vec<_> = fields.iter().map(|field| field["name"].as_str().expect("text").to_owned()).collect();
    let mut named: Vec<_> = TABLE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    served.sort();
    named.sort();
    assert_eq!(named, served, "the table names every mutation");

    for (name, rest, told) in TABLE {
        if *name == "signOutEverywhere" {
            // The change of the password ended the other one.
            assert_eq!(
                sign_in(&world, "ada@example.org", "another horse battery").await.status(),
                StatusCode::NO_CONTENT
            );
        }
        if *name == "redeliver" {
            // What waits cannot be redelivered; what is given up can.
            let webhook = world.store.webhooks(ACCOUNT).await.expect("reads").remove(0);
            for active in [false, true] {
                world.store.change_webhook(&Webhook { active, ..webhook.clone() }).await.expect("changes");
            }
        }
        let mut query = format!("mutation {{ {name}{rest} }}");
        for (word, id) in ids(&world).await {
            query = query.replace(word, &id);
        }
        let before = entries(&world).await.len();
        let answer = world.ask(&ada, &query).await;
        let new = entries(&world).await.split_off(before);
        let Ok((action, target)) = told else {
            assert!(new.is_empty(), "{query}: {new:?}");
            continue;
        };
        let [entry] = &new[..] else { panic!("{query} left {new:?}: {answer}") };
        let deed = read(entry);
        assert_eq!(deed.action, *action, "{query}");
        assert!(deed.target.starts_with(target), "{query}: {deed:?}");
        let expected = ("ada@example.org", DoerKind::Person, Via::Page, Some("127.0.0.1"), Outcome::Done);
        let found = (deed.actor.as_str(), deed.kind, deed.via, deed.address.as_deref(), deed.outcome);
        assert_eq!(found, expected, "{query}");
    }
    let verdict = world.store.verify_audit(ACCOUNT, None).await.expect("looks");
    assert_eq!(verdict.unfit, None);
}

#[tokio::test]
async fn coming_in_and_going_out_is_told_and_so_is_every_refusal() {
    let world = World::new().await;
    let ada = world.admin().await;
    let come = sign_in(&world, "ADA@example.org", PASSWORD).await;
    let cookie = crate::world::cookie(&come);
    let out = world.post("/auth/sign-out", &json!({})).header("cookie", &cookie).send().await.expect("an answer");
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert_eq!(sign_in(&world, "ada@example.org", "wrong").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, PASSWORD, "ada@example.org").await.status(), StatusCode::UNAUTHORIZED);
    let used = world.post("/auth/link/ryl_x", &json!({ "password": "x" })).send().await.expect("an answer");
    assert_eq!(used.status(), StatusCode::NOT_FOUND);
    let wrong = world.ask(&ada, "mutation { changePassword(current: \"x\", new: \"y\") { role } }").await;
    assert_eq!(code(&wrong), Some("FORBIDDEN"));

    let told = deeds(&world).await;
    let short: Vec<_> = told.iter().map(|deed| (deed.action.as_str(), deed.actor.as_str(), deed.outcome)).collect();
    let (done, refused) = (Outcome::Done, Outcome::Refused);
    assert_eq!(
        short,
        [
            ("link.first_admin", "server", done),
            ("link.use", "ada@example.org", done),
            ("sign_in", "ada@example.org", done),
            ("sign_in", "ada@example.org", done),
            ("sign_in.end", "ada@example.org", done),
            ("sign_in", "ada@example.org", refused),
            // A password in the wrong field is kept nowhere.
            ("sign_in", "no mail address", refused),
            ("link.use", "", refused),
            ("person.password", "ada@example.org", refused),
        ]
    );
    let all = serde_json::to_string(&told).expect("JSON");
    assert!(!all.contains(PASSWORD) && !all.contains("ryl_"), "{all}");
}

#[tokio::test]
async fn a_program_is_told_with_the_name_of_its_token_and_what_it_may_not_with_a_refusal() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let (hers, accounts) = (world.token(&grace, false).await, world.token(&ada, true).await);
    for (guest, kind, actor, token) in [
        (&hers, DoerKind::Person, "grace@example.org", Some("robot")),
        (&accounts, DoerKind::AccountToken, "robot", None),
    ] {
        world.ask(guest, "mutation { stop(session: 1) { removed } }").await;
        world.ask(guest, "mutation { setRole(person: \"x\", role: ADMIN) { id } }").await;
        let told = deeds(&world).await;
        let [.., done, refused] = &told[..] else { panic!("{told:?}") };
        assert_eq!((done.action.as_str(), done.kind, done.via), ("session.stop", kind, Via::Api));
        assert_eq!((done.actor.as_str(), done.details.get("token").map(String::as_str)), (actor, token));
        assert_eq!((refused.action.as_str(), refused.target.as_str()), ("operation.refused", "setRole"));
        assert_eq!((refused.outcome, refused.actor.as_str()), (Outcome::Refused, actor));
    }
}

#[tokio::test]
async fn nobody_fills_the_log_with_refusals() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let before = entries(&world).await.len();
    for _ in 0..60 {
        let answer = world.ask(&grace, "{ invitations { id } }").await;
        assert_eq!(code(&answer), Some("FORBIDDEN"));
    }
    let written = entries(&world).await.len() - before;
    assert!((20..25).contains(&written), "{written}");
}

async fn page(world: &World, guest: &Guest, rest: &str) -> Value {
    let query = format!(
        "{{ auditLog{rest} {{ nodes {{ number action actor target outcome details {{ name value }} }} \
         pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let answer = world.ask(guest, &query).await;
    assert!(answer["errors"].is_null(), "{query}: {answer}");
    answer["data"]["auditLog"].clone()
}

fn numbers(page: &Value) -> Vec<i64> {
    let nodes = page["nodes"].as_array().expect("entries");
    nodes.iter().map(|node| node["number"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn the_log_is_paged_filtered_and_proven_over_graphql() {
    let world = World::new().await;
    let ada = world.admin().await;
    for n in 0..5 {
        world.ask(&ada, &format!("mutation {{ createToken(name: \"t{n}\") {{ value }} }}")).await;
    }
    let last = i64::try_from(entries(&world).await.len()).expect("few");
    let first = page(&world, &ada, "(first: 2)").await;
    assert_eq!((numbers(&first), &first["pageInfo"]["hasNextPage"]), (vec![last, last - 1], &json!(true)));
    let cursor = first["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned();
    let second = page(&world, &ada, &format!("(first: 100, after: \"{cursor}\")")).await;
    assert_eq!(numbers(&second), (1..=last - 2).rev().collect::<Vec<_>>());
    let found = page(&world, &ada, "(filter: { action: \"token\", text: \"T3\", who: \"ADA\" })").await;
    assert_eq!(found["nodes"][0]["target"], "t3");
    assert_eq!(found["nodes"].as_array().map(Vec::len), Some(1));
    let none = page(&world, &ada, "(filter: { since: \"2999-01-01T00:00:00Z\" })").await;
    assert_eq!(numbers(&none), [0; 0]);
    for (rest, field) in [("(first: 0)", "first"), ("(first: 201)", "first"), ("(after: \"x\")", "after")] {
        let answer = world.ask(&ada, &format!("{{ auditLog{rest} {{ nodes {{ number }} }} }}")).await;
        assert_eq!(answer["errors"][0]["extensions"]["field"], field, "{answer}");
    }

    let answer = world.ask(&ada, "{ auditVerdict { whole mark number unfit } }").await;
    let mark = answer["data"]["auditVerdict"]["mark"].as_str().expect("a mark").to_owned();
    assert_eq!(answer["data"]["auditVerdict"]["whole"], true, "{answer}");
    let noted = world.ask(&ada, &format!("{{ auditVerdict(noted: \"{mark}\") {{ whole }} }}")).await;
    assert_eq!(noted["data"]["auditVerdict"]["whole"], true);
    let other = format!("{last}:{}", "0".repeat(64));
    let noted = world.ask(&ada, &format!("{{ auditVerdict(noted: \"{other}\") {{ whole unfit why }} }}")).await;
    assert_eq!(
        (&noted["data"]["auditVerdict"]["whole"], &noted["data"]["auditVerdict"]["unfit"]),
        (&json!(false), &json!(last))
    );
    let bad = world.ask(&ada, "{ auditVerdict(noted: \"x\") { whole } }").await;
    assert_eq!((code(&bad), bad["errors"][0]["extensions"]["field"].as_str()), (Some("BAD_REQUEST"), Some("noted")));
}

async fn download(world: &World, guest: &Guest, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let (name, value) = guest.proof.as_ref().expect("a proof");
    let mut request = world.request(Method::GET, path).header(*name, value);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn an_admin_downloads_it_by_following_a_link_and_nobody_else_does() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MAINTAINER").await;
    // More than are in memory at once, and one that a table program would take for a formula.
    let by = Deed { actor: "=HYPERLINK(\"http://evil.example\")".to_owned(), ..deeds(&world).await.remove(0) };
    for _ in 0..1_200 {
        world.store.note_deed(ACCOUNT, &by).await.expect("notes");
    }
    let count = entries(&world).await.len();
    let followed = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")];
    let file = download(&world, &ada, "/download/audit.ndjson", &followed).await;
    assert_eq!(file.status(), StatusCode::OK);
    let name = file.headers()["content-disposition"].to_str().expect("text").to_owned();
    assert!(name.starts_with("attachment; filename=\"runyard-audit-2") && name.ends_with(".ndjson\""), "{name}");
    assert_eq!(file.headers()["cache-control"], "no-store");
    let text = file.text().await.expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), count + 1, "with its own entry");
    assert_eq!(lines.last().expect("one")["deed"]["action"], "audit.export");
    let stored = entries(&world).await;
    assert!(
        text.lines().zip(&stored).all(|(line, entry)| line.contains(&entry.deed)),
        "what was hashed, byte for byte"
    );

    let table = download(&world, &ada, "/download/audit.csv?action=link.first_admin&who=hyperlink", &[]).await;
    assert_eq!(table.headers()["content-type"], "text/csv; charset=utf-8");
    let table = table.text().await.expect("text");
    assert_eq!(table.matches("\r\n").count(), 1_201);
    assert!(
        table.contains(",\"'=HYPERLINK(\"\"http://evil.example\"\")\",") && !table.contains(",\"=HYPER"),
        "no formula"
    );

    for (guest, path, headers, status) in [
        (&grace, "/download/audit.csv", &[][..], StatusCode::FORBIDDEN),
        (
            &Guest { proof: Some(("cookie", "runyard=ryx".to_owned())) },
            "/download/audit.csv",
            &[],
            StatusCode::UNAUTHORIZED,
        ),
        (&ada, "/download/audit.csv", &[("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        (&ada, "/download/audit.csv", &[("origin", "http://evil.example")], StatusCode::FORBIDDEN),
        (&ada, "/download/audit.csv?since=yesterday", &[], StatusCode::BAD_REQUEST),
        (&ada, "/download/audit.csv?sinse=2026-01-01T00:00:00Z", &[], StatusCode::BAD_REQUEST),
        (&ada, "/download/passwords.csv", &[], StatusCode::NOT_FOUND),
    ] {
        assert_eq!(download(&world, guest, path, headers).await.status(), status, "{path} {headers:?}");
    }
    let token = world.token(&ada, false).await;
    assert_eq!(download(&world, &token, "/download/audit.csv", &[]).await.status(), StatusCode::OK, "a program");
}
