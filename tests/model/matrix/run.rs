//! One life under a plan of faults, in virtual time: a process that reconciles what the watch, polls and its own waits ask
//! for, by the shipped `step`, `status` and `requeue`. Of the queue only its promises are kept, as in [`crate::quiet`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use swr_operator_api::account::{Grant, Targets};
use swr_operator_api::registry::ReplicationRegistryStatus;
use swr_operator_core::answer::{Account, KubeFailure, SecretProblem};
use swr_operator_core::desired::RegistryId;
use swr_operator_core::effect::{Effect, Listing, Next, RegistryWrite};
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::object::{Object, ObjectKey, Version};
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::reconcile::{
    Clearance, Memory, Reconcile, Removed, Watched, Windows, Witness,
};
use swr_operator_core::requeue::{Requeue, backoff_secs, list_backoff_secs, requeue};
use swr_operator_core::status::status;
use swr_operator_core::step;
use swr_operator_core::summary::{Baseline, Blocker, Summary, Verdict};
use swr_operator_core::tag::{Installation, Owner, split};

use super::cloud::{self, Cloud, What, body};
use super::cluster::{self, Change, Cluster};
use super::faults::{Fault, Point};
use super::oracle;
use super::workloads::{Step, When, Workload};
use crate::core::NAMESPACE;
use crate::facts::{account, credential};
use crate::moves::Lie;

pub(super) const WINDOWS: Windows = Windows {
    settle_secs: 120,
    write_secs: 20,
    grace_secs: 300,
    poll_secs: 600,
    orphan_secs: 600,
};
/// How long a request takes.
const REQUEST_MILLIS: i64 = 20;
/// How long Kubernetes is waited for.
const KUBE_DEADLINE_SECS: i64 = 15;
/// How long a process that fails is gone.
const RESTART_SECS: i64 = 5;
/// A Secret that is waited for is read so often.
const SECRET_RETRY_SECS: i64 = 5;
/// And an account is checked.
const ACCOUNT_CHECK_SECS: i64 = 60;
/// As in production.
const REBASES_MAX: usize = 3;
/// This many reconciles in a row that change nothing are rest: a person must do something, and it is tried now and then.
const IDLE_RECONCILES: usize = 12;
/// More turns than any sane life takes.
const TURNS_MAX: usize = 1_500;
/// That it stays so is shown by so many polls.
const POLLS_AFTER: usize = 3;

/// The n-th request is struck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) at: usize,
    pub(super) what: Choice,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    This(Fault),
    /// One of those that can happen there.
    Any(usize),
}

/// The process is gone.
pub(super) struct Crashed;

/// What a process knows of an object.
#[derive(Default)]
struct Entry {
    uid: String,
    memory: Memory,
    baseline: Option<Baseline>,
    failures: u32,
    due: Option<Timestamp>,
    /// Whether it waits for a LIST that succeeds.
    needs_list: bool,
    /// Whether it waits for the Secret, and what it was then.
    needs_secret: Option<SecretThen>,
    looked: Option<(i64, bool)>,
    upon: Option<Version>,
}

/// The version of the Secret when somebody began to wait for it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SecretThen(Option<u8>);

/// A request that is still on the wire.
struct Flight {
    lands_at: Timestamp,
    what: Sent,
}

enum Sent {
    Kube(Box<cluster::Write>),
    Swr(cloud::Write),
}

/// What a life was like.
pub(super) struct Outcome {
    /// Where the process met the world.
    pub(super) points: Vec<Point>,
    pub(super) struck: Vec<(Point, Fault)>,
    pub(super) wrong: Vec<String>,
    pub(super) written_to_swr: usize,
    pub(super) written_to_kube: usize,
    /// From the last disturbance to the last change.
    pub(super) recovery_secs: i64,
    /// Whether a fight was reported: of drift that no LIST shows, our own update passes for one more if its status is lost.
    pub(super) fought: bool,
    pub(super) trace: Vec<String>,
}

