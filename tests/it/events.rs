//! What stands under Events: every action once, every blocker once, and nothing at rest.

use serde_json::{Value, json};

use crate::bed::{cases, check_cases};
use crate::site::{Site, registry_id};

#[test]
fn what_happens_is_told_in_events() {
    check_cases(
        "events",
        &cases![
            a_life_is_told_deed_by_deed,
            the_same_again_is_counted_and_something_else_is_not_mixed_in,
            a_blocker_is_told_once_while_it_lasts,
            drift_whose_correction_fails_at_first_is_told_as_drift,
            an_adoption_and_an_orphan_are_told_as_such,
            a_registry_that_is_not_ours_any_more_is_not_told_as_deleted,
            a_blocked_deletion_is_told,
            an_object_with_the_longest_name_has_events,
        ],
    );
}

/// An object whose registry has its own name.
fn named(site: &Site) -> Value {
    let mut object = site.registry("it", "swr-pro");
    object["spec"]["name"] = json!("it");
    object
}

/// Waits for the last one, and compares all.
fn check(site: &Site, expected: &[&str]) {
    let last = expected.last().expect("an event").to_string();
    harness::eventually_blocking(crate::cloud::PATIENCE, &last, || {
        let events = site.events();
        if events.contains(&last) {
            Ok(())
        } else {
            Err(format!("{events:#?}"))
        }
    });
    assert_eq!(site.events(), expected);
}

/// Somebody changes a field in SWR; returns when it is put back.
fn drift(site: &Site, field: &str, value: Value) {
    let object = site.object("it");
    let (instance, id) = (&site.cloud.instances[0], registry_id(&object));
    site.cloud.console_edit(instance, id, field, value);
    site.await_sent_after("it", &object);
}

fn a_life_is_told_deed_by_deed(site: &Site) {
    let object = site.ready_with(named(site)).0;
    let id = registry_id(&object);
    drift(site, "/url", json!("https://elsewhere.example.com"));
    let before = site.object("it");
    site.put_login("it", &site.login());
    site.await_sent_after("it", &before);
    site.patch("it", &json!({"spec": {"insecure": false}}));
    site.await_ready("it");
    site.patch("it", &json!({"spec": {"suspend": true}}));
    site.await_synced("it", "Unknown Suspended");
    site.patch("it", &json!({"spec": {"suspend": false}}));
    site.await_synced("it", "True Available");
    site.delete("it");
    site.await_gone("it");
    check(
        site,
        &[
            &format!("it Normal RegistryCreated: created registry \"it\" in SWR (id {id})"),
            "it Normal DriftCorrected: corrected what was changed in SWR: url",
            "it Normal CredentialRotated: sent the changed credential of Secret \"it\" to SWR",
            "it Normal RegistryUpdated: updated in SWR: insecure",
            "it Normal Suspended: spec.suspend is true: SWR is neither read nor written",
            "it Normal Resumed: spec.suspend is false: the object is reconciled again",
            "it Normal RegistryDeleted: nothing of this object is left in SWR any more",
        ],
    );
}

fn the_same_again_is_counted_and_something_else_is_not_mixed_in(site: &Site) {
    let object = site.ready_with(named(site)).0;
    let id = registry_id(&object);
    drift(site, "/url", json!("https://elsewhere.example.com"));
    drift(site, "/insecure", json!(false));
    drift(site, "/url", json!("https://elsewhere.example.com"));
    check(
        site,
        &[
            &format!("it Normal RegistryCreated: created registry \"it\" in SWR (id {id})"),
            "it Normal DriftCorrected: corrected what was changed in SWR: url (x2)",
            "it Normal DriftCorrected: corrected what was changed in SWR: insecure",
        ],
    );
}

fn a_blocker_is_told_once_while_it_lasts(site: &Site) {
    site.ready("other");
    site.create(&named(site));
    site.await_state("it", "False SecretNotFound");
    // Its Secret is looked for at least once in each of these polls.
    site.cloud.await_lists(&site.cloud.instances[0], 4);
    let of_it = || -> Vec<String> {
        let mut events = site.events();
        events.retain(|event| event.starts_with("it "));
        events
    };
    let missing = "it Warning SecretNotFound: Secret \"it\" does not exist in this namespace";
    assert_eq!(of_it(), [missing]);
    site.put_login("it", &site.login());
    let id = registry_id(&site.await_ready("it"));
    site.await_events("RegistryCreated", 2);
    let created = format!("it Normal RegistryCreated: created registry \"it\" in SWR (id {id})");
    assert_eq!(of_it(), [missing, &created]);
    site.cloud.await_lists(&site.cloud.instances[0], 3);
    assert_eq!(of_it(), [missing, &created]);
}

