//! What happened -> the event that people read beside the object. Its text follows from the class
//! and from stable facts, as that of the status does; nothing read from a Secret is in it.

pub use crate::api::reason::EventType;
use crate::api::reason::Reason;
use crate::api::registry::ReplicationRegistryStatus;
use crate::api::{ALLOW_DELETIONS_UNTIL, Condition};
use crate::desired::{Desired, RegistryId, Scope};
use crate::diff::Changes;
use crate::plan::Why;
use crate::reconcile::Removed;
use crate::summary::{Operation, Verdict};

/// `note` of events.k8s.io/v1 takes 1,024 bytes; a longer one is refused (measured).
const NOTE_BYTES_MAX: usize = 1_024;

/// What was attempted; events.k8s.io/v1 refuses an event without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A registry is made.
    Create,
    /// A registry is changed.
    Update,
    /// A registry is taken over.
    Adopt,
    /// A registry is removed or let go.
    Delete,
    /// A registry is observed.
    Verify,
}

impl Action {
    /// The word that goes into the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "Create",
            Action::Update => "Update",
            Action::Adopt => "Adopt",
            Action::Delete => "Delete",
            Action::Verify => "Verify",
        }
    }
}

/// One event. Equal events of one object are counted, not repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Severity.
    pub type_: EventType,
    /// Why, as a word that programs may match on.
    pub reason: &'static str,
    /// What was attempted.
    pub action: Action,
    /// In words, at most 1,024 bytes.
    pub note: String,
}

impl Event {
    fn new(type_: EventType, reason: &'static str, action: Action, note: &str) -> Self {
        Event {
            type_,
            reason,
            action,
            note: clipped(note),
        }
    }

    fn normal(reason: &'static str, action: Action, note: &str) -> Self {
        Event::new(EventType::Normal, reason, action, note)
    }

    /// An account changed its reason.
    pub(crate) fn of_account(type_: EventType, reason: Reason, message: &str) -> Event {
        Event::new(type_, reason.as_str(), Action::Verify, message)
    }
}

/// Too many objects of an instance are being deleted; for the account, whose administrator decides.
pub fn deletions_paused(scope: &Scope, deleting: usize, of: usize) -> Event {
    let note = format!(
        "{deleting} of {of} objects of instance {} are being deleted, so nothing is deleted there: to let deletions through for a time, annotate this account with {ALLOW_DELETIONS_UNTIL}=TIME, where TIME lies ahead, in the form 2026-01-31T12:00:00Z",
        scope.instance
    );
    Event::of_account(EventType::Warning, Reason::DeletionPaused, &note)
}

/// Cut on a character boundary, with a sign that it was.
fn clipped(note: &str) -> String {
    const ELLIPSIS: &str = "…";
    if note.len() <= NOTE_BYTES_MAX {
        return note.to_owned();
    }
    let end = note.floor_char_boundary(NOTE_BYTES_MAX - ELLIPSIS.len());
    format!("{}{ELLIPSIS}", &note[..end])
}

/// SWR created the registry; `id` is missing if it did not say which.
pub fn created(desired: &Desired, id: Option<RegistryId>) -> Event {
    let name = &desired.registry.name;
    let note = match id {
        Some(id) => format!("created registry {name:?} in SWR (id {id})"),
        None => format!("created registry {name:?} in SWR"),
    };
    Event::normal("RegistryCreated", Action::Create, &note)
}

/// SWR took our tag onto a registry that belonged to nobody.
pub fn adopted(desired: &Desired, id: RegistryId, why: Why) -> Event {
    if why.corrects() {
        let note = "corrected what was changed in SWR: the ownership tag in description";
        return Event::normal("DriftCorrected", Action::Update, note);
    }
    let name = &desired.registry.name;
    let note = format!("adopted the registry that is now {name:?} in SWR (id {id})");
    Event::normal("RegistryAdopted", Action::Adopt, &note)
}

