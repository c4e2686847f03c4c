//! Which object is reconciled next. A data structure without tasks: time comes in as an argument.

mod answers;
mod instances;
mod remembered;
mod watched;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::metrics::Waiting;
use swr_operator_core::desired::Scope;
use swr_operator_core::object::{ObjectKey, Version};
use swr_operator_core::requeue::{Requeue, backoff_secs, may_be_of_instance};
use swr_operator_core::summary::{Baseline, Verdict};
use swr_operator_core::time;
use swr_operator_kube::Seen;

use super::lanes::{Lane, Lanes};
use super::turn::{Ended, Turn};

pub(super) use self::answers::{RestingObject, WaitingFor};
use self::instances::Waiters;
use self::remembered::Remembered;
use self::watched::WaitingObject;

/// A lost compare-and-swap means that somebody just wrote: give them this time to finish, and
/// twice that if they are not.
const STALE_MILLIS: i64 = 100;
const STALE_MILLIS_MAX: i64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Queued { since: Timestamp, lane: Lane },
    Running { again: Option<Lane> },
}

#[derive(Debug)]
struct Entry {
    seen: Seen,
    state: State,
    /// Reconciles in a row that ended in a failure.
    failures: u32,
    /// Reconciles in a row that ended in a wait for what is under way.
    waits: u32,
    due: Option<Timestamp>,
    memory: Remembered,
    /// What polls compare with, and when the reconcile that left it ended.
    baseline: Option<(Baseline, Timestamp)>,
    waiting_for: Option<Box<WaitingFor>>,
    /// The instance without whose LIST nothing can be decided.
    needs: Option<Scope>,
    /// Whether the list that is under way has shown it.
    listed: bool,
    /// When it was reconciled for a change, lately.
    changed_at: Vec<Timestamp>,
    /// When the last of too many changes is reconciled.
    held_until: Option<Timestamp>,
    /// Whether the next reconcile may send a registry that shows no difference.
    may_resend: bool,
    /// The version that the watch showed and that stands as long as it shows no other.
    upon: Option<Version>,
    /// The object as the watch showed it, for the reconcile that it asks for.
    watched: Option<WaitingObject>,
}

/// The objects, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Boxed: a third of a map's places are empty, and an entry is a kilobyte.
    entries: HashMap<ObjectKey, Box<Entry>>,
    lanes: Lanes,
    due: BTreeSet<(Timestamp, ObjectKey)>,
    waiting: Waiting,
    /// Who waits for which instance, as the entries say.
    waiting_for_instance: HashMap<Scope, Waiters>,
    /// What all objects that wait for their turn take, in bytes.
    watched_bytes: usize,
    /// Whether anything changed of what the polls depend on.
    may_poll_otherwise: bool,
    n_waiting_for_secrets: usize,
}

impl Queue {
    fn set_due(&mut self, key: &ObjectKey, at: Timestamp) {
        if let Some(entry) = self.entries.get_mut(key) {
            if let Some(due) = entry.due.replace(at) {
                self.due.remove(&(due, key.clone()));
            }
            self.due.insert((at, key.clone()));
        }
    }

    fn forget(&mut self, key: &ObjectKey) {
        self.take_watched(key);
        self.may_poll_otherwise = true;
        if let Some(entry) = self.entries.remove(key) {
            self.n_waiting_for_secrets -= usize::from(entry.waiting_for.is_some());
            if let Some(due) = entry.due {
                self.due.remove(&(due, key.clone()));
            }
            if let State::Queued { .. } = entry.state {
                self.waiting.depth -= 1;
            }
            self.needs_no_more(key, entry.needs.as_ref());
        }
    }

