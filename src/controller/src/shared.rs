//! One read for everybody who waits for the same thing. A read that is under way does not serve who
//! comes later: what they know may be younger than its beginning.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

/// How much an instance has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Few objects are reconciled: nobody is kept waiting for others to come, so that each decides,
    /// writes and verifies as quickly as it is answered.
    Light,
    /// Many are: what they ask for within a third of a second is read once.
    Heavy,
}

impl Load {
    /// With so many reconciles under way.
    pub(super) fn of(n_under_way: usize) -> Self {
        match n_under_way {
            0..=2 => Load::Light,
            _ => Load::Heavy,
        }
    }
}

/// Between two reads of the same thing in the long run, under heavy load: what comes meanwhile shares
/// the next. Two may follow each other at once: decide, write, verify.
pub(super) const SPACING: Duration = Duration::from_millis(350);

/// Of so many requests that an account may send, one reads: a read under heavy load is shared by what the
/// others write.
const REQUESTS_PER_READ: f64 = 10.0;
/// An account that may send few does not wait longer for it: what was read must be fresh when it is acted
/// upon.
const SPACING_MAX: Duration = Duration::from_secs(2);

/// When the next read may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The beginnings of the last two.
    begun: [Option<Instant>; 2],
    spacing: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            begun: [None; 2],
            spacing: SPACING,
        }
    }
}

impl Pace {
    /// Of an account that may send so many requests.
    pub(super) fn of_rate(requests_per_second: f64) -> Self {
        let spacing = Duration::try_from_secs_f64(REQUESTS_PER_READ / requests_per_second);
        Pace {
            spacing: spacing.map_or(SPACING_MAX, |it| it.clamp(SPACING, SPACING_MAX)),
            ..Pace::default()
        }
    }

    /// When the next read may begin.
    pub(super) fn next(&self, load: Load, now: Instant) -> Instant {
        let older = self.begun[0].filter(|_| load == Load::Heavy);
        older.map_or(now, |older| now.max(older + self.spacing * 2))
    }

    /// A read begins.
    pub(super) fn begins(&mut self, load: Load, now: Instant) {
        if load == Load::Heavy {
            self.begun = [self.begun[1], Some(now)];
        }
    }

    /// Whether nothing of it counts any more.
    fn is_over(&self, now: Instant) -> bool {
        self.next(Load::Heavy, now) == now
    }
}

type Flight<T> = Shared<BoxFuture<'static, T>>;

/// Reads of things that are named by `K`. Keeps no answer: it is gone with the last who asked.
pub(super) struct SharedReads<K, T> {
    things: Arc<Mutex<HashMap<K, Thing<T>>>>,
}

struct Thing<T> {
    /// The read that has not begun, if somebody still waits for it.
    next: Option<Waiting<T>>,
    pace: Pace,
}

/// Who waits holds the token; when the last is gone, so is the read.
struct Waiting<T> {
    flight: Flight<T>,
    token: Weak<()>,
}

impl<K, T> Default for SharedReads<K, T> {
    fn default() -> Self {
        SharedReads {
            things: Arc::default(),
        }
    }
}

impl<K, T> SharedReads<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// The answer to a read that begins after this call.
    pub(super) async fn read<F>(
        &self,
        key: K,
        load: Load,
        read: impl FnOnce() -> F + Send + 'static,
    ) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (flight, _token) = self.join(key, load, read);
        flight.await
    }

    fn join<F>(
        &self,
        key: K,
        load: Load,
        read: impl FnOnce() -> F + Send + 'static,
    ) -> (Flight<T>, Arc<()>)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let now = Instant::now();
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        things.retain(|its, thing| {
            let is_waited_for = thing.waiting().is_some();
            *its == key || is_waited_for || !thing.pace.is_over(now)
        });
        let thing = things.entry(key.clone()).or_insert_with(|| Thing {
            next: None,
            pace: Pace::default(),
        });
        if let Some(joined) = thing.waiting() {
            return joined;
        }
        let at = thing.pace.next(load, now);
        let things = Arc::clone(&self.things);
        let flight = async move {
            tokio::time::sleep_until(at).await;
            // From here on nobody joins.
            if let Some(thing) = things
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_mut(&key)
            {
                thing.next = None;
                thing.pace.begins(load, Instant::now());
            }
            read().await
        };
        let flight = flight.boxed().shared();
        let token = Arc::new(());
        thing.next = Some(Waiting {
            flight: flight.clone(),
            token: Arc::downgrade(&token),
        });
        (flight, token)
    }
}

impl<T> Thing<T> {
    fn waiting(&self) -> Option<(Flight<T>, Arc<()>)> {
        let next = self.next.as_ref()?;
        Some((next.flight.clone(), next.token.upgrade()?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn an_account_reads_once_for_ten_of_its_requests() {
        let spacing = |rate| Pace::of_rate(rate).spacing.as_millis();
        for (rate, millis) in [(1000.0, 350), (20.0, 500), (10.0, 1_000), (0.1, 2_000)] {
            assert_eq!(spacing(rate), millis, "{rate}");
        }
        assert_eq!(spacing(0.0), 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn under_light_load_nobody_waits() {
        let reads = SharedReads::<&str, u32>::default();
        let begun = Instant::now();
        for n in 0..100 {
            assert_eq!(
                reads.read("a", Load::Light, move || async move { n }).await,
                n
            );
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn under_heavy_load_who_waits_shares_a_read_that_begins_later() {
        let reads = SharedReads::<&str, u32>::default();
        let count = Arc::new(AtomicU32::new(0));
        let begun = Instant::now();
        let read = || {
            let count = Arc::clone(&count);
            let read = reads.read("a", Load::Heavy, move || async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                count.fetch_add(1, Ordering::Relaxed)
            });
            async move { (read.await, begun.elapsed().as_millis()) }
        };
        assert_eq!((read().await, read().await), ((0, 10), (1, 20)));
        // The third waits until two may begin within half a second; who comes meanwhile joins it.
        let (third, joined) = tokio::join!(read(), async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            read().await
        });
        assert_eq!((third, joined), ((2, 710), (2, 710)));
        // One that has begun serves nobody who comes later.
        let (fourth, late) = tokio::join!(read(), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            read().await
        });
        assert_eq!((fourth.0, late.0), (3, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_nobody_waits_for_any_more_is_not_made_and_blocks_no_other() {
        let reads = SharedReads::<&str, u32>::default();
        for n in 0..2 {
            assert_eq!(
                reads.read("a", Load::Heavy, move || async move { n }).await,
                n
            );
        }
        let abandoned = reads.read("a", Load::Heavy, || async { panic!("nobody asks") });
        let waited = tokio::time::timeout(Duration::from_millis(100), abandoned).await;
        assert!(waited.is_err());
        assert_eq!(reads.read("a", Load::Heavy, || async { 7 }).await, 7);
        tokio::time::sleep(SPACING * 2).await;
        assert_eq!(reads.read("b", Load::Heavy, || async { 8 }).await, 8);
        assert_eq!(reads.things.lock().expect("lock").len(), 1, "forgotten");
    }
}
