//! The one place that reads time and randomness.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::time;

struct Start {
    wall: Timestamp,
    monotonic: tokio::time::Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
static START: LazyLock<Start> = LazyLock::new(|| Start {
    wall: Timestamp::now(),
    monotonic: tokio::time::Instant::now(),
});

/// The time for decisions: the wall clock at the start of the process plus what has passed since.
/// It never goes back, so "started after" and "settled" mean what they say when the wall clock is
/// set in between. Milliseconds are all that a status keeps.
pub fn now() -> Timestamp {
    let start = &*START;
    let passed = SignedDuration::try_from(start.monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
    let now = time::after_span(start.wall, passed);
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The wall clock as it is set, for signatures, which a server compares with its own.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// The time from now until `at`; zero if it has passed.
pub fn until(at: Timestamp) -> Duration {
    at.duration_since(now())
        .try_into()
        .unwrap_or(Duration::ZERO)
}

/// `duration`, shortened or lengthened by up to a fifth, so that many do not come at once.
pub fn jittered(duration: Duration) -> Duration {
    let mut byte = [0; 2];
    random(&mut byte);
    let share = f64::from(u16::from_be_bytes(byte)) / f64::from(u16::MAX);
    duration.mul_f64(0.8 + 0.4 * share)
}

/// Fills `bytes` from the operating system.
///
/// # Panics
/// When the operating system gives none; nothing here can go on safely then.
pub fn random(bytes: &mut [u8]) {
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(bytes)
        .expect("invariant: the operating system has randomness");
}
