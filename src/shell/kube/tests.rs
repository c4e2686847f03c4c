//! A client that never repeats a request by itself, against a loopback API server that fails
//! (E6 to E8), and the mapping from what it answers to what decisions know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;

use super::*;
use crate::object::{Object, ObjectKey};
use crate::shell::metrics::KubeRequests;

struct Server {
    requests: Arc<AtomicUsize>,
    objects: Objects,
}

/// Serves every request with this answer, and connects to it as the operator does.
async fn server(code: u16, headers: &'static [(&'static str, &'static str)]) -> Server {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let answer = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let body = serde_json::json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "no", "code": code,
                "reason": if code == 404 { "NotFound" } else { "Other" }
            });
            let code = StatusCode::from_u16(code).expect("code");
            let mut response = (code, body.to_string()).into_response();
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
    let connection = connect(Some(kubeconfig.path()), &KubeRequests::default())
        .await
        .expect("connection");
    Server {
        requests,
        objects: Objects::new(connection.unary),
    }
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
