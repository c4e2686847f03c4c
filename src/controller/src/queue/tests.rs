//! Whose turn it is, and who waits for what.

use swr_operator_core::answer::SecretProblem;
use swr_operator_core::desired::SecretRef;

use super::watched::WATCHED_BYTES_MAX;
use super::*;
use swr_operator_core::desired::InstanceId;
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::object::Object;
use swr_operator_core::reconcile::Memory;
use swr_operator_core::summary::{Blocker, Operation};

mod crowds;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("images", name)
}

/// An object whose finalizer is on.
pub(crate) fn seen(name: &str, generation: i64) -> Seen {
    Seen {
        key: key(name),
        uid: format!("uid-{name}"),
        version: Version("1".to_owned()),
        generation,
        deleting: false,
        deletion: None,
        has_finalizer: true,
        requested_at: None,
        created_at: None,
        scope: None,
        poll_secs: None,
        object: None,
    }
}

const WAITS: Requeue = Requeue::Instance {
    min_secs: 0,
    until: None,
};

fn scope(instance: &str) -> Scope {
    Scope {
        account: "account".into(),
        instance: InstanceId::new(instance.to_owned()),
    }
}

fn seen_in(name: &str, instance: &str) -> Seen {
    Seen {
        scope: Some(scope(instance)),
        ..seen(name, 1)
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("time")
}

fn ended(requeue: Requeue) -> Ended {
    Ended {
        requeue,
        again_at: None,
        memory: Memory::default(),
        baseline: None,
        verdict: Verdict::Suspended,
        upon: None,
        stalled: false,
    }
}

fn take(queue: &mut Queue, now: i64) -> Option<String> {
    queue.next(at(now)).map(|turn| turn.key.name.to_string())
}

fn finish(queue: &mut Queue, name: &str, requeue: Requeue, now: i64) {
    queue.finished(
        &key(name),
        &format!("uid-{name}"),
        ended(requeue),
        at(now),
        |wait| wait,
    );
}

#[test]
fn an_object_has_one_reconcile_at_a_time_and_another_if_it_changed_meanwhile() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    queue.applied(seen("a", 2), at(0));
    queue.applied(seen("a", 3), at(0));
    assert_eq!(take(&mut queue, 0), None);
    finish(&mut queue, "a", Requeue::Poll, 1);
    assert_eq!(take(&mut queue, 1).as_deref(), Some("a"));
    finish(&mut queue, "a", Requeue::Poll, 2);
    assert_eq!(take(&mut queue, 9_999), None);
}

#[test]
fn our_own_writes_wake_nobody_up() {
    let mut queue = Queue::default();
    queue.applied(
        Seen {
            has_finalizer: false,
            ..seen("a", 1)
        },
        at(0),
    );
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    queue.applied(seen("a", 1), at(0));
    finish(&mut queue, "a", Requeue::Poll, 1);
    queue.applied(seen("a", 1), at(0));
    assert_eq!(take(&mut queue, 1), None);
}

#[test]
fn an_object_that_went_back_in_time_is_reconciled_and_one_that_goes_on_is_not() {
    let version = |version: &str| Seen {
        version: Version(version.to_owned()),
        ..seen("a", 1)
    };
    let mut queue = Queue::default();
    queue.applied(version("99"), at(0));
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    finish(&mut queue, "a", Requeue::Poll, 1);
    for (next, is_reconciled) in [("100", false), ("100", false), ("99", true), ("x", false)] {
        queue.applied(version(next), at(1));
        assert_eq!(take(&mut queue, 1).is_some(), is_reconciled, "{next}");
        if is_reconciled {
            finish(&mut queue, "a", Requeue::Poll, 1);
        }
    }
}

#[test]
fn a_failure_waits_longer_each_time_and_a_change_ends_the_wait() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    let mut now = 0;
    for wait in [2, 4, 8, 16] {
        assert_eq!(take(&mut queue, now).as_deref(), Some("a"));
        finish(&mut queue, "a", Requeue::Backoff { min_secs: 0 }, now);
        assert_eq!(queue.next_due(), Some(at(now + wait)));
        assert_eq!(take(&mut queue, now + wait - 1), None);
        now += wait;
    }
    queue.applied(seen("a", 2), at(0));
    assert_eq!(take(&mut queue, now - 1).as_deref(), Some("a"));
    finish(&mut queue, "a", Requeue::Backoff { min_secs: 0 }, now);
    assert_eq!(queue.next_due(), Some(at(now + 2)));
}

