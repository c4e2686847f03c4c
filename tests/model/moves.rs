//! What can happen next in a state: a controller goes on, with and without trouble; a request on
//! the wire lands or is lost; time passes; people, the console and strangers interfere. Safety is
//! judged here, at the moment at which something is applied.

use swr_operator::answer::KubeFailure;
use swr_operator::failure::{Cause, Class};
use swr_operator::object::Object;

use crate::core::{Answer, Core, Facts as _, KubeKind, Outcome, Request, Setting, View};
use crate::world::{
    At, BEGIN, Budget, CloudWrite, Controller, Flight, Index, KubeWrite, Looked, Mark, NEVER,
    REGISTRIES, Registry, Sent, Shown, State, Tick,
};

/// A lie of the environment, which takes one rule's ground away. The product knows none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// The world keeps to its word.
    None,
    /// The controllers believe that everything has settled at once.
    NothingToSettle,
    /// Writes of an older version of the object are accepted.
    AcceptsStaleWrites,
    /// The intent is acknowledged and forgotten.
    ForgetsIntent,
    /// The finalizer is acknowledged and forgotten.
    ForgetsFinalizer,
    /// Every registry is shown with our tag.
    TagsEverything,
    /// While an object is being removed, every LIST is empty.
    ListsNothingWhileRemoving,
    /// A read of the object may show the one before, with the version of the newest.
    ShowsOldObject,
    /// A read of the object shows a namesake under the uid that was asked for.
    ShowsNamesake,
    /// The executor does not look at the clock before a POST.
    SendsTooLate,
    /// Requests land later than the settle time allows for.
    LandsTooLate,
    /// A status write that was given up lands after its writer has looked at the object again.
    LandsStatusLate,
    /// The object always says that its registry was created long ago.
    CreatedLongAgo,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) controllers: usize,
    /// The last tick at which trouble is still explored.
    pub(crate) horizon: Tick,
    pub(crate) setting: Setting,
    pub(crate) left: Budget,
    /// Whether SWR refuses a second registry of the same name.
    pub(crate) unique_names: bool,
    /// A foreign registry that is there from the beginning.
    pub(crate) foreign: Option<Mark>,
    /// Whether requests may also be carried out slowly, with an answer.
    pub(crate) slow: bool,
    pub(crate) lie: Lie,
}

/// How an effect went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    Refused,
    Lost,
    AnswerLost,
    WithoutId,
    Late,
    Slowly,
    Lagging,
    TooLate,
    OutOfPatience,
}

/// What happened, for a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Start(usize, u8, How),
    Effect(usize, Index, How, Option<Answer>),
    Status(usize, Index, How),
    Crash(usize),
    Land(Flight),
    Vanish(Flight),
    Tick,
    Other(&'static str),
}

/// A step, and what is wrong with it.
pub(crate) struct Step {
    pub(crate) label: Label,
    pub(crate) next: State,
    pub(crate) wrong: Option<&'static str>,
}

/// A configuration with the core that it drives.
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) config: Config,
}

/// The url that the console writes.
const CONSOLE: u8 = 9;
/// The url of a foreign registry.
const FOREIGN: u8 = 8;
/// As in production.
const REBASES_MAX: u8 = 3;

type Wrong = Option<&'static str>;

impl World {
    pub(crate) fn new(config: Config) -> Self {
        World {
            core: Core::new(config.setting),
            config,
        }
    }

    /// Where everything begins: a new object, that nobody has looked at.
    pub(crate) fn beginning(&mut self) -> State {
        let object = self.core.create_object(1, 1, 1);
        let mut state = State {
            now: BEGIN,
            object: Some(object),
            previous: None,
            uids: 1,
            secret: 1,
            registries: [None; REGISTRIES],
            ids: 0,
            flights: [None; 2],
            controllers: [Controller::started(0); 2],
            left: self.config.left,
        };
        if let Some(mark) = self.config.foreign {
            add_foreign(&mut state, mark);
        }
        state
    }

