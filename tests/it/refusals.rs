//! What stands at admission keeps the operator from writing an object or its status: no finalizer or no intent can be
//! stored, so nothing is sent to SWR until it is out of the way.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::check_all;
use crate::cloud::PATIENCE;
use crate::manifest::API_VERSION;
use crate::site::Site;

struct Obstacle {
    /// What nobody can write.
    resource: &'static str,
    /// Paths and objects of what is in the way.
    objects: fn(&Site, &str) -> Vec<(&'static str, Value)>,
}

const OBJECT: &str = "replicationregistries";
const STATUS: &str = "replicationregistries/status";

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

#[test]
fn whoever_keeps_the_operator_from_writing_an_object_keeps_it_from_writing_to_swr() {
    let of = |resource, objects| Obstacle { resource, objects };
    let obstacles = [
        ("webhook", of(STATUS, a_webhook_that_is_down)),
        ("policy", of(STATUS, a_policy)),
        ("finalizer", of(OBJECT, a_policy)),
    ];
    check_all("refusals", &obstacles, check);
}

fn updates_of(resource: &str) -> Value {
    let (group, version) = API_VERSION.split_once('/').expect("group and version");
    json!([{
        "apiGroups": [group], "apiVersions": [version], "operations": ["UPDATE"],
        "resources": [resource],
    }])
}

fn of_site(site: &Site) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": site.name}})
}

fn a_webhook_that_is_down(site: &Site, resource: &str) -> Vec<(&'static str, Value)> {
    let webhook = json!({
        "metadata": {"name": site.name},
        "webhooks": [{
            "name": "down.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "timeoutSeconds": 1, "failurePolicy": "Fail",
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "rules": updates_of(resource), "namespaceSelector": of_site(site),
        }],
    });
    vec![("validatingwebhookconfigurations", webhook)]
}

fn a_policy(site: &Site, resource: &str) -> Vec<(&'static str, Value)> {
    let policy = json!({
        "metadata": {"name": site.name},
        "spec": {
            "failurePolicy": "Fail", "matchConstraints": {"resourceRules": updates_of(resource)},
            "validations": [{"expression": "false", "message": "nobody writes it"}],
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

fn check(site: &Site, obstacle: &Obstacle) {
    let ready = site.ready("ready");
    let objects = (obstacle.objects)(site, obstacle.resource);
    for (resource, object) in &objects {
        let path = format!("{ADMISSION}/{resource}");
        let created = site.cluster.create(&path, object);
        created.unwrap_or_else(|refused| panic!("{path}: {refused}"));
    }
    // The API server learns of it in its own time.
    let path = site.object_path("ready");
    let (path, patch) = match obstacle.resource {
        STATUS => (
            format!("{path}/status"),
            json!({"status": {"conditions": null}}),
        ),
        _ => (path, json!({"metadata": {"labels": {"a": "b"}}})),
    };
    eventually_blocking(PATIENCE, "a write that is refused", || {
        let patched = site.cluster.patch(&format!("{path}?dryRun=All"), &patch);
        patched.err().ok_or("it is taken")
    });

    let mark = site.cloud.mark();
    let audit = site.cluster.audit();
    site.put_login("it", &site.login());
    site.create(&site.registry("it", "swr-pro"));
    if obstacle.resource == OBJECT {
        // Who can write the status says there why nothing happens.
        let (_, message) = site.await_state("it", "False Forbidden");
        assert!(message.contains("admission policies"), "{message}");
    }
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
