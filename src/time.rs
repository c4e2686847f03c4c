//! Arithmetic on instants that cannot overflow: an instant may come from a status that anybody
//! wrote, and jiff's operators panic at the ends of its range.

use jiff::{SignedDuration, Timestamp};

/// So many seconds after `at`, or the end of the range.
pub fn after(at: Timestamp, secs: i64) -> Timestamp {
    after_span(at, SignedDuration::from_secs(secs))
}

/// This span after `at`, or the end of the range.
pub fn after_span(at: Timestamp, span: SignedDuration) -> Timestamp {
    let end = match span.is_negative() {
        true => Timestamp::MIN,
        false => Timestamp::MAX,
    };
    at.checked_add(span).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_beyond_the_range_is_its_end() {
        let at = |secs| Timestamp::from_second(secs).expect("in the range");
        for (from, secs, to) in [
            (at(5), 7, at(12)),
            (at(5), -7, at(-2)),
            (Timestamp::MAX, 1, Timestamp::MAX),
            (at(0), i64::MAX, Timestamp::MAX),
            (Timestamp::MIN, -1, Timestamp::MIN),
            (at(0), i64::MIN, Timestamp::MIN),
        ] {
            assert_eq!(after(from, secs), to, "{from} {secs}");
            assert_eq!(after_span(from, SignedDuration::from_secs(secs)), to);
        }
    }
}
