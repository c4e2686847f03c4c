//! Keeping a registry: create, adopt, update, verify.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::{ask, kube_verdict, later, only_observes};
use crate::api::reason::Reason;
use crate::desired::{Adoption, RegistryId};
use crate::diff::{Changes, SentFacts, diff};
use crate::effect::{
    AddingFinalizer, Adopting, AfterFinalizer, Creating, Effect, Intended, Intent, ListAnswer,
    Listing, Next, ObjectWritten, RecordingId, RecordingIntent, ShowAnswer, Showing, Updating,
    Wrote,
};
use crate::failure::{Class, Failure};
use crate::observed::{Claim, Inventory, Owned, Record, Standing, View, Wanted, standing};
use crate::pass::{Keep, SentUpdate};
use crate::plan::{Action, Facts, Foreign, Plan, Why, plan};
use crate::summary::{Held, Operation, Summary, Verdict};

/// How many corrections of drift within [`FIGHT_SECS`] make a fight.
const FIGHT_CORRECTIONS: usize = 3;
/// 30 minutes.
const FIGHT_SECS: i64 = 1_800;
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
            (Listing::Deciding(mut keep), Ok(Some(inventory))) => {
                keep.view = Some(keep.lookout(None).view(&inventory));
                decide(keep, &inventory, now)
            }
            (Listing::ConfirmingGone(mut keep), Ok(Some(inventory))) => {
                keep.view = Some(keep.lookout(None).view(&inventory));
                decide_without_known(keep, &inventory, now)
            }
            (
                Listing::Created(mut keep, wrote, id) | Listing::CreatedNoted(mut keep, wrote, id),
                Ok(Some(inventory)),
            ) => {
                keep.view = Some(keep.lookout(Some(id)).view(&inventory));
                created(&keep, &wrote, id, inventory.get(id), now)
            }
            (Listing::Updated(mut keep, wrote), Ok(Some(inventory))) => {
                keep.view = Some(keep.lookout(None).view(&inventory));
                updated(&keep, &wrote, &inventory, now)
            }
            // Rule 6: the id must not wait for a LIST that is late or fails.
            (Listing::Created(keep, wrote, id), Ok(None) | Err(_)) => ask(Effect::RecordId {
                id,
                then: RecordingId { keep, wrote, id },
            }),
            (Listing::CreatedNoted(keep, wrote, id), Ok(None) | Err(_)) => {
                created(&keep, &wrote, id, None, now)
            }
            // SWR accepted the write; whether it shows it is for the next pass to see.
            (Listing::Updated(keep, wrote), Ok(None) | Err(_)) => {
                let summary = Summary::of(&keep, not_visible(&keep, &wrote)).sent(&keep, wrote.at);
                Next::Finished(Box::new(remember_update(summary, &keep, &wrote)))
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

fn finished(keep: &Keep, verdict: Verdict) -> Next {
    Next::Finished(Box::new(Summary::of(keep, verdict)))
}

fn failed(keep: &Keep, operation: Operation, failure: Failure) -> Next {
    finished(keep, Verdict::Swr { operation, failure })
}

fn sent_facts(keep: &Keep) -> SentFacts {
    SentFacts {
        desired: keep.sealed.clone(),
        // Who only observes has sent nothing, and asks only whether SWR reports another access key.
        sent: keep.work.object.sent().or_else(|| {
            only_observes(&keep.work.object).then(|| (keep.sealed.whole.clone(), keep.work.read_at))
        }),
        resend_secs: keep.desired.resend_secs,
        applied: keep.work.object.status.applied.clone(),
    }
}

fn wanted(keep: &Keep) -> Wanted<'_> {
    let status = &keep.work.object.status;
    match keep.desired.adoption {
        // Once adopted, a registry that is lost is made anew under its name like any other.
        Adoption::ById(id) if status.credential.is_none() => Wanted::Id(id),
        Adoption::ById(_) | Adoption::Never | Adoption::ByName => {
            Wanted::Name(&keep.desired.registry.name)
        }
    }
}

