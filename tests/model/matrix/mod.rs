//! Every fault at every request of whole lives, and pairs of faults by lot: the shipped `step`, `status` and `requeue` between
//! objects that answer effects and the simulator's SWR, in virtual time. [`crate::explore`] takes small worlds in every
//! order; this takes lives as people lead them, with every field and every way in which a request can fail, in one order.
//!
//! The life without a fault comes first. Its n-th request is then struck by everything that can happen there
//! (`faults::Fault::at`), and the life goes on to its end. One oracle judges every life: S2 to S9 when a write is sent or
//! carried out, and at each rest what SWR and the objects truly hold (`oracle`); budgets of writes and of time; and three
//! polls at the end that must write nothing. Lies of the world show that the oracle bites.
//!
//! What is real: everything that decides, and SWR's rules, which are the simulator's. What is not: HTTP and its classes,
//! which `swr` tests for itself; the API server; the queue, of which only the promises are kept; one process at a time.

mod cloud;
mod cluster;
mod faults;
mod oracle;
mod run;
mod workloads;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::moves::Lie;
use crate::{ALL, ONLY, say};
use faults::{Fault, Point};
use run::{Choice, Outcome, Planned, Run};
use workloads::Workload;

/// Draws other lots.
const SEED: &str = "SWR_MATRIX_SEED";
/// Whose lots are drawn where none is given, so that a change is judged by itself. Of other lots one in 100,000 pairs finds
/// what is no fault of the change: look at it, and mend it by itself.
const USUAL_SEED: u64 = 2;
/// Pairs of faults with `cargo dev model`, and with every `cargo test`.
const PAIRS_OF_ALL: usize = 50_000;
const PAIRS: usize = 1_000;
/// Of so many lives with one fault every `cargo test` takes one, by lot; `cargo dev model` takes all.
const ONE_IN: usize = 20;
/// Wait after failures at most, T_settle, and the minute of L1.
const RECOVERY_SECS_MAX: i64 = 600 + 120 + 60;
/// So many more writes to SWR may one fault cost: to find out what became of one, to send it again, and to correct what
/// landed late.
const WRITES_MAX: usize = 4;
/// And writes to objects: a status that says what is wrong, one that says that it is right, and the intent of another
/// attempt with its id.
const KUBE_WRITES_MAX: usize = 8;

/// A life without a fault, by which those with faults are measured.
struct Reference {
    workload: Workload,
    points: Vec<Point>,
    written_to_swr: usize,
    written_to_kube: usize,
}

/// A life to be lived.
struct Job {
    of: usize,
    plan: Vec<Planned>,
}

/// What all lives were like.
#[derive(Default)]
struct Totals {
    runs: usize,
    requests: usize,
    struck: BTreeMap<Fault, usize>,
    writes_struck: BTreeMap<Point, usize>,
    recovery_secs: i64,
    more_writes: usize,
    more_kube_writes: usize,
    /// What was wrong, how often, and in which life first.
    wrong: BTreeMap<String, (usize, usize, Vec<Planned>)>,
}

impl Totals {
    fn add(&mut self, reference: &Reference, job: &Job, outcome: Outcome) {
        self.runs += 1;
        self.requests += outcome.points.len();
        for (point, fault) in &outcome.struck {
            *self.struck.entry(*fault).or_default() += 1;
            if point.writes_to_swr() {
                *self.writes_struck.entry(*point).or_default() += 1;
            }
        }
        let n_struck = outcome.struck.len();
        let more = |is: usize, was: usize| is.saturating_sub(was).div_ceil(n_struck.max(1));
        let more_writes = more(outcome.written_to_swr, reference.written_to_swr);
        let more_kube_writes = more(outcome.written_to_kube, reference.written_to_kube);
        self.more_writes = self.more_writes.max(more_writes);
        self.more_kube_writes = self.more_kube_writes.max(more_kube_writes);
        let asks = outcome.struck.iter().map(|(_, fault)| fault.asks_secs());
        let fight_secs = if outcome.fought { 3_600 } else { 0 };
        let recovery_secs = outcome.recovery_secs - fight_secs - asks.sum::<i64>();
        self.recovery_secs = self.recovery_secs.max(recovery_secs);
        let mut wrong = outcome.wrong;
        for (is_wrong, text) in [
            (more_writes > WRITES_MAX, "S2 writes without end to SWR"),
            (
                more_kube_writes > KUBE_WRITES_MAX,
                "S9 writes without end to objects",
            ),
            (recovery_secs > RECOVERY_SECS_MAX, "L1 too late"),
        ] {
            if is_wrong {
                wrong.push(text.to_owned());
            }
        }
        for text in wrong {
            let first = || (0, job.of, job.plan.clone());
            self.wrong.entry(text).or_insert_with(first).0 += 1;
        }
    }

