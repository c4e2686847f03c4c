//! Edits as people make them: back and forth, in storms, by another name, over a grave, and of a
//! Secret that many share.

use std::time::Duration;

use harness::{environment, eventually_blocking};
use serde_json::{Value, json};

use crate::bed::{cases, check_cases, with_site};
use crate::cloud::PATIENCE;
use crate::cluster::Asked;
use crate::manifest::{body, split_tag};
use crate::site::{Site, condition, name_of, registry_id, state};

#[test]
fn edits_end_where_the_last_one_points() {
    check_cases(
        "edits",
        &cases![
            there_and_back_again_costs_two_requests_or_none,
            a_hundred_edits_in_ten_seconds_cost_three_requests,
            an_object_made_anew_under_its_name_has_a_registry_of_its_own,
            a_credential_is_sent_again_when_its_time_has_come,
            a_request_for_a_reconcile_is_echoed_and_sends_the_credential_once,
            the_request_of_the_documentation_is_what_an_adoption_sends,
            a_hundred_labels_and_annotations_cost_nothing,
            finalizers_of_others_come_and_go_beside_ours,
        ],
    );
}

fn url(site: &Site, name: &str, url: &str) -> Value {
    site.patch(name, &json!({"spec": {"url": url}}))
}

fn puts(site: &Site, mark: u64) -> usize {
    let writes = site.cloud.writes(mark);
    let puts = writes
        .iter()
        .filter(|write| write.starts_with("PUT "))
        .count();
    assert_eq!(puts, writes.len(), "{writes:?}");
    puts
}

fn await_observed(site: &Site, object: &Value) -> Value {
    let generation = &object["metadata"]["generation"];
    site.await_status(name_of(object), "the newest spec, Ready", |object| {
        object["status"]["observedGeneration"] == *generation
            && state(object, "Ready") == "True Available"
    })
}

fn there_and_back_again_costs_two_requests_or_none(site: &Site) {
    let first = site.ready("it");
    let home = first["spec"]["url"].as_str().expect("a url");
    let mark = site.cloud.mark();
    url(site, "it", "https://away.example.com");
    let last = url(site, "it", home);
    let after = await_observed(site, &last);
    assert_eq!(site.held(&after)["url"], home);
    let n = puts(site, mark);
    assert!(n == 0 || n == 2, "{n} requests");
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn a_hundred_edits_in_ten_seconds_cost_three_requests(site: &Site) {
    site.ready("it");
    let mark = site.cloud.mark();
    let begun = environment::now();
    let mut last = Value::Null;
    let mut took = Duration::ZERO;
    for n in 1..=100_u32 {
        last = url(site, "it", &format!("https://edit-{n}.example.com"));
        took = begun.elapsed();
        let due = Duration::from_millis(100) * n;
        environment::pause(due.saturating_sub(took));
    }
    let after = await_observed(site, &last);
    assert_eq!(site.held(&after)["url"], "https://edit-100.example.com");
    let n = puts(site, mark);
    // Three within ten seconds. A machine under load takes longer to edit, and each ten seconds
    // that are begun more allow one more.
    let most = 2 + took.as_millis().div_ceil(10_000);
    assert!(n as u128 <= most, "{n} requests in {took:?}");
}

fn an_object_made_anew_under_its_name_has_a_registry_of_its_own(site: &Site) {
    let first = site.ready("it");
    site.delete("it");
    // As fast as the API server allows: the name is free when the finalizer is off.
    let object = site.registry("it", "swr-pro");
    eventually_blocking(PATIENCE, "the name to be free", || {
        let path = site.objects_path();
        site.cluster
            .create(&path, &object)
            .map_err(|refused| refused.to_string())
    });
    let second = site.await_ready("it");
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_ne!(registry_id(&first), registry_id(&second));
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held.len(), 1, "{held:#?}");
}

fn a_credential_is_sent_again_when_its_time_has_come(site: &Site) {
    let mut object = site.registry("it", "swr-pro");
    object["spec"]["resendCredentialEvery"] = json!("1h");
    site.ready_with(object);
    let mark = site.cloud.mark();
    // An hour passes by moving the past.
    let status = json!({"status": {"credential": {"sentAt": "2026-01-01T00:00:00Z"}}});
    let path = format!("{}/status", site.object_path("it"));
    let before = site
        .cluster
        .patch(&path, &status)
        .expect("a status of long ago");
    site.request("it", "now");
    site.await_sent_after("it", &before);
    assert_eq!(puts(site, mark), 1);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn a_request_for_a_reconcile_is_echoed_and_sends_the_credential_once(site: &Site) {
    let ready = site.ready("it");
    for at in ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"] {
        let mark = site.cloud.mark();
        site.request("it", at);
        let after = site.await_status("it", "the echo", |object| {
            object["status"]["lastHandledReconcileAt"] == at
        });
        assert_eq!(condition(&after, "Ready"), condition(&ready, "Ready"));
        assert_eq!(puts(site, mark), 1);
        site.assert_rests(site.cloud.mark(), &site.cluster.audit());
    }
}

