//! Coming in and going out.

use crate::world::{Guest, PASSWORD, World, code, cookie};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

async fn sign_in(world: &World, email: &str, password: &str) -> reqwest::Response {
    let body = json!({ "email": email, "password": password });
    world.post("/auth/sign-in", &body).send().await.expect("an answer")
}

async fn state(world: &World, guest: &Guest) -> Value {
    let mut request = world.request(Method::GET, "/auth/state");
    if let Some((name, value)) = &guest.proof {
        request = request.header(*name, value);
    }
    request.send().await.expect("an answer").json().await.expect("JSON")
}

const NOBODY: Guest = Guest { proof: None };

#[tokio::test]
async fn the_first_admin_comes_by_the_printed_link_and_only_once() {
    let world = World::new().await;
    assert_eq!(
        state(&world, &NOBODY).await,
        json!({ "signedIn": false, "firstAdmin": true, "password": true, "provider": null })
    );
    let link = world.server.first_admin().expect("a link").to_owned();
    assert!(link.starts_with(&format!("{}/welcome/ryl_", world.origin())), "{link}");
    let value = link.rsplit('/').next().expect("a value");
    let path = format!("/auth/link/{value}");
    let offer: Value = world.request(Method::GET, &path).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(
        (&offer["purpose"], &offer["email"], &offer["role"]),
        (&json!("first_admin"), &Value::Null, &json!("admin"))
    );

    for (body, field) in [
        (json!({ "email": "ada@example.org", "password": PASSWORD }), "name"),
        (json!({ "name": "Ada\u{202e}", "email": "ada@example.org", "password": PASSWORD }), "name"),
        (json!({ "name": "Ada", "email": "ada", "password": PASSWORD }), "email"),
        (json!({ "name": "Ada", "email": "ada@example.org", "password": "short" }), "password"),
        (json!({ "name": "Ada", "email": "ada@example.org", "password": "ada@example.org" }), "password"),
    ] {
        let refused = world.post(&path, &body).send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(refused.json::<Value>().await.expect("JSON")["field"], field, "{body}");
    }
    let ada = world.admin().await;
    assert_eq!(
        state(&world, &ada).await,
        json!({ "signedIn": true, "firstAdmin": false, "password": true, "provider": null })
    );
    let again = world.post(&path, &json!({ "name": "Eve", "email": "eve@x.org", "password": PASSWORD }));
    assert_eq!(again.send().await.expect("an answer").status(), StatusCode::NOT_FOUND);
    assert_eq!(state(&world, &NOBODY).await["firstAdmin"], false);
    let viewer = world.ask(&ada, "{ viewer { role person { name email } account { name } } }").await;
    assert_eq!(viewer["data"]["viewer"]["role"], "ADMIN");
    assert_eq!(viewer["data"]["viewer"]["person"], json!({ "name": "Ada", "email": "ada@example.org" }));
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_look_the_same() {
    let world = World::new().await;
    world.admin().await;
    let (right, wrong, nobody) = (
        sign_in(&world, "ADA@example.org", PASSWORD).await,
        sign_in(&world, "ada@example.org", "incorrect horse").await,
        sign_in(&world, "eve@example.org", PASSWORD).await,
    );
    assert_eq!(right.status(), StatusCode::NO_CONTENT);
    let line = right.headers()[header::SET_COOKIE].to_str().expect("text");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!((wrong.status(), nobody.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.text().await.expect("text"), nobody.text().await.expect("text"));
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let world = World::new().await;
    world.admin().await;
    for _ in 0..10 {
        assert_eq!(sign_in(&world, "ada@example.org", "incorrect horse").await.status(), StatusCode::UNAUTHORIZED);
    }
    let slowed = sign_in(&world, "Ada@Example.org ", PASSWORD).await;
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS, "even with the right one");
    assert!(slowed.headers()[header::RETRY_AFTER].to_str().expect("text").parse::<u64>().expect("seconds") <= 30);
    assert_eq!(
        sign_in(&world, "grace@example.org", PASSWORD).await.status(),
        StatusCode::UNAUTHORIZED,
        "others are not"
    );
}

#[tokio::test]
async fn signing_in_anew_gives_another_cookie_and_signing_out_ends_it() {
    let world = World::new().await;
    let first = world.admin().await;
    let response = world
        .post("/auth/sign-in", &json!({ "email": "ada@example.org", "password": PASSWORD }))
        .header(header::COOKIE, &first.proof.as_ref().expect("a cookie").1)
        .send()
        .await
        .expect("an answer");
    let second = Guest { proof: Some(("cookie", cookie(&response))) };
    assert_ne!(second.proof, first.proof, "nobody can have chosen it");
    let places = world.ask(&second, "{ viewer { signIns { current } } }").await;
    assert_eq!(places["data"]["viewer"]["signIns"].as_array().expect("a list").len(), 2);

    let out = world.post("/auth/sign-out", &json!({})).header("cookie", &second.proof.as_ref().expect("a cookie").1);
    let out = out.send().await.expect("an answer");
    assert!(out.headers()[header::SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(state(&world, &second).await["signedIn"], false);
    assert_eq!(state(&world, &first).await["signedIn"], true, "only here");
    let third = sign_in(&world, "ada@example.org", PASSWORD).await;
    let third = Guest { proof: Some(("cookie", cookie(&third))) };
    world.ask(&third, "mutation { signOutEverywhere { role } }").await;
    assert_eq!(
        (state(&world, &first).await["signedIn"].as_bool(), state(&world, &third).await["signedIn"].as_bool()),
        (Some(false), Some(true))
    );
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_other_sign_ins() {
    let world = World::new().await;
    let ada = world.admin().await;
    let elsewhere = sign_in(&world, "ada@example.org", PASSWORD).await;
    let elsewhere = Guest { proof: Some(("cookie", cookie(&elsewhere))) };
    let change = |current: &str, new: &str| {
        format!("mutation {{ changePassword(current: \"{current}\", new: \"{new}\") {{ role }} }}")
    };
    let wrong = world.ask(&ada, &change("incorrect horse", "another battery")).await;
    assert_eq!((code(&wrong), &wrong["errors"][0]["extensions"]["field"]), (Some("FORBIDDEN"), &json!("current")));
    let weak = world.ask(&ada, &change(PASSWORD, "weak")).await;
    assert_eq!((code(&weak), &weak["errors"][0]["extensions"]["field"]), (Some("BAD_REQUEST"), &json!("new")));
    assert_eq!(code(&world.ask(&ada, &change(PASSWORD, "another battery")).await), None);
    assert_eq!(state(&world, &ada).await["signedIn"], true);
    assert_eq!(state(&world, &elsewhere).await["signedIn"], false);
    assert_eq!(sign_in(&world, "ada@example.org", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, "ada@example.org", "another battery").await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn whoever_is_sent_away_is_out_and_the_last_admin_stays() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let robot = world.token(&grace, false).await;
    let people = world.ask(&ada, "{ people { id name } }").await;
    let id = |name: &str| {
        let people = people["data"]["people"].as_array().expect("a list");
        people.iter().find(|it| it["name"] == name).expect("there")["id"].as_str().expect("an id").to_owned()
    };
    for change in ["setRole(person: \"ID\", role: MEMBER)", "deactivatePerson(person: \"ID\")"] {
        let query = format!("mutation {{ {} {{ id }} }}", change.replace("ID", &id("Ada")));
        assert_eq!(code(&world.ask(&ada, &query).await), Some("CONFLICT"), "{query}");
    }
    let query = format!("mutation {{ deactivatePerson(person: \"{}\") {{ active }} }}", id("grace"));
    assert_eq!(world.ask(&ada, &query).await["data"]["deactivatePerson"]["active"], false);
    for guest in [&grace, &robot] {
        assert_eq!(
            world.graphql(guest, &json!({ "query": "{ viewer { role } }" })).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(sign_in(&world, "grace@example.org", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let viewer = world.ask(&grace, "{ viewer { person { id } } }").await;
    let id = viewer["data"]["viewer"]["person"]["id"].as_str().expect("an id");
    let link = world.ask(&ada, &format!("mutation {{ resetPassword(person: \"{id}\") {{ url }} }}")).await;
    let url = link["data"]["resetPassword"]["url"].as_str().unwrap_or_else(|| panic!("no link: {link}"));
    let path = format!("/auth/link/{}", url.rsplit('/').next().expect("a value"));
    let used = world.post(&path, &json!({ "password": "quite another one" })).send().await.expect("an answer");
    assert_eq!(used.status(), StatusCode::NO_CONTENT);
    assert_eq!(state(&world, &grace).await["signedIn"], false, "whoever had the old one is out");
    assert_eq!(sign_in(&world, "grace@example.org", "quite another one").await.status(), StatusCode::NO_CONTENT);
}
