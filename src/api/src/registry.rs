//! `ReplicationRegistry`: the user's words. The doc comments of this file become the
//! descriptions of the CRD and `kubectl explain`, so each says effect, default and mutability.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::{Condition, instant};

/// What the target registry in SWR Enterprise should look like, and how the operator treats it.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "swr.huaweicloud.com",
    version = "v1alpha1",
    kind = "ReplicationRegistry",
    plural = "replicationregistries",
    singular = "replicationregistry",
    shortname = "rreg",
    category = "swr",
    namespaced,
    status = "ReplicationRegistryStatus",
    derive = "PartialEq",
    doc = "A target registry for image replication in an instance of Huawei Cloud SWR Enterprise. The operator creates it, keeps it equal to the spec, and removes it with the object.",
    selectable = ".spec.type",
    selectable = ".spec.instanceId",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the registry is equal to the spec and healthy"
    ),
    printcolumn(
        name = "Synced",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Synced")].status"#,
        description = "Whether the last comparison with SWR found it equal"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".spec.type",
        description = "Type of the target registry"
    ),
    printcolumn(
        name = "Registry-ID",
        type_ = "integer",
        json_path = ".status.registryId",
        description = "Id of the registry in SWR"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created"
    ),
    printcolumn(
        name = "Instance",
        type_ = "string",
        json_path = ".spec.instanceId",
        description = "SWR instance that replicates",
        priority = 1
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".spec.url",
        description = "Address of the target registry",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "The reason in a sentence",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct ReplicationRegistrySpec {
    /// The account whose key is used. Default: the `SwrAccount` named `default`. Can be changed
    /// as long as the new account leads to the same project and region.
    #[serde(default)]
    pub account_ref: AccountRef,

    /// Id of the SWR Enterprise instance that replicates, that is, in which the registry is
    /// created. Required; cannot be changed: delete and re-create the object to move it.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[A-Za-z0-9-]+$')", "message": "instanceId is the id of an SWR Enterprise instance: letters, digits and '-' only"},
        {"rule": "self == oldSelf", "message": "instanceId is immutable: delete and re-create the object to move it to another instance"}
    ]))]
    pub instance_id: String,

    /// Name of the registry in SWR, 1 to 64 of Han characters, ASCII letters, digits, `_` and
    /// `-`. Default: `metadata.name`. A change renames the registry in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [
        {"rule": r"self.matches('^[\\p{Han}A-Za-z0-9_-]+$')", "message": "name may contain only Han characters, ASCII letters, digits, '_' and '-' (1 to 64 characters)"}
    ]))]
    pub name: Option<String>,

    /// Type of the target: `swr-pro` (a registry built on open-source Harbor),
    /// `swr-pro-internal` (another SWR Enterprise instance) or `huawei-SWR` (SWR Basic).
    /// Required; cannot be changed.
    #[serde(rename = "type")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self == oldSelf", "message": "type is immutable: delete and re-create the object to change it"}
    ]))]
    pub type_: RegistryType,

    /// Address of the target registry with its scheme, for example `https://harbor.example.com`.
    /// A trailing `/` does not count. Required; can be changed.
    #[schemars(length(min = 1, max = 512), extend("x-kubernetes-validations" = crate::url::rules()))]
    pub url: String,

    /// The API's own word: `true` means that SWR does not verify the certificate of the target.
    /// Required, so that nobody turns verification off without noticing; can be changed. SWR
    /// supports only `true` for `swr-pro-internal`.
    pub insecure: bool,

    /// Free text shown in SWR. The operator appends its ownership tag there; what stands in this
    /// field is compared without it. Default: empty. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), extend("x-kubernetes-validations" = [
        {"rule": "!self.contains('[swr-operator:')", "message": "description must not contain '[swr-operator:': that opens the ownership tag which the operator appends"}
    ]))]
    pub description: Option<String>,

    /// Name resolution of the target, for `swr-pro` only. Leaving it out clears it in SWR.
    /// Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_conf: Option<DnsConf>,

    /// The SWR Enterprise instance that receives images; required for `swr-pro-internal`, not
    /// allowed for other types. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,

    /// The Secret, in the object's own namespace, that holds what SWR uses to log in to the
    /// target. A changed value is sent to SWR at the next poll. Required; can be changed.
    pub credential_secret_ref: CredentialSecretRef,

    /// `Enforce` makes SWR equal to the spec. `Observe` compares and reports in `status.diff`,
    /// and never writes to SWR. Default: `Enforce`. Can be changed.
    #[serde(default)]
    pub mode: Mode,

    /// Whether a registry that already exists may be taken over. Default: never. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,

    /// What happens to the registry when the object is deleted: `Delete` removes it, `Orphan`
    /// leaves it in SWR. Default: `Delete`. Can be changed, even while the object is deleting.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// `true` holds a deletion of the object until this is `false` again. Default: `false`. Can
    /// be changed, even while the object is deleting.
    #[serde(default)]
    pub deletion_protection: bool,

    /// `true` stops every request to SWR for this object, its deletion included. Default:
    /// `false`. Can be changed.
    #[serde(default)]
    pub suspend: bool,

    /// How often SWR is compared with the spec, as `10m` or `1h30m`; at least `1m`. Default: the
    /// installation's `--poll-interval`. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^([0-9]+(h|m|s))+$')", "message": "pollInterval is a duration such as 10m or 1h30m"},
        {"rule": "!self.matches('^([0-9]+(h|m|s))+$') || duration(self) >= duration('1m')", "message": "pollInterval must be at least 1m"}
    ]))]
    pub poll_interval: Option<String>,

    /// Sends the credential again after this time even when nothing differs, as `168h`; at least
    /// `1h`. SWR never gives a secret back, so a change made there cannot be seen. Default:
    /// never. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^([0-9]+(h|m|s))+$')", "message": "resendCredentialEvery is a duration such as 168h"},
        {"rule": "!self.matches('^([0-9]+(h|m|s))+$') || duration(self) >= duration('1h')", "message": "resendCredentialEvery must be at least 1h"}
    ]))]
    pub resend_credential_every: Option<String>,
}

