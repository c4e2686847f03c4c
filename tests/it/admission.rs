//! What the API server refuses before anybody acts on it, with which words, and what it takes.

use expect_test::{ExpectFile, expect_file};
use harness::kubectl::command;
use harness::{environment, kubectl};
use serde_json::{Map, Value, json};

use crate::architecture::read;
use crate::cluster::{Cluster, Refused};
use crate::manifest::{self, API_VERSION};

const INSTANCE: &str = "5f1c8a0e-1111-2222-3333-444455556666";
const HARBOR: &str = "swr-pro";
const ENTERPRISE: &str = "swr-pro-internal";
const BASIC: &str = "huawei-SWR";

/// A name, the type of the object, and what is different from a good one.
type Case = (&'static str, &'static str, fn() -> Value);

const INVALID: [Case; 53] = [
    ("instanceId missing", HARBOR, || json!({"instanceId": null})),
    ("instanceId empty", HARBOR, || json!({"instanceId": ""})),
    (
        "instanceId with a slash",
        HARBOR,
        || json!({"instanceId": "../other"}),
    ),
    (
        "instanceId too long",
        HARBOR,
        || json!({"instanceId": "i".repeat(65)}),
    ),
    ("name empty", HARBOR, || json!({"name": ""})),
    ("name with a dot", HARBOR, || json!({"name": "harbor.dr"})),
    ("name with a blank", HARBOR, || json!({"name": "harbor dr"})),
    ("name with a slash", HARBOR, || json!({"name": "a/b"})),
    ("name with a line break", HARBOR, || json!({"name": "a\nb"})),
    ("name in Greek", HARBOR, || json!({"name": "λιμάνι"})),
    (
        "name of 65 characters",
        HARBOR,
        || json!({"name": "n".repeat(65)}),
    ),
    (
        "name of 65 Han characters",
        HARBOR,
        || json!({"name": "镜".repeat(65)}),
    ),
    ("type missing", HARBOR, || json!({"type": null})),
    ("type unknown", HARBOR, || json!({"type": "harbor"})),
    (
        "type in another case",
        BASIC,
        || json!({"type": "huawei-swr"}),
    ),
    ("url missing", HARBOR, || json!({"url": null})),
    ("url empty", HARBOR, || json!({"url": ""})),
    (
        "url without scheme",
        HARBOR,
        || json!({"url": "harbor.example.com"}),
    ),
    (
        "url of another scheme",
        HARBOR,
        || json!({"url": "ftp://harbor.example.com"}),
    ),
    ("url without host", HARBOR, || json!({"url": "https://"})),
    (
        "url with a user",
        HARBOR,
        || json!({"url": "https://admin:secret@harbor.example.com"}),
    ),
    (
        "url with a query",
        HARBOR,
        || json!({"url": "https://harbor.example.com?a=b"}),
    ),
    (
        "url with a fragment",
        HARBOR,
        || json!({"url": "https://harbor.example.com#top"}),
    ),
    (
        "url with a blank",
        HARBOR,
        || json!({"url": "https://harbor.example.com/a b"}),
    ),
    (
        "url with a line break",
        HARBOR,
        || json!({"url": "https://harbor.example.com\n"}),
    ),
    (
        "url too long",
        HARBOR,
        || json!({"url": format!("https://{}.example.com", "h".repeat(512))}),
    ),
    ("insecure missing", HARBOR, || json!({"insecure": null})),
    ("insecure as text", HARBOR, || json!({"insecure": "true"})),
    (
        "insecure false for swr-pro-internal",
        ENTERPRISE,
        || json!({"insecure": false}),
    ),
    (
        "description with a tag",
        HARBOR,
        || json!({"description": "x [swr-operator:x]"}),
    ),
    (
        "description too long",
        HARBOR,
        || json!({"description": "d".repeat(1025)}),
    ),
    (
        "dnsConf for swr-pro-internal",
        ENTERPRISE,
        || json!({"dnsConf": {"hosts": {"a.example": "192.0.2.1"}}}),
    ),
    (
        "dnsConf for huawei-SWR",
        BASIC,
        || json!({"dnsConf": {"hosts": {"a.example": "192.0.2.1"}}}),
    ),
    (
        "dnsConf without hosts",
        HARBOR,
        || json!({"dnsConf": {"hosts": null}}),
    ),
    (
        "dnsConf with no host",
        HARBOR,
        || json!({"dnsConf": {"hosts": {"a.example.com": null}}}),
    ),
    (
        "dnsConf with a name for an address",
        HARBOR,
        || json!({"dnsConf": {"hosts": {"a.example": "b.example"}}}),
    ),
    (
        "dnsConf with a port",
        HARBOR,
        || json!({"dnsConf": {"hosts": {"a.example": "192.0.2.1:443"}}}),
    ),
    (
        "dnsConf with a bad host",
        HARBOR,
        || json!({"dnsConf": {"hosts": {"-a_": "192.0.2.1"}}}),
    ),
    ("dnsConf with 65 hosts", HARBOR, || {
        let host = |n: usize| (format!("h{n}.example.com"), json!("192.0.2.1"));
        json!({"dnsConf": {"hosts": (0..64).map(host).collect::<Map<_, _>>()}})
    }),
    (
        "target missing for swr-pro-internal",
        ENTERPRISE,
        || json!({"target": null}),
    ),
    (
        "target without project",
        ENTERPRISE,
        || json!({"target": {"projectId": null}}),
    ),
    (
        "target without region",
        ENTERPRISE,
        || json!({"target": {"regionId": null}}),
    ),
    (
        "target without instance",
        ENTERPRISE,
        || json!({"target": {"instanceId": null}}),
    ),
    (
        "target with an empty instance",
        ENTERPRISE,
        || json!({"target": {"instanceId": ""}}),
    ),
    (
        "target for swr-pro",
        HARBOR,
        || json!({"target": {"projectId": "p", "regionId": "r", "instanceId": "i"}}),
    ),
    (
        "target for huawei-SWR",
        BASIC,
        || json!({"target": {"projectId": "p", "regionId": "r", "instanceId": "i"}}),
    ),
    (
        "credentialSecretRef missing",
        HARBOR,
        || json!({"credentialSecretRef": null}),
    ),
    (
        "credentialSecretRef without name",
        HARBOR,
        || json!({"credentialSecretRef": {"name": null}}),
    ),
    (
        "credentialSecretRef of another namespace",
        HARBOR,
        || json!({"credentialSecretRef": {"namespace": "kube-system"}}),
    ),
    (
        "credentialSecretRef with one key",
        HARBOR,
        || json!({"credentialSecretRef": {"keys": {"accessKey": "user"}}}),
    ),
    ("mode unknown", HARBOR, || json!({"mode": "DryRun"})),
    (
        "adoption by id without a policy",
        HARBOR,
        || json!({"adoption": {"registryId": 42}}),
    ),
    (
        "a field that does not exist",
        HARBOR,
        || json!({"credential": {"password": "typed into the wrong place"}}),
    ),
];

