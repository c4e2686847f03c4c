//! CR -> what a decision needs of it, once and whole. Knows no patch format.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize as _;

use crate::api::reason::Reason;
use crate::api::registry::{DeletionPolicy, Mode, ReplicationRegistry, ReplicationRegistryStatus};
use crate::api::{FINALIZER, REQUESTED_AT};
use crate::credential::Fingerprint;
use crate::desired::{self, Desired, InstanceId, Invalid, RegistryId, Scope};

/// Namespace and name of an object. Queue, watch and metrics hold it many times: a clone shares the texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of `namespace/name`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        ObjectKey {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A `resourceVersion`: what a write expects to find.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// A deletion that would delete a registry in SWR.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deletion {
    /// Where the registry is.
    pub scope: Scope,
    /// What the status says of it.
    pub stage: Stage,
}

/// How far a deletion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing was done yet.
    New,
    /// The operator began to delete the registry.
    Begun,
    /// It is one of too many.
    Paused,
}

/// An object as a read, a watch or the answer to our own write showed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from a namesake that was deleted.
    pub uid: String,
    /// What the next write expects.
    pub version: Version,
    /// Generation of the spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Every finalizer, ours and others'.
    pub finalizers: Vec<String>,
    /// Account and instance.
    pub scope: Scope,
    /// What it asks for, or every finding against it.
    pub desired: Result<Desired, Vec<Invalid>>,
    /// `spec.mode`.
    pub mode: Mode,
    /// `spec.deletionPolicy`.
    pub deletion_policy: DeletionPolicy,
    /// `spec.deletionProtection`.
    pub protected: bool,
    /// `spec.suspend`.
    pub suspended: bool,
    /// Seconds of `spec.pollInterval`.
    pub poll_secs: Option<i64>,
    /// The newest request for a reconcile by annotation.
    pub requested_at: Option<String>,
    /// The status as it stands.
    pub status: ReplicationRegistryStatus,
}

impl Object {
    /// Whether it asks that nothing be written to SWR.
    pub(crate) fn only_observes(&self) -> bool {
        match self.mode {
            Mode::Enforce => false,
            Mode::Observe => true,
        }
    }

    /// Whether the registry stays when the object goes.
    pub(crate) fn orphans(&self) -> bool {
        match self.deletion_policy {
            DeletionPolicy::Delete => false,
            DeletionPolicy::Orphan => true,
        }
    }

    /// What its deletion would delete in SWR; `None` if it is not being deleted, or would delete nothing.
    pub fn deletion(&self) -> Option<Deletion> {
        let status = &self.status;
        let keeps = self.only_observes() || self.orphans() || self.protected || self.suspended;
        let may_have = status.registry_id.is_some() || status.create_intent.is_some();
        if !self.deleting || !self.has_finalizer() || keeps || !may_have {
            return None;
        }
        let was_paused = self.ready_reason() == Some(Reason::DeletionPaused.as_str());
        Some(Deletion {
            scope: self.scope.clone(),
            stage: match status.deletion_attempted_at {
                _ if was_paused => Stage::Paused,
                Some(_) => Stage::Begun,
                None => Stage::New,
            },
        })
    }

    /// Reads an object as the API server sent it. One that does not fit our CRD, because another
    /// version of it is installed, is read as far as possible, with the misfit as a finding: it
    /// must stop neither itself from being deleted nor any other object.
    pub fn from_json(value: serde_json::Value) -> Option<Object> {
        let misfit = match ReplicationRegistry::deserialize(&value) {
            Ok(cr) => return Object::from_cr(&cr),
            Err(error) => error.to_string(),
        };
        let text = |path: &str| {
            let text = value.pointer(path).and_then(serde_json::Value::as_str);
            text.map(str::to_owned)
        };
        let word = |path: &str| value.pointer(path).cloned().unwrap_or_default();
        let flag = |path: &str| word(path).as_bool().unwrap_or_default();
        let meta: ObjectMeta = serde_json::from_value(word("/metadata")).ok()?;
        let requested_at = requested_at(&meta);
        Some(Object {
            key: ObjectKey::new(meta.namespace?, meta.name?),
            uid: meta.uid?,
            version: Version(meta.resource_version?),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            finalizers: meta.finalizers.unwrap_or_default(),
            scope: Scope {
                account: text("/spec/accountRef/name").map_or("default".into(), Arc::from),
                instance: InstanceId::new(text("/spec/instanceId").unwrap_or_default()),
            },
            desired: Err(vec![Invalid {
                field: "spec",
                message: format!("does not fit the CRD of this operator: {misfit}"),
            }]),
            mode: serde_json::from_value(word("/spec/mode")).unwrap_or_default(),
            deletion_policy: serde_json::from_value(word("/spec/deletionPolicy"))
                .unwrap_or_default(),
            protected: flag("/spec/deletionProtection"),
            suspended: flag("/spec/suspend"),
            poll_secs: None,
            requested_at,
            status: readable_status(&word("/status")),
        })
    }

