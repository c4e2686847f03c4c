//! Everybody else: the user, the owner of the Secret, the console, strangers.

use swr_operator::api::registry::DeletionPolicy;
use swr_operator::object::Object;

use crate::facts::Facts as _;
use crate::moves::{Label, Step, World, push};
use crate::swr::add_foreign;
use crate::world::{At, Budget, Mark, REGISTRIES, Registry, Shown, State};

/// The url that the console writes.
const CONSOLE: u8 = 9;

impl World {
    /// The user and the Secret's owner.
    pub(crate) fn people(&mut self, state: &State, out: &mut Vec<Step>) {
        if state.left.rotations > 0 {
            let mut next = *state;
            next.left.rotations -= 1;
            next.secret += 1;
            push(out, Label::Other("the Secret is rotated"), next, None);
        }
        let Some(object) = state.object else {
            if state.left.recreations > 0 {
                let mut next = *state;
                next.left.recreations -= 1;
                next.uids += 1;
                let (uid, version) = (next.uids, self.free_version(&next));
                next.object = Some(self.core.create_object(uid, 1, version));
                next.previous = None;
                push(
                    out,
                    Label::Other("the user creates the object anew"),
                    next,
                    None,
                );
            }
            return;
        };
        let is_deleting = self.core.object(object).deleting;
        let left = state.left;
        let mut change =
            |is_left: bool, what: &'static str, spend: fn(&mut Budget), edit: fn(&mut Object)| {
                if is_left {
                    let mut next = *state;
                    spend(&mut next.left);
                    self.replace(&mut next, |core, version| {
                        core.change(object, version, |object| {
                            object.generation += 1;
                            edit(object);
                        })
                    });
                    push(out, Label::Other(what), next, None);
                }
            };
        change(
            left.edits > 0 && !is_deleting,
            "the user edits the url",
            |left| left.edits -= 1,
            |object| object.set_url(object.url_number() + 1),
        );
        change(
            left.deletions > 0 && !is_deleting,
            "the user deletes the object",
            |left| left.deletions -= 1,
            |object| object.deleting = true,
        );
        change(
            left.suspensions > 0,
            "the user suspends or resumes the object",
            |left| left.suspensions -= 1,
            |object| object.suspended = !object.suspended,
        );
        change(
            left.orphans > 0,
            "the user sets deletionPolicy to Orphan",
            |left| left.orphans -= 1,
            |object| {
                object.deletion_policy = DeletionPolicy::Orphan;
            },
        );
    }

    /// The console, and strangers.
    pub(crate) fn console(&mut self, state: &State, out: &mut Vec<Step>) {
        for at in 0..REGISTRIES {
            let Some(registry) = state.registries[at].filter(|r| r.truth.is_some()) else {
                continue;
            };
            let ours = matches!(
                registry.truth,
                Some(Shown {
                    mark: Mark::Uid(_),
                    ..
                })
            );
            if ours && state.left.console > 0 {
                let mut spent = *state;
                spent.left.console -= 1;
                let mut next = spent;
                self.mutate(&mut next, at, |r| edit(r, |shown| shown.url = CONSOLE));
                push(out, Label::Other("the console edits the url"), next, None);
                let mut next = spent;
                self.mutate(&mut next, at, |r| r.truth = None);
                push(
                    out,
                    Label::Other("the console deletes the registry"),
                    next,
                    None,
                );
                let mut next = spent;
                self.mutate(&mut next, at, |r| {
                    edit(r, |shown| shown.mark = Mark::Untagged);
                    r.stripped = true;
                });
                excuse(&mut next);
                push(
                    out,
                    Label::Other("the console takes the tag off"),
                    next,
                    None,
                );
            }
            if !ours && registry.made_for == 0 && state.left.foreign > 0 {
                let mut next = *state;
                next.left.foreign -= 1;
                self.mutate(&mut next, at, |r| r.truth = None);
                push(
                    out,
                    Label::Other("the foreign registry disappears"),
                    next,
                    None,
                );
            }
        }
        let is_free = !self.config.unique_names || state.live().next().is_none();
        if state.left.foreign > 0 && is_free {
            let mut next = *state;
            next.left.foreign -= 1;
            add_foreign(&mut next, self.config.foreign.unwrap_or(Mark::Untagged));
            push(
                out,
                Label::Other("a foreign registry of our name appears"),
                next,
                None,
            );
        }
    }
}

pub(crate) fn excuse(state: &mut State) {
    for controller in &mut state.controllers {
        if controller.at != At::Idle {
            controller.excused = true;
        }
    }
    for flight in state.flights.iter_mut().flatten() {
        flight.excused = true;
    }
}

pub(crate) fn edit(registry: &mut Registry, change: impl FnOnce(&mut Shown)) {
    if let Some(shown) = &mut registry.truth {
        change(shown);
    }
}
