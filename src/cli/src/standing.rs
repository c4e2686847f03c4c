//! An object of ours -> where it stands, by the rules of kstatus. Asks nobody.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// As the spec asks.
    Ready,
    /// The operator goes on, or has not begun.
    Waiting,
    /// A person must change something.
    Stalled,
    /// It is being deleted.
    Deleting,
}

/// One condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .find(|it| it["type"] == kind)
}

/// A text of the condition `Ready`.
pub(crate) fn of_ready(object: &Value, field: &str) -> String {
    let ready = condition(object, "Ready");
    let text = ready.and_then(|ready| ready[field].as_str());
    text.unwrap_or_default().to_owned()
}

impl Standing {
    /// kstatus' order: deletion, a generation that nobody has looked at, then the conditions.
    pub(crate) fn of(object: &Value) -> Self {
        let holds = |kind: &str| condition(object, kind).is_some_and(|it| it["status"] == "True");
        let is_newest = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        match () {
            () if !object["metadata"]["deletionTimestamp"].is_null() => Standing::Deleting,
            () if !is_newest || holds("Reconciling") => Standing::Waiting,
            () if holds("Stalled") => Standing::Stalled,
            () if holds("Ready") => Standing::Ready,
            () => Standing::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(generation: i64, conditions: &[(&str, &str)]) -> Value {
        let conditions = conditions
            .iter()
            .map(|(kind, status)| json!({"type": kind, "status": status}));
        json!({
            "metadata": {"generation": generation},
            "status": {"observedGeneration": 1, "conditions": conditions.collect::<Vec<_>>()},
        })
    }

    #[test]
    fn an_object_stands_where_kstatus_sees_it() {
        let mut going = object(1, &[("Ready", "True")]);
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        for (object, expected) in [
            (json!({"metadata": {"generation": 1}}), Standing::Waiting),
            (object(1, &[("Ready", "True")]), Standing::Ready),
            (object(2, &[("Ready", "True")]), Standing::Waiting),
            (object(1, &[("Ready", "False")]), Standing::Waiting),
            (object(1, &[("Ready", "Unknown")]), Standing::Waiting),
            (
                object(1, &[("Ready", "True"), ("Reconciling", "True")]),
                Standing::Waiting,
            ),
            (
                object(1, &[("Ready", "False"), ("Stalled", "True")]),
                Standing::Stalled,
            ),
            (
                object(2, &[("Ready", "False"), ("Stalled", "True")]),
                Standing::Waiting,
            ),
            (going, Standing::Deleting),
        ] {
            assert_eq!(Standing::of(&object), expected, "{object:#}");
        }
    }
}
