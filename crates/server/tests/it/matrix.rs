//! Who may ask for what: every operation of the served schema, by everybody who could try.
//!
//! An operation that the table does not name fails the test, so that a new one is thought about.

use crate::world::{Guest, World, code};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// From whom on somebody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Least {
    /// Everybody who came in, programs for the account too.
    Anybody,
    /// A person, or a program that acts as one.
    Person,
    /// A person who signed in with a password.
    SignedIn,
    /// A maintainer or an admin, or a program that acts as one.
    Maintainer,
    /// An admin, or a program that acts as one.
    Admin,
    /// An admin who signed in with a password.
    SignedInAdmin,
}

use Least::{Admin, Anybody, Maintainer, Person, SignedIn, SignedInAdmin};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Name, arguments and selection, and who may.
const TABLE: &[(&str, &str, Least)] = &[
    ("query viewer", "{ role }", Anybody),
    ("query session", "(number: 1) { title }", Anybody),
    ("query sessions", "{ nodes { number } }", Anybody),
    ("query repositories", "{ name }", Anybody),
    ("query pullRequest", "(repository: \"shop\", number: 1) { title }", Anybody),
    ("query people", "{ name }", Anybody),
    ("query invitations", "{ email }", Admin),
    ("query tokens", "{ name }", Person),
    ("query contextFiles", "{ title }", Anybody),
    ("query contextFile", "(id: \"ID\") { title }", Anybody),
    ("query persona", "(id: \"ID\") { name }", Anybody),
    ("query personas", "{ name }", Anybody),
    ("query learnings", "{ nodes { pattern } }", Anybody),
    ("query learning", "(id: \"ID\") { pattern }", Anybody),
    ("mutation addLearning", "(input: { pattern: \"x\", solution: \"x\" }) { id }", Maintainer),
    (
        "mutation changeLearning",
        "(id: \"ID\", expectedVersion: 1, input: { pattern: \"x\", solution: \"x\" }) { id }",
        Maintainer,
    ),
    ("mutation removeLearning", "(id: \"ID\", expectedVersion: 1)", Maintainer),
    ("mutation addContextFile", "(input: { text: \"x\" }) { id }", Maintainer),
    ("mutation changeContextFile", "(id: \"ID\", expectedVersion: 1, input: { text: \"x\" }) { id }", Maintainer),
    ("mutation removeContextFile", "(id: \"ID\", expectedVersion: 1) { id }", Maintainer),
    ("mutation addPersona", "(input: { name: \"x\", role: CUSTOM, instructions: \"x\" }) { id }", Person),
    (
        "mutation changePersona",
        "(id: \"ID\", expectedVersion: 1, input: { name: \"x\", role: CUSTOM, instructions: \"x\" }) { id }",
        Maintainer,
    ),
    ("mutation removePersona", "(id: \"ID\", expectedVersion: 1) { id }", Maintainer),
    ("mutation switchPersona", "(session: 1) { number }", Anybody),
    ("query webhooks", "{ name }", Maintainer),
    ("query webhook", "(id: \"ID\") { name }", Maintainer),
    ("mutation addWebhook", "(input: { name: \"x\", url: \"http://127.0.0.1:1/\" }) { secret }", Maintainer),
    ("mutation changeWebhook", "(id: \"ID\", input: { name: \"x\", url: \"http://127.0.0.1:1/\" }) { id }", Maintainer),
    ("mutation removeWebhook", "(id: \"ID\") { id }", Maintainer),
    ("mutation rotateWebhookSecret", "(id: \"ID\") { secret }", Maintainer),
    ("mutation pingWebhook", "(id: \"ID\") { id }", Maintainer),
    ("mutation redeliver", "(webhook: \"ID\", delivery: \"ID\") { id }", Maintainer),
    ("query auditLog", "{ nodes { number } }", Admin),
    ("query auditVerdict", "{ mark }", Admin),
    ("mutation addRepository", "(path: \"/srv\") { name }", Admin),
    ("mutation createSession", "(input: { repository: \"shop\", prompt: \"x\" }) { warnings }", Anybody),
    ("mutation sendMessage", "(session: 1, text: \"x\") { queued }", Anybody),
    ("mutation execute", "(session: 1) { queued }", Anybody),
    ("mutation setTyping", "(session: 1, typing: true)", Person),
    ("mutation stop", "(session: 1) { removed }", Anybody),
    ("mutation retry", "(session: 1) { queued }", Anybody),
    ("mutation answer", "(session: 1, request: \"ID\", answer: { allow: true }) { number }", Anybody),
    ("mutation editRunbook", "(session: 1, expectedVersion: 1, text: \"x\") { version }", Anybody),
    ("mutation editStep", "(session: 1, expectedVersion: 1, step: \"1\", text: \"x\") { version }", Anybody),
    ("mutation deleteStep", "(session: 1, expectedVersion: 1, step: \"1\") { version }", Anybody),
    ("mutation restoreVersion", "(session: 1, version: 1) { version }", Anybody),
    ("mutation lintRunbook", "(text: \"x\") { code }", Anybody),
    ("mutation revertStep", "(session: 1, step: \"1\") { queued }", Anybody),
    ("mutation markStepDone", "(session: 1, step: \"1\") { number }", Anybody),
    ("mutation moveStep", "(session: 1, expectedVersion: 1, step: \"1\", to: DOWN) { version }", Anybody),
    ("mutation skipStep", "(session: 1, step: \"1\", reason: \"x\") { number }", Anybody),
    ("mutation unskipStep", "(session: 1, step: \"1\") { number }", Anybody),
    ("mutation cancelAction", "(session: 1, action: \"ID\") { number }", Anybody),
    ("mutation setBudget", "(session: 1, budget: {}, runBudget: {}) { number }", Anybody),
    ("mutation cloneSession", "(session: 1) { warnings }", Anybody),
    ("mutation renameSession", "(session: 1, title: \"x\") { number }", Anybody),
    ("mutation archiveSession", "(session: 1) { number }", Anybody),
    ("mutation commentOnPullRequest", "(repository: \"shop\", number: 1, body: \"x\") { number }", Anybody),
    ("mutation makePullRequestReady", "(repository: \"shop\", number: 1) { number }", Anybody),
    ("mutation revisePullRequest", "(repository: \"shop\", number: 1) { queued }", Anybody),
    ("mutation mergePullRequest", "(repository: \"shop\", number: 1) { commit }", Anybody),
    ("mutation invite", "(email: \"new@example.org\", role: MEMBER) { url }", SignedInAdmin),
    ("mutation resetPassword", "(person: \"ID\") { url }", Admin),
    ("mutation revokeInvitation", "(id: \"ID\") { id }", Admin),
    ("mutation setRole", "(person: \"ID\", role: MEMBER) { id }", SignedInAdmin),
    ("mutation deactivatePerson", "(person: \"ID\") { id }", SignedInAdmin),
    ("mutation activatePerson", "(person: \"ID\") { id }", SignedInAdmin),
    ("mutation changePassword", "(current: \"x\", new: \"y\") { role }", SignedIn),
    ("mutation renameMyself", "(name: \"Somebody\") { id }", Person),
    ("mutation createToken", "(name: \"x\") { value }", SignedIn),
    ("mutation revokeToken", "(id: \"ID\") { id }", Person),
    ("mutation signOutEverywhere", "{ role }", SignedIn),
];

