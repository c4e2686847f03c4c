//! `/livez` and `/readyz` on one port, `/metrics` on another. No answer depends on SWR: a cloud that
//! is down must not restart pods.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::shell::clock;
use crate::shell::metrics::Metrics;

/// The controller's loop turns at least once a second; after this time it is stuck.
const STUCK_SECS: i64 = 60;

/// What the controller tells of itself.
#[derive(Default)]
pub struct Health {
    turned_at: AtomicI64,
    objects_listed: AtomicBool,
    accounts_listed: AtomicBool,
}

impl Health {
    /// The controller's loop turned.
    pub fn beat(&self) {
        self.turned_at
            .store(clock::now().as_second(), Ordering::Relaxed);
    }

    /// The objects were listed once.
    pub fn objects_listed(&self) {
        self.objects_listed.store(true, Ordering::Relaxed);
    }

    /// The accounts were listed once.
    pub fn accounts_listed(&self) {
        self.accounts_listed.store(true, Ordering::Relaxed);
    }

    fn live(&self) -> Vec<(&'static str, bool)> {
        let turned_at = self.turned_at.load(Ordering::Relaxed);
        let waits_to_start = turned_at == 0;
        let turns = clock::now().as_second() - turned_at < STUCK_SECS;
        vec![("loop", waits_to_start || turns)]
    }

    fn ready(&self) -> Vec<(&'static str, bool)> {
        let mut checks = self.live();
        checks.push((
            "objects listed",
            self.objects_listed.load(Ordering::Relaxed),
        ));
        checks.push((
            "accounts listed",
            self.accounts_listed.load(Ordering::Relaxed),
        ));
        checks
    }
}

/// Serves `/livez` and `/readyz` until the process ends. Returns the address, which tells the port
/// if 0 was asked for.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, health: Arc<Health>) -> std::io::Result<SocketAddr> {
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
pub async fn serve_metrics(address: SocketAddr, metrics: Metrics) -> std::io::Result<SocketAddr> {
    let router = Router::new()
        .route("/metrics", get(exposition))
        .with_state(metrics);
    listen(address, router).await
}

async fn listen(address: SocketAddr, router: Router) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, %address, "this port is closed");
        }
    });
    Ok(address)
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
