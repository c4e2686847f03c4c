//! The simulator over real sockets. The client writes HTTP by hand, so that nothing hides what the wire does.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::sign::sign;

const INSTANCE: &str = "1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11";
const REGISTRIES: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/registries";
const PATIENCE: Duration = Duration::from_secs(10);

fn registry(name: &str) -> Value {
    json!({
        "name": name,
        "type": "huawei-SWR",
        "url": "https://swr.example.com",
        "credential": {"type": "basic", "access_key": "AK", "access_secret": "login"},
        "insecure": true,
    })
}

/// Opens a connection and sends one request.
async fn open(server: &Server, request: &Request) -> TcpStream {
    let mut target = request.path.clone();
    if !request.query.is_empty() {
        target = format!("{target}?{}", request.query);
    }
    let mut head = format!(
        "{} {target} HTTP/1.1\r\nconnection: close\r\n",
        request.method
    );
    for (name, value) in &request.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("content-length: ");
    head.push_str(&request.body.len().to_string());
    head.push_str("\r\n\r\n");
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&request.body).await.unwrap();
    stream
}

/// All that the server sends until it closes the connection.
async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the connection closes")
        .unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

/// The status and the body; `None` when the connection closed without an answer.
async fn exchange(server: &Server, request: &Request) -> Option<(u16, Value)> {
    let answer = read_all(open(server, request).await).await;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
    Some((status, body))
}

fn signed(server: &Server, method: &str, target: &str, body: &Value) -> Request {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut request =
        Request::new(method, target, body).with_header("host", &server.address().to_string());
    let (keys, now) = server.with(|simulator, now| (simulator.world.iam.keys.clone(), now));
    sign(&mut request, &keys, now);
    request
}

async fn create(server: &Server, name: &str) -> Option<(u16, Value)> {
    exchange(server, &signed(server, "POST", REGISTRIES, &registry(name))).await
}

async fn control(server: &Server, method: &str, target: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request::new(method, target, body).with_header("host", "localhost");
    exchange(server, &request).await.unwrap()
}

async fn start() -> Server {
    serve(Options::default()).await.unwrap()
}

async fn fault(server: &Server, fault: Value) {
    let (status, answer) = control(server, "POST", "/_simulator/faults", fault).await;
    assert_eq!(status, 201, "{answer}");
}

/// The names of the registries that are really there.
fn stored(server: &Server) -> Vec<Value> {
    server.with(|simulator, now| {
        let truth = simulator.world.truth(INSTANCE, now).unwrap();
        truth
            .iter()
            .map(|registry| registry["name"].clone())
            .collect()
    })
}

#[tokio::test]
async fn only_loopback_addresses_are_listened_on() {
    let options = Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Options::default()
    };
    let error = serve(options).await.unwrap_err();
    assert_eq!(error.to_string(), "0.0.0.0:0 is not a loopback address");
}

#[tokio::test]
async fn signed_requests_are_answered_and_entered_into_the_journal() {
    let server = start().await;
    assert_eq!(create(&server, "a").await, Some((201, json!({"id": 1}))));
    let unsigned =
        Request::new("GET", &format!("{REGISTRIES}?limit=5&offset=0"), "").with_header("host", "x");
    assert_eq!(exchange(&server, &unsigned).await.unwrap().0, 401);
    let (status, mut journal) = control(&server, "GET", "/_simulator/journal", Value::Null).await;
    assert_eq!(status, 200);
    for entry in journal["requests"].as_array_mut().unwrap() {
        let entry = entry.as_object_mut().unwrap();
        assert!(entry.remove("at").unwrap().is_string());
        assert_eq!(
            entry.remove("requestId").unwrap().as_str().unwrap().len(),
            32
        );
    }
    let first = json!({
        "seq": 1,
        "operation": "CreateInstanceRegistry",
        "instance": INSTANCE,
        "method": "POST",
        "path": REGISTRIES,
        "query": "",
        "status": 201,
        "accessKey": "AKIDEXAMPLE0000SWR01",
        "signedHeaders": "host;x-sdk-date",
        "requestBody": registry("a").to_string(),
        "fault": null,
    });
    let second = json!({
        "seq": 2,
        "operation": "ListInstanceRegistries",
        "instance": INSTANCE,
        "method": "GET",
        "path": REGISTRIES,
        "query": "limit=5&offset=0",
        "status": 401,
        "accessKey": null,
        "signedHeaders": null,
        "requestBody": "",
        "fault": null,
    });
    assert_eq!(journal, json!({"requests": [first, second]}));
    control(&server, "DELETE", "/_simulator/journal", Value::Null).await;
    let (_, journal) = control(&server, "GET", "/_simulator/journal", Value::Null).await;
    assert_eq!(journal, json!({"requests": []}));
}

