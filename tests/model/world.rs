//! One state of the modelled world: an API server with one object name, an SWR instance with a
//! few registries, controllers and requests on the wire. Small, flat and comparable; everything
//! large (objects, effects, summaries) is an index into the tables of [`crate::core`].

use swr_operator_core::reconcile::Clearance;

use crate::lease::Term;

/// Abstract time. [`crate::core`] turns it into timestamps.
pub(crate) type Tick = u16;

/// The time at which everything begins. Whatever matters and is older happened at tick 0.
pub(crate) const BEGIN: Tick = 20;

/// No time.
pub(crate) const NEVER: Tick = Tick::MAX;

/// Deletions may go on.
pub(crate) const CLEARED: Clearance = Clearance::Given { until: None };

/// Index into a table of [`crate::core`].
pub(crate) type Index = u32;

/// What stands at the end of a registry's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// Nothing.
    Untagged,
    /// The tag of the object with this uid.
    Uid(u8),
    /// The tag of somebody else's object.
    Stranger,
}

/// What a read shows of a registry. Values are small numbers: version 2 of the url is what the
/// user's first edit asks for, version 9 is what the console writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shown {
    pub(crate) id: u8,
    pub(crate) mark: Mark,
    pub(crate) url: u8,
    pub(crate) credential: u8,
    /// Whether it bears another name than the spec asks for, as a copy does.
    pub(crate) renamed: bool,
    /// What no answer shows, such as hosts; the spec asks for 0.
    pub(crate) hidden: u8,
    /// Which write made it so; 0 where the configuration does not ask for `updated_at`.
    pub(crate) updated: u8,
}

/// One registry, or what lagging reads may still show of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Registry {
    pub(crate) id: u8,
    /// The uid of the object that it was created for; 0 if by somebody else.
    pub(crate) made_for: u8,
    /// The truth; `None` once deleted.
    pub(crate) truth: Option<Shown>,
    /// Whether the console ever took our tag off: what becomes of it then is the console's.
    pub(crate) stripped: bool,
    /// Whether it is a copy, tag included, that the console made of ours. One that is taken for
    /// want of the original becomes ours.
    pub(crate) cloned: bool,
    /// What lagging reads may still show, the newer first, and until when.
    pub(crate) lagging: [Option<(Option<Shown>, Tick)>; 2],
}

impl Registry {
    /// Whether reads may lag behind.
    pub(crate) fn lags(&self) -> bool {
        self.lagging[0].is_some()
    }
}

/// A write to SWR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloudWrite {
    Post {
        uid: u8,
        url: u8,
        credential: u8,
    },
    Put {
        id: u8,
        uid: u8,
        /// The tag that the body carries.
        mark: Mark,
        /// The tag that must stand there for the write to be right.
        expects: Mark,
        url: u8,
        credential: u8,
    },
    Delete {
        id: u8,
        uid: u8,
    },
}

/// A write to the object, bound to the version of `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KubeWrite {
    pub(crate) base: Index,
    /// The object with the change.
    pub(crate) new: Index,
    /// Whether finalizers change, or the status.
    pub(crate) finalizers: bool,
}

/// A request that its sender gave up, or still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) by: u8,
    pub(crate) what: Sent,
    pub(crate) sent: Tick,
    /// Whether the sender still waits for the answer.
    pub(crate) awaited: bool,
    /// Whether the console took a tag off since it was sent.
    pub(crate) excused: bool,
}

/// What is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sent {
    Cloud(CloudWrite),
    Kube(KubeWrite),
}

/// Where a controller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// Between reconciles.
    Idle,
    /// About to carry out this effect.
    Effect(Index),
    /// Waiting for the answer to this effect, which is in flight.
    Waiting(Index),
    /// About to write the status that this ending leads to, onto this object.
    Status {
        ending: Index,
        base: Index,
        attempt: u8,
    },
}

/// What the last reconcile read of the object: a change since then asks for another reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Looked {
    pub(crate) uid: u8,
    pub(crate) generation: u8,
    pub(crate) deleting: bool,
}