/// Rules that look at several fields at once. Each names the field a person has to change.
fn spec_rules() -> serde_json::Value {
    json!([
        {
            "rule": "self.type != 'swr-pro-internal' || has(self.target)",
            "message": "target (projectId, regionId, instanceId) is required when type is swr-pro-internal",
            "fieldPath": ".target"
        },
        {
            "rule": "self.type == 'swr-pro-internal' || !has(self.target)",
            "message": "target is allowed only when type is swr-pro-internal",
            "fieldPath": ".target"
        },
        {
            "rule": "self.type == 'swr-pro' || !has(self.dnsConf)",
            "message": "dnsConf is allowed only when type is swr-pro",
            "fieldPath": ".dnsConf"
        },
        {
            "rule": "self.type != 'swr-pro-internal' || self.insecure",
            "message": "insecure must be true when type is swr-pro-internal: SWR supports nothing else there",
            "fieldPath": ".insecure"
        }
    ])
}

/// Names the account that an object uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountRef {
    /// Name of a cluster-scoped `SwrAccount`. Default: `default`.
    #[serde(default = "default_account")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn default_account() -> String {
    "default".to_owned()
}

impl Default for AccountRef {
    fn default() -> Self {
        AccountRef {
            name: default_account(),
        }
    }
}

/// The types of target registry that SWR Enterprise knows; the words are SWR's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RegistryType {
    /// A registry built on open-source Harbor.
    #[serde(rename = "swr-pro")]
    SwrPro,
    /// Another instance of SWR Enterprise.
    #[serde(rename = "swr-pro-internal")]
    SwrProInternal,
    /// SWR Basic.
    #[serde(rename = "huawei-SWR")]
    HuaweiSwr,
}

