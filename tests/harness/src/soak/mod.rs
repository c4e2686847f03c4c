//! `cargo dev soak`: the operator as it ships reconciles a hundred thousand times, while people edit and SWR fails. Judges
//! what the process holds more and more of, and what is wrong in the end. Stage and clients are those of the bench.

mod oracle;
mod trend;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::bed::{DevFolder, INSTANCE_IDS, operator_flags, simulator_options};
use crate::bench::audit::Audit;
use crate::bench::client::{Client, User, on_each};
use crate::bench::contestant::Profile;
use crate::bench::objects::{Kind, Place, name};
use crate::bench::observer::Observer;
use crate::bench::stage::Stage;
use crate::bench::{proc, run_optimised};
use crate::http::get_text;
use crate::kubectl::apply;
use crate::progress::say;
use crate::simulator::Struck;
use crate::{Error, Operator, OperatorOptions, Simulator, environment};
use oracle::Wrong;
use trend::{Sample, Trend, warm, warm_up};

const N_OBJECTS: usize = 500;
/// So many objects are edited, then people wait until no more than that many are not Ready for what they ask.
const STEP: usize = 50;
/// Of so many edits one asks for a reconcile by the annotation instead, which sends the credential again.
const ANNOTATED: usize = 10;
/// Of so many requests one is struck by each of the seven faults: together 2 %.
const ONE_IN: u64 = 350;

const POLL: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(10);
/// An object waits for as long as a few attempts and T_settle take.
const WITHIN: Duration = Duration::from_mins(3);
/// After the last fault: a poll and T_settle, and the time to do it in.
const RECOVERY: Duration = Duration::from_secs(30 + 10 + 20);
/// Between two looks at what is wrong.
const LOOK: Duration = Duration::from_secs(1);
/// Between two lines that tell how far it is.
const TELL: Duration = Duration::from_secs(30);
/// A machine that compiles beside it needs more than the second that the operator takes.
const READY: Duration = Duration::from_mins(1);

/// Of what the operator holds, in 100,000 reconciles.
const RSS_MIB_MAX: f64 = 1.0;
/// Connections come and go with the faults; a file that is lost with each thousandth reconcile makes a hundred.
const FILES_MAX: f64 = 10.0;
/// A shorter run tells the noise.
const JUDGED_FROM: u64 = 100_000;

const REQUESTED_AT: &str = "swr.huaweicloud.com/requestedAt";

#[derive(Args, Debug)]
pub struct Options {
    /// How many reconciles after the warm-up, which is half as many; the growth is judged from 100,000 on
    #[arg(short, long, default_value_t = 100_000, value_name = "N")]
    pub n: u64,
    /// Draws the same faults again; printed. Which request each one strikes depends on the pace of the machine all the same
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// Binaries of an optimised build: operator and simulator. The command calls itself with them
    #[arg(long, num_args = 2, hide = true)]
    pub built: Vec<PathBuf>,
}

pub fn run(options: &Options) -> Result<(), Error> {
    if options.built.is_empty() {
        return run_optimised();
    }
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("--seed {seed}"));
    let folder = DevFolder::claim_for_bench()?;
    let stage = Stage::start(folder.path(), None)?;
    let figures = Soak::open(&stage, options, seed)?.all(options.n)?;
    say(&figures.table());
    match figures.holds() {
        true => Ok(()),
        false => Err(Error::unmet(
            "every bar of the soak",
            "one was missed",
            format!(
                "look at the table above, and at {}",
                folder.path().display()
            ),
        )),
    }
}

/// Seven ways to fail, each in two of seven thousand requests. None is a 429, which slows an account down, as it should.
fn faults(seed: u64) -> Vec<Value> {
    let ways = [
        json!({"kind": "status", "status": 500}),
        json!({"kind": "status", "status": 503}),
        json!({"kind": "reset"}),
        json!({"kind": "reset", "phase": "after"}),
        json!({"kind": "hang"}),
        json!({"kind": "hang", "phase": "after"}),
        json!({"kind": "status", "status": 200, "phase": "after", "body": "<html>no SWR</html>"}),
    ];
    let seeded = (0..).zip(ways).map(|(n, mut fault)| {
        fault["match"] = json!({"share": [1, ONE_IN], "seed": seed.wrapping_add(n)});
        fault
    });
    seeded.collect()
}

/// Who edits.
#[derive(Clone)]
struct People {
    user: User,
    place: Place,
}

impl People {
    async fn create(self, client: Client, name: String) -> Result<(), Error> {
        let object = self.place.object(&name);
        let path = self.place.path();
        client.create(&self.user, &path, &object).await.map(drop)
    }

