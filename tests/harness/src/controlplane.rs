//! A real Kubernetes control plane on loopback: etcd, kube-apiserver and, where its binary is at hand,
//! kube-controller-manager (namespaces, ServiceAccounts, garbage collection). No node exists, so no pod ever runs, but
//! with [`crate::node`], to whose pods the API server answers, too.

mod trouble;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::assets::Assets;
use crate::kubectl::{User, kubectl_stdout, write_kubeconfig};
use crate::pki::{Keys, write_private};
use crate::process::{Janitor, Process, tethered};
use crate::wait::{Look, until};
use crate::{Error, environment};

pub use trouble::Snapshot;

/// Names a file written by [`ControlPlane::describe`]: the control plane that this test run shares.
pub const SHARED: &str = "SWR_TEST_CONTROL_PLANE";

/// 3 s on two idle cores; a machine that compiles beside it needs more.
const READY: Duration = Duration::from_secs(90);

/// Metadata of every request, once, when it has been answered. Long-running ones also when they start. Of each write of
/// our kinds also the object that came of it, so that a test can look at states that nobody was quick enough to read.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: RequestResponse
  verbs: [create, update, patch]
  resources:
  - group: swr.huaweicloud.com
    resources:
    - replicationregistries
    - replicationregistries/status
    - swraccounts
    - swraccounts/status
- level: Metadata
";

const AUDIT_POLICY_FILE: &str = "audit-policy.yaml";

/// What a user of the control plane needs to know.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    assets: Assets,
    server: String,
    authority: PathBuf,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
}

#[derive(Debug)]
pub struct ControlPlane {
    facts: Facts,
    /// None when another process runs it.
    running: Option<Mutex<Running>>,
}

/// Invariant: in the order in which they must end; fields drop from top to bottom.
#[derive(Debug)]
struct Running {
    controller_manager: Option<Process>,
    apiserver: Process,
    etcd: Process,
    premises: Premises,
    temporary: Option<(TempDir, Janitor)>,
}

/// What each of its processes is started from, once more if need be.
#[derive(Debug)]
struct Premises {
    folder: PathBuf,
    keys: Keys,
    etcd_port: u16,
    peer_port: u16,
    api_port: u16,
    /// Where pods reach it; None where there is no pod.
    for_pods: Option<&'static str>,
}

