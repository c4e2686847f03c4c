//! What a reconcile found and did: the one value from which status, requeue and the next poll follow.

use std::sync::Arc;

use jiff::Timestamp;

use crate::answer::{AccountProblem, SecretProblem};
use crate::api::registry::{Applied, Binding};
use crate::credential::Fingerprint;
use crate::desired::{Desired, Invalid, RegistryId, SecretRef};
use crate::diff::Changes;
use crate::failure::{Class, Failure};
use crate::grant::Denied;
use crate::object::Object;
use crate::observed::{Concern, Digest, Health, Owned, Record};
use crate::plan::Foreign;
use crate::reconcile::{Keep, Memory, Removed, Windows, Work};
use crate::time::after;

/// How long a Secret that lacks a key may be on its way, and how long one may fail to be read before that is told.
pub(crate) const SECRET_GRACE_SECS: i64 = 60;

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// There is no such object any more; nothing is to be written.
    Gone,
    /// Our finalizer is off.
    Released {
        /// What became of the registry.
        removed: Removed,
        /// Registries with a copy of our tag, which stay.
        clones: Vec<RegistryId>,
    },
    /// The object is another than the one decided upon: reconcile again at once.
    Stale,
    /// The API server does not answer.
    KubernetesUnavailable,
    /// The API server refuses our read or write.
    KubernetesRefuses,
    /// The reconcile panicked.
    Panicked,
    /// `spec.suspend`.
    Suspended,
    /// The spec breaks rules.
    InvalidSpec(Vec<Invalid>),
    /// The account cannot be used.
    NoAccount(AccountProblem),
    /// No grant covers the object.
    NotGranted(Denied),
    /// The account leads elsewhere than where the registry was created.
    BindingChanged(Binding),
    /// There is no usable credential.
    NoCredential {
        /// Which Secret.
        secret: SecretRef,
        /// What is wrong.
        problem: SecretProblem,
    },
    /// SWR is equal to the spec.
    InSync {
        /// And says this of the target.
        health: Health,
    },
    /// Written, but SWR does not show it yet.
    NotVisible {
        /// From when on it would be wrong.
        until: Timestamp,
    },
    /// An earlier create may still land.
    Settling {
        /// From when on it will not.
        until: Timestamp,
    },
    /// Mode `Observe`: these fields differ.
    DriftObserved(Changes),
    /// Mode `Observe`: there is no registry.
    MissingObserved,
    /// The installation only reads; this would be written.
    ReadOnly(Held),
    /// A registry that is not ours is in the way.
    Conflict(Foreign),
    /// Several registries carry our tag, and nothing tells which of them is meant.
    DuplicateTag(Vec<RegistryId>),
    /// The registry of an earlier object is taken once nobody has touched it for the settle time.
    Rebuilding {
        /// From when on it may be taken.
        until: Timestamp,
    },
    /// Our registry lost our tag.
    OwnershipLost,
    /// SWR did not keep the tag of a registry we created.
    TagNotKept,
    /// SWR accepted an update twice without showing it.
    NotApplied(Changes),
    /// Something else keeps changing these fields back.
    Fighting(Changes),
    /// A request to SWR failed.
    Swr {
        /// Which one.
        operation: Operation,
        /// How.
        failure: Failure,
    },
    /// A deletion waits because the object is suspended.
    DeletionSuspended,
    /// A deletion waits because the installation only reads.
    DeletionReadOnly,
    /// A deletion waits because the object is protected.
    DeletionProtected,
    /// A deletion waits until it is known whether it is one of many.
    DeletionAwaited,
    /// A deletion waits because too many objects of the instance are being deleted.
    DeletionPaused,
    /// A deletion waits until it is certain that nothing of ours is left.
    DeletionSettling {
        /// From when on it is.
        until: Timestamp,
    },
    /// A deletion cannot go on.
    CannotDelete(Blocker),
    /// The registry is to stay, and its tag does not come off yet.
    CannotUntag {
        /// Why.
        blocker: Blocker,
        /// When the object goes all the same.
        until: Timestamp,
    },
}

