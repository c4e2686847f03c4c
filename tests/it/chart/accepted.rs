//! The real API server takes whatever is rendered, in a namespace that enforces the Pod Security Standard `restricted`.

use harness::{ControlPlane, kubectl};
use serde_json::{Value, json};

use super::{chart, ci_values, helm, kind, name, objects, only};
use crate::chart::life::plane;

const NAMESPACE: &str = "restricted";

/// Kinds of the Prometheus operator, as far as a server must know them to take an object.
fn monitoring_stub(kind: &str) -> Value {
    let singular = kind.to_lowercase();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{singular}s.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "plural": format!("{singular}s"), "singular": singular},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

/// What Helm renders for this cluster.
fn rendered_for(plane: &ControlPlane, values: &str) -> String {
    let chart = chart().display().to_string();
    helm(
        Some(plane),
        &[
            "template",
            "swr-operator",
            &chart,
            "--dry-run=server",
            // The kinds are there already, and not Helm's.
            "--take-ownership",
            "--namespace",
            NAMESPACE,
            "--values",
            values,
        ],
    )
    .or_panic()
}

/// A dry run that must succeed without a warning; warnings are how pod security speaks of a Deployment.
fn assert_accepted(plane: &ControlPlane, what: &str, manifest: &str) {
    let args = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--force-conflicts",
        "--filename=-",
    ];
    let output = kubectl(plane, &args, Some(manifest));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    assert_eq!(errors, "", "{what}: kubectl warns of nothing");
}

/// A Deployment is only warned of; its pod is refused.
fn assert_pod_accepted(plane: &ControlPlane, what: &str, objects: &[Value]) {
    let template = &only(objects, "Deployment")["spec"]["template"];
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("of-the-deployment");
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    // It would have to exist, which a dry run cannot do.
    pod["spec"]["serviceAccountName"] = json!("default");
    assert_accepted(plane, what, &pod.to_string());
}

#[test]
fn a_restricted_namespace_takes_every_way_to_install() {
    let plane = plane();
    let labels = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            }},
        })
    };
    harness::kubectl::apply(plane, &[NAMESPACE, "team-a", "team-b"].map(labels))
        .expect("namespaces");
    let kinds = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
    let check = |with_stubs: bool| {
        let mut found: Vec<String> = Vec::new();
        for (file, values) in ci_values() {
            let what = format!("{file}, monitoring kinds known: {with_stubs}");
            let manifest = rendered_for(plane, &values);
            assert_accepted(plane, &what, &manifest);
            let objects = objects(&manifest);
            assert_pod_accepted(plane, &what, &objects);
            found.extend(
                objects
                    .iter()
                    .filter(|object| kinds.contains(&kind(object)))
                    .map(|object| format!("{file}: {}/{}", kind(object), name(object))),
            );
        }
        found
    };
    assert_eq!(check(false), Vec::<String>::new(), "skipped if missing");
    harness::kubectl::apply(plane, &kinds.map(monitoring_stub)).expect("stubs");
    harness::kubectl::await_definitions(plane).expect("they are served");
    assert_eq!(
        check(true),
        [
            "everything: PrometheusRule/swr-replication",
            "everything: ServiceMonitor/swr-replication",
            "monitoring: PrometheusRule/swr-operator",
            "monitoring: ServiceMonitor/swr-operator",
            "pod-monitor: PodMonitor/swr-operator",
        ]
    );
}
