//! What was found out about an account -> its status, or nothing to write.

use jiff::Timestamp;

use crate::api::account::{InstanceSummary, SwrAccount, SwrAccountStatus};
use crate::api::reason::{Progress, Reason};
use crate::api::{ALLOW_DELETIONS_UNTIL, Condition, ConditionStatus};
use crate::credential::Rejected;
use crate::desired::{InstanceId, ProjectId};
use crate::event::Event;
use crate::failure::{Cause, Class, Failure};
use crate::instance::InstanceFacts;
use crate::requeue::asked_secs;

/// What was found out about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountVerdict {
    /// It can be used, in this project.
    Usable(ProjectId),
    /// The operator's configuration gives no endpoint that may be used for its region.
    NoEndpoint(String),
    /// There is no such Secret in the operator's namespace.
    SecretNotFound(String),
    /// `spec.auth` does not say one way to a credential.
    InvalidAuth(String),
    /// The account whose credential is used has none itself.
    CredentialOfOther(String),
    /// No credential was issued: why, and what to do. The failure is the answer of IAM, if it gave one.
    NoCredential(String, Option<Failure>),
    /// The Secret breaks a rule.
    SecretRejected(String, Rejected),
    /// The Secret cannot be read now.
    SecretUnavailable(String),
    /// The namespaces cannot be listed, and a grant selects by their labels.
    NamespacesUnavailable,
    /// IAM knows no project, or several, for the region.
    NoProject(String),
    /// The project could not be looked up.
    ProjectLookup(Failure),
    /// It looks usable, but SWR refused it when it was used last.
    Refused(ProjectId, Failure),
    /// It is usable, but SWR says that it offers the project no instances.
    NotOffered(ProjectId),
}

/// When an account is checked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// When its credential is read again, as that of every account is.
    Refresh,
    /// In a few seconds: what it waits for is in Kubernetes or in a file, at no cost to the cloud.
    Soon,
    /// The cloud was asked in vain: after a wait that grows with every failure in a row.
    Backoff {
        /// Not before this many seconds.
        min_secs: u32,
    },
}

/// When an account is checked again for what was found out about it.
pub fn recheck(verdict: &AccountVerdict) -> Recheck {
    match verdict {
        AccountVerdict::Usable(_)
        | AccountVerdict::Refused(..)
        | AccountVerdict::NotOffered(_)
        | AccountVerdict::InvalidAuth(_)
        | AccountVerdict::NoEndpoint(_)
        | AccountVerdict::NoProject(_) => Recheck::Refresh,
        AccountVerdict::SecretNotFound(_)
        | AccountVerdict::SecretRejected(..)
        | AccountVerdict::SecretUnavailable(_)
        | AccountVerdict::CredentialOfOther(_)
        // A file of the pod.
        | AccountVerdict::NoCredential(_, None)
        | AccountVerdict::NamespacesUnavailable => Recheck::Soon,
        AccountVerdict::ProjectLookup(failure)
        | AccountVerdict::NoCredential(_, Some(failure)) => match failure.class {
            Class::Denied | Class::Invalid | Class::NotFound | Class::Conflict => Recheck::Refresh,
            Class::Transient | Class::Throttled { .. } | Class::Unknown => Recheck::Backoff {
                min_secs: asked_secs(failure),
            },
        },
    }
}

/// What only informs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Objects that name the account.
    pub objects: usize,
    /// Whether it is being deleted, so that only they keep it.
    pub deleting: bool,
    /// Whether its annotation that lets deletions through cannot be read.
    pub misdated: bool,
    /// Its instances that objects use.
    pub instances: Vec<InstanceUsage>,
}

/// An annotation is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTime;

/// Until when an administrator lets the deletions of an account through, if so. It is the one time of a
/// person that is compared with our clock: whoever chooses it means the wall clock.
///
/// # Errors
/// If the annotation is no time.
pub fn deletions_allowed_until(account: &SwrAccount) -> Result<Option<Timestamp>, NoTime> {
    let annotations = account.metadata.annotations.as_ref();
    let value = annotations.and_then(|all| all.get(ALLOW_DELETIONS_UNTIL));
    value
        .map(|value| value.parse())
        .transpose()
        .map_err(|_| NoTime)
}

/// What is known of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceUsage {
    /// Its id.
    pub id: InstanceId,
    /// Registries that it holds, once it was listed.
    pub registries: Option<usize>,
    /// What SWR tells of it.
    pub facts: InstanceFacts,
}