#[test]
fn a_wait_is_no_failure_and_not_before_is_no_matter_of_chance() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    let backoff = |min_secs| Requeue::Backoff { min_secs };
    // What it ends in, how much of the wait chance leaves, and when its turn comes.
    let steps = [
        (backoff(0), 1.0, 2),
        (Requeue::SoonUntil(at(999)), 1.0, 4),
        (Requeue::SoonUntil(at(999)), 1.0, 8),
        (Requeue::SoonUntil(at(999)), 1.0, 16),
        (backoff(0), 1.0, 20),
        (backoff(100), 0.8, 120),
    ];
    let mut now = at(0);
    for (requeue, left, due) in steps {
        assert!(queue.next(now).is_some());
        let ended = ended(requeue);
        queue.finished(&key("a"), "uid-a", ended, now, |wait| wait.mul_f64(left));
        assert_eq!(queue.next_due(), Some(at(due)), "{requeue:?}");
        now = at(due);
    }
}

#[test]
fn a_change_goes_first_but_cannot_stop_the_others() {
    let mut queue = Queue::default();
    for n in 0..20 {
        queue.applied(seen(&format!("{n:02}"), 1), at(0));
    }
    queue.applied(seen("other", 1), at(0));
    while let Some(name) = take(&mut queue, 0) {
        finish(&mut queue, &name, Requeue::Poll, 0);
    }
    queue.wake(&key("other"), Lane::Background, at(0));
    for n in 0..20 {
        queue.applied(seen(&format!("{n:02}"), 2), at(0));
    }
    let order: Vec<String> = std::iter::from_fn(|| take(&mut queue, 0)).collect();
    let place = order
        .iter()
        .position(|name| name == "other")
        .expect("its turn");
    assert!((1..8).contains(&place), "{order:?}");
}

#[test]
fn what_a_complete_list_does_not_show_is_gone() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    queue.applied(seen("b", 1), at(0));
    queue.listing(None);
    queue.applied(seen("b", 1), at(0));
    queue.listed(None);
    assert_eq!(queue.len(), 1);
    assert_eq!(take(&mut queue, 0).as_deref(), Some("b"));
    assert_eq!(take(&mut queue, 0), None);
}

#[test]
fn a_namesake_starts_afresh_and_the_old_reconcile_does_not_touch_it() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    let namesake = Seen {
        uid: "another".to_owned(),
        ..seen("a", 1)
    };
    queue.applied(namesake, at(0));
    let turn = queue.next(at(0)).expect("its turn");
    assert_eq!(turn.uid, "another");
    finish(&mut queue, "a", Requeue::Backoff { min_secs: 0 }, 0);
    assert_eq!(queue.next_due(), None);
}

#[test]
fn a_storm_of_changes_gets_three_looks_in_ten_seconds_and_the_last_one_counts() {
    let mut queue = Queue::default();
    let millis = |n| Timestamp::from_millisecond(n).expect("time");
    let mut starts = Vec::new();
    for n in 0..=130 {
        let now = millis(n * 100);
        if n < 100 {
            queue.applied(seen("a", n), now);
        }
        if let Some(turn) = queue.next(now) {
            starts.push(now.as_millisecond());
            let ended = ended(Requeue::Poll);
            queue.finished(&turn.key, &turn.uid, ended, now, |wait| wait);
        }
    }
    assert_eq!(starts, [0, 100, 10_100]);
}

#[test]
fn a_deletion_does_not_wait_for_the_end_of_a_storm() {
    let mut queue = Queue::default();
    for generation in 1..=5 {
        queue.applied(seen("a", generation), at(0));
        if take(&mut queue, 0).is_some() {
            finish(&mut queue, "a", Requeue::Poll, 0);
        }
    }
    assert_eq!(take(&mut queue, 1), None);
    let deleting = Seen {
        deleting: true,
        ..seen("a", 6)
    };
    queue.applied(deleting, at(1));
    assert_eq!(take(&mut queue, 1).as_deref(), Some("a"));
}