/// SWR took an update.
pub fn updated(desired: &Desired, why: Why, changes: &Changes) -> Event {
    let secret = &desired.secret.name;
    let (reason, note) = match why {
        Why::Drift => (
            "DriftCorrected",
            format!("corrected what was changed in SWR: {changes}"),
        ),
        Why::CredentialRotated => (
            "CredentialRotated",
            format!("sent the changed credential of Secret {secret:?} to SWR"),
        ),
        Why::CredentialDue => (
            "CredentialResent",
            format!(
                "sent the credential of Secret {secret:?} to SWR again, as spec.resendCredentialEvery asks"
            ),
        ),
        Why::ChangedElsewhere => (
            "ChangedElsewhere",
            format!(
                "updated_at shows that something else changed the registry in a field that SWR does not return: sent all fields again, including the credential of Secret {secret:?}"
            ),
        ),
        Why::Requested => (
            "CredentialResent",
            format!(
                "sent the credential of Secret {secret:?} to SWR again, as the annotation requestedAt asks"
            ),
        ),
        Why::InSync
        | Why::Missing
        | Why::SpecChanged
        | Why::Adoption
        | Why::TagRemoved
        | Why::NotOurs
        | Why::ObjectDeleted
        | Why::ObjectOrphaned => ("RegistryUpdated", format!("updated in SWR: {changes}")),
    };
    Event::normal(reason, Action::Update, &note)
}

/// The object goes, and this became of its registry.
pub fn removed(removed: Removed, clones: &[RegistryId]) -> Option<Event> {
    let (reason, note) = match removed {
        Removed::Nothing if clones.is_empty() => return None,
        Removed::Nothing | Removed::Deleted if !clones.is_empty() => (
            "RegistryDeleted",
            "the registry of this object is not in SWR any more",
        ),
        Removed::Nothing | Removed::Deleted => (
            "RegistryDeleted",
            "nothing of this object is left in SWR any more",
        ),
        Removed::Untagged => (
            "RegistryOrphaned",
            "left the registry in SWR, without the operator's tag",
        ),
        Removed::LeftAlone => (
            "RegistryOrphaned",
            "left the registry in SWR unchanged, including its ownership tag",
        ),
        Removed::StillTagged => (
            "RegistryOrphaned",
            "left the registry in SWR with the operator's tag, which could not be removed: remove it from the description to let another object adopt the registry",
        ),
    };
    let type_ = match removed {
        Removed::StillTagged => EventType::Warning,
        Removed::Nothing | Removed::Deleted | Removed::Untagged | Removed::LeftAlone => {
            EventType::Normal
        }
    };
    let note = format!("{note}{}", copies(clones));
    Some(Event::new(type_, reason, Action::Delete, &note))
}

fn copies(ids: &[RegistryId]) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!(
        "; registries with a copy of its tag are kept: {}",
        ids.join(", ")
    )
}

/// What an observation found out about copies of the registry.
fn told_of_copies(
    action: Action,
    old: &ReplicationRegistryStatus,
    new: &ReplicationRegistryStatus,
) -> Vec<Event> {
    let mut events = Vec::new();
    if let (Some(ours), false) = (
        new.registry_id,
        new.clones.is_empty() || new.clones == old.clones,
    ) {
        let ids: Vec<String> = new.clones.iter().map(ToString::to_string).collect();
        let note = format!(
            "other registries in SWR carry the ownership tag of registry {ours}: {}; they are never written to or deleted",
            ids.join(", ")
        );
        events.push(Event::new(
            EventType::Warning,
            Reason::DuplicateTag.as_str(),
            action,
            &note,
        ));
    }
    if let (Some(was), Some(is)) = (old.registry_id, new.registry_id)
        && old.clones.contains(&is)
    {
        let note = format!(
            "registry {was} no longer exists in SWR; registry {is}, which carries its ownership tag, replaces it"
        );
        events.push(Event::new(
            EventType::Warning,
            "RegistryReplaced",
            action,
            &note,
        ));
    }
    events
}

