//! Switches that a usual life never meets: what must happen for them to answer is done here, for every value. Must not
//! know the values by anything but their words.

use harness::eventually_blocking;
use serde_json::{Value, json};
use swr_simulator::Keys;

use super::life::{AVAILABLE, await_synced};
use crate::canary::Canary;
use crate::cloud::PATIENCE;
use crate::site::{Site, name_of, registry_id};

/// A switch, its values, what brings SWR to answer, and what must be said for each value.
pub(super) struct Meeting {
    pub(super) switch: &'static str,
    /// Value, and what is expected: a state, or words.
    pub(super) values: &'static [(&'static str, &'static str)],
    pub(super) check: fn(&Site, &str),
}

pub(super) const MEETINGS: [Meeting; 10] = [
    Meeting {
        switch: "duplicate_name",
        values: &[
            ("409", "False Conflict"),
            ("400", "False Conflict"),
            ("500", "False ApiUnavailable"),
            ("allowed", AVAILABLE),
        ],
        check: a_rename_to_a_taken_name,
    },
    Meeting {
        switch: "type_change",
        values: &[
            ("refused", "False InvalidSpec"),
            ("accepted", AVAILABLE),
            ("ignored", "False NotApplied"),
        ],
        check: a_type_that_somebody_changed,
    },
    Meeting {
        switch: "unknown_id",
        values: &[("404", ""), ("400", "")],
        check: a_registry_that_somebody_deleted,
    },
    Meeting {
        switch: "unknown_id_on_delete",
        values: &[("404", ""), ("400", ""), ("200", "")],
        check: a_deletion_that_somebody_was_faster_with,
    },
    Meeting {
        switch: "delete_in_use",
        values: &[
            ("412", "False DeletionBlocked"),
            ("400", "False DeletionBlocked"),
            ("409", "False DeletionBlocked"),
            ("403", "False DeletionBlocked"),
            ("500", "False Deleting"),
            ("allowed", ""),
        ],
        check: a_registry_that_a_policy_uses,
    },
    Meeting {
        switch: "unknown_instance",
        values: &[
            ("404", "False InstanceNotRunning"),
            ("403", "False Forbidden"),
        ],
        check: an_instance_that_is_not_there,
    },
    Meeting {
        switch: "instance_not_running",
        values: &[
            ("400", "Unknown InstanceNotRunning"),
            ("500", "Unknown InstanceNotRunning"),
            ("503", "Unknown InstanceNotRunning"),
            ("works", ""),
        ],
        check: an_instance_that_stops_running,
    },
    Meeting {
        switch: "list_lag_millis",
        values: &[("1500", "")],
        check: an_adoption_that_a_list_shows_late,
    },
    Meeting {
        switch: "show_lag_after_update_millis",
        // Less than the operator waits before it believes what it does not see.
        values: &[("5000", "")],
        check: an_edit_that_only_a_list_shows,
    },
    Meeting {
        switch: "gateway_prefix",
        values: &[("APIGW", "APIGW.0301"), ("APIG", "APIG.0301")],
        check: a_key_that_is_refused,
    },
];

fn a_rename_to_a_taken_name(site: &Site, expected: &str) {
    let instance = &site.cloud.instances[0];
    let theirs = theirs(site, "taken");
    let object = site.ready("ours");
    let held = site.held(&object);
    site.patch("ours", &json!({"spec": {"name": "taken"}}));
    site.await_state("ours", expected);
    let name = if expected == AVAILABLE {
        json!("taken")
    } else {
        held["name"].clone()
    };
    assert_eq!(site.held(&object)["name"], name);
    assert_eq!(
        site.cloud.registry(instance, 1).as_ref(),
        Some(&theirs),
        "theirs is as it was"
    );
    site.patch("ours", &json!({"spec": {"name": "free"}}));
    site.await_ready("ours");
    assert_eq!(site.held(&object)["name"], "free");
    delete(site, "ours");
    assert_eq!(site.cloud.registries(instance), [theirs]);
}

fn a_type_that_somebody_changed(site: &Site, expected: &str) {
    let object = site.ready_with(site.registry("ours", "huawei-SWR")).0;
    let mark = site.cloud.mark();
    let id = registry_id(&object);
    site.cloud
        .console_edit(&site.cloud.instances[0], id, "/type", json!("swr-pro"));
    site.await_writes(mark, 1);
    let (object, _) = site.await_state("ours", expected);
    let kind = site.held(&object)["type"].clone();
    assert_eq!(kind == "huawei-SWR", expected == AVAILABLE, "{kind}");
    delete(site, "ours");
    assert_nothing_left(site);
}

fn a_registry_that_somebody_deleted(site: &Site, _: &str) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("ours");
    let before = registry_id(&object);
    let mark = site.cloud.mark();
    site.cloud.console_delete(instance, before);
    site.await_status("ours", "another id", |object| {
        object["status"]["registryId"] != before && crate::site::state(object, "Ready") == AVAILABLE
    });
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
    assert_eq!(site.cloud.registries(instance).len(), 1);
    delete(site, "ours");
    assert_nothing_left(site);
}

fn a_deletion_that_somebody_was_faster_with(site: &Site, _: &str) {
    let object = site.ready("ours");
    site.cloud.fault(&json!({
        "match": {"operation": "DeleteInstanceRegistry", "ordinal": 1},
        "phase": "before", "kind": "delay", "delayMs": 1000,
    }));
    let mark = site.cloud.mark();
    site.delete("ours");
    site.await_writes(mark, 1);
    site.cloud
        .console_delete(&site.cloud.instances[0], registry_id(&object));
    site.await_gone("ours");
    assert_eq!(site.cloud.writes(mark).len(), 1);
    assert_nothing_left(site);
}

