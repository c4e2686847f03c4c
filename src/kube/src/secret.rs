//! Secrets: GET by name, used at once, kept nowhere. No list, no watch.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use zeroize::Zeroizing;

use super::{FIELD_MANAGER, call, present};
use swr_operator_clock as clock;
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::credential::{Sealer, SecretData};

/// Name of the Secret in the operator's namespace that holds the installation's key. It ships
/// empty, because RBAC cannot limit `create` to a name.
pub(super) const KEY_SECRET: &str = "swr-operator-key";
pub(super) const KEY: &str = "key";
/// 256 bits, the size of the hash.
const KEY_BYTES: usize = 32;

/// Access to Secrets.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
}

/// Why there is no key for fingerprints.
#[derive(Debug, thiserror::Error)]
pub enum InstallationKeyError {
    /// The Secret is not there.
    #[error(
        "Secret {KEY_SECRET} does not exist in namespace {namespace}: deploy/base/key.yaml is it"
    )]
    Missing {
        /// The operator's namespace.
        namespace: String,
    },
    /// The Secret holds a key that is too short to be safe.
    #[error(
        "Secret {KEY_SECRET} in namespace {namespace} holds a key of less than 32 bytes: replace it, or empty it and a new one is made"
    )]
    Short {
        /// The operator's namespace.
        namespace: String,
    },
    /// The Secret cannot be read or written.
    #[error("failed to {what} Secret {KEY_SECRET} in namespace {namespace}: {failure:?}")]
    Failed {
        /// Read or write.
        what: &'static str,
        /// The operator's namespace.
        namespace: String,
        /// What went wrong.
        failure: KubeFailure,
    },
}

impl Secrets {
    /// The Secrets behind this client.
    pub fn new(client: Client) -> Self {
        Secrets { client }
    }

    /// One Secret, `None` if there is none of this name.
    pub async fn read(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<SecretData>, KubeFailure> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = present(call("read Secret", name, api.get(name)).await)?;
        Ok(secret.map(data))
    }

    /// The installation's key, made at the first start.
    pub async fn sealer(&self, namespace: &str) -> Result<Sealer, InstallationKeyError> {
        let failed = |what| {
            move |failure| InstallationKeyError::Failed {
                what,
                namespace: namespace.to_owned(),
                failure,
            }
        };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        // Two operators that start at once race for the write; the loser reads the winner's key.
        for _ in 0..3 {
            let read = call("read installation key", KEY_SECRET, api.get(KEY_SECRET));
            let secret = present(read.await)
                .map_err(failed("read"))?
                .ok_or_else(|| InstallationKeyError::Missing {
                    namespace: namespace.to_owned(),
                })?;
            let present = secret.data.and_then(|mut data| data.remove(KEY));
            if let Some(ByteString(key)) = present.filter(|key| !key.0.is_empty()) {
                // A person's own key is used or refused, but never overwritten.
                if key.len() < KEY_BYTES {
                    return Err(InstallationKeyError::Short {
                        namespace: namespace.to_owned(),
                    });
                }
                return Ok(Sealer::new(key));
            }
            let mut key = vec![0; KEY_BYTES];
            clock::random(&mut key);
            let body = json!({
                "metadata": {"resourceVersion": secret.metadata.resource_version},
                "data": {KEY: ByteString(key)},
            });
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            match call(
                "write installation key",
                KEY_SECRET,
                api.patch(KEY_SECRET, &params, &Patch::Merge(&body)),
            )
            .await
            {
                Ok(_) | Err(KubeFailure::Conflict) => {}
                Err(failure) => return Err(failed("write")(failure)),
            }
        }
        Err(failed("write")(KubeFailure::Conflict))
    }

    /// The uid of a namespace: that of `kube-system` names the cluster.
    pub async fn namespace_uid(&self, name: &str) -> Result<Option<String>, KubeFailure> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let namespace = present(call("read namespace", name, api.get(name)).await)?;
        Ok(namespace.and_then(|namespace| namespace.metadata.uid))
    }
}

/// What a Secret holds.
pub(super) fn data(secret: Secret) -> SecretData {
    let data = secret.data.unwrap_or_default().into_iter();
    SecretData {
        type_: secret.type_.unwrap_or_default(),
        data: data
            .map(|(key, ByteString(value))| (key, Zeroizing::new(value)))
            .collect(),
    }
}
