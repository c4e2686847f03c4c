//! The quiet continuation of a state: no more trouble, requests on the wire land, changes of the
//! object wake its controllers, requeues come due, polls compare. From every state it must come
//! to rest, at rest everything must be right, and further reconciles must write nothing.

use swr_operator_api::ConditionStatus;
use swr_operator_api::registry::AdoptionPolicy;

use crate::core::POLL;
use crate::explore::named;
use crate::facts::Facts as _;
use crate::lease::Term;
use crate::moves::{Label, Step, World, looked};
use crate::prints::{Prints, fingerprint};
use crate::world::{At, Budget, Controller, Mark, Registry, Shown, State, Tick};

/// More steps than any sane recovery takes.
const STEPS_MAX: usize = 600;
/// Of a counterexample that never ends, this much is told.
const LINES_MAX: usize = 40;
/// This many reconciles in a row that change nothing are rest.
const IDLE_PASSES: usize = 8;
/// Who looks again this much later is at rest: the hourly look of a condition that a person
/// must end.
const REST: Tick = 60;

/// States from which everything is known to end well.
#[derive(Default)]
pub(crate) struct Quiet {
    good: Prints,
    scratch: Vec<Step>,
}

/// Why a state does not end well, and the way there.
pub(crate) struct Unwell {
    pub(crate) what: &'static str,
    pub(crate) path: Vec<String>,
    pub(crate) last: Box<State>,
}

impl Quiet {
    /// How many distinct states were continued.
    pub(crate) fn states(&self) -> usize {
        self.good.len()
    }

    /// Follows the quiet continuation to its end.
    pub(crate) fn check(
        &mut self,
        world: &mut World,
        state: &State,
        tells: bool,
    ) -> Result<(), Unwell> {
        let mut state = calm(world, state);
        let mut passed = Vec::new();
        let mut idle = 0;
        let mut path = Vec::new();
        for _ in 0..STEPS_MAX {
            let print = fingerprint(&state);
            if self.good.contains(&print) {
                self.good.extend(passed);
                return Ok(());
            }
            passed.push(print);
            // Looks again and again, and finds nothing to do: that is rest, too.
            let next = if idle > IDLE_PASSES {
                None
            } else {
                self.step(world, &state)
            };
            let Some((label, next)) = next else {
                if let Err(what) = self.rests(world, &state) {
                    return Err(Unwell {
                        what,
                        path,
                        last: Box::new(state),
                    });
                }
                self.good.extend(passed);
                return Ok(());
            };
            if tells && path.len() < LINES_MAX {
                let text = label.map_or_else(
                    || "time goes on to the next look".to_owned(),
                    |label| named(world, &label, false),
                );
                path.push(format!("[{}] {text}", state.now));
            }
            if next.object != state.object || next.registries != state.registries {
                idle = 0;
            } else if matches!(label, Some(Label::Start(..))) {
                idle += 1;
            }
            state = next;
        }
        Err(Unwell {
            what: "never comes to rest",
            path,
            last: Box::new(state),
        })
    }

    /// The one next step without trouble; `None` at rest.
    fn step(&mut self, world: &mut World, state: &State) -> Option<(Option<Label>, State)> {
        if let Some(flight) = state.flights[0] {
            let (mut next, _) = world.land(state, 0);
            world.finish(&mut next);
            return Some((Some(Label::Land(flight)), next));
        }
        let controllers = world.config.controllers;
        for k in 0..controllers {
            if state.controllers[k].at != At::Idle {
                return Some(self.go_on(world, state, k));
            }
        }
        let object = state.object.map(|object| world.core.object(object));
        let uid = object.as_ref().map_or(0, |object| object.uid_number());
        let now_is = object.as_ref().map(|object| looked(object));
        for k in 0..controllers {
            let controller = &state.controllers[k];
            if controller.uid != 0 && controller.uid != uid {
                // The watch says that its object is gone: the queue forgets it.
                let mut next = *state;
                next.controllers[k] = controller.forgetful();
                return Some((None, next));
            }
            if !world.leads(state, k) {
                continue;
            }
            let is_another = |version| controller.upon != 0 && controller.upon != version;
            let changed = now_is.is_some() && controller.looked != now_is
                || state
                    .object
                    .is_some_and(|it| is_another(world.core.version(it)));
            if changed || controller.due_in_truth() <= state.now {
                return begin(world, state, k, uid);
            }
        }
        let leaders = (0..controllers).filter(|k| world.leads(state, *k));
        let all = leaders.map(|k| &state.controllers[k]);
        let due = all.map(Controller::due_in_truth).min();
        if let Some(due) = due.filter(|due| *due < state.now + REST) {
            let mut next = *state;
            next.pass_time(due);
            return Some((None, next));
        }
        for k in 0..controllers {
            let controller = &state.controllers[k];
            let view = world.truth(state, uid);
            if controller.baseline != 0
                && world.leads(state, k)
                && world
                    .core
                    .differs(controller.baseline, &view, uid, state.secret)
            {
                let mut next = *state;
                next.pass_time(state.now + POLL);
                return begin(world, &next, k, uid);
            }
        }
        None
    }

