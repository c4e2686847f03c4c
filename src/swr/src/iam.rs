//! Region -> project, asked from IAM (swr-api.md 4.4). Guesses nothing and keeps nothing.

use thiserror::Error;

use super::auth::Authenticator;
use super::endpoint::Endpoint;
use super::error::{Operation, malformed};
use super::exchange::{Call, Caller, exchange};
use super::http::Transport;
use super::limit::Limiter;
use super::sign;
use super::wire;
use swr_operator_core::desired::{ProjectId, Region};
use swr_operator_core::failure::Failure;

/// Why the project of a region is not known. Each has the same way out: `projectId` in the account.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProjectError {
    /// IAM shows the key no project of this name.
    #[error("IAM knows no project named after the region")]
    None,
    /// Which of them is meant cannot be told.
    #[error("IAM knows {0} projects named after the region")]
    Several(usize),
    /// IAM did not answer the question.
    #[error("failed to ask IAM for the project of the region: {0}")]
    Failed(Failure),
}

/// The id of the project that is named after a region.
///
/// # Errors
/// There is none, there are several, or IAM did not say, or the request was not let go.
pub async fn project_of(
    transport: &Transport,
    iam: &Endpoint,
    region: &Region,
    authenticator: &Authenticator,
    limiter: &Limiter,
) -> Result<ProjectId, ProjectError> {
    let credential = authenticator
        .current()
        .await
        .map_err(|error| ProjectError::Failed(error.failure()))?;
    let permit = limiter.admit(None, None).await;
    let permit = permit.map_err(ProjectError::Failed)?;
    let caller = Caller {
        transport,
        endpoint: iam,
        credential: Some(&credential),
        project: None,
    };
    let query = sign::query(&[("name", region.as_str())]);
    let call = Call {
        query: &query,
        ..Call::of(Operation::Projects, "/v3/projects")
    };
    let verdict = exchange(&caller, call).await;
    permit.settle(verdict.result.as_ref().map(|_| ()));
    let body = verdict.result.map_err(ProjectError::Failed)?;
    let mut ids = wire::decode_projects(&body, region.as_str())
        .map_err(|wire::Malformed| ProjectError::Failed(malformed(Operation::Projects, None)))?;
    match (ids.pop(), ids.len()) {
        (None, _) => Err(ProjectError::None),
        (Some(id), 0) => Ok(ProjectId::new(id)),
        (Some(_), others) => Err(ProjectError::Several(others + 1)),
    }
}
