//! The operator, started as the release's Deployment says and with the token of its ServiceAccount, lives a whole life by
//! the notes of the release. What it asks of the API server is exactly what the release grants.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use harness::{
    ControlPlane, Operator, OperatorOptions, environment, eventually_blocking, kubectl_stdout,
    service_account_kubeconfig,
};
use serde_json::{Value, json};
use swr_simulator::Keys;

use super::{arguments, chart, helm, kind, name, objects, only};
use crate::canary::{Canary, Login};
use crate::cloud::{Cloud, PATIENCE};
use crate::cluster::{Asked, Audit};
use crate::manifest::{self, API_VERSION};
use crate::site::{shown, state};

/// What the notes of the chart name.
const REGION: &str = "ap-southeast-3";
const PROJECT: &str = "0123456789abcdef0123456789abcdef";
const INSTANCE: &str = "5f1c8a0e-1111-2222-3333-444455556666";
const REGISTRY: &str = "harbor-dr";

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    /// None: in all of them, and on what is in none.
    pub(super) namespace: Option<String>,
    pub(super) group: String,
    pub(super) resource: String,
    /// None: any.
    pub(super) name: Option<String>,
    pub(super) verb: String,
}

impl Grant {
    fn covers(&self, asked: &Asked) -> bool {
        let namespace = self.namespace.as_ref();
        namespace.is_none_or(|namespace| *namespace == asked.namespace)
            && self.group == group(asked)
            && self.resource == asked.resource
            && self.name.as_ref().is_none_or(|name| *name == asked.name)
            && self.verb == asked.verb
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let any = |text: &Option<String>| text.clone().unwrap_or_else(|| "*".to_owned());
        let (namespace, name) = (any(&self.namespace), any(&self.name));
        write!(
            f,
            "{} {}.{} {namespace}/{name}",
            self.verb, self.resource, self.group
        )
    }
}

/// Of `/apis/GROUP/...`; the core group has no name.
fn group(asked: &Asked) -> &str {
    let rest = asked.uri.strip_prefix("/apis/");
    rest.and_then(|rest| rest.split('/').next())
        .unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the bindings among these objects grant.
pub(super) fn granted(objects: &[Value]) -> BTreeSet<Grant> {
    let mut found = BTreeSet::new();
    for binding in objects {
        if !matches!(kind(binding), "RoleBinding" | "ClusterRoleBinding") {
            continue;
        }
        let namespace = binding["metadata"]["namespace"].as_str();
        let is_bound = |role: &&Value| {
            kind(role) == binding["roleRef"]["kind"]
                && name(role) == binding["roleRef"]["name"]
                && (kind(role) == "ClusterRole"
                    || role["metadata"]["namespace"].as_str() == namespace)
        };
        let role = objects.iter().find(is_bound).expect("the bound role");
        for rule in role["rules"].as_array().into_iter().flatten() {
            let names = match &texts(&rule["resourceNames"])[..] {
                [] => vec![None],
                names => names.iter().cloned().map(Some).collect(),
            };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for name in &names {
                        found.extend(texts(&rule["verbs"]).into_iter().map(|verb| Grant {
                            namespace: namespace.map(str::to_owned),
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                            verb,
                        }));
                    }
                }
            }
        }
    }
    found
}

/// A control plane with the kinds and nothing else.
pub(super) fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| {
        let plane = ControlPlane::start_temporary().unwrap_or_else(|error| panic!("{error}"));
        let crds = environment::checkout().join("crds");
        harness::kubectl::apply_folder(&plane, &crds).expect("the CRDs");
        harness::kubectl::await_definitions(&plane).expect("they are served");
        plane
    })
}

/// An operator that watches everything would take part in the other life.
static TURN: Mutex<()> = Mutex::new(());

/// A release, its cloud, and the operator that lives by both.
struct Life {
    release: String,
    /// Of the operator.
    own: String,
    /// Of the objects.
    namespace: String,
    manifest: Vec<Value>,
    /// What `helm test` would run.
    test_pod: Value,
    notes: String,
    cloud: Cloud,
    folder: tempfile::TempDir,
    audit: Audit,
    operator: Option<Operator>,
}