impl Verdict {
    /// Whether the reconcile learnt anything about the object; if not, its status says what it said.
    pub fn is_of_object(&self) -> bool {
        !matches!(
            self,
            Verdict::Gone
                | Verdict::Released { .. }
                | Verdict::Stale
                | Verdict::KubernetesUnavailable
                | Verdict::DeletionAwaited
        ) && !self.is_of_unread_secret()
    }

    fn is_of_unread_secret(&self) -> bool {
        matches!(
            self,
            Verdict::NoCredential {
                problem: SecretProblem::Unavailable,
                ..
            }
        )
    }

    /// Whether the reconcile stopped at something that passes, so that what a person asked for by
    /// annotation is still to be done.
    pub fn is_tried_again(&self) -> bool {
        matches!(
            self,
            Verdict::Swr { .. }
                | Verdict::NoAccount(_)
                | Verdict::NoCredential { .. }
                | Verdict::KubernetesRefuses
        )
    }

    /// Whether SWR holds something else than the reconcile acted upon: what is to be written is gone, or
    /// another registry is in its way.
    fn is_of_something_else(&self) -> bool {
        if let Verdict::Swr { failure, .. } = self {
            matches!(failure.class, Class::NotFound | Class::Conflict)
        } else {
            false
        }
    }

    /// Whether the Secret is there and lacks a key.
    pub fn is_of_incomplete_secret(&self) -> bool {
        if let Verdict::NoCredential {
            problem: SecretProblem::Rejected(rejected),
            ..
        } = self
        {
            rejected.is_incomplete()
        } else {
            false
        }
    }

    /// The fields that differ and are not going to be written.
    pub fn unwritten(&self) -> Option<&Changes> {
        if let Verdict::DriftObserved(changes) | Verdict::ReadOnly(Held::Update(changes)) = self {
            Some(changes)
        } else {
            None
        }
    }
}

/// A write that an installation which only reads does not make.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// The registry would be created.
    Create,
    /// A registry that is there would be taken over.
    Adopt,
    /// These fields would be written.
    Update(Changes),
}

/// What blocks a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Blocker {
    /// The account cannot be used.
    Account(AccountProblem),
    /// A request to SWR failed.
    Swr {
        /// What was attempted.
        operation: Operation,
        /// Why it did not work.
        failure: Failure,
    },
    /// The registry does not carry the tag that we gave it.
    TagNotKept,
    /// Several registries carry our tag, and nothing tells which of them is ours.
    DuplicateTag(Vec<RegistryId>),
    /// The API server does not answer.
    Kubernetes,
}

/// The operations of the registries API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// POST.
    Create,
    /// GET of all.
    List,
    /// GET of one.
    Show,
    /// PUT.
    Update,
    /// DELETE.
    Delete,
}

impl Operation {
    /// The action that an IAM policy must allow.
    pub fn iam_action(self) -> &'static str {
        match self {
            Operation::Create => "swr:instance:createRegistry",
            Operation::List => "swr:instance:listRegistries",
            Operation::Show => "swr:instance:getRegistry",
            Operation::Update => "swr:instance:updateRegistry",
            Operation::Delete => "swr:instance:deleteRegistry",
        }
    }

    /// What was attempted, for a sentence.
    pub fn verb(self) -> &'static str {
        match self {
            Operation::Create => "create the registry",
            Operation::List => "list the instance's registries",
            Operation::Show => "read the registry",
            Operation::Update => "update the registry",
            Operation::Delete => "delete the registry",
        }
    }
}

/// What becomes of something that the status remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note<T> {
    /// It stays as it is.
    Keep,
    /// It becomes this.
    Set(T),
    /// It is forgotten.
    Clear,
}

