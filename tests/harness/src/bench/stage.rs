//! One control plane with the installation, the users of the bench and their connections. Everybody who is measured at
//! the same N is measured here, one after the other, so that they meet the same API server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::audit::POLICY;
use super::client::{CONNECTIONS, Client, User, on_each};
use super::objects::{Kind, Place, name};
use super::{proc, raw};
use crate::bed::NAMESPACE;
use crate::kubectl::{
    apply, apply_install, await_definitions, kubectl_stdout, service_account_kubeconfig,
};
use crate::{ControlPlane, Error, environment};

/// After its start the API server works on for some seconds, which no workload shall pay for.
const IDLE_WITHIN: Duration = Duration::from_mins(1);
const IDLE_WINDOW: Duration = Duration::from_secs(1);
/// An idle API server takes 3 to 8 % of a core.
const IDLE_CPU_S: f64 = 0.12;

/// Enough that every path of the API server has been taken and its pools are filled.
const N_WARM_UP: usize = 200;

pub(crate) struct Stage {
    pub(crate) plane: ControlPlane,
    pub(crate) runtime: Runtime,
    pub(crate) connections: Vec<Client>,
    /// A connection of its own for what is watched.
    pub(crate) watching: Client,
    pub(crate) user: User,
    pub(crate) raw: User,
    pub(crate) observer: User,
    pub(crate) operator_kubeconfig: PathBuf,
    pub(crate) peer_kubeconfig: PathBuf,
    /// Of the peer's CRD, if there is one.
    pub(crate) peer_kind: Option<Kind>,
    pub(crate) folder: PathBuf,
}

impl Stage {
    pub(crate) fn start(folder: &Path, peer_crd: Option<&Path>) -> Result<Self, Error> {
        let plane = ControlPlane::start_audited(&folder.join("control-plane"), POLICY)?;
        apply_install(&plane)?;
        apply(&plane, &users())?;
        let peer_kind = peer_crd.map(|file| peer_kind(&plane, file)).transpose()?;
        let kubeconfig = |namespace: &str, account: &str| {
            let path = folder.join(format!("{account}.kubeconfig"));
            service_account_kubeconfig(&plane, namespace, account, &path)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::io("start the client's runtime"))?;
        let connections: Result<Vec<Client>, Error> =
            (0..CONNECTIONS).map(|_| Client::of(&plane)).collect();
        let stage = Self {
            connections: connections?,
            watching: Client::of(&plane)?,
            user: user(&plane, "user")?,
            raw: user(&plane, "raw")?,
            observer: user(&plane, "observer")?,
            operator_kubeconfig: kubeconfig(NAMESPACE, NAMESPACE)?,
            peer_kubeconfig: kubeconfig("bench", "peer")?,
            peer_kind,
            folder: folder.to_path_buf(),
            plane,
            runtime,
        };
        stage.warm_up()?;
        stage.await_idle()?;
        Ok(stage)
    }

    /// Awaits from plain code.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn pids(&self) -> Result<[u32; 2], Error> {
        self.plane.pids().ok_or_else(|| Error::Unexpected {
            expected: "a control plane of this process".to_owned(),
            seen: "one of another process".to_owned(),
        })
    }

    pub(crate) fn version(&self) -> Result<String, Error> {
        let version = self.block_on(self.watching.get(&self.user, "/version"))?;
        Ok(version["gitVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Waits until the API server does nothing much, or a minute is over.
    pub(crate) fn await_idle(&self) -> Result<(), Error> {
        let [apiserver, _] = self.pids()?;
        let begun = environment::now();
        while begun.elapsed() < IDLE_WITHIN {
            let before = proc::cpu_seconds(apiserver);
            environment::pause(IDLE_WINDOW);
            if proc::cpu_seconds(apiserver) - before < IDLE_CPU_S {
                break;
            }
        }
        Ok(())
    }

    fn warm_up(&self) -> Result<(), Error> {
        let place = Place {
            kind: Kind::ours(),
            namespace: "bench-warm-up".to_owned(),
        };
        apply(&self.plane, &place.furniture())?;
        let (user, raw) = (self.user.clone(), self.raw.clone());
        self.block_on(on_each(
            &self.connections,
            N_WARM_UP,
            move |client, index| {
                let (user, raw, place) = (user.clone(), raw.clone(), place.clone());
                async move {
                    let name = name(index);
                    let new = client
                        .create(&user, &place.path(), &place.object(&name))
                        .await?;
                    raw::create(&client, &raw, &place, &new).await?;
                    raw::update(&client, &raw, &place, &name).await?;
                    client.delete(&user, &place.path_of(&name)).await?;
                    raw::delete(&client, &raw, &place, &name).await
                }
            },
        ))
    }
}

/// The ServiceAccounts of the bench. They are administrators: what is measured is not RBAC.
fn users() -> [Value; 6] {
    let account = |name: &str| {
        let metadata = json!({"name": name, "namespace": "bench"});
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    };
    let group = "rbac.authorization.k8s.io";
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}}),
        account("user"),
        account("raw"),
        account("observer"),
        account("peer"),
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "bench"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:serviceaccounts:bench"}],
        }),
    ]
}

fn user(plane: &ControlPlane, account: &str) -> Result<User, Error> {
    let args = ["create", "token", account, "--namespace=bench"];
    let token = kubectl_stdout(plane, &[&args[..], &["--duration=24h"]].concat(), None)?;
    Ok(User {
        name: format!("system:serviceaccount:bench:{account}"),
        token: token.trim().to_owned(),
    })
}

/// Applies the peer's CRD and says which kind it defines.
fn peer_kind(plane: &ControlPlane, file: &Path) -> Result<Kind, Error> {
    let file = file.display().to_string();
    let args = ["apply", "--server-side", "--output=json", "--filename"];
    let applied = kubectl_stdout(plane, &[&args[..], &[&file]].concat(), None)?;
    let definition: Value =
        serde_json::from_str(&applied).map_err(Error::json("the peer's CRD"))?;
    await_definitions(plane)?;
    Kind::of(&definition).ok_or_else(|| {
        let why = "it holds no single CustomResourceDefinition with a served version";
        Error::unmet(file, why, "name the file of the peer's one CRD")
    })
}
