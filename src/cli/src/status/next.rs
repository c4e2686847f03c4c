//! The reason of an object -> what it means, and a command that helps with it.

use serde_json::Value;
use swr_operator_api::reason::Reason;

fn known(reason: &str) -> Option<Reason> {
    let mut all = Reason::ALL.iter();
    all.find(|it| it.as_str() == reason).copied()
}

/// What the list of reasons says of it, unless all is well.
pub(super) fn advice(reason: &str) -> Option<&'static str> {
    known(reason)
        .filter(|reason| *reason != Reason::Available)
        .map(Reason::doc)
}

/// A command that shows more, or mends it.
pub(super) fn command(reason: &str, object: &Value) -> Option<String> {
    let meta = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let (namespace, name) = (meta("namespace"), meta("name"));
    let spec = |pointer: &str| object["spec"].pointer(pointer).and_then(Value::as_str);
    let secret = spec("/credentialSecretRef/name").unwrap_or(name);
    let account = spec("/accountRef/name").unwrap_or("default");
    Some(match known(reason)? {
        Reason::Pending => "swr-operator check".to_owned(),
        Reason::TargetUnhealthy
        | Reason::DriftObserved
        | Reason::ReadOnly
        | Reason::Conflict
        | Reason::NotApplied
        | Reason::TagNotKept
        | Reason::DuplicateTag
        | Reason::OwnershipLost
        | Reason::Fighting => format!("swr-operator plan -n {namespace} --show-unchanged"),
        Reason::Suspended => format!("swr-operator resume {name} -n {namespace}"),
        Reason::SecretNotFound | Reason::InvalidSecret => format!(
            "kubectl create secret generic {secret} -n {namespace} --from-file=accessKey --from-file=accessSecret"
        ),
        Reason::AccountNotReady
        | Reason::ClockSkew
        | Reason::AuthFailed
        | Reason::InstanceNotRunning
        | Reason::Forbidden
        | Reason::QuotaExceeded
        | Reason::BindingChanged
        | Reason::NamespaceNotAllowed
        | Reason::InstanceNotAllowed
        | Reason::TargetNotAllowed
        | Reason::DeletionPaused => format!("kubectl describe swraccount {account}"),
        Reason::InvalidSpec => format!("kubectl edit rreg {name} -n {namespace}"),
        Reason::DeletionProtected | Reason::DeletionBlocked => {
            format!("kubectl get rreg {name} -n {namespace} -o yaml")
        }
        // The operator goes on by itself, or there is nothing to do.
        Reason::Available
        | Reason::Progressing
        | Reason::Verifying
        | Reason::ApiUnavailable
        | Reason::Throttled
        | Reason::InUse
        | Reason::Deleting
        | Reason::InternalError => return None,
    })
}
