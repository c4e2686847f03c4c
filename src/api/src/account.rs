//! `SwrAccount`: what an administrator grants. Accounts grant, objects only ask. The doc comments
//! become the descriptions of the CRD.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Condition;
use super::url::is_host;

/// How the operator reaches SWR, and who may use it for what.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "swr.huaweicloud.com",
    version = "v1alpha1",
    kind = "SwrAccount",
    plural = "swraccounts",
    singular = "swraccount",
    shortname = "swracc",
    category = "swr",
    status = "SwrAccountStatus",
    derive = "PartialEq",
    doc = "An account of Huawei Cloud through which the operator reaches SWR Enterprise, with grants that say which namespaces may use which instances and send images where. Written by administrators.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the account can be used"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it can be used or not"
    ),
    printcolumn(
        name = "Region",
        type_ = "string",
        json_path = ".spec.region",
        description = "Region of the account's instances"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created"
    ),
    printcolumn(
        name = "Project",
        type_ = "string",
        json_path = ".status.projectId",
        description = "Project in use",
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
pub struct SwrAccountSpec {
    /// Region of the instances, for example `ap-southeast-3`. Required. The endpoint follows from
    /// it, or from the operator's own configuration. Can be changed; objects that were created
    /// in the old region then stop with `BindingChanged`.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z0-9-]+$')", "message": "region is an id such as ap-southeast-3: lower-case letters, digits and '-' only"}
    ]))]
    pub region: String,

    /// Id of the project that the instances belong to. Default: looked up by the region's name,
    /// which needs the permission to list projects. Can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[A-Za-z0-9-]+$')", "message": "projectId is the id of a project: letters, digits and '-' only"}
    ]))]
    pub project_id: Option<String>,

    /// How the operator proves who it is. Required; can be changed.
    pub auth: Auth,

    /// Bounds on the requests of this account. Can be changed.
    #[serde(default)]
    pub limits: Limits,

    /// Who may use this account for what. What nothing grants is denied. Default: nothing. Can be
    /// changed.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub grants: Vec<Grant>,
}

/// How the operator proves who it is: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": is_one_of(&SOURCES), "message": format!("auth must have exactly one of {}", SOURCES.join(", "))}
]))]
pub struct Auth {
    /// An access key in a Secret in the operator's namespace, with the keys `accessKey`,
    /// `secretKey` and, for a temporary key, `securityToken`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_secret_ref: Option<SecretName>,
    /// An IAM user in a Secret in the operator's namespace, with the keys `domainName` (name of the
    /// account), `userName` and `password`. The operator gets tokens with it and renews them. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretName>,
    /// A token in a Secret in the operator's namespace, under the key `token`. Somebody else renews it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretName>,
    /// An agency that is assumed with the credential of another SwrAccount. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<Agency>,
    /// An agency that is assumed with the token of the operator's ServiceAccount, for which the
    /// cluster is registered in IAM as an identity provider (OIDC). No key is stored. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// The agency that CCE associates with the operator's ServiceAccount (pod identity). No key is
    /// stored. Written as `podIdentity: {}`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
    /// The agency of the node on which the operator runs, from its metadata service. Every pod of that
    /// node can use it. Written as `ecsMetadata: {}`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs_metadata: Option<EcsMetadata>,
}

/// The fields of `auth`.
const SOURCES: [&str; 7] = [
    "accessKeySecretRef",
    "passwordSecretRef",
    "tokenSecretRef",
    "agency",
    "oidc",
    "podIdentity",
    "ecsMetadata",
];

/// CEL: whether exactly one of these fields is there.
fn is_one_of(fields: &[&str]) -> String {
    let has: Vec<String> = fields
        .iter()
        .map(|field| format!("has(self.{field})"))
        .collect();
    format!("[{}].exists_one(is_set, is_set)", has.join(", "))
}

impl Auth {
    /// The one source that is given; `None` if there is none, or several, as under an older CRD.
    pub fn source(&self) -> Option<AuthSource<'_>> {
        let Auth {
            access_key_secret_ref,
            password_secret_ref,
            token_secret_ref,
            agency,
            oidc,
            pod_identity,
            ecs_metadata,
        } = self;
        let given = [
            access_key_secret_ref.as_ref().map(AuthSource::AccessKey),
            password_secret_ref.as_ref().map(AuthSource::Password),
            token_secret_ref.as_ref().map(AuthSource::Token),
            agency.as_ref().map(AuthSource::Agency),
            oidc.as_ref().map(AuthSource::Oidc),
            pod_identity.as_ref().map(|_| AuthSource::PodIdentity),
            ecs_metadata.as_ref().map(|_| AuthSource::EcsMetadata),
        ];
        let mut given = given.into_iter().flatten();
        let one = given.next();
        one.filter(|_| given.next().is_none())
    }
}