/// What a new status tells that the old one did not. At rest that is nothing, and a failure that
/// stays the same is told once.
pub fn told(
    verdict: &Verdict,
    deleting: bool,
    old: &ReplicationRegistryStatus,
    new: &ReplicationRegistryStatus,
) -> Vec<Event> {
    let action = action(verdict, deleting);
    let mut events = told_of_copies(action, old, new);
    // Condition `Synced` always carries the newest reason; `Ready` may keep an older one.
    let (old, new) = (synced(&old.conditions), synced(&new.conditions));
    if old == new {
        return events;
    }
    let suspended = Reason::Suspended.as_str();
    let was_suspended = old.is_some_and(|(reason, _)| reason == suspended);
    let Some((reason, message)) = new else {
        return events;
    };
    if was_suspended && reason != suspended {
        let note = "spec.suspend is false: the object is reconciled again";
        events.push(Event::normal("Resumed", action, note));
    }
    if let Some(reason) = Reason::ALL.iter().find(|known| known.as_str() == reason)
        && let Some(type_) = type_of(*reason, verdict)
    {
        events.push(Event::new(type_, reason.as_str(), action, message));
    }
    events
}

fn synced(conditions: &[Condition]) -> Option<(&str, &str)> {
    conditions
        .iter()
        .find(|condition| condition.type_ == "Synced")
        .map(|condition| (condition.reason.as_str(), condition.message.as_str()))
}

/// `None`: a step on the way is no event.
fn type_of(reason: Reason, verdict: &Verdict) -> Option<EventType> {
    let is_blocked = matches!(
        verdict,
        Verdict::CannotDelete(_) | Verdict::CannotUntag { .. }
    );
    if reason == Reason::Deleting && is_blocked {
        return Some(EventType::Warning);
    }
    reason.event()
}