fn drift_whose_correction_fails_at_first_is_told_as_drift(site: &Site) {
    let object = site.ready_with(named(site)).0;
    let id = registry_id(&object);
    site.cloud.fault(&json!({
        "match": {"operation": "UpdateInstanceRegistry", "ordinal": 1}, "phase": "before",
        "kind": "status", "status": 503,
    }));
    drift(site, "/url", json!("https://elsewhere.example.com"));
    let events = site.events();
    let (first, last) = (&events[0], events.last().expect("an event"));
    assert_eq!(
        *first,
        format!("it Normal RegistryCreated: created registry \"it\" in SWR (id {id})")
    );
    assert_eq!(
        last,
        "it Normal DriftCorrected: corrected what was changed in SWR: url"
    );
    assert!(
        events[1].starts_with("it Warning ApiUnavailable: cannot update the registry: "),
        "{events:#?}"
    );
    assert_eq!(events.len(), 3, "{events:#?}");
}

fn a_registry_that_is_not_ours_any_more_is_not_told_as_deleted(site: &Site) {
    let object = site.ready_with(named(site)).0;
    let (instance, id) = (&site.cloud.instances[0], registry_id(&object));
    site.cloud
        .console_edit(instance, id, "/description", json!("mine now"));
    let (_, lost) = site.await_state("it", "False OwnershipLost");
    site.delete("it");
    site.await_gone("it");
    check(
        site,
        &[
            &format!("it Normal RegistryCreated: created registry \"it\" in SWR (id {id})"),
            &format!("it Warning OwnershipLost: {lost}"),
            "it Normal RegistryOrphaned: left the registry in SWR unchanged, including its ownership tag",
        ],
    );
}

fn an_adoption_and_an_orphan_are_told_as_such(site: &Site) {
    let (id, _) = site.foreign("it", "theirs");
    site.put_login("it", &site.login());
    site.create(&named(site));
    let (_, conflict) = site.await_state("it", "False Conflict");
    site.patch(
        "it",
        &json!({"spec": {"adoption": {"policy": "IfUnowned"}, "deletionPolicy": "Orphan"}}),
    );
    site.await_ready("it");
    site.delete("it");
    site.await_gone("it");
    check(
        site,
        &[
            &format!("it Warning Conflict: {conflict}"),
            &format!(
                "it Normal RegistryAdopted: adopted the registry that is now \"it\" in SWR (id {id})"
            ),
            "it Normal RegistryOrphaned: left the registry in SWR, without the operator's tag",
        ],
    );
}

fn a_blocked_deletion_is_told(site: &Site) {
    let object = site.ready_with(named(site)).0;
    let id = registry_id(&object);
    site.cloud.fault(&json!({
        "match": {"operation": "DeleteInstanceRegistry"}, "phase": "before", "kind": "status",
        "status": 412,
        "body": {"error_code": "SWR.412", "error_msg": "the registry is referenced by a policy"},
    }));
    site.delete("it");
    let (_, message) = site.await_state("it", "False DeletionBlocked");
    check(
        site,
        &[
            &format!("it Normal RegistryCreated: created registry \"it\" in SWR (id {id})"),
            &format!("it Warning DeletionBlocked: {message}"),
        ],
    );
    site.cloud.clear_faults();
    site.await_gone("it");
}

fn an_object_with_the_longest_name_has_events(site: &Site) {
    let name = format!("{}.{}", "a".repeat(200), "b".repeat(52));
    assert_eq!(name.len(), 253);
    let mut object = named(site);
    object["metadata"]["name"] = json!(name);
    let (object, _) = site.ready_with(object);
    let id = registry_id(&object);
    check(
        site,
        &[&format!(
            "{name} Normal RegistryCreated: created registry \"it\" in SWR (id {id})"
        )],
    );
}
