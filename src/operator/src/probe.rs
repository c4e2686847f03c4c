//! GET -> whether it is answered with 2xx: for `helm test`, and for people in an image without a
//! shell. Plain HTTP, as `/livez` and `/readyz` are.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Between two tries.
const GAP: Duration = Duration::from_millis(500);
/// The checks of `/readyz` are a few lines.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Why there is no 2xx.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// The URL cannot be asked.
    #[error("{0} is no URL such as http://swr-operator:8081/readyz")]
    Url(Uri),
    /// It answered something else until the end.
    #[error("{url} answered {status}:\n{body}")]
    Status {
        /// What was asked.
        url: Uri,
        /// The last answer.
        status: StatusCode,
        /// And what it said.
        body: String,
    },
    /// There was no answer until the end.
    #[error("{url} did not answer: {cause}")]
    Silent {
        /// What was asked.
        url: Uri,
        /// Why not.
        cause: String,
    },
}

/// Asks until the answer is 2xx, and gives its body.
///
/// # Errors
/// What the last answer was, or why there was none, when `within` is over.
pub(crate) async fn probe(url: &Uri, within: Duration) -> Result<String, ProbeError> {
    let is_http = url.scheme_str() == Some("http");
    let host = url.host().filter(|_| is_http);
    let host = host.ok_or_else(|| ProbeError::Url(url.clone()))?;
    let deadline = Instant::now() + within;
    let mut last = None;
    loop {
        let silent = |cause: String| ProbeError::Silent {
            url: url.clone(),
            cause,
        };
        let error = match tokio::time::timeout_at(deadline, ask(url, host)).await {
            Ok(Ok((status, body))) if status.is_success() => return Ok(body),
            Ok(Ok((status, body))) => ProbeError::Status {
                url: url.clone(),
                status,
                body,
            },
            Ok(Err(error)) => silent(error.to_string()),
            Err(_) => {
                let silent = silent(format!("not within {} s", within.as_secs_f64()));
                return Err(last.unwrap_or(silent));
            }
        };
        if Instant::now() + GAP >= deadline {
            return Err(error);
        }
        last = Some(error);
        tokio::time::sleep(GAP).await;
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

async fn ask(url: &Uri, host: &str) -> Result<(StatusCode, String), Cause> {
    // The brackets of an IPv6 address belong to the URL.
    let address = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let authority = url.authority().map_or(host, |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority)
        .body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await?;
    connection.abort();
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok((head.status, body))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;

    async fn check(path: &str, expected: Result<&str, &str>) {
        let router = Router::new()
            .route("/readyz", get(|| async { "[+]loop\nok\n" }))
            .route(
                "/not",
                get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "[-]loop\n") }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = path.replace("SERVER", &address.to_string());
        let url: Uri = url.parse().expect("a URL");
        let answer = probe(&url, Duration::from_millis(600)).await;
        let answer = answer.map_err(|error| {
            let text = error.to_string();
            text.replace(&address.to_string(), "SERVER")
        });
        assert_eq!(
            answer.as_deref().map_err(String::as_str),
            expected,
            "{path}"
        );
    }

    #[tokio::test]
    async fn only_2xx_is_good_and_everything_else_says_what_it_was() {
        check("http://SERVER/readyz", Ok("[+]loop\nok\n")).await;
        check(
            "http://SERVER/not",
            Err("http://SERVER/not answered 503 Service Unavailable:\n[-]loop\n"),
        )
        .await;
        check(
            "https://SERVER/readyz",
            Err("https://SERVER/readyz is no URL such as http://swr-operator:8081/readyz"),
        )
        .await;
        check(
            "http://127.0.0.1:1/readyz",
            Err("http://127.0.0.1:1/readyz did not answer: Connection refused (os error 111)"),
        )
        .await;
    }
}
