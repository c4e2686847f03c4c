//! What the watch shows of the objects, and what that asks for.

use jiff::{SignedDuration, Timestamp};
use swr_operator_api::REQUESTED_AT;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_core::object::{Object, ObjectKey, Version};
use swr_operator_core::reconcile::Watched;
use swr_operator_core::time;
use swr_operator_kube::Seen;

use super::super::lanes::Lane;
use super::remembered::Remembered;
use super::{Entry, Queue, State};

/// Changes of one object that are reconciled without delay within [`CHANGES_SECS`]; further ones
/// wait until that time has passed since the last reconcile. A hundred edits in ten seconds then cost
/// three updates.
const CHANGES_AT_ONCE: usize = 2;
const CHANGES_SECS: i64 = 10;
/// Objects that wait for their turn take so much at most, some 15,000 of usual size; further ones are read
/// again, and each 128 of those need a LIST of their own. Half as much cost a start of 10,000 another 2,142
/// GETs, 24 LISTs of 100 pages, and half a minute.
pub(super) const WATCHED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Versions of one kind are numbers that grow, as far as they are numbers.
fn is_earlier(new: &Version, old: &Version) -> bool {
    let number = |version: &Version| version.0.parse::<u64>();
    matches!((number(new), number(old)), (Ok(new), Ok(old)) if new < old)
}

/// An object as the watch showed it. As JSON, because at a start ten thousand wait at once: one block of memory each,
/// instead of thirty small ones between those that stay.
#[derive(Debug)]
pub(super) struct WaitingObject {
    json: Box<[u8]>,
    at: Timestamp,
}

impl WaitingObject {
    /// `None` if it does not fit our CRD; then it is read.
    pub(super) fn into_watched(self) -> Option<Box<Watched>> {
        let cr = serde_json::from_slice(&self.json).ok()?;
        Some(Box::new(Watched {
            object: Object::from_cr(&cr)?,
            at: self.at,
        }))
    }
}

impl Queue {
    /// The watch shows an object.
    pub(in super::super) fn applied(&mut self, mut seen: Seen, now: Timestamp) {
        let key = seen.key.clone();
        let object = seen.object.take();
        self.may_poll_otherwise = true;
        match self.entries.get_mut(&key) {
            Some(entry) if entry.seen.uid == seen.uid => {
                entry.listed = true;
                let old = &entry.seen;
                // Our own writes change neither, so they wake nobody up (E12).
                let asks = seen.generation != old.generation
                    || seen.deleting != old.deleting
                    || seen.requested_at != old.requested_at
                    || (old.has_finalizer && !seen.has_finalizer && !seen.deleting);
                let begins_to_go = seen.deleting && !old.deleting;
                let was_old = entry.upon.take_if(|upon| *upon != seen.version).is_some();
                // The status of an earlier time, after etcd was restored: SWR alone would not show that it is wrong.
                let went_back = is_earlier(&seen.version, &old.version);
                entry.seen = seen;
                if asks {
                    entry.failures = 0;
                    self.changed(&key, Lane::Change, begins_to_go, now);
                } else if was_old {
                    self.changed(&key, Lane::Background, false, now);
                } else if went_back {
                    self.wake(&key, Lane::Background, now);
                }
                self.show(&key, object, now);
            }
            Some(_) | None => {
                self.forget(&key);
                self.entries.insert(
                    key.clone(),
                    Box::new(Entry {
                        seen,
                        state: State::Idle,
                        failures: 0,
                        waits: 0,
                        due: None,
                        memory: Remembered::default(),
                        baseline: None,
                        waiting_for: None,
                        needs: None,
                        listed: true,
                        changed_at: vec![now],
                        held_until: None,
                        may_resend: false,
                        upon: None,
                        watched: None,
                    }),
                );
                self.wake(&key, Lane::Change, now);
                self.show(&key, object, now);
            }
        }
    }

    /// The mass-deletion guard wakes this object later: its deletion waits for others to come.
    pub(in super::super) fn hold(&mut self, key: &ObjectKey) {
        self.take_watched(key);
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        match entry.state {
            State::Idle => {}
            // The key that stays behind in its lane is passed over.
            State::Queued { .. } => {
                entry.state = State::Idle;
                self.waiting.depth -= 1;
            }
            State::Running { .. } => entry.state = State::Running { again: None },
        }
    }

    /// Keeps what the watch showed for the reconcile that waits for its turn. While a reconcile is under way it
    /// is not kept, because that may write; nor where nobody waits.
    fn show(&mut self, key: &ObjectKey, cr: Option<Box<ReplicationRegistry>>, now: Timestamp) {
        self.take_watched(key);
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let waits = matches!(entry.state, State::Queued { .. });
        let Some(mut cr) = cr.filter(|_| waits) else {
            return;
        };
        // Others keep a quarter of a megabyte in these, and no reconcile reads it.
        cr.metadata.managed_fields = None;
        if let Some(annotations) = &mut cr.metadata.annotations {
            annotations.retain(|name, _| REQUESTED_AT.contains(&name.as_str()));
        }
        let Ok(json) = serde_json::to_vec(&*cr) else {
            return;
        };
        if self.watched_bytes.saturating_add(json.len()) <= WATCHED_BYTES_MAX {
            self.watched_bytes += json.len();
            entry.watched = Some(WaitingObject {
                json: json.into(),
                at: now,
            });
        }
    }

    pub(super) fn take_watched(&mut self, key: &ObjectKey) -> Option<WaitingObject> {
        let watched = self.entries.get_mut(key)?.watched.take()?;
        self.watched_bytes = self.watched_bytes.saturating_sub(watched.json.len());
        Some(watched)
    }

    /// Somebody changed an object: it is reconciled now, or when the window of changes ends.
    fn changed(&mut self, key: &ObjectKey, lane: Lane, without_delay: bool, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let window = SignedDuration::from_secs(CHANGES_SECS);
        entry
            .changed_at
            .retain(|at| time::after_span(*at, window) > now);
        let is_storm = entry.changed_at.len() >= CHANGES_AT_ONCE && !without_delay;
        let newest = entry.changed_at.last().filter(|_| is_storm).copied();
        let Some(newest) = newest else {
            entry.changed_at.push(now);
            self.wake(key, lane, now);
            return;
        };
        let at = entry.held_until.unwrap_or(time::after_span(newest, window));
        if entry.held_until.is_none() {
            entry.held_until = Some(at);
            entry.changed_at.push(at);
        }
        if entry.state == State::Idle {
            let at = entry.due.map_or(at, |due| due.min(at));
            self.set_due(key, at);
        }
    }

    /// The watch shows that an object is gone.
    pub(in super::super) fn deleted(&mut self, key: &ObjectKey, uid: &str) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.seen.uid == uid)
        {
            self.forget(key);
        }
    }

    /// A complete list of a namespace (of all, if `None`) begins.
    pub(in super::super) fn listing(&mut self, namespace: Option<&str>) {
        for (key, entry) in &mut self.entries {
            if namespace.is_none_or(|namespace| *key.namespace == *namespace) {
                entry.listed = false;
            }
        }
    }

    /// The list is complete: what it did not show is gone.
    pub(in super::super) fn listed(&mut self, namespace: Option<&str>) {
        let gone: Vec<ObjectKey> = self
            .entries
            .iter()
            .filter(|(key, entry)| {
                !entry.listed && namespace.is_none_or(|namespace| *key.namespace == *namespace)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.forget(&key);
        }
    }
}
