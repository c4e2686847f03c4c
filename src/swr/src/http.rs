//! Signed request -> answer, over one connection pool for the process. Never follows, repeats or
//! decompresses anything, and knows nothing of SWR.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::dns::Resolve;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::connect;
use super::observe::{ObserveRequests, Unobserved};
use super::resolver::{Guarded, Platform};
use swr_operator_clock as clock;
use swr_operator_core::credential::Sensitive;
use swr_operator_core::failure::Obstacle;

/// A page of 100 registries is some 60 KiB; no answer of SWR comes near 4 MiB.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Each of name resolution, connection and TLS is over in far less, or is not going to be.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// The metadata service and the agent of pod identity are on the node itself.
const NODE_DEADLINE: Duration = Duration::from_secs(5);

/// Shorter than the 60 s after which gateways close an idle connection, so that a request seldom
/// meets one that is being closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A longer id is cut; SWR's have 32 characters.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// How to reach the cloud. No `Debug`: the proxy may hold a password.
pub struct Settings {
    /// From the first byte out to the last byte in, for a request that changes nothing.
    pub read_deadline: Duration,
    /// The same for a request that writes. T_settle must be longer.
    pub write_deadline: Duration,
    /// PEM certificates that are trusted besides the platform's.
    pub ca_bundle: Option<Vec<u8>>,
    /// For https only. The environment's proxies are not looked at.
    pub proxy: Option<Proxy>,
    /// Where requests are counted.
    pub requests: Arc<dyn ObserveRequests>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            read_deadline: Duration::from_secs(30),
            write_deadline: Duration::from_secs(20),
            ca_bundle: None,
            proxy: None,
            requests: Arc::new(Unobserved),
        }
    }
}

/// An HTTP proxy. No `Debug`: the URL may hold a password.
pub struct Proxy {
    /// `http://[user:password@]host:port`.
    pub url: String,
    /// Comma separated hosts, domains and networks that are reached directly.
    pub no_proxy: Option<String>,
}

/// Why no transport can be built from its settings.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The CA bundle is not PEM, or has no certificate.
    #[error("the CA bundle holds no certificate in PEM form")]
    CaBundle,
    /// A certificate of the CA bundle is none: which, counted from 1, and why not.
    #[error("certificate {0} of the CA bundle is not one: {1}")]
    CaCertificate(usize, String),
    /// Neither the platform nor the bundle has a usable root certificate.
    #[error("failed to set up TLS")]
    Tls(#[source] rustls::Error),
    /// The URL of the proxy is not one. Without source: that could repeat the URL.
    #[error("the proxy is not a URL such as http://proxy.example.com:3128")]
    Proxy,
    /// Anything else.
    #[error("failed to set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl TransportError {
    /// Whether the CA bundle is to be corrected.
    pub fn is_of_ca_bundle(&self) -> bool {
        matches!(
            self,
            TransportError::CaBundle | TransportError::CaCertificate(..)
        )
    }
}

/// The connection pool, one per process. A clone is another handle on it.
#[derive(Clone)]
pub struct Transport {
    http: reqwest::Client,
    read_deadline: Duration,
    write_deadline: Duration,
    pub(super) requests: Arc<dyn ObserveRequests>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) head: Head,
    /// Zeroized, because SWR may repeat a secret in it (swr-api.md 1.2).
    pub(super) body: Result<Zeroizing<Vec<u8>>, Lost>,
    /// A token that IAM issues comes in a header.
    pub(super) subject_token: Option<Sensitive>,
}

/// What is read of status line and headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// The server's clock.
    pub(super) date: Option<Timestamp>,
    pub(super) retry_after: Option<String>,
    /// For the log; never for a status.
    pub(super) request_id: Option<String>,
}

/// What is asked, as far as it matters how long that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
    /// It is answered by the node itself.
    Node,
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No connection came about: nothing was sent. What was in the way, if that is known.
    NotSent(Option<Obstacle>),
    /// The deadline passed; anything may have been sent.
    TimedOut,
    /// The connection broke; anything may have been sent.
    Broken,
    /// The body is longer than [`BODY_BYTES_MAX`].
    TooLong,
}

