//! One look at an instance for everybody who waits for it: by a LIST of all its registries, or by a
//! page of those that changed last. A caller says after which time the look must have begun; callers
//! that come while one is under way share the next.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use swr_operator_clock as clock;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::recent::{Occasion, Outcome, PAGE_LENGTH, Read, Recent, Written};
use swr_operator_core::time;
use swr_operator_swr::Reader;
use tokio::time::Instant;

use super::shared::Pace;

/// Between two LISTs of all registries, for each of their pages: an instance is asked for ten pages
/// per second at most, however many wait.
const SPACING_PER_PAGE: Duration = Duration::from_millis(100);
/// After a failure everybody gets that failure for this long, doubling, so that a cloud that is
/// down is asked twice a minute and not once per object.
const FAILURE_FIRST: Duration = Duration::from_secs(1);
const FAILURE_MAX: Duration = Duration::from_secs(30);
/// With fewer who wait for looks at an instance, nobody is kept waiting for others to come: an object
/// alone decides, writes and looks, as quickly as SWR answers.
const SHARED_FROM: usize = 3;
/// For so long a registry counts as just seen, by the time at which its page was requested (rule 9).
const SEEN_SECS: i64 = 2;
/// When fewer ask for single registries within that time, each is shown by itself.
const CROWD: usize = 8;
/// A longer list takes more than those two seconds at the default of 10 requests per second, so its
/// first pages would be too old at its end.
const PAGES_MAX: usize = 15;
/// More are not counted.
const ASKED_MAX: usize = 100;

/// The inventory as of one look.
pub(super) type Look = Result<Arc<Inventory>, Failure>;

/// What a look must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// What was created or changed. What was deleted may still be shown.
    Changes,
    /// Everything, so that what is not shown is not there.
    Whole,
}

/// The looks at the instances of one account.
pub(super) struct Snapshots {
    settle: SignedDuration,
    instances: Mutex<HashMap<InstanceId, Arc<Instance>>>,
}

struct Instance {
    state: Arc<tokio::sync::Mutex<State>>,
    /// What a look that is under way does not keep waiting.
    notes: Mutex<Notes>,
    /// How many wait for a look.
    waiting: AtomicUsize,
}

/// One who waits for a look.
struct Waits<'a>(&'a Instance);

