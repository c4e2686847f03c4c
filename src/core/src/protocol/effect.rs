//! Every request to the world, with the state that waits for its answer. An answer of the wrong
//! kind cannot be given, because each effect carries its own `then`. Holds no secret: effects and
//! states are compared, hashed and logged whole. Who executes them is not known here.

use std::sync::Arc;

use jiff::Timestamp;

use crate::answer::{Account, AccountProblem, KubeFailure, SecretProblem};
use crate::api::registry::ReplicationRegistryStatus;
use crate::credential::Sealed;
use crate::desired::{Desired, Registry, RegistryId, SecretRef};
use crate::diff::Changes;
use crate::failure::Failure;
use crate::object::{Object, ObjectKey};
use crate::observed::{Adoptable, Health, Inventory, Owned, Record};
use crate::plan::Why;
use crate::reconcile::{Keep, Reconcile, Removed, Work};
use crate::summary::Summary;

/// What comes next in a reconcile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Ask the world, and give the answer to the effect's `then`.
    Do(Box<Effect>),
    /// The reconcile is over.
    Finished(Box<Summary>),
}

/// One request to the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Quorum GET of the object.
    ReadObject {
        /// Takes the object, or `None` if there is none of this name.
        then: ReadingObject,
    },
    /// Quorum GET of the object just before a write to SWR that was decided upon what the watch
    /// showed, or upon a read of some time ago (rule 1).
    ConfirmObject {
        /// Takes the object, or `None` if there is none of this name.
        then: ConfirmingObject,
    },
    /// The account that the object names, as it is known now.
    ReadAccount {
        /// Takes the account, or what is wrong with it.
        then: ReadingAccount,
    },
    /// One GET of the credential's Secret in the object's namespace.
    ReadSecret {
        /// Which one, and which keys.
        secret: SecretRef,
        /// Takes its fingerprints; the credential itself stays with the executor.
        then: ReadingSecret,
    },
    /// All registries of the instance, by a LIST that began after `started_after`. One LIST
    /// serves every object that waits for it.
    List {
        /// An older observation does not count.
        started_after: Timestamp,
        /// Takes the inventory.
        then: Listing,
    },
    /// One registry, by id.
    Show {
        /// Which one.
        id: RegistryId,
        /// Takes the record.
        then: Showing,
    },
    /// Whether any object of the cluster owns this tag.
    FindOwner {
        /// The tag of an earlier object of our name.
        tag: String,
        /// Takes the answer.
        then: FindingOwner,
    },
    /// Puts our finalizer on, if the object is still at its version (rule 2).
    AddFinalizer {
        /// Takes the object with the finalizer.
        then: AddingFinalizer,
    },
    /// Waits until the limits of the account leave room for the write that an intent announces, and keeps
    /// that room: an intent that waits in vain costs two writes to the object.
    Reserve {
        /// Takes whether there is room.
        then: Reserving,
    },
    /// Notes in the status that a registry is about to be created or adopted, if the object is
    /// still at its version (rule 4).
    RecordIntent {
        /// The status with the intent.
        status: Box<ReplicationRegistryStatus>,
        /// Takes the object with the intent, and the permission to use it.
        then: RecordingIntent,
    },
    /// POST. Needs an [`Intent`], which only a recorded one gives.
    Create {
        /// The permission.
        intent: Intent,
        /// What is written.
        write: RegistryWrite,
        /// Takes the id, `None` if SWR created it without saying which.
        then: Creating,
    },
    /// Notes the id in the status, if the object is still at its version: of a registry that was just
    /// created and that a LIST is late to show (rule 6), or of one that was found by its tag and is
    /// to be deleted or let go (rule 8), after which nothing else would tell it from its copies.
    RecordId {
        /// The status with the id.
        status: Box<ReplicationRegistryStatus>,
        /// Takes the object with the id.
        then: RecordingId,
    },
    /// PUT of the whole registry on one whose tag was just seen (rule 9).
    Update {
        /// Which one.
        target: Owned,
        /// What is written.
        write: RegistryWrite,
        /// The request is not sent after this.
        not_after: Timestamp,
        /// Takes the outcome.
        then: Updating,
    },
    /// PUT of the whole registry, tag included, on one that belongs to nobody.
    Adopt {
        /// The permission.
        intent: Intent,
        /// Which one.
        target: Adoptable,
        /// What is written.
        write: RegistryWrite,
        /// Takes the outcome.
        then: Adopting,
    },
    /// PUT of the whole registry without our tag, on one whose tag was just seen.
    Untag {
        /// Which one.
        target: Owned,
        /// What is written.
        write: RegistryWrite,
        /// The request is not sent after this.
        not_after: Timestamp,
        /// Takes the outcome.
        then: Untagging,
    },
    /// DELETE of a registry whose tag was just seen (rule 8).
    Delete {
        /// Which one.
        target: Owned,
        /// The request is not sent after this.
        not_after: Timestamp,
        /// Takes the outcome.
        then: Deleting,
    },
    /// Takes our finalizer off, if the object is still at its version.
    RemoveFinalizer {
        /// Takes the outcome.
        then: RemovingFinalizer,
    },
}