/// Somebody who tries: what they are, as a role, a person, and with a password.
struct Trying {
    name: &'static str,
    guest: Guest,
    is_maintainer: bool,
    is_admin: bool,
    is_person: bool,
    is_signed_in: bool,
}

impl Trying {
    fn may(&self, least: Least) -> bool {
        match least {
            Anybody => true,
            Person => self.is_person,
            SignedIn => self.is_signed_in,
            Maintainer => self.is_maintainer,
            Admin => self.is_admin,
            SignedInAdmin => self.is_admin && self.is_signed_in,
        }
    }
}

#[tokio::test]
async fn every_operation_is_for_those_who_may_and_for_nobody_else() {
    let world = World::new().await;
    let ada = world.admin().await;
    every_operation_is_named(&world, &ada).await;
    let member = world.invited(&ada, "member", "MEMBER").await;
    let maintainer = world.invited(&ada, "maintainer", "MAINTAINER").await;
    let trying = |name, guest: &Guest, is_admin, is_person, is_signed_in| Trying {
        name,
        guest: guest.clone(),
        is_maintainer: is_admin || name == "a maintainer",
        is_admin,
        is_person,
        is_signed_in,
    };
    let all = [
        trying("a member", &member, false, true, true),
        trying("a maintainer", &maintainer, false, true, true),
        trying("an admin", &ada, true, true, true),
        trying("a member's token", &world.token(&member, false).await, false, true, false),
        trying("an admin's token", &world.token(&ada, false).await, true, true, false),
        trying("a token of the account", &world.token(&ada, true).await, false, false, false),
    ];
    for (operation, rest, least) in TABLE {
        let query = format!("{} {{ {}{} }}", kind(operation), name(operation), rest.replace("ID", NOBODY));
        for trying in &all {
            let answer = world.ask(&trying.guest, &query).await;
            assert_eq!(
                answer["errors"][0]["extensions"]["code"].is_null(),
                answer["errors"].is_null(),
                "{query}: {answer}"
            );
            // Whoever may gets an answer, or is told what is wrong with what they asked for; `changePassword` says that
            // the password is wrong.
            let refused = code(&answer) == Some("FORBIDDEN") && answer["errors"][0]["extensions"]["field"].is_null();
            assert_eq!(!refused, trying.may(*least), "{} and {query}: {answer}", trying.name);
        }
        let nobody = world.graphql(&Guest { proof: None }, &json!({ "query": query })).await;
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "{query}");
    }
}

fn kind(operation: &str) -> &str {
    operation.split_once(' ').expect("two words").0
}

fn name(operation: &str) -> &str {
    operation.split_once(' ').expect("two words").1
}

async fn every_operation_is_named(world: &World, guest: &Guest) {
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let answer = world.ask(guest, query).await;
    let mut served = Vec::new();
    for (kind, of) in [("query", "queryType"), ("mutation", "mutationType")] {
        let fields = answer["data"]["__schema"][of]["fields"].as_array().unwrap_or_else(|| panic!("{answer}"));
        served.extend(fields.iter().map(|field: &Value| format!("{kind} {}", field["name"].as_str().expect("text"))));
    }
    served.sort();
    let mut named: Vec<_> = TABLE.iter().map(|(operation, ..)| (*operation).to_owned()).collect();
    named.sort();
    assert_eq!(named, served, "the table names every operation");
}
