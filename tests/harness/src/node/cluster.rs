//! A cluster of one node with a simulated cloud, and a person with a shell at the top of the checkout.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::machine::{ADDRESS, Machine, pids};
use super::parts::REGISTRY;
use crate::bed::{ACCESS_KEY, INSTANCE_IDS, NAMESPACE, PROJECT_ID, REGION, SECRET_KEY};
use crate::front::{Authority, Front};
use crate::image::{SIMULATOR, VERSION};
use crate::kubectl::{apply, kubectl_stdout};
use crate::pki::write_private;
use crate::process::{output_of, tethered};
use crate::simulator::Console;
use crate::wait::until;
use crate::{Error, environment};

/// A pod that starts takes 3 s; a machine that compiles beside it needs more.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Seconds for a block: a page's longest wait and some.
const TYPED: &str = "300";

/// Where the simulator listens, in the network of the node. deploy/try forwards 9090.
const SIMULATED: &str = "127.0.0.1:9191";

pub(super) struct Cluster {
    pub(super) machine: Machine,
    pub(super) console: Console,
    folder: PathBuf,
    /// Ends the TLS that the operator asks for beyond loopback.
    front: Front,
}

impl Cluster {
    pub(super) fn of(machine: Machine, folder: &Path) -> Result<Self, Error> {
        let simulated: SocketAddr = SIMULATED.parse().map_err(|_| no_address())?;
        let authority = Authority::create()?;
        write_private(&folder.join("ca.crt"), authority.pem().as_bytes())?;
        let certificate = authority.issue(ADDRESS, false)?;
        let front = Front::tls(&format!("{ADDRESS}:0"), certificate, simulated)?;
        let cluster = Self {
            console: Console::at(format!("http://{SIMULATED}")),
            folder: folder.to_path_buf(),
            machine,
            front,
        };
        let endpoint = json!({"": format!("https://{ADDRESS}:{}", cluster.front.address().port())});
        let values = json!({
            "image": {"registry": REGISTRY},
            "cloud": {
                "swrEndpoints": endpoint,
                "iamEndpoints": endpoint,
                "caBundle": {"configMap": "cloud-authority"},
            },
        });
        write_private(&cluster.values(), values.to_string().as_bytes())?;
        cluster.start_cloud()?;
        cluster.settle_in()?;
        Ok(cluster)
    }

    /// The simulator in a pod of its own, so that no end of an operator is its end.
    fn start_cloud(&self) -> Result<(), Error> {
        let mut args = vec![
            "--listen",
            SIMULATED,
            "--region",
            REGION,
            "--project",
            PROJECT_ID,
        ];
        args.extend(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]);
        args.extend(INSTANCE_IDS.iter().flat_map(|id| ["--instance", id]));
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cloud"}});
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": SIMULATOR.name, "namespace": "cloud"},
            "spec": {
                "hostNetwork": true,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": SIMULATOR.name,
                    "image": format!("{REGISTRY}/{}:{VERSION}", SIMULATOR.name),
                    "args": args,
                }],
            },
        });
        apply(&self.machine.plane, &[namespace])?;
        until(PATIENCE, "the ServiceAccount of the namespace", || {
            self.kubectl(&["get", "serviceaccount", "default", "--namespace", "cloud"])
        })?;
        apply(&self.machine.plane, &[pod])?;
        until(PATIENCE, "the simulated cloud", || {
            self.console.registries(INSTANCE_IDS[0])
        })
        .map(drop)
    }

    /// What an administrator makes before the installation: a namespace that takes no pod with privileges, the key, and
    /// the authority of the cloud.
    fn settle_in(&self) -> Result<(), Error> {
        let authority = self.folder.join("ca.crt");
        let authority = fs::read_to_string(&authority)
            .map_err(Error::io(format!("read {}", authority.display())))?;
        let metadata = |name: &str| json!({"name": name, "namespace": NAMESPACE});
        apply(
            &self.machine.plane,
            &[
                json!({
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {
                        "name": NAMESPACE,
                        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                    },
                }),
                json!({
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": metadata("swr-cloud"),
                    "stringData": {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY},
                }),
                json!({
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": metadata("cloud-authority"),
                    "data": {"ca.crt": authority},
                }),
            ],
        )
    }

    /// The values by which a chart finds image and cloud here.
    pub(super) fn values(&self) -> PathBuf {
        self.folder.join("values.json")
    }

    /// A file for a while.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Installs or upgrades a release from a chart, with further words.
    pub(super) fn helm(
        &self,
        verb: &str,
        release: &str,
        chart: &Path,
        more: &str,
    ) -> Result<String, Error> {
        self.type_in(&format!(
            "helm {verb} {release} {} --values {} --wait --timeout 90s {more}",
            chart.display(),
            self.values().display(),
        ))
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> Result<String, Error> {
        kubectl_stdout(&self.machine.plane, args, None)
    }

    pub(super) fn get(&self, args: &[&str]) -> Result<Value, Error> {
        let text = self.kubectl(&[&["get", "--output=json"], args].concat())?;
        serde_json::from_str(&text).map_err(Error::json("what kubectl printed"))
    }

    /// Types a block into a shell that stops at the first command that fails; what was printed on stdout.
    pub(super) fn type_in(&self, block: &str) -> Result<String, Error> {
        let mut programs = self.machine.plane.assets_folder().as_os_str().to_owned();
        programs.push(":");
        programs.push(environment::variable("PATH").unwrap_or_default());
        let mut command = tethered("timeout");
        command
            .args(["--foreground", TYPED, "/bin/sh", "-euc", block])
            .current_dir(environment::checkout())
            .env("PATH", programs)
            .env("KUBECONFIG", self.machine.plane.kubeconfig())
            .env("KUBECACHEDIR", self.path("kubectl-cache"))
            .env("HELM_CACHE_HOME", self.path("helm-cache"));
        output_of(&mut command).map(|output| String::from_utf8_lossy(&output).into_owned())
    }

    /// Its pods, as the API server has them.
    pub(super) fn pods(&self, namespace: &str) -> Result<Vec<Value>, Error> {
        let pods = self.get(&[
            "pods",
            "--namespace",
            namespace,
            "--selector=app.kubernetes.io/name=swr-operator",
        ])?;
        Ok(pods["items"].as_array().cloned().unwrap_or_default())
    }

    /// Its only pod.
    pub(super) fn pod(&self) -> Result<Value, Error> {
        match &self.pods(NAMESPACE)?[..] {
            [pod] => Ok(pod.clone()),
            other => Err(Error::Unexpected {
                expected: "one pod of the operator".to_owned(),
                seen: format!("{}", other.len()),
            }),
        }
    }
}

/// The operator's processes of the release, or of another whose arguments contain a word.
pub(super) fn operators(word: Option<&str>) -> Vec<i32> {
    const OTHER: &str = "--installation-id=";
    pids(|line| {
        line.starts_with("/usr/local/bin/swr-operator run")
            && word.map_or(!line.contains(OTHER), |word| line.contains(word))
    })
}

/// The only process of the release.
pub(super) fn operator() -> Result<i32, Error> {
    match operators(None)[..] {
        [pid] => Ok(pid),
        ref other => Err(Error::Unexpected {
            expected: "one process of the operator".to_owned(),
            seen: format!("{other:?}"),
        }),
    }
}

fn no_address() -> Error {
    Error::Unexpected {
        expected: "an address".to_owned(),
        seen: SIMULATED.to_owned(),
    }
}
