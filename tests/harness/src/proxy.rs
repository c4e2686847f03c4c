//! A proxy between one operator and the API server that can stop at any request, or answer it otherwise, before or after
//! the API server carried it out. Deterministic: a fault is a request, its ordinal and a phase. Decides nothing, and
//! changes nothing else that it passes on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::front::{IPV4, listen};
use crate::pki::write_private;
use crate::wait::until;
use crate::{ControlPlane, Error};

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The API server does not get it.
    Before,
    /// The API server carried it out, and its answer stays here.
    After,
}

/// Stands for every request of a namespace in [`Fault::what`].
pub const ANY: &str = "*";

/// How long a request waits in a queue of the API server before it is refused. The API server itself gives up after at
/// most a quarter of the deadline of a request, 15 s.
const QUEUED: Duration = Duration::from_secs(5);

/// What comes instead of the API server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A status with the words of the API server for it; with Retry-After where one comes with it.
    Status(u16),
    /// As from an API server that has too much to do: 429, after the request has waited for its turn in vain.
    Throttled,
    /// The words of a failure in a success.
    FailureInSuccess,
    /// The page of something in between.
    WebPage,
    /// The first half of what the API server answers, as if it were all.
    Half,
    /// The connection ends within the answer.
    Reset,
}

/// A request that is answered otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As [`Seen::what`]; or `LIST` or `POST` and the resource, as `POST events`; or [`ANY`].
    pub what: String,
    /// After how many such requests; `None` for every one.
    pub nth: Option<usize>,
    /// Whether the API server carries it out.
    pub phase: Phase,
    /// The answer.
    pub trouble: Trouble,
}

/// One request of the operator for an object or a Secret of a watched namespace.
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
    /// A book for each.
    namespaces: Vec<String>,
    books: Vec<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    seen: Vec<Seen>,
    stop_at: Option<(Seen, Phase)>,
    stopped: Option<Seen>,
    faults: Vec<Fault>,
    struck: Vec<Fault>,
}

/// What becomes of a request.
enum Fate {
    Stops(Seen, Phase),
    Meets(Fault),
    Passes,
}

impl Proxy {
    /// Starts a proxy that counts the requests for objects and Secrets of these namespaces, each by itself.
    ///
    /// # Errors
    /// When the certificate authority cannot be read, or no port can be had.
    pub fn start(plane: &ControlPlane, namespaces: &[&str]) -> Result<Self, Error> {
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
            namespaces: namespaces.iter().map(|it| (*it).to_owned()).collect(),
            books: namespaces.iter().map(|_| Mutex::default()).collect(),
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

    pub fn address(&self) -> SocketAddr {
        self.address
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

    /// What is known of a namespace of this proxy's.
    ///
    /// # Panics
    /// When it is none of those that the proxy was started for.
    pub fn of(&self, namespace: &str) -> Watched<'_> {
        let mut books = self.state.namespaces.iter().zip(&self.state.books);
        let found = books.find(|(name, _)| *name == namespace);
        Watched(found.unwrap_or_else(|| panic!("{namespace}")).1)
    }
}

/// A namespace whose requests are counted.
#[derive(Clone, Copy)]
pub struct Watched<'a>(&'a Mutex<Book>);

impl Watched<'_> {
    /// The requests since the last time that the count began, in order.
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

    /// Counts from now on, and answers these requests otherwise.
    pub fn answer(&self, faults: Vec<Fault>) {
        *self.book() = Book {
            faults,
            ..Book::default()
        };
    }

    /// What has struck since then, in order.
    pub fn struck(&self) -> Vec<Fault> {
        self.book().struck.clone()
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Enters a request, and says what becomes of it.
    fn enter(&mut self, what: String) -> Fate {
        let nth = self.seen.iter().filter(|seen| seen.what == what).count();
        let seen = Seen { what, nth };
        let meets = |fault: &&Fault| {
            (fault.what == ANY || fault.what == seen.what)
                && fault.nth.is_none_or(|at| at == seen.nth)
        };
        let fate = match (&self.stop_at, self.faults.iter().find(meets)) {
            (Some((at, phase)), _) if *at == seen => Fate::Stops(seen.clone(), *phase),
            (_, Some(fault)) => Fate::Meets(fault.clone()),
            (_, None) => Fate::Passes,
        };
        if let Fate::Meets(fault) = &fate {
            self.struck.push(fault.clone());
        }
        // A list or the creation of an event names no object, and is no request that a story counts.
        if seen.what.contains('/') {
            self.seen.push(seen);
        }
        fate
    }
}

impl Shared {
    /// The namespace of the request, and what it is about there.
    fn describe(&self, method: &Method, uri: &Uri) -> Option<(Watched<'_>, String)> {
        let (_, below) = uri.path().split_once("/namespaces/")?;
        let (namespace, below) = below.split_once('/')?;
        let n = self.namespaces.iter().position(|it| it == namespace)?;
        let is_watch = uri.query().is_some_and(|query| query.contains("watch="));
        let what = match below.contains('/') {
            true => format!("{method} {below}"),
            false if *method == Method::GET && is_watch => format!("WATCH {below}"),
            false if *method == Method::GET => format!("LIST {below}"),
            false => format!("{method} {below}"),
        };
        Some((Watched(&self.books[n]), what))
    }
}

/// Stays here until the operator is gone, which drops this future.
async fn stop(book: Watched<'_>, seen: Seen) {
    book.book().stopped = Some(seen);
    std::future::pending::<()>().await;
}

async fn pass_on(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let described = shared.describe(&method, &uri);
    let entered = described.map(|(book, what)| (book, book.book().enter(what)));
    match &entered {
        Some((book, Fate::Stops(seen, Phase::Before))) => stop(*book, seen.clone()).await,
        Some((_, Fate::Meets(fault))) if fault.phase == Phase::Before => {
            if fault.trouble == Trouble::Throttled {
                tokio::time::sleep(QUEUED).await;
            }
            return instead(
                fault.trouble,
                b"{\"kind\": \"Secret\", \"apiVersion\": \"v1\"}",
            );
        }
        Some(_) | None => {}
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
    match entered {
        Some((book, Fate::Stops(seen, _))) => stop(book, seen).await,
        Some((_, Fate::Meets(fault))) => {
            let real = answer.bytes().await.unwrap_or_default();
            return instead(fault.trouble, &real);
        }
        Some((_, Fate::Passes)) | None => {}
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    response
        .body(Body::from_stream(answer.bytes_stream()))
        .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

/// The answer that takes the place of the real one.
fn instead(trouble: Trouble, real: &[u8]) -> Response {
    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
    let words = |code: u16| {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "not now", "reason": "InternalError", "code": code,
        })
        .to_string()
    };
    match trouble {
        Trouble::Throttled => instead(Trouble::Status(429), real),
        Trouble::Status(code) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, [JSON], words(code)).into_response();
            if matches!(code, 429 | 503) {
                let soon = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, soon);
            }
            response
        }
        Trouble::FailureInSuccess => ([JSON], words(500)).into_response(),
        Trouble::WebPage => "<html><body>Please log in</body></html>".into_response(),
        Trouble::Half => ([JSON], real[..real.len() / 2].to_vec()).into_response(),
        Trouble::Reset => {
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let body = futures::stream::iter([Err::<Bytes, _>(broken)]);
            ([JSON], Body::from_stream(body)).into_response()
        }
    }
}