fn action(verdict: &Verdict, deleting: bool) -> Action {
    if deleting {
        return Action::Delete;
    }
    if let Verdict::Swr { operation, .. } = verdict {
        match operation {
            Operation::Create => Action::Create,
            Operation::Update => Action::Update,
            Operation::Delete => Action::Delete,
            Operation::List | Operation::Show => Action::Verify,
        }
    } else {
        Action::Verify
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::ConditionStatus;
    use crate::diff::{Change, Field};
    use crate::failure::{Cause, Class, Failure};
    use crate::observed::Health;
    use crate::summary::Blocker;

    fn conditions(reason: &str, message: &str) -> ReplicationRegistryStatus {
        let condition = |type_: &str, reason: &str, message: &str| Condition {
            type_: type_.to_owned(),
            status: ConditionStatus::Unknown,
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: Timestamp::UNIX_EPOCH,
            observed_generation: Some(1),
        };
        ReplicationRegistryStatus {
            // What is told is what Synced says.
            conditions: vec![
                condition("Ready", "TargetUnhealthy", "not this"),
                condition("Synced", reason, message),
            ],
            ..ReplicationRegistryStatus::default()
        }
    }

    fn shown(events: &[Event]) -> Vec<String> {
        let line = |event: &Event| {
            format!(
                "{:?} {} {}: {}",
                event.type_,
                event.reason,
                event.action.as_str(),
                event.note
            )
        };
        events.iter().map(line).collect()
    }

    fn check(verdict: &Verdict, old: (&str, &str), new: (&str, &str), expected: &[&str]) {
        let deleting = matches!(
            verdict,
            Verdict::CannotDelete(_) | Verdict::DeletionSettling { .. }
        );
        let events = told(
            verdict,
            deleting,
            &conditions(old.0, old.1),
            &conditions(new.0, new.1),
        );
        assert_eq!(shown(&events), expected, "{verdict:?} {old:?} -> {new:?}");
    }

    #[test]
    fn a_transition_is_told_once_and_a_step_on_the_way_not_at_all() {
        let in_sync = Verdict::InSync {
            health: Health::Healthy,
        };
        let failure = Failure::new(Class::Transient, Cause::Unreachable);
        let down = Verdict::Swr {
            operation: Operation::Create,
            failure: failure.clone(),
        };
        let until = Timestamp::UNIX_EPOCH;
        let cannot = Verdict::CannotDelete(Blocker::Swr {
            operation: Operation::Delete,
            failure,
        });
        let available = ("Available", "equal");
        check(&in_sync, ("Pending", "waits"), available, &[]);
        check(&in_sync, available, available, &[]);
        check(
            &down,
            available,
            ("ApiUnavailable", "no answer"),
            &["Warning ApiUnavailable Create: no answer"],
        );
        check(
            &down,
            ("ApiUnavailable", "no answer"),
            ("ApiUnavailable", "no answer"),
            &[],
        );
        check(
            &down,
            ("ApiUnavailable", "no answer"),
            ("ApiUnavailable", "another"),
            &["Warning ApiUnavailable Create: another"],
        );
        check(
            &Verdict::Suspended,
            available,
            ("Suspended", "held"),
            &["Normal Suspended Verify: held"],
        );
        check(
            &in_sync,
            ("Suspended", "held"),
            available,
            &["Normal Resumed Verify: spec.suspend is false: the object is reconciled again"],
        );
        check(
            &Verdict::DeletionSettling { until },
            available,
            ("Deleting", "waits"),
            &[],
        );
        check(
            &cannot,
            available,
            ("Deleting", "no answer"),
            &["Warning Deleting Delete: no answer"],
        );
    }

    #[test]
    fn a_copy_of_the_registry_is_told_once_and_so_is_one_that_takes_its_place() {
        let status = |id: i64, clones: &[i64]| ReplicationRegistryStatus {
            registry_id: Some(id),
            clones: clones.to_vec(),
            ..conditions("Available", "equal")
        };
        let in_sync = Verdict::InSync {
            health: Health::Healthy,
        };
        for (old, new, expected) in [
            (
                status(24, &[]),
                status(24, &[26, 27]),
                &[
                    "Warning DuplicateTag Verify: other registries in SWR carry the ownership tag of registry 24: 26, 27; they are never written to or deleted",
                ][..],
            ),
            (status(24, &[26]), status(24, &[26]), &[]),
            (status(24, &[26]), status(24, &[]), &[]),
            (
                status(24, &[26]),
                status(26, &[]),
                &[
                    "Warning RegistryReplaced Verify: registry 24 no longer exists in SWR; registry 26, which carries its ownership tag, replaces it",
                ],
            ),
        ] {
            assert_eq!(shown(&told(&in_sync, false, &old, &new)), expected);
        }
    }

    #[test]
    fn every_reason_but_those_of_a_settled_or_moving_object_is_told() {
        let untold: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| {
                let new = conditions(reason.as_str(), "new");
                told(&Verdict::Stale, false, &conditions("-", "old"), &new).is_empty()
            })
            .map(|reason| reason.as_str())
            .collect();
        assert_eq!(
            untold,
            [
                "Available",
                "Pending",
                "Progressing",
                "Verifying",
                "Deleting"
            ]
        );
    }

    #[test]
    fn an_update_names_its_fields_and_the_secret_but_nothing_of_what_is_in_it() {
        let desired = desired();
        let changes = Changes::new(vec![
            change(Field::Url, "https://new.example.com"),
            change(Field::Credential, "(sensitive)"),
        ])
        .expect("changes");
        let events: Vec<Event> = [
            Why::SpecChanged,
            Why::Drift,
            Why::CredentialRotated,
            Why::CredentialDue,
            Why::Requested,
            Why::ChangedElsewhere,
        ]
        .map(|why| updated(&desired, why, &changes))
        .into_iter()
        .chain([
            created(&desired, Some(RegistryId(42))),
            created(&desired, None),
            adopted(&desired, RegistryId(7), Why::Adoption),
            adopted(&desired, RegistryId(7), Why::TagRemoved),
        ])
        .chain(
            [
                Removed::Nothing,
                Removed::Deleted,
                Removed::Untagged,
                Removed::LeftAlone,
                Removed::StillTagged,
            ]
            .into_iter()
            .filter_map(|it| removed(it, &[])),
        )
        .chain(
            [Removed::Nothing, Removed::Deleted]
                .into_iter()
                .filter_map(|it| removed(it, &[RegistryId(26)])),
        )
        .collect();
        expect_test::expect![[r#"
            [
                "Normal RegistryUpdated Update: updated in SWR: url, credential",
                "Normal DriftCorrected Update: corrected what was changed in SWR: url, credential",
                "Normal CredentialRotated Update: sent the changed credential of Secret \"login\" to SWR",
                "Normal CredentialResent Update: sent the credential of Secret \"login\" to SWR again, as spec.resendCredentialEvery asks",
                "Normal CredentialResent Update: sent the credential of Secret \"login\" to SWR again, as the annotation requestedAt asks",
                "Normal ChangedElsewhere Update: updated_at shows that something else changed the registry in a field that SWR does not return: sent all fields again, including the credential of Secret \"login\"",
                "Normal RegistryCreated Create: created registry \"harbor-dr\" in SWR (id 42)",
                "Normal RegistryCreated Create: created registry \"harbor-dr\" in SWR",
                "Normal RegistryAdopted Adopt: adopted the registry that is now \"harbor-dr\" in SWR (id 7)",
                "Normal DriftCorrected Update: corrected what was changed in SWR: the ownership tag in description",
                "Normal RegistryDeleted Delete: nothing of this object is left in SWR any more",
                "Normal RegistryOrphaned Delete: left the registry in SWR, without the operator's tag",
                "Normal RegistryOrphaned Delete: left the registry in SWR unchanged, including its ownership tag",
                "Warning RegistryOrphaned Delete: left the registry in SWR with the operator's tag, which could not be removed: remove it from the description to let another object adopt the registry",
                "Normal RegistryDeleted Delete: the registry of this object is not in SWR any more; registries with a copy of its tag are kept: 26",
                "Normal RegistryDeleted Delete: the registry of this object is not in SWR any more; registries with a copy of its tag are kept: 26",
            ]
        "#]]
        .assert_eq(&format!("{:#?}\n", shown(&events)));
    }

    #[test]
    fn a_note_is_cut_at_1024_bytes_and_never_inside_a_character() {
        for (text, bytes) in [
            ("a".repeat(1_024), 1_024),
            ("a".repeat(1_025), 1_024),
            ("é".repeat(1_000), 1_023),
            ("汉".repeat(5_000), 1_023),
        ] {
            let cut = clipped(&text);
            assert_eq!(cut.len(), bytes);
            assert_eq!(cut.ends_with('…'), text.len() > NOTE_BYTES_MAX);
        }
    }

    fn change(field: Field, desired: &str) -> Change {
        Change {
            field,
            desired: desired.to_owned(),
            observed: "else".to_owned(),
        }
    }

    fn desired() -> Desired {
        use crate::api::registry::Mode;
        use crate::desired::{Adoption, Registry, SecretRef, Target};
        Desired {
            registry: Registry {
                name: "harbor-dr".into(),
                url: "https://harbor.dr.example.com".into(),
                insecure: false,
                description: String::new(),
                target: Target::SwrBasic,
            },
            secret: SecretRef {
                name: "login".into(),
                keys: None,
            },
            mode: Mode::Enforce,
            adoption: Adoption::NEVER,
            resend_secs: None,
        }
    }
}
