//! Events of events.k8s.io/v1, beside the work and never in its way: a queue with a bound, one
//! task, and what does not get through is lost.
//!
//! Not kube's own `Recorder`: that one keeps the first text when a reason is told again with
//! another, and names events so that a long object name is refused.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event as KubeEvent, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource as _};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{CALL_DEADLINE, FIELD_MANAGER, told};
use swr_operator_api::account::SwrAccount;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_clock as clock;
use swr_operator_core::event::{Event, EventType};
use swr_operator_core::object::ObjectKey;

/// Must be a qualified name (measured).
const CONTROLLER: &str = "swr.huaweicloud.com/swr-operator";
/// Events that wait to be written. A thousand new objects make a thousand events within seconds;
/// with notes of 1,024 bytes at most they take 1.5 MiB.
const WAITING_MAX: usize = 1_024;
/// The API server forgets an event after an hour by default, and so does its count.
const COUNTED_FOR: Duration = Duration::from_secs(3_600);
/// With notes of 1,024 bytes at most, 1.5 MiB.
const COUNTED_MAX: usize = 1_024;
/// `reportingInstance` may have 128 characters, and must have one.
const INSTANCE_CHARS_MAX: usize = 128;
/// Names of objects may have 253 characters; 17 of them are needed to tell events apart.
const NAME_CHARS_MAX: usize = 253 - 17;

/// Where events are handed in.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Publish(Box<Note>),
    End,
}

struct Note {
    regarding: Regarding,
    uid: String,
    event: Event,
}

/// What an event is about.
enum Regarding {
    Registry(ObjectKey),
    /// By its name: it is of the cluster.
    Account(String),
}

impl Regarding {
    /// Where the event is kept; those of cluster-scoped objects must be in `default`.
    fn namespace(&self) -> &str {
        match self {
            Regarding::Registry(key) => &key.namespace,
            Regarding::Account(_) => "default",
        }
    }

    fn name(&self) -> &str {
        match self {
            Regarding::Registry(key) => &key.name,
            Regarding::Account(name) => name,
        }
    }

    fn reference(&self, uid: &str) -> ObjectReference {
        let (api_version, kind, namespace) = match self {
            Regarding::Registry(key) => (
                ReplicationRegistry::api_version(&()),
                ReplicationRegistry::kind(&()),
                Some(key.namespace.to_string()),
            ),
            Regarding::Account(_) => (SwrAccount::api_version(&()), SwrAccount::kind(&()), None),
        };
        ObjectReference {
            api_version: Some(api_version.into_owned()),
            kind: Some(kind.into_owned()),
            namespace,
            name: Some(self.name().to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }
    }
}

impl fmt::Display for Regarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Regarding::Registry(key) => key.fmt(f),
            Regarding::Account(name) => name.fmt(f),
        }
    }
}

impl Events {
    /// Hands in an event about the object with this uid. Never waits; an event too many is lost.
    pub fn publish(&self, key: &ObjectKey, uid: &str, event: Event) {
        self.hand_in(Regarding::Registry(key.clone()), uid, event);
    }

    /// Hands in an event about the account of this name and uid, likewise.
    pub fn publish_of_account(&self, name: &str, uid: &str, event: Event) {
        self.hand_in(Regarding::Account(name.to_owned()), uid, event);
    }

    fn hand_in(&self, regarding: Regarding, uid: &str, event: Event) {
        let note = Box::new(Note {
            regarding,
            uid: uid.to_owned(),
            event,
        });
        if let Err(lost) = self.queue.try_send(Message::Publish(note)) {
            let (mpsc::error::TrySendError::Full(message)
            | mpsc::error::TrySendError::Closed(message)) = lost;
            if let Message::Publish(note) = message {
                tracing::debug!(object = %note.regarding, reason = note.event.reason, "event lost");
            }
        }
    }

    /// Lets what waits be written, and then the task of [`publisher`] end.
    pub async fn end(&self) {
        let _ = self.queue.send(Message::End).await;
    }
}

/// Where to hand events in, and what writes them; `instance` is the pod's name.
pub fn publisher(client: Client, instance: String) -> (Events, impl Future<Output = ()> + Send) {
    let (queue, mut waiting) = mpsc::channel(WAITING_MAX);
    let end = instance.floor_char_boundary(INSTANCE_CHARS_MAX);
    let instance = match &instance[..end] {
        "" => CONTROLLER.to_owned(),
        instance => instance.to_owned(),
    };
    let mut publisher = Publisher {
        client,
        instance,
        counted: HashMap::new(),
        published: 0,
    };
    let work = async move {
        while let Some(Message::Publish(note)) = waiting.recv().await {
            // What panics costs one event, not those after it.
            let published = AssertUnwindSafe(publisher.publish(*note)).catch_unwind();
            if published.await.is_err() {
                tracing::error!("writing an event panicked; this is a bug, please report it");
            }
        }
    };
    (Events { queue }, work)
}

