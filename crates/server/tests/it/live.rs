//! Subscriptions: every event once and in order, for as long as the viewer may look.

use crate::world::{ACCOUNT, Guest, World, code};
use domain::{Repository, RepositoryId, Session, SessionId, Timestamp};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering, time::Duration};
use store::{Access as _, Store as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

/// Longer than anything here takes; it is only reached when something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(world: &World, headers: &[(&str, String)]) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/graphql/ws", world.server.address()).into_client_request().expect("a request");
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a name");
        request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

fn of_browser(world: &World, guest: &Guest) -> Vec<(&'static str, String)> {
    let (name, value) = guest.proof.clone().expect("a proof");
    vec![(name, value), ("origin", world.origin()), ("sec-websocket-protocol", "graphql-transport-ws".to_owned())]
}

async fn viewer(world: &World, guest: &Guest) -> Socket {
    let mut socket = connect(world, &of_browser(world, guest)).await.expect("connects");
    say(&mut socket, &json!({ "type": "connection_init" })).await;
    assert_eq!(heard(&mut socket).await["type"], "connection_ack");
    socket
}

async fn say(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.expect("sends");
}

async fn heard(socket: &mut Socket) -> Value {
    match next(socket).await {
        Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
        other => panic!("not a text: {other:?}"),
    }
}

async fn next(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
    message.expect("a message").expect("a whole one")
}

async fn follow(socket: &mut Socket, id: &str, after: i64) {
    let query = format!("subscription {{ events(session: 1, after: {after}) {{ number payload }} }}");
    say(socket, &json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
}

/// The number and the text of the next event.
async fn event(socket: &mut Socket) -> (i64, String) {
    let message = heard(socket).await;
    let event = &message["payload"]["data"]["events"];
    (
        event["number"].as_i64().unwrap_or_else(|| panic!("no event: {message}")),
        event["payload"]["text"].as_str().expect("text").to_owned(),
    )
}

#[tokio::test]
async fn a_viewer_that_was_away_gets_what_it_missed_once() {
    let world = World::new().await;
    let ada = world.admin().await;
    world.stand_in.happen("one");
    world.stand_in.happen("two");
    let mut first = viewer(&world, &ada).await;
    follow(&mut first, "a", 0).await;
    assert_eq!(event(&mut first).await, (1, "one".to_owned()));
    assert_eq!(event(&mut first).await, (2, "two".to_owned()));
    world.stand_in.happen("three");
    assert_eq!(event(&mut first).await, (3, "three".to_owned()));
    drop(first);
    world.stand_in.happen("four");
    let mut second = viewer(&world, &ada).await;
    follow(&mut second, "a", 3).await;
    world.stand_in.happen("five");
    assert_eq!(event(&mut second).await, (4, "four".to_owned()));
    assert_eq!(event(&mut second).await, (5, "five".to_owned()));
}

#[tokio::test]
async fn only_our_own_page_may_open_a_socket_with_a_cookie() {
    let world = World::new().await;
    let ada = world.admin().await;
    let robot = world.token(&ada, false).await;
    let good = of_browser(&world, &ada);
    let without = |name: &str| good.iter().filter(|(it, _)| *it != name).cloned().collect::<Vec<_>>();
    let with = |name: &'static str, value: &str| {
        let mut headers = without(name);
        headers.push((name, value.to_owned()));
        headers
    };
    for (headers, status) in [
        (without("origin"), 403),
        (with("origin", "null"), 403),
        (with("origin", "http://evil.example"), 403),
        (with("origin", &format!("{}.evil.example", world.origin())), 403),
        (without("cookie"), 401),
        (with("cookie", "runyard=rys_0"), 401),
        (without("sec-websocket-protocol"), 400),
        (with("sec-websocket-protocol", "graphql-ws"), 400),
    ] {
        match connect(&world, &headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), status, "{headers:?}"),
            other => panic!("{headers:?}: {other:?}"),
        }
    }
    // A program has no origin and needs none.
    let (name, value) = robot.proof.clone().expect("a token");
    let headers = [(name, value), ("sec-websocket-protocol", "graphql-transport-ws".to_owned())];
    connect(&world, &headers).await.expect("connects");
}

