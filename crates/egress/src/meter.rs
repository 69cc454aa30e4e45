//! Reading what a call used out of its answer.

use serde::Deserialize;

use crate::price::Tokens;

/// Events that carry usage are short; a longer line is content and only measured.
const LONGEST_LINE: usize = 1 << 20;
const BYTES_PER_TOKEN: usize = 4;

/// Counts the tokens of one answer while it passes, in whatever chunks.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    model: Option<String>,
    tokens: Tokens,
    estimated_input: i64,
    /// Bytes of content, for an estimate when the vendor's last count never comes.
    content: usize,
    started: bool,
    final_count: bool,
    ended: bool,
    line: Vec<u8>,
    overlong: usize,
}

impl Meter {
    /// `request_bytes` stands for the input until the vendor has counted it.
    pub(crate) fn new(request_bytes: usize) -> Self {
        Self { estimated_input: tokens_in(request_bytes), ..Self::default() }
    }

    /// Takes a chunk of a stream of events.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > LONGEST_LINE {
                self.overlong += self.line.len() + part.len();
                self.line.clear();
            } else {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// Takes a whole answer that is no stream.
    pub(crate) fn whole(&mut self, body: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Message>(body) else { return };
        self.started = true;
        self.final_count = message.usage.is_some();
        self.ended = true;
        self.take_message(message);
    }

    /// The answer is over: everything that will be counted is counted.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the numbers are the vendor's last ones.
    pub(crate) fn is_complete(&self) -> bool {
        self.started && self.final_count
    }

    /// The model that answered.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The tokens so far, with estimates for what the vendor has not counted.
    pub(crate) fn tokens(&self) -> Tokens {
        let mut tokens = self.tokens;
        if !self.started {
            tokens.input = self.estimated_input;
        }
        if !self.final_count {
            tokens.output = tokens.output.max(tokens_in(self.content));
        }
        tokens
    }

    fn end_line(&mut self) {
        if self.overlong > 0 {
            self.content += self.overlong + self.line.len();
            self.overlong = 0;
        } else if let Some(data) = self.line.strip_prefix(b"data:")
            && let Ok(event) = serde_json::from_slice::<Event>(data)
        {
            self.take(event);
        }
        self.line.clear();
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::MessageStart { message } => {
                self.started = true;
                self.take_message(message);
            }
            Event::ContentBlockDelta { delta } => {
                self.content +=
                    [delta.text, delta.thinking, delta.partial_json].iter().flatten().map(String::len).sum::<usize>();
            }
            Event::MessageDelta { usage } => {
                self.final_count |= usage.as_ref().is_some_and(|usage| usage.output_tokens.is_some());
                self.take_usage(usage.unwrap_or_default());
            }
            Event::MessageStop | Event::Error => self.ended = true,
            Event::Other => {}
        }
    }

    fn take_message(&mut self, message: Message) {
        self.model = message.model.or(self.model.take());
        self.take_usage(message.usage.unwrap_or_default());
    }

    /// The vendor's counts are cumulative within an answer.
    fn take_usage(&mut self, usage: WireUsage) {
        let raise = |known: &mut i64, seen: Option<i64>| *known = (*known).max(seen.unwrap_or(0));
        raise(&mut self.tokens.input, usage.input_tokens);
        raise(&mut self.tokens.output, usage.output_tokens);
        raise(&mut self.tokens.cache_read, usage.cache_read_input_tokens);
        raise(&mut self.tokens.cache_write, usage.cache_creation_input_tokens);
        raise(
            &mut self.tokens.cache_write_hour,
            usage.cache_creation.and_then(|split| split.ephemeral_1h_input_tokens),
        );
        self.tokens.cache_write = self.tokens.cache_write.max(self.tokens.cache_write_hour);
        raise(&mut self.tokens.web_searches, usage.server_tool_use.and_then(|tools| tools.web_search_requests));
    }
}

fn tokens_in(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(i64::MAX)
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    model: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Delta {
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
}

#[derive(Default, Deserialize)]
struct WireUsage {
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cache_read_input_tokens: Option<i64>,
    cache_creation_input_tokens: Option<i64>,
    cache_creation: Option<CacheCreation>,
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<i64>,
}

#[derive(Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<i64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m-1\",\"content\":[],\"usage\":{\"input_tokens\":10,",
        "\"output_tokens\":1,\"cache_read_input_tokens\":3,\"cache_creation_input_tokens\":7,\"cache_creation\":{\"ephemeral_1h_input_tokens\":5}}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"twelve bytes\"}}\r\n\r\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":42}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    fn metered(text: &str) -> Meter {
        let mut meter = Meter::new(400);
        meter.push(text.as_bytes());
        meter
    }

    #[test]
    fn a_whole_stream_gives_the_vendors_numbers() {
        let meter = metered(STREAM);
        let expected =
            Tokens { input: 10, output: 42, cache_read: 3, cache_write: 7, cache_write_hour: 5, web_searches: 0 };
        assert_eq!(meter.tokens(), expected);
        assert_eq!(meter.model(), Some("m-1"));
        assert!(meter.is_complete() && meter.has_ended());
    }

    #[test]
    fn a_cut_stream_counts_what_was_sent_so_that_cutting_saves_nothing() {
        let before_anything = metered("");
        assert_eq!((before_anything.tokens().input, before_anything.tokens().output), (100, 0));
        let in_the_text = metered(&STREAM[..STREAM.find("event: message_delta").unwrap()]);
        assert_eq!((in_the_text.tokens().input, in_the_text.tokens().output), (10, 3));
        assert!(!in_the_text.is_complete() && !in_the_text.has_ended());
    }

    #[test]
    fn an_endless_line_takes_no_memory_and_counts_as_content() {
        let mut meter = metered(&STREAM[..STREAM.find("event: ping").unwrap()]);
        for _ in 0..64 {
            meter.push(&vec![b'x'; 64 << 10]);
        }
        assert!(meter.line.capacity() <= 2 * LONGEST_LINE);
        meter.push(b"\n");
        let (_, text) = STREAM.split_once("event: ping").unwrap();
        meter.push(text.split_once("event: message_delta").unwrap().0.as_bytes());
        assert!(meter.tokens().output > 1_000_000);
    }

    #[test]
    fn an_answer_that_is_no_stream_is_read_whole() {
        let mut meter = Meter::new(400);
        meter.whole(br#"{"type":"message","model":"m","usage":{"input_tokens":4,"output_tokens":5}}"#);
        assert_eq!((meter.tokens().input, meter.tokens().output), (4, 5));
        let mut nonsense = Meter::new(400);
        nonsense.whole(b"<html>");
        assert!(!nonsense.is_complete());
        assert_eq!(nonsense.tokens().input, 100);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(cuts in prop::collection::vec(1usize..40, 0..60)) {
            let mut meter = Meter::new(400);
            let mut rest = STREAM.as_bytes();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                meter.push(chunk);
                rest = after;
            }
            meter.push(rest);
            prop_assert_eq!(meter.tokens(), metered(STREAM).tokens());
        }
    }
}
