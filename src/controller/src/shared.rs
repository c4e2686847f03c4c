//! One read for everybody who waits for the same thing. A read that is under way does not serve who
//! comes later: what they know may be younger than its beginning.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

/// Between two reads of the same thing in the long run: what comes meanwhile shares the next. Two may
/// follow each other at once, so that who comes alone waits for none: decide, write, verify.
pub(super) const SPACING: Duration = Duration::from_millis(250);

/// The beginnings of the last two reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace([Option<Instant>; 2]);

impl Pace {
    /// When the next read may begin.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.0[0].map_or(now, |older| now.max(older + SPACING * 2))
    }

    /// A read begins.
    pub(super) fn begins(&mut self, now: Instant) {
        self.0 = [self.0[1], Some(now)];
    }

    /// Whether nothing of it counts any more.
    fn is_over(&self, now: Instant) -> bool {
        self.next(now) == now
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
    pub(super) async fn read<F>(&self, key: K, read: impl FnOnce() -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (flight, _token) = self.join(key, read);
        flight.await
    }

    fn join<F>(&self, key: K, read: impl FnOnce() -> F + Send + 'static) -> (Flight<T>, Arc<()>)
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
        let at = thing.pace.next(now);
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
                thing.pace.begins(Instant::now());
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

    #[tokio::test(start_paused = true)]
    async fn who_waits_shares_a_read_that_begins_later_and_who_comes_alone_waits_for_none() {
        let reads = SharedReads::<&str, u32>::default();
        let count = Arc::new(AtomicU32::new(0));
        let begun = Instant::now();
        let read = || {
            let count = Arc::clone(&count);
            let read = reads.read("a", move || async move {
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
        assert_eq!((third, joined), ((2, 510), (2, 510)));
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
            assert_eq!(reads.read("a", move || async move { n }).await, n);
        }
        let abandoned = reads.read("a", || async { panic!("nobody asks") });
        let waited = tokio::time::timeout(Duration::from_millis(100), abandoned).await;
        assert!(waited.is_err());
        assert_eq!(reads.read("a", || async { 7 }).await, 7);
        tokio::time::sleep(SPACING * 2).await;
        assert_eq!(reads.read("b", || async { 8 }).await, 8);
        assert_eq!(reads.things.lock().expect("lock").len(), 1, "forgotten");
    }
}
