//! object x what the world holds -> the first request that would change something in SWR. It runs the reconcile
//! itself, with answers from what is at hand, so a preview cannot differ from what the operator does. Sends
//! nothing: what the reconcile writes to the object on the way is done to a copy.

use std::sync::Arc;

use jiff::Timestamp;

use super::step;
use super::step::sent_facts;
use crate::api::FINALIZER;
use crate::api::registry::ReplicationRegistryStatus;
use crate::desired::RegistryId;
use crate::diff::diff;
use crate::effect::{AccountAnswer, Effect, Next, RegistryWrite, SecretAnswer, ShowAnswer};
use crate::failure::{Cause, Class, Failure};
use crate::object::Object;
use crate::observed::{Adoptable, Inventory, Owned};
use crate::reconcile::{Clearance, Memory, Reconcile, Watched, Windows, Witness, Work};
use crate::summary::{Summary, Verdict};
use crate::tag::Owner;

/// An answer that may not be at hand yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// It was not asked.
    NotYet,
    /// It was asked, and this came of it.
    Answered(T),
}

/// What a preview is made from.
#[derive(Clone, Debug)]
pub struct World<'a> {
    /// The object; one that does not exist yet has a uid of its own choice.
    pub object: &'a Object,
    /// Whose registries are its own.
    pub owner: &'a Owner,
    /// The windows of time.
    pub windows: Windows,
    /// The account that it names.
    pub account: AccountAnswer,
    /// Its credential.
    pub secret: Known<SecretAnswer>,
    /// The registries of its instance, listed after the object was read.
    pub inventory: Known<Result<Arc<Inventory>, Failure>>,
    /// Tags that objects of the cluster own.
    pub tags: &'a [String],
    /// The time.
    pub now: Timestamp,
}

/// What a reconcile of the object comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// It asks for the Secret, which is not at hand.
    NeedsSecret,
    /// It asks for the registries of the instance, which are not at hand.
    NeedsInventory,
    /// It writes this to SWR.
    Writes(Box<Write>),
    /// It ends without a write to SWR.
    Ends(Box<Summary>),
}

/// The first write to SWR, and when it is made: after a wait that the protocol asks for, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What is written.
    pub what: What,
    /// Seconds until then.
    pub in_secs: i64,
}

/// A write to SWR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// POST.
    Create(RegistryWrite),
    /// PUT on our own registry.
    Update(Owned, RegistryWrite),
    /// PUT on a registry that is taken over. `changes` are all that it changes beside the tag.
    Adopt(Adoptable, RegistryWrite),
    /// PUT that takes the tag off a registry that stays.
    Untag(Owned, RegistryWrite),
    /// DELETE.
    Delete(Owned),
}

/// A wait leads to another at most twice: an id that is not there any more, then an intent.
const WAITS_MAX: usize = 3;

/// Follows a reconcile to its first write to SWR, or to its end.
pub fn preview(world: &World<'_>) -> Preview {
    let mut memory = Memory::default();
    let mut now = world.now;
    for _ in 0..WAITS_MAX {
        let summary = match run(world, memory, now) {
            Ok(summary) => summary,
            Err(preview) => return preview,
        };
        let (Verdict::NotVisible { until }
        | Verdict::Settling { until }
        | Verdict::Rebuilding { until }
        | Verdict::DeletionSettling { until }) = summary.verdict
        else {
            return Preview::Ends(Box::new(summary));
        };
        memory = summary.memory;
        now = until;
    }
    Preview::Ends(Box::new(Summary::unread(memory, Verdict::Stale)))
}

/// One reconcile, which begins at this time: its end, or what it stops for.
fn run(world: &World<'_>, memory: Memory, now: Timestamp) -> Result<Summary, Preview> {
    let object = world.object;
    let reconcile = Reconcile {
        key: object.key.clone(),
        uid: object.uid.clone(),
        owner: world.owner.clone(),
        windows: world.windows,
        read_only: false,
        witness: Witness::default(),
        clearance: Clearance::Given { until: None },
        memory,
    };
    let watched = Watched {
        object: object.clone(),
        at: now,
    };
    let mut next = step::start(reconcile, Some(watched));
    loop {
        match next {
            Next::Finished(summary) => return Ok(*summary),
            Next::Do(effect) => next = answer(world, *effect, now)?,
        }
    }
}

/// What the world says to an effect; a write to SWR ends the preview.
fn answer(world: &World<'_>, effect: Effect, now: Timestamp) -> Result<Next, Preview> {
    let writes = |what| {
        let in_secs = now.as_second().saturating_sub(world.now.as_second());
        Err(Preview::Writes(Box::new(Write { what, in_secs })))
    };
    match effect {
        Effect::ReadObject { then } => Ok(then.resume(Ok(Some(world.object.clone())), now)),
        Effect::ConfirmObject { then } => {
            let object = then.work().object.clone();
            Ok(then.resume(Ok(Some(object)), now))
        }
        Effect::ReadAccount { then } => Ok(then.resume(world.account.clone(), now)),
        Effect::ReadSecret { then, .. } => match &world.secret {
            Known::NotYet => Err(Preview::NeedsSecret),
            Known::Answered(secret) => Ok(then.resume(secret.clone(), now)),
        },
        Effect::List { then, .. } => match &world.inventory {
            Known::NotYet => Err(Preview::NeedsInventory),
            Known::Answered(inventory) => Ok(then.resume(inventory.clone().map(Some), now)),
        },
        Effect::Show { id, then } => match &world.inventory {
            Known::NotYet => Err(Preview::NeedsInventory),
            Known::Answered(inventory) => Ok(then.resume(show(inventory, id), now)),
        },
        Effect::FindOwner { tag, then } => Ok(then.resume(world.tags.contains(&tag), now)),
        Effect::AddFinalizer { then } => {
            let mut object = then.work().object.clone();
            object.finalizers.push(FINALIZER.to_owned());
            Ok(then.resume(Ok(object), now))
        }
        Effect::Reserve { then } => Ok(then.resume(Ok(()), now)),
        Effect::RecordIntent { status, then } => {
            let object = with_status(then.work(), *status);
            Ok(then.resume(Ok(object), now))
        }
        Effect::RecordId { status, then } => {
            let object = with_status(then.work(), *status);
            Ok(then.resume(Ok(object), now))
        }
        Effect::RemoveFinalizer { then } => Ok(then.resume(Ok(()), now)),
        Effect::Create { write, .. } => writes(What::Create(write)),
        Effect::Update { target, write, .. } => writes(What::Update(target, write)),
        Effect::Adopt {
            target,
            write,
            then,
            ..
        } => {
            let facts = sent_facts(&then.keep);
            let registry = &then.keep.desired.registry;
            let changes = diff(registry, &facts, target.record(), now);
            let write = RegistryWrite {
                changes: changes.unwrap_or_default(),
                ..write
            };
            writes(What::Adopt(target, write))
        }
        Effect::Untag { target, write, .. } => writes(What::Untag(target, write)),
        Effect::Delete { target, .. } => writes(What::Delete(target)),
    }
}

fn with_status(work: &Work, status: ReplicationRegistryStatus) -> Object {
    Object {
        status,
        ..work.object.clone()
    }
}

/// What the list shows of a registry stands for the registry itself: it is a moment old.
fn show(inventory: &Result<Arc<Inventory>, Failure>, id: RegistryId) -> ShowAnswer {
    let inventory = inventory.as_ref().map_err(Clone::clone)?;
    let missing = || Failure::new(Class::NotFound, Cause::RegistryNotFound);
    inventory.get(id).cloned().ok_or_else(missing)
}