    /// Takes what is needed out of a CR. `None` for an object without name, namespace, uid or
    /// resourceVersion, which no API server hands out.
    pub fn from_cr(cr: &ReplicationRegistry) -> Option<Object> {
        let meta = &cr.metadata;
        Some(Object {
            key: ObjectKey::new(meta.namespace.as_deref()?, meta.name.as_deref()?),
            uid: meta.uid.clone()?,
            version: Version(meta.resource_version.clone()?),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            scope: Scope::of(cr),
            desired: Desired::parse(cr),
            mode: cr.spec.mode,
            deletion_policy: desired::deletion_policy(cr),
            protected: cr.spec.deletion_protection,
            suspended: cr.spec.suspend,
            poll_secs: desired::poll_secs(cr),
            requested_at: requested_at(meta),
            status: cr.status.clone().unwrap_or_default(),
        })
    }

    /// Whether this is the other object with nothing changed that counts: its version may be another.
    pub fn is_as(&self, other: &Object) -> bool {
        let Object { version, .. } = self;
        *self
            == Object {
                version: version.clone(),
                ..other.clone()
            }
    }

    /// Whether our finalizer is on.
    pub fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|name| name == FINALIZER)
    }

    /// The id in the status. It is a hint: only the tag says whose a registry is.
    pub fn known_id(&self) -> Option<RegistryId> {
        self.status.registry_id.map(RegistryId)
    }

    /// The reason of condition `Ready`, as it stands.
    pub fn ready_reason(&self) -> Option<&str> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")
            .map(|condition| condition.reason.as_str())
    }

    /// Fingerprint and time of the credential that was sent last.
    pub fn sent(&self) -> Option<(Fingerprint, jiff::Timestamp)> {
        self.status
            .credential
            .as_ref()
            .map(|sent| (Fingerprint::from_status(&sent.fingerprint), sent.sent_at))
    }
}

/// A status as far as it can be read: one field that another version of the CRD lets in must hide
/// neither an intent nor an id.
fn readable_status(value: &serde_json::Value) -> ReplicationRegistryStatus {
    let fields = value.as_object().into_iter().flatten();
    let readable = fields.filter(|(key, value)| {
        let alone = serde_json::json!({key.as_str(): value});
        ReplicationRegistryStatus::deserialize(alone).is_ok()
    });
    let readable = readable.map(|(key, value)| (key.clone(), value.clone()));
    let readable = serde_json::Value::Object(readable.collect());
    serde_json::from_value(readable).unwrap_or_default()
}

/// The newest request for a reconcile by annotation. Two are compared as times: people write RFC 3339 or seconds since
/// 1970. Any other text goes before a time, because nobody can say that it is older.
pub fn requested_at(meta: &ObjectMeta) -> Option<String> {
    let annotations = meta.annotations.as_ref()?;
    let requests = REQUESTED_AT.iter().filter_map(|key| annotations.get(*key));
    requests
        .max_by_key(|text| {
            let at = instant(text);
            (at.is_none(), at, text.as_str())
        })
        .cloned()
}

