//! plan -> the next effect that is safe whatever crashed before; outcome -> the next state. The
//! nine rules of the protocol live here and nowhere else (ARCHITECTURE.md, "The nine rules").
//! Awaits nothing, reads no clock and no secret: time comes in with each answer.

mod account;
mod adopt;
mod equal;
mod intent;
mod keep;
mod remove;
mod update;
mod written;

pub(super) use written::sent_facts;

use jiff::Timestamp;

use crate::answer::{KubeFailure, SecretProblem};
use crate::desired::RegistryId;
use crate::effect::{
    AddingFinalizer, AfterFinalizer, AfterId, ConfirmingObject, Effect, Goal, ListAnswer, Listing,
    Next, ObjectAnswer, ObjectWritten, ReadingAccount, ReadingObject, ReadingSecret, RecordingId,
    SecretAnswer, ShowAnswer, Showing,
};
use crate::failure::{Cause, Class, Failure};
use crate::object::Object;
use crate::reconcile::{Keep, Reconcile, Removed, Watched, Work};
use crate::status::with_id;
use crate::summary::{Blocker, Operation, Summary, Verdict};
use crate::time::after;

/// Begins a reconcile, with what the watch showed if that is at hand. Rule 1: what is created or adopted
/// by it is preceded by writes that fail if it is not what stands, what is updated by another read.
/// A deletion begins with a quorum GET.
pub fn start(reconcile: Reconcile, watched: Option<Watched>) -> Next {
    let is_it = |watched: &Watched| watched.object.uid == reconcile.uid && !watched.object.deleting;
    match watched.filter(is_it) {
        Some(Watched { object, at }) => begin(reconcile, object, at, None),
        None => ask(Effect::ReadObject {
            then: ReadingObject { reconcile },
        }),
    }
}

fn begin(
    mut reconcile: Reconcile,
    object: Object,
    read_at: Timestamp,
    proven_at: Option<Timestamp>,
) -> Next {
    reconcile.memory.met(&object, read_at);
    let work = Work {
        reconcile,
        object,
        read_at,
        proven_at,
    };
    if work.object.deleting {
        return remove::begin(work);
    }
    if work.object.suspended {
        return finish(&work, Verdict::Suspended);
    }
    match work.object.desired.clone() {
        Err(findings) => finish(&work, Verdict::InvalidSpec(findings)),
        Ok(desired) => ask(Effect::ReadAccount {
            then: ReadingAccount {
                work,
                goal: Goal::Keep(desired),
            },
        }),
    }
}

fn ask(effect: Effect) -> Next {
    Next::Do(Box::new(effect))
}

fn show(id: RegistryId, then: Showing) -> Next {
    ask(Effect::Show { id, then })
}

fn finish(work: &Work, verdict: Verdict) -> Next {
    Next::Finished(Box::new(Summary::new(work, verdict)))
}

/// Rule 5: when the open intent has settled, if there is one. Counted since this process knows it:
/// the time in it is another clock's.
fn settled(work: &Work) -> Option<Timestamp> {
    let known = work.reconcile.memory.intent?;
    Some(after(known.since, work.reconcile.windows.settle_secs))
}

/// A LIST in which a record could not be read proves no absence.
fn gap() -> Failure {
    Failure::new(Class::Transient, Cause::ListHasGaps)
}

/// What a refused or lost write to the object means for the reconcile.
fn kube_verdict(failure: KubeFailure) -> Verdict {
    match failure {
        // The object is another than the one decided upon: decide again.
        KubeFailure::Conflict | KubeFailure::NotFound => Verdict::Stale,
        KubeFailure::Forbidden | KubeFailure::Rejected => Verdict::KubernetesRefuses,
        // The write may have been carried out; the next quorum read tells.
        KubeFailure::Unavailable => Verdict::KubernetesUnavailable,
    }
}

impl ReadingObject {
    /// Takes the object, or `None` if there is none of this name.
    pub fn resume(self, answer: ObjectAnswer, now: Timestamp) -> Next {
        let ReadingObject { reconcile } = self;
        match answer {
            Ok(Some(object)) if object.uid == reconcile.uid => {
                begin(reconcile, object, now, Some(now))
            }
            // Rule 1: a namesake with another uid is not the object that was queued.
            Ok(Some(_) | None) | Err(KubeFailure::NotFound) => {
                Next::Finished(Box::new(Summary::gone(reconcile.memory)))
            }
            Err(failure) => Next::Finished(Box::new(Summary::unread(
                reconcile.memory,
                kube_verdict(failure),
            ))),
        }
    }
}

impl ConfirmingObject {
    /// Takes the object, or `None` if there is none of this name.
    pub fn resume(self, answer: ObjectAnswer, now: Timestamp) -> Next {
        let ConfirmingObject {
            record,
            shown_at,
            mut then,
        } = self;
        let work = then.work_mut();
        match answer {
            Ok(Some(object)) if object.is_as(&work.object) => {
                work.object = object;
                work.proven_at = Some(now);
                then.decide(Ok(record), shown_at, now)
            }
            // Rule 1: it is another than the one decided upon.
            Ok(Some(_) | None) => finish(work, Verdict::Stale),
            Err(failure) => finish(work, kube_verdict(failure)),
        }
    }
}

