//! Sentences of the status that more than one judgement needs, or that need more than one case.

use super::CLONES_MAX;
use crate::answer::{AccountProblem, SecretProblem};
use crate::api::reason::Reason;
use crate::credential::Rule;
use crate::desired::RegistryId;
use crate::failure::{Cause, Failure};
use crate::object::Object;
use crate::plan::Foreign;
use crate::summary::{Blocker, Operation};

pub(super) fn account_message(account: &str, problem: &AccountProblem) -> String {
    match problem {
        AccountProblem::NotFound => format!("SwrAccount {account:?} does not exist"),
        AccountProblem::NotServed => {
            format!("this operator is not configured to serve SwrAccount {account:?}")
        }
        AccountProblem::NotReady => {
            format!("SwrAccount {account:?} is not ready: see its conditions")
        }
        AccountProblem::NotUnderstood => {
            format!("SwrAccount {account:?} does not fit the CRD of this operator")
        }
    }
}

/// What is wrong with the Secret of an object's credential. `may_be_filled`: whether what it lacks may be on its way.
pub(super) fn secret_message(
    secret: &str,
    problem: &SecretProblem,
    may_be_filled: bool,
) -> (Reason, String) {
    match problem {
        SecretProblem::NotFound => (
            Reason::SecretNotFound,
            format!("Secret {secret:?} does not exist in this namespace"),
        ),
        SecretProblem::Rejected(rejected) if may_be_filled => (
            Reason::SecretNotFound,
            match rejected.rule {
                Rule::Pair => format!(
                    "Secret {secret:?} has no keys accessKey and accessSecret, nor username and password, yet"
                ),
                Rule::Present
                | Rule::NotEmpty
                | Rule::Short(_)
                | Rule::Utf8
                | Rule::NoByteOrderMark
                | Rule::NoControl => format!("Secret {secret:?} has no key {:?} yet", rejected.key),
            },
        ),
        SecretProblem::Rejected(rejected) => (
            Reason::InvalidSecret,
            format!("Secret {secret:?}: {rejected}"),
        ),
        SecretProblem::Forbidden => (
            Reason::Forbidden,
            format!(
                "the operator may not read Secret {secret:?} in this namespace: check its RBAC"
            ),
        ),
        SecretProblem::Unavailable => (
            Reason::ApiUnavailable,
            format!("Secret {secret:?} cannot be read from the API server"),
        ),
    }
}

pub(super) fn conflict_message(object: &Object, foreign: Foreign) -> String {
    let name = match &object.desired {
        Ok(desired) => desired.registry.name.as_str(),
        Err(_) => &object.key.name,
    };
    match foreign {
        Foreign::Untagged => format!(
            "a registry named {name:?} exists in the instance and does not belong to this object; it is left alone"
        ),
        Foreign::Predecessor => "the registry in the way was made for an earlier object of this namespace and name; it is left alone: to take it over, as after the restore of a cluster, set spec.adoption.policy to Rebuild".to_owned(),
        Foreign::TaggedByOther => format!(
            "a registry named {name:?} exists in the instance and carries the tag of another owner; it is left alone"
        ),
        Foreign::NothingToAdopt => {
            "the registry of spec.adoption.registryId does not exist in the instance".to_owned()
        }
    }
}

pub(super) fn needed_permission(failure: &Failure, operation: Operation) -> String {
    if failure.cause == Cause::Forbidden {
        format!("; the account needs {}", operation.iam_action())
    } else {
        String::new()
    }
}

/// What blocks a deletion, in words.
pub(super) fn blocked_by(object: &Object, blocker: &Blocker) -> String {
    match blocker {
        Blocker::Account(problem) => account_message(&object.scope.account, problem),
        Blocker::TagNotKept => "the registry does not carry our tag".to_owned(),
        Blocker::DuplicateTag(ids) => format!(
            "{} in SWR carry this object's ownership tag, and nothing tells which is its own",
            registries(ids)
        ),
        Blocker::Swr { operation, failure } => {
            format!("{failure}{}", needed_permission(failure, *operation))
        }
        Blocker::Kubernetes => "the API server does not answer".to_owned(),
    }
}

/// `registries 24, 26`; of many, the first few.
pub(super) fn registries(ids: &[RegistryId]) -> String {
    let shown: Vec<String> = ids
        .iter()
        .take(CLONES_MAX)
        .map(ToString::to_string)
        .collect();
    let more = if ids.len() > shown.len() { ", ..." } else { "" };
    format!("registries {}{more}", shown.join(", "))
}