#[tokio::test]
async fn a_socket_is_closed_when_its_viewer_may_not_look_any_more() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let robot = world.token(&ada, false).await;
    let mut sockets = [viewer(&world, &grace).await, viewer(&world, &robot).await];
    for socket in &mut sockets {
        follow(socket, "a", 0).await;
    }
    let people = world.ask(&ada, "{ people { id name } tokens { id } }").await;
    let people_list = people["data"]["people"].as_array().expect("a list");
    let id = people_list.iter().find(|it| it["name"] == "grace").expect("there")["id"].as_str().expect("an id");
    let token = people["data"]["tokens"][0]["id"].as_str().expect("an id");
    let away =
        format!("mutation {{ deactivatePerson(person: \"{id}\") {{ active }} revokeToken(id: \"{token}\") {{ id }} }}");
    assert_eq!(code(&world.ask(&ada, &away).await), None);
    for socket in &mut sockets {
        match next(socket).await {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 4403, "{frame:?}"),
            other => panic!("not closed: {other:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_asks_for_too_much_on_one_socket() {
    let world = World::new().await;
    let ada = world.admin().await;
    let mut socket = viewer(&world, &ada).await;
    for n in 0..32 {
        follow(&mut socket, &n.to_string(), 0).await;
    }
    follow(&mut socket, "one too many", 0).await;
    let refused = heard(&mut socket).await;
    assert_eq!(refused["id"], "one too many", "{refused}");
    assert!(refused.to_string().contains("at most 32 subscriptions"), "{refused}");
    // One that ends makes room.
    say(&mut socket, &json!({ "type": "complete", "id": "0" })).await;
    // What was said before it has been heard when it is answered.
    say(&mut socket, &json!({ "type": "ping" })).await;
    while heard(&mut socket).await["type"] != "pong" {}
    world.stand_in.happen("one");
    let mut ids = Vec::new();
    while ids.len() < 31 {
        let message = heard(&mut socket).await;
        if message["type"] == "next" {
            ids.push(message["id"].as_str().expect("an id").to_owned());
        }
    }
    assert!(!ids.contains(&"0".to_owned()), "{ids:?}");
    follow(&mut socket, "again", 0).await;
    assert_eq!(event(&mut socket).await, (1, "one".to_owned()));

    let mut other = viewer(&world, &ada).await;
    say(&mut other, &json!({ "type": "subscribe", "id": "x", "payload": { "query": "x".repeat(70_000) } })).await;
    let closed = tokio::time::timeout(PATIENCE, other.next()).await.expect("in time");
    assert!(!matches!(closed, Some(Ok(Message::Text(_)))), "{closed:?}");
}

#[tokio::test]
async fn many_viewers_read_the_record_once_and_who_reads_nothing_misses_nothing() {
    const EVENTS: i64 = 3000;
    let world = World::new().await;
    let ada = world.admin().await;
    let mut viewers = Vec::new();
    for _ in 0..4 {
        let mut viewer = viewer(&world, &ada).await;
        follow(&mut viewer, "a", 0).await;
        viewers.push(viewer);
    }
    let mut silent = viewer(&world, &ada).await;
    follow(&mut silent, "a", 0).await;
    // More than a connection holds, and more than is kept for all.
    let long = "x".repeat(4000);
    for n in 1..=EVENTS {
        world.stand_in.happen(&format!("{n} {long}"));
        if n % 100 == 0 {
            for viewer in &mut viewers {
                for n in n - 99..=n {
                    assert_eq!(event(viewer).await.0, n);
                }
            }
        }
    }
    assert_eq!(world.stand_in.followed.load(Ordering::Relaxed), 1, "one reads for all");
    for n in 1..=EVENTS {
        let (number, text) = event(&mut silent).await;
        assert_eq!((number, text.split(' ').next()), (n, Some(n.to_string().as_str())));
    }
    // And when everybody has left, nobody reads any more, and whoever comes then finds everything.
    drop((viewers, silent));
    let mut late = viewer(&world, &ada).await;
    follow(&mut late, "a", EVENTS - 1).await;
    assert_eq!(event(&mut late).await.0, EVENTS);
}

#[tokio::test]
async fn those_who_look_see_each_other_come_type_and_go() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let query =
        |session: i64| json!({ "query": format!("subscription {{ presence(session: {session}) {{ name typing }} }}") });
    let follow = async |socket: &mut Socket, session: i64| {
        say(socket, &json!({ "type": "subscribe", "id": "p", "payload": query(session) })).await;
    };
    let present = async |socket: &mut Socket| {
        let message = heard(socket).await;
        let all =
            message["payload"]["data"]["presence"].as_array().unwrap_or_else(|| panic!("nobody: {message}")).clone();
        all.iter().map(|it| (it["name"].as_str().expect("a name").to_owned(), it["typing"] == true)).collect::<Vec<_>>()
    };
    let (here, types) = (|name: &str| (name.to_owned(), false), |name: &str| (name.to_owned(), true));
    let mut first = viewer(&world, &ada).await;
    follow(&mut first, 1).await;
    assert_eq!(present(&mut first).await, [here("Ada")]);
    let mut second = viewer(&world, &grace).await;
    follow(&mut second, 1).await;
    let mut both = present(&mut first).await;
    both.sort();
    assert_eq!(both, [here("Ada"), here("grace")]);
    present(&mut second).await;
    for typing in [true, false] {
        let told = format!("mutation {{ setTyping(session: 1, typing: {typing}) }}");
        assert_eq!(world.ask(&grace, &told).await["data"]["setTyping"], typing);
        let seen = present(&mut first).await;
        assert!(seen.contains(&if typing { types("grace") } else { here("grace") }), "{seen:?}");
    }
    drop(second);
    assert_eq!(present(&mut first).await, [here("Ada")]);
    // There is nothing to look at where there is no session.
    let mut lost = viewer(&world, &grace).await;
    follow(&mut lost, 7).await;
    let refused = heard(&mut lost).await;
    assert!(refused["payload"].to_string().contains("NOT_FOUND"), "{refused}");
}

