//! Live objects -> the testdata of the scripts for Argo CD: what differs from run to run is replaced by something of the
//! same form, so that the files stay the same while the operator writes the same.

use serde_json::{Value, json};

use super::argocd::CUSTOMIZATIONS;
use crate::documents::compare;
use crate::site::Site;

/// Compares the file of this name with a live object, or writes it.
pub(super) fn compare_object(site: &Site, name: &str, object: &Value) {
    let kind = object["kind"].as_str().expect("a kind");
    let path = format!("{CUSTOMIZATIONS}/{kind}/testdata/{name}.yaml");
    compare(&path, &shown(site, object));
}

/// An object as `kubectl get -o yaml` shows it.
fn shown(site: &Site, object: &Value) -> String {
    let mut object = object.clone();
    let metadata = &mut object["metadata"];
    metadata
        .as_object_mut()
        .expect("metadata")
        .remove("managedFields");
    metadata["resourceVersion"] = json!("1");
    metadata["uid"] = json!("00000000-0000-0000-0000-000000000001");
    steady(&mut object);
    let names = [
        (
            format!("project-of-{}", site.name),
            "0123456789abcdef0123456789abcdef",
        ),
        (
            site.cloud.instances[0].clone(),
            "5f1c8a0e-1111-2222-3333-444455556666",
        ),
    ];
    let account = object["kind"] == "SwrAccount";
    replaced(&mut object, &|text| {
        if text == site.name {
            return if account { "default" } else { "images" }.to_owned();
        }
        let text = names.iter().fold(text.to_owned(), |text, (ours, theirs)| {
            text.replace(ours, theirs)
        });
        text.replace(&site.name, "default")
    });
    if account {
        object["spec"]["region"] = json!("ap-southeast-3");
    } else {
        object["spec"]["accountRef"]["name"] = json!("default");
        if object["status"]["binding"].is_object() {
            object["status"]["binding"]["region"] = json!("ap-southeast-3");
        }
    }
    serde_saphyr::to_string(&object).expect("YAML")
}

/// Every time becomes one time, every fingerprint one fingerprint, and the registry has one id.
fn steady(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "fingerprint" | "unshown" => {
                        assert_eq!(value.as_str().map(str::len), Some(22), "{name}");
                        *value = json!("AAAAAAAAAAAAAAAAAAAAAA");
                    }
                    "registryId" => *value = json!(42),
                    _ => steady(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(steady),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {
            // The default of a status lies at the beginning of time, and stays there.
            if !text.starts_with("1970-") {
                "2026-01-01T00:00:00Z".clone_into(text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every text becomes what `change` makes of it.
fn replaced(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| replaced(value, change)),
        Value::Array(items) => items.iter_mut().for_each(|item| replaced(item, change)),
        Value::String(text) => *text = change(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
