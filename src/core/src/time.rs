//! Arithmetic on instants that cannot panic. An instant in a status may be anything that the API
//! server takes for a date, and jiff's own `+` panics past the year 9999.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The instant this many seconds later; the last one there is if that is past it.
pub fn after(at: Timestamp, secs: i64) -> Timestamp {
    after_span(at, SignedDuration::from_secs(secs))
}

/// The instant this much later; the last or the first one there is if that is past it.
pub fn after_span(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(if span.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// The instant after this wait; the last one there is if that is past it.
pub fn after_wait(at: Timestamp, wait: Duration) -> Timestamp {
    let span = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    after_span(at, span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_past_the_end_is_the_end() {
        let epoch = Timestamp::UNIX_EPOCH;
        for (at, secs, expected) in [
            (epoch, 60, Timestamp::from_second(60).expect("in range")),
            (epoch, i64::MAX, Timestamp::MAX),
            (epoch, i64::MIN, Timestamp::MIN),
            (Timestamp::MAX, 1, Timestamp::MAX),
            (Timestamp::MIN, -1, Timestamp::MIN),
        ] {
            assert_eq!(after(at, secs), expected, "{at} + {secs}");
        }
    }
}