fn make_plan(keep: &Keep, claim: Claim, now: Timestamp) -> Plan {
    let status = &keep.work.object.status;
    let was_in_sync = status.observed_generation == keep.work.object.generation
        && status.conditions.iter().any(|condition| {
            let is = |reason: Reason| condition.reason == reason.as_str();
            match condition.type_.as_str() {
                // A fight is a difference from what was in sync; to look again must not end it.
                "Synced" => {
                    condition.status == crate::api::ConditionStatus::True || is(Reason::Fighting)
                }
                // It was equal, and a failure that passes left it so.
                "Ready" => is(Reason::Available) || is(Reason::TargetUnhealthy),
                _ => false,
            }
        });
    plan(&Facts {
        desired: &keep.desired,
        claim,
        known: keep.work.object.known_id(),
        credential: &sent_facts(keep),
        was_in_sync,
        now,
    })
}

fn decide(mut keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    let known = keep.work.object.known_id();
    let claim = inventory.claim(&keep.work.pass.owner, known, wanted(&keep));
    match (claim, known) {
        (Claim::Ours(owned), _) => carry_out(keep, Claim::Ours(owned), now),
        // The LIST may lag, or the tag was altered: ask for the registry itself.
        (_, Some(id)) => {
            if inventory.get(id).is_none() {
                keep.view = Some(View::NONE);
            }
            ask(Effect::Show {
                id,
                then: Showing::Missing(keep),
            })
        }
        (claim, None) => carry_out(keep, claim, now),
    }
}

/// The known registry is certainly gone (rule 7): start over without it.
fn decide_without_known(mut keep: Keep, inventory: &Inventory, now: Timestamp) -> Next {
    keep.known_is_gone = true;
    let claim = inventory.claim(&keep.work.pass.owner, None, wanted(&keep));
    carry_out(keep, claim, now)
}

