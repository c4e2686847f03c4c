//! What stands at admission keeps the operator from writing the status of an object: no intent can be stored, so nothing
//! is sent to SWR until it is out of the way.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::check_all;
use crate::cloud::PATIENCE;
use crate::manifest::API_VERSION;
use crate::site::Site;

/// Paths and objects of what is in the way.
type Obstacle = fn(&Site) -> Vec<(&'static str, Value)>;

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

#[test]
fn whoever_keeps_the_operator_from_writing_an_object_keeps_it_from_writing_to_swr() {
    let obstacles: [(&str, Obstacle); 2] =
        [("webhook", a_webhook_that_is_down), ("policy", a_policy)];
    check_all("refusals", &obstacles, |site, obstacle| {
        check(site, *obstacle);
    });
}

fn of_status() -> Value {
    let (group, version) = API_VERSION.split_once('/').expect("group and version");
    json!([{
        "apiGroups": [group], "apiVersions": [version], "operations": ["UPDATE"],
        "resources": ["replicationregistries/status"],
    }])
}

fn of_site(site: &Site) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": site.name}})
}

fn a_webhook_that_is_down(site: &Site) -> Vec<(&'static str, Value)> {
    let webhook = json!({
        "metadata": {"name": site.name},
        "webhooks": [{
            "name": "down.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "timeoutSeconds": 1, "failurePolicy": "Fail",
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "rules": of_status(), "namespaceSelector": of_site(site),
        }],
    });
    vec![("validatingwebhookconfigurations", webhook)]
}

fn a_policy(site: &Site) -> Vec<(&'static str, Value)> {
    let policy = json!({
        "metadata": {"name": site.name},
        "spec": {
            "failurePolicy": "Fail", "matchConstraints": {"resourceRules": of_status()},
            "validations": [{"expression": "false", "message": "nobody writes a status"}],
        },
    });
    let binding = json!({
        "metadata": {"name": site.name},
        "spec": {
            "policyName": site.name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": of_site(site)},
        },
    });
    vec![
        ("validatingadmissionpolicies", policy),
        ("validatingadmissionpolicybindings", binding),
    ]
}

fn check(site: &Site, obstacle: Obstacle) {
    let ready = site.ready("ready");
    let objects = obstacle(site);
    for (resource, object) in &objects {
        let path = format!("{ADMISSION}/{resource}");
        let created = site.cluster.create(&path, object);
        created.unwrap_or_else(|refused| panic!("{path}: {refused}"));
    }
    // The API server learns of it in its own time.
    eventually_blocking(PATIENCE, "a status that is refused", || {
        let path = format!("{}/status?dryRun=All", site.object_path("ready"));
        let patch = json!({"status": {"conditions": null}});
        let patched = site.cluster.patch(&path, &patch);
        patched.err().ok_or("it is taken")
    });

    let mark = site.cloud.mark();
    let audit = site.cluster.audit();
    site.put_login("it", &site.login());
    site.create(&site.registry("it", "swr-pro"));
    eventually_blocking(PATIENCE, "two writes that are refused", || {
        let writes = site.kubernetes_writes(&audit);
        let refused = writes.iter().filter(|it| it.name == "it" && it.code >= 400);
        match refused.count() {
            n if n >= 2 => Ok(()),
            _ => Err(format!("{writes:?}")),
        }
    });
    site.cloud.await_lists(&site.cloud.instances[0], 2);
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    let log = site.log();
    let is_told = |line: &str| {
        line.contains("\"level\":\"warn\"")
            && line.contains(&format!("\"namespace\":\"{}\"", site.name))
            && line.contains("\"name\":\"it\"")
    };
    assert!(log.lines().any(is_told), "{log}");

    for (resource, object) in objects.iter().rev() {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let path = format!("{ADMISSION}/{resource}/{name}");
        site.cluster
            .delete(&path)
            .expect("it is taken out of the way");
    }
    let object = site.await_ready("it");
    assert_eq!(site.tagged(&site.cloud.instances[0], &object).len(), 1);
    assert_eq!(site.cloud.writes(mark), ["POST registries"]);
    assert_eq!(site.held(&ready)["id"], ready["status"]["registryId"]);
}