#[tokio::test]
async fn a_server_that_goes_down_says_so() {
    let world = World::new().await;
    let ada = world.admin().await;
    let mut socket = viewer(&world, &ada).await;
    world.server.stop().await;
    match next(&mut socket).await {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1001, "{frame:?}"),
        other => panic!("not closed: {other:?}"),
    }
}

#[tokio::test]
async fn everybody_who_shows_a_list_hears_of_every_session() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    let repository = Repository {
        id: RepositoryId(Uuid::from_u128(3)),
        account: ACCOUNT,
        name: "shop".to_owned(),
        forge: "local".to_owned(),
        location: "/srv/shop".to_owned(),
    };
    world.store.add_repository(&repository).await.expect("a repository");
    let requester = world.store.members(ACCOUNT).await.expect("people")[0].user.id;
    let create = |n: u128| {
        let (store, view) = (world.store.clone(), world.stand_in.view().session);
        let session = Session { id: SessionId(Uuid::from_u128(n)), requester, ..view };
        async move { store.create_session(&session, &[], &[], Timestamp(0)).await.expect("a session") }
    };

    let mut viewers = [viewer(&world, &ada).await, viewer(&world, &ada).await, viewer(&world, &grace).await];
    for viewer in &mut viewers {
        let query = "subscription { sessionsChanged }";
        say(viewer, &json!({ "type": "subscribe", "id": "list", "payload": { "query": query } })).await;
        assert_eq!(pulse(viewer).await, 0, "the first one comes at once");
    }
    let mut seen = 0;
    for n in 1..=3 {
        create(n).await;
        let mut heard = Vec::new();
        for viewer in &mut viewers {
            heard.push(pulse(viewer).await);
        }
        assert!(heard.iter().all(|it| *it > seen && *it == heard[0]), "after {seen}: {heard:?}");
        seen = heard[0];
    }
    // When nobody looked for a while, the first one who comes sees how it is now.
    drop(viewers);
    create(4).await;
    let mut late = viewer(&world, &ada).await;
    say(
        &mut late,
        &json!({ "type": "subscribe", "id": "x", "payload": { "query": "subscription { sessionsChanged }" } }),
    )
    .await;
    while pulse(&mut late).await <= seen {}
}

async fn pulse(socket: &mut Socket) -> i64 {
    let message = heard(socket).await;
    message["payload"]["data"]["sessionsChanged"].as_i64().unwrap_or_else(|| panic!("no pulse: {message}"))
}

#[tokio::test]
async fn sockets_and_subscriptions_are_counted_while_they_are_open() {
    let world = World::new().await;
    let ada = world.admin().await;
    let becomes = async |name: &str, wanted: u64| {
        let reached = async {
            while world.metric(&ada, name).await != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} never becomes {wanted}"));
    };
    assert_eq!(world.metric(&ada, "runyard_websockets").await, Some(0));
    let mut socket = viewer(&world, &ada).await;
    let query = "subscription { events(session: 1, after: 0) { number } }";
    say(&mut socket, &json!({ "id": "1", "type": "subscribe", "payload": { "query": query } })).await;
    becomes("runyard_websockets", 1).await;
    becomes("runyard_subscriptions", 1).await;
    say(&mut socket, &json!({ "id": "1", "type": "complete" })).await;
    becomes("runyard_subscriptions", 0).await;
    drop(socket);
    becomes("runyard_websockets", 0).await;
}
