//! The client against canned bytes.

use std::io;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Canned::serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    let server = simulator().await;
    let client = client(&server.url());
    for status in [301, 302, 303, 307, 308] {
        server.with(|simulator, _| simulator.faults.clear());
        fault(
            &server,
            json!({"kind": "status", "status": status, "headers": {"Location": elsewhere.url}, "body": ""}),
        );
        let failure = client
            .reader()
            .list(&instance())
            .await
            .expect_err("redirected");
        assert_eq!(failure, Failure::new(Class::Transient, Cause::Redirected));
        let failure = create(&client, "a").await.expect_err("redirected");
        assert_eq!(failure, Failure::new(Class::Unknown, Cause::Redirected));
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_cut_off_is_not_decoded() {
    let long = |announced: bool| {
        let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
        let length = BODY_BYTES_MAX + 1;
        if announced {
            answer.extend(format!("Content-Length: {length}\r\n\r\n").bytes());
            answer.extend(vec![b' '; 64 * 1024]);
        } else {
            answer.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for _ in 0..=length / 65_536 {
                answer.extend(b"10000\r\n");
                answer.extend(vec![b' '; 65_536]);
                answer.extend(b"\r\n");
            }
        }
        answer
    };
    let cut: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"registries\":[],\"total\":0}";
    let silent: &[u8] = b"";
    let garbage: &[u8] = b"SSH-2.0-OpenSSH_9.9\r\n";
    for (answer, cause) in [
        (long(true), Cause::Malformed),
        (long(false), Cause::Malformed),
        (cut.to_vec(), Cause::Unreachable),
        (silent.to_vec(), Cause::Unreachable),
        (garbage.to_vec(), Cause::Unreachable),
    ] {
        let canned = Canned::serve(&answer).await;
        let client = client(&canned.url);
        assert_eq!(
            client.reader().show(&instance(), RegistryId(7)).await,
            Err(Failure::new(Class::Transient, cause))
        );
        assert_eq!(
            create(&client, "a").await,
            Err(Failure::new(Class::Unknown, cause))
        );
        // Each was sent once.
        assert_eq!(canned.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_status_counts_even_when_its_body_is_cut_off() {
    let canned =
        Canned::serve(b"HTTP/1.1 409 Conflict\r\nContent-Length: 500\r\n\r\n{\"error_code\"").await;
    assert_eq!(
        create(&client(&canned.url), "a").await,
        Err(Failure::new(Class::Conflict, Cause::AlreadyExists))
    );
}

#[tokio::test]
async fn a_request_carries_what_is_signed_and_asks_for_no_compression() {
    let canned =
        Canned::serve(b"HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id\":7}").await;
    let key = AccessKey {
        security_token: Some(Sensitive::new("token+/=".to_owned())),
        ..right_key()
    };
    let client = client_of(&canned.url, key, Duration::from_secs(10));
    assert_eq!(create(&client, "a").await, Ok(Some(RegistryId(7))));
    let request = canned.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    let host = canned.url.strip_prefix("http://").expect("http");
    for line in [
        format!(
            "post /v2/{PROJECT}/instances/{}/registries http/1.1",
            instance()
        ),
        format!("host: {host}"),
        "content-type: application/json".to_owned(),
        format!("x-project-id: {PROJECT}"),
        "x-security-token: token+/=".to_owned(),
        format!("user-agent: swr-operator/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.lines().any(|found| found == line), "{line}\n{head}");
    }
    assert!(head.contains(
        "signedheaders=content-type;host;x-project-id;x-sdk-date;x-security-token, signature="
    ));
    assert!(!head.contains("accept-encoding"), "{head}");
    assert!(
        body.starts_with(r#"{"name":"a","description":"dr [tag]","type":"swr-pro","#),
        "{body}"
    );
}

#[tokio::test]
async fn without_a_connection_nothing_was_written() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let client = client(&format!("http://127.0.0.1:{port}"));
    let failure = Failure::new(Class::Transient, Cause::Unreachable);
    assert_eq!(create(&client, "a").await, Err(failure));

    // What answers on an https port without TLS gets no byte of the request.
    let canned = Canned::serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    let url = canned.url.replace("http://127.0.0.1", "https://localhost");
    assert_eq!(
        create(&client_of(&url, right_key(), Duration::from_secs(10)), "a").await,
        Err(Failure::new(
            Class::Transient,
            Cause::NotConnected(Obstacle::NoTls)
        ))
    );
    assert!(!canned.requests().concat().contains("POST"));
}

/// Answers every connection with the same bytes and closes it.
pub(super) struct Canned {
    pub(super) url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Canned {
    pub(super) async fn serve(answer: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(Mutex::new(answer.to_vec()));
        let given = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while !is_whole(&request) {
                    match stream.read(&mut part).await {
                        Ok(n) if n > 0 => request.extend_from_slice(&part[..n]),
                        Ok(_) | Err(_) => break,
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                seen.lock().expect("whole").push(text);
                // The client hangs up on what it does not want to read on.
                let answer = given.lock().expect("whole").clone();
                let _: io::Result<()> = stream.write_all(&answer).await;
            }
        });
        Canned {
            url,
            answer,
            requests,
            task,
        }
    }

    /// From now on it answers with these bytes.
    pub(super) fn answer(&self, answer: Vec<u8>) {
        *self.answer.lock().expect("whole") = answer;
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("whole").clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_whole(request: &[u8]) -> bool {
    // A TLS handshake will not become a request.
    if request.first() == Some(&0x16) {
        return true;
    }
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().expect("a length"));
    body.len() >= length
}
