//! What is known of one instance: its newest inventory, what was written meanwhile, and when it may be
//! read again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use swr_operator_clock as clock;
use swr_operator_core::account::InstanceUsage;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::{Class, Failure};
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::recent::{Occasion, Outcome, PAGE_LENGTH, Read, Recent, Written};
use swr_operator_core::time;
use swr_operator_swr::Reader;
use tokio::time::Instant;

use super::super::shared::Pace;
use super::facts::Facts;
use super::{Asked, Need, Observation};

/// Between two LISTs of all registries, for each of their pages: an instance is asked for ten pages
/// per second at most, however many wait.
const SPACING_PER_PAGE: Duration = Duration::from_millis(100);
/// After a failure everybody gets that failure for this long, doubling, so that a cloud that is
/// down is asked once a minute and not once per object.
const FAILURE_FIRST: Duration = Duration::from_secs(1);
const FAILURE_MAX: Duration = Duration::from_secs(60);
/// For so long a registry counts as just seen, by the time at which its page was requested (rule 9).
const SEEN_SECS: i64 = 2;
/// More are not counted.
const ASKED_MAX: usize = 100;

pub(super) struct Instance {
    pub(super) state: Arc<tokio::sync::Mutex<State>>,
    /// What a read that is under way does not keep waiting.
    notes: Mutex<Notes>,
    pub(super) facts: Facts,
}

#[derive(Default)]
pub(super) struct Notes {
    /// What SWR answered to our own writes, and no observation knows yet.
    pub(super) wrote: Vec<Wrote>,
    pub(super) newest: Option<Newest>,
    /// When somebody asked for one registry, lately.
    asked: VecDeque<Instant>,
    /// Whether a poll waits for a LIST of all, which whoever makes it.
    pub(super) poll_waits: bool,
}

/// What the newest observation showed.
pub(super) struct Newest {
    pub(super) inventory: Arc<Inventory>,
    /// Whether observations have always shown our own writes.
    never_lagged: bool,
    /// Whether the newest changes are not listed first.
    pub(super) distrusts_order: bool,
}

pub(super) struct Wrote {
    pub(super) id: RegistryId,
    pub(super) at: Timestamp,
    pub(super) what: Own,
}

/// What SWR answered with success.
pub(in super::super) enum Own {
    /// A POST.
    Created,
    /// A PUT, and the record that it was to replace.
    Updated(Box<Record>),
    /// A DELETE.
    Deleted,
}

pub(super) struct State {
    recent: Recent,
    /// When the last read of either kind began, and what is known since.
    pub(super) observed: Option<(Timestamp, Observation)>,
    /// The newest inventory, whatever failed since.
    inventory: Option<Arc<Inventory>>,
    /// When the last LIST of all began.
    swept_at: Option<Timestamp>,
    /// Whether SWR refused the order of the newest changes since the last poll.
    order_is_refused: bool,
    pub(super) pace: Pace,
    /// When the last read of either kind ended.
    ended_at: Option<Instant>,
    /// When the last LIST of all ended, and how long it took.
    listed: Option<(Instant, Duration)>,
    failures: u32,
}

/// A read of what changed last.
pub(super) struct NewestRead {
    pub(super) begun: Timestamp,
    /// With what it showed.
    pub(super) inventory: Arc<Inventory>,
    /// Whether that is everything, so that nobody must list all.
    pub(super) tells_all: bool,
}

