//! Sockets and time around the simulator. Must not know SWR: each request becomes a value, each reply comes from one.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::faults::{Fault, Kind, Phase};
use crate::message::{Delivery, Reply, Request};
use crate::refusal::{INVALID, Refusal};
use crate::{Options, Simulator, control};

// The limit that the gateway documents for signed bodies: 12 MB.
const BODY_BYTES_MAX: usize = 12 * 1024 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running simulator. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    simulator: Arc<Mutex<Simulator>>,
    task: JoinHandle<Infallible>,
}

/// Listens and serves until the server is dropped. The address must be a loopback one: the control surface has no
/// authentication and shows secrets.
pub async fn serve(options: Options) -> io::Result<Server> {
    if !options.listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a loopback address", options.listen),
        ));
    }
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let simulator = Arc::new(Mutex::new(Simulator::new(options, clock())));
    let task = tokio::spawn(accept(listener, Arc::clone(&simulator)));
    Ok(Server {
        address,
        simulator,
        task,
    })
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks into or changes the simulator without a request; the present time comes along.
    pub fn with<T>(&self, act: impl FnOnce(&mut Simulator, Timestamp) -> T) -> T {
        act(&mut locked(&self.simulator), clock())
    }

    /// Stops, and returns when the port is free and all connections are closed.
    pub async fn shutdown(mut self) {
        self.task.abort();
        let stopped = (&mut self.task).await;
        debug_assert!(stopped.is_err(), "the accept loop has no end of its own");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of the simulator")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// A panic while the lock was held has failed its own test; the others go on with the state as it is.
fn locked(simulator: &Mutex<Simulator>) -> MutexGuard<'_, Simulator> {
    simulator.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, simulator: Arc<Mutex<Simulator>>) -> Infallible {
    // Dropping the set ends the connections, so that they end with the server.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&simulator)));
                }
                // Out of file descriptors, most likely: let some connections end.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// One connection. An error of the service closes it without an answer, which is how resets are made.
async fn converse(stream: TcpStream, simulator: Arc<Mutex<Simulator>>) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let simulator = Arc::clone(&simulator);
        async move {
            let Ok(request) = read(request).await else {
                let refusal = Refusal::gateway(413, "0201", "Request entity too large");
                return Ok(response(locked(&simulator).world.refuse(refusal, clock())));
            };
            respond(&simulator, request).await
        }
    });
    // The client went away, or the service closed the connection: nobody is left to tell.
    let _: Result<(), hyper::Error> = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct TooLarge;

async fn read(request: hyper::Request<Incoming>) -> Result<Request, TooLarge> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| TooLarge)?
        .to_bytes();
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.to_vec(),
    })
}

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn respond(
    simulator: &Arc<Mutex<Simulator>>,
    request: Request,
) -> Result<Response<Full<Bytes>>, Closed> {
    if request.path.starts_with(control::PREFIX) {
        let reply = control::handle(&mut locked(simulator), &request, clock());
        return Ok(response(reply));
    }
    let (seq, fault) = note(&mut locked(simulator), &request);
    let Some(fault) = fault else {
        let reply = locked(simulator).world.handle(&request, clock());
        return deliver(simulator, seq, reply).await;
    };
    let delay = Duration::from_millis(u64::from(fault.delay_ms.unwrap_or(0)));
    match (fault.kind, fault.phase) {
        (Kind::LateApply, _) => {
            let simulator = Arc::clone(simulator);
            tokio::spawn(async move {
                sleep(delay).await;
                locked(&simulator).world.handle(&request, clock());
            });
            return Err(Closed);
        }
        (Kind::Delay, Phase::Before) => sleep(delay).await,
        (Kind::Status | Kind::Reset | Kind::Hang, Phase::Before) | (_, Phase::After) => {}
    }
    let reply = match (fault.kind, fault.phase) {
        (Kind::Delay, _) | (_, Phase::After) => {
            Some(locked(simulator).world.handle(&request, clock()))
        }
        (Kind::Status | Kind::Reset | Kind::Hang | Kind::LateApply, Phase::Before) => None,
    };
    match (fault.kind, reply) {
        (Kind::Status, _) => {
            let reply = scripted_reply(&mut locked(simulator), &fault);
            deliver(simulator, seq, reply).await
        }
        (Kind::Hang, _) => pending().await,
        (Kind::Delay, Some(reply)) => {
            if fault.phase == Phase::After {
                sleep(delay).await;
            }
            deliver(simulator, seq, reply).await
        }
        (Kind::Delay, None) | (Kind::Reset | Kind::LateApply, _) => Err(Closed),
    }
}

/// Enters the request into the journal and finds the fault that strikes it.
fn note(simulator: &mut Simulator, request: &Request) -> (u64, Option<Fault>) {
    let (operation, instance) = simulator.world.destination(request);
    let fault = simulator.faults.strike(operation, instance.as_deref());
    let kind = fault.as_ref().and_then(|fault| {
        let kind = serde_json::to_value(fault.kind).ok()?;
        kind.as_str().map(str::to_owned)
    });
    let shown = simulator.world.noted(request);
    let seq = simulator
        .journal
        .begin(&shown, operation, instance, kind, clock());
    (seq, fault)
}

async fn deliver(
    simulator: &Arc<Mutex<Simulator>>,
    seq: u64,
    reply: Reply,
) -> Result<Response<Full<Bytes>>, Closed> {
    if !reply.thinks.is_zero() {
        sleep(reply.thinks).await;
    }
    match reply.delivery {
        Delivery::Answer => {
            locked(simulator)
                .journal
                .end(seq, reply.status, reply.header("x-request-id"));
            Ok(response(reply))
        }
        Delivery::Close => Err(Closed),
        Delivery::Hang => pending().await,
    }
}

fn scripted_reply(simulator: &mut Simulator, fault: &Fault) -> Reply {
    let status = fault.status.unwrap_or(500);
    let refusal = match status {
        429 => Refusal::Throttled {
            limit: 200,
            retry_after_secs: None,
        },
        401 => Refusal::gateway(
            401,
            "0301",
            "Incorrect IAM authentication information: verify aksk signature fail",
        ),
        500.. => Refusal::gateway(status, "0201", "Backend unavailable"),
        _ => Refusal::service(status, INVALID, "scripted fault"),
    };
    let mut reply = simulator.world.refuse(refusal, clock());
    match &fault.body {
        None => {}
        Some(Value::String(text)) => {
            reply = reply.with_body("text/plain; charset=utf-8", text.as_bytes());
        }
        Some(json) => {
            reply = reply.with_body(
                "application/json;charset=utf-8",
                json.to_string().as_bytes(),
            );
        }
    }
    for (name, value) in &fault.headers {
        reply = reply.with_header(name, value);
    }
    reply
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
