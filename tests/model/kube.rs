//! The API server in the model: writes bound to a version, lost, answered or late. Judges S7
//! and S9, and that the status says what was true.

use swr_operator_core::answer::KubeFailure;
use swr_operator_core::object::Object;

use crate::ask::{Answer, KubeKind};
use crate::core::Core;
use crate::facts::Facts as _;
use crate::moves::{How, Label, Lie, Step, World, Wrong, flight, push};
use crate::world::{At, Index, KubeWrite, Mark, Registry, Sent, Shown, State};

/// As in production.
const REBASES_MAX: u8 = 3;

impl World {
    pub(crate) fn kube(
        &mut self,
        state: &State,
        k: usize,
        effect: Index,
        write: KubeWrite,
        kind: KubeKind,
        out: &mut Vec<Step>,
    ) {
        if self.is_fenced(state, k, Lie::ForgetsFenceOfObject) {
            let answer = Answer::Kube(KubeFailure::Unavailable);
            self.answer(out, *state, k, effect, answer, How::TooLate);
            return;
        }
        let mut next = *state;
        let (answer, wrong) = self.apply_kube(&mut next, write, Some(kind));
        if let (KubeKind::Intent(at), Answer::Object(_)) = (kind, answer) {
            next.controllers[k].intent = at;
        }
        self.resume(&mut next, k, effect, answer);
        let label = |how, answer| Label::Effect(k, effect, how, answer);
        push(out, label(How::Well, Some(answer)), next, wrong);

        let lost = Answer::Kube(KubeFailure::Unavailable);
        self.fault(out, state, k, effect, lost, How::Lost);
        if state.left.faults > 0 {
            let mut faulty = *state;
            faulty.left.faults -= 1;
            let mut next = faulty;
            let (_, wrong) = self.apply_kube(&mut next, write, Some(kind));
            self.resume(&mut next, k, effect, lost);
            push(out, label(How::AnswerLost, None), next, wrong);
            let mut next = faulty;
            // Assumed: a write of the status that was given up lands before its writer looks
            // again, which is as good as at once, or never.
            let may_be_late = write.finalizers || self.config.lie == Lie::LandsStatusLate;
            if may_be_late && next.fly(flight(state, k, Sent::Kube(write), false)) {
                self.resume(&mut next, k, effect, lost);
                push(out, label(How::Late, None), next, None);
            }
        }
    }

    /// The API server carries out a write, if the object is still at its version.
    pub(crate) fn apply_kube(
        &mut self,
        state: &mut State,
        write: KubeWrite,
        kind: Option<KubeKind>,
    ) -> (Answer, Wrong) {
        let Some(current) = state.object else {
            return (Answer::Kube(KubeFailure::NotFound), None);
        };
        let (object, base) = (self.core.object(current), self.core.object(write.base));
        let new = self.core.object(write.new);
        let accepts_stale = self.config.lie == Lie::AcceptsStaleWrites;
        // A patch of the status names no uid, one of the finalizers does.
        let stale = !accepts_stale && object.version != base.version
            || write.finalizers && object.uid != base.uid;
        if stale {
            return (Answer::Kube(KubeFailure::Conflict), None);
        }
        let releases = write.finalizers && object.has_finalizer() && !new.has_finalizer();
        let uid = object.uid_number();
        let is_ours =
            |r: &Registry, shown: Shown| shown.mark == Mark::Uid(uid) && !r.stripped && !r.cloned;
        let may_leave = state.is_forsaken(uid);
        let is_left = state
            .live()
            .any(|(registry, shown)| is_ours(registry, shown));
        let wrong = if !write.finalizers && backwards(&object, &new) {
            Some("S9 observedGeneration goes backwards or ahead")
        } else if releases && !object.deleting {
            Some("S7 the finalizer is removed from an object that is not deleting")
        } else if releases && !may_leave && is_left {
            Some("S7 the finalizer is removed while a registry with our tag exists")
        } else if releases && !may_leave && state.post_in_flight(uid) {
            Some("S7 the finalizer is removed while a create may still land")
        } else if takes_copy(state, &new) && state.has_original(uid) {
            Some("S4 the status takes a copy while our own registry exists")
        } else {
            None
        };
        let forgets = matches!(
            (self.config.lie, kind),
            (Lie::ForgetsIntent, Some(KubeKind::Intent(_)))
                | (Lie::ForgetsFinalizer, Some(KubeKind::AddFinalizer))
        );
        if forgets {
            let version = self.core.version(current);
            return (
                Answer::Object(Some(self.core.written(write, current, version))),
                wrong,
            );
        }
        let written = self.replace(state, |core, version| core.written(write, current, version));
        if takes_copy(state, &new) {
            let at = new.known().and_then(|id| state.slot(id));
            if let Some(taken) = at.and_then(|at| state.registries[at].as_mut()) {
                taken.cloned = false;
                taken.made_for = uid;
            }
        }
        let answer = match kind {
            Some(KubeKind::RemoveFinalizer) => Answer::Done,
            Some(KubeKind::AddFinalizer | KubeKind::Intent(_) | KubeKind::Id) | None => {
                Answer::Object(Some(written))
            }
        };
        (answer, wrong)
    }

