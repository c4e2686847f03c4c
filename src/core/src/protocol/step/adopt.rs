//! Taking over a registry that belongs to nobody, or to an earlier object of our name: the same
//! finalizer and intent as for a create, and one PUT that puts our tag on.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::intent::intend;
use super::written::is_fight;
use super::{ask, finished};
use crate::diff::tag_missing;
use crate::effect::{
    Adopting, Effect, FindingOwner, Intended, Intent, Listing, Next, RegistryWrite, ShowAnswer,
    Wrote,
};
use crate::failure::Failure;
use crate::observed::{Adoptable, Digest, Health, Record, Standing, standing};
use crate::plan::{Foreign, Why};
use crate::reconcile::{Keep, Untouched};
use crate::summary::{Operation, Summary, Verdict};
use crate::time::after;

/// A registry that belongs to nobody is taken, but for a fight about its tag; one of an earlier
/// object only if that is gone and nobody has touched the registry for the settle time.
pub(super) fn consider(mut keep: Keep, found: Adoptable, why: Why, now: Timestamp) -> Next {
    if why.corrects() && is_fight(&keep, now) {
        return finished(
            &keep,
            Verdict::Fighting(tag_missing(&keep.desired.registry)),
        );
    }
    let id = found.id();
    if found.tag().is_none() {
        return intend(keep, Intended::Adopt { id, tag: None });
    }
    let shown = shown_state(found.record(), keep.work.reconcile.witness.is_believed);
    let known = keep.work.reconcile.memory.untouched;
    let untouched = known
        .filter(|known| (known.id, known.shown) == (id, shown))
        .unwrap_or(Untouched {
            id,
            shown,
            since: now,
        });
    keep.work.reconcile.memory.untouched = Some(untouched);
    let until = after(untouched.since, keep.work.reconcile.windows.settle_secs);
    if now < until {
        return finished(&keep, Verdict::Rebuilding { until });
    }
    let tag = found.tag().unwrap_or_default().to_owned();
    ask(Effect::FindOwner {
        tag,
        then: FindingOwner { keep, found },
    })
}

/// What somebody's write changes: not the health, and `updated_at` only where it tells of writes.
fn shown_state(record: &Record, tells: bool) -> u64 {
    let mut record = record.clone();
    record.health = Health::NotReported;
    if !tells {
        record.updated_at = None;
    }
    // SipHash with fixed keys: compared within this process only.
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}

impl FindingOwner {
    /// Takes whether the object whose tag this is exists.
    pub fn resume(self, exists: bool, _now: Timestamp) -> Next {
        let FindingOwner { mut keep, found } = self;
        if exists {
            // That object may go without any change in SWR.
            keep.digest = Some(Digest::NONE);
            return finished(&keep, Verdict::Conflict(Foreign::TaggedByOther));
        }
        let intended = Intended::Adopt {
            id: found.id(),
            tag: found.tag().map(str::to_owned),
        };
        intend(keep, intended)
    }
}

pub(super) fn shown_before_adoption(
    mut keep: Keep,
    intent: Intent,
    tag: Option<&str>,
    answer: ShowAnswer,
) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.reconcile.owner) {
            // As it was decided upon, to the letter.
            Standing::Untagged(target) | Standing::Predecessor(target) if target.tag() == tag => {
                let write = RegistryWrite {
                    registry: keep.tagged(),
                    why: Why::of_adoption(&target, keep.work.object.known_id()),
                    changes: tag_missing(&keep.desired.registry),
                };
                let why = write.why;
                ask(Effect::Adopt {
                    intent,
                    write,
                    target: target.clone(),
                    then: Adopting { keep, target, why },
                })
            }
            // Ours already: an earlier adoption landed. The next reconcile finds it by its tag.
            Standing::Ours(_) => finished(&keep, Verdict::Stale),
            // It changed hands: observe again, with no intent in the way.
            Standing::Untagged(_) | Standing::Predecessor(_) => {
                keep.digest = Some(Digest::NONE);
                let verdict = Verdict::Conflict(Foreign::Untagged);
                Next::Finished(Box::new(Summary::of(&keep, verdict).without_intent()))
            }
            Standing::TaggedByOther(_) => {
                keep.digest = Some(Digest::NONE);
                let verdict = Verdict::Conflict(Foreign::TaggedByOther);
                Next::Finished(Box::new(Summary::of(&keep, verdict).without_intent()))
            }
        },
        Err(failure) => Next::Finished(Box::new(
            Summary::of(
                &keep,
                Verdict::Swr {
                    operation: Operation::Show,
                    failure,
                },
            )
            .without_intent(),
        )),
    }
}

impl Adopting {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), Failure>, now: Timestamp) -> Next {
        let Adopting {
            mut keep,
            target,
            why,
        } = self;
        let settled = match &answer {
            Ok(()) => false,
            Err(failure) => failure.class.changed_nothing(),
        };
        keep.work.reconcile.memory.adopts_again = settled;
        match answer {
            Ok(()) => {
                let wrote = Wrote {
                    at: now,
                    why,
                    before: target.record().updated_at.clone(),
                };
                ask(Effect::List {
                    started_after: now,
                    then: Listing::Created(keep, wrote, target.id()),
                })
            }
            Err(failure) => {
                let operation = Operation::Update;
                let mut summary = Summary::of(&keep, Verdict::Swr { operation, failure });
                if settled {
                    summary = summary.without_intent();
                } else {
                    summary.memory.put_unanswered_at = Some(now);
                }
                Next::Finished(Box::new(summary))
            }
        }
    }
}
