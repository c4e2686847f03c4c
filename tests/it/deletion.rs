//! Deleting an object: what goes with it, what holds it, and the ways out.

use harness::{eventually_blocking, kubectl};
use serde_json::{Value, json};

use crate::architecture::read;
use crate::bed::{cases, check_cases};
use crate::cloud::PATIENCE;
use crate::documents::objects;
use crate::manifest::body;
use crate::site::{Site, registry_id, state};

#[test]
fn a_deletion_takes_the_registry_along_unless_something_holds_it() {
    check_cases(
        "deletion",
        &cases![
            deletion_protection_holds_until_it_is_taken_off,
            a_protected_object_is_not_even_marked_where_the_policy_is_bound,
            suspend_holds_until_it_is_taken_off,
            orphan_takes_the_tag_off_and_leaves_the_registry,
            orphan_without_its_secret_leaves_the_registry_as_it_is,
            a_registry_in_use_blocks_until_it_is_free,
            a_blocked_deletion_can_be_made_an_orphan_without_a_request,
            a_deletion_without_its_account_says_the_way_out,
            a_deletion_without_its_instance_says_the_way_out,
            a_registry_that_is_gone_already_is_no_blocker,
            a_registry_that_is_not_ours_any_more_is_left_alone,
            observe_deletes_nothing,
            an_object_that_never_had_a_registry_just_goes,
            deleted_while_its_creation_is_unknown_leaves_nothing_behind,
        ],
    );
}

#[test]
fn a_namespace_goes_with_its_objects_and_their_registries() {
    check_cases(
        "namespaces",
        &cases![a_namespace_with_objects_and_secrets_goes],
    );
}

fn no_writes(site: &Site, mark: u64) {
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
}

fn gone_with_one_delete(site: &Site, mark: u64, object: &Value) {
    site.await_gone("it");
    let delete = format!("DELETE registries/{}", registry_id(object));
    assert_eq!(site.cloud.writes(mark), [delete]);
    assert_eq!(
        site.cloud.registries(&site.cloud.instances[0]),
        Vec::<Value>::new()
    );
}

fn deletion_protection_holds_until_it_is_taken_off(site: &Site) {
    let object = site.ready("it");
    site.patch("it", &json!({"spec": {"deletionProtection": true}}));
    site.await_ready("it");
    let mark = site.cloud.mark();
    site.delete("it");
    let (_, message) = site.await_state("it", "False DeletionProtected");
    assert_eq!(
        message,
        "spec.deletionProtection holds the deletion, which cannot be taken back: to keep the registry in SWR, set spec.deletionPolicy to Orphan and spec.deletionProtection to false; with spec.deletionPolicy Delete, spec.deletionProtection false deletes it in SWR, too"
    );
    no_writes(site, mark);
    assert_eq!(site.cloud.registries(&site.cloud.instances[0]).len(), 1);
    site.patch("it", &json!({"spec": {"deletionProtection": false}}));
    gone_with_one_delete(site, mark, &object);
}

/// Binds the policy of deploy/base to the namespace of the site, because other tests delete protected objects. The paths
/// of both objects.
fn bind_policy(site: &Site) -> [String; 2] {
    let name = format!("{}-deletion-protection", site.name);
    let found = objects(&read("deploy/base/deletion-protection.yaml"));
    let [mut policy, mut binding] =
        <[Value; 2]>::try_from(found).expect("a policy and its binding");
    policy["metadata"]["name"] = json!(name);
    binding["metadata"]["name"] = json!(name);
    binding["spec"]["policyName"] = json!(name);
    binding["spec"]["matchResources"] = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.name}},
    });
    [
        ("validatingadmissionpolicies", policy),
        ("validatingadmissionpolicybindings", binding),
    ]
    .map(|(resource, object)| {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{resource}");
        let created = site.cluster.create(&path, &object);
        created.unwrap_or_else(|refused| panic!("{path}: {refused}"));
        format!("{path}/{name}")
    })
}

