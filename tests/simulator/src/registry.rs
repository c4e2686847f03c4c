//! A stored registry and its history -> what a reader sees at a moment. Must not know requests or refusals.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::body::{Credential, Draft};
use crate::switches::{
    DnsConfEcho, IdStyle, Millis, NewStatus, ProjectIdEcho, SecretEcho, Switches, TimeFormat,
    Unset, UpdatedAt,
};

const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

/// What SWR holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Registry {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub kind: String,
    pub project_id: Option<String>,
    pub region_id: Option<String>,
    pub instance_id: Option<String>,
    pub url: String,
    pub credential: Credential,
    pub dns_hosts: Option<BTreeMap<String, String>>,
    pub insecure: bool,
    pub health: Health,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Health as SWR finds it in the background, without any API call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Fixed(String),
    Absent,
    HealthyFrom(Timestamp),
    Flipping {
        since: Timestamp,
        period_millis: i64,
    },
}

impl Health {
    pub fn of_new(switches: &Switches, now: Timestamp) -> Self {
        match switches.new_status {
            NewStatus::Healthy => Self::Fixed(HEALTHY.to_owned()),
            NewStatus::UnhealthyFirst => Self::HealthyFrom(later(now, switches.status_millis)),
            NewStatus::Flipping => Self::Flipping {
                since: now,
                // A period of nothing would divide by nothing.
                period_millis: i64::from(switches.status_millis.0.max(1)),
            },
            NewStatus::Absent => Self::Absent,
        }
    }

    pub fn unhealthy() -> Self {
        Self::Fixed(UNHEALTHY.to_owned())
    }

    pub fn at(&self, now: Timestamp) -> Option<&str> {
        match self {
            Self::Fixed(status) => Some(status),
            Self::Absent => None,
            Self::HealthyFrom(time) if now < *time => Some(UNHEALTHY),
            Self::HealthyFrom(_) => Some(HEALTHY),
            Self::Flipping {
                since,
                period_millis,
            } => {
                let flips = millis_between(*since, now) / period_millis;
                Some(if flips % 2 == 0 { HEALTHY } else { UNHEALTHY })
            }
        }
    }

    /// When it last changed by itself.
    fn changed_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Fixed(_) | Self::Absent => None,
            Self::HealthyFrom(time) => Some(*time).filter(|time| *time <= now),
            Self::Flipping {
                since,
                period_millis,
            } => {
                let flips = millis_between(*since, now) / period_millis;
                since
                    .checked_add(SignedDuration::from_millis(flips * period_millis))
                    .ok()
            }
        }
    }
}

/// `time` and so many milliseconds; a sum out of range is the end of time.
fn later(time: Timestamp, millis: Millis) -> Timestamp {
    time.saturating_add(SignedDuration::from_millis(i64::from(millis.0)))
        .unwrap_or(Timestamp::MAX)
}

fn millis_between(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_millisecond() - from.as_millisecond()).max(0)
}

/// Which operation shows a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Show,
    List,
}

impl Registry {
    pub fn new(id: i64, draft: Draft, health: Health, now: Timestamp) -> Self {
        Self {
            id,
            name: draft.name,
            description: draft.description.unwrap_or_default(),
            kind: draft.kind,
            project_id: draft.project_id,
            region_id: draft.region_id,
            instance_id: draft.instance_id,
            url: draft.url,
            credential: draft.credential,
            dns_hosts: draft.dns_hosts,
            insecure: draft.insecure,
            health,
            created_at: now,
            updated_at: now,
        }
    }

    /// The same registry with another body; identity, health and times stay.
    #[must_use]
    pub fn with_body(&self, draft: Draft) -> Self {
        Self {
            created_at: self.created_at,
            updated_at: self.updated_at,
            ..Self::new(self.id, draft, self.health.clone(), self.updated_at)
        }
    }

