//! One observation of an instance for everybody who waits for it: by a LIST of all its registries, or by a
//! page of those that changed last. A caller says after which time it must have begun; callers
//! that come while one is under way share the next.

mod facts;
mod instance;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use swr_operator_clock as clock;
use swr_operator_core::account::InstanceUsage;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::recent::Occasion;
use swr_operator_swr::Reader;
use tokio::time::Instant;

use self::facts::{NotOffered, quota_of};
pub(super) use self::instance::Own;
use self::instance::{Instance, Wrote};
use super::shared::{Load, Pace, SharedReads};

/// When fewer ask for single registries within that time, each is shown by itself.
const CROWD: usize = 8;
/// A longer list takes more than those two seconds at the default of 10 requests per second, so its
/// first pages would be too old at its end.
const PAGES_MAX: usize = 15;

/// The inventory as of one read, or why there is none.
pub(super) type Observation = Result<Arc<Inventory>, Failure>;

/// What an observation must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// What was created or changed. What was deleted may still be shown.
    Changes,
    /// Everything, so that what is not shown is not there.
    Whole,
}

/// The observations of the instances of one account.
pub(super) struct Snapshots {
    settle: SignedDuration,
    pace: Pace,
    instances: Mutex<HashMap<InstanceId, Arc<Instance>>>,
    not_offered: NotOffered,
    quotas: SharedReads<InstanceId, Option<usize>>,
}

impl Snapshots {
    /// Of an account that may send so many requests per second. `settle_secs` is T_settle.
    pub(super) fn new(settle_secs: i64, requests_per_second: f64) -> Self {
        Snapshots {
            settle: SignedDuration::from_secs(settle_secs),
            pace: Pace::of_rate(requests_per_second),
            instances: Mutex::default(),
            not_offered: NotOffered::default(),
            quotas: SharedReads::default(),
        }
    }

    /// The inventory by a read that began after `started_after`, or the failure of one that still
    /// speaks for the instance.
    pub(super) async fn list(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        started_after: Timestamp,
        need: Need,
        load: Load,
    ) -> Observation {
        let asked = Asked {
            started_after,
            need,
            load,
            occasion: Occasion::Demand,
            takes_failure: true,
        };
        self.shared(reader, instance, asked).await
    }

    /// The inventory by a LIST of all that begins now, at the interval of polls.
    pub(super) async fn poll(&self, reader: &Reader, instance: &InstanceId) -> Observation {
        let asked = Asked {
            started_after: clock::now(),
            need: Need::Whole,
            load: Load::Light,
            occasion: Occasion::Poll,
            takes_failure: true,
        };
        self.shared(reader, instance, asked).await
    }

    /// The inventory by a LIST of all that begins now, whatever failed before: for who keeps a gap of
    /// their own.
    pub(super) async fn retry(&self, reader: &Reader, instance: &InstanceId) -> Observation {
        let asked = Asked {
            started_after: clock::now(),
            need: Need::Whole,
            load: Load::Light,
            occasion: Occasion::Demand,
            takes_failure: false,
        };
        self.shared(reader, instance, asked).await
    }

    /// Reads what changed last, by one page and rarely more, and returns the inventory with that merged
    /// in; deleted registries may still be in it. `None` if only a LIST of all could tell, or if SWR
    /// fails: nobody waits for this read, so its failure is nobody's.
    pub(super) async fn changes(
        &self,
        reader: &Reader,
        instance: &InstanceId,
    ) -> Option<Arc<Inventory>> {
        let it = self.instance(instance);
        let mut state = it.state.lock().await;
        if state.is_within_failure_gap() {
            return None;
        }
        state.take_notes(&it);
        let read = state.newest(&it, reader, instance).await?.ok()?;
        let observation = Ok(Arc::clone(&read.inventory));
        state.ended(&observation);
        if read.tells_all {
            state.observed = Some((read.begun, observation));
        }
        Some(read.inventory)
    }

    /// One registry before it is updated (rule 9), by a SHOW. Where so many ask that a LIST of all costs
    /// less, and observations have always shown our own writes: as a page showed it that was requested at
    /// most 2 s ago.
    pub(super) async fn show(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        id: RegistryId,
        load: Load,
    ) -> Result<Record, Failure> {
        let now = clock::now();
        let it = self.instance(instance);
        let n_asked = it.asks();
        let costs_less = |n_pages: usize| n_pages <= PAGES_MAX && n_asked >= n_pages.max(CROWD);
        if let Some((seen, n_pages)) = it.trusted(id, now)
            && costs_less(n_pages)
        {
            if let Some(record) = seen {
                return Ok(record);
            }
            let listed = self.list(reader, instance, now, Need::Whole, load).await;
            if listed.is_ok()
                && let Some((Some(record), _)) = it.trusted(id, clock::now())
            {
                return Ok(record);
            }
        }
        reader.show(instance, id).await
    }

