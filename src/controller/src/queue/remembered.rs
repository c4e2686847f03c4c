//! What the next reconcile of an object starts from, small while nothing is open.

use jiff::Timestamp;
use swr_operator_core::desired::RegistryId;
use swr_operator_core::reconcile::{Memory, Met};

/// A [`Memory`] of 336 bytes, of which ten thousand objects at rest know just these two facts.
#[derive(Debug)]
pub(super) enum Remembered {
    /// The object was met, and has this registry.
    AtRest {
        met: Option<Met>,
        id: Option<(RegistryId, Timestamp)>,
    },
    /// Something else is to be remembered, too.
    Whole(Box<Memory>),
}

impl Remembered {
    pub(super) fn to_memory(&self) -> Memory {
        match self {
            Remembered::AtRest { met, id } => Memory {
                met: *met,
                id: *id,
                ..Memory::default()
            },
            Remembered::Whole(memory) => Memory::clone(memory),
        }
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Memory::default().into()
    }
}

impl From<Memory> for Remembered {
    fn from(memory: Memory) -> Self {
        let Memory { met, id, .. } = memory;
        let at_rest = Remembered::AtRest { met, id };
        if at_rest.to_memory() == memory {
            at_rest
        } else {
            Remembered::Whole(Box::new(memory))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_forgotten() {
        let now = Timestamp::UNIX_EPOCH;
        let met = Met {
            at: now,
            had_history: true,
        };
        let settled = Memory {
            met: Some(met),
            id: Some((RegistryId(7), now)),
            ..Memory::default()
        };
        let open = Memory {
            unseen_write: true,
            ..settled.clone()
        };
        for (memory, is_small) in [(Memory::default(), true), (settled, true), (open, false)] {
            let remembered = Remembered::from(memory.clone());
            let was_small = matches!(remembered, Remembered::AtRest { .. });
            assert_eq!((remembered.to_memory(), was_small), (memory, is_small));
        }
    }
}
