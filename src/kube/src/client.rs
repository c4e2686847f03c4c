//! Configuration -> connection, with the cures for what was measured in kube 5.0.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::client::ClientBuilder;
use kube::config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service};

use super::observe::ObserveRequests;

/// Requests of one client that wait for the head of their answer at once, and so connections, which
/// take some 80 KiB each. Eight keep an API server with two cores busy; at 10 ms a request, 16 make
/// 1,600 a second.
const AT_ONCE: usize = 16;

/// Clients of one API server.
#[derive(Clone)]
pub struct Connection {
    /// For reads and writes.
    pub unary: Client,
    /// For watches, which must not wait behind anything.
    pub watch: Client,
    /// For the lease, which must not wait behind anything either.
    pub lease: Client,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The kubeconfig cannot be used.
    #[error("failed to read kubeconfig {path}: {why}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
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
pub async fn connect(
    kubeconfig: Option<&Path>,
    requests: Arc<dyn ObserveRequests>,
) -> Result<Connection, ConnectionError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let error = |error| ConnectionError::Kubeconfig {
                path: path.display().to_string(),
                why: without_excerpt(&error),
            };
            let kubeconfig = Kubeconfig::read_from(path).map_err(error)?;
            config_of(kubeconfig, None).await.map_err(error)?
        }
        // Not `Config::infer`: it would prefer a kubeconfig that happens to lie around.
        None => Config::incluster().map_err(ConnectionError::InCluster)?,
    };
    harden(&mut config);
    let unary = counted(config.clone(), &requests)?;
    let lease = counted(config.clone(), &requests)?;
    // E3: a body that stalls must die, a little after the server would have ended the watch.
    config.read_timeout = Some(super::watch::WATCH_TIMEOUT + Duration::from_secs(10));
    config.reset_reader_on_write = true;
    let watch = counted(config, &requests)?;
    Ok(Connection {
        unary,
        watch,
        lease,
    })
}

/// What a context of a kubeconfig leads to, by default the current one.
pub(crate) async fn config_of(
    kubeconfig: Kubeconfig,
    context: Option<&str>,
) -> Result<Config, KubeconfigError> {
    let cluster = cluster(&kubeconfig, context);
    let proxy_url = cluster.and_then(proxy_url);
    let authority = cluster.and_then(authority_file);
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.proxy_url = proxy_url;
    config.root_cert_file = authority;
    Ok(config)
}

/// A parser shows the line that it stumbled over, which may hold a token.
pub(crate) fn without_excerpt(error: &KubeconfigError) -> String {
    if let KubeconfigError::Parse(error) = error {
        return format!("it is no YAML: {}", error.without_snippet());
    }
    error.to_string()
}

/// Limits that kube 5.0 leaves open.
pub(crate) fn harden(config: &mut Config) {
    // E6, E7, E8: the default retries every verb, a POST too, for up to a day.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(15));
    config.disable_compression = true;
}

fn cluster<'a>(kubeconfig: &'a Kubeconfig, context: Option<&str>) -> Option<&'a Cluster> {
    let current = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|it| it.name == current)?;
    let name = &context.context.as_ref()?.cluster;
    let cluster = kubeconfig.clusters.iter().find(|it| it.name == *name)?;
    cluster.cluster.as_ref()
}

/// The proxy that the kubeconfig itself names for the API server. kube falls back to the proxy variables of
/// the environment, which are about the world outside.
fn proxy_url(cluster: &Cluster) -> Option<http::Uri> {
    cluster.proxy_url.as_ref()?.parse().ok()
}

/// The file of the authority, which kube reads again each minute, as it does in a pod. Alone it reads the one of a
/// kubeconfig once.
fn authority_file(cluster: &Cluster) -> Option<PathBuf> {
    // Data in the kubeconfig itself wins, as with kubectl.
    let file = cluster.certificate_authority.as_ref()?;
    let is_file = cluster.certificate_authority_data.is_none();
    is_file.then(|| PathBuf::from(file))
}

fn counted(config: Config, requests: &Arc<dyn ObserveRequests>) -> Result<Client, ConnectionError> {
    let url = &config.cluster_url;
    let host = url.authority().map_or("", |authority| authority.as_str());
    let layer = CountLayer {
        requests: Arc::clone(requests),
        host: Arc::from(host),
    };
    let builder = ClientBuilder::try_from(config).map_err(ConnectionError::Client)?;
    let builder = builder.with_layer(&ConcurrencyLimitLayer::new(AT_ONCE));
    Ok(builder.with_layer(&layer).build())
}

/// Counts every request when the head of its answer comes, as client-go does.
#[derive(Clone)]
struct CountLayer {
    requests: Arc<dyn ObserveRequests>,
    host: Arc<str>,
}

impl<S> Layer<S> for CountLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone)]
struct Counted<S> {
    inner: S,
    layer: CountLayer,
}

impl<S, Q, A> Service<http::Request<Q>> for Counted<S>
where
    S: Service<http::Request<Q>, Response = http::Response<A>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Q>) -> Self::Future {
        let CountLayer { requests, host } = self.layer.clone();
        let method = request.method().clone();
        let answer = self.inner.call(request);
        async move {
            // Counted on the way out, so that a request is counted, too, whose deadline passes here.
            let mut ends = Ends {
                layer: CountLayer { requests, host },
                method,
                status: None,
            };
            let answer = answer.await;
            ends.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            answer
        }
        .boxed()
    }
}

struct Ends {
    layer: CountLayer,
    method: http::Method,
    status: Option<u16>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let CountLayer { requests, host } = &self.layer;
        requests.ended(host, self.method.as_str(), self.status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_that_of_the_current_context() {
        let kubeconfig = |current: &str| {
            let text = format!(
                "{{current-context: {current}, contexts: [\
                 {{name: a, context: {{cluster: direct, user: u}}}}, \
                 {{name: b, context: {{cluster: behind, user: u}}}}], clusters: [\
                 {{name: direct, cluster: {{server: \"https://a.test\"}}}}, \
                 {{name: behind, cluster: {{server: \"https://b.test\", proxy-url: \"socks5://127.0.0.1:9\"}}}}]}}"
            );
            Kubeconfig::from_yaml(&text).expect("a kubeconfig")
        };
        let of = |current: &str, context: Option<&str>| {
            cluster(&kubeconfig(current), context).and_then(proxy_url)
        };
        assert_eq!(of("a", None), None);
        let behind = of("b", None);
        assert_eq!(of("a", Some("b")), behind);
        assert_eq!(behind.expect("a proxy").host(), Some("127.0.0.1"));
    }
}
