//! Sentences of the status that more than one judgement needs, or that need more than one case.

use super::CLONES_MAX;
use crate::answer::AccountProblem;
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
