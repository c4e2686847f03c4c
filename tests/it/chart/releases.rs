//! The life of a release, with no operator running: install, upgrade with a changed CRD, uninstall, and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use harness::{ControlPlane, kubectl, kubectl_stdout};
use serde_json::{Value, json};

use super::{Said, chart, helm, objects};
use crate::manifest;

const NAMESPACE: &str = "releases";
const CRD: &str = "replicationregistries.swr.huaweicloud.com";
/// 32 bytes, as the operator would make them.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A control plane without an installation: what is installed and uninstalled here would disturb every other test.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start_temporary().unwrap_or_else(|error| panic!("{error}")))
}

/// A command about a release in the namespace of this test.
fn release(verb: &str, name: &str, chart: Option<&Path>, more: &[&str]) -> Said {
    let chart = chart.map(|path| path.display().to_string());
    let mut args = vec![verb, name];
    if let Some(chart) = chart.as_deref() {
        args.extend([chart, "--set", "image.registry=registry.example.com"]);
    }
    args.extend(["--namespace", NAMESPACE]);
    args.extend(more);
    helm(Some(plane()), &args)
}

/// The chart, with one more field in the spec of the CRD.
fn chart_of_tomorrow(folder: &Path) -> PathBuf {
    let copy = folder.join("swr-operator");
    copy_folder(&chart(), &copy);
    let path = copy.join(format!("files/crds/{CRD}.yaml"));
    let mut crd = objects(&fs::read_to_string(&path).expect("the CRD")).remove(0);
    crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
        .expect("the fields of the spec")["fieldOfTomorrow"] = json!({"type": "string"});
    fs::write(&path, crd.to_string()).expect("the CRD");
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().expect("a name"));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

fn get(args: &[&str]) -> Option<Value> {
    let args = [&["get", "--output=json", "--ignore-not-found"], args].concat();
    let text = kubectl_stdout(plane(), &args, None).unwrap_or_else(|error| panic!("{error}"));
    (!text.is_empty()).then(|| serde_json::from_str(&text).expect("JSON"))
}

fn key() -> Option<Value> {
    get(&["secret", "swr-operator-key", "--namespace", NAMESPACE])
}

fn assert_key_is_kept(after: &str) {
    let data = key().map(|secret| secret["data"].clone());
    assert_eq!(data, Some(json!({"key": KEY})), "after {after}");
}

fn field_of_tomorrow() -> Value {
    let crd = get(&["customresourcedefinition", CRD]).expect("the CRD");
    crd.pointer(
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/fieldOfTomorrow",
    )
    .cloned()
    .unwrap_or_default()
}

fn assert_object_is_there(after: &str) {
    let found = get(&["replicationregistry", "harbor", "--namespace", NAMESPACE]);
    assert!(found.is_some(), "the object is gone after {after}");
}

