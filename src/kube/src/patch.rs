//! Two values -> the merge patch that leads from one to the other.

use serde_json::{Map, Value};

/// The merge patch (RFC 7386) that makes `new` of `old`. What only the server knows, such as a
/// status field of a newer version of the operator, is in neither and stays as it is.
pub(super) fn between(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return new.clone();
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            Some(before @ Value::Object(_)) if value.is_object() => {
                patch.insert(key.clone(), between(before, value));
            }
            Some(_) | None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_says_just_what_changes() {
        for (old, new, patch) in [
            (json!({"a": 1}), json!({"a": 1}), json!({})),
            (
                json!({"a": 1}),
                json!({"a": 2, "b": 3}),
                json!({"a": 2, "b": 3}),
            ),
            (json!({"a": 1, "b": 2}), json!({"b": 2}), json!({"a": null})),
            (
                json!({"o": {"x": 1, "y": 2}}),
                json!({"o": {"x": 1, "z": 3}}),
                json!({"o": {"y": null, "z": 3}}),
            ),
            (json!({"l": [1, 2]}), json!({"l": [2]}), json!({"l": [2]})),
        ] {
            assert_eq!(between(&old, &new), patch, "{old} -> {new}");
        }
    }
}
