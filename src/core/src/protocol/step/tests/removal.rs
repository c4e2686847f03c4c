//! Deletions, and what holds or releases them.

use super::*;
use crate::api::registry::DeletionPolicy;

fn deleting(value: &mut serde_json::Value) {
    value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
}

#[test]
fn a_deletion_removes_the_known_registry_and_then_the_finalizer_and_leaves_copies() {
    let mut world = World::settled(deleting);
    // Somebody copied the registry, tag and all.
    world
        .records
        .insert(8, record(8, "old-name", &owner().describe("")));
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        Show 1
        Delete 1
        List
        RemoveFinalizer
        -> Released { removed: Deleted, clones: [RegistryId(8)] }
    "#]]);
    assert_eq!(world.records.keys().collect::<Vec<_>>(), [&8]);
}

#[test]
fn a_deletion_with_an_open_intent_waits_for_the_settle_time() {
    let mut world = World::unanswered();
    let posted_at = world.now;
    world.object.as_mut().expect("object").deleting = true;
    assert!(matches!(
        world.reconcile(),
        Verdict::DeletionSettling { .. }
    ));
    // The POST lands at last.
    world
        .records
        .insert(1, record(1, "harbor-dr", owner().tag()));
    world.now = posted_at + 121;
    world.reconcile();
    assert!(world.records.is_empty() && world.object.is_none());
}

#[test]
fn a_deletion_is_held_where_the_spec_holds_it() {
    for (field, verdict) in [
        ("suspend", Verdict::DeletionSuspended),
        ("deletionProtection", Verdict::DeletionProtected),
    ] {
        let mut world = World::settled(|value| {
            deleting(value);
            value["spec"][field] = json!(true);
        });
        assert_eq!(world.reconcile(), verdict);
        assert_eq!(world.records.len(), 1);
    }
}

