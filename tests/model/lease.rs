//! The lease in the model: two controllers of which the first leads at the beginning, cannot renew, and is replaced. It goes
//! on with the reconcile that is under way, as a process that was stopped does. Judges S8.

use crate::configs::{NOTHING, adopting, two};
use crate::core::Setting;
use crate::moves::{Config, Expected, Label, Lie, Step, World, Wrong, push};
use crate::world::{BEGIN, Budget, Sent, State, Tick};

/// The windows of the lease in ticks, both since the first controller's last renewal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// The first one begins writes and reconciles until then.
    pub(crate) renew: Tick,
    /// The second one begins then or later.
    pub(crate) duration: Tick,
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    /// There is no lease: all do as they like.
    All,
    /// The first one, until its fence.
    First,
    /// The first one, and it renews: only where there is no more trouble.
    Renewed,
    /// The second one. The first does not know it yet.
    Second,
}

impl World {
    /// Whether this controller may begin a reconcile or a write.
    pub(crate) fn leads(&self, state: &State, k: usize) -> bool {
        let fence = self.config.lease.map_or(0, |lease| BEGIN + lease.renew);
        match state.term {
            Term::All => true,
            Term::First => k == 0 && state.now <= fence,
            Term::Renewed => k == 0,
            Term::Second => k == 1,
        }
    }

    /// Whether a write is not sent, because `k` does not lead. `lie`: whoever should look at the fence does not.
    pub(crate) fn is_fenced(&self, state: &State, k: usize, lie: Lie) -> bool {
        !self.leads(state, k) && self.config.lie != lie
    }

    /// The second controller takes over, any time after the lease has expired.
    pub(crate) fn hand_over(&self, state: &State, out: &mut Vec<Step>) {
        let Some(lease) = self.config.lease else {
            return;
        };
        if state.term == Term::First && state.now >= BEGIN + lease.duration {
            let mut next = *state;
            next.term = Term::Second;
            push(out, Label::Other("B takes the lease over"), next, None);
        }
    }

    /// What must hold when a write to SWR is sent.
    pub(crate) fn two_writers(&self, state: &State, k: usize) -> Wrong {
        let mut flights = state.flights.iter().flatten();
        let meets = flights.any(|it| matches!(it.what, Sent::Cloud(_)) && usize::from(it.by) != k);
        (self.config.lease.is_some() && meets)
            .then_some("S8 a write while one of another process is under way")
    }
}

/// Two controllers of which the first leads, and is replaced as soon as the windows allow: R + W = L.
pub(crate) fn replaced(config: Config) -> Config {
    Config {
        lease: Some(Windows {
            renew: 1,
            duration: 1 + config.setting.write,
        }),
        ..config
    }
}

/// The first controller loses the lease in the middle of what it does, and the second one goes on.
pub(crate) fn all() -> Vec<Config> {
    let b = NOTHING;
    let slower = |config: Config| Config {
        horizon: 5,
        slow: true,
        setting: Setting {
            settle: 4,
            write: 2,
            believed: (4, 2),
            ..config.setting
        },
        ..config
    };
    let with = |faults, edits, deletions| Budget {
        faults,
        edits,
        deletions,
        recreations: deletions,
        ..b
    };
    vec![
        replaced(two("lease lost, edit", with(0, 1, 0))),
        replaced(two("lease lost, crash", Budget { crashes: 1, ..b })),
        replaced(two("lease lost, delete, create anew", with(0, 0, 1))),
        replaced(two("lease lost, fault, edit", with(1, 1, 0))),
        replaced(two("lease lost, fault, delete, create anew", with(1, 0, 1))),
        replaced(adopting(two("lease lost, adopting, fault", with(1, 0, 0)))),
        replaced(slower(two("lease lost, slow writes, fault", with(1, 0, 0)))),
        replaced(slower(two("lease lost, slow writes, edit", with(0, 1, 0)))),
    ]
}

/// Lies that must be found out.
pub(crate) fn lies() -> Vec<Config> {
    let fault = Budget {
        faults: 1,
        ..NOTHING
    };
    let edit = Budget { edits: 1, ..fault };
    let lie = |lie, config| Config {
        lie,
        horizon: 2,
        expected: Expected::FoundOut,
        ..replaced(config)
    };
    let no_room = Windows {
        renew: 2,
        duration: 2,
    };
    let room = two("minus room for a write in the lease", edit);
    vec![
        lie(Lie::ForgetsFence, two("minus the fence before SWR", edit)),
        lie(
            Lie::ForgetsFenceOfObject,
            two("minus the fence before Kubernetes", fault),
        ),
        Config {
            lease: Some(no_room),
            ..lie(Lie::None, room)
        },
    ]
}
