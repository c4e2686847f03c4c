//! JSON of borrowed text, so that a secret is copied only into the bytes that are sent. Pure.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use zeroize::Zeroizing;

/// A value of JSON.
#[derive(Clone, Copy)]
pub(super) enum Json<'a> {
    Text(&'a str),
    Number(i64),
    Texts(&'a [&'a str]),
    Object(&'a [(&'a str, Json<'a>)]),
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Text(text) => serializer.serialize_str(text),
            Json::Number(number) => serializer.serialize_i64(*number),
            Json::Texts(texts) => texts.serialize(serializer),
            Json::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in *fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// The largest token with room for what surrounds it: growing would leave a copy of it behind.
const BYTES_USUAL: usize = 96 * 1024;

/// The bytes of an object with these fields.
pub(super) fn encode(fields: &[(&str, Json<'_>)]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_USUAL));
    serde_json::to_writer(&mut *bytes, &Json::Object(fields))
        .expect("invariant: text and numbers are JSON, and memory takes all bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_objects_nest() {
        let bytes = encode(&[
            ("a", Json::Text("\"\\é")),
            (
                "b",
                Json::Object(&[("c", Json::Number(-7)), ("d", Json::Texts(&["x", "y"]))]),
            ),
        ]);
        let text = std::str::from_utf8(&bytes).expect("text");
        assert_eq!(text, r#"{"a":"\"\\é","b":{"c":-7,"d":["x","y"]}}"#);
    }
}