pub(super) struct Run {
    lie: Lie,
    windows: Windows,
    plan: Vec<Planned>,
    pub(super) now: Timestamp,
    /// By how much the clock of the process is ahead.
    skew: SignedDuration,
    pub(super) cluster: Cluster,
    pub(super) cloud: Cloud,
    pub(super) read_only: bool,
    installation: Installation,
    entries: BTreeMap<String, Entry>,
    list_retry: Option<(Timestamp, u32)>,
    flights: Vec<Flight>,
    steps: VecDeque<Step>,
    noted: Option<ReplicationRegistryStatus>,
    /// Whether nothing happened by which a process may not know what it sent.
    is_sure: bool,
    /// Uids whose objects went without SWR being asked, or told so.
    pub(super) let_go: BTreeSet<String>,
    /// The newest generation that this process sent to SWR, by uid.
    sent: BTreeMap<String, i64>,
    points: Vec<Point>,
    struck: Vec<(Point, Fault)>,
    wrong: Vec<String>,
    trace: Option<Vec<String>>,
    disturbed_at: Timestamp,
    changed_at: Timestamp,
    recovery_secs: i64,
    /// Whether somebody else's hand was suspected, which waits for an hour.
    fought: bool,
}

fn later(at: Timestamp, secs: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(secs))
        .expect("in range")
}

impl Run {
    pub(super) fn new(workload: &Workload, lie: Lie, plan: Vec<Planned>, traces: bool) -> Self {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let windows = match lie == Lie::NothingToSettle {
            true => Windows {
                settle_secs: 0,
                write_secs: 0,
                ..WINDOWS
            },
            false => WINDOWS,
        };
        Run {
            lie,
            windows,
            plan,
            now,
            skew: SignedDuration::ZERO,
            cluster: Cluster::new(lie),
            cloud: Cloud::new(workload.has_unique_names, now),
            read_only: workload.begins_reading,
            installation: Installation::from_configured("matrix"),
            entries: BTreeMap::new(),
            list_retry: None,
            flights: Vec::new(),
            steps: workload.steps.iter().copied().collect(),
            noted: None,
            is_sure: true,
            let_go: BTreeSet::new(),
            sent: BTreeMap::new(),
            points: Vec::new(),
            struck: Vec::new(),
            wrong: Vec::new(),
            trace: traces.then(Vec::new),
            disturbed_at: now,
            changed_at: now,
            recovery_secs: 0,
            fought: false,
        }
    }

