//! Cases as scripts of answers, and many processes that share one lease with every kind of delay.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

const WINDOWS: LeaseWindows = LeaseWindows {
    duration: Duration::from_secs(60),
    renew_deadline: Duration::from_secs(30),
    retry_period: Duration::from_secs(2),
};
/// How long a write takes at most that began within the fence.
const WRITE: Duration = Duration::from_secs(20);

fn at(secs: i64) -> Timestamp {
    time::after(Timestamp::UNIX_EPOCH, secs)
}

/// A lease of this version whose holder claims it for so many seconds.
fn lease(version: u32, holder: &str, secs: Option<i32>) -> Box<Lease> {
    Box::new(Lease {
        metadata: ObjectMeta {
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: secs,
            ..LeaseSpec::default()
        }),
    })
}

fn read(version: u32, holder: &str, secs: Option<i32>) -> Answer {
    Answer::Read(Some(lease(version, holder, secs)))
}

fn told(request: &Request) -> String {
    let by = |spec: Option<&LeaseSpec>| {
        let spec = spec.cloned().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or_default();
        format!("transitions {transitions}")
    };
    match request {
        Request::Read => "read".to_owned(),
        Request::Create(spec) => format!("create, {}", by(Some(spec))),
        Request::Replace(lease) => {
            let version = lease.metadata.resource_version.as_deref();
            let version = version.unwrap_or("none");
            format!("replace {version}, {}", by(lease.spec.as_ref()))
        }
    }
}

fn standing(election: &Election) -> String {
    match election.standing() {
        Standing::Standby => "standby".to_owned(),
        Standing::Leads { until } => format!("leads until {}", until.as_second()),
        Standing::Lost => "lost".to_owned(),
    }
}

/// What process `me` asks, when it is answered so. Each answer comes a second after the request that is due, or at the
/// time given.
fn check(script: Vec<(i64, Answer)>, expected: Expect) {
    let mut election = Election::new("me".to_owned(), WINDOWS, at(0));
    let mut trace = String::new();
    for (when, answer) in script {
        let sent_at = election.asks_at().max(at(when));
        let mut request = election.request(sent_at, sent_at);
        if request.is_none() {
            // What is read is not enough to act upon: it is read again when it is due.
            let due = election.asks_at();
            let _ = writeln!(
                trace,
                "{}: waits until {}",
                sent_at.as_second(),
                due.as_second()
            );
            request = election.request(due.max(sent_at), sent_at);
        }
        let request = request.expect("something to ask");
        let _ = write!(trace, "{}: {}", sent_at.as_second(), told(&request));
        election.answered(answer, sent_at, time::after(sent_at, 1));
        let _ = writeln!(trace, " -> {}", standing(&election));
    }
    expected.assert_eq(&trace);
}

