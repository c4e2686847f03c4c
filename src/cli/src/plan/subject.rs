//! A manifest x the object of that name in the cluster -> the object as it would be once the manifest is applied. Asks
//! nobody.

use serde::Deserialize as _;
use serde_json::{Value, json};
use swr_operator_api::registry::{ReplicationRegistry, SentCredential};
use swr_operator_core::credential::{Fingerprint, Sealed};
use swr_operator_core::object::Object;
use swr_operator_core::observed::Inventory;
use swr_operator_core::tag::{self, Installation, Owner, Owners};

use crate::exit::Failure;

/// Of an object that is not in the cluster yet. No cluster gives it away.
const NO_UID: &str = "not-created-yet";

/// One object that a plan is made for.
pub(super) struct Subject {
    pub(super) object: Object,
    /// Whether the cluster holds it.
    pub(super) is_live: bool,
    /// The manifest that it comes from; `None` for the cluster's own.
    pub(super) file: Option<String>,
}

/// The object as it would be: spec and annotations of the manifest, identity and status of what is in the cluster.
pub(super) fn subject(
    manifest: &Value,
    live: Option<&Value>,
    namespace: &str,
    file: Option<String>,
    deletes: bool,
) -> Result<Subject, Failure> {
    let mut value = manifest.clone();
    let name = value["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    value["metadata"]["namespace"] = json!(namespace);
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    match live {
        Some(live) => {
            for field in ["uid", "resourceVersion", "finalizers", "deletionTimestamp"] {
                value["metadata"][field] = live["metadata"][field].clone();
            }
            value["status"] = live["status"].clone();
            let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
            let changes = i64::from(is_other_spec(&value, live));
            value["metadata"]["generation"] = json!(generation.saturating_add(changes));
        }
        None => {
            value["metadata"]["uid"] = json!(NO_UID);
            value["metadata"]["resourceVersion"] = json!("0");
            value["metadata"]["generation"] = json!(1);
        }
    }
    if deletes && value["metadata"]["deletionTimestamp"].is_null() {
        value["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
        // One that only exists as a manifest may have been applied already.
        if live.is_none() {
            value["metadata"]["finalizers"] = json!([swr_operator_api::FINALIZER]);
        }
    }
    prune_nulls(&mut value);
    let object = Object::from_json(value).ok_or_else(|| {
        Failure::new(format!(
            "object {namespace}/{name} has no metadata that can be read"
        ))
    })?;
    Ok(Subject {
        object,
        is_live: live.is_some(),
        file,
    })
}

/// With the defaults that the API server fills in.
fn is_other_spec(manifest: &Value, live: &Value) -> bool {
    let spec = |value: &Value| {
        ReplicationRegistry::deserialize(value)
            .map(|it| it.spec)
            .ok()
    };
    spec(manifest) != spec(live)
}

/// `null` stands for what is not there.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whose registries are the object's own.
pub(super) enum Ownership {
    /// Those with the tag of this object in this installation.
    Known(Owner),
    /// Those whose tag names the object; the uid is not known here, or the installation is not.
    ByName(Option<Installation>),
}

impl Subject {
    /// The owner; by name only if SWR shows a single tag that names the object.
    pub(super) fn owner(&self, ownership: &Ownership, owners: Option<&Owners>) -> Owner {
        let installation = match ownership {
            Ownership::Known(owner) => return owner.clone(),
            Ownership::ByName(installation) => installation.as_ref(),
        };
        let key = &self.object.key;
        let (namespace, name) = (&*key.namespace, &*key.name);
        let owners = owners.into_iter();
        let mut owners: Vec<&Owner> = owners
            .flat_map(|owners| owners.named(installation, namespace, name))
            .collect();
        if self.is_live {
            let uid = tag::uid_bytes(&self.object.uid);
            owners.retain(|owner| tag::uid_of(owner.tag()) == Some(uid));
        }
        match owners.as_slice() {
            [owner] => (*owner).clone(),
            _ => {
                let unknown =
                    Installation::from_configured("an installation that nobody configured");
                let installation = installation.unwrap_or(&unknown);
                Owner::new(installation, &self.object.uid, namespace, name)
            }
        }
    }

    /// Without a cluster nobody knows the status. A registry that carries the object's tag was made by an operator,
    /// which knows its id and has sent it a credential.
    pub(super) fn assume_status(&mut self, owner: &Owner, inventory: &Inventory, sealed: &Sealed) {
        let status = &mut self.object.status;
        if self.is_live || status.registry_id.is_some() {
            return;
        }
        if let [id] = inventory.carriers(owner).as_slice() {
            status.registry_id = Some(id.0);
            status.credential = Some(SentCredential {
                secret_name: String::new(),
                fingerprint: sealed.whole.as_str().to_owned(),
                sent_at: jiff::Timestamp::MAX,
            });
        }
    }

    /// Takes for granted that the credential is the one that was sent last, if one was.
    pub(super) fn assume_sent(&mut self, sealed: &Sealed) {
        if let Some(sent) = &mut self.object.status.credential {
            sealed.whole.as_str().clone_into(&mut sent.fingerprint);
        }
    }
}

/// Stands for a credential that nobody here knows.
pub(super) fn unknown_credential() -> Sealed {
    Sealed {
        whole: Fingerprint::from_status("not known here"),
        access_key: Fingerprint::from_status("not known here"),
    }
}
