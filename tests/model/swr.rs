//! SWR in the model: what reads may show, and what writes do. Judges S3, S4, S5 and S7.

use swr_operator_core::failure::{Cause, Class};
use swr_operator_core::reconcile::Clearance;

use crate::ask::{Answer, View};
use crate::facts::Facts as _;
use crate::moves::{How, Label, Lie, Step, World, Wrong, flight, push};
use crate::world::{
    At, CloudWrite, Controller, Index, Mark, REGISTRIES, Registry, Sent, Shown, State, Tick,
};

/// The url of a foreign registry.
const FOREIGN: u8 = 8;

impl World {
    /// What reads may show, the truth first; and lies.
    pub(crate) fn views(&self, state: &State, uid: u8) -> Vec<View> {
        let mut views = vec![[None; REGISTRIES]];
        for (n, registry) in state.registries.iter().enumerate() {
            let Some(registry) = registry else { continue };
            let older = registry.lagging.iter().flatten().map(|(shown, _)| *shown);
            let older = older.filter(|shown| state.left.lags > 0 && *shown != registry.truth);
            let mut all = Vec::new();
            for shown in std::iter::once(registry.truth).chain(older) {
                all.extend(views.iter().map(|view| {
                    let mut view = *view;
                    view[n] = shown;
                    view
                }));
            }
            views = all;
        }
        for view in &mut views {
            if self.config.lie == Lie::TagsEverything {
                for shown in view.iter_mut().flatten() {
                    shown.mark = Mark::Uid(uid);
                }
            }
            // Lists say nothing of gaps.
            let mut dense = [None; REGISTRIES];
            for (slot, shown) in dense.iter_mut().zip(view.iter().flatten()) {
                *slot = Some(*shown);
            }
            *view = dense;
        }
        views
    }

    /// What a poll sees.
    pub(crate) fn truth(&self, state: &State, uid: u8) -> View {
        self.views(state, uid)[0]
    }

    pub(crate) fn list(
        &mut self,
        state: &State,
        k: usize,
        effect: Index,
        hurried: bool,
        removing: bool,
        out: &mut Vec<Step>,
    ) {
        let uid = state.controllers[k].uid;
        for (n, mut view) in self.views(state, uid).into_iter().enumerate() {
            if removing && self.config.lie == Lie::ListsNothingWhileRemoving {
                view = [None; REGISTRIES];
            }
            self.read(out, state, k, effect, Answer::Inventory(view), n > 0);
        }
        let failure = Answer::Cloud(Class::Transient, Cause::ServerError);
        self.fault(out, state, k, effect, failure, How::Refused);
        if hurried {
            let how = How::OutOfPatience;
            self.fault(out, state, k, effect, Answer::LateList, how);
        }
    }

    /// Answers a read of SWR.
    pub(crate) fn read(
        &mut self,
        out: &mut Vec<Step>,
        state: &State,
        k: usize,
        effect: Index,
        answer: Answer,
        lags: bool,
    ) {
        let mut next = *state;
        if lags {
            next.left.lags -= 1;
            next.controllers[k].excused = true;
        }
        let how = if lags { How::Lagging } else { How::Well };
        self.answer(out, next, k, effect, answer, how);
    }

    pub(crate) fn show(
        &mut self,
        state: &State,
        k: usize,
        effect: Index,
        id: u8,
        out: &mut Vec<Step>,
    ) {
        let uid = state.controllers[k].uid;
        let mut given = Vec::new();
        for view in self.views(state, uid) {
            let answer = match view.iter().flatten().find(|shown| shown.id == id) {
                Some(shown) => Answer::Registry(*shown),
                None => Answer::Cloud(Class::NotFound, Cause::RegistryNotFound),
            };
            if !given.contains(&answer) {
                self.read(out, state, k, effect, answer, !given.is_empty());
                given.push(answer);
            }
        }
        let failure = Answer::Cloud(Class::Transient, Cause::ServerError);
        self.fault(out, state, k, effect, failure, How::Refused);
    }