fn a_protected_object_is_not_even_marked_where_the_policy_is_bound(site: &Site) {
    let object = site.ready("it");
    let bound = bind_policy(site);
    site.patch("it", &json!({"spec": {"deletionProtection": true}}));
    site.await_ready("it");
    let mark = site.cloud.mark();
    let sentence = format!(
        "ReplicationRegistry {}/it is protected: spec.deletionProtection is true. To delete it, set \
         spec.deletionProtection to false first. Deleting it also deletes its registry in SWR, unless \
         spec.deletionPolicy is Orphan.",
        site.name
    );
    // The API server learns of a policy in its own time, and until then a deletion in earnest would pass.
    let dry_run = [
        "delete",
        "rreg",
        "it",
        "--namespace",
        &site.name,
        "--dry-run=server",
    ];
    eventually_blocking(PATIENCE, "a refusal by the policy", || {
        let output = kubectl(site.cluster.plane, &dry_run, None);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match said.contains(&sentence) {
            true => Ok(()),
            false => Err(said),
        }
    });
    let refused = site.cluster.delete(&site.object_path("it"));
    let refused = refused.expect_err("in earnest, too");
    assert_eq!(refused.code, 403, "{refused}");
    assert!(refused.message.ends_with(&sentence), "{refused}");
    let now = site.object("it");
    assert_eq!(now["metadata"]["deletionTimestamp"], Value::Null);
    no_writes(site, mark);

    // What is being deleted already passes: the operator holds it.
    let spec = |protected: bool, suspend: bool| json!({"spec": {"deletionProtection": protected, "suspend": suspend}});
    site.patch("it", &spec(false, true));
    site.delete("it");
    site.patch("it", &spec(true, true));
    site.delete("it");
    no_writes(site, mark);
    site.patch("it", &spec(false, false));
    gone_with_one_delete(site, mark, &object);
    for path in bound {
        site.cluster.delete(&path).expect("the policy goes");
    }
}

fn suspend_holds_until_it_is_taken_off(site: &Site) {
    let object = site.ready("it");
    let mark = site.cloud.mark();
    site.patch("it", &json!({"spec": {"suspend": true}}));
    site.delete("it");
    let (_, message) = site.await_state("it", "False Suspended");
    assert_eq!(message, "spec.suspend holds the deletion");
    no_writes(site, mark);
    site.patch("it", &json!({"spec": {"suspend": false}}));
    gone_with_one_delete(site, mark, &object);
}