impl InstanceUsage {
    fn summary(&self) -> InstanceSummary {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let status = self.facts.status.as_ref();
        InstanceSummary {
            id: self.id.as_str().to_owned(),
            status: status.map(|status| status.as_str().to_owned()),
            registries: self.registries.map(number),
            registry_quota: self.facts.quota.map(number),
        }
    }
}

/// The status for a verdict, `None` if nothing changed but what only informs.
pub fn account_status(
    verdict: &AccountVerdict,
    usage: &Usage,
    old: &SwrAccountStatus,
    generation: i64,
    now: Timestamp,
) -> Option<SwrAccountStatus> {
    let (reason, message) = match say(verdict) {
        (Reason::Available, _) if usage.deleting && usage.objects > 0 => in_use(),
        said => said,
    };
    let message = match usage.misdated {
        true => format!(
            "{message}; annotation {ALLOW_DELETIONS_UNTIL} is not a time as 2026-01-31T12:00:00Z, so it lets no deletion through"
        ),
        false => message,
    };
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let (ready, project) = match verdict {
        AccountVerdict::Usable(project) => (ConditionStatus::True, Some(project)),
        AccountVerdict::Refused(project, _) | AccountVerdict::NotOffered(project) => {
            (ConditionStatus::False, Some(project))
        }
        AccountVerdict::NoEndpoint(_)
        | AccountVerdict::InvalidAuth(_)
        | AccountVerdict::CredentialOfOther(_)
        | AccountVerdict::NoCredential(..)
        | AccountVerdict::SecretNotFound(_)
        | AccountVerdict::SecretRejected(..)
        | AccountVerdict::SecretUnavailable(_)
        | AccountVerdict::NamespacesUnavailable
        | AccountVerdict::NoProject(_)
        | AccountVerdict::ProjectLookup(_) => (ConditionStatus::False, None),
    };
    let condition = |type_: &str, status| Condition {
        type_: type_.to_owned(),
        status,
        reason: reason.as_str().to_owned(),
        message: message.clone(),
        last_transition_time: old
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_ && condition.status == status)
            .map_or(now, |condition| condition.last_transition_time),
        observed_generation: Some(generation),
    };
    let mut conditions = vec![condition("Ready", ready)];
    match reason.progress() {
        Progress::Settled => {}
        Progress::Reconciling => conditions.push(condition("Reconciling", ConditionStatus::True)),
        Progress::Stalled => conditions.push(condition("Stalled", ConditionStatus::True)),
    }
    let new = SwrAccountStatus {
        observed_generation: generation,
        project_id: project
            .map(|project| project.as_str().to_owned())
            .or_else(|| old.project_id.clone()),
        used_by: i64::try_from(usage.objects).ok(),
        instances: usage.instances.iter().map(InstanceUsage::summary).collect(),
        conditions,
    };
    let same = new.observed_generation == old.observed_generation
        && new.project_id == old.project_id
        && new.conditions == old.conditions
        && without_counts(&new.instances) == without_counts(&old.instances);
    (!same).then_some(new)
}

/// Counts change with every registry, and are not worth a write.
fn without_counts(instances: &[InstanceSummary]) -> Vec<InstanceSummary> {
    let instances = instances.iter().cloned();
    let uncounted = instances.map(|it| InstanceSummary {
        registries: it.registries.map(|_| 0),
        ..it
    });
    uncounted.collect()
}

/// What becomes of the finalizer of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It stays as it is.
    AsItIs,
    /// It is put on.
    Begin,
    /// It is taken off.
    End,
}

/// An account that objects name must not go before them, because their registries could then neither be kept
/// nor deleted. `objects` is `None` until all are listed.
pub fn hold_account(objects: Option<usize>, is_held: bool, deleting: bool) -> Hold {
    match objects {
        Some(0) if is_held => Hold::End,
        // The API server takes no new finalizer for what is being deleted.
        Some(1..) if !is_held && !deleting => Hold::Begin,
        Some(_) | None => Hold::AsItIs,
    }
}

/// The event that tells of a new status, if its reason is news that people must see.
pub fn account_told(old: &SwrAccountStatus, new: &SwrAccountStatus) -> Option<Event> {
    let ready = new.conditions.first()?;
    let before = old.conditions.first().map(|it| it.reason.as_str());
    if before == Some(&ready.reason) {
        return None;
    }
    let mut reasons = Reason::ALL.iter();
    let reason = reasons.find(|known| known.as_str() == ready.reason)?;
    Some(Event::of_account(reason.event()?, *reason, &ready.message))
}

/// Without their number, which changes with each of them that goes; the status has it beside this.
fn in_use() -> (Reason, String) {
    const MESSAGE: &str = "the account is being deleted: objects still name it, and are served until gone or moved to another account";
    (Reason::InUse, MESSAGE.to_owned())
}

