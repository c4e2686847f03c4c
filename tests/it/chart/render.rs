//! What Helm makes of values, without a cluster: kinds, arguments, permissions, sentences.

use std::collections::BTreeSet;
use std::process::Command;

use expect_test::expect_file;
use harness::Operator;
use serde_json::{Value, json};

use super::{
    CHART, MONITORING, arguments, chart, ci_values, default_values, helm, kind, name, objects,
    only, rendered, template,
};
use crate::architecture::{files, read};
use crate::documents::lost;

#[test]
fn helm_finds_no_fault_with_any_way_to_install() {
    for (name, path) in ci_values() {
        let chart = chart().display().to_string();
        let said = helm(None, &["lint", "--strict", &chart, "--values", &path]);
        assert!(said.success, "{name}: {}{}", said.stdout, said.stderr);
        assert!(
            !said.stdout.contains("[WARNING]"),
            "{name}: {}",
            said.stdout
        );
    }
}

#[test]
fn rendering_twice_gives_the_same_bytes_and_a_package_gives_them_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().display().to_string();
    let chart = chart().display().to_string();
    helm(None, &["package", &chart, "--destination", &into]).or_panic();
    let packed = std::fs::read_dir(folder.path()).expect("a folder");
    let packed = packed.map(|entry| entry.expect("an entry").path());
    let packed = packed.last().expect("a package").display().to_string();
    for (name, path) in ci_values() {
        let args = [&["--values", path.as_str()], &MONITORING[..]].concat();
        let once = template(&args).or_panic();
        assert_eq!(once, template(&args).or_panic(), "{name}");
        let fixed = ["template", "swr-operator", &packed];
        let args = [&fixed[..], &["--namespace", "swr-operator"], &args].concat();
        assert_eq!(once, helm(None, &args).or_panic(), "{name}");
    }
}

#[test]
fn nothing_is_left_to_chance_to_the_cluster_or_to_hooks() {
    for path in files(&format!("{CHART}/templates"), "yaml")
        .into_iter()
        .chain(files(&format!("{CHART}/templates"), "tpl"))
    {
        let text = read(&path);
        for word in [
            "lookup",
            "rand",
            "uuidv4",
            "genCA",
            "genSigned",
            "now",
            "Revision",
        ] {
            let uses = text
                .split("{{")
                .skip(1)
                .filter_map(|rest| rest.split("}}").next())
                .filter(|action| !action.contains("/*"))
                .any(|action| {
                    action
                        .split(|c: char| !c.is_alphanumeric())
                        .any(|w| w.starts_with(word))
                });
            assert!(!uses, "{path} uses {word}");
        }
        assert_eq!(
            text.contains("helm.sh/hook"),
            path.contains("/tests/"),
            "{path}: the pod of helm test is the only hook"
        );
    }
}

/// Which objects there are, with which monitoring kinds in the cluster.
#[test]
fn every_way_to_install_renders_its_objects() {
    let mut seen = Vec::new();
    for (name_of_file, path) in ci_values() {
        for (cluster, versions) in [("without", &[][..]), ("with", &MONITORING[..])] {
            let args = [&["--values", path.as_str()], versions].concat();
            let mut lines: Vec<String> = rendered(&args)
                .iter()
                .map(|object| {
                    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("-");
                    format!("  {} {namespace}/{}\n", kind(object), name(object))
                })
                .collect();
            lines.sort();
            seen.push(format!(
                "{name_of_file}, {cluster} the Prometheus operator:\n{}",
                lines.concat()
            ));
        }
    }
    expect_file!["../goldens/chart-objects.txt"].assert_eq(&seen.concat());
}

/// For review: everything but the long files that are copies anyway.
#[test]
fn every_value_arrives_where_it_belongs() {
    let values = ci_values();
    let (_, path) = values
        .iter()
        .find(|(name, _)| name == "everything")
        .expect("everything");
    let text = template(&[&["--values", path.as_str()], &MONITORING[..]].concat()).or_panic();
    let shown: Vec<&str> = text
        .split("\n---\n")
        .filter(|part| {
            !["CustomResourceDefinition", "PrometheusRule"]
                .iter()
                .any(|kind| part.contains(&format!("\nkind: {kind}\n")))
        })
        .map(|part| {
            part.split("  swr-operator.json: |")
                .next()
                .unwrap_or_default()
        })
        .collect();
    expect_file!["../goldens/chart-everything.yaml"].assert_eq(&shown.join("\n---\n"));
}

