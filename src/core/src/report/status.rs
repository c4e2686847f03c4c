//! summary x old status -> the new status, or nothing to write. A total function: its text comes
//! from the class and from stable facts, never from ids of requests, times or counts, because
//! every change of it is a write and an event for everybody who watches.

use jiff::Timestamp;

use crate::answer::SecretProblem;
use crate::api::reason::{Progress, Reason};
use crate::api::registry::{
    Binding, CreateIntent, DeletionPolicy, FieldDiff, ObservedRegistry, ReplicationRegistryStatus,
    SentCredential,
};
use crate::api::{ALLOW_DELETIONS_UNTIL, Condition, ConditionStatus};
use crate::desired::RegistryId;
use crate::diff::Changes;
use crate::failure::{Cause, Failure};
use crate::object::Object;
use crate::observed::{Health, Record};
use crate::reconcile::Windows;
use crate::summary::{Blocker, Held, Note, Operation, SECRET_GRACE_SECS, Summary, Verdict};
use crate::time;

mod words;

use words::{
    account_message, blocked_by, conflict_message, needed_permission, registries, secret_message,
};

/// A passing failure leaves `Ready` as it is for as long as this many polls take: a moment of
/// trouble in the cloud must not turn a thousand applications yellow.
const MISSED_POLLS_MAX: i64 = 3;
/// `status.diff` shows this many fields at most.
const DIFFS_MAX: usize = 10;
/// `status.clones` names this many registries at most.
const CLONES_MAX: usize = 5;
/// A value in `status.diff` is cut after this many characters.
const DIFF_CHARS_MAX: usize = 256;

/// What the conditions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// `Ready`: equal, healthy, verified.
    pub ready: ConditionStatus,
    /// `Synced`: the last comparison with SWR.
    pub synced: ConditionStatus,
    /// Why, for both.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// `Ready` stays as it is, and only `Synced` takes reason and message.
    pub keeps_ready: bool,
}

/// The status after a reconcile, `None` if there is nothing to write: no object, nothing learnt, or
/// nothing changed.
pub fn status(
    summary: &Summary,
    windows: &Windows,
    now: Timestamp,
) -> Option<ReplicationRegistryStatus> {
    let object = summary.object.as_ref()?;
    let old = &object.status;
    let judgement = judge(summary, object, windows, now)?;

    let mut new = old.clone();
    new.observed_generation = object.generation;
    match &summary.id {
        Note::Keep => {}
        Note::Set(id) => new.registry_id = Some(id.0),
        Note::Clear => new.registry_id = None,
    }
    if summary.clears_intent {
        new.create_intent = None;
    }
    if let Some(at) = summary.created_at {
        new.created_at = Some(at);
    }
    if let Some(binding) = &summary.binding {
        new.binding = Some(binding.clone());
    }
    if let Some((secret, fingerprint, at)) = &summary.sent {
        new.credential = Some(SentCredential {
            secret_name: secret.to_string(),
            fingerprint: fingerprint.as_str().to_owned(),
            sent_at: *at,
        });
    }
    if let Some(applied) = &summary.applied {
        new.applied = Some(applied.clone());
    }
    if let Some(record) = &summary.observed {
        new.observed = Some(observed(record));
        new.tag_not_kept = false;
    }
    if summary.verdict == Verdict::TagNotKept {
        new.tag_not_kept = true;
    }
    if let Some(clones) = summary.clones(new.registry_id.map(RegistryId)) {
        let clones = clones.iter().take(CLONES_MAX);
        new.clones = clones.map(|id| id.0).collect();
    }
    let is_in_vain = matches!(
        summary.verdict,
        Verdict::CannotDelete(_) | Verdict::DeletionSettling { .. }
    );
    if is_in_vain && object.deletion_policy == DeletionPolicy::Delete {
        new.deletion_attempted_at.get_or_insert(now);
    }
    if let Some(credential) = &mut new.credential {
        // Written by a clock that was ahead: it must not postpone the next sending.
        credential.sent_at = credential.sent_at.min(now);
    }
    new.diff = summary.verdict.unwritten().map(diffs).unwrap_or_default();
    if !summary.verdict.is_tried_again() {
        new.last_handled_reconcile_at
            .clone_from(&object.requested_at);
    }
    // Nothing passing lifts or explains what only another answer of SWR can lift.
    if !(is_passing(summary, &judgement) && names_lasting_cause(object)) {
        new.conditions = conditions(&judgement, &old.conditions, object.generation, now);
    }

    (!same(&new, old)).then_some(new)
}