const INVALID_TIMES: [Case; 7] = [
    (
        "deletionPolicy unknown",
        HARBOR,
        || json!({"deletionPolicy": "Retain"}),
    ),
    (
        "adoption.policy unknown",
        HARBOR,
        || json!({"adoption": {"policy": "Always"}}),
    ),
    (
        "pollInterval too short",
        HARBOR,
        || json!({"pollInterval": "59s"}),
    ),
    (
        "pollInterval without unit",
        HARBOR,
        || json!({"pollInterval": "600"}),
    ),
    (
        "pollInterval negative",
        HARBOR,
        || json!({"pollInterval": "-10m"}),
    ),
    (
        "resendCredentialEvery too short",
        HARBOR,
        || json!({"resendCredentialEvery": "59m"}),
    ),
    (
        "resendCredentialEvery in days",
        HARBOR,
        || json!({"resendCredentialEvery": "7d"}),
    ),
];

const VALID: [Case; 19] = [
    ("as it is", HARBOR, || json!({})),
    ("enterprise", ENTERPRISE, || json!({})),
    ("basic", BASIC, || json!({})),
    (
        "name of 64 characters",
        HARBOR,
        || json!({"name": "n".repeat(64)}),
    ),
    (
        "name of 64 Han characters",
        HARBOR,
        || json!({"name": "镜".repeat(64)}),
    ),
    (
        "name of rare Han characters",
        HARBOR,
        || json!({"name": "𠮷野_-A1"}),
    ),
    ("no name", HARBOR, || json!({"name": null})),
    ("http", HARBOR, || json!({"url": "http://192.0.2.7:8080/"})),
    (
        "IPv6",
        HARBOR,
        || json!({"url": "https://[2001:db8::1]:8443"}),
    ),
    (
        "a host in another alphabet",
        HARBOR,
        || json!({"url": "https://xn--fiqs8s.example.com"}),
    ),
    ("no description", HARBOR, || json!({"description": null})),
    ("empty description", HARBOR, || json!({"description": ""})),
    (
        "long description",
        HARBOR,
        || json!({"description": "描".repeat(1024)}),
    ),
    (
        "brackets in the description",
        HARBOR,
        || json!({"description": "[swr operator: x]"}),
    ),
    ("no dnsConf", HARBOR, || json!({"dnsConf": null})),
    (
        "IPv6 address",
        HARBOR,
        || json!({"dnsConf": {"hosts": {"A.example.com": "2001:db8::1"}}}),
    ),
    (
        "adoption by id",
        HARBOR,
        || json!({"adoption": {"policy": "IfUnowned", "registryId": 42}}),
    ),
    (
        "the shortest intervals",
        HARBOR,
        || json!({"pollInterval": "60s", "resendCredentialEvery": "1h"}),
    ),
    ("everything else", HARBOR, || {
        json!({
            "accountRef": {"name": "other"}, "mode": "Observe", "deletionPolicy": "Orphan",
            "deletionProtection": true, "suspend": true, "adoption": {},
            "credentialSecretRef": {"name": "x", "keys": {"accessKey": "u", "accessSecret": "p"}},
            "pollInterval": "1h30m",
        })
    }),
];

