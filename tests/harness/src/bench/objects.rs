//! The objects of the bench as JSON, and where they live. The same for everybody who serves a kind.

use serde_json::{Value, json};

use super::client::{Client, User};
use crate::Error;
use crate::bed::INSTANCE_IDS;

/// The one Secret of all objects of a namespace.
pub(crate) const SECRET: &str = "shared";

/// A kind of custom resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) name: String,
}

impl Kind {
    pub(crate) fn ours() -> Self {
        Self {
            group: "swr.huaweicloud.com".to_owned(),
            version: "v1alpha1".to_owned(),
            plural: "replicationregistries".to_owned(),
            name: "ReplicationRegistry".to_owned(),
        }
    }

    /// The first version that a CustomResourceDefinition serves.
    pub(crate) fn of(definition: &Value) -> Option<Self> {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut versions = spec["versions"].as_array()?.iter();
        Some(Self {
            group: text(&spec["group"])?,
            version: text(&versions.find(|version| version["served"] == true)?["name"])?,
            plural: text(&spec["names"]["plural"])?,
            name: text(&spec["names"]["kind"])?,
        })
    }
}

/// The objects of one kind in one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
}

impl Place {
    /// Of all objects.
    pub(crate) fn path(&self) -> String {
        let Kind {
            group,
            version,
            plural,
            name: _,
        } = &self.kind;
        format!(
            "/apis/{group}/{version}/namespaces/{}/{plural}",
            self.namespace
        )
    }

    /// Of one object.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path())
    }

    pub(crate) fn object(&self, name: &str) -> Value {
        json!({
            "apiVersion": format!("{}/{}", self.kind.group, self.kind.version),
            "kind": self.kind.name,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "instanceId": INSTANCE_IDS[0],
                "name": format!("{}-{name}", self.namespace),
                "type": "huawei-SWR",
                "url": format!("https://{name}.dr.example.com"),
                "insecure": true,
                "description": format!("Copy of {name}"),
                "credentialSecretRef": {"name": SECRET},
            },
        })
    }

    fn secret_path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{SECRET}", self.namespace)
    }

    /// The namespace with its Secret, for `kubectl apply`.
    pub(crate) fn furniture(&self) -> [Value; 2] {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": self.namespace},
            "stringData": {"accessKey": "BENCHACCESSKEY000001", "accessSecret": "bench-secret-1"},
        });
        let metadata = json!({"name": self.namespace});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        [namespace, secret]
    }

    /// Another secret half in the Secret.
    pub(crate) async fn rotate(&self, client: &Client, user: &User) -> Result<(), Error> {
        let patch = json!({"stringData": {"accessSecret": "bench-secret-2"}});
        client.merge(user, &self.secret_path(), &patch).await?;
        Ok(())
    }

    /// Removes whatever a failed run has left: finalizers first, so that nobody must serve them.
    pub(crate) async fn clear(&self, client: &Client, user: &User) -> Result<(), Error> {
        let list = client.get(user, &self.path()).await?;
        for object in list["items"].as_array().into_iter().flatten() {
            let path = self.path_of(object["metadata"]["name"].as_str().unwrap_or_default());
            client
                .merge(user, &path, &json!({"metadata": {"finalizers": null}}))
                .await?;
            // Gone with its last finalizer if it was being deleted.
            let _ = client.delete(user, &path).await;
        }
        Ok(())
    }
}

/// The name of the object with this number.
pub(crate) fn name(index: usize) -> String {
    format!("o-{index:05}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_says_where_its_objects_live() {
        let definition = json!({"spec": {
            "group": "peer.example.com",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": false}, {"name": "v2", "served": true}],
        }});
        let place = Place {
            kind: Kind::of(&definition).expect("a kind"),
            namespace: "here".to_owned(),
        };
        assert_eq!(
            place.path_of("a"),
            "/apis/peer.example.com/v2/namespaces/here/things/a"
        );
        assert_eq!(Kind::of(&json!({})), None);
    }
}
