//! Explores every interleaving of the shipped `step` with a hostile world, within small bounds.
//! `cargo test` explores little; `cargo dev model` explores all and prints a table.
//!
//! The modelled world is an API server with one object name, an SWR instance and one or two
//! controllers. Everything that a controller decides is decided by the product: `start`,
//! `resume`, `status`, `requeue`, `with_intent`, `with_id`, `with_found` and the comparison of a poll.
//!
//! What may happen, each as often as the configuration allows: a controller crashes before any
//! effect, with requests still on the wire; a request is refused, lost, carried out without an
//! answer, carried out late, answered slowly or without an id; LIST and SHOW show a registry as
//! it was before its last writes; reconciles begin at any time, also for an older incarnation; the
//! user edits, deletes, creates anew, suspends, changes the deletion policy; the Secret is
//! rotated; the console edits, deletes, takes the tag off, copies our registry with its tag,
//! changes what no answer shows; a foreign registry comes and goes; a restore from a backup puts
//! another object in the place of ours. Each process has a clock of its own, which may be wrong
//! from its start on by more than anything takes to settle, and may gain or lose a tick, but never
//! goes back while the process runs. A process may be one that only reads. Of two processes one may hold a lease and lose
//! it (`lease`); without one, both do as they like. The mass-deletion guard may pause a deletion, and an administrator lets
//! it through.
//!
//! Safety is judged when a request is applied (`moves`), liveness from every state by following
//! its quiet continuation to rest (`quiet`).
//!
//! Whole lives of objects, with every field and every kind of failure, are the matter of `matrix`.
//!
//! What is abstracted: time is a clock of coarse ticks (T_settle two or three of them, a write one
//! or two) that stands still when nothing young is left to wait for, because then only old times
//! are left, which decide nothing by any clock that may read them; times of a status are made
//! equal, for nothing is decided by them, but for an intent's, which tells it from others;
//! versions are reused once nobody holds them; of the queue only its promises are kept (a change
//! after the look, a due time, or a poll that differs leads to a reconcile). Accounts, grants and the
//! Secret's absence do not change; the target is always healthy. Assumed: a request to SWR lands,
//! and is visible, within the write window after it was sent or never; a status write that was
//! given up lands before its writer looks at the object again or never. Both assumptions are
//! broken on purpose by `lies`.

mod age;
mod ask;
mod configs;
mod core;
mod explore;
mod facts;
mod kube;
mod lease;
mod matrix;
mod moves;
mod people;
mod prints;
mod quiet;
mod swr;
mod watching;
mod world;

use std::fmt::Write as _;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use explore::{Report, explore};
use moves::{Config, Expected};

/// More states than any configuration has; beyond it, the exploration is not exhaustive.
const STATES_MAX: usize = 12_000_000;

fn verdict(report: &Report) -> &'static str {
    match (report.config.expected, report.found.is_empty()) {
        (Expected::Holds, true) => "holds",
        (Expected::Holds, false) => "VIOLATED",
        (Expected::FoundOut, true) => "NOT FOUND OUT",
        (Expected::FoundOut, false) => "found out",
        (Expected::KnownLimit, true) => "HOLDS NOW: move it to what must hold",
        (Expected::KnownLimit, false) => "known limit",
    }
}

fn row(report: &Report) -> String {
    format!(
        "{:<54} {:>8} {:>8} {:>5} {:>8} {:>7} {:>6.2}  {}{}\n",
        report.config.name,
        report.states,
        report.transitions,
        report.depth,
        report.continued,
        report.calls,
        report.seconds,
        verdict(report),
        if report.capped { " (capped)" } else { "" },
    )
}

/// The first violation of each kind, step by step.
fn traces(report: &Report) -> String {
    let mut text = String::new();
    for found in &report.found {
        let _ = writeln!(text, "    {} ({} times)", found.what, found.times);
        for step in &found.trace {
            let _ = writeln!(text, "      {step}");
        }
    }
    text
}

#[expect(clippy::print_stdout, reason = "the table is what this is run for")]
fn say(text: &str) {
    print!("{text}");
}

const HEADING: &str = "
configuration                                            states    steps depth    quiet   calls   secs
";

/// Explores all, tells everything, and fails unless each is as expected.
fn check(mut configs: Vec<Config>) {
    let only = std::env::var_os(ONLY).unwrap_or_default();
    let only = only.to_string_lossy();
    configs.retain(|it| it.name.contains(&*only));
    say(HEADING);
    let mut wrong = String::new();
    let (mut states, mut steps, mut seconds) = (0, 0, 0.0);
    for report in explore_all(configs) {
        states += report.states;
        steps += report.transitions;
        seconds += report.seconds;
        let holds = report.config.expected == Expected::Holds;
        if holds != report.found.is_empty() || report.capped {
            wrong.push_str(&row(&report));
            wrong.push_str(&traces(&report));
        }
    }
    say(&format!("{states} states, {steps} steps, {seconds:.1} s\n"));
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Explores one configuration on each processor, and tells of each when it is done. A report for each, or a panic.
fn explore_all(configs: Vec<Config>) -> Vec<Report> {
    let (count, threads) = (configs.len(), thread::available_parallelism());
    let left = Mutex::new(configs.into_iter());
    let done = Mutex::new(Vec::new());
    let next = || left.lock().expect("no panic").next();
    thread::scope(|scope| {
        for _ in 0..threads.map_or(1, NonZero::get).min(count) {
            scope.spawn(|| {
                while let Some(config) = next() {
                    let report = explore(config, STATES_MAX);
                    let mut done = done.lock().expect("no panic");
                    say(&format!("{}{}", row(&report), traces(&report)));
                    done.push(report);
                }
            });
        }
    });
    let done = done.into_inner().expect("no panic");
    assert_eq!(done.len(), count, "a configuration without a report");
    done
}

/// Set by `cargo dev model`, which explores all with optimisation, in some minutes.
const ALL: &str = "SWR_MODEL_ALL";
/// Only the configurations whose names contain this are explored.
const ONLY: &str = "SWR_MODEL_ONLY";

#[test]
fn the_protocol_holds_within_its_bounds() {
    if std::env::var_os(ALL).is_some() {
        check(configs::full());
        check(configs::limits());
    } else {
        check(configs::small());
    }
}

#[test]
fn every_lie_of_the_world_is_found_out() {
    check(configs::lies());
}