    /// The n-th edit of all.
    async fn edit(self, client: Client, name: String, n: usize) -> Result<(), Error> {
        let patch = match n.is_multiple_of(ANNOTATED) {
            false => json!({"spec": {"description": format!("Edit {n}")}}),
            true => json!({"metadata": {"annotations": {REQUESTED_AT: n.to_string()}}}),
        };
        let path = self.place.path_of(&name);
        client.merge(&self.user, &path, &patch).await.map(drop)
    }

    async fn delete(self, client: Client, name: String) -> Result<(), Error> {
        let path = self.place.path_of(&name);
        client.delete(&self.user, &path).await.map(drop)
    }
}

/// Invariant: fields drop from top to bottom, the operator first.
struct Soak<'a> {
    operator: Operator,
    metrics: String,
    observer: Observer,
    simulator: Simulator,
    stage: &'a Stage,
    people: People,
    /// As they were made.
    foreign: Vec<Value>,
    faults: Vec<Value>,
    /// Of the requests to SWR.
    struck: Struck,
    n_edits: usize,
    samples: Vec<Sample>,
}

impl<'a> Soak<'a> {
    fn open(stage: &'a Stage, options: &Options, seed: u64) -> Result<Self, Error> {
        let [operator, simulator] = &options.built[..] else {
            return Err(Error::Unexpected {
                expected: "an operator and a simulator".to_owned(),
                seen: format!("{:?}", options.built),
            });
        };
        let simulator = Simulator::spawn(&simulator_options(simulator, &stage.folder))?;
        let place = Place {
            kind: Kind::ours(),
            namespace: "soak".to_owned(),
        };
        let objects = [&place.furniture()[..], &Profile::Unlimited.account()].concat();
        apply(&stage.plane, &objects)?;
        let path = place.path();
        let watch = Observer::start(&stage.watching, &stage.observer, &path);
        let observer = stage.block_on(watch)?;
        observer.aim(1);
        let [poll, settle] = [POLL, SETTLE].map(|window| format!("{}s", window.as_secs()));
        let (args, addresses) = operator_flags(
            &simulator,
            &[
                ("--poll-interval", &poll),
                ("--settle", &settle),
                ("--write-deadline", "3s"),
                ("--read-deadline", "5s"),
            ],
        )?;
        let mut operator = Operator::spawn(&OperatorOptions {
            binary: operator.clone(),
            kubeconfig: stage.operator_kubeconfig.clone(),
            args,
            log_path: stage.folder.join("soak.log"),
        })?;
        operator.await_ready(&addresses.readyz, READY)?;
        let user = stage.user.clone();
        Ok(Self {
            operator,
            metrics: addresses.metrics,
            observer,
            foreign: foreign(&simulator)?,
            simulator,
            stage,
            people: People { user, place },
            faults: faults(seed),
            struck: Struck::default(),
            n_edits: 0,
            samples: Vec::new(),
        })
    }

    /// Creates, edits until the operator has reconciled so often, looks, deletes, and looks again. The faults stop for the
    /// looks alone.
    fn all(mut self, n: u64) -> Result<Figures, Error> {
        let begun = environment::now();
        let all = n + warm_up(n);
        self.strike()?;
        let people = self.people.clone();
        self.each(0..N_OBJECTS, move |client, index| {
            people.clone().create(client, name(index))
        })?;
        let mut told = begun;
        loop {
            self.edit_all()?;
            let reconciles = self.sample()?;
            if reconciles >= all {
                break;
            }
            if told.elapsed() >= TELL {
                told = environment::now();
                self.tell(reconciles, all);
            }
        }
        let took = begun.elapsed();
        self.spare()?;
        let mut wrong = self.look(N_OBJECTS)?;

        self.strike()?;
        let people = self.people.clone();
        self.each(0..N_OBJECTS, move |client, index| {
            people.clone().delete(client, name(index))
        })?;
        self.stage.block_on(self.observer.left(0, WITHIN))?;
        self.spare()?;
        let left = self.look(0)?;
        wrong.leaks.extend(left.leaks);
        wrong.foreign_writes.extend(left.foreign_writes);

        let user = "system:serviceaccount:swr-operator:swr-operator";
        let [asked] = Audit::at(self.stage.plane.audit_log().to_path_buf()).read([user])?;
        Ok(Figures {
            took,
            reconciles: self.count("controller_runtime_reconcile_total")?,
            panics: self.count("controller_runtime_reconcile_panics_total")?,
            edits: self.n_edits,
            struck: self.struck,
            kubernetes: asked.counts.values().sum::<u64>() + asked.events,
            samples: self.samples,
            wrong,
        })
    }

