//! Which deletions go on, which wait and which are paused.

use swr_operator_core::desired::InstanceId;

use super::*;
use crate::queue;

const HOLD: Duration = Duration::from_secs(3);
const GIVEN: Clearance = Clearance::Given { until: None };

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("time")
}

fn scope(instance: &str) -> Scope {
    Scope {
        account: "account".into(),
        instance: InstanceId::new(instance),
    }
}

fn key(n: usize) -> ObjectKey {
    ObjectKey::new("images", n.to_string())
}

fn seen(n: usize, deletion: Option<Deletion>) -> Seen {
    Seen {
        key: key(n),
        deleting: deletion.is_some(),
        deletion: deletion.map(Box::new),
        ..queue::tests::seen(&n.to_string(), 1)
    }
}

/// An instance with so many objects, and the guard.
struct Bed {
    guard: MassDeletionGuard,
    objects: usize,
}

impl Bed {
    fn new(objects: usize) -> Self {
        Bed {
            guard: MassDeletionGuard::new(Some(HOLD)),
            objects,
        }
    }

    /// Says how many of them wait for a judgement.
    fn delete(&mut self, which: impl IntoIterator<Item = usize>, secs: i64) -> usize {
        self.delete_in("instance", Stage::New, which, secs)
    }

    fn delete_in(
        &mut self,
        instance: &str,
        stage: Stage,
        which: impl IntoIterator<Item = usize>,
        secs: i64,
    ) -> usize {
        let deletion = || Deletion {
            scope: scope(instance),
            stage,
        };
        let deleting = which.into_iter().map(|n| seen(n, Some(deletion())));
        deleting.filter(|it| self.guard.seen(it, at(secs))).count()
    }

    /// How many were named, and whether they were found to be too many.
    fn judge(&mut self, secs: i64) -> (usize, Option<(usize, usize)>) {
        let judged = self.guard.judge(|_| self.objects, at(secs));
        let named = judged.iter().map(|it| it.objects.len()).sum();
        let too_many = judged.iter().find_map(|it| it.too_many);
        (named, too_many)
    }

    fn gone(&mut self, which: impl IntoIterator<Item = usize>) {
        for n in which {
            self.guard.gone(&key(n), &format!("uid-{n}"));
            self.objects -= 1;
        }
    }

    fn says(&self, n: usize, secs: i64) -> Clearance {
        let uid = format!("uid-{n}");
        self.guard.clearance(&key(n), &uid, at(secs))
    }

    fn allow(&mut self, until: Option<i64>, secs: i64) -> usize {
        let released = self.guard.allow("account", until.map(at), at(secs));
        released.len()
    }

    fn paused(&self, secs: i64) -> usize {
        self.guard.paused(at(secs)).values().sum()
    }
}

#[test]
fn more_than_five_and_more_than_a_fifth_are_too_many() {
    for (objects, deleting, is_too_many) in [
        (40, 30, true),
        (40, 9, true),
        (40, 8, false),
        (40, 5, false),
        (5, 5, false),
        (6, 6, true),
        (29, 6, true),
        (30, 6, false),
        (100, 20, false),
        (100, 21, true),
    ] {
        let mut bed = Bed::new(objects);
        assert_eq!(bed.delete(0..deleting, 0), deleting, "all of them wait");
        assert_eq!(bed.says(0, 2), Clearance::Awaited);
        assert_eq!(bed.judge(2), (0, None), "others may come");
        let too_many = is_too_many.then_some((deleting, objects));
        assert_eq!(bed.judge(3), (deleting, too_many));
        let says = match is_too_many {
            true => Clearance::Paused,
            false => GIVEN,
        };
        assert_eq!(bed.says(0, 3), says, "{deleting} of {objects}");
        assert_eq!(bed.says(deleting - 1, 3), says);
        assert_eq!(bed.judge(4), (0, None), "once");
        assert_eq!(bed.guard.next_at(), None);
    }
}

#[test]
fn a_slow_burst_is_seen_whole_and_an_endless_trickle_holds_up_the_first_for_thirty_seconds() {
    let mut bed = Bed::new(100);
    for secs in 0..30 {
        assert_eq!(bed.judge(secs), (0, None));
        bed.delete([usize::try_from(secs).expect("few")], secs);
        assert_eq!(bed.guard.next_at(), Some(at((secs + 3).min(30))));
    }
    assert_eq!(bed.judge(30), (30, Some((30, 100))));
}

