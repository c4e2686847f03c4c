//! What lies in `deploy/` says the same everywhere: generated files are those of their sources, and what refers to
//! something refers to what is there.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use harness::{ControlPlane, kubectl_stdout};
use serde_json::{Value, json};

use crate::architecture::{files, read, root};
use crate::documents::compare;

/// Manifests that are in no kustomization, each with its reason in its first lines.
pub(super) fn lone_files() -> [&'static str; 3] {
    [
        "deploy/flux/source-oci.yaml",
        "deploy/install.yaml",
        "deploy/secrets/sops/flux.yaml",
    ]
}

/// Files that are no manifests for `kubectl apply`.
const OTHER_FILES: [&str; 6] = [
    "deploy/argocd/argocd-cm-patch.yaml",
    "deploy/argocd/resource_customizations/",
    "deploy/monitoring/swr-operator.rules.yaml",
    "deploy/monitoring/tests/",
    "deploy/overlays/namespaced/role.yaml",
    "deploy/secrets/sops/.sops.yaml",
];

/// Every folder below `deploy/` that can be built.
pub(super) fn folders() -> Vec<String> {
    files("deploy", "yaml")
        .iter()
        .filter_map(|path| path.strip_suffix("/kustomization.yaml"))
        .map(str::to_owned)
        .collect()
}

fn kustomize(folder: &str) -> String {
    let path = root().join(folder);
    let args = [OsStr::new("kustomize"), path.as_os_str()];
    kubectl_stdout(ControlPlane::shared(), &args, None).unwrap_or_else(|error| panic!("{error}"))
}

/// The objects that a folder makes.
pub(super) fn built(folder: &str) -> Vec<Value> {
    objects(&kustomize(folder))
}

fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn one(path: &str) -> Value {
    let mut found = objects(&read(path));
    assert_eq!(found.len(), 1, "{path}");
    found.remove(0)
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

#[test]
fn install_yaml_is_what_kustomize_makes_of_the_base() {
    let head = "# kubectl apply --server-side -f deploy/install.yaml\n\
        # Made of deploy/base by a test. Put the place of your image into the Deployment.\n";
    compare(
        "deploy/install.yaml",
        &(head.to_owned() + &kustomize("deploy/base")),
    );
}

#[test]
fn the_rules_for_the_prometheus_operator_are_those_of_the_plain_file() {
    let rules = one("deploy/monitoring/swr-operator.rules.yaml");
    let rule = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "swr-operator"},
        "spec": {"groups": rules["groups"]},
    });
    let head = "# Made of swr-operator.rules.yaml by a test.\n";
    let text = head.to_owned() + &serde_saphyr::to_string(&rule).expect("YAML");
    compare("deploy/monitoring/prometheusrule.yaml", &text);
    assert_eq!(one("deploy/monitoring/prometheusrule.yaml"), rule);

    // Every alert leads to its heading.
    let page = read("docs/operations.md");
    let alerts: Vec<&Value> = rules["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|group| group["rules"].as_array().into_iter().flatten())
        .filter(|rule| rule["alert"].is_string())
        .collect();
    assert!(alerts.len() >= 10, "{} alerts", alerts.len());
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        assert!(
            page.contains(&format!("\n### {name}\n")),
            "no page on {name}"
        );
        let link = alert["annotations"]["runbook_url"]
            .as_str()
            .expect("a link");
        let anchor = format!("/docs/operations.md#{}", name.to_lowercase());
        assert!(link.ends_with(&anchor), "{link}");
    }
}

#[test]
fn the_monitoring_overlay_scrapes_and_shows_what_is_there() {
    let objects = built("deploy/overlays/monitoring");
    let monitor = of_kind(&objects, "ServiceMonitor")[0];
    let service = of_kind(&objects, "Service")[0];
    let labels = &service["metadata"]["labels"];
    for (label, value) in monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .expect("labels")
    {
        assert_eq!(labels[label], *value);
    }
    let port = &monitor["spec"]["endpoints"][0]["port"];
    let ports = service["spec"]["ports"].as_array().expect("ports");
    assert!(ports.iter().any(|its| its["name"] == *port), "{port}");
    // The alerts know the operator by the job, which is the name of the Service.
    let rules = read("deploy/monitoring/swr-operator.rules.yaml");
    assert!(rules.contains(&format!("job=\"{}\"", name(service))));
    let dashboard = of_kind(&objects, "ConfigMap")[0];
    let text = dashboard["data"]["swr-operator.json"].as_str();
    let shown: Value = serde_json::from_str(text.expect("a dashboard")).expect("JSON");
    assert!(shown["panels"].is_array());
}

