//! The mass-deletion guard: which deletions of registries may go on. A data structure without tasks: time
//! comes in as an argument.
//!
//! Every instant is when this process saw something first: the time at which the API server dated a deletion
//! is another clock's, and after a pause of the operator it lies so far back that it would count no more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_core::desired::Scope;
use swr_operator_core::object::{Deletion, ObjectKey, Stage};
use swr_operator_core::reconcile::Clearance;
use swr_operator_core::time;
use swr_operator_kube::Seen;

/// Deletions that come within this time count together.
const TOGETHER_SECS: i64 = 600;
/// So many are never too many, however few objects there are.
const FEW: usize = 5;
/// More than one in so many objects of an instance are too many.
const ONE_IN: usize = 5;
/// While further deletions come, the first ones wait for so many times the hold: 30 s by default. kubectl deletes
/// some 50 objects a second, so a command for 1,000 is seen whole.
const HOLDS_MAX: u32 = 10;

/// The deletions under way, and the instances where they are too many.
pub(super) struct MassDeletionGuard {
    /// How long a deletion waits for others to come; `None` if nothing is guarded.
    hold: Option<Duration>,
    deletions: HashMap<ObjectKey, Entry>,
    /// Every instance that has a deletion, and those that had one lately.
    instances: HashMap<Scope, Instance>,
    /// Until when an administrator lets the deletions of an account through.
    allowed: HashMap<String, Timestamp>,
}

struct Entry {
    uid: String,
    scope: Scope,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for a judgement or is paused, as its instance says.
    Waiting {
        /// Since when it is known.
        since: Timestamp,
    },
    /// It was judged as one of few. It goes on whatever comes later: its request may be on its way.
    Cleared {
        /// Since when it was known; `None` if another process began it.
        since: Option<Timestamp>,
    },
}

#[derive(Default)]
struct Instance {
    hold: Option<Hold>,
    /// Whether too many came together: whatever waits or comes is paused, until none is left.
    is_paused: bool,
    /// Whether an administrator let through what waits, when this was judged last.
    is_let_through: bool,
    /// Since when those were known that were cleared and are gone.
    gone: Vec<Timestamp>,
}

/// While this lasts, deletions wait for others to come.
#[derive(Clone, Copy)]
struct Hold {
    began_at: Timestamp,
    /// When the newest one came.
    newest_at: Timestamp,
}

impl Hold {
    fn ends_at(self, hold: Duration) -> Timestamp {
        let at_last = time::after_wait(self.began_at, hold.saturating_mul(HOLDS_MAX));
        time::after_wait(self.newest_at, hold).min(at_last)
    }
}

/// What was decided of the deletions of an instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) scope: Scope,
    /// Who waited for it.
    pub(super) objects: Vec<ObjectKey>,
    /// How many of how many objects are being deleted, if they were just found to be too many.
    pub(super) too_many: Option<(usize, usize)>,
}

impl MassDeletionGuard {
    pub(super) fn new(hold: Option<Duration>) -> Self {
        MassDeletionGuard {
            hold,
            deletions: HashMap::new(),
            instances: HashMap::new(),
            allowed: HashMap::new(),
        }
    }

    /// This process begins to lead: what another did until now stands in the objects, which are seen anew.
    pub(super) fn begin(&mut self) {
        self.deletions.clear();
        self.instances.clear();
    }

