//! Keeping a registry: create, adopt, update, verify.

use jiff::Timestamp;

use super::equal::{in_sync, is_moved};
use super::intent::intend;
use super::written::sent_facts;
use super::{adopt, ask, failed, finished, gap, show, update};
use crate::diff::diff;
use crate::effect::{
    AddingFinalizer, AfterFinalizer, Effect, Intended, Listing, Next, ShowAnswer, Showing,
};
use crate::failure::Class;
use crate::observed::{Claim, Digest, Inventory, Owned, Standing, Wanted, standing};
use crate::plan::{Action, Facts, Foreign, Plan, Resend, plan};
use crate::reconcile::Keep;
use crate::summary::{Held, Operation, Summary, Verdict};
use crate::time::after;

/// Asks what the instance holds, by a LIST that begins after the object was read: it shows
/// whatever anybody created for this object before (rules 4 and 5).
pub(super) fn observe(keep: Keep) -> Next {
    ask(Effect::List {
        started_after: keep.work.read_at,
        then: Listing::Deciding(keep),
    })
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
    inventory.claim(&keep.work.reconcile.owner, wanted(keep), succeeds)
}

/// Whether the registry is to be sent again although nothing that SWR shows differs.
fn resend(keep: &Keep, claim: &Claim) -> Resend {
    let object = &keep.work.object;
    let Claim::Ours(owned) = claim else {
        return Resend::No;
    };
    let writes = !object.only_observes() && !keep.work.reconcile.read_only;
    let is_asked = object.requested_at.is_some()
        && object.requested_at != object.status.last_handled_reconcile_at;
    let witness = keep.work.reconcile.witness;
    // Who does not write need not be careful: it says every time what it sees.
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

pub(super) fn decide(mut keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    let Some(id) = keep.work.object.known_id() else {
        let is_of_all = keep.work.object.status.create_intent.is_some();
        return match claim(&keep, inventory) {
            Claim::Ours(_) | Claim::Absent => decide_on_all(keep, inventory, now),
            _ if is_of_all => decide_on_all(keep, inventory, now),
            Claim::Several(_)
            | Claim::Untagged(_)
            | Claim::Predecessor(_)
            | Claim::TaggedByOther(_)
            | Claim::NothingToAdopt(_) => ask(Effect::List {
                started_after: keep.work.read_at,
                then: Listing::DecidingAgain(keep),
            }),
        };
    };
    match inventory.owned(&keep.work.reconcile.owner, id) {
        // Rule 8: others with our tag are copies.
        Some(owned) => carry_out(keep, Claim::Ours(owned), now),
        // The LIST may lag, or the tag was altered: ask for the registry itself.
        None => {
            if inventory.get(id).is_none() {
                keep.digest = Some(Digest::NONE);
            }
            show(id, Showing::Missing(keep))
        }
    }
}

/// For an object that knows no registry of its own.
pub(super) fn decide_on_all(keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    let claim = claim(&keep, inventory);
    carry_out_if_whole(keep, claim, inventory, now)
}

/// The known registry is certainly gone (rule 7): start over without it.
pub(super) fn decide_without_known(mut keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    if !inventory.is_whole() {
        return failed(&keep, Operation::List, gap());
    }
    let known = keep.work.object.known_id();
    if known.is_some_and(|id| inventory.get(id).is_some()) {
        // It is there after all.
        keep.digest = Some(Digest::NONE);
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
            // Those of an earlier object concern this one whatever their names, and a digest does not
            // show them.
            keep.digest = Some(Digest::NONE);
            finished(&keep, Verdict::DuplicateTag(ids))
        }
        Action::Create if keep.work.object.only_observes() => {
            finished(&keep, Verdict::MissingObserved)
        }
        // Sending the same again is no difference, only due.
        Action::Update(owned, _)
            if why.only_repeats()
                && (keep.work.reconcile.read_only || keep.work.object.only_observes()) =>
        {
            rest(keep, owned)
        }
        Action::Update(owned, changes) if keep.work.object.only_observes() => {
            let summary = Summary::of(&keep, Verdict::DriftObserved(changes));
            Next::Finished(Box::new(summary.holds(&keep, &owned)))
        }
        Action::Adopt(found) if keep.work.object.only_observes() => {
            let facts = sent_facts(&keep);
            let foreign = match found.tag() {
                Some(_) => {
                    keep.digest = Some(Digest::NONE);
                    Foreign::Predecessor
                }
                None => Foreign::Untagged,
            };
            match diff(&keep.desired.registry, &facts, found.record(), now) {
                Some(changes) => finished(&keep, Verdict::DriftObserved(changes)),
                None => finished(&keep, Verdict::Conflict(foreign)),
            }
        }
        Action::Create if keep.work.reconcile.read_only => {
            finished(&keep, Verdict::ReadOnly(Held::Create))
        }
        Action::Adopt(_) if keep.work.reconcile.read_only => {
            finished(&keep, Verdict::ReadOnly(Held::Adopt))
        }
        Action::Update(owned, changes) if keep.work.reconcile.read_only => {
            let summary = Summary::of(&keep, Verdict::ReadOnly(Held::Update(changes)));
            Next::Finished(Box::new(summary.holds(&keep, &owned)))
        }
        Action::Create => intend(keep, Intended::Create),
        Action::Adopt(found) => adopt::consider(keep, found, why, now),
        Action::Update(owned, changes) => update::consider(keep, &owned, changes, why, now),
    }
}

/// SWR is equal to the spec.
fn rest(keep: Keep, owned: Owned) -> Next {
    // Rule 2 the other way round: what exists must not outlive its object unnoticed.
    let writes = !keep.work.object.only_observes() && !keep.work.reconcile.read_only;
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

pub(super) fn shown_missing(mut keep: Keep, answer: ShowAnswer, now: Timestamp) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.reconcile.owner) {
            Standing::Ours(owned) => {
                keep.digest = Some(Digest::NONE);
                carry_out(keep, Claim::Ours(owned), now)
            }
            Standing::Untagged(untagged) => {
                let object = &keep.work.object;
                // Another spec may have a description with which the tag is kept.
                let is_new = object.status.observed_generation != object.generation
                    || keep.work.reconcile.memory.adopts_again;
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
    let memory = &keep.work.reconcile.memory;
    let known = memory.id.map(|(_, since)| since);
    let intended = memory.intent.map(|known| known.since);
    let since = known.max(intended).unwrap_or(keep.work.read_at);
    after(since, keep.work.reconcile.windows.settle_secs)
}
