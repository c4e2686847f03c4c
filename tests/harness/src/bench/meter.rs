//! What a workload cost: processor time, memory and requests from its begin until everybody is quiet again.

use std::time::{Duration, Instant};

use super::audit::{Asked, Audit};
use super::journal::Journal;
use super::proc::{self, AnonPeak};
use super::report::{Cpu, Latency, Memory, Workload};
use crate::{Error, environment};

/// Between two looks at whether a contestant still works.
const LOOK: Duration = Duration::from_millis(500);
/// Who uses less than 2 ticks of 10 ms between two looks, and asks nobody anything, does nothing.
const QUIET_CPU_S: f64 = 0.015;
/// So many looks in a row, 2 s: a batch that waits for its companions is not the end, and neither is a machine that is
/// busy with something else.
const QUIET_LOOKS: usize = 4;

/// Whose processor time counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pids {
    /// None for RAW.
    pub(crate) operator: Option<u32>,
    pub(crate) apiserver: u32,
    pub(crate) etcd: u32,
    pub(crate) simulator: u32,
}

impl Pids {
    fn cpu(&self) -> Cpu {
        Cpu {
            operator: self.operator.map_or(0.0, proc::cpu_seconds),
            apiserver: proc::cpu_seconds(self.apiserver),
            etcd: proc::cpu_seconds(self.etcd),
            simulator: proc::cpu_seconds(self.simulator),
            client: proc::cpu_seconds(std::process::id()),
        }
    }
}

/// Counts what is asked of both sides.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) audit: Audit,
    pub(crate) journal: Journal,
    /// As the audit log names them.
    pub(crate) contestant: String,
    pub(crate) user: String,
}

/// A workload that is going on.
pub(crate) struct Meter {
    name: &'static str,
    pids: Pids,
    before: Cpu,
    started: Instant,
    anon: Option<AnonPeak>,
}

/// What only the workload itself knows.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) wall_s: f64,
    pub(crate) latencies_ms: Vec<f64>,
    pub(crate) noticed_s: Option<f64>,
    /// Set where the workload ends with the last request to SWR, which is known once all is quiet.
    pub(crate) process_started: Option<jiff::Timestamp>,
}

impl Meter {
    pub(crate) fn begin(name: &'static str, pids: Pids, books: &mut Books) -> Result<Self, Error> {
        books.audit.skip()?;
        books.journal.clear()?;
        if let Some(pid) = pids.operator {
            proc::forget_peak(pid);
        }
        Ok(Self {
            name,
            pids,
            before: pids.cpu(),
            started: environment::now(),
            anon: pids.operator.map(AnonPeak::of),
        })
    }

    /// For a process that starts with the workload: its whole life counts.
    pub(crate) fn joined(&mut self, operator: u32) {
        self.pids.operator = Some(operator);
        self.before.operator = 0.0;
        self.anon = Some(AnonPeak::of(operator));
    }

    /// A later begin, to be chosen by [`Self::begin_at`].
    pub(crate) fn mark(&self) -> (Cpu, Instant) {
        (self.pids.cpu(), environment::now())
    }

    /// Processor time counts from this mark on; requests and memory as before.
    pub(crate) fn begin_at(&mut self, (before, started): (Cpu, Instant)) {
        (self.before, self.started) = (before, started);
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Waits until everybody is quiet, but not longer than this, and returns the workload without what was seen of it.
    /// What is done after the last object is as wanted (events, a list) belongs to it; the silence by which we know that
    /// it is over does not.
    pub(crate) fn end(self, books: &mut Books, deadline: Duration) -> Result<Workload, Error> {
        let begun = environment::now();
        let [mut asked, mut user] = [Asked::default(), Asked::default()];
        let mut last = self.mark();
        let mut n_quiet = 0;
        let mut before = last.0;
        while n_quiet < QUIET_LOOKS && begun.elapsed() < deadline {
            environment::pause(LOOK);
            let mark = self.mark();
            let n_swr = books.journal.n_all();
            books.journal.read()?;
            let [more, more_of_user] = books.audit.read([&books.contestant, &books.user])?;
            let used = mark.0.operator + mark.0.simulator - before.operator - before.simulator;
            let is_quiet = used < QUIET_CPU_S && books.journal.n_all() == n_swr && more.is_none();
            before = mark.0;
            n_quiet = if is_quiet { n_quiet + 1 } else { 0 };
            if n_quiet <= 1 {
                last = mark;
            }
            asked.add(more);
            user.add(more_of_user);
        }
        let (after, ended) = last;
        let memory = self.pids.operator.map(proc::memory);
        let anon_peak = self.anon.map(AnonPeak::finish);
        Ok(Workload {
            name: self.name.to_owned(),
            kubernetes: asked.counts,
            events: asked.events,
            refused: asked.refused,
            user: user.counts,
            swr: books.journal.counts().clone(),
            measured_s: rounded(ended.duration_since(self.started).as_secs_f64()),
            cpu_s: between(self.before, after),
            memory_kib: memory.map(|memory| Memory {
                rss: memory.rss,
                rss_anon: memory.rss_anon,
                rss_peak: memory.rss_peak,
                rss_anon_peak: anon_peak.unwrap_or_default().max(memory.rss_anon),
            }),
            ..Workload::default()
        })
    }
}

impl Seen {
    pub(crate) fn enter(self, workload: &mut Workload) {
        workload.wall_s = rounded(self.wall_s);
        workload.noticed_s = self.noticed_s.map(rounded);
        workload.latency_ms = Latency::of(self.latencies_ms);
    }
}

/// To a thousandth.
fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

fn between(before: Cpu, after: Cpu) -> Cpu {
    // To the tick, without the noise of binary fractions.
    let seconds = |before: f64, after: f64| rounded(after - before);
    Cpu {
        operator: seconds(before.operator, after.operator),
        apiserver: seconds(before.apiserver, after.apiserver),
        etcd: seconds(before.etcd, after.etcd),
        simulator: seconds(before.simulator, after.simulator),
        client: seconds(before.client, after.client),
    }
}
