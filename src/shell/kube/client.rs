//! Configuration -> connection, with the cures for what was measured in kube 5.0.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Clients of one API server.
#[derive(Clone)]
pub struct Connection {
    /// For reads and writes.
    pub unary: Client,
    /// For watches, which must not wait behind anything.
    pub watch: Client,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The kubeconfig cannot be used.
    #[error("failed to read kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// There is no service account.
    #[error("failed to read the pod's service account (outside a cluster, pass --kubeconfig): {0}")]
    InCluster(#[source] kube::config::InClusterError),
    /// The client cannot be made.
    #[error("failed to set up the client of the API server: {0}")]
    Client(#[source] kube::Error),
}

/// Connects by the kubeconfig, or as the pod's service account if there is none.
///
/// # Errors
/// When configuration or client cannot be made; whether the server answers is not tried here.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Connection, ConnectionError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let error = |source| ConnectionError::Kubeconfig {
                path: path.display().to_string(),
                source,
            };
            let kubeconfig = Kubeconfig::read_from(path).map_err(error)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(error)?
        }
        // Not `Config::infer`: it would prefer a kubeconfig that happens to lie around.
        None => Config::incluster().map_err(ConnectionError::InCluster)?,
    };
    // E6, E7, E8: the default retries every verb, a POST too, for up to a day.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(15));
    config.disable_compression = true;
    let unary = Client::try_from(config.clone()).map_err(ConnectionError::Client)?;
    // E3: a body that stalls must die, a little after the server would have ended the watch.
    config.read_timeout = Some(super::watch::WATCH_TIMEOUT + Duration::from_secs(10));
    config.reset_reader_on_write = true;
    let watch = Client::try_from(config).map_err(ConnectionError::Client)?;
    Ok(Connection { unary, watch })
}
