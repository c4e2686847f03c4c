//! What we ask of the API server. The only place that knows a patch format; knows nothing of SWR.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod client;
mod event;
mod guard;
mod json;
mod lease;
mod object;
mod observe;
mod patch;
mod people;
mod secret;
mod watch;

pub use client::{Connection, ConnectionError, connect};
pub use event::{Events, publisher};
pub use lease::{Elector, LEASE_DURATION_MAX, LeaseOptions, LeaseWindows, Standing};
pub use object::Objects;
pub use observe::{ObserveRequests, Unobserved};
pub use people::{
    Applicable, Applied, ApplyOptions, Objection, Refusal, Refused, Right, ServerVersion, Session,
    SessionError, Told,
};
pub use secret::{InstallationKeyError, Secrets};
pub use watch::{
    Event, Seen, SeenAccount, SeenNamespace, SeenSecret, watch_accounts, watch_namespaces,
    watch_objects, watch_secrets,
};

use std::time::Duration;

use swr_operator_core::answer::KubeFailure;

/// A unary call ends within this time (reliability.md 5.8); kube 5.0 itself has no limit.
const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// A sentence of the API server's with the names that it quotes, each 253 characters at most, is shorter.
const TOLD_BYTES_MAX: usize = 1024;

/// Who writes, for `managedFields`.
const FIELD_MANAGER: &str = "swr-operator";

/// Runs one call about the thing of this name with its deadline, and maps what went wrong in the
/// one place that does.
async fn call<T>(
    what: &'static str,
    name: &str,
    future: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubeFailure> {
    call_within(CALL_DEADLINE, what, name, future).await
}

/// The same with another deadline.
async fn call_within<T>(
    deadline: Duration,
    what: &'static str,
    name: &str,
    future: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubeFailure> {
    match tokio::time::timeout(deadline, future).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let failure = failure(&error, name);
            // A conflict is everyday life.
            match failure {
                KubeFailure::Conflict | KubeFailure::NotFound => {
                    tracing::debug!(what, error = told(&error), "the API server refused");
                }
                KubeFailure::Forbidden | KubeFailure::Rejected | KubeFailure::Unavailable => {
                    tracing::warn!(what, error = told(&error), "the API server did not do it");
                }
            }
            Err(failure)
        }
        Err(_) => {
            tracing::warn!(
                what,
                deadline_secs = deadline.as_secs_f64(),
                "the API server did not answer in time"
            );
            Err(KubeFailure::Unavailable)
        }
    }
}

/// What went wrong, for the log. serde quotes the value that it stumbles over, which may be that of a Secret (E4), so
/// what cannot be decoded is told by its place; and where an answer is no `Status`, kube's message is the whole of it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let undecodable = causes.filter_map(|error| error.downcast_ref::<serde_json::Error>());
    if let Some(error) = undecodable.last() {
        let (line, column) = (error.line(), error.column());
        return format!("the answer cannot be decoded: line {line}, column {column}");
    }
    let text = error.to_string();
    text[..text.floor_char_boundary(TOLD_BYTES_MAX)].to_owned()
}

/// `None` for what is certainly not there.
fn present<T>(read: Result<T, KubeFailure>) -> Result<Option<T>, KubeFailure> {
    match read {
        Ok(it) => Ok(Some(it)),
        Err(KubeFailure::NotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether a 404 is about the thing that was asked for. An API server that starts, or whose CRD is
/// being replaced, answers 404 for a path that it does not serve, in plain text or with a `Status`
/// that names nothing.
fn names_missing(status: &kube::core::Status, name: &str) -> bool {
    let details = status.details.as_ref();
    details.is_some_and(|details| details.name == name && !details.kind.is_empty())
}

fn names_uid(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<&str> = causes.map(|cause| cause.field.as_str()).collect();
    fields.contains(&"metadata.uid")
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "kube's error enum grows; whatever else it may say, nothing is known of the outcome"
)]
fn failure(error: &kube::Error, name: &str) -> KubeFailure {
    match error {
        kube::Error::Api(status) => match status.code {
            404 if names_missing(status, name) => KubeFailure::NotFound,
            404 | 410 => KubeFailure::Unavailable,
            409 => KubeFailure::Conflict,
            // Measured: a uid that is not the object's is refused as a change of that field.
            422 if names_uid(status) => KubeFailure::Conflict,
            401 | 403 => KubeFailure::Forbidden,
            429 => KubeFailure::Unavailable,
            400..=499 => KubeFailure::Rejected,
            _ => KubeFailure::Unavailable,
        },
        kube::Error::SerdeError(_) => KubeFailure::Rejected,
        _ => KubeFailure::Unavailable,
    }
}

#[cfg(test)]
mod tests;