/// The result of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Summary {
    /// The object at its newest known version; `None` if there is nothing to write to.
    pub object: Option<Object>,
    /// How the reconcile ended.
    pub verdict: Verdict,
    /// The id of our registry.
    pub id: Note<RegistryId>,
    /// When the registry was created.
    pub created_at: Option<Timestamp>,
    /// Whether it is certain that no create is open any more.
    pub clears_intent: bool,
    /// The remote identity of our registry.
    pub binding: Option<Binding>,
    /// The credential that was sent: name of its Secret, fingerprint, time.
    pub sent: Option<(Arc<str>, Fingerprint, Timestamp)>,
    /// What is known of our registry beyond what SWR shows.
    pub applied: Option<Applied>,
    /// Which registries carry our tag, if that was observed.
    pub carriers: Option<Vec<RegistryId>>,
    /// What SWR shows of our registry.
    pub observed: Option<Record>,
    /// What the next poll compares with.
    pub baseline: Option<Baseline>,
    /// What the next reconcile of this process starts from.
    pub memory: Memory,
}

/// What a decision was made from, so that a poll can tell whether it still holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Baseline {
    /// Which records of an inventory concern the object.
    pub concern: Concern,
    /// What an observation showed of them.
    pub digest: Digest,
    /// Name of the credential's Secret, and keys.
    pub secret: SecretRef,
    /// Fingerprint of the credential.
    pub credential: Fingerprint,
    /// How our last write left our registry, if that is known.
    pub left: Option<Left>,
}

/// What a later `updated_at` is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// The registry.
    pub id: RegistryId,
    /// Its `updated_at`.
    pub updated_at: String,
    /// Its health at the last observation.
    pub health: Health,
}

impl Summary {
    /// A reconcile that ended before the credential was known.
    pub fn new(work: &Work, verdict: Verdict) -> Self {
        let mut memory = work.reconcile.memory.clone();
        // A reconcile that read the object itself after the settle time saw whatever was going to land.
        let settle_secs = work.reconcile.windows.settle_secs;
        memory.unanswered_at = memory
            .unanswered_at
            .filter(|at| work.proven_at.is_none() || work.read_at < after(*at, settle_secs));
        memory.looks_at_all = verdict.is_of_something_else();
        let unverified = verdict.is_of_unread_secret()
            || matches!(verdict, Verdict::Swr { .. } | Verdict::NoAccount(_));
        memory.unverified_since =
            unverified.then(|| memory.unverified_since.unwrap_or(work.read_at));
        let incomplete = verdict.is_of_incomplete_secret();
        memory.secret_incomplete_since =
            incomplete.then(|| memory.secret_incomplete_since.unwrap_or(work.read_at));
        Summary {
            object: Some(work.object.clone()),
            ..Summary::unread(memory, verdict)
        }
    }

    /// A reconcile that got as far as the credential.
    pub(crate) fn of(keep: &Keep, verdict: Verdict) -> Self {
        let mut summary = Summary::new(&keep.work, verdict);
        if keep.known_is_gone {
            summary.id = Note::Clear;
        }
        summary.carriers.clone_from(&keep.carriers);
        summary.baseline = keep.digest.map(|digest| Baseline {
            concern: keep.concern(None),
            digest,
            secret: keep.desired.secret.clone(),
            credential: keep.sealed.whole.clone(),
            left: None,
        });
        summary
    }

    /// There is nothing to write to.
    pub fn gone(memory: Memory) -> Self {
        Summary::unread(memory, Verdict::Gone)
    }

    /// The object could not be read.
    pub fn unread(memory: Memory, verdict: Verdict) -> Self {
        Summary {
            object: None,
            verdict,
            id: Note::Keep,
            created_at: None,
            clears_intent: false,
            binding: None,
            sent: None,
            applied: None,
            carriers: None,
            observed: None,
            baseline: None,
            memory,
        }
    }

    /// Our finalizer is off.
    pub(crate) fn released(work: &Work, removed: Removed, clones: Vec<RegistryId>) -> Self {
        let verdict = Verdict::Released { removed, clones };
        Summary::unread(work.reconcile.memory.clone(), verdict)
    }

    /// This registry is ours: note its id, and that no create is open.
    pub(crate) fn holds(self, keep: &Keep, owned: &Owned) -> Self {
        self.owns(keep, owned.id()).shows(owned)
    }