    /// A version that nobody holds: only whether two are equal counts, so one that is forgotten
    /// by all is as good as a new one, and the number of states stays finite.
    pub(crate) fn free_version(&self, state: &State) -> u16 {
        let is_held = |version: u16| {
            let of_controllers = state.controllers.iter().any(|it| {
                let about = match it.at {
                    At::Idle => 0,
                    At::Effect(effect) | At::Waiting(effect) => self.core.version_held(effect),
                    At::Status { base, .. } => self.core.version(base),
                };
                [about, it.upon, it.watched].contains(&version)
            });
            let of_flights = || {
                state.flights.iter().flatten().any(|it| match it.what {
                    Sent::Kube(write) => self.core.version(write.base) == version,
                    Sent::Cloud(_) => false,
                })
            };
            let of_objects = || {
                let all = [state.object, state.previous];
                all.iter()
                    .flatten()
                    .any(|it| self.core.version(*it) == version)
            };
            of_controllers || of_flights() || of_objects()
        };
        (1..100)
            .find(|version| !is_held(*version))
            .expect("few are held")
    }

    /// The object changes, and is gone if nothing holds it any more.
    pub(crate) fn replace(
        &mut self,
        state: &mut State,
        change: impl FnOnce(&mut Core, u16) -> Index,
    ) -> Index {
        let version = self.free_version(state);
        let new = change(&mut self.core, version);
        if self.config.lie == Lie::ShowsOldObject || state.left.stale > 0 {
            state.previous = state.object;
        }
        let object = self.core.object(new);
        state.object = (!object.deleting || !object.finalizers.is_empty()).then_some(new);
        new
    }

    pub(crate) fn statuses(&mut self, state: &State, k: usize, out: &mut Vec<Step>) {
        let At::Status {
            ending,
            base,
            attempt,
        } = state.controllers[k].at
        else {
            return;
        };
        let Some((_, new)) = self.core.ending(ending).write else {
            return;
        };
        let write = KubeWrite {
            base,
            new,
            finalizers: false,
        };
        let controller = &state.controllers[k];
        let untrue = self.core.ending(ending).claims && !controller.held && !controller.excused;
        let untrue = untrue.then_some("status says Synced for what SWR never held since");
        let waits_long = self.core.ending(ending).waits_long;
        let untrue = untrue.or(waits_long.then_some("waits longer than anything takes to settle"));
        let label = |how| Label::Status(k, ending, how);
        if self.is_fenced(state, k, Lie::ForgetsFenceOfObject) {
            let mut next = *state;
            self.close(&mut next, k, ending, Err(controller.clock(state.now) + 1));
            push(out, label(How::TooLate), next, None);
            return;
        }

        let mut next = *state;
        let (answer, wrong) = self.apply_kube(&mut next, write, None);
        if let Answer::Object(_) = answer {
            self.close(&mut next, k, ending, Ok(()));
            push(out, label(How::Well), next, untrue.or(wrong));
        } else {
            // Production reads the object again, and writes onto it if its status is the same.
            let newer = next.object.filter(|newer| {
                self.core.object(*newer).uid == self.core.object(base).uid
                    && self.core.same_status(*newer, base)
            });
            match newer.filter(|_| attempt + 1 < REBASES_MAX) {
                Some(base) => {
                    next.controllers[k].at = At::Status {
                        ending,
                        base,
                        attempt: attempt + 1,
                    };
                }
                None => self.close(&mut next, k, ending, Err(controller.clock(state.now))),
            }
            push(out, label(How::Refused), next, None);
        }
        if state.left.faults == 0 {
            return;
        }
        let mut faulty = *state;
        faulty.left.faults -= 1;
        let later = controller.clock(state.now) + 1;
        let mut next = faulty;
        self.close(&mut next, k, ending, Err(later));
        push(out, label(How::Lost), next, None);
        let mut next = faulty;
        let (answer, wrong) = self.apply_kube(&mut next, write, None);
        let untrue = untrue.filter(|_| matches!(answer, Answer::Object(_)));
        self.close(&mut next, k, ending, Err(later));
        push(out, label(How::AnswerLost), next, untrue.or(wrong));
        let mut next = faulty;
        if self.config.lie == Lie::LandsStatusLate
            && next.fly(flight(state, k, Sent::Kube(write), false))
        {
            self.close(&mut next, k, ending, Err(later));
            push(out, label(How::Late), next, untrue);
        }
    }
}

/// Whether this status names a copy.
fn takes_copy(state: &State, new: &Object) -> bool {
    let known = new.known();
    state
        .live()
        .any(|(registry, _)| registry.cloned && Some(registry.id) == known)
}

pub(crate) fn backwards(old: &Object, new: &Object) -> bool {
    let observed = new.status.observed_generation;
    observed < old.status.observed_generation || observed > old.generation
}
