//! The forms in which a secret may turn up.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

/// An encoded form that is shorter would be met by chance; the raw form always counts.
const SHORTEST_ENCODED: usize = 8;

/// Lines of a secret that are shorter say nothing of it by themselves.
const SHORTEST_LINE: usize = 8;

/// `secret` as it is, in hexadecimal, base64 (wherever it stands in the encoded bytes), and with the escapes of URLs,
/// JSON, shells and quoted-printable. A secret of several lines counts as a whole and line by line.
///
/// Forms hold no line breaks: the redactor passes over those, so that wrapping hides nothing.
pub(crate) fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = forms_of(secret);
    if secret.contains('\n') {
        // Encoded with the line ends of another system.
        let (unix, dos) = (secret.replace("\r\n", "\n"), secret.replace("\r\n", "\n").replace('\n', "\r\n"));
        forms.extend(forms_of(&Zeroizing::new(unix)));
        forms.extend(forms_of(&Zeroizing::new(dos)));
        for line in secret.lines().map(str::trim) {
            // The frame of a PEM file is the same for everybody.
            if line.len() >= SHORTEST_LINE && !line.starts_with("-----") {
                forms.extend(forms_of(line));
            }
        }
    }
    forms
}

fn forms_of(secret: &str) -> BTreeSet<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut encoded: Vec<String> = vec![hex::encode(bytes), hex::encode_upper(bytes)];
    for shift in 0..3 {
        encoded.extend([base64_inside(&STANDARD, bytes, shift), base64_inside(&URL_SAFE, bytes, shift)]);
    }
    let escaped = url_escaped(bytes);
    encoded.push(escaped.replace("%20", "+"));
    // Lower-casing the whole would change the secret's own capitals, so only the digits after % are.
    encoded.push(lower_escapes(&escaped));
    encoded.push(escaped);
    let json = json_escaped(secret);
    encoded.extend([json.replace('/', "\\/"), unicode_escaped(&json)]);
    // JSON within JSON, as in the agent's own protocol.
    encoded.push(json_escaped(&json));
    encoded.push(json);
    encoded.extend([secret.replace('\'', r"'\''"), backslashed(secret), quoted_printable(bytes)]);

    let mut forms: BTreeSet<Vec<u8>> = encoded
        .into_iter()
        .map(|form| without_line_breaks(form.as_bytes()))
        .filter(|form| form.len() >= SHORTEST_ENCODED)
        .collect();
    forms.insert(without_line_breaks(bytes));
    forms.remove(&Vec::new());
    forms
}

/// The bytes but for line breaks.
pub(crate) fn without_line_breaks(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !is_line_break(*byte)).collect()
}

/// True for the bytes that wrapping puts in.
#[inline]
pub(crate) fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The characters that depend on the secret alone when `shift` other bytes stand before it.
fn base64_inside(engine: &impl base64::Engine, bytes: &[u8], shift: usize) -> String {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    let first = (shift * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    engine.encode(&shifted).get(first..last).unwrap_or_default().to_owned()
}

fn url_escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn lower_escapes(escaped: &str) -> String {
    let mut parts = escaped.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        let _ = write!(out, "%{}{rest}", digits.to_ascii_lowercase());
    }
    out
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn unicode_escaped(json: &str) -> String {
    json.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        out
    })
}

/// As `printf %q` of a shell writes it.
fn backslashed(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_punctuation() && !"-_./:,+@%=".contains(c) || c == ' ' {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// RFC 2045, 6.7, without the soft breaks of long lines.
fn quoted_printable(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        if matches!(byte, b' '..=b'~') && *byte != b'=' {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "={byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    #[test]
    fn base64_is_found_wherever_the_secret_stands() {
        let forms = forms("sk-ant-api03-x?>y");
        for before in 0..7 {
            for after in 0..4 {
                let text = [vec![b'~'; before], b"sk-ant-api03-x?>y".to_vec(), vec![b'!'; after]].concat();
                for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    let found = forms.iter().any(|form| encoded.contains(std::str::from_utf8(form).unwrap()));
                    assert!(found, "{before} bytes before, {after} after: {encoded}");
                }
            }
        }
    }

    #[test]
    fn escapes_are_the_usual_ones() {
        let forms = forms("a b/\"é'=CD");
        for form in [
            "a%20b%2F%22%C3%A9%27%3DCD",
            "a%20b%2f%22%c3%a9%27%3dCD",
            "a+b%2F%22%C3%A9%27%3DCD",
            r#"a b/\"é'=CD"#,
            r#"a b\/\"é'=CD"#,
            r#"a b/\"\u00e9'=CD"#,
            r#"a b/\\\"é'=CD"#,
            r#"a b/"é'\''=CD"#,
            r#"a\ b/\"é\'=CD"#,
            r#"a b/"=C3=A9'=3DCD"#,
        ] {
            assert!(forms.contains(form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn each_line_of_a_key_file_counts_and_its_frame_does_not() {
        let forms = forms("-----BEGIN KEY-----\r\nAbCdEfGhIj\r\nshort\r\nKlMnOpQrSt\r\n-----END KEY-----\r\n");
        let has = |form: &str| forms.contains(form.as_bytes());
        assert!(has("AbCdEfGhIj") && has("KlMnOpQrSt") && has(&hex::encode("AbCdEfGhIj")));
        assert!(!has("-----BEGIN KEY-----") && !has("short"));
        assert!(has("-----BEGIN KEY-----AbCdEfGhIjshortKlMnOpQrSt-----END KEY-----"), "wrapped in any other way");
        assert!(has(r"-----BEGIN KEY-----\nAbCdEfGhIj\nshort\nKlMnOpQrSt\n-----END KEY-----\n"), "in a JSON key file");
    }

    #[test]
    fn a_short_secret_counts_only_as_it_is() {
        assert_eq!(forms("abc"), BTreeSet::from([b"abc".to_vec()]));
        assert!(forms("").is_empty());
    }
}
