//! What a pass over one object knows so far. No decision is made here.

use jiff::Timestamp;

use crate::answer::Account;
use crate::api::registry::Binding;
use crate::credential::Sealed;
use crate::desired::{Adoption, Desired, RegistryId, Scope};
use crate::object::{Object, ObjectKey};
use crate::observed::{Lookout, View};
use crate::tag::Owner;

/// The windows of time that decisions depend on, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// T_settle: after it an unanswered request has landed or never will.
    pub settle_secs: i64,
    /// The longest that a write to SWR can take; less than `settle_secs`.
    pub write_secs: i64,
    /// For how long after a write SWR's "unhealthy" is not yet believed.
    pub grace_secs: i64,
    /// How often objects that name no interval are compared.
    pub poll_secs: i64,
}

impl Windows {
    /// For how long after its intent a POST may be sent. It is on the wire for the deadline of a
    /// write at most, and has at least as much again of T_settle to show in a LIST: by default
    /// 20 s to be sent, 20 s on the wire, 80 s to show.
    pub fn send_secs(&self) -> i64 {
        self.write_secs
            .min((self.settle_secs - self.write_secs) / 2)
    }
}

/// What a pass starts from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The object.
    pub key: ObjectKey,
    /// Its uid when it was queued.
    pub uid: String,
    /// Whose registries are its own.
    pub owner: Owner,
    /// The windows of time.
    pub windows: Windows,
    /// Whether the whole installation only reads SWR (`--read-only`).
    pub read_only: bool,
    /// When this process started: the oldest write that it cannot know of is older.
    pub process_started_at: Timestamp,
    /// What earlier passes of this process leave behind.
    pub memory: Memory,
}

/// What earlier passes of this process leave behind. Losing it costs a repeated PUT at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The last update and how often it was sent without SWR showing it.
    pub update: Option<SentUpdate>,
    /// When drift was corrected within the last 30 minutes.
    pub corrected_at: Vec<Timestamp>,
    /// When a write to Kubernetes was given up without an answer: it may still land, and over what
    /// a later pass decided.
    pub unanswered_at: Option<Timestamp>,
    /// Since when passing failures have stopped every pass.
    pub unverified_since: Option<Timestamp>,
    /// Since when the Secret lacks a key.
    pub secret_incomplete_since: Option<Timestamp>,
}

/// An update that SWR accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SentUpdate {
    /// Hash of what was asked for and with which credential.
    pub asked: u64,
    /// When SWR answered last.
    pub at: Timestamp,
    /// How often in a row.
    pub times: u32,
}

/// An object under way, and when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    pub(crate) pass: Pass,
    pub(crate) object: Object,
    /// A LIST that began after this saw everything that others did before the object was read.
    pub(crate) read_at: Timestamp,
}

impl Work {
    /// The object at its newest known version.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Whose registries are its own.
    pub fn owner(&self) -> &Owner {
        &self.pass.owner
    }

    /// Where its registry lives.
    pub fn scope(&self) -> &Scope {
        &self.object.scope
    }
}

/// An object that is to be kept: everything is known but what SWR holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keep {
    pub(crate) work: Work,
    pub(crate) account: Account,
    pub(crate) desired: Desired,
    pub(crate) sealed: Sealed,
    /// What the newest inventory of this pass showed of the object's registry.
    pub(crate) view: Option<View>,
    /// Whether the registry with the known id is certainly gone (rule 7).
    pub(crate) known_is_gone: bool,
}

impl Keep {
    /// The remote identity under which the registry lives.
    pub fn binding(&self) -> Binding {
        Binding {
            project_id: self.account.project.as_str().to_owned(),
            region: self.account.region.as_str().to_owned(),
            instance_id: self.work.object.scope.instance.as_str().to_owned(),
        }
    }

    /// What the spec asks for.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Which records of an inventory concern the object, once its registry has this id.
    pub(crate) fn lookout(&self, id: Option<RegistryId>) -> Lookout {
        let adopted = match self.desired.adoption {
            Adoption::ById(id) => Some(id),
            Adoption::Never | Adoption::ByName => None,
        };
        let known = id.or_else(|| self.work.object.known_id());
        Lookout {
            owner: self.work.pass.owner.clone(),
            ids: known.into_iter().chain(adopted).collect(),
            name: self.desired.registry.name.clone(),
        }
    }
}

/// What became of the registry of an object that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removed {
    /// There was none.
    Nothing,
    /// It is gone.
    Deleted,
    /// It stays without our tag.
    Untagged,
    /// It stays as it is.
    LeftAlone,
}
