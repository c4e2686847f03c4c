//! Where a secret could get out although nobody asked for it: a log that tells everything, and the copy that kubectl
//! leaves in an annotation. What looks for it is the bed, after every test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::kubectl_stdout;
use serde_json::{Value, json};

use crate::bed::{with_site, with_windows};
use crate::canary::Login;
use crate::site::Site;

#[test]
fn a_log_that_tells_everything_tells_no_secret() {
    let windows = [("--log-level", "trace")];
    with_windows("trace", &["site"], &windows, |bed| {
        let site = &bed.sites[0];
        site.ready("it");
        site.patch("it", &json!({"spec": {"description": "edited"}}));
        site.await_ready("it");
        rotate(site);
        // A refusal that repeats what was sent.
        let login = site.login();
        site.put_login("refused", &login);
        site.cloud.fault(&json!({
            "match": {"operation": "CreateInstanceRegistry"}, "kind": "status", "status": 400,
            "body": {
                "error_code": "SVCSTG.SWR.4000000",
                "error_msg": format!("no {} with {}", login.access_key, login.access_secret),
            },
        }));
        site.create(&site.registry("refused", "huawei-SWR"));
        site.await_state("refused", "False InvalidSpec");
        site.cloud.clear_faults();
        // One that cannot be decoded, and a Secret that cannot be used.
        site.cloud.fault(&json!({
            "match": {"operation": "ListInstanceRegistries"}, "kind": "status", "status": 200, "times": 1,
            "body": {"registries": login.access_secret},
        }));
        site.put_secret(
            "unusable",
            &json!({"stringData": {"accessKey": site.canary().key()}}),
        );
        site.create(&site.registry("unusable", "huawei-SWR"));
        site.await_state("unusable", "False SecretNotFound");
        site.patch_account(&json!({"spec": {"auth": {"accessKeySecretRef": {"name": "none"}}}}));
        site.await_account("False SecretNotFound");
        site.patch_account(&json!({"spec": {"auth": {"accessKeySecretRef": {"name": site.name}}}}));
        site.await_account("True Available");
        for name in ["it", "refused", "unusable"] {
            site.delete(name);
            site.await_gone(name);
        }
        let log = site.log();
        assert!(
            log.contains("\"level\":\"trace\""),
            "it tells everything: {log}"
        );
    });
}

/// The Secret of `it` gets other values.
fn rotate(site: &Site) {
    let before = site.object("it");
    site.put_login("it", &site.login());
    site.request("it", "rotated");
    site.await_sent_after("it", &before);
}

#[test]
fn the_copy_of_a_secret_in_its_annotation_stays_there() {
    with_site("annotated", |_, site| {
        let login = site.login();
        apply_secret(site, &login.access_key, &login.access_secret);
        apply(site, &site.registry("it", "swr-pro"));
        let before = site.await_ready("it");
        assert_eq!(site.held(&before)["credential"], sent(&login));

        // kubectl writes the copy anew each time.
        let login = site.login();
        apply_secret(site, &login.access_key, &login.access_secret);
        site.request("it", "rotated");
        let after = site.await_sent_after("it", &before);
        assert_eq!(site.held(&after)["credential"], sent(&login));

        // Where there is something to be said about the Secret.
        let login = site.login();
        let unusable = format!("{}\n\n", login.access_secret);
        apply_secret(site, &login.access_key, &unusable);
        site.request("it", "unusable");
        let (_, message) = site.await_state("it", "False InvalidSecret");
        assert_eq!(
            message,
            "Secret \"it\": key \"accessSecret\" contains a control character such as a line break or NUL"
        );
    });
}

/// Applies the Secret of `it` as `kubectl apply` does without `--server-side`, with one value in base64 and the other
/// as it is, and sees both stand in the annotation.
fn apply_secret(site: &Site, access_key: &str, access_secret: &str) {
    let access_key = STANDARD.encode(access_key);
    apply(
        site,
        &json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "it", "namespace": site.name},
            "data": {"accessKey": access_key}, "stringData": {"accessSecret": access_secret},
        }),
    );
    let path = format!("/api/v1/namespaces/{}/secrets/it", site.name);
    let secret = site.cluster.get(&path).expect("it was applied");
    let copy =
        secret["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
            .as_str()
            .expect("kubectl leaves a copy");
    let copy: Value = serde_json::from_str(copy).expect("JSON");
    assert_eq!(
        (
            &copy["data"]["accessKey"],
            &copy["stringData"]["accessSecret"]
        ),
        (&json!(access_key), &json!(access_secret))
    );
}

fn apply(site: &Site, object: &Value) {
    let object = object.to_string();
    kubectl_stdout(
        site.cluster.plane,
        &["apply", "--filename=-"],
        Some(&object),
    )
    .unwrap_or_else(|error| panic!("{error}"));
}

fn sent(login: &Login) -> Value {
    json!({"type": "basic", "access_key": login.access_key, "access_secret": login.access_secret})
}
