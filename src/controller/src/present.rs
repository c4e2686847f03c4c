//! The objects that exist, by what their uids become in a tag: 16 bytes each, for the rare
//! question whether anybody still owns one.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use swr_operator_core::tag;

/// The objects that the watch shows.
#[derive(Debug, Default)]
pub(super) struct Present(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    uids: HashSet<[u8; 16]>,
    /// Whether a list was complete once: before that, anybody may exist.
    is_listed: bool,
}

impl Present {
    /// The watch shows an object.
    pub(super) fn seen(&self, uid: &str) {
        self.change(|state| state.uids.insert(tag::uid_bytes(uid)));
    }

    /// The watch shows that an object is gone.
    pub(super) fn gone(&self, uid: &str) {
        self.change(|state| state.uids.remove(&tag::uid_bytes(uid)));
    }

    /// A list is complete: these and no others are there.
    pub(super) fn listed<'a>(&self, uids: impl Iterator<Item = &'a str>) {
        let uids = uids.map(tag::uid_bytes).collect();
        self.change(|state| {
            *state = State {
                uids,
                is_listed: true,
            };
        });
    }

    /// Whether any object may own this tag.
    pub(super) fn owns(&self, tag: &str) -> bool {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let uid = tag::uid_of(tag);
        !state.is_listed || uid.is_none_or(|uid| state.uids.contains(&uid))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swr_operator_core::tag::{Installation, Owner};

    #[test]
    fn a_tag_is_owned_while_its_object_may_exist() {
        let uid = "00000000-1111-2222-3333-444455556666";
        let owner = Owner::new(&Installation::from_configured("i"), uid, "n", "m");
        let present = Present::default();
        let mut owned = vec![present.owns(owner.tag())];
        present.listed([uid].into_iter());
        owned.push(present.owns(owner.tag()));
        present.gone(uid);
        owned.push(present.owns(owner.tag()));
        present.seen(uid);
        owned.push(present.owns(owner.tag()));
        present.listed(std::iter::empty());
        owned.push(present.owns(owner.tag()));
        owned.push(present.owns("no tag"));
        assert_eq!(owned, [true, true, false, true, false, true]);
    }
}