    /// `updated_at` as a reader sees it.
    pub fn updated_at(&self, switches: &Switches, now: Timestamp) -> Timestamp {
        match switches.updated_at {
            UpdatedAt::Put => self.updated_at,
            UpdatedAt::Health => self
                .health
                .changed_at(now)
                .map_or(self.updated_at, |time| time.max(self.updated_at)),
        }
    }

    /// The body of a GET, or one item of a list.
    pub fn seen(&self, view: View, switches: &Switches, now: Timestamp) -> Value {
        let mut seen = Map::new();
        let mut put = |name: &str, value: Value| {
            seen.insert(name.to_owned(), value);
        };
        put("id", id_value(self.id, switches.id_style));
        put("name", json!(self.name));
        let description = Some(&self.description).filter(|text| !text.is_empty());
        if let Some(value) = unset_or(description, switches.empty_description) {
            put("description", value);
        }
        put("type", json!(self.kind));
        put("url", json!(self.url));
        for (name, id) in [
            ("region_id", &self.region_id),
            ("instance_id", &self.instance_id),
        ] {
            if let Some(value) = unset_or(id.as_ref(), switches.empty_target_ids) {
                put(name, value);
            }
        }
        if let Some(id) = &self.project_id
            && match (switches.project_id_echo, view) {
                (ProjectIdEcho::Show, View::Show) | (ProjectIdEcho::ShowAndList, _) => true,
                (ProjectIdEcho::Show, View::List) | (ProjectIdEcho::Absent, _) => false,
            }
        {
            put("project_id", json!(id));
        }
        if let Some(value) = self.dns_conf_seen(view, switches.dns_conf_echo) {
            put("dns_conf", value);
        }
        put("credential", self.credential_seen(switches.secret_echo));
        put("insecure", json!(self.insecure));
        if let Some(status) = self.health.at(now) {
            put("status", json!(status));
        }
        put(
            "created_at",
            json!(format_time(self.created_at, switches.time_format)),
        );
        put(
            "updated_at",
            json!(format_time(
                self.updated_at(switches, now),
                switches.time_format
            )),
        );
        Value::Object(seen)
    }

    fn dns_conf_seen(&self, view: View, echo: DnsConfEcho) -> Option<Value> {
        let stored = self.dns_hosts.as_ref().map(|hosts| json!({"hosts": hosts}));
        match (echo, view) {
            (DnsConfEcho::Show, View::Show) | (DnsConfEcho::ShowAndList, _) => stored,
            (DnsConfEcho::EmptyHosts, View::Show) => Some(json!({"hosts": {}})),
            (DnsConfEcho::Null, View::Show) => Some(Value::Null),
            (DnsConfEcho::Show | DnsConfEcho::EmptyHosts | DnsConfEcho::Null, View::List)
            | (DnsConfEcho::Absent, _) => None,
        }
    }

    fn credential_seen(&self, echo: SecretEcho) -> Value {
        let mut seen = json!({
            "type": self.credential.kind,
            "access_key": self.credential.access_key,
        });
        let secret = match echo {
            SecretEcho::Plain => Some(self.credential.access_secret.as_str()),
            SecretEcho::Mask | SecretEcho::OtherMask => mask(echo),
            SecretEcho::Empty => Some(""),
            SecretEcho::Absent => None,
        };
        if let Some(secret) = secret {
            seen["access_secret"] = json!(secret);
        }
        seen
    }

    /// Everything, under the API's names; what is not set is null.
    pub fn truth(&self, now: Timestamp) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "type": self.kind,
            "project_id": self.project_id,
            "region_id": self.region_id,
            "instance_id": self.instance_id,
            "url": self.url,
            "credential": {
                "type": self.credential.kind,
                "access_key": self.credential.access_key,
                "access_secret": self.credential.access_secret,
            },
            "dns_conf": self.dns_hosts.as_ref().map(|hosts| json!({"hosts": hosts})),
            "insecure": self.insecure,
            "status": self.health.at(now),
            "created_at": format_time(self.created_at, TimeFormat::Rfc3339),
            "updated_at": format_time(self.updated_at, TimeFormat::Rfc3339),
        })
    }
}

