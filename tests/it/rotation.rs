//! A credential that changes in a Secret that is watched: it is in SWR within seconds, by one PUT, whatever the poll
//! interval.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, with_windows};
use crate::cluster::OPERATOR;
use crate::site::{Site, state};

/// From the change of the Secret to Ready with it.
const SOON: Duration = Duration::from_secs(15);

/// Whose Secrets the operator may watch in these tests: that is no part of `deploy/base`.
pub(crate) const WATCHED: &str = "rotation-site";

#[test]
fn a_credential_that_changes_in_a_watched_secret_is_sent_within_seconds() {
    // Nothing but the watch can tell in time.
    let windows = [("--poll-interval", "10m"), ("--secret-retry", "10m")];
    with_windows("rotation", &["site"], &windows, |bed| {
        let site = &bed.sites[0];
        let_operator_watch(site);
        watch(bed, "all");
        site.ready("harbor-dr");
        site.ready("other");

        let mark = site.cloud.mark();
        rotate(site, "harbor-dr");
        // What is no credential changes nothing.
        patch_secret(site, "other", &json!({"metadata": {"labels": {"a": "b"}}}));
        site.put_login("of-nobody", &site.login());
        rotate(site, "harbor-dr");
        let writes = site.cloud.writes(mark);
        assert_eq!(writes.len(), 2, "a PUT for each rotation: {writes:#?}");
        what_comes_and_goes_is_noticed(bed, site);
    });
}

fn what_comes_and_goes_is_noticed(bed: &Bed, site: &Site) {
    let late = site.registry("late", "swr-pro");
    site.create(&late);
    site.await_state("late", "False SecretNotFound");
    site.put_login("late", &site.login());
    site.await_ready_within(SOON, "late");
    site.delete_secret("late");
    let gone = "False SecretNotFound";
    site.await_status_within(SOON, "late", gone, |object| state(object, "Ready") == gone);

    // With a selector the others are left to the poll.
    watch(bed, "swr.huaweicloud.com/watch=true");
    let label = json!({"metadata": {"labels": {"swr.huaweicloud.com/watch": "true"}}});
    patch_secret(site, "harbor-dr", &label);
    // Until it was sent once, the operator may not have read what it reads at the start.
    rotate(site, "harbor-dr");
    let mark = site.cloud.mark();
    patch_secret(site, "other", &new_credential(site));
    rotate(site, "harbor-dr");
    let writes = site.cloud.writes(mark);
    assert_eq!(writes.len(), 1, "{writes:#?}");
}

/// The operator anew, which watches these Secrets.
fn watch(bed: &Bed, which: &str) {
    bed.terminate();
    bed.start_operator_with(&["--watch-secrets", which]);
}

/// Replaces the credential in place, and waits until SWR has it.
fn rotate(site: &Site, name: &str) {
    let before = site.object(name);
    patch_secret(site, name, &new_credential(site));
    let sent_at = &before["status"]["credential"]["sentAt"];
    site.await_status_within(SOON, name, "sent again and Ready", |object| {
        object["status"]["credential"]["sentAt"] != *sent_at
            && state(object, "Ready") == "True Available"
    });
}

fn new_credential(site: &Site) -> Value {
    let login = site.login();
    json!({"stringData": {"accessKey": login.access_key, "accessSecret": login.access_secret}})
}

fn patch_secret(site: &Site, name: &str, patch: &Value) {
    let path = format!("/api/v1/namespaces/{}/secrets/{name}", site.name);
    site.cluster.patch(&path, patch).expect("it is valid");
}

fn let_operator_watch(site: &Site) {
    assert_eq!(site.name, WATCHED);
    let rbac = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}",
        site.name
    );
    let metadata = json!({"name": "watches-secrets"});
    let role = json!({
        "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}],
    });
    let binding = json!({
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watches-secrets"},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": OPERATOR}],
    });
    for (kind, object) in [("roles", &role), ("rolebindings", &binding)] {
        (site.cluster.create(&format!("{rbac}/{kind}"), object)).expect("it is valid");
    }
}
