//! What a user can write and read: the two kinds, their schema, their rules at admission, the
//! closed list of reasons. Knows nothing of SWR's wire, of Kubernetes clients or of decisions.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod account;
pub mod reason;
pub mod registry;
pub mod url;

mod crd;
mod instant;

pub use crd::{crds, replication_registry_crd, swr_account_crd};

/// API group of every kind of this operator.
pub const GROUP: &str = "swr.huaweicloud.com";

/// The finalizer that keeps an object until its registry is settled (rule 2 and rule 8).
pub const FINALIZER: &str = "swr.huaweicloud.com/registry";

/// Annotations by which a person asks for a reconcile now; the second one is Flux's own.
pub const REQUESTED_AT: [&str; 2] = [
    "swr.huaweicloud.com/requestedAt",
    "reconcile.fluxcd.io/requestedAt",
];

/// Annotation of an SwrAccount by which an administrator lets deletions pass the mass-deletion guard:
/// until this time, in RFC 3339.
pub const ALLOW_DELETIONS_UNTIL: &str = "swr.huaweicloud.com/allow-deletions-until";

/// What opens the ownership tag in a registry's `description`; refused in `spec.description`.
pub const TAG_OPENING: &str = "[swr-operator:";

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One condition, as in the Kubernetes API conventions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Name of the condition: `Ready`, `Synced`, `Reconciling` or `Stalled`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// One word from the closed list of reasons, for programs.
    pub reason: String,
    /// One or two sentences for people. Never a secret, an id of a request, or a time.
    pub message: String,
    /// When `status` changed last.
    #[serde(deserialize_with = "instant::clamped")]
    pub last_transition_time: jiff::Timestamp,
    /// The generation of the object that this condition was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The three values of a condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The operator cannot tell.
    Unknown,
}

impl ConditionStatus {
    /// The word that goes into the object.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }
}
