//! Time spans and moments for people.

use domain::Timestamp;
use std::time::Duration;

/// `40ms`, `0.3s`, `12s`, `1m 20s`, `2h 5m`, `3d 4h`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.subsec_millis() < 100 => format!("{}ms", duration.subsec_millis()),
        0..10 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A moment in the time zone `zone`, such as `2026-11-21 10:02`.
pub fn moment(at: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    match jiff::Timestamp::from_microsecond(at.0) {
        Ok(moment) => moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_long_as_they_need_to_be() {
        for (millis, text) in
            [(34, "34ms"), (340, "0.3s"), (9_990, "9.9s"), (59_000, "59s"), (80_000, "1m 20s"), (7_500_000, "2h 5m")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(span(Duration::from_hours(76)), "3d 4h");
        assert_eq!(moment(Timestamp(1_795_255_320_000_000), &jiff::tz::TimeZone::UTC), "2026-11-21 10:02");
    }
}
