//! What is looked for: every window of every canary in every encoding.

use crate::Leak;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::{
    collections::{BTreeSet, HashMap},
    io::Read as _,
};

/// So many bytes of a canary in a row are a leak.
const WINDOW: usize = 12;

/// The first bytes of a pattern, by which it is found.
const HEAD: usize = 4;

/// Compressed data is looked into up to this size.
const INFLATED: u64 = 64 << 20;

/// Compressed data within compressed data, this deep.
const DEPTH: u32 = 2;

/// The canaries, ready to be looked for.
pub struct Canaries {
    /// Which heads there are, by a hash of 16 bits: most places are done with one look.
    heads: Box<[bool]>,
    patterns: HashMap<[u8; HEAD], Vec<Pattern>>,
}

struct Pattern {
    bytes: Vec<u8>,
    encoding: &'static str,
    canary: String,
}

impl Canaries {
    /// Canaries with names for messages. Each must be random and longer than twelve bytes.
    pub fn new<'a>(canaries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut patterns: HashMap<[u8; HEAD], Vec<Pattern>> = HashMap::new();
        let mut heads = vec![false; 1 << 16].into_boxed_slice();
        for (name, canary) in canaries {
            assert!(canary.len() >= WINDOW, "the canary {name} is too short");
            let mut seen = BTreeSet::new();
            for window in canary.as_bytes().windows(WINDOW) {
                for (encoding, bytes) in encodings(window) {
                    if seen.insert(bytes.clone()) {
                        let head = *bytes.first_chunk::<HEAD>().expect("long enough");
                        heads[hash(head)] = true;
                        patterns.entry(head).or_default().push(Pattern { bytes, encoding, canary: name.to_owned() });
                    }
                }
            }
        }
        Self { heads, patterns }
    }

    /// The canaries in these bytes, and in what is compressed in them.
    pub fn look(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let mut leaks = BTreeSet::new();
        self.look_into(place, bytes, DEPTH, &mut leaks);
        leaks.into_iter().collect()
    }

    /// The same without looking into what is compressed.
    pub fn look_flat(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let mut leaks = BTreeSet::new();
        self.look_at(place, bytes, &mut leaks);
        leaks.into_iter().collect()
    }

    fn look_into(&self, place: &str, bytes: &[u8], depth: u32, leaks: &mut BTreeSet<Leak>) {
        self.look_at(place, bytes, leaks);
        if depth == 0 {
            return;
        }
        for at in 0..bytes.len().saturating_sub(2) {
            let inflated = match bytes[at..] {
                [0x1f, 0x8b, 8, ..] => inflate(flate2::read::GzDecoder::new(&bytes[at..])),
                [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => inflate(flate2::read::ZlibDecoder::new(&bytes[at..])),
                _ => continue,
            };
            if inflated.len() >= WINDOW {
                self.look_into(&format!("{place} (compressed, at {at})"), &inflated, depth - 1, leaks);
            }
        }
    }

    fn look_at(&self, place: &str, bytes: &[u8], leaks: &mut BTreeSet<Leak>) {
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let head = *head.first_chunk::<HEAD>().expect("as long as asked for");
            if !self.heads[hash(head)] {
                continue;
            }
            let found = self.patterns.get(&head).into_iter().flatten();
            for pattern in found.filter(|pattern| bytes[at..].starts_with(&pattern.bytes)) {
                leaks.insert(Leak {
                    place: place.to_owned(),
                    encoding: pattern.encoding,
                    canary: pattern.canary.clone(),
                });
            }
        }
    }
}

/// As much as can be inflated; what is cut off or damaged counts up to there.
fn inflate(reader: impl std::io::Read) -> Vec<u8> {
    let mut inflated = Vec::new();
    let _ = reader.take(INFLATED).read_to_end(&mut inflated);
    inflated
}

