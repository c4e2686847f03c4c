//! A cluster is restored: the objects are new, with other uids, and SWR holds what the old ones made.

use serde_json::{Value, json};

use crate::bed::{BedCase, check_on, with_bed};
use crate::manifest::{STRANGERS_TAG, split_tag, uid_in_tag};
use crate::site::{Site, registry_id};

#[test]
fn a_restored_object_takes_its_registry_back_only_if_it_says_so() {
    let checks: [BedCase; 4] = [
        ("plain", |_, site| {
            a_conflict_until_adoption_says_rebuild(site);
        }),
        ("status", |_, site| taken_back(site)),
        ("alive", |_, site| left_to_the_object_that_is_there(site)),
        ("other", |_, site| left_to_whoever_made_it(site)),
    ];
    let sites = checks.map(|(name, _)| name);
    with_bed("rebuild", &sites, |bed| {
        let [plain, status, alive, other] = sites.map(|name| bed.site(name));
        let old = [plain, status].map(|site| site.ready("it"));
        alive.ready("theirs");
        let lost = other.ready("theirs");
        bed.terminate();

        for site in [plain, status] {
            lose(site, "it");
        }
        recreate(plain, "it", &json!({}));
        recreate(status, "it", &json!({"policy": "Rebuild"}));
        let mut restored = old[1]["status"].clone();
        restored["observedGeneration"] = json!(-1);
        status.patch_status("it", &restored);
        // Others that ask for the registries of somebody else, by name.
        lose(other, "theirs");
        for (site, name) in [(alive, "theirs"), (other, "theirs")] {
            let mut object = site.registry("it", "swr-pro");
            object["spec"]["name"] = site.registry(name, "swr-pro")["spec"]["name"].clone();
            object["spec"]["adoption"] = json!({"policy": "Rebuild"});
            site.put_login("it", &site.login());
            site.create(&object);
        }
        assert_eq!(registry_id(&lost), 1);
        bed.start_operator();
        check_on(bed, &checks);
    });
}

/// The object goes, and nobody does anything about its registry.
fn lose(site: &Site, name: &str) {
    site.patch(name, &json!({"metadata": {"finalizers": null}}));
    site.delete(name);
    site.await_gone(name);
}

fn recreate(site: &Site, name: &str, adoption: &Value) {
    let mut object = site.registry(name, "swr-pro");
    object["spec"]["adoption"] = adoption.clone();
    site.create(&object);
}

fn a_conflict_until_adoption_says_rebuild(site: &Site) {
    let held = site.cloud.registries(&site.cloud.instances[0]);
    let mark = site.cloud.mark();
    site.await_state("it", "False Conflict");
    site.assert_rests(mark, &site.cluster.audit());
    assert_eq!(site.cloud.registries(&site.cloud.instances[0]), held);
    site.patch("it", &json!({"spec": {"adoption": {"policy": "Rebuild"}}}));
    taken_back(site);
}

/// The object has the registry of the one before, by one PUT that changes the tag.
fn taken_back(site: &Site) {
    let object = site.await_ready("it");
    assert_eq!(registry_id(&object), 1);
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held.len(), 1, "{held:#?}");
    let mut held = held.into_iter().next().unwrap_or_default();
    let tag = split_tag(&mut held);
    let uid = object["metadata"]["uid"].as_str().expect("a uid");
    assert_eq!(tag.uid, uid_in_tag(uid));
    assert_eq!(
        site.cloud.writes(0),
        ["POST registries", "PUT registries/1"]
    );
    let [made, taken] = ["CreateInstanceRegistry", "UpdateInstanceRegistry"].map(|operation| {
        let sent = &site.cloud.asked(0, operation)[0].request_body;
        let mut sent: Value = serde_json::from_str(sent).expect("a JSON body");
        let tag = split_tag(&mut sent);
        (sent, tag)
    });
    assert_eq!(taken.0, made.0);
    assert_ne!(taken.1, made.1);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn left_to_the_object_that_is_there(site: &Site) {
    site.await_state("it", "False Conflict");
    site.await_ready("theirs");
    assert_nothing_taken(site);
    site.patch("it", &json!({"spec": {"adoption": {"registryId": 1}}}));
    site.await_state("it", "False Conflict");
    assert_nothing_taken(site);
}

/// Nobody has its uid, but it was made for another name; and a stranger's is a stranger's.
fn left_to_whoever_made_it(site: &Site) {
    site.await_state("it", "False Conflict");
    assert_nothing_taken(site);
    site.cloud.console_edit(
        &site.cloud.instances[0],
        1,
        "/description",
        json!(STRANGERS_TAG),
    );
    site.cloud.await_lists(&site.cloud.instances[0], 1);
    site.await_state("it", "False Conflict");
    assert_nothing_taken(site);
}

fn assert_nothing_taken(site: &Site) {
    // Longer than T_settle, after which it would be taken.
    site.cloud.await_lists(&site.cloud.instances[0], 4);
    assert_eq!(site.cloud.writes(0), ["POST registries"]);
}