    /// Every step from a state.
    pub(crate) fn steps(&mut self, state: &State, out: &mut Vec<Step>) {
        out.clear();
        for k in 0..self.config.controllers {
            match state.controllers[k].at {
                At::Idle => self.starts(state, k, out),
                At::Effect(effect) => self.effects(state, k, effect, out),
                At::Waiting(_) => {}
                At::Status { .. } => self.statuses(state, k, out),
            }
            let fresh = Controller::started(state.controllers[k].started);
            if state.left.crashes > 0 && state.controllers[k] != fresh {
                let mut next = *state;
                next.left.crashes -= 1;
                crash(&mut next, k);
                push(out, Label::Crash(k), next, None);
            }
        }
        self.wire(state, out);
        self.people(state, out);
        self.console(state, out);
        if state.now < BEGIN + self.config.horizon && self.may_pass(state) && self.is_timed(state) {
            let mut next = *state;
            next.pass_time(state.now + 1);
            push(out, Label::Tick, next, None);
        }
        for step in out {
            self.finish(&mut step.next);
        }
    }

    /// Whether anything is under way that time decides. If not, waiting makes no difference.
    fn is_timed(&mut self, state: &State) -> bool {
        let now = state.now;
        let young = |tick: Tick| tick > 0;
        state.flights[0].is_some()
            || state.registries.iter().flatten().any(Registry::lags)
            || state.controllers.iter().any(|c| young(c.started))
            || state
                .object
                .is_some_and(|object| self.core.aged_object(object, now).1)
            || (0..self.config.controllers).any(|k| {
                let memory = state.controllers[k].memory;
                self.core.aged_memory(memory, now).1
            })
    }

    /// What every step leaves behind: what was seen to hold is noted, and what makes no
    /// difference any more is made equal.
    pub(crate) fn finish(&mut self, state: &mut State) {
        for k in 0..state.controllers.len() {
            let controller = state.controllers[k];
            if controller.at != At::Idle && controller.wanted > 0 && !controller.held {
                state.controllers[k].held = state.holds(controller.uid, controller.wanted);
            }
        }
        if state.left.lags == 0 {
            for slot in &mut state.registries {
                if let Some(registry) = slot {
                    registry.lagging = [None; 2];
                    if registry.truth.is_none() {
                        *slot = None;
                    }
                }
            }
            state.compact();
        }
        let now = state.now;
        if let Some(object) = &mut state.object {
            *object = self.core.aged_object(*object, now).0;
        }
        let settle = self.config.setting.settle;
        for controller in &mut state.controllers {
            if controller.started + settle <= now {
                controller.started = 0;
            }
            if controller.at == At::Idle {
                controller.memory = self.core.aged_memory(controller.memory, now).0;
                if controller.due <= now {
                    controller.due = 0;
                }
            }
        }
        let is_idle = |c: &Controller| c.at == At::Idle && (c.due == 0 || c.due == NEVER);
        if now != BEGIN && state.controllers.iter().all(is_idle) && !self.is_timed(state) {
            state.now = BEGIN;
        }
    }

    /// The steps of a controller that is in a pass, the one without trouble first.
    pub(crate) fn go_on(&mut self, state: &State, k: usize, out: &mut Vec<Step>) {
        out.clear();
        match state.controllers[k].at {
            At::Effect(effect) => self.effects(state, k, effect, out),
            At::Status { .. } => self.statuses(state, k, out),
            At::Idle | At::Waiting(_) => {}
        }
    }

    /// What is on the wire must land or vanish before its window ends.
    fn may_pass(&self, state: &State) -> bool {
        let window = match self.config.lie {
            Lie::LandsTooLate => self.config.setting.settle + 2,
            _ => self.config.setting.write,
        };
        state
            .flights
            .iter()
            .flatten()
            .all(|flight| state.now + 1 < flight.sent + window)
    }

    fn starts(&mut self, state: &State, k: usize, out: &mut Vec<Step>) {
        for uid in 1..=state.uids {
            if let Some(step) = self.start(state, k, uid) {
                out.push(step);
            }
            if self.config.lie == Lie::ShowsOldObject
                && state.left.lags > 0
                && let Some(previous) = state.previous
                && let Some(object) = state.object
            {
                let version = self.core.version(object);
                let old = self.core.change(previous, version, |_| {});
                let mut spent = *state;
                spent.left.lags -= 1;
                if let Some(mut step) = self.start_with(&spent, k, uid, Some(old)) {
                    step.label = Label::Start(k, uid, How::Lagging);
                    out.push(step);
                }
            }
            if state.left.faults > 0 {
                let mut next = *state;
                next.left.faults -= 1;
                let effect = self.begin(&mut next, k, uid);
                let answer = Answer::Kube(KubeFailure::Unavailable);
                self.resume(&mut next, k, effect, answer);
                push(out, Label::Start(k, uid, How::Lost), next, None);
            }
        }
    }

