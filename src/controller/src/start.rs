//! What must be there before the loop runs: options, the installation, its key for fingerprints.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::health::Health;
use crate::metrics::Metrics;
use swr_operator_clock as clock;
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::credential::Sealer;
use swr_operator_core::reconcile::Windows;
use swr_operator_core::tag::Installation;
use swr_operator_kube::{
    Connection, InstallationKeyError, LeaseOptions, Objects, Secrets, publisher,
};
use swr_operator_swr::{Endpoints, Transport};

use super::accounts::Accounts;
use super::context::Context;
use super::identity::Identity;
use super::leadership::Leadership;
use super::namespaces::Namespaces;
use super::present::Present;
use super::secrets::SharedSecrets;

/// A failing start is tried again after this time, doubling.
const START_GAP: Duration = Duration::from_secs(1);
const START_GAP_MAX: Duration = Duration::from_secs(30);

/// How the controller runs.
pub struct Options {
    /// Clients of the API server.
    pub connection: Connection,
    /// The operator's own namespace: key Secret, account Secrets.
    pub namespace: String,
    /// Namespaces whose objects are kept; all if empty.
    pub watch_namespaces: Vec<String>,
    /// Which Secrets are watched, beside being read.
    pub watch_secrets: WatchSecrets,
    /// Accounts that are served; all if empty.
    pub accounts: Vec<String>,
    /// A configured installation id.
    pub installation_id: Option<String>,
    /// Endpoints that are not derived from the region.
    pub endpoints: Endpoints,
    /// Where accounts without a stored key get their credentials.
    pub identity: Identity,
    /// How SWR is reached.
    pub transport: Transport,
    /// The windows of time that decisions depend on.
    pub windows: Windows,
    /// Whether nothing is written to SWR.
    pub read_only: bool,
    /// How long a deletion waits for others to come; `None` without the mass-deletion guard.
    pub deletion_hold: Option<Duration>,
    /// Time between two reads of a Secret that is missing or unusable.
    pub secret_retry: Duration,
    /// Seconds between two reads of what changed last in an instance; `None` for polls alone.
    pub drift_secs: Option<i64>,
    /// The lease that decides which of several processes leads; `None` if there is one process only.
    pub lease: Option<LeaseOptions>,
    /// What events give as their source.
    pub pod_name: String,
    /// Where everything is counted.
    pub metrics: Metrics,
}

/// Which Secrets are watched, of the namespaces whose objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchSecrets {
    /// None: each is read at every poll.
    Off,
    /// All.
    All,
    /// Those with these labels.
    Labelled(String),
}

/// Why the controller cannot start yet.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// There is no key for fingerprints.
    #[error(transparent)]
    Key(#[from] InstallationKeyError),
    /// The cluster cannot be told from others.
    #[error(
        "failed to read namespace kube-system, whose uid names the installation ({0:?}): grant it, or pass --installation-id"
    )]
    Cluster(KubeFailure),
    /// There is no `kube-system`.
    #[error(
        "namespace kube-system does not exist, whose uid names the installation: pass --installation-id"
    )]
    NoCluster,
}

/// A controller that is ready to run.
pub struct Running {
    pub(super) context: Arc<Context>,
    pub(super) options: Options,
    pub(super) leadership: Leadership,
    pub(super) health: Arc<Health>,
    pub(super) publishing: JoinHandle<()>,
}

/// Prepares the controller: installation, key for fingerprints. Waits for what is not there yet,
/// the API server, the Secret, or the permission, and says in the log what it waits for. `None` if
/// it was told to stop before.
pub async fn start(
    options: Options,
    health: Arc<Health>,
    shutdown: &mut watch::Receiver<bool>,
) -> Option<Running> {
    let secrets = Secrets::new(options.connection.unary.clone());
    let mut gap = START_GAP;
    let (installation, sealer) = loop {
        let error = match prepare(&options, &secrets).await {
            Ok(prepared) => break prepared,
            Err(error) => error,
        };
        // The Secret may come a moment after the Deployment; RBAC, too.
        tracing::warn!(%error, "cannot start yet");
        tokio::select! {
            () = tokio::time::sleep(clock::jittered(gap)) => {}
            _ = shutdown.wait_for(|stop| *stop) => return None,
        }
        gap = (gap * 2).min(START_GAP_MAX);
    };
    let (events, publishing) =
        publisher(options.connection.unary.clone(), options.pod_name.clone());
    let publishing = tokio::spawn(publishing);
    let leadership = Leadership::begin(options.lease.clone(), &options.connection);
    let context = Arc::new(Context {
        installation,
        windows: options.windows,
        read_only: options.read_only,
        started_at: clock::now(),
        objects: Objects::new(options.connection.unary.clone(), leadership.standing()),
        secrets: SharedSecrets::new(secrets),
        events,
        metrics: options.metrics.clone(),
        fence: leadership.fence(),
        sealer: Arc::new(sealer),
        namespaces: Namespaces::default(),
        present: Present::default(),
        accounts: Accounts::new(
            options.accounts.clone(),
            options.namespace.clone(),
            options.identity.clone(),
            options.endpoints.clone(),
            options.transport.clone(),
            options.windows.settle_secs,
            options.metrics.accounts.clone(),
        ),
    });
    if options.read_only {
        // A second lock behind the one in `step`: no writer sends anything.
        context.fence.end(clock::now());
    }
    tracing::info!(
        installation = context.installation.as_str(),
        namespace = options.namespace,
        watch_namespaces = ?options.watch_namespaces,
        accounts = ?options.accounts,
        read_only = options.read_only,
        poll_secs = options.windows.poll_secs,
        settle_secs = options.windows.settle_secs,
        "started"
    );
    Some(Running {
        context,
        options,
        leadership,
        health,
        publishing,
    })
}

async fn prepare(
    options: &Options,
    secrets: &Secrets,
) -> Result<(Installation, Sealer), StartError> {
    let installation = match &options.installation_id {
        Some(id) => Installation::from_configured(id),
        None => {
            let uid = secrets
                .namespace_uid("kube-system")
                .await
                .map_err(StartError::Cluster)?
                .ok_or(StartError::NoCluster)?;
            Installation::from_cluster(&uid, &options.namespace)
        }
    };
    let sealer = secrets.sealer(&options.namespace).await?;
    Ok((installation, sealer))
}