#[test]
fn the_container_and_the_service_have_the_same_ports() {
    let objects = built("deploy/base");
    let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let wanted = [("metrics", 8080), ("health", 8081)];
    for (n, (name, port)) in wanted.into_iter().enumerate() {
        let of_container = &container["ports"][n];
        assert_eq!(
            *of_container,
            json!({"name": name, "containerPort": port}),
            "{container}"
        );
        let service = &of_kind(&objects, "Service")[0]["spec"]["ports"][n];
        assert_eq!(
            *service,
            json!({"name": name, "port": port, "targetPort": name})
        );
    }
}

#[test]
fn the_namespaced_overlay_grants_secrets_where_it_watches_and_nowhere_else() {
    let objects = built("deploy/overlays/namespaced");
    let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    let variable = |wanted: &str| {
        let env = pod["containers"][0]["env"].as_array().into_iter().flatten();
        let mut found = env.filter(|variable| variable["name"] == wanted);
        let value = found.next().expect("the variable")["value"].as_str();
        value.unwrap_or_default().to_owned()
    };
    assert_ne!(variable("SWR_OPERATOR_INSTALLATION_ID"), "");
    let watched = variable("SWR_OPERATOR_WATCH_NAMESPACES");
    let mut readable: BTreeSet<&str> = watched.split(',').collect();
    readable.insert("swr-operator");

    let reads_secrets = |role: &&Value| {
        let rules = role["rules"].as_array().into_iter().flatten();
        rules.clone().any(|rule| {
            texts(&rule["resources"]).contains(&"secrets") && texts(&rule["verbs"]).contains(&"get")
        })
    };
    let roles: BTreeSet<&str> = of_kind(&objects, "Role")
        .into_iter()
        .filter(reads_secrets)
        .map(namespace)
        .collect();
    assert_eq!(roles, readable);
    let bound: BTreeSet<&str> = of_kind(&objects, "RoleBinding")
        .into_iter()
        .map(namespace)
        .collect();
    assert_eq!(bound, readable);
    assert!(!of_kind(&objects, "ClusterRole").iter().any(reads_secrets));
}

/// Wave and options that an object has for Argo CD.
fn wave(object: &Value) -> (&str, &str) {
    let annotation = |name: &str| {
        let name = format!("argocd.argoproj.io/{name}");
        let value = object["metadata"]["annotations"][name].as_str();
        value.unwrap_or_default()
    };
    (annotation("sync-wave"), annotation("sync-options"))
}

#[test]
fn argo_cd_has_a_wave_for_every_object_and_asks_before_a_kind_goes() {
    for object in built("deploy/argocd/operator") {
        let wanted = match object["kind"].as_str() {
            Some("CustomResourceDefinition") => ("-2", "Prune=confirm,Delete=confirm"),
            _ => ("-1", ""),
        };
        assert_eq!(
            wave(&object),
            wanted,
            "{} {}",
            object["kind"],
            name(&object)
        );
    }
    for object in built("deploy/argocd/registries") {
        let wanted = match object["kind"].as_str() {
            Some("ReplicationRegistry") => ("1", "SkipDryRunOnMissingResource=true"),
            Some("SwrAccount") => ("0", "SkipDryRunOnMissingResource=true"),
            _ => ("0", ""),
        };
        assert_eq!(
            wave(&object),
            wanted,
            "{} {}",
            object["kind"],
            name(&object)
        );
    }
    let folders = folders();
    let applications = built("deploy/argocd/applications");
    assert_eq!(of_kind(&applications, "Application").len(), 2);
    for application in &applications {
        let spec = &application["spec"];
        let path = spec["source"]["path"].as_str().unwrap_or_default();
        assert!(folders.contains(&path.to_owned()), "{path}");
        assert_eq!(
            texts(&spec["syncPolicy"]["syncOptions"]),
            ["ServerSideApply=true"]
        );
        // Replaced objects lose their finalizer.
        assert!(!application.to_string().contains("Replace=true"));
    }
}

