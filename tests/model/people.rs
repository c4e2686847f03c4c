//! Everybody else: the user, the owner of the Secret, the console, strangers.

use swr_operator_api::registry::DeletionPolicy;
use swr_operator_core::object::Object;

use crate::facts::Facts as _;
use crate::moves::{Label, Step, World, push};
use crate::swr::{add_copy, add_foreign};
use crate::world::{At, Budget, Index, Mark, REGISTRIES, Registry, Shown, State};

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
        if left.orphans > 0
            && is_deleting
            && let Some(step) = out.last_mut()
        {
            step.next.let_go |= 1 << self.core.object(object).uid_number();
        }
        if is_deleting {
            guards(state, out);
        }
        self.restores(state, object, out);
    }

    /// The object comes back from a backup, while the processes of before are still at work.
    fn restores(&mut self, state: &State, object: Index, out: &mut Vec<Step>) {
        if state.left.restores == 0 {
            return;
        }
        for (keeps_status, keeps_finalizer, what) in [
            (true, true, "a restore replaces the object"),
            (true, false, "a restore replaces the object, finalizer lost"),
            (false, true, "a restore replaces the object, status lost"),
            (
                false,
                false,
                "a restore replaces the object, status and finalizer lost",
            ),
        ] {
            let mut next = *state;
            next.left.restores -= 1;
            next.taken_away |= 1 << self.core.object(object).uid_number();
            next.uids += 1;
            let (uid, version) = (next.uids, self.free_version(&next));
            let keeps = (keeps_status, keeps_finalizer);
            next.object = Some(self.core.restored(object, (uid, version), keeps));
            next.previous = None;
            push(out, Label::Other(what), next, None);
        }
    }

    /// What the console does with our registry and its tag.
    fn copies(&self, state: &State, at: usize, out: &mut Vec<Step>) {
        let has_room = state.registries.iter().any(Option::is_none);
        if state.left.clones > 0 && has_room {
            let mut next = *state;
            next.left.clones -= 1;
            if let Some(shown) = state.registries[at].and_then(|registry| registry.truth) {
                add_copy(&mut next, shown);
            }
            let what = "the console copies the registry, tag included";
            push(out, Label::Other(what), next, None);
        }
        // Within the moment of a write of ours, no witness tells one edit from the other.
        let is_quiet = state.flights[0].is_none()
            && state.controllers.iter().all(|c| matches!(c.at, At::Idle));
        if state.left.unseen > 0 && is_quiet {
            let mut next = *state;
            next.left.unseen -= 1;
            self.mutate(&mut next, at, |r| edit(r, |shown| shown.hidden = CONSOLE));
            push(
                out,
                Label::Other("the console edits the hosts, which no answer shows"),
                next,
                None,
            );
        }
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
            if ours {
                self.copies(state, at, out);
            }
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

/// What the mass-deletion guard learns, and tells the reconciles that begin later.
fn guards(state: &State, out: &mut Vec<Step>) {
    let mut next = *state;
    next.paused = !state.paused;
    if state.paused {
        // The guard wakes what it held.
        for controller in &mut next.controllers {
            controller.looked = None;
        }
        let what = "an administrator lets deletions through";
        push(out, Label::Other(what), next, None);
    } else if state.left.pauses > 0 {
        next.left.pauses -= 1;
        push(out, Label::Other("too many are deleted"), next, None);
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

/// An edit in the console, which moves `updated_at` as any write does.
pub(crate) fn edit(registry: &mut Registry, change: impl FnOnce(&mut Shown)) {
    if let Some(shown) = &mut registry.truth {
        change(shown);
        if shown.updated > 0 {
            shown.updated += 1;
        }
    }
}
