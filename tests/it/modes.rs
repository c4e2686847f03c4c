//! Observing, suspending, adopting, asking for a look.

use serde_json::{Value, json};

use crate::bed::{cases, check_cases};
use crate::manifest::{STRANGERS_TAG, body, split_tag};
use crate::site::{Site, registry_id, state};

#[test]
fn a_mode_is_what_it_says() {
    check_cases(
        "modes",
        &cases![
            observe_reports_a_missing_registry,
            observe_reports_each_field_that_differs_and_writes_nothing,
            observe_reports_what_adoption_would_change,
            suspend_stops_everything_until_it_is_taken_off,
            a_request_for_a_look_is_answered_with_its_own_words,
        ],
    );
}

#[test]
fn a_registry_is_adopted_only_if_nobody_owns_it_and_the_object_says_so() {
    check_cases(
        "adoption",
        &cases![
            if_unowned_takes_a_registry_of_exactly_this_name,
            by_id_takes_a_registry_of_any_name_and_renames_it,
            by_id_of_nothing_is_a_conflict,
            a_registry_of_another_owner_is_refused,
            never_is_the_default,
            a_lost_tag_is_put_back_where_adoption_is_allowed,
            an_adopted_registry_goes_with_its_object,
            without_anything_to_adopt_a_registry_is_created,
        ],
    );
}

fn observe_reports_a_missing_registry(site: &Site) {
    let mark = site.cloud.mark();
    site.put_login("it", &site.login());
    let mut object = site.registry("it", "swr-pro");
    object["spec"]["mode"] = json!("Observe");
    site.create(&object);
    let object = site.await_saying(
        "it",
        "False DriftObserved",
        "the registry does not exist in SWR",
    );
    assert_eq!(object["metadata"]["finalizers"], Value::Null);
    site.assert_rests(mark, &site.cluster.audit());
}

fn observe_reports_each_field_that_differs_and_writes_nothing(site: &Site) {
    site.cloud
        .switch(&json!({"dns_conf_echo": "show_and_list"}));
    let before = site.ready("it");
    let held = site.held(&before);
    let mark = site.cloud.mark();
    site.patch("it", &json!({"spec": {"mode": "Observe"}}));
    site.await_ready("it");
    site.put_login("it", &site.login());
    site.patch(
        "it",
        &json!({"spec": {
            "name": "renamed",
            "url": "https://elsewhere.example.com",
            "insecure": false,
            "description": "第二版",
            "dnsConf": {"hosts": {"a.example.com": "198.51.100.7"}},
        }}),
    );
    let (object, message) = site.await_state("it", "False DriftObserved");
    assert_eq!(
        message,
        "SWR differs from the spec in: name, url, insecure, description, dnsConf.hosts, credential"
    );
    let diff = json!([
        {"field": "name", "desired": "renamed", "observed": "it_镜像"},
        {"field": "url", "desired": "https://elsewhere.example.com", "observed": "https://it.dr.example.com"},
        {"field": "insecure", "desired": "false", "observed": "true"},
        {"field": "description", "desired": "第二版", "observed": "Copy of it"},
        {"field": "dnsConf.hosts", "desired": "a.example.com=198.51.100.7", "observed": "a.example.com=192.0.2.10"},
        {"field": "credential", "desired": "(sensitive)", "observed": "(sensitive)"},
    ]);
    assert_eq!(object["status"]["diff"], diff);
    site.assert_rests(mark, &site.cluster.audit());
    assert_eq!(site.held(&object), held);

    site.patch("it", &json!({"spec": {"mode": "Enforce"}}));
    let object = site.await_ready("it");
    assert_eq!(object["status"]["diff"], Value::Null);
    assert_eq!(
        site.cloud.writes(mark),
        [format!("PUT registries/{}", registry_id(&object))]
    );
}

fn observe_reports_what_adoption_would_change(site: &Site) {
    let (id, before) = site.foreign("it", "by hand");
    let mark = site.cloud.mark();
    site.put_login("it", &site.login());
    let mut object = adopting(site, json!({"policy": "IfUnowned"}));
    object["spec"]["mode"] = json!("Observe");
    site.create(&object);
    let (object, _) = site.await_state("it", "False DriftObserved");
    let fields: Vec<&str> = object["status"]["diff"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|diff| diff["field"].as_str())
        .collect();
    assert!(
        fields.contains(&"url") && fields.contains(&"credential"),
        "{fields:?}"
    );
    site.assert_rests(mark, &site.cluster.audit());
    site.assert_untouched(id, &before);
}

fn suspend_stops_everything_until_it_is_taken_off(site: &Site) {
    let before = site.ready("it");
    let held = site.held(&before);
    site.patch(
        "it",
        &json!({"spec": {"suspend": true, "url": "https://changed.example.com"}}),
    );
    let (object, message) = site.await_state("it", "True Suspended");
    assert_eq!(
        message,
        "spec.suspend is true: SWR is neither read nor written"
    );
    assert_eq!(state(&object, "Synced"), "Unknown Suspended");
    // It was the only object of its instance, so nobody asks SWR any more; the other instance shows the polls.
    let mark = site.cloud.mark();
    let mut other = site.registry("other", "swr-pro");
    other["spec"]["instanceId"] = json!(site.cloud.instances[1]);
    site.ready_with(other);
    site.cloud.await_lists(&site.cloud.instances[1], 3);
    let asked = site.cloud.requests(mark);
    let suspended = Some(site.cloud.instances[0].as_str());
    assert!(
        asked
            .iter()
            .all(|entry| entry.instance.as_deref() != suspended)
    );
    assert_eq!(site.held(&object), held);
    site.patch("it", &json!({"spec": {"suspend": false}}));
    let object = site.await_ready("it");
    assert_eq!(site.held(&object)["url"], "https://changed.example.com");
}