impl ControlPlane {
    /// The control plane of this test run: the one that `cargo dev test` has started, else one of this process, which
    /// ends with it.
    ///
    /// # Panics
    /// When there is none and none can be started; the message says why.
    pub fn shared() -> &'static Self {
        static SHARED_PLANE: OnceLock<ControlPlane> = OnceLock::new();
        SHARED_PLANE.get_or_init(|| {
            let plane = match environment::variable(SHARED) {
                Some(path) => Self::described(Path::new(&path)),
                None => Self::start_temporary(),
            };
            plane.unwrap_or_else(|error| panic!("no control plane for the tests: {error}"))
        })
    }

    /// Starts one whose files vanish with it, even when this process is killed.
    pub fn start_temporary() -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("swr-control-plane-")
            .tempdir()
            .map_err(Error::io("create a temporary folder"))?;
        let janitor = Janitor::of(folder.path())?;
        let mut plane = Self::start(folder.path())?;
        if let Some(running) = &mut plane.running {
            let running = running.get_mut().unwrap_or_else(PoisonError::into_inner);
            running.temporary = Some((folder, janitor));
        }
        Ok(plane)
    }

    /// Starts one that keeps its files in `folder`; whatever lies there is removed first.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        Self::start_of(&Assets::provide()?, folder, AUDIT_POLICY, None)
    }

    /// As [`Self::start`], of these binaries.
    pub fn start_with(assets: &Assets, folder: &Path) -> Result<Self, Error> {
        Self::start_of(assets, folder, AUDIT_POLICY, None)
    }

    /// As [`Self::start`], in a network where pods reach it at this address and it reaches kubelets.
    pub(crate) fn start_for_pods(folder: &Path, address: &'static str) -> Result<Self, Error> {
        Self::start_of(&Assets::provide()?, folder, AUDIT_POLICY, Some(address))
    }

    /// As [`Self::start`], with another policy of the audit log.
    pub fn start_audited(folder: &Path, policy: &str) -> Result<Self, Error> {
        Self::start_of(&Assets::provide()?, folder, policy, None)
    }

    fn start_of(
        assets: &Assets,
        folder: &Path,
        policy: &str,
        for_pods: Option<&'static str>,
    ) -> Result<Self, Error> {
        // A free port can be taken between the look and the start, so a second try with other ports is worth it.
        match Self::start_once(assets, folder, policy, for_pods) {
            Err(Error::EndedEarly { tail, .. }) if tail.contains("address already in use") => {
                Self::start_once(assets, folder, policy, for_pods)
            }
            other => other,
        }
    }

    fn start_once(
        assets: &Assets,
        folder: &Path,
        policy: &str,
        for_pods: Option<&'static str>,
    ) -> Result<Self, Error> {
        if folder.exists() {
            fs::remove_dir_all(folder)
                .map_err(Error::io(format!("remove {}", folder.display())))?;
        }
        let keys = Keys::create(&folder.join("keys"))?;
        let [etcd_port, peer_port, api_port] = environment::free_ports()?;
        let server = format!("https://127.0.0.1:{api_port}");
        let kubeconfig = folder.join("kubeconfig");
        let admin = User::Certificate {
            certificate: &keys.admin_certificate,
            key: &keys.admin_key,
        };
        write_kubeconfig(&kubeconfig, &server, &keys.authority, &admin)?;
        let facts = Facts {
            assets: assets.clone(),
            server,
            authority: keys.authority.clone(),
            kubeconfig,
            audit_log: folder.join("audit.log"),
        };

        let premises = Premises {
            folder: folder.to_path_buf(),
            keys,
            etcd_port,
            peer_port,
            api_port,
            for_pods,
        };
        let mut etcd = premises.start_etcd(assets)?;
        write_private(&folder.join(AUDIT_POLICY_FILE), policy.as_bytes())?;
        let mut apiserver = premises.start_apiserver(&facts)?;
        let mut plane = Self {
            facts,
            running: None,
        };
        plane.await_ready(&mut [&mut etcd, &mut apiserver])?;
        let controller_manager = premises.start_controller_manager(&plane.facts)?;
        plane.running = Some(Mutex::new(Running {
            controller_manager,
            apiserver,
            etcd,
            premises,
            temporary: None,
        }));
        plane.await_service_accounts()?;
        Ok(plane)
    }

    fn await_ready(&self, processes: &mut [&mut Process]) -> Result<(), Error> {
        until(READY, "the control plane's /readyz", || {
            for process in processes.iter_mut() {
                if let Err(error) = process.assert_running() {
                    return Look::Hopeless(error);
                }
            }
            Look::from(kubectl_stdout(self, &["get", "--raw", "/readyz"], None))
        })
        .map(drop)
    }

    fn running(&self) -> Option<MutexGuard<'_, Running>> {
        let running = self.running.as_ref()?;
        Some(running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A namespace is usable once its ServiceAccount exists; the controller manager makes it.
    fn await_service_accounts(&self) -> Result<(), Error> {
        if self.facts.assets.controller_manager.is_none() {
            return Ok(());
        }
        until(
            READY,
            "the ServiceAccount `default`, which kube-controller-manager makes",
            || match self.assert_running() {
                Ok(()) => Look::from(kubectl_stdout(
                    self,
                    &[
                        "get",
                        "serviceaccount",
                        "default",
                        "--namespace",
                        "default",
                        "--output",
                        "name",
                    ],
                    None,
                )),
                Err(error) => Look::Hopeless(error),
            },
        )?;
        Ok(())
    }

    /// An error that says which of its processes has ended, if one has.
    pub fn assert_running(&self) -> Result<(), Error> {
        let Some(mut running) = self.running() else {
            return Ok(());
        };
        running.etcd.assert_running()?;
        running.apiserver.assert_running()?;
        running
            .controller_manager
            .as_mut()
            .map_or(Ok(()), Process::assert_running)
    }

    /// Writes down where it is, for other processes ([`SHARED`]).
    pub fn describe(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(&self.facts)
            .map_err(Error::json("the facts of the control plane"))?;
        write_private(path, &text)?;
        Ok(())
    }

    /// The control plane that another process runs.
    fn described(path: &Path) -> Result<Self, Error> {
        let text =
            fs::read(path).map_err(Error::io(format!("read {} ({SHARED})", path.display())))?;
        let facts = serde_json::from_slice(&text)
            .map_err(Error::json(format!("{} ({SHARED})", path.display())))?;
        Ok(Self {
            facts,
            running: None,
        })
    }

    /// For an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.facts.kubeconfig
    }

    pub fn kubectl(&self) -> &Path {
        &self.facts.assets.kubectl
    }

    pub fn helm(&self) -> Option<&Path> {
        self.facts.assets.helm.as_deref()
    }

    /// The folder of the binaries.
    pub fn assets_folder(&self) -> &Path {
        &self.facts.assets.folder
    }

    /// One JSON object per line for every answered request (audit.k8s.io/v1 Event).
    pub fn audit_log(&self) -> &Path {
        &self.facts.audit_log
    }

    /// `https://127.0.0.1:PORT`.
    pub fn server(&self) -> &str {
        &self.facts.server
    }

    /// The PEM file of the authority that signed the server's certificate.
    pub fn authority(&self) -> &Path {
        &self.facts.authority
    }

    /// The process ids of kube-apiserver and etcd, if they are children of this process.
    pub fn pids(&self) -> Option<[u32; 2]> {
        let running = self.running()?;
        Some([running.apiserver.pid(), running.etcd.pid()])
    }

    /// Ends it. Nobody waits for the apiserver to drain its watches, which may take a minute: nothing here outlives it.
    pub fn stop(self) {
        drop(self);
    }

    /// The same for one that others hold, too. Nothing can be asked of it any more.
    pub fn end(&self) {
        if let Some(mut running) = self.running() {
            running.end();
        }
    }
}

