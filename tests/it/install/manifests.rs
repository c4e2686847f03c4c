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
const OTHER_FILES: [&str; 8] = [
    "deploy/argocd/argocd-cm-patch.yaml",
    "deploy/argocd/resource_customizations/",
    "deploy/ci/",
    "deploy/krew/",
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
    // An id that ships would be that of everybody who does not read on.
    assert_eq!(variable("SWR_OPERATOR_INSTALLATION_ID"), "");
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

#[test]
fn the_overlay_for_two_replicas_elects_one_of_them_and_lets_one_be_evicted() {
    let objects = built("deploy/overlays/ha");
    let deployment = &of_kind(&objects, "Deployment")[0]["spec"];
    assert_eq!(deployment["replicas"], 2);
    let one_more = json!({"maxSurge": 1, "maxUnavailable": 0});
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": one_more});
    assert_eq!(deployment["strategy"], strategy);
    let pod = &deployment["template"];
    let env = pod["spec"]["containers"][0]["env"].as_array();
    let elects = json!({"name": "SWR_OPERATOR_LEADER_ELECT", "value": "true"});
    assert!(env.is_some_and(|env| env.contains(&elects)), "{env:?}");
    // What both select are the pods of this Deployment.
    let budget = &of_kind(&objects, "PodDisruptionBudget")[0]["spec"];
    let spread = pod["spec"]["topologySpreadConstraints"].as_array();
    let spread = spread.into_iter().flatten();
    let selectors = spread.map(|it| &it["labelSelector"]);
    for selector in selectors.chain([&budget["selector"], &deployment["selector"]]) {
        let labels = selector["matchLabels"].as_object().expect("labels");
        for (label, value) in labels {
            assert_eq!(pod["metadata"]["labels"][label], *value);
        }
    }
    // The operator asks for this lease, unless it is told another name.
    let role = of_kind(&objects, "Role").into_iter();
    let mut role = role.filter(|role| name(role) == "swr-operator-leader-election");
    let rules = &role.next().expect("a Role")["rules"];
    assert_eq!(rules[1]["resourceNames"], json!(["swr-operator"]));
}

#[test]
fn an_installation_for_some_namespaces_has_no_policy_for_the_whole_cluster() {
    for kind in [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] {
        for (folder, n_wanted) in [("deploy/base", 1), ("deploy/overlays/namespaced", 0)] {
            let objects = built(folder);
            let found = of_kind(&objects, kind);
            assert_eq!(found.len(), n_wanted, "{folder}: {kind}");
            // kubectl's kustomize takes the kind for namespaced.
            assert!(found.iter().all(|object| namespace(object).is_empty()));
        }
    }
}

#[test]
fn nothing_that_is_installed_makes_the_api_server_ask_the_operator() {
    for folder in folders() {
        for object in built(&folder) {
            let kind = object["kind"].as_str().unwrap_or_default();
            let is_asked = kind.ends_with("WebhookConfiguration") || kind == "APIService";
            let converts = object["spec"]["conversion"]["strategy"] == "Webhook";
            assert!(!is_asked && !converts, "{folder}: {kind}");
        }
    }
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
    let [accounts, registries] = ["deploy/argocd/accounts", "deploy/argocd/registries"].map(built);
    for object in accounts.iter().chain(&registries) {
        let wanted = match object["kind"].as_str() {
            Some("ReplicationRegistry") => ("1", "SkipDryRunOnMissingResource=true"),
            Some("SwrAccount") => (
                "0",
                "SkipDryRunOnMissingResource=true,Prune=confirm,Delete=confirm",
            ),
            Some("Namespace") => ("0", "Prune=false,Delete=false"),
            _ => ("0", ""),
        };
        assert_eq!(wave(object), wanted, "{} {}", object["kind"], name(object));
    }
    let folders = folders();
    let objects = built("deploy/argocd/applications");
    let applications = of_kind(&objects, "Application");
    let names: Vec<&str> = applications.iter().map(|its| name(its)).collect();
    assert_eq!(names, ["swr-accounts", "swr-operator", "swr-registries"]);
    for application in applications {
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

/// Kinds of what a folder makes.
fn kinds(folder: &str) -> BTreeSet<String> {
    let objects = built(folder);
    let kinds = objects.iter().map(|object| object["kind"].as_str());
    kinds.map(|kind| kind.expect("a kind").to_owned()).collect()
}

#[test]
fn a_tenant_holds_registries_and_nothing_that_grants() {
    let for_flux = ["Namespace", "RoleBinding", "ServiceAccount", "SwrAccount"];
    for (way, of_accounts) in [
        ("argocd", &["Namespace", "SwrAccount"][..]),
        ("flux", &for_flux[..]),
    ] {
        let kinds = ["accounts", "registries"].map(|part| kinds(&format!("deploy/{way}/{part}")));
        let wanted = [of_accounts, &["ReplicationRegistry"]];
        let wanted: [BTreeSet<String>; 2] =
            wanted.map(|kinds| kinds.iter().map(|&kind| kind.to_owned()).collect());
        assert_eq!(kinds, wanted);
    }
    // The samples are all of it, in one command.
    let all = kinds("deploy/samples");
    let parts = ["accounts", "secrets", "registries"];
    let parts = parts
        .iter()
        .flat_map(|part| kinds(&format!("deploy/samples/{part}")));
    assert_eq!(all, parts.collect::<BTreeSet<String>>());

    let objects = built("deploy/argocd/applications");
    let project = of_kind(&objects, "AppProject")[0];
    let tenants: Vec<&str> = of_kind(&objects, "Application")
        .into_iter()
        .filter(|its| its["spec"]["project"] == *name(project))
        .map(name)
        .collect();
    assert_eq!(tenants, ["swr-registries"]);
    let spec = &project["spec"];
    assert_eq!(spec["clusterResourceWhitelist"], Value::Null);
    let namespace = json!("images");
    assert_eq!(spec["destinations"][0]["namespace"], namespace);
    for object in built("deploy/argocd/registries") {
        assert_eq!(object["metadata"]["namespace"], namespace);
        let api = object["apiVersion"].as_str().expect("a version");
        let group = api.split_once('/').map_or("", |(group, _)| group);
        let wanted = json!({"group": group, "kind": object["kind"]});
        let permitted = spec["namespaceResourceWhitelist"].as_array();
        assert!(permitted.expect("kinds").contains(&wanted), "{wanted}");
    }
}

#[test]
fn flux_writes_what_a_tenant_commits_with_rights_in_its_namespace_alone() {
    let accounts = built("deploy/flux/accounts");
    let tenant = of_kind(&accounts, "ServiceAccount")[0];
    let binding = of_kind(&accounts, "RoleBinding")[0];
    let subject = json!({
        "kind": "ServiceAccount", "name": name(tenant), "namespace": namespace(tenant),
    });
    assert_eq!(binding["subjects"], json!([subject]));
    assert_eq!(binding["roleRef"]["name"], "edit");
    for object in built("deploy/flux/registries") {
        assert_eq!(namespace(&object), namespace(binding));
    }
    for shipped in [
        built("deploy/flux"),
        built("deploy/flux/helm"),
        objects(&read("deploy/secrets/sops/flux.yaml")),
    ] {
        let mut n_tenants = 0;
        for its in of_kind(&shipped, "Kustomization") {
            let is_tenants = name(its).ends_with("-registries");
            let wanted = match is_tenants {
                true => json!(name(tenant)),
                false => Value::Null,
            };
            assert_eq!(its["spec"]["serviceAccountName"], wanted, "{}", name(its));
            // Flux looks for it in the namespace of the Kustomization.
            assert_eq!(namespace(its), namespace(tenant));
            n_tenants += usize::from(is_tenants);
        }
        assert_eq!(n_tenants, 1);
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
    let order = [
        "swr-operator-crds",
        "swr-operator",
        "swr-accounts",
        "swr-registries",
    ];
    assert_eq!(chain("deploy/flux"), order);
    assert_eq!(chain("deploy/flux/helm"), order);
    // What goes out of order leaves the accounts, without which no object goes.
    for folder in ["deploy/flux", "deploy/flux/helm"] {
        let objects = built(folder);
        let policies: BTreeSet<(&str, &str)> = of_kind(&objects, "Kustomization")
            .into_iter()
            .filter_map(|its| Some((name(its), its["spec"]["deletionPolicy"].as_str()?)))
            .collect();
        assert_eq!(
            policies,
            BTreeSet::from([
                ("swr-accounts", "Orphan"),
                ("swr-registries", "WaitForTermination"),
            ])
        );
    }
    // A rollback of the release leaves the kinds alone.
    let release = one("deploy/flux/helm/release/helmrelease.yaml");
    assert_eq!(release["spec"]["values"]["crds"]["enabled"], false);
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
    let accounts = built("deploy/flux/accounts");
    let kinds = built("deploy/flux/crds");
    for object in of_kind(&accounts, "Namespace").into_iter().chain(&kinds) {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    }
}

/// A Secret as something else makes it.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    namespace: String,
    name: String,
    /// Empty for the default.
    type_: String,
    keys: BTreeSet<String>,
}

impl Made {
    fn new(namespace: &str, name: &Value, type_: &Value, keys: BTreeSet<String>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.as_str().expect("a name").to_owned(),
            type_: type_.as_str().unwrap_or_default().to_owned(),
            keys,
        }
    }

    /// What each way of `deploy/secrets` makes of its file for this part and name.
    fn by_all_ways(part: &str, file: &str) -> [Self; 3] {
        let keys = |fields: &Value| -> BTreeSet<String> {
            let fields = fields.as_object().expect("fields");
            fields.keys().cloned().collect()
        };
        let path = |way: &str, file: &str| format!("deploy/secrets/{way}/{part}/{file}.yaml");

        let external = one(&path("external-secrets", file));
        let target = &external["spec"]["target"];
        let data = external["spec"]["data"].as_array().expect("data");
        let fetched: BTreeSet<String> = data
            .iter()
            .filter_map(|its| its["secretKey"].as_str().map(str::to_owned))
            .collect();
        let template = &target["template"];
        if !template.is_null() {
            assert_eq!(keys(&template["data"]), fetched);
        }
        let store = one(&path("external-secrets", "secretstore"));
        assert_eq!(external["spec"]["secretStoreRef"]["name"], name(&store));
        assert_eq!(namespace(&external), namespace(&store));

        let sealed = one(&path("sealed-secrets", file));
        let unsealed = &sealed["spec"]["template"];
        // Strictly: what `kubeseal` without a scope seals is bound to both.
        assert_eq!(unsealed["metadata"]["name"], name(&sealed));
        assert_eq!(namespace(unsealed), namespace(&sealed));
        assert_eq!(sealed["metadata"]["annotations"], Value::Null);

        let plain = one(&path("sops", &format!("{file}.sops")));
        [
            Self::new(
                namespace(&external),
                &target["name"],
                &template["type"],
                fetched,
            ),
            Self::new(
                namespace(&sealed),
                &unsealed["metadata"]["name"],
                &unsealed["type"],
                keys(&sealed["spec"]["encryptedData"]),
            ),
            Self::new(
                namespace(&plain),
                &plain["metadata"]["name"],
                &plain["type"],
                keys(&plain["stringData"]),
            ),
        ]
    }
}

#[test]
fn every_way_to_bring_a_secret_makes_those_that_the_samples_name() {
    let set = |keys: [&str; 2]| BTreeSet::from(keys.map(str::to_owned));
    let registry = one("deploy/samples/registries/swr-pro.yaml");
    for made in Made::by_all_ways("registries", "harbor-dr") {
        let wanted = Made::new(
            namespace(&registry),
            &registry["spec"]["credentialSecretRef"]["name"],
            &json!("kubernetes.io/basic-auth"),
            set(["username", "password"]),
        );
        assert_eq!(made, wanted);
    }
    let account = one("deploy/samples/accounts/account.yaml");
    for made in Made::by_all_ways("accounts", "swr-cloud") {
        let wanted = Made::new(
            "swr-operator",
            &account["spec"]["auth"]["accessKeySecretRef"]["name"],
            &Value::Null,
            set(["accessKey", "secretKey"]),
        );
        assert_eq!(made, wanted);
    }

    let rules = one("deploy/secrets/sops/.sops.yaml");
    let rule = &rules["creation_rules"][0];
    assert_eq!(rule["path_regex"], r".*\.sops\.yaml$");
    assert_eq!(rule["encrypted_regex"], "^(data|stringData)$");
    let flux = built("deploy/flux");
    let known = of_kind(&flux, "Kustomization");
    let folders = folders();
    for decrypts in objects(&read("deploy/secrets/sops/flux.yaml")) {
        let spec = &decrypts["spec"];
        assert_eq!(spec["decryption"]["provider"], "sops");
        let path = spec["path"].as_str().unwrap_or_default();
        let path = path.trim_start_matches("./").to_owned();
        assert!(folders.contains(&path), "{path}");
        let waits_for = &spec["dependsOn"][0]["name"];
        assert!(
            known.iter().any(|its| name(its) == *waits_for),
            "{waits_for}"
        );
    }
}

#[test]
fn the_memory_limit_is_above_what_ten_thousand_objects_took() {
    let deployment = one("deploy/base/deployment.yaml");
    let limit =
        &deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"];
    let mebibytes = limit
        .as_str()
        .and_then(|text| text.strip_suffix("Mi")?.parse().ok());
    let limit: u64 = mebibytes.expect("a limit in Mi");
    let measured = read("docs/performance/bench.json");
    let measured: Value = serde_json::from_str(&measured).expect("JSON");
    let runs = measured["runs"].as_array().into_iter().flatten();
    let of_10_000 = runs.filter(|run| run["contestant"] == "ours" && run["n"] == 10_000);
    let workloads = of_10_000.flat_map(|run| run["workloads"].as_array().into_iter().flatten());
    let peaks = workloads.filter_map(|workload| workload["memory_kib"]["rss_peak"].as_u64());
    let peak = peaks.max().expect("10,000 objects were measured") / 1024;
    // The pages of the binary, which the peak counts too, can be given back; a fifth is for what nobody measured.
    assert!(peak * 5 < limit * 4, "{peak} MiB of {limit}");
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