fn good(name: &str, kind: &str) -> Value {
    manifest::registry("default", "default", INSTANCE, name, kind)
}

/// A merge patch, as far as these cases need it.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(json!({})), value);
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

fn spec(kind: &str, different: &Value) -> Value {
    let mut object = good("it", kind);
    merge(&mut object["spec"], different);
    object
}

/// A server-side dry run with strict field validation, as kubectl asks for.
fn dry_run(object: &Value) -> Result<Value, Refused> {
    let path = format!(
        "/apis/{API_VERSION}/namespaces/default/replicationregistries?dryRun=All&fieldValidation=Strict"
    );
    Cluster::shared().create(&path, object)
}

#[test]
fn an_invalid_object_is_refused_with_the_field_and_a_sentence() {
    let mut said = Vec::new();
    let mut accepted = Vec::new();
    for (name, kind, different) in INVALID.into_iter().chain(INVALID_TIMES) {
        match dry_run(&spec(kind, &different())) {
            Ok(_) => accepted.push(name),
            Err(refused) => said.push(format!("{name}\n    {}\n", readable(&refused))),
        }
    }
    let mut nameless = good("harbor.dr", HARBOR);
    merge(&mut nameless["spec"], &json!({"name": null}));
    match dry_run(&nameless) {
        Ok(_) => accepted.push("metadata.name that is no name of a registry"),
        Err(refused) => said.push(format!(
            "metadata.name that is no name of a registry\n    {}\n",
            readable(&refused)
        )),
    }
    assert_eq!(accepted, Vec::<&str>::new(), "accepted");
    assert_said(
        &expect_file!["goldens/refused.txt"],
        "refused",
        &said.concat(),
    );
}

