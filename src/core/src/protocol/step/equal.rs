//! A registry that is equal to the spec: how a reconcile ends, and what is known of it then.

use crate::api::registry::Applied;
use crate::effect::Next;
use crate::observed::{Owned, Record};
use crate::reconcile::Keep;
use crate::summary::{Summary, Verdict};

/// Nothing is to be written.
pub(super) fn in_sync(keep: &Keep, owned: &Owned) -> Next {
    let mut summary = Summary::of(
        keep,
        Verdict::InSync {
            health: owned.record().health,
        },
    )
    .holds(keep, owned)
    .applied(rested(keep, owned.record()));
    summary.memory.update = None;
    summary.memory.unseen_write = false;
    Next::Finished(Box::new(summary))
}

/// What is known of a registry that was found equal without a write in this reconcile.
fn rested(keep: &Keep, record: &Record) -> Applied {
    let status = &keep.work.object.status;
    let left = status
        .applied
        .as_ref()
        .and_then(|applied| applied.updated_at.clone());
    // The end of our own last write is seen only now; and a change of health that moves
    // `updated_at` along must not pass for somebody's change afterwards.
    let is_ours = keep.work.reconcile.memory.unseen_write;
    let is_explained = left.is_some() && health_changed(keep, record);
    Applied {
        unshown: keep.desired.registry.unshown(),
        updated_at: match is_ours || is_explained {
            true => record.updated_at.clone(),
            false => left,
        },
        generation: Some(keep.work.object.generation),
    }
}

/// Whether SWR says that the registry was written since our own last write, and nothing else
/// explains it: `updated_at` is the only sign of a change in what SWR does not show.
pub(super) fn is_moved(keep: &Keep, record: &Record) -> bool {
    let left = keep.work.object.status.applied.as_ref();
    let left = left.and_then(|applied| applied.updated_at.as_ref());
    let has_moved = left.is_some_and(|left| record.updated_at.as_ref() != Some(left));
    let may_be_ours = keep.work.reconcile.memory.unseen_write;
    has_moved && !may_be_ours && !health_changed(keep, record)
}

/// Whether the health is another than at the last observation.
fn health_changed(keep: &Keep, record: &Record) -> bool {
    let before = keep.work.object.status.observed.as_ref();
    before.is_some_and(|before| before.status.as_deref() != record.health.word())
}
