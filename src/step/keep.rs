//! Keeping a registry: create, adopt, update, verify.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::adopt::{consider_adoption, shown_before_adoption};
use super::written::{created, shown_difference, updated, updated_unseen};
use super::{ask, gap, kube_verdict, only_observes, settled};
use crate::api::registry::Applied;
use crate::desired::RegistryId;
use crate::diff::{Changes, SentFacts, diff, unshown};
use crate::effect::{
    AddingFinalizer, AfterFinalizer, Creating, Effect, Intended, Intent, ListAnswer, Listing, Next,
    ObjectWritten, RecordingId, RecordingIntent, ShowAnswer, Showing, Updating, Wrote,
};
use crate::failure::{Class, Failure};
use crate::observed::{Claim, Inventory, Owned, Record, Standing, View, Wanted, standing};
use crate::pass::{Keep, KnownIntent};
use crate::plan::{Action, Facts, Foreign, Plan, Resend, Why, plan};
use crate::summary::{Held, Operation, Summary, Verdict};
use crate::time::after;

/// How many corrections of drift within [`FIGHT_SECS`] make a fight.
const FIGHT_CORRECTIONS: usize = 3;
/// 30 minutes.
pub(super) const FIGHT_SECS: i64 = 1_800;
/// An update that SWR accepted this often without showing it is reported instead of repeated.
const UPDATES_MAX: u32 = 2;
/// And is then tried once an hour.
const UPDATE_AGAIN_SECS: i64 = 3_600;

/// Asks what the instance holds, by a LIST that begins after the object was read: it shows
/// whatever anybody created for this object before (rules 4 and 5).
pub(super) fn look(keep: Keep) -> Next {
    ask(Effect::List {
        started_after: keep.work.read_at,
        then: Listing::Deciding(keep),
    })
}

impl Listing {
    /// Takes the inventory; `None` if it took longer than the patience.
    pub fn resume(self, answer: ListAnswer, now: Timestamp) -> Next {
        match (self, answer) {
            (Listing::Removing(removal), answer) => super::remove::listed(removal, answer, now),
            (Listing::Orphaning(keep), answer) => {
                super::remove::listed_for_untag(keep, answer, now)
            }
            (Listing::Deciding(mut keep), Ok(Some(inventory))) => {
                keep.look(&inventory, None);
                decide(keep, &inventory, now)
            }
            (Listing::ConfirmingGone(mut keep), Ok(Some(inventory))) => {
                keep.look(&inventory, None);
                decide_without_known(keep, &inventory, now)
            }
            (
                Listing::Created(mut keep, wrote, id) | Listing::CreatedNoted(mut keep, wrote, id),
                Ok(Some(inventory)),
            ) => {
                keep.look(&inventory, Some(id));
                created(&keep, &wrote, id, inventory.get(id), now)
            }
            (Listing::Updated(mut keep, wrote, id), Ok(Some(inventory))) => {
                keep.look(&inventory, Some(id));
                updated(&keep, &wrote, id, &inventory, now)
            }
            // Rule 6: the id must not wait for a LIST that is late or fails.
            (Listing::Created(keep, wrote, id), Ok(None) | Err(_)) => ask(Effect::RecordId {
                id,
                then: RecordingId { keep, wrote, id },
            }),
            (Listing::CreatedNoted(keep, wrote, id), Ok(None) | Err(_)) => {
                created(&keep, &wrote, id, None, now)
            }
            (Listing::Updated(keep, wrote, id), Ok(None) | Err(_)) => {
                updated_unseen(&keep, &wrote, id)
            }
            (Listing::Deciding(keep) | Listing::ConfirmingGone(keep), Ok(None)) => {
                let failure = Failure::new(Class::Transient, crate::failure::Cause::TimedOut);
                failed(&keep, Operation::List, failure)
            }
            (Listing::Deciding(keep) | Listing::ConfirmingGone(keep), Err(failure)) => {
                failed(&keep, Operation::List, failure)
            }
        }
    }
}

pub(super) fn finished(keep: &Keep, verdict: Verdict) -> Next {
    Next::Finished(Box::new(Summary::of(keep, verdict)))
}

fn failed(keep: &Keep, operation: Operation, failure: Failure) -> Next {
    finished(keep, Verdict::Swr { operation, failure })
}

