//! Somebody changes a registry in SWR's console, or SWR finds its target ill.

use serde_json::{Value, json};

use crate::bed::{cases, check_cases, site_check, with_windows};
use crate::manifest::STRANGERS_TAG;
use crate::site::{Site, registry_id, state};

#[test]
fn what_happens_in_the_console_is_put_back_or_reported() {
    check_cases(
        "drift",
        &cases![
            an_edited_field_of_a_harbor_is_put_back_by_one_request,
            an_edited_field_of_an_enterprise_target_is_put_back_by_one_request,
            a_deleted_registry_is_created_once_more,
            a_registry_without_its_tag_is_left_alone_until_the_tag_is_back,
            a_registry_with_a_strangers_tag_is_left_alone,
            an_ill_target_is_reported_and_nothing_is_written,
            health_that_swr_does_not_report_is_no_finding,
            a_third_correction_is_the_last_of_half_an_hour,
        ],
    );
}

#[test]
fn an_edit_in_the_console_is_put_back_long_before_the_next_poll() {
    let windows = [("--poll-interval", "1h"), ("--drift-interval", "1s")];
    with_windows("early-drift", &["site"], &windows, |bed| {
        let site = &bed.sites[0];
        site_check(site, || check_early_drift(site));
    });
}

fn check_early_drift(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("edited");
    let held = site.held(&object);
    let mark = site.cloud.mark();
    site.cloud.await_lists(instance, 2);
    site.cloud
        .console_edit(instance, registry_id(&object), "/insecure", json!(false));
    site.await_writes(mark, 1);
    site.await_sent_after("edited", &object);
    assert_eq!(site.held(&object)["insecure"], held["insecure"]);
    assert_eq!(
        site.cloud.writes(mark),
        [format!("PUT registries/{}", registry_id(&object))]
    );
    let is_newest_first = |query: &str| query.contains("order_column=updated_at&order_type=desc");
    for list in site.cloud.asked(mark, "ListInstanceRegistries") {
        assert!(is_newest_first(&list.query), "{}", list.query);
    }
}

fn an_edited_field_of_a_harbor_is_put_back_by_one_request(site: &Site) {
    // By default SWR shows name resolution only in SHOW, where a poll does not look.
    site.cloud
        .switch(&json!({"dns_conf_echo": "show_and_list"}));
    check_edits(
        site,
        "swr-pro",
        &[
            ("name", "/name", |_| json!("edited")),
            ("url", "/url", |_| json!("https://elsewhere.example.com")),
            ("insecure", "/insecure", |_| json!(false)),
            // The text before the tag; the tag itself stays.
            ("description", "/description", |before| {
                json!(
                    before
                        .as_str()
                        .unwrap_or_default()
                        .replace("Copy", "Copied")
                )
            }),
            ("access-key", "/credential/access_key", |_| {
                json!("somebody-else")
            }),
            (
                "hosts",
                "/dns_conf",
                |_| json!({"hosts": {"a.example.com": "203.0.113.99"}}),
            ),
        ],
    );
}

fn an_edited_field_of_an_enterprise_target_is_put_back_by_one_request(site: &Site) {
    site.cloud
        .switch(&json!({"project_id_echo": "show_and_list"}));
    check_edits(
        site,
        "swr-pro-internal",
        &[
            ("project", "/project_id", |_| json!("another-project")),
            ("region", "/region_id", |_| json!("another-region")),
            ("instance", "/instance_id", |_| json!("another-instance")),
        ],
    );
}

/// Name of the object, field of the API, and what somebody makes of its value.
type ConsoleEdit = (&'static str, &'static str, fn(&Value) -> Value);

