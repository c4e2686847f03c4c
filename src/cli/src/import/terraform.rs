//! A Terraform state -> the registries in it. Reads the two forms that are JSON and stable: the state itself (version 4)
//! and `terraform show -json`. Reads no HCL, and echoes nothing of a state, which holds secrets in clear.

use std::collections::BTreeMap;

use serde_json::Value;
use swr_operator_core::credential::{Credential, Sensitive};
use swr_operator_core::tag;

use super::found::Found;
use crate::exit::Failure;

/// The provider's resource.
const RESOURCE: &str = "huaweicloud_swr_enterprise_instance_registry";

/// The version of a state that is read; Terraform has written it since 0.12.
const STATE_VERSION: i64 = 4;

/// The registries of a state.
pub(super) fn found(text: &str, file: &str) -> Result<Vec<Found>, Failure> {
    let not_one = |why: String| {
        Failure::new(format!("{file} is no Terraform state: {why}"))
            .hint("terraform state pull | swr-operator import terraform -")
    };
    let state: Value = serde_json::from_str(text).map_err(|error| {
        not_one(format!(
            "no JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    let attributes = match (
        state["version"].as_i64(),
        state.get("values"),
        state.get("format_version"),
    ) {
        (Some(STATE_VERSION), ..) => of_state(&state),
        (Some(version), ..) => return Err(not_one(format!("its version is {version}, not 4"))),
        (None, Some(values), _) => of_module(&values["root_module"]),
        (None, None, Some(_)) => Vec::new(),
        (None, None, None) => {
            return Err(not_one("it has neither `version` nor `values`".to_owned()));
        }
    };
    if attributes.is_empty() {
        return Err(Failure::new(format!("{file} holds no {RESOURCE}")));
    }
    let found: Result<Vec<Found>, String> = attributes.into_iter().map(registry).collect();
    found.map_err(|why| Failure::new(format!("{file}: {why}")))
}

fn is_ours(resource: &Value) -> bool {
    resource["mode"] == "managed" && resource["type"] == RESOURCE
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn of_state(state: &Value) -> Vec<&Value> {
    let resources = items(&state["resources"]).filter(|it| is_ours(it));
    let instances = resources.flat_map(|resource| items(&resource["instances"]));
    instances.map(|instance| &instance["attributes"]).collect()
}

fn of_module(module: &Value) -> Vec<&Value> {
    let own = items(&module["resources"]).filter(|it| is_ours(it));
    let own = own.map(|resource| &resource["values"]);
    let below = items(&module["child_modules"]).flat_map(of_module);
    own.chain(below).collect()
}

fn registry(attributes: &Value) -> Result<Found, String> {
    let text = |name: &str| {
        let text = attributes[name].as_str().unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let name = text("name").ok_or_else(|| format!("a {RESOURCE} has no name"))?;
    let needed =
        |field: &str| text(field).ok_or_else(|| format!("{RESOURCE} {name:?} has no {field}"));
    let description = text("description").unwrap_or_default();
    let (description, tag) = tag::split(&description);
    let hosts = attributes["dns_conf"][0]["hosts"]
        .as_object()
        .into_iter()
        .flatten();
    let hosts: BTreeMap<String, String> = hosts
        .filter_map(|(host, address)| Some((host.clone(), address.as_str()?.to_owned())))
        .collect();
    let credential = &attributes["credential"][0];
    let secret = |field: &str| {
        let secret = credential[field]
            .as_str()
            .filter(|secret| !secret.is_empty());
        secret.map(|secret| Sensitive::new(secret.to_owned()))
    };
    let credential = secret("access_key").zip(secret("access_secret"));
    Ok(Found {
        instance_id: needed("instance_id")?,
        registry_id: id(attributes),
        region: text("region"),
        type_: needed("type")?,
        url: needed("url")?,
        insecure: attributes["insecure"].as_bool(),
        description: description.to_owned(),
        hosts: Some(hosts),
        target: ["project_id", "region_id", "target_instance_id"].map(text),
        credential: credential.map(|(access_key, access_secret)| Credential {
            access_key,
            access_secret,
        }),
        is_tagged: tag.is_some(),
        name,
    })
}

/// `registry_id`, a number or one in quotes; else what follows the `/` in `id`.
fn id(attributes: &Value) -> Option<i64> {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let tail = || {
        let id = attributes["id"].as_str()?;
        id.rsplit('/').next()?.parse().ok()
    };
    number(&attributes["registry_id"]).or_else(tail)
}

#[cfg(test)]
mod tests;