#[test]
fn what_waits_for_an_instance_is_woken_by_its_answer_and_by_nothing_of_another() {
    let mut queue = Queue::default();
    let until = at(900);
    for (name, instance) in [("a", "one"), ("b", "one"), ("c", "two")] {
        queue.applied(seen_in(name, instance), at(0));
        assert_eq!(take(&mut queue, 0).as_deref(), Some(name));
        let requeue = Requeue::Instance {
            min_secs: 0,
            until: Some(until),
        };
        finish(&mut queue, name, requeue, 0);
    }
    assert_eq!(take(&mut queue, 899), None);
    assert_eq!(queue.next_due(), Some(until));

    queue.instance_answers(&scope("one"), at(1));
    let mut woken: Vec<String> = std::iter::from_fn(|| take(&mut queue, 1)).collect();
    woken.sort();
    assert_eq!(woken, ["a", "b"]);
    assert!(!queue.is_waited_for(&scope("one")));
    assert!(queue.is_waited_for(&scope("two")));

    // Whoever is reconciled for another reason, or gone, does not wait any more.
    queue.deleted(&key("c"), "uid-c");
    assert!(!queue.is_waited_for(&scope("two")));
}

#[test]
fn who_waits_for_an_instance_is_told_of_another_trouble_that_lasts() {
    let mut queue = Queue::default();
    let scope = scope("one");
    queue.applied(seen_in("a", "one"), at(0));
    let waits = |queue: &mut Queue, cause| {
        assert_eq!(take(queue, 0).as_deref(), Some("a"), "{cause:?}");
        let verdict = Verdict::Swr {
            operation: Operation::List,
            failure: Failure::new(Class::Transient, cause),
        };
        let ended = Ended {
            verdict,
            ..ended(WAITS)
        };
        queue.finished(&key("a"), "uid-a", ended, at(0), |wait| wait);
    };
    waits(&mut queue, Cause::TimedOut);
    for (cause, is_told) in [
        (Cause::TimedOut, false),
        (Cause::ServerError, false),
        (Cause::InstanceNotRunning, true),
        (Cause::InstanceNotRunning, false),
        (Cause::InstanceNotFound, true),
        // What passes lifts nothing.
        (Cause::Unreachable, false),
    ] {
        queue.instance_fails(&scope, cause, at(0));
        if is_told {
            waits(&mut queue, cause);
        }
        assert_eq!(take(&mut queue, 0), None, "{cause:?}");
        assert!(queue.is_waited_for(&scope), "{cause:?}");
    }
}

#[test]
fn a_failing_instance_does_not_lengthen_the_waits_of_its_objects() {
    let mut queue = Queue::default();
    let scope = scope("one");
    queue.applied(seen_in("a", "one"), at(0));
    for _ in 0..20 {
        assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
        finish(&mut queue, "a", WAITS, 0);
        queue.instance_answers(&scope, at(0));
    }
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    finish(&mut queue, "a", Requeue::Backoff { min_secs: 0 }, 0);
    assert_eq!(queue.next_due(), Some(at(2)));
}

#[test]
fn a_write_that_may_still_land_is_reconciled_again_whatever_else_is_due() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    let ended = Ended {
        again_at: Some(at(120)),
        ..ended(Requeue::Poll)
    };
    queue.finished(&key("a"), "uid-a", ended, at(0), |wait| wait);
    assert_eq!(queue.next_due(), Some(at(120)));
}

#[test]
fn an_object_whose_account_is_not_known_is_not_left_to_a_change_of_it() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    assert_eq!(take(&mut queue, 0).as_deref(), Some("a"));
    finish(&mut queue, "a", Requeue::AccountChange, 0);
    queue.account_changed("default", at(1));
    assert_eq!(take(&mut queue, 1), None);
    assert_eq!(queue.next_due(), Some(at(2)));
}

/// An object with its description as long as asked.
fn shown(name: &str, version: &str, description: usize) -> Seen {
    let object = serde_json::from_value(serde_json::json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {
            "namespace": "images", "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": version, "generation": 1,
        },
        "spec": {
            "instanceId": "source-1", "type": "swr-pro", "url": "https://a.example.com",
            "insecure": true, "description": "d".repeat(description),
            "credentialSecretRef": {"name": "login"},
        },
    }));
    Seen {
        version: Version(version.to_owned()),
        object: Some(Box::new(object.expect("an object"))),
        ..seen(name, 1)
    }
}

fn object_of(turn: Option<Turn>) -> Option<Object> {
    Some(turn?.watched?.object)
}