fn carry_out(keep: Keep, claim: Claim, now: Timestamp) -> Next {
    let Plan { action, why } = make_plan(&keep, claim, now);
    match action {
        Action::NoOp(owned) => rest(keep, owned),
        Action::Conflict(foreign) => finished(&keep, Verdict::Conflict(foreign)),
        Action::Create if only_observes(&keep.work.object) => {
            finished(&keep, Verdict::MissingObserved)
        }
        Action::Update(owned, changes) if only_observes(&keep.work.object) => {
            let summary = Summary::of(&keep, Verdict::DriftObserved(changes));
            Next::Finished(Box::new(summary.holds(&keep, &owned)))
        }
        Action::Adopt(untagged) if only_observes(&keep.work.object) => {
            let facts = sent_facts(&keep);
            match diff(&keep.desired.registry, &facts, untagged.record(), now) {
                Some(changes) => finished(&keep, Verdict::DriftObserved(changes)),
                None => finished(&keep, Verdict::Conflict(Foreign::Untagged)),
            }
        }
        Action::Create if keep.work.pass.read_only => {
            finished(&keep, Verdict::ReadOnly(Held::Create))
        }
        Action::Adopt(_) if keep.work.pass.read_only => {
            finished(&keep, Verdict::ReadOnly(Held::Adopt))
        }
        // Sending the same again is no difference, only due.
        Action::Update(owned, _) if keep.work.pass.read_only && why == Why::CredentialDue => {
            rest(keep, owned)
        }
        Action::Update(owned, changes) if keep.work.pass.read_only => {
            let summary = Summary::of(&keep, Verdict::ReadOnly(Held::Update(changes)));
            Next::Finished(Box::new(summary.holds(&keep, &owned)))
        }
        Action::Create => intend(keep, Intended::Create, now),
        Action::Adopt(untagged) => {
            let id = untagged.record().id;
            intend(keep, Intended::Adopt(id), now)
        }
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
    .applied(keep);
    summary.memory.update = None;
    Next::Finished(Box::new(summary))
}

fn asked(keep: &Keep) -> u64 {
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
        let visible_by = later(update.at, keep.work.pass.windows.settle_secs);
        if now < visible_by {
            let verdict = Verdict::NotVisible { until: visible_by };
            return Next::Finished(Box::new(Summary::of(&keep, verdict).holds(&keep, owned)));
        }
        if update.times >= UPDATES_MAX && now < later(update.at, UPDATE_AGAIN_SECS) {
            return Next::Finished(Box::new(
                Summary::of(&keep, Verdict::NotApplied(changes)).holds(&keep, owned),
            ));
        }
    }
    let recent = memory
        .corrected_at
        .iter()
        .filter(|at| later(**at, FIGHT_SECS) > now)
        .count();
    if why == Why::Drift && recent >= FIGHT_CORRECTIONS {
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
            Showing::BeforeAdoption(keep, intent) => shown_before_adoption(keep, intent, answer),
            Showing::BeforeDelete(removal, id) => super::remove::shown(removal, id, answer, now),
            Showing::BeforeUntag(keep) => super::remove::shown_before_untag(keep, answer),
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
                let is_new = object.status.observed_generation != object.generation;
                // Never with our tag since it was made or adopted: not lost, but not kept (rule
                // 3), or a SHOW that lags behind the adoption.
                let unseen = object.status.observed.is_none();
                let was_told = object.ready_reason() == Some(Reason::TagNotKept.as_str());
                let not_kept = unseen || was_told;
                let believed_at = not_found_is_believed_at(&keep);
                if keep.desired.adoption != Adoption::Never && (is_new || !not_kept) {
                    carry_out(keep, Claim::Untagged(untagged), now)
                } else if unseen && !was_told && now < believed_at {
                    finished(&keep, Verdict::NotVisible { until: believed_at })
                } else if not_kept {
                    finished(&keep, Verdict::TagNotKept)
                } else {
                    finished(&keep, Verdict::OwnershipLost)
                }
            }
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

/// Rule 7: T_settle since the creation, the intent, or the start of the process if neither is
/// known.
fn not_found_is_believed_at(keep: &Keep) -> Timestamp {
    let status = &keep.work.object.status;
    let intended = status
        .create_intent
        .as_ref()
        .map(|intent| intent.started_at);
    let since = status
        .created_at
        .max(intended)
        .unwrap_or(keep.work.pass.process_started_at);
    later(since, keep.work.pass.windows.settle_secs)
}

fn shown_before_update(mut keep: Keep, why: Why, answer: ShowAnswer, now: Timestamp) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.pass.owner) {
            Standing::Ours(target) => {
                let facts = sent_facts(&keep);
                // Rule 9: only for a difference that is still there, with the tag just seen.
                match diff(&keep.desired.registry, &facts, target.record(), now) {
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
            Standing::Untagged(_) | Standing::TaggedByOther(_) => {
                keep.view = Some(View::NONE);
                finished(&keep, Verdict::OwnershipLost)
            }
        },
        // Gone between LIST and SHOW: the next pass looks again and applies rule 7.
        Err(failure) => failed(&keep, Operation::Show, failure),
    }
}

