//! What a reconcile of one object knows so far. No decision is made here.

use jiff::Timestamp;

use crate::answer::Account;
use crate::api::registry::{Binding, CreateIntent};
use crate::credential::Sealed;
use crate::desired::{Desired, Registry, RegistryId, Scope};
use crate::object::{Object, ObjectKey};
use crate::observed::{Concern, Digest, Inventory};
use crate::tag::Owner;
use crate::time::after;

/// For so long a read of the object counts as "just before" a write (rule 1): an observation that is shared and
/// paced comes within a second of it, one that waits for the rate limit does not.
const PROOF_SECS: i64 = 5;

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
    /// For how long an object that leaves its registry waits for the tag to come off.
    pub orphan_secs: i64,
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

/// An object as the watch showed it, which may be older than what stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watched {
    /// The object.
    pub object: Object,
    /// When it came: whatever others did before they made it this way, they did before.
    pub at: Timestamp,
}

/// What a reconcile starts from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reconcile {
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
    /// What `updated_at` of the instance's registries is worth.
    pub witness: Witness,
    /// What the mass-deletion guard says.
    pub clearance: Clearance,
    /// What earlier reconciles of this process leave behind.
    pub memory: Memory,
}

/// What `updated_at`, which SWR moves when a registry is written, may be taken for (see
/// [`crate::witness`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    /// Whether a move that nothing explains is somebody's change.
    pub is_believed: bool,
    /// Whether this object may be sent again because of one.
    pub may_send: bool,
}

/// What the mass-deletion guard says of the deletion of an object's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clearance {
    /// It is not known yet whether the deletion is one of many.
    Awaited,
    /// It is one of too many, and nobody has let them through.
    Paused,
    /// The registry may be deleted.
    Given {
        /// A request is not sent after this: until then an administrator lets deletions through.
        until: Option<Timestamp>,
    },
}

/// What earlier reconciles of this process leave behind. Losing it costs T_settle or a repeated PUT.
///
/// Every instant here was read from this process's own clock: what another process wrote is dated
/// by when this one first saw it (rule 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// When this process first read the object.
    pub met: Option<Met>,
    /// The intent in the status, and since when it is known.
    pub intent: Option<KnownIntent>,
    /// The id in the status, and since when it is known; of a registry that this process made,
    /// since SWR answered.
    pub id: Option<(RegistryId, Timestamp)>,
    /// Whether the last reconcile found something gone that it acted upon, or in its way: the next one must
    /// see all registries, and not what was written last.
    pub looks_at_all: bool,
    /// The last update and how often it was sent without SWR showing it.
    pub update: Option<SentUpdate>,
    /// Whether a write of ours is still to show: SWR took it, or did not answer.
    pub unseen_write: bool,
    /// Whether the last adoption failed and changed nothing, so that it is tried again.
    pub adopts_again: bool,
    /// When something that was changed in SWR was put right within the last 30 minutes.
    pub corrected_at: Vec<Timestamp>,
    /// The registry of an earlier object of our name, and since when nobody has touched it.
    pub untouched: Option<Untouched>,
    /// Since when the tag is to come off a registry that stays.
    pub orphaning_since: Option<Timestamp>,
    /// When a PUT was given up without an answer: it may still land.
    pub put_unanswered_at: Option<Timestamp>,
    /// When a write to Kubernetes was given up without an answer: it may still land, and over what
    /// a later reconcile decided.
    pub unanswered_at: Option<Timestamp>,
    /// Since when passing failures have stopped every reconcile.
    pub unverified_since: Option<Timestamp>,
    /// Since when the Secret lacks a key.
    pub secret_incomplete_since: Option<Timestamp>,
}

/// How this process first saw the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Met {
    /// When.
    pub at: Timestamp,
    /// Whether somebody had begun to make or take a registry for it: then writes of another process
    /// may still be on their way.
    pub had_history: bool,
}

/// An intent, by what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KnownIntent {
    /// Its number.
    pub attempt: i64,
    /// Its time by the clock of whoever wrote it: compared for equality and never with a clock.
    pub started_at: Timestamp,
    /// Since when this process knows it: when it wrote it, or when it first read it.
    pub since: Timestamp,
}

