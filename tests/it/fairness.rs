//! One instance that answers slowly holds up its own objects and nobody else's.

use std::collections::BTreeMap;

use harness::eventually_blocking;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::bed::{with_bed, with_windows};
use crate::cloud::PATIENCE;
use crate::site::{Site, condition};

/// More than the reconciles of one instance that are under way at once.
const WAITING: usize = 80;
/// What each page of the slow instance takes.
const SLOW_MS: u32 = 12_000;
/// Objects of an account that may ask every other second.
const SELDOM: usize = 6;
/// From the creation of the other instance's object to its Ready.
const QUICK: SignedDuration = SignedDuration::from_secs(5);

#[test]
fn an_instance_that_lists_slowly_holds_up_no_object_of_another() {
    let windows = [("--read-deadline", "30s")];
    with_windows("fairness", &["slow", "quick"], &windows, |bed| {
        let (slow, quick) = (bed.site("slow"), bed.site("quick"));
        slow.cloud.fault(&json!({
            "match": {"operation": "ListInstanceRegistries"}, "kind": "delay", "delayMs": SLOW_MS,
        }));
        for site in [slow, quick] {
            site.put_login("shared", &site.login());
        }
        for n in 0..WAITING {
            create(slow, &format!("waiting-{n}"));
        }
        create(quick, "quick");
        let object = quick.await_ready("quick");
        let took = ready_at(&object).duration_since(created_at(&object));
        assert!(took <= QUICK, "{took} from creation to Ready");
        let waits = slow.object(&format!("waiting-{}", WAITING - 1));
        assert_ne!(condition(&waits, "Ready")["status"], "True");
        slow.cloud.clear_faults();
        for n in 0..WAITING {
            slow.await_ready(&format!("waiting-{n}"));
        }
    });
}

#[test]
fn an_account_that_may_ask_seldom_announces_no_write_that_it_cannot_make() {
    with_bed("seldom", &["site"], |bed| {
        let site = &bed.sites[0];
        site.put_login("shared", &site.login());
        site.patch_account(&json!({"spec": {"limits": {"requestsPerSecond": 0.5, "burst": 1}}}));
        site.await_account("True Available");
        let mark = site.cloud.mark();
        let names: Vec<String> = (0..SELDOM).map(|n| format!("seldom-{n}")).collect();
        for name in &names {
            create(site, name);
        }
        let mut announced: BTreeMap<&str, i64> = BTreeMap::new();
        eventually_blocking(PATIENCE, "two of them are created", || {
            for name in &names {
                let intent = &site.object(name)["status"]["createIntent"]["attempt"];
                if let Some(attempt) = intent.as_i64() {
                    announced.insert(name, attempt);
                }
            }
            let posted = site.cloud.writes(mark).len();
            // One may have been announced and not made yet.
            assert!(announced.len() <= posted + 1, "{announced:?} of {posted}");
            assert!(announced.values().all(|attempt| *attempt == 1));
            if posted >= 2 { Ok(()) } else { Err(posted) }
        });
        site.touch_account();
        for name in &names {
            site.await_ready(name);
        }
        assert_eq!(site.cloud.writes(mark).len(), names.len());
    });
}

fn create(site: &Site, name: &str) {
    let mut object = site.registry(name, "huawei-SWR");
    object["spec"]["name"] = json!(name);
    object["spec"]["credentialSecretRef"]["name"] = json!("shared");
    site.create(&object);
}

fn created_at(object: &Value) -> Timestamp {
    time(&object["metadata"]["creationTimestamp"])
}

fn ready_at(object: &Value) -> Timestamp {
    time(&condition(object, "Ready")["lastTransitionTime"])
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    text.parse().expect("a time")
}
