//! The API server as far as reconciles ask it, in this process, so that a paused clock goes on when nothing is under way:
//! objects of one namespace, each write bound to a version, and Secrets. Knows merge patches, and no other rule of
//! Kubernetes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_core::object::ObjectKey;
use tokio::sync::mpsc;

pub(super) const NAMESPACE: &str = "images";
/// A request.
const TAKES: Duration = Duration::from_millis(5);

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What the watch shows.
pub(super) enum Shown {
    Applied(Box<ReplicationRegistry>),
    Deleted(ObjectKey, String),
}

/// Where who reads an object panics.
#[derive(Clone, Copy, Debug)]
pub(super) enum Panic {
    /// While the answer is taken in.
    Decoding,
    /// When what is needed no longer is dropped.
    Dropping,
}

pub(super) struct Kubernetes {
    state: Mutex<State>,
    /// By name, whatever their namespace.
    secrets: BTreeMap<&'static str, Value>,
    shown: mpsc::UnboundedSender<Shown>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    versions: u64,
    /// What becomes of the next read of an object.
    panics: BTreeMap<String, Panic>,
}

impl Kubernetes {
    /// `secrets` by name, with key and value.
    pub(super) fn new(
        secrets: &[(&'static str, [(&str, &str); 2])],
        shown: mpsc::UnboundedSender<Shown>,
    ) -> Arc<Self> {
        let secret = |(name, pairs): &(&'static str, [(&str, &str); 2])| {
            let data: BTreeMap<&str, String> = pairs
                .iter()
                .map(|(key, value)| (*key, STANDARD.encode(value)))
                .collect();
            let metadata = json!({"name": name});
            (*name, json!({"metadata": metadata, "data": data}))
        };
        Arc::new(Self {
            state: Mutex::default(),
            secrets: secrets.iter().map(secret).collect(),
            shown,
        })
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let this = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = Arc::clone(&this);
            async move {
                tokio::time::sleep(TAKES).await;
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, kube::Error>(this.answer(&head.method, head.uri.path(), &body))
            }
        });
        Client::new(service, NAMESPACE)
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        let parts: Vec<&str> = path.split('/').skip_while(|it| *it != NAMESPACE).collect();
        if path.contains("/secrets/") {
            let name = path.rsplit('/').next().unwrap_or_default();
            let secret = self.secrets.get(name);
            return secret.map_or_else(|| refused(404, name), |secret| answered(200, secret));
        }
        let (&Method::GET | &Method::PATCH, [_, "replicationregistries", name, ..]) =
            (method, &parts[..])
        else {
            return refused(404, path);
        };
        if method == Method::PATCH {
            let patch = serde_json::from_slice(body).expect("a patch");
            return self.patch(name, patch);
        }
        let panics = self.state().panics.remove(*name);
        let object = self.state().objects.get(*name).cloned();
        match (object, panics) {
            (None, _) => refused(404, name),
            (Some(object), None) => answered(200, &object),
            (Some(object), Some(panics)) => panics.answer(&object),
        }
    }

    fn patch(&self, name: &str, mut patch: Value) -> Answer {
        let version = patch["metadata"]["resourceVersion"].take();
        let stands = match self.state().objects.get(name) {
            None => return refused(404, name),
            Some(object) => object["metadata"]["resourceVersion"] == version,
        };
        if !stands {
            return refused(409, name);
        }
        patch["metadata"]
            .as_object_mut()
            .expect("it is bound to a version")
            .remove("resourceVersion");
        answered(200, &self.change(name, |object| merge(object, patch)))
    }

    /// Changes an object, which goes when nothing holds it, and gives what became of it.
    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut state = self.state();
        state.versions += 1;
        let version = state.versions.to_string();
        let object = state.objects.get_mut(name).expect("an object");
        change(object);
        object["metadata"]["resourceVersion"] = json!(version);
        let object = object.clone();
        let metadata = &object["metadata"];
        let is_held = metadata["finalizers"]
            .as_array()
            .is_some_and(|it| !it.is_empty());
        let shown = if metadata["deletionTimestamp"].is_string() && !is_held {
            state.objects.remove(name);
            let key = ObjectKey::new(NAMESPACE, name);
            Shown::Deleted(key, metadata["uid"].as_str().unwrap_or_default().to_owned())
        } else {
            let cr = serde_json::from_value(object.clone()).expect("an object");
            Shown::Applied(Box::new(cr))
        };
        drop(state);
        // Nobody looks any more when the test ends.
        let _ = self.shown.send(shown);
        object
    }

    /// Somebody creates an object with this spec.
    pub(super) fn create(&self, name: &str, spec: &Value) {
        let object = json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "namespace": NAMESPACE, "name": name, "uid": format!("uid-{name}"), "generation": 1,
            },
            "spec": spec,
        });
        self.state().objects.insert(name.to_owned(), object);
        self.change(name, |_| {});
    }

    /// Somebody changes a spec, or asks for the deletion: what does counts as a generation.
    pub(super) fn edit(&self, name: &str, patch: Value) {
        self.change(name, |object| {
            merge(object, patch);
            let generation = object["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default();
            object["metadata"]["generation"] = json!(generation + 1);
        });
    }

    /// The next read of an object makes who reads it panic.
    pub(super) fn panics_at(&self, name: &str, panics: Panic) {
        self.state().panics.insert(name.to_owned(), panics);
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    pub(super) fn object(&self, name: &str) -> Option<Value> {
        self.state().objects.get(name).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Panic {
    /// What makes who reads it panic.
    fn answer(self, object: &Value) -> Answer {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(std::thread::panicking(), "{CANARY}: it is dropped");
            }
        }
        let bytes = Bytes::from(object.to_string());
        let read = futures::stream::once(async move {
            let _bomb = match self {
                Panic::Decoding => panic!("{CANARY}: it is read"),
                Panic::Dropping => Bomb,
            };
            Ok(http_body::Frame::data(bytes))
        });
        Response::new(StreamBody::new(read).boxed_unsync())
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().expect("it is one now");
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn refused(code: u16, name: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": "", "code": code, "details": {"name": name, "kind": "it"},
    });
    answered(code, &status)
}

fn answered(code: u16, body: &Value) -> Answer {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    let response = Response::builder().status(code).body(body);
    response.expect("an answer")
}

/// Stands in what a panic says.
pub(super) const CANARY: &str = "canary-panic-7c1e";
