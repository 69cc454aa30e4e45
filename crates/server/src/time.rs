//! Moments as text.

use domain::Timestamp;

/// A moment as RFC 3339 in UTC with milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(at.0) {
        Ok(at) => format!("{at:.3}"),
        // Beyond year 9999.
        Err(_) => jiff::Timestamp::MAX.to_string(),
    }
}

/// The moment that an RFC 3339 text names.
pub fn parse(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_text() {
        assert_eq!(rfc3339(Timestamp(1_764_306_000_123_456)), "2025-11-28T05:00:00.123Z");
        assert_eq!(parse("2025-11-28T06:00:00.123+01:00"), Some(Timestamp(1_764_306_000_123_000)));
        assert_eq!(parse("yesterday"), None);
    }
}
