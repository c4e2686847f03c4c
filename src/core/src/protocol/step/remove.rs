//! Removing a registry, or letting it go with or without our tag (rule 8).

use jiff::Timestamp;

use super::{ask, finish, gap, kube_verdict, settled, show};
use crate::answer::KubeFailure;
use crate::desired::RegistryId;
use crate::diff::tag_present;
use crate::effect::{
    AfterId, Deleting, Effect, Goal, ListAnswer, Listing, Next, ReadingAccount, RecordingId,
    RegistryWrite, Removal, RemovingFinalizer, ShowAnswer, Showing, Untagging,
};
use crate::failure::{Cause, Class, Failure};
use crate::observed::{Record, Standing, standing};
use crate::plan::Why;
use crate::reconcile::{Clearance, Keep, Removed, Work};
use crate::status::with_found;
use crate::summary::{Blocker, Operation, Summary, Verdict};
use crate::time::after;

pub(super) fn begin(work: Work) -> Next {
    let object = &work.object;
    if !object.has_finalizer() {
        // Not ours to hold: others' finalizers are the only thing left on it.
        return Next::Finished(Box::new(Summary::gone(work.reconcile.memory.clone())));
    }
    if object.suspended {
        return finish(&work, Verdict::DeletionSuspended);
    }
    if object.protected {
        return finish(&work, Verdict::DeletionProtected);
    }
    if object.only_observes() {
        return release(work, Removed::LeftAlone, Vec::new());
    }
    if object.orphans() {
        // The way out of a deletion that cannot succeed, because instance, key or account are
        // gone: no request to SWR at all.
        let is_way_out = object.status.deletion_attempted_at.is_some();
        let desired = object.desired.clone();
        return match desired {
            // The tag would stay, and nobody could adopt the registry any more.
            Ok(_) if !is_way_out && work.reconcile.read_only => {
                finish(&work, Verdict::DeletionReadOnly)
            }
            Ok(desired) if !is_way_out => ask(Effect::ReadAccount {
                then: ReadingAccount {
                    work,
                    goal: Goal::Orphan(desired),
                },
            }),
            Ok(_) | Err(_) => release(work, Removed::LeftAlone, Vec::new()),
        };
    }
    if work.reconcile.read_only {
        return finish(&work, Verdict::DeletionReadOnly);
    }
    if object.deletion().is_some()
        && let Err(verdict) = cleared(&work)
    {
        return finish(&work, verdict);
    }
    ask(Effect::ReadAccount {
        then: ReadingAccount {
            work,
            goal: Goal::Remove,
        },
    })
}

/// Until when the mass-deletion guard lets a DELETE be sent, or how it holds the deletion.
fn cleared(work: &Work) -> Result<Option<Timestamp>, Verdict> {
    match work.reconcile.clearance {
        Clearance::Given { until } => Ok(until),
        Clearance::Paused => Err(Verdict::DeletionPaused),
        Clearance::Awaited => Err(Verdict::DeletionAwaited),
    }
}

/// Rule 8 begins with the known id, because a LIST may lag behind the creation.
pub(super) fn observe(work: Work, now: Timestamp) -> Next {
    let known = work.object.known_id();
    let removal = Removal {
        work,
        done: None,
        leaves: false,
    };
    match known {
        Some(id) => show(id, Showing::BeforeDelete(removal, id)),
        None => list(removal, now),
    }
}

fn record_id(id: RegistryId, shown: Option<&Record>, then: AfterId) -> Next {
    let then = RecordingId { id, then };
    let status = with_found(&then.work().object, id, shown);
    ask(Effect::RecordId {
        status: Box::new(status),
        then,
    })
}

fn list(removal: Removal, now: Timestamp) -> Next {
    ask(Effect::List {
        started_after: now,
        then: Listing::Removing(removal),
    })
}

pub(super) fn shown(
    mut removal: Removal,
    id: RegistryId,
    answer: ShowAnswer,
    send_by: Timestamp,
    now: Timestamp,
) -> Next {
    removal.done = Some(id);
    let work = &removal.work;
    match answer {
        Ok(record) => match standing(record, &work.reconcile.owner) {
            // Asked here, too: a registry whose id was lost is found only by now.
            Standing::Ours(target) => match cleared(work) {
                Ok(until) => ask(Effect::Delete {
                    then: Deleting { removal },
                    target,
                    not_after: until.map_or(send_by, |until| until.min(send_by)),
                }),
                Err(verdict) => finish(work, verdict),
            },
            Standing::Untagged(_) | Standing::Predecessor(_) | Standing::TaggedByOther(_) => {
                let status = &work.object.status;
                if status.observed.is_none() || status.tag_not_kept {
                    // We made it, but cannot prove it: a person must remove it or let it go.
                    finish(work, Verdict::CannotDelete(Blocker::TagNotKept))
                } else if let Some(until) = unbelieved(work, id, now) {
                    // It may be shown as it was before it was adopted.
                    finish(work, Verdict::DeletionSettling { until })
                } else {
                    // Not ours any more, and so not ours to delete.
                    removal.leaves = true;
                    list(removal, now)
                }
            }
        },
        Err(failure) if failure.class == Class::NotFound => match unbelieved(work, id, now) {
            Some(until) => finish(work, Verdict::DeletionSettling { until }),
            None => list(removal, now),
        },
        Err(failure) => finish(work, cannot(Operation::Show, failure)),
    }
}