impl Life {
    fn install(release: &str, namespace: &str, values: &Value) -> Self {
        let own = format!("{release}-operator");
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys {
            access_key: Canary::hatch().key(),
            secret_key: Canary::hatch().secret(),
            security_token: None,
        };
        for (file, content) in [
            ("access-key.txt", &keys.access_key),
            ("secret-key.txt", &keys.secret_key),
            ("username.txt", &"robot$replication".to_owned()),
            ("password.txt", &"first-password".to_owned()),
        ] {
            fs::write(folder.path().join(file), content).expect("a file");
        }
        let instances = [INSTANCE, "another"].map(str::to_owned);
        let cloud = Cloud::start(REGION, PROJECT, instances, keys);
        let [health, metrics] = environment::free_ports().expect("free ports");
        let mut all = json!({
            "crds": {"enabled": false},
            "image": {"registry": "registry.example.com"},
            "bindAddress": "127.0.0.1",
            "health": {"port": health},
            "metrics": {"port": metrics},
            "cloud": {"swrEndpoints": {"": cloud.url()}, "iamEndpoints": {REGION: cloud.url()}},
            "reconcile": {
                "pollInterval": "2s", "settle": "6s", "writeDeadline": "2s", "readDeadline": "3s",
                "grace": "2s", "secretRetry": "2s",
            },
        });
        for (field, value) in values.as_object().expect("an object") {
            all[field] = value.clone();
        }
        let path = folder.path().join("values.json");
        fs::write(&path, all.to_string()).expect("values");
        let (path, chart) = (path.display().to_string(), chart().display().to_string());
        let said = helm(
            Some(plane()),
            &[
                "install",
                release,
                &chart,
                "--namespace",
                &own,
                "--create-namespace",
                "--values",
                &path,
                "--output=json",
            ],
        );
        let said: Value = serde_json::from_str(&said.or_panic()).expect("JSON");
        let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).expect("text");
        let manifest = objects(text("/manifest"));
        let account = only(&manifest, "ServiceAccount");
        Self {
            audit: Audit::of(plane(), &own, name(account)),
            release: release.to_owned(),
            own,
            namespace: namespace.to_owned(),
            notes: text("/info/notes").to_owned(),
            manifest,
            test_pod: objects(text("/hooks/0/manifest")).remove(0),
            cloud,
            folder,
            operator: None,
        }
    }

    /// Starts the operator with the arguments of the Deployment, and the token that its pod would have.
    fn start_operator(&mut self) {
        let account = name(only(&self.manifest, "ServiceAccount"));
        let path = self.folder.path().join("kubeconfig");
        let kubeconfig =
            service_account_kubeconfig(plane(), &self.own, account, &path).expect("a token");
        let args = arguments(&self.manifest);
        let (verb, flags) = args.split_first().expect("a verb");
        assert_eq!(verb, "run");
        let address = |flag: &str| {
            let address = flags.iter().find_map(|given| given.strip_prefix(flag));
            address.expect("an address").to_owned()
        };
        let ready = format!("http://{}/readyz", address("--health-address="));
        let metrics = format!("http://{}/metrics", address("--metrics-address="));
        let mut flags = flags.to_vec();
        // In a pod this comes from the environment.
        flags.push(format!("--namespace={}", self.own));
        let operator = self.operator.insert(
            Operator::spawn(&OperatorOptions {
                binary: Operator::executable().to_owned(),
                kubeconfig,
                args: flags,
                log_path: self.folder.path().join("operator.log"),
            })
            .expect("the operator starts"),
        );
        operator
            .await_ready(&ready, PATIENCE)
            .unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
        let text = harness::get_text(&metrics).unwrap_or_else(|error| panic!("{error}"));
        assert!(text.contains("swr_build_info"), "{text}");
        self.helm_test();
    }

    /// What the pod of `helm test` runs, with loopback in place of the Service.
    fn helm_test(&self) {
        let of_health = |object: &&Value| {
            kind(object) == "Service" && object["spec"]["ports"][0]["name"] == "health"
        };
        let service = self.manifest.iter().find(of_health);
        let service = name(service.expect("the Service of health"));
        let host = format!("{service}.{}:", self.own);
        let args = texts(&self.test_pod["spec"]["containers"][0]["args"]);
        let output = Command::new(Operator::executable())
            .args(args.iter().map(|arg| arg.replace(&host, "127.0.0.1:")))
            .output()
            .expect("the operator's binary");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(said.ends_with("\nok\n"), "{said}");
    }

    fn stop_operator(&mut self) {
        let mut operator = self.operator.take().expect("an operator runs");
        operator.terminate().expect("SIGTERM");
        let status = operator.wait(crate::bed::SHUTDOWN).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", operator.log());
    }

    /// The part of the notes between two of its numbered steps, as a person pastes it into a shell.
    fn follow_notes(&self, from: u8, to: Option<u8>) {
        let step = |n: u8| self.notes.find(&format!("\n# {n}. ")).expect("a step");
        let end = to.map_or(self.notes.len(), step);
        let path = std::env::join_paths(
            std::iter::once(plane().assets_folder().to_path_buf()).chain(
                environment::variable("PATH")
                    .iter()
                    .flat_map(std::env::split_paths),
            ),
        )
        .expect("a PATH");
        let output = Command::new("/bin/sh")
            .args(["-euc", &self.notes[step(from)..end]])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("KUBECONFIG", plane().kubeconfig())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.notes);
    }

    fn kubectl(&self, args: &[&str]) -> String {
        let args = [args, &["--namespace", &self.namespace]].concat();
        kubectl_stdout(plane(), &args, None)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.report()))
    }

    fn object(&self, object: &str) -> Value {
        let text = self.kubectl(&["get", "rreg", object, "--output=json"]);
        serde_json::from_str(&text).expect("JSON")
    }

    fn patch(&self, patch: &Value) {
        let patch = patch.to_string();
        self.kubectl(&["patch", "rreg", REGISTRY, "--type=merge", "--patch", &patch]);
    }

    fn await_state(&self, wanted: &str) {
        eventually_blocking(PATIENCE, wanted, || {
            let object = self.object(REGISTRY);
            let seen = &object["status"]["observedGeneration"];
            let is_fresh = *seen == object["metadata"]["generation"];
            if is_fresh && state(&object, "Ready") == wanted {
                Ok(())
            } else {
                Err(shown(&object))
            }
        });
    }

    /// What SWR holds under the registry's name.
    fn held(&self) -> Option<Value> {
        let mut held = self.cloud.registries(INSTANCE).into_iter();
        held.find(|registry| registry["name"] == REGISTRY)
    }

    fn await_held(&self, pointer: &str, wanted: &Value) {
        eventually_blocking(PATIENCE, &format!("{pointer} {wanted}"), || {
            let held = self.held().unwrap_or_default();
            if held.pointer(pointer) == Some(wanted) {
                Ok(())
            } else {
                Err(held.to_string())
            }
        });
    }

    fn put_password(&self, password: &str) {
        let patch = json!({"stringData": {"password": password}}).to_string();
        self.kubectl(&[
            "patch",
            "secret",
            REGISTRY,
            "--type=merge",
            "--patch",
            &patch,
        ]);
    }

    /// Created by the notes; changed, rotated, without its Secret, deleted.
    fn live(&self) {
        self.await_held("/url", &json!("https://harbor.dr.example.com"));
        self.patch(&json!({"spec": {"url": "https://harbor2.dr.example.com"}}));
        self.await_held("/url", &json!("https://harbor2.dr.example.com"));
        self.await_state("True Available");
        self.put_password("second-password");
        self.await_held("/credential/access_secret", &json!("second-password"));
        // Empty is what no credential is.
        for password in ["", "third-password", "", "fourth-password"] {
            self.put_password(password);
            let wanted = if password.is_empty() {
                "False InvalidSecret"
            } else {
                "True Available"
            };
            self.await_state(wanted);
        }
        self.kubectl(&["delete", "rreg", REGISTRY, "--timeout=45s"]);
        assert_eq!(self.held(), None);
    }

    /// Used = granted: every request was permitted, and every permission was needed.
    fn assert_grants_are_used(&self) {
        let granted = granted(&self.manifest);
        // A watch gets into the log when it has ended, which the server notices in its own time.
        eventually_blocking(PATIENCE, "every grant used", || {
            let asked: Vec<Asked> = self
                .audit
                .asked()
                .into_iter()
                .filter(|asked| !asked.resource.is_empty())
                .collect();
            for asked in &asked {
                assert_ne!(asked.code, 403, "{asked}: {}", asked.uri);
                let is_granted = granted.iter().any(|grant| grant.covers(asked));
                assert!(is_granted, "no grant of the release covers {asked}");
            }
            let unused: Vec<String> = granted
                .iter()
                .filter(|grant| !asked.iter().any(|asked| grant.covers(asked)))
                .map(ToString::to_string)
                .collect();
            if unused.is_empty() {
                Ok(())
            } else {
                Err(unused.join(", "))
            }
        });
    }

    fn report(&self) -> String {
        let log = self
            .operator
            .as_ref()
            .map(Operator::log)
            .unwrap_or_default();
        format!("{log}\n{}", self.cloud.shown())
    }

    fn uninstall(self) {
        helm(
            Some(plane()),
            &["uninstall", &self.release, "--namespace", &self.own],
        )
        .or_panic();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::bed::say(&self.report());
        }
    }
}