/// A controller. What it forgets in a crash is reset to [`Controller::FRESH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Controller {
    pub(crate) at: At,
    /// The uid of the object that it is or was about.
    pub(crate) uid: u8,
    /// How many ticks its clock is ahead of the truth. All times of a controller are by its clock.
    pub(crate) ahead: i8,
    /// Whether it runs with `--read-only`.
    pub(crate) read_only: bool,
    pub(crate) memory: Index,
    /// What the next poll compares with; 0 for nothing.
    pub(crate) baseline: Index,
    pub(crate) looked: Option<Looked>,
    /// The version that the watch showed and the last reconcile decided upon, if that neither read the
    /// object nor wrote to it; 0 if it did. When the watch shows another, it asks for another reconcile.
    pub(crate) upon: u16,
    /// When it looks again by itself.
    pub(crate) due: Tick,
    // What follows is about the reconcile under way.
    /// The version that the watch showed it, if it began so.
    pub(crate) watched: u16,
    /// The credential that the executor holds.
    pub(crate) credential: u8,
    /// The url that the spec asked for when the object was read.
    pub(crate) wanted: u8,
    /// Whether SWR was equal to that at some time since.
    pub(crate) held: bool,
    /// Whether reads lagged, or the console took a tag off, since.
    pub(crate) excused: bool,
    /// When the acknowledged intent of this reconcile started.
    pub(crate) intent: Tick,
    /// What the mass-deletion guard said when it began.
    pub(crate) clearance: Clearance,
}

impl Controller {
    /// A fresh process with a right clock, that writes.
    pub(crate) const FRESH: Controller = Controller {
        at: At::Idle,
        uid: 0,
        ahead: 0,
        read_only: false,
        memory: 0,
        baseline: 0,
        looked: None,
        upon: 0,
        due: NEVER,
        watched: 0,
        credential: 0,
        wanted: 0,
        held: false,
        excused: false,
        intent: NEVER,
        clearance: CLEARED,
    };

    /// The same process, knowing nothing of any object.
    pub(crate) fn forgetful(&self) -> Self {
        Controller {
            ahead: self.ahead,
            read_only: self.read_only,
            ..Controller::FRESH
        }
    }

    /// What its clock says at a time.
    pub(crate) fn clock(&self, now: Tick) -> Tick {
        now.saturating_add_signed(i16::from(self.ahead))
    }

    /// When it looks again by itself, by the true time.
    pub(crate) fn due_in_truth(&self) -> Tick {
        match self.due {
            0 | NEVER => self.due,
            due => due.saturating_add_signed(-i16::from(self.ahead)),
        }
    }

    /// Forgets what is about one reconcile only.
    pub(crate) fn rest(&mut self) {
        *self = Controller {
            at: At::Idle,
            watched: 0,
            credential: 0,
            wanted: 0,
            held: false,
            excused: false,
            intent: NEVER,
            clearance: CLEARED,
            ..*self
        };
    }
}

/// How often each kind of trouble may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Requests refused, lost, answered into the void, or applied late.
    pub(crate) faults: u8,
    pub(crate) crashes: u8,
    /// Reads that show an older state.
    pub(crate) lags: u8,
    pub(crate) edits: u8,
    pub(crate) deletions: u8,
    pub(crate) recreations: u8,
    pub(crate) suspensions: u8,
    /// Changes of the deletion policy to `Orphan`.
    pub(crate) orphans: u8,
    /// Edits, deletions and removals of tags by the console.
    pub(crate) console: u8,
    /// Appearances and disappearances of a foreign registry.
    pub(crate) foreign: u8,
    pub(crate) rotations: u8,
    /// Processes whose clock is wrong from their start on.
    pub(crate) skews: u8,
    /// Ticks that a clock gains or loses.
    pub(crate) drifts: u8,
    /// Copies that the console makes of our registries.
    pub(crate) clones: u8,
    /// Restores of the object from a backup, under a new uid.
    pub(crate) restores: u8,
    /// Edits by the console that no answer shows.
    pub(crate) unseen: u8,
    /// Reconciles that begin with the object before its last change, as a watch that lags shows it.
    pub(crate) stale: u8,
    /// How often too many other objects are deleted while ours is.
    pub(crate) pauses: u8,
}

/// Registries at once, those that lagging reads still show included.
pub(crate) const REGISTRIES: usize = 4;

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Tick,
    pub(crate) object: Option<Index>,
    /// The object before its last change, where something may still show it.
    pub(crate) previous: Option<Index>,
    /// Incarnations of the object so far.
    pub(crate) uids: u8,
    /// A bit for each uid whose object was taken away by a restore.
    pub(crate) taken_away: u8,
    /// A bit for each uid that a person let go without asking SWR: `Orphan`, set when the
    /// deletion was under way.
    pub(crate) let_go: u8,
    /// Whether the mass-deletion guard pauses deletions.
    pub(crate) paused: bool,
    /// Version of the Secret.
    pub(crate) secret: u8,
    pub(crate) registries: [Option<Registry>; REGISTRIES],
    pub(crate) ids: u8,
    pub(crate) flights: [Option<Flight>; 2],
    pub(crate) controllers: [Controller; 2],
    pub(crate) term: Term,
    pub(crate) left: Budget,
}

