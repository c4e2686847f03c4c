//! When each instance is read, and for what: all of it at the poll interval, what changed last in
//! between, and all of it once more where a LIST failed and objects wait. A data structure without
//! tasks: time comes in as an argument.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_core::desired::Scope;
use swr_operator_core::failure::Failure;
use swr_operator_core::requeue::{LIST_BACKOFF_SECS_MAX, asked_secs, list_backoff_secs};
use swr_operator_core::time;
use swr_operator_core::witness::{Testimony, Trust};

/// What an instance is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// The poll interval is over: all registries, and the Secrets of its objects.
    Poll,
    /// Drift is to be seen between two polls: what changed last, where one page tells.
    Changes,
    /// A LIST failed, and objects wait for one that does not: all registries.
    Retry,
}

/// The instances that objects use.
pub(super) struct Schedule {
    instances: HashMap<Scope, Instance>,
    /// Seconds between two reads of what changed last; `None` if there are none.
    changes_secs: Option<i64>,
    jitter: Jitter,
}

/// Spreads waits.
type Jitter = fn(Duration) -> Duration;

fn in_about(jitter: Jitter, now: Timestamp, secs: i64) -> Timestamp {
    time::after_wait(now, jitter(Duration::from_secs(secs.unsigned_abs())))
}

#[derive(Default)]
struct Instance {
    poll: Option<Poll>,
    changes_at: Option<Timestamp>,
    retry: Option<Retry>,
    /// Whether it is being read.
    is_read: bool,
    /// What its polls told of its `updated_at`.
    testimony: Testimony,
}

#[derive(Clone, Copy)]
struct Poll {
    at: Timestamp,
    every_secs: i64,
}

#[derive(Clone, Copy)]
struct Retry {
    at: Timestamp,
    failures: u32,
    /// SWR asks not to be asked before.
    not_before: Option<Timestamp>,
}

impl Retry {
    fn first(jitter: Jitter, now: Timestamp) -> Self {
        Retry {
            at: in_about(jitter, now, list_backoff_secs(1)),
            failures: 0,
            not_before: None,
        }
    }

    fn due(&self) -> Timestamp {
        self.not_before.map_or(self.at, |it| it.max(self.at))
    }
}

impl Schedule {
    pub(super) fn new(changes_secs: Option<i64>, jitter: Jitter) -> Self {
        Schedule {
            instances: HashMap::new(),
            changes_secs,
            jitter,
        }
    }

    /// These instances are polled, each as often as says here.
    pub(super) fn polls(&mut self, polls: &HashMap<Scope, i64>, now: Timestamp) {
        for (scope, instance) in &mut self.instances {
            if !polls.contains_key(scope) {
                instance.poll = None;
                instance.changes_at = None;
            }
        }
        for (scope, &secs) in polls {
            let instance = self.instances.entry(scope.clone()).or_default();
            let next = in_about(self.jitter, now, secs);
            let at = match instance.poll {
                Some(poll) if poll.every_secs == secs => continue,
                // An object with a shorter interval must not wait for the end of a longer one.
                Some(poll) => poll.at.min(next),
                None => next,
            };
            instance.poll = Some(Poll {
                at,
                every_secs: secs,
            });
            let changes_at = self
                .changes_secs
                .map(|secs| in_about(self.jitter, now, secs));
            instance.changes_at = instance.changes_at.or(changes_at);
        }
    }

    /// Objects wait for these instances, and SWR asks not to be asked before.
    pub(super) fn waited_for<'a>(
        &mut self,
        waits: impl Iterator<Item = (&'a Scope, Option<Timestamp>)>,
        now: Timestamp,
    ) {
        let mut waits: HashMap<&Scope, Option<Timestamp>> = waits.collect();
        for (scope, instance) in &mut self.instances {
            let known = instance.retry.take();
            instance.retry = waits.remove(scope).map(|not_before| Retry {
                not_before,
                ..known.unwrap_or_else(|| Retry::first(self.jitter, now))
            });
        }
        for (scope, not_before) in waits {
            let instance = self.instances.entry(scope.clone()).or_default();
            instance.retry = Some(Retry {
                not_before,
                ..Retry::first(self.jitter, now)
            });
        }
    }