impl Effect {
    /// A word for logs and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Effect::ReadObject { .. } => "ReadObject",
            Effect::ConfirmObject { .. } => "ConfirmObject",
            Effect::ReadAccount { .. } => "ReadAccount",
            Effect::ReadSecret { .. } => "ReadSecret",
            Effect::List { .. } => "List",
            Effect::Show { .. } => "Show",
            Effect::FindOwner { .. } => "FindOwner",
            Effect::AddFinalizer { .. } => "AddFinalizer",
            Effect::Reserve { .. } => "Reserve",
            Effect::RecordIntent { .. } => "RecordIntent",
            Effect::Create { .. } => "Create",
            Effect::RecordId { .. } => "RecordId",
            Effect::Update { .. } => "Update",
            Effect::Adopt { .. } => "Adopt",
            Effect::Untag { .. } => "Untag",
            Effect::Delete { .. } => "Delete",
            Effect::RemoveFinalizer { .. } => "RemoveFinalizer",
        }
    }
}

/// A whole registry, because SWR replaces everything (swr-api.md 3); but for the credential, which stays
/// with the executor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryWrite {
    /// The registry; its description ends with our tag, unless that is to come off.
    pub registry: Registry,
    /// Why it is written.
    pub why: Why,
    /// What differs from the registry that it replaces; nothing if it is new.
    pub changes: Changes,
}

/// Permission to create or adopt once, given only by a recorded intent (rule 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// After this a request could land when others already believe it never will: the executor
    /// looks at the clock immediately before it sends.
    pub(crate) not_after: Timestamp,
}

impl Intent {
    /// When the permission ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// Waits for the object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadingObject {
    pub(crate) reconcile: Reconcile,
}

/// Waits for the proof that the object is as it was decided upon, to write the registry that was just shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfirmingObject {
    pub(crate) record: Record,
    pub(crate) shown_at: Timestamp,
    pub(crate) then: Showing,
}

impl ConfirmingObject {
    /// The object at its newest known version.
    pub fn work(&self) -> &Work {
        self.then.work()
    }
}

/// Waits for the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadingAccount {
    pub(crate) work: Work,
    pub(crate) goal: Goal,
}

/// What the account is needed for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// To keep the registry equal to this.
    Keep(Desired),
    /// To remove the registry.
    Remove,
    /// To take our tag off the registry, which stays.
    Orphan(Desired),
}

/// Waits for the credential's fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadingSecret {
    pub(crate) work: Work,
    pub(crate) account: Account,
    pub(crate) desired: Desired,
    pub(crate) orphan: bool,
}

/// A deletion under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Removal {
    pub(crate) work: Work,
    /// The registry that this reconcile has dealt with, so that a LIST that lags does not bring it back
    /// to it for ever.
    pub(crate) done: Option<RegistryId>,
    /// Whether that is not ours any more, and so stays.
    pub(crate) leaves: bool,
}

/// Waits for an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listing {
    /// To decide what to do.
    Deciding(Keep),
    /// To decide what to do about a registry that is not ours and is in the way: it may have been
    /// deleted since all were listed.
    DecidingAgain(Keep),
    /// To be sure that the registry with the known id is gone.
    ConfirmingGone(Keep),
    /// To see what was created. The answer may not take long: the id waits for it.
    Created(Keep, Wrote, RegistryId),
    /// To see what was created, without hurry, because the id is noted already.
    CreatedNoted(Keep, Wrote, RegistryId),
    /// To see what was updated.
    Updated(Keep, Wrote, RegistryId),
    /// To see whether anything of ours is left.
    Removing(Removal),
    /// To find the registry that the tag is to come off, because its id was lost.
    Orphaning(Keep),
}

