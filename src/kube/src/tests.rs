//! A client that never repeats a request by itself, against a loopback API server that fails
//! (E6 to E8), and the mapping from what it answers to what decisions know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;

use super::*;
use swr_operator_core::object::{Object, ObjectKey};

struct Server {
    requests: Arc<AtomicUsize>,
    objects: Objects,
    secrets: Secrets,
}

/// Serves every request with this code and a body as of the API server, and connects to it as the
/// operator does.
async fn server(code: u16, headers: &'static [(&'static str, &'static str)]) -> Server {
    let mut body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "code": code, "reason": "Other"
    });
    if code == 404 {
        body["reason"] = "NotFound".into();
        body["details"] = serde_json::json!({
            "name": "a", "group": "swr.huaweicloud.com", "kind": "replicationregistries"
        });
    }
    server_saying(code, headers, body.to_string()).await
}

async fn server_saying(
    code: u16,
    headers: &'static [(&'static str, &'static str)],
    body: String,
) -> Server {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let answer = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let body = body.clone();
        async move {
            let code = StatusCode::from_u16(code).expect("code");
            let mut response = (code, body).into_response();
            for (name, value) in headers {
                let value = value.parse().expect("header");
                response.headers_mut().insert(*name, value);
            }
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        let router = Router::new().fallback(answer);
        axum::serve(listener, router).await
    });
    let kubeconfig = tempfile::NamedTempFile::new().expect("file");
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": {}}]
    });
    std::fs::write(kubeconfig.path(), text.to_string()).expect("kubeconfig");
    let connection = connect(Some(kubeconfig.path()), Arc::new(Unobserved))
        .await
        .expect("connection");
    Server {
        requests,
        objects: Objects::new(connection.unary.clone(), always()),
        secrets: Secrets::new(connection.unary),
    }
}

/// Of a process that leads.
fn always() -> tokio::sync::watch::Receiver<Standing> {
    let until = jiff::Timestamp::MAX;
    tokio::sync::watch::channel(Standing::Leads { until }).1
}

fn object() -> Object {
    Object::from_json(serde_json::json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {
            "namespace": "images", "name": "a", "uid": "u", "resourceVersion": "5"
        },
        "spec": {}
    }))
    .expect("object")
}

#[tokio::test]
async fn a_failing_request_is_sent_once_and_its_outcome_is_told_by_class() {
    let day: &[(&str, &str)] = &[("retry-after", "86400")];
    for (code, headers, write) in [
        (400, &[][..], KubeFailure::Rejected),
        (403, &[], KubeFailure::Forbidden),
        (404, &[], KubeFailure::NotFound),
        (409, &[], KubeFailure::Conflict),
        (410, &[], KubeFailure::Unavailable),
        // Only one that names the uid is a conflict.
        (422, &[], KubeFailure::Rejected),
        (429, day, KubeFailure::Unavailable),
        (500, &[], KubeFailure::Unavailable),
        (503, day, KubeFailure::Unavailable),
        (504, &[], KubeFailure::Unavailable),
    ] {
        let server = server(code, headers).await;
        let begun = tokio::time::Instant::now();
        let answer = server.objects.add_finalizer(&object()).await;
        assert_eq!(answer, Err(write), "{code}");
        assert_eq!(server.requests.load(Ordering::SeqCst), 1, "{code}");
        assert!(begun.elapsed() < CALL_DEADLINE, "{code} blocked the call");
    }
}

#[tokio::test]
async fn an_object_that_is_not_there_is_an_answer_and_not_a_failure() {
    let server = server(404, &[]).await;
    let key = ObjectKey {
        namespace: "images".to_owned(),
        name: "a".to_owned(),
    };
    assert_eq!(server.objects.read(&key).await, Ok(None));
}

#[tokio::test]
async fn a_path_that_is_not_served_says_nothing_about_the_object() {
    let status = |details: serde_json::Value| {
        serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "the server could not find the requested resource",
            "reason": "NotFound", "details": details, "code": 404
        })
        .to_string()
    };
    let causes = serde_json::json!([
        {"reason": "UnexpectedServerResponse", "message": "404 page not found"}
    ]);
    for body in [
        "404 page not found\n".to_owned(),
        "<html>no such page</html>".to_owned(),
        status(serde_json::json!({})),
        status(serde_json::json!({"causes": causes})),
        status(
            serde_json::json!({"group": "swr.huaweicloud.com", "kind": "replicationregistries"}),
        ),
        // The namespace of the object, and another object.
        status(serde_json::json!({"name": "images", "kind": "namespaces"})),
        status(serde_json::json!({"name": "b", "kind": "replicationregistries"})),
    ] {
        let server = server_saying(404, &[], body.clone()).await;
        let key = ObjectKey {
            namespace: "images".to_owned(),
            name: "a".to_owned(),
        };
        let unavailable = KubeFailure::Unavailable;
        assert_eq!(server.objects.read(&key).await, Err(unavailable), "{body}");
        let written = server.objects.add_finalizer(&object()).await;
        assert_eq!(written, Err(unavailable), "{body}");
    }
}

#[tokio::test]
async fn a_key_that_could_be_guessed_is_refused_and_not_replaced() {
    for (n_bytes, refused) in [(1, true), (31, true), (32, false), (33, false)] {
        let secret = serde_json::json!({
            "kind": "Secret", "apiVersion": "v1",
            "metadata": {"name": "swr-operator-key", "namespace": "operator", "resourceVersion": "5"},
            "data": {"key": k8s_openapi::ByteString(vec![7; n_bytes])},
        });
        let server = server_saying(200, &[], secret.to_string()).await;
        let refusal = server.secrets.sealer("operator").await.err();
        assert_eq!(
            refusal.map(|refusal| refusal.to_string()),
            refused.then(|| {
                "Secret swr-operator-key in namespace operator holds a key of less than 32 bytes: \
                             replace it, or empty it and a new one is made"
                    .to_owned()
            }),
            "{n_bytes}"
        );
        // The read alone.
        assert_eq!(server.requests.load(Ordering::SeqCst), 1, "{n_bytes}");
    }
}
