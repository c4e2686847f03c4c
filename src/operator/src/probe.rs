//! GET -> whether it is answered with 2xx: for `helm test`, and for people in an image without a
//! shell. Plain HTTP, as `/livez` and `/readyz` are.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use tokio::time::Instant;

/// Between two tries.
const GAP: Duration = Duration::from_millis(500);
/// The checks of `/readyz` are a few lines. Of more, the beginning is shown.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Why there is no 2xx.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// The URL cannot be asked.
    #[error("{0} is no URL such as http://swr-operator:8081/readyz")]
    Url(Url),
    /// Nothing can be asked.
    #[error("failed to set up the HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// It answered something else until the end.
    #[error("{url} answered {status}:\n{body}")]
    Status {
        /// What was asked.
        url: Url,
        /// The last answer.
        status: StatusCode,
        /// And what it said.
        body: String,
    },
    /// There was no answer until the end.
    #[error("{url} did not answer: {cause}")]
    Silent {
        /// What was asked.
        url: Url,
        /// Why not.
        cause: String,
    },
}

/// Asks until the answer is 2xx, and gives its body.
///
/// # Errors
/// What the last answer was, or why there was none, when `within` is over.
pub(crate) async fn probe(url: &Url, within: Duration) -> Result<String, ProbeError> {
    if url.scheme() != "http" {
        return Err(ProbeError::Url(url.clone()));
    }
    let client = client().map_err(ProbeError::Client)?;
    let deadline = Instant::now() + within;
    let mut last = None;
    loop {
        let silent = |cause: String| ProbeError::Silent {
            url: url.clone(),
            cause,
        };
        let error = match tokio::time::timeout_at(deadline, ask(&client, url)).await {
            Ok(Ok((status, body))) if status.is_success() => return Ok(body),
            Ok(Ok((status, body))) => ProbeError::Status {
                url: url.clone(),
                status,
                body,
            },
            Ok(Err(error)) => silent(cause(&error)),
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

fn client() -> reqwest::Result<Client> {
    // The client asks for a provider of cryptography although nothing is encrypted here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .build()
}

async fn ask(client: &Client, url: &Url) -> reqwest::Result<(StatusCode, String)> {
    let mut response = client.get(url.clone()).send().await?;
    let mut body = Vec::new();
    while body.len() < BODY_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(BODY_BYTES_MAX);
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok((response.status(), body))
}

/// What is behind the error. The error itself only says that a request to this URL failed.
fn cause(error: &reqwest::Error) -> String {
    let mut first: &dyn Error = error;
    while let Some(source) = first.source() {
        first = source;
    }
    first.to_string()
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
        let url: Url = url.parse().expect("a URL");
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