impl State {
    /// Every registry that exists.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&Registry, Shown)> {
        self.registries
            .iter()
            .flatten()
            .filter_map(|registry| Some((registry, registry.truth?)))
    }

    /// Whether a registry with this uid's tag may stay when the object is gone.
    pub(crate) fn is_forsaken(&self, uid: u8) -> bool {
        (self.taken_away | self.let_go) & 1 << uid != 0
    }

    /// Whether a registry exists that is not a copy and was made for this object.
    pub(crate) fn has_original(&self, uid: u8) -> bool {
        self.live()
            .any(|(registry, _)| registry.made_for == uid && !registry.stripped)
    }

    /// The slot of a registry that exists.
    pub(crate) fn slot(&self, id: u8) -> Option<usize> {
        self.registries
            .iter()
            .position(|r| r.is_some_and(|r| r.id == id && r.truth.is_some()))
    }

    /// Whether SWR holds a registry with this object's tag and this url.
    pub(crate) fn holds(&self, uid: u8, url: u8) -> bool {
        self.live()
            .any(|(_, shown)| shown.mark == Mark::Uid(uid) && shown.url == url)
    }

    /// Whether a POST for this object is in flight.
    pub(crate) fn post_in_flight(&self, uid: u8) -> bool {
        self.flights.iter().flatten().any(|flight| {
            matches!(flight.what, Sent::Cloud(CloudWrite::Post { uid: of, .. }) if of == uid)
        })
    }

    /// Adds a request on the wire. `false` if there is no room.
    pub(crate) fn fly(&mut self, flight: Flight) -> bool {
        match self.flights.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(flight);
                true
            }
            None => false,
        }
    }

    /// Takes a request off the wire; those behind it move up.
    pub(crate) fn unfly(&mut self, at: usize) -> Option<Flight> {
        let flight = self.flights[at].take();
        if at == 0 {
            self.flights.swap(0, 1);
        }
        flight
    }

    /// Two controllers are alike: the order of the two is normal, and what refers to them follows.
    /// Tells whether they changed places.
    pub(crate) fn normalise(&mut self, controllers: usize) -> bool {
        let changes =
            controllers == 2 && key_of(&self.controllers[1]) < key_of(&self.controllers[0]);
        if changes {
            self.controllers.swap(0, 1);
            for flight in self.flights.iter_mut().flatten() {
                flight.by = 1 - flight.by;
            }
        }
        changes
    }

    /// Time goes on to `now`: lags that end by then are over.
    pub(crate) fn pass_time(&mut self, now: Tick) {
        self.now = now;
        for slot in &mut self.registries {
            let Some(registry) = slot else { continue };
            for lag in &mut registry.lagging {
                *lag = lag.filter(|(_, until)| now < *until);
            }
            if registry.lagging[0].is_none() {
                registry.lagging.swap(0, 1);
            }
            if registry.truth.is_none() && !registry.lags() {
                *slot = None;
            }
        }
        self.compact();
    }

    /// Leaves no gap between registries.
    pub(crate) fn compact(&mut self) {
        let mut kept = [None; REGISTRIES];
        for (slot, registry) in kept.iter_mut().zip(self.registries.iter().flatten()) {
            *slot = Some(*registry);
        }
        self.registries = kept;
    }
}

type Key = (
    u8,
    Index,
    Index,
    u8,
    Index,
    Index,
    Tick,
    (bool, bool, bool, bool, i8),
    (Tick, u16, u16),
);

fn key_of(controller: &Controller) -> Key {
    let (kind, a, b) = match controller.at {
        At::Idle => (0, 0, 0),
        At::Effect(effect) => (1, effect, 0),
        At::Waiting(effect) => (2, effect, 0),
        At::Status {
            ending,
            base,
            attempt,
        } => (3 + attempt, ending, base),
    };
    (
        kind,
        a,
        b,
        controller.uid,
        controller.memory,
        controller.baseline,
        controller.due,
        (
            controller.held,
            controller.excused,
            controller.read_only,
            controller.clearance == Clearance::Paused,
            controller.ahead,
        ),
        (controller.intent, controller.upon, controller.watched),
    )
}
