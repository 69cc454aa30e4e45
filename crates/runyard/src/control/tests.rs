use super::{client::Client, protocol::SOCKET, *};
use async_trait::async_trait;
use domain::{Event, EventPayload, NoteLevel, Payload, SessionId, SessionNumber, Timestamp};
use engine::{Command, Person, Problem, ProblemCode, Reply};
use futures::{StreamExt as _, stream::BoxStream};
use std::{os::unix::fs::PermissionsExt as _, sync::Arc};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

/// Echoes who asked; sessions have events without end.
struct Echo;

#[async_trait]
impl Backend for Echo {
    async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        match command {
            Command::Diff { .. } => Ok(Reply::Text("x".repeat(1 << 20))),
            Command::Message { text, .. } => Ok(Reply::Queued(vec![text])),
            Command::Repositories => Ok(Reply::Text(who.map_or_else(|| "nobody".into(), |who| who.name.clone()))),
            _ => Err(Problem::new(ProblemCode::NotFound, "there is no session r/9").mend("runyard session list")),
        }
    }

    fn follow(self: Arc<Self>, _: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>> {
        futures::stream::iter(after + 1..).map(|number| Ok(event(number))).boxed()
    }
}

fn event(number: i64) -> Event {
    let payload = Payload::Known(EventPayload::Note { level: NoteLevel::Info, text: format!("note {number}\u{2028}") });
    Event { session: SessionId(uuid::Uuid::nil()), number, at: Timestamp(0), payload }
}

async fn raw(dir: &Path, input: &[u8], lines: usize) -> Vec<String> {
    let stream = UnixStream::connect(dir.join(SOCKET)).await.expect("connects");
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read).lines();
    let write = async {
        // The server may close on us before everything is written.
        let _ = write.write_all(input).await;
    };
    let collect = async {
        let mut out = Vec::new();
        while out.len() < lines {
            out.push(read.next_line().await.expect("reads").expect("a line"));
        }
        out
    };
    tokio::join!(write, collect).1
}

#[tokio::test]
async fn commands_events_and_problems_travel() {
    let dir = tempfile::tempdir().expect("a directory");
    let _server = listen(dir.path(), Arc::new(Echo), None).expect("listens");
    let mode = std::fs::metadata(dir.path().join(SOCKET)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let ada = Person { name: "Ada".into(), email: "ada@example.org".into() };
    let client = Client::connect(dir.path(), Some(ada)).await.expect("connects");
    assert_eq!(client.pid, std::process::id());
    assert_eq!(client.call(Command::Repositories).await, Ok(Reply::Text("Ada".into())));
    let text = "two\nlines \u{1b} \u{2028}".to_owned();
    let message = Command::Message { session: SessionNumber(1), text: text.clone() };
    assert_eq!(client.call(message).await, Ok(Reply::Queued(vec![text])));
    let diff = client.call(Command::Diff { session: SessionNumber(1), step: None }).await.expect("a diff");
    assert!(matches!(diff, Reply::Text(text) if text.len() == 1 << 20));
    let problem = client.call(Command::Session { session: SessionNumber(9) }).await.expect_err("none");
    assert_eq!((problem.code, problem.mend.as_deref()), (ProblemCode::NotFound, Some("runyard session list")));

    let mut events = client.follow(SessionNumber(1), 41).await.expect("follows");
    for number in 42..2000 {
        assert_eq!(events.next().await.expect("an event"), Some(event(number)));
    }
    assert_eq!(client.call(Command::Repositories).await, Ok(Reply::Text("Ada".into())));
}

#[tokio::test]
async fn bad_lines_are_answered_and_the_connection_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let _server = listen(dir.path(), Arc::new(Echo), None).expect("listens");
    let input = b"{\n{\"id\":7}\n{\"id\":8,\"comand\":{}}\n{\"id\":9,\"command\":{\"command\":\"stop\"}}\n\
                  {\"id\":10,\"command\":{\"command\":\"repositories\"}}\n";
    let mut answers = raw(dir.path(), input, 6).await;
    assert!(answers.remove(0).starts_with(r#"{"runyard":""#));
    // Requests are worked on at once, so answers come in any order.
    answers.sort();
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"id":10,"reply":{"reply":"text","value":"nobody"}}
    {"id":7,"problem":{"code":"bad-request","message":"a request has one of `command`, `people` and `follow`","mend":null}}
    {"id":8,"problem":{"code":"bad-request","message":"the line is no request: unknown field `comand`, expected one of `id`, `who`, `command`, `people`, `follow` at line 1 column 16","mend":null}}
    {"id":9,"problem":{"code":"bad-request","message":"the line is no request: missing field `session` at line 1 column 37","mend":null}}
    {"id":null,"problem":{"code":"bad-request","message":"the line is no request: EOF while parsing an object at line 1 column 1","mend":null}}
    "#);
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let _server = listen(dir.path(), Arc::new(Echo), None).expect("listens");
    let mut input = vec![b'x'; 9 << 20];
    input.extend_from_slice(b"\n{\"id\":1,\"command\":{\"command\":\"repositories\"}}\n");
    let answers = raw(dir.path(), &input, 3).await;
    assert!(answers[1].contains("longer than 8388608 bytes"), "{}", answers[1]);
    assert!(answers[2].contains("nobody"), "{}", answers[2]);
}

#[tokio::test]
async fn another_version_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = tokio::net::UnixListener::bind(dir.path().join(SOCKET)).expect("listens");
    let greet = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        stream.write_all(b"{\"runyard\":\"9.0.0\",\"protocol\":99,\"pid\":7}\n").await.expect("writes");
        let _ = stream.read(&mut [0]).await;
    };
    let ((), client) = tokio::join!(greet, Client::connect(dir.path(), None));
    let problem = problem(&client.expect_err("another version"));
    assert!(problem.message.starts_with("the server (process 7) is version 9.0.0"), "{problem}");
    assert_eq!(problem.mend.as_deref(), Some("restart the server: kill 7; runyard serve"));
}

#[tokio::test]
async fn a_dead_servers_socket_and_a_long_path_are_no_hindrance() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("d".repeat(120));
    std::fs::create_dir(&dir).expect("made");
    assert!(matches!(Client::connect(&dir, None).await, Err(ConnectError::Nobody(_))));
    drop(std::os::unix::net::UnixListener::bind(root.path().join("s")).expect("listens"));
    std::fs::rename(root.path().join("s"), dir.join(SOCKET)).expect("moved");
    assert!(matches!(Client::connect(&dir, None).await, Err(ConnectError::Nobody(_))));

    let server = listen(&dir, Arc::new(Echo), None).expect("listens");
    Client::connect(&dir, None).await.expect("connects");
    drop(server);
    assert!(!dir.join(SOCKET).exists());
}
