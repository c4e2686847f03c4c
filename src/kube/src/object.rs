//! Reads and writes of the objects: a quorum GET, and three writes that are each bound to the
//! version that was read. There is no write without one.

use kube::api::{Api, GetParams, Patch, PatchParams, Request};
use kube::{Client, Resource as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::json::Json;
use super::lease::Standing;
use super::{FIELD_MANAGER, call, patch, present};
use swr_operator_api::FINALIZER;
use swr_operator_api::account::{SwrAccount, SwrAccountStatus};
use swr_operator_api::registry::{ReplicationRegistry, ReplicationRegistryStatus};
use swr_operator_clock as clock;
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::object::{Object, ObjectKey};
use tokio::sync::watch;

/// The objects of the cluster.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    /// Writes begin only while this process leads.
    standing: watch::Receiver<Standing>,
}

impl Objects {
    /// The objects behind this client.
    pub fn new(client: Client, standing: watch::Receiver<Standing>) -> Self {
        Objects { client, standing }
    }

    /// Found by the model: the status that a process left behind which was stopped, and has been replaced since, would
    /// stay, because whoever leads now has read the object before and found nothing to write.
    fn may_write(&self) -> Result<(), KubeFailure> {
        match self.standing.borrow().leads_at(clock::now()) {
            true => Ok(()),
            false => Err(KubeFailure::Unavailable),
        }
    }

    /// Sends one request about an object, and reads the object that answers it.
    async fn ask(
        &self,
        what: &'static str,
        key: &ObjectKey,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Object, KubeFailure> {
        let answer = async {
            self.client
                .request(request.map_err(kube::Error::BuildRequest)?)
                .await
        };
        let Json(object) = call(what, &key.name, answer).await?;
        Object::from_json(object).ok_or(KubeFailure::Rejected)
    }

    /// Quorum GET: without a resourceVersion the API server asks etcd, not its cache (rule 1).
    pub async fn read(&self, key: &ObjectKey) -> Result<Option<Object>, KubeFailure> {
        let request = requests(key).get(&key.name, &GetParams::default());
        present(self.ask("read ReplicationRegistry", key, request).await)
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
        self.may_write()?;
        let body = finalizers_patch(Some(&object.uid), Some(&object.version.0), finalizers);
        let key = &object.key;
        let request = requests(key).patch(&key.name, &params(), &Patch::Merge(&body));
        self.ask(what, key, request).await
    }

    /// Makes the status `new`, if the object is still at its version. On `/status` a wrong uid is
    /// ignored by the API server (measured), but a namesake has another version, too.
    pub async fn write_status(
        &self,
        object: &Object,
        new: &ReplicationRegistryStatus,
    ) -> Result<Object, KubeFailure> {
        self.may_write()?;
        let body = json!({
            "metadata": {"resourceVersion": object.version.0},
            "status": between(&object.status, new)?,
        });
        let key = &object.key;
        let request =
            requests(key).patch_subresource("status", &key.name, &params(), &Patch::Merge(&body));
        let written = match Box::pin(self.ask("write status", key, request)).await {
            Err(KubeFailure::NotFound) => return Err(Box::pin(self.why_not_found(object)).await),
            written => written?,
        };
        // An older definition of our kind has no field for some of it, and the API server drops that without a word.
        let dropped = between(&written.status, new)?;
        let dropped: Vec<&String> = dropped
            .as_object()
            .map(|it| it.keys().collect())
            .unwrap_or_default();
        if !dropped.is_empty() {
            tracing::warn!(
                ?dropped,
                "the API server does not keep these fields of the status: apply the CustomResourceDefinitions of this version"
            );
        }
        Ok(written)
    }

    /// An object whose definition has no status answers like one that is gone (measured), and deciding again would not end.
    async fn why_not_found(&self, object: &Object) -> KubeFailure {
        match self.read(&object.key).await {
            Ok(Some(found)) if found.uid == object.uid => {
                tracing::warn!(
                    "the definition of ReplicationRegistry has no status: apply the CustomResourceDefinitions of this version"
                );
                KubeFailure::Rejected
            }
            Ok(Some(_) | None) => KubeFailure::NotFound,
            Err(failure) => failure,
        }
    }

    /// Puts this finalizer on an account, or takes it off, if the account is still at its version.
    pub async fn hold_account(
        &self,
        account: &SwrAccount,
        finalizer: &str,
        hold: bool,
    ) -> Result<SwrAccount, KubeFailure> {
        self.may_write()?;
        let mut finalizers = account.meta().finalizers.clone().unwrap_or_default();
        finalizers.retain(|name| name != finalizer);
        if hold {
            finalizers.push(finalizer.to_owned());
        }
        let (uid, version) = (&account.meta().uid, &account.meta().resource_version);
        let body = finalizers_patch(uid.as_deref(), version.as_deref(), &finalizers);
        let params = params();
        let api: Api<SwrAccount> = Api::all(self.client.clone());
        let name = account.meta().name.as_deref().unwrap_or_default();
        let what = match hold {
            true => "add finalizer to SwrAccount",
            false => "remove finalizer from SwrAccount",
        };
        call(what, name, api.patch(name, &params, &Patch::Merge(&body))).await
    }

    /// Makes the status of an account `new`, if the account is still at its version.
    pub async fn write_account_status(
        &self,
        account: &SwrAccount,
        new: &SwrAccountStatus,
    ) -> Result<(), KubeFailure> {
        self.may_write()?;
        let old = account.status.clone().unwrap_or_default();
        let body = json!({
            "metadata": {"resourceVersion": account.meta().resource_version},
            "status": between(&old, new)?,
        });
        let params = params();
        let api: Api<SwrAccount> = Api::all(self.client.clone());
        let name = account.meta().name.as_deref().unwrap_or_default();
        call(
            "write status of SwrAccount",
            name,
            api.patch_status(name, &params, &Patch::Merge(&body)),
        )
        .await
        .map(drop)
    }
}

/// A merge patch replaces the whole list, which the version makes safe: had somebody changed it since, this
/// would be a conflict. The uid tells a namesake apart (E11).
fn finalizers_patch(uid: Option<&str>, version: Option<&str>, finalizers: &[String]) -> Value {
    json!({"metadata": {"uid": uid, "resourceVersion": version, "finalizers": finalizers}})
}

/// The patch between two statuses. One that cannot be written as an object would erase what is
/// there, an intent included, so it is written not at all.
fn between<T: Serialize>(old: &T, new: &T) -> Result<Value, KubeFailure> {
    let to_json = |status: &T| match serde_json::to_value(status) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => {
            tracing::error!("a status is no object; this is a bug, please report it");
            Err(KubeFailure::Rejected)
        }
        Err(error) => {
            tracing::error!(%error, "a status cannot be written; this is a bug, please report it");
            Err(KubeFailure::Rejected)
        }
    };
    Ok(patch::between(&to_json(old)?, &to_json(new)?))
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Requests about the objects of a namespace.
fn requests(key: &ObjectKey) -> Request {
    Request::new(ReplicationRegistry::url_path(&(), Some(&key.namespace)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_status_that_cannot_be_written_is_refused_and_not_erased() {
        // Keys that are no text, and what is no object.
        let keys = HashMap::from([((1, 2), 3)]);
        assert_eq!(between(&keys, &keys), Err(KubeFailure::Rejected));
        assert_eq!(between(&None, &Some(1)), Err(KubeFailure::Rejected));
        let one = |value| HashMap::from([("a", value)]);
        assert_eq!(between(&one(1), &one(2)), Ok(json!({"a": 2})));
    }
}
