//! What an agent writes in pieces, on its way to people: no look at one piece finds a secret that is cut in two.

use agent::AgentEvent;
use secrets::{Known, RedactedStream};

/// The text that is being written.
#[derive(Default)]
pub(super) struct Pieces(Option<RedactedStream>);

impl Pieces {
    /// The events without what is secret in the pieces. What may be the beginning of a secret waits for the next piece,
    /// or for the end of the text.
    pub fn pass(&mut self, events: Vec<AgentEvent>, known: &Known) -> Vec<AgentEvent> {
        let mut passed = Vec::with_capacity(events.len());
        for event in events {
            match event {
                AgentEvent::TextDelta { message, block, text } => {
                    let stream = self.0.get_or_insert_with(|| known.redactor().stream());
                    let text = String::from_utf8_lossy(&stream.push(text.as_bytes())).into_owned();
                    if !text.is_empty() {
                        passed.push(AgentEvent::TextDelta { message, block, text });
                    }
                }
                AgentEvent::Text { message, block, text, parent } => {
                    let rest = self.0.take().map(RedactedStream::finish).unwrap_or_default();
                    if !rest.is_empty() {
                        let text = String::from_utf8_lossy(&rest).into_owned();
                        let block = block.unwrap_or_default();
                        passed.push(AgentEvent::TextDelta { message: message.clone(), block, text });
                    }
                    passed.push(AgentEvent::Text { message, block, text, parent });
                }
                event => passed.push(event),
            }
        }
        passed
    }
}

/// The archive of an agent's lines without those that bring a text in pieces: the whole text has a line of its own, and
/// in pieces it could not be looked through.
pub(super) fn without_pieces(raw: &[u8]) -> Vec<u8> {
    let is_piece = |line: &&[u8]| line.trim_ascii_start().starts_with(b"{\"type\":\"stream_event\"");
    raw.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_piece(line)).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrets::{MASK, Secret};

    const SECRET: &str = "tok_9f86d081884c7d65";

    fn delta(text: &str) -> AgentEvent {
        AgentEvent::TextDelta { message: "m".to_owned(), block: 0, text: text.to_owned() }
    }

    fn whole(text: &str) -> AgentEvent {
        AgentEvent::Text { message: "m".to_owned(), block: Some(0), text: text.to_owned(), parent: None }
    }

    #[test]
    fn a_secret_in_pieces_is_found_and_the_rest_comes_whole() {
        let known = Known::nothing();
        known.learn([&Secret::new(SECRET)]);
        for cut in 0..=SECRET.len() {
            let (first, second) = SECRET.split_at(cut);
            let mut pieces = Pieces::default();
            let mut shown = String::new();
            for batch in [vec![delta("it is "), delta(first)], vec![delta(second), delta(" tok_"), whole("…")]] {
                for event in pieces.pass(batch, &known) {
                    if let AgentEvent::TextDelta { text, .. } = event {
                        shown.push_str(&text);
                    }
                }
            }
            assert_eq!(shown, format!("it is {MASK} tok_"), "cut at {cut}");
        }
    }

    #[test]
    fn whole_lines_stay_in_the_archive() {
        let raw = b"{\"type\":\"system\"}\n{\"type\":\"stream_event\",\"event\":{}}\nno JSON\n";
        assert_eq!(without_pieces(raw), b"{\"type\":\"system\"}\nno JSON\n");
    }
}
