//! What goes over the wire and what is made of what comes back, where no other test shows it. Must not know the cells
//! but for the names of fields.

use std::collections::BTreeSet;

use harness::eventually_blocking;
use serde_json::{Value, json};
use swr_simulator::journal::Entry;

use super::body_fields;
use super::cells::{Operation, Use};
use crate::bed::{cases, check_cases};
use crate::cloud::PATIENCE;
use crate::cluster::OPERATOR;
use crate::manifest::{TYPES, body, split_tag};
use crate::site::{Site, registry_id, state};

#[test]
fn what_is_documented_is_sent_and_read() {
    check_cases(
        "wire",
        &cases![
            a_request_says_where_by_its_path_and_is_signed_with_its_headers,
            a_temporary_key_sends_its_token_with_every_request,
            a_list_asks_for_whole_pages_in_the_order_of_creation,
            names_and_descriptions_are_sent_as_they_are_written,
            bodies_have_the_fields_of_the_table_and_no_others,
            a_registry_is_looked_at_as_a_whole_before_it_is_written,
            what_swr_tells_of_a_registry_reaches_the_status,
            a_list_of_nothing_is_told_in_several_ways,
        ],
    );
}

const OPERATIONS: [&str; 7] = [
    "CreateInstanceRegistry",
    "DeleteInstanceRegistry",
    "ListInstanceRegistries",
    "ListInstanceStatistics",
    "ShowInstance",
    "ShowInstanceRegistry",
    "UpdateInstanceRegistry",
];

/// Created, changed and deleted, which takes all operations; its id and what was asked meanwhile.
fn life(site: &Site, kind: &str) -> (i64, Vec<Entry>) {
    let mark = site.cloud.mark();
    let (object, _) = site.ready_with(site.registry("it", kind));
    site.patch("it", &json!({"spec": {"description": "changed"}}));
    site.await_sent_after("it", &object);
    site.delete("it");
    site.await_gone("it");
    let requests = site.cloud.requests(mark);
    let asked: BTreeSet<&str> = requests
        .iter()
        .map(|entry| entry.operation.as_str())
        .collect();
    assert_eq!(asked, OPERATIONS.into());
    (registry_id(&object), requests)
}

fn a_request_says_where_by_its_path_and_is_signed_with_its_headers(site: &Site) {
    site.cloud.switch(&json!({"id_style": "large"}));
    let (id, requests) = life(site, "swr-pro-internal");
    assert!(id > i64::from(i32::MAX), "{id}");
    let instance = format!(
        "/v2/{}/instances/{}",
        site.cloud.project, site.cloud.instances[0]
    );
    let all = format!("{instance}/registries");
    for entry in &requests {
        let path = match entry.operation.as_str() {
            "ShowInstance" => instance.clone(),
            "ListInstanceStatistics" => format!("{instance}/statistics"),
            "CreateInstanceRegistry" | "ListInstanceRegistries" => all.clone(),
            _ => format!("{all}/{id}"),
        };
        assert_eq!(entry.path, path);
        // The simulator computes the signature anew, and refuses another project than that of the path.
        assert_eq!(entry.access_key.as_ref(), Some(&site.keys.access_key));
        assert_eq!(
            entry.signed_headers.as_deref(),
            Some("content-type;host;x-project-id;x-sdk-date")
        );
        assert!(
            entry.status.is_some_and(|status| status < 300),
            "{entry:?} is accepted"
        );
    }
}

