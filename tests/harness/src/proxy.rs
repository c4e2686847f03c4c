//! A proxy between one operator and the API server that can stop at any request, before or after
//! the API server carried it out. Deterministic: a stop is a request, its ordinal and a phase.
//! Decides nothing and changes nothing that it passes on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use tokio::runtime::Runtime;

use crate::front::{IPV4, listen};
use crate::pki::write_private;
use crate::wait::until;
use crate::{ControlPlane, Error};

/// When a request stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The API server does not get it.
    Before,
    /// The API server carried it out, and its answer stays here.
    After,
}

/// One request of the operator for an object or a Secret of the watched namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seen {
    /// Method and path below the namespace, as `PATCH replicationregistries/a/status`.
    pub what: String,
    /// How many such requests came before.
    pub nth: usize,
}

/// A proxy that listens on loopback until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Shared>,
    /// Dropping it ends every connection.
    _runtime: Runtime,
}

struct Shared {
    client: reqwest::Client,
    server: String,
    namespace: String,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    seen: Vec<Seen>,
    stop_at: Option<(Seen, Phase)>,
    stopped: Option<Seen>,
}

impl Proxy {
    /// Starts a proxy that counts the requests for objects and Secrets of this namespace.
    ///
    /// # Errors
    /// When the certificate authority cannot be read, or no port can be had.
    pub fn start(plane: &ControlPlane, namespace: &str) -> Result<Self, Error> {
        // Two in one process race for the same provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = std::fs::read(plane.authority())
            .map_err(Error::io("read the certificate authority"))?;
        let unmet = |why: reqwest::Error| {
            Error::unmet(
                "the fault proxy",
                why.to_string(),
                "look at the authority's file",
            )
        };
        let authority = reqwest::Certificate::from_pem(&authority).map_err(unmet)?;
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .build()
            .map_err(unmet)?;
        let state = Arc::new(Shared {
            client,
            server: plane.server().trim_end_matches('/').to_owned(),
            namespace: namespace.to_owned(),
            book: Mutex::default(),
        });
        let (runtime, listener, address) = listen(IPV4)?;
        let router = Router::new()
            .fallback(pass_on)
            .with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Proxy {
            address,
            state,
            _runtime: runtime,
        })
    }

    /// Where the operator's kubeconfig must point.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes the kubeconfig at `original` to `path`, so that its bearer goes through this proxy.
    ///
    /// # Errors
    /// When the one cannot be read as JSON or the other not be written.
    pub fn kubeconfig(&self, original: &Path, path: &Path) -> Result<PathBuf, Error> {
        let text = std::fs::read(original).map_err(Error::io("read a kubeconfig"))?;
        let mut config: serde_json::Value =
            serde_json::from_slice(&text).map_err(Error::json("a kubeconfig"))?;
        config["clusters"][0]["cluster"] = serde_json::json!({"server": self.url()});
        write_private(path, config.to_string().as_bytes())
    }

    /// The requests since the last [`Proxy::stop_at`], in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.book().seen.clone()
    }

    /// Counts from now on, and stops at this request.
    pub fn stop_at(&self, stop: Option<(Seen, Phase)>) {
        *self.book() = Book {
            stop_at: stop,
            ..Book::default()
        };
    }

    /// Waits until a request stopped.
    ///
    /// # Errors
    /// When none did before the deadline; says which came.
    pub fn await_stop(&self, deadline: Duration) -> Result<Seen, Error> {
        until(deadline, "a request to stop at the fault proxy", || {
            let book = self.book();
            book.stopped
                .clone()
                .ok_or_else(|| format!("passed on so far: {:?}", book.seen))
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.state.book()
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the request is about, if it counts.
    fn describe(&self, method: &Method, uri: &Uri) -> Option<String> {
        let (_, below) = uri
            .path()
            .split_once(&format!("/namespaces/{}/", self.namespace))?;
        // A list or a watch names no object.
        let counts = below.split('/').count() >= 2;
        counts.then(|| format!("{method} {below}"))
    }

    /// Enters the request, and says whether it is to stop and when.
    fn enter(&self, what: String) -> (Seen, Option<Phase>) {
        let mut book = self.book();
        let nth = book.seen.iter().filter(|seen| seen.what == what).count();
        let seen = Seen { what, nth };
        book.seen.push(seen.clone());
        let stop = book.stop_at.as_ref().filter(|(at, _)| *at == seen);
        let phase = stop.map(|(_, phase)| *phase);
        (seen, phase)
    }

    /// Stays here until the operator is gone, which drops this future.
    async fn stop(&self, seen: Seen) {
        self.book().stopped = Some(seen);
        std::future::pending::<()>().await;
    }
}

async fn pass_on(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let counted = shared.describe(&method, &uri);
    let entered = counted.map(|what| shared.enter(what));
    if let Some((seen, Some(Phase::Before))) = &entered {
        shared.stop(seen.clone()).await;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = shared
        .client
        .request(method, format!("{}{path}", shared.server))
        .body(body);
    for (name, value) in &headers {
        if name != header::HOST && name != header::CONTENT_LENGTH {
            request = request.header(name, value);
        }
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    if let Some((seen, Some(Phase::After))) = entered {
        shared.stop(seen).await;
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    response
        .body(Body::from_stream(answer.bytes_stream()))
        .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}
