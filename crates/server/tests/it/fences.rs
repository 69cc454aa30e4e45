//! What other pages, other names and other methods get: nothing.

use crate::world::{Guest, World};
use reqwest::{Method, StatusCode, header};
use serde_json::json;

const QUERY: &str = r#"{"query":"mutation{renameMyself(name:\"Eve\"){name}}"}"#;

/// What a request with these headers comes to, with Ada's cookie.
async fn forged(
    world: &World,
    ada: &Guest,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> StatusCode {
    let mut request = world.request(method, path).header("cookie", &ada.proof.as_ref().expect("a cookie").1);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned()).send().await.expect("an answer").status()
}

#[tokio::test]
async fn a_page_elsewhere_changes_nothing_with_a_cookie() {
    let world = World::new().await;
    let ada = world.admin().await;
    let origin = world.origin();
    let json = ("content-type", "application/json");
    let (own, meant) = (("origin", origin.as_str()), ("x-runyard", "1"));
    for headers in [
        &[json, meant][..],
        &[json, own],
        &[json, meant, ("origin", "null")],
        &[json, meant, ("origin", "http://evil.example")],
        &[json, meant, ("origin", &format!("{origin}.evil.example"))],
        &[json, meant, ("referer", &origin)],
    ] {
        let status = forged(&world, &ada, Method::POST, "/graphql", headers, QUERY).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let status = forged(&world, &ada, Method::POST, "/graphql", &[("content-type", kind), own, meant], QUERY).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    for (method, path) in [
        (Method::GET, "/graphql?query=mutation%7BsignOutEverywhere%7Brole%7D%7D"),
        (Method::HEAD, "/graphql?query=mutation%7BsignOutEverywhere%7Brole%7D%7D"),
        (Method::PUT, "/graphql"),
        (Method::GET, "/auth/sign-out"),
    ] {
        let status = forged(&world, &ada, method.clone(), path, &[json, own, meant], "").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
    }
    for path in ["/auth/sign-out", "/auth/sign-in"] {
        let body = r#"{"email":"ada@example.org","password":"correct horse battery"}"#;
        let status =
            forged(&world, &ada, Method::POST, path, &[json, meant, ("origin", "http://evil.example")], body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let viewer = world.ask(&ada, "{ viewer { person { name } } }").await;
    assert_eq!(viewer["data"]["viewer"]["person"]["name"], "Ada", "nothing changed: {viewer}");
}

#[tokio::test]
async fn a_cookie_is_no_token_and_a_token_no_cookie() {
    let world = World::new().await;
    let ada = world.admin().await;
    let (_, cookie) = ada.proof.clone().expect("a cookie");
    let robot = world.token(&ada, false).await;
    let (_, bearer) = robot.proof.clone().expect("a token");
    let value = cookie.split_once('=').expect("a pair").1;
    let token = bearer.split_once(' ').expect("two words").1;
    for proof in [
        ("authorization", format!("Bearer {value}")),
        ("authorization", format!("Basic {token}")),
        ("authorization", String::new()),
        ("cookie", format!("runyard={token}")),
        ("cookie", format!("other={value}")),
    ] {
        let guest = Guest { proof: Some(proof.clone()) };
        let status = world.graphql(&guest, &json!({ "query": "{ viewer { role } }" })).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{proof:?}");
    }
    // A broken token is not forgiven because a cookie is there as well.
    let both = world.post("/graphql", &json!({ "query": "{ viewer { role } }" })).header("cookie", &cookie);
    let both = both.header("authorization", "Bearer ryu_broken").send().await.expect("an answer");
    assert_eq!(both.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_name_is_refused_and_every_answer_has_its_headers() {
    let world = World::at(Some("https://Runyard.example.org")).await;
    for (host, status) in [
        ("runyard.example.org", StatusCode::OK),
        ("evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("runyard.example.org.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("runyard.example.org:1234", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let response =
            world.request(Method::GET, "/auth/state").header(header::HOST, host).send().await.expect("an answer");
        assert_eq!(response.status(), status, "{host}");
    }
    assert!(world.server.first_admin().expect("a link").starts_with("https://runyard.example.org/welcome/"));
    for path in [
        "/",
        "/r/1",
        "/playground",
        "/auth/state",
        "/auth/link/x",
        "/graphql",
        "/api/nothing",
        "/assets/nothing.js",
        "/healthz",
        "/%ff",
    ] {
        let response = world.request(Method::GET, path).header(header::HOST, "runyard.example.org").send().await;
        let response = response.expect("an answer");
        let told = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let policy = told("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src"));
        assert_eq!(scripts.map(str::trim), Some("script-src 'self'"), "{path}: {policy}");
        // The playground's editor writes style sheets of its own; nothing else does.
        assert_eq!(policy.contains("unsafe"), path == "/playground", "{path}: {policy}");
        assert_eq!(told("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(told("strict-transport-security"), "max-age=31536000", "{path}");
        assert!(response.headers().get("access-control-allow-origin").is_none(), "{path}");
        assert!(!told("cache-control").is_empty(), "{path}");
    }
    let signed = world
        .request(
            Method::POST,
            &format!("/auth/link/{}", world.server.first_admin().expect("a link").rsplit('/').next().expect("a value")),
        )
        .header(header::HOST, "runyard.example.org")
        .header(header::ORIGIN, "https://runyard.example.org")
        .header("x-runyard", "1")
        .json(&json!({ "name": "Ada", "email": "ada@example.org", "password": "correct horse battery" }));
    let signed = signed.send().await.expect("an answer");
    let line = signed.headers()[header::SET_COOKIE].to_str().expect("text");
    assert!(line.starts_with("__Host-runyard=rys_") && line.ends_with("; Secure"), "{line}");
}

#[tokio::test]
async fn a_page_is_answered_for_its_own_addresses_only() {
    let world = World::new().await;
    for (path, kind) in
        [("/", "text/html"), ("/r/7", "text/html"), ("/settings/people", "text/html"), ("/healthz", "text/plain")]
    {
        let response = world.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()[header::CONTENT_TYPE].to_str().expect("text").starts_with(kind), "{path}");
    }
    for path in ["/api/v1/nothing", "/assets/none.js", "/auth/nothing", "/graphql/nothing"] {
        let response = world.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let page = world.request(Method::GET, "/").send().await.expect("an answer");
    let tag = page.headers()[header::ETAG].clone();
    let again = world.request(Method::GET, "/").header(header::IF_NONE_MATCH, tag).send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(
        world.request(Method::POST, "/r/7").send().await.expect("an answer").status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
}
