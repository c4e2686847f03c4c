//! A registry of somebody else's bears the name that an object asks for.

use serde_json::{Value, json};

use crate::bed::{cases, check_cases};
use crate::manifest::STRANGERS_TAG;
use crate::site::{Site, registry_id};

#[test]
fn a_foreign_registry_of_the_same_name_is_never_written() {
    check_cases(
        "conflict",
        &cases![
            one_without_a_tag_is_a_conflict_until_the_name_is_free,
            one_with_a_strangers_tag_is_a_conflict,
            one_that_only_the_create_meets_is_a_conflict,
            a_rename_to_a_taken_name_is_a_conflict,
            a_similar_name_is_none,
            an_object_in_conflict_is_deleted_without_a_write,
            a_second_object_waits_until_the_first_has_gone,
        ],
    );
}

fn object(site: &Site, name: &str) -> Value {
    let mut object = site.registry(name, "swr-pro");
    object["spec"]["name"] = json!(name);
    site.put_login(name, &site.login());
    object
}

fn one_without_a_tag_is_a_conflict_until_the_name_is_free(site: &Site) {
    let instance = &site.cloud.instances[0];
    let (id, before) = site.foreign("wanted", "by hand");
    let mark = site.cloud.mark();
    site.create(&object(site, "wanted"));
    let (_, message) = site.await_state("wanted", "False Conflict");
    assert_eq!(
        message,
        "a registry named \"wanted\" exists in the instance and does not belong to this object; it is left alone"
    );
    site.assert_rests(mark, &site.cluster.audit());
    site.assert_untouched(id, &before);

    site.cloud.console_delete(instance, id);
    let polls = site.cloud.mark();
    let object = site.await_ready("wanted");
    assert!(
        site.cloud.n_lists(polls, instance) <= 4,
        "created at the next poll, not after a backoff"
    );
    assert_ne!(registry_id(&object), id);
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
}

fn one_with_a_strangers_tag_is_a_conflict(site: &Site) {
    let (id, before) = site.foreign("wanted", &format!("theirs {STRANGERS_TAG}"));
    let mark = site.cloud.mark();
    site.create(&object(site, "wanted"));
    let (_, message) = site.await_state("wanted", "False Conflict");
    assert_eq!(
        message,
        "a registry named \"wanted\" exists in the instance and carries the tag of another owner; it is left alone"
    );
    site.assert_rests(mark, &site.cluster.audit());
    site.assert_untouched(id, &before);
}

fn one_that_only_the_create_meets_is_a_conflict(site: &Site) {
    // The LIST does not show it yet.
    site.cloud.switch(&json!({"list_lag_millis": 5000}));
    let (id, before) = site.foreign("wanted", "by hand");
    let mark = site.cloud.mark();
    site.create(&object(site, "wanted"));
    let (now, message) = site.await_state("wanted", "False Conflict");
    assert!(message.contains("exists"), "{message}");
    assert_eq!(
        now["status"]["createIntent"],
        Value::Null,
        "SWR refused for certain"
    );
    site.assert_untouched(id, &before);
    site.cloud.switch(&json!({"list_lag_millis": 0}));
    site.cloud.await_lists(&site.cloud.instances[0], 3);
    let writes = site.cloud.writes(mark);
    assert!(
        writes.iter().all(|write| write == "POST registries"),
        "{writes:?}"
    );
    assert!(writes.len() <= 3, "{writes:?}");
    site.assert_untouched(id, &before);
}

fn a_rename_to_a_taken_name_is_a_conflict(site: &Site) {
    let (id, before) = site.foreign("taken", "by hand");
    let ours = site.ready("ours");
    let held = site.held(&ours);
    site.patch("ours", &json!({"spec": {"name": "taken"}}));
    let (_, message) = site.await_state("ours", "False Conflict");
    assert!(message.contains("exists"), "{message}");
    site.assert_untouched(id, &before);
    assert_eq!(site.held(&ours), held);
    site.patch("ours", &json!({"spec": {"name": "free"}}));
    site.await_ready("ours");
    assert_eq!(site.held(&ours)["name"], "free");
    site.assert_untouched(id, &before);
}

fn a_similar_name_is_none(site: &Site) {
    let (id, before) = site.foreign("wanted-2", "the name filter of SWR would match it");
    let (other_id, other) = site.foreign("Wanted", "another case");
    site.create(&object(site, "wanted"));
    let ready = site.await_ready("wanted");
    assert!(![id, other_id].contains(&registry_id(&ready)));
    site.assert_untouched(id, &before);
    site.assert_untouched(other_id, &other);
}

fn an_object_in_conflict_is_deleted_without_a_write(site: &Site) {
    let (id, before) = site.foreign("wanted", "by hand");
    site.create(&object(site, "wanted"));
    site.await_state("wanted", "False Conflict");
    let mark = site.cloud.mark();
    site.delete("wanted");
    site.await_gone("wanted");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    site.assert_untouched(id, &before);
}

/// As when an object is renamed in Git, and its successor is created first.
fn a_second_object_waits_until_the_first_has_gone(site: &Site) {
    let with_name = |object: &str| {
        let mut object = self::object(site, object);
        object["spec"]["name"] = json!("wanted");
        object
    };
    site.create(&with_name("first"));
    let first = site.await_ready("first");
    let held = site.held(&first);
    let mark = site.cloud.mark();
    site.create(&with_name("second"));
    let (_, message) = site.await_state("second", "False Conflict");
    assert_eq!(
        message,
        "a registry named \"wanted\" exists in the instance and carries the tag of another owner; it is left alone"
    );
    site.assert_rests(mark, &site.cluster.audit());
    assert_eq!(site.held(&first), held);
    site.await_ready("first");

    site.delete("first");
    site.await_gone("first");
    let second = site.await_ready("second");
    let delete = format!("DELETE registries/{}", registry_id(&first));
    assert_eq!(
        site.cloud.writes(mark),
        [delete.as_str(), "POST registries"]
    );
    assert_ne!(registry_id(&second), registry_id(&first));
}
