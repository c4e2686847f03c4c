//! What others ask of the queue: which objects there are, and what they wait for.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use swr_operator_core::answer::SecretProblem;
use swr_operator_core::desired::{Scope, SecretRef};
use swr_operator_core::object::ObjectKey;
use swr_operator_core::summary::Baseline;
use swr_operator_kube::Seen;

use super::{Queue, State};
use crate::metrics::Waiting;

/// A Secret that an object waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct WaitingFor {
    /// Which one.
    pub(in super::super) secret: SecretRef,
    /// What was wrong with it.
    pub(in super::super) problem: SecretProblem,
}

/// An object, and the baseline that its last reconcile left.
pub(in super::super) struct RestingObject<'a> {
    pub(in super::super) key: &'a ObjectKey,
    pub(in super::super) uid: &'a str,
    pub(in super::super) baseline: &'a Baseline,
    /// When that reconcile ended.
    pub(in super::super) at: Timestamp,
}

impl Queue {
    /// The instances that objects wait for, and before when SWR asks not to be asked.
    pub(in super::super) fn instances_waited_for(
        &self,
    ) -> impl Iterator<Item = (&Scope, Option<Timestamp>)> {
        let waiting = self.waiting_for_instance.iter();
        waiting.map(|(scope, waiters)| (scope, waiters.not_before))
    }

    /// Whether an object waits for this instance.
    pub(in super::super) fn is_waited_for(&self, scope: &Scope) -> bool {
        self.waiting_for_instance.contains_key(scope)
    }

    /// How many objects of an instance may have a registry there.
    pub(in super::super) fn holders_of(&self, scope: &Scope) -> usize {
        let seen = self.entries.values().map(|entry| &entry.seen);
        seen.filter(|seen| seen.has_finalizer && seen.scope.as_ref() == Some(scope))
            .count()
    }

    /// Every object that is being deleted, as the watch showed it.
    pub(in super::super) fn deleting(&self) -> Vec<Seen> {
        let seen = self.entries.values().map(|entry| &entry.seen);
        seen.filter(|seen| seen.deleting).cloned().collect()
    }

    /// Whether this very object is there.
    pub(in super::super) fn has(&self, key: &ObjectKey, uid: &str) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.seen.uid == uid)
    }

    /// How many objects name an account.
    pub(in super::super) fn users_of(&self, account: &str) -> usize {
        let scopes = self
            .entries
            .values()
            .filter_map(|entry| entry.seen.scope.as_ref());
        scopes.filter(|scope| *scope.account == *account).count()
    }

    /// The objects of a scope that have a baseline.
    pub(in super::super) fn resting<'a>(
        &'a self,
        scope: &'a Scope,
    ) -> impl Iterator<Item = RestingObject<'a>> {
        self.resting_where(move |its| its == Some(scope))
    }

    /// Those of all scopes.
    pub(in super::super) fn all_resting(&self) -> impl Iterator<Item = RestingObject<'_>> {
        self.resting_where(|_| true)
    }

    fn resting_where(
        &self,
        fits: impl Fn(Option<&Scope>) -> bool,
    ) -> impl Iterator<Item = RestingObject<'_>> {
        self.entries.iter().filter_map(move |(key, entry)| {
            let (baseline, at) = entry.baseline.as_ref()?;
            fits(entry.seen.scope.as_ref()).then_some(RestingObject {
                key,
                uid: entry.seen.uid.as_str(),
                baseline,
                at: *at,
            })
        })
    }

    /// The objects of a namespace that are reconciled just now.
    pub(in super::super) fn running_in(&self, namespace: &str) -> Vec<ObjectKey> {
        let entries = self.entries.iter();
        let running = entries.filter(|(key, entry)| {
            *key.namespace == *namespace && matches!(entry.state, State::Running { .. })
        });
        running.map(|(key, _)| key.clone()).collect()
    }

    /// The instances to poll, each with the shortest interval that one of its objects asks for; `None`
    /// if no object has changed since this was asked last: at rest nothing walks them all.
    pub(in super::super) fn changed_polls(
        &mut self,
        default_secs: i64,
    ) -> Option<HashMap<Scope, i64>> {
        if !std::mem::take(&mut self.may_poll_otherwise) {
            return None;
        }
        let mut polls: HashMap<Scope, i64> = HashMap::new();
        for entry in self
            .entries
            .values()
            .filter(|entry| entry.baseline.is_some())
        {
            let Some(scope) = &entry.seen.scope else {
                continue;
            };
            let secs = entry.seen.poll_secs.unwrap_or(default_secs);
            match polls.get_mut(scope) {
                Some(shortest) => *shortest = secs.min(*shortest),
                None => drop(polls.insert(scope.clone(), secs)),
            }
        }
        Some(polls)
    }

    /// Whether an object waits for a Secret.
    pub(in super::super) fn waits_for_secrets(&self) -> bool {
        self.n_waiting_for_secrets > 0
    }

    /// The objects that wait for a Secret.
    pub(in super::super) fn waiting(
        &self,
    ) -> impl Iterator<Item = (&ObjectKey, &str, &WaitingFor)> {
        self.entries.iter().filter_map(|(key, entry)| {
            let waiting = entry.waiting_for.as_deref()?;
            Some((key, entry.seen.uid.as_str(), waiting))
        })
    }

    /// Account and instance of an object.
    pub(in super::super) fn scope_of(&self, key: &ObjectKey) -> Option<&Scope> {
        self.entries.get(key)?.seen.scope.as_ref()
    }

    /// Whether there is such an object.
    pub(in super::super) fn contains(&self, key: &ObjectKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Every object with its uid.
    pub(in super::super) fn all(&self) -> impl Iterator<Item = (&ObjectKey, &str)> {
        self.entries
            .iter()
            .map(|(key, entry)| (key, entry.seen.uid.as_str()))
    }

    /// Account and instance of every object.
    pub(in super::super) fn all_scopes(&self) -> HashSet<(&str, &str)> {
        let scopes = self
            .entries
            .values()
            .filter_map(|entry| entry.seen.scope.as_ref());
        scopes
            .map(|scope| (&*scope.account, scope.instance.as_str()))
            .collect()
    }

    /// What waits for its turn.
    pub(in super::super) fn waiting_for_turn(&self) -> Waiting {
        self.waiting
    }

    /// How many objects there are.
    pub(in super::super) fn len(&self) -> usize {
        self.entries.len()
    }
}
