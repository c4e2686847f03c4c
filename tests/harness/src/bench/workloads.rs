//! One contestant through all workloads: create, edit, start, rotate, rest, one among N, delete. The order lets each
//! workload find what it needs, and leaves an empty namespace.

use std::path::Path;
use std::time::{Duration, Instant};

use super::actors::Actors;
use super::audit::Audit;
use super::client::{Client, on_each};
use super::contestant::{Contestant, POLL_SHORT, POLL_USUAL, Profile, Running, World};
use super::journal::Journal;
use super::meter::{Books, Meter, Pids, Seen};
use super::objects::{Place, name};
use super::observer::Observer;
use super::report::{Run, Settings, Workload};
use super::stage::Stage;
use super::{proc, raw};
use crate::bed::simulator_options;
use crate::kubectl::apply;
use crate::progress::say;
use crate::{Error, Simulator, environment};

/// SWR's names of operations, as the journal has them.
const UPDATE: &str = "UpdateInstanceRegistry";

/// Between two reads of the journal.
const JOURNAL_EVERY: Duration = Duration::from_millis(200);

/// For one object beside idle ones, and for the removal of all of them.
const SINGLE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) n: usize,
    pub(crate) profile: Profile,
}

/// Everything that one run needs. Invariant: fields drop from top to bottom, the operator first.
struct Session<'a> {
    running: Option<Running>,
    observer: Observer,
    simulator: Simulator,
    contestant: &'a Contestant,
    stage: &'a Stage,
    case: Case,
    settings: &'a Settings,
    books: Books,
    place: Place,
    n_starts: usize,
}

/// Measures it. A workload that fails ends the run and stands in it; what was measured before stays.
pub(crate) fn measure(
    stage: &Stage,
    contestant: &Contestant,
    case: Case,
    simulator: &Path,
    settings: &Settings,
) -> Result<Run, Error> {
    let mut run = Run {
        contestant: contestant.name().to_owned(),
        profile: case.profile.name().to_owned(),
        n: case.n,
        load_average: [proc::load(); 2],
        ..Run::default()
    };
    let mut session = Session::open(stage, contestant, case, simulator, settings)?;
    if let Err(error) = session.all(&mut run) {
        note_failure(&mut run, error.to_string());
        session.abandon()?;
    }
    drop(session);
    run.load_average[1] = proc::load();
    stage.await_idle()?;
    Ok(run)
}

fn note(run: &mut Run, name: &str, outcome: Result<Workload, Error>) {
    match outcome {
        Ok(workload) => run.workloads.push(workload),
        Err(error) => note_failure(run, format!("{name}: {error}")),
    }
}

fn note_failure(run: &mut Run, why: String) {
    say(&format!("   {why}"));
    run.failures.push(why);
}

impl<'a> Session<'a> {
    fn open(
        stage: &'a Stage,
        contestant: &'a Contestant,
        case: Case,
        simulator: &Path,
        settings: &'a Settings,
    ) -> Result<Self, Error> {
        let mut options = simulator_options(simulator, &stage.folder);
        // More than 10,000 and the single ones beside them.
        options.switches.push("registry_quota=100000".to_owned());
        let simulator = Simulator::spawn(&options)?;
        case.profile.set(&simulator)?;
        let place = Place {
            kind: contestant.kind(),
            namespace: format!("bench-{}-{}", contestant.name(), case.profile.name()),
        };
        let objects = [&place.furniture()[..], &case.profile.account()].concat();
        apply(&stage.plane, &objects)?;
        let path = place.path();
        let watch = Observer::start(&stage.watching, &stage.observer, &path);
        let observer = stage.block_on(watch)?;
        let books = Books {
            audit: Audit::at(stage.plane.audit_log().to_path_buf()),
            journal: Journal::of(&simulator),
            contestant: contestant.user().to_owned(),
            user: stage.user.name.clone(),
        };
        Ok(Self {
            running: None,
            observer,
            simulator,
            contestant,
            stage,
            case,
            settings,
            books,
            place,
            n_starts: 0,
        })
    }

    /// Fills the run. Without objects there is nothing to measure; any other workload that fails is noted, and the next
    /// one is measured all the same.
    fn all(&mut self, run: &mut Run) -> Result<(), Error> {
        self.start_process(POLL_USUAL)?;
        if let Some(running) = &mut self.running {
            running.await_ready()?;
        }
        // What the start still does belongs to no workload.
        environment::pause(Duration::from_secs(2));
        run.workloads.push(self.create()?);
        note(run, "edit", self.edit());
        if self.case.profile == Profile::Unlimited {
            note(run, "start", self.start());
            note(run, "rotate", self.rotate());
            if self.running.is_some() {
                note(run, "rest", self.rest());
            }
            note(run, "one", self.one_more());
        }
        run.workloads.push(self.delete()?);
        Ok(())
    }

