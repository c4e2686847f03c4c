//! After a write: what a LIST shows of it, and what is remembered of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::api::registry::Applied;
use crate::desired::RegistryId;
use crate::diff::{Changes, SentFacts, diff};
use crate::effect::{Next, Wrote};
use crate::observed::{Digest, Inventory, Owned, Record, Standing, standing};
use crate::plan::Why;
use crate::reconcile::{Keep, SentUpdate};
use crate::summary::{Baseline, Summary, Verdict};
use crate::time::after;

/// How many corrections of drift within [`FIGHT_SECS`] make a fight.
const FIGHT_CORRECTIONS: usize = 3;
/// 30 minutes.
const FIGHT_SECS: i64 = 1_800;

pub(in crate::protocol) fn sent_facts(keep: &Keep) -> SentFacts {
    SentFacts {
        desired: keep.sealed.clone(),
        // Who only observes has sent nothing, and asks only whether SWR reports another access key.
        sent: keep.work.object.sent().or_else(|| {
            keep.work
                .object
                .only_observes()
                .then(|| (keep.sealed.whole.clone(), keep.work.read_at))
        }),
        resend_secs: keep.desired.resend_secs,
        applied: keep
            .work
            .object
            .status
            .applied
            .as_ref()
            .map(|applied| applied.unshown.clone()),
    }
}

pub(super) fn asked(keep: &Keep) -> u64 {
    // SipHash with fixed keys: it tells one wish from the next within this process, no more.
    let mut hasher = DefaultHasher::new();
    (&keep.desired.registry, &keep.sealed).hash(&mut hasher);
    hasher.finish()
}

/// Whether what is to be put right now was put right often enough lately.
pub(super) fn is_fight(keep: &Keep, now: Timestamp) -> bool {
    let corrections = keep.work.reconcile.memory.corrected_at.iter();
    let recent = corrections.filter(|at| after(**at, FIGHT_SECS) > now);
    recent.count() >= FIGHT_CORRECTIONS
}

/// What is known once SWR took a write that it does not show yet: of `updated_at`, nothing.
fn sent_unseen(keep: &Keep) -> Applied {
    let applied = keep.work.object.status.applied.as_ref();
    Applied {
        unshown: keep.desired.registry.unshown(),
        updated_at: None,
        generation: applied.and_then(|applied| applied.generation),
    }
}

/// What is known once SWR shows our write.
fn sent_seen(keep: &Keep, record: &Record) -> Applied {
    Applied {
        unshown: keep.desired.registry.unshown(),
        updated_at: record.updated_at.clone(),
        generation: Some(keep.work.object.generation),
    }
}

fn not_visible(keep: &Keep, wrote: &Wrote) -> Verdict {
    Verdict::NotVisible {
        until: after(wrote.at, keep.work.reconcile.windows.settle_secs),
    }
}

/// What a LIST shows of the registry that was just created or adopted.
pub(super) fn created(
    keep: &Keep,
    wrote: &Wrote,
    id: RegistryId,
    shown: Option<&Record>,
    now: Timestamp,
) -> Next {
    let summary = |verdict, applied| {
        let summary = Summary::of(keep, verdict).created(keep, id, wrote.at);
        remember_correction(summary.applied(applied), wrote)
    };
    let unseen = || summary(not_visible(keep, wrote), sent_unseen(keep));
    let Some(record) = shown else {
        return Next::Finished(Box::new(unseen()));
    };
    Next::Finished(Box::new(
        match standing(record.clone(), &keep.work.reconcile.owner) {
            Standing::Ours(owned) => {
                let (verdict, applied) = verdict_on(keep, wrote, &owned, now);
                summary(verdict, applied).shows(&owned)
            }
            // A LIST that lags still shows it as it was before it was adopted.
            Standing::Untagged(_) | Standing::Predecessor(_) if wrote.why != Why::Missing => {
                unseen()
            }
            // Rule 3: a registry that we cannot recognise must never be made a second time.
            Standing::Untagged(_) | Standing::Predecessor(_) | Standing::TaggedByOther(_) => {
                summary(Verdict::TagNotKept, sent_unseen(keep))
            }
        },
    ))
}

