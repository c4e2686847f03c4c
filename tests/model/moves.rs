//! What can happen next in a state: a controller goes on, with and without trouble; a request on
//! the wire lands or is lost; time passes. What the API server and SWR do to a request is in
//! [`crate::kube`] and [`crate::swr`], which judge safety; others interfere in [`crate::people`].

use swr_operator_core::answer::KubeFailure;
use swr_operator_core::failure::{Cause, Class};
use swr_operator_core::object::Object;
use swr_operator_core::reconcile::Clearance;

use crate::ask::{Answer, Request};
use crate::core::{Core, Outcome, Setting, Told};
use crate::facts::Facts as _;
use crate::lease::{self, Term};
use crate::swr::add_foreign;
use crate::world::{
    At, BEGIN, Budget, CLEARED, Controller, Flight, Index, Looked, Mark, NEVER, REGISTRIES,
    Registry, Sent, State, Tick,
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
    /// Requests land within the settle time after they were sent, not within the write window.
    LandsTooLate,
    /// A status write that was given up lands after its writer has looked at the object again.
    LandsStatusLate,
    /// A process believes that it has always known the id that it knows.
    KnownLongAgo,
    /// A process starts with what the one before remembered, as if their clocks were one.
    ClocksAreOne,
    /// The machine sleeps in the middle of a reconcile, and the clock does not notice.
    ClockSleeps,
    /// The object names the copy of its registry instead of the registry.
    NamesTheCopy,
    /// A request whose outcome is unknown is told as refused.
    DeniesUnknown,
    /// A process is not told that it only reads.
    ForgetsReadOnly,
    /// A reconcile is not told that deletions are paused.
    ForgetsPause,
    /// The executor does not look at the fence of the lease before a write to SWR.
    ForgetsFence,
    /// Nobody looks at it before a write to the object.
    ForgetsFenceOfObject,
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
    /// Which controllers only read.
    pub(crate) read_only: [bool; 2],
    /// Whether a controller only reads after a crash.
    pub(crate) restarts_reading: bool,
    /// The lease by which the first of two controllers leads, and loses it.
    pub(crate) lease: Option<lease::Windows>,
    pub(crate) lie: Lie,
    pub(crate) expected: Expected,
}

impl Config {
    /// How many controllers are alike.
    pub(crate) fn alike(&self) -> usize {
        match self.lease {
            Some(_) => 1,
            None => self.controllers,
        }
    }
}

/// What is expected of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// No violation.
    Holds,
    /// A violation, because the world lies.
    FoundOut,
    /// A violation, because the protocol cannot do better; documented, and told if it ends.
    KnownLimit,
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
    /// A reconcile begins with what the watch shows.
    Watched(usize, u8, How),
    Effect(usize, Index, How, Option<Answer>),
    Status(usize, Index, How),
    Crash(usize),
    /// A fresh process finds its clock set so many ticks ahead.
    Skew(usize, i8),
    /// A clock gains or loses so many ticks.
    Drift(usize, i8),
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