impl Listing {
    /// The object that the inventory is for.
    pub fn work(&self) -> &Work {
        match self {
            Listing::Deciding(keep)
            | Listing::DecidingAgain(keep)
            | Listing::ConfirmingGone(keep)
            | Listing::Created(keep, ..)
            | Listing::CreatedNoted(keep, ..)
            | Listing::Updated(keep, ..)
            | Listing::Orphaning(keep) => &keep.work,
            Listing::Removing(removal) => &removal.work,
        }
    }

    /// Whether the answer must show all as it is, so that what it does not show is not there. If not,
    /// it is enough that it shows what was created or written: without an intent and an id no absence
    /// is concluded, for uniqueness comes from the writes to the object (rule 5).
    pub fn needs_whole(&self) -> bool {
        match self {
            Listing::Deciding(keep) => {
                let status = &keep.work.object.status;
                let shown = status.observed.as_ref();
                let health = shown.map(|shown| Health::from_word(shown.status.as_deref()));
                // Nobody writes the health, so it may change without being among what was written.
                status.create_intent.is_some()
                    || health == Some(Health::Unhealthy)
                    || keep.work.reconcile.memory.looks_at_all
            }
            Listing::DecidingAgain(_)
            | Listing::ConfirmingGone(_)
            | Listing::Removing(_)
            | Listing::Orphaning(_) => true,
            Listing::Created(..) | Listing::CreatedNoted(..) | Listing::Updated(..) => false,
        }
    }

    /// For how long the answer is waited for, if it is not without limit (rule 6: 2 s).
    pub fn patience_secs(&self) -> Option<i64> {
        match self {
            Listing::Created(..) => Some(2),
            Listing::Deciding(_)
            | Listing::DecidingAgain(_)
            | Listing::ConfirmingGone(_)
            | Listing::CreatedNoted(..)
            | Listing::Updated(..)
            | Listing::Removing(_)
            | Listing::Orphaning(_) => None,
        }
    }
}

/// What was just written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wrote {
    /// When SWR answered.
    pub at: Timestamp,
    /// Why it was written.
    pub why: Why,
    /// `updated_at` before, if the registry was there.
    pub before: Option<String>,
}

/// Waits for one record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Showing {
    /// The LIST showed none of ours, but the status knows an id.
    Missing(Keep),
    /// Before an update: the tag must be there at the last moment.
    BeforeUpdate(Keep, Why),
    /// Before an adoption: at the last moment there must be no tag, or just this one of an earlier
    /// object.
    BeforeAdoption(Keep, Intent, Option<String>),
    /// Before a deletion.
    BeforeDelete(Removal, RegistryId),
    /// Before the tag is taken off.
    BeforeUntag(Keep),
}

impl Showing {
    /// Whether the record may be one that a page of a list showed a moment ago (rule 9).
    pub fn takes_page(&self) -> bool {
        matches!(self, Showing::BeforeUpdate(..))
    }

    /// Whether a write that no intent permits may follow, so that the object must be proven (rule 1).
    pub(crate) fn needs_proof(&self) -> bool {
        match self {
            Showing::BeforeUpdate(..) | Showing::BeforeDelete(..) | Showing::BeforeUntag(_) => true,
            Showing::Missing(_) | Showing::BeforeAdoption(..) => false,
        }
    }

    pub(crate) fn work_mut(&mut self) -> &mut Work {
        match self {
            Showing::Missing(keep)
            | Showing::BeforeUpdate(keep, _)
            | Showing::BeforeAdoption(keep, ..)
            | Showing::BeforeUntag(keep) => &mut keep.work,
            Showing::BeforeDelete(removal, _) => &mut removal.work,
        }
    }

    /// The object that the record is for.
    pub fn work(&self) -> &Work {
        match self {
            Showing::Missing(keep)
            | Showing::BeforeUpdate(keep, _)
            | Showing::BeforeAdoption(keep, ..)
            | Showing::BeforeUntag(keep) => &keep.work,
            Showing::BeforeDelete(removal, _) => &removal.work,
        }
    }
}

/// Waits for the finalizer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddingFinalizer {
    pub(crate) keep: Keep,
    pub(crate) then: AfterFinalizer,
}

/// What the finalizer is needed for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AfterFinalizer {
    /// To create or adopt.
    Intend(Intended),
    /// To update this registry.
    Update(RegistryId, Why),
    /// Somebody took it off a registry in sync.
    Rest(Box<Owned>),
}

/// What an intent is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Intended {
    /// To create; the known id, if any, is certainly gone.
    Create,
    /// To adopt a registry.
    Adopt {
        /// Which one.
        id: RegistryId,
        /// The tag that it carries, if an earlier object of our name left it.
        tag: Option<String>,
    },
}