/// Reason and sentence of the conditions after a reconcile, for who shows them without writing them; `None`
/// when nothing was learnt about the object.
pub fn said(summary: &Summary, windows: &Windows, now: Timestamp) -> Option<(Reason, String)> {
    let judgement = judge(summary, summary.object.as_ref()?, windows, now)?;
    Some((judgement.reason, judgement.message))
}

/// The status with an intent (rule 4). It also says for the first time that the object was seen,
/// because a write that has to be made anyway may as well tell.
pub fn with_intent(
    object: &Object,
    intent: CreateIntent,
    binding: Binding,
    forgets_id: bool,
    now: Timestamp,
) -> ReplicationRegistryStatus {
    let mut new = object.status.clone();
    new.observed_generation = object.generation;
    new.create_intent = Some(intent);
    new.binding = Some(binding);
    if forgets_id {
        new.registry_id = None;
        new.created_at = None;
        new.observed = None;
        new.applied = None;
        new.tag_not_kept = false;
    }
    let judgement = Judgement {
        ready: ConditionStatus::Unknown,
        synced: ConditionStatus::False,
        reason: Reason::Progressing,
        message: "creating the registry in SWR".to_owned(),
        keeps_ready: false,
    };
    // A failure that was reported for this spec stays reported while it is tried again.
    let is_retry = object.status.observed_generation == object.generation
        && new.conditions.iter().any(|condition| {
            condition.type_ == "Ready"
                && condition.status == ConditionStatus::False
                && condition.reason != Reason::ReadOnly.as_str()
        });
    if !is_retry {
        new.conditions = conditions(&judgement, &new.conditions, object.generation, now);
    }
    new
}

/// The status with the id of the registry that was just created, before SWR shows it (rule 6).
pub fn with_id(
    object: &Object,
    id: RegistryId,
    created_at: Timestamp,
) -> ReplicationRegistryStatus {
    let mut new = object.status.clone();
    new.registry_id = Some(id.0);
    new.created_at = Some(created_at);
    new.create_intent = None;
    new
}

/// The status with the id of a registry that was found by its tag before it is deleted or let go
/// (rule 8). An intent stays: what it announced may still be made.
pub fn with_found(
    object: &Object,
    id: RegistryId,
    shown: Option<&Record>,
) -> ReplicationRegistryStatus {
    let mut new = object.status.clone();
    new.registry_id = Some(id.0);
    new.observed = shown.map(observed);
    new
}

/// Whether nothing changed that is worth a write. What only informs goes along with the next one.
fn same(new: &ReplicationRegistryStatus, old: &ReplicationRegistryStatus) -> bool {
    let without_information = |status: &ReplicationRegistryStatus| {
        let mut status = status.clone();
        if let Some(observed) = &mut status.observed {
            observed.updated_at = None;
        }
        status
    };
    without_information(new) == without_information(old)
}

fn observed(record: &Record) -> ObservedRegistry {
    ObservedRegistry {
        name: record.name.clone(),
        type_: record.type_.to_string(),
        url: record.url.to_string(),
        insecure: record.insecure,
        description: record.text().to_owned(),
        status: record.health.word().map(str::to_owned),
        updated_at: record.updated_at.clone(),
    }
}

fn diffs(changes: &Changes) -> Vec<FieldDiff> {
    let cut = |text: &str| -> String { text.chars().take(DIFF_CHARS_MAX).collect() };
    changes
        .all()
        .iter()
        .take(DIFFS_MAX)
        .map(|change| FieldDiff {
            field: change.field.path().to_owned(),
            desired: cut(&change.desired),
            observed: cut(&change.observed),
        })
        .collect()
}