impl Transport {
    /// # Errors
    /// What about the settings is not usable.
    pub fn new(settings: Settings) -> Result<Self, TransportError> {
        Self::with_resolver(settings, Platform)
    }

    /// The same with another resolver, whose answers are filtered too.
    pub(super) fn with_resolver(
        settings: Settings,
        resolver: impl Resolve + 'static,
    ) -> Result<Self, TransportError> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(settings.ca_bundle.as_deref())?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .no_proxy()
            .dns_resolver(Guarded(resolver))
            .connect_timeout(CONNECT_DEADLINE)
            .pool_idle_timeout(IDLE_MAX)
            .user_agent(concat!("swr-operator/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = settings.proxy {
            // Loopback is never behind a proxy.
            let direct = format!(
                "localhost,127.0.0.0/8,::1,{}",
                proxy.no_proxy.unwrap_or_default()
            );
            let proxy = reqwest::Proxy::https(Zeroizing::new(proxy.url).as_str())
                .map_err(|_| TransportError::Proxy)?
                .no_proxy(reqwest::NoProxy::from_string(&direct));
            builder = builder.proxy(proxy);
        }
        Ok(Transport {
            http: builder.build().map_err(TransportError::Client)?,
            read_deadline: settings.read_deadline,
            write_deadline: settings.write_deadline,
            requests: settings.requests,
        })
    }

    /// The time a whole exchange may take.
    pub(super) fn deadline(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Read => self.read_deadline,
            Patience::Write => self.write_deadline,
            Patience::Node => NODE_DEADLINE,
        }
    }

    /// Sends a request and reads the whole answer until `deadline`.
    pub(super) async fn exchange(
        &self,
        request: reqwest::Request,
        deadline: Instant,
    ) -> Result<Answer, Lost> {
        let mut response = match until(deadline, self.http.execute(request)).await {
            Err(TooLate) => return Err(Lost::TimedOut),
            // A refused, unresolved, untrusted or stalled connection: no byte of the request left.
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                tracing::info!(error = %chain(&error), "no connection");
                return Err(Lost::NotSent(connect::obstacle(&error)));
            }
            Ok(Err(error)) => {
                tracing::debug!(error = %chain(&error), "connection broke");
                return Err(Lost::Broken);
            }
            Ok(Ok(response)) => response,
        };
        let head = Head::read(response.status().as_u16(), response.headers());
        let subject_token = response.headers().get("x-subject-token");
        let subject_token = subject_token
            .and_then(|token| token.to_str().ok())
            .map(|token| Sensitive::new(token.to_owned()));
        let body = match until(deadline, read_body(&mut response)).await {
            Err(TooLate) => Err(Lost::TimedOut),
            Ok(body) => body,
        };
        Ok(Answer {
            head,
            body,
            subject_token,
        })
    }
}

/// The deadline has passed.
struct TooLate;

/// Waits until `deadline`, and does nothing after it. `timeout_at` alone would go on once more before it looks at the
/// time: a process that was stopped, or whose machine slept, while it connected would wake up and send.
async fn until<T>(deadline: Instant, future: impl Future<Output = T>) -> Result<T, TooLate> {
    let last = clock::after(deadline.saturating_duration_since(Instant::now()));
    let mut future = pin!(future);
    let in_time = poll_fn(|context| match clock::now() > last {
        true => Poll::Ready(Err(TooLate)),
        false => future.as_mut().poll(context).map(Ok),
    });
    timeout_at(deadline, in_time).await.unwrap_or(Err(TooLate))
}

/// The error and what is behind it, without the URL that reqwest would add.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

