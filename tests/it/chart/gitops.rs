//! What Argo CD and Flux are told of the published chart, and what Helm makes of the values that they give it.

use std::ffi::OsStr;
use std::fs;

use harness::{ControlPlane, kubectl_stdout};
use serde_json::{Value, json};

use super::{kind, name, only, rendered};
use crate::architecture::{read, root};

/// What the release pushes, in `release.yaml`: `helm push ... oci://$REGISTRY/charts`.
const PUBLISHED: &str = "registry.example.com/charts";

fn built(folder: &str) -> Vec<Value> {
    let path = root().join(folder);
    let args = [OsStr::new("kustomize"), path.as_os_str()];
    let text = kubectl_stdout(ControlPlane::shared(), &args, None);
    crate::documents::objects(&text.unwrap_or_else(|error| panic!("{error}")))
}

/// The chart by these values, as somebody's registry serves it: with its image.
fn rendered_with(values: &Value) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("values.yaml");
    let mut values = values.clone();
    values["image"] = json!({"registry": "registry.example.com"});
    fs::write(&file, values.to_string()).expect("written");
    rendered(&["--values", &file.display().to_string()])
}

#[test]
fn argo_cd_installs_the_published_chart_in_place_of_the_manifests() {
    assert!(read(".github/workflows/release.yaml").contains("\"oci://$REGISTRY/charts\""));
    let mut by_chart = built("deploy/argocd/helm");
    let by_manifests = built("deploy/argocd/applications");
    let operator = by_manifests.iter().find(|it| name(it) == "swr-operator");
    let operator = operator.expect("the operator's Application");
    let application = by_chart.iter_mut().find(|it| name(it) == "swr-operator");
    let application = application.expect("the operator's Application");
    let source = application["spec"]["source"].take();
    application["spec"]["source"] = operator["spec"]["source"].clone();
    // The manifests bring their namespace, the chart brings none.
    let policy = application["spec"]["syncPolicy"].as_object_mut();
    let policy = policy.expect("a policy");
    let metadata = policy.remove("managedNamespaceMetadata");
    let label = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    assert_eq!(metadata, Some(json!({"labels": label})));
    let options = policy["syncOptions"].as_array_mut().expect("options");
    assert_eq!(options.pop(), Some(json!("CreateNamespace=true")));
    assert_eq!(by_chart, by_manifests);

    let values = source["helm"]["valuesObject"].clone();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        source,
        json!({
            "repoURL": PUBLISHED,
            "chart": "swr-operator",
            "targetRevision": version,
            "helm": {"releaseName": "swr-operator", "valuesObject": values},
        })
    );
    for object in rendered_with(&values) {
        let annotation = |key: &str| object["metadata"]["annotations"][key].clone();
        let wanted = match kind(&object) {
            "CustomResourceDefinition" => [json!("-2"), json!("Prune=confirm,Delete=confirm")],
            _ => [Value::Null, Value::Null],
        };
        let found = ["sync-wave", "sync-options"].map(|key| {
            let key = format!("argocd.argoproj.io/{key}");
            annotation(&key)
        });
        assert_eq!(found, wanted, "{}", name(&object));
    }
}

#[test]
fn flux_installs_the_published_chart_in_place_of_the_one_in_git() {
    let objects = built("deploy/flux/helm/oci");
    let release = only(&objects, "HelmRelease");
    let source = only(&objects, "OCIRepository");
    let mut wanted = only(&built("deploy/flux/helm/release"), "HelmRelease").clone();
    let spec = wanted["spec"].as_object_mut().expect("a spec");
    spec.remove("chart");
    spec.insert(
        "chartRef".to_owned(),
        json!({"kind": "OCIRepository", "name": name(source)}),
    );
    spec["values"] = json!({"crds": {"enabled": false}});
    assert_eq!(*release, wanted);
    // Flux looks for what a chartRef names in the release's own namespace.
    let namespace = |object: &Value| object["metadata"]["namespace"].clone();
    assert_eq!(namespace(release), namespace(source));
    assert_eq!(
        source["spec"]["url"],
        format!("oci://{PUBLISHED}/swr-operator")
    );
    assert_eq!(
        source["spec"]["ref"],
        json!({"tag": env!("CARGO_PKG_VERSION")})
    );

    let made = rendered_with(&release["spec"]["values"]);
    assert!(!made.iter().any(|it| kind(it) == "CustomResourceDefinition"));
}
