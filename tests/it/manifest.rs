//! Objects as a user writes them, and the bodies that SWR must get for them. Shares no code with the operator: the bodies
//! are spelled out from SWR's documents.

use serde_json::{Value, json};

use crate::canary::Login;

pub(crate) const API_VERSION: &str = "swr.huaweicloud.com/v1alpha1";

/// The three types of target, in the API's words.
pub(crate) const TYPES: [&str; 3] = ["swr-pro", "swr-pro-internal", "huawei-SWR"];

/// A tag of the right form that belongs to nobody here.
pub(crate) const STRANGERS_TAG: &str =
    "[swr-operator:AAAAAAAAAAAAAAAAAAAAAA/BBBBBBBBBBBBBBBBBBBBBB/CCCCCCCC]";

/// A whole object of a type, with every field that the type allows.
pub(crate) fn registry(
    namespace: &str,
    account: &str,
    instance: &str,
    name: &str,
    kind: &str,
) -> Value {
    let mut object = json!({
        "apiVersion": API_VERSION,
        "kind": "ReplicationRegistry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accountRef": {"name": account},
            "instanceId": instance,
            "name": format!("{name}_镜像"),
            "type": kind,
            "url": format!("https://{name}.dr.example.com"),
            "insecure": true,
            "description": format!("Copy of {name}"),
            "credentialSecretRef": {"name": name},
        },
    });
    let spec = &mut object["spec"];
    match kind {
        "swr-pro" => spec["dnsConf"] = json!({"hosts": {"a.example.com": "192.0.2.10"}}),
        "swr-pro-internal" => {
            spec["target"] = json!({
                "projectId": "fedcba9876543210fedcba9876543210",
                "regionId": "eu-west-101",
                "instanceId": "9c3e7f20-1111-2222-3333-444455556666",
            });
        }
        _ => {}
    }
    object
}

/// A Secret with the keys that the operator reads by default.
pub(crate) fn secret(namespace: &str, name: &str, login: &Login) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"accessKey": login.access_key, "accessSecret": login.access_secret},
    })
}

/// What SWR must be sent for an object: the whole registry, the real secret, the tag as `[tag]`.
pub(crate) fn body(object: &Value, login: &Login) -> Value {
    let spec = &object["spec"];
    let name = if spec["name"].is_null() {
        &object["metadata"]["name"]
    } else {
        &spec["name"]
    };
    let description = match spec["description"].as_str() {
        None | Some("") => "[tag]".to_owned(),
        Some(text) => format!("{text} [tag]"),
    };
    let mut body = json!({
        "name": name,
        "description": description,
        "type": spec["type"],
        "url": spec["url"],
        "credential": {
            "type": "basic",
            "access_key": login.access_key,
            "access_secret": login.access_secret,
        },
        "insecure": spec["insecure"],
    });
    if let Some(hosts) = spec.pointer("/dnsConf/hosts") {
        body["dns_conf"] = json!({"hosts": hosts});
    }
    if let Some(target) = spec.get("target") {
        body["project_id"] = target["projectId"].clone();
        body["region_id"] = target["regionId"].clone();
        body["instance_id"] = target["instanceId"].clone();
    }
    body
}

/// Replaces the ownership tag at the end of a body's description by `[tag]`, and gives the tag.
///
/// # Panics
/// When there is none, or it is not of the documented form.
pub(crate) fn split_tag(body: &mut Value) -> Tag {
    let description = body["description"].as_str().unwrap_or_default().to_owned();
    let start = description
        .rfind("[swr-operator:")
        .unwrap_or_else(|| panic!("no tag in {description:?}"));
    let (text, tag) = description.split_at(start);
    assert_eq!(tag.len(), 69, "{tag:?} has not 69 characters");
    let inner = tag
        .strip_prefix("[swr-operator:")
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or_else(|| panic!("{tag:?} is not closed"));
    let parts: Vec<&str> = inner.split('/').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [22, 22, 8], "{tag:?}");
    assert!(
        text.is_empty() || text.ends_with(' ') && !text.ends_with("  "),
        "one space before the tag: {description:?}"
    );
    body["description"] = json!(format!("{text}[tag]"));
    Tag {
        installation: parts[0].to_owned(),
        uid: parts[1].to_owned(),
    }
}

/// The parts of an ownership tag that can be checked from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) installation: String,
    /// The object's uid as base64url of its 128 bits.
    pub(crate) uid: String,
}

/// A uid as it stands in a tag.
pub(crate) fn uid_in_tag(uid: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let hex: String = uid.chars().filter(|c| *c != '-').collect();
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a uid"))
        .collect();
    URL_SAFE_NO_PAD.encode(bytes)
}