impl Instance {
    /// Of which nothing was observed yet.
    pub(super) fn new(settle: SignedDuration, pace: Pace) -> Self {
        Instance {
            state: Arc::new(tokio::sync::Mutex::new(State::new(settle, pace))),
            notes: Mutex::default(),
            facts: Facts::default(),
        }
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry, if it was just seen, and how many pages all take; `None` where a page proves
    /// nothing.
    pub(super) fn trusted(
        &self,
        id: RegistryId,
        now: Timestamp,
    ) -> Option<(Option<Record>, usize)> {
        let notes = self.notes();
        let Newest {
            inventory,
            never_lagged,
            ..
        } = notes.newest.as_ref()?;
        if !never_lagged || notes.wrote.iter().any(|wrote| wrote.id == id) {
            return None;
        }
        let seen = inventory.seen(id);
        let seen = seen.filter(|(_, at)| now <= time::after(*at, SEEN_SECS));
        let n_pages = inventory.records().len().div_ceil(PAGE_LENGTH);
        Some((seen.map(|(record, _)| record.clone()), n_pages))
    }

    /// How many registries the newest observation showed.
    fn registries(&self) -> Option<usize> {
        let notes = self.notes();
        let newest = notes.newest.as_ref()?;
        Some(newest.inventory.records().len())
    }

    /// Whether it takes one registry more, as far as SWR told.
    pub(super) fn has_room(&self) -> Result<(), Failure> {
        self.facts.has_room(self.registries().unwrap_or_default())
    }

    /// What is known of it, for the status of its account.
    pub(super) fn usage(&self, instance: &InstanceId) -> InstanceUsage {
        InstanceUsage {
            id: instance.clone(),
            registries: self.registries(),
            facts: self.facts.known(),
        }
    }

    /// Notes that somebody asks for one registry, and tells how many did lately.
    pub(super) fn asks(&self) -> usize {
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
    fn new(settle: SignedDuration, pace: Pace) -> Self {
        State {
            recent: Recent::new(settle),
            observed: None,
            inventory: None,
            swept_at: None,
            order_is_refused: false,
            pace,
            ended_at: None,
            listed: None,
            failures: 0,
        }
    }

    /// What an earlier observation says to it.
    pub(super) fn answer(&self, asked: Asked) -> Option<Observation> {
        let (begun, observation) = self.observed.as_ref()?;
        let began = match asked.need {
            Need::Changes => Some(*begun),
            // What later reads added was not there then, or has changed since.
            Need::Whole => self.swept_at,
        };
        let is_fresh = began.is_some_and(|at| at > asked.started_after);
        let is_failing =
            asked.takes_failure && observation.is_err() && self.is_within_failure_gap();
        (is_fresh || is_failing).then(|| observation.clone())
    }

    /// A read is over.
    pub(super) fn ended(&mut self, observation: &Observation) {
        self.ended_at = Some(Instant::now());
        self.failures = match observation {
            Ok(_) => 0,
            Err(_) => self.failures.saturating_add(1),
        };
    }

    pub(super) fn is_within_failure_gap(&self) -> bool {
        let doublings = self.failures.saturating_sub(1).min(10);
        let gap = (FAILURE_FIRST * 2u32.pow(doublings)).min(FAILURE_MAX);
        self.ended_at.is_some_and(|ended| ended.elapsed() < gap)
    }

    /// When the next read may begin.
    pub(super) fn next_at(&self, asked: Asked) -> Instant {
        let paced = self.pace.next(asked.load, Instant::now());
        let Some((ended, took)) = self.listed else {
            return paced;
        };
        match (asked.need, self.recent.reads()) {
            (Need::Changes, Read::Newest) => paced,
            // Without an order to go by, all are listed.
            (Need::Changes, Read::Sweep) | (Need::Whole, _) => {
                let n = self.inventory.as_ref().map_or(0, |it| it.records().len());
                let pages = u32::try_from(n.div_ceil(PAGE_LENGTH)).unwrap_or(u32::MAX);
                // As long as the last one took: all are listed half of the time at most. Reads of what changed come
                // between and put nothing off.
                let rest = took.max(SPACING_PER_PAGE * pages.max(1));
                paced.max(ended + rest)
            }
        }
    }

    pub(super) async fn observe(
        &mut self,
        it: &Instance,
        reader: &Reader,
        instance: &InstanceId,
        need: Need,
    ) -> Observation {
        if self.failures > 0
            && let Err(failure) = it.facts.comes_to_run(reader, instance).await
        {
            return self.keep(it, clock::now(), Err(failure));
        }
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
        let failed = self.observed.as_ref().and_then(|(_, it)| it.as_ref().err());
        let failing = failed.map(|failure| (failure, self.failures));
        let ((observation, took), ()) = tokio::join!(
            async { (reader.list(instance).await, timer.elapsed()) },
            it.facts.ask(reader, instance, failing)
        );
        self.listed = Some((Instant::now(), took));
        // That it does not run says more than why it could not be listed.
        let explained = |failure| it.facts.is_running().err().unwrap_or(failure);
        let observation = observation.map(Arc::new).map_err(explained);
        self.take_notes(it);
        if let Ok(inventory) = &observation {
            let occasion = match std::mem::take(&mut it.notes().poll_waits) {
                true => Occasion::Poll,
                false => Occasion::Demand,
            };
            self.order_is_refused &= occasion == Occasion::Demand;
            self.recent.swept(occasion, begun, inventory);
            self.swept_at = Some(begun);
        }
        self.keep(it, begun, observation)
    }

    /// What changed last. `None` where it cannot be asked for.
    pub(super) async fn newest(
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
        self.observed = None;
        it.notes().newest = None;
        let mut inventory = self.inventory.take()?;
        let outcome = self.recent.merge(read, &mut inventory);
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

    /// Keeps an observation, which answers others as well.
    fn keep(&mut self, it: &Instance, begun: Timestamp, observation: Observation) -> Observation {
        if let Ok(inventory) = &observation {
            self.know(it, inventory);
        }
        self.observed = Some((begun, observation.clone()));
        observation
    }

    fn know(&mut self, it: &Instance, inventory: &Arc<Inventory>) {
        it.notes().newest = Some(Newest {
            inventory: Arc::clone(inventory),
            never_lagged: self.recent.lists_never_lagged(),
            distrusts_order: self.order_is_refused || self.recent.is_broken(),
        });
        self.inventory = Some(Arc::clone(inventory));
    }

    pub(super) fn take_notes(&mut self, it: &Instance) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::Load;
    use swr_operator_core::failure::Cause;

    #[tokio::test(start_paused = true)]
    async fn reads_of_what_changed_do_not_put_off_a_list_of_all() {
        let mut state = State::new(SignedDuration::from_secs(120), Pace::default());
        let (listed_at, took) = (Instant::now(), Duration::from_secs(10));
        state.listed = Some((listed_at, took));
        let asked = Asked {
            started_after: clock::now(),
            need: Need::Whole,
            load: Load::Light,
            occasion: Occasion::Demand,
            takes_failure: true,
        };
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(1)).await;
            state.ended(&Err(Failure::new(Class::Transient, Cause::TimedOut)));
            assert_eq!(state.next_at(asked), listed_at + took);
        }
    }
}