    pub(crate) fn cloud(
        &mut self,
        state: &State,
        k: usize,
        effect: Index,
        write: CloudWrite,
        not_after: Tick,
        out: &mut Vec<Step>,
    ) {
        let controller = &state.controllers[k];
        let write = with_credential(write, controller.credential);
        let label = |how, answer| Label::Effect(k, effect, how, answer);
        let late = controller.clock(state.now) > not_after && self.config.lie != Lie::SendsTooLate;
        if late || self.is_fenced(state, k, Lie::ForgetsFence) {
            let answer = Answer::Cloud(Class::Transient, Cause::TooLate);
            self.answer(out, *state, k, effect, answer, How::TooLate);
            return;
        }
        let unsent = self.wrong_to_send(state, controller, write);
        let unsent = unsent.or(self.two_writers(state, k));

        let mut next = *state;
        let (answer, wrong) = self.apply_cloud(&mut next, write, controller.excused, state.now);
        self.resume(&mut next, k, effect, answer);
        push(out, label(How::Well, Some(answer)), next, unsent.or(wrong));

        let refused = Answer::Cloud(Class::Transient, Cause::ServerError);
        self.fault(out, state, k, effect, refused, How::Refused);
        let unknown = Answer::Cloud(Class::Unknown, Cause::TimedOut);
        let unknown = if self.config.lie == Lie::DeniesUnknown {
            refused
        } else {
            unknown
        };
        self.fault(out, state, k, effect, unknown, How::Lost);
        if state.left.faults == 0 {
            return;
        }
        let mut faulty = *state;
        faulty.left.faults -= 1;

        let mut next = faulty;
        let (answer, wrong) = self.apply_cloud(&mut next, write, controller.excused, state.now);
        let wrong = unsent.or(wrong);
        let applied = next;
        self.resume(&mut next, k, effect, unknown);
        push(out, label(How::AnswerLost, None), next, wrong);
        if let Answer::Created(Some(_)) = answer {
            let mut next = applied;
            let answer = Answer::Created(None);
            self.resume(&mut next, k, effect, answer);
            push(out, label(How::WithoutId, Some(answer)), next, wrong);
        }
        let mut next = faulty;
        if next.fly(flight(state, k, Sent::Cloud(write), false)) {
            self.resume(&mut next, k, effect, unknown);
            push(out, label(How::Late, None), next, unsent);
        }
        let mut next = faulty;
        if self.config.slow && next.fly(flight(state, k, Sent::Cloud(write), true)) {
            next.controllers[k].at = At::Waiting(effect);
            push(out, label(How::Slowly, None), next, unsent);
        }
    }

    /// What must hold when a write to SWR is sent.
    pub(crate) fn wrong_to_send(
        &self,
        state: &State,
        controller: &Controller,
        write: CloudWrite,
    ) -> Wrong {
        if controller.read_only {
            return Some("S10 a process that only reads writes to SWR");
        }
        let object = state.object.map(|object| self.core.object(object));
        let object = object.filter(|object| object.uid_number() == controller.uid);
        if object.is_none() && state.taken_away & 1 << controller.uid != 0 {
            // The object was taken away in the middle of a reconcile.
            return None;
        }
        let held = object.as_ref().is_some_and(|object| object.has_finalizer());
        match write {
            CloudWrite::Post { uid, .. } => {
                let intent = object.as_ref().and_then(|object| object.intent_at());
                if !held {
                    Some("S7 POST without our finalizer on the object")
                } else if intent.is_none() || intent != Some(controller.intent) {
                    Some("POST without a recorded intent")
                } else if state.post_in_flight(uid) {
                    Some("S5 a second POST while one is unresolved")
                } else {
                    None
                }
            }
            CloudWrite::Delete { .. } if controller.clearance == Clearance::Paused => {
                Some("a DELETE although deletions were paused when the reconcile began")
            }
            CloudWrite::Put { .. } | CloudWrite::Delete { .. } => {
                (object.is_some() && !held).then_some("S7 write without our finalizer on")
            }
        }
    }

    /// SWR carries out a write.
    pub(crate) fn apply_cloud(
        &self,
        state: &mut State,
        write: CloudWrite,
        excused: bool,
        sent: Tick,
    ) -> (Answer, Wrong) {
        let gone = Answer::Cloud(Class::NotFound, Cause::RegistryNotFound);
        let object = state.object.map(|object| self.core.object(object));
        let present = object.map_or(0, |object| object.uid_number());
        match write {
            CloudWrite::Post {
                uid,
                url,
                credential,
            } => {
                if self.config.unique_names && state.live().next().is_some() {
                    return (Answer::Cloud(Class::Conflict, Cause::AlreadyExists), None);
                }
                let until = sent + self.config.setting.write;
                let shown = |id| Shown {
                    id,
                    mark: Mark::Uid(uid),
                    url,
                    credential,
                    renamed: false,
                    hidden: 0,
                    updated: self.updated(0),
                };
                let id = add(state, uid, until, shown);
                let made = |r: &Registry| r.made_for == uid && !r.stripped;
                let several = state.live().filter(|(r, _)| made(r)).count() > 1;
                let wrong = several.then_some("S4 two registries created for one object");
                (Answer::Created(Some(id)), wrong)
            }
            CloudWrite::Put {
                id,
                uid,
                mark,
                expects,
                url,
                credential,
            } => {
                let Some(at) = state.slot(id) else {
                    return (gone, None);
                };
                let excused = excused && was_stripped(state, at)
                    || uid == present && was_let_go(state, at, uid);
                let wrong = if wrong_target(state, at, expects, mark, excused) {
                    Some("S3 PUT on a registry that is not ours")
                } else if is_copy(state, at, uid) {
                    Some("S3 PUT on a copy while our own registry exists")
                } else {
                    None
                };
                self.mutate(state, at, |registry| {
                    let updated = registry.truth.map_or(0, |shown| shown.updated);
                    registry.truth = Some(Shown {
                        id,
                        mark,
                        url,
                        credential,
                        renamed: false,
                        hidden: 0,
                        updated: self.updated(updated),
                    });
                });
                (Answer::Done, wrong)
            }
            CloudWrite::Delete { id, uid } => {
                let Some(at) = state.slot(id) else {
                    return (gone, None);
                };
                let ours = Mark::Uid(uid);
                let excused = excused && was_stripped(state, at)
                    || uid == present && was_let_go(state, at, uid);
                let wrong = if wrong_target(state, at, ours, ours, excused) {
                    Some("S3 DELETE of a registry that is not ours")
                } else if state.registries[at].is_some_and(|registry| registry.cloned) {
                    // One whose id the status took, because the original was gone, is none any more.
                    Some("S3 DELETE of a copy")
                } else {
                    None
                };
                self.mutate(state, at, |registry| registry.truth = None);
                (Answer::Done, wrong)
            }
        }
    }