#[test]
fn a_release_comes_changes_goes_and_comes_back() {
    let plane = plane();
    let folder = tempfile::tempdir().expect("a folder");
    let today = chart();
    let tomorrow = chart_of_tomorrow(folder.path());

    release(
        "install",
        "swr-operator",
        Some(&today),
        &["--create-namespace"],
    )
    .or_panic();
    harness::kubectl::await_definitions(plane).expect("the kinds are served");
    assert_eq!(key().expect("the key's Secret")["data"], Value::Null);
    let object = manifest::registry(NAMESPACE, "default", "instance", "harbor", "swr-pro");
    harness::kubectl::apply(plane, &[object]).expect("an object");
    // As the operator does at its first start.
    let patch = json!({"data": {"key": KEY}}).to_string();
    let args = [
        "patch",
        "secret",
        "swr-operator-key",
        "--namespace",
        NAMESPACE,
    ];
    let args = [
        &args[..],
        &[
            "--type=merge",
            "--field-manager=swr-operator",
            "--patch",
            &patch,
        ],
    ]
    .concat();
    kubectl_stdout(plane, &args, None).expect("the key is put in");

    // Both ways in which Helm writes.
    for (side, chart, field) in [
        ("--server-side=true", &tomorrow, json!({"type": "string"})),
        ("--server-side=false", &today, Value::Null),
        ("--server-side=true", &tomorrow, json!({"type": "string"})),
    ] {
        release("upgrade", "swr-operator", Some(chart), &[side]).or_panic();
        assert_eq!(field_of_tomorrow(), field, "{side}");
        assert_key_is_kept(side);
    }
    release("rollback", "swr-operator", None, &[]).or_panic();
    assert_key_is_kept("a rollback");
    assert_object_is_there("a rollback");
    // The one way that throws away what the release does not render, as the README says.
    let args = ["--server-side=false", "--force-replace"];
    release("upgrade", "swr-operator", Some(&tomorrow), &args).or_panic();
    assert_eq!(key().expect("the key's Secret")["data"], Value::Null);

    let said = release("uninstall", "swr-operator", None, &[]).or_panic();
    for kept in [
        "These resources were kept due to the resource policy:",
        "[CustomResourceDefinition] replicationregistries.swr.huaweicloud.com",
        "[CustomResourceDefinition] swraccounts.swr.huaweicloud.com",
    ] {
        assert!(said.contains(kept), "{said}");
    }
    assert_object_is_there("an uninstall");
    assert_eq!(key(), None, "the key goes with the release");
    for what in ["deployment", "serviceaccount", "role", "clusterrole"] {
        let name = ["swr-operator", "--namespace", NAMESPACE];
        assert_eq!(get(&[&[what], &name[..]].concat()), None, "{what}");
    }
    for what in [
        "validatingadmissionpolicy",
        "validatingadmissionpolicybinding",
    ] {
        let policy = get(&[what, "swr-operator-deletion-protection"]);
        assert_eq!(policy, None, "{what}");
    }

    release("install", "swr-operator", Some(&today), &[]).or_panic();
    release("uninstall", "swr-operator", None, &[]).or_panic();
    assert_object_is_there("a second life");

    let refused = release("install", "another", Some(&today), &[]).refused();
    for words in [
        "exists and cannot be imported into the current release: invalid ownership metadata",
        "annotation validation error: key \"meta.helm.sh/release-name\" must equal \"another\"",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    // Without the definitions there is nothing to own, and with the flag they change hands.
    let args = ["--set", "crds.enabled=false"];
    release("install", "another", Some(&today), &args).or_panic();
    release("uninstall", "another", None, &[]).or_panic();
    release("install", "another", Some(&today), &["--take-ownership"]).or_panic();
    let owner = get(&["customresourcedefinition", CRD]).expect("the CRD");
    assert_eq!(
        owner["metadata"]["annotations"]["meta.helm.sh/release-name"],
        "another"
    );
    release("uninstall", "another", None, &[]).or_panic();
    assert_object_is_there("all of it");
    let output = kubectl(plane, &["get", "crd", CRD], None);
    assert!(output.status.success(), "{output:?}");
}

/// Of the release that runs beside; the last of two flags wins.
const ELSEWHERE: &str = "replicas";

#[test]
fn a_release_goes_to_two_replicas_and_back() {
    let strategy = || {
        let deployment = [
            "deployment",
            "replicas-swr-operator",
            "--namespace",
            ELSEWHERE,
        ];
        get(&deployment).expect("the Deployment")["spec"]["strategy"].clone()
    };
    let one = json!({"type": "Recreate"});
    let two = json!({
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    });
    let set = |n: &'static str| {
        [
            "--namespace",
            ELSEWHERE,
            "--set=crds.enabled=false",
            "--set=deletionProtection.enabled=false",
            n,
        ]
    };
    let args = [&["--create-namespace"][..], &set("--set=replicaCount=1")].concat();
    release("install", "replicas", Some(&chart()), &args).or_panic();
    for side in ["--server-side=true", "--server-side=false"] {
        for (n, wanted) in [
            ("--set=replicaCount=2", &two),
            ("--set=replicaCount=1", &one),
        ] {
            let args = [&[side][..], &set(n)].concat();
            release("upgrade", "replicas", Some(&chart()), &args).or_panic();
            assert_eq!(strategy(), *wanted, "{side} {n}");
        }
    }
    let args = ["--namespace", ELSEWHERE];
    release("uninstall", "replicas", None, &args).or_panic();
}