    fn go_on(&mut self, world: &mut World, state: &State, k: usize) -> (Option<Label>, State) {
        world.go_on(state, k, &mut self.scratch);
        let step = self.scratch.first().expect("an effect has an outcome");
        let mut next = step.next;
        world.finish(&mut next);
        (Some(step.label), next)
    }

    /// At rest everything is right, and stays so.
    fn rests(&mut self, world: &mut World, state: &State) -> Result<(), &'static str> {
        is_right(world, state)?;
        let Some(object) = state.object else {
            return Ok(());
        };
        let object = world.core.object(object);
        if object.ready_reason() == Some("NotApplied") {
            // What SWR did not apply is sent once more every hour; the rest is in the condition.
            return Ok(());
        }
        let uid = object.uid_number();
        let mut now = *state;
        now.pass_time(now.now + POLL);
        world.finish(&mut now);
        let rest = now;
        for _ in 0..2 {
            let leaders = (0..world.config.controllers).filter(|k| world.leads(state, *k));
            for k in leaders.collect::<Vec<_>>() {
                let Some((_, next)) = begin(world, &now, k, uid) else {
                    return Err("a controller cannot begin a reconcile at rest");
                };
                now = next;
                for _ in 0..STEPS_MAX {
                    if now.controllers[k].at == At::Idle {
                        break;
                    }
                    now = self.go_on(world, &now, k).1;
                }
                if now.object != rest.object || now.registries != rest.registries {
                    return Err("writes although everything is right");
                }
            }
        }
        Ok(())
    }
}

fn begin(world: &mut World, state: &State, k: usize, uid: u8) -> Option<(Option<Label>, State)> {
    let step = world.start(state, k, uid)?;
    let mut next = step.next;
    world.finish(&mut next);
    Some((Some(step.label), next))
}

/// The state without any trouble to come.
fn calm(world: &mut World, state: &State) -> State {
    let mut calm = *state;
    calm.left = Budget::default();
    if calm.term == Term::First {
        calm.term = Term::Renewed;
    }
    world.finish(&mut calm);
    calm
}

