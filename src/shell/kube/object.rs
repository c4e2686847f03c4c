//! Reads and writes of the objects: a quorum GET, and three writes that are each bound to the
//! version that was read. There is no write without one.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, Resource as _};
use serde_json::json;

use super::{FIELD_MANAGER, call, patch};
use crate::answer::KubeFailure;
use crate::api::FINALIZER;
use crate::api::account::{SwrAccount, SwrAccountStatus};
use crate::api::registry::{ReplicationRegistry, ReplicationRegistryStatus};
use crate::object::{Object, ObjectKey};

/// The objects of the cluster.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    resource: ApiResource,
}

impl Objects {
    /// The objects behind this client.
    pub fn new(client: Client) -> Self {
        Objects {
            client,
            resource: ApiResource::erase::<ReplicationRegistry>(&()),
        }
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &self.resource)
    }

    /// Quorum GET: without a resourceVersion the API server asks etcd, not its cache (rule 1).
    pub async fn read(&self, key: &ObjectKey) -> Result<Option<Object>, KubeFailure> {
        match call("read ReplicationRegistry", self.api(key).get_opt(&key.name)).await? {
            None => Ok(None),
            Some(object) => parse(object).map(Some),
        }
    }

    /// Puts our finalizer on, if the object is still at its version.
    pub async fn add_finalizer(&self, object: &Object) -> Result<Object, KubeFailure> {
        let mut finalizers = object.finalizers.clone();
        finalizers.push(FINALIZER.to_owned());
        self.write_finalizers("add finalizer", object, &finalizers)
            .await
    }

    /// Takes our finalizer off, if the object is still at its version.
    pub async fn remove_finalizer(&self, object: &Object) -> Result<(), KubeFailure> {
        let finalizers: Vec<String> = object
            .finalizers
            .iter()
            .filter(|name| *name != FINALIZER)
            .cloned()
            .collect();
        self.write_finalizers("remove finalizer", object, &finalizers)
            .await
            .map(drop)
    }

    async fn write_finalizers(
        &self,
        what: &'static str,
        object: &Object,
        finalizers: &[String],
    ) -> Result<Object, KubeFailure> {
        // A merge patch replaces the whole list, which the version makes safe: had somebody
        // changed it since, this would be a conflict. The uid tells a namesake apart (E11).
        let body = json!({"metadata": {
            "uid": object.uid,
            "resourceVersion": object.version.0,
            "finalizers": finalizers,
        }});
        let api = self.api(&object.key);
        let params = params();
        let answer = call(
            what,
            api.patch(&object.key.name, &params, &Patch::Merge(&body)),
        )
        .await?;
        parse(answer)
    }

    /// Makes the status `new`, if the object is still at its version. On `/status` a wrong uid is
    /// ignored by the API server (measured), but a namesake has another version, too.
    pub async fn write_status(
        &self,
        object: &Object,
        new: &ReplicationRegistryStatus,
    ) -> Result<Object, KubeFailure> {
        let to_json = |status| serde_json::to_value(status).unwrap_or_default();
        let body = json!({
            "metadata": {"resourceVersion": object.version.0},
            "status": patch::between(&to_json(&object.status), &to_json(new)),
        });
        let params = params();
        let api = self.api(&object.key);
        let answer = call(
            "write status",
            api.patch_status(&object.key.name, &params, &Patch::Merge(&body)),
        )
        .await?;
        parse(answer)
    }

    /// Makes the status of an account `new`, if the account is still at its version.
    pub async fn write_account_status(
        &self,
        account: &SwrAccount,
        new: &SwrAccountStatus,
    ) -> Result<(), KubeFailure> {
        let old = account.status.clone().unwrap_or_default();
        let to_json = |status| serde_json::to_value(status).unwrap_or_default();
        let body = json!({
            "metadata": {"resourceVersion": account.meta().resource_version},
            "status": patch::between(&to_json(&old), &to_json(new)),
        });
        let params = params();
        let api: Api<SwrAccount> = Api::all(self.client.clone());
        let name = account.meta().name.as_deref().unwrap_or_default();
        call(
            "write status of SwrAccount",
            api.patch_status(name, &params, &Patch::Merge(&body)),
        )
        .await
        .map(drop)
    }
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn parse(object: DynamicObject) -> Result<Object, KubeFailure> {
    let value = serde_json::to_value(object).map_err(|_| KubeFailure::Rejected)?;
    Object::from_json(value).ok_or(KubeFailure::Rejected)
}
