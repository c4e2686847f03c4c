//! JSON of the API server -> an object of ours, or what is wrong with it. One object that does not fit
//! our CRD must not end the watch of all others (E13), so its metadata is kept in its place.
//!
//! kube's `DeserializeGuard` parses into a generic value as well, but clones it, `managedFields`
//! included.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::json::Json;

/// An object, if it is one.
#[derive(Clone, Debug)]
pub(super) struct Guarded<K>(pub(super) Result<Box<K>, Invalid>);

/// What is known of an object that does not fit our CRD.
#[derive(Clone, Debug)]
pub(super) struct Invalid {
    /// Why it does not.
    pub(super) error: String,
    /// All of it.
    pub(super) json: Value,
    metadata: ObjectMeta,
}

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Json(json) = Json::deserialize(deserializer)?;
        Ok(Guarded(match K::deserialize(&json) {
            Ok(object) => Ok(Box::new(object)),
            Err(error) => {
                let partial = PartialObjectMeta::<K>::deserialize(&json);
                Err(Invalid {
                    error: error.to_string(),
                    metadata: partial.map_err(D::Error::custom)?.metadata,
                    json,
                })
            }
        }))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use swr_operator_api::registry::ReplicationRegistry;

    use super::*;

    fn guarded(spec: &Value) -> Guarded<ReplicationRegistry> {
        let object = json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "name": "a", "uid": "u",
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": spec,
        });
        serde_json::from_str(&object.to_string()).expect("metadata is enough")
    }

    #[test]
    fn an_object_that_does_not_fit_keeps_its_name_and_says_why() {
        let Guarded(object) = guarded(&json!({"type": 7}));
        let invalid = object.expect_err("no object");
        assert_eq!(invalid.metadata.name.as_deref(), Some("a"));
        assert!(
            invalid.error.starts_with("invalid type: integer `7`"),
            "{}",
            invalid.error
        );
    }

    #[test]
    fn who_manages_which_field_is_not_kept() {
        let fits = guarded(&json!({
            "instanceId": "i", "type": "swr-pro", "url": "https://a.test", "insecure": true,
            "credentialSecretRef": {"name": "a"},
        }));
        assert_eq!(fits.0.as_ref().expect("an object").spec.instance_id, "i");
        for object in [fits, guarded(&json!("no spec"))] {
            assert_eq!(object.meta().uid.as_deref(), Some("u"));
            assert_eq!(object.meta().managed_fields, None);
        }
    }
}