/// What must hold at rest, by the truth and not by what anybody saw.
fn is_right(world: &World, state: &State) -> Result<(), &'static str> {
    let object = state.object.map(|object| world.core.object(object));
    let present = object.as_ref().map_or(0, |object| object.uid_number());
    let is_left = |(registry, shown): (&Registry, Shown)| {
        let is_ours = !registry.stripped && !registry.cloned;
        is_ours && matches!(shown.mark, Mark::Uid(uid) if uid != present && !state.is_forsaken(uid))
    };
    if state.live().any(is_left) {
        return Err("the object is gone and its registry is left");
    }
    let Some(object) = object else {
        return Ok(());
    };
    let reason = object.ready_reason().unwrap_or_default().to_owned();
    if object.suspended {
        return if reason == "Suspended" {
            Ok(())
        } else {
            Err("suspended, and does not say so")
        };
    }
    let known = object.known();
    let carriers: Vec<Shown> = state
        .live()
        .map(|(_, shown)| shown)
        .filter(|shown| shown.mark == Mark::Uid(present))
        .collect();
    let others = || {
        let all = state.live().map(|(_, shown)| shown);
        all.filter(|shown| shown.mark != Mark::Uid(present))
    };
    // The known registry, if it is there without our tag.
    let stripped = others().find(|shown| Some(shown.id) == known);
    let knows_none = known.is_none_or(|id| state.slot(id).is_none());
    // Which of several is ours cannot be told.
    let is_ambiguous = knows_none && carriers.len() > 1;
    // The registry that counts: copies of it only look like it.
    let ours = carriers
        .iter()
        .find(|shown| Some(shown.id) == known || knows_none && carriers.len() == 1);
    let reads_only = all_read_only(world, state);
    if object.deleting {
        return match reason.as_str() {
            "DeletionBlocked" if ours.is_none() && stripped.is_some() => Ok(()),
            "DeletionBlocked" | "DuplicateTag" if is_ambiguous => Ok(()),
            "ReadOnly" if reads_only => Ok(()),
            "DeletionPaused" if state.paused => Ok(()),
            _ => Err("the deletion never ends"),
        };
    }
    if object.status.observed_generation != object.generation {
        return Err("the status is about an older spec");
    }
    let differs = |shown: &Shown| {
        shown.url != object.url_number() || shown.renamed || shown.credential != state.secret
    };
    // What was sent is not known, so it would be sent again.
    let would_send = |shown: &Shown| differs(shown) || object.status.credential.is_none();
    let is_of_object = |shown: &Shown| matches!(shown.mark, Mark::Uid(_));
    match reason.as_str() {
        "Available" => {}
        "DuplicateTag" if is_ambiguous => return Ok(()),
        "Conflict" if carriers.is_empty() && may_conflict(world, others()) => return Ok(()),
        // The tag of another object is no loss of ours: it was there before.
        "OwnershipLost" if ours.is_none() && stripped.is_some_and(|s| !is_of_object(&s)) => {
            return Ok(());
        }
        "NotApplied" | "Fighting" if ours.is_some_and(differs) => return Ok(()),
        "TagNotKept" if ours.is_none() && stripped.is_some() => return Ok(()),
        "ReadOnly" if reads_only && !is_ambiguous && ours.is_none_or(would_send) => return Ok(()),
        _ => return Err("neither ready nor in a condition that is true"),
    }
    let synced = object.condition("Synced").map(|(status, _)| status);
    let ready = object.condition("Ready").map(|(status, _)| status);
    let Some(only) = ours else {
        return Err("ready, and no registry is known to be ours");
    };
    let are_copies = state
        .live()
        .all(|(registry, shown)| shown.mark != only.mark || registry.cloned || shown.id == only.id);
    if !are_copies {
        Err("ready, and not exactly one registry is ours")
    } else if (ready, synced) != (Some(ConditionStatus::True), Some(ConditionStatus::True)) {
        Err("ready, and does not say so")
    } else if only.url != object.url_number() || only.renamed {
        Err("ready, and the registry differs from the spec")
    } else if known != Some(only.id) {
        Err("ready, and the status names another registry")
    } else if object.status.create_intent.is_some() {
        Err("ready, and an intent is still noted")
    } else if !object.has_finalizer() && !reads_only {
        Err("ready, and nothing holds the object")
    } else if only.credential != state.secret {
        Err("ready, and SWR holds an old credential")
    } else if only.hidden != 0 {
        Err("ready, and SWR holds other hosts than the spec asks for")
    } else {
        Ok(())
    }
}

fn all_read_only(world: &World, state: &State) -> bool {
    let all = &state.controllers[..world.config.controllers];
    all.iter().all(|controller| controller.read_only)
}

/// Whether these registries, none of which is ours, may be in the way for good.
fn may_conflict(world: &World, others: impl Iterator<Item = Shown>) -> bool {
    let marks: Vec<Mark> = others.map(|shown| shown.mark).collect();
    let may_take = |mark: &Mark| match world.config.setting.adoption {
        AdoptionPolicy::Never => false,
        AdoptionPolicy::IfUnowned => *mark == Mark::Untagged,
        AdoptionPolicy::Rebuild => *mark != Mark::Stranger,
    };
    match marks.as_slice() {
        [] => false,
        [only] => !may_take(only),
        // One of them is in the way of the other.
        _ => true,
    }
}
