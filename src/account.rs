//! what was found out about an account -> its status, or nothing to write.

use jiff::Timestamp;

use crate::api::account::SwrAccountStatus;
use crate::api::reason::{Progress, Reason};
use crate::api::{Condition, ConditionStatus};
use crate::credential::Rejected;
use crate::desired::ProjectId;
use crate::failure::{Cause, Failure};

/// What was found out about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountVerdict {
    /// It can be used, in this project.
    Usable(ProjectId),
    /// The operator's configuration gives no endpoint that may be used for its region.
    NoEndpoint(String),
    /// There is no such Secret in the operator's namespace.
    SecretNotFound(String),
    /// The Secret breaks a rule.
    SecretRejected(String, Rejected),
    /// The Secret cannot be read now.
    SecretUnavailable(String),
    /// IAM knows no project, or several, for the region.
    NoProject(String),
    /// The project could not be looked up.
    ProjectLookup(Failure),
}

/// The status for a verdict, `None` if nothing changed.
pub fn account_status(
    verdict: &AccountVerdict,
    old: &SwrAccountStatus,
    generation: i64,
    now: Timestamp,
) -> Option<SwrAccountStatus> {
    let (reason, message) = say(verdict);
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let project = if let AccountVerdict::Usable(project) = verdict {
        Some(project.as_str().to_owned())
    } else {
        None
    };
    let ready = if project.is_some() {
        ConditionStatus::True
    } else {
        ConditionStatus::False
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
        project_id: project.or_else(|| old.project_id.clone()),
        conditions,
        ..old.clone()
    };
    (new != *old).then_some(new)
}

fn say(verdict: &AccountVerdict) -> (Reason, String) {
    match verdict {
        AccountVerdict::Usable(_) => (
            Reason::Available,
            "the key is readable and the project is known".to_owned(),
        ),
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
        AccountVerdict::NoProject(why) => {
            (Reason::InvalidSpec, format!("{why}: set spec.projectId"))
        }
        AccountVerdict::ProjectLookup(failure) => {
            let reason = match failure.cause {
                Cause::AuthFailed => Reason::AuthFailed,
                Cause::ClockSkew => Reason::ClockSkew,
                Cause::Forbidden => Reason::Forbidden,
                Cause::Throttled => Reason::Throttled,
                Cause::Unreachable
                | Cause::TimedOut
                | Cause::ServerError
                | Cause::Malformed
                | Cause::Redirected
                | Cause::RegistryNotFound
                | Cause::InstanceNotFound
                | Cause::ApiNotFound
                | Cause::InstanceNotRunning
                | Cause::AlreadyExists
                | Cause::InUse
                | Cause::QuotaExceeded
                | Cause::Rejected
                | Cause::TargetUnreachable
                | Cause::TooLate => Reason::ApiUnavailable,
            };
            (
                reason,
                format!(
                    "cannot look up the project of the region: {failure}; or set spec.projectId"
                ),
            )
        }
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
        let first =
            account_status(&missing, &SwrAccountStatus::default(), 1, at(10)).expect("write");
        assert_eq!(account_status(&missing, &first, 1, at(20)), None);
        let second = account_status(&rejected, &first, 1, at(30)).expect("write");
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
        let third = account_status(&usable, &second, 1, at(40)).expect("write");
        assert_eq!(
            (
                third.project_id.as_deref(),
                third.conditions.len(),
                third.conditions[0].last_transition_time
            ),
            (Some("p-1"), 1, at(40))
        );
    }
}
