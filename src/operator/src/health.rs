//! `/livez` and `/readyz` on one port, `/metrics` on another. No answer depends on SWR: a cloud that
//! is down must not restart pods.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use swr_operator_controller::Health;
use swr_operator_controller::metrics::Metrics;

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
    listen(address, router).await
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
    listen(address, router).await
}

async fn listen(address: SocketAddr, router: Router) -> std::io::Result<SocketAddr> {
    let listener = bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, %address, "this port is closed");
        }
    });
    Ok(address)
}

/// Where IPv6 is switched off there is no `[::]`, which is the default because an IPv6-only cluster has
/// nothing else: every address of IPv4 is meant then.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// EAFNOSUPPORT of a kernel without IPv6, EADDRNOTAVAIL of one where it is disabled (Linux).
fn is_without_ipv6(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(97 | 99))
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