fn orphan_takes_the_tag_off_and_leaves_the_registry(site: &Site) {
    let (object, login) = site.ready_with(site.registry("it", "swr-pro"));
    site.patch("it", &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.await_ready("it");
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    let put = format!("PUT registries/{}", registry_id(&object));
    assert_eq!(site.cloud.writes(mark), [put]);
    let mut wanted = body(&object, &login);
    wanted["description"] = object["spec"]["description"].clone();
    let sent = &site.cloud.asked(mark, "UpdateInstanceRegistry")[0].request_body;
    let sent: Value = serde_json::from_str(sent).expect("a JSON body");
    assert_eq!(sent, wanted);
}

fn orphan_without_its_secret_leaves_the_registry_as_it_is(site: &Site) {
    let object = site.ready("it");
    let held = site.held(&object);
    site.patch("it", &json!({"spec": {"deletionPolicy": "Orphan"}}));
    let mark = site.cloud.mark();
    site.delete_secret("it");
    site.delete("it");
    site.await_gone("it");
    no_writes(site, mark);
    assert_eq!(site.held(&object), held);
}

/// Replication policies of the instance use these registries.
fn used_by_policies(site: &Site, ids: &[i64]) {
    let target = format!("policies?instance={}", site.cloud.instances[0]);
    site.cloud
        .control("PUT", &target, &json!({"registries": ids}));
}

fn blocked(site: &Site) -> Value {
    let object = site.ready("it");
    used_by_policies(site, &[registry_id(&object)]);
    site.delete("it");
    let (now, message) = site.await_state("it", "False DeletionBlocked");
    assert_eq!(
        message,
        "cannot delete the registry: something in SWR uses the registry, for example a replication policy (SWR.412001); to let the object go without it, set spec.deletionPolicy to Orphan"
    );
    assert_eq!(state(&now, "Stalled"), "True DeletionBlocked");
    object
}

fn a_registry_in_use_blocks_until_it_is_free(site: &Site) {
    let object = blocked(site);
    used_by_policies(site, &[]);
    let mark = site.cloud.mark();
    site.request("it", "policy removed");
    gone_with_one_delete(site, mark, &object);
}

fn a_blocked_deletion_can_be_made_an_orphan_without_a_request(site: &Site) {
    let object = blocked(site);
    let held = site.held(&object);
    let mark = site.cloud.mark();
    site.patch("it", &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.await_gone("it");
    let others = site.cloud.requests(mark);
    let asked = others
        .iter()
        .filter(|entry| entry.operation != "ListInstanceRegistries");
    assert_eq!(asked.count(), 0, "no request about the registry");
    assert_eq!(site.held(&object), held);
}

fn a_deletion_without_its_account_says_the_way_out(site: &Site) {
    let object = site.ready("it");
    site.delete_account();
    site.await_synced("it", "Unknown AccountNotReady");
    let mark = site.cloud.mark();
    site.delete("it");
    let (_, message) = site.await_state("it", "False Deleting");
    assert_eq!(
        message,
        format!(
            "SwrAccount \"{}\" does not exist; to let the object go without it, set spec.deletionPolicy to Orphan",
            site.name
        )
    );
    site.patch("it", &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.await_gone("it");
    assert!(
        site.cloud.requests(mark).is_empty(),
        "nobody to ask in whose name"
    );
    assert_eq!(site.held(&object)["id"], registry_id(&object));
}

fn a_deletion_without_its_instance_says_the_way_out(site: &Site) {
    site.ready("it");
    let instance = format!("instances/{}", site.cloud.instances[0]);
    site.cloud.control("DELETE", &instance, &Value::Null);
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_saying(
        "it",
        "False Deleting",
        "cannot delete the registry: the instance does not exist, or the account cannot see it (SWR.404000); to let the object go without it, set spec.deletionPolicy to Orphan",
    );
    site.patch("it", &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.await_gone("it");
    no_writes(site, mark);
}

fn a_registry_that_is_gone_already_is_no_blocker(site: &Site) {
    let object = site.ready("it");
    site.patch("it", &json!({"spec": {"suspend": true}}));
    site.await_state("it", "True Suspended");
    site.cloud
        .console_delete(&site.cloud.instances[0], registry_id(&object));
    let mark = site.cloud.mark();
    site.delete("it");
    site.patch("it", &json!({"spec": {"suspend": false}}));
    site.await_gone("it");
    no_writes(site, mark);
}

fn a_registry_that_is_not_ours_any_more_is_left_alone(site: &Site) {
    let object = site.ready("it");
    let instance = &site.cloud.instances[0];
    let id = registry_id(&object);
    site.cloud
        .console_edit(instance, id, "/description", json!("mine now"));
    site.await_state("it", "False OwnershipLost");
    let held = site.held(&object);
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    no_writes(site, mark);
    assert_eq!(site.held(&object), held);
}

fn observe_deletes_nothing(site: &Site) {
    let object = site.ready("it");
    let held = site.held(&object);
    site.patch("it", &json!({"spec": {"mode": "Observe"}}));
    site.await_ready("it");
    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    no_writes(site, mark);
    assert_eq!(site.held(&object), held);
}

fn an_object_that_never_had_a_registry_just_goes(site: &Site) {
    let mark = site.cloud.mark();
    site.create(&site.registry("it", "swr-pro"));
    site.await_state("it", "False SecretNotFound");
    site.delete("it");
    site.await_gone("it");
    assert!(site.cloud.requests(mark).is_empty());
}

fn deleted_while_its_creation_is_unknown_leaves_nothing_behind(site: &Site) {
    site.put_login("it", &site.login());
    site.cloud.fault(&json!({
        "match": {"operation": "CreateInstanceRegistry", "ordinal": 1},
        "kind": "late-apply", "delayMs": 4500,
    }));
    let mark = site.cloud.mark();
    site.create(&site.registry("it", "swr-pro"));
    site.await_writes(mark, 1);
    site.delete("it");
    site.await_gone("it");
    assert_eq!(
        site.cloud.registries(&site.cloud.instances[0]),
        Vec::<Value>::new()
    );
    assert_eq!(site.cloud.asked(mark, "CreateInstanceRegistry").len(), 1);
}

fn a_namespace_with_objects_and_secrets_goes(site: &Site) {
    for name in ["one", "two", "three"] {
        site.ready(name);
    }
    let path = format!("/api/v1/namespaces/{}", site.name);
    site.cluster
        .delete(&path)
        .expect("the namespace is deleted");
    eventually_blocking(PATIENCE, "the end of the namespace", || {
        match site.cluster.get(&path) {
            None => Ok(()),
            Some(namespace) => Err(namespace["status"].to_string()),
        }
    });
    assert_eq!(
        site.cloud.registries(&site.cloud.instances[0]),
        Vec::<Value>::new()
    );
}
