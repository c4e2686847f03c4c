//! What stands between the operator and the cloud: a server that ends TLS, one that speaks an old TLS, and a proxy that
//! connects by names of its own and writes down what it was asked. Knows nothing of what it passes on.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::Error;

/// Where a server listens on loopback that takes any free port.
pub const IPV4: &str = "127.0.0.1:0";
/// The same by IPv6.
pub const IPV6: &str = "[::1]:0";

/// An authority that nobody trusts who was not told to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// # Errors
    /// When the key cannot be made.
    pub fn create() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        Ok(Self(CertifiedIssuer::self_signed(params, key)?))
    }

    /// Its certificate, as `--ca-file` wants it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for a host.
    ///
    /// # Errors
    /// When the host cannot stand in one.
    pub fn issue(&self, host: &str, expired: bool) -> Result<Arc<ServerConfig>, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([host.to_owned()])?;
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.0)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(unusable)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(unusable)?;
        Ok(Arc::new(config))
    }
}

fn unusable(why: impl std::fmt::Display) -> Error {
    Error::unmet(
        "a server with TLS",
        why.to_string(),
        "look at how the certificate was made",
    )
}

/// Listens on loopback, with a thread to serve what comes.
pub(crate) fn listen(at: &str) -> Result<(Runtime, TcpListener, SocketAddr), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Error::io("start a server"))?;
    let listener = runtime
        .block_on(TcpListener::bind(at))
        .map_err(Error::io(format!("listen on {at}")))?;
    let address = listener
        .local_addr()
        .map_err(Error::io(format!("listen on {at}")))?;
    Ok((runtime, listener, address))
}

/// A server on loopback, until it is dropped.
pub struct Front {
    address: SocketAddr,
    /// Dropping it ends every connection.
    _runtime: Runtime,
}

impl Front {
    /// Serves every connection so.
    fn serve<F: Future<Output = io::Result<()>> + Send + 'static>(
        at: &str,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Result<Self, Error> {
        let (runtime, listener, address) = listen(at)?;
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }

    /// Passes everything on as it comes.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn plain(at: &str, behind: SocketAddr) -> Result<Self, Error> {
        Self::serve(at, move |mut stream| async move {
            let mut behind = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut stream, &mut behind).await?;
            Ok(())
        })
    }

    /// Ends TLS, and passes on what was in it.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn tls(at: &str, config: Arc<ServerConfig>, behind: SocketAddr) -> Result<Self, Error> {
        let acceptor = TlsAcceptor::from(config);
        Self::serve(at, move |stream| {
            let handshake = acceptor.accept(stream);
            async move {
                let mut stream = handshake.await?;
                let mut behind = TcpStream::connect(behind).await?;
                copy_bidirectional(&mut stream, &mut behind).await?;
                Ok(())
            }
        })
    }

    /// Answers a client's first words with the `ServerHello` of TLS 1.1 (RFC 4346, 7.4.1.3), and keeps all that the
    /// client says.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn tls_1_1(at: &str, heard: Arc<Mutex<Vec<u8>>>) -> Result<Self, Error> {
        // Version, random, no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
        let hello = [&[3, 2][..], &[7; 32], &[0], &[0xc0, 0x13], &[0]].concat();
        let length = u8::try_from(hello.len()).unwrap_or_default();
        let answer = [&[22, 3, 2, 0, length + 4, 2, 0, 0, length], &hello[..]].concat();
        Self::serve(at, move |mut stream| {
            let (heard, answer) = (Arc::clone(&heard), answer.clone());
            async move {
                let mut part = [0; 4096];
                let mut is_answered = false;
                loop {
                    let n_read = stream.read(&mut part).await?;
                    if n_read == 0 {
                        return Ok(());
                    }
                    locked(&heard).extend_from_slice(&part[..n_read]);
                    if !is_answered {
                        stream.write_all(&answer).await?;
                        is_answered = true;
                    }
                }
            }
        })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:PORT` or `[::1]:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn locked<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a proxy has to know.
pub struct Rules {
    /// Who may use it, as `user:password`.
    pub user: String,
    /// Where it connects for `host:port`. Any other it refuses.
    pub routes: HashMap<String, SocketAddr>,
}

/// A proxy that is asked with CONNECT.
pub struct ConnectProxy {
    front: Front,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// # Errors
    /// When it cannot listen on loopback.
    pub fn start(rules: Rules) -> Result<Self, Error> {
        let rules = Arc::new(rules);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&asked);
        let front = Front::serve(IPV4, move |stream| {
            connect(stream, Arc::clone(&rules), Arc::clone(&book))
        })?;
        Ok(Self { front, asked })
    }

    pub fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// The different requests so far with the status of the answer, sorted: `CONNECT host:443 200`.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = locked(&self.asked).clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

async fn connect(
    mut stream: TcpStream,
    rules: Arc<Rules>,
    asked: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let asked_for = lines.next().and_then(|line| line.strip_suffix(" HTTP/1.1"));
    let asked_for = asked_for.unwrap_or_default();
    let user = base64::engine::general_purpose::STANDARD.encode(&rules.user);
    let is_known = lines
        .filter_map(|line| line.split_once(": "))
        .any(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {user}")
        });
    let route = asked_for
        .strip_prefix("CONNECT ")
        .and_then(|target| rules.routes.get(target));
    let (status, route) = match (is_known, route) {
        (false, _) => ("407 Proxy Authentication Required", None),
        (true, None) => ("403 Forbidden", None),
        (true, Some(route)) => ("200 Connection established", Some(route)),
    };
    locked(&asked).push(format!("{asked_for} {}", &status[..3]));
    stream
        .write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes())
        .await?;
    if let Some(route) = route {
        let mut behind = TcpStream::connect(route).await?;
        copy_bidirectional(&mut stream, &mut behind).await?;
    }
    Ok(())
}
