//! The one place that reads time and randomness.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

struct Start {
    wall: Timestamp,
    monotonic: tokio::time::Instant,
    asleep: Duration,
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
static START: LazyLock<Start> = LazyLock::new(|| Start {
    wall: Timestamp::now(),
    monotonic: tokio::time::Instant::now(),
    asleep: asleep(),
});

/// The time for decisions: the wall clock at the start of the process plus what has passed since,
/// the time that the machine slept included. It never goes back, so "started after" and "settled"
/// mean what they say when the wall clock is set in between. Milliseconds are all that a status
/// keeps.
pub fn now() -> Timestamp {
    let start = &*START;
    let slept = asleep().saturating_sub(start.asleep);
    at(start.wall, start.monotonic.elapsed(), slept)
}

/// The time after `awake` on the monotonic clock, which stands still while the machine sleeps, and
/// `slept` of sleep.
fn at(wall: Timestamp, awake: Duration, slept: Duration) -> Timestamp {
    let passed = SignedDuration::try_from(awake.saturating_add(slept));
    let now = later(wall, passed.unwrap_or(SignedDuration::MAX));
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// How long the machine has slept since it was switched on. It never becomes less.
fn asleep() -> Duration {
    static LONGEST_MILLIS: AtomicU64 = AtomicU64::new(0);
    let millis = u64::try_from(readings().asleep().as_millis()).unwrap_or(u64::MAX);
    let before = LONGEST_MILLIS.fetch_max(millis, Ordering::Relaxed);
    Duration::from_millis(millis.max(before))
}

/// Two clocks of the machine, both since it was switched on.
struct Readings {
    /// Counts sleep. Read first.
    with_sleep: Duration,
    /// Stands still meanwhile. Read second, so that the difference is never too long.
    without: Duration,
}

impl Readings {
    /// The difference. The clocks are read one after the other, and the process may have had to
    /// wait in between: what is less than a tenth of a second is no sleep.
    fn asleep(&self) -> Duration {
        const STEP_MILLIS: u128 = 100;
        let millis = self.with_sleep.saturating_sub(self.without).as_millis();
        Duration::from_millis(u64::try_from(millis / STEP_MILLIS * STEP_MILLIS).unwrap_or(u64::MAX))
    }
}

#[cfg(target_os = "linux")]
fn readings() -> Readings {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    Readings {
        with_sleep: read(ClockId::Boottime),
        without: read(ClockId::Monotonic),
    }
}

/// Where there is no such clock, sleep does not count.
#[cfg(not(target_os = "linux"))]
fn readings() -> Readings {
    Readings {
        with_sleep: Duration::ZERO,
        without: Duration::ZERO,
    }
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

/// The time that comes `duration` from now; the end of time if there is none.
pub fn after(duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    later(now(), duration)
}

fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Timestamp = Timestamp::constant(1_769_851_800, 0);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn what_passes_asleep_counts_like_what_passes_awake() {
        for (awake, slept, passed) in [
            (secs(0), secs(0), 0),
            (secs(5), secs(0), 5),
            (secs(0), secs(3_600), 3_600),
            (secs(5), secs(3_600), 3_605),
        ] {
            let expected = Timestamp::from_second(WALL.as_second() + passed).expect("a time");
            assert_eq!(at(WALL, awake, slept), expected, "{awake:?} {slept:?}");
        }
        assert_eq!(
            at(WALL, Duration::MAX, Duration::MAX).as_second(),
            Timestamp::MAX.as_second()
        );
        // A status keeps no more than this.
        assert_eq!(
            at(WALL, Duration::from_micros(1_999), Duration::ZERO).as_microsecond(),
            WALL.as_microsecond() + 1_000
        );
    }

    #[test]
    fn sleep_is_what_only_one_of_the_clocks_counts() {
        for (with_sleep, without, asleep) in [
            (secs(100), secs(100), 0),
            (secs(100), secs(40), 60_000),
            // The second clock went on while the first was read.
            (secs(100), secs(100) + Duration::from_micros(3), 0),
            (secs(160), secs(100) + Duration::from_millis(7), 59_900),
            (secs(160), Duration::from_millis(99_993), 60_000),
        ] {
            let readings = Readings {
                with_sleep,
                without,
            };
            assert_eq!(
                readings.asleep(),
                Duration::from_millis(asleep),
                "{with_sleep:?} {without:?}"
            );
        }
    }

    #[test]
    fn the_clock_never_goes_back() {
        let mut before = now();
        for _ in 0..10_000 {
            let next = now();
            assert!(before <= next, "{before} {next}");
            before = next;
        }
    }
}