fn check_edits(site: &Site, kind: &str, edits: &[ConsoleEdit]) {
    let instance = &site.cloud.instances[0];
    let before: Vec<(Value, Value)> = edits
        .iter()
        .map(|(name, _, _)| site.ready_with(site.registry(name, kind)).0)
        .map(|object| {
            let held = site.held(&object);
            (object, held)
        })
        .collect();
    site.cloud.await_lists(instance, 1);

    let mark = site.cloud.mark();
    let audit = site.cluster.audit();
    for ((_, field, edit), (object, held)) in edits.iter().zip(&before) {
        let value = edit(held.pointer(field).expect("the field"));
        site.cloud
            .console_edit(instance, registry_id(object), field, value);
    }
    site.await_writes(mark, edits.len());
    for ((name, field, _), (object, held)) in edits.iter().zip(&before) {
        site.await_sent_after(name, object);
        let mut after = site.held(object);
        after["updated_at"] = held["updated_at"].clone();
        assert_eq!(after, *held, "{field} is as it was");
    }
    let mut writes = site.cloud.writes(mark);
    writes.sort();
    let mut expected: Vec<String> = before
        .iter()
        .map(|(object, _)| format!("PUT registries/{}", registry_id(object)))
        .collect();
    expected.sort();
    assert_eq!(writes, expected);
    assert_eq!(site.kubernetes_writes(&audit).len(), edits.len());
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn a_deleted_registry_is_created_once_more(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("gone");
    let before = registry_id(&object);
    let mark = site.cloud.mark();
    site.cloud.console_delete(instance, before);
    let object = site.await_status("gone", "another id", |object| {
        object["status"]["registryId"] != before && state(object, "Ready") == "True Available"
    });
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
    let held = site.cloud.registries(instance);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0]["id"], registry_id(&object));
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn a_registry_without_its_tag_is_left_alone_until_the_tag_is_back(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("tagless");
    let id = registry_id(&object);
    let tagged = site.held(&object)["description"].clone();
    let mark = site.cloud.mark();
    site.cloud
        .console_edit(instance, id, "/description", json!("mine now"));
    let (_, message) = site.await_state("tagless", "False OwnershipLost");
    assert_eq!(
        message,
        "the registry's ownership tag was removed or replaced in SWR; nothing more is written to it"
    );
    site.assert_rests(mark, &site.cluster.audit());
    site.cloud
        .console_edit(instance, id, "/description", tagged);
    site.await_ready("tagless");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn a_registry_with_a_strangers_tag_is_left_alone(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("taken");
    let id = registry_id(&object);
    let mark = site.cloud.mark();
    let description = json!(format!("taken over {STRANGERS_TAG}"));
    site.cloud
        .console_edit(instance, id, "/description", description);
    site.await_state("taken", "False OwnershipLost");
    site.assert_rests(mark, &site.cluster.audit());
}

fn an_ill_target_is_reported_and_nothing_is_written(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("ill");
    let id = registry_id(&object);
    let mark = site.cloud.mark();
    for _ in 0..2 {
        site.cloud.health(instance, id, "unhealthy");
        let (object, message) = site.await_state("ill", "False TargetUnhealthy");
        assert_eq!(
            message,
            "SWR reports the target as unhealthy: check url, network and credential"
        );
        assert_eq!(state(&object, "Synced"), "True TargetUnhealthy");
        assert_eq!(object["status"]["observed"]["status"], "unhealthy");
        site.cloud.health(instance, id, "healthy");
        site.await_ready("ill");
    }
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn health_that_swr_does_not_report_is_no_finding(site: &Site) {
    site.cloud.switch(&json!({"new_status": "absent"}));
    let object = site.ready("unknown");
    assert_eq!(object["status"]["observed"]["status"], Value::Null);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn a_third_correction_is_the_last_of_half_an_hour(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("fought-over");
    let id = registry_id(&object);
    let mark = site.cloud.mark();
    let edit = || {
        site.cloud
            .console_edit(instance, id, "/url", json!("https://theirs.example.com"));
    };
    for n in 1..=3 {
        let before = site.object("fought-over");
        edit();
        site.await_writes(mark, n);
        site.await_sent_after("fought-over", &before);
    }
    edit();
    let (object, message) = site.await_state("fought-over", "False Fighting");
    assert_eq!(message, "something else keeps changing back: url");
    assert_eq!(state(&object, "Stalled"), "True Fighting");
    site.cloud.await_lists(instance, 3);
    assert_eq!(
        site.cloud.writes(mark),
        vec![format!("PUT registries/{id}"); 3]
    );
}
