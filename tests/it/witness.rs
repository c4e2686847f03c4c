//! Drift that SWR shows in no answer: hosts, and the secret. That `updated_at` moved without us is the one trace of it.

use serde_json::{Value, json};

use crate::bed::{Bed, BedCase, check_on, with_bed};
use crate::site::{Site, name_of, registry_id, state};

#[test]
fn what_swr_does_not_show_is_mended_by_what_it_does() {
    let checks: [BedCase; 7] = [
        ("edit-put", |_, site| check_mended(site, "put")),
        ("edit-health", |_, site| check_mended(site, "health")),
        ("flip-put", |_, site| check_flips(site, "put")),
        ("flip-health", |_, site| check_flips(site, "health")),
        ("many", many_at_once_are_somebody_elses_doing),
        ("observe", |_, site| observe_reports_it(site)),
        ("request", |_, site| {
            a_request_sends_the_credential_to_an_ill_target_once(site);
        }),
    ];
    let sites = checks.map(|(name, _)| name);
    with_bed("witness", &sites, |bed| check_on(bed, &checks));
}

/// SWR shows nothing of name resolution, and `updated_at` moves with this.
fn hide(site: &Site, updated_at: &str) {
    site.cloud
        .switch(&json!({"dns_conf_echo": "absent", "updated_at": updated_at}));
}

/// Somebody changes what no answer shows.
fn edit_hosts(site: &Site, object: &Value) {
    let hosts = json!({"hosts": {"a.example.com": "203.0.113.99"}});
    let instance = &site.cloud.instances[0];
    site.cloud
        .console_edit(instance, registry_id(object), "/dns_conf", hosts);
}

/// An edit that shows in `updated_at` alone is put right.
fn check_mended(site: &Site, updated_at: &str) {
    hide(site, updated_at);
    let object = site.ready("it");
    site.ready("other");
    let held = site.held(&object);
    // Its own write is on a page by then.
    site.cloud.await_lists(&site.cloud.instances[0], 2);
    let edits: [(&str, Value); 2] = [
        (
            "/dns_conf",
            json!({"hosts": {"a.example.com": "203.0.113.99"}}),
        ),
        ("/credential/access_secret", json!("not ours")),
    ];
    for (n, (field, value)) in edits.into_iter().enumerate() {
        check_edit(site, &object, &held, field, value);
        site.await_events("ChangedElsewhere", n + 1);
    }
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

/// One PUT within two polls makes it as it was.
fn check_edit(site: &Site, object: &Value, held: &Value, field: &str, value: Value) {
    let instance = &site.cloud.instances[0];
    let id = registry_id(object);
    let mark = site.cloud.mark();
    site.cloud.console_edit(instance, id, field, value);
    site.await_writes(mark, 1);
    let put = site.cloud.asked(mark, "UpdateInstanceRegistry")[0].seq;
    let lists = site.cloud.asked(mark, "ListInstanceRegistries");
    let n_lists = lists
        .iter()
        .filter(|list| list.seq < put && list.instance.as_ref() == Some(instance))
        .count();
    assert!(n_lists <= 2, "{field}: mended after {n_lists} looks");
    site.await_ready("it");
    site.cloud.await_lists(instance, 3);
    assert_eq!(
        site.cloud.writes(mark),
        [format!("PUT registries/{id}")],
        "{field}"
    );
    let mut after = site.held(object);
    after["updated_at"] = held["updated_at"].clone();
    assert_eq!(after, *held, "{field}");
}

fn six(site: &Site) -> Vec<Value> {
    (1..=6).map(|n| site.ready(&format!("it-{n}"))).collect()
}

/// A change of health is no edit, whether it moves `updated_at` or not.
fn check_flips(site: &Site, updated_at: &str) {
    hide(site, updated_at);
    let instance = &site.cloud.instances[0];
    let objects = six(site);
    let health = |objects: &[Value], status: &str| {
        for object in objects {
            site.cloud.health(instance, registry_id(object), status);
        }
    };
    let mark = site.cloud.mark();
    // One target first, then one that all share.
    for some in [&objects[..1], &objects[..]] {
        health(some, "unhealthy");
        for object in some {
            site.await_state(name_of(object), "False TargetUnhealthy");
        }
        health(some, "healthy");
        for object in some {
            site.await_ready(name_of(object));
        }
    }
    // And a flip that no look sees.
    health(&objects, "unhealthy");
    health(&objects, "healthy");
    site.cloud.await_lists(instance, 3);
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn many_at_once_are_somebody_elses_doing(bed: &Bed, site: &Site) {
    hide(site, "put");
    let instance = &site.cloud.instances[0];
    let objects = six(site);
    site.cloud.await_lists(instance, 2);
    let mark = site.cloud.mark();
    // Between two looks: there are seconds to the next.
    for object in &objects[..4] {
        edit_hosts(site, object);
    }
    let labels = [site.name.as_str(), instance.as_str()];
    bed.await_series("swr_unexplained_changes", &labels, "4");
    site.cloud.await_lists(instance, 4);
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    for object in &objects {
        site.await_ready(name_of(object));
    }
    // A change that is asked for is sent all the same.
    let name = name_of(&objects[0]);
    site.patch(name, &json!({"spec": {"description": "changed"}}));
    site.await_sent_after(name, &objects[0]);
    let put = format!("PUT registries/{}", registry_id(&objects[0]));
    assert_eq!(site.cloud.writes(mark), [put]);
    bed.await_series("swr_unexplained_changes", &labels, "3");
}

fn observe_reports_it(site: &Site) {
    hide(site, "put");
    let object = site.ready("it");
    site.patch("it", &json!({"spec": {"mode": "Observe"}}));
    site.await_ready("it");
    site.cloud.await_lists(&site.cloud.instances[0], 2);
    let mark = site.cloud.mark();
    edit_hosts(site, &object);
    site.await_state("it", "False DriftObserved");
    site.assert_rests(mark, &site.cluster.audit());
}

fn a_request_sends_the_credential_to_an_ill_target_once(site: &Site) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("it");
    let id = registry_id(&object);
    let held = site.held(&object);
    site.cloud.health(instance, id, "unhealthy");
    site.await_state("it", "False TargetUnhealthy");
    let mark = site.cloud.mark();
    site.request("it", "2026-11-24T10:00:00Z");
    site.await_writes(mark, 1);
    site.await_status("it", "the echo", |object| {
        object["status"]["lastHandledReconcileAt"] == "2026-11-24T10:00:00Z"
            && state(object, "Ready") == "False TargetUnhealthy"
    });
    site.cloud.await_lists(instance, 3);
    assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{id}")]);
    let mut after = site.held(&object);
    for field in ["status", "updated_at"] {
        after[field] = held[field].clone();
    }
    assert_eq!(after, held);
}