struct Publisher {
    client: Client,
    instance: String,
    counted: HashMap<(String, Event), Counted>,
    published: i128,
}

/// An event that was written and may come again.
struct Counted {
    name: String,
    count: i32,
    at: Instant,
}

impl Publisher {
    async fn publish(&mut self, note: Note) {
        let now = Instant::now();
        let Note {
            regarding,
            uid,
            event,
        } = note;
        let api: Api<KubeEvent> = Api::namespaced(self.client.clone(), regarding.namespace());
        let same = (uid, event);
        if let Some(before) = self.counted.get_mut(&same)
            && now.duration_since(before.at) < COUNTED_FOR
        {
            before.count = before.count.saturating_add(1);
            before.at = now;
            let series = EventSeries {
                count: before.count,
                last_observed_time: MicroTime(clock::now()),
            };
            let patch = Patch::Merge(json!({ "series": series }));
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            if ask(&regarding, api.patch(&before.name, &params, &patch)).await != Answer::NotFound {
                return;
            }
            // It was deleted, or forgotten early.
        }
        let (uid, event) = same;
        self.published += 1;
        let created = self.event(&regarding, &uid, &event);
        let name = created.metadata.name.clone().unwrap_or_default();
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        if ask(&regarding, api.create(&params, &created)).await == Answer::Done {
            self.remember((uid, event), name, now);
        }
    }

    fn remember(&mut self, same: (String, Event), name: String, now: Instant) {
        if self.counted.len() >= COUNTED_MAX {
            self.counted
                .retain(|_, counted| now.duration_since(counted.at) < COUNTED_FOR);
        }
        if self.counted.len() >= COUNTED_MAX {
            // Repeats are then written as new events for a while.
            self.counted.clear();
        }
        let counted = Counted {
            name,
            count: 1,
            at: now,
        };
        self.counted.insert(same, counted);
    }

    fn event(&self, regarding: &Regarding, uid: &str, event: &Event) -> KubeEvent {
        let now = clock::now();
        KubeEvent {
            metadata: ObjectMeta {
                namespace: Some(regarding.namespace().to_owned()),
                name: Some(name(regarding.name(), now, self.published)),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(
                match event.type_ {
                    EventType::Normal => "Normal",
                    EventType::Warning => "Warning",
                }
                .to_owned(),
            ),
            reason: Some(event.reason.to_owned()),
            action: Some(event.action.as_str().to_owned()),
            note: Some(event.note.clone()),
            regarding: Some(regarding.reference(uid)),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..KubeEvent::default()
        }
    }
}

/// The time tells one process's events from another's, the number those of one moment.
fn name(object: &str, now: Timestamp, published: i128) -> String {
    let end = object.floor_char_boundary(NAME_CHARS_MAX);
    let stem = object[..end].trim_end_matches(['.', '-']);
    format!("{stem}.{:x}", now.as_nanosecond() + published % 1_000_000)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    NotFound,
    Failed,
}

async fn ask<T>(regarding: &Regarding, call: impl Future<Output = kube::Result<T>>) -> Answer {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(_)) => Answer::Done,
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Answer::NotFound,
        // Nothing new may be made in a namespace that goes; its objects' events would go with it.
        Ok(Err(kube::Error::Api(status))) if status.message.contains("being terminated") => {
            Answer::Failed
        }
        // An operator of some namespaces need not be allowed to write into `default`.
        Ok(Err(kube::Error::Api(status)))
            if status.code == 403 && matches!(regarding, Regarding::Account(_)) =>
        {
            tracing::debug!(object = %regarding, "an event of an account may not be written");
            Answer::Failed
        }
        Ok(Err(error)) => {
            tracing::warn!(object = %regarding, error = told(&error), "an event was not written");
            Answer::Failed
        }
        Err(_) => {
            tracing::warn!(object = %regarding, "an event was not written in time");
            Answer::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_fits_however_long_the_objects_is() {
        let now = Timestamp::from_second(1_800_000_000).expect("time");
        for object in ["a".repeat(253), format!("{}.b", "a".repeat(235))] {
            let name = name(&object, now, 7);
            assert!(name.len() <= 253, "{} characters", name.len());
            assert!(!name.contains(".."), "{name}");
        }
        assert_eq!(name("harbor-dr", now, 7), "harbor-dr.18fae27693b40007");
    }
}
