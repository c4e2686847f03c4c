//! A plain client of the API server over a fixed number of connections. Knows paths and JSON, and retries nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{ControlPlane, Error};

/// As the clients of the measurements that these figures are compared with. Two cores answer no faster with more.
pub(crate) const CONNECTIONS: usize = 8;

/// Two cores that serve eight connections answer within 50 ms; this is for a machine that does something else, too.
const DEADLINE: Duration = Duration::from_secs(60);

/// One connection, and one user at a time.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
}

/// A user, by the token of a ServiceAccount.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) token: String,
}

impl Client {
    pub(crate) fn of(plane: &ControlPlane) -> Result<Self, Error> {
        // Another part of this process may have installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let unmet = |why: reqwest::Error| {
            let next = "look at the authority's file in the folder of the control plane";
            Error::unmet("a client of the API server", why.to_string(), next)
        };
        let authority = std::fs::read(plane.authority())
            .map_err(Error::io("read the certificate authority"))?;
        let authority = reqwest::Certificate::from_pem(&authority).map_err(unmet)?;
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            // HTTP/2 would put all requests on one connection.
            .http1_only()
            .pool_max_idle_per_host(1)
            .tcp_nodelay(true)
            .build()
            .map_err(unmet)?;
        Ok(Self {
            http,
            server: plane.server().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) async fn get(&self, user: &User, path: &str) -> Result<Value, Error> {
        self.send(user, "GET", path, "", None).await
    }

    pub(crate) async fn create(
        &self,
        user: &User,
        path: &str,
        object: &Value,
    ) -> Result<Value, Error> {
        let body = object.to_string();
        self.send(user, "POST", path, "application/json", Some(body))
            .await
    }

    pub(crate) async fn merge(
        &self,
        user: &User,
        path: &str,
        patch: &Value,
    ) -> Result<Value, Error> {
        let (kind, body) = ("application/merge-patch+json", patch.to_string());
        self.send(user, "PATCH", path, kind, Some(body)).await
    }

    pub(crate) async fn delete(&self, user: &User, path: &str) -> Result<Value, Error> {
        self.send(user, "DELETE", path, "", None).await
    }

    async fn send(
        &self,
        user: &User,
        method: &'static str,
        path: &str,
        content_type: &str,
        body: Option<String>,
    ) -> Result<Value, Error> {
        let url = format!("{}{path}", self.server);
        let failed = |why: String| Error::Http {
            method,
            url: url.clone(),
            why,
        };
        let verb = Method::from_bytes(method.as_bytes()).map_err(|why| failed(why.to_string()))?;
        let mut request = self
            .http
            .request(verb, &url)
            .bearer_auth(&user.token)
            .timeout(DEADLINE);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let answer = request
            .send()
            .await
            .map_err(|why| failed(why.to_string()))?;
        let status = answer.status();
        let bytes = answer
            .bytes()
            .await
            .map_err(|why| failed(why.to_string()))?;
        if !status.is_success() {
            return Err(failed(format!(
                "{status}: {}",
                String::from_utf8_lossy(&bytes)
            )));
        }
        serde_json::from_slice(&bytes).map_err(Error::json(format!("the answer of {url}")))
    }

    /// The stream of a watch; it has no deadline.
    pub(crate) async fn watch(&self, user: &User, path: &str) -> Result<reqwest::Response, Error> {
        let url = format!("{}{path}", self.server);
        let failed = |why: String| Error::Http {
            method: "GET",
            url: url.clone(),
            why,
        };
        let answer = self.http.get(&url).bearer_auth(&user.token).send().await;
        let answer = answer.map_err(|why| failed(why.to_string()))?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            status => Err(failed(format!("status {status}"))),
        }
    }
}

/// Works on 0 to `n`, one at a time on each of these connections. Ends with the first failure.
pub(crate) async fn on_each<F, W>(connections: &[Client], n: usize, work: F) -> Result<(), Error>
where
    F: Fn(Client, usize) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Error>> + Send,
{
    let (next, work) = (Arc::new(AtomicUsize::new(0)), Arc::new(work));
    let mut tasks = JoinSet::new();
    for connection in connections {
        let (connection, next, work) = (connection.clone(), Arc::clone(&next), Arc::clone(&work));
        tasks.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= n {
                    return Ok(());
                }
                work(connection.clone(), index).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|panic| {
            let seen = panic.to_string();
            let expected = "a connection that works to its end".to_owned();
            Err(Error::Unexpected { expected, seen })
        })?;
    }
    Ok(())
}