fn conditions(
    judgement: &Judgement,
    old: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    // Conditions carry whole seconds, as everywhere in Kubernetes.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let previous = |type_: &str| old.iter().find(|condition| condition.type_ == type_);
    let condition = |type_: &str, status, reason: &str, message: &str| Condition {
        type_: type_.to_owned(),
        status,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: previous(type_)
            .filter(|previous| previous.status == status)
            .map_or(now, |previous| previous.last_transition_time),
        observed_generation: Some(generation),
    };
    let reason = judgement.reason.as_str();
    let message = judgement.message.as_str();

    let ready = match previous("Ready").filter(|_| judgement.keeps_ready) {
        Some(previous) => condition(
            "Ready",
            previous.status,
            &previous.reason,
            &previous.message,
        ),
        None => condition("Ready", judgement.ready, reason, message),
    };
    let synced = condition("Synced", judgement.synced, reason, message);
    let mut conditions = vec![ready, synced];
    if !judgement.keeps_ready {
        match judgement.reason.progress() {
            Progress::Settled => {}
            Progress::Reconciling => conditions.push(condition(
                "Reconciling",
                ConditionStatus::True,
                reconciling_reason(judgement.reason),
                message,
            )),
            Progress::Stalled => {
                conditions.push(condition("Stalled", ConditionStatus::True, reason, message));
            }
        }
    }
    conditions
}

/// Flux's word for "an attempt failed, and the next one follows by itself".
fn reconciling_reason(reason: Reason) -> &'static str {
    let retries = matches!(
        reason,
        Reason::SecretNotFound
            | Reason::AccountNotReady
            | Reason::ApiUnavailable
            | Reason::Throttled
            | Reason::ClockSkew
            | Reason::AuthFailed
            | Reason::InstanceNotRunning
            | Reason::InternalError
    );
    if retries {
        "ProgressingWithRetry"
    } else {
        reason.as_str()
    }
}

