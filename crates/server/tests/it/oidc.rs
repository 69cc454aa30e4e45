//! Coming in from a provider: a good one lets people in, a bad one nobody.

use crate::{
    rogue::{CLIENT, Instead, Lies, Rogue, SECRET, Signed},
    world::{Ahead, Guest, World, cookie},
};
use domain::Role;
use reqwest::{Method, Response, StatusCode, header};
use secrets::Secret;
use serde_json::{Value, json};
use server::{Doors, ProviderSettings};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

fn settings(issuer: &str) -> ProviderSettings {
    ProviderSettings {
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(Secret::new(SECRET)),
        scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
        label: "Example".to_owned(),
        domains: vec!["example.org".to_owned()],
        role: Role::Member,
        link_existing: false,
        require_verified_email: true,
        sign_in_lasts: Duration::from_hours(2),
    }
}

/// What makes the provider lie.
type Change = Box<dyn FnOnce(&mut Lies)>;

struct Place {
    rogue: Rogue,
    world: World,
    clock: Arc<Ahead>,
    /// How many requests there were: each comes from another machine, since one may try so often only.
    requests: AtomicU32,
}

impl Place {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Doors)) -> Self {
        let (rogue, clock) = (Rogue::start().await, Ahead::new());
        let mut doors = Doors { passwords: true, provider: Some(settings(&rogue.issuer)) };
        change(&mut doors);
        let world = World::through(doors, clock.clone()).await;
        Self { rogue, world, clock, requests: AtomicU32::new(1) }
    }

    fn machine(&self) -> String {
        Ipv4Addr::from(0x0a00_0000 + self.requests.fetch_add(1, SeqCst)).to_string()
    }

    async fn start(&self, next: &str) -> Response {
        let request = self.world.post("/auth/oidc", &json!({ "next": next }));
        request.header("x-forwarded-for", self.machine()).send().await.expect("an answer")
    }

    /// On the way: the browser's cookie, and the state that the provider sends back.
    async fn sent(&self, next: &str) -> (String, String) {
        let response = self.start(next).await;
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.text().await);
        let cookie = cookie(&response);
        let way: Value = response.json().await.expect("JSON");
        (cookie, self.rogue.sees(way["url"].as_str().expect("an address")))
    }

    async fn back(&self, cookie: Option<&str>, query: &str) -> Response {
        let request = self.world.request(Method::GET, &format!("/auth/oidc/return?{query}"));
        let mut request = request.header("x-forwarded-for", self.machine());
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.expect("an answer")
    }

    /// There and back.
    async fn sign_in(&self) -> Response {
        let (cookie, state) = self.sent("/r/7?tab=steps").await;
        self.back(Some(&cookie), &format!("code=good&state={state}")).await
    }

    async fn refused(&self, what: &str) -> String {
        refused(&self.sign_in().await, what)
    }

    async fn signed_in(&self, guest: &Guest) -> bool {
        let (name, value) = guest.proof.as_ref().expect("a proof");
        let request = self.world.request(Method::GET, "/auth/state").header(*name, value);
        let state: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        state["signedIn"] == true
    }
}

/// The word with which somebody was turned away.
fn refused(response: &Response, what: &str) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{what}");
    let to = response.headers()[header::LOCATION].to_str().expect("text");
    let query = to.strip_prefix("/sign-in?").unwrap_or_else(|| panic!("{what}: let in, to {to}"));
    let lines: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(lines.len(), 1, "{what}: {lines:?}");
    let line = lines[0].to_str().expect("text");
    assert!(line.starts_with("runyard-errand=;") && line.contains("Max-Age=0"), "{what}: {line}");
    let request = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "request").expect("an id").1;
    assert_eq!(response.headers()["x-request-id"].to_str().expect("text"), request, "{what}");
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "refused").expect("a word").1.into_owned()
}

fn guest(response: &Response) -> Guest {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let to = response.headers()[header::LOCATION].to_str().expect("text");
    assert!(!to.starts_with("/sign-in"), "turned away: {to}");
    Guest { proof: Some(("cookie", cookie(response))) }
}