/// What a LIST shows of the registry that was just updated.
pub(super) fn updated(
    keep: &Keep,
    wrote: &Wrote,
    id: RegistryId,
    inventory: &Inventory,
    now: Timestamp,
) -> Next {
    let summary = match inventory.owned(&keep.work.reconcile.owner, id) {
        Some(owned) => {
            let (verdict, applied) = verdict_on(keep, wrote, &owned, now);
            Summary::of(keep, verdict)
                .sent(keep, wrote.at)
                .applied(applied)
                .holds(keep, &owned)
        }
        None => return updated_unseen(keep, wrote, id),
    };
    Next::Finished(Box::new(remember_update(summary, keep, wrote)))
}

/// SWR accepted the update; whether it shows it is for the next reconcile to see.
pub(super) fn updated_unseen(keep: &Keep, wrote: &Wrote, id: RegistryId) -> Next {
    let summary = Summary::of(keep, not_visible(keep, wrote))
        .owns(keep, id)
        .sent(keep, wrote.at)
        .applied(sent_unseen(keep));
    Next::Finished(Box::new(remember_update(summary, keep, wrote)))
}

/// What SWR shows to be other than what was sent at `sent_at`.
pub(super) fn shown_difference(
    keep: &Keep,
    record: &Record,
    sent_at: Timestamp,
    now: Timestamp,
) -> Option<Changes> {
    let facts = SentFacts {
        sent: Some((keep.sealed.whole.clone(), sent_at)),
        applied: Some(keep.desired.registry.unshown()),
        ..sent_facts(keep)
    };
    diff(&keep.desired.registry, &facts, record, now)
}

fn verdict_on(keep: &Keep, wrote: &Wrote, owned: &Owned, now: Timestamp) -> (Verdict, Applied) {
    let record = owned.record();
    let health = record.health;
    // What SWR shows in no field may be written and not shown yet: only the time would tell.
    let is_as_before = wrote.before.is_some() && wrote.before == record.updated_at;
    match shown_difference(keep, record, wrote.at, now) {
        None if !is_as_before => (Verdict::InSync { health }, sent_seen(keep, record)),
        // Its time is not that of our write, and so no witness.
        None if wrote.why != Why::ChangedElsewhere => {
            let applied = Applied {
                updated_at: None,
                ..sent_seen(keep, record)
            };
            (Verdict::InSync { health }, applied)
        }
        None | Some(_) => (not_visible(keep, wrote), sent_unseen(keep)),
    }
}

fn remember_update(mut summary: Summary, keep: &Keep, wrote: &Wrote) -> Summary {
    let asked = asked(keep);
    let times = match summary.memory.update {
        Some(update) if update.asked == asked => update.times + 1,
        Some(_) | None => 1,
    };
    let is_visible = matches!(summary.verdict, Verdict::InSync { .. });
    summary.memory.update = (!is_visible).then_some(SentUpdate {
        asked,
        at: wrote.at,
        times,
    });
    remember_correction(summary, wrote)
}

fn remember_correction(mut summary: Summary, wrote: &Wrote) -> Summary {
    let is_equal = matches!(summary.verdict, Verdict::InSync { .. });
    let time = summary
        .applied
        .as_ref()
        .and_then(|it| it.updated_at.as_ref());
    let is_timed = wrote.before.is_none() || time.is_some();
    summary.memory.unseen_write = !is_equal || !is_timed;
    if is_equal && summary.memory.unseen_write {
        summary.baseline = summary.baseline.map(|baseline| Baseline {
            digest: Digest::NONE,
            ..baseline
        });
    }
    if wrote.why.corrects() {
        let corrections = &mut summary.memory.corrected_at;
        corrections.retain(|at| after(*at, FIGHT_SECS) > wrote.at);
        corrections.push(wrote.at);
    }
    summary
}
