//! Updating a registry: whether to, the proof that it is still ours, the PUT (rules 1 and 9).

use jiff::Timestamp;

use super::equal::{in_sync, is_moved};
use super::written::{asked, is_fight, sent_facts, shown_difference};
use super::{ask, failed, finished, show};
use crate::diff::{Changes, diff, unshown};
use crate::effect::{
    AddingFinalizer, AfterFinalizer, Effect, Listing, Next, RegistryWrite, ShowAnswer, Showing,
    Updating, Wrote,
};
use crate::failure::Failure;
use crate::observed::{Digest, Owned, Standing, standing};
use crate::plan::Why;
use crate::reconcile::Keep;
use crate::summary::{Operation, Summary, Verdict};
use crate::time::after;

/// An update that SWR accepted this often without showing it is reported instead of repeated.
const UPDATES_MAX: u32 = 2;
/// And is then tried once an hour.
const UPDATE_AGAIN_SECS: i64 = 3_600;

/// A difference is written unless the same was just written and is not visible yet, was written
/// in vain, or is a fight.
pub(super) fn consider(
    keep: Keep,
    owned: &Owned,
    changes: Changes,
    why: Why,
    now: Timestamp,
) -> Next {
    let memory = &keep.work.reconcile.memory;
    if let Some(update) = memory.update.filter(|update| update.asked == asked(&keep)) {
        let visible_by = after(update.at, keep.work.reconcile.windows.settle_secs);
        if now < visible_by {
            let verdict = Verdict::NotVisible { until: visible_by };
            return Next::Finished(Box::new(Summary::of(&keep, verdict).holds(&keep, owned)));
        }
        if update.times >= UPDATES_MAX && now < after(update.at, UPDATE_AGAIN_SECS) {
            return Next::Finished(Box::new(
                Summary::of(&keep, Verdict::NotApplied(changes)).holds(&keep, owned),
            ));
        }
    }
    if why.corrects() && is_fight(&keep, now) {
        return Next::Finished(Box::new(
            Summary::of(&keep, Verdict::Fighting(changes)).holds(&keep, owned),
        ));
    }
    let id = owned.id();
    if keep.work.object.has_finalizer() {
        show(id, Showing::BeforeUpdate(keep, why))
    } else {
        // This write fails if the object is not what stands.
        ask(Effect::AddFinalizer {
            then: AddingFinalizer {
                keep,
                then: AfterFinalizer::Update(id, why),
            },
        })
    }
}

pub(super) fn shown(
    mut keep: Keep,
    why: Why,
    answer: ShowAnswer,
    send_by: Timestamp,
    now: Timestamp,
) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.reconcile.owner) {
            Standing::Ours(target) => {
                let facts = sent_facts(&keep);
                // Rule 9: only for a difference that is still there, or to send the same again, with
                // the tag just seen.
                let changes = diff(&keep.desired.registry, &facts, target.record(), now);
                let again = why == Why::Requested
                    || why == Why::ChangedElsewhere && is_moved(&keep, target.record());
                let again = again.then(|| unshown(&keep.desired.registry));
                match changes.or(again) {
                    None => {
                        keep.digest = Some(Digest::NONE);
                        in_sync(&keep, &target)
                    }
                    Some(changes) => ask(Effect::Update {
                        target: target.clone(),
                        write: RegistryWrite {
                            registry: keep.tagged(),
                            why,
                            changes,
                        },
                        not_after: send_by,
                        then: Updating { keep, target, why },
                    }),
                }
            }
            Standing::Untagged(_) | Standing::Predecessor(_) | Standing::TaggedByOther(_) => {
                keep.digest = Some(Digest::NONE);
                finished(&keep, Verdict::OwnershipLost)
            }
        },
        Err(failure) => failed(&keep, Operation::Show, failure),
    }
}

impl Updating {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), Failure>, now: Timestamp) -> Next {
        let Updating { keep, target, why } = self;
        match answer {
            Ok(()) => {
                let before = target.record().updated_at.clone();
                let wrote = Wrote {
                    at: now,
                    why,
                    before,
                };
                ask(Effect::List {
                    started_after: now,
                    then: Listing::Updated(keep, wrote, target.id()),
                })
            }
            // Whether it landed or not, the next reconcile reads before it writes again.
            Err(failure) => {
                let operation = Operation::Update;
                let may_land = !failure.class.changed_nothing();
                let summary = Summary::of(&keep, Verdict::Swr { operation, failure });
                let mut summary = summary.holds(&keep, &target);
                if may_land {
                    summary.memory.put_unanswered_at = Some(now);
                }
                // If SWR shows the difference no more, it was this write that moved `updated_at`. A list that
                // showed none before, because only a SHOW does, cannot tell.
                let was_listed = why != Why::ChangedElsewhere && !why.only_repeats();
                let shown = shown_difference(&keep, target.record(), now, now);
                summary.memory.unseen_write |= may_land && was_listed && shown.is_some();
                Next::Finished(Box::new(summary))
            }
        }
    }
}