/// Compares with the golden of this name. The words around our sentences are the API server's: an earlier one must
/// refuse the same, with words of its own.
fn assert_said(golden: &ExpectFile, name: &str, said: &str) {
    let version = Cluster::shared().get("/version").unwrap_or_default();
    let version = version["gitVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if read("tests/controlplane/go.mod").contains(&format!("k8s.io/kubernetes {version}")) {
        golden.assert_eq(said);
        return;
    }
    let refused = |text: &str| -> Vec<String> {
        let names = text.lines().filter(|line| !line.starts_with("    "));
        names.map(str::to_owned).collect()
    };
    let expected = read(&format!("tests/it/goldens/{name}.txt"));
    assert_eq!(refused(said), refused(&expected), "by {version}");
}

/// One line for each finding, without the repetition of what was sent.
fn readable(refused: &Refused) -> String {
    let message = refused
        .message
        .replace("ReplicationRegistry.swr.huaweicloud.com ", "")
        .replace("Invalid value: \"string\": ", "Invalid value: ")
        .replace("Invalid value: \"object\": ", "Invalid value: ")
        // Follows whatever breaks the schema itself.
        .replace(", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation", "");
    let long = |word: &str| word.chars().count() > 120;
    let words: Vec<String> = message
        .split(' ')
        .map(|word| {
            if long(word) {
                format!("{}...", word.chars().take(12).collect::<String>())
            } else {
                word.to_owned()
            }
        })
        .collect();
    format!("{} {}", refused.code, words.join(" "))
}

#[test]
fn what_swr_allows_is_accepted() {
    for (name, kind, different) in VALID {
        let object = spec(kind, &different());
        let accepted = dry_run(&object).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        for (field, value) in object["spec"].as_object().expect("a spec") {
            let stored = &accepted["spec"][field];
            if !value.is_object() {
                assert_eq!(stored, value, "{name}: {field}");
            }
        }
    }
}

#[test]
fn defaults_are_what_the_documents_say() {
    let mut object = good("it", BASIC);
    merge(&mut object["spec"], &json!({"accountRef": null}));
    let accepted = dry_run(&object).expect("it is valid");
    let spec = &accepted["spec"];
    assert_eq!(
        json!({
            "accountRef": spec["accountRef"],
            "mode": spec["mode"],
            "deletionPolicy": spec["deletionPolicy"],
            "deletionProtection": spec["deletionProtection"],
            "suspend": spec["suspend"],
        }),
        json!({
            "accountRef": {"name": "default"},
            "mode": "Enforce",
            "deletionPolicy": "Delete",
            "deletionProtection": false,
            "suspend": false,
        })
    );
    // Whoever waits for it must not take it for ready before anybody looked.
    assert_eq!(
        accepted["status"],
        json!({
            "observedGeneration": -1,
            "conditions": [{
                "type": "Ready", "status": "Unknown", "reason": "Pending",
                "message": "Waiting for the operator",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }],
        })
    );
}

#[test]
fn a_status_that_comes_with_an_object_is_not_taken() {
    let mut object = good("it", HARBOR);
    object["status"] = json!({"registryId": 7, "observedGeneration": 1});
    let created = dry_run(&object).expect("it is valid");
    assert_eq!(created["status"]["observedGeneration"], -1);
    assert_eq!(created["status"]["registryId"], Value::Null);

    let cluster = Cluster::shared();
    let path = format!("/apis/{API_VERSION}/namespaces/default/replicationregistries");
    cluster
        .create(&path, &good("with-status", HARBOR))
        .expect("it is valid");
    let path = format!("{path}/with-status");
    let patch = json!({"spec": {"suspend": true}, "status": {"registryId": 7}});
    let patched = cluster.patch(&path, &patch).expect("it is valid");
    assert_eq!(patched["spec"]["suspend"], true);
    assert_eq!(patched["status"]["registryId"], Value::Null);
    cluster.delete(&path).expect("it goes");
}