/// The field of `auth` that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthSource<'a> {
    /// `accessKeySecretRef`.
    AccessKey(&'a SecretName),
    /// `passwordSecretRef`.
    Password(&'a SecretName),
    /// `tokenSecretRef`.
    Token(&'a SecretName),
    /// `agency`.
    Agency(&'a Agency),
    /// `oidc`.
    Oidc(&'a Oidc),
    /// `podIdentity`.
    PodIdentity,
    /// `ecsMetadata`.
    EcsMetadata,
}

/// An agency that is assumed with the credential of another account: by `urn`, or by `name` and the
/// account of the cloud that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.urn) ? !has(self.name) && !has(self.domainName) && !has(self.domainId) : has(self.name) && has(self.domainName) != has(self.domainId)", "message": "agency must have either urn, or name and one of domainName and domainId"}
]))]
pub struct Agency {
    /// The SwrAccount whose credential is used. It needs no grants, and must not itself have an agency.
    pub account_ref: AccountName,
    /// URN of a trust agency of the newer IAM, as `iam::0123456789abcdef0123456789abcdef:agency:swr`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub urn: Option<String>,
    /// Name of the agency. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// Name of the cloud account that the agency belongs to. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub domain_name: Option<String>,
    /// Id of the cloud account that the agency belongs to. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub domain_id: Option<String>,
}

/// Names a SwrAccount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountName {
    /// Name of the SwrAccount.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Who vouches for the token of the operator's ServiceAccount: a provider and a trust agency of the
/// newer IAM by their URNs, or an identity provider of the older one by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.identityProviderId) ? !has(self.providerUrn) && !has(self.agencyUrn) : has(self.providerUrn) && has(self.agencyUrn)", "message": "oidc must have either providerUrn and agencyUrn, or identityProviderId"}
]))]
pub struct Oidc {
    /// URN of the OIDC provider. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub provider_urn: Option<String>,
    /// URN of the trust agency. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub agency_urn: Option<String>,
    /// Id of the identity provider. What the token may do follows from the provider's mapping in IAM. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub identity_provider_id: Option<String>,
}

/// The agency that CCE associates with the operator's ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodIdentity {}

/// The agency of the node on which the operator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EcsMetadata {}

/// Names a Secret in the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Bounds on the requests of one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests per second in the long run, at least 0.1. Default: 10.
    #[serde(default = "default_rate")]
    // The rule beside the range: the API server rounds the minimum down for a value without a
    // fraction, and so takes 0.
    #[schemars(range(min = 0.1, max = 1000.0), extend("x-kubernetes-validations" = [
        {"rule": "self >= 0.1", "message": "requestsPerSecond must be at least 0.1"}
    ]))]
    pub requests_per_second: f64,
    /// Requests that may be sent at once after a pause. Default: 20.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = 1000), extend("format" = "int32"))]
    pub burst: u32,
    /// Requests that may be under way at the same time. Default: 4.
    #[serde(default = "default_in_flight")]
    // The API server knows no uint32 and warns of it.
    #[schemars(range(min = 1, max = 64), extend("format" = "int32"))]
    pub in_flight: u32,
}

// No rate limit of SWR is documented; the gateway's default is 200 per second and API, and users
// of a sibling service measured far lower limits for writes. 10 per second stays below a tenth.
fn default_rate() -> f64 {
    10.0
}
fn default_burst() -> u32 {
    20
}
fn default_in_flight() -> u32 {
    4
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests_per_second: default_rate(),
            burst: default_burst(),
            in_flight: default_in_flight(),
        }
    }
}

/// One grant. In each list `"*"` means all, and an absent list means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Namespaces whose objects may use the account.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(max = 63)), extend("x-kubernetes-validations" = [
        {"rule": "self.all(name, name == '*' || name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'))", "message": "each of namespaces must be the name of a namespace, or \"*\" for all"}
    ]))]
    pub namespaces: Vec<String>,
    /// Labels of further namespaces whose objects may use the account. It needs an operator that may list and
    /// watch namespaces. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// Ids of instances in which they may create registries.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 64)), extend("x-kubernetes-validations" = are_instances()))]
    pub instances: Vec<String>,
    /// Where images may be sent.
    #[serde(default)]
    pub targets: Targets,
}