fn a_temporary_key_sends_its_token_with_every_request(site: &Site) {
    let canary = site.canary();
    let keys = [canary.key(), canary.secret(), site.canary().secret()];
    let [key, secret, token] = &keys;
    site.cloud.control(
        "PUT",
        "credential",
        &json!({"accessKey": key, "secretKey": secret, "securityToken": token}),
    );
    let path = format!("/api/v1/namespaces/{OPERATOR}/secrets/{}", site.name);
    let data = json!({"accessKey": key, "secretKey": secret, "securityToken": token});
    site.cluster
        .patch(&path, &json!({"stringData": data}))
        .expect("the account's Secret is changed");
    // An account that is changed reads its Secret at once.
    site.patch_account(&json!({"spec": {"limits": {"burst": 499}}}));
    site.await_account("True Available");
    let (_, mut requests) = life(site, "huawei-SWR");
    requests.retain(|entry| entry.access_key.as_ref() == Some(key));
    let accepted = requests
        .iter()
        .filter(|entry| entry.status.is_some_and(|status| status < 300))
        .map(|entry| {
            let signed = entry.signed_headers.as_deref();
            assert_eq!(
                signed,
                Some("content-type;host;x-project-id;x-sdk-date;x-security-token")
            );
            entry.operation.as_str()
        });
    assert_eq!(accepted.collect::<BTreeSet<_>>(), OPERATIONS.into());
}

fn a_list_asks_for_whole_pages_in_the_order_of_creation(site: &Site) {
    let instance = &site.cloud.instances[0];
    let mut object = site.registry("last", "swr-pro");
    object["spec"]["name"] = json!("theirs-249");
    for (n, offsets) in [
        (1, &[0][..]),
        (100, &[0]),
        (101, &[0, 100]),
        (250, &[0, 100, 200]),
    ] {
        for at in site.cloud.registries(instance).len()..n {
            let body = json!({
                "name": format!("theirs-{at}"), "type": "swr-pro", "url": "https://theirs.example.com",
                "credential": {"type": "basic", "access_key": "a", "access_secret": "b"},
                "insecure": false,
            });
            site.cloud.console_create(instance, &body);
        }
        if n == 1 {
            site.ready("ours");
        }
        let mark = site.cloud.mark();
        site.cloud.await_lists(instance, 3);
        let lists = site.cloud.asked(mark, "ListInstanceRegistries");
        for offset in offsets {
            let query = format!("limit=100&offset={offset}&order_column=created_at&order_type=asc");
            assert!(
                lists.iter().any(|entry| entry.query == query),
                "{n} registries: {query}"
            );
        }
    }
    // Neither a name nor a type is asked for, and what is beyond a page is found all the same.
    for entry in site.cloud.asked(0, "ListInstanceRegistries") {
        let orders = [
            "&order_column=created_at&order_type=asc",
            "&order_column=updated_at&order_type=desc",
        ];
        let page = orders
            .iter()
            .find_map(|order| entry.query.strip_suffix(order));
        let page = page.and_then(|page| page.strip_prefix("limit="));
        let (limit, offset) = page
            .and_then(|page| page.split_once("&offset="))
            .unwrap_or_else(|| panic!("{}", entry.query));
        let (limit, offset): (usize, usize) = (
            limit.parse().expect("a number"),
            offset.parse().expect("a number"),
        );
        assert!(limit <= 100, "{}", entry.query);
        assert_eq!(offset % limit, 0, "{}", entry.query);
    }
    site.put_login("last", &site.login());
    site.create(&object);
    site.await_state("last", "False Conflict");
}

