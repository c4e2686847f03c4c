//! Who waits for which instance: one LIST that succeeds ends the wait of all.

use std::collections::HashSet;

use jiff::Timestamp;
use swr_operator_core::desired::Scope;
use swr_operator_core::failure::Cause;
use swr_operator_core::object::ObjectKey;
use swr_operator_core::summary::{Blocker, Verdict};

use super::super::lanes::Lane;
use super::Queue;

/// An object whose requests failed so often in a row, within a quarter of a minute, asks whether that is the instance.
const DOUBTS_AFTER: u32 = 4;

/// The objects that wait for an instance.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    pub(super) keys: HashSet<ObjectKey>,
    /// Those that are tried again by themselves, unless the LIST fails, too.
    doubtful: HashSet<ObjectKey>,
    /// Whether the LIST failed since somebody waits for it.
    fails: bool,
    /// SWR asks not to be asked before.
    pub(super) not_before: Option<Timestamp>,
    /// Why its LIST failed, as they were told last.
    told: Option<Cause>,
}

/// What an object says of a request to SWR that failed.
pub(super) fn told(verdict: &Verdict) -> Option<Cause> {
    if let Verdict::Swr { failure, .. } | Verdict::CannotDelete(Blocker::Swr { failure, .. }) =
        verdict
    {
        Some(failure.cause)
    } else {
        None
    }
}

impl Queue {
    /// The object does not wait for its instance any more.
    pub(super) fn needs_no_more(&mut self, key: &ObjectKey, scope: Option<&Scope>) {
        let Some(scope) = scope else {
            return;
        };
        if let Some(waiting) = self.waiting_for_instance.get_mut(scope) {
            waiting.keys.remove(key);
            waiting.doubtful.remove(key);
            if waiting.keys.is_empty() && waiting.doubtful.is_empty() {
                self.waiting_for_instance.remove(scope);
            }
        }
    }

    /// The LIST of its instance failed: the object waits for one that does not.
    pub(super) fn waits_for(
        &mut self,
        key: &ObjectKey,
        scope: &Scope,
        not_before: Option<Timestamp>,
        told: Option<Cause>,
    ) {
        let waiting = self.waiting_for_instance.entry(scope.clone()).or_default();
        waiting.keys.insert(key.clone());
        waiting.not_before = waiting.not_before.max(not_before);
        waiting.told = told.or(waiting.told);
        self.fails(scope);
    }

    /// Another request of the object failed, and it is due again. While its instance cannot be listed it does
    /// not ask by itself: a hundred deletions would be a hundred probes.
    pub(super) fn doubts(&mut self, key: &ObjectKey) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let Some(scope) = entry.seen.scope.clone() else {
            return;
        };
        let known = self.waiting_for_instance.get(&scope);
        let fails = known.is_some_and(|waiting| waiting.fails);
        if !fails && entry.failures < DOUBTS_AFTER {
            return;
        }
        entry.needs = Some(scope.clone());
        let waiting = self.waiting_for_instance.entry(scope.clone()).or_default();
        waiting.doubtful.insert(key.clone());
        if fails {
            self.fails(&scope);
        }
    }

    /// The LIST of an instance fails: who doubted waits for it like the others.
    fn fails(&mut self, scope: &Scope) {
        let Some(waiting) = self.waiting_for_instance.get_mut(scope) else {
            return;
        };
        waiting.fails = true;
        let doubtful = std::mem::take(&mut waiting.doubtful);
        waiting.keys.extend(doubtful.iter().cloned());
        for key in doubtful {
            if let Some(entry) = self.entries.get_mut(&key)
                && let Some(due) = entry.due.take()
            {
                self.due.remove(&(due, key));
            }
        }
    }

    /// The instance was listed: all that wait for it are decided again, but for who doubted without reason and is
    /// due later.
    pub(in super::super) fn instance_answers(&mut self, scope: &Scope, now: Timestamp) {
        let waiters = self.waiting_for_instance.remove(scope).unwrap_or_default();
        for key in waiters.doubtful {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.needs = None;
            }
        }
        for key in waiters.keys {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.needs = None;
            }
            self.wake(&key, Lane::Background, now);
        }
    }

    /// The LIST of an instance failed: if that lasts and is another trouble than the one that those
    /// who wait were told, they are decided again, to say so.
    pub(in super::super) fn instance_fails(&mut self, scope: &Scope, cause: Cause, now: Timestamp) {
        self.fails(scope);
        let waiters = self.waiting_for_instance.get(scope);
        let is_news = waiters.is_some_and(|waiters| waiters.told != Some(cause));
        if is_news && cause.lasts() {
            self.instance_answers(scope, now);
        }
    }
}
