//! SWR takes a request and does something else, or answers with something that is no answer.

use serde_json::{Value, json};

use crate::bed::{cases, check_cases};
use crate::site::{Site, registry_id, state};

#[test]
fn what_swr_does_not_keep_is_reported_and_not_repeated() {
    check_cases(
        "unkept",
        &cases![
            a_tag_that_is_cut_off_is_never_written_twice,
            a_description_that_is_refused_is_reported,
            a_full_instance_is_reported,
            room_that_is_made_in_the_console_is_found_at_the_next_attempt,
            a_target_that_swr_cannot_reach_is_reported,
            a_web_page_instead_of_a_list_is_no_empty_list,
            a_web_page_instead_of_an_answer_to_a_create_is_no_registry,
            an_update_that_is_accepted_and_not_made_is_reported_after_two,
            an_empty_list_that_lies_makes_no_second_registry,
        ],
    );
}

fn object(site: &Site) -> Value {
    site.put_login("it", &site.login());
    site.registry("it", "swr-pro")
}

fn a_tag_that_is_cut_off_is_never_written_twice(site: &Site) {
    site.cloud
        .switch(&json!({"description_limit": "truncated"}));
    let mark = site.cloud.mark();
    let mut object = object(site);
    object["spec"]["description"] = json!("d".repeat(250));
    site.create(&object);
    let object = site.await_saying(
        "it",
        "False TagNotKept",
        "SWR did not keep the ownership tag in the registry's description; nothing more is written to it",
    );
    assert_eq!(state(&object, "Stalled"), "True TagNotKept");
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
    site.delete("it");
    site.await_saying(
        "it",
        "False DeletionBlocked",
        "the registry does not carry our tag, so it is not deleted: remove it in SWR, or to let the object go without it, set spec.deletionPolicy to Orphan",
    );
    site.cloud
        .console_delete(&site.cloud.instances[0], registry_id(&object));
    site.request("it", "removed by hand");
    site.await_gone("it");
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
}

fn a_description_that_is_refused_is_reported(site: &Site) {
    site.cloud.switch(&json!({"description_limit": "refused"}));
    let mark = site.cloud.mark();
    let mut object = object(site);
    object["spec"]["description"] = json!("d".repeat(250));
    site.create(&object);
    let (now, message) = site.await_state("it", "False InvalidSpec");
    assert!(
        message.starts_with("cannot create the registry: SWR refuses the request as invalid"),
        "{message}"
    );
    assert_eq!(now["status"]["createIntent"], Value::Null);
    site.patch("it", &json!({"spec": {"description": "short"}}));
    site.await_ready("it");
    let writes = site.cloud.writes(mark);
    assert!(
        writes.len() <= 4 && writes.iter().all(|write| write == "POST registries"),
        "{writes:?}"
    );
}

fn a_full_instance_is_reported(site: &Site) {
    site.cloud.switch(&json!({"registry_quota": 0}));
    let mark = site.cloud.mark();
    site.create(&object(site));
    let (object, message) = site.await_state("it", "False QuotaExceeded");
    assert!(
        message.contains("the instance's quota of registries is used up"),
        "{message}"
    );
    assert_eq!(state(&object, "Stalled"), "True QuotaExceeded");
    assert_eq!(
        site.cloud.writes(mark),
        ["POST registries"],
        "the next in an hour"
    );
    site.cloud.switch(&json!({"registry_quota": 10}));
    site.request("it", "more room");
    site.await_ready("it");
}

fn room_that_is_made_in_the_console_is_found_at_the_next_attempt(site: &Site) {
    let instance = &site.cloud.instances[0];
    let theirs = site.cloud.console_create(
        instance,
        &json!({
            "name": "theirs", "type": "swr-pro", "url": "https://theirs.example.com", "insecure": false,
            "credential": {"type": "basic", "access_key": "a", "access_secret": "b"}
        }),
    );
    site.cloud.switch(&json!({"registry_quota": 1}));
    let mark = site.cloud.mark();
    site.create(&object(site));
    site.await_state("it", "False QuotaExceeded");
    site.cloud.console_delete(instance, theirs);
    site.request("it", "room was made");
    site.await_ready("it");
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
}

fn a_target_that_swr_cannot_reach_is_reported(site: &Site) {
    site.cloud.switch(&json!({"connection_test": "refuse"}));
    site.create(&object(site));
    let (_, message) = site.await_state("it", "False TargetUnhealthy");
    assert!(
        message.contains("SWR could not connect to the target with this url and credential"),
        "{message}"
    );
    site.cloud.switch(&json!({"connection_test": "off"}));
    site.request("it", "reachable");
    site.await_ready("it");
}

const PAGE: &str = "<!doctype html><html><body>Please log in to the hotel's network</body></html>";

fn page_for(site: &Site, operation: &str) {
    site.cloud.fault(&json!({
        "match": {"operation": operation}, "kind": "status", "status": 200, "body": PAGE,
    }));
}

fn a_web_page_instead_of_a_list_is_no_empty_list(site: &Site) {
    let before = site.ready("it");
    let mark = site.cloud.mark();
    page_for(site, "ListInstanceRegistries");
    page_for(site, "ShowInstanceRegistry");
    let (_, message) = site.await_synced("it", "Unknown ApiUnavailable");
    assert_eq!(
        message,
        "cannot list the instance's registries: SWR gave an answer that is not understood"
    );
    site.cloud.clear_faults();
    let after = site.await_ready("it");
    assert_eq!(registry_id(&after), registry_id(&before));
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn a_web_page_instead_of_an_answer_to_a_create_is_no_registry(site: &Site) {
    page_for(site, "CreateInstanceRegistry");
    let mark = site.cloud.mark();
    site.create(&object(site));
    site.await_writes(mark, 1);
    site.cloud.await_lists(&site.cloud.instances[0], 1);
    site.cloud.clear_faults();
    let object = site.await_ready("it");
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0]["id"], registry_id(&object));
}

fn an_update_that_is_accepted_and_not_made_is_reported_after_two(site: &Site) {
    let object = site.ready("it");
    site.cloud.fault(&json!({
        "match": {"operation": "UpdateInstanceRegistry"}, "kind": "status", "status": 200, "body": {},
    }));
    let mark = site.cloud.mark();
    site.patch(
        "it",
        &json!({"spec": {"url": "https://changed.example.com"}}),
    );
    let object_now = site.await_saying(
        "it",
        "False NotApplied",
        "SWR accepted the update twice and still shows the old value of: url",
    );
    assert_eq!(state(&object_now, "Stalled"), "True NotApplied");
    let put = format!("PUT registries/{}", registry_id(&object));
    site.cloud.await_lists(&site.cloud.instances[0], 3);
    assert_eq!(site.cloud.writes(mark), [put.clone(), put]);
}

fn an_empty_list_that_lies_makes_no_second_registry(site: &Site) {
    let before = site.ready("it");
    site.cloud.fault(&json!({
        "match": {"operation": "ListInstanceRegistries"}, "kind": "status", "status": 200,
        "body": {"registries": [], "total": 0},
    }));
    let mark = site.cloud.mark();
    site.cloud.await_lists(&site.cloud.instances[0], 4);
    site.cloud.clear_faults();
    let after = site.await_ready("it");
    assert_eq!(registry_id(&after), registry_id(&before));
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}