    /// Puts an object into its lane; after the reconcile under way, if there is one.
    pub(super) fn wake(&mut self, key: &ObjectKey, lane: Lane, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(due) = entry.due.take() {
            self.due.remove(&(due, key.clone()));
        }
        match entry.state {
            State::Idle => {
                entry.state = State::Queued { since: now, lane };
                self.waiting.depth += 1;
                self.waiting.adds += 1;
                let scope = entry.seen.scope.as_ref();
                self.lanes.push(scope, key.clone(), lane);
            }
            // A person's change overtakes the poll that queued it; the key that stays behind in
            // the other lane is passed over.
            State::Queued {
                since,
                lane: before,
            } => {
                if lane == Lane::Change && before == Lane::Background {
                    entry.state = State::Queued { since, lane };
                    let scope = entry.seen.scope.as_ref();
                    self.lanes.push(scope, key.clone(), lane);
                }
            }
            State::Running { again } => {
                let lane = again.filter(|again| *again == Lane::Change).unwrap_or(lane);
                entry.state = State::Running { again: Some(lane) };
            }
        }
    }

    /// Wakes an object whose registry moved without a difference, and may be sent because of it.
    pub(super) fn moved(&mut self, key: &ObjectKey, may_resend: bool, now: Timestamp) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.may_resend |= may_resend;
        }
        self.wake(key, Lane::Background, now);
    }

    /// An account may send so many requests per second.
    pub(super) fn account_may(&mut self, account: &str, requests_per_second: f64) {
        self.lanes.account_may(account, requests_per_second);
    }

    /// There is no account of this name any more: its objects have to say so.
    pub(super) fn account_is_gone(&mut self, account: &str, now: Timestamp) {
        self.lanes.account_is_gone(account);
        self.account_changed(account, now);
    }

    /// Wakes every object of an account.
    pub(super) fn account_changed(&mut self, account: &str, now: Timestamp) {
        self.wake_all(now, |_, scope| *scope.account == *account);
    }

    /// Wakes the objects of a namespace whose account fits: its labels changed, by which that grants.
    pub(super) fn namespace_changed(
        &mut self,
        namespace: &str,
        fits: impl Fn(&str) -> bool,
        now: Timestamp,
    ) {
        self.wake_all(now, |key, scope| {
            *key.namespace == *namespace && fits(&scope.account)
        });
    }

    fn wake_all(&mut self, now: Timestamp, which: impl Fn(&ObjectKey, &Scope) -> bool) {
        let entries = self.entries.iter().filter(|(key, entry)| {
            let scope = entry.seen.scope.as_ref();
            scope.is_some_and(|scope| which(key, scope))
        });
        let keys: Vec<ObjectKey> = entries.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.wake(&key, Lane::Background, now);
        }
    }

    /// The next object whose turn it is.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Turn> {
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            self.wake(&key, Lane::Background, now);
        }
        loop {
            let (lane, key) = self.lanes.pop()?;
            // A forgotten object's key may still stand in a lane.
            if let Some(entry) = self.entries.get_mut(&key)
                && let State::Queued { since, .. } = entry.state
            {
                entry.state = State::Running { again: None };
                self.waiting.depth -= 1;
                // This reconcile sees every change so far: none is left for the end of the window.
                entry.held_until = None;
                entry.changed_at.retain(|at| *at <= now);
                entry.upon = None;
                let load = self.lanes.begins(lane.as_ref());
                let needed = entry.needs.take();
                let turn = Turn {
                    watched: None,
                    load,
                    lane,
                    uid: entry.seen.uid.clone(),
                    memory: entry.memory.to_memory(),
                    scope: entry.seen.scope.clone(),
                    may_resend: std::mem::take(&mut entry.may_resend),
                    queued_at: since,
                    key,
                };
                self.needs_no_more(&turn.key, needed.as_ref());
                let watched = self.take_watched(&turn.key);
                let watched = watched.and_then(WaitingObject::into_watched);
                return Some(Turn { watched, ..turn });
            }
        }
    }

    /// When the next object is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A reconcile that began in this lane is over, whatever became of its object.
    pub(super) fn ended_in(&mut self, lane: Option<&Scope>) {
        self.lanes.ended(lane);
    }

    /// A reconcile is over. `jitter` spreads waits.
    pub(super) fn finished(
        &mut self,
        key: &ObjectKey,
        uid: &str,
        ended: Ended,
        now: Timestamp,
        jitter: impl Fn(Duration) -> Duration,
    ) {
        // One that was forgotten and seen again meanwhile has its own turn before it.
        let is_its = |entry: &&mut Box<Entry>| {
            entry.seen.uid == uid && matches!(entry.state, State::Running { .. })
        };
        let Some(entry) = self.entries.get_mut(key).filter(is_its) else {
            return;
        };
        if ended.verdict == Verdict::Gone && entry.state == (State::Running { again: None }) {
            // Should it be there after all, the next list shows it as new.
            self.forget(key);
            return;
        }
        let again_at = ended.again_at;
        entry.memory = ended.memory.into();
        entry.baseline = ended.baseline.map(|baseline| (baseline, now));
        let told = instances::told(&ended.verdict);
        let may_be_of_instance = may_be_of_instance(&ended.verdict);
        self.may_poll_otherwise = true;
        self.n_waiting_for_secrets -= usize::from(entry.waiting_for.is_some());
        entry.waiting_for = match (ended.requeue, ended.verdict) {
            (Requeue::SecretChange { .. }, Verdict::NoCredential { secret, problem }) => {
                Some(Box::new(WaitingFor { secret, problem }))
            }
            _ => None,
        };
        self.n_waiting_for_secrets += usize::from(entry.waiting_for.is_some());
        let in_about = |secs: i64| {
            let wait = jitter(Duration::from_secs(secs.unsigned_abs()));
            time::after_wait(now, wait)
        };
        entry.waits = match matches!(ended.requeue, Requeue::SoonUntil(_)) {
            true => entry.waits.saturating_add(1),
            false => 0,
        };
        let mut not_before = None;
        let due = match ended.requeue {
            // Nobody knows whose change it waits for if it does not fit our CRD.
            Requeue::AccountChange if entry.seen.scope.is_none() => {
                entry.failures = entry.failures.saturating_add(1);
                Some(in_about(backoff_secs(entry.failures)))
            }
            Requeue::Never | Requeue::Poll | Requeue::AccountChange | Requeue::ObjectChange => {
                entry.failures = 0;
                None
            }
            Requeue::SecretChange { until } => {
                entry.failures = 0;
                until
            }
            // It is the instance that failed, so the object's own failures stay as they are.
            Requeue::Instance { min_secs, until } if entry.seen.scope.is_some() => {
                entry.needs.clone_from(&entry.seen.scope);
                not_before = Some(time::after(now, i64::from(min_secs)));
                until
            }
            Requeue::Now => {
                entry.failures = entry.failures.saturating_add(1);
                let doublings = entry.failures.saturating_sub(1).min(10);
                let millis = (STALE_MILLIS << doublings).min(STALE_MILLIS_MAX);
                Some(time::after_span(now, SignedDuration::from_millis(millis)))
            }
            Requeue::At(at) => {
                entry.failures = 0;
                Some(at)
            }
            // A wait is no failure: the next of those waits no longer because of it.
            Requeue::SoonUntil(until) => {
                let soon = in_about(backoff_secs(entry.waits));
                // A moment after, so that "not before" is certainly over.
                Some(soon.min(time::after_span(
                    until,
                    SignedDuration::from_millis(STALE_MILLIS),
                )))
            }
            Requeue::Backoff { min_secs } | Requeue::Instance { min_secs, .. } => {
                entry.failures = entry.failures.saturating_add(1);
                let about = in_about(backoff_secs(entry.failures).max(i64::from(min_secs)));
                // "Not before" is no matter of chance.
                Some(about.max(time::after(now, i64::from(min_secs))))
            }
        };
        let again = match entry.state {
            State::Running { again } => again,
            State::Idle | State::Queued { .. } => None,
        };
        let was_old = ended
            .upon
            .as_ref()
            .is_some_and(|it| *it != entry.seen.version);
        let again = again.or(was_old.then_some(Lane::Background));
        entry.upon = ended.upon;
        entry.state = State::Idle;
        let held_until = entry.held_until.take();
        let waits_alone = held_until.is_none() && again_at.is_none();
        if let Some(scope) = entry.needs.clone() {
            self.waits_for(key, &scope, not_before, told);
        }
        if let Some(lane) = again {
            self.wake(key, lane, now);
        } else if let Some(at) = due.into_iter().chain(held_until).chain(again_at).min() {
            self.set_due(key, at);
            if may_be_of_instance && waits_alone {
                self.doubts(key);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
