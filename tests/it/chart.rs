//! The Helm chart as Helm itself renders and installs it. Must not know the operator's code, only its binary.
//!
//! | Module | What it shows |
//! |---|---|
//! | [`documents`] | README, schema, Chart.yaml and the copies in the chart are those of their sources |
//! | [`gitops`] | Argo CD and Flux take the published chart |
//! | [`render`] | what is rendered, and what is refused with which sentence |
//! | [`accepted`] | a restricted namespace takes whatever is rendered |
//! | [`releases`] | install, upgrade, uninstall, and again |
//! | [`life`] | the operator lives by what the release gives it, and needs all of it |

mod accepted;
mod documents;
mod gitops;
mod life;
mod releases;
mod render;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use harness::assets::Assets;
use harness::{ControlPlane, environment};
use serde_json::Value;

use crate::architecture::{files, root};

/// From the root of the repository.
const CHART: &str = "charts/swr-operator";

fn chart() -> PathBuf {
    root().join(CHART)
}

/// What a helm command said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Said {
    /// The standard output of a command that must succeed.
    fn or_panic(self) -> String {
        assert!(self.success, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The standard error of a command that must fail.
    fn refused(self) -> String {
        assert!(!self.success, "it must fail:\n{}", self.stdout);
        self.stderr
    }
}

fn binary() -> &'static Path {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| {
        let assets = Assets::provide().unwrap_or_else(|error| panic!("{error}"));
        assets.helm.expect("helm beside the control plane")
    })
}

/// Runs helm away from the person's own configuration; with a control plane as its administrator.
fn helm<S: AsRef<std::ffi::OsStr>>(plane: Option<&ControlPlane>, args: &[S]) -> Said {
    let home = environment::dev_folder().join("helm");
    let kubeconfig = plane.map_or(Path::new("/dev/null"), ControlPlane::kubeconfig);
    let output = Command::new(binary())
        .args(args)
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("helm runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said {
        success: output.status.success(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A file with the one value that has no default: where the image is.
fn default_values() -> String {
    let path = chart().join("ci/default-values.yaml");
    path.display().to_string()
}

/// What `helm template` makes of the chart, without a cluster. Arguments that name no file of values get the default one.
fn template(args: &[&str]) -> Said {
    let (chart, values) = (chart().display().to_string(), default_values());
    let fixed = ["template", "swr-operator", &chart];
    let default = ["--values", &values];
    let values: &[&str] = match args.contains(&"--values") {
        true => &[],
        false => &default,
    };
    helm(
        None,
        &[&fixed[..], &["--namespace", "swr-operator"], values, args].concat(),
    )
}

/// The objects that `helm template` makes.
fn rendered(args: &[&str]) -> Vec<Value> {
    objects(&template(args).or_panic())
}

fn objects(text: &str) -> Vec<Value> {
    let mut objects = crate::documents::objects(text);
    // What is between two separators may be only a comment.
    objects.retain(|object| !object.is_null());
    objects
}

/// The API versions of the Prometheus operator, for a rendering without a cluster.
const MONITORING: [&str; 6] = [
    "--api-versions",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PodMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PrometheusRule",
];

/// The files of values that stand for ways to install, with their names.
fn ci_values() -> Vec<(String, String)> {
    let paths = files(&format!("{CHART}/ci"), "yaml");
    let named: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let name = name.trim_end_matches("-values.yaml").to_owned();
            (name, root().join(path).display().to_string())
        })
        .collect();
    assert!(named.len() >= 5, "{named:?}");
    named
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The only object of a kind.
fn only<'a>(objects: &'a [Value], wanted: &str) -> &'a Value {
    let found: Vec<&Value> = objects.iter().filter(|o| kind(o) == wanted).collect();
    let [object] = found[..] else {
        panic!("{} objects of kind {wanted}", found.len());
    };
    object
}

/// The arguments of the operator's container.
fn arguments(objects: &[Value]) -> Vec<String> {
    let container = &only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().expect("arguments");
    args.iter()
        .map(|arg| arg.as_str().expect("text").to_owned())
        .collect()
}