    fn merge(&mut self, other: Totals) {
        self.runs += other.runs;
        self.requests += other.requests;
        for (fault, n) in other.struck {
            *self.struck.entry(fault).or_default() += n;
        }
        for (point, n) in other.writes_struck {
            *self.writes_struck.entry(point).or_default() += n;
        }
        self.recovery_secs = self.recovery_secs.max(other.recovery_secs);
        self.more_writes = self.more_writes.max(other.more_writes);
        self.more_kube_writes = self.more_kube_writes.max(other.more_kube_writes);
        for (text, (n, of, plan)) in other.wrong {
            self.wrong.entry(text).or_insert((0, of, plan)).0 += n;
        }
    }
}

fn references() -> Vec<Reference> {
    let only = std::env::var_os(ONLY).unwrap_or_default();
    let mut all = workloads::all();
    all.retain(|workload| workload.name.contains(&*only.to_string_lossy()));
    let lives = all.into_iter().map(|workload| {
        let outcome = Run::new(&workload, Lie::None, Vec::new(), false).live();
        if !outcome.wrong.is_empty() {
            let traced = Run::new(&workload, Lie::None, Vec::new(), true).live();
            let trace = traced.trace.join("\n");
            panic!("{}: {:?}\n{trace}", workload.name, outcome.wrong);
        }
        Reference {
            points: outcome.points,
            written_to_swr: outcome.written_to_swr,
            written_to_kube: outcome.written_to_kube,
            workload,
        }
    });
    lives.collect()
}

/// Everything that can happen, once, at every request.
fn singles(references: &[Reference]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (of, reference) in references.iter().enumerate() {
        for (at, point) in reference.points.iter().enumerate() {
            for fault in Fault::at(*point) {
                let what = Choice::This(fault);
                let plan = vec![Planned { at, what }];
                jobs.push(Job { of, plan });
            }
        }
    }
    jobs
}

/// Two faults each, by lot. The second may come after what the first one made necessary.
fn pairs(references: &[Reference], n: usize, seed: u64) -> Vec<Job> {
    let mut lots = fastrand::Rng::with_seed(seed);
    let jobs = (0..n).map(|_| {
        let of = lots.usize(..references.len());
        let length = references[of].points.len();
        let first = lots.usize(..length);
        let second = first + 1 + lots.usize(..length + 10 - first);
        let mut planned = |at| Planned {
            at,
            what: Choice::Any(lots.usize(..1_000_000)),
        };
        let plan = vec![planned(first), planned(second)];
        Job { of, plan }
    });
    jobs.collect()
}

/// Lives all, on every processor.
fn live_all(references: &[Reference], jobs: &[Job], lie: Lie) -> Totals {
    let totals = live_until(references, jobs, lie, |_| false);
    assert_eq!(totals.runs, jobs.len(), "a life without an outcome");
    totals
}

/// The same, until what is wrong is enough.
fn live_until(
    references: &[Reference],
    jobs: &[Job],
    lie: Lie,
    is_enough: impl Fn(&str) -> bool + Sync,
) -> Totals {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Totals::default());
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut totals = Totals::default();
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let reference = &references[job.of];
                    let run = Run::new(&reference.workload, lie, job.plan.clone(), false);
                    totals.add(reference, job, run.live());
                    if totals.wrong.keys().any(|text| is_enough(text)) {
                        next.store(jobs.len(), Ordering::Relaxed);
                    }
                }
                all.lock().expect("no panic").merge(totals);
            });
        }
    });
    all.into_inner().expect("no panic")
}