    /// The watch shows an object. Says whether it waits for [`MassDeletionGuard::judge`] to name it.
    pub(super) fn seen(&mut self, seen: &Seen, now: Timestamp) -> bool {
        let namesake = self.deletions.get(&seen.key).map(|it| it.uid.clone());
        if let Some(uid) = namesake.filter(|uid| *uid != seen.uid) {
            self.gone(&seen.key, &uid);
        }
        let Some(deletion) = seen.deletion.as_deref().filter(|_| self.hold.is_some()) else {
            if seen.deleting && !seen.has_finalizer {
                // Its registry is gone, though another finalizer may keep the object.
                self.gone(&seen.key, &seen.uid);
            } else {
                // It keeps its registry, whatever it asked for before.
                self.deletions.remove(&seen.key);
            }
            return false;
        };
        let known = self.deletions.get(&seen.key);
        if known.is_some_and(|known| known.scope == deletion.scope) {
            return false;
        }
        let Deletion { scope, stage } = deletion;
        let state = match stage {
            Stage::New | Stage::Paused => State::Waiting { since: now },
            Stage::Begun => State::Cleared { since: None },
        };
        let entry = Entry {
            uid: seen.uid.clone(),
            scope: scope.clone(),
            state,
        };
        // The last of many may have gone since the last judgement.
        let still_paused = self.is_paused(scope) && self.waits(scope);
        self.deletions.insert(seen.key.clone(), entry);
        let is_allowed = self.allowed_until(scope, now).is_some();
        let instance = self.instances.entry(scope.clone()).or_default();
        instance.is_paused = still_paused || *stage == Stage::Paused;
        if *stage == Stage::Begun || instance.is_paused || is_allowed {
            return false;
        }
        let hold = instance.hold.get_or_insert(Hold {
            began_at: now,
            newest_at: now,
        });
        hold.newest_at = now;
        true
    }

    /// The watch shows that an object is gone.
    pub(super) fn gone(&mut self, key: &ObjectKey, uid: &str) {
        if self.deletions.get(key).is_some_and(|it| it.uid == uid)
            && let Some(gone) = self.deletions.remove(key)
            // What was let through by an administrator is nobody's mistake.
            && let State::Cleared { since: Some(since) } = gone.state
        {
            let instance = self.instances.entry(gone.scope).or_default();
            instance.gone.push(since);
        }
    }

    /// Only these objects are there.
    pub(super) fn retain(&mut self, is_there: impl Fn(&ObjectKey, &str) -> bool) {
        let gone = self.deletions.iter();
        let gone = gone.filter(|(key, entry)| !is_there(key, &entry.uid));
        let gone: Vec<(ObjectKey, String)> = gone
            .map(|(key, entry)| (key.clone(), entry.uid.clone()))
            .collect();
        for (key, uid) in gone {
            self.gone(&key, &uid);
        }
    }

