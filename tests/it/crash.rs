//! The operator is killed, or an answer is lost, at the moments that count.

use std::time::Duration;

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, cases, check_cases, in_parallel, with_site};
use crate::cloud::PATIENCE;
use crate::manifest::{body, split_tag};
use crate::site::{Site, registry_id, state};

const CREATE: &str = "CreateInstanceRegistry";
const UPDATE: &str = "UpdateInstanceRegistry";
const DELETE: &str = "DeleteInstanceRegistry";

type Crash = fn(&Bed, &Site);

#[test]
fn a_kill_between_a_write_and_its_answer_costs_nothing() {
    let crashes: [(&str, (&str, Crash)); 4] = [
        ("create", ("crash-create", killed_during_a_create)),
        ("update", ("crash-update", killed_during_an_update)),
        ("delete", ("crash-delete", killed_during_a_delete)),
        (
            "before-id",
            ("crash-intent", killed_before_a_create_arrives),
        ),
    ];
    in_parallel(&crashes, |(name, crash)| with_site(name, crash));
}

/// Withholds the answer of a write that was carried out, longer than the operator may wait.
fn withhold(site: &Site, operation: &str) {
    site.cloud.fault(&json!({
        "match": {"operation": operation, "ordinal": 1},
        "phase": "after", "kind": "delay", "delayMs": 60_000,
    }));
}

/// Kills the operator as soon as SWR has the request, and starts another.
fn kill_when_asked(bed: &Bed, site: &Site, mark: u64, operation: &str) {
    eventually_blocking(PATIENCE, operation, || {
        if site.cloud.asked(mark, operation).is_empty() {
            Err("not asked yet")
        } else {
            Ok(())
        }
    });
    bed.kill_9();
    bed.start_operator();
}

fn object(site: &Site) -> (Value, crate::canary::Login) {
    let login = site.login();
    site.put_login("it", &login);
    (site.registry("it", "swr-pro"), login)
}

fn assert_exactly_one(site: &Site, object: &Value) {
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held.len(), 1, "{held:#?}");
    assert_eq!(held[0]["id"], registry_id(object));
}