async fn read_body(response: &mut reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Lost> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > BODY_BYTES_MAX {
        return Err(Lost::TooLong);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(chunk) = response.chunk().await.map_err(|_| Lost::Broken)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Lost::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Head {
    fn read(status: u16, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text("x-request-id").or_else(|| text("x-iam-trace-id"));
        Head {
            status,
            date: text(DATE.as_str()).and_then(http_date),
            retry_after: text(RETRY_AFTER.as_str()).map(str::to_owned),
            request_id: request_id.map(|id| {
                id.chars()
                    .filter(char::is_ascii_graphic)
                    .take(REQUEST_ID_CHARS_MAX)
                    .collect()
            }),
        }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text.trim())
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// The certificates of a bundle, each of which a connection could be verified with.
fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let certificates: Vec<_> = (1..)
        .zip(CertificateDer::pem_slice_iter(pem))
        .map(|(nth, certificate)| {
            let is_none = |why: String| TransportError::CaCertificate(nth, why);
            let certificate = certificate.map_err(|why| {
                // Its own words show the line as a list of numbers.
                is_none(match matches!(why, pem::Error::MissingSectionEnd { .. }) {
                    true => "its END line is missing".to_owned(),
                    false => why.to_string(),
                })
            })?;
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|_| is_none("what it encodes is no X.509 certificate".to_owned()))?;
            Ok(certificate)
        })
        .collect::<Result<_, TransportError>>()?;
    if certificates.is_empty() {
        return Err(TransportError::CaBundle);
    }
    Ok(certificates)
}

/// TLS 1.2 and up with ring, named here so that no process-wide default is needed.
fn tls(ca_bundle: Option<&[u8]>) -> Result<rustls::ClientConfig, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra = ca_bundle.map_or_else(|| Ok(Vec::new()), authorities)?;
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone())
            .map_err(TransportError::Tls)?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TransportError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_wakes_up_after_its_deadline_does_nothing_more() {
        for (stopped_secs, goes_on) in [(4, true), (6, false)] {
            let mut went_on = false;
            let request = async {
                // The process is stopped while it connects. The timer and the connection wake it up together.
                tokio::time::advance(Duration::from_secs(stopped_secs)).await;
                went_on = true;
            };
            let deadline = Instant::now() + Duration::from_secs(5);
            let in_time = until(deadline, request).await.is_ok();
            assert_eq!((in_time, went_on), (goes_on, goes_on), "{stopped_secs} s");
        }
    }

    #[test]
    fn the_head_is_bounded_and_printable() {
        let mut headers = HeaderMap::new();
        headers.insert(
            DATE,
            HeaderValue::from_static("Sat, 31 Jan 2026 09:30:00 GMT"),
        );
        headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
        let long = format!("a b{}", "x".repeat(200));
        headers.insert("x-request-id", long.parse().expect("a header"));
        let head = Head::read(429, &headers);
        assert_eq!(
            head,
            Head {
                status: 429,
                date: Some("2026-01-31T09:30:00Z".parse().expect("a time")),
                retry_after: Some("30".to_owned()),
                request_id: Some(format!("ab{}", "x".repeat(126))),
            }
        );
        headers.remove("x-request-id");
        headers.insert("x-iam-trace-id", HeaderValue::from_static("trace"));
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        let head = Head::read(200, &headers);
        assert_eq!(head.request_id.as_deref(), Some("trace"));
        assert_eq!(head.date, None);
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        for (pem, expected) in [
            ("", "the CA bundle holds no certificate in PEM form"),
            ("no pem", "the CA bundle holds no certificate in PEM form"),
            (
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
                "certificate 1 of the CA bundle is not one: base64 decode error: InvalidCharacter(33)",
            ),
        ] {
            let settings = Settings {
                ca_bundle: Some(pem.as_bytes().to_vec()),
                ..Settings::default()
            };
            let error = Transport::new(settings)
                .err()
                .map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_proxy_that_is_no_url_is_refused_without_repeating_it() {
        let settings = Settings {
            proxy: Some(Proxy {
                url: "http://user:hunter2@:bad".to_owned(),
                no_proxy: None,
            }),
            ..Settings::default()
        };
        let Err(error) = Transport::new(settings) else {
            panic!("accepted")
        };
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
