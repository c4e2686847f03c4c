//! The API server takes everything in `deploy/`. Kinds of others are stubs there: their names and scopes are checked, and
//! that kubectl can read them; their fields are not.

use std::path::Path;

use harness::kubectl::{apply, await_definitions, command};
use serde_json::{Value, json};

use super::manifests::{folders, lone_files};
use super::place::Place;

/// Group, version, kind and plural of the kinds that other projects bring. All are namespaced.
const OTHERS: [[&str; 4]; 11] = [
    ["argoproj.io", "v1alpha1", "AppProject", "appprojects"],
    ["argoproj.io", "v1alpha1", "Application", "applications"],
    ["bitnami.com", "v1alpha1", "SealedSecret", "sealedsecrets"],
    [
        "external-secrets.io",
        "v1",
        "ExternalSecret",
        "externalsecrets",
    ],
    ["external-secrets.io", "v1", "SecretStore", "secretstores"],
    [
        "helm.toolkit.fluxcd.io",
        "v2",
        "HelmRelease",
        "helmreleases",
    ],
    [
        "kustomize.toolkit.fluxcd.io",
        "v1",
        "Kustomization",
        "kustomizations",
    ],
    [
        "monitoring.coreos.com",
        "v1",
        "PrometheusRule",
        "prometheusrules",
    ],
    [
        "monitoring.coreos.com",
        "v1",
        "ServiceMonitor",
        "servicemonitors",
    ],
    [
        "source.toolkit.fluxcd.io",
        "v1",
        "GitRepository",
        "gitrepositories",
    ],
    [
        "source.toolkit.fluxcd.io",
        "v1",
        "OCIRepository",
        "ocirepositories",
    ],
];

/// The namespaces that an object may be in without bringing its own.
const NAMESPACES: [&str; 4] = ["argocd", "flux-system", "images", "swr-operator"];

fn stub([group, version, kind, plural]: [&str; 4]) -> Value {
    let schema = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "scope": "Namespaced",
            "versions": [{
                "name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// A dry run by the API server, without a warning.
fn assert_taken(place: &Place, flag: &str, path: &Path) {
    let output = command(&place.plane)
        .args([
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
        ])
        .arg(flag)
        .arg(path)
        .output()
        .expect("kubectl runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", path.display());
    assert_eq!(said, "", "{}: kubectl warns of nothing", path.display());
}

#[test]
fn the_api_server_takes_everything_that_is_in_deploy() {
    let place = Place::start();
    let mut objects: Vec<Value> = OTHERS.map(stub).to_vec();
    objects.extend(
        NAMESPACES.map(
            |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        ),
    );
    apply(&place.plane, &objects).expect("stubs and namespaces");
    place.type_in("kubectl apply --server-side -k crds");
    await_definitions(&place.plane).expect("the kinds");
    let folders = folders();
    assert!(folders.len() >= 25, "{folders:?}");
    for folder in folders {
        assert_taken(&place, "--kustomize", &place.path(&folder));
    }
    for file in lone_files() {
        assert_taken(&place, "--filename", &place.path(file));
    }
}