/// What the conditions say after a reconcile; `None` when nothing was learnt about the object.
fn judge(
    summary: &Summary,
    object: &Object,
    windows: &Windows,
    now: Timestamp,
) -> Option<Judgement> {
    use ConditionStatus::{False, Unknown};
    let say = |ready, synced, reason, message: String| {
        Some(Judgement {
            ready,
            synced,
            reason,
            message,
            keeps_ready: false,
        })
    };
    match &summary.verdict {
        Verdict::Gone
        | Verdict::Released { .. }
        | Verdict::KubernetesUnavailable
        | Verdict::Stale => None,
        Verdict::KubernetesRefuses => say(
            False,
            Unknown,
            Reason::Forbidden,
            "the API server refuses or drops what the operator writes to this object, such as its finalizer: check the operator's RBAC, the cluster's admission policies, and that the CRDs are of the operator's version; its log names the write".to_owned(),
        ),
        // For seconds, and a status costs a write.
        Verdict::DeletionAwaited => None,
        Verdict::Panicked => say(
            Unknown,
            Unknown,
            Reason::InternalError,
            "the operator met a bug of its own while working on this object".to_owned(),
        ),
        Verdict::Suspended => Some(suspended(object)),
        Verdict::InvalidSpec(findings) => {
            let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
            say(False, Unknown, Reason::InvalidSpec, all.join("; "))
        }
        Verdict::NoAccount(problem) => Some(passing(
            summary,
            object,
            windows,
            now,
            Reason::AccountNotReady,
            account_message(&object.scope.account, problem),
        )),
        Verdict::NotGranted(denied) => say(False, Unknown, denied.reason, denied.message.clone()),
        Verdict::BindingChanged(was) => say(
            False,
            Unknown,
            Reason::BindingChanged,
            format!(
                "the registry was created in project {} of region {}, instance {}, but the account leads elsewhere now",
                was.project_id, was.region, was.instance_id
            ),
        ),
        Verdict::NoCredential { secret, problem } => {
            let grace_end = summary.secret_grace_ends_at();
            let may_be_filled = grace_end.is_some_and(|end| now < end);
            let (reason, message) = secret_message(&secret.name, problem, may_be_filled);
            if *problem != SecretProblem::Unavailable {
                return say(False, Unknown, reason, message);
            }
            // Trouble with the API server says nothing about the object. But what lasts is trouble with Secrets
            // alone, or this could not be written; nothing else tells of it.
            let since = summary.memory.unverified_since;
            let lasts = since.is_some_and(|since| time::after(since, SECRET_GRACE_SECS) <= now);
            let judgement = passing(summary, object, windows, now, reason, message);
            (lasts && !judgement.keeps_ready).then_some(judgement)
        }
        Verdict::InSync { health } => Some(in_sync(summary, object, *health, windows, now)),
        Verdict::NotVisible { .. } => say(
            Unknown,
            Unknown,
            Reason::Verifying,
            "the registry was written; SWR does not show it as written yet".to_owned(),
        ),
        Verdict::Settling { .. } => say(
            Unknown,
            Unknown,
            Reason::Progressing,
            "an earlier request to create the registry was not answered; waiting until it is certain that it was not carried out".to_owned(),
        ),
        Verdict::DriftObserved(changes) => say(
            False,
            False,
            Reason::DriftObserved,
            format!("SWR differs from the spec in: {changes}"),
        ),
        Verdict::MissingObserved => say(
            False,
            False,
            Reason::DriftObserved,
            "the registry does not exist in SWR".to_owned(),
        ),
        Verdict::ReadOnly(held) => {
            let would = match held {
                Held::Create => "create the registry".to_owned(),
                Held::Adopt => "adopt the registry".to_owned(),
                Held::Update(changes) => format!("update: {changes}"),
            };
            let message = format!("the operator runs with --read-only; it would {would}");
            say(False, False, Reason::ReadOnly, message)
        }
        Verdict::Conflict(foreign) => say(False, False, Reason::Conflict, conflict_message(object, *foreign)),
        Verdict::DuplicateTag(ids) => say(
            False,
            Unknown,
            Reason::DuplicateTag,
            format!(
                "{} in SWR carry the ownership tag of this object or of an earlier one of its name, and nothing tells which is its own: delete the others, or take the tag off their descriptions",
                registries(ids)
            ),
        ),
        Verdict::Rebuilding { .. } => say(
            Unknown,
            Unknown,
            Reason::Progressing,
            "the registry of an earlier object of this name was found; it is taken over once it is certain that nobody else writes to it".to_owned(),
        ),
        Verdict::OwnershipLost => say(
            False,
            Unknown,
            Reason::OwnershipLost,
            "the registry's ownership tag was removed or replaced in SWR; nothing more is written to it".to_owned(),
        ),
        Verdict::TagNotKept => say(
            False,
            Unknown,
            Reason::TagNotKept,
            "SWR did not keep the ownership tag in the registry's description; nothing more is written to it".to_owned(),
        ),
        Verdict::NotApplied(changes) => say(
            False,
            False,
            Reason::NotApplied,
            format!("SWR accepted the update twice and still shows the old value of: {changes}"),
        ),
        Verdict::Fighting(changes) => say(
            False,
            False,
            Reason::Fighting,
            format!("something else keeps changing back: {changes}"),
        ),
        Verdict::Swr { operation, failure } => {
            Some(swr(summary, object, windows, now, *operation, failure))
        }
        Verdict::DeletionSuspended => say(
            False,
            Unknown,
            Reason::Suspended,
            "spec.suspend holds the deletion".to_owned(),
        ),
        Verdict::DeletionReadOnly => say(
            False,
            Unknown,
            Reason::ReadOnly,
            "the operator runs with --read-only, which holds the deletion".to_owned(),
        ),
        Verdict::DeletionProtected => say(
            False,
            Unknown,
            Reason::DeletionProtected,
            "spec.deletionProtection holds the deletion, which cannot be taken back: to keep the registry in SWR, set spec.deletionPolicy to Orphan and spec.deletionProtection to false; with spec.deletionPolicy Delete, spec.deletionProtection false deletes it in SWR, too".to_owned(),
        ),
        Verdict::DeletionPaused => say(
            False,
            Unknown,
            Reason::DeletionPaused,
            format!(
                "too many objects of SWR instance {} are being deleted at once, so nothing is deleted in SWR: to delete their registries, an administrator lets deletions through for a time with kubectl annotate --overwrite swraccount {} {ALLOW_DELETIONS_UNTIL}=TIME, where TIME lies ahead, in the form 2026-01-31T12:00:00Z; to keep a registry in SWR, set spec.deletionPolicy to Orphan",
                object.scope.instance, object.scope.account
            ),
        ),
        Verdict::DeletionSettling { .. } => say(
            False,
            Unknown,
            Reason::Deleting,
            "waiting until it is certain that nothing of this object is left in SWR".to_owned(),
        ),
        Verdict::CannotDelete(blocker) => Some(cannot_delete(object, blocker)),
        Verdict::CannotUntag { blocker, .. } => say(
            False,
            Unknown,
            Reason::Deleting,
            format!(
                "cannot take the ownership tag off the registry: {}; it is tried again for some minutes, then the object goes and the tag stays",
                blocked_by(object, blocker)
            ),
        ),
    }
}