fn names_and_descriptions_are_sent_as_they_are_written(site: &Site) {
    let longest = "镜".repeat(64);
    for (at, (name, description)) in [
        (json!("x"), json!("")),
        (
            json!(longest),
            json!("第二版 \"quoted\" \\ <b>\nanother line"),
        ),
        (Value::Null, Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mut object = site.registry(&format!("it-{at}"), "swr-pro");
        object["spec"]["name"] = name;
        object["spec"]["description"] = description;
        object["spec"]["dnsConf"] = json!({"hosts": {
            "z.example.com": "2001:db8::1", "a.example.com": "192.0.2.1",
        }});
        let (ready, login) = site.ready_with(object);
        let wanted = body(&ready, &login);
        for method in ["POST", "PUT"] {
            let mark = site.cloud.mark();
            if method == "PUT" {
                site.patch(&format!("it-{at}"), &json!({"spec": {"insecure": false}}));
                site.await_sent_after(&format!("it-{at}"), &ready);
            }
            let mark = if method == "PUT" { mark } else { 0 };
            let mut sent: Value = site
                .cloud
                .requests(mark)
                .iter()
                .rfind(|entry| entry.method == method)
                .map(|entry| serde_json::from_str(&entry.request_body).expect("JSON"))
                .expect("it was sent");
            split_tag(&mut sent);
            let mut wanted = wanted.clone();
            wanted["insecure"] = json!(method == "POST");
            assert_eq!(sent, wanted, "{method}");
        }
    }
    let mut object = site.registry("too-long", "swr-pro");
    object["spec"]["name"] = json!(format!("{longest}x"));
    let refused = site
        .cluster
        .create(&site.objects_path(), &object)
        .expect_err("65 characters are refused");
    assert_eq!(refused.code, 422, "{refused}");
}

/// `credential.type` and the like, for whatever is no object.
fn paths(value: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        // Hosts are keys of a map and no fields.
        if value.is_object() && path != "dns_conf.hosts" {
            paths(value, &format!("{path}."), found);
        } else {
            found.insert(path);
        }
    }
}

fn bodies_have_the_fields_of_the_table_and_no_others(site: &Site) {
    let mut held = BTreeSet::new();
    for kind in TYPES {
        let name = kind.to_lowercase();
        let (object, _) = site.ready_with(site.registry(&name, kind));
        paths(&site.held(&object), "", &mut held);
        site.patch(&name, &json!({"spec": {"description": "changed"}}));
        site.await_sent_after(&name, &object);
    }
    for (operation, method) in [(Operation::Create, "POST"), (Operation::Update, "PUT")] {
        let mut sent = BTreeSet::new();
        for entry in site.cloud.requests(0) {
            if entry.method == method {
                let body = serde_json::from_str(&entry.request_body).expect("JSON");
                paths(&body, "", &mut sent);
            }
        }
        assert_eq!(sent, body_fields(operation, &[Use::Sends]), "{method}");
    }
    // What nobody set is null at the top.
    held.remove("dns_conf");
    for operation in [Operation::List, Operation::Show] {
        let known = body_fields(operation, &[Use::Reads, Use::Not]);
        assert_eq!(held, known, "{operation:?}");
    }
}

/// Somebody edits all fields at once. What a list shows leads to a look at the registry, and what that shows is named in
/// the audit line of the update, also what no list shows.
fn a_registry_is_looked_at_as_a_whole_before_it_is_written(site: &Site) {
    site.cloud.switch(&json!({"type_change": "accepted"}));
    for (name, kind, edits, fields) in [
        (
            "harbor",
            "swr-pro",
            json!({"type": "huawei-SWR", "dns_conf": {"hosts": {"a.example.com": "203.0.113.99"}}}),
            "name, type, url, insecure, description, dnsConf.hosts, credential",
        ),
        (
            "enterprise",
            "swr-pro-internal",
            json!({"project_id": "p2", "region_id": "r2", "instance_id": "i2"}),
            "name, url, insecure, description, target.projectId, target.regionId, target.instanceId, credential",
        ),
    ] {
        let (object, _) = site.ready_with(site.registry(name, kind));
        let before = site.held(&object);
        let mut edited = before.clone();
        edited["name"] = json!("edited");
        edited["url"] = json!("https://edited.example.com");
        edited["insecure"] = json!(false);
        let description = before["description"].as_str().unwrap_or_default();
        edited["description"] = json!(description.replace("Copy", "Edited copy"));
        edited["credential"]["access_key"] = json!("edited");
        for (field, value) in edits.as_object().expect("an object") {
            edited[field] = value.clone();
        }
        let id = registry_id(&object);
        let target = format!("registries/{id}?instance={}", site.cloud.instances[0]);
        site.cloud.control("PUT", &target, &edited);
        site.await_sent_after(name, &object);
        let mut after = site.held(&object);
        after["updated_at"] = before["updated_at"].clone();
        assert_eq!(after, before, "{name} is as it was");
        let log = site.log();
        let object = format!("\"object\":\"{}/{name}\"", site.name);
        let audited = log
            .lines()
            .find(|line| line.contains(&object) && line.contains("\"operation\":\"update\""))
            .unwrap_or_else(|| panic!("no audit line for {name}"));
        assert!(
            audited.contains(&format!("\"fields\":\"{fields}\"")),
            "{audited}"
        );
    }
}

