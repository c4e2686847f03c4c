//! Rule 1: what is decided upon what the watch showed, or upon a read of long ago.

use super::*;
use crate::object::Version;

/// An object in sync, and a person's edit of its url.
fn edited() -> (World, Object) {
    let mut world = World::new(|_| {});
    world.reconcile();
    world.trace.clear();
    let before = world.object.clone().expect("object");
    let object = world.object.as_mut().expect("object");
    object.desired.as_mut().expect("valid").registry.url = "https://new.example.com".to_owned();
    object.generation += 1;
    object.version = Version("9".to_owned());
    (world, before)
}

#[test]
fn what_the_watch_shows_is_created_without_another_read_and_its_writes_fail_if_it_is_old() {
    let mut world = World::new(|_| {});
    let shown = world.object.clone().expect("object");
    world.reconcile_watched(shown.clone());
    let trace: Vec<_> = world.trace.drain(..).collect();
    assert_eq!(
        trace,
        [
            "ReadAccount",
            "ReadSecret",
            "List",
            "AddFinalizer",
            "Reserve",
            "RecordIntent",
            "Create",
            "List within 2 s",
            "-> InSync { health: Healthy }"
        ]
    );
    // The object before all that: its registry is known by the tag, and nothing is written.
    world.reconcile_watched(shown);
    assert_eq!(
        world.trace.last().map(String::as_str),
        Some("-> Stale"),
        "{:#?}",
        world.trace
    );
}

#[test]
fn an_update_is_preceded_by_a_read_and_not_sent_for_what_is_old() {
    let (mut world, before) = edited();
    let shown = world.object.clone().expect("object");
    world.reconcile_watched(shown.clone());
    let trace: Vec<_> = world.trace.drain(..).collect();
    assert_eq!(
        trace,
        [
            "ReadAccount",
            "ReadSecret",
            "List",
            "Show 1",
            "ConfirmObject",
            "Update 1: url",
            "List",
            "-> InSync { health: Healthy }"
        ]
    );
    // The watch shows the edit, and meanwhile it was taken back.
    world.object = Some(Object {
        version: Version("11".to_owned()),
        generation: 3,
        ..before
    });
    world.reconcile_watched(Object {
        desired: {
            let mut desired = shown.desired.clone().expect("valid");
            desired.registry.url = "https://third.example.com".to_owned();
            Ok(desired)
        },
        ..shown
    });
    assert_eq!(
        world.trace,
        [
            "ReadAccount",
            "ReadSecret",
            "List",
            "Show 1",
            "ConfirmObject",
            "-> Stale"
        ]
    );
}

#[test]
fn a_namesake_and_what_is_being_deleted_are_read() {
    let changes: [fn(&mut Object); 2] = [
        |object| object.uid = "another".to_owned(),
        |object| object.deleting = true,
    ];
    for change in changes {
        let (mut world, mut shown) = edited();
        change(&mut shown);
        world.reconcile_watched(shown);
        assert_eq!(world.trace[0], "ReadObject");
    }
}

#[test]
fn a_read_that_slow_requests_made_old_is_no_proof() {
    for slow in ["List", "Show"] {
        let (mut world, _) = edited();
        world.slow = (slow, 60);
        world.reconcile();
        let trace: Vec<_> = world.trace.drain(..).collect();
        assert_eq!(
            trace[3..7],
            ["List", "Show 1", "ConfirmObject", "Update 1: url"],
            "{slow}: {trace:#?}"
        );
        // Suspended while that was on its way.
        let (mut world, _) = edited();
        world.slow = (slow, 60);
        world.meanwhile = world.object.clone().map(|object| Object {
            suspended: true,
            version: Version("10".to_owned()),
            ..object
        });
        world.reconcile();
        assert_eq!(
            world.trace[3..],
            ["List", "Show 1", "ConfirmObject", "-> Stale"],
            "{slow}"
        );
    }
}

#[test]
fn a_write_is_sent_at_most_the_deadline_of_a_write_after_the_proof_and_after_the_record() {
    // Of 20 s. What follows the read of the object takes a second each: account, secret, LIST, SHOW.
    type Change = fn(&mut Object);
    let orphan: Change = |object| {
        object.deleting = true;
        object.deletion_policy = crate::api::registry::DeletionPolicy::Orphan;
    };
    let cases: [(Change, &str, i64); 3] = [
        (|_| {}, "Update 1: url", 16),
        (|object| object.deleting = true, "Delete 1", 18),
        (orphan, "Untag 1", 17),
    ];
    for (change, write, left) in cases {
        // After a SHOW that took long the object is read again, and the record is one second old.
        for (secs, left) in [(1, left), (60, 19)] {
            let (mut world, _) = edited();
            change(world.object.as_mut().expect("object"));
            world.slow = ("Show", secs);
            world.reconcile();
            let trace = &world.trace;
            assert!(trace.iter().any(|line| line == write), "{trace:#?}");
            assert_eq!(world.time_to_send, Some(left), "{trace:#?}");
        }
    }
}

#[test]
fn a_deletion_that_had_to_list_first_fails_at_its_note_if_the_object_is_another() {
    let (mut world, before) = edited();
    world.slow = ("List", 60);
    let mut object = Object {
        deleting: true,
        ..before
    };
    object.status.registry_id = None;
    world.object = Some(object.clone());
    world.meanwhile = Some(Object {
        protected: true,
        version: Version("10".to_owned()),
        ..object
    });
    world.reconcile();
    assert_eq!(
        world.trace,
        ["ReadObject", "ReadAccount", "List", "RecordId", "-> Stale"]
    );
}

#[test]
fn what_was_gone_or_in_the_way_is_looked_for_among_all() {
    for (operation, class) in [("Create", Class::Conflict), ("Update", Class::NotFound)] {
        let mut world = match operation {
            "Create" => World::new(|_| {}),
            _ => edited().0,
        };
        let failure = Failure::new(class, Cause::Rejected);
        world.failures.insert(operation, failure);
        world.reconcile();
        assert!(world.memory.looks_at_all, "{operation}");
        world.failures.clear();
        world.reconcile();
        assert!(!world.memory.looks_at_all, "{operation}");
    }
}