    /// What is to be read now.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(Scope, Purpose)> {
        let next = self.instances.iter().filter_map(|(scope, instance)| {
            let (at, purpose) = instance.next()?;
            (at <= now).then(|| (scope.clone(), purpose))
        });
        next.collect()
    }

    /// A read begins; until [`Schedule::ended`] there is no other of this instance.
    pub(super) fn begins(&mut self, scope: &Scope) {
        if let Some(instance) = self.instances.get_mut(scope) {
            instance.is_read = true;
        }
    }

    /// When the next instance is to be read.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let next = self.instances.values().filter_map(Instance::next);
        next.map(|(at, _)| at).min()
    }

    /// A read is over, whatever came of it.
    pub(super) fn ended(&mut self, scope: &Scope, purpose: Purpose, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(scope) else {
            return;
        };
        instance.is_read = false;
        let Some(poll) = &mut instance.poll else {
            return;
        };
        // Whatever was read shows what changed last.
        instance.changes_at = self
            .changes_secs
            .map(|secs| in_about(self.jitter, now, secs));
        if purpose == Purpose::Poll {
            poll.at = in_about(self.jitter, now, poll.every_secs);
        }
    }

    /// The instance was listed by whomever: nobody waits for it any more.
    pub(super) fn answers(&mut self, scope: &Scope) {
        if let Some(instance) = self.instances.get_mut(scope) {
            instance.retry = None;
        }
    }

    /// Its LIST failed: who waits for it waits longer.
    pub(super) fn fails(&mut self, scope: &Scope, failure: &Failure, now: Timestamp) {
        let instance = self.instances.get_mut(scope);
        if let Some(retry) = instance.and_then(|it| it.retry.as_mut()) {
            retry.failures = retry.failures.saturating_add(1);
            let secs = list_backoff_secs(retry.failures.saturating_add(1));
            let asked_secs = i64::from(asked_secs(failure));
            // The shorter waits before have spread the instances, and longer than this is too late.
            retry.at = match secs == LIST_BACKOFF_SECS_MAX && asked_secs <= secs {
                true => time::after(now, secs),
                false => in_about(self.jitter, now, secs.max(asked_secs)),
            };
        }
    }

    /// What the polls of an instance told of its `updated_at`.
    pub(super) fn testimony(&self, scope: &Scope) -> Testimony {
        let instance = self.instances.get(scope);
        instance.map(|it| it.testimony).unwrap_or_default()
    }

    /// Notes what one more poll told. Says whether it is since then that it tells nothing.
    pub(super) fn testifies(&mut self, scope: &Scope, testimony: Testimony) -> bool {
        let Some(instance) = self.instances.get_mut(scope) else {
            return false;
        };
        let before = std::mem::replace(&mut instance.testimony, testimony);
        before.trust != Trust::Broken && testimony.trust == Trust::Broken
    }

    /// Only these instances are used. One that is being read goes when that is over.
    pub(super) fn retain(&mut self, is_used: impl Fn(&Scope) -> bool) {
        self.instances
            .retain(|scope, instance| instance.is_read || is_used(scope));
    }
}

impl Instance {
    /// What is read next, and when. A poll shows what the others would.
    fn next(&self) -> Option<(Timestamp, Purpose)> {
        if self.is_read {
            return None;
        }
        let poll = self.poll.map(|poll| (poll.at, Purpose::Poll));
        let retry = self.retry.map(|retry| (retry.due(), Purpose::Retry));
        // While it fails, what changed is not asked for.
        let changes = self.changes_at.filter(|_| self.retry.is_none());
        let changes = changes.map(|at| (at, Purpose::Changes));
        poll.into_iter().chain(retry).chain(changes).min()
    }
}

#[cfg(test)]
mod tests {
    use swr_operator_core::desired::InstanceId;
    use swr_operator_core::failure::{Cause, Class};

    use super::*;

    const POLL_SECS: i64 = 600;
    const CHANGES_SECS: i64 = 30;

    fn scope(instance: &str) -> Scope {
        Scope {
            account: "account".into(),
            instance: InstanceId::new(instance.to_owned()),
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).expect("a time")
    }

    fn schedule(changes_secs: Option<i64>, poll_secs: i64) -> Schedule {
        let mut schedule = Schedule::new(changes_secs, |wait| wait);
        let polls = HashMap::from([(scope("a"), poll_secs)]);
        schedule.polls(&polls, at(0));
        schedule
    }

    /// What is read until `secs`, each read taking no time, and when.
    fn reads(schedule: &mut Schedule, secs: i64) -> Vec<(i64, Purpose)> {
        let mut reads = Vec::new();
        while let Some(next) = schedule.next_at().filter(|next| *next <= at(secs)) {
            for (scope, purpose) in schedule.due(next) {
                schedule.begins(&scope);
                reads.push((next.as_second(), purpose));
                schedule.ended(&scope, purpose, next);
            }
        }
        reads
    }

    #[test]
    fn what_changed_is_read_between_two_polls_and_after_every_read_anew() {
        let mut schedule = schedule(Some(CHANGES_SECS), 70);
        assert_eq!(
            reads(&mut schedule, 140),
            [
                (30, Purpose::Changes),
                (60, Purpose::Changes),
                (70, Purpose::Poll),
                (100, Purpose::Changes),
                (130, Purpose::Changes),
                (140, Purpose::Poll),
            ]
        );
    }

