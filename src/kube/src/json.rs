//! What the API server answers -> JSON of an object, without what nobody here reads: of the usual object
//! `metadata.managedFields` takes nine tenths, so it is passed over and never built.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An object as JSON, without `metadata.managedFields`.
pub(super) struct Json(pub(super) Value);

/// A map on the way to what is passed over.
#[derive(Clone, Copy)]
enum Part {
    Object,
    Metadata,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Part::Object.deserialize(deserializer).map(Json)
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Object => "an object",
            Part::Metadata => "the metadata of an object",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match (self, key.as_str()) {
                (Part::Metadata, "managedFields") => {
                    map.next_value::<IgnoredAny>()?;
                }
                (Part::Object, "metadata") => {
                    let metadata = map.next_value_seed(Part::Metadata)?;
                    members.insert(key, metadata);
                }
                (Part::Object | Part::Metadata, _) => {
                    members.insert(key, map.next_value()?);
                }
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_who_manages_which_field_is_passed_over() {
        let whole = json!({
            "managedFields": 1,
            "metadata": {
                "name": "a",
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
                "annotations": {"managedFields": "2"},
            },
            "spec": {"managedFields": [3], "metadata": {"managedFields": 4}},
        });
        let mut without = whole.clone();
        without["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("managedFields");
        let Json(read) = serde_json::from_str(&whole.to_string()).expect("an object");
        assert_eq!(read, without);
        let error = serde_json::from_str::<Json>(r#"{"metadata": 7}"#).err();
        let error = error.expect("metadata is a map").to_string();
        assert!(
            error.contains("expected the metadata of an object"),
            "{error}"
        );
    }
}