impl Premises {
    fn start_etcd(&self, assets: &Assets) -> Result<Process, Error> {
        let (url, peer_url) = (
            self.etcd_url(),
            format!("http://127.0.0.1:{}", self.peer_port),
        );
        let mut command = tethered(&assets.etcd);
        command
            .arg("--data-dir")
            .arg(self.etcd_folder())
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=default={peer_url}"))
            .arg("--log-level=warn")
            // The data dies with the process, so nothing is lost by not flushing it.
            .arg("--unsafe-no-fsync");
        Process::spawn("etcd", command, &self.folder.join("etcd.log"))
    }

    fn etcd_folder(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd_port)
    }

    fn start_apiserver(&self, facts: &Facts) -> Result<Process, Error> {
        let (folder, keys) = (&self.folder, &self.keys);
        let mut command = tethered(&facts.assets.apiserver);
        let mut path = |flag: &str, path: &Path| {
            let mut argument = std::ffi::OsString::from(flag);
            argument.push("=");
            argument.push(path);
            command.arg(argument);
        };
        path("--cert-dir", &folder.join("apiserver"));
        path("--client-ca-file", &keys.authority);
        path("--tls-cert-file", &keys.server_certificate);
        path("--tls-private-key-file", &keys.server_key);
        path(
            "--service-account-key-file",
            &keys.service_account_public_key,
        );
        path(
            "--service-account-signing-key-file",
            &keys.service_account_key,
        );
        path("--audit-policy-file", &folder.join(AUDIT_POLICY_FILE));
        path("--audit-log-path", &facts.audit_log);
        if self.for_pods.is_some() {
            path("--kubelet-client-certificate", &keys.admin_certificate);
            path("--kubelet-client-key", &keys.admin_key);
        }
        match self.for_pods {
            Some(address) => command
                .arg("--bind-address=0.0.0.0")
                .arg(format!("--advertise-address={address}"))
                // Nobody resolves the names of nodes.
                .arg("--kubelet-preferred-address-types=InternalIP"),
            // A loopback address cannot be an endpoint of the Service `kubernetes`, and nothing here asks for one.
            None => command
                .arg("--bind-address=127.0.0.1")
                .arg("--endpoint-reconciler-type=none"),
        };
        command
            .arg(format!("--etcd-servers={}", self.etcd_url()))
            .arg(format!("--secure-port={}", self.api_port))
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg("--authorization-mode=RBAC")
            // In megabytes: never rotated within a test run, so that a count of its lines is a count of requests.
            .arg("--audit-log-maxsize=4096");
        let log = folder.join("kube-apiserver.log");
        Process::spawn("kube-apiserver", command, &log)
    }

    /// None where its binary is not at hand.
    fn start_controller_manager(&self, facts: &Facts) -> Result<Option<Process>, Error> {
        let Some(binary) = &facts.assets.controller_manager else {
            return Ok(None);
        };
        let mut command = tethered(binary);
        command
            .arg("--kubeconfig")
            .arg(&facts.kubeconfig)
            .arg("--root-ca-file")
            .arg(&self.keys.authority)
            .arg("--service-account-private-key-file")
            .arg(&self.keys.service_account_key)
            .arg("--leader-elect=false")
            // No port: nobody asks it anything.
            .arg("--secure-port=0");
        let log = self.folder.join("kube-controller-manager.log");
        Process::spawn("kube-controller-manager", command, &log).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubectl::{apply, kubectl, service_account_kubeconfig};
    use serde_json::json;

    #[test]
    fn a_service_account_may_do_what_it_was_granted_and_the_audit_log_knows() {
        let plane = ControlPlane::shared();
        let folder = tempfile::tempdir().expect("a folder");
        let namespace = "harness-controlplane";
        let metadata = json!({"name": "reader", "namespace": namespace});
        let objects = [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
            }),
        ];
        apply(plane, &objects).expect("the objects are applied");
        let path = folder.path().join("kubeconfig");
        let path = service_account_kubeconfig(plane, namespace, "reader", &path).expect("a token");
        let list = |kind: &str| {
            let path = path.display().to_string();
            let args = ["--kubeconfig", &path, "get", kind, "--namespace", namespace];
            kubectl(plane, &args, None)
        };
        until(READY, "the grant in force", || {
            let output = list("configmaps");
            if output.status.success() {
                Ok(())
            } else {
                Err(format!("{output:?}"))
            }
        })
        .expect("it may list ConfigMaps");
        let refused = list("secrets");
        assert!(!refused.status.success());
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("Forbidden"),
            "{refused:?}"
        );

        let user = format!("system:serviceaccount:{namespace}:reader");
        let log = fs::read_to_string(plane.audit_log()).expect("the audit log");
        let asked = |line: &&str| {
            line.contains(&user) && line.contains("/secrets") && line.contains("\"code\":403")
        };
        assert!(
            log.lines().any(|line| asked(&line)),
            "{user} asked for Secrets in vain"
        );
    }
}