    fn start_process(&mut self, poll: &str) -> Result<(), Error> {
        self.n_starts += 1;
        let file = format!(
            "{}-{}-{}-{}.log",
            self.contestant.name(),
            self.case.profile.name(),
            self.case.n,
            self.n_starts
        );
        let world = World {
            kubeconfig: &self.stage.operator_kubeconfig,
            peer_kubeconfig: &self.stage.peer_kubeconfig,
            simulator: &self.simulator,
            log_path: self.stage.folder.join(file),
        };
        self.running = self.contestant.start(&world, poll)?;
        Ok(())
    }

    fn begin(&mut self, name: &'static str) -> Result<Meter, Error> {
        if let Some(running) = &mut self.running {
            running.assert_running()?;
        }
        let [apiserver, etcd] = self.stage.pids()?;
        let pids = Pids {
            operator: self.running.as_ref().map(Running::pid),
            apiserver,
            etcd,
            simulator: self.simulator.pid(),
        };
        Meter::begin(name, pids, &mut self.books)
    }

    fn end(&mut self, meter: Meter, mut seen: Seen) -> Result<Workload, Error> {
        let deadline = self.deadline();
        let mut workload = meter.end(&mut self.books, deadline)?;
        if let Some([begun, last]) = seen
            .process_started
            .zip(self.books.journal.last_at())
            .map(<[_; 2]>::from)
        {
            seen.wall_s = last.duration_since(begun).as_secs_f64();
        }
        seen.enter(&mut workload);
        say(&format!(
            "   {:<8} {:>8.2} s, API server {:>7.2} CPU-s, operator {:>6.2} CPU-s",
            workload.name, workload.wall_s, workload.cpu_s.apiserver, workload.cpu_s.operator
        ));
        Ok(workload)
    }

    /// Three polls, and twenty times what a plain client needs for one object.
    fn deadline(&self) -> Duration {
        Duration::from_secs(180)
            + Duration::from_millis(200) * u32::try_from(self.case.n).unwrap_or(u32::MAX)
    }

    fn is_raw(&self) -> bool {
        matches!(self.contestant, Contestant::Raw)
    }

    fn actors(&self) -> Actors {
        let raw = self.is_raw().then(|| self.stage.raw.clone());
        Actors::at(self.place.clone(), self.stage.user.clone(), raw)
    }

    fn create(&mut self) -> Result<Workload, Error> {
        self.until_ready("create", 1, |actors, client, name| async move {
            actors.create(&client, &name).await
        })
    }

    fn edit(&mut self) -> Result<Workload, Error> {
        self.until_ready("edit", 2, |actors, client, name| async move {
            actors.edit(&client, &name).await
        })
    }