/// The page that this project started from: a PUT of `test112`, as an object that adopts an
/// existing registry which differs. The page leaves the target out, the table above it requires it.
fn the_request_of_the_documentation_is_what_an_adoption_sends(site: &Site) {
    let instance = &site.cloud.instances[0];
    let existing = json!({
        "name": "test112", "type": "swr-pro-internal", "url": "https://old.example.com",
        "insecure": true, "description": "made in the console",
        "project_id": "p", "region_id": "r", "instance_id": "i",
        "credential": {"type": "basic", "access_key": "old", "access_secret": "old"},
    });
    let target = format!("registries?instance={instance}");
    let id = site.cloud.control("POST", &target, &existing)["id"].clone();
    let mut object = site.registry("seed", "swr-pro-internal");
    object["spec"]["name"] = json!("test112");
    object["spec"]["url"] = json!("https://testbasic-vwnajp.swr-pro.myhuaweicloud.com");
    object["spec"]["description"] = json!("");
    object["spec"]["adoption"] = json!({"policy": "IfUnowned"});
    let mark = site.cloud.mark();
    let (ready, login) = site.ready_with(object);
    assert_eq!(ready["status"]["registryId"], id);
    let writes = site.cloud.asked(mark, "UpdateInstanceRegistry");
    assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{id}")]);
    let mut sent: Value = serde_json::from_str(&writes[0].request_body).expect("JSON");
    split_tag(&mut sent);
    assert_eq!(sent, body(&ready, &login));
    assert_eq!(
        json!({
            "description": "[tag]",
            "insecure": true,
            "name": "test112",
            "type": "swr-pro-internal",
            "url": "https://testbasic-vwnajp.swr-pro.myhuaweicloud.com",
            "credential": {
                "type": "basic",
                "access_key": login.access_key,
                "access_secret": login.access_secret,
            },
            "project_id": ready["spec"]["target"]["projectId"],
            "region_id": ready["spec"]["target"]["regionId"],
            "instance_id": ready["spec"]["target"]["instanceId"],
        }),
        sent
    );
}

fn a_hundred_labels_and_annotations_cost_nothing(site: &Site) {
    site.ready("it");
    let (mark, audit) = (site.cloud.mark(), site.cluster.audit());
    for n in 0..50 {
        let metadata = json!({"labels": {"n": n.to_string()}, "annotations": {"a": "x".repeat(n)}});
        site.patch("it", &json!({"metadata": metadata}));
        site.patch("it", &json!({"metadata": {"annotations": {"a": null}}}));
    }
    site.assert_rests(mark, &audit);
    // Nor a read of the object for each, whatever polls read.
    let asked = audit.in_namespace(&site.name);
    let reads = asked
        .iter()
        .filter(|asked| asked.verb == "get" && asked.resource == "replicationregistries");
    assert_eq!(reads.count(), 0, "{asked:?}");
}

/// The finalizers of the object.
fn finalizers(site: &Site) -> Value {
    site.object("it")["metadata"]["finalizers"].clone()
}

fn finalizers_of_others_come_and_go_beside_ours(site: &Site) {
    const OURS: &str = "swr.huaweicloud.com/registry";
    const THEIRS: [&str; 2] = ["example.com/backup", "example.com/audit"];
    let mut object = site.registry("it", "swr-pro");
    object["metadata"]["finalizers"] = json!([THEIRS[0]]);
    let (object, _) = site.ready_with(object);
    assert_eq!(finalizers(site), json!([THEIRS[0], OURS]));
    site.patch(
        "it",
        &json!({"metadata": {"finalizers": [THEIRS[0], OURS, THEIRS[1]]}}),
    );

    let mark = site.cloud.mark();
    site.delete("it");
    // Ours goes with the registry, and the others hold the object.
    eventually_blocking(PATIENCE, "the end of our finalizer", || {
        let left = finalizers(site);
        (left == json!(THEIRS)).then_some(()).ok_or(left)
    });
    let delete = format!("DELETE registries/{}", registry_id(&object));
    assert_eq!(site.cloud.writes(mark), [delete]);
    let audit = site.cluster.audit();
    site.request("it", "while it goes");
    let mut other = site.registry("other", "swr-pro");
    other["spec"]["instanceId"] = json!(site.cloud.instances[1]);
    site.ready_with(other);
    let of_it = |asked: &&Asked| asked.name == "it" && asked.resource == "replicationregistries";
    let writes = site.kubernetes_writes(&audit);
    assert_eq!(writes.iter().filter(of_it).count(), 0, "{writes:?}");
    assert_eq!(finalizers(site), json!(THEIRS));
    site.patch("it", &json!({"metadata": {"finalizers": null}}));
    site.await_gone("it");
}

