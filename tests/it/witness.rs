//! Drift that SWR shows in no answer: hosts, and the secret. That `updated_at` moved without us is the one trace of it.

use serde_json::{Value, json};

use crate::bed::{cases, check_cases};
use crate::site::{Site, name_of, registry_id, state};

#[test]
fn what_swr_does_not_show_is_mended_by_what_it_does() {
    check_cases(
        "witness",
        &cases![
            an_invisible_edit_is_mended_where_puts_move_the_time,
            an_invisible_edit_is_mended_where_health_moves_the_time,
            a_change_of_health_is_no_edit_where_puts_move_the_time,
            a_change_of_health_is_no_edit_where_health_moves_the_time,
            many_at_once_are_somebody_elses_doing,
            observe_reports_it,
            a_request_sends_the_credential_to_an_ill_target_once,
        ],
    );
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

fn an_invisible_edit_is_mended_where_puts_move_the_time(site: &Site) {
    check_mended(site, "put");
}

fn an_invisible_edit_is_mended_where_health_moves_the_time(site: &Site) {
    check_mended(site, "health");
}

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

fn a_change_of_health_is_no_edit_where_puts_move_the_time(site: &Site) {
    check_flips(site, "put");
}

fn a_change_of_health_is_no_edit_where_health_moves_the_time(site: &Site) {
    check_flips(site, "health");
}

fn six(site: &Site) -> Vec<Value> {
    (1..=6).map(|n| site.ready(&format!("it-{n}"))).collect()
}

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

fn many_at_once_are_somebody_elses_doing(site: &Site) {
    hide(site, "put");
    let instance = &site.cloud.instances[0];
    let objects = six(site);
    site.cloud.await_lists(instance, 2);
    let mark = site.cloud.mark();
    // Between two looks: there are seconds to the next.
    for object in &objects[..4] {
        edit_hosts(site, object);
    }
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
