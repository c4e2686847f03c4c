//! Reconciles that begin with what the watch shows (rule 1).

use crate::configs::{NOTHING, adopting, one, two};
use crate::moves::Config;
use crate::world::Budget;

/// It may be older than what stands.
pub(crate) fn all() -> Vec<Config> {
    let b = Budget {
        stale: 1,
        ..NOTHING
    };
    vec![
        one(
            "watch, 2 stale, 2 edits",
            Budget {
                stale: 2,
                edits: 2,
                ..b
            },
        ),
        one(
            "watch, fault, crash",
            Budget {
                faults: 1,
                crashes: 1,
                ..b
            },
        ),
        one(
            "watch, fault, edit",
            Budget {
                faults: 1,
                edits: 1,
                ..b
            },
        ),
        one(
            "watch, crash, edit, delete",
            Budget {
                crashes: 1,
                edits: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "watch, fault, delete, create anew",
            Budget {
                faults: 1,
                deletions: 1,
                recreations: 1,
                ..b
            },
        ),
        one(
            "watch, suspend, resume, lag, edit",
            Budget {
                suspensions: 2,
                lags: 1,
                edits: 1,
                ..b
            },
        ),
        one(
            "watch, Orphan, delete",
            Budget {
                orphans: 1,
                deletions: 1,
                ..b
            },
        ),
        one(
            "watch, console, edit",
            Budget {
                console: 1,
                edits: 1,
                ..b
            },
        ),
        adopting(one(
            "watch, adoption, fault, delete",
            Budget {
                faults: 1,
                deletions: 1,
                ..b
            },
        )),
        Config {
            horizon: 1,
            ..two("2 controllers, watch, crash", Budget { crashes: 1, ..b })
        },
        Config {
            horizon: 1,
            ..two("2 controllers, watch, delete", Budget { deletions: 1, ..b })
        },
    ]
}