impl<'a> Waits<'a> {
    fn begin(it: &'a Instance) -> Self {
        it.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(it)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Notes {
    /// What SWR answered to our own writes, and no look knows yet.
    wrote: Vec<Wrote>,
    newest: Option<Newest>,
    /// When somebody asked for one registry, lately.
    asked: VecDeque<Instant>,
    /// Whether a poll waits for a LIST of all, which whoever makes it.
    poll_waits: bool,
}

/// What the newest look showed.
struct Newest {
    inventory: Arc<Inventory>,
    /// Whether looks have always shown our own writes.
    never_lagged: bool,
}

struct Wrote {
    id: RegistryId,
    at: Timestamp,
    what: Own,
}

/// What SWR answered with success.
pub(super) enum Own {
    /// A POST.
    Created,
    /// A PUT, and the record that it was to replace.
    Updated(Box<Record>),
    /// A DELETE.
    Deleted,
}

struct State {
    recent: Recent,
    /// When the last look of either kind began, and what is known since.
    looked: Option<(Timestamp, Look)>,
    /// The newest inventory, whatever failed since.
    inventory: Option<Arc<Inventory>>,
    /// When the last LIST of all began.
    swept_at: Option<Timestamp>,
    /// Whether SWR refused the order of the newest changes since the last poll.
    order_is_refused: bool,
    pace: Pace,
    ended_at: Option<Instant>,
    /// How long the last LIST of all took.
    took: Duration,
    failures: u32,
}

/// A read of what changed last.
struct NewestRead {
    begun: Timestamp,
    /// With what it showed.
    inventory: Arc<Inventory>,
    /// Whether that is everything, so that nobody must list all.
    tells_all: bool,
}

impl Snapshots {
    /// Of an account of which no instance was looked at yet. `settle` is T_settle.
    pub(super) fn new(settle_secs: i64) -> Self {
        Snapshots {
            settle: SignedDuration::from_secs(settle_secs),
            instances: Mutex::default(),
        }
    }

    /// The inventory by a look that began after `started_after`, or the failure of one that still
    /// speaks for the instance.
    pub(super) async fn list(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        started_after: Timestamp,
        need: Need,
    ) -> Look {
        let asked = Asked {
            started_after,
            need,
            occasion: Occasion::Demand,
            takes_failure: true,
        };
        self.shared(reader, instance, asked).await
    }

    /// The inventory by a LIST of all that begins now, at the interval of polls.
    pub(super) async fn poll(&self, reader: &Reader, instance: &InstanceId) -> Look {
        let asked = Asked {
            started_after: clock::now(),
            need: Need::Whole,
            occasion: Occasion::Poll,
            takes_failure: true,
        };
        self.shared(reader, instance, asked).await
    }

    /// The inventory by a LIST of all that begins now, whatever failed before: for who keeps a gap of
    /// their own.
    pub(super) async fn look(&self, reader: &Reader, instance: &InstanceId) -> Look {
        let asked = Asked {
            started_after: clock::now(),
            need: Need::Whole,
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
        let look = Ok(Arc::clone(&read.inventory));
        state.ended(&look);
        if read.tells_all {
            state.looked = Some((read.begun, look));
        }
        Some(read.inventory)
    }

    /// One registry before it is updated (rule 9), by a SHOW. Where so many ask that a LIST of all costs
    /// less, and looks have always shown our own writes: as a page showed it that was requested at
    /// most 2 s ago.
    pub(super) async fn show(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        id: RegistryId,
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
            let listed = self.list(reader, instance, now, Need::Whole).await;
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
        let it = instances.entry(instance.clone()).or_insert_with(|| {
            Arc::new(Instance {
                state: Arc::new(tokio::sync::Mutex::new(State::new(self.settle))),
                notes: Mutex::default(),
                waiting: AtomicUsize::new(0),
            })
        });
        Arc::clone(it)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<InstanceId, Arc<Instance>>> {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn shared(&self, reader: &Reader, instance: &InstanceId, asked: Asked) -> Look {
        let it = self.instance(instance);
        let _waits = Waits::begin(&it);
        if asked.occasion == Occasion::Poll {
            it.notes().poll_waits = true;
        }
        let mut state = loop {
            // Whoever holds the lock looks; the others find its result when they get it.
            let state = Arc::clone(&it.state).lock_owned().await;
            if let Some(look) = state.answer(asked) {
                return look;
            }
            let at = state.next_at(asked.need);
            if at <= Instant::now() {
                break state;
            }
            // Not with the lock: another may need less, and go first.
            drop(state);
            tokio::time::sleep_until(at).await;
        };
        if it.waiting.load(Ordering::Relaxed) >= SHARED_FROM {
            state.pace.begins(Instant::now());
        }
        // A task of its own: a caller that loses patience must not take the look along, for which
        // others wait.
        let (it, reader, instance) = (Arc::clone(&it), reader.clone(), instance.clone());
        let looking = tokio::spawn(async move {
            // The clock counts milliseconds: only one that is later is certainly after the read.
            while clock::now() <= asked.started_after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // A look that panics is one that failed.
            let look = state.look(&it, &reader, &instance, asked.need);
            let look = AssertUnwindSafe(look).catch_unwind();
            let look = look.await.unwrap_or_else(|_| Err(broken()));
            state.ended(&look);
            look
        });
        looking.await.unwrap_or_else(|_| Err(broken()))
    }

    /// Nobody asks for the others any more: ten thousand registries are megabytes.
    pub(super) fn retain(&self, is_used: impl Fn(&InstanceId) -> bool) {
        self.locked().retain(|instance, _| is_used(instance));
    }

    /// How many registries each instance holds by its newest look.
    pub(super) fn sizes(&self) -> Vec<(InstanceId, usize)> {
        let instances = self.locked();
        let sizes = instances.iter().filter_map(|(instance, it)| {
            let notes = it.notes();
            let newest = notes.newest.as_ref()?;
            Some((instance.clone(), newest.inventory.records().len()))
        });
        sizes.collect()
    }
}

/// What somebody asks of a look.
#[derive(Clone, Copy)]
struct Asked {
    started_after: Timestamp,
    need: Need,
    occasion: Occasion,
    /// Whether the failure of an earlier look answers, too, for a while.
    takes_failure: bool,
}

impl Instance {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry, if it was just seen, and how many pages all take; `None` where a page proves
    /// nothing.
    fn trusted(&self, id: RegistryId, now: Timestamp) -> Option<(Option<Record>, usize)> {
        let notes = self.notes();
        let Newest {
            inventory,
            never_lagged,
        } = notes.newest.as_ref()?;
        if !never_lagged || notes.wrote.iter().any(|wrote| wrote.id == id) {
            return None;
        }
        let seen = inventory.seen(id);
        let seen = seen.filter(|(_, at)| now <= time::after(*at, SEEN_SECS));
        let n_pages = inventory.records().len().div_ceil(PAGE_LENGTH);
        Some((seen.map(|(record, _)| record.clone()), n_pages))
    }

    /// Notes that somebody asks for one registry, and tells how many did lately.
    fn asks(&self) -> usize {
        let mut notes = self.notes();
        let is_recent = |at: &Instant| at.elapsed().as_secs() < SEEN_SECS.unsigned_abs();
        notes.asked.retain(is_recent);
        if notes.asked.len() < ASKED_MAX {
            notes.asked.push_back(Instant::now());
        }
        notes.asked.len()
    }
}

impl State {
    fn new(settle: SignedDuration) -> Self {
        State {
            recent: Recent::new(settle),
            looked: None,
            inventory: None,
            swept_at: None,
            order_is_refused: false,
            pace: Pace::default(),
            ended_at: None,
            took: Duration::ZERO,
            failures: 0,
        }
    }

    /// What an earlier look says to it.
    fn answer(&self, asked: Asked) -> Option<Look> {
        let (looked_at, look) = self.looked.as_ref()?;
        let began = match asked.need {
            Need::Changes => Some(*looked_at),
            // What later looks added was not there then, or has changed since.
            Need::Whole => self.swept_at,
        };
        let is_fresh = began.is_some_and(|at| at > asked.started_after);
        let is_failing = asked.takes_failure && look.is_err() && self.is_within_failure_gap();
        (is_fresh || is_failing).then(|| look.clone())
    }

    /// A look is over.
    fn ended(&mut self, look: &Look) {
        self.ended_at = Some(Instant::now());
        self.failures = match look {
            Ok(_) => 0,
            Err(_) => self.failures.saturating_add(1),
        };
    }

    fn is_within_failure_gap(&self) -> bool {
        let doublings = self.failures.saturating_sub(1).min(10);
        let gap = (FAILURE_FIRST * 2u32.pow(doublings)).min(FAILURE_MAX);
        self.ended_at.is_some_and(|ended| ended.elapsed() < gap)
    }

    /// When the next look may begin.
    fn next_at(&self, need: Need) -> Instant {
        let now = Instant::now();
        let Some(ended) = self.ended_at else {
            return now;
        };
        let paced = self.pace.next(now);
        match (need, self.recent.reads()) {
            (Need::Changes, Read::Newest) => paced,
            // Without an order to go by, all are listed.
            (Need::Changes, Read::Sweep) | (Need::Whole, _) => {
                let n = self.inventory.as_ref().map_or(0, |it| it.records().len());
                let pages = u32::try_from(n.div_ceil(PAGE_LENGTH)).unwrap_or(u32::MAX);
                // As long as the last one took: all are listed half of the time at most.
                let rest = self.took.max(SPACING_PER_PAGE * pages.max(1));
                paced.max(ended + rest)
            }
        }
    }

    async fn look(
        &mut self,
        it: &Instance,
        reader: &Reader,
        instance: &InstanceId,
        need: Need,
    ) -> Look {
        self.take_notes(it);
        if need == Need::Changes
            && let Some(read) = self.newest(it, reader, instance).await
        {
            match read {
                Ok(read) if read.tells_all => {
                    return self.keep(it, read.begun, Ok(read.inventory));
                }
                Ok(_) => {}
                Err((begun, failure)) => return self.keep(it, begun, Err(failure)),
            }
        }
        let (begun, timer) = (clock::now(), Instant::now());
        let look = reader.list(instance).await.map(Arc::new);
        self.took = timer.elapsed();
        self.take_notes(it);
        if let Ok(inventory) = &look {
            let occasion = match std::mem::take(&mut it.notes().poll_waits) {
                true => Occasion::Poll,
                false => Occasion::Demand,
            };
            self.order_is_refused &= occasion == Occasion::Demand;
            self.recent
                .swept(occasion, (begun, clock::now()), inventory);
            self.swept_at = Some(begun);
        }
        self.keep(it, begun, look)
    }

    /// What changed last. `None` where it cannot be asked for.
    async fn newest(
        &mut self,
        it: &Instance,
        reader: &Reader,
        instance: &InstanceId,
    ) -> Option<Result<NewestRead, (Timestamp, Failure)>> {
        let begun = clock::now();
        if self.order_is_refused {
            return None;
        }
        let read = self.recent.newest(self.inventory.as_ref()?, begun)?;
        let read = match reader.newest(instance, read).await {
            Ok(read) => read,
            // An order that SWR does not take. It takes the other, or says why not.
            Err(failure) if failure.class == Class::Invalid => {
                self.order_is_refused = true;
                return None;
            }
            Err(failure) => return Some(Err((begun, failure))),
        };
        self.take_notes(it);
        // Nobody else's, where nobody holds it any more: it is changed in its place.
        self.looked = None;
        it.notes().newest = None;
        let mut inventory = self.inventory.take()?;
        let outcome = self.recent.merge(read, &mut inventory, clock::now());
        self.know(it, &inventory);
        if let Outcome::Partial(why) = outcome {
            tracing::debug!(%instance, ?why, "the newest changes do not tell everything");
        }
        Some(Ok(NewestRead {
            begun,
            inventory,
            tells_all: outcome == Outcome::Current,
        }))
    }

    /// Keeps a look, which answers others as well.
    fn keep(&mut self, it: &Instance, begun: Timestamp, look: Look) -> Look {
        if let Ok(inventory) = &look {
            self.know(it, inventory);
        }
        self.looked = Some((begun, look.clone()));
        look
    }

    fn know(&mut self, it: &Instance, inventory: &Arc<Inventory>) {
        it.notes().newest = Some(Newest {
            inventory: Arc::clone(inventory),
            never_lagged: self.recent.lists_never_lagged(),
        });
        self.inventory = Some(Arc::clone(inventory));
    }

    fn take_notes(&mut self, it: &Instance) {
        let wrote = std::mem::take(&mut it.notes().wrote);
        for Wrote { id, at, what } in wrote {
            match what {
                Own::Created => self.recent.wrote(id, Written::Created, at),
                Own::Updated(before) => self.recent.wrote(id, Written::Updated(&before), at),
                Own::Deleted => self.recent.deleted(id),
            }
        }
    }
}

fn broken() -> Failure {
    Failure::new(Class::Transient, Cause::Malformed)
}
