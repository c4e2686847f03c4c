//! Removing a registry, or letting it go with or without our tag (rule 8).

use jiff::Timestamp;

use super::{ask, finish, kube_verdict, later, only_observes, orphans};
use crate::answer::KubeFailure;
use crate::api::reason::Reason;
use crate::desired::RegistryId;
use crate::effect::{
    Deleting, Effect, ListAnswer, Listing, Next, Purpose, ReadingAccount, Removal,
    RemovingFinalizer, ShowAnswer, Showing, Untagging,
};
use crate::failure::{Cause, Class, Failure};
use crate::observed::{Standing, standing};
use crate::pass::{Keep, Removed, Work};
use crate::summary::{Hindrance, Operation, Summary, Verdict};

/// Reasons that show that the deletion was under way when it was last looked at.
const DELETION_REASONS: [Reason; 3] = [
    Reason::Deleting,
    Reason::DeletionBlocked,
    Reason::DeletionProtected,
];

pub(super) fn begin(work: Work) -> Next {
    let object = &work.object;
    if !object.has_finalizer() {
        // Not ours to hold: others' finalizers are the only thing left on it.
        return Next::Finished(Box::new(Summary::gone(work.pass.memory.clone())));
    }
    if object.suspended {
        return finish(&work, Verdict::DeletionSuspended);
    }
    if object.protected {
        return finish(&work, Verdict::DeletionProtected);
    }
    if only_observes(object) {
        return release(work, Removed::LeftAlone);
    }
    if orphans(object) {
        // The way out of a deletion that cannot succeed, because instance, key or account are
        // gone: no request to SWR at all.
        let was_under_way = object.ready_reason().is_some_and(|reason| {
            DELETION_REASONS
                .iter()
                .any(|known| known.as_str() == reason)
        });
        let desired = object.desired.clone();
        return match desired {
            // The tag would stay, and nobody could adopt the registry any more.
            Ok(_) if !was_under_way && work.pass.read_only => {
                finish(&work, Verdict::DeletionReadOnly)
            }
            Ok(desired) if !was_under_way => ask(Effect::ReadAccount {
                then: ReadingAccount {
                    work,
                    purpose: Purpose::Orphan(desired),
                },
            }),
            Ok(_) | Err(_) => release(work, Removed::LeftAlone),
        };
    }
    if work.pass.read_only {
        return finish(&work, Verdict::DeletionReadOnly);
    }
    ask(Effect::ReadAccount {
        then: ReadingAccount {
            work,
            purpose: Purpose::Remove,
        },
    })
}

/// Rule 8 begins with the known id, because a LIST may lag behind the creation.
pub(super) fn look(work: Work, now: Timestamp) -> Next {
    let known = work.object.known_id();
    let removal = Removal {
        work,
        done: Vec::new(),
        leaves: false,
    };
    match known {
        Some(id) => show(removal, id),
        None => list(removal, now),
    }
}

fn show(removal: Removal, id: RegistryId) -> Next {
    ask(Effect::Show {
        id,
        then: Showing::BeforeDelete(removal, id),
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
    now: Timestamp,
) -> Next {
    removal.done.push(id);
    let work = &removal.work;
    match answer {
        Ok(record) => match standing(record, &work.pass.owner) {
            Standing::Ours(target) => ask(Effect::Delete {
                then: Deleting {
                    target: id,
                    removal,
                },
                target,
            }),
            Standing::Untagged(_) | Standing::TaggedByOther(_) => {
                let blocked = [Reason::TagNotKept, Reason::DeletionBlocked];
                let reason = work.object.ready_reason();
                let unseen = work.object.status.observed.is_none();
                if unseen || blocked.iter().any(|known| Some(known.as_str()) == reason) {
                    // We made it, but cannot prove it: a person must remove it or let it go.
                    finish(work, Verdict::CannotDelete(Hindrance::TagNotKept))
                } else {
                    // Not ours any more, and so not ours to delete.
                    removal.leaves = true;
                    list(removal, now)
                }
            }
        },
        Err(failure) if failure.class == Class::NotFound => {
            // Rule 7: right after the creation a 404 proves nothing.
            let believed_at = work
                .object
                .status
                .created_at
                .map(|at| later(at, work.pass.windows.settle_secs));
            match believed_at.filter(|at| now < *at) {
                Some(until) => finish(work, Verdict::DeletionSettling { until }),
                None => list(removal, now),
            }
        }
        Err(failure) => finish(work, cannot(Operation::Show, failure)),
    }
}

impl Deleting {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), Failure>, now: Timestamp) -> Next {
        let Deleting { removal, .. } = self;
        match answer {
            Ok(()) => list(removal, now),
            Err(failure) if failure.class == Class::NotFound => list(removal, now),
            // An unknown outcome is read before it is repeated: the next pass begins with SHOW.
            Err(failure) => finish(&removal.work, cannot(Operation::Delete, failure)),
        }
    }
}

