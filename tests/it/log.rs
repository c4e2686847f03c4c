//! A log of the operator -> its lines as JSON, read strictly: every line is an object, no key comes twice, and
//! the keys that every line has are there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Panics at the first line that a strict reader refuses. A process that was killed may leave half a line.
pub(crate) fn assert_strict(log: &str) {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        if let Err(why) = read(line) {
            panic!("{why} in this line of the operator's log:\n{line}");
        }
    }
}

fn read(line: &str) -> Result<(), String> {
    let Strict(line) = serde_json::from_str(line).map_err(|error| error.to_string())?;
    for key in ["ts", "level", "msg", "logger"] {
        if !line[key].is_string() {
            return Err(format!("no text {key:?}"));
        }
    }
    let level = line["level"].as_str().unwrap_or_default();
    if !LEVELS.contains(&level) {
        return Err(format!("no level {level:?}"));
    }
    let is_about_object = line
        .get("controllerKind")
        .is_some_and(|it| it == "ReplicationRegistry");
    for key in ["namespace", "name", "reconcileID"] {
        if is_about_object && !line[key].is_string() {
            return Err(format!("no text {key:?}"));
        }
    }
    Ok(())
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Strict)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((key, Strict(value))) = map.next_entry::<String, Strict>()? {
            if let Some(key) = members.get(&key).map(|_| key.clone()) {
                return Err(A::Error::custom(format!("{key:?} comes twice")));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[test]
fn a_strict_reader_refuses_what_a_query_would_misread() {
    let head = r#""ts":"t","level":"info","msg":"m","logger":"l""#;
    assert_eq!(read(&format!("{{{head}}}")), Ok(()));
    for (line, why) in [
        ("panicked".to_owned(), "expected value"),
        (format!("{{{head},\"msg\":\"n\"}}"), "\"msg\" comes twice"),
        (
            format!("{{{head},\"a\":[{{\"b\":1,\"b\":2}}]}}"),
            "\"b\" comes twice",
        ),
        ("{\"ts\":\"t\"}".to_owned(), "no text \"level\""),
        (
            head.replace("info", "notice").replace("\"ts\"", "{\"ts\"") + "}",
            "no level \"notice\"",
        ),
        (
            format!("{{{head},\"controllerKind\":\"ReplicationRegistry\",\"name\":\"a\"}}"),
            "no text \"namespace\"",
        ),
    ] {
        let found = read(&line).expect_err(&line);
        assert!(found.contains(why), "{line}: {found}");
    }
}