    /// Works on these over all connections.
    fn each<F>(
        &self,
        indices: std::ops::Range<usize>,
        work: impl Fn(Client, usize) -> F + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let first = indices.start;
        let work = on_each(&self.stage.connections, indices.len(), move |client, n| {
            work(client, first + n)
        });
        self.stage.block_on(work)
    }

    /// Every object once, as fast as the operator comes along.
    fn edit_all(&mut self) -> Result<(), Error> {
        self.operator.assert_running()?;
        for first in (0..N_OBJECTS).step_by(STEP) {
            self.stage
                .block_on(self.observer.reached(N_OBJECTS - STEP, WITHIN))?;
            let (people, n_edits) = (self.people.clone(), self.n_edits);
            self.each(first..first + STEP, move |client, index| {
                people.clone().edit(client, name(index), n_edits + index)
            })?;
        }
        self.n_edits += N_OBJECTS;
        Ok(())
    }

    /// Notes what the operator holds now, and says how often it has reconciled.
    fn sample(&mut self) -> Result<u64, Error> {
        let pid = self.operator.pid();
        let reconciles = self.count("controller_runtime_reconcile_total")?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "what a day brings fits in 52 bits"
        )]
        self.samples.push(Sample {
            reconciles: reconciles as f64,
            rss_mib: proc::memory(pid).rss as f64 / 1024.0,
            files: proc::open_files(pid) as f64,
        });
        Ok(reconciles)
    }

    /// The sum of a metric over its labels.
    fn count(&self, metric: &str) -> Result<u64, Error> {
        let page = get_text(&self.metrics)?;
        Ok(sum(&page, metric))
    }

    fn tell(&self, reconciles: u64, n: u64) {
        if let Some(Sample { rss_mib, files, .. }) = self.samples.last() {
            say(&format!(
                "   {reconciles:>7} of {n} reconciles, RSS {rss_mib:.1} MiB, {files} files"
            ));
        }
    }

    fn strike(&self) -> Result<(), Error> {
        let mut faults = self.faults.iter();
        faults.try_for_each(|fault| self.simulator.fault(fault))
    }

    fn spare(&mut self) -> Result<(), Error> {
        let struck = self.simulator.struck()?;
        self.struck.struck += struck.struck;
        self.struck.of += struck.of;
        self.simulator.clear_faults()
    }

    /// What is still wrong when a poll and T_settle have passed without a fault.
    fn look(&self, n: usize) -> Result<Wrong, Error> {
        let begun = environment::now();
        loop {
            let wrong = self.wrong(n)?;
            if wrong.is_nothing() || begun.elapsed() >= RECOVERY {
                return Ok(wrong);
            }
            environment::pause(LOOK);
        }
    }

    fn wrong(&self, n: usize) -> Result<Wrong, Error> {
        let People { user, place } = &self.people;
        let path = place.path();
        let list = self.stage.block_on(self.stage.watching.get(user, &path))?;
        let objects = list["items"].as_array().cloned().unwrap_or_default();
        if objects.len() != n {
            return Err(Error::Unexpected {
                expected: format!("{n} objects"),
                seen: format!("{}", objects.len()),
            });
        }
        let held = self.simulator.registries(INSTANCE_IDS[0])?;
        Ok(Wrong::of(&objects, &held, &self.foreign))
    }
}

/// Registries of others, one of which has nearly the name of one of ours.
fn foreign(simulator: &Simulator) -> Result<Vec<Value>, Error> {
    let names = ["by-hand", "soak-o-0000"];
    let create = |name: &str| {
        let registry = json!({
            "name": name, "description": "theirs", "type": "huawei-SWR",
            "url": "https://theirs.example.com", "insecure": false,
            "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs"},
        });
        simulator.console_create(INSTANCE_IDS[0], &registry)
    };
    names
        .into_iter()
        .try_for_each(|name| create(name).map(drop))?;
    simulator.registries(INSTANCE_IDS[0])
}

/// The sum of all series of a metric in a page of metrics.
fn sum(page: &str, metric: &str) -> u64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_it = labels.is_empty() || labels.starts_with('{');
        is_it.then(|| value.parse::<u64>().ok())?
    });
    values.sum()
}

/// What came of it.
struct Figures {
    took: Duration,
    reconciles: u64,
    panics: u64,
    edits: usize,
    struck: Struck,
    /// Requests of the operator to Kubernetes.
    kubernetes: u64,
    samples: Vec<Sample>,
    wrong: Wrong,
}