fn a_registry_that_a_policy_uses(site: &Site, expected: &str) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("ours");
    let held = site.held(&object);
    let policies = format!("policies?instance={instance}");
    let used = json!({"registries": [registry_id(&object)]});
    site.cloud.control("PUT", &policies, &used);
    site.delete("ours");
    if !expected.is_empty() {
        let (_, message) = site.await_state("ours", expected);
        let why = if expected == "False DeletionBlocked" {
            "cannot delete the registry: something in SWR uses the registry"
        } else {
            "cannot delete the registry: SWR answered with an internal error"
        };
        assert!(message.contains(why), "{message}");
        assert!(
            message.contains("set spec.deletionPolicy to Orphan"),
            "{message}"
        );
        assert_eq!(site.held(&object), held);
        site.cloud
            .control("PUT", &policies, &json!({"registries": []}));
    }
    site.await_gone("ours");
    assert_nothing_left(site);
}

fn an_instance_that_is_not_there(site: &Site, expected: &str) {
    let mut object = site.registry("ours", "swr-pro");
    object["spec"]["instanceId"] = json!("no-such-instance");
    site.put_login("ours", &site.login());
    site.create(&object);
    site.await_state("ours", expected);
    assert_eq!(site.cloud.writes(0), Vec::<String>::new());
    delete(site, "ours");
}

fn an_instance_that_stops_running(site: &Site, expected: &str) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("ours");
    let held = site.held(&object);
    let mark = site.cloud.mark();
    let target = format!("instances/{instance}");
    site.cloud
        .control("PUT", &target, &json!({"status": "Unavailable"}));
    if expected.is_empty() {
        site.cloud.await_lists(instance, 2);
        site.await_ready("ours");
    } else {
        await_synced(site, "ours", expected);
    }
    site.cloud
        .control("PUT", &target, &json!({"status": "Running"}));
    eventually_blocking(PATIENCE, "Synced again", || {
        let object = site.object("ours");
        match crate::site::state(&object, "Synced") {
            synced if synced == AVAILABLE => Ok(()),
            synced => Err(synced),
        }
    });
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    assert_eq!(site.held(&object), held);
    delete(site, "ours");
    assert_nothing_left(site);
}

/// The list after the update still shows the registry without our tag, which is no sign that SWR drops it.
fn an_adoption_that_a_list_shows_late(site: &Site, _: &str) {
    let instance = &site.cloud.instances[0];
    theirs(site, "ours");
    let first = site.ready("first");
    // The list comes to show what was there before.
    site.cloud.await_lists(instance, 2);
    let mut object = site.registry("ours", "swr-pro");
    object["spec"]["name"] = json!("ours");
    object["spec"]["adoption"] = json!({"policy": "IfUnowned"});
    site.put_login("ours", &site.login());
    let mark = site.cloud.mark();
    site.create(&object);
    site.await_ready("ours");
    assert_eq!(site.cloud.writes(mark), ["PUT registries/1"]);
    let log = site.log();
    let alarms: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(&site.name) && line.contains("TagNotKept"))
        .collect();
    assert_eq!(alarms, Vec::<&str>::new());
    delete(site, name_of(&first));
    delete(site, "ours");
    assert_nothing_left(site);
}

/// The registry itself is asked for before a write, and still shows what it should be.
fn an_edit_that_only_a_list_shows(site: &Site, _: &str) {
    let instance = &site.cloud.instances[0];
    let object = site.ready("ours");
    let mark = site.cloud.mark();
    let held = site.held(&object);
    let id = registry_id(&object);
    site.cloud
        .console_edit(instance, id, "/url", json!("https://theirs.example.com"));
    site.await_sent_after("ours", &object);
    assert_eq!(site.held(&object)["url"], held["url"]);
    assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{id}")]);
    delete(site, "ours");
    assert_nothing_left(site);
}

fn a_key_that_is_refused(site: &Site, code: &str) {
    let object = site.ready("ours");
    let held = site.held(&object);
    let mark = site.cloud.mark();
    let canary: Canary = site.canary();
    let keys = Keys {
        access_key: canary.key(),
        secret_key: canary.secret(),
        security_token: None,
    };
    let credential = json!({"accessKey": keys.access_key, "secretKey": keys.secret_key});
    site.cloud.control("PUT", "credential", &credential);
    let message = await_synced(site, "ours", "Unknown AuthFailed");
    assert!(message.contains(code), "{message}");
    site.put_account_secret(&keys);
    // The account reads its Secret again when it changes, or when a person says so.
    site.patch_account(&json!({"spec": {"limits": {"burst": 499}}}));
    await_synced(site, "ours", AVAILABLE);
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    assert_eq!(site.held(&object), held);
    delete(site, "ours");
    assert_nothing_left(site);
}

fn delete(site: &Site, name: &str) {
    site.delete(name);
    site.await_gone(name);
}

fn assert_nothing_left(site: &Site) {
    let left = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(left, Vec::<Value>::new());
}

/// Somebody else's registry, the first one.
fn theirs(site: &Site, name: &str) -> Value {
    let instance = &site.cloud.instances[0];
    let id = site.cloud.console_create(
        instance,
        &json!({
            "name": name,
            "type": "swr-pro",
            "url": "https://theirs.example.com",
            "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs too"},
            "insecure": false,
        }),
    );
    site.cloud.registry(instance, id).expect("it is there")
}
