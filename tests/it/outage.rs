//! SWR cannot be listed for a while: one LIST that succeeds ends that for everybody.

use harness::eventually_blocking;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use swr_simulator::journal::Entry;

use crate::bed::with_site;
use crate::cloud::PATIENCE;
use crate::site::{Site, condition, shown, state};

/// From the first LIST that succeeds to the last object that is verified.
const RECOVERY: SignedDuration = SignedDuration::from_secs(5);
/// By then objects that waited each for itself would wait for sixteen seconds and more.
const LISTS_THAT_FAIL: usize = 5;
const NEW: usize = 12;

#[test]
fn an_outage_is_over_for_everybody_when_one_list_succeeds() {
    with_site("outage", |_, site| {
        let instance = &site.cloud.instances[0];
        let (foreign, before) = site.foreign("taken", "by hand");
        create(site, "taken");
        let (_, conflict) = site.await_state("taken", "False Conflict");
        create(site, "old");
        site.await_ready("old");

        let mark = site.cloud.mark();
        site.cloud.fault(&json!({
            "match": {"operation": "ListInstanceRegistries", "instance": instance},
            "kind": "status", "status": 503,
        }));
        let mut names: Vec<String> = (0..NEW).map(|n| format!("new-{n}")).collect();
        for name in &names {
            create(site, name);
        }
        site.patch("old", &json!({"spec": {"description": "changed"}}));
        names.push("old".to_owned());
        for name in &names {
            site.await_synced(name, "Unknown ApiUnavailable");
        }
        // The words are echoed when they were acted upon, which needs a LIST that succeeds.
        site.request("taken", "in the outage");
        site.cloud.await_lists(instance, 2);
        assert_conflict(site, &conflict);
        let failed = eventually_blocking(PATIENCE, "LISTs that fail", || {
            let failed = site.cloud.n_lists(mark, instance);
            if failed >= LISTS_THAT_FAIL {
                Ok(failed)
            } else {
                Err(failed)
            }
        });
        assert!(
            failed <= 2 * LISTS_THAT_FAIL,
            "{failed} LISTs, not one per object"
        );

        let mark = site.cloud.mark();
        site.cloud.clear_faults();
        let list = eventually_blocking(PATIENCE, "a LIST that succeeds", || {
            let lists = site.cloud.asked(mark, "ListInstanceRegistries");
            let answered = lists.into_iter().find(|entry| entry.status == Some(200));
            answered.ok_or_else(|| site.cloud.shown())
        });
        for name in &names {
            let object = site.await_ready(name);
            let verified_at = verified_at(&object);
            let Entry { at, .. } = &list;
            assert!(
                verified_at.duration_since(*at) <= RECOVERY,
                "{name} was verified at {verified_at}, the first LIST succeeded at {at}"
            );
        }
        assert_conflict(site, &conflict);
        site.assert_untouched(foreign, &before);
        let held = site.cloud.registries(instance);
        assert_eq!(held.len(), NEW + 2, "{held:#?}");
    });
}

/// What was in the way before the outage is still named.
fn assert_conflict(site: &Site, message: &str) {
    let taken = site.object("taken");
    assert_eq!(
        state(&taken, "Ready"),
        "False Conflict",
        "{}",
        shown(&taken)
    );
    assert_eq!(condition(&taken, "Ready")["message"], message);
}

/// An object that no poll comes to within the test.
fn create(site: &Site, name: &str) {
    let mut object = site.registry(name, "swr-pro");
    object["spec"]["name"] = json!(name);
    object["spec"]["pollInterval"] = json!("10m");
    site.put_login(name, &site.login());
    site.create(&object);
}

fn verified_at(object: &Value) -> Timestamp {
    let at = condition(object, "Synced")["lastTransitionTime"].as_str();
    at.and_then(|at| at.parse().ok()).expect("a time")
}
