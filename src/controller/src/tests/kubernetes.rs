//! The API server as far as the controller asks it, in this process, so that a paused clock goes on when nothing is under
//! way: objects and accounts in lists and watches, each write bound to a version, and Secrets. Knows merge patches, and no
//! other rule of Kubernetes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) const NAMESPACE: &str = "images";
/// A request.
const TAKES: Duration = Duration::from_millis(5);
/// As the controller asks for it.
const WATCH_LASTS: Duration = Duration::from_secs(60);

const OBJECTS: &str = "replicationregistries";
const ACCOUNTS: &str = "swraccounts";

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Where who asks for an object panics.
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
}

#[derive(Default)]
struct State {
    /// By resource and name.
    all: BTreeMap<(&'static str, String), Value>,
    version: u64,
    /// Each change, with its version and resource, as a line of a watch.
    history: Vec<(u64, &'static str, Bytes)>,
    watches: Vec<(&'static str, mpsc::UnboundedSender<Bytes>)>,
    /// What becomes of the next request for an object.
    panics: BTreeMap<String, Panic>,
}

impl Kubernetes {
    /// `secrets` by name, with keys and values.
    pub(super) fn new(secrets: &[(&'static str, &[(&str, &str)])]) -> Arc<Self> {
        let secret = |(name, pairs): &(&'static str, &[(&str, &str)])| {
            let encoded = pairs.iter().map(|(key, it)| (*key, STANDARD.encode(it)));
            let data: BTreeMap<&str, String> = encoded.collect();
            (*name, json!({"metadata": {"name": name}, "data": data}))
        };
        Arc::new(Self {
            state: Mutex::default(),
            secrets: secrets.iter().map(secret).collect(),
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
                Ok::<_, kube::Error>(this.answer(&head.method, &head.uri, &body))
            }
        });
        Client::new(service, NAMESPACE)
    }

    fn answer(&self, method: &Method, uri: &http::Uri, body: &[u8]) -> Answer {
        let parts: Vec<&str> = uri.path().split('/').collect();
        let query = uri.query().unwrap_or_default();
        let at = |resource: &str| parts.iter().position(|part| *part == resource);
        for resource in [OBJECTS, ACCOUNTS] {
            let Some(at) = at(resource) else {
                continue;
            };
            return match (parts.get(at + 1), method) {
                (None, _) if query.contains("watch=true") => self.watch(resource, query),
                (None, _) => self.list(resource),
                (Some(name), &Method::PATCH) => {
                    let panics = self.state().panics.remove(*name);
                    match panics {
                        Some(panics) => panics.answer(),
                        None => self.patch(resource, name, body),
                    }
                }
                (Some(name), _) => {
                    let object = self.get(resource, name);
                    object.map_or_else(|| refused(404, name), |it| answered(200, &it))
                }
            };
        }
        let name = parts.last().copied().unwrap_or_default();
        match self.secrets.get(name) {
            Some(secret) => answered(200, secret),
            None => refused(404, name),
        }
    }

    fn list(&self, resource: &str) -> Answer {
        let state = self.state();
        let all = state.all.iter().filter(|((its, _), _)| *its == resource);
        let items: Vec<&Value> = all.map(|(_, object)| object).collect();
        let metadata = json!({"resourceVersion": state.version.to_string()});
        answered(
            200,
            &json!({"kind": "List", "metadata": metadata, "items": items}),
        )
    }

    /// What happened since the version that is named, and what will.
    fn watch(&self, resource: &'static str, query: &str) -> Answer {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut since = pairs.filter(|(name, _)| *name == "resourceVersion");
        let since: Option<u64> = since.find_map(|(_, version)| version.parse().ok());
        let since = since.unwrap_or_default();
        let (tell, lines) = mpsc::unbounded_channel();
        let mut state = self.state();
        for (version, its, line) in &state.history {
            if *version > since && *its == resource {
                // The other half is here.
                let _ = tell.send(line.clone());
            }
        }
        state.watches.push((resource, tell));
        let ends = Instant::now() + WATCH_LASTS;
        let lines = futures::stream::unfold(lines, move |mut lines| async move {
            let line = tokio::time::timeout_at(ends, lines.recv()).await;
            Some((Ok(Frame::data(line.ok()??)), lines))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    fn patch(&self, resource: &'static str, name: &str, body: &[u8]) -> Answer {
        let mut patch: Value = serde_json::from_slice(body).expect("a patch");
        let version = patch["metadata"]["resourceVersion"].take();
        let Some(object) = self.get(resource, name) else {
            return refused(404, name);
        };
        if object["metadata"]["resourceVersion"] != version {
            return refused(409, name);
        }
        let bound = patch["metadata"].as_object_mut();
        bound
            .expect("it is bound to a version")
            .remove("resourceVersion");
        answered(
            200,
            &self.change(resource, name, |object| merge(object, patch)),
        )
    }

    /// Changes an object, which goes when nothing holds it, and gives what became of it.
    fn change(&self, resource: &'static str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut state = self.state();
        state.version += 1;
        let version = state.version;
        let key = (resource, name.to_owned());
        let object = state.all.entry(key.clone()).or_default();
        let is_new = object.is_null();
        change(object);
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = object.clone();
        let metadata = &object["metadata"];
        let is_held = metadata["finalizers"]
            .as_array()
            .is_some_and(|it| !it.is_empty());
        let goes = metadata["deletionTimestamp"].is_string() && !is_held;
        if goes {
            state.all.remove(&key);
        }
        let kind = match (is_new, goes) {
            (true, _) => "ADDED",
            (false, false) => "MODIFIED",
            (false, true) => "DELETED",
        };
        let line = Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
        state.history.push((version, resource, line.clone()));
        let hears = |tell: &mpsc::UnboundedSender<Bytes>| tell.send(line.clone()).is_ok();
        state
            .watches
            .retain(|(its, tell)| *its != resource || hears(tell));
        object
    }

    fn create(&self, resource: &'static str, kind: &str, name: &str, spec: &Value) {
        self.change(resource, name, |object| {
            *object = json!({
                "apiVersion": "swr.huaweicloud.com/v1alpha1",
                "kind": kind,
                "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 1},
                "spec": spec,
            });
            if resource == OBJECTS {
                object["metadata"]["namespace"] = json!(NAMESPACE);
            }
        });
    }

    /// Somebody creates an object with this spec.
    pub(super) fn create_object(&self, name: &str, spec: &Value) {
        self.create(OBJECTS, "ReplicationRegistry", name, spec);
    }

    /// Somebody creates an account with this spec.
    pub(super) fn create_account(&self, name: &str, spec: &Value) {
        self.create(ACCOUNTS, "SwrAccount", name, spec);
    }

    /// Somebody changes the spec of an object, or asks for its deletion: both count as a generation.
    pub(super) fn edit(&self, name: &str, patch: Value) {
        self.change(OBJECTS, name, |object| {
            merge(object, patch);
            let generation = object["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default();
            object["metadata"]["generation"] = json!(generation + 1);
        });
    }

    /// The next write to an object makes who sends it panic, and is not carried out.
    pub(super) fn panics_at(&self, name: &str, panics: Panic) {
        self.state().panics.insert(name.to_owned(), panics);
    }

    /// Names of all objects.
    pub(super) fn names(&self) -> Vec<String> {
        let state = self.state();
        let objects = state.all.keys().filter(|(its, _)| *its == OBJECTS);
        objects.map(|(_, name)| name.clone()).collect()
    }

    pub(super) fn object(&self, name: &str) -> Option<Value> {
        self.get(OBJECTS, name)
    }

    fn get(&self, resource: &'static str, name: &str) -> Option<Value> {
        let key = (resource, name.to_owned());
        self.state().all.get(&key).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Panic {
    /// What makes who reads it panic.
    fn answer(self) -> Answer {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(std::thread::panicking(), "{CANARY}: it is dropped");
            }
        }
        let read = futures::stream::once(async move {
            let _bomb = match self {
                Panic::Decoding => panic!("{CANARY}: it is read"),
                Panic::Dropping => Bomb,
            };
            Ok(Frame::data(Bytes::new()))
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