fn say(verdict: &AccountVerdict) -> (Reason, String) {
    match verdict {
        AccountVerdict::Usable(_) => (
            Reason::Available,
            "the credential is at hand and the project is known".to_owned(),
        ),
        AccountVerdict::InvalidAuth(why) => (Reason::InvalidSpec, format!("spec.auth: {why}")),
        AccountVerdict::CredentialOfOther(name) => (
            Reason::AccountNotReady,
            format!("SwrAccount {name:?}, whose credential assumes the agency, cannot be used yet: see its own conditions"),
        ),
        AccountVerdict::NoCredential(why, failure) => {
            (failure.as_ref().map_or(Reason::AuthFailed, refusal), why.clone())
        }
        AccountVerdict::NoEndpoint(why) => (Reason::InvalidSpec, format!("spec.region: {why}")),
        AccountVerdict::SecretNotFound(name) => (
            Reason::SecretNotFound,
            format!("Secret {name:?} does not exist in the operator's namespace"),
        ),
        AccountVerdict::SecretRejected(name, rejected) => (
            Reason::InvalidSecret,
            format!("Secret {name:?}: {rejected}"),
        ),
        AccountVerdict::SecretUnavailable(name) => (
            Reason::ApiUnavailable,
            format!("Secret {name:?} cannot be read from the API server"),
        ),
        AccountVerdict::NamespacesUnavailable => (
            Reason::ApiUnavailable,
            "the namespaces cannot be listed, which namespaceSelector in spec.grants needs: allow the operator's ServiceAccount to list and watch namespaces"
                .to_owned(),
        ),
        AccountVerdict::NoProject(why) => {
            (Reason::InvalidSpec, format!("{why}: set spec.projectId"))
        }
        AccountVerdict::Refused(_, failure) => (refusal(failure), failure.to_string()),
        AccountVerdict::NotOffered(_) => (
            Reason::InvalidSpec,
            "spec.region: SWR does not offer its Enterprise Edition to the project in this region: choose another region, or enable it in SWR's console"
                .to_owned(),
        ),
        AccountVerdict::ProjectLookup(failure) => (
            refusal(failure),
            format!(
                "cannot look up the project of the region: {}; or set spec.projectId",
                failure.said_of("IAM")
            ),
        ),
    }
}