impl ReadingSecret {
    /// Takes the credential's fingerprints.
    pub fn resume(self, answer: SecretAnswer, now: Timestamp) -> Next {
        let ReadingSecret {
            work,
            account,
            desired,
            orphan,
        } = self;
        match answer {
            Ok(sealed) => {
                let keep = Keep {
                    work,
                    account,
                    desired,
                    sealed,
                    digest: None,
                    carriers: None,
                    known_is_gone: false,
                };
                if orphan {
                    remove::untag(keep)
                } else {
                    keep::observe(keep)
                }
            }
            Err(SecretProblem::Unavailable) if orphan => {
                remove::orphan_later(work, Blocker::Kubernetes, now)
            }
            // Without the secret there is no PUT, so the tag stays; the object may go.
            Err(_) if orphan => remove::orphan(work, Removed::StillTagged, now),
            Err(problem) => finish(
                &work,
                Verdict::NoCredential {
                    secret: desired.secret,
                    problem,
                },
            ),
        }
    }
}

impl Listing {
    /// Takes the inventory; `None` if it took longer than the patience.
    pub fn resume(self, answer: ListAnswer, now: Timestamp) -> Next {
        match (self, answer) {
            (Listing::Removing(removal), answer) => remove::listed(removal, answer, now),
            (Listing::Orphaning(keep), answer) => remove::listed_for_untag(keep, answer, now),
            (Listing::Deciding(mut keep), Ok(Some(inventory))) => {
                keep.note(&inventory, None);
                keep::decide(keep, &inventory, now)
            }
            (Listing::DecidingAgain(mut keep), Ok(Some(inventory))) => {
                keep.note(&inventory, None);
                keep::decide_on_all(keep, &inventory, now)
            }
            (Listing::ConfirmingGone(mut keep), Ok(Some(inventory))) => {
                keep.note(&inventory, None);
                keep::decide_without_known(keep, &inventory, now)
            }
            (
                Listing::Created(mut keep, wrote, id) | Listing::CreatedNoted(mut keep, wrote, id),
                Ok(Some(inventory)),
            ) => {
                keep.note(&inventory, Some(id));
                written::created(&keep, &wrote, id, inventory.get(id), now)
            }
            (Listing::Updated(mut keep, wrote, id), Ok(Some(inventory))) => {
                keep.note(&inventory, Some(id));
                written::updated(&keep, &wrote, id, &inventory, now)
            }
            // Rule 6: the id must not wait for a LIST that is late or fails.
            (Listing::Created(keep, wrote, id), Ok(None) | Err(_)) => ask(Effect::RecordId {
                status: Box::new(with_id(&keep.work.object, id, wrote.at)),
                then: RecordingId {
                    id,
                    then: AfterId::Created(keep, wrote),
                },
            }),
            (Listing::CreatedNoted(keep, wrote, id), Ok(None) | Err(_)) => {
                written::created(&keep, &wrote, id, None, now)
            }
            (Listing::Updated(keep, wrote, id), Ok(None) | Err(_)) => {
                written::updated_unseen(&keep, &wrote, id)
            }
            (
                Listing::Deciding(keep)
                | Listing::DecidingAgain(keep)
                | Listing::ConfirmingGone(keep),
                Ok(None),
            ) => {
                let failure = Failure::new(Class::Transient, crate::failure::Cause::TimedOut);
                failed(&keep, Operation::List, failure)
            }
            (
                Listing::Deciding(keep)
                | Listing::DecidingAgain(keep)
                | Listing::ConfirmingGone(keep),
                Err(failure),
            ) => failed(&keep, Operation::List, failure),
        }
    }
}

impl Showing {
    /// Takes the record.
    pub fn resume(self, answer: ShowAnswer, now: Timestamp) -> Next {
        match answer {
            // Rule 1: asked only now, because the SHOW may have waited for the rate limit.
            Ok(record) if self.needs_proof() && !self.work().is_proven(now) => {
                ask(Effect::ConfirmObject {
                    then: ConfirmingObject {
                        record,
                        shown_at: now,
                        then: self,
                    },
                })
            }
            answer => self.decide(answer, now, now),
        }
    }

    fn decide(self, answer: ShowAnswer, shown_at: Timestamp, now: Timestamp) -> Next {
        let send_by = self.work().send_by(shown_at);
        match self {
            Showing::Missing(keep) => keep::shown_missing(keep, answer, now),
            Showing::BeforeUpdate(keep, why) => match answer {
                // A read of changes still shows what was deleted.
                Err(failure) if failure.class == Class::NotFound => {
                    keep::shown_missing(keep, Err(failure), now)
                }
                answer => update::shown(keep, why, answer, send_by, now),
            },
            Showing::BeforeAdoption(keep, intent, tag) => {
                adopt::shown_before_adoption(keep, intent, tag.as_deref(), answer)
            }
            Showing::BeforeDelete(removal, id) => remove::shown(removal, id, answer, send_by, now),
            Showing::BeforeUntag(keep) => remove::shown_before_untag(keep, answer, send_by, now),
        }
    }
}

impl AddingFinalizer {
    /// Takes the object with the finalizer.
    pub fn resume(self, answer: ObjectWritten, now: Timestamp) -> Next {
        let AddingFinalizer { mut keep, then } = self;
        match answer {
            // The write was bound to the version that was read, so nobody else wrote in between
            // and the LIST that began after that read still counts (rule 5).
            Ok(object) => {
                keep.work.object = object;
                keep.work.proven_at = Some(now);
            }
            Err(failure) => return finished(&keep, kube_verdict(failure)),
        }
        match then {
            AfterFinalizer::Intend(intended) => intent::reserve(keep, intended),
            AfterFinalizer::Update(id, why) => show(id, Showing::BeforeUpdate(keep, why)),
            AfterFinalizer::Rest(owned) => equal::in_sync(&keep, &owned),
        }
    }
}

fn finished(keep: &Keep, verdict: Verdict) -> Next {
    Next::Finished(Box::new(Summary::of(keep, verdict)))
}

fn failed(keep: &Keep, operation: Operation, failure: Failure) -> Next {
    finished(keep, Verdict::Swr { operation, failure })
}

#[cfg(test)]
mod tests;