/// A chart of somebody's own that holds one object.
fn chart_with_an_object(folder: &Path, object: &Value) -> String {
    let chart = folder.join("registries");
    fs::create_dir_all(chart.join("templates")).expect("a folder");
    let about = json!({"apiVersion": "v2", "name": "registries", "version": "0.1.0"});
    fs::write(chart.join("Chart.yaml"), about.to_string()).expect("a chart");
    fs::write(chart.join("templates/object.yaml"), object.to_string()).expect("a template");
    chart.display().to_string()
}

/// The account's grant covers the namespace by a label instead of its name.
fn grant_by_label(namespace: &str) {
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let patch = json!([
        {"op": "add", "path": "/spec/grants/0/namespaceSelector", "value": selector},
        {"op": "replace", "path": "/spec/grants/0/namespaces", "value": []},
    ]);
    let patch = patch.to_string();
    let args = [
        "patch",
        "swracc",
        "default",
        "--type=json",
        "--patch",
        &patch,
    ];
    kubectl_stdout(plane(), &args, None).expect("the account is patched");
}

#[test]
fn a_release_for_the_cluster_lives_by_what_it_is_granted() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut life = Life::install("swr", "images", &json!({}));
    life.follow_notes(1, Some(5));

    // Helm waits by the status, so it must not believe an object that no operator has seen.
    let mut object = manifest::registry("images", "default", INSTANCE, "waiting", "swr-pro");
    object["spec"]["credentialSecretRef"]["name"] = json!(REGISTRY);
    // The notes grant no address.
    object["spec"]["dnsConf"] = Value::Null;
    let waiting = chart_with_an_object(life.folder.path(), &object);
    let wait = |verb: &str, timeout: &str| {
        let args = [
            verb,
            "waiting",
            &waiting,
            "--namespace",
            "images",
            "--wait",
            "--timeout",
            timeout,
        ];
        helm(Some(plane()), &args)
    };
    let started = environment::now();
    let refused = wait("install", "6s").refused();
    assert!(started.elapsed() < Duration::from_secs(20), "in time");
    let words = "latest observed generation is -1";
    assert!(
        refused.contains(words) || refused.contains("context deadline exceeded"),
        "{refused}"
    );

    life.start_operator();
    life.follow_notes(5, None);
    wait("upgrade", "45s").or_panic();
    grant_by_label("images");
    life.live();
    let args = [
        "uninstall",
        "waiting",
        "--namespace",
        "images",
        "--wait",
        "--timeout",
        "45s",
    ];
    helm(Some(plane()), &args).or_panic();
    assert_eq!(life.cloud.registries(INSTANCE), Vec::<Value>::new());
    life.stop_operator();
    life.assert_grants_are_used();
    life.uninstall();
}

