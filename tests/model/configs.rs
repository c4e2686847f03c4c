//! What is explored: the truth in many configurations, and lies that must be found out.

use swr_operator_api::registry::AdoptionPolicy;

use crate::core::Setting;
use crate::lease;
use crate::moves::{Config, Expected, Lie};
use crate::watching;
use crate::world::{Budget, Mark};

pub(crate) const NOTHING: Budget = Budget {
    faults: 0,
    crashes: 0,
    lags: 0,
    edits: 0,
    deletions: 0,
    recreations: 0,
    suspensions: 0,
    orphans: 0,
    console: 0,
    foreign: 0,
    rotations: 0,
    skews: 0,
    drifts: 0,
    clones: 0,
    restores: 0,
    unseen: 0,
    stale: 0,
    pauses: 0,
};

const SETTING: Setting = Setting {
    settle: 2,
    write: 1,
    believed: (2, 1),
    adoption: AdoptionPolicy::Never,
    shows_key: true,
    shows_updates: false,
    skew: 0,
    lacks_room: false,
};

pub(crate) fn one(name: &'static str, left: Budget) -> Config {
    Config {
        name,
        controllers: 1,
        horizon: 5,
        setting: SETTING,
        left,
        unique_names: false,
        foreign: None,
        slow: false,
        read_only: [false; 2],
        restarts_reading: false,
        lease: None,
        lie: Lie::None,
        expected: Expected::Holds,
    }
}

/// Two controllers at once, as when a deposed leader does not know it yet.
pub(crate) fn two(name: &'static str, left: Budget) -> Config {
    Config {
        controllers: 2,
        horizon: 3,
        ..one(name, left)
    }
}

pub(crate) fn adopting(config: Config) -> Config {
    Config {
        setting: Setting {
            adoption: AdoptionPolicy::IfUnowned,
            ..config.setting
        },
        foreign: Some(Mark::Untagged),
        ..config
    }
}

/// Clocks that are wrong, by more than anything takes to settle.
fn skewed(config: Config) -> Config {
    Config {
        setting: Setting {
            skew: 3,
            ..config.setting
        },
        ..config
    }
}

/// As where room for a write is scarce.
fn crowded(config: Config) -> Config {
    Config {
        setting: Setting {
            lacks_room: true,
            ..config.setting
        },
        ..config
    }
}

/// With a tick to spare between what is true and what is believed, for a clock that drifts.
fn spared(config: Config) -> Config {
    skewed(Config {
        setting: Setting {
            settle: 3,
            believed: (3, 1),
            ..config.setting
        },
        ..config
    })
}

/// Whoever deletes, creates anew or restores finds that specs allow adoption.
fn adopting_later(config: Config) -> Config {
    Config {
        foreign: None,
        ..adopting(config)
    }
}