/// 1,000 objects in two instances, half of them with one Secret.
#[test]
fn a_thousand_objects_cost_what_was_promised() {
    with_site("thousand", |_, site| {
        const N: usize = 1_000;
        site.cloud.switch(&json!({"registry_quota": 2_000}));
        let shared = site.login();
        site.put_login("shared", &shared);
        site.put_login("other", &site.login());
        let mark = site.cloud.mark();
        let audit = site.cluster.audit();
        for n in 0..N {
            let mut object = site.registry(&format!("n{n:04}"), "huawei-SWR");
            object["spec"]["instanceId"] = json!(site.cloud.instances[n % 2]);
            let secret = if n < N / 2 { "shared" } else { "other" };
            object["spec"]["credentialSecretRef"]["name"] = json!(secret);
            site.create(&object);
        }
        let patience = Duration::from_secs(300);
        let not_ready = || {
            let objects = site.objects();
            objects
                .iter()
                .filter(|object| state(object, "Ready") != "True Available")
                .count()
        };
        let await_all_ready = || {
            eventually_blocking(patience, "a thousand Ready", || match not_ready() {
                0 => Ok(()),
                n => Err(format!("{n} are not")),
            });
        };
        await_all_ready();
        let posts = site.cloud.asked(mark, "CreateInstanceRegistry").len();
        let lists = site.cloud.asked(mark, "ListInstanceRegistries").len();
        site.await_events("RegistryCreated", N);
        let writes = site.kubernetes_writes(&audit);
        crate::bed::say(&format!(
            "creation of {N}: {posts} POST, {lists} pages of LIST, {} Kubernetes writes",
            writes.len()
        ));
        assert_eq!(posts, N);
        assert!(writes.len() * 10 <= N * 31, "{} writes", writes.len());
        let asked = audit.in_namespace(&site.name);
        let reads = |resource: &str| {
            let is_one = |it: &&Asked| it.verb == "get" && it.resource == resource;
            asked.iter().filter(is_one).count()
        };
        let (objects, secrets) = (reads("replicationregistries"), reads("secrets"));
        crate::bed::say(&format!(
            "creation of {N}: {objects} GETs of objects, {secrets} GETs of Secrets"
        ));
        assert!(objects * 100 <= N, "{objects} GETs of objects");
        // Every object has its own reconcile, and two Secrets serve them all: a GET of each per poll,
        // and four in a second where somebody waits.
        assert!(secrets * 2 <= N, "{secrets} GETs of Secrets");

        // At rest: pages of LIST, and one GET for each of the two Secrets, per instance and poll.
        let audit = site.cluster.audit();
        let mark = site.cloud.mark();
        let instances = &site.cloud.instances;
        let pages = |instance: &str| {
            let all = site.cloud.asked(mark, "ListInstanceRegistries");
            all.iter()
                .filter(|entry| entry.instance.as_deref() == Some(instance))
                .count()
        };
        eventually_blocking(patience, "three polls", || {
            let seen = instances.each_ref().map(|instance| pages(instance));
            if seen.iter().all(|n| *n >= 15) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
        let asked = audit.in_namespace(&site.name);
        let lists: usize = instances.iter().map(|instance| pages(instance)).sum();
        let gets = asked
            .iter()
            .filter(|asked| asked.resource == "secrets")
            .count();
        crate::bed::say(&format!(
            "at rest: {lists} pages of LIST, {gets} GETs of Secrets"
        ));
        assert_eq!(site.cloud.requests(mark).len(), lists, "only LISTs");
        assert_eq!(asked.len(), gets, "only GETs of Secrets: {asked:?}");
        // Each poll of an instance is 5 pages and reads 2 Secrets; one poll may be half done.
        assert!(gets <= lists / 5 * 2 + 4, "{gets} GETs for {lists} pages");

        let mark = site.cloud.mark();
        site.put_login("shared", &site.login());
        eventually_blocking(patience, "500 requests", || match puts(site, mark) {
            n if n >= N / 2 => Ok(()),
            n => Err(format!("{n}")),
        });
        await_all_ready();
        assert_eq!(
            puts(site, mark),
            N / 2,
            "one request for each object of the Secret"
        );
    });
}
