//! JSON as SWR speaks it, lenient in and exact out.

use super::*;
use swr_operator_core::credential::Sensitive;
use swr_operator_core::desired::{InstanceId, ProjectId, Region};
use swr_operator_core::observed::Hosts;

fn sealer() -> Sealer {
    Sealer::new(vec![7; 32])
}

fn credential() -> Credential {
    Credential {
        access_key: Sensitive::new("user1".to_owned()),
        access_secret: Sensitive::new("p@ss".to_owned()),
    }
}

fn registry(target: Target, insecure: bool) -> Registry {
    Registry {
        name: "test112".to_owned(),
        url: "https://target.example.test".to_owned(),
        insecure,
        description: "replaced below".to_owned(),
        target,
    }
}

fn encoded(registry: &Registry, description: &str) -> String {
    let credential = credential();
    let registry = Registry {
        description: description.to_owned(),
        ..registry.clone()
    };
    let bytes = encode(&Body {
        registry: &registry,
        credential: &credential,
    });
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn internal() -> Target {
    Target::SwrEnterprise {
        project: ProjectId::new("0605767a3a80d5762fb2c00a1b2c3d4e"),
        region: Region::new("cn-north-4"),
        instance: InstanceId::new("1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a22"),
    }
}

fn harbor(hosts: &[(&str, &str)]) -> Target {
    Target::Harbor {
        dns_hosts: hosts
            .iter()
            .map(|(host, address)| ((*host).to_owned(), address.parse().expect("an address")))
            .collect(),
    }
}

/// The first body is, byte for byte, that of vector V2 (swr-api.md 4.2).
#[test]
fn each_type_sends_what_belongs_to_it_in_the_documented_order() {
    for (registry, description, expected) in [
        (
            registry(internal(), true),
            "",
            r#"{"name":"test112","description":"","type":"swr-pro-internal","project_id":"0605767a3a80d5762fb2c00a1b2c3d4e","region_id":"cn-north-4","instance_id":"1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a22","url":"https://target.example.test","credential":{"type":"basic","access_key":"user1","access_secret":"p@ss"},"insecure":true}"#,
        ),
        (
            registry(harbor(&[]), false),
            "dr [tag]",
            r#"{"name":"test112","description":"dr [tag]","type":"swr-pro","url":"https://target.example.test","credential":{"type":"basic","access_key":"user1","access_secret":"p@ss"},"insecure":false}"#,
        ),
        (
            registry(
                harbor(&[("b.test", "2001:db8::1"), ("a.test", "192.0.2.1")]),
                false,
            ),
            "",
            r#"{"name":"test112","description":"","type":"swr-pro","url":"https://target.example.test","credential":{"type":"basic","access_key":"user1","access_secret":"p@ss"},"dns_conf":{"hosts":{"a.test":"192.0.2.1","b.test":"2001:db8::1"}},"insecure":false}"#,
        ),
        (
            registry(Target::SwrBasic, true),
            "\u{6d4b}\"\n",
            "{\"name\":\"test112\",\"description\":\"\u{6d4b}\\\"\\n\",\"type\":\"huawei-SWR\",\"url\":\"https://target.example.test\",\"credential\":{\"type\":\"basic\",\"access_key\":\"user1\",\"access_secret\":\"p@ss\"},\"insecure\":true}",
        ),
    ] {
        assert_eq!(encoded(&registry, description), expected);
    }
}

fn empty_record(id: i64) -> Record {
    Record {
        id: RegistryId(id),
        name: "n".to_owned(),
        type_: "".into(),
        url: "".into(),
        insecure: None,
        description: String::new(),
        project: None,
        region: None,
        instance: None,
        dns_hosts: None,
        access_key: None,
        health: Health::NotReported,
        updated_at: None,
    }
}

#[test]
fn a_full_record_is_read_and_its_secret_is_not() {
    let body = r#"{"id":7,"name":"test112","description":"dr","region_id":"cn-north-4","instance_id":"i",
        "project_id":"p","type":"swr-pro","url":"https://a.test","insecure":false,"status":"unhealthy",
        "credential":{"type":"basic","access_key":"user1","access_secret":"*****"},
        "dns_conf":{"hosts":{"a.test":"192.0.2.1"}},"future":{"deep":[1,2,{"x":null}]},
        "created_at":"2025-11-04 08:00:00","updated_at":"1762243200"}"#;
    assert_eq!(
        decode_record(body.as_bytes(), &sealer()),
        Ok(Record {
            id: RegistryId(7),
            name: "test112".to_owned(),
            type_: "swr-pro".into(),
            url: "https://a.test".into(),
            insecure: Some(false),
            description: "dr".to_owned(),
            project: Some("p".into()),
            region: Some("cn-north-4".into()),
            instance: Some("i".into()),
            dns_hosts: Some([("a.test".to_owned(), "192.0.2.1".to_owned())].into()),
            access_key: Some(sealer().access_key("user1")),
            health: Health::Unhealthy,
            updated_at: Some("1762243200".to_owned()),
        })
    );
    // Nothing depends on the secret, not even on its type.
    for secret in ["null", "[1]", r#""p@ss""#, r#"{"a":{}}"#] {
        let body = body.replace(r#""*****""#, secret);
        assert_eq!(
            decode_record(body.as_bytes(), &sealer()).map(|record| record.id),
            Ok(RegistryId(7)),
            "{secret}"
        );
    }
}

#[test]
fn what_is_absent_or_null_is_not_reported() {
    let hosts = |hosts: Option<Hosts>| Record {
        dns_hosts: hosts,
        ..empty_record(7)
    };
    for (body, expected) in [
        (r#"{"id":7,"name":"n"}"#, empty_record(7)),
        (
            r#"{"id":7,"name":"n","type":null,"url":null,"insecure":null,"description":null,"project_id":null,
                "region_id":null,"instance_id":null,"dns_conf":null,"credential":null,"status":null,"updated_at":null}"#,
            empty_record(7),
        ),
        (r#"{"id":7,"name":"n","dns_conf":{}}"#, hosts(None)),
        (
            r#"{"id":7,"name":"n","dns_conf":{"hosts":null}}"#,
            hosts(None),
        ),
        (
            r#"{"id":7,"name":"n","dns_conf":{"hosts":{}}}"#,
            hosts(Some(Hosts::default())),
        ),
        (r#"{"id":7,"name":"n","credential":{}}"#, empty_record(7)),
        (
            r#"{"id":7,"name":"n","credential":{"access_key":null}}"#,
            empty_record(7),
        ),
        (
            r#"{"id":7,"name":"n","credential":{"access_key":""}}"#,
            empty_record(7),
        ),
        (
            r#"{"id":7,"name":"n","status":"restarting"}"#,
            empty_record(7),
        ),
        (r#"{"id":"7","name":"n"}"#, empty_record(7)),
        (
            r#"{"id":9223372036854775807,"name":"n"}"#,
            empty_record(i64::MAX),
        ),
        (
            r#"{"id":"9223372036854775807","name":"n"}"#,
            empty_record(i64::MAX),
        ),
    ] {
        assert_eq!(
            decode_record(body.as_bytes(), &sealer()),
            Ok(expected),
            "{body}"
        );
    }
}

#[test]
fn what_is_no_registry_is_malformed() {
    let deep = format!(r#"{{"id":7,"name":"n","dns_conf":{}"#, "[".repeat(100_000));
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "<html></html>",
        r#"{"id":7}"#,
        r#"{"name":"n"}"#,
        r#"{"id":null,"name":"n"}"#,
        r#"{"id":7,"name":null}"#,
        r#"{"id":"seven","name":"n"}"#,
        r#"{"id":7.5,"name":"n"}"#,
        r#"{"id":9223372036854775808,"name":"n"}"#,
        r#"{"id":7,"name":5}"#,
        r#"{"id":7,"id":8,"name":"n"}"#,
        r#"{"id":7,"name":"n","insecure":"false"}"#,
        r#"{"id":7,"name":"n"} trailing"#,
        r#"{"id":7,"name":"n""#,
        &deep,
    ] {
        assert_eq!(
            decode_record(body.as_bytes(), &sealer()),
            Err(Malformed),
            "{body:.80}"
        );
    }
    assert_eq!(
        decode_record(b"{\"id\":7,\"name\":\"\xff\"}", &sealer()),
        Err(Malformed)
    );
}

#[test]
fn a_page_is_whole_or_malformed() {
    let page = |ids: &[i64], total| {
        Ok(Page {
            records: ids.iter().copied().map(empty_record).collect(),
            total,
        })
    };
    for (body, expected) in [
        (
            r#"{"registries":[{"id":1,"name":"n"},{"id":2,"name":"n"}],"total":2}"#,
            page(&[1, 2], Some(2)),
        ),
        (
            r#"{"registries":[{"id":1,"name":"n"}],"total":"250"}"#,
            page(&[1], Some(250)),
        ),
        (r#"{"registries":[{"id":1,"name":"n"}]}"#, page(&[1], None)),
        (
            r#"{"registries":[{"id":1,"name":"n"}],"total":null}"#,
            page(&[1], None),
        ),
        (
            r#"{"registries":[{"id":1,"name":"n"}],"total":-1}"#,
            page(&[1], None),
        ),
        (r#"{"registries":[],"total":0}"#, page(&[], Some(0))),
        (r#"{"registries":null,"total":0}"#, page(&[], Some(0))),
        (r#"{"registries":null}"#, page(&[], None)),
        (r#"{"total":0}"#, page(&[], Some(0))),
        // None of these may pass for "there is none".
        (r#"{"registries":null,"total":3}"#, Err(Malformed)),
        (r#"{"registries":null,"total":-1}"#, Err(Malformed)),
        (r#"{"total":3}"#, Err(Malformed)),
        ("{}", Err(Malformed)),
        ("", Err(Malformed)),
        ("null", Err(Malformed)),
        ("[]", Err(Malformed)),
        ("[[]]", Err(Malformed)),
        ("[[],0]", Err(Malformed)),
        (r#"{"registries":{},"total":0}"#, Err(Malformed)),
        (r#"{"registries":[null]}"#, Err(Malformed)),
        (
            r#"{"registries":[{"id":1,"name":"n"},{"id":2}],"total":2}"#,
            Err(Malformed),
        ),
        (
            r#"{"registries":[{"id":1,"name":"n"},{"name":"n"}],"total":2}"#,
            Err(Malformed),
        ),
    ] {
        assert_eq!(decode_page(body.as_bytes(), &sealer()), expected, "{body}");
    }
}

#[test]
fn a_create_may_answer_without_an_id() {
    for (body, expected) in [
        (r#"{"id":7}"#, Some(7)),
        (r#"{"id":"7","more":1}"#, Some(7)),
        ("", None),
        ("{}", None),
        ("null", None),
        (r#"{"id":null}"#, None),
        (r#"{"id":0}"#, None),
        (r#"{"id":-1}"#, None),
        (r#"{"id":"x"}"#, None),
        ("created", None),
    ] {
        assert_eq!(
            decode_created(body.as_bytes()),
            expected.map(RegistryId),
            "{body}"
        );
    }
}

#[test]
fn projects_count_by_exact_name() {
    let body =
        br#"{"links":{},"projects":[{"id":"a","name":"r"},{"id":"b","name":"r_sub"},{"id":"c"}]}"#;
    assert_eq!(
        decode_projects(body, "r"),
        Ok(vec!["a".to_owned(), "c".to_owned()])
    );
    for body in [
        "",
        "{}",
        "[]",
        r#"{"projects":null}"#,
        r#"{"projects":[{"name":"r"}]}"#,
    ] {
        assert_eq!(
            decode_projects(body.as_bytes(), "r"),
            Err(Malformed),
            "{body}"
        );
    }
}

#[test]
fn a_record_of_tomorrow_is_read() {
    let body = r#"{"id":7,"name":"n","type":"swr-next","url":"oci://a.test","status":"archived",
        "credential":{"type":"workload","identity":{"issuer":"i"}},"replicates":["push"],"owner":null}"#;
    let expected = Record {
        type_: "swr-next".into(),
        url: "oci://a.test".into(),
        ..empty_record(7)
    };
    assert_eq!(
        decode_record(body.as_bytes(), &sealer()),
        Ok(expected.clone())
    );
    let page = format!(r#"{{"registries":[{body}],"total":1,"next_marker":"m"}}"#);
    let page = decode_page(page.as_bytes(), &sealer()).expect("a page");
    assert_eq!(page.records, [expected]);
}