#[test]
fn what_is_gone_counts_for_ten_minutes() {
    for (later, says) in [(599, Clearance::Paused), (600, GIVEN)] {
        let mut bed = Bed::new(40);
        bed.delete(0..8, 0);
        assert_eq!(bed.judge(3), (8, None));
        bed.gone(0..8);
        bed.delete([8], later - 3);
        bed.judge(later);
        assert_eq!(bed.says(8, later), says);
    }
}

#[test]
fn what_is_paused_stays_so_until_it_is_let_through_or_gone_and_so_does_what_comes_later() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    bed.judge(3);
    assert_eq!((bed.paused(3), bed.says(0, 7_200)), (30, Clearance::Paused));
    assert_eq!(bed.delete([30], 7_200), 0, "it is told at once");
    assert_eq!(bed.judge(7_203), (0, None));
    assert_eq!(bed.says(30, 7_203), Clearance::Paused);
    // Their registries stay.
    for n in 0..=30 {
        assert!(!bed.guard.seen(&seen(n, None), at(7_300)));
    }
    assert_eq!((bed.judge(7_300), bed.paused(7_300)), ((0, None), 0));
    assert_eq!(bed.delete([31], 7_301), 1);
    assert_eq!(bed.judge(7_304), (1, None));
    assert_eq!(bed.says(31, 7_304), GIVEN);
}

#[test]
fn one_of_few_goes_on_when_many_follow() {
    let mut bed = Bed::new(40);
    bed.delete(0..5, 0);
    bed.judge(3);
    bed.delete(5..40, 10);
    assert_eq!(bed.judge(13), (35, Some((40, 40))));
    let says = [4, 5].map(|n| bed.says(n, 13));
    assert_eq!((says, bed.paused(13)), ([GIVEN, Clearance::Paused], 35));
}

#[test]
fn an_administrator_lets_deletions_through_until_a_time() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    bed.judge(3);
    assert_eq!(bed.allow(Some(50), 60), 0, "that is over");
    assert_eq!(bed.allow(Some(100), 60), 30);
    assert_eq!(bed.allow(Some(100), 61), 0, "once");
    let allowed = Clearance::Given {
        until: Some(at(100)),
    };
    assert_eq!((bed.says(0, 99), bed.paused(99)), (allowed, 0));
    assert_eq!(bed.delete([30], 70), 0);
    assert_eq!(bed.says(30, 70), allowed);
    assert_eq!(bed.judge(90), (0, None));
    // What is left is paused again, and what went does not count.
    bed.gone(0..29);
    assert_eq!((bed.says(29, 100), bed.paused(100)), (Clearance::Paused, 2));
    assert_eq!(bed.allow(Some(300), 200), 2);
    bed.gone(29..31);
    assert_eq!(bed.judge(250), (0, None));
    assert_eq!(bed.allow(None, 260), 0);
    assert_eq!(bed.delete([31], 260), 1);
    assert_eq!(bed.judge(263), (1, None));
    assert_eq!(bed.says(31, 263), GIVEN);
}

#[test]
fn what_an_administrators_time_did_not_suffice_for_is_judged_anew() {
    for (deleting, says) in [(5, GIVEN), (30, Clearance::Paused)] {
        let mut bed = Bed::new(40);
        bed.allow(Some(100), 0);
        assert_eq!(bed.delete(0..deleting, 90), 0);
        assert_eq!(bed.judge(99), (0, None));
        assert_eq!(bed.judge(100), (0, None), "others may come");
        assert_eq!(bed.judge(103).0, deleting);
        assert_eq!(bed.says(0, 103), says);
    }
}

#[test]
fn a_permission_that_is_taken_back_ends_at_once() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    bed.judge(3);
    bed.allow(Some(100), 10);
    bed.allow(None, 11);
    assert_eq!(bed.says(0, 11), Clearance::Paused);
}

