//! One reconcile of one object: `loop { step; execute }`, the only caller of `step` in production,
//! and at its end the one write of the status.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use jiff::Timestamp;

use crate::metrics::Shown;
use swr_operator_api::registry::ReplicationRegistryStatus;
use swr_operator_api::{ConditionStatus, GROUP};
use swr_operator_clock as clock;
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::effect::Next;
use swr_operator_core::event;
use swr_operator_core::object::{Object, ObjectKey, Version};
use swr_operator_core::reconcile::{Clearance, Memory, Reconcile, Watched, Witness};
use swr_operator_core::requeue::{Requeue, requeue};
use swr_operator_core::status::status;
use swr_operator_core::step;
use swr_operator_core::summary::{Summary, Verdict};
use swr_operator_core::tag::Owner;
use swr_operator_core::time;
use tracing::Instrument as _;

use super::context::Context;
use super::execute::Executor;
use super::turn::{Ended, Turn};

/// How often the status is written anew when only the spec changed meanwhile.
const REBASES_MAX: u32 = 3;

/// Runs one reconcile. Every line that it logs says whose it is.
pub(super) fn run(
    context: Arc<Context>,
    turn: Turn,
    witness: Witness,
    clearance: Clearance,
) -> impl Future<Output = Ended> + Send {
    let mut id = [0; 8];
    clock::random(&mut id);
    // At the highest level, so that a line of any level has these fields. Their names are those of
    // controller-runtime.
    let span = tracing::error_span!(
        "reconcile",
        controller = "replicationregistry",
        controllerGroup = GROUP,
        controllerKind = "ReplicationRegistry",
        namespace = &*turn.key.namespace,
        name = &*turn.key.name,
        reconcileID = format!("{:016x}", u64::from_be_bytes(id)),
    );
    contained(context, turn, witness, clearance).instrument(span)
}

async fn contained(
    context: Arc<Context>,
    turn: Turn,
    witness: Witness,
    clearance: Clearance,
) -> Ended {
    let Turn {
        key,
        uid,
        memory,
        load,
        watched,
        ..
    } = turn;
    let owner = Owner::new(&context.installation, &uid, &key.namespace, &key.name);
    let reconcile = Reconcile {
        key: key.clone(),
        uid: uid.clone(),
        owner,
        windows: context.windows,
        read_only: context.read_only,
        witness,
        clearance,
        memory,
    };
    let upon = watched.as_ref().map(|it| it.object.version.clone());
    // It lives until the status is written: at the end of the process that is waited for, as it follows a write.
    let mut executor = Executor::new(&context, load);
    // E9: what panics is one reconcile, not the operator.
    let summary = match AssertUnwindSafe(drive(&mut executor, reconcile, watched))
        .catch_unwind()
        .await
    {
        Ok(summary) => summary,
        Err(_) => {
            // The panic's text went to the log by its hook. It must not come to the status.
            tracing::error!("a reconcile panicked; this is a bug, please report it");
            let object = context.objects.read(&key).await.ok().flatten();
            let object = object.filter(|object| object.uid == uid);
            Summary {
                object,
                ..Summary::unread(Memory::default(), Verdict::Panicked)
            }
        }
    };
    end(&context, &key, &uid, upon, summary).await
}

async fn drive(
    executor: &mut Executor<'_>,
    reconcile: Reconcile,
    watched: Option<Box<Watched>>,
) -> Summary {
    let mut next = step::start(reconcile, watched.map(|watched| *watched));
    loop {
        match next {
            Next::Do(effect) => {
                tracing::trace!(effect = effect.name(), "next effect");
                next = executor.execute(*effect).await;
            }
            Next::Finished(summary) => return *summary,
        }
    }
}