/// A registry that every observation shows the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Untouched {
    /// Its id.
    pub id: RegistryId,
    /// A hash of all that SWR shows of it.
    pub shown: u64,
    /// Since when.
    pub since: Timestamp,
}

impl Memory {
    /// What is known once the object was read.
    pub(crate) fn met(&mut self, object: &Object, now: Timestamp) {
        self.met.get_or_insert(Met {
            at: now,
            had_history: object.known_id().is_some() || object.status.create_intent.is_some(),
        });
        let status = &object.status;
        let is_same = |known: &KnownIntent, intent: &CreateIntent| {
            (known.attempt, known.started_at) == (intent.attempt, intent.started_at)
        };
        self.intent = status.create_intent.as_ref().map(|intent| {
            let known = self.intent.filter(|known| is_same(known, intent));
            known.unwrap_or(KnownIntent {
                attempt: intent.attempt,
                started_at: intent.started_at,
                since: now,
            })
        });
        self.id = object.known_id().map(|id| {
            let known = self.id.filter(|(known, _)| *known == id);
            known.unwrap_or((id, now))
        });
    }
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
    pub(crate) reconcile: Reconcile,
    pub(crate) object: Object,
    /// A LIST that began after this saw everything that others did before the object was read.
    pub(crate) read_at: Timestamp,
    /// When a quorum read or a write of this reconcile showed it so; `None` if only the watch did (rule 1).
    pub(crate) proven_at: Option<Timestamp>,
}

impl Work {
    /// Whether the proof that the object is so counts for a write now (rule 1).
    pub(crate) fn is_proven(&self, now: Timestamp) -> bool {
        self.proven_at
            .is_some_and(|at| now <= after(at, PROOF_SECS))
    }

    /// Until when a write may be sent that follows from a record shown at this time: then neither that nor
    /// the proof is older than a write may take (rules 1 and 9).
    pub(crate) fn send_by(&self, shown_at: Timestamp) -> Timestamp {
        let oldest = self.proven_at.map_or(shown_at, |at| at.min(shown_at));
        after(oldest, self.reconcile.windows.write_secs)
    }

    /// The object at its newest known version.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Whose registries are its own.
    pub fn owner(&self) -> &Owner {
        &self.reconcile.owner
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
    /// What the newest inventory of this reconcile showed of the object's registry.
    pub(crate) digest: Option<Digest>,
    /// Which registries carried our tag in the newest inventory of this reconcile.
    pub(crate) carriers: Option<Vec<RegistryId>>,
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

    /// The registry as it is to be in SWR, with our tag.
    pub(crate) fn tagged(&self) -> Registry {
        let registry = &self.desired.registry;
        Registry {
            description: self.work.reconcile.owner.describe(&registry.description),
            ..registry.clone()
        }
    }

    /// Which records of an inventory concern the object, once its registry has this id.
    pub(crate) fn concern(&self, id: Option<RegistryId>) -> Concern {
        let known = id.or_else(|| self.work.object.known_id());
        let adopted = self.desired.adoption.id;
        Concern {
            owner: self.work.reconcile.owner.clone(),
            ids: known.into_iter().chain(adopted).collect(),
            name: self.desired.registry.name.clone(),
        }
    }

    /// Takes in what an inventory shows of the object, whose registry has this id.
    pub(crate) fn note(&mut self, inventory: &Inventory, id: Option<RegistryId>) {
        self.digest = Some(self.concern(id).digest(inventory));
        self.carriers = Some(inventory.carriers(&self.work.reconcile.owner));
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
    /// Its tag did not come off in time: it stays, and nobody can adopt it.
    StillTagged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_sent_soon_enough_to_show_within_the_settle_time() {
        for (settle_secs, write_secs, expected) in [(120, 20, 20), (120, 60, 30), (10, 3, 3)] {
            let windows = Windows {
                settle_secs,
                write_secs,
                grace_secs: 300,
                poll_secs: 600,
                orphan_secs: 600,
            };
            assert_eq!(windows.send_secs(), expected, "{settle_secs} {write_secs}");
        }
    }
}