#[test]
fn what_the_watch_shows_last_before_a_turn_comes_along_and_what_it_shows_during_it_does_not() {
    let mut queue = Queue::default();
    queue.applied(shown("a", "1", 0), at(0));
    queue.applied(shown("a", "2", 0), at(0));
    let newest = shown("a", "2", 0)
        .object
        .as_deref()
        .and_then(Object::from_cr);
    assert_eq!(object_of(queue.next(at(0))), newest);
    let edit = Seen {
        generation: 2,
        ..shown("a", "3", 0)
    };
    queue.applied(edit, at(1));
    let uid = "uid-a";
    queue.finished(&key("a"), uid, ended(Requeue::Poll), at(2), |wait| wait);
    let turn = queue.next(at(2)).expect("the edit asks for a reconcile");
    assert_eq!(turn.watched, None, "the reconcile may have written since");
    assert_eq!(queue.watched_bytes, 0);
}

#[test]
fn what_waits_takes_so_much_memory_at_most() {
    let mut queue = Queue::default();
    for n in 0..40 {
        queue.applied(shown(&format!("o{n}"), "1", 1024 * 1024), at(0));
    }
    assert!(queue.watched_bytes <= WATCHED_BYTES_MAX);
    let turns: Vec<Turn> = std::iter::from_fn(|| queue.next(at(0))).collect();
    let with = turns.iter().filter(|turn| turn.watched.is_some()).count();
    assert_eq!((turns.len(), with), (40, 31));
    assert_eq!(queue.watched_bytes, 0);
}

#[test]
fn what_was_decided_upon_the_watch_is_decided_again_when_it_shows_another_version() {
    let uid = "uid-a";
    let upon = |version: &str| Ended {
        upon: Some(Version(version.to_owned())),
        ..ended(Requeue::Poll)
    };
    // While nobody else writes it stands.
    let mut queue = Queue::default();
    queue.applied(shown("a", "1", 0), at(0));
    queue.next(at(0));
    queue.finished(&key("a"), uid, upon("1"), at(0), |wait| wait);
    assert!(queue.next(at(0)).is_none());
    queue.applied(shown("a", "2", 0), at(1));
    assert!(queue.next(at(1)).is_some(), "it was older than what stood");
    // The same, if the newer one came during the reconcile.
    queue.finished(&key("a"), uid, upon("1"), at(1), |wait| wait);
    assert!(queue.next(at(1)).is_some());
    queue.finished(&key("a"), uid, ended(Requeue::Poll), at(2), |wait| wait);
    queue.applied(shown("a", "3", 0), at(2));
    assert!(queue.next(at(2)).is_none(), "our own write");
}

#[test]
fn a_storm_of_labels_is_no_storm_of_reconciles() {
    let mut queue = Queue::default();
    let mut starts = Vec::new();
    for secs in 0..30 {
        queue.applied(shown("a", &secs.to_string(), 0), at(secs));
        if let Some(turn) = queue.next(at(secs)) {
            starts.push(secs);
            let upon = Ended {
                upon: Some(Version(secs.to_string())),
                ..ended(Requeue::Poll)
            };
            queue.finished(&turn.key, &turn.uid, upon, at(secs), |wait| wait);
        }
    }
    assert_eq!(starts, [0, 1, 11, 12, 22, 23]);
}

#[test]
fn who_stands_by_keeps_an_object_once_however_often_it_changes() {
    let mut queue = Queue::default();
    for generation in 0..100 {
        queue.applied(seen("a", generation), at(generation * 20));
    }
    assert_eq!(take(&mut queue, 9_999).as_deref(), Some("a"));
    assert!(queue.lanes.is_empty());
}

#[test]
fn an_object_that_waits_for_its_secret_counts_until_it_does_no_more() {
    let mut queue = Queue::default();
    let missing = || Ended {
        verdict: Verdict::NoCredential {
            secret: SecretRef {
                name: "login".into(),
                keys: None,
            },
            problem: SecretProblem::NotFound,
        },
        ..ended(Requeue::SecretChange { until: None })
    };
    for name in ["a", "b"] {
        queue.applied(seen(name, 1), at(0));
        take(&mut queue, 0);
        let uid = format!("uid-{name}");
        queue.finished(&key(name), &uid, missing(), at(0), |wait| wait);
    }
    assert_eq!(queue.waiting().count(), 2);
    queue.deleted(&key("a"), "uid-a");
    assert!(queue.waits_for_secrets());
    queue.wake(&key("b"), Lane::Background, at(1));
    take(&mut queue, 1);
    finish(&mut queue, "b", Requeue::Poll, 1);
    assert!(!queue.waits_for_secrets());
}