#[tokio::test]
async fn an_empty_reply_says_that_it_is_empty() {
    let server = start().await;
    create(&server, "a").await;
    let delete = signed(&server, "DELETE", &format!("{REGISTRIES}/1"), &Value::Null);
    let answer = read_all(open(&server, &delete).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-length: 0\r\n"), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
}

/// One create under one fault: its answer and what is stored then.
async fn check_fault(scripted: Value, answer: Option<(u16, Value)>, names: &[&str]) {
    let server = start().await;
    fault(&server, scripted.clone()).await;
    assert_eq!(create(&server, "a").await, answer, "{scripted}");
    assert_eq!(stored(&server), names, "{scripted}");
    let (_, next) = create(&server, "b").await.unwrap();
    assert!(next["id"].is_number(), "the fault struck once: {scripted}");
}

fn once(mut fault: Value) -> Value {
    fault["match"] = json!({"operation": "CreateInstanceRegistry", "ordinal": 1});
    fault
}

#[tokio::test]
async fn faults_strike_before_or_after_the_write() {
    let body = json!({"error_code": "X"});
    let status = |phase: &str| {
        once(json!({"kind": "status", "phase": phase, "status": 503, "body": {"error_code": "X"}}))
    };
    check_fault(status("before"), Some((503, body.clone())), &[]).await;
    check_fault(status("after"), Some((503, body)), &["a"]).await;
    let text = once(json!({"kind": "status", "status": 502, "body": "<html>"}));
    check_fault(text, Some((502, json!("<html>"))), &[]).await;
    check_fault(once(json!({"kind": "reset", "phase": "before"})), None, &[]).await;
    check_fault(
        once(json!({"kind": "reset", "phase": "after"})),
        None,
        &["a"],
    )
    .await;
    let made = || Some((201, json!({"id": 1})));
    check_fault(
        once(json!({"kind": "delay", "phase": "before", "delayMs": 1})),
        made(),
        &["a"],
    )
    .await;
    check_fault(
        once(json!({"kind": "delay", "phase": "after", "delayMs": 1})),
        made(),
        &["a"],
    )
    .await;
}

#[tokio::test]
async fn a_scripted_status_without_a_body_speaks_like_the_gateway() {
    let server = start().await;
    fault(
        &server,
        json!({"kind": "status", "status": 429, "headers": {"Retry-After": "7"}}),
    )
    .await;
    let request = signed(&server, "GET", REGISTRIES, &Value::Null);
    let answer = read_all(open(&server, &request).await).await;
    assert!(
        answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
        "{answer}"
    );
    assert!(answer.contains("retry-after: 7\r\n"), "{answer}");
    assert!(answer.contains("\"APIGW.0308\""), "{answer}");
}

/// Whether the connection stays silent; a client that goes away then is noticed by nothing but its own test.
async fn is_silent(mut stream: TcpStream) -> bool {
    let mut byte = [0];
    timeout(Duration::from_millis(150), stream.read(&mut byte))
        .await
        .is_err()
}

#[tokio::test]
async fn a_hanging_request_is_never_answered() {
    let server = start().await;
    fault(&server, once(json!({"kind": "hang", "phase": "after"}))).await;
    let request = signed(&server, "POST", REGISTRIES, &registry("a"));
    assert!(is_silent(open(&server, &request).await).await);
    assert_eq!(stored(&server), ["a"]);
    server
        .with(|simulator, _| simulator.world.switches.set_pair("lost_reply=hang"))
        .unwrap();
    let request = signed(&server, "POST", REGISTRIES, &registry("b"));
    assert!(is_silent(open(&server, &request).await).await);
    assert_eq!(stored(&server), ["a", "b"]);
}

#[tokio::test]
async fn a_late_apply_closes_at_once_and_writes_later() {
    let server = start().await;
    fault(&server, once(json!({"kind": "late-apply", "delayMs": 200}))).await;
    assert_eq!(create(&server, "a").await, None);
    assert!(stored(&server).is_empty());
    let written = async {
        while stored(&server).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, written).await.expect("the write lands");
    assert_eq!(stored(&server), ["a"]);
}

#[tokio::test]
async fn a_slow_connection_test_delays_the_answer() {
    let mut options = Options::default();
    for pair in ["connection_test=slow", "connection_test_millis=300"] {
        options.switches.set_pair(pair).unwrap();
    }
    let server = serve(options).await.unwrap();
    let request = signed(&server, "POST", REGISTRIES, &registry("a"));
    let stream = open(&server, &request).await;
    assert!(is_silent(stream).await);
    assert_eq!(create(&server, "b").await, Some((201, json!({"id": 2}))));
}

#[tokio::test]
async fn a_lost_reply_closes_the_connection_after_the_write() {
    let mut options = Options::default();
    options.switches.set_pair("lost_reply=close").unwrap();
    let server = serve(options).await.unwrap();
    assert_eq!(create(&server, "a").await, None);
    assert_eq!(stored(&server), ["a"]);
}

#[tokio::test]
async fn several_simulators_run_side_by_side_and_stop() {
    let (one, other) = (start().await, start().await);
    create(&one, "a").await;
    assert!(stored(&other).is_empty());
    let address = one.address();
    let idle = TcpStream::connect(address).await.unwrap();
    one.shutdown().await;
    assert_eq!(read_all(idle).await, "");
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(create(&other, "b").await, Some((201, json!({"id": 1}))));
}

#[tokio::test]
async fn a_body_above_the_gateways_limit_is_refused() {
    let server = start().await;
    let body = vec![b' '; BODY_BYTES_MAX + 1];
    let head = format!(
        "POST {REGISTRIES} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (mut reading, mut writing) = TcpStream::connect(server.address())
        .await
        .unwrap()
        .into_split();
    let send = async {
        writing.write_all(head.as_bytes()).await.unwrap();
        // The server may stop reading as soon as it knows.
        let _ = writing.write_all(&body).await;
    };
    let mut first = [0; 12];
    let ((), read) = tokio::join!(send, timeout(PATIENCE, reading.read_exact(&mut first)));
    read.expect("an answer comes").unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
}
