//! Connections that stall, trickle, close, or carry more than was asked for.

use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Mutex;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::http::Lost;

/// Each of name resolution, connection and TLS.
const CONNECT_SECS: u64 = 5;

/// A DNS that never answers.
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(std::future::pending())
    }
}

/// A DNS that gives these addresses, whatever the name.
struct These(Vec<SocketAddr>);

impl Resolve for These {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

/// A port on which nobody answers: its queue is full, so the kernel drops what comes. With what fills it.
fn black_hole(address: SocketAddr) -> (SocketAddr, TcpListener, Vec<StdStream>) {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.expect("a socket");
    socket.bind(address).expect("a port");
    let listener = socket.listen(1).expect("a queue of one");
    let address = listener.local_addr().expect("an address");
    let wait = Duration::from_millis(100);
    let connect = || StdStream::connect_timeout(&address, wait);
    let waiting: Vec<StdStream> = std::iter::from_fn(|| connect().ok()).take(16).collect();
    assert!(waiting.len() < 16, "the queue has no end");
    (address, listener, waiting)
}

fn with_dns(resolver: impl Resolve + 'static) -> Transport {
    Transport::with_resolver(Settings::default(), resolver).expect("a transport")
}

async fn get(transport: &Transport, url: &str) -> Result<u16, Lost> {
    let request = reqwest::Request::new(reqwest::Method::GET, url.parse().expect("a URL"));
    let deadline = Instant::now() + Duration::from_secs(30);
    let answer = transport.exchange(request, deadline).await;
    answer.map(|answer| answer.head.status)
}

#[tokio::test(start_paused = true)]
async fn what_stalls_before_a_request_is_sent_is_given_up_after_five_seconds() {
    let (full, _listener, _waiting) = black_hole(([127, 0, 0, 1], 0).into());
    // The kernel takes connections for it, and nobody reads them.
    let deaf = StdListener::bind("127.0.0.1:0").expect("a port");
    let deaf = deaf.local_addr().expect("an address");
    let never = || with_dns(Silent);
    for (what, transport, url) in [
        ("dns", never(), "https://swr.example.com".to_owned()),
        ("connect", never(), format!("http://{full}")),
        ("tls", never(), format!("https://{deaf}")),
    ] {
        let begun = Instant::now();
        let lost = get(&transport, &url).await;
        // Certain: nothing was sent.
        assert!(matches!(lost, Err(Lost::NotSent(_))), "{what}: {lost:?}");
        let took = begun.elapsed().as_secs();
        assert!(took <= CONNECT_SECS, "{what} took {took} s");
    }
}

#[tokio::test]
async fn a_dead_ipv6_address_costs_a_connection_less_than_a_second() {
    let alive = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let alive_at = alive.local_addr().expect("an address");
    let dead = SocketAddr::new("::1".parse().expect("an address"), alive_at.port());
    let (dead, _listener, _waiting) = black_hole(dead);
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = alive.accept().await {
            let _ = read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    let transport = with_dns(These(vec![dead, alive_at]));
    let begun = Instant::now();
    let url = format!("http://localhost:{}", alive_at.port());
    assert_eq!(get(&transport, &url).await, Ok(204));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    answering.abort();
}

/// The head of a request and its body, or `None` when the connection ends first.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let n = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
        request.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                let length = line.strip_prefix("content-length: ")?;
                length.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
    }
}

/// What a server does with the n-th request that it gets.
struct Reply {
    bytes: Vec<u8>,
    /// Whether it closes the connection after it.
    closes: bool,
}

/// A server that follows a script, one connection at a time, and says which requests it got and when it closed one.
struct Scripted {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    closed: mpsc::UnboundedReceiver<()>,
}

impl Scripted {
    async fn serve(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let (closing, closed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut script = script.into_iter();
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Some(request) = read_request(&mut stream).await {
                    seen.lock().expect("whole").push(request);
                    let Some(reply) = script.next() else { return };
                    let _ = stream.write_all(&reply.bytes).await;
                    if reply.closes {
                        let _ = stream.shutdown().await;
                        break;
                    }
                }
                drop(stream);
                let _ = closing.send(());
            }
        });
        Scripted {
            url,
            requests,
            closed,
        }
    }

    fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("whole");
        let words = requests.iter().map(|request| request.split(' ').next());
        words
            .map(|word| word.unwrap_or_default().to_owned())
            .collect()
    }
}

