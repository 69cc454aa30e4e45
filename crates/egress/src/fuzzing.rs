//! What must hold for any input: the body of a fuzz target, also run as a test. Not part of the public face.

use crate::{PriceTable, meter::Meter, price::Tokens};
use domain::MicroUsd;
use secrets::{Redactor, Secret};
use std::{fmt::Write as _, sync::OnceLock};

const KEY: &str = "sk-ant-fuzz-\"/ 0123456789";

/// Sends `answer` through the meter and the redactor, cut into pieces as `cuts` says. Three bytes that no UTF-8 has stand
/// for the key as it is (`0xFF`), in hexadecimal (`0xFE`), and for its beginning (`0xFD`).
///
/// Nothing makes it panic; what is counted and what is passed on is the same for any cutting; no count and no cost is
/// negative; what is passed on holds no key.
pub fn answer_any(answer: &[u8], cuts: &[u8]) {
    static REDACTOR: OnceLock<Redactor> = OnceLock::new();
    let redactor = REDACTOR.get_or_init(|| Redactor::new([&Secret::new(KEY)]));
    let hex = KEY.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let mut bytes = Vec::new();
    for byte in answer {
        match byte {
            0xFF => bytes.extend_from_slice(KEY.as_bytes()),
            0xFE => bytes.extend_from_slice(hex.as_bytes()),
            0xFD => bytes.extend_from_slice(&KEY.as_bytes()[..9]),
            byte => bytes.push(*byte),
        }
    }

    let (mut whole, mut cut) = (Meter::new(400), Meter::new(400));
    whole.push(&bytes);
    let (mut stream, mut passed) = (redactor.stream(), Vec::new());
    let mut rest = bytes.as_slice();
    let mut sizes = cuts.iter().cycle();
    let mut last = Tokens::default();
    while !rest.is_empty() {
        let size = sizes.next().map_or(usize::MAX, |size| usize::from(*size) + 1).min(rest.len());
        let (piece, after) = rest.split_at(size);
        cut.push(piece);
        passed.extend(stream.push(piece));
        let now = cut.tokens();
        assert!(now.cache_read >= last.cache_read && now.cache_write >= last.cache_write, "a count went down");
        last = now;
        rest = after;
    }
    passed.extend(stream.finish());
    let told =
        |meter: &Meter| (meter.tokens(), meter.model().map(str::to_owned), meter.is_complete(), meter.has_ended());
    assert_eq!(told(&cut), told(&whole), "it matters how the answer is cut");
    assert_eq!(passed, redactor.redact(&bytes), "it matters how the answer is cut");
    for form in [KEY, &hex] {
        assert!(!passed.windows(form.len()).any(|window| window == form.as_bytes()), "a key passed");
    }
    assert_fine(&whole);

    let mut at_once = Meter::new(400);
    at_once.whole(&bytes);
    assert_fine(&at_once);
}

fn assert_fine(meter: &Meter) {
    let tokens = meter.tokens();
    let Tokens { input, output, cache_read, cache_write, cache_write_hour, web_searches } = tokens;
    let counts = [input, output, cache_read, cache_write, cache_write_hour, web_searches];
    assert!(counts.iter().all(|count| *count >= 0), "{tokens:?}");
    assert!(cache_write_hour <= cache_write);
    for model in [meter.model().unwrap_or_default(), "claude-opus-4"] {
        assert!(PriceTable::default().cost(model, tokens) >= MicroUsd(0), "{tokens:?}");
    }
}

/// What a search may start with.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines: [&[u8]; 7] = [
        b"data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1,\
          \"cache_read_input_tokens\":3,\"cache_creation_input_tokens\":7,\"cache_creation\":{\"ephemeral_1h_input_tokens\":9}}}}\n\n",
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"a \xFF\"}}\r\n\r\n",
        b"data: {\"type\":\"content_block_delta\",\"delta\":{\"partial_json\":\"{\",\"thinking\":\"\xFE\"}}\n\n",
        b"data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":-42,\"server_tool_use\":{\"web_search_requests\":2}}}\n\n",
        b"data: {\"type\":\"message_stop\"}\n\n",
        b"data: {\"type\":\"error\"}\n: \xFD\n\n",
        b"{\"type\":\"message\",\"model\":\"m\",\"usage\":{\"input_tokens\":9223372036854775807,\"output_tokens\":-5}}",
    ];
    lines.iter().map(|line| line.to_vec()).chain([lines[..5].concat()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn spoiled_answers_are_survived(
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::option::weighted(0.3, any::<u8>())), 0..8),
            cuts in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let seeds = seeds();
            let mut answer = Vec::new();
            for (seed, at, value) in picks {
                let mut line = seeds[seed.index(seeds.len())].clone();
                if let Some(value) = value {
                    let at = at.index(line.len());
                    line[at] = value;
                }
                answer.extend(line);
            }
            answer_any(&answer, &cuts);
        }
    }
}