pub(super) fn sent_facts(keep: &Keep) -> SentFacts {
    SentFacts {
        desired: keep.sealed.clone(),
        // Who only observes has sent nothing, and asks only whether SWR reports another access key.
        sent: keep.work.object.sent().or_else(|| {
            only_observes(&keep.work.object).then(|| (keep.sealed.whole.clone(), keep.work.read_at))
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

fn wanted(keep: &Keep) -> Wanted<'_> {
    let status = &keep.work.object.status;
    match keep.desired.adoption.id {
        // Once adopted, a registry that is lost is made anew under its name like any other.
        Some(id) if status.credential.is_none() => Wanted::Id(id),
        Some(_) | None => Wanted::Name(&keep.desired.registry.name),
    }
}

fn claim(keep: &Keep, inventory: &Inventory) -> Claim {
    let succeeds = keep.desired.adoption.takes_predecessor();
    inventory.claim(&keep.work.pass.owner, wanted(keep), succeeds)
}

/// Whether the registry is to be sent again although nothing that SWR shows differs.
fn resend(keep: &Keep, claim: &Claim) -> Resend {
    let object = &keep.work.object;
    let Claim::Ours(owned) = claim else {
        return Resend::No;
    };
    let writes = !only_observes(object) && !keep.work.pass.read_only;
    let is_asked = object.requested_at.is_some()
        && object.requested_at != object.status.last_handled_reconcile_at;
    let witness = keep.work.pass.witness;
    // Who does not write need not be careful: it says at every look what it sees.
    let may_send = witness.may_send || !writes;
    // A field that SWR leaves out says nothing.
    let is_told = owned.record().updated_at.is_some();
    if writes && is_asked {
        Resend::Requested
    } else if witness.is_believed && may_send && is_told && is_moved(keep, owned.record()) {
        Resend::ChangedElsewhere
    } else {
        Resend::No
    }
}

/// Whether SWR says that the registry was written since our own last write, and nothing else
/// explains it: `updated_at` is the only sign of a change in what SWR does not show.
fn is_moved(keep: &Keep, record: &Record) -> bool {
    let left = keep.work.object.status.applied.as_ref();
    let left = left.and_then(|applied| applied.updated_at.as_ref());
    let has_moved = left.is_some_and(|left| record.updated_at.as_ref() != Some(left));
    let may_be_ours = keep.work.pass.memory.unseen_write;
    has_moved && !may_be_ours && !health_changed(keep, record)
}

/// Whether the health is another than at the last look.
fn health_changed(keep: &Keep, record: &Record) -> bool {
    let before = keep.work.object.status.observed.as_ref();
    before.is_some_and(|before| before.status.as_deref() != record.health.word())
}

fn make_plan(keep: &Keep, claim: Claim, now: Timestamp) -> Plan {
    let object = &keep.work.object;
    let applied = object.status.applied.as_ref();
    plan(&Facts {
        desired: &keep.desired,
        resend: resend(keep, &claim),
        claim,
        known: object.known_id(),
        credential: &sent_facts(keep),
        was_in_sync: applied.and_then(|applied| applied.generation) == Some(object.generation),
        now,
    })
}

fn decide(mut keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    let Some(id) = keep.work.object.known_id() else {
        let claim = claim(&keep, inventory);
        return carry_out_if_whole(keep, claim, inventory, now);
    };
    match inventory.owned(&keep.work.pass.owner, id) {
        // Rule 8: others with our tag are copies.
        Some(owned) => carry_out(keep, Claim::Ours(owned), now),
        // The LIST may lag, or the tag was altered: ask for the registry itself.
        None => {
            if inventory.get(id).is_none() {
                keep.view = Some(View::NONE);
            }
            ask(Effect::Show {
                id,
                then: Showing::Missing(keep),
            })
        }
    }
}

/// The known registry is certainly gone (rule 7): start over without it.
fn decide_without_known(mut keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    if !inventory.is_whole() {
        return failed(&keep, Operation::List, gap());
    }
    let known = keep.work.object.known_id();
    if known.is_some_and(|id| inventory.get(id).is_some()) {
        // It is there after all.
        keep.view = Some(View::NONE);
        return finished(&keep, Verdict::Stale);
    }
    keep.known_is_gone = true;
    let claim = claim(&keep, inventory);
    carry_out(keep, claim, now)
}

/// What a LIST with a gap does not show may be there: with an intent open, that is the registry
/// which the lost request made.
fn carry_out_if_whole(keep: Keep, claim: Claim, inventory: &Inventory, now: Timestamp) -> Next {
    let is_open = keep.work.object.status.create_intent.is_some();
    let is_found = matches!(claim, Claim::Ours(_) | Claim::Several(_));
    if is_open && !is_found && !inventory.is_whole() {
        failed(&keep, Operation::List, gap())
    } else {
        carry_out(keep, claim, now)
    }
}

fn carry_out(mut keep: Keep, claim: Claim, now: Timestamp) -> Next {
    let Plan { action, why } = make_plan(&keep, claim, now);
    match action {
        Action::NoOp(owned) => rest(keep, owned),
        Action::Conflict(foreign) => finished(&keep, Verdict::Conflict(foreign)),
        Action::Choose(ids) => {
            // Those of an earlier object concern this one whatever their names, and a view does not
            // show them.
            keep.view = Some(View::NONE);
            finished(&keep, Verdict::DuplicateTag(ids))
        }
        Action::Create if only_observes(&keep.work.object) => {
            finished(&keep, Verdict::MissingObserved)
        }
        // Sending the same again is no difference, only due.
        Action::Update(owned, _)
            if why.only_repeats()
                && (keep.work.pass.read_only || only_observes(&keep.work.object)) =>
        {
            rest(keep, owned)
        }
        Action::Update(owned, changes) if only_observes(&keep.work.object) => {
            let summary = Summary::of(&keep, Verdict::DriftObserved(changes));
            Next::Finished(Box::new(summary.holds(&keep, &owned)))
        }
        Action::Adopt(found) if only_observes(&keep.work.object) => {
            let facts = sent_facts(&keep);
            let foreign = match found.tag() {
                Some(_) => {
                    keep.view = Some(View::NONE);
                    Foreign::Predecessor
                }
                None => Foreign::Untagged,
            };
            match diff(&keep.desired.registry, &facts, found.record(), now) {
                Some(changes) => finished(&keep, Verdict::DriftObserved(changes)),
                None => finished(&keep, Verdict::Conflict(foreign)),
            }
        }
        Action::Create if keep.work.pass.read_only => {
            finished(&keep, Verdict::ReadOnly(Held::Create))
        }
        Action::Adopt(_) if keep.work.pass.read_only => {
            finished(&keep, Verdict::ReadOnly(Held::Adopt))
        }
        Action::Update(owned, changes) if keep.work.pass.read_only => {
            let summary = Summary::of(&keep, Verdict::ReadOnly(Held::Update(changes)));
            Next::Finished(Box::new(summary.holds(&keep, &owned)))
        }
        Action::Create => intend(keep, Intended::Create, now),
        Action::Adopt(found) => consider_adoption(keep, found, why, now),
        Action::Update(owned, changes) => consider_update(keep, &owned, changes, why, now),
    }
}

/// SWR is equal to the spec.
fn rest(keep: Keep, owned: Owned) -> Next {
    // Rule 2 the other way round: what exists must not outlive its object unnoticed.
    let writes = !only_observes(&keep.work.object) && !keep.work.pass.read_only;
    if !keep.work.object.has_finalizer() && writes {
        return ask(Effect::AddFinalizer {
            then: AddingFinalizer {
                keep,
                then: AfterFinalizer::Rest(Box::new(owned)),
            },
        });
    }
    in_sync(&keep, &owned)
}

fn in_sync(keep: &Keep, owned: &Owned) -> Next {
    let mut summary = Summary::of(
        keep,
        Verdict::InSync {
            health: owned.record().health,
        },
    )
    .holds(keep, owned)
    .applied(rested(keep, owned.record()));
    summary.memory.update = None;
    summary.memory.unseen_write = false;
    Next::Finished(Box::new(summary))
}

/// What is known of a registry that was found equal without a write in this pass.
fn rested(keep: &Keep, record: &Record) -> Applied {
    let status = &keep.work.object.status;
    let left = status
        .applied
        .as_ref()
        .and_then(|applied| applied.updated_at.clone());
    // The end of our own last write is seen only now; and a change of health that moves
    // `updated_at` along must not look like somebody's change afterwards.
    let is_ours = keep.work.pass.memory.unseen_write;
    let is_explained = left.is_some() && health_changed(keep, record);
    Applied {
        unshown: keep.desired.registry.unshown(),
        updated_at: match is_ours || is_explained {
            true => record.updated_at.clone(),
            false => left,
        },
        generation: Some(keep.work.object.generation),
    }
}

pub(super) fn asked(keep: &Keep) -> u64 {
    // SipHash with fixed keys: it tells one wish from the next within this process, no more.
    let mut hasher = DefaultHasher::new();
    (&keep.desired.registry, &keep.sealed).hash(&mut hasher);
    hasher.finish()
}

/// A difference is written unless the same was just written and is not visible yet, was written
/// in vain, or is a fight.
fn consider_update(keep: Keep, owned: &Owned, changes: Changes, why: Why, now: Timestamp) -> Next {
    let memory = &keep.work.pass.memory;
    if let Some(update) = memory.update.filter(|update| update.asked == asked(&keep)) {
        let visible_by = after(update.at, keep.work.pass.windows.settle_secs);
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
        show_before_update(keep, id, why)
    } else {
        ask(Effect::AddFinalizer {
            then: AddingFinalizer {
                keep,
                then: AfterFinalizer::Update(id, why),
            },
        })
    }
}

/// Whether what is to be put right now was put right often enough lately.
pub(super) fn is_fight(keep: &Keep, now: Timestamp) -> bool {
    let corrections = keep.work.pass.memory.corrected_at.iter();
    let recent = corrections.filter(|at| after(**at, FIGHT_SECS) > now);
    recent.count() >= FIGHT_CORRECTIONS
}

fn show_before_update(keep: Keep, id: RegistryId, why: Why) -> Next {
    ask(Effect::Show {
        id,
        then: Showing::BeforeUpdate(keep, why),
    })
}

impl Showing {
    /// Takes the record.
    pub fn resume(self, answer: ShowAnswer, now: Timestamp) -> Next {
        match self {
            Showing::Missing(keep) => shown_missing(keep, answer, now),
            Showing::BeforeUpdate(keep, why) => shown_before_update(keep, why, answer, now),
            Showing::BeforeAdoption(keep, intent, tag) => {
                shown_before_adoption(keep, intent, tag.as_deref(), answer)
            }
            Showing::BeforeDelete(removal, id) => super::remove::shown(removal, id, answer, now),
            Showing::BeforeUntag(keep) => super::remove::shown_before_untag(keep, answer, now),
        }
    }
}

fn shown_missing(mut keep: Keep, answer: ShowAnswer, now: Timestamp) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.pass.owner) {
            Standing::Ours(owned) => {
                keep.view = Some(View::NONE);
                carry_out(keep, Claim::Ours(owned), now)
            }
            Standing::Untagged(untagged) => {
                let object = &keep.work.object;
                // Another spec may have a description with which the tag is kept.
                let is_new = object.status.observed_generation != object.generation
                    || keep.work.pass.memory.adopts_again;
                let was_told = object.status.tag_not_kept;
                // Never with our tag since it was made or adopted: not lost, but not kept (rule
                // 3), or a SHOW that lags behind the adoption.
                let unseen = object.status.observed.is_none();
                let not_kept = unseen || was_told;
                let believed_at = not_found_is_believed_at(&keep);
                if keep.desired.adoption.takes_untagged() && (is_new || !not_kept) {
                    carry_out(keep, Claim::Untagged(untagged), now)
                } else if unseen && !was_told && now < believed_at {
                    finished(&keep, Verdict::NotVisible { until: believed_at })
                } else if not_kept {
                    finished(&keep, Verdict::TagNotKept)
                } else {
                    finished(&keep, Verdict::OwnershipLost)
                }
            }
            Standing::Predecessor(earlier) => carry_out(keep, Claim::Predecessor(earlier), now),
            Standing::TaggedByOther(_) => finished(&keep, Verdict::OwnershipLost),
        },
        Err(failure) if failure.class == Class::NotFound => {
            let believed_at = not_found_is_believed_at(&keep);
            if now < believed_at {
                finished(&keep, Verdict::NotVisible { until: believed_at })
            } else {
                // Rule 7: only a LIST that begins after the 404 and succeeds confirms it.
                ask(Effect::List {
                    started_after: now,
                    then: Listing::ConfirmingGone(keep),
                })
            }
        }
        Err(failure) => failed(&keep, Operation::Show, failure),
    }
}

