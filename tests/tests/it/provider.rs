//! Signing in at a provider with the real program: its client's secret goes from the vault to the provider, and nowhere
//! else. What a provider may say is tested in the server's own tests.

use crate::{scripts::script, secrets::typed};
use leakscan::Canaries;
use product_tests::World;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

const SECRET: &str = "provider-secret-8c1f27a94be05d36";
const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];
/// Longer than anything here takes; it is only reached when something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// A provider that says where it is and knows no client; what it is asked comes out of the channel.
async fn provider() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("an address"));
    let (asked, heard) = mpsc::unbounded_channel();
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            // Its head comes first, its body, which has no line end, last.
            while !is_whole(&request) && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            let request = String::from_utf8_lossy(&request).into_owned();
            let (status, body) = if request.starts_with("GET /.well-known/openid-configuration ") {
                ("200 OK", document.to_string())
            } else {
                ("401 Unauthorized", json!({ "error": "invalid_client" }).to_string())
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
            let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            // Whoever asked may be gone, and nobody may listen any more.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = asked.send(request);
        }
    });
    (issuer, heard)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_secret_goes_from_the_vault_to_the_provider_and_nowhere_else() {
    let (issuer, mut heard) = provider().await;
    let mut world = World::new(&script(&[]), &FILES).await;
    for (name, value) in [
        ("LISTEN", "127.0.0.1:0"),
        ("LOG", "debug"),
        ("OIDC_ISSUER", &issuer),
        ("OIDC_CLIENT_ID", "runyard"),
        ("OIDC_LABEL", "Example"),
        ("OIDC_CLIENT_SECRET_NAME", "PROVIDER"),
    ] {
        world.environment.push((format!("RUNYARD_{name}"), value.to_owned()));
    }
    let missing = world.runyard(["serve"]).await.expect_code(4);
    assert!(missing.stderr.contains("oidc.client_secret_name names `PROVIDER`"), "{}", missing.said());
    assert!(missing.stderr.contains("runyard secret set PROVIDER"), "{}", missing.said());
    typed(&world, "set", "PROVIDER", SECRET).await.expect_code(0);

    let mut server = world.serve().await;
    server.says("listening at").await;
    let said = server.so_far();
    let origin = said.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
    let origin = origin.split('/').take(3).collect::<Vec<_>>().join("/");
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    let http = http.build().expect("a client");
    let state: Value =
        http.get(format!("{origin}/auth/state")).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&state["provider"], &state["password"]), (&json!("Example"), &json!(true)));
    let start = http.post(format!("{origin}/auth/oidc")).header("origin", &origin).header("x-runyard", "1");
    let start = start.json(&json!({ "next": "/" })).send().await.expect("an answer");
    let cookie = start.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
    let way: Value = start.json().await.expect("JSON");
    let way = way["url"].as_str().expect("an address");
    let sent = way.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state");
    let code = "code-5f0c2d7e91b84a63";
    let back = http.get(format!("{origin}/auth/oidc/return?code={code}&state={sent}")).header("cookie", &cookie);
    let back = back.send().await.expect("an answer");
    let to = back.headers()["location"].to_str().expect("text").to_owned();
    assert!(to.starts_with("/sign-in?refused=provider&request="), "{to}");

    let document = heard.recv().await.expect("it was asked");
    assert!(document.starts_with("GET /.well-known/") && !document.contains(SECRET), "{document}");
    let token = heard.recv().await.expect("it was asked");
    for part in ["POST /token ", &format!("client_secret={SECRET}"), &format!("code={code}"), "code_verifier="] {
        assert!(token.contains(part), "{part}: {token}");
    }
    server.interrupt();
    let ended = server.ends().await;
    let id = to.split("request=").nth(1).and_then(|rest| rest.split('&').next()).expect("an id");
    let line = ended.stderr.lines().find(|line| line.contains(id) && line.contains("refused"));
    assert!(line.is_some_and(|line| line.contains("invalid_client")), "{}", ended.said());
    let value = cookie.split_once('=').expect("a pair").1;
    for secret in [SECRET, code, value, sent] {
        assert!(!ended.said().contains(secret), "the log holds {secret}: {}", ended.said());
    }
    let canaries = Canaries::new([("secret", SECRET), ("code", code), ("cookie", value)]);
    assert_eq!(leakscan::files(&canaries, &world.data()), []);
}
