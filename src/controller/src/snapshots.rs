//! One LIST for everybody who waits for the same instance. A caller says after which time the
//! LIST must have begun; callers that come while one is under way share the next.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use swr_operator_clock as clock;
use swr_operator_core::desired::InstanceId;
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::observed::Inventory;
use swr_operator_swr::Reader;

/// The shortest time between two LISTs of an instance: what arrives meanwhile shares the next.
const SPACING_MIN: Duration = Duration::from_millis(100);
/// After a failure everybody gets that failure for this long, doubling, so that a cloud that is
/// down is asked twice a minute and not once per object.
const FAILURE_FIRST: Duration = Duration::from_secs(1);
const FAILURE_MAX: Duration = Duration::from_secs(30);

/// The inventory as of one LIST.
pub(super) type Look = Result<Arc<Inventory>, Failure>;

/// The LISTs of one account.
#[derive(Default)]
pub(super) struct Snapshots {
    instances: Mutex<HashMap<InstanceId, Arc<tokio::sync::Mutex<Newest>>>>,
}

#[derive(Default)]
struct Newest {
    look: Option<(Timestamp, Look)>,
    ended: Option<Instant>,
    took: Duration,
    failures: u32,
}

impl Snapshots {
    /// The inventory by a LIST that began after `started_after`, or the failure of one that still
    /// speaks for the instance.
    pub(super) async fn list(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        started_after: Timestamp,
    ) -> Look {
        self.shared(reader, instance, started_after, true).await
    }

    /// The inventory by a LIST that began after `started_after`, whatever failed before: for who
    /// keeps a gap of their own.
    pub(super) async fn look(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        started_after: Timestamp,
    ) -> Look {
        self.shared(reader, instance, started_after, false).await
    }

    async fn shared(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        started_after: Timestamp,
        takes_failure: bool,
    ) -> Look {
        let newest = Arc::clone(
            self.instances
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(instance.clone())
                .or_default(),
        );
        // Whoever holds the lock lists; the others find its result when they get it.
        let mut newest = newest.lock_owned().await;
        if let Some((started, look)) = &newest.look {
            let fresh = *started > started_after;
            let still_failing = takes_failure && look.is_err() && newest.is_within_failure_gap();
            if fresh || still_failing {
                return look.clone();
            }
        }
        // A task of its own: a caller that loses patience must not take the LIST along, for which
        // others wait.
        let (reader, instance) = (reader.clone(), instance.clone());
        let listing = tokio::spawn(async move {
            if let Some(ended) = newest.ended {
                // As long as the last LIST took: the instance is listed half of the time at most.
                tokio::time::sleep_until(ended + newest.took.max(SPACING_MIN)).await;
            }
            // The clock counts milliseconds: only one that is later is certainly after the read.
            while clock::now() <= started_after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let started = clock::now();
            let begun = Instant::now();
            // A LIST that panics is one that failed.
            let list = AssertUnwindSafe(reader.list(&instance)).catch_unwind();
            let look = match list.await {
                Ok(listed) => listed.map(Arc::new),
                Err(_) => Err(broken()),
            };
            newest.took = begun.elapsed();
            newest.ended = Some(Instant::now());
            newest.failures = match &look {
                Ok(_) => 0,
                Err(_) => newest.failures.saturating_add(1),
            };
            newest.look = Some((started, look.clone()));
            look
        });
        listing.await.unwrap_or_else(|_| Err(broken()))
    }

    /// Nobody asks for the others any more: ten thousand registries are megabytes.
    pub(super) fn retain(&self, is_used: impl Fn(&InstanceId) -> bool) {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|instance, _| is_used(instance));
    }

    /// What the newest LIST of each instance gave; those under way are left out.
    pub(super) fn newest(&self) -> Vec<(InstanceId, Look)> {
        let instances = self
            .instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let looks = instances.iter().filter_map(|(instance, newest)| {
            let newest = newest.try_lock().ok()?;
            let (_, look) = newest.look.as_ref()?;
            Some((instance.clone(), look.clone()))
        });
        looks.collect()
    }
}

fn broken() -> Failure {
    Failure::new(Class::Transient, Cause::Malformed)
}

impl Newest {
    fn is_within_failure_gap(&self) -> bool {
        let doublings = self.failures.saturating_sub(1).min(10);
        let gap = (FAILURE_FIRST * 2u32.pow(doublings)).min(FAILURE_MAX);
        self.ended.is_some_and(|ended| ended.elapsed() < gap)
    }
}