    pub(super) fn owner(&self, object: &Object) -> Owner {
        let ObjectKey { namespace, name } = &object.key;
        Owner::new(&self.installation, &object.uid, namespace, name)
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now.as_second() - 1_800_000_000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("[{at}] {}", text()));
        }
    }

    /// Lives the whole life.
    pub(super) fn live(mut self) -> Outcome {
        let mut idle = 0;
        let mut is_over = false;
        for _ in 0..TURNS_MAX {
            let before = (self.changes(), self.struck.len());
            let may_go_on = idle <= IDLE_RECONCILES || !self.flights.is_empty();
            match if may_go_on { self.turn() } else { Turn::Rest } {
                Turn::Waited => {}
                Turn::Looked if (self.changes(), self.struck.len()) == before => idle += 1,
                Turn::Looked => idle = 0,
                Turn::Rest => {
                    idle = 0;
                    self.rested();
                    let Some((_, act)) = self.steps.pop_front() else {
                        is_over = true;
                        break;
                    };
                    self.act(act);
                }
            }
        }
        let points = self.points.clone();
        match is_over {
            true => self.stays(),
            false => self.wrong.push("L1 it never comes to rest".to_owned()),
        }
        Outcome {
            written_to_swr: self.cloud.n_writes,
            written_to_kube: self.cluster.n_writes,
            points,
            struck: self.struck,
            wrong: self.wrong,
            recovery_secs: self.recovery_secs,
            fought: self.fought,
            trace: self.trace.unwrap_or_default(),
        }
    }

    fn changes(&self) -> (usize, usize) {
        (self.cluster.n_writes, self.cloud.n_writes)
    }

    /// What comes next.
    fn turn(&mut self) -> Turn {
        self.land();
        let Cluster { objects, .. } = &self.cluster;
        self.entries.retain(|name, _| objects.contains_key(name));
        if let Some((name, is_watched)) = self.ready() {
            let went = self.drive(&name, is_watched);
            self.go_on(went);
            return Turn::Looked;
        }
        if self.list_retry.is_some_and(|(at, _)| at <= self.now) {
            let went = self.retry_list();
            self.go_on(went);
            return Turn::Looked;
        }
        if let Some(at) = self.next_at() {
            self.now = self.now.max(at);
            return Turn::Waited;
        }
        match self.poll() {
            Ok(false) => Turn::Rest,
            Ok(true) => Turn::Looked,
            Err(Crashed) => {
                self.restart();
                Turn::Looked
            }
        }
    }

    fn go_on(&mut self, went: Result<(), Crashed>) {
        if went.is_err() {
            self.restart();
        }
    }

    /// Another process takes the place of the one that is gone.
    fn restart(&mut self) {
        self.entries.clear();
        self.sent.clear();
        self.list_retry = None;
        self.now = later(self.now, RESTART_SECS);
    }

    /// An object whose turn it is, and whether the watch asks for it.
    fn ready(&self) -> Option<(String, bool)> {
        let of = |name: &String| self.entries.get(name);
        for (name, stored) in &self.cluster.objects {
            let object = &stored.object;
            let Some(entry) = of(name).filter(|entry| entry.uid == object.uid) else {
                return Some((name.clone(), true));
            };
            let changed = entry.looked != Some((object.generation, object.deleting));
            let was_old = entry.upon.as_ref().is_some_and(|it| *it != object.version);
            if changed || was_old {
                return Some((name.clone(), true));
            }
            let is_due = entry.due.is_some_and(|due| due <= self.now);
            let then = entry.needs_secret;
            let has_secret = then.is_some_and(|SecretThen(then)| then != self.cluster.secret);
            if is_due || has_secret {
                return Some((name.clone(), false));
            }
        }
        None
    }

    /// When something happens by itself.
    fn next_at(&self) -> Option<Timestamp> {
        let due = self.entries.values().filter_map(|entry| entry.due);
        let lands = self.flights.iter().map(|flight| flight.lands_at);
        let retry = self.list_retry.map(|(at, _)| at);
        due.chain(lands).chain(retry).min()
    }

    /// What time the process believes it is.
    fn clock(&self) -> Timestamp {
        self.now.checked_add(self.skew).expect("in range")
    }

    fn in_truth(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.skew).unwrap_or(at)
    }

    /// The process meets the world. What is to go wrong there, once others have had their say.
    fn point(&mut self, point: Point, name: &str) -> Result<Option<Fault>, Crashed> {
        let millis = SignedDuration::from_millis(REQUEST_MILLIS);
        self.now = self.now.checked_add(millis).expect("in range");
        self.land();
        let at = self.points.len();
        self.points.push(point);
        self.note(|| format!("{name}: {point:?}"));
        if let Some((_, act)) = self
            .steps
            .pop_front_if(|(when, _)| *when == When::During(point))
        {
            self.act(act);
        }
        let planned = self.plan.iter().find(|planned| planned.at == at);
        let fault = match planned.map(|planned| planned.what) {
            None => return Ok(None),
            // Under a lie another request may come here.
            Some(Choice::This(fault)) if Fault::at(point).contains(&fault) => fault,
            Some(Choice::This(_)) => return Ok(None),
            Some(Choice::Any(n)) => {
                let all = Fault::at(point);
                all[n % all.len()]
            }
        };
        self.note(|| format!("    {fault:?}"));
        self.struck.push((point, fault));
        self.is_sure = false;
        let struck = self.strike(fault, name);
        self.disturbed_at = self.now;
        struck
    }

    /// What is on the wire and due is carried out.
    fn land(&mut self) {
        let now = self.now;
        while let Some(at) = self.flights.iter().position(|it| it.lands_at <= now) {
            match self.flights.remove(at).what {
                Sent::Kube(write) => {
                    self.note(|| format!("    lands: {:?}", write.change));
                    if self.cluster.write(&write, &mut self.wrong).is_ok() {
                        self.changed_at = now;
                    }
                }
                Sent::Swr(write) => {
                    self.note(|| format!("    lands: {:?}", write.what));
                    let _ = self.write(&write);
                }
            }
        }
    }

    fn write(&mut self, write: &cloud::Write) -> Result<Option<RegistryId>, Failure> {
        let (is_sure, now) = (self.is_sure, self.now);
        let written = self.cloud.write(write, is_sure, now, &mut self.wrong);
        if written.is_ok() {
            self.changed_at = now;
        }
        written
    }

    /// Nothing is under way: all must be right.
    fn rested(&mut self) {
        self.note(|| "-- at rest".to_owned());
        let took = self.changed_at.duration_since(self.disturbed_at).as_secs();
        if !self.struck.is_empty() {
            self.recovery_secs = self.recovery_secs.max(took);
        }
        let wrong = oracle::wrong_at_rest(self);
        self.wrong.extend(wrong);
    }

    /// And it stays so, without another write.
    fn stays(&mut self) {
        self.plan.clear();
        let before = self.changes();
        for _ in 0..POLLS_AFTER {
            for entry in self.entries.values_mut() {
                entry.due = None;
                entry.needs_list = false;
            }
            // What differs is looked at, and everything once in any case.
            let _ = self.poll();
            let now = self.now;
            for entry in self.entries.values_mut() {
                entry.due = Some(now);
            }
            while let Some((name, is_watched)) = self.ready() {
                let _ = self.drive(&name, is_watched);
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.due = entry.due.filter(|due| *due > self.now);
                }
                if self.changes() != before {
                    self.wrong
                        .push("L1 it is written although all is right".to_owned());
                    return;
                }
            }
        }
    }

    /// Compares all with what a poll shows. Whether anything is to be looked at.
    fn poll(&mut self) -> Result<bool, Crashed> {
        if self.entries.values().all(|entry| entry.baseline.is_none()) {
            return Ok(false);
        }
        self.now = later(self.now, WINDOWS.poll_secs);
        let observation = self.read_list(Point::Poll, "a poll", None)?;
        let secret = self.cluster.secret;
        let sealer = self.cloud.sealer();
        let now = self.now;
        let mut differs = false;
        for entry in self.entries.values_mut() {
            let Some(baseline) = &entry.baseline else {
                continue;
            };
            let is_same = match &observation {
                Ok(Some(inventory)) => {
                    let moved = oracle::moved(baseline, inventory);
                    let sealed = secret.map(|it| sealer.seal(&entry.uid, &credential(it)).whole);
                    !moved
                        && baseline.concern.digest(inventory) == baseline.digest
                        && sealed.as_ref() == Some(&baseline.credential)
                }
                // Every object has to say that it cannot be verified.
                Ok(None) | Err(_) => false,
            };
            if !is_same {
                entry.due = Some(now);
                differs = true;
            }
        }
        Ok(differs)
    }

    /// The LIST that some wait for is tried again.
    fn retry_list(&mut self) -> Result<(), Crashed> {
        let failures = self.list_retry.map_or(0, |(_, failures)| failures);
        let observation = self.read_list(Point::List, "a retry", None)?;
        if observation.is_ok() {
            self.list_retry = None;
            for entry in self.entries.values_mut().filter(|entry| entry.needs_list) {
                entry.needs_list = false;
                entry.due = Some(self.now);
            }
        } else {
            let secs = list_backoff_secs(failures + 2);
            self.list_retry = Some((later(self.now, secs), failures + 1));
        }
        Ok(())
    }
}

/// What a turn was.
enum Turn {
    /// A reconcile, or a read of the instance.
    Looked,
    /// Time went on.
    Waited,
    Rest,
}

/// The account of every object.
fn granting() -> Account {
    let all = |text: &str| vec![text.to_owned()];
    Account {
        grants: vec![Grant {
            namespaces: all(NAMESPACE),
            namespace_selector: None,
            instances: all("source-1"),
            targets: Targets {
                hosts: all("*.example.com"),
                addresses: all("*"),
                instances: all("*"),
            },
        }],
        ..account()
    }
}

mod execute;
mod others;
