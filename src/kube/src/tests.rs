//! A client that never repeats a request by itself, against a loopback API server that fails
//! (E4, E6 to E8, E11), and the mapping from what it answers to what decisions know.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use super::*;
use swr_operator_api::FINALIZER;
use swr_operator_api::account::{SwrAccount, SwrAccountStatus};
use swr_operator_core::event;
use swr_operator_core::object::{Object, ObjectKey};
use swr_operator_core::reconcile::Removed;

struct Server {
    /// Methods and bodies.
    requests: Arc<Mutex<Vec<(String, String)>>>,
    connection: Connection,
    objects: Objects,
    secrets: Secrets,
}

impl Server {
    fn n_requests(&self) -> usize {
        self.requests.lock().expect("no panic").len()
    }
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
    let requests = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&requests);
    let answer = move |method: Method, sent: String| {
        let mut book = book.lock().expect("no panic");
        book.push((method.to_string(), sent));
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
        secrets: Secrets::new(connection.unary.clone()),
        connection,
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
            "namespace": "images", "name": "a", "uid": "u", "resourceVersion": "5",
            "finalizers": ["theirs", FINALIZER]
        },
        "spec": {}
    }))
    .expect("object")
}

fn key() -> ObjectKey {
    ObjectKey::new("images", "a")
}

fn account() -> SwrAccount {
    let account = serde_json::json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "SwrAccount",
        "metadata": {"name": "main", "uid": "u", "resourceVersion": "5"},
        "spec": {"region": "r", "auth": {"accessKeySecretRef": {"name": "s"}}},
    });
    serde_json::from_value(account).expect("an account")
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_read_is_told_of_without_its_lines() {
    let kubeconfig = tempfile::NamedTempFile::new().expect("file");
    let text = "users:\n- user:\n    token: canary-token-5d1e: [\n";
    std::fs::write(kubeconfig.path(), text).expect("kubeconfig");
    let error = connect(Some(kubeconfig.path()), Arc::new(Unobserved)).await;
    let said = error.err().expect("no connection").to_string();
    assert!(
        said.contains("it is no YAML") && said.contains("line 3"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
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
        assert_eq!(server.n_requests(), 1, "{code}");
        assert!(begun.elapsed() < CALL_DEADLINE, "{code} blocked the call");
    }
}

#[tokio::test]
async fn each_request_is_sent_once_whatever_it_does() {
    // E7: a POST that was answered 504 may have been carried out.
    for code in [429, 500, 503, 504] {
        let day = &[("retry-after", "86400")];
        let server = server(code, day).await;
        let (objects, object, key) = (&server.objects, object(), key());
        let unavailable = Err(KubeFailure::Unavailable);
        assert_eq!(objects.read(&key).await, Err(KubeFailure::Unavailable));
        assert_eq!(objects.remove_finalizer(&object).await, unavailable);
        let written = objects.write_status(&object, &object.status).await;
        assert_eq!(written.map(drop), unavailable);
        let held = objects.hold_account(&account(), "f", true).await;
        assert_eq!(held.map(drop), unavailable);
        let status = SwrAccountStatus::default();
        let written = objects.write_account_status(&account(), &status).await;
        assert_eq!(written, unavailable);
        let read = server.secrets.read("images", "a").await;
        assert_eq!(read.map(drop), unavailable);
        let (events, published) = publisher(server.connection.unary.clone(), "pod".to_owned());
        events.publish(
            &key,
            "u",
            event::removed(Removed::Deleted, &[]).expect("an event"),
        );
        events.end().await;
        published.await;
        let sent = server.requests.lock().expect("no panic");
        let methods: Vec<&str> = sent.iter().map(|(method, _)| method.as_str()).collect();
        let each = ["GET", "PATCH", "PATCH", "PATCH", "PATCH", "GET", "POST"];
        assert_eq!(methods, each, "{code}");
    }
}

#[tokio::test]
async fn a_finalizer_is_taken_off_the_object_that_was_read_and_off_no_namesake() {
    // E11: the API server compares both, and says of a namesake that its uid cannot be changed (measured).
    let refusal = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "code": 422, "reason": "Invalid",
        "details": {
            "name": "a", "group": "swr.huaweicloud.com", "kind": "ReplicationRegistry",
            "causes": [{"reason": "FieldValueInvalid", "message": "no", "field": "metadata.uid"}],
        },
    });
    let server = server_saying(422, &[], refusal.to_string()).await;
    let answer = server.objects.remove_finalizer(&object()).await;
    assert_eq!(answer, Err(KubeFailure::Conflict));
    let sent = server.requests.lock().expect("no panic");
    let patch = serde_json::json!({
        "metadata": {"uid": "u", "resourceVersion": "5", "finalizers": ["theirs"]},
    });
    assert_eq!(*sent, [("PATCH".to_owned(), patch.to_string())]);
}

#[tokio::test]
async fn what_cannot_be_decoded_is_told_by_its_place_and_not_by_its_value() {
    // E4: kube logs the whole answer, which telemetry switches off; serde quotes the value.
    let value = "canary-of-a-secret";
    let secret = serde_json::json!({
        "kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}, "data": value,
    });
    let server = server_saying(200, &[], secret.to_string()).await;
    let read = server.secrets.read("images", "a").await;
    assert_eq!(read.map(drop), Err(KubeFailure::Rejected));
    let api: Api<Secret> = Api::namespaced(server.connection.watch.clone(), "images");
    let error = api.get("a").await.expect_err("no Secret");
    assert!(error.to_string().contains(value), "{error}");
    let place = "the answer cannot be decoded: line 1, column 46";
    assert_eq!(told(&error), place);
    let listed = kube::runtime::watcher::Error::InitialListFailed(error);
    assert_eq!(told(&listed), place);
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_is_not_told_whole() {
    let server = server_saying(503, &[], "a page of a proxy ".repeat(100_000)).await;
    let api: Api<Secret> = Api::namespaced(server.connection.unary.clone(), "images");
    let error = api.get("a").await.expect_err("no Secret");
    let told = told(&error);
    assert!(told.contains("a page of a proxy"), "{told}");
    assert_eq!(told.len(), TOLD_BYTES_MAX);
}

#[tokio::test]
async fn an_object_that_is_not_there_is_an_answer_and_not_a_failure() {
    let server = server(404, &[]).await;
    assert_eq!(server.objects.read(&key()).await, Ok(None));
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
        let unavailable = KubeFailure::Unavailable;
        assert_eq!(
            server.objects.read(&key()).await,
            Err(unavailable),
            "{body}"
        );
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
        assert_eq!(server.n_requests(), 1, "{n_bytes}");
    }
}
