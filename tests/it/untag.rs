//! `deletionPolicy: Orphan` takes the tag off, whatever SWR's mood: what stays behind with a tag can be adopted by nobody.

use std::time::Duration;

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{cases, check_cases, with_windows};
use crate::cluster::now;
use crate::site::{Site, name_of, registry_id};

const UPDATE: &str = "UpdateInstanceRegistry";
/// T_settle of the beds.
const SETTLE_SECS: f64 = 6.0;

#[test]
fn orphan_takes_the_tag_off_in_the_end() {
    check_cases(
        "untag",
        &cases![
            throttled_for_a_while,
            unavailable_for_a_while,
            unreachable_for_a_while,
            carried_out_late,
            never_carried_out,
            without_its_account,
            unprotected_and_let_go_at_once,
        ],
    );
}

fn orphan(site: &Site) -> Value {
    let mut object = site.registry("it", "swr-pro");
    object["spec"]["deletionPolicy"] = json!("Orphan");
    site.ready_with(object).0
}

/// SWR holds the registry as it was, without the tag.
fn assert_untagged(site: &Site, object: &Value) {
    let description = &site.held(object)["description"];
    assert_eq!(*description, object["spec"]["description"]);
}

/// Deletes under a fault that passes; the last of so many PUTs is the one that counts.
fn check_passing(site: &Site, fault: Value, n_faults: usize) {
    let object = orphan(site);
    let mut fault = fault;
    fault["match"] = json!({"operation": UPDATE});
    fault["times"] = json!(n_faults);
    site.cloud.fault(&fault);
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    assert_untagged(site, &object);
    let put = format!("PUT registries/{}", registry_id(&object));
    assert_eq!(site.cloud.writes(mark), vec![put; n_faults + 1]);
}

fn throttled_for_a_while(site: &Site) {
    check_passing(site, json!({"kind": "status", "status": 429}), 2);
}

fn unavailable_for_a_while(site: &Site) {
    check_passing(site, json!({"kind": "status", "status": 503}), 3);
}

fn unreachable_for_a_while(site: &Site) {
    check_passing(site, json!({"kind": "reset"}), 2);
}

/// Deletes under a fault that leaves the outcome open; gives how long the object stayed after the first PUT.
fn stayed_secs(site: &Site, fault: Value) -> f64 {
    let object = orphan(site);
    let mut fault = fault;
    fault["match"] = json!({"operation": UPDATE, "ordinal": 1});
    site.cloud.fault(&fault);
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    let gone_at = now();
    assert_untagged(site, &object);
    let first = site.cloud.asked(mark, UPDATE)[0].at;
    gone_at.duration_since(first).as_secs_f64()
}

fn carried_out_late(site: &Site) {
    let stayed = stayed_secs(site, json!({"kind": "late-apply", "delayMs": 4_500}));
    assert!(
        stayed >= SETTLE_SECS,
        "released {stayed} s after a PUT that may still land on the next owner's registry"
    );
}

fn never_carried_out(site: &Site) {
    let stayed = stayed_secs(site, json!({"kind": "hang"}));
    assert!(
        stayed >= SETTLE_SECS,
        "released {stayed} s after a PUT whose outcome is unknown"
    );
}

fn without_its_account(site: &Site) {
    let object = orphan(site);
    let held = site.held(&object);
    site.delete_account();
    site.await_synced("it", "Unknown AccountNotReady");
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    site.await_events("RegistryOrphaned", 1);
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    assert_eq!(site.held(&object), held);
}

fn unprotected_and_let_go_at_once(site: &Site) {
    let mut object = site.registry("it", "swr-pro");
    object["spec"]["deletionProtection"] = json!(true);
    let (object, _) = site.ready_with(object);
    site.delete("it");
    site.await_state("it", "False DeletionProtected");
    let mark = site.cloud.mark();
    site.patch(
        "it",
        &json!({"spec": {"deletionProtection": false, "deletionPolicy": "Orphan"}}),
    );
    site.await_gone("it");
    assert_untagged(site, &object);
    let put = format!("PUT registries/{}", registry_id(&object));
    assert_eq!(site.cloud.writes(mark), [put]);
}

/// Each costs a SHOW and a PUT, one a second.
const N_AT_ONCE: usize = 12;

#[test]
fn many_orphans_under_narrow_limits_all_lose_their_tags() {
    let windows = [
        ("--poll-interval", "60s"),
        ("--settle", "10s"),
        ("--write-deadline", "5s"),
    ];
    with_windows("untag-limits", &["site"], &windows, |bed| {
        let site = bed.site("site");
        let objects: Vec<Value> = (0..N_AT_ONCE)
            .map(|n| {
                let mut object = site.registry(&format!("it-{n}"), "huawei-SWR");
                object["spec"]["deletionPolicy"] = json!("Orphan");
                site.ready_with(object).0
            })
            .collect();
        let limits = json!({"requestsPerSecond": 1, "burst": 1, "inFlight": 1});
        site.patch_account(&json!({"spec": {"limits": limits}}));
        site.await_account("True Available");
        for object in &objects {
            site.delete(name_of(object));
        }
        eventually_blocking(Duration::from_secs(90), "the end of all", || {
            match site.objects().len() {
                0 => Ok(()),
                n => Err(format!("{n} are left")),
            }
        });
        for object in &objects {
            assert_untagged(site, object);
        }
    });
}
