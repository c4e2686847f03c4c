//! What `Desired::parse` makes of objects, good and bad.

use super::*;

fn object(spec: &str) -> ReplicationRegistry {
    let mut value: serde_json::Value = serde_json::json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {"name": "harbor-dr", "namespace": "images"},
        "spec": {
            "instanceId": "source-1",
            "type": "swr-pro",
            "url": "https://harbor.dr.example.com/",
            "insecure": false,
            "credentialSecretRef": {"name": "harbor-login"}
        }
    });
    let changes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(spec).expect("case");
    for (key, change) in changes {
        if change.is_null() {
            value["spec"].as_object_mut().expect("spec").remove(&key);
        } else {
            value["spec"][key] = change;
        }
    }
    serde_json::from_value(value).expect("object")
}

fn fields(spec: &str) -> Vec<&'static str> {
    match Desired::parse(&object(spec)) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.into_iter().map(|finding| finding.field).collect(),
    }
}

#[test]
fn the_name_defaults_to_the_objects_and_a_trailing_slash_does_not_count() {
    assert_eq!(
        Desired::parse(&object("{}")),
        Ok(Desired {
            registry: Registry {
                name: "harbor-dr".into(),
                url: "https://harbor.dr.example.com".into(),
                insecure: false,
                description: String::new(),
                target: Target::Harbor {
                    dns_hosts: BTreeMap::new()
                },
            },
            secret: SecretRef {
                name: "harbor-login".into(),
                keys: None
            },
            mode: Mode::Enforce,
            adoption: Adoption::NEVER,
            resend_secs: None,
        })
    );
}

#[test]
fn each_type_carries_just_what_belongs_to_it() {
    let target = |spec| Desired::parse(&object(spec)).map(|desired| desired.registry.target);
    assert_eq!(
        target(r#"{"dnsConf": {"hosts": {"harbor.dr.example.com": "192.0.2.10"}}}"#),
        Ok(Target::Harbor {
            dns_hosts: [(
                "harbor.dr.example.com".to_owned(),
                "192.0.2.10".parse().expect("ip")
            )]
            .into()
        })
    );
    assert_eq!(
        target(
            r#"{"type": "swr-pro-internal", "insecure": true,
                "target": {"projectId": "p-2", "regionId": "ap-southeast-3", "instanceId": "t-3"}}"#
        ),
        Ok(Target::SwrEnterprise {
            project: ProjectId::new("p-2"),
            region: Region::new("ap-southeast-3"),
            instance: InstanceId::new("t-3"),
        })
    );
    assert_eq!(target(r#"{"type": "huawei-SWR"}"#), Ok(Target::SwrBasic));
}

#[test]
fn every_finding_comes_with_its_field_and_all_come_at_once() {
    for (spec, expected) in [
        (r#"{"name": ""}"#, vec!["spec.name"]),
        (r#"{"name": "a.b"}"#, vec!["spec.name"]),
        (r#"{"instanceId": "a/b"}"#, vec!["spec.instanceId"]),
        (r#"{"url": "harbor.example.com"}"#, vec!["spec.url"]),
        (
            r#"{"url": "https://user:pw@harbor.example.com"}"#,
            vec!["spec.url"],
        ),
        (r#"{"url": "https://harbor example.com"}"#, vec!["spec.url"]),
        (
            r#"{"url": "https://harbor.example.com:70000"}"#,
            vec!["spec.url"],
        ),
        (r#"{"url": "ftp://harbor.example.com"}"#, vec!["spec.url"]),
        (
            r#"{"description": "x [swr-operator:y"}"#,
            vec!["spec.description"],
        ),
        (
            r#"{"type": "huawei-SWR", "dnsConf": {"hosts": {}}}"#,
            vec!["spec.dnsConf"],
        ),
        (
            r#"{"dnsConf": {"hosts": {"a": "not an ip"}}}"#,
            vec!["spec.dnsConf.hosts"],
        ),
        (
            r#"{"dnsConf": {"hosts": {"a b": "192.0.2.1"}}}"#,
            vec!["spec.dnsConf.hosts"],
        ),
        (
            r#"{"type": "swr-pro-internal"}"#,
            vec!["spec.insecure", "spec.target"],
        ),
        (
            r#"{"adoption": {"registryId": 7}}"#,
            vec!["spec.adoption.registryId"],
        ),
        (r#"{"pollInterval": "30s"}"#, vec!["spec.pollInterval"]),
        (
            r#"{"resendCredentialEvery": "soon"}"#,
            vec!["spec.resendCredentialEvery"],
        ),
        (
            r#"{"name": "a b", "url": "x", "pollInterval": "1"}"#,
            vec!["spec.name", "spec.url", "spec.pollInterval"],
        ),
    ] {
        assert_eq!(fields(spec), expected, "{spec}");
    }
}

#[test]
fn a_name_counts_characters_not_bytes() {
    assert_eq!(
        fields(&format!(r#"{{"name": "{}"}}"#, "容".repeat(64))),
        Vec::<&str>::new()
    );
    assert_eq!(
        fields(&format!(r#"{{"name": "{}"}}"#, "容".repeat(65))),
        ["spec.name"]
    );
}

#[test]
fn durations_are_sums_of_hours_minutes_and_seconds() {
    for (text, secs) in [
        ("10m", Some(600)),
        ("1h30m", Some(5400)),
        ("90s", Some(90)),
        ("", None),
        ("10", None),
        ("m", None),
        ("1d", None),
        ("99999999999999999999h", None),
    ] {
        assert_eq!(duration_secs(text), secs, "{text}");
    }
}

#[test]
fn an_object_that_asks_for_its_own_poll_interval_gets_no_less_than_a_minute() {
    for (spec, expected) in [
        ("{}", None),
        (r#"{"pollInterval": "1h30m"}"#, Some(5_400)),
        (r#"{"pollInterval": "60s"}"#, Some(60)),
        (r#"{"pollInterval": "59s"}"#, None),
        (r#"{"pollInterval": "soon"}"#, None),
    ] {
        assert_eq!(poll_secs(&object(spec)), expected, "{spec}");
    }
}