/// Name resolution for the target registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsConf {
    /// Host names and the IP address that each resolves to. The order does not count.
    #[schemars(extend("maxProperties" = 64, "minProperties" = 1, "additionalProperties" = {"type": "string", "maxLength": 45}, "x-kubernetes-validations" = [
        {"rule": "self.all(host, isIP(self[host]))", "message": "every value of hosts must be an IP address"},
        {"rule": format!("self.all(host, {})", crate::url::is_host("host", "")), "message": "every key of hosts must be a host name"}
    ]))]
    pub hosts: BTreeMap<String, String>,
}

/// The SWR Enterprise instance that receives images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Id of the project that the receiving instance belongs to.
    #[schemars(length(min = 1, max = 64))]
    pub project_id: String,
    /// Id of the receiving instance's region, for example `ap-southeast-3`.
    #[schemars(length(min = 1, max = 64))]
    pub region_id: String,
    /// Id of the receiving instance.
    #[schemars(length(min = 1, max = 64))]
    pub instance_id: String,
}

/// Where the credential of the target registry is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSecretRef {
    /// Name of a Secret in the same namespace; there is no way to name another namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Keys to read from the Secret. Default: `username` and `password` for a Secret of type
    /// `kubernetes.io/basic-auth`; for any other `accessKey` and `accessSecret`, or, where the
    /// Secret has neither of them, `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<CredentialKeys>,
}

/// Keys of the Secret that hold the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialKeys {
    /// Key of the user name, robot account or access key.
    #[schemars(length(min = 1, max = 253))]
    pub access_key: String,
    /// Key of the password, token or secret key.
    #[schemars(length(min = 1, max = 253))]
    pub access_secret: String,
}

/// Whether the operator writes to SWR for this object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Make SWR equal to the spec.
    #[default]
    Enforce,
    /// Compare and report, never write to SWR.
    Observe,
}

/// Whether a registry that exists already may be taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.registryId) || self.policy != 'Never'", "message": "adoption.registryId needs a policy other than Never", "fieldPath": ".registryId"}
]))]
pub struct Adoption {
    /// `Never` leaves foreign registries alone. `IfUnowned` takes a registry of exactly this
    /// name that carries no operator's tag. `Rebuild`, for a cluster that was restored, also takes
    /// the registry that this operator made for an earlier object of this namespace and name, once
    /// nobody has touched it for the settle time. Default: `Never`.
    #[serde(default)]
    pub policy: AdoptionPolicy,
    /// Id of the one registry to take over, whatever its name; it is renamed if the name
    /// differs. Default: found by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub registry_id: Option<i64>,
}

/// The policies of adoption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// A registry that exists under this name is a conflict.
    #[default]
    Never,
    /// Take a registry that no operator has tagged.
    IfUnowned,
    /// The same, and the registry of an earlier object of this namespace and name.
    Rebuild,
}

/// What happens to the registry when its object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Remove the registry from SWR.
    #[default]
    Delete,
    /// Leave the registry in SWR.
    Orphan,
}

