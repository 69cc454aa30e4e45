//! Names and passwords in addresses.

use std::borrow::Cow;

use crate::MASK;

/// So much may stand between `//` and `@`; beyond it is no address.
const LONGEST: usize = 512;

/// `text` with the user's part of every address (`https://user:password@host`) masked, whether it is a known secret or
/// not: for messages and logs, into which other programs put the addresses that they were given.
///
/// A name alone stays in addresses of schemes where it is no credential, as in `ssh://git@host`; for HTTP it goes too,
/// since tokens are written there.
pub fn without_userinfo(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for (at, _) in text.match_indices("://") {
        let begin = at + 3;
        if begin < copied {
            continue;
        }
        let Some(length) = userinfo(&text[begin..]) else { continue };
        let scheme = text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let whole = &text[begin..begin + length];
        if whole == MASK || !(is_http || whole.contains(':')) {
            continue;
        }
        out.push_str(&text[copied..begin]);
        out.push_str(MASK);
        copied = begin + length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// How long the user's part is with which `rest` begins; the last `@` of the authority ends it (WHATWG URL).
fn userinfo(rest: &str) -> Option<usize> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '"' | '<' | '>');
    let authority = rest.find(ends).map_or(rest, |end| &rest[..end]);
    authority.rfind('@').filter(|length| (1..=LONGEST).contains(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_and_the_rest_of_the_address_stays() {
        for (text, wanted) in [
            ("git clone https://u:tok@example.org/a.git", "git clone https://[redacted]@example.org/a.git"),
            ("fatal: https://ghp_1234@github.com/a: no", "fatal: https://[redacted]@github.com/a: no"),
            ("postgres://runyard:p@ss@db:5432/runyard", "postgres://[redacted]@db:5432/runyard"),
            ("(http://:x@a) HTTPS://b@c", "(http://[redacted]@a) HTTPS://[redacted]@c"),
            (r#"{"url":"https://u:p@h"}"#, r#"{"url":"https://[redacted]@h"}"#),
            ("git+https://u:p@h/x", "git+https://[redacted]@h/x"),
        ] {
            assert_eq!(without_userinfo(text), wanted);
            assert_eq!(without_userinfo(wanted), wanted, "twice is as good as once");
        }
    }

    #[test]
    fn what_is_no_credential_stays() {
        for text in
            ["ssh://git@github.com/a", "https://example.org/@scope/x", "mail a@b", "https://h/?q=a@b", "://", "x://@h"]
        {
            assert_eq!(without_userinfo(text), text);
        }
    }
}