/// `1.0` and `1` are one number, and Helm writes the latter.
fn with_plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(with_plain_numbers).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), with_plain_numbers(value)))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn the_definitions_are_those_of_the_binary_with_what_helm_needs() {
    let crds = |args: &[&str]| -> Vec<Value> {
        let mut found = rendered(args);
        found.retain(|object| kind(object) == "CustomResourceDefinition");
        found
    };
    let sources: Vec<Value> = files("crds", "yaml")
        .iter()
        .flat_map(|path| objects(&read(path)))
        .filter(|object| kind(object) == "CustomResourceDefinition")
        .collect();
    let annotation = "crds.annotations.example\\.com/prune=no";
    for (args, annotations) in [
        (&[][..], json!({"helm.sh/resource-policy": "keep"})),
        (&["--set", "crds.keep=false"], Value::Null),
        (
            &["--set", annotation],
            json!({"example.com/prune": "no", "helm.sh/resource-policy": "keep"}),
        ),
    ] {
        let found = crds(args);
        assert_eq!(found.len(), sources.len());
        for (found, source) in found.iter().zip(&sources) {
            assert_eq!(name(found), name(source));
            let specs = [found, source].map(|crd| with_plain_numbers(&crd["spec"]));
            assert_eq!(lost(&specs[0], &specs[1]), None, "{}", name(source));
            assert_eq!(lost(&specs[1], &specs[0]), None, "{}", name(source));
            assert_eq!(found["metadata"]["annotations"], annotations);
        }
    }
    assert_eq!(crds(&["--set", "crds.enabled=false"]), Vec::<Value>::new());
}

#[test]
fn a_misspelt_value_is_refused_with_its_name() {
    for (set, place, word) in [
        ("typo=1", "", "typo"),
        ("image.tga=1", "/image", "tga"),
        ("crds.annotation.a=b", "/crds", "annotation"),
        ("watch.namespace={a}", "/watch", "namespace"),
        ("cloud.proxy.http=x", "/cloud/proxy", "http"),
        ("reconcile.poll=1m", "/reconcile", "poll"),
        ("metrics.service.prot=1", "/metrics/service", "prot"),
        (
            "metrics.serviceMonitor.lables.a=b",
            "/metrics/serviceMonitor",
            "lables",
        ),
        ("rbac.secrets.names={a}", "/rbac/secrets", "names"),
        ("networkPolicy.cloud.port=1", "/networkPolicy/cloud", "port"),
        ("imagePullSecrets[0].nam=a", "/imagePullSecrets/0", "nam"),
        ("resources.request.cpu=1", "/resources", "request"),
        (
            "podSecurityContext.runAsUsr=1",
            "/podSecurityContext",
            "runAsUsr",
        ),
        (
            "podSecurityContext.seccompProfile.typ=a",
            "/podSecurityContext/seccompProfile",
            "typ",
        ),
        (
            "securityContext.capabilities.dorp={ALL}",
            "/securityContext/capabilities",
            "dorp",
        ),
    ] {
        let said = template(&["--set", set]).refused();
        let sentence = format!("at '{place}': additional properties '{word}' not allowed");
        assert!(said.contains(&sentence), "{set}: {said}");
    }
    for set in [
        // What a parent chart hands down is its own affair.
        "global.anything=1,enabled=true",
        "podSecurityContext.runAsUser=1000,podSecurityContext.fsGroup=1000",
        "resources.limits.cpu=1,resources.limits.example\\.com/device=2",
    ] {
        template(&["--set", set]).or_panic();
    }
}

#[test]
fn a_value_of_the_wrong_form_is_refused() {
    for (set, place) in [
        ("readOnly=maybe", "/readOnly"),
        ("image.digest=latest", "/image/digest"),
        ("reconcile.settle=120", "/reconcile/settle"),
        ("reconcile.grace=0s", "/reconcile/grace"),
        ("leaderElection.enabled=maybe", "/leaderElection/enabled"),
        (
            "podDisruptionBudget.maxUnavailable=half",
            "/podDisruptionBudget/maxUnavailable",
        ),
        (
            "cloud.swrEndpoints.r=swr.example.com",
            "/cloud/swrEndpoints/r",
        ),
        ("log.format=xml", "/log/format"),
        ("health.port=0", "/health/port"),
        ("networkPolicy.cloud.ports=null", "/networkPolicy/cloud"),
        (
            "networkPolicy.apiServer.ports=null",
            "/networkPolicy/apiServer",
        ),
        ("watch.namespaces={a,a}", "/watch/namespaces"),
        (
            "metrics.serviceMonitor.renderMode=skip",
            "/metrics/serviceMonitor/renderMode",
        ),
    ] {
        let said = template(&["--set", set]).refused();
        assert!(said.contains(&format!("- at '{place}': ")), "{set}: {said}");
    }
    // A rule without ports and addresses would allow everything.
    for side in ["apiServer", "cloud"] {
        let set = format!("networkPolicy.{side}.ports=[]");
        let said = template(&["--set-json", &set]).refused();
        let sentence = format!("- at '/networkPolicy/{side}/ports': minItems: got 0, want 1");
        assert!(said.contains(&sentence), "{set}: {said}");
    }
}

