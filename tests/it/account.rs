//! The account: what it lacks, what it grants, and how its key is changed.

use std::time::Duration;

use harness::eventually_blocking;
use serde_json::{Value, json};
use swr_simulator::Keys;

use crate::bed::{Bed, cases, check_cases, site_check, with_bed};
use crate::cloud::PATIENCE;
use crate::site::{Site, registry_id, state};

/// An account's key is read again each minute.
const ROTATED: Duration = Duration::from_secs(90);

#[test]
fn an_account_is_used_when_it_is_whole_and_grants_what_is_asked() {
    check_cases(
        "account",
        &cases![
            an_object_waits_for_its_account,
            an_account_that_is_not_served_is_named,
            an_account_waits_for_its_secret,
            a_secret_of_an_account_is_named_with_key_and_rule,
            a_project_is_looked_up_by_its_region,
            a_region_without_a_project_or_with_two_is_refused,
            a_lookup_in_trouble_is_repeated,
            another_project_is_not_followed,
            an_account_that_goes_leaves_registries_alone,
            an_account_in_use_stays_until_its_last_object_is_gone,
            a_wrong_key_is_reported_and_a_right_one_is_used_at_once,
            a_rotated_key_is_used_within_a_minute,
            a_clock_that_is_off_is_told_with_its_minutes,
            an_instance_that_does_not_run_is_reported,
            a_full_instance_is_known_before_a_registry_is_made,
            an_instance_of_which_the_account_learns_nothing_is_used_all_the_same,
            a_region_without_the_enterprise_edition_says_so,
        ],
    );
}

#[test]
fn what_no_grant_covers_is_denied_before_swr_is_asked() {
    check_cases(
        "grants",
        &cases![
            a_namespace_without_a_grant,
            a_namespace_is_granted_by_its_labels,
            an_instance_without_a_grant,
            a_host_without_a_grant,
            an_address_without_a_grant,
            a_target_instance_without_a_grant,
            parts_of_two_grants_make_none,
            a_grant_that_is_taken_back_stops_updates_but_not_deletion,
        ],
    );
}

fn object(site: &Site) -> Value {
    site.put_login("it", &site.login());
    site.registry("it", "swr-pro")
}

fn an_object_waits_for_its_account(site: &Site) {
    let account = site.account();
    site.delete_account();
    let mark = site.cloud.mark();
    site.create(&object(site));
    site.await_saying(
        "it",
        "False AccountNotReady",
        &format!("SwrAccount \"{}\" does not exist", site.name),
    );
    assert!(site.cloud.requests(mark).is_empty());
    site.create_account(&account);
    site.await_ready("it");
}

fn an_account_that_is_not_served_is_named(site: &Site) {
    let mut object = object(site);
    object["spec"]["accountRef"] = json!({"name": "default"});
    site.create(&object);
    site.await_saying(
        "it",
        "False AccountNotReady",
        "this operator is not configured to serve SwrAccount \"default\"",
    );
}

fn an_account_waits_for_its_secret(site: &Site) {
    let mark = site.cloud.mark();
    site.delete_account();
    site.delete_account_secret();
    site.create_account(&site.account());
    let message = site.await_account("False SecretNotFound");
    assert_eq!(
        message,
        format!(
            "Secret \"{}\" does not exist in the operator's namespace",
            site.name
        )
    );
    site.create(&object(site));
    site.await_saying(
        "it",
        "False AccountNotReady",
        &format!(
            "SwrAccount \"{}\" is not ready: see its conditions",
            site.name
        ),
    );
    assert!(site.cloud.requests(mark).is_empty());
    site.put_account_secret(&site.keys);
    let message = site.await_account("True Available");
    assert_eq!(
        message,
        "the credential is at hand and the project is known"
    );
    site.await_ready("it");
}

fn a_secret_of_an_account_is_named_with_key_and_rule(site: &Site) {
    let name = &site.name;
    let key = &site.keys.access_key;
    for (content, message) in [
        (json!({"accessKey": key}), "key \"secretKey\" is missing"),
        (
            json!({"accessKey": format!("{key}\n\n"), "secretKey": "x"}),
            "key \"accessKey\" contains a control character such as a line break or NUL",
        ),
        (
            json!({"accessKey": key, "secretKey": "x", "securityToken": ""}),
            "key \"securityToken\" is empty",
        ),
    ] {
        site.put_account_content(&content);
        // A changed spec is looked at at once.
        site.touch_account();
        let wanted = format!("Secret \"{name}\": {message}");
        site.await_account_saying("False InvalidSecret", &wanted);
    }
    site.put_account_secret(&site.keys);
    site.await_account("True Available");
}

