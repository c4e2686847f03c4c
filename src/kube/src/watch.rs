//! The stream that does not die: a watch that is thrown away and begun anew, with a fresh LIST,
//! on every sign that its place in history is of no use, on silence, and at a bounded age
//! (reliability.md 0.1: E1 to E5, E13, E18).

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::guard::Guarded;
use super::told;
use swr_operator_api::FINALIZER;
use swr_operator_api::account::SwrAccount;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_clock as clock;
use swr_operator_core::answer::Labels;
use swr_operator_core::desired::{self, InstanceId, Scope};
use swr_operator_core::object::{Deletion, Object, ObjectKey, Version, requested_at};
use swr_operator_core::texts::Texts;

/// The API server ends a watch after this time, and a fresh one begins where it ended.
pub(super) const WATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// Objects of one page of a list, which are in memory at once: 250 KiB of JSON. kube's 500 would be
/// the peak of the process.
const LIST_PAGE: u32 = 100;
/// E3: a list that gives nothing for this long hangs. After the list silence proves nothing: kube
/// shows neither bookmarks nor the regular ends of a watch, and a dead body is ended by the
/// client's read timeout.
const LIST_SILENCE_MAX: Duration = Duration::from_secs(300);
/// E5: kube 5.0 never lists again by itself, so what a watch lost would be lost for ever.
const AGE_MAX: Duration = Duration::from_secs(900);
/// The wait before a fresh start doubles from the first to the second; `130 LISTs per hour` is
/// the budget, and 60 s with jitter gives at most 75.
const GAP_MIN: Duration = Duration::from_secs(1);
const GAP_MAX: Duration = Duration::from_secs(60);
/// Health that lasts this long resets the wait.
const HEALTHY_AFTER: Duration = Duration::from_secs(120);

/// What the controller needs to know of an object to decide whether to reconcile it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from a namesake.
    pub uid: String,
    /// Tells it from what it was before the last write.
    pub version: Version,
    /// Generation of the spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What its deletion would delete; `None` if it is not being deleted, or would delete nothing.
    pub deletion: Option<Box<Deletion>>,
    /// Whether our finalizer is on.
    pub has_finalizer: bool,
    /// The newest request for a reconcile.
    pub requested_at: Option<String>,
    /// When it was created.
    pub created_at: Option<jiff::Timestamp>,
    /// Account and instance; `None` if the object does not fit our CRD.
    pub scope: Option<Scope>,
    /// `spec.pollInterval`.
    pub poll_secs: Option<i64>,
    /// The object itself, for who needs more of it; `None` if it does not fit our CRD.
    pub object: Option<Box<ReplicationRegistry>>,
}

impl Seen {
    fn of(guarded: &Guarded<ReplicationRegistry>) -> Option<Seen> {
        let meta = guarded.meta();
        let cr = guarded.0.as_deref().ok();
        Some(Seen {
            key: ObjectKey::new(meta.namespace.as_deref()?, meta.name.as_deref()?),
            uid: meta.uid.clone()?,
            version: Version(meta.resource_version.clone()?),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            deletion: meta.deletion_timestamp.as_ref().and_then(|_| {
                let object = match &guarded.0 {
                    Ok(cr) => Object::from_cr(cr),
                    Err(invalid) => Object::from_json(invalid.json.clone()),
                };
                object?.deletion().map(Box::new)
            }),
            has_finalizer: meta
                .finalizers
                .as_ref()
                .is_some_and(|all| all.iter().any(|name| name == FINALIZER)),
            requested_at: requested_at(meta),
            created_at: meta.creation_timestamp.as_ref().map(|time| time.0),
            scope: cr.map(Scope::of),
            poll_secs: cr.and_then(desired::poll_secs),
            object: None,
        })
    }
}

/// What panics here costs the object, not the watch.
fn seen(guarded: Guarded<ReplicationRegistry>) -> Option<Seen> {
    let seen = catch_unwind(AssertUnwindSafe(|| Seen::of(&guarded)));
    let seen = seen.unwrap_or_else(|_| {
        let name = guarded.meta().name.as_deref().unwrap_or_default();
        tracing::error!(
            name,
            "an object made us panic; this is a bug, please report it"
        );
        None
    });
    // Most events are of our own writes, and nobody needs more of those.
    Some(Seen {
        object: guarded.0.ok(),
        ..seen?
    })
}