/// Rule 7: T_settle since this process made the registry or first saw its id, or an intent.
fn not_found_is_believed_at(keep: &Keep) -> Timestamp {
    let memory = &keep.work.pass.memory;
    let known = memory.id.map(|(_, since)| since);
    let intended = memory.intent.map(|known| known.since);
    let since = known.max(intended).unwrap_or(keep.work.read_at);
    after(since, keep.work.pass.windows.settle_secs)
}

fn shown_before_update(mut keep: Keep, why: Why, answer: ShowAnswer, now: Timestamp) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.pass.owner) {
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
                        keep.view = Some(View::NONE);
                        in_sync(&keep, &target)
                    }
                    Some(changes) => ask(Effect::Update {
                        target: target.clone(),
                        changes,
                        then: Updating { keep, target, why },
                    }),
                }
            }
            Standing::Untagged(_) | Standing::Predecessor(_) | Standing::TaggedByOther(_) => {
                keep.view = Some(View::NONE);
                finished(&keep, Verdict::OwnershipLost)
            }
        },
        // Gone between LIST and SHOW: the next pass looks again and applies rule 7.
        Err(failure) => failed(&keep, Operation::Show, failure),
    }
}

/// Rules 2, 4 and 5: finalizer, then intent, and no intent before an older one has settled.
pub(super) fn intend(keep: Keep, intended: Intended, now: Timestamp) -> Next {
    if let Some(settled_at) = settled(&keep.work) {
        // The LIST that showed none of ours must have begun after the settle time, so the time
        // at which the object was read counts: the LIST began after that, and maybe just after.
        if keep.work.read_at < settled_at {
            return finished(&keep, Verdict::Settling { until: settled_at });
        }
    }
    if keep.work.object.has_finalizer() {
        record_intent(keep, intended, now)
    } else {
        ask(Effect::AddFinalizer {
            then: AddingFinalizer {
                keep,
                then: AfterFinalizer::Intend(intended),
            },
        })
    }
}

