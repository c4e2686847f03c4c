//! Instants of a status, clamped when they are read. The schema lets in whatever RFC 3339 knows,
//! and whoever may write the status may write the year 9999.

use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer};

/// 2200-01-01T00:00:00Z. No operator of today is still running then, and every window that a
/// setting can name may be added to it.
const LATEST_SECS: i64 = 7_258_118_400;

/// An instant between 1970 and 2200.
///
/// # Errors
/// Only for what is not a string: a date that cannot be read counts as the end that it is nearer to.
pub(super) fn clamped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer).map(|text| parse(&text))
}

/// The same where there may be none.
///
/// # Errors
/// As [`clamped`].
pub(super) fn clamped_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| parse(&text)))
}

fn parse(text: &str) -> Timestamp {
    let earliest = Timestamp::UNIX_EPOCH;
    let latest = Timestamp::from_second(LATEST_SECS).unwrap_or(Timestamp::MAX);
    match text.parse::<Timestamp>() {
        Ok(at) => at.clamp(earliest, latest),
        // Past what jiff can hold: 9999-12-31T23:59:59Z is a date for the API server.
        Err(_) if text.starts_with('9') => latest,
        Err(_) => earliest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_date_that_the_api_server_takes_is_an_instant_that_can_be_added_to() {
        for (text, expected) in [
            ("2026-11-24T10:00:00.123Z", "2026-11-24T10:00:00.123Z"),
            ("2026-11-24T10:00:00+08:00", "2026-11-24T02:00:00Z"),
            ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("9999-12-30T21:59:00Z", "2200-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "2200-01-01T00:00:00Z"),
            ("0000-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(parse(text).to_string(), expected, "{text}");
        }
    }
}