#[tokio::test]
async fn somebody_comes_in_from_the_provider_and_is_the_same_the_next_time() {
    let place = Place::new().await;
    let state: Value =
        place.world.request(Method::GET, "/auth/state").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&state["provider"], &state["password"]), (&json!("Example"), &json!(true)));
    let response = place.sign_in().await;
    assert_eq!(response.headers()[header::LOCATION], "/r/7?tab=steps", "where they wanted to go");
    let line = response.headers()[header::SET_COOKIE].to_str().expect("text");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=7200"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    let grace = guest(&response);
    let viewer = place.world.ask(&grace, "{ viewer { role person { name email hasPassword } } }").await;
    assert_eq!(
        viewer["data"]["viewer"],
        json!({ "role": "MEMBER", "person": { "name": "Grace", "email": "grace@example.org", "hasPassword": false } })
    );
    for (name, value) in [("response_type", "code"), ("scope", "openid email profile"), ("client_id", CLIENT)] {
        assert_eq!(place.rogue.asked(name), value);
    }
    assert_eq!(place.rogue.asked("redirect_uri"), format!("{}/auth/oidc/return", place.world.origin()));

    place.rogue.lie(|lies| lies.claims = json!({ "email": "grace@elsewhere.example", "email_verified": false }));
    let again = guest(&place.sign_in().await);
    let id = "{ viewer { person { id } } }";
    assert_eq!(place.world.ask(&again, id).await, place.world.ask(&grace, id).await, "by issuer and subject alone");
    assert_eq!((place.rogue.count("document"), place.rogue.count("keys")), (1, 1), "both are kept");
}

#[tokio::test]
async fn a_token_that_is_not_quite_right_lets_nobody_in() {
    let place = Place::new().await;
    let now = jiff::Timestamp::now().as_second();
    let claims = |claims: Value| move |lies: &mut Lies| lies.claims = claims;
    let head = |head: Value, signed: Signed| {
        move |lies: &mut Lies| {
            lies.head = head;
            lies.signed = signed;
        }
    };
    let cases: Vec<(&str, Change)> = vec![
        ("another issuer", Box::new(claims(json!({ "iss": "https://id.example.org" })))),
        ("an issuer with a slash", Box::new(claims(json!({ "iss": format!("{}/", place.rogue.issuer) })))),
        ("another audience", Box::new(claims(json!({ "aud": "somebody" })))),
        ("audiences without us", Box::new(claims(json!({ "aud": ["somebody", "else"] })))),
        ("audiences without a party", Box::new(claims(json!({ "aud": [CLIENT, "somebody"] })))),
        ("no audience", Box::new(claims(json!({ "aud": null })))),
        ("another party", Box::new(claims(json!({ "azp": "somebody" })))),
        ("expired", Box::new(claims(json!({ "exp": now - 61 })))),
        ("no end", Box::new(claims(json!({ "exp": null })))),
        ("an end that is text", Box::new(claims(json!({ "exp": "9999999999" })))),
        ("from the future", Box::new(claims(json!({ "iat": now + 120 })))),
        ("not yet", Box::new(claims(json!({ "nbf": now + 120 })))),
        ("no nonce", Box::new(claims(json!({ "nonce": null })))),
        ("another nonce", Box::new(claims(json!({ "nonce": "another" })))),
        ("nobody", Box::new(claims(json!({ "sub": "" })))),
        ("no subject", Box::new(claims(json!({ "sub": null })))),
        ("a number as subject", Box::new(claims(json!({ "sub": 7 })))),
        ("a long subject", Box::new(claims(json!({ "sub": "a".repeat(256) })))),
        ("a subject that hides something", Box::new(claims(json!({ "sub": "ada\u{202e}" })))),
        ("no algorithm", Box::new(head(json!({ "alg": "none" }), Signed::Not))),
        ("none with a signature", Box::new(head(json!({ "alg": "none" }), Signed::Well))),
        ("HMAC by the public key", Box::new(head(json!({ "alg": "HS256" }), Signed::WithThePublicKey))),
        ("HMAC called ES256", Box::new(head(json!({}), Signed::WithThePublicKey))),
        ("no signature", Box::new(head(json!({}), Signed::Not))),
        ("another's signature", Box::new(head(json!({}), Signed::ByAnother))),
        ("another's signature without a key id", Box::new(head(json!({ "kid": null }), Signed::ByAnother))),
        ("another algorithm", Box::new(head(json!({ "alg": "RS256" }), Signed::Well))),
        ("an access token", Box::new(head(json!({ "typ": "at+jwt" }), Signed::Well))),
        ("conditions", Box::new(head(json!({ "crit": ["exp"] }), Signed::Well))),
    ];
    for (what, lie) in cases {
        place.rogue.lie(|lies| {
            lies.claims = json!({});
            lies.head = json!({});
            lies.signed = Signed::Well;
            lie(lies);
        });
        assert_eq!(place.refused(what).await, "untrusted", "{what}");
    }
    place.rogue.lie(|lies| {
        lies.head = json!({ "kid": null });
        lies.signed = Signed::Well;
        lies.claims = json!({ "aud": [CLIENT, "somebody"], "azp": CLIENT, "exp": now - 30, "iat": 1_700_000_000.5 });
    });
    guest(&place.sign_in().await);
}