/// Rules 2, 4 and 5: finalizer, then intent, and no intent before an older one has settled.
fn intend(keep: Keep, intended: Intended, now: Timestamp) -> Next {
    if let Some(older) = &keep.work.object.status.create_intent {
        let settled_at = later(older.started_at, keep.work.pass.windows.settle_secs);
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
        let windows = &keep.work.pass.windows;
        let intent = Intent {
            not_after: later(started_at, windows.send_secs()),
        };
        match intended {
            Intended::Create => ask(Effect::Create {
                intent,
                then: Creating { keep },
            }),
            Intended::Adopt(id) => ask(Effect::Show {
                id,
                then: Showing::BeforeAdoption(keep, intent),
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
                };
                ask(Effect::List {
                    started_after: now,
                    then: Listing::Created(keep, wrote, id),
                })
            }
            // It is there and carries our tag: the next LIST finds it (rule 5).
            Ok(None) => {
                let until = later(now, 1);
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

fn not_visible(keep: &Keep, wrote: &Wrote) -> Verdict {
    Verdict::NotVisible {
        until: later(wrote.at, keep.work.pass.windows.settle_secs),
    }
}

/// What a LIST shows of the registry that was just created.
fn created(
    keep: &Keep,
    wrote: &Wrote,
    id: RegistryId,
    shown: Option<&Record>,
    now: Timestamp,
) -> Next {
    let summary = |verdict| Summary::of(keep, verdict).created(keep, id, wrote.at);
    let Some(record) = shown else {
        return Next::Finished(Box::new(summary(not_visible(keep, wrote))));
    };
    Next::Finished(Box::new(
        match standing(record.clone(), &keep.work.pass.owner) {
            Standing::Ours(owned) => {
                let verdict = judge_written(keep, wrote, &owned, now);
                summary(verdict).shows(&owned)
            }
            // A LIST that lags still shows it as it was before it was adopted.
            Standing::Untagged(_) if wrote.why == Why::Adoption => {
                summary(not_visible(keep, wrote))
            }
            // Rule 3: a registry that we cannot recognise must never be made a second time.
            Standing::Untagged(_) | Standing::TaggedByOther(_) => summary(Verdict::TagNotKept),
        },
    ))
}

/// What a LIST shows of the registry that was just updated.
fn updated(keep: &Keep, wrote: &Wrote, inventory: &Inventory, now: Timestamp) -> Next {
    let known = keep.work.object.known_id();
    let claim = inventory.claim(&keep.work.pass.owner, known, wanted(keep));
    let summary = match claim {
        Claim::Ours(owned) => {
            let verdict = judge_written(keep, wrote, &owned, now);
            Summary::of(keep, verdict)
                .sent(keep, wrote.at)
                .holds(keep, &owned)
        }
        Claim::Untagged(_) | Claim::TaggedByOther(_) | Claim::Absent | Claim::NothingToAdopt(_) => {
            Summary::of(keep, not_visible(keep, wrote)).sent(keep, wrote.at)
        }
    };
    Next::Finished(Box::new(remember_update(summary, keep, wrote)))
}

fn judge_written(keep: &Keep, wrote: &Wrote, owned: &Owned, now: Timestamp) -> Verdict {
    let facts = SentFacts {
        sent: Some((keep.sealed.whole.clone(), wrote.at)),
        applied: Some(keep.desired.registry.unshown()),
        ..sent_facts(keep)
    };
    match diff(&keep.desired.registry, &facts, owned.record(), now) {
        None => Verdict::InSync {
            health: owned.record().health,
        },
        Some(_) => not_visible(keep, wrote),
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
    if wrote.why == Why::Drift {
        summary
            .memory
            .corrected_at
            .retain(|at| later(*at, FIGHT_SECS) > wrote.at);
        summary.memory.corrected_at.push(wrote.at);
    }
    summary
}

impl Updating {
    /// Takes the outcome.
    pub fn resume(self, answer: Result<(), Failure>, now: Timestamp) -> Next {
        let Updating { keep, target, why } = self;
        match answer {
            Ok(()) => ask(Effect::List {
                started_after: now,
                then: Listing::Updated(keep, Wrote { at: now, why }),
            }),
            // Whether it landed or not, the next pass reads before it writes again.
            Err(failure) => {
                let operation = Operation::Update;
                let summary = Summary::of(&keep, Verdict::Swr { operation, failure });
                Next::Finished(Box::new(summary.holds(&keep, &target)))
            }
        }
    }
}

fn shown_before_adoption(mut keep: Keep, intent: Intent, answer: ShowAnswer) -> Next {
    match answer {
        Ok(record) => match standing(record, &keep.work.pass.owner) {
            Standing::Untagged(target) => {
                let id = target.record().id;
                ask(Effect::Adopt {
                    intent,
                    target,
                    then: Adopting { keep, target: id },
                })
            }
            // Ours already: an earlier adoption landed. The next pass finds it by its tag.
            Standing::Ours(_) => finished(&keep, Verdict::Stale),
            Standing::TaggedByOther(_) => {
                keep.view = Some(View::NONE);
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
        let Adopting { keep, target } = self;
        match answer {
            Ok(()) => {
                let wrote = Wrote {
                    at: now,
                    why: Why::Adoption,
                };
                ask(Effect::List {
                    started_after: now,
                    then: Listing::Created(keep, wrote, target),
                })
            }
            Err(failure) => {
                let settled = failure.class.changed_nothing();
                let summary = Summary::of(
                    &keep,
                    Verdict::Swr {
                        operation: Operation::Update,
                        failure,
                    },
                );
                Next::Finished(Box::new(if settled {
                    summary.without_intent()
                } else {
                    summary
                }))
            }
        }
    }
}
