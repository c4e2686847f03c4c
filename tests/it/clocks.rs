//! What another process wrote was read off another clock: none of its times is compared with this one's.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::bed::{BedCase, check_on, with_windows};
use crate::cluster::now;
use crate::site::{Site, registry_id};

const CREATE: &str = "CreateInstanceRegistry";

/// Long enough that a process can end and another start while a request is under way.
const SETTLE: (&str, &str) = ("--settle", "10s");
const SETTLE_SECS: f64 = 10.0;
/// How far the other clock was off. Within 15 minutes no signature gives it away.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

#[test]
fn the_clock_of_another_process_decides_nothing() {
    let checks: [BedCase; 5] = [
        ("behind", |_, site| made_once_in_the_end(site)),
        ("ahead", |_, site| made_after_the_settle_time(site)),
        ("going", |_, site| gone_with_what_was_made(site)),
        ("lost", |_, site| made_anew_in_time(site)),
        ("leaving", |_, site| gone_in_time(site)),
    ];
    let sites = checks.map(|(name, _)| name);
    with_windows("clocks", &sites, &[SETTLE], |bed| {
        let [behind, ahead, going, lost, leaving] = sites.map(|name| bed.site(name));
        behind.cloud.switch(&json!({"duplicate_name": "allowed"}));
        for site in [lost, leaving] {
            site.ready("it");
        }
        // Carried out just before it has settled, or never. The one that must be seen under way comes last.
        let late = json!({"kind": "late-apply", "delayMs": 8_000});
        let never = json!({"kind": "hang"});
        for (site, fault) in [(ahead, &never), (going, &late), (behind, &late)] {
            leave_a_create_unanswered(site, fault);
        }
        bed.kill_9();

        // As if the process that is gone had read a wrong clock.
        intended(behind, now().saturating_sub(SKEW).expect("a time"));
        for site in [ahead, going] {
            intended(site, in_ten_minutes());
        }
        going.delete("it");
        for site in [lost, leaving] {
            let created_at = json!({"createdAt": in_ten_minutes().to_string()});
            site.patch_status("it", &created_at);
            let id = registry_id(&site.object("it"));
            site.cloud.console_delete(&site.cloud.instances[0], id);
        }
        leaving.delete("it");
        bed.start_operator();
        check_on(bed, &checks);
    });
}

fn in_ten_minutes() -> Timestamp {
    now().saturating_add(SKEW).expect("a time")
}

fn leave_a_create_unanswered(site: &Site, fault: &Value) {
    let mut fault = fault.clone();
    fault["match"] = json!({"operation": CREATE, "ordinal": 1});
    site.cloud.fault(&fault);
    let mark = site.cloud.mark();
    site.put_login("it", &site.login());
    site.create(&site.registry("it", "swr-pro"));
    site.await_asked(mark, CREATE);
}

fn intended(site: &Site, started_at: Timestamp) {
    let object = site.object("it");
    assert!(
        object["status"]["createIntent"]["startedAt"].is_string(),
        "it was killed with an intent: {}",
        object["status"]
    );
    let intent = json!({"createIntent": {"startedAt": started_at.to_string()}});
    site.patch_status("it", &intent);
}

fn assert_one(site: &Site, object: &Value) {
    let instance = &site.cloud.instances[0];
    let ours = site.tagged(instance, object);
    assert_eq!(ours.len(), 1, "{ours:#?}");
    assert_eq!(ours[0]["id"], registry_id(object));
    assert_eq!(site.cloud.registries(instance).len(), 1);
}

fn made_once_in_the_end(site: &Site) {
    let object = site.await_ready("it");
    // A second one could still come late.
    site.cloud.await_lists(&site.cloud.instances[0], 3);
    assert_one(site, &object);
    assert_eq!(site.cloud.asked(0, CREATE).len(), 1);
}

fn made_after_the_settle_time(site: &Site) {
    let object = site.await_ready("it");
    assert_one(site, &object);
    let [first, second] = &site.cloud.asked(0, CREATE)[..] else {
        panic!("two creates");
    };
    let between = second.at.duration_since(first.at).as_secs_f64();
    assert!(between > SETTLE_SECS, "two creates {between} s apart");
}

fn gone_with_what_was_made(site: &Site) {
    site.await_gone("it");
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held, Vec::<Value>::new());
    assert_eq!(site.cloud.asked(0, CREATE).len(), 1);
}

fn made_anew_in_time(site: &Site) {
    site.await_status("it", "another registry", |object| {
        object["status"]["registryId"] == 2
    });
    let object = site.await_ready("it");
    assert_one(site, &object);
}

fn gone_in_time(site: &Site) {
    site.await_gone("it");
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held, Vec::<Value>::new());
}