#[test]
fn what_cannot_change_is_refused_and_what_can_is_taken() {
    let cluster = Cluster::shared();
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "admission"},
    });
    cluster
        .create("/api/v1/namespaces", &namespace)
        .expect("a namespace");
    let objects = format!("/apis/{API_VERSION}/namespaces/admission/replicationregistries");
    for (kind, name) in [
        (HARBOR, "harbor"),
        (ENTERPRISE, "enterprise"),
        (BASIC, "basic"),
    ] {
        let object = manifest::registry("admission", "default", INSTANCE, name, kind);
        cluster.create(&objects, &object).expect("it is valid");
    }
    let patch = |name: &str, spec: Value| {
        let path = format!("{objects}/{name}?dryRun=All&fieldValidation=Strict");
        cluster.patch(&path, &json!({"spec": spec}))
    };
    let mut said = Vec::new();
    for (what, name, spec) in [
        ("instanceId", "harbor", json!({"instanceId": "another"})),
        ("type", "basic", json!({"type": HARBOR})),
        (
            "type with what belongs to it",
            "harbor",
            json!({"type": ENTERPRISE, "dnsConf": null, "target": {"projectId": "p", "regionId": "r", "instanceId": "i"}}),
        ),
        ("target taken away", "enterprise", json!({"target": null})),
        (
            "verification of swr-pro-internal",
            "enterprise",
            json!({"insecure": false}),
        ),
    ] {
        let refused = patch(name, spec).expect_err(what);
        said.push(format!("{what}\n    {}\n", readable(&refused)));
    }
    assert_said(
        &expect_file!["goldens/refused-changes.txt"],
        "refused-changes",
        &said.concat(),
    );
    for (name, spec) in [
        (
            "harbor",
            json!({"name": "renamed", "url": "http://other.example.com", "insecure": false}),
        ),
        (
            "harbor",
            json!({"dnsConf": null, "description": null, "accountRef": {"name": "other"}}),
        ),
        (
            "enterprise",
            json!({"target": {"projectId": "p", "regionId": "r", "instanceId": "i"}}),
        ),
        (
            "basic",
            json!({"credentialSecretRef": {"name": "other"}, "deletionPolicy": "Orphan"}),
        ),
    ] {
        patch(name, spec.clone()).unwrap_or_else(|refused| panic!("{name}: {refused}: {spec}"));
    }
}

#[test]
fn an_account_that_breaks_a_rule_is_refused() {
    let cluster = Cluster::shared();
    let account = |different: Value| {
        let mut account = json!({
            "apiVersion": API_VERSION, "kind": "SwrAccount", "metadata": {"name": "it"},
            "spec": {"region": "ap-southeast-3", "auth": {"accessKeySecretRef": {"name": "swr"}}},
        });
        merge(&mut account["spec"], &different);
        let path = format!("/apis/{API_VERSION}/swraccounts?dryRun=All&fieldValidation=Strict");
        cluster.create(&path, &account)
    };
    let mut said = Vec::new();
    for (what, different) in [
        ("region missing", json!({"region": null})),
        ("region with a dot", json!({"region": "evil.example.com/"})),
        ("projectId with a slash", json!({"projectId": "a/b"})),
        ("auth missing", json!({"auth": null})),
        ("auth empty", json!({"auth": {"accessKeySecretRef": null}})),
        ("two sources", json!({"auth": {"podIdentity": {}}})),
        (
            "an agency by URN and by name",
            json!({"auth": {"accessKeySecretRef": null, "agency": {
                "accountRef": {"name": "hub"}, "urn": "iam::d:agency:a", "name": "a",
            }}}),
        ),
        (
            "an agency by name of nobody",
            json!({"auth": {"accessKeySecretRef": null, "agency": {
                "accountRef": {"name": "hub"}, "name": "a",
            }}}),
        ),
        (
            "an agency of two domains",
            json!({"auth": {"accessKeySecretRef": null, "agency": {
                "accountRef": {"name": "hub"}, "name": "a", "domainName": "d", "domainId": "0",
            }}}),
        ),
        (
            "oidc without an agency",
            json!({"auth": {"accessKeySecretRef": null, "oidc": {"providerUrn": "iam::d:oidcProvider:p"}}}),
        ),
        (
            "oidc of both kinds",
            json!({"auth": {"accessKeySecretRef": null, "oidc": {
                "identityProviderId": "p", "providerUrn": "u", "agencyUrn": "a",
            }}}),
        ),
        (
            "an unknown field of podIdentity",
            json!({"auth": {"accessKeySecretRef": null, "podIdentity": {"url": "http://169.254.169.254"}}}),
        ),
        (
            "a Secret elsewhere",
            json!({"auth": {"accessKeySecretRef": {"namespace": "x"}}}),
        ),
        (
            "no request per second",
            json!({"limits": {"requestsPerSecond": 0}}),
        ),
        ("no burst", json!({"limits": {"burst": 0}})),
        ("too many at once", json!({"limits": {"inFlight": 65}})),
        (
            "a grant of something else",
            json!({"grants": [{"namespace": "x"}]}),
        ),
    ] {
        let refused = account(different).expect_err(what);
        said.push(format!("{what}\n    {}\n", readable(&refused)));
    }
    assert_said(
        &expect_file!["goldens/refused-accounts.txt"],
        "refused-accounts",
        &said.concat(),
    );
    account(json!({})).expect("the shortest account");
}

