//! States in both forms, and what is none.

use serde_json::json;

use super::*;

fn attributes() -> Value {
    json!({
        "id": "source-1/42", "registry_id": 42, "region": "region-1", "instance_id": "source-1",
        "name": "harbor_dr", "type": "swr-pro", "url": "https://harbor.dr.example.com", "insecure": true,
        "description": "desc", "project_id": "", "region_id": null, "target_instance_id": "",
        "credential": [{"type": "basic", "access_key": "user", "access_secret": "c4n4ry"}],
        "dns_conf": [{"hosts": {"harbor.dr.example.com": "192.0.2.10"}}],
        "status": "healthy", "created_at": "", "updated_at": ""
    })
}

fn state(attributes: &Value) -> String {
    let other = json!({"mode": "data", "type": RESOURCE, "instances": [{"attributes": {}}]});
    json!({
        "version": 4, "terraform_version": "1.9.0",
        "resources": [
            other,
            {"mode": "managed", "type": "huaweicloud_vpc", "instances": [{"attributes": {"name": "vpc"}}]},
            {"mode": "managed", "type": RESOURCE, "name": "dr", "instances": [
                {"index_key": "a", "schema_version": 0, "attributes": attributes}
            ]}
        ]
    })
    .to_string()
}

fn shown(attributes: &Value) -> String {
    let resource =
        json!({"address": "x", "mode": "managed", "type": RESOURCE, "values": attributes});
    let child = json!({"address": "module.a", "resources": [resource]});
    json!({"format_version": "1.0", "values": {"root_module": {"child_modules": [child]}}})
        .to_string()
}

#[test]
fn both_forms_of_a_state_give_the_same_registries() {
    for text in [state(&attributes()), shown(&attributes())] {
        let found = found(&text, "s").expect("a state");
        assert_eq!(found.len(), 1, "{text}");
        let registry = &found[0];
        assert!(registry.credential.is_some() && !registry.is_tagged);
        assert_eq!(
            (registry.registry_id, registry.region.as_deref()),
            (Some(42), Some("region-1"))
        );
        assert_eq!(
            registry.spec("harbor-dr"),
            json!({
                "instanceId": "source-1", "name": "harbor_dr", "type": "swr-pro",
                "url": "https://harbor.dr.example.com", "insecure": true, "description": "desc",
                "dnsConf": {"hosts": {"harbor.dr.example.com": "192.0.2.10"}},
                "credentialSecretRef": {"name": "harbor-dr"},
                "adoption": {"policy": "IfUnowned", "registryId": 42}
            })
        );
    }
}

#[test]
fn the_id_is_found_as_a_number_as_text_and_in_the_resources_own() {
    for (registry_id, id, expected) in [
        (json!(7), json!("x"), Some(7)),
        (json!("7"), json!("x"), Some(7)),
        (Value::Null, json!("source-1/7"), Some(7)),
        (Value::Null, json!("7"), Some(7)),
        (Value::Null, json!("x"), None),
    ] {
        let mut attributes = attributes();
        attributes["registry_id"] = registry_id;
        attributes["id"] = id;
        let found = found(&state(&attributes), "s").expect("a state");
        assert_eq!(found[0].registry_id, expected, "{attributes}");
    }
}

#[test]
fn what_is_no_state_is_told_without_its_content() {
    let mut nameless = attributes();
    nameless["name"] = json!("");
    for (text, expected) in [
        (
            "{\"c4n4ry",
            "s is no Terraform state: no JSON at line 1, column 8",
        ),
        (
            "{\"c4n4ry\": 1}",
            "s is no Terraform state: it has neither `version` nor `values`",
        ),
        (
            "{\"version\": 3}",
            "s is no Terraform state: its version is 3, not 4",
        ),
        (
            "{\"version\": 4}",
            "s holds no huaweicloud_swr_enterprise_instance_registry",
        ),
        (
            "{\"format_version\": \"1.0\"}",
            "s holds no huaweicloud_swr_enterprise_instance_registry",
        ),
        (
            &state(&nameless),
            "s: a huaweicloud_swr_enterprise_instance_registry has no name",
        ),
    ] {
        let told = found(text, "s")
            .map(drop)
            .expect_err("no state")
            .to_string();
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains("c4n4ry"), "{told}");
    }
}
