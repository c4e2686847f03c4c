//! Address and router -> a port that is served. Each connection has one request and a deadline, and there are few at
//! once: a client that is slow, or that opens thousands, takes neither memory nor file descriptors.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Request line and headers of a kubelet, of Prometheus and of a browser are shorter.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What clients of a port may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the connection to the end of the request's head.
    pub(crate) head: Duration,
    /// From the connection to the end of the answer.
    pub(crate) whole: Duration,
    /// Connections at once. Others wait until one ends.
    pub(crate) connections: usize,
}

/// Serves until the process ends. Returns the address, which tells the port if 0 was asked for.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn listen(
    address: SocketAddr,
    router: Router,
    limits: Limits,
) -> std::io::Result<SocketAddr> {
    let listener = bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, router, limits));
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

async fn accept(mut listener: TcpListener, router: Router, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    // First the place, then the connection: one that has to wait is the kernel's and has no file descriptor.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        // axum's, which survives what accept(2) may say.
        let (stream, client) = Listener::accept(&mut listener).await;
        let router = router.clone();
        tokio::spawn(async move {
            if let Err(cause) = answer(stream, router, limits).await {
                tracing::debug!(%client, %cause, "this connection ended without an answer");
            }
            drop(place);
        });
    }
}

async fn answer(stream: TcpStream, router: Router, limits: Limits) -> Result<(), String> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        // A client that comes back twice a minute gains nothing from a connection that it may keep.
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(limits.whole, connection).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("not within {} s", limits.whole.as_secs_f64())),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;
    use tokio::time::interval;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    /// What is to happen happens within this time.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// And what is not, does not: longer than any test lasts.
    const NEVER: Duration = Duration::from_hours(1);
    const SOON: Duration = Duration::from_millis(200);

    async fn port(router: Router, limits: Limits) -> SocketAddr {
        let address = "127.0.0.1:0".parse().expect("an address");
        listen(address, router, limits).await.expect("a port")
    }

    async fn connect(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }

    /// What comes until the server ends the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        let end = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        let _ = end.expect("the server ends the connection");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn status(answer: &str) -> &str {
        answer.split("\r\n").next().unwrap_or_default()
    }

    fn routes() -> Router {
        Router::new()
            .route("/", get(|| async { "well" }))
            .route("/never", get(pending::<&str>))
            .route("/long", get(|| async { "x".repeat(64 * 1024 * 1024) }))
    }

    /// A client that sends `text` and then waits loses the only place, and the next one has it.
    async fn check_slow(text: &str, head: Duration, whole: Duration) {
        let limits = Limits {
            head,
            whole,
            connections: 1,
        };
        let address = port(routes(), limits).await;
        let slow = connect(address, text).await;
        let next = rest(connect(address, GET).await).await;
        assert_eq!(status(&next), "HTTP/1.1 200 OK", "after {text:?}");
        let sent = rest(slow).await;
        assert!(sent.len() < 64 * 1024 * 1024, "{text:?} was answered");
    }

    #[tokio::test]
    async fn a_slow_client_loses_its_place() {
        check_slow("", SOON, NEVER).await;
        check_slow("GET / HT", SOON, NEVER).await;
        check_slow("GET / HTTP/1.1\r\nHost: local", SOON, NEVER).await;
        check_slow("GET /never HTTP/1.1\r\nHost: h\r\n\r\n", NEVER, SOON).await;
        check_slow("GET /long HTTP/1.1\r\nHost: h\r\n\r\n", NEVER, SOON).await;
    }

    #[tokio::test]
    async fn a_byte_now_and_then_buys_no_time() {
        let limits = Limits {
            head: SOON,
            whole: NEVER,
            connections: 1,
        };
        let address = port(routes(), limits).await;
        let mut stream = connect(address, "GET /").await;
        let trickle = async {
            let mut beat = interval(Duration::from_millis(10));
            while stream.write_all(b"a").await.is_ok() {
                beat.tick().await;
            }
        };
        timeout(PATIENCE, trickle)
            .await
            .expect("the server ends the connection");
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused_and_a_connection_serves_one_request() {
        let limits = Limits {
            head: NEVER,
            whole: NEVER,
            connections: 1,
        };
        let address = port(routes(), limits).await;
        let long = format!("GET /{}", "a".repeat(2 * HEAD_BYTES_MAX));
        rest(connect(address, &long).await).await;
        let two = rest(connect(address, &GET.repeat(2)).await).await;
        assert_eq!(two.matches("HTTP/1.1 200 OK").count(), 1, "{two}");
        assert!(two.contains("connection: close"), "{two}");
    }

    #[tokio::test]
    async fn connections_beyond_the_cap_wait_and_are_served_once_one_ends() {
        const CAP: usize = 2;
        const CLIENTS: usize = 6;
        let gate = Arc::new(Semaphore::new(0));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (enter, mut entered) = mpsc::unbounded_channel();
        let waits = {
            let (gate, most) = (Arc::clone(&gate), Arc::clone(&most));
            move || async move {
                let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                enter.send(()).expect("the test listens");
                gate.acquire().await.expect("a gate").forget();
                inside.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let limits = Limits {
            head: NEVER,
            whole: NEVER,
            connections: CAP,
        };
        let address = port(Router::new().route("/", get(waits)), limits).await;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(async move { rest(connect(address, GET).await).await }))
            .collect();
        for n in 1..=CLIENTS {
            let entry = timeout(PATIENCE, entered.recv()).await;
            entry.expect("the next one is served").expect("a request");
            if n >= CAP {
                gate.add_permits(1);
            }
        }
        gate.add_permits(CAP - 1);
        for client in clients {
            let answer = client.await.expect("no panic");
            assert_eq!(status(&answer), "HTTP/1.1 200 OK");
        }
        assert_eq!(most.load(Ordering::Relaxed), CAP);
    }
}