/// The mask that stands for a secret in replies, when there is one.
pub fn mask(echo: SecretEcho) -> Option<&'static str> {
    match echo {
        SecretEcho::Mask => Some("*****"),
        SecretEcho::OtherMask => Some("******"),
        SecretEcho::Plain | SecretEcho::Empty | SecretEcho::Absent => None,
    }
}

pub fn id_value(id: i64, style: IdStyle) -> Value {
    match style {
        IdStyle::Small | IdStyle::Large => json!(id),
        IdStyle::Text => json!(id.to_string()),
    }
}

pub fn format_time(time: Timestamp, format: TimeFormat) -> String {
    match format {
        TimeFormat::Rfc3339 => time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        TimeFormat::NoZone => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        TimeFormat::Epoch => time.as_second().to_string(),
    }
}

fn unset_or(text: Option<&String>, unset: Unset) -> Option<Value> {
    match (text, unset) {
        (Some(text), _) => Some(json!(text)),
        (None, Unset::Empty) => Some(json!("")),
        (None, Unset::Null) => Some(Value::Null),
        (None, Unset::Absent) => None,
    }
}

/// A registry through time, so that reads can lag behind writes.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Invariant: not empty, in the order of time. The last one is the truth.
    versions: Vec<Version>,
}

#[derive(Clone, PartialEq, Eq)]
struct Version {
    at: Timestamp,
    /// `None`: deleted.
    registry: Option<Registry>,
}

impl Record {
    pub fn new(registry: Registry) -> Self {
        Self {
            versions: vec![Version {
                at: registry.created_at,
                registry: Some(registry),
            }],
        }
    }

    /// What is true, whatever readers see.
    pub fn current(&self) -> Option<&Registry> {
        self.versions.last()?.registry.as_ref()
    }

    pub fn current_mut(&mut self) -> Option<&mut Registry> {
        self.versions.last_mut()?.registry.as_mut()
    }

    /// `None` deletes.
    pub fn set(&mut self, registry: Option<Registry>, now: Timestamp) {
        self.versions.push(Version { at: now, registry });
    }

    /// What a GET finds.
    pub fn shown(&self, switches: &Switches, now: Timestamp) -> Option<&Registry> {
        let current = self.current()?;
        if now < later(current.created_at, switches.show_lag_after_create_millis) {
            return None;
        }
        let settled =
            |version: &&Version| later(version.at, switches.show_lag_after_update_millis) <= now;
        self.versions
            .iter()
            .rev()
            .find(settled)
            .or(self.versions.first())?
            .registry
            .as_ref()
    }

    /// What a list contains.
    pub fn listed(&self, switches: &Switches, now: Timestamp) -> Option<&Registry> {
        let settled = |version: &&Version| {
            let lag = match version.registry {
                Some(_) => switches.list_lag_millis,
                None => switches.list_lag_after_delete_millis,
            };
            later(version.at, lag) <= now
        };
        self.versions.iter().rev().find(settled)?.registry.as_ref()
    }

    /// Drops the versions that no lag can show any more; false when nothing remains.
    pub fn forget(&mut self, switches: &Switches, now: Timestamp) -> bool {
        let lags = [
            switches.show_lag_after_update_millis,
            switches.list_lag_millis,
            switches.list_lag_after_delete_millis,
        ];
        let longest = Millis(lags.iter().map(|lag| lag.0).max().unwrap_or(0));
        let settled = |version: &Version| later(version.at, longest) <= now;
        if let Some(last) = self.versions.iter().rposition(settled) {
            self.versions.drain(..last);
        }
        match self.versions.as_slice() {
            [only] => only.registry.is_some() || !settled(only),
            _ => true,
        }
    }
}