/// What the operator found and did. Written by the operator alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
// The default makes `kubectl wait`, Helm and Flux wait for the operator instead of taking an
// object that nobody has reconciled for ready (measured: reference X1-X3).
#[schemars(extend("default" = {
    "observedGeneration": -1,
    "conditions": [{
        "type": "Ready", "status": "Unknown", "reason": "Pending",
        "message": "Waiting for the operator",
        "lastTransitionTime": "1970-01-01T00:00:00Z"
    }]
}))]
pub struct ReplicationRegistryStatus {
    /// The generation of the spec that this status was computed from; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Id of the registry in SWR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<i64>,
    /// Project, region and instance in which the registry was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// What SWR reported last; never a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedRegistry>,
    /// Fields in which SWR differs from the spec and that are not written, because of mode `Observe`
    /// or `--read-only`; at most ten, never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub diff: Vec<FieldDiff>,
    /// Which credential was sent last, as a keyed fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<SentCredential>,
    /// What the operator knows of the registry beyond what SWR shows.
    #[serde(
        default,
        deserialize_with = "of_this_form",
        skip_serializing_if = "Option::is_none"
    )]
    pub applied: Option<Applied>,
    /// Ids of registries that carry a copy of this object's ownership tag, for example because
    /// somebody copied the registry in the console. They are left alone; at most five are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub clones: Vec<i64>,
    /// `true` if SWR did not give the ownership tag back: the operator cannot recognise the
    /// registry and does not write to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tag_not_kept: bool,
    /// When the operator first tried in vain to delete the registry of this deleted object. From
    /// then on `deletionPolicy: Orphan` lets the object go without any request to SWR.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "instant::clamped_if_any"
    )]
    pub deletion_attempted_at: Option<Timestamp>,
    /// Set before a registry is created and cleared with the answer; present while nobody knows
    /// whether the request arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_intent: Option<CreateIntent>,
    /// When SWR confirmed the creation, by the clock of the operator that made it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "instant::clamped_if_any"
    )]
    pub created_at: Option<Timestamp>,
    /// Echo of the annotation `swr.huaweicloud.com/requestedAt` once it was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` and `Synced` always; `Reconciling` and `Stalled` only while they are true, and
    /// never both.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

fn never_observed() -> i64 {
    -1
}

impl Default for ReplicationRegistryStatus {
    fn default() -> Self {
        ReplicationRegistryStatus {
            observed_generation: never_observed(),
            registry_id: None,
            binding: None,
            observed: None,
            diff: Vec::new(),
            credential: None,
            applied: None,
            clones: Vec::new(),
            tag_not_kept: false,
            deletion_attempted_at: None,
            create_intent: None,
            created_at: None,
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
        }
    }
}

/// The remote identity under which a registry was created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Project of the instance that replicates.
    pub project_id: String,
    /// Region of the instance that replicates.
    pub region: String,
    /// The instance that replicates.
    pub instance_id: String,
}

/// What SWR reports of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRegistry {
    /// Name in SWR.
    pub name: String,
    /// Type in SWR.
    #[serde(rename = "type")]
    pub type_: String,
    /// Address in SWR.
    pub url: String,
    /// Whether SWR skips the verification of the target's certificate; absent if SWR does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Description in SWR without the operator's tag.
    pub description: String,
    /// Health of the target as SWR reports it: `healthy`, `unhealthy`, or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// SWR's own time of the last change, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// One field in which SWR differs from the spec.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDiff {
    /// Path of the field in the spec.
    pub field: String,
    /// What the spec asks for; `(sensitive)` for the credential.
    pub desired: String,
    /// What SWR holds; `(sensitive)` for the credential.
    pub observed: String,
}

/// The credential that was sent to SWR last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentCredential {
    /// Name of the Secret it was read from.
    pub secret_name: String,
    /// Keyed fingerprint of the value; it cannot be checked without the installation's key.
    pub fingerprint: String,
    /// When it was sent.
    #[serde(deserialize_with = "instant::clamped")]
    pub sent_at: Timestamp,
}

/// What the operator knows of its registry beyond what SWR shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Hash of what was sent last in `dnsConf` and `target.projectId`, which SWR does not always
    /// show, so that a change of them is noticed all the same.
    pub unshown: String,
    /// SWR's own time of the last change as the operator's last write left it. Another value later
    /// means that somebody changed the registry, even where SWR shows no difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// The generation of the spec for which SWR was found equal last: what differs afterwards was
    /// changed in SWR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// `applied`, unless another operator wrote it in another form: early ones wrote a hash alone. It is written anew with
/// the next change, and until then nothing is known of it.
fn of_this_form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Applied>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Ours(Applied),
        Another(IgnoredAny),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Ours(applied) => Some(applied),
        Form::Another(_) => None,
    })
}

/// A durable note that a registry is about to be created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateIntent {
    /// Counts the attempts since the registry was last known.
    pub attempt: i64,
    /// When the attempt began, by the clock of the operator that made it.
    #[serde(deserialize_with = "instant::clamped")]
    pub started_at: Timestamp,
}