    /// What `updated_at` becomes with a write.
    pub(crate) fn updated(&self, before: u8) -> u8 {
        if self.config.setting.shows_updates {
            before + 1
        } else {
            0
        }
    }

    /// Changes a registry; reads may lag behind for a while.
    pub(crate) fn mutate(&self, state: &mut State, at: usize, change: impl FnOnce(&mut Registry)) {
        let until = state.now + self.config.setting.write;
        if let Some(registry) = &mut state.registries[at] {
            let before = registry.truth;
            change(registry);
            if state.left.lags > 0 && registry.truth != before {
                // Of three older states, the oldest is forgotten.
                registry.lagging = [Some((before, until)), registry.lagging[0]];
            }
            if registry.truth.is_none() && !registry.lags() {
                state.registries[at] = None;
            }
        }
        state.compact();
    }
}

/// Whether a write hits something else than what it is for. What the console did to ownership
/// between the look and the write, no API can make up for.
/// An adoption may find that an earlier PUT of ours has landed meanwhile (`leaves`).
pub(crate) fn wrong_target(
    state: &State,
    at: usize,
    expects: Mark,
    leaves: Mark,
    excused: bool,
) -> bool {
    state.registries[at].is_none_or(|registry| {
        let stands = registry.truth.map(|shown| shown.mark);
        stands != Some(expects) && stands != Some(leaves) && !excused
    })
}

/// Whether the console ever took the tag off.
fn was_stripped(state: &State, at: usize) -> bool {
    state.registries[at].is_some_and(|registry| registry.stripped)
}

/// Whether nobody but the object itself took its tag off, before its finalizer is: until then an
/// earlier write of its own may land.
fn was_let_go(state: &State, at: usize, uid: u8) -> bool {
    state.registries[at].is_some_and(|registry| {
        let untagged = registry
            .truth
            .is_some_and(|shown| shown.mark == Mark::Untagged);
        untagged && registry.made_for == uid && !registry.stripped
    })
}

/// Whether this is a copy of a registry that was made for the object and still exists.
fn is_copy(state: &State, at: usize, uid: u8) -> bool {
    state.registries[at].is_some_and(|registry| registry.cloned) && state.has_original(uid)
}

pub(crate) fn with_credential(write: CloudWrite, credential: u8) -> CloudWrite {
    match write {
        CloudWrite::Post { uid, url, .. } => CloudWrite::Post {
            uid,
            url,
            credential,
        },
        CloudWrite::Put {
            id,
            uid,
            mark,
            expects,
            url,
            ..
        } => CloudWrite::Put {
            id,
            uid,
            mark,
            expects,
            url,
            credential,
        },
        CloudWrite::Delete { id, uid } => CloudWrite::Delete { id, uid },
    }
}

pub(crate) fn add(
    state: &mut State,
    made_for: u8,
    until: Tick,
    shown: impl FnOnce(u8) -> Shown,
) -> u8 {
    state.ids += 1;
    let id = state.ids;
    let lags = state.left.lags > 0 && made_for > 0;
    let slot = state.registries.iter_mut().find(|slot| slot.is_none());
    *slot.expect("room for another registry") = Some(Registry {
        id,
        made_for,
        truth: Some(shown(id)),
        stripped: false,
        cloned: false,
        lagging: [lags.then_some((None, until)), None],
    });
    id
}

pub(crate) fn add_copy(state: &mut State, of: Shown) {
    let id = add(state, 0, 0, |id| Shown {
        id,
        renamed: true,
        ..of
    });
    let at = state.slot(id);
    if let Some(copy) = at.and_then(|at| state.registries[at].as_mut()) {
        copy.cloned = true;
    }
}

pub(crate) fn add_foreign(state: &mut State, mark: Mark) {
    add(state, 0, 0, |id| Shown {
        id,
        mark,
        url: FOREIGN,
        credential: 0,
        renamed: false,
        hidden: 0,
        updated: 0,
    });
}