#[test]
fn contradictions_are_refused_with_a_sentence() {
    let mut seen = Vec::new();
    for set in [
        "image.registry=",
        "image.registry=,image.repository=team/swr-operator",
        "image.registry=,image.repository=swr-operator.v2",
        "watch.namespaces={a}",
        "watch.namespaces={a},installationId=i,rbac.secrets.resourceNames={s}",
        "watch.secrets=all,rbac.secrets.resourceNames={s}",
        "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true",
        "metrics.enabled=false,metrics.podMonitor.enabled=true",
        "metrics.service.enabled=false,metrics.serviceMonitor.enabled=true",
        "metrics.port=8081",
        "reconcile.settle=39s",
        "reconcile.settle=2s,reconcile.writeDeadline=1s",
        "replicaCount=2,leaderElection.enabled=false",
        "replicaCount=2,reconcile.writeDeadline=21s",
        "leaderElection.enabled=true,leaderElection.leaseDuration=59s",
        "leaderElection.enabled=true,leaderElection.leaseDuration=11m",
        "leaderElection.enabled=true,leaderElection.retryPeriod=16s",
        "cloud.proxy.noProxy=example.com",
        "extraArgs={--kubeconfig=/config,--log-level=debug}",
        "readOnly=true,extraArgs={--read-only}",
        "networkPolicy.enabled=true,cloud.proxy.url=http://proxy.example.com:3128",
        "networkPolicy.enabled=true,cloud.proxy.url=http://[2001:db8::1]",
        "networkPolicy.enabled=true,extraEnv[0].name=SWR_OPERATOR_PROXY,extraEnv[0].value=https://p:8443/",
        "networkPolicy.enabled=true,cloud.swrEndpoints.r=https://swr.example.com:8443",
        "networkPolicy.enabled=true,cloud.iamEndpoints.r=http://iam.example.com,cloud.proxy.url=https://p",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p,networkPolicy.extraEgress[0].ports[0].port=81",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p,networkPolicy.extraEgress[0].ports[0].protocol=UDP",
        "metrics.podMonitor.enabled=true,metrics.podMonitor.renderMode=failIfMissing",
        "prometheusRule.enabled=true,prometheusRule.renderMode=alwaysRender,prometheusRule.disabled={Nonsense}",
    ] {
        let said = template(&["--set", set]).refused();
        let sentence = said
            .lines()
            .next()
            .and_then(|line| line.split_once("): "))
            .unwrap_or_else(|| panic!("{set}: {said}"));
        // With helpers in between Helm names every place on the way.
        let sentence = sentence.1.rsplit(": error calling fail: ").next();
        seen.push(format!("--set {set}\n  {}\n", sentence.unwrap_or_default()));
    }
    expect_file!["../goldens/chart-refused.txt"].assert_eq(&seen.concat());
    // None of these is one.
    for set in [
        "image.registry=,image.repository=localhost/swr-operator",
        "image.registry=,image.repository=registry:5000/swr-operator",
        "reconcile.settle=40s",
        "leaderElection.leaseDuration=1s,reconcile.writeDeadline=60s",
        "replicaCount=2,leaderElection.leaseDuration=66s,leaderElection.renewDeadline=35s",
        "metrics.enabled=false,metrics.port=8081",
        "cloud.proxy.noProxy=a,extraEnv[0].name=SWR_OPERATOR_PROXY,extraEnv[0].value=http://p:1",
        "metrics.service.port=8081",
        "extraArgs={--read-only,--oidc-token-file,/token}",
        "networkPolicy.enabled=true,cloud.proxy.url=https://p",
        "networkPolicy.enabled=true,cloud.swrEndpoints.r=https://swr.example.com/path:1",
        // A proxy that is not known here, and serves what is https.
        "networkPolicy.enabled=true,extraEnv[0].name=SWR_OPERATOR_PROXY,extraEnv[0].value=http://$(HOST):1",
        "networkPolicy.enabled=true,cloud.iamEndpoints.r=https://i:1,extraEnv[0].name=SWR_OPERATOR_PROXY",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p:3128,networkPolicy.cloud.ports={3128}",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p,networkPolicy.extraEgress[0].ports[0].port=80",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p,networkPolicy.extraEgress[0].ports[0].port=proxy",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p,networkPolicy.extraEgress[0].to[0].podSelector.a=b",
        "networkPolicy.enabled=true,cloud.proxy.url=http://p:90,networkPolicy.extraEgress[0].ports[0].port=80,\
         networkPolicy.extraEgress[0].ports[0].endPort=90",
    ] {
        template(&["--set", set]).or_panic();
    }
}