/// Thousands of objects have one namespace, one account and one instance: each name is kept once.
fn sharing(texts: &mut Texts, event: Event<Seen>) -> Event<Seen> {
    match event {
        Event::Applied(mut seen) => {
            seen.key.namespace = texts.shared(&seen.key.namespace);
            if let Some(scope) = &mut seen.scope {
                scope.account = texts.shared(&scope.account);
                scope.instance = InstanceId::new(texts.shared(scope.instance.as_str()));
            }
            Event::Applied(seen)
        }
        Event::Listed => {
            texts.forget_unused();
            Event::Listed
        }
        Event::Listing | Event::Deleted(_) | Event::Failing(_) => event,
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum Event<T> {
    /// A complete list begins: what does not come until [`Event::Listed`] is gone.
    Listing,
    /// The list is complete.
    Listed,
    /// This is there, new or changed.
    Applied(T),
    /// This is gone.
    Deleted(T),
    /// The watch is in trouble and goes on by itself.
    Failing(String),
}

/// The events of what `show` makes of each object.
fn shown<K, T>(
    events: impl Stream<Item = Event<K>> + Send,
    show: fn(K) -> Option<T>,
) -> impl Stream<Item = Event<T>> + Send
where
    K: Send,
    T: Send,
{
    events.filter_map(move |event| {
        futures::future::ready(match event {
            Event::Listing => Some(Event::Listing),
            Event::Listed => Some(Event::Listed),
            Event::Applied(object) => show(object).map(Event::Applied),
            Event::Deleted(object) => show(object).map(Event::Deleted),
            Event::Failing(error) => Some(Event::Failing(error)),
        })
    })
}

/// Watches the objects of one namespace, or of all.
pub fn watch_objects(
    client: Client,
    namespace: Option<&str>,
) -> impl Stream<Item = Event<Seen>> + Send + use<> {
    let api: Api<Guarded<ReplicationRegistry>> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut texts = Texts::default();
    shown(resilient(api), seen).map(move |event| sharing(&mut texts, event))
}

/// An account as a watch shows it.
#[derive(Debug)]
pub struct SeenAccount {
    /// Its name.
    pub name: String,
    /// What it says, or why it does not fit our CRD.
    pub account: Result<Box<SwrAccount>, String>,
}

impl SeenAccount {
    fn of(guarded: Guarded<SwrAccount>) -> Self {
        let name = guarded.meta().name.clone().unwrap_or_default();
        let account = match guarded.0 {
            Ok(account) => Ok(account),
            Err(invalid) => Err(invalid.error),
        };
        SeenAccount { name, account }
    }
}

/// Watches the accounts of the cluster. One that does not fit our CRD is shown, too: whatever it
/// said before does not count any more.
pub fn watch_accounts(client: Client) -> impl Stream<Item = Event<SeenAccount>> + Send {
    let api: Api<Guarded<SwrAccount>> = Api::all(client);
    shown(resilient(api), |account| Some(SeenAccount::of(account)))
}

/// A namespace as a watch shows it.
#[derive(Debug)]
pub struct SeenNamespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

/// Watches the namespaces of the cluster.
pub fn watch_namespaces(client: Client) -> impl Stream<Item = Event<SeenNamespace>> + Send {
    shown(resilient(Api::<Namespace>::all(client)), |namespace| {
        Some(SeenNamespace {
            name: namespace.metadata.name.unwrap_or_default(),
            labels: namespace.metadata.labels.unwrap_or_default(),
        })
    })
}

/// A Secret as a watch of metadata shows it: what is in it is never asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Tells it from what it was before it was written.
    pub version: Version,
}

/// Watches the metadata of the Secrets of a namespace (of all, if `None`) that have these labels, if any are given. An
/// annotation may hold a copy of the data, so nothing of the metadata is kept but what tells that a Secret changed.
pub fn watch_secrets(
    client: Client,
    namespace: Option<&str>,
    labels: Option<&str>,
) -> impl Stream<Item = Event<SeenSecret>> + Send + use<> {
    let api: Api<PartialObjectMeta<Secret>> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = match labels {
        Some(labels) => watcher::Config::default().labels(labels),
        None => watcher::Config::default(),
    };
    shown(selected(api, config), |secret| {
        Some(SeenSecret {
            namespace: secret.metadata.namespace.unwrap_or_default(),
            name: secret.metadata.name.unwrap_or_default(),
            version: Version(secret.metadata.resource_version.unwrap_or_default()),
        })
    })
}

type Watch<K> = Pin<Box<dyn Stream<Item = watcher::Result<watcher::Event<K>>> + Send>>;

struct Generation<K> {
    events: Watch<K>,
    born: Instant,
    /// The bounded age, different for every watch so that they do not list in step.
    age_max: Duration,
    listed: bool,
}

fn resilient<K>(api: Api<K>) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    selected(api, watcher::Config::default())
}

/// Of the objects that `config` selects.
fn selected<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let timeout = u32::try_from(WATCH_TIMEOUT.as_secs()).unwrap_or(u32::MAX);
    let config = config.timeout(timeout).page_size(LIST_PAGE);
    let fresh = move || Generation {
        events: Box::pin(watcher(api.clone(), config.clone())),
        born: monotonic(),
        age_max: clock::jittered(AGE_MAX),
        listed: false,
    };
    stream::unfold(
        (None::<Generation<K>>, GAP_MIN),
        move |(generation, gap)| {
            let fresh = fresh.clone();
            async move {
                let mut generation = generation.unwrap_or_else(&fresh);
                loop {
                    let grown_old = generation.born + generation.age_max;
                    let until = match generation.listed {
                        true => grown_old,
                        false => grown_old.min(monotonic() + LIST_SILENCE_MAX),
                    };
                    let event = match tokio::time::timeout_at(until, generation.events.next()).await
                    {
                        Ok(Some(Ok(event))) => event,
                        Ok(Some(Err(error))) => {
                            // Whatever the error, a fresh start is right and costs one LIST; the
                            // gap keeps it from costing many (E18: 3,011 an hour without).
                            let healthy = generation.born.elapsed() > HEALTHY_AFTER;
                            let gap = if healthy {
                                GAP_MIN
                            } else {
                                (gap * 2).min(GAP_MAX)
                            };
                            tokio::time::sleep(clock::jittered(gap)).await;
                            return Some((Event::Failing(told(&error)), (None, gap)));
                        }
                        Ok(None) | Err(_) => {
                            generation = fresh();
                            continue;
                        }
                    };
                    let event = match event {
                        watcher::Event::Init => Event::Listing,
                        watcher::Event::InitDone => {
                            generation.listed = true;
                            Event::Listed
                        }
                        watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                            Event::Applied(object)
                        }
                        watcher::Event::Delete(object) => Event::Deleted(object),
                    };
                    return Some((event, (Some(generation), gap)));
                }
            }
        },
    )
}

fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