#[test]
fn a_release_for_one_namespace_lives_by_what_it_is_granted_there() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let namespaces = ["team-a", "team-b"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    harness::kubectl::apply(plane(), &namespaces).expect("namespaces");
    let mut life = Life::install(
        "tenant",
        "team-a",
        &json!({
            "installationId": "of-the-tenant",
            "accounts": ["tenant"],
            "watch": {"namespaces": ["team-a"]},
            // One of two, with a lease of its own.
            "replicaCount": 2,
            "leaderElection": {
                "leaseDuration": "8s", "renewDeadline": "4s", "retryPeriod": "1s",
            },
        }),
    );
    for role in life
        .manifest
        .iter()
        .filter(|object| kind(object) == "ClusterRole")
    {
        assert!(!role["rules"].to_string().contains("secrets"), "{role}");
    }
    // Whole but for its namespace, which the operator must not even see.
    let mut object = manifest::registry("team-b", "tenant", INSTANCE, REGISTRY, "swr-pro");
    object["spec"]["name"] = json!("elsewhere");
    let login = Login {
        access_key: "robot".to_owned(),
        access_secret: "elsewhere".to_owned(),
    };
    let secret = manifest::secret("team-b", REGISTRY, &login);
    harness::kubectl::apply(plane(), &[secret, object]).expect("an object elsewhere");
    life.start_operator();
    life.follow_notes(1, None);
    life.live();
    life.stop_operator();
    life.assert_grants_are_used();
    let path = format!("/apis/{API_VERSION}/namespaces/team-b/replicationregistries/{REGISTRY}");
    let elsewhere = kubectl_stdout(plane(), &["get", "--raw", &path], None).expect("it is there");
    let elsewhere: Value = serde_json::from_str(&elsewhere).expect("JSON");
    assert_eq!(state(&elsewhere, "Ready"), "Unknown Pending");
    assert_eq!(elsewhere["metadata"]["finalizers"], Value::Null);
    assert_eq!(life.cloud.registries(INSTANCE), Vec::<Value>::new());
    kubectl_stdout(plane(), &["delete", "--raw", &path], None).expect("it goes at once");
    life.uninstall();
}