#[test]
fn the_image_is_named_as_a_mirror_or_a_digest_wants_it() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let tag = env!("CARGO_PKG_VERSION");
    for (set, image) in [
        (
            "image.tag=",
            format!("registry.example.com/swr-operator:{tag}"),
        ),
        (
            "image.tag=main",
            "registry.example.com/swr-operator:main".to_owned(),
        ),
        (
            "image.registry=r.example.com:5000,image.repository=team/swr-operator",
            format!("r.example.com:5000/team/swr-operator:{tag}"),
        ),
        (
            "global.imageRegistry=mirror.example.com,image.registry=",
            format!("mirror.example.com/swr-operator:{tag}"),
        ),
        (
            "global.imageRegistry=mirror.example.com,image.registry=r.example.com",
            format!("r.example.com/swr-operator:{tag}"),
        ),
        (
            "image.registry=,image.repository=r.example.com/team/swr-operator",
            format!("r.example.com/team/swr-operator:{tag}"),
        ),
        (
            &format!("image.digest={digest}"),
            format!("registry.example.com/swr-operator:{tag}@{digest}"),
        ),
    ] {
        let objects = rendered(&["--set", set]);
        let pods = [
            &only(&objects, "Deployment")["spec"]["template"],
            only(&objects, "Pod"),
        ];
        for pod in pods {
            assert_eq!(pod["spec"]["containers"][0]["image"], image, "{set}");
        }
    }
}

