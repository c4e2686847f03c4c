//! What an effect asks of the world of the model, and what that may answer.

use swr_operator_core::answer::KubeFailure;
use swr_operator_core::failure::{Cause, Class};

use crate::world::{CloudWrite, Index, KubeWrite, Mark, REGISTRIES, Shown, Tick};

/// What a read shows of each registry.
pub(crate) type View = [Option<Shown>; REGISTRIES];

/// An answer to an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// To a read of the object, or to a write that gives it back.
    Object(Option<Index>),
    Kube(KubeFailure),
    Account,
    Secret(u8),
    Inventory(View),
    /// The LIST took longer than the patience.
    LateList,
    Registry(Shown),
    /// Whether somebody owns a tag.
    Owned(bool),
    Created(Option<u8>),
    Done,
    Cloud(Class, Cause),
}

/// What an effect asks of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Object,
    /// The object again, before a write.
    Confirm,
    Account,
    Secret,
    List {
        hurried: bool,
        removing: bool,
    },
    Show {
        id: u8,
        before_delete: bool,
    },
    /// Whether an object with this tag exists.
    Owner(Mark),
    /// Room for a write.
    Room,
    Kube(KubeWrite, KubeKind),
    Cloud {
        write: CloudWrite,
        not_after: Tick,
    },
}

/// Which write to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KubeKind {
    AddFinalizer,
    Intent(Tick),
    Id,
    RemoveFinalizer,
}