fn a_project_is_looked_up_by_its_region(site: &Site) {
    let mark = site.cloud.mark();
    site.patch_account(&json!({"spec": {"projectId": null}}));
    site.await_account("True Available");
    assert_eq!(
        site.account_now()["status"]["projectId"],
        site.cloud.project.as_str()
    );
    let lookups = site.cloud.asked(mark, "KeystoneListProjects");
    let queries: Vec<&str> = lookups.iter().map(|entry| entry.query.as_str()).collect();
    assert_eq!(queries, [format!("name={}", site.cloud.region)]);
    site.create(&object(site));
    site.await_ready("it");
}

fn a_region_without_a_project_or_with_two_is_refused(site: &Site) {
    for (switch, what) in [
        ("none", "IAM knows no project named after the region"),
        ("two", "IAM knows 2 projects named after the region"),
    ] {
        site.cloud.switch(&json!({"projects": switch}));
        site.patch_account(&json!({"spec": {"projectId": null}}));
        site.await_account_saying("False InvalidSpec", &format!("{what}: set spec.projectId"));
        let project = json!({"spec": {"projectId": site.cloud.project}});
        site.patch_account(&project);
        site.await_account("True Available");
    }
}

fn a_lookup_in_trouble_is_repeated(site: &Site) {
    site.cloud.fault(&json!({
        "match": {"operation": "KeystoneListProjects", "ordinal": 1},
        "kind": "status", "status": 503,
    }));
    let mark = site.cloud.mark();
    site.patch_account(&json!({"spec": {"projectId": null}}));
    let message = site.await_account("False ApiUnavailable");
    assert_eq!(
        message,
        "cannot look up the project of the region: IAM answered with an internal error (APIGW.0201); or set spec.projectId"
    );
    site.await_account("True Available");
    assert_eq!(site.cloud.asked(mark, "KeystoneListProjects").len(), 2);
}

fn another_project_is_not_followed(site: &Site) {
    site.create(&object(site));
    let before = site.await_ready("it");
    let held = site.held(&before);
    site.patch_account(&json!({"spec": {"projectId": "elsewhere"}}));
    site.await_account("True Available");
    let mark = site.cloud.mark();
    let (object, message) = site.await_state("it", "False BindingChanged");
    assert_eq!(
        message,
        format!(
            "the registry was created in project {} of region {}, instance {}, but the account leads elsewhere now",
            site.cloud.project, site.cloud.region, site.cloud.instances[0]
        )
    );
    assert_eq!(registry_id(&object), registry_id(&before));
    site.patch_account(&json!({"spec": {"projectId": site.cloud.project}}));
    site.await_ready("it");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    assert_eq!(site.held(&object), held);
}