#[test]
fn the_kustomizations_of_flux_wait_for_each_other() {
    let folders = folders();
    let chain = |folder: &str| -> Vec<String> {
        let objects = built(folder);
        let sources: BTreeSet<(&str, &str)> = objects
            .iter()
            .filter(|object| {
                object["kind"]
                    .as_str()
                    .unwrap_or_default()
                    .ends_with("Repository")
            })
            .map(|source| (source["kind"].as_str().unwrap_or_default(), name(source)))
            .collect();
        let mut left = of_kind(&objects, "Kustomization");
        let mut chain: Vec<String> = Vec::new();
        while let Some(at) = left.iter().position(|its| {
            let mut needed = its["spec"]["dependsOn"].as_array().into_iter().flatten();
            needed.all(|needed| chain.iter().any(|done| needed["name"] == **done))
        }) {
            let next = left.remove(at);
            let spec = &next["spec"];
            assert_eq!(
                (&spec["wait"], &spec["timeout"]),
                (&json!(true), &json!("5m"))
            );
            let reference = &spec["sourceRef"];
            let source =
                ["kind", "name"].map(|field| reference[field].as_str().unwrap_or_default());
            assert!(sources.contains(&(source[0], source[1])), "{source:?}");
            let path = spec["path"].as_str().unwrap_or_default();
            let path = path.trim_start_matches("./").to_owned();
            assert!(folders.contains(&path), "{path}");
            let has_kinds = !of_kind(&built(&path), "CustomResourceDefinition").is_empty();
            assert!(!has_kinds || spec["prune"] == false, "{path} prunes kinds");
            chain.push(name(next).to_owned());
        }
        assert!(left.is_empty(), "{left:?} wait in vain");
        chain
    };
    assert_eq!(
        chain("deploy/flux"),
        ["swr-operator-crds", "swr-operator", "swr-registries"]
    );
    assert_eq!(
        chain("deploy/flux/helm"),
        ["swr-operator", "swr-registries"]
    );
    // No object is held by two of them.
    let keys = |folder: &str| -> BTreeSet<String> {
        built(folder)
            .iter()
            .map(|object| format!("{} {}/{}", object["kind"], namespace(object), name(object)))
            .collect()
    };
    let (kinds, operator) = (keys("deploy/flux/crds"), keys("deploy/flux/operator"));
    assert!(kinds.is_disjoint(&operator));
    let all: BTreeSet<String> = kinds.union(&operator).cloned().collect();
    assert_eq!(all, keys("deploy/base"));
    for kind in built("deploy/flux/crds") {
        let annotations = &kind["metadata"]["annotations"];
        assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    }
}

#[test]
fn every_way_to_bring_a_secret_makes_the_one_that_the_sample_names() {
    let sample = one("deploy/samples/swr-pro.yaml");
    let wanted = (
        namespace(&sample),
        &sample["spec"]["credentialSecretRef"]["name"],
    );
    let keys = |fields: &Value| -> BTreeSet<String> {
        let fields = fields.as_object().expect("fields");
        fields.keys().cloned().collect()
    };
    let basic_auth = BTreeSet::from(["password".to_owned(), "username".to_owned()]);

    let external = one("deploy/secrets/external-secrets/harbor-dr.yaml");
    let target = &external["spec"]["target"];
    assert_eq!((namespace(&external), &target["name"]), wanted);
    assert_eq!(keys(&target["template"]["data"]), basic_auth);
    let store = one("deploy/secrets/external-secrets/secretstore.yaml");
    assert_eq!(external["spec"]["secretStoreRef"]["name"], name(&store));
    assert_eq!(namespace(&external), namespace(&store));

    let sealed = one("deploy/secrets/sealed-secrets/harbor-dr.yaml");
    let template = &sealed["spec"]["template"];
    assert_eq!((namespace(&sealed), &template["metadata"]["name"]), wanted);
    assert_eq!(namespace(&sealed), namespace(template));
    assert_eq!(keys(&sealed["spec"]["encryptedData"]), basic_auth);
    // The controller compares the scope of both.
    let scope = "sealedsecrets.bitnami.com/namespace-wide";
    assert_eq!(sealed["metadata"]["annotations"][scope], "true");
    assert_eq!(template["metadata"]["annotations"][scope], "true");

    let plain = one("deploy/secrets/sops/harbor-dr.sops.yaml");
    assert_eq!((namespace(&plain), &plain["metadata"]["name"]), wanted);
    assert_eq!(keys(&plain["stringData"]), basic_auth);
    let rules = one("deploy/secrets/sops/.sops.yaml");
    let rule = &rules["creation_rules"][0];
    assert_eq!(rule["path_regex"], r".*\.sops\.yaml$");
    assert_eq!(rule["encrypted_regex"], "^(data|stringData)$");
    let flux = one("deploy/secrets/sops/flux.yaml");
    assert_eq!(flux["spec"]["decryption"]["provider"], "sops");

    for secret in [
        &template["type"],
        &target["template"]["type"],
        &plain["type"],
    ] {
        assert_eq!(*secret, "kubernetes.io/basic-auth");
    }
}

#[test]
fn every_manifest_is_part_of_something() {
    let folders = folders();
    for path in files("deploy", "yaml") {
        let is_listed = lone_files().contains(&path.as_str())
            || OTHER_FILES.iter().any(|other| path.starts_with(other))
            || path.ends_with("/kustomization.yaml");
        let (folder, file) = path.rsplit_once('/').expect("a folder");
        let is_built = folders.contains(&folder.to_owned())
            && read(&format!("{folder}/kustomization.yaml")).contains(file);
        assert!(is_listed || is_built, "{path} is in no kustomization");
    }
}