/// Rule 7: until when a 404 proves nothing, because the registry may not be visible yet; nor does another tag, because ours
/// may not be.
fn unbelieved(work: &Work, id: RegistryId, now: Timestamp) -> Option<Timestamp> {
    let known = work.reconcile.memory.id.filter(|(known, _)| *known == id);
    let believed_at = known.map(|(_, since)| after(since, work.reconcile.windows.settle_secs));
    believed_at.filter(|at| now < *at)
}

impl Deleting {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), Failure>, now: Timestamp) -> Next {
        let Deleting { removal } = self;
        match answer {
            Ok(()) => list(removal, now),
            Err(failure) if failure.class == Class::NotFound => list(removal, now),
            // An unknown outcome is read before it is repeated: the next reconcile begins with SHOW.
            Err(failure) => finish(&removal.work, cannot(Operation::Delete, failure)),
        }
    }
}

fn cannot(operation: Operation, failure: Failure) -> Verdict {
    Verdict::CannotDelete(Blocker::Swr { operation, failure })
}

pub(super) fn listed(removal: Removal, answer: ListAnswer, now: Timestamp) -> Next {
    let Removal { work, done, leaves } = &removal;
    let inventory = match answer {
        Ok(Some(inventory)) => inventory,
        Ok(None) => {
            let failure = Failure::new(Class::Transient, Cause::TimedOut);
            return finish(work, cannot(Operation::List, failure));
        }
        Err(failure) => {
            return finish(work, cannot(Operation::List, failure));
        }
    };
    let carriers = inventory.carriers(&work.reconcile.owner);
    if done.is_some_and(|id| !leaves && inventory.get(id).is_some()) {
        // The LIST still shows what was deleted; the next reconcile asks for the registry itself.
        return finish(
            work,
            Verdict::DeletionSettling {
                until: after(now, work.reconcile.windows.settle_secs),
            },
        );
    }
    let others: Vec<RegistryId> = carriers
        .into_iter()
        .filter(|id| Some(*id) != *done)
        .collect();
    let clones = match (others.as_slice(), done) {
        // One whose id was lost before it was noted. Once it is deleted, only its id tells that what
        // still carries the tag is a copy.
        ([only], None) => {
            let then = AfterId::Delete(removal.clone());
            return record_id(*only, inventory.get(*only), then);
        }
        ([], None) => Vec::new(),
        // Nothing tells which of them we made.
        (_, None) => {
            let blocker = Blocker::DuplicateTag(others);
            return finish(work, Verdict::CannotDelete(blocker));
        }
        // Copies of the one that was dealt with are somebody else's.
        (_, Some(_)) => others,
    };
    if !inventory.is_whole() {
        return finish(work, cannot(Operation::List, gap()));
    }
    if let Some(settled_at) = settled(work) {
        // The LIST must have begun after the settle time, so the object was read after it.
        if work.read_at < settled_at {
            return finish(work, Verdict::DeletionSettling { until: settled_at });
        }
    }
    let removed = match (leaves, done) {
        (true, _) => Removed::LeftAlone,
        (false, None) => Removed::Nothing,
        (false, Some(_)) => Removed::Deleted,
    };
    release(removal.work, removed, clones)
}

/// Takes the tag off, so that the registry belongs to nobody we know.
pub(super) fn untag(keep: Keep) -> Next {
    let work = &keep.work;
    match (work.object.known_id(), settled(work)) {
        (Some(id), _) => show(id, Showing::BeforeUntag(keep)),
        // What was asked for may still be made, and would keep the tag.
        (None, Some(settled_at)) if work.read_at < settled_at => {
            finish(work, Verdict::DeletionSettling { until: settled_at })
        }
        (None, Some(_)) => ask(Effect::List {
            started_after: work.read_at,
            then: Listing::Orphaning(keep),
        }),
        (None, None) => release(keep.work, Removed::Nothing, Vec::new()),
    }
}

pub(super) fn listed_for_untag(keep: Keep, answer: ListAnswer, now: Timestamp) -> Next {
    let operation = Operation::List;
    let inventory = match answer {
        Ok(Some(inventory)) => inventory,
        Ok(None) => {
            let failure = Failure::new(Class::Transient, Cause::TimedOut);
            return untag_failed(keep.work, operation, failure, now);
        }
        Err(failure) => return untag_failed(keep.work, operation, failure, now),
    };
    match inventory.carriers(&keep.work.reconcile.owner).as_slice() {
        [only] => record_id(*only, inventory.get(*only), AfterId::Untag(keep)),
        [] if inventory.is_whole() => orphan(keep.work, Removed::Nothing, now),
        _ => orphan(keep.work, Removed::LeftAlone, now),
    }
}