    #[test]
    fn only_polls_are_left_where_changes_are_not_read() {
        let mut schedule = schedule(None, POLL_SECS);
        let polls = [(600, Purpose::Poll), (1_200, Purpose::Poll)];
        assert_eq!(reads(&mut schedule, 1_300), polls);
    }

    #[test]
    fn a_shorter_interval_counts_at_once_and_a_longer_one_after_the_next_poll() {
        let mut schedule = schedule(None, POLL_SECS);
        let poll_every = |schedule: &mut Schedule, secs, now| {
            schedule.polls(&HashMap::from([(scope("a"), secs)]), at(now));
        };
        poll_every(&mut schedule, 60, 100);
        assert_eq!(reads(&mut schedule, 170), [(160, Purpose::Poll)]);
        poll_every(&mut schedule, POLL_SECS, 170);
        assert_eq!(
            reads(&mut schedule, 1_000),
            [(220, Purpose::Poll), (820, Purpose::Poll)]
        );
        schedule.polls(&HashMap::new(), at(1_000));
        assert_eq!(schedule.next_at(), None, "nobody uses it");
    }

    #[test]
    fn an_instance_that_fails_is_tried_again_for_those_who_wait_until_it_answers() {
        let mut schedule = schedule(Some(CHANGES_SECS), POLL_SECS);
        let wait = |schedule: &mut Schedule, not_before: Option<i64>, now| {
            let scope = scope("a");
            schedule.waited_for([(&scope, not_before.map(at))].into_iter(), at(now));
        };
        let failure = |after_secs| Failure::new(Class::Throttled { after_secs }, Cause::Throttled);
        wait(&mut schedule, None, 0);
        let mut tried = Vec::new();
        for _ in 0..4 {
            let now = schedule.next_at().expect("it is tried again");
            tried.push(now.as_second());
            assert_eq!(schedule.due(now), [(scope("a"), Purpose::Retry)]);
            schedule.begins(&scope("a"));
            assert_eq!(schedule.due(now), [], "one read at a time");
            schedule.ended(&scope("a"), Purpose::Retry, now);
            schedule.fails(&scope("a"), &failure(None), now);
            wait(&mut schedule, None, now.as_second());
        }
        assert_eq!(tried, [1, 3, 7, 15]);
        // SWR says how long, to the retry or to an object.
        let now = schedule.next_at().expect("it is tried again");
        schedule.begins(&scope("a"));
        schedule.ended(&scope("a"), Purpose::Retry, now);
        schedule.fails(&scope("a"), &failure(Some(90)), now);
        assert_eq!(schedule.next_at(), Some(at(31 + 90)));
        wait(&mut schedule, Some(200), 40);
        assert_eq!(schedule.next_at(), Some(at(200)));
        schedule.answers(&scope("a"));
        assert_eq!(schedule.next_at(), Some(at(31 + CHANGES_SECS)));
    }

    #[test]
    fn an_instance_that_fails_for_hours_is_asked_once_a_minute_and_no_later() {
        let longest = |wait: Duration| wait.mul_f64(1.2);
        let mut schedule = Schedule::new(None, longest);
        let failure = Failure::new(Class::Transient, Cause::ServerError);
        let mut waits = Vec::new();
        let mut before = at(0);
        for _ in 0..9 {
            schedule.waited_for([(&scope("a"), None)].into_iter(), before);
            let now = schedule.next_at().expect("it is tried again");
            waits.push(now.duration_since(before).as_secs());
            schedule.begins(&scope("a"));
            schedule.ended(&scope("a"), Purpose::Retry, now);
            schedule.fails(&scope("a"), &failure, now);
            before = now;
        }
        assert_eq!(waits, [1, 2, 4, 9, 19, 38, 60, 60, 60]);
    }

    #[test]
    fn what_is_known_of_an_instance_stays_while_it_is_read_or_used() {
        let mut schedule = schedule(None, POLL_SECS);
        let broken = Testimony {
            trust: Trust::Broken,
            ..Testimony::default()
        };
        assert!(schedule.testifies(&scope("a"), broken));
        assert!(!schedule.testifies(&scope("a"), broken), "said once");
        schedule.begins(&scope("a"));
        schedule.retain(|_| false);
        assert_eq!(schedule.testimony(&scope("a")), broken);
        schedule.ended(&scope("a"), Purpose::Poll, at(POLL_SECS));
        schedule.retain(|_| false);
        assert_eq!(schedule.testimony(&scope("a")), Testimony::default());
        assert_eq!(schedule.next_at(), None);
    }
}