fn cannot(operation: Operation, failure: Failure) -> Verdict {
    Verdict::CannotDelete(Hindrance::Swr { operation, failure })
}

pub(super) fn listed(removal: Removal, answer: ListAnswer, now: Timestamp) -> Next {
    let work = &removal.work;
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
    let left = inventory.all_of(&work.pass.owner);
    if let Some(other) = left
        .iter()
        .find(|owned| !removal.done.contains(&owned.id()))
    {
        // One whose id was lost before it was noted.
        return show(removal, other.id());
    }
    if !left.is_empty() {
        // The LIST still shows what was deleted; the next pass asks for the registry itself.
        return finish(
            work,
            Verdict::DeletionSettling {
                until: later(now, work.pass.windows.settle_secs),
            },
        );
    }
    if let Some(intent) = &work.object.status.create_intent {
        let settled_at = later(intent.started_at, work.pass.windows.settle_secs);
        // The LIST must have begun after the settle time, so the object was read after it.
        if work.read_at < settled_at {
            return finish(work, Verdict::DeletionSettling { until: settled_at });
        }
    }
    let removed = match (removal.leaves, removal.done.is_empty()) {
        (true, _) => Removed::LeftAlone,
        (false, true) => Removed::Nothing,
        (false, false) => Removed::Deleted,
    };
    release(removal.work, removed)
}

/// Takes the tag off, so that the registry belongs to nobody we know.
pub(super) fn untag(keep: Keep) -> Next {
    match keep.work.object.known_id() {
        Some(id) => ask(Effect::Show {
            id,
            then: Showing::BeforeUntag(keep),
        }),
        None => release(keep.work, Removed::LeftAlone),
    }
}

pub(super) fn shown_before_untag(keep: Keep, answer: ShowAnswer) -> Next {
    match answer.map(|record| standing(record, &keep.work.pass.owner)) {
        Ok(Standing::Ours(target)) => ask(Effect::Untag {
            target,
            then: Untagging { keep },
        }),
        Ok(Standing::Untagged(_) | Standing::TaggedByOther(_)) | Err(_) => {
            release(keep.work, Removed::LeftAlone)
        }
    }
}

impl Untagging {
    /// Takes the outcome. The object goes whatever it is: the registry stays in any case.
    pub fn resume(self, answer: Result<(), Failure>, _now: Timestamp) -> Next {
        let removed = match answer {
            Ok(()) => Removed::Untagged,
            Err(_) => Removed::LeftAlone,
        };
        release(self.keep.work, removed)
    }
}

/// The last thing: nothing of ours is left, or what is left shall stay.
pub(super) fn release(work: Work, removed: Removed) -> Next {
    ask(Effect::RemoveFinalizer {
        then: RemovingFinalizer { work, removed },
    })
}

impl RemovingFinalizer {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), KubeFailure>, _now: Timestamp) -> Next {
        match answer {
            Ok(()) | Err(KubeFailure::NotFound) => {
                Next::Finished(Box::new(Summary::released(&self.work, self.removed)))
            }
            Err(failure) => finish(&self.work, kube_verdict(failure)),
        }
    }
}
