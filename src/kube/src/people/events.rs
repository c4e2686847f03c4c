//! What was told beside an object.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};

use super::{Refused, Session};

/// An object has few events, and the API server forgets them after an hour.
const EVENTS_MAX: u32 = 200;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it was told last.
    pub at: Option<Timestamp>,
    /// `Normal` or `Warning`.
    pub type_: String,
    /// One word.
    pub reason: String,
    /// The same in a sentence.
    pub note: String,
    /// How often.
    pub count: i32,
}

impl Session {
    /// The events about the object with this uid, the oldest first.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn events(&self, namespace: &str, uid: &str) -> Result<Vec<Told>, Refused> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let selector = format!("involvedObject.uid={uid}");
        let params = ListParams::default().fields(&selector).limit(EVENTS_MAX);
        let what = || format!("list events in namespace {namespace}");
        let listed = self.call(what, api.list(&params)).await?;
        let mut told: Vec<Told> = listed.items.into_iter().map(told).collect();
        told.sort_by_key(|event| event.at);
        Ok(told)
    }
}

/// Events of either API come in this form, with their times in different fields.
fn told(event: Event) -> Told {
    let series = event.series.as_ref();
    let again = series.and_then(|series| series.last_observed_time.as_ref());
    let at = again.map(|time| time.0);
    let at = at.or_else(|| event.last_timestamp.as_ref().map(|time| time.0));
    let at = at.or_else(|| event.event_time.as_ref().map(|time| time.0));
    Told {
        at: at.or_else(|| {
            event
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0)
        }),
        count: series.and_then(|it| it.count).or(event.count).unwrap_or(1),
        type_: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.message.unwrap_or_default(),
    }
}