/// Selects namespaces by their labels: all of `matchLabels` and `matchExpressions` must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)", "message": "namespaceSelector must name a label; for all namespaces write namespaces: [\"*\"]"}
]))]
pub struct NamespaceSelector {
    /// Labels and the value that each must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8, "additionalProperties" = {"type": "string", "maxLength": 63}, "x-kubernetes-validations" = [
        {"rule": format!("self.all(key, {})", is_label_key("key")), "message": "every key of matchLabels must be the key of a label"},
        {"rule": format!("self.all(key, {})", is_label_value("self[key]")), "message": "every value of matchLabels must be the value of a label"}
    ]))]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0", "message": "values are given for In and NotIn, and for no other operator"}
]))]
pub struct LabelRequirement {
    /// Key of the label.
    #[schemars(length(min = 1, max = 316), extend("x-kubernetes-validations" = [
        {"rule": is_label_key("self"), "message": "key must be the key of a label"}
    ]))]
    pub key: String,
    /// `In`: the label has one of `values`. `NotIn`: it has none of them, or is absent. `Exists`: it is there.
    /// `DoesNotExist`: it is absent.
    pub operator: LabelOperator,
    /// Values of the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63)), extend("x-kubernetes-validations" = [
        {"rule": format!("self.all(value, {})", is_label_value("value")), "message": "each of values must be the value of a label"}
    ]))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is absent.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

/// CEL: whether an expression is the key of a label, such as `team` or `example.com/team`.
fn is_label_key(key: &str) -> String {
    format!(
        "{key}.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')"
    )
}

/// CEL: whether an expression is the value of a label; the empty one is.
fn is_label_value(value: &str) -> String {
    format!("{value}.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')")
}

/// Where images may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Hosts of `spec.url`: exact, or `*.` and a domain for every name below it.
    #[serde(default)]
    #[schemars(length(max = 48), inner(length(max = 255)), extend("x-kubernetes-validations" = [
        {"rule": format!("self.all(host, host == '*' || isIP(host) || {})", is_host("host", r"(\\*\\.)?")), "message": "each of hosts must be a host name, \"*.\" and a domain, an IP address, or \"*\" for all: without scheme, port and path"}
    ]))]
    pub hosts: Vec<String>,
    /// Addresses in `spec.dnsConf.hosts`: an IP address or a network such as `192.0.2.0/24`.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 64)), extend("x-kubernetes-validations" = [
        {"rule": "self.all(net, net == '*' || isIP(net) || isCIDR(net))", "message": "each of addresses must be an IP address, a network such as 192.0.2.0/24, or \"*\" for all"}
    ]))]
    pub addresses: Vec<String>,
    /// Values of `spec.target.instanceId`.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 64)), extend("x-kubernetes-validations" = are_instances()))]
    pub instances: Vec<String>,
}

fn are_instances() -> serde_json::Value {
    json!([{
        "rule": "self.all(id, id == '*' || id.matches('^[A-Za-z0-9-]+$'))",
        "message": "each of instances must be the id of an SWR Enterprise instance, or \"*\" for all"
    }])
}

/// What the operator found out about the account. Written by the operator alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {
    "observedGeneration": -1,
    "conditions": [{
        "type": "Ready", "status": "Unknown", "reason": "Pending",
        "message": "Waiting for the operator",
        "lastTransitionTime": "1970-01-01T00:00:00Z"
    }]
}))]
pub struct SwrAccountStatus {
    /// The generation of the spec that this status was computed from; -1 before the first check.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Project in use, given or looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Number of objects that name this account. It informs, and is renewed only along with another
    /// change of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
    /// Instances that objects of this account use. The numbers of registries are renewed along with another change
    /// of this status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceSummary>,
    /// `Ready` always; `Reconciling` and `Stalled` only while they are true, and never both.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

fn never_observed() -> i64 {
    -1
}

impl Default for SwrAccountStatus {
    fn default() -> Self {
        SwrAccountStatus {
            observed_generation: never_observed(),
            project_id: None,
            used_by: None,
            instances: Vec::new(),
            conditions: Vec::new(),
        }
    }
}

/// What is known of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSummary {
    /// Id of the instance.
    pub id: String,
    /// State of the instance in SWR's word, such as `Running`. Absent if SWR does not tell it to the account, for
    /// which it needs the permission `swr:instance:get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Registries that the instance holds, ours and others. Absent before they were listed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries: Option<i64>,
    /// Registries that the instance may hold. Absent if SWR does not tell it to the account, for which it needs
    /// the permission `swr:instance:listStatistics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_quota: Option<i64>,
}