fn json_answer(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn empty() -> Vec<u8> {
    json_answer(&json!({"registries": [], "total": 0}))
}

fn named(name: &str) -> Vec<u8> {
    json_answer(&json!({"id": 7, "name": name, "type": "swr-pro", "url": "https://a.test"}))
}

#[tokio::test]
async fn a_byte_now_and_then_buys_an_answer_no_time() {
    for (what, at_once) in [
        ("head", ""),
        ("body", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let trickling = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = read_request(&mut stream).await;
                let _ = stream.write_all(at_once.as_bytes()).await;
                let mut every = tokio::time::interval(Duration::from_millis(10));
                let text = "HTTP/1.1 200 OK\r\nX-Slow: "
                    .bytes()
                    .chain(std::iter::repeat(b' '));
                for byte in text {
                    every.tick().await;
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                }
            }
        });
        let client = client_of(&url, right_key(), Duration::from_millis(300));
        let timed_out = |class| Failure::new(class, Cause::TimedOut);
        assert_eq!(
            client.reader().list(&instance()).await,
            Err(timed_out(Class::Transient)),
            "{what}"
        );
        assert_eq!(
            create(&client, "a").await,
            Err(timed_out(Class::Unknown)),
            "{what}"
        );
        trickling.abort();
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_not_the_answer_to_the_next_request() {
    let reply = |bytes| Reply {
        bytes,
        closes: false,
    };
    let two = [empty(), named("smuggled")].concat();
    let server = Scripted::serve(vec![reply(two), reply(named("real"))]).await;
    let client = client(&server.url);
    let listed = client.reader().list(&instance()).await.expect("listed");
    assert_eq!(listed.records().len(), 0);
    let shown = client.reader().show(&instance(), RegistryId(7)).await;
    assert_eq!(shown.map(|record| record.name), Ok("real".to_owned()));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_fails_no_request() {
    let reply = |bytes| Reply {
        bytes,
        closes: true,
    };
    let created = json_answer(&json!({"id": 8}));
    let mut server = Scripted::serve(vec![reply(empty()), reply(created), reply(empty())]).await;
    let client = client(&server.url);
    assert!(client.reader().list(&instance()).await.is_ok());
    server.closed.recv().await.expect("closed");
    assert_eq!(create(&client, "a").await, Ok(Some(RegistryId(8))));
    server.closed.recv().await.expect("closed");
    assert!(client.reader().list(&instance()).await.is_ok());
    assert_eq!(server.asked(), ["GET", "POST", "GET"]);
}

/// `{"registries":[],"total":0}` as gzip packs it.
const GZIP: [u8; 47] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x2a, 0x4a, 0x4d, 0xcf,
    0x2c, 0x2e, 0x29, 0xca, 0x4c, 0x2d, 0x56, 0xb2, 0x8a, 0x8e, 0xd5, 0x51, 0x2a, 0xc9, 0x2f, 0x49,
    0xcc, 0x51, 0xb2, 0x32, 0xa8, 0x05, 0x00, 0xd0, 0x70, 0xf6, 0x4c, 0x1b, 0x00, 0x00, 0x00,
];

#[tokio::test]
async fn what_the_head_says_of_a_body_neither_unpacks_nor_spoils_it() {
    const PAGE: &[u8] = br#"{"registries":[],"total":0}"#;
    for (head, body, is_read) in [
        ("", PAGE, true),
        ("Content-Type: text/html\r\n", PAGE, true),
        (
            "Content-Type: application/json; charset=utf-16\r\n",
            PAGE,
            true,
        ),
        ("Content-Encoding: gzip\r\n", PAGE, true),
        ("Content-Encoding: gzip\r\n", &GZIP[..], false),
        ("Content-Type: application/json\r\n", &GZIP[..], false),
    ] {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{head}\r\n");
        let bytes = [head.as_bytes(), body].concat();
        let server = Scripted::serve(vec![Reply {
            bytes,
            closes: true,
        }])
        .await;
        let listed = client(&server.url).reader().list(&instance()).await;
        let expected = match is_read {
            true => Ok(0),
            false => Err(Failure::new(Class::Transient, Cause::Malformed)),
        };
        assert_eq!(listed.map(|all| all.records().len()), expected, "{head}");
    }
}