/// What was known stands, until the spec is edited: nobody compares the new one.
fn suspended(object: &Object) -> Judgement {
    let was_suspended = object.ready_reason() == Some(Reason::Suspended.as_str());
    let is_edited = was_suspended && object.generation != object.status.observed_generation;
    let previous = object
        .status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .filter(|_| !is_edited);
    Judgement {
        ready: previous.map_or(ConditionStatus::Unknown, |previous| previous.status),
        synced: ConditionStatus::Unknown,
        reason: Reason::Suspended,
        message: "spec.suspend is true: SWR is neither read nor written".to_owned(),
        keeps_ready: false,
    }
}

/// Whether the reconcile failed in a way that passes by itself.
fn is_passing(summary: &Summary, judgement: &Judgement) -> bool {
    let failed = matches!(summary.verdict, Verdict::NoAccount(_) | Verdict::Swr { .. });
    failed && judgement.reason.progress() == Progress::Reconciling
}

/// Whether the conditions name, for this very spec, a cause that only another answer of SWR lifts.
fn names_lasting_cause(object: &Object) -> bool {
    let lasting = [
        Reason::InvalidSpec,
        Reason::Conflict,
        Reason::Forbidden,
        Reason::QuotaExceeded,
        Reason::NotApplied,
        Reason::TagNotKept,
        Reason::DuplicateTag,
        Reason::OwnershipLost,
        Reason::Fighting,
    ];
    let status = &object.status;
    status.observed_generation == object.generation
        && status.conditions.iter().any(|condition| {
            condition.type_ == "Stalled"
                && condition.status == ConditionStatus::True
                && lasting
                    .iter()
                    .any(|reason| condition.reason == reason.as_str())
        })
}

/// Whether the object was verified for this very spec.
fn was_ready(object: &Object) -> bool {
    object.status.observed_generation == object.generation
        && object.status.conditions.iter().any(|condition| {
            condition.type_ == "Ready"
                && (condition.status == ConditionStatus::True
                    || condition.reason == Reason::TargetUnhealthy.as_str())
        })
}

/// Until when a passing failure leaves `Ready` as it was, if that says that the object is verified.
pub(crate) fn believed_until(
    summary: &Summary,
    object: &Object,
    windows: &Windows,
) -> Option<Timestamp> {
    let poll_secs = object.poll_secs.unwrap_or(windows.poll_secs);
    let since = summary.memory.unverified_since?;
    let secs = poll_secs.saturating_mul(MISSED_POLLS_MAX);
    was_ready(object).then(|| time::after(since, secs))
}

/// A failure that passes by itself. An object that was ready for this very spec stays ready for
/// the first reconciles.
fn passing(
    summary: &Summary,
    object: &Object,
    windows: &Windows,
    now: Timestamp,
    reason: Reason,
    message: String,
) -> Judgement {
    let was_ready = was_ready(object);
    let until = believed_until(summary, object, windows);
    let keeps_ready = was_ready && until.is_none_or(|until| now < until);
    let was_doubted = object.status.observed_generation == object.generation
        && object.status.conditions.iter().any(|condition| {
            condition.type_ == "Ready"
                && condition.status == ConditionStatus::Unknown
                && condition.reason == reason.as_str()
        });
    let ready = if was_ready || was_doubted {
        // It was right when it was observed last; nobody can say whether it still is.
        ConditionStatus::Unknown
    } else {
        ConditionStatus::False
    };
    Judgement {
        ready,
        synced: ConditionStatus::Unknown,
        reason,
        message,
        keeps_ready,
    }
}