pub(super) fn shown_before_untag(
    keep: Keep,
    answer: ShowAnswer,
    send_by: Timestamp,
    now: Timestamp,
) -> Next {
    let work = keep.work.clone();
    match answer.map(|record| standing(record, &work.reconcile.owner)) {
        // Each PUT without an answer is waited for, so there must be a last one.
        Ok(Standing::Ours(_)) if has_tried_to_the_end(&work) => {
            orphan(work, Removed::StillTagged, now)
        }
        Ok(Standing::Ours(target)) => ask(Effect::Untag {
            target,
            write: RegistryWrite {
                registry: keep.desired.registry.clone(),
                why: Why::ObjectOrphaned,
                changes: tag_present(&keep.desired.registry),
            },
            not_after: send_by,
            then: Untagging { keep },
        }),
        Ok(Standing::Untagged(_)) => orphan(work, Removed::Untagged, now),
        Ok(Standing::Predecessor(_) | Standing::TaggedByOther(_)) => {
            orphan(work, Removed::LeftAlone, now)
        }
        Err(failure) if failure.class == Class::NotFound => {
            let known = work.object.known_id();
            match known.and_then(|id| unbelieved(&work, id, now)) {
                Some(until) => finish(&work, Verdict::DeletionSettling { until }),
                None => orphan(work, Removed::LeftAlone, now),
            }
        }
        Err(failure) => untag_failed(work, Operation::Show, failure, now),
    }
}

impl Untagging {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), Failure>, now: Timestamp) -> Next {
        let mut work = self.keep.work;
        match answer {
            Ok(()) => orphan(work, Removed::Untagged, now),
            Err(failure) => {
                if !failure.class.changed_nothing() {
                    work.reconcile.memory.put_unanswered_at = Some(now);
                }
                untag_failed(work, Operation::Update, failure, now)
            }
        }
    }
}

fn untag_failed(work: Work, operation: Operation, failure: Failure, now: Timestamp) -> Next {
    let passes = match failure.class {
        Class::Transient | Class::Throttled { .. } | Class::Unknown => true,
        Class::Denied => matches!(failure.cause, Cause::AuthFailed | Cause::ClockSkew { .. }),
        Class::NotFound | Class::Conflict | Class::Invalid => false,
    };
    if passes {
        orphan_later(work, Blocker::Swr { operation, failure }, now)
    } else {
        orphan(work, Removed::StillTagged, now)
    }
}

/// Whether a request to take the tag off was given up when the patience was over already.
fn has_tried_to_the_end(work: &Work) -> bool {
    let memory = &work.reconcile.memory;
    let sent = memory.orphaning_since.zip(memory.put_unanswered_at);
    sent.is_some_and(|(since, at)| at >= after(since, work.reconcile.windows.orphan_secs))
}

/// With its tag on nobody can adopt the registry, so what passes is waited for; but a namespace
/// must not hang for ever on a registry that stays in any case.
pub(super) fn orphan_later(mut work: Work, blocker: Blocker, now: Timestamp) -> Next {
    let since = *work.reconcile.memory.orphaning_since.get_or_insert(now);
    let until = after(since, work.reconcile.windows.orphan_secs);
    if now < until {
        finish(&work, Verdict::CannotUntag { blocker, until })
    } else {
        orphan(work, Removed::StillTagged, now)
    }
}

/// The object goes and its registry stays, once no earlier PUT can land any more: with our tag or
/// without any, it would strip the tag of the next owner. That is one of this process whose answer
/// is lost, and, if the object had a history when this process came, one of another.
pub(super) fn orphan(work: Work, removed: Removed, now: Timestamp) -> Next {
    let memory = &work.reconcile.memory;
    let of_another = memory.met.filter(|met| met.had_history).map(|met| met.at);
    let newest = memory.put_unanswered_at.max(of_another);
    let settle_secs = work.reconcile.windows.settle_secs;
    let until = newest.map(|at| after(at, settle_secs));
    let status = &work.object.status;
    // With neither there was nothing to take the tag off.
    let may_exist = status.registry_id.is_some() || status.create_intent.is_some();
    match until.filter(|until| now < *until && may_exist) {
        Some(until) => finish(&work, Verdict::DeletionSettling { until }),
        None => release(work, removed, Vec::new()),
    }
}

/// The last thing: nothing of ours is left, or what is left shall stay.
pub(super) fn release(work: Work, removed: Removed, clones: Vec<RegistryId>) -> Next {
    ask(Effect::RemoveFinalizer {
        then: RemovingFinalizer {
            work,
            removed,
            clones,
        },
    })
}

impl RemovingFinalizer {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), KubeFailure>, _now: Timestamp) -> Next {
        match answer {
            Ok(()) | Err(KubeFailure::NotFound) => Next::Finished(Box::new(Summary::released(
                &self.work,
                self.removed,
                self.clones,
            ))),
            Err(failure) => finish(&self.work, kube_verdict(failure)),
        }
    }
}