fn an_account_that_goes_leaves_registries_alone(site: &Site) {
    site.create(&object(site));
    let before = site.await_ready("it");
    let mark = site.cloud.mark();
    let account = site.account();
    site.delete_account();
    let (object, message) = site.await_synced("it", "Unknown AccountNotReady");
    assert_eq!(
        message,
        format!("SwrAccount \"{}\" does not exist", site.name)
    );
    // What was right when it was looked at last stays so for a moment.
    assert_eq!(state(&object, "Ready"), "True Available");
    site.create_account(&account);
    let after = site.await_ready("it");
    assert_eq!(registry_id(&after), registry_id(&before));
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn an_account_in_use_stays_until_its_last_object_is_gone(site: &Site) {
    site.create(&object(site));
    let before = site.await_ready("it");
    let patience = crate::cloud::PATIENCE;
    harness::eventually_blocking(patience, "a finalizer on the account", || {
        let account = site.account_now();
        let finalizers = account["metadata"]["finalizers"].as_array();
        finalizers.map(drop).ok_or("none")
    });
    site.ask_to_delete_account();
    site.await_account_saying(
        "True InUse",
        "the account is being deleted: objects still name it, and are served until gone or moved to another account",
    );
    site.patch("it", &json!({"spec": {"description": "still served"}}));
    site.await_sent_after("it", &before);
    site.delete("it");
    site.await_gone("it");
    harness::eventually_blocking(patience, "the end of the account", || {
        let account = site.account_now();
        if account.is_null() {
            Ok(())
        } else {
            Err(account.to_string())
        }
    });
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let mut events = site.cluster.list(path);
    events.retain(|event| event["regarding"]["name"] == site.name);
    let told: Vec<&str> = events
        .iter()
        .filter_map(|it| it["reason"].as_str())
        .collect();
    assert_eq!(told, ["InUse"]);
}

/// Other keys in the cloud, as after a rotation there.
fn rotate(site: &Site) -> Keys {
    let canary = site.canary();
    let keys = Keys {
        access_key: canary.key(),
        secret_key: canary.secret(),
        security_token: None,
    };
    let body = json!({"accessKey": keys.access_key, "secretKey": keys.secret_key});
    site.cloud.control("PUT", "credential", &body);
    keys
}

fn a_wrong_key_is_reported_and_a_right_one_is_used_at_once(site: &Site) {
    let keys = rotate(site);
    let mark = site.cloud.mark();
    site.create(&object(site));
    let (object, message) = site.await_state("it", "False AuthFailed");
    assert!(
        message.starts_with(
            "cannot list the instance's registries: SWR refuses the account's credential"
        ),
        "{message}"
    );
    assert_eq!(state(&object, "Reconciling"), "True ProgressingWithRetry");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    site.put_account_secret(&keys);
    site.touch_account();
    site.await_ready("it");
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
}

fn a_rotated_key_is_used_within_a_minute(site: &Site) {
    site.create(&object(site));
    let before = site.await_ready("it");
    let mark = site.cloud.mark();
    let keys = rotate(site);
    site.await_synced("it", "Unknown AuthFailed");
    site.put_account_secret(&keys);
    let after = site.await_ready_within(ROTATED, "it");
    assert_eq!(registry_id(&after), registry_id(&before));
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    let refused = site.cloud.requests(mark);
    let refused = refused.iter().filter(|entry| entry.status == Some(401));
    // Clouds lock accounts: after five refusals the key is tried no more.
    let n_refused = refused.count();
    assert!(n_refused <= 6, "{n_refused} requests with a refused key");
}

#[test]
fn two_accounts_with_one_key_try_a_wrong_one_no_more_often_than_one_would() {
    with_bed("one-key", &["one", "two"], |bed| {
        let [one, two] = &bed.sites[..] else {
            panic!("two sites");
        };
        site_check(one, || share_a_key(bed, one, two));
    });
}

fn share_a_key(bed: &Bed, one: &Site, two: &Site) {
    // The account of the second site leads to the cloud of the first, by the same Secret.
    two.patch_account(&json!({"spec": {
        "region": one.cloud.region,
        "projectId": one.cloud.project,
        "auth": {"accessKeySecretRef": {"name": one.name}},
    }}));
    one.cloud.switch(&json!({"access_key_lock": "on"}));
    let wrong = one.canary().secret();
    one.put_account_content(&json!({"accessKey": one.keys.access_key, "secretKey": wrong}));
    for site in [one, two] {
        site.touch_account();
        // The key is read again with the edit; until then the good one is in use.
        site.await_account("True Available");
    }
    let mark = one.cloud.mark();
    one.create(&object(one));
    let mut other = object(two);
    other["spec"]["instanceId"] = json!(one.cloud.instances[1]);
    two.create(&other);
    for site in [one, two] {
        site.await_state("it", "False AuthFailed");
    }
    eventually_blocking(PATIENCE, "the circuits of both accounts", || {
        let scrape = bed.scrape();
        let is_open = |site: &Site| {
            let series = format!("swr_api_circuit_open{{account=\"{}\"}} 1", site.name);
            scrape.contains(&series)
        };
        if is_open(one) && is_open(two) {
            Ok(())
        } else {
            Err(one.cloud.shown())
        }
    });
    let requests = one.cloud.requests(mark);
    let n_refused = requests
        .iter()
        .filter(|entry| entry.status == Some(401))
        .count();
    // The sixth would lock the key.
    assert_eq!(n_refused, 5, "{}", one.cloud.shown());

    one.cloud.switch(&json!({"access_key_lock": "off"}));
    one.put_account_secret(&one.keys);
    for site in [one, two] {
        site.touch_account();
        site.await_ready("it");
    }
}

fn a_clock_that_is_off_is_told_with_its_minutes(site: &Site) {
    site.cloud.switch(&json!({"clock_ahead_minutes": 20}));
    let mark = site.cloud.mark();
    site.create(&object(site));
    let said = "SWR refuses the signature because the clock of the operator's node is 20 minutes slow (APIGW.0301)";
    site.await_saying(
        "it",
        "False ClockSkew",
        &format!("cannot list the instance's registries: {said}"),
    );
    site.touch_account();
    site.await_account_saying("False ClockSkew", said);
    // As with a key that is refused, it is tried no more.
    let n_asked = site.cloud.requests(mark).len();
    assert!(n_asked <= 6, "{}", site.cloud.shown());
    site.cloud.switch(&json!({"clock_ahead_minutes": 0}));
    let keys = rotate(site);
    site.put_account_secret(&keys);
    site.touch_account();
    site.await_ready("it");
}

fn an_instance_that_does_not_run_is_reported(site: &Site) {
    let instance = format!("instances/{}", site.cloud.instances[0]);
    site.cloud
        .control("PUT", &instance, &json!({"status": "Creating"}));
    let mark = site.cloud.mark();
    site.create(&object(site));
    site.await_saying(
        "it",
        "False InstanceNotRunning",
        "cannot list the instance's registries: the instance is not running (Creating)",
    );
    site.cloud.control("DELETE", &instance, &Value::Null);
    site.await_saying(
        "it",
        "False InstanceNotRunning",
        "cannot list the instance's registries: the instance does not exist, or the account cannot see it (SWR.404000)",
    );
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    site.cloud
        .control("PUT", &instance, &json!({"status": "Running"}));
    site.request("it", "it runs");
    site.await_ready("it");
}

/// Waits until the account tells this of its first instance.
fn await_instance(site: &Site, wanted: &Value) {
    eventually_blocking(PATIENCE, "the account tells of its instance", || {
        let told = site.account_now()["status"]["instances"][0].clone();
        let mut wanted = wanted.as_object().into_iter().flatten();
        match wanted.all(|(key, value)| told[key] == *value) {
            true => Ok(()),
            false => Err(told),
        }
    });
}

fn a_full_instance_is_known_before_a_registry_is_made(site: &Site) {
    site.cloud.switch(&json!({"registry_quota": 1}));
    let mark = site.cloud.mark();
    site.create(&object(site));
    site.await_ready("it");
    await_instance(site, &json!({"status": "Running", "registryQuota": 1}));
    site.put_login("second", &site.login());
    site.create(&site.registry("second", "huawei-SWR"));
    let message = "cannot create the registry: the instance's quota of registries is used up";
    let full = site.await_saying("second", "False QuotaExceeded", message);
    assert_eq!(full["status"]["createIntent"], Value::Null);
    assert_eq!(site.cloud.writes(mark), ["POST registries"], "of the first");
    site.cloud.switch(&json!({"registry_quota": 2}));
    // The quota is asked for once in five seconds.
    eventually_blocking(PATIENCE, "there is room", || {
        site.request("second", &format!("{}", site.cloud.mark()));
        match site.cloud.writes(mark).len() {
            2 => Ok(()),
            n => Err(n),
        }
    });
    site.await_ready("second");
}

fn an_instance_of_which_the_account_learns_nothing_is_used_all_the_same(site: &Site) {
    site.cloud.switch(&json!({"deny": "instance"}));
    site.create(&object(site));
    site.await_ready("it");
    let told = &site.account_now()["status"]["instances"];
    assert!(!told.to_string().contains("Quota"), "{told}");
    site.await_account("True Available");
}

fn a_region_without_the_enterprise_edition_says_so(site: &Site) {
    site.cloud
        .switch(&json!({"enterprise_edition": "not_offered"}));
    site.create(&object(site));
    site.await_state("it", "False Forbidden");
    site.await_account_saying(
        "False InvalidSpec",
        "spec.region: SWR does not offer its Enterprise Edition to the project in this region: choose another region, or enable it in SWR's console",
    );
    site.cloud.switch(&json!({"enterprise_edition": "offered"}));
    site.request("it", "it was enabled");
    site.await_ready("it");
    site.await_account("True Available");
}

/// Replaces the account's grants.
fn grant(site: &Site, grants: &Value) {
    site.patch_account(&json!({"spec": {"grants": grants}}));
    site.await_account("True Available");
}

/// A grant for what the object of this test asks, with one part replaced.
fn but(site: &Site, part: &str, value: Value) -> Value {
    let mut grant = json!({
        "namespaces": [site.name],
        "instances": [site.cloud.instances[0]],
        "targets": {
            "hosts": ["*.dr.example.com"],
            "addresses": ["192.0.2.0/24"],
            "instances": ["9c3e7f20-1111-2222-3333-444455556666"],
        },
    });
    *grant.pointer_mut(part).expect("a part of a grant") = value;
    grant
}

/// With this grant the object is denied; with the whole grant it becomes Ready.
fn check_denied(site: &Site, object: &Value, grants: &Value, reason: &str, message: &str) {
    grant(site, grants);
    let mark = site.cloud.mark();
    site.create(object);
    let object = site.await_saying("it", &format!("False {reason}"), message);
    assert_eq!(state(&object, "Stalled"), format!("True {reason}"));
    assert!(site.cloud.requests(mark).is_empty(), "SWR is not asked");
    let name = json!([site.name]);
    grant(site, &json!([but(site, "/namespaces", name)]));
    site.await_ready("it");
}

fn a_namespace_without_a_grant(site: &Site) {
    let grants = json!([but(site, "/namespaces", json!(["another", "grants"]))]);
    let message = format!("no grant of the account covers namespace \"{}\"", site.name);
    check_denied(
        site,
        &object(site),
        &grants,
        "NamespaceNotAllowed",
        &message,
    );
}

fn a_namespace_is_granted_by_its_labels(site: &Site) {
    let label = |team: Value| {
        let path = format!("/api/v1/namespaces/{}", site.name);
        let labels = json!({"metadata": {"labels": {"team": team}}});
        site.cluster.patch(&path, &labels).expect("the namespace");
    };
    let mut by_labels = but(site, "/namespaces", json!([]));
    by_labels["namespaceSelector"] = json!({
        "matchExpressions": [{"key": "team", "operator": "In", "values": ["web", "data"]}],
    });
    grant(site, &json!([by_labels]));
    site.create(&object(site));
    let denied = format!("no grant of the account covers namespace \"{}\"", site.name);
    site.await_saying("it", "False NamespaceNotAllowed", &denied);
    label(json!("web"));
    site.await_ready("it");
    let mark = site.cloud.mark();
    label(json!("ops"));
    site.await_saying("it", "False NamespaceNotAllowed", &denied);
    label(json!("data"));
    site.await_ready("it");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn an_instance_without_a_grant(site: &Site) {
    let grants = json!([but(site, "/instances", json!([site.cloud.instances[1]]))]);
    let message = format!(
        "no grant of the account lets namespace \"{}\" use instance {}",
        site.name, site.cloud.instances[0]
    );
    check_denied(site, &object(site), &grants, "InstanceNotAllowed", &message);
}

/// The sentence for a target.
fn send_images_to(site: &Site, what: &str) -> String {
    format!(
        "no grant of the account lets namespace \"{}\" send images to {what}",
        site.name
    )
}

fn a_host_without_a_grant(site: &Site) {
    let grants = json!([but(
        site,
        "/targets/hosts",
        json!(["dr.example.com", "it.dr.example.com.evil.example"])
    )]);
    let message = send_images_to(site, "host \"it.dr.example.com\"");
    check_denied(site, &object(site), &grants, "TargetNotAllowed", &message);
}

fn an_address_without_a_grant(site: &Site) {
    let grants = json!([but(
        site,
        "/targets/addresses",
        json!(["192.0.2.0/29", "2001:db8::/32"])
    )]);
    let message = send_images_to(site, "address 192.0.2.10");
    check_denied(site, &object(site), &grants, "TargetNotAllowed", &message);
}

fn a_target_instance_without_a_grant(site: &Site) {
    site.put_login("it", &site.login());
    let object = site.registry("it", "swr-pro-internal");
    let grants = json!([but(site, "/targets/instances", json!([]))]);
    let message = send_images_to(site, "instance 9c3e7f20-1111-2222-3333-444455556666");
    check_denied(site, &object, &grants, "TargetNotAllowed", &message);
}

fn parts_of_two_grants_make_none(site: &Site) {
    let grants = json!([
        but(site, "/targets/hosts", json!([])),
        but(site, "/targets/addresses", json!([])),
    ]);
    let message = send_images_to(site, "host \"it.dr.example.com\"");
    check_denied(site, &object(site), &grants, "TargetNotAllowed", &message);
}

fn a_grant_that_is_taken_back_stops_updates_but_not_deletion(site: &Site) {
    site.create(&object(site));
    let before = site.await_ready("it");
    let held = site.held(&before);
    let mark = site.cloud.mark();
    grant(site, &json!([]));
    site.await_state("it", "False NamespaceNotAllowed");
    site.patch(
        "it",
        &json!({"spec": {"url": "https://it.dr.example.com/changed"}}),
    );
    site.await_state("it", "False NamespaceNotAllowed");
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    assert_eq!(site.held(&before), held);
    site.delete("it");
    site.await_gone("it");
    assert_eq!(
        site.cloud.writes(mark),
        [format!("DELETE registries/{}", registry_id(&before))]
    );
}
