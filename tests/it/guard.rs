//! The mass-deletion guard: a mistaken `kubectl delete` of everything does not empty the cloud.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, with_windows};
use crate::cloud::PATIENCE;
use crate::site::{Site, condition, registry_id};

const OBJECTS: usize = 40;

#[test]
fn thirty_of_forty_deletions_wait_for_an_administrator_and_five_do_not() {
    // kubectl takes a second for thirty on a machine that compiles beside it.
    let windows = [("--mass-deletion-guard", "3s")];
    with_windows("guard", &["few", "many"], &windows, |bed| {
        five_of_forty_are_deleted(bed.site("few"));
        thirty_of_forty_are_paused(bed, bed.site("many"));
    });
}

#[test]
fn without_the_guard_all_go_at_once() {
    let windows = [("--mass-deletion-guard", "off")];
    with_windows("unguarded", &["site"], &windows, |bed| {
        let site = &bed.sites[0];
        let ids = ready(site, 6);
        let mark = site.cloud.mark();
        delete(site, 0..6);
        gone_with_their_registries(site, mark, &ids);
    });
}

pub(crate) fn name(n: usize) -> String {
    format!("it-{n}")
}

/// So many objects with one Secret; the ids of their registries.
pub(crate) fn ready(site: &Site, n: usize) -> Vec<i64> {
    let login = site.login();
    site.put_login("shared", &login);
    for n in 0..n {
        let mut object = site.registry(&name(n), "huawei-SWR");
        object["spec"]["credentialSecretRef"]["name"] = json!("shared");
        site.create(&object);
    }
    let ready = (0..n).map(|n| site.await_ready(&name(n)));
    ready.map(|object| registry_id(&object)).collect()
}

/// By one command.
pub(crate) fn delete(site: &Site, which: std::ops::Range<usize>) {
    let names: Vec<String> = which.map(name).collect();
    let mut command = vec!["delete", "--wait=false", "--namespace", &site.name, "rreg"];
    command.extend(names.iter().map(String::as_str));
    site.cluster.kubectl(&command);
}

/// Each of these was deleted once, nothing else was written, and their objects are gone.
pub(crate) fn gone_with_their_registries(site: &Site, mark: u64, ids: &[i64]) {
    let mut wanted: Vec<String> = ids
        .iter()
        .map(|id| format!("DELETE registries/{id}"))
        .collect();
    wanted.sort();
    let what = format!("the end of {} objects", ids.len());
    eventually_blocking(PATIENCE, &what, || {
        let objects = site.objects();
        let deleting = |it: &&Value| it["metadata"]["deletionTimestamp"].is_string();
        match objects.iter().filter(deleting).count() {
            0 => Ok(()),
            n => Err(format!("{n} are left")),
        }
    });
    let mut writes = site.cloud.writes(mark);
    writes.sort();
    assert_eq!(writes, wanted);
}

fn five_of_forty_are_deleted(site: &Site) {
    let ids = ready(site, OBJECTS);
    let mark = site.cloud.mark();
    delete(site, 0..5);
    gone_with_their_registries(site, mark, &ids[..5]);
    let events = site.events();
    let told = events.iter().filter(|it| it.contains("DeletionPaused"));
    assert_eq!(told.count(), 0, "{events:#?}");
}

fn thirty_of_forty_are_paused(bed: &Bed, site: &Site) {
    let instance = site.cloud.instances[0].as_str();
    let paused = |n: &str| {
        bed.await_series("swr_deletions_paused", &[&site.name, instance], n);
    };
    let ids = ready(site, OBJECTS);
    let mark = site.cloud.mark();
    delete(site, 0..30);
    for n in 0..30 {
        let (object, message) = site.await_state(&name(n), "False DeletionPaused");
        assert_eq!(
            message,
            format!(
                "too many objects of SWR instance {instance} are being deleted at once, so nothing is deleted in SWR: to delete their registries, an administrator lets deletions through for a time with kubectl annotate --overwrite swraccount {} swr.huaweicloud.com/allow-deletions-until=TIME, where TIME lies ahead, in the form 2026-01-31T12:00:00Z; to keep a registry in SWR, set spec.deletionPolicy to Orphan",
                site.name
            )
        );
        assert_eq!(
            condition(&object, "Reconciling")["reason"],
            "DeletionPaused"
        );
        assert_eq!(condition(&object, "Synced")["status"], "Unknown");
    }
    paused("30");
    let told = told_of_account(site);
    let counts = format!("30 of 40 objects of instance {instance} are being deleted");
    assert!(told.iter().any(|note| note.contains(&counts)), "{told:#?}");
    // At rest they cost nothing.
    let audit = site.cluster.audit();
    site.assert_rests(mark, &audit);

    // Another operator knows nothing of the burst, but what it left.
    bed.terminate();
    bed.start_operator();
    paused("30");
    site.assert_rests(mark, &audit);
    bed.kill_9();
    bed.start_operator();
    paused("30");

    // What comes later is paused, too, and Orphan is the way out that keeps the registry.
    site.delete(&name(30));
    site.await_state(&name(30), "False DeletionPaused");
    site.patch(&name(30), &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.await_gone(&name(30));
    let untagged = format!("PUT registries/{}", ids[30]);
    assert_eq!(site.cloud.writes(mark), [untagged]);
    let registry = site.cloud.registry(instance, ids[30]).expect("it stays");
    assert!(
        !registry.to_string().contains("[swr-operator:"),
        "{registry}"
    );

    // Neither what is no time nor what is over lets anything through.
    let mark = site.cloud.mark();
    site.allow_deletions_until(&json!("tomorrow"));
    site.await_account_saying(
        "True Available",
        "the credential is at hand and the project is known; annotation swr.huaweicloud.com/allow-deletions-until is not a time as 2026-01-31T12:00:00Z, so it lets no deletion through",
    );
    site.allow_deletions_until(&json!("2020-01-01T00:00:00Z"));
    site.await_account_saying(
        "True Available",
        "the credential is at hand and the project is known",
    );
    paused("30");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());

    site.allow_deletions();
    gone_with_their_registries(site, mark, &ids[..30]);
    paused("0");
    assert_eq!(site.objects().len(), 9);

    // Afterwards the guard is there again, and what an administrator let through does not count. Until the operator has
    // seen that it is gone, what comes is paused with it.
    eventually_blocking(PATIENCE, "the operator sees nine objects", || {
        let text = bed.scrape();
        let series = text.lines().filter(|line| {
            line.starts_with("swr_resource_generation{") && line.contains(&site.name)
        });
        match series.count() {
            9 => Ok(()),
            n => Err(format!("{n} objects")),
        }
    });
    site.allow_deletions_until(&Value::Null);
    let mark = site.cloud.mark();
    delete(site, 31..33);
    gone_with_their_registries(site, mark, &ids[31..33]);
}

/// The notes of the events beside the account.
fn told_of_account(site: &Site) -> Vec<String> {
    let mut events = site.cluster.list("/apis/events.k8s.io/v1/events");
    events.retain(|it| it["regarding"]["name"] == site.name && it["reason"] == "DeletionPaused");
    let notes = events.iter().filter_map(|it| it["note"].as_str());
    notes.map(str::to_owned).collect()
}