#[test]
fn a_deletion_waits_for_the_mass_deletion_guard_and_asks_swr_nothing_before() {
    let mut world = World::settled(deleting);
    world.clearance = Clearance::Awaited;
    world.check(&expect![[r#"
        ReadObject
        -> DeletionAwaited
    "#]]);
    world.clearance = Clearance::Paused;
    world.check(&expect![[r#"
        ReadObject
        -> DeletionPaused
    "#]]);
    world.clearance = Clearance::Given { until: None };
    world.reconcile();
    assert!(world.records.is_empty() && world.object.is_none());
}

#[test]
fn an_object_that_is_paused_goes_without_its_registry_once_that_is_to_stay() {
    let mut world = World::settled(deleting);
    world.clearance = Clearance::Paused;
    world.reconcile();
    let object = world.object.as_mut().expect("object");
    object.deletion_policy = DeletionPolicy::Orphan;
    assert_eq!(
        world.reconcile(),
        Verdict::Released {
            removed: Removed::Untagged,
            clones: Vec::new()
        }
    );
    assert_eq!(world.records.len(), 1);
}

#[test]
fn a_registry_that_is_found_only_by_its_tag_is_guarded_like_any() {
    let mut world = World::settled(|value| {
        deleting(value);
        value["status"] = json!({});
    });
    world.clearance = Clearance::Paused;
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        List
        RecordId
        Show 1
        -> DeletionPaused
    "#]]);
    assert_eq!(world.records.len(), 1);
}

#[test]
fn an_orphan_loses_its_tag_or_keeps_it_but_stays_in_swr() {
    let orphan = |value: &mut serde_json::Value| {
        deleting(value);
        value["spec"]["deletionPolicy"] = json!("Orphan");
    };
    let mut world = World::settled(orphan);
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        Show 1
        Untag 1
        RemoveFinalizer
        -> Released { removed: Untagged, clones: [] }
    "#]]);
    assert_eq!(world.records[&1].description, "");

    let mut without_secret = World::settled(orphan);
    without_secret.secret = Err(SecretProblem::NotFound);
    without_secret.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        RemoveFinalizer
        -> Released { removed: StillTagged, clones: [] }
    "#]]);

    let mut under_way = World::settled(|value| {
        orphan(value);
        value["status"]["deletionAttemptedAt"] = json!("1970-01-01T00:00:00Z");
    });
    under_way.check(&expect![[r#"
        ReadObject
        RemoveFinalizer
        -> Released { removed: LeftAlone, clones: [] }
    "#]]);
}

#[test]
fn a_deletion_that_was_only_held_still_takes_the_tag_off_when_it_is_set_to_orphan() {
    let mut world = World::settled(|value| {
        deleting(value);
        value["spec"]["deletionProtection"] = json!(true);
    });
    world.reconcile();
    let object = world.object.as_mut().expect("object");
    object.protected = false;
    object.deletion_policy = DeletionPolicy::Orphan;
    world.reconcile();
    assert_eq!(world.records[&1].description, "");

    // What was tried in vain is let go without a request: the way out.
    let mut tried = World::settled(deleting);
    tried.failures.insert("Delete", unknown());
    tried.reconcile();
    tried.object.as_mut().expect("object").deletion_policy = DeletionPolicy::Orphan;
    tried.trace.clear();
    tried.check(&expect![[r#"
        ReadObject
        RemoveFinalizer
        -> Released { removed: LeftAlone, clones: [] }
    "#]]);
}

fn orphan(value: &mut serde_json::Value) {
    deleting(value);
    value["spec"]["deletionPolicy"] = json!("Orphan");
}

#[test]
fn a_tag_that_does_not_come_off_is_tried_again_for_the_patience_and_then_stays() {
    for (effect, failure) in [
        (
            "Untag",
            Failure::new(Class::Throttled { after_secs: None }, Cause::Throttled),
        ),
        ("Show", Failure::new(Class::Transient, Cause::ServerError)),
    ] {
        let mut world = World::settled(orphan);
        world.failures.insert(effect, failure);
        let since = world.now;
        while let Verdict::CannotUntag { until, .. } = world.reconcile() {
            assert!(
                (since + 600..since + 610).contains(&until.as_second()),
                "{until}"
            );
            world.now += 100;
        }
        assert!(
            world.object.is_none() && world.now < since + 720,
            "{}",
            world.now - since
        );
        assert!(
            world.trace.last().expect("end").contains("StillTagged"),
            "{effect}"
        );
    }
    let mut passing = World::settled(orphan);
    passing
        .failures
        .insert("Untag", Failure::new(Class::Transient, Cause::Unreachable));
    passing.reconcile();
    passing.failures.clear();
    passing.reconcile();
    assert_eq!(passing.records[&1].description, "");
}

#[test]
fn a_put_without_tag_that_is_never_answered_holds_the_object_for_a_bounded_time() {
    let mut world = World::settled(orphan);
    world.failures.insert("Untag", unknown());
    let since = world.now;
    let mut sent_at = since;
    while world.object.is_some() {
        assert!(world.now < since + 1_000, "{:#?}", world.trace);
        world.now += 50;
        world.trace.clear();
        world.reconcile();
        if world.trace.iter().any(|line| line == "Untag 1") {
            sent_at = world.now;
        }
    }
    assert!(
        world.now >= sent_at + WINDOWS.settle_secs,
        "the last one may still land"
    );
    let end = world.trace.last().expect("end");
    assert!(end.contains("StillTagged"), "{end}");
}

#[test]
fn a_put_without_tag_is_waited_for_also_where_the_id_was_lost() {
    let mut world = World::new(|_| {});
    world.failures.insert("Create", unknown());
    world.reconcile();
    let object = world.object.as_mut().expect("object");
    object.deleting = true;
    object.deletion_policy = DeletionPolicy::Orphan;
    world
        .records
        .insert(1, record(1, "harbor-dr", owner().tag()));
    world.failures = BTreeMap::from([("Untag", unknown())]);
    world.now += 121;
    assert!(matches!(world.reconcile(), Verdict::CannotUntag { .. }));
    let sent_at = world.now;
    // An earlier one landed.
    world.records.get_mut(&1).expect("ours").description = String::new();
    world.failures.clear();
    assert!(matches!(
        world.reconcile(),
        Verdict::DeletionSettling { .. }
    ));
    world.now = sent_at + 121;
    world.reconcile();
    assert!(world.object.is_none());
}

#[test]
fn a_put_without_tag_that_may_still_land_is_waited_for_before_the_object_goes() {
    let mut world = World::settled(orphan);
    world.failures.insert("Untag", unknown());
    assert!(matches!(world.reconcile(), Verdict::CannotUntag { .. }));
    let sent_at = world.now;
    world.failures.clear();
    assert!(matches!(
        world.reconcile(),
        Verdict::DeletionSettling { .. }
    ));
    assert!(world.object.is_some());
    world.now = sent_at + 121;
    world.reconcile();
    assert!(world.object.is_none());

    // Another process may have sent one, if the object was on its way out when this one came.
    let mut restarted = World::settled(orphan);
    restarted.memory = Memory::default();
    assert!(matches!(
        restarted.reconcile(),
        Verdict::DeletionSettling { .. }
    ));
    restarted.now += 121;
    restarted.reconcile();
    assert!(restarted.object.is_none());
}

#[test]
fn an_orphan_whose_create_was_not_answered_waits_for_it_and_takes_the_tag_off() {
    let mut world = World::unanswered();
    let object = world.object.as_mut().expect("object");
    object.deleting = true;
    object.deletion_policy = DeletionPolicy::Orphan;
    assert!(matches!(
        world.reconcile(),
        Verdict::DeletionSettling { .. }
    ));
    world
        .records
        .insert(1, record(1, "harbor-dr", owner().tag()));
    world.now += 121;
    world.trace.clear();
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        RecordId
        Show 1
        Untag 1
        RemoveFinalizer
        -> Released { removed: Untagged, clones: [] }
    "#]]);
    assert_eq!(world.records[&1].description, "");
}

/// Where the finalizer's write is not answered, the next reconcile must not take the copy for ours.
#[test]
fn a_registry_whose_id_was_lost_is_noted_before_it_is_deleted_and_its_copy_stays() {
    let mut world = World::unanswered();
    world.object.as_mut().expect("object").deleting = true;
    world
        .records
        .insert(1, record(1, "harbor-dr", owner().tag()));
    world.now += 121;
    world
        .kube_failures
        .insert("RemoveFinalizer", KubeFailure::Unavailable);
    world.trace.clear();
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        List
        RecordId
        Show 1
        Delete 1
        List
        RemoveFinalizer
        -> KubernetesUnavailable
    "#]]);
    world
        .records
        .insert(2, record(2, "harbor-dr", owner().tag()));
    world.kube_failures.clear();
    world.now += 121;
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        Show 1
        List
        RemoveFinalizer
        -> Released { removed: Deleted, clones: [RegistryId(2)] }
    "#]]);
}

#[test]
fn a_list_with_a_gap_lets_no_object_go() {
    let mut world = World::settled(deleting);
    world.gaps = 1;
    assert!(matches!(
        world.reconcile(),
        Verdict::CannotDelete(Blocker::Swr { .. })
    ));
    assert!(world.object.is_some());
    world.gaps = 0;
    world.reconcile();
    assert!(
        world.object.is_none() || {
            world.now += 121;
            world.reconcile();
            world.object.is_none()
        }
    );
}

#[test]
fn a_namesake_is_not_the_object_that_was_queued() {
    let mut world = World::new(|value| value["metadata"]["uid"] = json!("another"));
    world.check(&expect![[r#"
        ReadObject
        -> Gone
    "#]]);
}

#[test]
fn what_a_show_tells_against_the_list_is_not_remembered_as_that_list() {
    let mut world = World::settled(|_| {});
    world.hidden = vec![1];
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!(world.baseline, Some(Digest::NONE));
}

#[test]
fn an_orphan_whose_spec_is_not_granted_keeps_its_tag_and_gets_no_request() {
    let mut world = World::settled(|value| {
        deleting(value);
        value["spec"]["deletionPolicy"] = json!("Orphan");
        value["spec"]["url"] = json!("https://evil.example.net");
    });
    world.hosts = "*.dr.example.com";
    let before = world.records.clone();
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        RemoveFinalizer
        -> Released { removed: StillTagged, clones: [] }
    "#]]);
    assert_eq!(world.records, before);
}

#[test]
fn a_registry_that_swr_keeps_after_its_deletion_is_asked_for_less_and_less_often() {
    let mut world = World::settled(deleting);
    world.undead = true;
    let Verdict::DeletionSettling { until } = world.reconcile() else {
        panic!("{:?}", world.trace);
    };
    // The queue's wait grows up to there.
    assert!(until >= at(world.now + 100), "{until}");
}

#[test]
fn an_object_that_goes_without_our_finalizer_costs_nothing() {
    // Somebody else's finalizer holds it, and whoever took ours off has let its registry stay.
    let mut world = World::settled(|value| {
        deleting(value);
        value["metadata"]["finalizers"] = json!(["example.com/theirs"]);
    });
    world.check(&expect![[r#"
        ReadObject
        -> Gone
    "#]]);
    assert_eq!(world.records.len(), 1);
    let object = world.object.expect("object");
    assert_eq!(object.finalizers, ["example.com/theirs"]);
}

#[test]
fn a_new_registry_that_a_show_does_not_find_yet_may_still_come() {
    let mut world = World::new(|_| {});
    world.reconcile();
    world.trace.clear();
    let object = world.object.as_mut().expect("object");
    object.deleting = true;
    let gone = Failure::new(Class::NotFound, Cause::RegistryNotFound);
    world.failures.insert("Show", gone);
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        Show 1
        -> DeletionSettling { until: 1970-01-01T02:48:48Z }
    "#]]);
    assert!(world.object.is_some());
    world.failures.clear();
    world.reconcile();
    assert!(world.records.is_empty() && world.object.is_none());
}

#[test]
fn a_delete_without_an_answer_is_not_believed() {
    let mut world = World::settled(deleting);
    world.failures.insert("Delete", unknown());
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        Show 1
        Delete 1
        -> CannotDelete(Swr { operation: Delete, failure: Failure { class: Unknown, cause: TimedOut, code: None } })
    "#]]);
    assert!(world.object.is_some());
}

#[test]
fn a_list_with_a_gap_does_not_say_that_an_orphan_left_nothing() {
    for (gaps, removed) in [(0, Removed::Nothing), (1, Removed::LeftAlone)] {
        let mut world = World::unanswered();
        let object = world.object.as_mut().expect("object");
        object.deleting = true;
        object.deletion_policy = DeletionPolicy::Orphan;
        world.now += 200;
        world.gaps = gaps;
        let clones = Vec::new();
        assert_eq!(world.reconcile(), Verdict::Released { removed, clones });
    }
}