/// Small enough for every `cargo test`, in a build without optimisation.
pub(crate) fn small() -> Vec<Config> {
    let b = NOTHING;
    vec![
        one("no trouble", b),
        one("fault", Budget { faults: 1, ..b }),
        one("crash", Budget { crashes: 1, ..b }),
        one("2 crashes", Budget { crashes: 2, ..b }),
        one("lag", Budget { lags: 2, ..b }),
        one(
            "delete, create anew",
            Budget {
                deletions: 1,
                recreations: 1,
                ..b
            },
        ),
        one("console", Budget { console: 1, ..b }),
        one("Secret rotates", Budget { rotations: 1, ..b }),
        one(
            "Orphan",
            Budget {
                orphans: 1,
                deletions: 1,
                ..b
            },
        ),
        adopting(one("adoption", Budget { crashes: 1, ..b })),
        one(
            "fault, delete",
            Budget {
                faults: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "delete, paused",
            Budget {
                deletions: 1,
                pauses: 1,
                ..b
            },
        ),
        one(
            "watch, edit",
            Budget {
                stale: 1,
                edits: 1,
                ..b
            },
        ),
        two("2 controllers", b),
        lease::replaced(two("lease lost, fault", Budget { faults: 1, ..b })),
    ]
}

/// What `cargo dev model` explores.
pub(crate) fn full() -> Vec<Config> {
    let b = NOTHING;
    let mut all = small();
    all.extend([
        one(
            "fault, crash, lag, edit, delete",
            Budget {
                faults: 1,
                crashes: 1,
                lags: 1,
                edits: 1,
                deletions: 1,
                ..b
            },
        ),
        Config {
            unique_names: true,
            slow: true,
            ..one(
                "2 faults, crash, slow answers, unique names",
                Budget {
                    faults: 2,
                    crashes: 1,
                    ..b
                },
            )
        },
        one(
            "fault, edit, delete, create anew",
            Budget {
                faults: 1,
                edits: 1,
                deletions: 1,
                recreations: 1,
                ..b
            },
        ),
        Config {
            setting: Setting {
                settle: 4,
                write: 2,
                believed: (4, 2),
                ..SETTING
            },
            ..one(
                "fault, crash, lag, finer clock",
                Budget {
                    faults: 1,
                    crashes: 1,
                    lags: 1,
                    ..b
                },
            )
        },
        one(
            "2 of the console, lag, fault",
            Budget {
                console: 2,
                lags: 1,
                faults: 1,
                ..b
            },
        ),
        one(
            "2 of strangers, fault, delete",
            Budget {
                foreign: 2,
                faults: 1,
                deletions: 1,
                ..b
            },
        ),
        Config {
            foreign: Some(Mark::Stranger),
            unique_names: true,
            ..one(
                "stranger's tag, fault, unique names",
                Budget {
                    foreign: 2,
                    faults: 1,
                    deletions: 1,
                    ..b
                },
            )
        },
        one(
            "suspend, resume, fault, edit, delete",
            Budget {
                suspensions: 2,
                faults: 1,
                edits: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "Orphan, fault, delete, create anew",
            Budget {
                orphans: 1,
                faults: 1,
                deletions: 1,
                recreations: 1,
                ..b
            },
        ),
        adopting(one(
            "adoption, fault, crash, console, delete",
            Budget {
                faults: 1,
                crashes: 1,
                console: 1,
                deletions: 1,
                ..b
            },
        )),
        adopting(one(
            "adoption, fault, lag, console",
            Budget {
                faults: 1,
                lags: 1,
                console: 1,
                ..b
            },
        )),
        Config {
            setting: Setting {
                shows_key: false,
                ..SETTING
            },
            ..one(
                "Secret rotates, key not shown, crash, edit",
                Budget {
                    rotations: 1,
                    crashes: 1,
                    edits: 1,
                    ..b
                },
            )
        },
        one(
            "Secret rotates, fault, crash",
            Budget {
                rotations: 1,
                faults: 1,
                crashes: 1,
                ..b
            },
        ),
        two("2 controllers, fault", Budget { faults: 1, ..b }),
        two("2 controllers, crash", Budget { crashes: 1, ..b }),
        two("2 controllers, lag", Budget { lags: 1, ..b }),
        two("2 controllers, edit", Budget { edits: 1, ..b }),
        two(
            "2 controllers, delete, create anew",
            Budget {
                deletions: 1,
                recreations: 1,
                ..b
            },
        ),
        Config {
            horizon: 2,
            ..two("2 controllers, console", Budget { console: 1, ..b })
        },
    ]);
    all.extend(lease::all());
    all.extend(crowds());
    all.extend(watching::all());
    all.extend(clocks());
    all.extend(copies());
    all.extend(restores());
    all.extend(letting_go());
    all.extend(readers());
    all.extend(guarded());
    all.extend(unseen());
    all
}

/// Room for a write is waited for, and refused.
fn crowds() -> Vec<Config> {
    let b = NOTHING;
    vec![
        crowded(one(
            "waits for room, fault, crash, edit",
            Budget {
                faults: 1,
                crashes: 1,
                edits: 1,
                ..b
            },
        )),
        crowded(adopting(one(
            "waits for room, adoption, fault, delete",
            Budget {
                faults: 1,
                deletions: 1,
                recreations: 1,
                ..b
            },
        ))),
        crowded(two("2 controllers wait for room", b)),
    ]
}

/// One clock per process, which is wrong from the start or drifts.
fn clocks() -> Vec<Config> {
    let b = NOTHING;
    vec![
        skewed(one(
            "clocks, fault, crash",
            Budget {
                skews: 1,
                faults: 1,
                crashes: 1,
                ..b
            },
        )),
        skewed(one(
            "clocks, fault, crash, delete",
            Budget {
                skews: 1,
                faults: 1,
                crashes: 1,
                deletions: 1,
                ..b
            },
        )),
        skewed(one(
            "clocks, lag, crash, console",
            Budget {
                skews: 1,
                lags: 1,
                crashes: 1,
                console: 1,
                ..b
            },
        )),
        spared(one(
            "drift, clocks, fault, crash",
            Budget {
                skews: 1,
                drifts: 1,
                faults: 1,
                crashes: 1,
                ..b
            },
        )),
        skewed(two("2 controllers, clocks", Budget { skews: 1, ..b })),
    ]
}

/// Copies that carry our tag.
fn copies() -> Vec<Config> {
    let b = NOTHING;
    vec![
        one(
            "copy, edit, delete",
            Budget {
                clones: 1,
                edits: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "copy, fault, crash, delete",
            Budget {
                clones: 1,
                faults: 1,
                crashes: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "copy, console, delete",
            Budget {
                clones: 1,
                console: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "2 copies, console, crash",
            Budget {
                clones: 2,
                console: 1,
                crashes: 1,
                ..b
            },
        ),
    ]
}

/// The object comes back under another uid.
fn restores() -> Vec<Config> {
    let b = NOTHING;
    let restored = Budget {
        restores: 1,
        faults: 1,
        crashes: 1,
        ..b
    };
    let mut all = vec![
        one("restore, fault, crash", restored),
        one(
            "restore, delete",
            Budget {
                restores: 1,
                deletions: 1,
                ..b
            },
        ),
        adopting_later(one("restore, fault, crash, IfUnowned", restored)),
    ];
    let rebuilding = |config: Config| Config {
        setting: Setting {
            adoption: AdoptionPolicy::Rebuild,
            ..config.setting
        },
        ..config
    };
    all.push(rebuilding(one("Rebuild, fault, crash", restored)));
    all.push(rebuilding(one(
        "Rebuild, fault, delete",
        Budget {
            restores: 1,
            faults: 1,
            deletions: 1,
            ..b
        },
    )));
    all
}

/// `Orphan`, and who takes over what it left.
fn letting_go() -> Vec<Config> {
    let b = NOTHING;
    vec![adopting_later(one(
        "Orphan, fault, crash, delete, adopted anew",
        Budget {
            orphans: 1,
            faults: 1,
            crashes: 1,
            deletions: 1,
            recreations: 1,
            ..b
        },
    ))]
}

/// Processes that only read.
fn readers() -> Vec<Config> {
    let b = NOTHING;
    vec![
        Config {
            read_only: [true; 2],
            ..one(
                "read-only, edit, delete",
                Budget {
                    edits: 1,
                    deletions: 1,
                    ..b
                },
            )
        },
        Config {
            restarts_reading: true,
            ..one(
                "read-only after a crash, console, edit, delete",
                Budget {
                    crashes: 1,
                    console: 1,
                    edits: 1,
                    deletions: 1,
                    ..b
                },
            )
        },
        Config {
            read_only: [false, true],
            ..two(
                "2 controllers, one read-only, delete",
                Budget { deletions: 1, ..b },
            )
        },
    ]
}

/// Deletions that the mass-deletion guard pauses.
fn guarded() -> Vec<Config> {
    vec![one(
        "paused, fault, crash, delete, Orphan",
        Budget {
            pauses: 1,
            faults: 1,
            crashes: 1,
            deletions: 1,
            orphans: 1,
            ..NOTHING
        },
    )]
}

fn showing(config: Config) -> Config {
    Config {
        setting: Setting {
            shows_updates: true,
            shows_key: false,
            ..config.setting
        },
        ..config
    }
}

/// Changes that no answer shows, of which `updated_at` tells.
fn unseen() -> Vec<Config> {
    let b = NOTHING;
    vec![
        showing(one(
            "unseen edit, crash, edit",
            Budget {
                unseen: 1,
                crashes: 1,
                edits: 1,
                ..b
            },
        )),
        showing(one(
            "2 unseen edits, crash",
            Budget {
                unseen: 2,
                crashes: 1,
                ..b
            },
        )),
    ]
}

/// What the protocol cannot do, step by step.
pub(crate) fn limits() -> Vec<Config> {
    vec![Config {
        setting: Setting {
            shows_key: false,
            ..SETTING
        },
        expected: Expected::KnownLimit,
        // SWR shows no secret: that an old PUT landed after the newest one cannot be seen.
        ..one(
            "limit: Secret rotates, key not shown, late PUT, edit",
            Budget {
                rotations: 1,
                faults: 1,
                edits: 1,
                ..NOTHING
            },
        )
    }]
}

/// Lies that must be found out: if one is not, the checker is blind or a rule is idle.
pub(crate) fn lies() -> Vec<Config> {
    let b = NOTHING;
    let lie = |lie, config| Config {
        lie,
        expected: Expected::FoundOut,
        ..config
    };
    let mut all = vec![
        Config {
            setting: Setting {
                believed: (0, 0),
                ..SETTING
            },
            ..lie(
                Lie::NothingToSettle,
                one("minus the settle time", Budget { faults: 1, ..b }),
            )
        },
        lie(Lie::AcceptsStaleWrites, two("minus compare-and-swap", b)),
        lie(Lie::ForgetsIntent, one("minus the intent", b)),
        lie(Lie::ForgetsFinalizer, one("minus the finalizer", b)),
        Config {
            foreign: Some(Mark::Untagged),
            ..lie(Lie::TagsEverything, one("minus the tag", b))
        },
        lie(
            Lie::ListsNothingWhileRemoving,
            one(
                "minus the LIST of a deletion",
                Budget {
                    faults: 1,
                    deletions: 1,
                    ..b
                },
            ),
        ),
        lie(
            Lie::ShowsOldObject,
            one(
                "minus the quorum read",
                Budget {
                    faults: 1,
                    lags: 1,
                    ..b
                },
            ),
        ),
        lie(
            Lie::ShowsNamesake,
            one(
                "minus the uid",
                Budget {
                    deletions: 1,
                    recreations: 1,
                    ..b
                },
            ),
        ),
        lie(
            Lie::SendsTooLate,
            two("minus the look at the clock before a POST", b),
        ),
        lie(
            Lie::KnownLongAgo,
            one(
                "minus the wait before a 404 is believed",
                Budget { lags: 3, ..b },
            ),
        ),
        skewed(lie(
            Lie::ClocksAreOne,
            one(
                "minus the clock of each process",
                Budget {
                    skews: 1,
                    faults: 1,
                    crashes: 1,
                    ..b
                },
            ),
        )),
        lie(
            Lie::NamesTheCopy,
            one(
                "minus the id of the original",
                Budget {
                    clones: 1,
                    deletions: 1,
                    ..b
                },
            ),
        ),
        adopting_later(lie(
            Lie::DeniesUnknown,
            one(
                "minus the wait before an Orphan goes",
                Budget {
                    orphans: 1,
                    faults: 1,
                    deletions: 1,
                    recreations: 1,
                    ..b
                },
            ),
        )),
        Config {
            read_only: [true; 2],
            ..lie(Lie::ForgetsReadOnly, one("minus --read-only", b))
        },
        lie(
            Lie::ForgetsPause,
            one(
                "minus the mass-deletion guard",
                Budget {
                    deletions: 1,
                    pauses: 1,
                    ..b
                },
            ),
        ),
        skewed(lie(
            Lie::ClockSleeps,
            two(
                "assumption broken: a clock sleeps",
                Budget { drifts: 1, ..b },
            ),
        )),
        lie(
            Lie::LandsTooLate,
            one(
                "assumption broken: lands within T_settle of sending",
                Budget { faults: 1, ..b },
            ),
        ),
        lie(
            Lie::LandsStatusLate,
            one(
                "assumption broken: status lands after next reconcile",
                Budget { faults: 2, ..b },
            ),
        ),
        Config {
            expected: Expected::KnownLimit,
            // What lands between a write of ours and the read that verifies it is taken for that.
            ..showing(one(
                "limit: unseen edit, late PUT, Secret rotates",
                Budget {
                    unseen: 1,
                    faults: 1,
                    rotations: 1,
                    ..NOTHING
                },
            ))
        },
    ];
    all.extend(lease::lies());
    all
}