fn refusal(failure: &Failure) -> Reason {
    match failure.cause {
        Cause::AuthFailed => Reason::AuthFailed,
        Cause::ClockSkew { .. } => Reason::ClockSkew,
        Cause::Forbidden => Reason::Forbidden,
        Cause::Throttled | Cause::OwnLimits => Reason::Throttled,
        Cause::Unreachable
        | Cause::NotConnected(_)
        | Cause::TimedOut
        | Cause::ServerError
        | Cause::Malformed
        | Cause::ListHasGaps
        | Cause::Redirected
        | Cause::RegistryNotFound
        | Cause::InstanceNotFound
        | Cause::ApiNotFound
        | Cause::InstanceNotRunning
        | Cause::AlreadyExists
        | Cause::InUse
        | Cause::QuotaExceeded
        | Cause::Rejected
        | Cause::DnsConfRejected
        | Cause::QuestionRejected
        | Cause::TargetUnreachable
        | Cause::TooLate => Reason::ApiUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Rule;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).expect("time")
    }

    #[test]
    fn a_status_is_written_once_and_its_time_moves_only_with_its_status() {
        let missing = AccountVerdict::SecretNotFound("swr-cloud".into());
        let rejected = AccountVerdict::SecretRejected(
            "swr-cloud".into(),
            Rejected {
                key: "secretKey".into(),
                rule: Rule::NotEmpty,
            },
        );
        let first = account_status(
            &missing,
            &Usage::default(),
            &SwrAccountStatus::default(),
            1,
            at(10),
        )
        .expect("write");
        assert_eq!(
            account_status(&missing, &Usage::default(), &first, 1, at(20)),
            None
        );
        let second =
            account_status(&rejected, &Usage::default(), &first, 1, at(30)).expect("write");
        let ready = &second.conditions[0];
        assert_eq!(
            (
                ready.reason.as_str(),
                ready.message.as_str(),
                ready.last_transition_time
            ),
            (
                "InvalidSecret",
                "Secret \"swr-cloud\": key \"secretKey\" is empty",
                at(10)
            )
        );
        let usable = AccountVerdict::Usable(ProjectId::new("p-1"));
        let third = account_status(&usable, &Usage::default(), &second, 1, at(40)).expect("write");
        assert_eq!(
            (
                third.project_id.as_deref(),
                third.conditions.len(),
                third.conditions[0].last_transition_time
            ),
            (Some("p-1"), 1, at(40))
        );
    }

    #[test]
    fn an_account_is_checked_again_soon_where_that_costs_the_cloud_nothing() {
        let of = |class| Some(Failure::new(class, Cause::TimedOut));
        let throttled = Class::Throttled {
            after_secs: Some(90),
        };
        for (verdict, expected) in [
            (
                AccountVerdict::SecretNotFound("swr-cloud".into()),
                Recheck::Soon,
            ),
            (
                AccountVerdict::NoCredential("why".into(), None),
                Recheck::Soon,
            ),
            (
                AccountVerdict::NoCredential("why".into(), of(Class::Denied)),
                Recheck::Refresh,
            ),
            (
                AccountVerdict::NoCredential("why".into(), of(Class::Transient)),
                Recheck::Backoff { min_secs: 0 },
            ),
            (
                AccountVerdict::ProjectLookup(Failure::new(throttled, Cause::Throttled)),
                Recheck::Backoff { min_secs: 90 },
            ),
        ] {
            assert_eq!(recheck(&verdict), expected, "{verdict:?}");
        }
    }

    #[test]
    fn an_account_without_a_credential_says_why_and_who_must_act() {
        let denied = |cause| Some(Failure::new(crate::failure::Class::Denied, cause));
        let said = |text: &str| text.to_owned();
        for (verdict, expected) in [
            (
                AccountVerdict::InvalidAuth(said("why")),
                ("InvalidSpec", "spec.auth: why", "Stalled"),
            ),
            (
                AccountVerdict::CredentialOfOther(said("hub")),
                (
                    "AccountNotReady",
                    "SwrAccount \"hub\", whose credential assumes the agency, cannot be used yet: see its own conditions",
                    "Reconciling",
                ),
            ),
            (
                AccountVerdict::NoCredential(said("why"), None),
                ("AuthFailed", "why", "Reconciling"),
            ),
            (
                AccountVerdict::NoCredential(said("why"), denied(Cause::AuthFailed)),
                ("AuthFailed", "why", "Reconciling"),
            ),
            (
                AccountVerdict::NoCredential(said("why"), denied(Cause::Forbidden)),
                ("Forbidden", "why", "Stalled"),
            ),
            (
                AccountVerdict::NoCredential(
                    said("why"),
                    denied(Cause::ClockSkew { ahead_mins: None }),
                ),
                ("ClockSkew", "why", "Reconciling"),
            ),
            (
                AccountVerdict::NoCredential(said("why"), denied(Cause::Unreachable)),
                ("ApiUnavailable", "why", "Reconciling"),
            ),
        ] {
            let old = SwrAccountStatus::default();
            let status = account_status(&verdict, &Usage::default(), &old, 1, at(10));
            let status = status.expect("write");
            let ready = &status.conditions[0];
            assert_eq!(
                (
                    ready.reason.as_str(),
                    ready.message.as_str(),
                    status.conditions[1].type_.as_str()
                ),
                expected
            );
        }
    }

    #[test]
    fn an_account_is_held_while_objects_name_it_and_not_before_they_are_known() {
        for (objects, is_held, deleting, expected) in [
            (None, true, true, Hold::AsItIs),
            (None, false, false, Hold::AsItIs),
            (Some(0), true, false, Hold::End),
            (Some(0), true, true, Hold::End),
            (Some(0), false, false, Hold::AsItIs),
            (Some(2), false, false, Hold::Begin),
            (Some(2), false, true, Hold::AsItIs),
            (Some(2), true, true, Hold::AsItIs),
        ] {
            let hold = hold_account(objects, is_held, deleting);
            assert_eq!(hold, expected, "{objects:?} {is_held} {deleting}");
        }
    }

    #[test]
    fn an_account_that_is_being_deleted_says_who_keeps_it() {
        let usable = AccountVerdict::Usable(ProjectId::new("p-1"));
        let available = account_status(
            &usable,
            &Usage::default(),
            &SwrAccountStatus::default(),
            1,
            at(10),
        )
        .expect("write");
        let deleting = |objects| Usage {
            objects,
            deleting: true,
            ..Usage::default()
        };
        assert_eq!(
            account_status(&usable, &deleting(0), &available, 1, at(20)),
            None
        );
        let in_use = account_status(&usable, &deleting(3), &available, 2, at(20)).expect("write");
        let ready = &in_use.conditions[0];
        assert_eq!(
            (ready.status, ready.reason.as_str(), ready.message.as_str()),
            (
                ConditionStatus::True,
                "InUse",
                "the account is being deleted: objects still name it, and are served until gone or moved to another account"
            )
        );
        let told = account_told(&available, &in_use).expect("an event");
        assert_eq!(
            (told.reason, told.type_),
            ("InUse", crate::event::EventType::Normal)
        );
        assert_eq!(account_told(&in_use, &in_use), None);
    }

    #[test]
    fn what_only_informs_is_no_reason_to_write_but_goes_along() {
        let usable = AccountVerdict::Usable(ProjectId::new("p-1"));
        let usage = |objects| Usage {
            objects,
            instances: vec![InstanceUsage {
                id: InstanceId::new("i-1"),
                registries: Some(objects),
                facts: InstanceFacts::default(),
            }],
            ..Usage::default()
        };
        let first = account_status(&usable, &usage(1), &SwrAccountStatus::default(), 1, at(10))
            .expect("write");
        assert_eq!(account_status(&usable, &usage(2), &first, 1, at(20)), None);
        let refused = AccountVerdict::Refused(
            ProjectId::new("p-1"),
            Failure::new(crate::failure::Class::Denied, Cause::AuthFailed),
        );
        let second = account_status(&refused, &usage(3), &first, 1, at(30)).expect("write");
        assert_eq!(
            (
                second.used_by,
                second.instances[0].registries,
                second.conditions[0].reason.as_str()
            ),
            (Some(3), Some(3), "AuthFailed")
        );
        // State and quota change seldom, and are worth a write of their own.
        let mut running = usage(3);
        running.instances[0].facts = InstanceFacts {
            status: crate::failure::Code::parse("Running"),
            quota: Some(20),
        };
        let third = account_status(&refused, &running, &second, 1, at(40)).expect("write");
        assert_eq!(
            third.instances,
            [InstanceSummary {
                id: "i-1".to_owned(),
                status: Some("Running".to_owned()),
                registries: Some(3),
                registry_quota: Some(20),
            }]
        );
        assert_eq!(account_status(&refused, &running, &third, 1, at(50)), None);
    }

    #[test]
    fn deletions_are_let_through_until_a_time_and_what_is_none_is_told() {
        let until = |value: Option<&str>| {
            let mut account = SwrAccount::new(
                "default",
                serde_json::from_value(serde_json::json!({
                    "region": "r", "auth": {"accessKeySecretRef": {"name": "key"}}, "grants": []
                }))
                .expect("a spec"),
            );
            let value = value.map(|value| (ALLOW_DELETIONS_UNTIL.to_owned(), value.to_owned()));
            account.metadata.annotations = value.map(|value| [value].into());
            deletions_allowed_until(&account)
        };
        for (value, read) in [
            (None, Ok(None)),
            (Some("1970-01-01T00:01:40Z"), Ok(Some(at(100)))),
            (Some("1970-01-01T02:01:40+02:00"), Ok(Some(at(100)))),
            (Some("1970-01-01T00:01:40"), Err(NoTime)),
            (Some("1970-01-01"), Err(NoTime)),
            (Some("100"), Err(NoTime)),
            (Some("tomorrow"), Err(NoTime)),
            (Some(""), Err(NoTime)),
        ] {
            assert_eq!(until(value), read, "{value:?}");
        }
        let usage = Usage {
            misdated: true,
            ..Usage::default()
        };
        let usable = AccountVerdict::Usable(ProjectId::new("p-1"));
        let old = SwrAccountStatus::default();
        let status = account_status(&usable, &usage, &old, 1, at(10)).expect("write");
        let ready = &status.conditions[0];
        assert_eq!(
            (ready.status, ready.message.as_str()),
            (
                ConditionStatus::True,
                "the credential is at hand and the project is known; annotation swr.huaweicloud.com/allow-deletions-until is not a time as 2026-01-31T12:00:00Z, so it lets no deletion through"
            )
        );
        assert_eq!(account_status(&usable, &usage, &status, 1, at(20)), None);
    }

    #[test]
    fn a_region_without_the_enterprise_edition_is_for_a_person_to_change() {
        let verdict = AccountVerdict::NotOffered(ProjectId::new("p-1"));
        let old = SwrAccountStatus::default();
        let status = account_status(&verdict, &Usage::default(), &old, 1, at(10)).expect("write");
        let said: Vec<&str> = status
            .conditions
            .iter()
            .map(|it| it.reason.as_str())
            .collect();
        assert_eq!(
            (said, status.project_id),
            (vec!["InvalidSpec"; 2], Some("p-1".to_owned()))
        );
    }
}