    fn begin(&mut self, state: &mut State, k: usize, uid: u8) -> Index {
        let controller = &mut state.controllers[k];
        if controller.uid != uid {
            // Another object to the queue: nothing is remembered of it.
            *controller = Controller {
                uid,
                ..Controller::started(controller.started)
            };
        }
        controller.due = NEVER;
        self.core.start(uid, controller.started, controller.memory)
    }

    /// A pass begins and reads the object. `None` if it was queued under an older uid and ends
    /// at once, as it should: the queue does not even note that.
    pub(crate) fn start(&mut self, state: &State, k: usize, uid: u8) -> Option<Step> {
        let shown = self.shown_object(state, uid);
        self.start_with(state, k, uid, shown)
    }

    fn start_with(
        &mut self,
        state: &State,
        k: usize,
        uid: u8,
        shown: Option<Index>,
    ) -> Option<Step> {
        let mut next = *state;
        let effect = self.begin(&mut next, k, uid);
        let found = shown.map(|object| self.core.object(object));
        if let Some(object) = found.filter(|object| object.uid_number() == uid) {
            let held = next.holds(uid, object.url_number());
            let controller = &mut next.controllers[k];
            controller.looked = Some(looked(&object));
            controller.wanted = object.url_number();
            controller.held = held;
        }
        self.resume(&mut next, k, effect, Answer::Object(shown));
        let is_older = uid != state.uids;
        if is_older && next.controllers[k].at == At::Idle {
            return None;
        }
        Some(Step {
            label: Label::Start(k, uid, How::Well),
            next,
            wrong: None,
        })
    }

    fn shown_object(&mut self, state: &State, uid: u8) -> Option<Index> {
        let object = state.object?;
        let version = self.core.version(object);
        Some(match self.config.lie {
            Lie::ShowsNamesake => {
                let own = self.core.create_object(uid, 1, 1);
                let own = self.core.object(own).uid.clone();
                self.core.change(object, version, |object| object.uid = own)
            }
            Lie::CreatedLongAgo => self.core.change(object, version, |object| {
                if let Some(at) = &mut object.status.created_at {
                    *at = jiff::Timestamp::UNIX_EPOCH;
                }
            }),
            _ => object,
        })
    }