fn hash(head: [u8; HEAD]) -> usize {
    (u32::from_le_bytes(head).wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// A window in each encoding. Characters of base64 that also depend on what stands beside the window are left out.
fn encodings(window: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("raw", window.to_vec()),
        ("hex", hex::encode(window).into_bytes()),
        ("HEX", hex::encode_upper(window).into_bytes()),
        ("utf-16", window.iter().flat_map(|byte| [*byte, 0]).collect()),
    ];
    for shift in 0..3 {
        let shifted = [&[0_u8, 0, 0][..shift], window].concat();
        let first = (shift * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        all.push(("base64", STANDARD_NO_PAD.encode(&shifted)[first..last].into()));
        all.push(("base64url", URL_SAFE_NO_PAD.encode(&shifted)[first..last].into()));
    }
    // Whole, and only where the encoding must.
    let must = |byte: u8, safe: &[u8]| !byte.is_ascii_alphanumeric() && !safe.contains(&byte);
    let escaped = |escape: &dyn Fn(u8) -> String, which: &dyn Fn(u8) -> bool| {
        let one = |byte: &u8| if which(*byte) { escape(*byte).into_bytes() } else { vec![*byte] };
        window.iter().flat_map(one).collect::<Vec<u8>>()
    };
    for which in [&(|_| true) as &dyn Fn(u8) -> bool, &|byte| must(byte, b"-_.~")] {
        all.push(("percent", escaped(&|byte| format!("%{byte:02X}"), which)));
        all.push(("percent", escaped(&|byte| format!("%{byte:02x}"), which)));
    }
    all.push(("quoted-printable", escaped(&|byte| format!("={byte:02X}"), &|_| true)));
    all.push(("quoted-printable", escaped(&|byte| format!("={byte:02X}"), &|byte| byte == b'=')));
    all.push(("json", escaped(&|byte| format!("\\u{byte:04x}"), &|_| true)));
    all.push(("json", escaped(&|byte| format!("\\u{byte:04X}"), &|_| true)));
    // A slash may be escaped, and is by few.
    for which in
        [&(|byte| matches!(byte, b'"' | b'\\')) as &dyn Fn(u8) -> bool, &|byte| matches!(byte, b'"' | b'\\' | b'/')]
    {
        all.push(("json", escaped(&|byte| format!("\\{}", char::from(byte)), which)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const CANARY: &str = "cnry-Q7w/E4r\"T9y+U2i=O5p~A8s_D1f%G6hJ3k";

    fn found(bytes: &[u8]) -> Vec<&'static str> {
        Canaries::new([("key", CANARY)]).look("here", bytes).into_iter().map(|leak| leak.encoding).collect()
    }

    #[test]
    fn each_encoding_is_found_wherever_it_is_cut() {
        for from in 0..CANARY.len() - WINDOW {
            let part = &CANARY.as_bytes()[from..from + WINDOW];
            for before in 0..4 {
                let text = [&b"ab \n"[..before], part, b"!?"].concat();
                let json = format!("{:?}", String::from_utf8_lossy(&text));
                for (encoding, bytes) in [
                    ("raw", text.clone()),
                    ("hex", hex::encode(&text).into_bytes()),
                    ("HEX", hex::encode_upper(&text).into_bytes()),
                    ("base64", base64::engine::general_purpose::STANDARD.encode(&text).into_bytes()),
                    ("base64url", base64::engine::general_purpose::URL_SAFE.encode(&text).into_bytes()),
                    ("percent", text.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect()),
                    ("json", text.iter().flat_map(|byte| format!("\\u{byte:04x}").into_bytes()).collect()),
                    ("quoted-printable", text.iter().flat_map(|byte| format!("={byte:02X}").into_bytes()).collect()),
                    ("utf-16", text.iter().flat_map(|byte| [*byte, 0]).collect()),
                    ("", json.into_bytes()),
                ] {
                    let found = found(&bytes);
                    // The alphabets of base64 are the same but for two characters.
                    let wanted = found.iter().any(|it| *it == encoding || encoding == format!("{it}url"));
                    assert!(
                        wanted || encoding.is_empty() && !found.is_empty(),
                        "{encoding} from {from} after {before}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn compressed_data_is_looked_into_also_when_it_is_cut_off() {
        let noise: Vec<u8> = (0..9000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let text = [CANARY.as_bytes(), &noise].concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(&gzip).unwrap();
        let nested = zlib.finish().unwrap();
        for bytes in [&gzip, &nested] {
            let whole = [b"before", &bytes[..], b"after"].concat();
            assert!(!found(&whole).is_empty());
            assert!(!found(&whole[..whole.len() / 2]).is_empty(), "half of it");
        }
        assert!(Canaries::new([("key", CANARY)]).look_flat("here", &gzip).is_empty());
    }

    #[test]
    fn eleven_bytes_and_other_texts_are_no_leak() {
        assert_eq!(found(&CANARY.as_bytes()[3..14]), Vec::<&str>::new());
        assert_eq!(found(include_bytes!("lib.rs")), Vec::<&str>::new());
    }
}