    /// The registry with this id is ours, whatever SWR shows of it.
    pub(crate) fn owns(mut self, keep: &Keep, id: RegistryId) -> Self {
        let status = &keep.work.object.status;
        self.clear_intent();
        if status.created_at.is_none() {
            // Found by its tag: it was there at the latest when it was found.
            self.created_at = Some(keep.work.read_at);
        }
        self.binding = Some(keep.binding());
        self.note_id(id, keep.work.read_at);
        self
    }

    /// What SWR shows of our registry.
    pub(crate) fn shows(mut self, owned: &Owned) -> Self {
        self.observed = Some(owned.record().clone());
        self
    }

    /// SWR created (or gave us) this registry at this time.
    pub(crate) fn created(mut self, keep: &Keep, id: RegistryId, at: Timestamp) -> Self {
        self.clear_intent();
        self.created_at = Some(at);
        self.binding = Some(keep.binding());
        self.memory.untouched = None;
        self.memory.id = None;
        self.note_id(id, at);
        self.sent(keep, at)
    }

    fn note_id(&mut self, id: RegistryId, since: Timestamp) {
        self.id = Note::Set(id);
        let known = self.memory.id.filter(|(known, _)| *known == id);
        self.memory.id = Some(known.unwrap_or((id, since)));
        if let Some(baseline) = &mut self.baseline
            && !baseline.concern.ids.contains(&id)
        {
            baseline.concern.ids.push(id);
        }
    }

    /// What is known of our registry beyond what SWR shows.
    pub(crate) fn applied(mut self, applied: Applied) -> Self {
        self.applied = Some(applied);
        self
    }

    /// The whole registry was sent at this time, its credential included.
    pub(crate) fn sent(mut self, keep: &Keep, at: Timestamp) -> Self {
        let Desired { secret, .. } = &keep.desired;
        self.sent = Some((secret.name.clone(), keep.sealed.whole.clone(), at));
        self
    }

    /// What the next poll compares with, `updated_at` included.
    pub fn to_baseline(&self) -> Option<Baseline> {
        let mut baseline = self.baseline.clone()?;
        let status = self.object.as_ref().map(|object| &object.status);
        let before = status.and_then(|status| status.applied.as_ref());
        let applied = self.applied.as_ref().or(before);
        let left = applied.and_then(|applied| applied.updated_at.clone());
        baseline.left = self
            .observed
            .as_ref()
            .zip(left)
            .map(|(record, updated_at)| Left {
                id: record.id,
                updated_at,
                health: record.health,
            });
        Some(baseline)
    }

    /// Registries beside ours that carry its tag, if that was observed.
    pub fn clones(&self, ours: Option<RegistryId>) -> Option<Vec<RegistryId>> {
        let carriers = self.carriers.as_ref()?;
        let others = carriers.iter().copied().filter(|id| Some(*id) != ours);
        Some(others.collect())
    }

    /// When a Secret that lacks a key is not expected to be filled any more: some are filled in two
    /// steps.
    pub fn secret_grace_ends_at(&self) -> Option<Timestamp> {
        let since = self.memory.secret_incomplete_since?;
        let incomplete = self.verdict.is_of_incomplete_secret();
        incomplete.then(|| after(since, SECRET_GRACE_SECS))
    }

    /// When the grace of the last write ends: until then SWR's own check of the target may not
    /// have run since. A time in the status that lies ahead is another clock's, and counts as now.
    pub fn grace_ends_at(
        &self,
        object: &Object,
        windows: &Windows,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let now_sent = self.sent.as_ref().map(|(_, _, at)| *at);
        let before = object.status.credential.as_ref();
        let before = before.map(|sent| sent.sent_at.min(now));
        let written_at = now_sent.max(before)?;
        Some(after(written_at, windows.grace_secs))
    }

    /// The create was certainly not carried out.
    pub(crate) fn without_intent(mut self) -> Self {
        self.clear_intent();
        self
    }

    /// The next intent is another one, even if it should look the same.
    fn clear_intent(&mut self) {
        self.clears_intent = true;
        self.memory.intent = None;
    }
}
