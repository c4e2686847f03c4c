//! The way to a POST: finalizer, reservation, intent, POST, id (rules 2, 4, 5 and 6). An adoption goes the
//! same way up to its intent.

use jiff::Timestamp;

use super::{ask, finish, finished, kube_verdict, settled, show};
use crate::api::registry::CreateIntent;
use crate::desired::RegistryId;
use crate::diff::Changes;
use crate::effect::{
    AddingFinalizer, AfterFinalizer, AfterId, Creating, Effect, Intended, Intent, Listing, Next,
    ObjectWritten, RecordingId, RecordingIntent, RegistryWrite, ReserveAnswer, Reserving, Showing,
    Wrote,
};
use crate::failure::Failure;
use crate::plan::Why;
use crate::reconcile::{Keep, KnownIntent};
use crate::status::with_intent;
use crate::summary::{Operation, Summary, Verdict};
use crate::time::after;

/// Rules 2, 4 and 5: finalizer, then intent, and no intent before an older one has settled.
pub(super) fn intend(keep: Keep, intended: Intended) -> Next {
    if let Some(settled_at) = settled(&keep.work) {
        // The LIST that showed none of ours must have begun after the settle time, so the time
        // at which the object was read counts: the LIST began after that, and maybe just after.
        if keep.work.read_at < settled_at {
            return finished(&keep, Verdict::Settling { until: settled_at });
        }
    }
    if keep.work.object.has_finalizer() {
        reserve(keep, intended)
    } else {
        ask(Effect::AddFinalizer {
            then: AddingFinalizer {
                keep,
                then: AfterFinalizer::Intend(intended),
            },
        })
    }
}

/// The finalizer is on.
pub(super) fn reserve(keep: Keep, intended: Intended) -> Next {
    ask(Effect::Reserve {
        then: Reserving { keep, intended },
    })
}

impl Reserving {
    /// Takes whether the write that is intended may follow at once.
    pub fn resume(self, answer: ReserveAnswer, now: Timestamp) -> Next {
        let Reserving { mut keep, intended } = self;
        if let Err(failure) = answer {
            let operation = match intended {
                Intended::Create => Operation::Create,
                Intended::Adopt { .. } => {
                    keep.work.reconcile.memory.adopts_again = true;
                    Operation::Update
                }
            };
            return finished(&keep, Verdict::Swr { operation, failure });
        }
        let object = &keep.work.object;
        let before = object.status.create_intent.as_ref();
        let intent = CreateIntent {
            attempt: before.map_or(1, |intent| intent.attempt.saturating_add(1)),
            started_at: now,
        };
        // An id that is still known is that of a registry that is certainly gone.
        let forgets_id = intended == Intended::Create;
        let status = with_intent(object, intent, keep.binding(), forgets_id, now);
        ask(Effect::RecordIntent {
            status: Box::new(status),
            then: RecordingIntent {
                keep,
                intended,
                started_at: now,
            },
        })
    }
}

impl RecordingIntent {
    /// Takes the object with the intent.
    pub fn resume(self, answer: ObjectWritten, _now: Timestamp) -> Next {
        let RecordingIntent {
            mut keep,
            intended,
            started_at,
        } = self;
        match answer {
            Ok(object) => keep.work.object = object,
            // Rule 4: whatever the reason, without a recorded intent there is no POST.
            Err(failure) => return finished(&keep, kube_verdict(failure)),
        }
        // A definition of our kind that has no field for it lets the write pass and keeps nothing (rule 4).
        let Some(recorded) = &keep.work.object.status.create_intent else {
            return finished(&keep, Verdict::KubernetesRefuses);
        };
        // This process wrote it, and so knows it since it read its own clock for it.
        keep.work.reconcile.memory.intent = Some(KnownIntent {
            attempt: recorded.attempt,
            started_at: recorded.started_at,
            since: started_at,
        });
        let windows = &keep.work.reconcile.windows;
        let intent = Intent {
            not_after: after(started_at, windows.send_secs()),
        };
        match intended {
            Intended::Create => ask(Effect::Create {
                intent,
                write: RegistryWrite {
                    registry: keep.tagged(),
                    why: Why::Missing,
                    changes: Changes::default(),
                },
                then: Creating { keep },
            }),
            Intended::Adopt { id, tag } => show(id, Showing::BeforeAdoption(keep, intent, tag)),
        }
    }
}

impl Creating {
    /// Takes the id, `None` if SWR created the registry without saying which.
    pub fn resume(self, answer: Result<Option<RegistryId>, Failure>, now: Timestamp) -> Next {
        let Creating { keep } = self;
        match answer {
            Ok(Some(id)) => {
                let wrote = Wrote {
                    at: now,
                    why: Why::Missing,
                    before: None,
                };
                ask(Effect::List {
                    started_after: now,
                    then: Listing::Created(keep, wrote, id),
                })
            }
            // It is there and carries our tag: the next LIST finds it (rule 5).
            Ok(None) => {
                let until = after(now, 1);
                finished(&keep, Verdict::NotVisible { until })
            }
            Err(failure) => {
                let settled = failure.class.changed_nothing();
                let summary = Summary::of(
                    &keep,
                    Verdict::Swr {
                        operation: Operation::Create,
                        failure,
                    },
                );
                // Rule 6: a definite refusal clears the intent, an unknown outcome keeps it.
                Next::Finished(Box::new(if settled {
                    summary.without_intent()
                } else {
                    summary
                }))
            }
        }
    }
}

impl RecordingId {
    /// Takes the object with the id.
    pub fn resume(mut self, answer: ObjectWritten, now: Timestamp) -> Next {
        let id = self.id;
        let work = self.work_mut();
        match answer {
            Ok(object) => {
                work.object = object;
                work.proven_at = Some(now);
                let known = work.reconcile.memory.id.filter(|(known, _)| *known == id);
                work.reconcile.memory.id = known.or(Some((id, now)));
            }
            // The intent stays, so rule 5 finds the registry by its tag.
            Err(failure) => return finish(work, kube_verdict(failure)),
        }
        match self.then {
            AfterId::Created(keep, wrote) => ask(Effect::List {
                started_after: now,
                then: Listing::CreatedNoted(keep, wrote, id),
            }),
            AfterId::Delete(removal) => show(id, Showing::BeforeDelete(removal, id)),
            AfterId::Untag(keep) => show(id, Showing::BeforeUntag(keep)),
        }
    }
}