#[test]
fn every_argument_is_a_flag_of_the_operator() {
    let help = |verb: &str| {
        let output = Command::new(Operator::executable())
            .args([verb, "--help"])
            .output()
            .expect("the operator runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let known = help("run");
    for (name, path) in ci_values() {
        let args = arguments(&rendered(&["--values", &path]));
        assert_eq!(args.first().map(String::as_str), Some("run"), "{name}");
        for arg in &args[1..] {
            let flag = arg.split('=').next().unwrap_or_default();
            assert!(
                known.split_whitespace().any(|word| word == flag),
                "{name}: the operator has no {flag}"
            );
        }
    }
}

/// A permission: role's scope, API group, resource, name or none, verb.
type Permission = (String, String, String, String, String);

/// What the ServiceAccount may do, whatever the roles are called.
fn permissions(objects: &[Value]) -> BTreeSet<Permission> {
    super::life::granted(objects)
        .into_iter()
        .map(|grant| {
            let text = |value: Option<String>| value.unwrap_or_else(|| "*".to_owned());
            (
                text(grant.namespace),
                grant.group,
                grant.resource,
                text(grant.name),
                grant.verb,
            )
        })
        .collect()
}

#[test]
fn the_permissions_are_those_of_deploy_base() {
    let base: Vec<Value> = ["rbac", "rbac-users"]
        .iter()
        .flat_map(|name| objects(&read(&format!("deploy/base/{name}.yaml"))))
        .map(|mut object| {
            // The kustomization puts everything into one namespace.
            if matches!(kind(&object), "Role" | "RoleBinding") {
                object["metadata"]["namespace"] = json!("swr-operator");
            }
            object
        })
        .collect();
    let chart = rendered(&[]);
    assert_eq!(permissions(&chart), permissions(&base));
    // Those of people, with the labels that aggregate them.
    let people = |objects: &[Value]| -> Vec<Value> {
        let roles = objects
            .iter()
            .filter(|object| kind(object) == "ClusterRole" && name(object) != "swr-operator");
        roles
            .map(|role| {
                let labels = role["metadata"]["labels"].as_object();
                let labels = labels.into_iter().flatten().map(|(label, _)| label);
                let aggregating: Vec<&String> = labels
                    .filter(|label| label.starts_with("rbac.authorization.k8s.io/"))
                    .collect();
                json!([name(role), aggregating, role["rules"]])
            })
            .collect()
    };
    assert_eq!(people(&chart), people(&base));
}

/// But for what the values say in arguments, and names.
#[test]
fn the_pod_is_that_of_deploy_base() {
    let spec = |objects: &[Value]| {
        let mut spec = only(objects, "Deployment")["spec"].clone();
        let pod = &mut spec["template"]["spec"];
        pod["automountServiceAccountToken"] = Value::Null;
        for field in ["args", "image", "imagePullPolicy"] {
            pod["containers"][0][field] = Value::Null;
        }
        spec["template"]["metadata"] = Value::Null;
        spec["selector"] = Value::Null;
        spec
    };
    let base = objects(&read("deploy/base/deployment.yaml"));
    assert_eq!(spec(&rendered(&[])), spec(&base));
}

/// But for the name, by which the policies of two releases do not meet.
#[test]
fn the_admission_policy_is_that_of_deploy_base() {
    let base = objects(&read("deploy/base/deletion-protection.yaml"));
    let chart = rendered(&[]);
    for wanted in [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] {
        let (of_chart, of_base) = (only(&chart, wanted), only(&base, wanted));
        assert_eq!(name(of_chart), name(of_base), "{wanted}");
        assert_eq!(of_chart["spec"], of_base["spec"], "{wanted}");
    }
    let second = rendered(&["--set", "fullnameOverride=second"]);
    let policy = only(&second, "ValidatingAdmissionPolicy");
    let binding = only(&second, "ValidatingAdmissionPolicyBinding");
    assert_eq!(name(policy), "second-deletion-protection");
    assert_eq!(name(binding), name(policy));
    assert_eq!(binding["spec"]["policyName"], name(policy));
}

/// It holds in the whole cluster, so a release that watches some namespaces has none.
#[test]
fn the_admission_policy_is_rendered_unless_it_is_switched_off_or_out_of_place() {
    for (set, n_wanted) in [
        ("deletionProtection.enabled=true", 2),
        ("deletionProtection.enabled=false", 0),
        ("watch.namespaces={a},installationId=i", 0),
    ] {
        let objects = rendered(&["--set", set]);
        let found = objects
            .iter()
            .filter(|object| kind(object).starts_with("ValidatingAdmissionPolicy"));
        assert_eq!(found.count(), n_wanted, "{set}");
    }
}

#[test]
fn alerts_and_monitors_agree_on_the_job_of_the_release() {
    let all = |release: &str, set: &str| {
        let chart = chart().display().to_string();
        let fixed = ["template", release, &chart, "--namespace", "there"];
        let set = format!("prometheusRule.enabled=true,{set}");
        let values = default_values();
        let values = ["--values", &values, "--set", &set];
        let args = [&fixed[..], &MONITORING, &values].concat();
        objects(&helm(None, &args).or_panic())
    };
    let service = "metrics.serviceMonitor.enabled=true";
    let pod = "metrics.podMonitor.enabled=true,prometheusRule.disabled={SwrReadOnly}";
    for (release, set, kind, endpoints, job) in [
        (
            "swr-operator",
            service,
            "ServiceMonitor",
            "endpoints",
            "swr-operator",
        ),
        (
            "eu",
            pod,
            "PodMonitor",
            "podMetricsEndpoints",
            "eu-swr-operator",
        ),
    ] {
        let objects = all(release, set);
        let endpoint = &only(&objects, kind)["spec"][endpoints][0];
        let relabelling = json!([{"targetLabel": "job", "replacement": job}]);
        assert_eq!(endpoint["relabelings"], relabelling);
        let rules = only(&objects, "PrometheusRule")["spec"]["groups"].to_string();
        let jobs: BTreeSet<&str> = rules
            .split("job=\\\"")
            .skip(1)
            .filter_map(|rest| rest.split("\\\"").next())
            .collect();
        assert_eq!(jobs, BTreeSet::from([job]));
        assert!(!rules.contains("swr-operator.example.com"), "{rules}");
        assert!(!rules.contains("--namespace swr-operator "), "{rules}");
        assert_eq!(rules.contains("\"SwrReadOnly\""), set == service);
    }
}

/// Health stays inside the cluster, wherever the metrics are served.
#[test]
fn health_and_metrics_have_services_of_their_own() {
    let shared = "metrics.service.type=LoadBalancer,metrics.service.port=8081";
    let of_metrics = json!(["swr-operator", "LoadBalancer", [8081, "metrics"]]);
    let of_health = json!(["swr-operator-health", "ClusterIP", [8081, "health"]]);
    for (set, wanted) in [
        (shared.to_owned(), vec![of_metrics, of_health.clone()]),
        (
            format!("{shared},metrics.enabled=false"),
            vec![of_health.clone()],
        ),
        (
            format!("{shared},metrics.service.enabled=false"),
            vec![of_health],
        ),
    ] {
        let objects = rendered(&["--set", &set]);
        let pod = &only(&objects, "Deployment")["spec"]["template"];
        let services = objects.iter().filter(|object| kind(object) == "Service");
        let found: Vec<Value> = services
            .map(|service| {
                let spec = &service["spec"];
                let [port] = &spec["ports"].as_array().expect("ports")[..] else {
                    panic!("{service}");
                };
                for (label, value) in spec["selector"].as_object().expect("labels") {
                    assert_eq!(&pod["metadata"]["labels"][label], value, "{label}");
                }
                json!([
                    name(service),
                    spec["type"],
                    [port["port"], port["targetPort"]]
                ])
            })
            .collect();
        assert_eq!(found, wanted, "{set}");
    }
}

#[test]
fn notes_and_alerts_name_what_there_is() {
    let chart = chart().display().to_string();
    let notes = |set: &str| {
        let args = ["install", "swr-operator", &chart, "--dry-run=client"];
        let values = default_values();
        let values = ["--output=json", "--values", &values, "--set", set];
        let args = [&args[..], &values].concat();
        let said: Value = serde_json::from_str(&helm(None, &args).or_panic()).expect("JSON");
        said["info"]["notes"].as_str().expect("notes").to_owned()
    };
    // Nothing becomes ready that is not written.
    for (set, waits) in [("readOnly=false", true), ("readOnly=true", false)] {
        let notes = notes(set);
        assert_eq!(notes.contains("kubectl wait"), waits, "{notes}");
        assert!(notes.contains("\nYAML\n\n# 5. See "), "{notes}");
        assert!(
            notes.contains("\nkubectl get replicationregistries --namespace images"),
            "{notes}"
        );
    }
    // What is left out says so: a dry run by the client knows no kinds of others.
    for (value, kind) in [
        ("metrics.serviceMonitor", "ServiceMonitor"),
        ("metrics.podMonitor", "PodMonitor"),
        ("prometheusRule", "PrometheusRule"),
    ] {
        let notes = notes(&format!("{value}.enabled=true"));
        let sentence = format!(
            "\n{value} is enabled but left out, because the cluster does not know the kind {kind}."
        );
        assert_eq!(notes.matches("left out").count(), 1, "{notes}");
        assert!(notes.contains(&sentence), "{notes}");
    }
    assert!(!notes("readOnly=false").contains("left out"));
    let set = "prometheusRule.enabled=true,nameOverride=replication";
    let objects = rendered(&[&MONITORING[..], &["--set", set]].concat());
    let labels = &only(&objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/name"], "replication");
    let rules = only(&objects, "PrometheusRule")["spec"].to_string();
    let selectors: BTreeSet<&str> = rules
        .split("--selector ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '"']).next())
        .collect();
    let wanted = BTreeSet::from(["app.kubernetes.io/name=replication"]);
    assert_eq!(selectors, wanted);
}

#[test]
fn alerts_link_to_the_page_that_one_names() {
    let page = "https://docs.example.com/operations";
    let set = format!("prometheusRule.enabled=true,prometheusRule.runbookBaseUrl={page}");
    let objects = rendered(&[&MONITORING[..], &["--set", &set]].concat());
    let groups = &only(&objects, "PrometheusRule")["spec"]["groups"];
    let rules = groups[0]["rules"].as_array().expect("rules");
    let alerts = rules.iter().filter_map(|rule| {
        let alert = rule["alert"].as_str()?;
        Some((alert, &rule["annotations"]["runbook_url"]))
    });
    let mut n_alerts = 0;
    for (alert, link) in alerts {
        n_alerts += 1;
        assert_eq!(link, &json!(format!("{page}#{}", alert.to_lowercase())));
    }
    assert!(n_alerts > 5);
}
