//! The scripts for Argo CD, run as it runs them: Lua 5.1, and no libraries but those that it opens for scripts of
//! `argocd-cm`.

use mlua::{Lua, LuaOptions, StdLib, Table, Value as LuaValue};
use serde_json::{Map, Value, json};
use swr_operator_api::GROUP;

use crate::architecture::{files, read};
use crate::documents::compare;

/// As the repository of Argo CD has them.
pub(super) const CUSTOMIZATIONS: &str = "deploy/argocd/resource_customizations/swr.huaweicloud.com";

/// What Argo CD shows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) message: String,
}

/// What Argo CD makes of an object: what is being deleted is no matter for scripts.
pub(super) fn health(object: &Value) -> Health {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Health {
            status: "Progressing".to_owned(),
            message: "Pending deletion".to_owned(),
        };
    }
    let kind = object["kind"].as_str().expect("a kind");
    let script = read(&format!("{CUSTOMIZATIONS}/{kind}/health.lua"));
    let answer = run(StdLib::TABLE, &script, object);
    let text = |field: &str| answer[field].as_str().expect("a text").to_owned();
    Health {
        status: text("status"),
        message: text("message"),
    }
}

/// Runs a script with `obj`, and gives what it returns.
fn run(libraries: StdLib, script: &str, object: &Value) -> Value {
    let lua = Lua::new_with(libraries, LuaOptions::default()).expect("Lua");
    let globals = lua.globals();
    // Argo CD takes these away.
    for name in ["dofile", "loadfile"] {
        globals.set(name, LuaValue::Nil).expect("a global");
    }
    if let Ok(os) = globals.get::<Table>("os") {
        // Its own library of this name has nothing else.
        let names: Vec<String> = os
            .pairs::<String, LuaValue>()
            .map(|pair| pair.expect("a pair").0)
            .filter(|name| !["date", "time"].contains(&name.as_str()))
            .collect();
        for name in names {
            os.set(name, LuaValue::Nil).expect("os");
        }
    }
    for absent in ["string", "math", "io", "debug"] {
        assert!(!globals.contains_key(absent).expect("globals"), "{absent}");
    }
    globals.set("obj", to_lua(&lua, object)).expect("obj");
    let answer: LuaValue = lua
        .load(script)
        .eval()
        .unwrap_or_else(|error| panic!("{error}\n{script}"));
    from_lua(&answer)
}

fn to_lua(lua: &Lua, value: &Value) -> LuaValue {
    let table = |pairs: Vec<(LuaValue, &Value)>| {
        let table = lua.create_table().expect("a table");
        for (key, value) in pairs {
            table.set(key, to_lua(lua, value)).expect("a field");
        }
        LuaValue::Table(table)
    };
    let text = |text: &str| LuaValue::String(lua.create_string(text).expect("a string"));
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(is) => LuaValue::Boolean(*is),
        Value::Number(number) => LuaValue::Number(number.as_f64().expect("a number")),
        Value::String(value) => text(value),
        Value::Array(items) => {
            let numbers = (1_i32..).map(|n| LuaValue::Number(f64::from(n)));
            table(numbers.zip(items).collect())
        }
        Value::Object(fields) => table(
            fields
                .iter()
                .map(|(name, value)| (text(name), value))
                .collect(),
        ),
    }
}

/// Empty tables come back as objects: Lua does not tell them from lists.
fn from_lua(value: &LuaValue) -> Value {
    let text = |value: &LuaValue| value.to_string().expect("a text");
    match value {
        LuaValue::Boolean(is) => json!(is),
        LuaValue::Integer(number) => json!(number),
        LuaValue::Number(number) if number.fract() == 0.0 => {
            let whole: i64 = format!("{number:.0}").parse().expect("a whole number");
            json!(whole)
        }
        LuaValue::Number(number) => json!(number),
        LuaValue::String(_) => json!(text(value)),
        LuaValue::Table(table) if table.raw_len() > 0 => {
            let items = table.sequence_values::<LuaValue>();
            items
                .map(|item| from_lua(&item.expect("an item")))
                .collect()
        }
        LuaValue::Table(table) => {
            let mut fields = Map::new();
            for pair in table.pairs::<LuaValue, LuaValue>() {
                let (name, value) = pair.expect("a pair");
                fields.insert(text(&name), from_lua(&value));
            }
            Value::Object(fields)
        }
        LuaValue::Nil => Value::Null,
        LuaValue::LightUserData(_)
        | LuaValue::Function(_)
        | LuaValue::Thread(_)
        | LuaValue::UserData(_)
        | LuaValue::Error(_)
        | LuaValue::Other(_) => panic!("a script returns no {}", value.type_name()),
    }
}

