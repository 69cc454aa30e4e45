//! Output that no well-behaved program writes (D13).

use crate::{
    host::Memory,
    tape::{Piece, Recording, Tape, listening},
};
use agent::{
    AgentEvent, End, Outcome, drive,
    process::{Exit, Stream},
};
use bytes::Bytes;
use proptest::prelude::*;

async fn run(tape: Tape) -> (Vec<AgentEvent>, Outcome) {
    let host = Memory::default();
    let (_control, inbox) = agent::control();
    let outcome = drive(Box::new(tape), listening(), &host, inbox).await.expect("driven");
    (host.events(), outcome)
}

fn zero() -> Exit {
    Exit { code: Some(0), ..Exit::default() }
}

/// The lines of a recording that ends well.
fn good() -> Vec<Vec<u8>> {
    let stdout = Recording::read("02_tools").stdout;
    stdout.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn d13_odd_output_costs_nothing_else() {
    let expected = run(Tape::of(&good().concat(), &[], zero())).await;
    let mut lines = good();
    let text = "x".repeat(5 << 20);
    let long = serde_json::json!({"type": "assistant", "message": {"id": "long", "content": [{"type": "text", "text": text}]}});
    lines.insert(1, format!("{long}\n").into_bytes());
    lines.insert(2, b"{\"type\":\"from_the_future\",\"x\":[1,2]}\n".to_vec());
    lines.insert(3, b"{\"type\":\"system\",\"subtype\":\"from_the_future\"}\n\n\r\n".to_vec());
    lines.insert(4, b"{\"type\":\"assistant\",\"message\":7}\n".to_vec());
    lines.insert(5, b"\xff\xfe not json at all\n".to_vec());
    let mut bytes = String::from_utf8_lossy(&lines.concat()).replace("\"}\n", "\"}\r\n").into_bytes();
    while bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.pop();
    }
    let (events, outcome) = run(Tape::of(&bytes, &[70_000], zero())).await;
    assert_eq!(outcome.end, End::Completed);
    let odd = |event: &AgentEvent| match event {
        AgentEvent::Text { message, .. } => message == "long",
        AgentEvent::Warning { .. } => true,
        _ => false,
    };
    assert_eq!(events.iter().filter(|event| odd(event)).count(), 2, "one warning, one long text");
    assert!(events.iter().any(|event| matches!(event, AgentEvent::Text { text, .. } if text.len() == 5 << 20)));
    let rest: Vec<_> = events.into_iter().filter(|event| !odd(event)).collect();
    assert_eq!(rest, expected.0, "nothing else was lost");
}

#[tokio::test]
async fn a_flood_of_requests_ends_the_agent_before_it_fills_the_memory() {
    let name = "x".repeat(20 << 20);
    let request = |id: usize| {
        format!("{{\"type\":\"control_request\",\"request_id\":\"{id}\",\"request\":{{\"subtype\":\"{name}\"}}}}\n")
    };
    let pieces = (0..20).map(|id| Piece { after_lines: 0, stream: Stream::Stdout, bytes: Bytes::from(request(id)) });
    let tape = Tape::new(pieces.collect(), zero());
    let (_, outcome) = run(tape.clone()).await;
    assert!(matches!(outcome.end, End::Failed { fault: agent::Fault::Flood, .. }), "{:?}", outcome.end);
    assert!(tape.killed());
    assert!(tape.input().len() < 10, "it was answered on and on");
}

/// The agent hangs: it neither goes on nor ends.
#[tokio::test(start_paused = true)]
async fn silence_without_end_is_ended_and_may_be_tried_again() {
    let mut pieces: Vec<Piece> = good()
        .into_iter()
        .take(3)
        .map(|line| Piece { after_lines: 0, stream: Stream::Stdout, bytes: Bytes::from(line) })
        .collect();
    pieces.push(Piece { after_lines: usize::MAX, stream: Stream::Stdout, bytes: Bytes::from_static(b"never\n") });
    let tape = Tape::new(pieces, zero());
    let (_, outcome) = run(tape.clone()).await;
    let End::Failed { fault, message } = outcome.end else { panic!("{:?}", outcome.end) };
    assert_eq!(fault, agent::Fault::Stalled, "{message}");
    assert!(fault.transient() && tape.killed());
}

#[tokio::test]
async fn d13_a_torn_last_line_is_told_and_the_end_is_no_success() {
    let mut lines = good();
    let last = lines.pop().expect("a result");
    lines.push(last[..last.len() / 2].to_vec());
    let (events, outcome) = run(Tape::of(&lines.concat(), &[500], Exit { signal: Some(9), ..Exit::default() })).await;
    assert!(
        matches!(events.last(), Some(AgentEvent::Warning { .. } | AgentEvent::Usage { .. })),
        "{:?}",
        events.last()
    );
    assert!(matches!(outcome.end, End::Failed { .. }), "{:?}", outcome.end);
}

#[tokio::test]
async fn d13_a_flood_of_standard_error_is_kept_short() {
    let noise = Bytes::from("é noise\n".repeat(4000));
    let mut pieces: Vec<Piece> =
        (0..200).map(|_| Piece { after_lines: 0, stream: Stream::Stderr, bytes: noise.slice(1..) }).collect();
    for line in good() {
        pieces.push(Piece { after_lines: 0, stream: Stream::Stdout, bytes: line.into() });
        pieces.push(Piece { after_lines: 0, stream: Stream::Stderr, bytes: noise.clone() });
    }
    let (_, outcome) = run(Tape::new(pieces, zero())).await;
    assert_eq!(outcome.end, End::Completed);
    assert!(outcome.stderr.len() <= 16 << 10, "{}", outcome.stderr.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_driver_panic(
        lines in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "\\{\"type\":\"(system|user|assistant|result|stream_event|control_request|control_response)\",\"(subtype|message|event|request|response|request_id)\":(7|\"init\"|\\{\\}|\\[\\]|null)\\}".prop_map(String::into_bytes),
            (0_usize..9, 0_usize..2000).prop_map(|(line, cut)| { let mut line = good()[line].clone(); line.truncate(cut); line }),
        ], 0..30),
        sizes in prop::collection::vec(1_usize..300, 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let bytes = lines.join(&b'\n');
        let (_, outcome) = runtime.block_on(run(Tape::of(&bytes, &sizes, zero())));
        let complete = bytes.windows(8).any(|window| window == b"\"result\"");
        prop_assert!(complete || outcome.end != End::Completed);
    }
}