#[test]
fn at_rest_nobody_asks_every_object_how_often_it_is_polled() {
    let mut queue = Queue::default();
    let nothing = HashMap::new();
    assert_eq!(queue.changed_polls(600), None);
    queue.applied(seen_in("a", "one"), at(0));
    assert_eq!(
        queue.changed_polls(600),
        Some(nothing.clone()),
        "not compared yet"
    );
    assert_eq!(queue.changed_polls(600), None);
    take(&mut queue, 0);
    finish(&mut queue, "a", Requeue::Poll, 1);
    assert!(queue.changed_polls(600).is_some());
    queue.deleted(&key("a"), "uid-a");
    assert_eq!(queue.changed_polls(600), Some(nothing));
}

#[test]
fn an_object_that_the_guard_holds_begins_when_it_is_woken() {
    let mut queue = Queue::default();
    queue.applied(seen("a", 1), at(0));
    queue.hold(&key("a"));
    assert_eq!(queue.next(at(0)), None);
    assert_eq!(queue.waiting_for_turn().depth, 0);
    queue.wake(&key("a"), Lane::Change, at(3));
    let turn = queue.next(at(3)).expect("its turn");
    assert_eq!((turn.key, turn.queued_at), (key("a"), at(3)));
    // It is deleted while it is reconciled.
    let deleting = Seen {
        deleting: true,
        ..seen("a", 2)
    };
    queue.applied(deleting, at(4));
    queue.hold(&key("a"));
    queue.finished(&key("a"), "uid-a", ended(Requeue::Poll), at(5), |it| it);
    assert_eq!(queue.next(at(5)), None);
}

#[test]
fn a_storm_that_makes_reconciles_stale_is_not_put_off_further_with_each_of_them() {
    let mut queue = Queue::default();
    for secs in 0..8 {
        queue.applied(seen("a", secs + 1), at(secs));
        if queue.next(at(secs)).is_some() {
            queue.applied(seen("a", secs + 2), at(secs));
            queue.finished(&key("a"), "uid-a", ended(Requeue::Now), at(secs), |it| it);
        }
    }
    queue.next(at(8)).expect("a turn after a lost race");
    queue.applied(seen("a", 20), at(8));
    queue.finished(&key("a"), "uid-a", ended(Requeue::Poll), at(8), |it| it);
    let due = queue.next_due().expect("the last change");
    assert!(due <= at(18), "{due}");
}

#[test]
fn who_fails_alone_asks_whether_that_is_the_instance_and_if_it_is_waits_with_the_others() {
    let mut queue = Queue::default();
    queue.applied(seen_in("a", "i"), at(0));
    let fail = |queue: &mut Queue, now: i64| {
        assert_eq!(take(queue, now).as_deref(), Some("a"), "{now}");
        let failure = Failure::new(Class::Transient, Cause::ServerError);
        let operation = Operation::Show;
        let ended = Ended {
            verdict: Verdict::CannotDelete(Blocker::Swr { operation, failure }),
            ..ended(Requeue::Backoff { min_secs: 0 })
        };
        queue.finished(&key("a"), "uid-a", ended, at(now), |wait| wait);
    };
    // After 2, 4 and 8 s it may be the instance.
    for (now, waits) in [(0, false), (2, false), (6, false), (14, true)] {
        fail(&mut queue, now);
        assert_eq!(queue.is_waited_for(&scope("i")), waits, "{now}");
    }
    // It is not: the object goes on by itself.
    queue.instance_answers(&scope("i"), at(15));
    assert_eq!(
        (take(&mut queue, 29), queue.next_due()),
        (None, Some(at(30)))
    );
    fail(&mut queue, 30);
    // It is: the object asks no more until there is a LIST.
    queue.instance_fails(&scope("i"), Cause::ServerError, at(31));
    assert_eq!((take(&mut queue, 9_999), queue.next_due()), (None, None));
    queue.instance_answers(&scope("i"), at(10_000));
    fail(&mut queue, 10_000);
    assert!(queue.is_waited_for(&scope("i")), "it still fails");
    queue.deleted(&key("a"), "uid-a");
    assert!(!queue.is_waited_for(&scope("i")), "nobody is left");
}
