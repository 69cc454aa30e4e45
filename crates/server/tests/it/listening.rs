//! Connections over real sockets: TLS, proxies, and those who take their time.

use crate::world::{World, here};
use rcgen::{CertifiedKey, KeyPair};
use reqwest::{Certificate, Method, StatusCode, Version, header};
use server::{Limits, Listening, Proxies, Server, StartError, TlsFiles};
use std::{fs, path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

const SOON: Duration = Duration::from_secs(20);

fn issue(dir: &Path) -> CertifiedKey<KeyPair> {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(dir.join("key.pem"), issued.signing_key.serialize_pem()).expect("written");
    fs::write(dir.join("certificate.pem"), issued.cert.pem()).expect("written");
    issued
}

fn files(dir: &Path) -> TlsFiles {
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    TlsFiles { certificate, key, look_every: Duration::from_millis(50) }
}

/// Somebody who trusts one certificate and nothing else.
fn trusting(issued: &CertifiedKey<KeyPair>, http1: bool) -> reqwest::Client {
    let root = Certificate::from_pem(issued.cert.pem().as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
    let client = if http1 { client.http1_only() } else { client };
    client.build().expect("a client")
}

async fn with(limits: Limits) -> World {
    World::listening(Listening { limits, ..here() }).await
}

/// Everything until the server closes the connection; how long that took.
async fn until_closed(stream: &mut TcpStream) -> (Vec<u8>, Duration) {
    let (begun, mut said) = (Instant::now(), Vec::new());
    // A reset is a close as well.
    let _ = timeout(SOON, stream.read_to_end(&mut said)).await.expect("the server closes the connection");
    (said, begun.elapsed())
}

#[tokio::test]
async fn pages_over_tls_in_both_versions_of_http_with_a_bound_cookie() {
    let dir = tempfile::tempdir().expect("a directory");
    let issued = issue(dir.path());
    let world = World::listening(Listening { tls: Some(files(dir.path())), ..here() }).await;
    let port = world.server.address().port();
    let origin = format!("https://localhost:{port}");
    assert_eq!(world.server.url(), format!("https://127.0.0.1:{port}/"));
    for (http1, version) in [(true, Version::HTTP_11), (false, Version::HTTP_2)] {
        let answer = trusting(&issued, http1).get(format!("{origin}/auth/state")).send().await.expect("an answer");
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, version));
        assert_eq!(answer.headers()[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
    }
    let link = world.server.first_admin().expect("a link").rsplit('/').next().expect("a value").to_owned();
    let body = r#"{"name":"Ada","email":"ada@example.org","password":"correct horse battery"}"#;
    for (from, status) in
        [(format!("http://localhost:{port}"), StatusCode::FORBIDDEN), (origin.clone(), StatusCode::NO_CONTENT)]
    {
        let request = trusting(&issued, false).post(format!("{origin}/auth/link/{link}")).header(header::ORIGIN, &from);
        let request = request.header("x-runyard", "1").header(header::CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{from}");
        if status == StatusCode::NO_CONTENT {
            let line = answer.headers()[header::SET_COOKIE].to_str().expect("text");
            assert!(line.starts_with("__Host-runyard=rys_") && line.ends_with("; Secure"), "{line}");
        }
    }
    assert!(world.http.get(format!("http://localhost:{port}/")).send().await.is_err(), "not without TLS");
    world.server.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let old = issue(dir.path());
    let world = World::listening(Listening { tls: Some(files(dir.path())), ..here() }).await;
    let url = format!("https://localhost:{}/healthz", world.server.address().port());
    // A client of its own each time, so that no connection is used again.
    trusting(&old, true).get(&url).send().await.expect("the first certificate");
    fs::write(dir.path().join("certificate.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n").expect("written");
    sleep(Duration::from_millis(300)).await;
    trusting(&old, true).get(&url).send().await.expect("the first certificate, still");
    let new = issue(dir.path());
    timeout(SOON, async {
        while trusting(&new, true).get(&url).send().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the renewed certificate is in use");
    assert!(trusting(&old, true).get(&url).send().await.is_err(), "and the first is not");
}

async fn refused(world: &World, tls: TlsFiles) -> String {
    match Server::start(world.parts(Listening { tls: Some(tls), ..here() })).await {
        Err(StartError::Tls(error)) => error.to_string(),
        other => panic!("it starts: {other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let world = World::new().await;
    let (dir, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (issued, _) = (issue(dir.path()), issue(other.path()));
    let good = files(dir.path());
    let missing = TlsFiles { key: dir.path().join("none.pem"), ..good.clone() };
    assert_eq!(refused(&world, missing.clone()).await, format!("failed to read {}", missing.key.display()));
    let swapped = TlsFiles { certificate: good.key.clone(), key: good.certificate.clone(), ..good.clone() };
    let told = refused(&world, swapped).await;
    assert!(told.starts_with(&format!("{} holds no certificate", good.key.display())), "{told}");
    let keyless = TlsFiles { key: good.certificate.clone(), ..good.clone() };
    let told = refused(&world, keyless).await;
    assert!(told.contains("certificate.pem holds no private key without a passphrase"), "{told}");
    let foreign = TlsFiles { key: other.path().join("key.pem"), ..good.clone() };
    let told = refused(&world, foreign).await;
    assert!(told.contains("does not fit the certificate in"), "{told}");
    fs::write(&good.certificate, &issued.cert.der()[..]).expect("written");
    let told = refused(&world, good).await;
    assert!(told.contains("holds no certificate: it should begin with"), "{told}");
}

#[tokio::test]
async fn who_does_not_finish_what_they_begin_is_sent_away() {
    let short = Duration::from_millis(400);
    let world = with(Limits { head: short, body: short, ..Limits::default() }).await;
    let address = world.server.address();
    let host = format!("Host: {address}\r\n");

    let mut silent = TcpStream::connect(address).await.expect("connected");
    let mut half = TcpStream::connect(address).await.expect("connected");
    half.write_all(format!("GET /healthz HTTP/1.1\r\n{host}X-Slow: ").as_bytes()).await.expect("sent");
    assert!(until_closed(&mut silent).await.1 < Duration::from_secs(5));
    assert!(until_closed(&mut half).await.1 < Duration::from_secs(5));

    // A byte now and then is not enough, whether of the head or of the body.
    for begun in [
        format!("GET /healthz HTTP/1.1\r\n{host}X-Slow: "),
        format!(
            "POST /auth/sign-in HTTP/1.1\r\n{host}Origin: http://{address}\r\nX-Runyard: 1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        ),
    ] {
        let stream = TcpStream::connect(address).await.expect("connected");
        let (mut read, mut write) = stream.into_split();
        write.write_all(begun.as_bytes()).await.expect("sent");
        let drip = tokio::spawn(async move {
            while write.write_all(b"a").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        });
        let (begun, mut said) = (Instant::now(), Vec::new());
        let _ = timeout(SOON, read.read_to_end(&mut said)).await.expect("the server closes the connection");
        assert!(begun.elapsed() < Duration::from_secs(5) && !said.starts_with(b"HTTP/1.1 2"), "{said:?}");
        drip.abort();
    }

    // A kept connection has as much time for its next request, and no more.
    let mut kept = TcpStream::connect(address).await.expect("connected");
    kept.write_all(format!("GET /healthz HTTP/1.1\r\n{host}\r\n").as_bytes()).await.expect("sent");
    let (said, _) = until_closed(&mut kept).await;
    assert!(said.starts_with(b"HTTP/1.1 200 "), "{said:?}");
    world.server.stop().await;
}

#[tokio::test]
async fn a_handshake_has_an_end_and_so_has_a_quiet_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let issued = issue(dir.path());
    let short = Duration::from_millis(400);
    let limits = Limits { handshake: short, idle: short, connections: 1, ..Limits::default() };
    let world = World::listening(Listening { tls: Some(files(dir.path())), limits, ..here() }).await;
    let address = world.server.address();
    for said in [&b""[..], b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(said).await.expect("sent");
        assert!(until_closed(&mut stream).await.1 < Duration::from_secs(5), "{said:?}");
    }
    // Only when the quiet HTTP/2 connection has gone there is a place for another one.
    let url = format!("https://localhost:{}/healthz", address.port());
    let keeper = trusting(&issued, false);
    keeper.get(&url).send().await.expect("an answer").text().await.expect("a body");
    timeout(SOON, async {
        while trusting(&issued, true).get(&url).send().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the quiet connection has gone");
    drop(keeper);
}

#[tokio::test]
async fn one_peer_has_so_many_connections_and_a_proxy_more() {
    let limits = Limits { per_peer: 2, connections: 5, ..Limits::default() };
    let proxies = Proxies {
        trusted: vec!["127.0.0.2".parse::<std::net::IpAddr>().expect("an address").into()],
        ..Proxies::default()
    };
    let world = World::listening(Listening { limits, proxies, ..here() }).await;
    let address = world.server.address();
    let from = |ip: [u8; 4]| async move {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind((ip, 0).into()).expect("bound");
        let mut stream = socket.connect(address).await.expect("connected");
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut first = [0; 12];
        let answered = timeout(SOON, stream.read_exact(&mut first)).await.expect("an answer or an end").is_ok();
        answered.then_some(stream)
    };
    let (one, two) = (from([127, 0, 0, 1]).await, from([127, 0, 0, 1]).await);
    assert!(one.is_some() && two.is_some());
    assert!(from([127, 0, 0, 1]).await.is_none(), "the third of one peer");
    let mut of_proxy = Vec::new();
    for _ in 0..3 {
        of_proxy.push(from([127, 0, 0, 2]).await.expect("a proxy brings many"));
    }
    assert!(from([127, 0, 0, 3]).await.is_none(), "the sixth of all");
    drop(one);
    timeout(SOON, async { while from([127, 0, 0, 1]).await.is_none() {} }).await.expect("its place is free again");
}

#[tokio::test]
async fn what_is_said_about_the_caller_counts_only_from_a_trusted_proxy() {
    let proxies = Proxies { trusted: vec!["127.0.0.0/8".parse().expect("a network")], ..Proxies::default() };
    let public_url = Some("https://runyard.example.org".to_owned());
    let behind = World::listening(Listening { proxies, public_url: public_url.clone(), ..here() }).await;
    let open = World::listening(Listening { public_url, ..here() }).await;
    let tries = |world: &World, client: &str, n: u32| {
        let request = world.request(Method::POST, "/auth/sign-in").header("x-runyard", "1");
        let request = request.header(header::ORIGIN, "https://runyard.example.org");
        let body = format!(r#"{{"email":"{n}@example.org","password":"wrong"}}"#);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let request = request.header("x-forwarded-for", format!("10.{n}.0.1, {client}"));
        async move { request.send().await.expect("an answer").status() }
    };
    // Thirty attempts of one network, whatever it says that it is; another one has its own.
    let mut stopped = 0;
    for n in 0..40 {
        stopped += u32::from(tries(&behind, "203.0.113.7", n).await == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(stopped > 0, "the left part of the list is invented");
    assert_eq!(tries(&behind, "203.0.113.8", 99).await, StatusCode::UNAUTHORIZED);
    let mut stopped = 0;
    for n in 0..40 {
        stopped += u32::from(tries(&open, &format!("203.0.113.{n}"), n).await == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(stopped > 0, "nobody is believed where no proxy is trusted");

    for (world, host, forwarded, proto, status) in [
        (&behind, "127.0.0.1", Some("runyard.example.org"), "https", StatusCode::OK),
        (&behind, "runyard.example.org", None, "https", StatusCode::OK),
        (&behind, "runyard.example.org", Some("evil.example"), "https", StatusCode::MISDIRECTED_REQUEST),
        (&behind, "runyard.example.org", None, "http", StatusCode::PERMANENT_REDIRECT),
        (&open, "evil.example", Some("runyard.example.org"), "https", StatusCode::MISDIRECTED_REQUEST),
        (&open, "runyard.example.org", Some("evil.example"), "http", StatusCode::OK),
    ] {
        let request = world.request(Method::GET, "/auth/state?x=1").header(header::HOST, host);
        let request = request.header("x-forwarded-proto", proto);
        let request = forwarded.into_iter().fold(request, |request, host| request.header("x-forwarded-host", host));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{host} {forwarded:?} {proto}");
        if status == StatusCode::PERMANENT_REDIRECT {
            assert_eq!(answer.headers()[header::LOCATION], "https://runyard.example.org/auth/state?x=1");
        }
    }
}

#[tokio::test]
async fn an_absolute_address_and_two_hosts_do_not_lead_past_the_check() {
    let world = World::new().await;
    let address = world.server.address();
    for (head, status) in [
        (format!("GET http://{address}/healthz HTTP/1.1\r\nHost: {address}"), "200"),
        (format!("GET http://evil.example/healthz HTTP/1.1\r\nHost: {address}"), "400"),
        ("GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example".to_owned(), "421"),
        (format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nHost: evil.example"), "421"),
        ("GET /healthz HTTP/1.1".to_owned(), "421"),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.expect("sent");
        let (said, _) = until_closed(&mut stream).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {said}");
    }
}