pub(crate) type Wrong = Option<&'static str>;

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
            taken_away: 0,
            let_go: 0,
            paused: false,
            secret: 1,
            registries: [None; REGISTRIES],
            ids: 0,
            flights: [None; 2],
            controllers: self.config.read_only.map(|read_only| Controller {
                read_only,
                ..Controller::FRESH
            }),
            term: self.config.lease.map_or(Term::All, |_| Term::First),
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
                At::Idle if self.leads(state, k) => self.starts(state, k, out),
                At::Idle => {}
                At::Effect(effect) => self.effects(state, k, effect, out),
                At::Waiting(_) => {}
                At::Status { .. } => self.statuses(state, k, out),
            }
            let is_fresh = state.controllers[k] == state.controllers[k].forgetful();
            if state.left.crashes > 0 && !is_fresh {
                let mut next = *state;
                next.left.crashes -= 1;
                self.crash(&mut next, k);
                push(out, Label::Crash(k), next, None);
            }
            self.clocks(state, k, is_fresh, out);
        }
        self.hand_over(state, out);
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
    pub(crate) fn is_timed(&mut self, state: &State) -> bool {
        let now = state.now;
        let clocks = state.controllers.map(|controller| controller.clock(now));
        state.term == Term::First
            || state.flights[0].is_some()
            || state.registries.iter().flatten().any(Registry::lags)
            || state
                .object
                .is_some_and(|object| self.core.is_timed(object))
            || (0..self.config.controllers).any(|k| {
                let memory = state.controllers[k].memory;
                self.core.aged_memory(memory, state.object, clocks[k]).1
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
        let shows_older = self.config.lie == Lie::ShowsOldObject || state.left.stale > 0;
        state.previous = state.previous.filter(|_| shows_older);
        let now = state.now;
        let object = state.object;
        state.paused &= object.is_some();
        for controller in &mut state.controllers {
            let clock = controller.clock(now);
            if controller.at == At::Idle {
                controller.memory = self.core.aged_memory(controller.memory, object, clock).0;
                if controller.due <= clock {
                    controller.due = 0;
                }
            }
        }
        let is_idle = |c: &Controller| c.at == At::Idle && (c.due == 0 || c.due == NEVER);
        if now != BEGIN && state.controllers.iter().all(is_idle) && !self.is_timed(state) {
            state.now = BEGIN;
        }
    }

    /// The steps of a controller that is in a reconcile, the one without trouble first.
    pub(crate) fn go_on(&mut self, state: &State, k: usize, out: &mut Vec<Step>) {
        out.clear();
        match state.controllers[k].at {
            At::Effect(effect) => self.effects(state, k, effect, out),
            At::Status { .. } => self.statuses(state, k, out),
            At::Idle | At::Waiting(_) => {}
        }
    }

    /// What is on the wire must land or vanish before its window ends.
    pub(crate) fn may_pass(&self, state: &State) -> bool {
        let setting = self.config.setting;
        let window = if self.config.lie == Lie::LandsTooLate {
            setting.settle
        } else {
            setting.write
        };
        state
            .flights
            .iter()
            .flatten()
            .all(|flight| state.now + 1 < flight.sent + window)
    }

    /// A process starts with a wrong clock, or its clock gains or loses a tick.
    fn clocks(&self, state: &State, k: usize, is_fresh: bool, out: &mut Vec<Step>) {
        let mut set = |ticks: i8, tell: Label, spend: fn(&mut Budget)| {
            let mut next = *state;
            spend(&mut next.left);
            let controller = &mut next.controllers[k];
            controller.ahead += ticks;
            if ticks < 0 && !is_fresh {
                // A clock that runs never goes back: it stands still.
                next.pass_time(state.now + Tick::from(ticks.unsigned_abs()));
            }
            push(out, tell, next, None);
        };
        let skew = self.config.setting.skew;
        if state.left.skews > 0 && is_fresh && state.controllers[k].ahead == 0 {
            for ahead in [-skew, skew] {
                set(ahead, Label::Skew(k, ahead), |left| left.skews -= 1);
            }
        }
        if state.left.drifts > 0 && !is_fresh {
            set(1, Label::Drift(k, 1), |left| left.drifts -= 1);
            let loses = if self.config.lie == Lie::ClockSleeps {
                -skew
            } else {
                -1
            };
            if self.may_pass(state) && (loses == -1 || state.flights[0].is_none()) {
                set(loses, Label::Drift(k, loses), |left| left.drifts -= 1);
            }
        }
    }

    /// A process ends, and another takes its place.
    fn crash(&self, state: &mut State, k: usize) {
        let was = state.controllers[k];
        state.controllers[k] = Controller {
            read_only: was.read_only || self.config.restarts_reading,
            ..Controller::FRESH
        };
        if self.config.lie == Lie::ClocksAreOne {
            state.controllers[k].uid = was.uid;
            state.controllers[k].memory = was.memory;
        }
        for flight in state.flights.iter_mut().flatten() {
            if usize::from(flight.by) == k {
                flight.awaited = false;
            }
        }
    }

    pub(crate) fn starts(&mut self, state: &State, k: usize, out: &mut Vec<Step>) {
        for uid in 1..=state.uids {
            if let Some(step) = self.start(state, k, uid) {
                out.push(step);
            }
            self.watched(state, k, uid, out);
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

    /// Reconciles that begin with what the watch shows: what stands, or what stood before.
    fn watched(&mut self, state: &State, k: usize, uid: u8, out: &mut Vec<Step>) {
        if self.config.left.stale == 0 {
            return;
        }
        let newest = state.object.map(|object| (object, How::Well));
        let older = state.previous.filter(|_| state.left.stale > 0);
        let older = older.map(|object| (object, How::Lagging));
        for (object, how) in newest.into_iter().chain(older) {
            let shown = self.core.object(object);
            if shown.uid_number() != uid || shown.deleting {
                continue;
            }
            let mut next = *state;
            if how == How::Lagging {
                next.left.stale -= 1;
            }
            self.enqueue(&mut next, k, uid);
            self.note_read(&mut next, k, uid, &shown);
            next.controllers[k].watched = self.core.version(object);
            let controller = next.controllers[k];
            let told = self.told(&controller);
            let clock = controller.clock(next.now);
            let outcome = self.core.start_shown(uid, &controller, told, object, clock);
            self.follow(&mut next, k, outcome);
            push(out, Label::Watched(k, uid, how), next, None);
        }
    }

    pub(crate) fn begin(&mut self, state: &mut State, k: usize, uid: u8) -> Index {
        self.enqueue(state, k, uid);
        let controller = state.controllers[k];
        let told = self.told(&controller);
        self.core.start(uid, &controller, told)
    }

    fn told(&self, controller: &Controller) -> Told {
        Told {
            read_only: controller.read_only && self.config.lie != Lie::ForgetsReadOnly,
            clearance: match self.config.lie == Lie::ForgetsPause {
                true => CLEARED,
                false => controller.clearance,
            },
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn enqueue(&self, state: &mut State, k: usize, uid: u8) {
        let clearance = match state.paused {
            true => Clearance::Paused,
            false => CLEARED,
        };
        let controller = &mut state.controllers[k];
        if controller.uid != uid {
            // Another object to the queue: nothing is remembered of it.
            *controller = Controller {
                uid,
                ..controller.forgetful()
            };
        }
        controller.due = NEVER;
        controller.clearance = clearance;
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn note_read(&self, state: &mut State, k: usize, uid: u8, object: &Object) {
        let held = state.holds(uid, object.url_number());
        let controller = &mut state.controllers[k];
        controller.looked = Some(looked(object));
        controller.wanted = object.url_number();
        controller.held = held;
    }

    /// A reconcile begins and reads the object. `None` if it was queued under an older uid and ends
    /// at once, as it should: the queue does not even note that.
    pub(crate) fn start(&mut self, state: &State, k: usize, uid: u8) -> Option<Step> {
        let shown = self.shown_object(state, uid);
        self.start_with(state, k, uid, shown)
    }

    pub(crate) fn start_with(
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
            self.note_read(&mut next, k, uid, &object);
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

    pub(crate) fn shown_object(&mut self, state: &State, uid: u8) -> Option<Index> {
        let object = state.object?;
        let version = self.core.version(object);
        if self.config.lie == Lie::ShowsNamesake {
            let own = self.core.create_object(uid, 1, 1);
            let own = self.core.object(own).uid.clone();
            return Some(self.core.change(object, version, |object| object.uid = own));
        }
        if self.config.lie == Lie::NamesTheCopy
            && let Some((copy, _)) = state.live().find(|(registry, _)| registry.cloned)
        {
            return Some(self.core.change(object, version, |object| {
                object.status.registry_id = Some(copy.id.into());
            }));
        }
        Some(object)
    }

    /// Gives an answer, and carries out what follows and depends on nothing that can change.
    pub(crate) fn resume(&mut self, state: &mut State, k: usize, effect: Index, answer: Answer) {
        let clock = state.controllers[k].clock(state.now);
        let outcome = self.core.resume(effect, answer, clock);
        self.follow(state, k, outcome);
    }

    fn follow(&mut self, state: &mut State, k: usize, outcome: Outcome) {
        let mut outcome = outcome;
        loop {
            match outcome {
                Outcome::Effect(next) => {
                    let secret_may_change = self.config.left.rotations > 0;
                    let request = self.core.request(next);
                    let answer = if request == Request::Account {
                        Answer::Account
                    } else if request == Request::Secret && !secret_may_change {
                        self.read_secret(state, k)
                    } else {
                        state.controllers[k].at = At::Effect(next);
                        return;
                    };
                    let clock = state.controllers[k].clock(state.now);
                    outcome = self.core.resume(next, answer, clock);
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
    pub(crate) fn read_secret(&self, state: &mut State, k: usize) -> Answer {
        state.controllers[k].credential = state.secret;
        Answer::Secret(state.secret)
    }

    /// A reconcile is over.
    pub(crate) fn close(
        &mut self,
        state: &mut State,
        k: usize,
        ending: Index,
        written: Result<(), Tick>,
    ) {
        let ending = self.core.ending(ending);
        let controller = &mut state.controllers[k];
        let is_unproven = ending.version == controller.watched && ending.write.is_none();
        controller.upon = if is_unproven { controller.watched } else { 0 };
        controller.rest();
        if ending.gone {
            *controller = controller.forgetful();
            return;
        }
        controller.memory = if self.config.lie == Lie::KnownLongAgo {
            self.core.known_long_ago(ending.memory)
        } else {
            ending.memory
        };
        (controller.baseline, controller.due) = match written {
            Ok(()) => (ending.baseline, ending.due),
            Err(due) => (0, due),
        };
    }

    pub(crate) fn effects(&mut self, state: &State, k: usize, effect: Index, out: &mut Vec<Step>) {
        match self.core.request(effect) {
            Request::Object | Request::Account => {}
            Request::Confirm => {
                let answer = Answer::Object(self.shown_object(state, state.controllers[k].uid));
                self.answer(out, *state, k, effect, answer, How::Well);
                let lost = Answer::Kube(KubeFailure::Unavailable);
                self.fault(out, state, k, effect, lost, How::Lost);
            }
            Request::Secret => {
                let mut next = *state;
                let answer = self.read_secret(&mut next, k);
                self.answer(out, next, k, effect, answer, How::Well);
            }
            Request::List { hurried, removing } => {
                self.list(state, k, effect, hurried, removing, out);
            }
            Request::Show { id, .. } => self.show(state, k, effect, id, out),
            Request::Owner(mark) => {
                let present = state.object.map(|object| self.core.object(object));
                let exists = present.is_some_and(|it| mark == Mark::Uid(it.uid_number()));
                self.answer(out, *state, k, effect, Answer::Owned(exists), How::Well);
            }
            Request::Room => {
                self.answer(out, *state, k, effect, Answer::Done, How::Well);
                let refused =
                    Answer::Cloud(Class::Throttled { after_secs: None }, Cause::OwnLimits);
                self.fault(out, state, k, effect, refused, How::Refused);
            }
            Request::Kube(write, kind) => self.kube(state, k, effect, write, kind, out),
            Request::Cloud { write, not_after } => {
                self.cloud(state, k, effect, write, not_after, out);
            }
        }
    }

    pub(crate) fn answer(
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

    pub(crate) fn fault(
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

    /// What is on the wire lands, or never does.
    pub(crate) fn wire(&mut self, state: &State, out: &mut Vec<Step>) {
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
}

/// What a controller would have to look at again for.
pub(crate) fn looked(object: &Object) -> Looked {
    Looked {
        uid: object.uid_number(),
        generation: u8::try_from(object.generation).expect("few"),
        deleting: object.deleting,
    }
}

pub(crate) fn flight(state: &State, k: usize, what: Sent, awaited: bool) -> Flight {
    Flight {
        by: u8::try_from(k).expect("two"),
        what,
        sent: state.now,
        awaited,
        excused: !awaited && state.controllers[k].excused,
    }
}

#[expect(clippy::large_types_passed_by_value, reason = "it moves into the step")]
pub(crate) fn push(out: &mut Vec<Step>, label: Label, next: State, wrong: Wrong) {
    out.push(Step { label, next, wrong });
}