    /// Gives an answer, and carries out what follows and depends on nothing that can change.
    fn resume(&mut self, state: &mut State, k: usize, effect: Index, answer: Answer) {
        let (mut effect, mut answer) = (effect, answer);
        loop {
            match self.core.resume(effect, answer, state.now) {
                Outcome::Effect(next) => {
                    let secret_may_change = self.config.left.rotations > 0;
                    match self.core.request(next) {
                        Request::Account => answer = Answer::Account,
                        Request::Secret if !secret_may_change => {
                            answer = self.read_secret(state, k);
                        }
                        _ => {
                            state.controllers[k].at = At::Effect(next);
                            return;
                        }
                    }
                    effect = next;
                }
                Outcome::Ended(ending) => {
                    match self.core.ending(ending).write {
                        Some((base, _)) => {
                            state.controllers[k].at = At::Status {
                                ending,
                                base,
                                attempt: 0,
                            };
                        }
                        None => self.close(state, k, ending, Ok(())),
                    }
                    return;
                }
            }
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn read_secret(&self, state: &mut State, k: usize) -> Answer {
        state.controllers[k].credential = state.secret;
        Answer::Secret(state.secret)
    }

    /// A pass is over.
    fn close(&mut self, state: &mut State, k: usize, ending: Index, written: Result<(), Tick>) {
        let ending = self.core.ending(ending);
        let controller = &mut state.controllers[k];
        controller.rest();
        if ending.gone {
            *controller = Controller::started(controller.started);
            return;
        }
        controller.memory = ending.memory;
        (controller.judged, controller.due) = match written {
            Ok(()) => (ending.judged, ending.due),
            Err(due) => (0, due),
        };
    }

    fn effects(&mut self, state: &State, k: usize, effect: Index, out: &mut Vec<Step>) {
        match self.core.request(effect) {
            Request::Object | Request::Account => {}
            Request::Secret => {
                let mut next = *state;
                let answer = self.read_secret(&mut next, k);
                self.answer(out, next, k, effect, answer, How::Well);
            }
            Request::List { hurried, removing } => {
                self.list(state, k, effect, hurried, removing, out);
            }
            Request::Show { id, .. } => self.show(state, k, effect, id, out),
            Request::Kube(write, kind) => self.kube(state, k, effect, write, kind, out),
            Request::Cloud { write, not_after } => {
                self.cloud(state, k, effect, write, not_after, out);
            }
        }
    }

    fn answer(
        &mut self,
        out: &mut Vec<Step>,
        mut next: State,
        k: usize,
        effect: Index,
        answer: Answer,
        how: How,
    ) {
        self.resume(&mut next, k, effect, answer);
        push(out, Label::Effect(k, effect, how, Some(answer)), next, None);
    }

    fn fault(
        &mut self,
        out: &mut Vec<Step>,
        state: &State,
        k: usize,
        effect: Index,
        answer: Answer,
        how: How,
    ) {
        if state.left.faults > 0 {
            let mut next = *state;
            next.left.faults -= 1;
            self.answer(out, next, k, effect, answer, how);
        }
    }

    /// What reads may show, the truth first; and lies.
    fn views(&self, state: &State, uid: u8) -> Vec<View> {
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

    fn list(
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
    fn read(
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

    fn show(&mut self, state: &State, k: usize, effect: Index, id: u8, out: &mut Vec<Step>) {
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

    fn kube(
        &mut self,
        state: &State,
        k: usize,
        effect: Index,
        write: KubeWrite,
        kind: KubeKind,
        out: &mut Vec<Step>,
    ) {
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
    fn apply_kube(
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
        let stale = match self.config.lie {
            Lie::AcceptsStaleWrites => write.finalizers && object.uid != base.uid,
            // A patch of the status names no uid, one of the finalizers does.
            _ => object.version != base.version || write.finalizers && object.uid != base.uid,
        };
        if stale {
            return (Answer::Kube(KubeFailure::Conflict), None);
        }
        let releases = write.finalizers && object.has_finalizer() && !new.has_finalizer();
        let uid = object.uid_number();
        let is_ours = |r: &Registry, shown: Shown| shown.mark == Mark::Uid(uid) && !r.stripped;
        let is_left = state
            .live()
            .any(|(registry, shown)| is_ours(registry, shown));
        let wrong = if !write.finalizers && backwards(&object, &new) {
            Some("S9 observedGeneration goes backwards or ahead")
        } else if releases && !object.deleting {
            Some("S7 the finalizer is removed from an object that is not deleting")
        } else if releases && !object.orphans() && is_left {
            Some("S7 the finalizer is removed while a registry with our tag exists")
        } else if releases && !object.orphans() && state.post_in_flight(uid) {
            Some("S7 the finalizer is removed while a create may still land")
        } else {
            None
        };
        let forgets = match (self.config.lie, kind) {
            (Lie::ForgetsIntent, Some(KubeKind::Intent(_))) => true,
            (Lie::ForgetsFinalizer, Some(KubeKind::AddFinalizer)) => true,
            _ => false,
        };
        if forgets {
            let version = self.core.version(current);
            return (
                Answer::Object(Some(self.core.written(write, current, version))),
                wrong,
            );
        }
        let written = self.replace(state, |core, version| core.written(write, current, version));
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
    fn free_version(&self, state: &State) -> u16 {
        let of_controllers = state
            .controllers
            .iter()
            .map(|controller| match controller.at {
                At::Idle => 0,
                At::Effect(effect) | At::Waiting(effect) => self.core.version_held(effect),
                At::Status { base, .. } => self.core.version(base),
            });
        let of_flights = state
            .flights
            .iter()
            .flatten()
            .map(|flight| match flight.what {
                Sent::Kube(write) => self.core.version(write.base),
                Sent::Cloud(_) => 0,
            });
        let of_objects = [state.object, state.previous];
        let held: Vec<u16> = of_controllers
            .chain(of_flights)
            .chain(
                of_objects
                    .iter()
                    .flatten()
                    .map(|object| self.core.version(*object)),
            )
            .collect();
        (1..)
            .find(|version| !held.contains(version))
            .expect("few are held")
    }

    /// The object changes, and is gone if nothing holds it any more.
    fn replace(
        &mut self,
        state: &mut State,
        change: impl FnOnce(&mut Core, u16) -> Index,
    ) -> Index {
        let version = self.free_version(state);
        let new = change(&mut self.core, version);
        if self.config.lie == Lie::ShowsOldObject {
            state.previous = state.object;
        }
        let object = self.core.object(new);
        state.object = (!object.deleting || !object.finalizers.is_empty()).then_some(new);
        new
    }

    fn cloud(
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
        if state.now > not_after && self.config.lie != Lie::SendsTooLate {
            let answer = Answer::Cloud(Class::Transient, Cause::TooLate);
            self.answer(out, *state, k, effect, answer, How::TooLate);
            return;
        }
        let unsent = self.wrong_to_send(state, controller, write);

        let mut next = *state;
        let (answer, wrong) = self.apply_cloud(&mut next, write, controller.excused, state.now);
        self.resume(&mut next, k, effect, answer);
        push(out, label(How::Well, Some(answer)), next, unsent.or(wrong));

        let refused = Answer::Cloud(Class::Transient, Cause::ServerError);
        self.fault(out, state, k, effect, refused, How::Refused);
        let unknown = Answer::Cloud(Class::Unknown, Cause::TimedOut);
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
    fn wrong_to_send(&self, state: &State, controller: &Controller, write: CloudWrite) -> Wrong {
        let object = state.object.map(|object| self.core.object(object));
        let object = object.filter(|object| object.uid_number() == controller.uid);
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
            CloudWrite::Put { .. } | CloudWrite::Delete { .. } => {
                (object.is_some() && !held).then_some("S7 write without our finalizer on")
            }
        }
    }

    /// SWR carries out a write.
    fn apply_cloud(
        &self,
        state: &mut State,
        write: CloudWrite,
        excused: bool,
        sent: Tick,
    ) -> (Answer, Wrong) {
        let gone = Answer::Cloud(Class::NotFound, Cause::RegistryNotFound);
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
                };
                let id = add(state, uid, until, shown);
                let made = |r: &Registry| r.made_for == uid && !r.stripped;
                let several = state.live().filter(|(r, _)| made(r)).count() > 1;
                let wrong = several.then_some("S4 two registries created for one object");
                (Answer::Created(Some(id)), wrong)
            }
            CloudWrite::Put {
                id,
                mark,
                expects,
                url,
                credential,
                ..
            } => {
                let Some(at) = state.slot(id) else {
                    return (gone, None);
                };
                let wrong = wrong_target(state, at, expects, mark, excused)
                    .then_some("S3 PUT on a registry that is not ours");
                self.mutate(state, at, |registry| {
                    registry.truth = Some(Shown {
                        id,
                        mark,
                        url,
                        credential,
                    });
                });
                (Answer::Done, wrong)
            }
            CloudWrite::Delete { id, uid } => {
                let Some(at) = state.slot(id) else {
                    return (gone, None);
                };
                let ours = Mark::Uid(uid);
                let wrong = wrong_target(state, at, ours, ours, excused)
                    .then_some("S3 DELETE of a registry that is not ours");
                self.mutate(state, at, |registry| registry.truth = None);
                (Answer::Done, wrong)
            }
        }
    }

    /// Changes a registry; reads may lag behind for a while.
    fn mutate(&self, state: &mut State, at: usize, change: impl FnOnce(&mut Registry)) {
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

    fn statuses(&mut self, state: &State, k: usize, out: &mut Vec<Step>) {
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
        let label = |how| Label::Status(k, ending, how);

        let mut next = *state;
        let (answer, wrong) = self.apply_kube(&mut next, write, None);
        if let Answer::Object(_) = answer {
            self.close(&mut next, k, ending, Ok(()));
            push(out, label(How::Well), next, untrue.or(wrong));
        } else {
            // Production reads the object again, and writes onto it if its status is the same.
            let newer = next.object.filter(|newer| {
                self.core.object(*newer).uid == self.core.object(base).uid
                    && self.core.same_status(*newer, base, state.now)
            });
            match newer.filter(|_| attempt + 1 < REBASES_MAX) {
                Some(base) => {
                    next.controllers[k].at = At::Status {
                        ending,
                        base,
                        attempt: attempt + 1,
                    };
                }
                None => self.close(&mut next, k, ending, Err(state.now)),
            }
            push(out, label(How::Refused), next, None);
        }
        if state.left.faults == 0 {
            return;
        }
        let mut faulty = *state;
        faulty.left.faults -= 1;
        let later = state.now + 1;
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

    /// What is on the wire lands, or never does.
    fn wire(&mut self, state: &State, out: &mut Vec<Step>) {
        for at in 0..state.flights.len() {
            let Some(flight) = state.flights[at] else {
                continue;
            };
            let (next, wrong) = self.land(state, at);
            push(out, Label::Land(flight), next, wrong);
            if !flight.awaited {
                let mut next = *state;
                next.unfly(at);
                push(out, Label::Vanish(flight), next, None);
            }
        }
    }

    /// A request on the wire lands.
    pub(crate) fn land(&mut self, state: &State, at: usize) -> (State, Wrong) {
        let mut next = *state;
        let Some(flight) = next.unfly(at) else {
            return (next, None);
        };
        let (answer, wrong) = match flight.what {
            Sent::Kube(write) => self.apply_kube(&mut next, write, None),
            Sent::Cloud(write) => {
                let k = usize::from(flight.by);
                let excused = flight.excused || flight.awaited && state.controllers[k].excused;
                self.apply_cloud(&mut next, write, excused, flight.sent)
            }
        };
        let k = usize::from(flight.by);
        if let (true, At::Waiting(effect)) = (flight.awaited, next.controllers[k].at) {
            self.resume(&mut next, k, effect, answer);
        }
        (next, wrong)
    }

    /// The user and the Secret's owner.
    fn people(&mut self, state: &State, out: &mut Vec<Step>) {
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
                object.deletion_policy = swr_operator::api::registry::DeletionPolicy::Orphan;
            },
        );
    }

    /// The console, and strangers.
    fn console(&mut self, state: &State, out: &mut Vec<Step>) {
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

/// Whether a write hits something else than what it is for. What the console did to ownership
/// between the look and the write, no API can make up for.
/// An adoption may find that an earlier PUT of ours has landed meanwhile (`leaves`).
fn wrong_target(state: &State, at: usize, expects: Mark, leaves: Mark, excused: bool) -> bool {
    state.registries[at].is_none_or(|registry| {
        let stands = registry.truth.map(|shown| shown.mark);
        stands != Some(expects) && stands != Some(leaves) && !(registry.stripped && excused)
    })
}

fn backwards(old: &Object, new: &Object) -> bool {
    let observed = new.status.observed_generation;
    observed < old.status.observed_generation || observed > old.generation
}

fn looked(object: &Object) -> Looked {
    Looked {
        uid: object.uid_number(),
        generation: u8::try_from(object.generation).expect("few"),
        deleting: object.deleting,
    }
}

/// What a controller would have to look at again for.
pub(crate) fn looks(object: &Object) -> Looked {
    looked(object)
}

fn flight(state: &State, k: usize, what: Sent, awaited: bool) -> Flight {
    Flight {
        by: u8::try_from(k).expect("two"),
        what,
        sent: state.now,
        awaited,
        excused: !awaited && state.controllers[k].excused,
    }
}

fn with_credential(write: CloudWrite, credential: u8) -> CloudWrite {
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

fn crash(state: &mut State, k: usize) {
    state.controllers[k] = Controller::started(state.now);
    for flight in state.flights.iter_mut().flatten() {
        if usize::from(flight.by) == k {
            flight.awaited = false;
        }
    }
}

fn excuse(state: &mut State) {
    for controller in &mut state.controllers {
        if controller.at != At::Idle {
            controller.excused = true;
        }
    }
    for flight in state.flights.iter_mut().flatten() {
        flight.excused = true;
    }
}

fn edit(registry: &mut Registry, change: impl FnOnce(&mut Shown)) {
    if let Some(shown) = &mut registry.truth {
        change(shown);
    }
}

fn add(state: &mut State, made_for: u8, until: Tick, shown: impl FnOnce(u8) -> Shown) -> u8 {
    state.ids += 1;
    let id = state.ids;
    let lags = state.left.lags > 0 && made_for > 0;
    let slot = state.registries.iter_mut().find(|slot| slot.is_none());
    *slot.expect("room for another registry") = Some(Registry {
        id,
        made_for,
        truth: Some(shown(id)),
        stripped: false,
        lagging: [lags.then_some((None, until)), None],
    });
    id
}

fn add_foreign(state: &mut State, mark: Mark) {
    add(state, 0, 0, |id| Shown {
        id,
        mark,
        url: FOREIGN,
        credential: 0,
    });
}

fn push(out: &mut Vec<Step>, label: Label, next: State, wrong: Wrong) {
    out.push(Step { label, next, wrong });
}