fn record_intent(keep: Keep, intended: Intended, now: Timestamp) -> Next {
    ask(Effect::RecordIntent {
        started_at: now,
        then: RecordingIntent {
            keep,
            intended,
            started_at: now,
        },
    })
}

impl AddingFinalizer {
    /// Takes the object with the finalizer.
    pub fn resume(self, answer: ObjectWritten, now: Timestamp) -> Next {
        let AddingFinalizer { mut keep, then } = self;
        match answer {
            // The write was bound to the version that was read, so nobody else wrote in between
            // and the LIST that began after that read still counts (rule 5).
            Ok(object) => keep.work.object = object,
            Err(failure) => return finished(&keep, kube_verdict(failure)),
        }
        match then {
            AfterFinalizer::Intend(intended) => record_intent(keep, intended, now),
            AfterFinalizer::Update(id, why) => show_before_update(keep, id, why),
            AfterFinalizer::Rest(owned) => in_sync(&keep, &owned),
        }
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
        let recorded = keep.work.object.status.create_intent.as_ref();
        // This process wrote it, and so knows it since it read its own clock for it.
        keep.work.pass.memory.intent = recorded.map(|intent| KnownIntent {
            attempt: intent.attempt,
            started_at: intent.started_at,
            since: started_at,
        });
        let windows = &keep.work.pass.windows;
        let intent = Intent {
            not_after: after(started_at, windows.send_secs()),
        };
        match intended {
            Intended::Create => ask(Effect::Create {
                intent,
                then: Creating { keep },
            }),
            Intended::Adopt { id, tag } => ask(Effect::Show {
                id,
                then: Showing::BeforeAdoption(keep, intent, tag),
            }),
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
    pub fn resume(self, answer: ObjectWritten, now: Timestamp) -> Next {
        let RecordingId {
            mut keep,
            wrote,
            id,
        } = self;
        match answer {
            Ok(object) => keep.work.object = object,
            // The intent stays, so rule 5 finds the registry by its tag.
            Err(failure) => return finished(&keep, kube_verdict(failure)),
        }
        ask(Effect::List {
            started_after: now,
            then: Listing::CreatedNoted(keep, wrote, id),
        })
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
            // Whether it landed or not, the next pass reads before it writes again.
            Err(failure) => {
                let operation = Operation::Update;
                let may_land = !failure.class.changed_nothing();
                let summary = Summary::of(&keep, Verdict::Swr { operation, failure });
                let mut summary = summary.holds(&keep, &target);
                if may_land {
                    summary.memory.put_unanswered_at = Some(now);
                }
                // If SWR shows the difference no more, it was this write that moved `updated_at`.
                let shown = shown_difference(&keep, target.record(), now, now);
                summary.memory.unseen_write |= may_land && shown.is_some();
                Next::Finished(Box::new(summary))
            }
        }
    }
}