async fn end(
    context: &Context,
    key: &ObjectKey,
    uid: &str,
    upon: Option<Version>,
    summary: Summary,
) -> Ended {
    let now = clock::now();
    let had_object = summary.object.is_some();
    if let Verdict::Released { removed, clones } = &summary.verdict {
        tracing::info!(?removed, ?clones, "finalizer removed");
        if let Some(event) = event::removed(*removed, clones) {
            context.events.publish(key, uid, event);
        }
        context.metrics.objects.released(key, now);
    }
    let mut next = requeue(&summary, &context.windows, now);
    let new = status(&summary, &context.windows, now);
    let written = match (&summary.object, &new) {
        (Some(object), Some(new)) => write(context, object, new).await,
        _ => Ok(()),
    };
    let mut stalled = false;
    let is_told = written.is_ok() && (new.is_some() || summary.verdict.is_of_object());
    if let Some(object) = summary.object.as_ref().filter(|_| is_told) {
        tell(context, object, new.as_ref(), &summary, now);
        let status = new.as_ref().unwrap_or(&object.status);
        stalled = status.conditions.iter().any(|it| it.type_ == "Stalled");
    }
    match written {
        Ok(()) => {}
        Err(KubeFailure::Conflict | KubeFailure::NotFound) => next = Requeue::Now,
        Err(KubeFailure::Forbidden | KubeFailure::Rejected | KubeFailure::Unavailable) => {
            next = Requeue::Backoff { min_secs: 0 };
        }
    }
    let version = summary.object.as_ref().map(|object| &object.version);
    let upon = upon.filter(|upon| version == Some(upon) && new.is_none());
    let baseline = summary.to_baseline();
    let mut memory = summary.memory;
    // Without an object the reconcile only read, so nothing is on its way.
    let lost_a_write = had_object && summary.verdict == Verdict::KubernetesUnavailable;
    if written == Err(KubeFailure::Unavailable) || lost_a_write {
        memory.unanswered_at = Some(now);
    }
    let settled_at = memory
        .unanswered_at
        .map(|at| time::after(at, context.windows.settle_secs));
    Ended {
        requeue: next,
        again_at: settled_at.filter(|at| *at > now && next != Requeue::Never),
        memory,
        // What was not written down must be reconciled again, whatever the next poll shows.
        baseline: baseline.filter(|_| written.is_ok()),
        verdict: summary.verdict,
        upon,
        stalled,
    }
}

/// Says in log, events and metrics what the status says.
fn tell(
    context: &Context,
    object: &Object,
    new: Option<&ReplicationRegistryStatus>,
    summary: &Summary,
    now: Timestamp,
) {
    let status = new.unwrap_or(&object.status);
    if new.is_some()
        && let Some(ready) = status.conditions.first()
    {
        tracing::info!(
            generation = object.generation,
            registry_id = status.registry_id,
            ready = ready.status.as_str(),
            reason = ready.reason,
            because = ready.message,
            "status written"
        );
    }
    let objects = &context.metrics.objects;
    let before = &object.status.conditions;
    // Drift that is not going to be corrected is counted where what was equal is found different.
    let was_equal = before
        .iter()
        .any(|it| it.type_ == "Synced" && it.status == ConditionStatus::True);
    if let Some(changes) = summary.verdict.unwritten().filter(|_| was_equal) {
        objects.drift_detected(&object.key, changes);
    }
    let verdict = &summary.verdict;
    for event in event::told(verdict, object.deleting, &object.status, status) {
        context.events.publish(&object.key, &object.uid, event);
    }
    let shown = Shown {
        object,
        observed_generation: status.observed_generation,
        conditions: &status.conditions,
        poll_secs: object.poll_secs.unwrap_or(context.windows.poll_secs),
        was_compared: summary.baseline.is_some(),
    };
    objects.shown(&shown, now);
}

/// Writes the status. If somebody changed the object since, but not its status, the decision
/// still stands for the generation that it names: it is written onto the newer object. The
/// comparison of the whole status keeps the intent's compare-and-swap what it is.
async fn write(
    context: &Context,
    decided_on: &Object,
    new: &ReplicationRegistryStatus,
) -> Result<(), KubeFailure> {
    let mut object = decided_on.clone();
    for _ in 0..REBASES_MAX {
        match context.objects.write_status(&object, new).await {
            Ok(_) => return Ok(()),
            Err(KubeFailure::Conflict) => {}
            Err(failure) => return Err(failure),
        }
        match context.objects.read(&decided_on.key).await? {
            Some(newer) if newer.uid == object.uid && newer.status == object.status => {
                object = newer;
            }
            Some(_) | None => return Err(KubeFailure::Conflict),
        }
    }
    Err(KubeFailure::Conflict)
}