#[tokio::test]
async fn a_browser_that_was_not_sent_does_not_come_back() {
    let place = Place::new().await;
    let (mine, state) = place.sent("/").await;
    let (other, _) = place.sent("/").await;
    let query = format!("code=good&state={state}");
    assert_eq!(refused(&place.back(None, &query).await, "no cookie"), "expired");
    assert_eq!(refused(&place.back(Some(&other), &query).await, "another browser"), "expired");
    assert_eq!(refused(&place.back(Some("runyard-errand=rye_0"), &query).await, "made up"), "expired");
    assert_eq!(refused(&place.back(Some(&mine), "code=good").await, "no state"), "expired");
    assert_eq!(refused(&place.back(Some(&mine), &format!("{query}&state=a")).await, "two states"), "expired");
    assert_eq!(place.rogue.count("token"), 0, "the provider was not even asked");

    let (mine, state) = place.sent("/").await;
    let query = format!("code=good&state={state}");
    guest(&place.back(Some(&mine), &query).await);
    assert_eq!(refused(&place.back(Some(&mine), &query).await, "again"), "expired");
    assert_eq!(place.rogue.count("token"), 1);

    let (late, state) = place.sent("/").await;
    place.clock.minutes.fetch_add(11, SeqCst);
    assert_eq!(refused(&place.back(Some(&late), &format!("code=good&state={state}")).await, "late"), "expired");

    let (mine, state) = place.sent("/").await;
    assert_eq!(refused(&place.back(Some(&mine), &format!("code=bad&state={state}")).await, "a bad code"), "expired");
    let again = place.back(Some(&mine), &format!("code=good&state={state}")).await;
    assert_eq!(refused(&again, "the good one afterwards"), "expired");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_not_taken() {
    let place = Place::new().await;
    let issuer = url::form_urlencoded::byte_serialize(place.rogue.issuer.as_bytes()).collect::<String>();
    let came = async |query: &str| {
        let (cookie, state) = place.sent("/").await;
        place.back(Some(&cookie), &format!("state={state}&{query}")).await
    };
    assert_eq!(refused(&came("code=good&iss=https%3A%2F%2Fevil.example").await, "another"), "untrusted");
    guest(&came(&format!("code=good&iss={issuer}")).await);
    assert_eq!(refused(&came("error=access_denied").await, "no"), "denied");
    assert_eq!(refused(&came("error=temporarily_unavailable").await, "away"), "unreachable");
    assert_eq!(refused(&came("error=invalid_scope").await, "wrong"), "provider");
    assert_eq!(refused(&came("session_state=1").await, "nothing"), "provider");

    let careful = Place::new().await;
    careful.rogue.lie(|lies| lies.document = json!({ "authorization_response_iss_parameter_supported": true }));
    assert_eq!(careful.refused("nameless, though it names itself").await, "untrusted");
}

#[tokio::test]
async fn a_provider_that_leads_elsewhere_or_talks_too_much_is_not_followed() {
    let elsewhere = Rogue::start().await;
    let place = Place::new().await;
    for (what, instead, word) in [
        ("a redirect", Instead::Redirect(format!("{}/token", elsewhere.issuer)), "provider"),
        ("a huge answer", Instead::Huge(600 * 1024), "provider"),
        ("a page", Instead::Page, "provider"),
        ("a client that it does not know", Instead::Error(401, "invalid_client"), "provider"),
        ("an error of its own", Instead::Error(503, "server_error"), "unreachable"),
    ] {
        place.rogue.lie(|lies| lies.token = Some(instead));
        assert_eq!(place.refused(what).await, word, "{what}");
    }
    assert_eq!(elsewhere.count("token"), 0, "neither code nor secret went there");

    let document = |change: Value| move |lies: &mut Lies| lies.document = change;
    let evil = format!("{}/token", elsewhere.issuer);
    let cases: Vec<(&str, Change, &str)> = vec![
        ("another issuer's document", Box::new(document(json!({ "issuer": elsewhere.issuer }))), "untrusted"),
        (
            "an open token endpoint",
            Box::new(document(json!({ "token_endpoint": "http://id.example.org/" }))),
            "untrusted",
        ),
        (
            "a page as sign-in page",
            Box::new(document(json!({ "authorization_endpoint": "javascript:1" }))),
            "untrusted",
        ),
        ("no keys", Box::new(document(json!({ "jwks_uri": 7 }))), "provider"),
        ("a redirect", Box::new(move |lies| lies.discovery = Some(Instead::Redirect(evil))), "provider"),
        ("a huge document", Box::new(|lies| lies.discovery = Some(Instead::Huge(600 * 1024))), "provider"),
        ("no document", Box::new(|lies| lies.discovery = Some(Instead::Error(404, "no"))), "provider"),
    ];
    for (what, lie, word) in cases {
        let place = Place::new().await;
        place.rogue.lie(lie);
        let response = place.start("/").await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{what}");
        assert!(!response.headers().contains_key(header::SET_COOKIE), "{what}");
        assert_eq!(response.json::<Value>().await.expect("JSON")["error"], word, "{what}");
        place.start("/").await;
        assert_eq!(place.rogue.count("document"), 1, "{what}: it is not asked over and over");
    }
    let away = Place::with(|doors| doors.provider = Some(settings("http://127.0.0.1:1"))).await;
    assert_eq!(away.start("/").await.json::<Value>().await.expect("JSON")["error"], "unreachable");
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_waited_for_only_so_long() {
    let place = Place::new().await;
    place.rogue.lie(|lies| lies.token = Some(Instead::Silence));
    let (cookie, state) = place.sent("/").await;
    let begun = std::time::Instant::now();
    let response = place.back(Some(&cookie), &format!("code=good&state={state}")).await;
    assert_eq!(refused(&response, "silence"), "unreachable");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn new_keys_are_looked_for_once_in_a_while() {
    let place = Place::new().await;
    guest(&place.sign_in().await);
    place.clock.minutes.fetch_add(1, SeqCst);
    place.rogue.rotate("two");
    guest(&place.sign_in().await);
    assert_eq!(place.rogue.count("keys"), 2, "the new key was found");
    place.rogue.lie(|lies| lies.head = json!({ "kid": "never-seen" }));
    place.clock.minutes.fetch_add(1, SeqCst);
    for _ in 0..8 {
        assert_eq!(place.refused("an unknown key").await, "untrusted");
    }
    assert_eq!(place.rogue.count("keys"), 3, "a flood of unknown keys is no flood of requests");
}

#[tokio::test]
async fn only_a_verified_address_of_a_welcome_domain_or_an_invitation_lets_somebody_new_in() {
    let place = Place::new().await;
    let ada = place.world.admin().await;
    for (what, claims, word) in [
        ("not verified", json!({ "email_verified": false }), "unverified"),
        ("not said to be verified", json!({ "email_verified": null }), "unverified"),
        ("verified in words", json!({ "email_verified": "no" }), "unverified"),
        ("no address", json!({ "email": "not an address" }), "unverified"),
        ("another domain", json!({ "email": "grace@example.org.evil.example" }), "uninvited"),
        ("somebody's", json!({ "email": "ADA@example.org" }), "taken"),
    ] {
        place.rogue.lie(|lies| lies.claims = claims);
        assert_eq!(place.refused(what).await, word, "{what}");
    }
    let people = place.world.ask(&ada, "{ people { name } }").await;
    assert_eq!(people["data"]["people"].as_array().expect("a list").len(), 1, "nobody is there but Ada");
    let invited = "mutation { invite(email: \"lin@elsewhere.example\", role: MAINTAINER) { url } }";
    place.world.ask(&ada, invited).await;
    place.rogue.lie(|lies| lies.claims = json!({ "sub": "lin", "email": "Lin@elsewhere.example" }));
    let lin = guest(&place.sign_in().await);
    assert_eq!(place.world.ask(&lin, "{ viewer { role } }").await["data"]["viewer"]["role"], "MAINTAINER");
    let left = place.world.ask(&ada, "{ invitations { email } }").await;
    assert_eq!(left["data"]["invitations"], json!([]), "it is used up");
}

#[tokio::test]
async fn what_the_token_lacks_is_asked_for_and_must_be_about_the_same_person() {
    let place = Place::new().await;
    place.rogue.lie(|lies| {
        lies.claims = json!({ "email": null, "email_verified": null, "name": null });
        lies.userinfo = json!({ "sub": "somebody", "email": "grace@example.org", "email_verified": true });
    });
    assert_eq!(place.refused("somebody else").await, "untrusted");
    place.rogue.lie(|lies| {
        lies.userinfo = json!({ "sub": "s-1", "email": "grace@example.org", "email_verified": true, "name": "Grace" });
    });
    let grace = guest(&place.sign_in().await);
    let name = place.world.ask(&grace, "{ viewer { person { name } } }").await;
    assert_eq!(name["data"]["viewer"]["person"]["name"], "Grace");
}

#[tokio::test]
async fn somebody_who_is_there_is_linked_only_when_the_settings_say_so() {
    let place = Place::with(|doors| doors.provider.as_mut().expect("one").link_existing = true).await;
    let ada = place.world.admin().await;
    place.rogue.lie(|lies| lies.claims = json!({ "email": "ada@example.org", "email_verified": null }));
    assert_eq!(place.refused("not verified").await, "unverified");
    place.rogue.lie(|lies| lies.claims = json!({ "email": "ada@example.org" }));
    let linked = guest(&place.sign_in().await);
    let id = "{ viewer { role person { id } } }";
    assert_eq!(place.world.ask(&linked, id).await, place.world.ask(&ada, id).await);
    place.rogue.lie(|lies| lies.claims = json!({ "sub": "heir", "email": "ada@example.org" }));
    assert_eq!(place.refused("whoever has her address now").await, "taken");
}

#[tokio::test]
async fn whoever_was_sent_away_stays_out_and_a_sign_in_ends_by_itself() {
    let place = Place::new().await;
    let ada = place.world.admin().await;
    let grace = guest(&place.sign_in().await);
    let id = place.world.ask(&grace, "{ viewer { person { id } } }").await;
    let id = id["data"]["viewer"]["person"]["id"].as_str().expect("an id").to_owned();
    place.clock.minutes.fetch_add(119, SeqCst);
    assert!(place.signed_in(&grace).await);
    place.clock.minutes.fetch_add(2, SeqCst);
    assert!(!place.signed_in(&grace).await, "after two hours, though it was used");
    place.rogue.lie(|lies| {
        let later = jiff::Timestamp::now().as_second() + 121 * 60;
        lies.claims = json!({ "exp": later + 300 });
    });
    let again = guest(&place.sign_in().await);
    place.world.ask(&ada, &format!("mutation {{ deactivatePerson(person: \"{id}\") {{ active }} }}")).await;
    assert!(!place.signed_in(&again).await);
    assert_eq!(place.refused("sent away").await, "sent-away");
}

#[tokio::test]
async fn a_closed_door_for_passwords_leaves_the_links_of_admins_open() {
    let place = Place::with(|doors| doors.passwords = false).await;
    let ada = place.world.admin().await;
    let body = json!({ "email": "ada@example.org", "password": crate::world::PASSWORD });
    let refused = place.world.post("/auth/sign-in", &body).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.json::<Value>().await.expect("JSON")["error"], "passwords-closed");
    let link = async |mutation: &str, field: &str| {
        let answer = place.world.ask(&ada, mutation).await;
        let url = answer["data"][field]["url"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let path = format!("/auth/link/{}", url.rsplit('/').next().expect("a value"));
        let body = json!({ "name": "Grace", "password": "quite another one" });
        place.world.post(&path, &body).send().await.expect("an answer").status()
    };
    let invited = link("mutation { invite(email: \"grace@example.org\", role: ADMIN) { url } }", "invite").await;
    assert_eq!(invited, StatusCode::FORBIDDEN, "an invitation is for the provider");
    let grace = guest(&place.sign_in().await);
    assert_eq!(place.world.ask(&grace, "{ viewer { role } }").await["data"]["viewer"]["role"], "ADMIN");
    let viewer = place.world.ask(&ada, "{ viewer { person { id } } }").await;
    let id = viewer["data"]["viewer"]["person"]["id"].as_str().expect("an id");
    let reset = link(&format!("mutation {{ resetPassword(person: \"{id}\") {{ url }} }}"), "resetPassword").await;
    assert_eq!(reset, StatusCode::NO_CONTENT, "a way in when the provider is away");
}

#[tokio::test]
async fn only_a_page_of_ours_sends_somebody_to_the_provider_and_never_back_elsewhere() {
    let place = Place::new().await;
    let forged = place.world.request(Method::POST, "/auth/oidc").header(header::ORIGIN, "https://evil.example");
    let forged = forged.header("x-runyard", "1").header(header::CONTENT_TYPE, "application/json").body("{}");
    assert_eq!(forged.send().await.expect("an answer").status(), StatusCode::FORBIDDEN);
    for evil in ["//evil.example", "/\\evil.example", "https://evil.example", "/\r\nSet-Cookie: a=b", "javascript:1"] {
        let (cookie, state) = place.sent(evil).await;
        let response = place.back(Some(&cookie), &format!("code=good&state={state}")).await;
        assert_eq!(response.headers()[header::LOCATION], "/", "{evil:?}");
    }
    let line = place.start("/").await.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    for part in ["runyard-errand=rye_", "HttpOnly", "SameSite=Lax", "Max-Age=600"] {
        assert!(line.contains(part), "{line}");
    }
    let port = place.world.server.address().port();
    let by_name = format!("http://localhost:{port}");
    let request = place.world.request(Method::POST, "/auth/oidc").header(header::ORIGIN, &by_name);
    let request = request.header(header::HOST, format!("localhost:{port}")).header("x-runyard", "1");
    let request = request.header(header::CONTENT_TYPE, "application/json").body("{\"next\":\"/r/7\"}");
    let way: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(way["url"], format!("{}/sign-in?next=%2Fr%2F7", place.world.origin()), "by the public name first");

    let without = World::new().await;
    let nothing = without.post("/auth/oidc", &json!({})).send().await.expect("an answer");
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}
