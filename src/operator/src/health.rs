//! `/livez` and `/readyz` on one port, `/metrics` on another. No answer depends on SWR: a cloud that
//! is down must not restart pods.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::listen::{Limits, listen};
use swr_operator_controller::Health;
use swr_operator_controller::metrics::Metrics;

/// A kubelet waits a second for the few lines of an answer.
const PROBES: Limits = Limits {
    head: Duration::from_secs(5),
    whole: Duration::from_secs(10),
    connections: 32,
};

/// Prometheus waits ten seconds by default. Each connection may hold a whole scrape, some 15 MB of ten thousand objects.
const SCRAPES: Limits = Limits {
    head: Duration::from_secs(5),
    whole: Duration::from_secs(30),
    connections: 8,
};

/// Serves `/livez` and `/readyz` until the process ends. Returns the address, which tells the port
/// if 0 was asked for.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve(address: SocketAddr, health: Arc<Health>) -> std::io::Result<SocketAddr> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health);
    listen(address, router, PROBES).await
}

/// Serves `/metrics` until the process ends. Returns the address.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve_metrics(
    address: SocketAddr,
    metrics: Metrics,
) -> std::io::Result<SocketAddr> {
    let router = Router::new()
        .route("/metrics", get(exposition))
        .with_state(metrics);
    listen(address, router, SCRAPES).await
}

async fn livez(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    answer(&health.live())
}

async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    answer(&health.ready())
}

async fn exposition(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    match metrics.exposition(accept.unwrap_or_default()) {
        Some(exposition) => {
            let content_type = [(header::CONTENT_TYPE, exposition.content_type)];
            (content_type, exposition.text).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One line per check, as the API server answers with `?verbose`.
fn answer(checks: &[(&'static str, bool)]) -> (StatusCode, String) {
    let line = |(name, good): &(&str, bool)| format!("[{}]{name}", if *good { '+' } else { '-' });
    let lines = checks.iter().map(line).collect::<Vec<_>>().join("\n");
    match checks.iter().all(|(_, good)| *good) {
        true => (StatusCode::OK, format!("{lines}\nok\n")),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{lines}\nnot ok\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::probe::probe;

    #[tokio::test]
    async fn a_probe_is_answered_while_the_port_for_metrics_is_full() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let probes = serve(any, Arc::default()).await.expect("a port");
        let scrapes = serve_metrics(any, Metrics::default())
            .await
            .expect("a port");
        let mut silent = Vec::new();
        for _ in 0..SCRAPES.connections * 2 {
            silent.push(TcpStream::connect(scrapes).await.expect("a connection"));
        }
        let ask = async |address: SocketAddr, path: &str, within: Duration| {
            let url = format!("http://{address}{path}");
            let answer = probe(&url.parse().expect("a URL"), within).await;
            answer.map_err(|error| error.to_string())
        };
        let refused = ask(scrapes, "/metrics", Duration::from_millis(100)).await;
        assert!(
            refused.is_err_and(|said| said.ends_with("did not answer: not within 0.1 s")),
            "the port for metrics has room"
        );
        let answer = ask(probes, "/livez", Duration::from_secs(60)).await;
        assert_eq!(answer.as_deref(), Ok("[+]loop\nok\n"));
    }
}
