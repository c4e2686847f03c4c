//! The loop and its queue, under the names of controller-runtime and client-go.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

/// Value of the labels `controller` and `name`: the kind in lower case, as controller-runtime has it.
const NAME: &str = "replicationregistry";

/// As controller-runtime's.
const RECONCILE_BUCKETS: [f64; 40] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
    1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0,
    25.0, 30.0, 40.0, 50.0, 60.0,
];

/// Reconciles and their queue.
#[derive(Clone)]
pub struct Controller {
    reconciles: Family<ResultLabel, Counter>,
    errors: Counter,
    terminal_errors: Counter,
    panics: Counter,
    time: Histogram,
    active: Gauge,
    depth: Gauge,
    adds: Counter,
    queue_duration: Histogram,
    work_duration: Histogram,
    retries: Counter,
    running: Running,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// How a reconcile ended, in controller-runtime's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to wait for but a poll or a change.
    Success,
    /// It is reconciled again at once.
    Requeue,
    /// It is reconciled again at a time.
    RequeueAfter,
    /// It failed, and is reconciled again after a wait that grows.
    Error,
    /// It failed, and a person must change something.
    TerminalError,
    /// It panicked.
    Panic,
}

/// What the queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Objects that wait for their turn.
    pub depth: usize,
    /// How often an object was put into the queue since the start.
    pub adds: u64,
}

impl Controller {
    pub(super) fn register(registry: &mut Registry) -> Self {
        // client-go's: 10 ns to 1,000 s.
        let workqueue = || Histogram::new(exponential_buckets(10e-9, 10.0, 12));
        let controller = Controller {
            reconciles: Family::default(),
            errors: Counter::default(),
            terminal_errors: Counter::default(),
            panics: Counter::default(),
            time: Histogram::new(RECONCILE_BUCKETS),
            active: Gauge::default(),
            depth: Gauge::default(),
            adds: Counter::default(),
            queue_duration: workqueue(),
            work_duration: workqueue(),
            retries: Counter::default(),
            running: Running::default(),
        };
        // All results from the start, so that a rate is a rate.
        for result in ["success", "error", "requeue", "requeue_after"] {
            drop(controller.reconciles.get_or_create(&ResultLabel { result }));
        }
        let reconciles = registry.sub_registry_with_label(("controller".into(), NAME.into()));
        reconciles.register(
            "controller_runtime_reconcile",
            "Reconciles of an object by result",
            controller.reconciles.clone(),
        );
        reconciles.register(
            "controller_runtime_reconcile_errors",
            "Reconciles that failed",
            controller.errors.clone(),
        );
        reconciles.register(
            "controller_runtime_terminal_reconcile_errors",
            "Reconciles that failed for a reason that a person must mend",
            controller.terminal_errors.clone(),
        );
        reconciles.register(
            "controller_runtime_reconcile_panics",
            "Reconciles that panicked",
            controller.panics.clone(),
        );
        reconciles.register(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a reconcile",
            controller.time.clone(),
        );
        reconciles.register(
            "controller_runtime_active_workers",
            "Reconciles under way",
            controller.active.clone(),
        );
        let queue = registry.sub_registry_with_label(("name".into(), NAME.into()));
        queue.register(
            "workqueue_depth",
            "Objects that wait for their turn",
            controller.depth.clone(),
        );
        queue.register(
            "workqueue_adds",
            "Objects put into the queue",
            controller.adds.clone(),
        );
        queue.register(
            "workqueue_queue_duration_seconds",
            "Time that an object waited for its turn",
            controller.queue_duration.clone(),
        );
        queue.register(
            "workqueue_work_duration_seconds",
            "Time that an object's turn took",
            controller.work_duration.clone(),
        );
        queue.register(
            "workqueue_retries",
            "Reconciles that are to be repeated after a failure",
            controller.retries.clone(),
        );
        registry.register_collector(Box::new(controller.running.clone()));
        controller
    }

    /// How many reconciles may be under way at once.
    pub fn at_once(&self, max: usize) {
        self.running.locked().at_once = max;
    }

    /// The queue as it is.
    pub fn waiting(&self, waiting: Waiting) {
        self.depth
            .set(i64::try_from(waiting.depth).unwrap_or(i64::MAX));
        let new = waiting.adds.saturating_sub(self.adds.get());
        self.adds.inc_by(new);
    }

    /// A reconcile begins, for an object that waited for this long. The answer says when it ends.
    pub fn begins(&self, waited: Duration) -> Reconcile {
        self.queue_duration.observe(waited.as_secs_f64());
        self.active.inc();
        let begun = Instant::now();
        let mut running = self.running.locked();
        running.last += 1;
        let number = running.last;
        running.begun.insert(number, begun);
        drop(running);
        Reconcile {
            controller: self.clone(),
            number,
            begun,
        }
    }

    /// What came of a reconcile.
    pub fn ended(&self, outcome: Outcome) {
        let (result, failed) = match outcome {
            Outcome::Success => ("success", false),
            Outcome::Requeue => ("requeue", false),
            Outcome::RequeueAfter => ("requeue_after", false),
            Outcome::Error | Outcome::TerminalError | Outcome::Panic => ("error", true),
        };
        self.reconciles.get_or_create(&ResultLabel { result }).inc();
        if failed {
            self.errors.inc();
        }
        match outcome {
            Outcome::TerminalError => {
                self.terminal_errors.inc();
            }
            Outcome::Panic => {
                self.panics.inc();
            }
            Outcome::Error => {
                self.retries.inc();
            }
            Outcome::Success | Outcome::Requeue | Outcome::RequeueAfter => {}
        }
    }
}

/// A reconcile under way; it ends when this goes, however that comes about.
pub struct Reconcile {
    controller: Controller,
    number: u64,
    begun: Instant,
}

impl Drop for Reconcile {
    fn drop(&mut self) {
        let took = self.begun.elapsed().as_secs_f64();
        self.controller.running.locked().begun.remove(&self.number);
        self.controller.active.dec();
        self.controller.time.observe(took);
        self.controller.work_duration.observe(took);
    }
}

/// Since when each reconcile has been under way. How long that is, a scrape asks.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<UnderWay>>);

#[derive(Default)]
struct UnderWay {
    at_once: usize,
    last: u64,
    begun: HashMap<u64, Instant>,
}

impl Running {
    fn locked(&self) -> std::sync::MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl Collector for Running {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (at_once, elapsed) = {
            let running = self.locked();
            let elapsed = running.begun.values().map(Instant::elapsed);
            (running.at_once, elapsed.collect::<Vec<Duration>>())
        };
        let longest = elapsed.iter().max().copied().unwrap_or_default();
        let sum: Duration = elapsed.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of tasks is small")]
        let at_once = at_once as f64;
        for (name, help, label, value) in [
            (
                "controller_runtime_max_concurrent_reconciles",
                "Reconciles that may be under way at once.",
                "controller",
                at_once,
            ),
            (
                "workqueue_longest_running_processor_seconds",
                "How long the longest reconcile under way has taken so far.",
                "name",
                longest.as_secs_f64(),
            ),
            (
                "workqueue_unfinished_work_seconds",
                "How long all reconciles under way have taken so far, added up.",
                "name",
                sum.as_secs_f64(),
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            let labels = [(label, NAME)];
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