    /// The user does this to every object, until the last one is Ready for this generation.
    fn until_ready<F>(
        &mut self,
        workload: &'static str,
        generation: i64,
        act: impl Fn(Actors, Client, String) -> F + Send + Sync + 'static,
    ) -> Result<Workload, Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let meter = self.begin(workload)?;
        self.observer.aim(generation);
        let actors = self.actors();
        let acting = actors.clone();
        let connections = &self.stage.connections;
        let work = on_each(connections, self.case.n, move |client, index| {
            act(acting.clone(), client, name(index))
        });
        let last = self.stage.block_on(async {
            work.await?;
            self.observer.reached(self.case.n, self.deadline()).await
        })?;
        let seen = self.seen(&meter, last, &actors);
        self.end(meter, seen)
    }

    /// The old process is killed; a new one finds all objects in sync. Over when it has asked SWR for the last time and
    /// is quiet, which needs no word of its own.
    fn start(&mut self) -> Result<Workload, Error> {
        if let Some(mut running) = self.running.take() {
            running.kill_9()?;
        }
        let mut meter = self.begin("start")?;
        let begun = environment::timestamp();
        if self.is_raw() {
            let (raw, place) = (self.stage.raw.clone(), self.place.clone());
            let list = async { raw::list(&self.stage.connections[0], &raw, &place).await };
            self.stage.block_on(list)?;
            let wall_s = meter.started().elapsed().as_secs_f64();
            return self.end(
                meter,
                Seen {
                    wall_s,
                    ..Seen::default()
                },
            );
        }
        self.start_process(POLL_SHORT)?;
        if let Some(running) = &mut self.running {
            meter.joined(running.pid());
            running.await_ready()?;
        }
        // A full page of SWR has 100 registries, and less than all pages cannot judge all objects.
        let n_pages = self.case.n.div_ceil(100) as u64;
        self.await_swr("a request for each page", |journal| {
            (journal.n_all(), n_pages)
        })?;
        self.end(
            meter,
            Seen {
                process_started: Some(begun),
                ..Seen::default()
            },
        )
    }

    /// The Secret changes, and every registry is sent the new one. Over with the last such request: a peer may have no
    /// word for it in its status.
    fn rotate(&mut self) -> Result<Workload, Error> {
        let mut meter = self.begin("rotate")?;
        let changed = environment::timestamp();
        self.stage.block_on(
            self.place
                .rotate(&self.stage.connections[0], &self.stage.user),
        )?;
        let mut seen = Seen::default();
        if self.is_raw() {
            let actors = self.actors();
            let connections = &self.stage.connections;
            let work = on_each(connections, self.case.n, move |client, index| {
                let actors = actors.clone();
                async move { actors.update(&client, &name(index)).await }
            });
            self.stage.block_on(work)?;
            seen.wall_s = meter.started().elapsed().as_secs_f64();
        } else {
            self.await_poll(&mut meter)?;
            let n = self.case.n as u64;
            self.await_swr("a PUT of each registry", |journal| (journal.n(UPDATE), n))?;
            if let Some([first, last]) = self.books.journal.span(UPDATE) {
                seen.wall_s = last.duration_since(first).as_secs_f64();
                seen.noticed_s = Some(first.duration_since(changed).as_secs_f64());
            }
        }
        self.end(meter, seen)
    }

    /// Nothing happens.
    fn rest(&mut self) -> Result<Workload, Error> {
        let meter = self.begin("rest")?;
        environment::pause(Duration::from_secs(self.settings.rest_s));
        let wall_s = meter.started().elapsed().as_secs_f64();
        self.end(
            meter,
            Seen {
                wall_s,
                ..Seen::default()
            },
        )
    }

    /// One object after the other beside N idle ones. They are removed again, which nobody measures.
    fn one_more(&mut self) -> Result<Workload, Error> {
        let meter = self.begin("one")?;
        self.observer.aim(1);
        let actors = self.actors();
        let (n, more) = (self.case.n, self.settings.n_single);
        let client = &self.stage.connections[0];
        let names: Vec<String> = (0..more)
            .map(|index| format!("single-{index:03}"))
            .collect();
        let last = self.stage.block_on(async {
            let mut last = environment::now();
            for (index, name) in names.iter().enumerate() {
                actors.create(client, name).await?;
                last = self.observer.reached(n + index + 1, SINGLE).await?;
            }
            Ok::<_, Error>(last)
        });
        let outcome = match last {
            Ok(last) => {
                let seen = self.seen(&meter, last, &actors);
                self.end(meter, seen)
            }
            Err(error) => Err(error),
        };
        let cleared = self.stage.block_on(async {
            for name in &names {
                // One that was never created is not there.
                let _ = actors.delete(client, name).await;
            }
            self.observer.left(n, SINGLE).await
        });
        outcome.and_then(|workload| cleared.map(|_| workload))
    }

    fn delete(&mut self) -> Result<Workload, Error> {
        let meter = self.begin("delete")?;
        self.observer.aim(1);
        let actors = self.actors();
        let connections = &self.stage.connections;
        let work = on_each(connections, self.case.n, move |client, index| {
            let actors = actors.clone();
            async move { actors.delete(&client, &name(index)).await }
        });
        let last = self.stage.block_on(async {
            work.await?;
            self.observer.left(0, self.deadline()).await
        })?;
        let wall_s = last.duration_since(meter.started()).as_secs_f64();
        self.end(
            meter,
            Seen {
                wall_s,
                ..Seen::default()
            },
        )
    }

    fn seen(&self, meter: &Meter, last: Instant, actors: &Actors) -> Seen {
        let latencies = actors.begun().into_iter().filter_map(|(name, begun)| {
            let reached = self.observer.reached_at(&name)?;
            Some(reached.duration_since(begun).as_secs_f64() * 1000.0)
        });
        Seen {
            wall_s: last.duration_since(meter.started()).as_secs_f64(),
            latencies_ms: latencies.collect(),
            ..Seen::default()
        }
    }

    /// Waits until the poll that notices a Secret has sent the first PUT. The wait for that poll costs nothing that
    /// belongs to the rotation, so the meter begins with the requests among which the PUT is.
    fn await_poll(&mut self, meter: &mut Meter) -> Result<(), Error> {
        let (begun, deadline) = (environment::now(), self.deadline());
        while self.books.journal.n(UPDATE) == 0 {
            let before = self.books.journal.n_all();
            let mark = meter.mark();
            self.books.journal.read()?;
            if self.books.journal.n_all() == before {
                meter.begin_at(mark);
            }
            if begun.elapsed() >= deadline {
                return Err(Error::Deadline {
                    what: "the first PUT".to_owned(),
                    deadline,
                    seen: format!("{before} other requests to SWR"),
                });
            }
            environment::pause(JOURNAL_EVERY);
        }
        Ok(())
    }

    /// Waits until the journal has so many.
    fn await_swr(
        &mut self,
        what: &str,
        look: impl Fn(&Journal) -> (u64, u64),
    ) -> Result<(), Error> {
        let (begun, deadline) = (environment::now(), self.deadline());
        loop {
            self.books.journal.read()?;
            let (n, wanted) = look(&self.books.journal);
            if n >= wanted {
                return Ok(());
            }
            if begun.elapsed() >= deadline {
                return Err(Error::Deadline {
                    what: what.to_owned(),
                    deadline,
                    seen: format!("{n} of {wanted}"),
                });
            }
            environment::pause(JOURNAL_EVERY);
        }
    }

    /// After a failure: nothing of this run may be left for the next one.
    fn abandon(&mut self) -> Result<(), Error> {
        if let Some(mut running) = self.running.take() {
            running.kill_9()?;
        }
        let clear = self
            .place
            .clear(&self.stage.connections[0], &self.stage.user);
        self.stage.block_on(clear)
    }
}
