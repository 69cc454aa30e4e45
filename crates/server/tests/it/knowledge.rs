//! What the team knows, over GraphQL: whose it is decides what is asked of the engine.

use crate::world::{World, code};
use engine::{Command, NewKnowledge};
use serde_json::json;

const MINE: &str = "00000000-0000-0000-0000-00000000003c";

#[tokio::test]
async fn a_member_changes_what_is_their_own_and_shares_nothing() {
    let world = World::new().await;
    let ada = world.admin().await;
    let member = world.invited(&ada, "member", "MEMBER").await;
    let input = "input: { name: \"Mine\", role: CUSTOM, instructions: \"x\" }";
    let asks = [
        (format!("mutation {{ changePersona(id: \"{MINE}\", expectedVersion: 1, {input}) {{ id }} }}"), "NOT_FOUND"),
        (format!("mutation {{ removePersona(id: \"{MINE}\", expectedVersion: 1) {{ id }} }}"), "NOT_FOUND"),
        (format!("mutation {{ addPersona(shared: true, {input}) {{ id }} }}"), "FORBIDDEN"),
    ];
    for (ask, expected) in asks {
        let answer = world.ask(&member, &ask).await;
        assert_eq!(code(&answer), Some(expected), "{ask}: {answer}");
    }
    let answer = world.ask(&member, &format!("mutation {{ addPersona({input}) {{ name shared }} }}")).await;
    assert_eq!(answer["data"]["addPersona"], json!({ "name": "Mine", "shared": false }), "{answer}");
    let own = world.stand_in.asked.lock().expect("no test panicked").clone().into_iter().filter_map(|(_, command)| {
        match command {
            Command::ChangeKnowledge { own, .. }
            | Command::RemoveKnowledge { own, .. }
            | Command::AddKnowledge(NewKnowledge { own, .. }) => Some(own),
            _ => None,
        }
    });
    assert_eq!(own.collect::<Vec<_>>(), [true, true, true]);
}

#[tokio::test]
async fn a_token_of_the_account_sees_and_chooses_nobodys_own_persona() {
    let world = World::new().await;
    let ada = world.admin().await;
    let (person, account) = (world.token(&ada, false).await, world.token(&ada, true).await);
    let list = "{ personas { name } }";
    assert_eq!(world.ask(&person, list).await["data"]["personas"], json!([{ "name": "Mine" }]));
    assert_eq!(world.ask(&account, list).await["data"]["personas"], json!([]));
    let choose = "mutation { switchPersona(session: 1, persona: \"Mine\") { number } }";
    assert_eq!(world.ask(&person, choose).await["data"]["switchPersona"]["number"], json!(1));
    assert_eq!(code(&world.ask(&account, choose).await), Some("NOT_FOUND"));
    let create =
        "mutation { createSession(input: { repository: \"shop\", prompt: \"x\", persona: \"Mine\" }) { warnings } }";
    let refused = world.ask(&account, create).await;
    assert_eq!(
        (code(&refused), refused["errors"][0]["extensions"]["field"].as_str()),
        (Some("NOT_FOUND"), Some("input.persona"))
    );
}

#[tokio::test]
async fn a_member_proposes_a_learning_and_only_a_maintainer_lets_one_stand() {
    let world = World::new().await;
    let ada = world.admin().await;
    let member = world.invited(&ada, "member", "MEMBER").await;
    let maintainer = world.invited(&ada, "maintainer", "MAINTAINER").await;
    let add = |state: &str| {
        let input = format!("{{ pattern: \"x\", solution: \"y\", state: {state} }}");
        format!("mutation {{ addLearning(input: {input}) {{ id }} }}")
    };
    for (guest, state, expected) in [
        (&member, "PROPOSED", None),
        (&member, "ACTIVE", Some("FORBIDDEN")),
        (&member, "OFF", Some("FORBIDDEN")),
        (&maintainer, "ACTIVE", None),
    ] {
        let answer = world.ask(guest, &add(state)).await;
        assert_eq!(code(&answer), expected, "{state}: {answer}");
    }
    let answer = world.ask(&member, "{ learnings(search: \"hang\") { found proposed nodes { pattern author { name } lessons { session moment } } } }").await;
    let line = json!({
        "pattern": "The tests hang",
        "author": null,
        "lessons": [{ "session": 1, "moment": "REVIEW_ADDRESSED" }]
    });
    assert_eq!(answer["data"]["learnings"], json!({ "found": 1, "proposed": 1, "nodes": [line] }), "{answer}");
    for (arguments, field) in [("first: 0", "first"), ("first: 101", "first"), ("after: \"r/1\"", "after")] {
        let refused = world.ask(&member, &format!("{{ learnings({arguments}) {{ found }} }}")).await;
        let told = (code(&refused), refused["errors"][0]["extensions"]["field"].as_str());
        assert_eq!(told, (Some("BAD_REQUEST"), Some(field)), "{refused}");
    }
}