fn in_sync(
    summary: &Summary,
    object: &Object,
    health: Health,
    windows: &Windows,
    now: Timestamp,
) -> Judgement {
    let (ready, reason, message) = match health {
        Health::Healthy => (
            ConditionStatus::True,
            Reason::Available,
            "the registry is equal to the spec and healthy",
        ),
        // A field that SWR leaves out is no finding.
        Health::NotReported => (
            ConditionStatus::True,
            Reason::Available,
            "the registry is equal to the spec; SWR does not report its health",
        ),
        Health::Unhealthy
            if summary
                .grace_ends_at(object, windows, now)
                .is_some_and(|end| now < end) =>
        {
            (
                ConditionStatus::Unknown,
                Reason::Verifying,
                "SWR reports the target as unhealthy; it was just written, so its next check is awaited",
            )
        }
        Health::Unhealthy => (
            ConditionStatus::False,
            Reason::TargetUnhealthy,
            "SWR reports the target as unhealthy: check url, network and credential",
        ),
    };
    let ours = summary.observed.as_ref().map(|record| record.id);
    let clones = summary.clones(ours).unwrap_or_default();
    let copies = match clones.as_slice() {
        [] => String::new(),
        [only] => format!(
            "; registry {only} carries a copy of its ownership tag and is left alone: delete it, or take the tag off its description"
        ),
        several => format!(
            "; {} carry copies of its ownership tag and are left alone: delete them, or take the tag off their descriptions",
            registries(several)
        ),
    };
    Judgement {
        ready,
        synced: ConditionStatus::True,
        reason,
        message: format!("{message}{copies}"),
        keeps_ready: false,
    }
}

fn swr_reason(failure: &Failure) -> Reason {
    match failure.cause {
        Cause::Unreachable
        | Cause::NotConnected(_)
        | Cause::TimedOut
        | Cause::ServerError
        | Cause::Malformed
        | Cause::ListHasGaps
        | Cause::Redirected
        | Cause::ApiNotFound
        | Cause::RegistryNotFound
        | Cause::InUse
        | Cause::QuestionRejected
        | Cause::TooLate => Reason::ApiUnavailable,
        Cause::Throttled | Cause::OwnLimits => Reason::Throttled,
        Cause::AuthFailed => Reason::AuthFailed,
        Cause::ClockSkew { .. } => Reason::ClockSkew,
        Cause::Forbidden => Reason::Forbidden,
        Cause::InstanceNotFound | Cause::InstanceNotRunning => Reason::InstanceNotRunning,
        Cause::AlreadyExists => Reason::Conflict,
        Cause::QuotaExceeded => Reason::QuotaExceeded,
        Cause::Rejected | Cause::DnsConfRejected => Reason::InvalidSpec,
        Cause::TargetUnreachable => Reason::TargetUnhealthy,
    }
}

fn swr(
    summary: &Summary,
    object: &Object,
    windows: &Windows,
    now: Timestamp,
    operation: Operation,
    failure: &Failure,
) -> Judgement {
    let reason = swr_reason(failure);
    let needs = needed_permission(failure, operation);
    let message = format!("cannot {}: {failure}{needs}", operation.verb());
    match reason.progress() {
        Progress::Reconciling => passing(summary, object, windows, now, reason, message),
        Progress::Settled | Progress::Stalled => Judgement {
            ready: ConditionStatus::False,
            synced: match operation {
                Operation::Create | Operation::Update | Operation::Delete => ConditionStatus::False,
                Operation::List | Operation::Show => ConditionStatus::Unknown,
            },
            reason,
            message,
            keeps_ready: false,
        },
    }
}

fn cannot_delete(object: &Object, blocker: &Blocker) -> Judgement {
    const WAY_OUT: &str = "to let the object go without it, set spec.deletionPolicy to Orphan";
    let why = blocked_by(object, blocker);
    let (reason, message) = match blocker {
        Blocker::Account(_) => (Reason::Deleting, format!("{why}; {WAY_OUT}")),
        Blocker::TagNotKept => (
            Reason::DeletionBlocked,
            format!("{why}, so it is not deleted: remove it in SWR, or {WAY_OUT}"),
        ),
        Blocker::DuplicateTag(_) => (
            Reason::DuplicateTag,
            format!("{why}: remove them in SWR, or {WAY_OUT}"),
        ),
        Blocker::Swr { failure, .. } => {
            let blocked = match swr_reason(failure).progress() {
                Progress::Stalled => true,
                Progress::Settled | Progress::Reconciling => failure.cause == Cause::InUse,
            };
            let reason = if blocked {
                Reason::DeletionBlocked
            } else {
                Reason::Deleting
            };
            (
                reason,
                format!("cannot delete the registry: {why}; {WAY_OUT}"),
            )
        }
        Blocker::Kubernetes => (Reason::Deleting, why),
    };
    Judgement {
        ready: ConditionStatus::False,
        synced: ConditionStatus::Unknown,
        reason,
        message,
        keeps_ready: false,
    }
}

#[cfg(test)]
mod tests;