#[test]
fn after_a_restart_what_was_paused_is_paused_and_what_had_begun_goes_on() {
    let mut bed = Bed::new(40);
    // The list shows one that no process saw before first.
    assert_eq!(bed.delete([0], 0), 1);
    assert_eq!(bed.delete_in("instance", Stage::Paused, [1], 0), 0);
    assert_eq!(bed.judge(0), (2, None));
    let says = [0, 1].map(|n| bed.says(n, 0));
    assert_eq!(says, [Clearance::Paused; 2]);

    // However many had begun, they were let through once.
    let mut bed = Bed::new(40);
    assert_eq!(bed.delete_in("instance", Stage::Begun, 0..30, 0), 0);
    assert_eq!(bed.delete([30], 0), 1);
    assert_eq!(bed.judge(3), (1, None));
    assert_eq!([0, 30].map(|n| bed.says(n, 3)), [GIVEN; 2]);

    // What was deleted while no operator ran is new to this one, however long ago that was.
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    assert_eq!(bed.judge(3), (30, Some((30, 40))));
}

#[test]
fn who_stood_by_while_another_paused_deletions_pauses_them_however_old_they_are() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    // An hour later it leads.
    bed.guard.begin();
    assert_eq!(bed.delete_in("instance", Stage::Paused, 0..30, 3_600), 0);
    assert_eq!(
        (bed.says(0, 3_600), bed.paused(3_600)),
        (Clearance::Paused, 30)
    );
    // Nobody judged these before, so they come together.
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    assert_eq!(bed.judge(3_600), (30, Some((30, 40))));
}

#[test]
fn an_instance_is_not_held_up_by_another() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    bed.delete_in("other", Stage::New, [30], 2);
    assert_eq!(bed.judge(3), (30, Some((30, 40))));
    assert_eq!(bed.judge(5), (1, None));
    assert_eq!(bed.says(30, 5), GIVEN);
}

#[test]
fn a_namesake_is_another_object_and_what_the_watch_has_not_shown_waits() {
    let mut bed = Bed::new(40);
    assert_eq!(bed.says(0, 0), Clearance::Awaited);
    bed.delete(0..8, 0);
    bed.judge(3);
    let namesake = Seen {
        uid: "another".to_owned(),
        ..seen(0, None)
    };
    assert!(!bed.guard.seen(&namesake, at(4)));
    let says = bed.guard.clearance(&key(0), "another", at(4));
    assert_eq!(says, Clearance::Awaited);
    // The list does not show the others any more: they count all the same.
    bed.guard.retain(|_, _| false);
    bed.objects -= 8;
    bed.delete([8], 5);
    assert_eq!(bed.judge(8), (1, Some((9, 40))));
}

#[test]
fn without_the_guard_every_deletion_goes_on_at_once() {
    let mut bed = Bed {
        guard: MassDeletionGuard::new(None),
        objects: 40,
    };
    assert_eq!(bed.delete(0..40, 0), 0);
    assert_eq!((bed.judge(9), bed.says(0, 0)), ((0, None), GIVEN));
}

#[test]
fn what_comes_after_the_last_of_many_went_is_judged_by_itself() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    bed.judge(3);
    assert_eq!(bed.paused(3), 30);
    bed.allow(Some(100), 4);
    bed.gone(0..30);
    bed.allow(None, 5);
    // No judgement has come between.
    assert_eq!(bed.delete(30..32, 5), 2);
    assert_eq!(bed.judge(8), (2, None));
    assert_eq!(bed.says(30, 8), GIVEN);
}

#[test]
fn what_was_let_through_in_vain_is_named_once_more_when_the_time_is_over() {
    let mut bed = Bed::new(40);
    bed.delete(0..30, 0);
    assert_eq!(bed.judge(3), (30, Some((30, 40))));
    assert_eq!(bed.allow(Some(20), 10), 30);
    assert_eq!(bed.judge(11), (0, None));
    bed.gone(0..10);
    assert_eq!(bed.judge(20), (20, None), "the time is over");
    assert_eq!(bed.says(20, 20), Clearance::Paused);
    assert_eq!(bed.judge(21), (0, None), "once");
}

#[test]
fn one_that_only_waits_for_another_finalizer_counts_as_gone() {
    let mut bed = Bed::new(40);
    bed.delete(0..5, 0);
    assert_eq!(bed.judge(3), (5, None));
    for n in 0..5 {
        let released = Seen {
            deleting: true,
            has_finalizer: false,
            ..seen(n, None)
        };
        assert!(!bed.guard.seen(&released, at(4)));
        bed.objects -= 1;
    }
    bed.delete(5..10, 5);
    assert_eq!(bed.judge(8), (5, Some((10, 40))));
}
