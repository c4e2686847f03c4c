//! Explores every interleaving of the shipped `step` with a hostile world, within small bounds.
//! `cargo test` explores little; `cargo dev model` explores all and prints a table.
//!
//! The modelled world is an API server with one object name, an SWR instance and one or two
//! controllers. Everything that a controller decides is decided by the product: `start`,
//! `resume`, `status`, `requeue`, `with_intent`, `with_id` and the comparison of a poll.
//!
//! What may happen, each as often as the configuration allows: a controller crashes before any
//! effect, with requests still on the wire; a request is refused, lost, carried out without an
//! answer, carried out late, answered slowly or without an id; LIST and SHOW show a registry as
//! it was before its last writes; passes begin at any time, also for an older incarnation; the
//! user edits, deletes, creates anew, suspends, changes the deletion policy; the Secret is
//! rotated; the console edits, deletes, takes the tag off; a foreign registry comes and goes.
//!
//! Safety is judged when a request is applied (`moves`), liveness from every state by following
//! its quiet continuation to rest (`quiet`).
//!
//! What is abstracted: time is a clock of one-minute ticks (T_settle two of them, a write one) that stops when
//! nothing young is left to wait for, because then only differences of old times are left, which
//! decide nothing; times of conditions and of the credential's sending are made equal; versions
//! are reused once nobody holds them; of the queue only its promises are kept (a change after the
//! look, a due time, or a poll that differs leads to a pass). Accounts, grants and the Secret's
//! absence do not change. Assumed: a request to SWR lands, and is visible, within the write
//! window after it was sent or never; a status write that was given up lands before its writer
//! looks at the object again or never. Both assumptions are broken on purpose by `lies`.

mod configs;
mod core;
mod explore;
mod moves;
mod quiet;
mod world;

use std::fmt::Write as _;

use explore::{Report, explore};
use moves::Lie;

/// More states than any configuration has; beyond it, the exploration is not exhaustive.
const STATES_MAX: usize = 12_000_000;

fn line(report: &Report) -> String {
    let lied = report.config.lie != Lie::None;
    let verdict = match (report.found.is_empty(), lied) {
        (true, false) => "holds",
        (false, false) => "VIOLATED",
        (true, true) => "NOT FOUND OUT",
        (false, true) => "found out",
    };
    let capped = if report.capped { " (capped)" } else { "" };
    format!(
        "{:<49} {:>8} {:>9} {:>5} {:>8} {:>7} {:>6.2}  {verdict}{capped}\n",
        report.config.name,
        report.states,
        report.transitions,
        report.depth,
        report.continued,
        report.calls,
        report.seconds,
    )
}

/// Explores, and tells everything. `true` if all is well.
fn all_is_well(configs: Vec<moves::Config>, told: &mut String) -> bool {
    let mut well = true;
    for config in configs {
        let report = explore(config, STATES_MAX);
        let lied = config.lie != Lie::None;
        let mut text = line(&report);
        for found in &report.found {
            let _ = writeln!(text, "    {} ({} times)", found.what, found.times);
            for step in &found.trace {
                let _ = writeln!(text, "      {step}");
            }
        }
        say(&text);
        told.push_str(&text);
        well &= report.found.is_empty() != lied && !report.capped;
    }
    well
}

#[expect(clippy::print_stdout, reason = "the table is what this is run for")]
fn say(text: &str) {
    print!("{text}");
}

const HEADING: &str = "\
configuration                                       states     steps depth    quiet   calls  secs
";

fn check(configs: Vec<moves::Config>) {
    say(HEADING);
    let mut told = String::new();
    assert!(all_is_well(configs, &mut told), "\n{told}");
}

#[test]
fn the_protocol_holds_within_small_bounds() {
    check(configs::small());
}

#[test]
fn every_lie_of_the_world_is_found_out() {
    check(configs::lies());
}

#[test]
#[ignore = "takes two minutes with optimisation: cargo dev model"]
fn the_protocol_holds_within_all_bounds() {
    let mut all = configs::full();
    all.extend(configs::lies());
    check(all);
}