fn told(name: &str, totals: &Totals) -> String {
    let writes = totals.writes_struck.iter();
    let writes: Vec<String> = writes.map(|(point, n)| format!("{point:?} {n}")).collect();
    let struck: usize = totals.struck.values().sum();
    let n_of = |rule: &str| {
        let its = totals.wrong.iter().filter(|(text, _)| text.contains(rule));
        its.map(|(_, (n, ..))| n).sum::<usize>()
    };
    let (duplicates, foreign, lost) = (n_of("S4"), n_of("S3"), n_of("S6"));
    let leaks = n_of("L2") + n_of("S7 the finalizer goes while");
    let Totals {
        runs,
        requests,
        recovery_secs,
        more_writes,
        more_kube_writes,
        ..
    } = totals;
    format!(
        "{name}: {runs} lives, {requests} requests, {struck} faults of {} kinds\n    \
         writes to SWR struck: {}\n    \
         duplicates {duplicates}, leaks {leaks}, foreign writes {foreign}, lost updates {lost}\n    \
         right again within {recovery_secs} s; for each fault at most {more_writes} writes to SWR and \
         {more_kube_writes} to objects more\n",
        totals.struck.len(),
        writes.join(", "),
    )
}

fn assert_right(totals: &Totals, references: &[Reference]) {
    let mut text = String::new();
    for (what, (n, of, plan)) in &totals.wrong {
        let workload = &references[*of].workload;
        let life = Run::new(workload, Lie::None, plan.clone(), true).live();
        let _ = writeln!(
            text,
            "{what}\n  {n} times, first in {:?} by {plan:?}",
            workload.name
        );
        let _ = writeln!(text, "    {}", life.trace.join("\n    "));
    }
    assert!(text.is_empty(), "\n{text}");
}

fn seed() -> u64 {
    let given = std::env::var_os(SEED);
    let given = given.and_then(|seed| seed.to_str()?.parse().ok());
    given.unwrap_or(USUAL_SEED)
}

fn takes_all() -> bool {
    std::env::var_os(ALL).is_some()
}

#[test]
fn every_fault_at_every_request_of_every_life_ends_well() {
    let references = references();
    let points: usize = references.iter().map(|it| it.points.len()).sum();
    say(&format!(
        "\n{} lives, {points} requests without a fault\n",
        references.len()
    ));
    let mut jobs = singles(&references);
    if !takes_all() {
        let seed = seed();
        say(&format!("{SEED}={seed}\n"));
        let mut lots = fastrand::Rng::with_seed(seed);
        jobs.retain(|_| lots.usize(..ONE_IN) == 0);
    }
    let totals = live_all(&references, &jobs, Lie::None);
    say(&told("one fault", &totals));
    for (fault, n) in &totals.struck {
        say(&format!("    {fault:?} {n}\n"));
    }
    assert_right(&totals, &references);
}

#[test]
fn pairs_of_faults_end_well() {
    let references = references();
    let seed = seed();
    say(&format!("{SEED}={seed}\n"));
    let n = match takes_all() {
        true => PAIRS_OF_ALL,
        false => PAIRS,
    };
    let totals = live_all(&references, &pairs(&references, n, seed), Lie::None);
    say(&told("two faults", &totals));
    assert_right(&totals, &references);
}

/// Worlds that pretend to keep a rule; in which life, and what must be found wrong there.
const LIES: [(Lie, &str, &str); 9] = [
    (Lie::NothingToSettle, "create", "S5"),
    (Lie::AcceptsStaleWrites, "create", "S9"),
    (Lie::ForgetsIntent, "create", "rule 4"),
    (Lie::ForgetsFinalizer, "create", "S7"),
    (Lie::TagsEverything, "conflict, then free", "S3"),
    (
        Lie::ListsNothingWhileRemoving,
        "delete while it is created",
        "S7",
    ),
    (Lie::SendsTooLate, "create", "a write is sent after"),
    (Lie::DeniesUnknown, "create", "S5"),
    (Lie::ForgetsReadOnly, "read-only, then not", "S10"),
];

#[test]
fn every_lie_of_the_world_is_found_out_by_one_fault() {
    let references = references();
    let mut text = String::new();
    for (lie, life, expected) in LIES {
        let of = references.iter().position(|it| it.workload.name == life);
        let mut jobs = singles(&references);
        jobs.retain(|job| Some(job.of) == of);
        let is_it = |found: &str| found.starts_with(expected);
        let totals = live_until(&references, &jobs, lie, is_it);
        let is_found = totals.wrong.keys().any(|found| is_it(found));
        let verdict = if is_found {
            "found out"
        } else {
            "NOT FOUND OUT"
        };
        let n = totals.runs;
        let row = format!("{lie:?}: {verdict} in {n} lives of {life:?} ({expected})\n");
        say(&row);
        if !is_found {
            let _ = writeln!(text, "{row}{:?}", totals.wrong.keys());
        }
    }
    assert!(text.is_empty(), "\n{text}");
}