fn killed_during_a_create(bed: &Bed, site: &Site) {
    withhold(site, CREATE);
    let mark = site.cloud.mark();
    let (object, _) = object(site);
    site.create(&object);
    kill_when_asked(bed, site, mark, CREATE);
    let object = site.await_ready("it");
    assert_exactly_one(site, &object);
    // The new operator finds it by its tag, and sends the credential it cannot know to be there.
    let writes = site.cloud.writes(mark);
    assert_eq!(writes[0], "POST registries");
    let put = format!("PUT registries/{}", registry_id(&object));
    assert!(writes[1..].iter().all(|write| *write == put), "{writes:?}");
    assert!(writes.len() <= 2, "{writes:?}");
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn killed_before_a_create_arrives(bed: &Bed, site: &Site) {
    site.cloud.fault(&json!({
        "match": {"operation": CREATE, "ordinal": 1}, "kind": "hang",
    }));
    let mark = site.cloud.mark();
    site.create(&object(site).0);
    kill_when_asked(bed, site, mark, CREATE);
    let object = site.await_ready("it");
    assert_exactly_one(site, &object);
    assert_eq!(site.cloud.writes(mark), ["POST registries"; 2]);
    assert_settled_between_creates(site, mark);
    assert_eq!(object["status"]["createIntent"], Value::Null);
}

/// T_settle of the beds is 6 s, counted from the intent, and the request is sent 2 s after that at most.
fn assert_settled_between_creates(site: &Site, mark: u64) {
    let creates = site.cloud.asked(mark, CREATE);
    for pair in creates.windows(2) {
        let between = pair[1].at.duration_since(pair[0].at);
        assert!(
            between.as_secs_f64() > 3.9,
            "two creates {between} apart: an unanswered one may still land"
        );
    }
}

fn killed_during_an_update(bed: &Bed, site: &Site) {
    let (object, login) = object(site);
    site.create(&object);
    let ready = site.await_ready("it");
    withhold(site, UPDATE);
    let mark = site.cloud.mark();
    site.patch(
        "it",
        &json!({"spec": {"url": "https://changed.example.com"}}),
    );
    kill_when_asked(bed, site, mark, UPDATE);
    let after = site.await_ready("it");
    assert_eq!(registry_id(&after), registry_id(&ready));
    // The new operator cannot know that it was the old one who wrote last, and sends all of it once more.
    site.await_writes(mark, 2);
    let after = site.await_sent_after("it", &ready);
    let mut held = site.held(&after);
    split_tag(&mut held);
    let wanted = body(&after, &login);
    for (field, value) in wanted.as_object().expect("an object") {
        assert_eq!(held[field], *value, "{field}");
    }
    let writes = site.cloud.writes(mark);
    let put = format!("PUT registries/{}", registry_id(&after));
    assert_eq!(writes, [put.clone(), put]);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn killed_during_a_delete(bed: &Bed, site: &Site) {
    site.create(&object(site).0);
    site.await_ready("it");
    withhold(site, DELETE);
    let mark = site.cloud.mark();
    site.delete("it");
    kill_when_asked(bed, site, mark, DELETE);
    site.await_gone("it");
    assert_eq!(
        site.cloud.registries(&site.cloud.instances[0]),
        Vec::<Value>::new()
    );
    let writes = site.cloud.writes(mark);
    assert!(
        writes.iter().all(|write| write.starts_with("DELETE ")),
        "{writes:?}"
    );
}

#[test]
fn a_create_whose_answer_is_lost_makes_one_registry() {
    check_cases(
        "lost",
        &cases![
            the_connection_closes_after_the_create,
            the_gateway_gives_up_after_the_create,
            nothing_comes_after_the_create,
            nothing_comes_and_nothing_was_done,
            the_create_is_carried_out_late,
            the_answer_has_no_id,
            the_answer_is_empty,
            the_list_lags_behind_the_create,
            a_delete_whose_answer_is_lost_is_looked_at_again,
            an_update_whose_answer_is_lost_is_looked_at_again,
        ],
    );
}

/// Creates an object under what was arranged; it becomes Ready with one registry after so many POSTs.
fn check_create(site: &Site, n_posts: usize) {
    let mark = site.cloud.mark();
    let (object, login) = object(site);
    site.create(&object);
    let ready = site.await_ready("it");
    assert_exactly_one(site, &ready);
    assert_eq!(site.cloud.asked(mark, CREATE).len(), n_posts);
    assert_settled_between_creates(site, mark);
    let mut held = site.held(&ready);
    split_tag(&mut held);
    assert_eq!(held["credential"], body(&ready, &login)["credential"]);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn fault_on_first(site: &Site, operation: &str, fault: Value) {
    let mut fault = fault;
    fault["match"] = json!({"operation": operation, "ordinal": 1});
    site.cloud.fault(&fault);
}

fn the_connection_closes_after_the_create(site: &Site) {
    fault_on_first(site, CREATE, json!({"kind": "reset", "phase": "after"}));
    check_create(site, 1);
}

fn the_gateway_gives_up_after_the_create(site: &Site) {
    fault_on_first(
        site,
        CREATE,
        json!({"kind": "status", "status": 504, "phase": "after"}),
    );
    check_create(site, 1);
}

fn nothing_comes_after_the_create(site: &Site) {
    fault_on_first(site, CREATE, json!({"kind": "hang", "phase": "after"}));
    check_create(site, 1);
}

fn nothing_comes_and_nothing_was_done(site: &Site) {
    fault_on_first(site, CREATE, json!({"kind": "hang"}));
    check_create(site, 2);
}

fn the_create_is_carried_out_late(site: &Site) {
    // Just before the settle time of 6 s is over.
    fault_on_first(site, CREATE, json!({"kind": "late-apply", "delayMs": 4500}));
    check_create(site, 1);
}

fn the_answer_has_no_id(site: &Site) {
    site.cloud
        .switch(&json!({"create_reply": "without_id", "create_status": "202"}));
    check_create(site, 1);
}

fn the_answer_is_empty(site: &Site) {
    site.cloud
        .switch(&json!({"create_reply": "empty", "create_status": "200"}));
    check_create(site, 1);
}

fn the_list_lags_behind_the_create(site: &Site) {
    site.cloud
        .switch(&json!({"list_lag_millis": 4000, "show_lag_after_create_millis": 3000}));
    check_create(site, 1);
}

fn a_delete_whose_answer_is_lost_is_looked_at_again(site: &Site) {
    site.create(&object(site).0);
    site.await_ready("it");
    fault_on_first(site, DELETE, json!({"kind": "reset", "phase": "after"}));
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    assert_eq!(
        site.cloud.registries(&site.cloud.instances[0]),
        Vec::<Value>::new()
    );
    assert_eq!(site.cloud.asked(mark, DELETE).len(), 1);
}

fn an_update_whose_answer_is_lost_is_looked_at_again(site: &Site) {
    site.create(&object(site).0);
    let ready = site.await_ready("it");
    fault_on_first(site, UPDATE, json!({"kind": "reset", "phase": "after"}));
    let mark = site.cloud.mark();
    site.patch(
        "it",
        &json!({"spec": {"url": "https://changed.example.com"}}),
    );
    let after = site.await_status_within(Duration::from_secs(60), "it", "Ready", |object| {
        state(object, "Ready") == "True Available"
    });
    assert_eq!(registry_id(&after), registry_id(&ready));
    assert_eq!(site.held(&after)["url"], "https://changed.example.com");
    let n_puts = site.cloud.asked(mark, UPDATE).len();
    assert!(n_puts <= 2, "{n_puts} updates");
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}
