//! Secrets by name. Everybody who waits for the same one shares one GET; none is kept.

use std::sync::Arc;

use swr_operator_core::answer::{KubeFailure, SecretProblem};
use swr_operator_core::credential::{Credential, SecretData};
use swr_operator_core::desired::SecretRef;
use swr_operator_kube::Secrets;

use super::shared::{Load, SharedReads};

/// Namespace and name of a Secret.
pub(super) type SecretKey = (Arc<str>, Arc<str>);

/// A Secret as it was read; `None` if there is none.
pub(super) type ReadSecret = Result<Option<Arc<SecretData>>, KubeFailure>;

/// The Secrets of the cluster.
pub(super) struct SharedSecrets {
    secrets: Secrets,
    reads: SharedReads<SecretKey, ReadSecret>,
}

impl SharedSecrets {
    pub(super) fn new(secrets: Secrets) -> Self {
        SharedSecrets {
            secrets,
            reads: SharedReads::default(),
        }
    }

    /// A Secret as it is after this call.
    pub(super) async fn read(&self, namespace: &str, name: &str, load: Load) -> ReadSecret {
        let key: SecretKey = (namespace.into(), name.into());
        let (secrets, (namespace, name)) = (self.secrets.clone(), key.clone());
        let read = async move || {
            let secret = secrets.read(&namespace, &name).await?;
            Ok(secret.map(Arc::new))
        };
        self.reads.read(key, load, read).await
    }
}

/// The credential that an object names, of the Secret as it was read.
pub(super) fn credential(
    secret: Option<&SecretData>,
    by: &SecretRef,
) -> Result<Credential, SecretProblem> {
    let keys = by.keys.as_ref().map(|(k, s)| (&**k, &**s));
    let secret = secret.ok_or(SecretProblem::NotFound)?;
    Credential::from_secret(secret, keys).map_err(SecretProblem::Rejected)
}