    /// An administrator lets the deletions of an account through until this time, or no longer. Names
    /// the objects that can go on because of it.
    pub(super) fn allow(
        &mut self,
        account: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<ObjectKey> {
        let before = match until {
            Some(until) => self.allowed.insert(account.to_owned(), until),
            None => self.allowed.remove(account),
        };
        if before == until || until.is_none_or(|until| until <= now) {
            return Vec::new();
        }
        let waiting = self.deletions.iter().filter(|(_, entry)| {
            *entry.scope.account == *account && matches!(entry.state, State::Waiting { .. })
        });
        waiting.map(|(key, _)| key.clone()).collect()
    }

    fn allowed_until(&self, scope: &Scope, now: Timestamp) -> Option<Timestamp> {
        let until = self.allowed.get(&*scope.account).copied();
        until.filter(|until| now < *until)
    }

    /// Whether the registry of an object may be deleted.
    pub(super) fn clearance(&self, key: &ObjectKey, uid: &str, now: Timestamp) -> Clearance {
        if self.hold.is_none() {
            return Clearance::Given { until: None };
        }
        // The watch has yet to show what the reconcile may find.
        let Some(entry) = self.deletions.get(key).filter(|entry| entry.uid == uid) else {
            return Clearance::Awaited;
        };
        if let State::Cleared { .. } = entry.state {
            return Clearance::Given { until: None };
        }
        if let Some(until) = self.allowed_until(&entry.scope, now) {
            return Clearance::Given { until: Some(until) };
        }
        match self.is_paused(&entry.scope) {
            true => Clearance::Paused,
            false => Clearance::Awaited,
        }
    }

    /// Judges the deletions that have waited for long enough; `n_objects` says how many objects of an instance may
    /// have a registry. Not before all objects were listed: of a part of them, a few would be too many.
    pub(super) fn judge(
        &mut self,
        n_objects: impl Fn(&Scope) -> usize,
        now: Timestamp,
    ) -> Vec<Judgement> {
        let Some(hold) = self.hold else {
            return Vec::new();
        };
        let counts = |since: Timestamp| now < time::after(since, TOGETHER_SECS);
        let mut waiting: HashSet<&Scope> = HashSet::new();
        let mut counted: HashMap<&Scope, usize> = HashMap::new();
        for entry in self.deletions.values() {
            let is_counted = match entry.state {
                // They would all be deleted now, however long they have waited.
                State::Waiting { .. } => {
                    waiting.insert(&entry.scope);
                    true
                }
                State::Cleared { since } => since.is_some_and(counts),
            };
            *counted.entry(&entry.scope).or_default() += usize::from(is_counted);
        }
        let mut judged = Vec::new();
        let allowed = &self.allowed;
        self.instances.retain(|scope, instance| {
            instance.gone.retain(|since| counts(*since));
            if !waiting.contains(scope) {
                instance.is_paused = false;
                instance.is_let_through = false;
                instance.hold = None;
                return counted.contains_key(scope) || !instance.gone.is_empty();
            }
            if allowed
                .get(&*scope.account)
                .is_some_and(|until| now < *until)
            {
                instance.hold = None;
                instance.is_let_through = true;
                return true;
            }
            let has_lapsed = std::mem::take(&mut instance.is_let_through);
            let mut too_many = None;
            if !instance.is_paused {
                // One that an administrator's time did not suffice for waits anew.
                let began = *instance.hold.get_or_insert(Hold {
                    began_at: now,
                    newest_at: now,
                });
                if now < began.ends_at(hold) {
                    return true;
                }
                let gone = instance.gone.len();
                let deleting = counted.get(scope).copied().unwrap_or_default() + gone;
                let of = n_objects(scope) + gone;
                instance.is_paused = deleting > FEW.max(of / ONE_IN);
                too_many = instance.is_paused.then_some((deleting, of));
            }
            // Those that are paused already wait for no judgement; but those that were let through have to say again that
            // they are: another process goes by that.
            if instance.hold.take().is_some() || has_lapsed {
                judged.push((scope.clone(), instance.is_paused, too_many));
            }
            true
        });
        let judged = judged.into_iter();
        judged
            .map(|(scope, is_paused, too_many)| Judgement {
                objects: self.judged(&scope, is_paused),
                scope,
                too_many,
            })
            .collect()
    }

    /// The objects that waited for this judgement, which clears them unless it pauses them.
    fn judged(&mut self, scope: &Scope, is_paused: bool) -> Vec<ObjectKey> {
        let mut objects = Vec::new();
        for (key, entry) in &mut self.deletions {
            if entry.scope == *scope
                && let State::Waiting { since } = entry.state
            {
                objects.push(key.clone());
                if !is_paused {
                    entry.state = State::Cleared { since: Some(since) };
                }
            }
        }
        objects
    }

    fn is_paused(&self, scope: &Scope) -> bool {
        let instance = self.instances.get(scope);
        instance.is_some_and(|instance| instance.is_paused)
    }

    /// Whether a deletion of this instance waits or is paused.
    fn waits(&self, scope: &Scope) -> bool {
        let mut deletions = self.deletions.values();
        deletions.any(|it| it.scope == *scope && matches!(it.state, State::Waiting { .. }))
    }

    /// When the next deletions have waited for long enough.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let hold = self.hold?;
        let holds = self.instances.values().filter_map(|it| it.hold);
        holds.map(|it| it.ends_at(hold)).min()
    }

    /// How many deletions are paused, by account and instance.
    pub(super) fn paused(&self, now: Timestamp) -> BTreeMap<(String, String), usize> {
        let waiting = self.deletions.values();
        let waiting = waiting.filter(|entry| matches!(entry.state, State::Waiting { .. }));
        let mut paused: HashMap<&Scope, usize> = HashMap::new();
        for scope in waiting.map(|entry| &entry.scope) {
            *paused.entry(scope).or_default() += 1;
        }
        paused.retain(|scope, _| self.is_paused(scope) && self.allowed_until(scope, now).is_none());
        let named = paused.into_iter().map(|(Scope { account, instance }, n)| {
            ((account.to_string(), instance.as_str().to_owned()), n)
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests;