fn instant(text: &str) -> Option<Timestamp> {
    let in_secs = || Timestamp::from_second(text.parse().ok()?).ok();
    text.parse().ok().or_else(in_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(spec: serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "namespace": "images", "name": "harbor-dr", "uid": "u-1",
                "resourceVersion": "7", "generation": 3, "finalizers": ["other/one"],
                "annotations": {
                    "swr.huaweicloud.com/requestedAt": "2026-01-02",
                    "reconcile.fluxcd.io/requestedAt": "2026-01-01"
                }
            },
            "spec": spec
        })
    }

    #[test]
    fn the_newest_request_is_the_latest_time_however_it_is_written() {
        let newest = |ours: &str, of_flux: &str| {
            let meta = ObjectMeta {
                annotations: Some(
                    [ours, of_flux]
                        .into_iter()
                        .zip(REQUESTED_AT)
                        .map(|(text, name)| (name.to_owned(), text.to_owned()))
                        .collect(),
                ),
                ..ObjectMeta::default()
            };
            requested_at(&meta)
        };
        for (earlier, later) in [
            ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("2026-01-01T00:00:00Z", "1800000000"),
            ("2026-01-01T12:00:00+08:00", "2026-01-01T05:00:00Z"),
            ("2026-01-01T05:00:00Z", "whatever"),
            ("a", "b"),
        ] {
            assert_eq!(newest(earlier, later).as_deref(), Some(later));
            assert_eq!(newest(later, earlier).as_deref(), Some(later));
        }
    }

    #[test]
    fn an_object_that_does_not_fit_is_read_as_far_as_possible() {
        let object = Object::from_json(value(serde_json::json!({
            "instanceId": "source-1", "type": "a-type-of-tomorrow", "deletionPolicy": "Orphan",
            "suspend": true
        })))
        .expect("object");
        let findings = object.desired.clone().expect_err("a misfit");
        assert_eq!(findings[0].field, "spec");
        assert!(
            findings[0].message.contains("a-type-of-tomorrow"),
            "{findings:?}"
        );
        assert_eq!(
            (
                object.deletion_policy,
                object.suspended,
                object.scope.instance.as_str()
            ),
            (DeletionPolicy::Orphan, true, "source-1")
        );
    }

    #[test]
    fn a_field_of_a_status_that_cannot_be_read_hides_no_other() {
        let mut value = value(serde_json::json!({"type": "a-type-of-tomorrow"}));
        value["status"] = serde_json::json!({
            "observedGeneration": 3, "registryId": 42, "conditions": "of tomorrow",
            "createIntent": {"attempt": 2, "startedAt": "9999-12-31T23:59:59Z"}
        });
        let status = Object::from_json(value).expect("object").status;
        assert_eq!(
            (
                status.registry_id,
                status.create_intent.map(|it| it.attempt)
            ),
            (Some(42), Some(2))
        );
    }

    #[test]
    fn a_deletion_counts_where_it_would_delete_a_registry() {
        let deletion = |edit: &dyn Fn(&mut serde_json::Value)| {
            let mut value = value(serde_json::json!({"instanceId": "source-1"}));
            value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            value["metadata"]["finalizers"] = serde_json::json!([FINALIZER]);
            value["status"] = serde_json::json!({"registryId": 42});
            edit(&mut value);
            let object = Object::from_json(value).expect("object");
            object.deletion().map(|it| (it.scope.account, it.stage))
        };
        let says = |reason: &str| {
            serde_json::json!([{
                "type": "Ready", "status": "False", "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"
            }])
        };
        let at = || serde_json::json!("2026-01-01T00:00:00Z");
        let counted = |stage| Some(("default".into(), stage));
        assert_eq!(deletion(&|_| {}), counted(Stage::New));
        let begun = |value: &mut serde_json::Value| value["status"]["deletionAttemptedAt"] = at();
        assert_eq!(deletion(&begun), counted(Stage::Begun));
        let paused = |value: &mut serde_json::Value| {
            value["status"]["deletionAttemptedAt"] = at();
            value["status"]["conditions"] = says("DeletionPaused");
        };
        assert_eq!(deletion(&paused), counted(Stage::Paused));
        let never_created = |value: &mut serde_json::Value| value["status"] = serde_json::json!({});
        assert_eq!(deletion(&never_created), None);
        let maybe_created = |value: &mut serde_json::Value| {
            let intent = serde_json::json!({"attempt": 1, "startedAt": at()});
            value["status"] = serde_json::json!({"createIntent": intent});
        };
        assert_eq!(deletion(&maybe_created), counted(Stage::New));
        for (path, held) in [
            ("mode", serde_json::json!("Observe")),
            ("deletionPolicy", serde_json::json!("Orphan")),
            ("deletionProtection", serde_json::json!(true)),
            ("suspend", serde_json::json!(true)),
        ] {
            let holds = |value: &mut serde_json::Value| value["spec"][path] = held.clone();
            assert_eq!(deletion(&holds), None, "{path}");
        }
        let foreign = |value: &mut serde_json::Value| {
            value["metadata"]["finalizers"] = serde_json::json!(["other/one"]);
        };
        assert_eq!(deletion(&foreign), None);
        let stays = |value: &mut serde_json::Value| {
            value["metadata"]["deletionTimestamp"] = serde_json::Value::Null;
        };
        assert_eq!(deletion(&stays), None);
    }

    #[test]
    fn the_newest_request_for_a_reconcile_counts() {
        let object = Object::from_json(value(serde_json::json!({
            "instanceId": "source-1", "type": "huawei-SWR", "url": "https://a.example",
            "insecure": true, "credentialSecretRef": {"name": "s"}
        })))
        .expect("object");
        assert!(object.desired.is_ok(), "{:?}", object.desired);
        assert_eq!(object.requested_at.as_deref(), Some("2026-01-02"));
        assert!(!object.has_finalizer());
    }

    #[test]
    fn an_object_is_as_another_whatever_its_version() {
        let of = |version: &str, generation: i64| {
            Object::from_json(serde_json::json!({
                "metadata": {
                    "namespace": "images", "name": "harbor-dr", "uid": "u",
                    "resourceVersion": version, "generation": generation
                },
                "spec": {"instanceId": "source-1"}
            }))
            .expect("object")
        };
        assert!(of("1", 1).is_as(&of("2", 1)));
        assert!(!of("1", 1).is_as(&of("1", 2)));
    }
}