    /// SWR answered a write of ours with success.
    pub(super) fn wrote(&self, instance: &InstanceId, id: RegistryId, what: Own) {
        let at = clock::now();
        let wrote = Wrote { id, at, what };
        self.instance(instance).notes().wrote.push(wrote);
    }

    fn instance(&self, instance: &InstanceId) -> Arc<Instance> {
        let mut instances = self.locked();
        let it = instances
            .entry(instance.clone())
            .or_insert_with(|| Arc::new(Instance::new(self.settle, self.pace)));
        Arc::clone(it)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<InstanceId, Arc<Instance>>> {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn shared(&self, reader: &Reader, instance: &InstanceId, asked: Asked) -> Observation {
        let it = self.instance(instance);
        if asked.occasion == Occasion::Poll {
            it.notes().poll_waits = true;
        }
        let mut state = loop {
            // Whoever holds the lock reads; the others find its result when they get it.
            let state = Arc::clone(&it.state).lock_owned().await;
            if let Some(observation) = state.answer(asked) {
                return observation;
            }
            let at = state.next_at(asked);
            if at <= Instant::now() {
                break state;
            }
            // Not with the lock: another may need less, and go first.
            drop(state);
            tokio::time::sleep_until(at).await;
        };
        state.pace.begins(asked.load, Instant::now());
        // A task of its own: a caller that loses patience must not take the read along, for which
        // others wait.
        let (it, reads, instance) = (Arc::clone(&it), reader.clone(), instance.clone());
        let reading = tokio::spawn(async move {
            // The clock counts milliseconds: only one that is later is certainly after the read.
            while clock::now() <= asked.started_after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // A read that panics is one that failed.
            let observation = state.observe(&it, &reads, &instance, asked.need);
            let observation = AssertUnwindSafe(observation).catch_unwind();
            let observation = observation.await.unwrap_or_else(|_| Err(broken()));
            state.ended(&observation);
            observation
        });
        let observation = reading.await.unwrap_or_else(|_| Err(broken()));
        let failure = observation.as_ref().err();
        self.not_offered.explain(reader, failure).await;
        observation
    }

    /// Nobody asks for the others any more: ten thousand registries are megabytes.
    pub(super) fn retain(&self, is_used: impl Fn(&InstanceId) -> bool) {
        self.locked().retain(|instance, _| is_used(instance));
    }

    /// Whether an instance was seen not to list the newest changes first, or refuses to.
    pub(super) fn distrusts_order(&self, instance: &InstanceId) -> bool {
        let it = self.instance(instance);
        let notes = it.notes();
        notes.newest.as_ref().is_some_and(|it| it.distrusts_order)
    }

    /// What is known of each instance.
    pub(super) fn usage(&self) -> Vec<InstanceUsage> {
        let instances = self.locked();
        let usage = instances.iter().map(|(instance, it)| it.usage(instance));
        usage.collect()
    }

    /// Whether the instance takes one registry more, as far as SWR told. One that was full is asked for its
    /// quota again, by one question of all who come before it, and listed: what was deleted there since is seen by
    /// nothing else.
    pub(super) async fn room(&self, reader: &Reader, instance: &InstanceId) -> Result<(), Failure> {
        let it = self.instance(instance);
        if it.has_room().is_err() {
            let (reader, asked) = (reader.clone(), instance.clone());
            let ask = move || quota_of(reader, asked);
            let quota = self.quotas.read(instance.clone(), Load::Heavy, ask).await;
            it.facts.learn_quota(quota);
        }
        if it.has_room().is_err() {
            let now = clock::now();
            let _ = self
                .list(reader, instance, now, Need::Whole, Load::Heavy)
                .await;
        }
        it.has_room()
    }

    /// Whether SWR offers instances to the project, as far as it told when one could not be listed.
    pub(super) fn are_offered(&self) -> bool {
        !self.not_offered.known()
    }

    /// Whether SWR told something new since this was asked last.
    pub(super) fn has_news(&self) -> bool {
        let instances = self.locked();
        let of_instances = instances.values().filter(|it| it.facts.take_news());
        of_instances.count() > 0 || self.not_offered.take_news()
    }
}

/// What somebody asks of an observation.
#[derive(Clone, Copy)]
struct Asked {
    started_after: Timestamp,
    need: Need,
    load: Load,
    occasion: Occasion,
    /// Whether the failure of an earlier read answers, too, for a while.
    takes_failure: bool,
}

fn broken() -> Failure {
    Failure::new(Class::Transient, Cause::Malformed)
}