fn a_request_for_a_look_is_answered_with_its_own_words(site: &Site) {
    let id = registry_id(&site.ready("it"));
    for (annotation, at) in [
        ("swr.huaweicloud.com/requestedAt", "2026-11-24T10:00:00Z"),
        ("reconcile.fluxcd.io/requestedAt", "whatever Flux says"),
    ] {
        let mark = site.cloud.mark();
        site.patch(
            "it",
            &json!({"metadata": {"annotations": {annotation: at}}}),
        );
        site.await_status("it", "the echo", |object| {
            let echo = object["status"]["lastHandledReconcileAt"].as_str();
            echo.unwrap_or_default().contains(at)
        });
        assert!(site.cloud.n_lists(mark, &site.cloud.instances[0]) >= 1);
        // SWR does not show whether it still has the credential, so it gets it once more (rule 9).
        site.cloud.await_lists(&site.cloud.instances[0], 2);
        assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{id}")]);
    }
}

/// An object named as the registry that it asks for.
fn adopting(site: &Site, adoption: Value) -> Value {
    let mut object = site.registry("it", "swr-pro");
    object["spec"]["name"] = json!("it");
    object["spec"]["adoption"] = adoption;
    object
}

/// The object adopts the registry by one PUT of the whole body.
fn check_adopted(site: &Site, object: Value, id: i64) {
    let mark = site.cloud.mark();
    let (ready, login) = site.ready_with(object);
    assert_eq!(registry_id(&ready), id);
    assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{id}")]);
    let mut held = site.held(&ready);
    split_tag(&mut held);
    for (field, value) in body(&ready, &login).as_object().expect("an object") {
        assert_eq!(held[field], *value, "{field}");
    }
    assert_eq!(ready["status"]["createIntent"], Value::Null);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn if_unowned_takes_a_registry_of_exactly_this_name(site: &Site) {
    let (similar, before) = site.foreign("It", "another case");
    let (id, _) = site.foreign("it", "by hand");
    check_adopted(site, adopting(site, json!({"policy": "IfUnowned"})), id);
    site.assert_untouched(similar, &before);
}

fn by_id_takes_a_registry_of_any_name_and_renames_it(site: &Site) {
    let (id, _) = site.foreign("old-name", "by hand");
    let adoption = json!({"policy": "IfUnowned", "registryId": id});
    check_adopted(site, adopting(site, adoption), id);
}

fn by_id_of_nothing_is_a_conflict(site: &Site) {
    let mark = site.cloud.mark();
    site.put_login("it", &site.login());
    let adoption = json!({"policy": "IfUnowned", "registryId": 4711});
    site.create(&adopting(site, adoption));
    site.await_saying(
        "it",
        "False Conflict",
        "the registry of spec.adoption.registryId does not exist in the instance",
    );
    site.assert_rests(mark, &site.cluster.audit());
}

fn a_registry_of_another_owner_is_refused(site: &Site) {
    let (id, before) = site.foreign("it", STRANGERS_TAG);
    let mark = site.cloud.mark();
    site.put_login("it", &site.login());
    let adoption = json!({"policy": "IfUnowned", "registryId": id});
    site.create(&adopting(site, adoption));
    let (_, message) = site.await_state("it", "False Conflict");
    assert_eq!(
        message,
        "a registry named \"it\" exists in the instance and carries the tag of another owner; it is left alone"
    );
    site.assert_rests(mark, &site.cluster.audit());
    site.assert_untouched(id, &before);
}

fn never_is_the_default(site: &Site) {
    let (id, before) = site.foreign("it", "by hand");
    let mark = site.cloud.mark();
    site.put_login("it", &site.login());
    site.create(&adopting(site, json!({})));
    site.await_state("it", "False Conflict");
    site.assert_rests(mark, &site.cluster.audit());
    site.assert_untouched(id, &before);
}

fn a_lost_tag_is_put_back_where_adoption_is_allowed(site: &Site) {
    let instance = &site.cloud.instances[0];
    let (object, _) = site.ready_with(adopting(site, json!({"policy": "IfUnowned"})));
    let id = registry_id(&object);
    let tagged = site.held(&object)["description"].clone();
    let mark = site.cloud.mark();
    site.cloud
        .console_edit(instance, id, "/description", json!("Copy of it"));
    site.await_writes(mark, 1);
    site.await_ready("it");
    assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{id}")]);
    assert_eq!(site.held(&object)["description"], tagged);
}

fn an_adopted_registry_goes_with_its_object(site: &Site) {
    let (id, _) = site.foreign("it", "by hand");
    site.ready_with(adopting(site, json!({"policy": "IfUnowned"})));
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    assert_eq!(site.cloud.writes(mark), [format!("DELETE registries/{id}")]);
}

fn without_anything_to_adopt_a_registry_is_created(site: &Site) {
    let mark = site.cloud.mark();
    site.ready_with(adopting(site, json!({"policy": "IfUnowned"})));
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
}