/// A row of the table: what, how much, and the bar with whether it holds.
struct Row(&'static str, String, Option<(String, bool)>);

impl Figures {
    #[expect(
        clippy::cast_precision_loss,
        reason = "what a day brings fits in 52 bits"
    )]
    fn rows(&self) -> Vec<Row> {
        let told = |what, value: String| Row(what, value, None);
        let none = |what, n: u64| Row(what, n.to_string(), Some(("0".to_owned(), n == 0)));
        let names = |what, names: &BTreeSet<String>| none(what, names.len() as u64);
        let Struck { struck, of } = self.struck;
        let seconds = self.took.as_secs_f64();
        let mut rows = vec![
            told("reconciles", self.reconciles.to_string()),
            told(
                "  in a second",
                format!("{:.0}", self.reconciles as f64 / seconds),
            ),
            told("edits", self.edits.to_string()),
            told("requests to Kubernetes", self.kubernetes.to_string()),
            told("requests to SWR", of.to_string()),
            told(
                "  that failed",
                format!("{:.1} %", struck as f64 * 100.0 / of.max(1) as f64),
            ),
        ];
        rows.extend(self.growth("RSS, MiB", RSS_MIB_MAX, |sample| sample.rss_mib));
        rows.extend(self.growth("open files", FILES_MAX, |sample| sample.files));
        let wrong = &self.wrong;
        rows.extend([
            none("panics", self.panics),
            names("objects not Ready", &wrong.not_ready),
            names("lost updates", &wrong.lost_updates),
            names("duplicates", &wrong.duplicates),
            names("leaks", &wrong.leaks),
            names("writes to others", &wrong.foreign_writes),
        ]);
        rows
    }

    /// From where to where a figure was after the warm-up, and its growth.
    fn growth(&self, what: &'static str, bar: f64, figure: fn(&Sample) -> f64) -> Vec<Row> {
        let Some(trend) = Trend::of(warm(&self.samples), figure) else {
            return Vec::new();
        };
        let Trend { least, most, slope } = trend;
        let judged = self.reconciles >= JUDGED_FROM + warm_up(JUDGED_FROM);
        let judged = judged.then(|| (format!("< {bar}"), slope < bar));
        vec![
            Row(what, format!("{least:.1} to {most:.1}"), None),
            Row("  in 100,000 more", format!("{slope:+.2}"), judged),
        ]
    }

    fn holds(&self) -> bool {
        let rows = self.rows();
        rows.iter()
            .all(|Row(_, _, bar)| bar.as_ref().is_none_or(|(_, holds)| *holds))
    }

    fn table(&self) -> String {
        let mut table = String::new();
        for Row(what, value, bar) in self.rows() {
            let bar = bar.map_or_else(String::new, |(bar, holds)| {
                format!("   bar {bar}: {}", if holds { "holds" } else { "MISSED" })
            });
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{what:<24} {value:>16}{bar}");
        }
        if !self.wrong.is_nothing() {
            let _ = writeln!(table, "{:#?}", self.wrong);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_no_other_counts() {
        let page = "\
# TYPE a_total counter
a_total{result=\"success\"} 3
a_total{result=\"error\"} 4
a_total_more{result=\"error\"} 5
b_total 7
";
        assert_eq!(sum(page, "a_total"), 7);
        assert_eq!(sum(page, "b_total"), 7);
        assert_eq!(sum(page, "c_total"), 0);
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn figures(reconciles: u64, grown: f64, wrong: Wrong) -> Figures {
        let sample = |at: f64| Sample {
            reconciles: reconciles as f64 * at,
            rss_mib: 10.0 + grown * at * reconciles as f64 / 100_000.0,
            files: 20.0,
        };
        Figures {
            took: Duration::from_secs(100),
            reconciles,
            panics: 0,
            edits: 10,
            struck: Struck { struck: 1, of: 50 },
            kubernetes: 30,
            samples: [0.0, 0.5, 1.0].map(sample).to_vec(),
            wrong,
        }
    }

    #[test]
    fn a_bar_that_is_missed_is_told() {
        let holds = |reconciles, grown, wrong| figures(reconciles, grown, wrong).holds();
        assert!(holds(150_000, 0.9, Wrong::default()));
        assert!(!holds(150_000, 1.1, Wrong::default()));
        assert!(holds(149_000, 1.1, Wrong::default()), "too few to judge");
        let wrong = Wrong {
            leaks: BTreeSet::from(["a".to_owned()]),
            ..Wrong::default()
        };
        assert!(!holds(100_000, 0.0, wrong.clone()));
        let table = figures(100_000, 0.0, wrong).table();
        assert!(
            table.contains("leaks                                   1   bar 0: MISSED"),
            "{table}"
        );
    }
}