#[test]
fn the_shipped_manifests_are_accepted() {
    let cluster = Cluster::shared();
    let images = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "images"}});
    // A dry run of what is in a namespace needs the namespace.
    cluster
        .create("/api/v1/namespaces", &images)
        .expect("the namespace of the samples");
    for folder in ["deploy/base", "deploy/samples"] {
        let output = command(cluster.plane)
            .args([
                "apply",
                "--server-side",
                "--dry-run=server",
                "--validate=strict",
            ])
            .args(["--force-conflicts", "--kustomize"])
            .arg(environment::checkout().join(folder))
            .output()
            .expect("kubectl runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{folder}: {errors}");
        assert_eq!(errors, "", "{folder}: kubectl warns of nothing");
    }
}

#[test]
fn the_service_account_may_do_what_it_needs_and_nothing_else() {
    let plane = Cluster::shared().plane;
    let asks = |verb: &str, resource: &str, namespace: &str| {
        let output = kubectl(
            plane,
            &[
                "auth",
                "can-i",
                verb,
                resource,
                "--namespace",
                namespace,
                "--as=system:serviceaccount:swr-operator:swr-operator",
            ],
            None,
        );
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    let own = "swr-operator";
    let rreg = "replicationregistries.swr.huaweicloud.com";
    for (verb, resource, namespace, may) in [
        ("list", rreg, "images", true),
        ("patch", rreg, "images", true),
        ("get", "secrets", "images", true),
        ("patch", "secrets/swr-operator-key", own, true),
        ("get", "namespaces/kube-system", "", true),
        ("create", rreg, "images", false),
        ("update", rreg, "images", false),
        ("delete", rreg, "images", false),
        ("list", "secrets", "images", false),
        ("watch", "secrets", "images", false),
        ("list", "secrets", own, false),
        ("patch", "secrets", "images", false),
        ("patch", "secrets", own, false),
        ("create", "secrets", own, false),
        ("delete", "secrets", own, false),
        ("get", "namespaces/images", "", false),
        ("list", "namespaces", "", true),
        ("patch", "namespaces", "", false),
        ("patch", "swraccounts.swr.huaweicloud.com", "", true),
        ("delete", "swraccounts.swr.huaweicloud.com", "", false),
        ("create", "pods", "images", false),
        ("create", "serviceaccounts/token", own, false),
        ("impersonate", "users", "", false),
        ("escalate", "clusterroles", "", false),
    ] {
        assert_eq!(
            asks(verb, resource, namespace),
            may,
            "{verb} {resource} in {namespace:?}"
        );
    }
}
