//! An object of the cluster -> what is shown of it, for people and for programs.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use swr_operator_kube as kube;

use super::next::{advice, command};
use crate::standing::{Standing, of_ready};

/// The result of `status`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Version of this format: the first number changes when a field goes or means something else.
    format_version: &'static str,
    /// Every object, by namespace and name, or as they were named.
    pub(super) objects: Vec<Shown>,
}

/// One object.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Shown {
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// Where it stands, by the rules of kstatus.
    pub(super) standing: Standing,
    /// Reason of its condition Ready.
    pub(super) reason: String,
    /// Message of its condition Ready.
    pub(super) message: String,
    /// Name of the SwrAccount.
    pub(super) account: String,
    /// Id of the SWR instance.
    pub(super) instance_id: String,
    /// Id of the registry in SWR, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registry_id: Option<i64>,
    /// Its conditions.
    pub(super) conditions: Vec<Condition>,
    /// Fields in which SWR differs from the spec and that are not written (status.diff).
    pub(super) differences: Vec<Difference>,
    /// What was told beside the object, the oldest first. Absent in a list, and for who may not read events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) events: Option<Vec<Told>>,
    /// What SWR holds now. Absent in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) swr: Option<Swr>,
    /// What the reason means, and what to do about it. Absent if nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    /// A command that helps with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// One condition.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub(super) type_: String,
    /// `True`, `False` or `Unknown`.
    pub(super) status: String,
    /// Its reason.
    pub(super) reason: String,
    /// Its message.
    pub(super) message: String,
    /// Since when it has this status.
    pub(super) since: String,
}

/// A field in which SWR differs from the spec. Of a credential only that it differs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Difference {
    /// Path below `spec`, or `credential`.
    pub(super) field: String,
    /// What the spec asks for.
    pub(super) desired: String,
    /// What SWR holds.
    pub(super) observed: String,
}

/// One event.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Told {
    /// When it was told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub(super) type_: String,
    /// Its reason.
    pub(super) reason: String,
    /// Its note.
    pub(super) note: String,
    /// How often it was told.
    pub(super) count: i32,
}

/// What SWR holds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Swr {
    /// This registry.
    Registry(Box<Registry>),
    /// No registry for this object.
    Missing,
    /// It is not known.
    Unknown {
        /// Why.
        why: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// A registry in SWR. Never a credential.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Registry {
    /// Its id.
    pub(super) id: i64,
    /// Its name.
    pub(super) name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(super) type_: String,
    /// Address of the target.
    pub(super) url: String,
    /// Whether SWR skips the verification of the target's certificate; absent if SWR does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) insecure: Option<bool>,
    /// Its description without an ownership tag.
    pub(super) description: String,
    /// `healthy` or `unhealthy`; absent if SWR does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<&'static str>,
    /// SWR's own time of the last change, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<String>,
    /// Whose ownership tag it carries.
    pub(super) tag: Tag,
}

/// Whose ownership tag a registry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tag {
    /// That of this object.
    Own,
    /// That of another object.
    Other,
    /// None.
    None,
}

impl Report {
    pub(super) fn new(objects: Vec<Shown>) -> Self {
        Report {
            format_version: "1.0",
            objects,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Shown {
    /// What the object itself says.
    pub(super) fn of(object: &Value) -> Self {
        let (namespace, name) = (
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"]),
        );
        let reason = of_ready(object, "reason");
        let account = object["spec"]["accountRef"]["name"].as_str();
        Shown {
            standing: Standing::of(object),
            message: of_ready(object, "message"),
            account: account.unwrap_or("default").to_owned(),
            instance_id: text(&object["spec"]["instanceId"]),
            registry_id: object["status"]["registryId"].as_i64(),
            conditions: items(&object["status"]["conditions"])
                .map(|it| Condition {
                    type_: text(&it["type"]),
                    status: text(&it["status"]),
                    reason: text(&it["reason"]),
                    message: text(&it["message"]),
                    since: text(&it["lastTransitionTime"]),
                })
                .collect(),
            differences: items(&object["status"]["diff"])
                .map(|it| Difference {
                    field: text(&it["field"]),
                    desired: text(&it["desired"]),
                    observed: text(&it["observed"]),
                })
                .collect(),
            events: None,
            swr: None,
            advice: advice(&reason).map(str::to_owned),
            next: command(&reason, object),
            namespace,
            name,
            reason,
        }
    }

    /// `namespace/name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Told {
    pub(super) fn of(told: kube::Told) -> Self {
        Told {
            at: told.at.map(|at| at.to_string()),
            type_: told.type_,
            reason: told.reason,
            note: told.note,
            count: told.count,
        }
    }
}
