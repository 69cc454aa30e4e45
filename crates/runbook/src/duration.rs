//! Time spans as people write them: `10s`, `1h30m`, `250ms`.

use std::time::Duration;

/// The text is not a time span such as `10s` or `1h30m`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time span such as 10s, 5m or 1h30m")]
pub struct BadDuration(pub String);

/// Reads a time span: one or more of a whole number and a unit (`ms`, `s`, `m`, `h`, `d`), each unit at most once and
/// in falling order. Zero is refused, since nothing can be done in no time.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    span(text).filter(|d| !d.is_zero()).ok_or_else(|| BadDuration(text.to_owned()))
}

/// Writes a time span so that [`parse_duration`] reads it again (to the millisecond).
pub fn format_duration(span: Duration) -> String {
    let mut rest = span.as_millis();
    let mut out = String::new();
    for (unit, millis) in UNITS {
        let n = rest / u128::from(millis);
        rest %= u128::from(millis);
        if n > 0 {
            out.push_str(&n.to_string());
            out.push_str(unit);
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let n: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let word = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let millis = units.find(|(unit, _)| *unit == &rest[..word])?.1;
        rest = &rest[word..];
        total = total.checked_add(n.checked_mul(millis)?)?;
    }
    Some(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in
            [("10s", 10_000), ("30m", 1_800_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        for text in
            ["", "soon", "10", "s", "0s", "1m1h", "1s1s", "-1s", "1.5s", "99999999999999999999d", "184467440737095516d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