fn what_swr_tells_of_a_registry_reaches_the_status(site: &Site) {
    let instance = &site.cloud.instances[0];
    let (mut object, _) = site.ready_with(site.registry("it", "swr-pro"));
    let id = registry_id(&object);
    for (format, digits_and) in [("no_zone", "-: "), ("epoch", ""), ("rfc3339", "-:.TZ")] {
        site.cloud.switch(&json!({"time_format": format}));
        let text = format!("times as {format}");
        site.patch("it", &json!({"spec": {"description": text}}));
        object = site.await_sent_after("it", &object);
        let told = object["status"]["observed"]["updatedAt"].clone();
        let told = told.as_str().unwrap_or_default();
        let others: BTreeSet<char> = told.chars().filter(|c| !c.is_ascii_digit()).collect();
        assert!(!told.is_empty(), "{format}");
        assert_eq!(others, digits_and.chars().collect(), "{format}: {told}");
        let held = site.held(&object);
        assert_eq!(
            object["status"]["observed"],
            json!({
                "name": held["name"], "type": held["type"], "url": held["url"],
                "insecure": held["insecure"], "description": text, "status": "healthy",
                "updatedAt": told,
            })
        );
    }
    // A word that nobody knows is no finding.
    for (word, status, ready) in [
        ("unhealthy", json!("unhealthy"), "False TargetUnhealthy"),
        ("restarting", Value::Null, "True Available"),
        ("healthy", json!("healthy"), "True Available"),
    ] {
        site.cloud.health(instance, id, word);
        site.await_status("it", word, |object| {
            object["status"]["observed"]["status"] == status && state(object, "Ready") == ready
        });
    }
}

fn a_list_of_nothing_is_told_in_several_ways(site: &Site) {
    for (at, (status, answer)) in [
        (200, json!({"registries": null})),
        (200, json!({"registries": []})),
        (200, json!({"registries": null, "total": 0})),
        (200, json!({"total": 0})),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("nothing-{at}");
        let mark = site.cloud.mark();
        site.cloud.fault(&json!({
            "match": {"operation": "ListInstanceRegistries", "ordinal": 1},
            "kind": "status", "status": status, "body": answer,
        }));
        site.ready_with(site.registry(&name, "huawei-SWR"));
        assert_eq!(site.cloud.writes(mark), ["POST registries"], "{answer}");
        site.delete(&name);
        site.await_gone(&name);
    }
    // None of these is a list, so none says that nothing is there.
    for answer in [
        json!({}),
        json!([]),
        json!({"registries": null, "total": 1}),
        json!(""),
    ] {
        site.cloud.fault(&json!({
            "match": {"operation": "ListInstanceRegistries"},
            "kind": "status", "status": 200, "body": answer,
        }));
        let mark = site.cloud.mark();
        site.put_login("it", &site.login());
        site.create(&site.registry("it", "huawei-SWR"));
        let (_, message) = site.await_state("it", "False ApiUnavailable");
        assert_eq!(
            message,
            "cannot list the instance's registries: SWR gave an answer that is not understood",
            "{answer}"
        );
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new(), "{answer}");
        site.delete("it");
        site.await_gone("it");
        site.cloud.clear_faults();
    }
    eventually_blocking(PATIENCE, "a list that is one again", || {
        let lists = site.cloud.asked(0, "ListInstanceRegistries");
        lists.last().map(|_| ()).ok_or("no list")
    });
}
