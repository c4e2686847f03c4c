//! What the world may answer besides what SWR holds: failures of the API server, accounts,
//! Secrets. Knows neither who asked nor why.

use std::collections::BTreeMap;

use crate::api::account::Grant;
use crate::credential::Rejected;
use crate::desired::{ProjectId, Region};

/// Why a request to the API server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KubeFailure {
    /// The object is not at the version that the write expected, or not the one it meant.
    Conflict,
    /// It is not there.
    NotFound,
    /// We may not.
    Forbidden,
    /// It refuses the write for good.
    Rejected,
    /// No answer, or an error that passes; a write may have been carried out.
    Unavailable,
}

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// An account that can be used, for the object that names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its region.
    pub region: Region,
    /// Its project.
    pub project: ProjectId,
    /// What it grants.
    pub grants: Vec<Grant>,
    /// Labels of the object's namespace; none are known where no grant of any account selects by them.
    pub namespace_labels: Labels,
}

/// Why an account cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountProblem {
    /// There is none of this name.
    NotFound,
    /// This operator does not serve it.
    NotServed,
    /// It is there, but not ready; its own conditions say why.
    NotReady,
    /// It is there, but does not fit the CRD of this operator.
    NotUnderstood,
}

/// Why a credential cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretProblem {
    /// There is no Secret of this name.
    NotFound,
    /// It is there, but a value breaks a rule.
    Rejected(Rejected),
    /// The operator may not read Secrets in this namespace.
    Forbidden,
    /// The API server does not answer.
    Unavailable,
}