#[test]
fn a_lease_that_is_not_there_is_created() {
    let ours = lease(1, "me", Some(60));
    check(
        vec![
            (0, Answer::Read(None)),
            (1, Answer::Written(ours.clone())),
            (3, Answer::Written(ours)),
        ],
        expect![[r#"
            0: read -> standby
            1: create, transitions 1 -> leads until 31
            3: replace 1, transitions 0 -> leads until 33
        "#]],
    );
}

#[test]
fn somebody_else_created_it_first() {
    check(
        vec![
            (0, Answer::Read(None)),
            (0, Answer::Conflict),
            (0, read(1, "other", Some(60))),
            (1, read(1, "other", Some(60))),
        ],
        expect![[r#"
            0: read -> standby
            0: create, transitions 1 -> standby
            0: read -> standby
            1: waits until 3
            1: read -> standby
        "#]],
    );
}

#[test]
fn another_lease_expires_a_duration_after_this_process_saw_it_change() {
    check(
        vec![
            (0, read(7, "other", Some(60))),
            (50, read(8, "other", Some(60))),
            (112, read(8, "other", Some(60))),
            (114, Answer::Written(lease(9, "me", Some(60)))),
        ],
        expect![[r#"
            0: read -> standby
            50: waits until 52
            50: read -> standby
            112: replace 8, transitions 1 -> standby
            114: replace 8, transitions 1 -> leads until 144
        "#]],
    );
}

#[test]
fn a_lease_that_was_released_is_taken_at_once() {
    check(
        vec![
            (0, read(7, "other", Some(60))),
            (2, read(8, "", Some(RELEASED_SECS))),
            (2, Answer::Written(lease(9, "me", Some(60)))),
        ],
        expect![[r#"
            0: read -> standby
            2: waits until 4
            2: read -> standby
            4: replace 8, transitions 1 -> leads until 34
        "#]],
    );
}

#[test]
fn a_lease_that_a_person_emptied_or_deleted_is_waited_for_like_a_held_one() {
    check(
        vec![
            (0, read(7, "other", Some(60))),
            (2, read(8, "", Some(60))),
            (4, Answer::Read(None)),
            (64, Answer::Read(None)),
            (67, Answer::Read(None)),
            (68, Answer::Written(lease(9, "me", Some(60)))),
        ],
        expect![[r#"
            0: read -> standby
            2: waits until 4
            2: read -> standby
            4: waits until 6
            4: read -> standby
            64: waits until 65
            64: read -> standby
            67: create, transitions 1 -> standby
            68: create, transitions 1 -> leads until 98
        "#]],
    );
}

#[test]
fn a_hostile_duration_neither_shortens_nor_stretches_the_wait() {
    for (secs, patience) in [
        (None, 60),
        (Some(0), 60),
        (Some(-1), 60),
        (Some(i32::MIN), 60),
        (Some(59), 60),
        (Some(120), 120),
        (Some(1_000_000_000), 600),
    ] {
        let mut election = Election::new("me".to_owned(), WINDOWS, at(0));
        let theirs = lease(1, "other", secs);
        election.answered(Answer::Read(Some(theirs)), at(0), at(1));
        let expires_at = election.rival.map(|rival| rival.expires_at);
        assert_eq!(expires_at, Some(at(1 + patience)), "{secs:?}");
    }
}

#[test]
fn a_renewal_without_an_answer_leaves_the_fence_and_is_looked_for() {
    let ours = || lease(1, "me", Some(60));
    check(
        vec![
            (0, Answer::Read(None)),
            (0, Answer::Written(ours())),
            (2, Answer::Failed),
            (4, Answer::Failed),
            (40, Answer::Read(Some(ours()))),
            (40, Answer::Written(ours())),
        ],
        expect![[r#"
            0: read -> standby
            0: create, transitions 1 -> leads until 30
            2: replace 1, transitions 0 -> leads until 30
            5: read -> leads until 30
            40: read -> leads until 30
            40: replace 1, transitions 0 -> leads until 70
        "#]],
    );
}

#[test]
fn a_holder_that_finds_another_one_has_lost() {
    let ours = lease(1, "me", Some(60));
    check(
        vec![
            (0, Answer::Read(None)),
            (0, Answer::Written(ours)),
            (90, Answer::Conflict),
            (90, read(5, "other", Some(60))),
        ],
        expect![[r#"
            0: read -> standby
            0: create, transitions 1 -> leads until 30
            90: replace 1, transitions 0 -> leads until 30
            90: read -> lost
        "#]],
    );
    let mut election = Election::new("me".to_owned(), WINDOWS, at(0));
    election.renewed_at = Some(at(0));
    election.answered(read(5, "other", None), at(1), at(1));
    assert_eq!(election.request(at(900), at(900)), None);
}

#[test]
fn a_holder_takes_a_lease_back_that_a_person_emptied_or_deleted() {
    let ours = lease(1, "me", Some(60));
    check(
        vec![
            (0, Answer::Read(None)),
            (0, Answer::Written(ours.clone())),
            (2, Answer::Conflict),
            (2, read(4, "", Some(60))),
            (2, Answer::Written(ours.clone())),
            (4, Answer::Conflict),
            (4, Answer::Read(None)),
            (4, Answer::Written(ours)),
        ],
        expect![[r#"
            0: read -> standby
            0: create, transitions 1 -> leads until 30
            2: replace 1, transitions 0 -> leads until 30
            2: read -> leads until 30
            2: replace 4, transitions 1 -> leads until 32
            4: replace 1, transitions 0 -> leads until 32
            4: read -> leads until 32
            4: create, transitions 1 -> leads until 34
        "#]],
    );
}

#[test]
fn only_its_own_lease_is_released() {
    let mut election = Election::new("me".to_owned(), WINDOWS, at(0));
    assert_eq!(election.released(at(0)), None);
    election.answered(read(5, "other", None), at(0), at(0));
    assert_eq!(election.released(at(0)), None);
    let ours = lease(6, "me", Some(60));
    election.answered(Answer::Written(ours), at(0), at(0));
    let released = election.released(at(1)).expect("a lease");
    assert!(is_released(&released), "{released:?}");
    assert_eq!(released.metadata.resource_version.as_deref(), Some("6"));
}

/// The stored lease, with etcd's order of writes.
#[derive(Default)]
struct Server {
    lease: Option<Box<Lease>>,
    version: u32,
}

impl Server {
    fn store(&mut self, spec: Option<LeaseSpec>) -> Box<Lease> {
        self.version += 1;
        let mut stored = lease(self.version, "", None);
        stored.spec = spec;
        self.lease = Some(stored.clone());
        stored
    }

    fn apply(&mut self, request: &Request) -> Answer {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        match request {
            Request::Read => Answer::Read(self.lease.clone()),
            Request::Create(_) if self.lease.is_some() => Answer::Conflict,
            Request::Create(spec) => Answer::Written(self.store(Some(LeaseSpec::clone(spec)))),
            Request::Replace(new) => match &self.lease {
                Some(old) if version(old) == version(new) => {
                    Answer::Written(self.store(new.spec.clone()))
                }
                Some(_) | None => Answer::Conflict,
            },
        }
    }
}

/// A sequence of numbers that is the same in each run.
struct Chance(u64);

impl Chance {
    fn of(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A request on its way, or an answer on its way back.
enum Wire {
    There(Request, i64),
    Back(Answer),
}

struct Process {
    election: Election,
    /// What it waits for, since when, and when that moves on.
    wire: Option<(Wire, Timestamp, i64)>,
    /// It is stopped until then.
    stopped_until: i64,
    /// Its clock, ahead of the truth.
    ahead: i64,
}

/// Three processes, each with a clock of its own, requests and answers that take up to a minute, arrive late or never,
/// processes that are stopped for minutes, and a person who empties the lease now and then. Returns how often the
/// leader changed, or when two of them
/// might write.
fn run(windows: LeaseWindows, seed: u64) -> Result<usize, String> {
    let mut chance = Chance(seed);
    let mut server = Server::default();
    // Of one that ended long ago. A process that never saw the lease held would take a deleted one at once.
    server.store(lease(0, "the first", Some(60)).spec);
    let start = |name: String, server: &mut Server, own: Timestamp| {
        let mut election = Election::new(name, windows, own);
        election.answered(server.apply(&Request::Read), own, own);
        election
    };
    let mut processes: Vec<Process> = (0..3)
        .map(|n: i64| Process {
            election: start(format!("process {n}"), &mut server, at(1_000 * n)),
            wire: None,
            stopped_until: 0,
            ahead: 1_000 * n,
        })
        .collect();
    // Late copies of writes that their senders gave up.
    let mut late: Vec<(Request, i64)> = Vec::new();
    // By the true time: who may have a write under way, and until when.
    let mut fences: Vec<Option<Timestamp>> = vec![None; 3];
    let (mut leader, mut changes, mut edited_at) = (None, 0, 0);
    for now in 0..3_000 {
        late.retain(|(request, due)| {
            if *due <= now {
                server.apply(request);
            }
            *due > now
        });
        for n in 0..processes.len() {
            let process = &mut processes[n];
            let own = at(now + process.ahead);
            if now < process.stopped_until {
                continue;
            }
            if chance.of(400) == 0 {
                process.stopped_until = now + 20 + i64::try_from(chance.of(200)).expect("small");
                continue;
            }
            match process.wire.take() {
                None => {
                    if let Some(request) = process.election.request(own, own) {
                        let delay = match chance.of(12) {
                            0 => i64::try_from(chance.of(60)).expect("small"),
                            _ => 0,
                        };
                        process.wire = Some((Wire::There(request, now), own, now + delay));
                    }
                }
                Some((Wire::There(request, sent), sent_at, due)) if due <= now => {
                    let answer = match chance.of(20) {
                        0 => Answer::Failed,
                        // Given up after its deadline, and carried out later.
                        1 => {
                            late.push((request, now + 30));
                            Answer::Failed
                        }
                        // Carried out, and the answer is lost.
                        2 => {
                            server.apply(&request);
                            Answer::Failed
                        }
                        _ if now - sent > 5 => {
                            late.push((request, now));
                            Answer::Failed
                        }
                        _ => server.apply(&request),
                    };
                    process.wire = Some((Wire::Back(answer), sent_at, now));
                }
                Some((Wire::Back(answer), sent_at, _)) => {
                    process.election.answered(answer, sent_at, own);
                }
                waiting @ Some(_) => process.wire = waiting,
            }
            if let Standing::Leads { until } = process.election.standing() {
                let until = time::after(until, -process.ahead);
                fences[n] = Some(time::after_wait(until, WRITE));
                if until >= at(now) {
                    for (other, fence) in fences.iter().enumerate() {
                        if other != n && fence.is_some_and(|fence| fence >= at(now)) {
                            return Err(format!("seed {seed}, second {now}: {n} and {other}"));
                        }
                    }
                    changes += usize::from(leader.replace(n) != Some(n));
                }
            }
            // A process that lost ends, and another one is started in its place.
            let is_held = server.lease.as_deref().and_then(holder).is_some();
            if process.election.standing() == Standing::Lost && is_held {
                process.election = start(format!("process {n} at {now}"), &mut server, own);
                process.wire = None;
            }
        }
        // Not twice within the time for which everybody else waits.
        if now > edited_at + 300 && chance.of(300) == 0 {
            edited_at = now;
            match chance.of(2) {
                0 => drop(server.store(None)),
                _ => server.lease = None,
            }
        }
    }
    Ok(changes)
}

#[test]
fn whatever_is_late_lost_or_stopped_no_two_processes_write_at_once() {
    let changes: Result<Vec<usize>, String> = (1..=300).map(|seed| run(WINDOWS, seed)).collect();
    let total: usize = changes.expect("one at a time").iter().sum();
    assert!(total > 300, "the leader changed {total} times only");
    // Such windows are refused at the start.
    let too_long = LeaseWindows {
        renew_deadline: WINDOWS.duration,
        ..WINDOWS
    };
    assert!(
        (1..=300).any(|seed| run(too_long, seed).is_err()),
        "a fence without room for a write was not found out"
    );
}