fn yaml(path: &str) -> Value {
    let text = read(path);
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_scripts_tell_the_health_of_what_the_operator_wrote() {
    for kind in ["ReplicationRegistry", "SwrAccount"] {
        let folder = format!("{CUSTOMIZATIONS}/{kind}");
        let cases: Vec<Value> = files(&format!("{folder}/testdata"), "yaml")
            .iter()
            .map(|path| {
                let health = health(&yaml(path));
                let input = path.strip_prefix(&format!("{folder}/"));
                json!({
                    "healthStatus": {"status": health.status, "message": health.message},
                    "inputPath": input.expect("below the folder"),
                })
            })
            .collect();
        let path = format!("{folder}/health_test.yaml");
        let tests = json!({"tests": cases});
        compare(&path, &serde_saphyr::to_string(&tests).expect("YAML"));
        // A name says which health it has.
        for case in &cases {
            let status = case["healthStatus"]["status"].as_str().expect("a status");
            let input = case["inputPath"].as_str().expect("a path");
            let wanted = format!("testdata/{}", status.to_lowercase());
            assert!(input.starts_with(&wanted), "{input} is {status}");
        }
    }
}

/// The scripts of `argocd-cm-patch.yaml` by their keys.
#[test]
fn the_patch_of_argocd_cm_has_the_same_scripts() {
    let health = |kind: &str| json!(read(&format!("{CUSTOMIZATIONS}/{kind}/health.lua")));
    let action = |path: &str| {
        json!(read(&format!(
            "{CUSTOMIZATIONS}/ReplicationRegistry/actions/{path}"
        )))
    };
    let definitions: Vec<Value> = ACTIONS
        .iter()
        .map(|name| json!({"name": name, "action.lua": action(&format!("{name}/action.lua"))}))
        .collect();
    let actions = json!({"discovery.lua": action("discovery.lua"), "definitions": definitions});
    let key = |what: &str, kind: &str| format!("resource.customizations.{what}.{GROUP}_{kind}");
    let patch = json!({"data": {
        key("health", "ReplicationRegistry"): health("ReplicationRegistry"),
        key("health", "SwrAccount"): health("SwrAccount"),
        key("actions", "ReplicationRegistry"): serde_saphyr::to_string(&actions).expect("YAML"),
    }});
    let head = "# kubectl patch configmap argocd-cm --namespace argocd --patch-file deploy/argocd/argocd-cm-patch.yaml\n\
        #\n\
        # Made of resource_customizations/ by a test. Tells Argo CD the health of our kinds and gives it three buttons.\n";
    let text = head.to_owned() + &serde_saphyr::to_string(&patch).expect("YAML");
    compare("deploy/argocd/argocd-cm-patch.yaml", &text);

    // What is written is what is read, whatever the writer of YAML thinks of Lua.
    let found = yaml("deploy/argocd/argocd-cm-patch.yaml");
    assert_eq!(found, patch);
    let text = found["data"][key("actions", "ReplicationRegistry")].as_str();
    let read: Value = serde_saphyr::from_str(text.expect("a text")).expect("YAML in YAML");
    assert_eq!(read, actions);
}

/// In place of the time of a run.
const REQUESTED_AT: &str = "2026-01-01T00:00:00Z";

const ACTIONS: [&str; 3] = ["reconcile", "suspend", "resume"];

/// Buttons that are shown, and whether they are grey.
fn discover(object: &Value) -> Value {
    let script = read(&format!(
        "{CUSTOMIZATIONS}/ReplicationRegistry/actions/discovery.lua"
    ));
    run(StdLib::TABLE, &script, object)
}

/// What a button makes of an object.
fn act(name: &str, object: &Value) -> Value {
    let script = read(&format!(
        "{CUSTOMIZATIONS}/ReplicationRegistry/actions/{name}/action.lua"
    ));
    run(
        StdLib::TABLE | StdLib::OS | StdLib::PACKAGE,
        &script,
        object,
    )
}

/// What a button makes of an object: its name, the testdata, and what is different then.
type Action = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Value,
);

#[test]
fn an_action_changes_what_it_says_and_nothing_else() {
    let data = |name: &str| {
        yaml(&format!(
            "{CUSTOMIZATIONS}/ReplicationRegistry/testdata/{name}.yaml"
        ))
    };
    let discoveries = [("healthy", false), ("suspended", true)].map(|(name, is_suspended)| {
        let disabled = |is: bool| json!({"disabled": is});
        let wanted = json!({
            "reconcile": disabled(is_suspended),
            "suspend": disabled(is_suspended),
            "resume": disabled(!is_suspended),
        });
        assert_eq!(discover(&data(name)), wanted, "{name}");
        let result =
            ACTIONS.map(|action| json!({"name": action, "disabled": wanted[action]["disabled"]}));
        json!({"inputPath": format!("../testdata/{name}.yaml"), "result": result})
    });
    let asked = json!({"swr.huaweicloud.com/requestedAt": REQUESTED_AT});
    let actions: [Action; 3] = [
        ("reconcile", "healthy", "/metadata", "annotations", asked),
        ("suspend", "healthy", "/spec", "suspend", json!(true)),
        ("resume", "suspended", "/spec", "suspend", json!(false)),
    ];
    let tests = actions.map(|(action, input, pointer, field, value)| {
        let object = data(input);
        let mut wanted = object.clone();
        wanted.pointer_mut(pointer).expect("an object")[field] = value;
        let mut found = act(action, &object);
        let annotation = "/metadata/annotations/swr.huaweicloud.com~1requestedAt";
        if let Some(at) = found.pointer_mut(annotation) {
            let time = at
                .as_str()
                .and_then(|at| at.parse::<jiff::Timestamp>().ok());
            assert!(time.is_some(), "{at} is no time");
            *at = json!(REQUESTED_AT);
        }
        assert_eq!(found, wanted, "{action}");
        let output = format!("testdata/after_{action}.yaml");
        let path = format!("{CUSTOMIZATIONS}/ReplicationRegistry/actions/{output}");
        compare(&path, &serde_saphyr::to_string(&wanted).expect("YAML"));
        json!({
            "action": action,
            "inputPath": format!("../testdata/{input}.yaml"),
            "expectedOutputPath": output,
        })
    });
    let text = serde_saphyr::to_string(&json!({
        "discoveryTests": discoveries, "actionTests": tests,
    }));
    compare(
        &format!("{CUSTOMIZATIONS}/ReplicationRegistry/actions/action_test.yaml"),
        &text.expect("YAML"),
    );
}