/// Waits for the answer whether an earlier object is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FindingOwner {
    pub(crate) keep: Keep,
    pub(crate) found: Adoptable,
}

/// Waits for room within the limits of the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reserving {
    pub(crate) keep: Keep,
    pub(crate) intended: Intended,
}

impl Reserving {
    /// Whether the instance must have room for one registry more.
    pub fn creates(&self) -> bool {
        self.intended == Intended::Create
    }
}

/// Waits for the intent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordingIntent {
    pub(crate) keep: Keep,
    pub(crate) intended: Intended,
    pub(crate) started_at: Timestamp,
}

/// Waits for the id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Creating {
    pub(crate) keep: Keep,
}

/// Waits for the id to be noted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordingId {
    pub(crate) id: RegistryId,
    pub(crate) then: AfterId,
}

/// What comes once the id is noted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AfterId {
    /// It was just created: to see it.
    Created(Keep, Wrote),
    /// It was found: to delete it.
    Delete(Removal),
    /// It was found: to take the tag off.
    Untag(Keep),
}

impl RecordingId {
    /// The object at its newest known version.
    pub fn work(&self) -> &Work {
        match &self.then {
            AfterId::Created(keep, _) | AfterId::Untag(keep) => &keep.work,
            AfterId::Delete(removal) => &removal.work,
        }
    }

    pub(crate) fn work_mut(&mut self) -> &mut Work {
        match &mut self.then {
            AfterId::Created(keep, _) | AfterId::Untag(keep) => &mut keep.work,
            AfterId::Delete(removal) => &mut removal.work,
        }
    }
}

/// Waits for the outcome of a PUT.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Updating {
    pub(crate) keep: Keep,
    pub(crate) target: Owned,
    pub(crate) why: Why,
}

/// Waits for the outcome of an adoption.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adopting {
    pub(crate) keep: Keep,
    pub(crate) target: Adoptable,
    pub(crate) why: Why,
}

/// Waits for the outcome of the PUT without tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Untagging {
    pub(crate) keep: Keep,
}

/// Waits for the outcome of a DELETE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deleting {
    pub(crate) removal: Removal,
}

/// Waits for the finalizer to be off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemovingFinalizer {
    pub(crate) work: Work,
    /// What became of the registry.
    pub removed: Removed,
    /// Registries with a copy of our tag, which stay.
    pub(crate) clones: Vec<RegistryId>,
}

macro_rules! object_of {
    ($($state:ident.$($field:ident).+),* $(,)?) => {
        $(impl $state {
            /// The object at its newest known version.
            pub fn work(&self) -> &Work {
                &self.$($field).+
            }
        })*
    };
}

object_of!(
    ReadingAccount.work,
    ReadingSecret.work,
    FindingOwner.keep.work,
    AddingFinalizer.keep.work,
    Reserving.keep.work,
    RecordingIntent.keep.work,
    Creating.keep.work,
    Updating.keep.work,
    Adopting.keep.work,
    Untagging.keep.work,
    Deleting.removal.work,
    RemovingFinalizer.work,
);

impl ReadingObject {
    /// The object that is read.
    pub fn key(&self) -> &ObjectKey {
        &self.reconcile.key
    }
}

macro_rules! kept {
    ($($state:ident),* $(,)?) => {
        $(impl $state {
            /// What the spec asks for.
            pub fn desired(&self) -> &Desired {
                &self.keep.desired
            }
        })*
    };
}

kept!(Creating, Updating, Adopting);

/// The answers, by the effect that asks.
pub type ObjectAnswer = Result<Option<Object>, KubeFailure>;
/// Answer to a write to the object: the object as it is with the write.
pub type ObjectWritten = Result<Object, KubeFailure>;
/// Answer to [`Effect::Reserve`].
pub type ReserveAnswer = Result<(), Failure>;
/// Answer to [`Effect::ReadAccount`].
pub type AccountAnswer = Result<Account, AccountProblem>;
/// Answer to [`Effect::ReadSecret`].
pub type SecretAnswer = Result<Sealed, SecretProblem>;
/// Answer to [`Effect::List`]; `None` if it took longer than the patience. Shared, because one LIST
/// answers every object that waits for it.
pub type ListAnswer = Result<Option<Arc<Inventory>>, Failure>;
/// Answer to [`Effect::Show`].
pub type ShowAnswer = Result<Record, Failure>;
