//! Deletions, and what holds or releases them.

use super::*;

fn deleting(value: &mut serde_json::Value) {
    value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
}

#[test]
fn a_deletion_removes_what_is_ours_and_then_the_finalizer() {
    let mut world = World::settled(deleting);
    // One more of ours, whose id was lost.
    world
        .records
        .insert(8, record(8, "old-name", &owner().describe("")));
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        Show 1
        Delete 1
        List
        Show 8
        Delete 8
        List
        RemoveFinalizer
        -> Released(Deleted)
    "#]]);
    assert!(world.records.is_empty());
}

#[test]
fn a_deletion_with_an_open_intent_waits_for_the_settle_time() {
    let mut world = World::new(|_| {});
    world.failures.insert("Create", unknown());
    world.pass();
    world.failures.clear();
    let posted_at = world.now;
    world.object.as_mut().expect("object").deleting = true;
    assert!(matches!(world.pass(), Verdict::DeletionSettling { .. }));
    // The POST lands at last.
    world
        .records
        .insert(1, record(1, "harbor-dr", owner().tag()));
    world.now = posted_at + 121;
    world.pass();
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
        assert_eq!(world.pass(), verdict);
        assert_eq!(world.records.len(), 1);
    }
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
        -> Released(Untagged)
    "#]]);
    assert_eq!(world.records[&1].description, "");

    let mut without_secret = World::settled(orphan);
    without_secret.secret = Err(SecretProblem::NotFound);
    without_secret.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        RemoveFinalizer
        -> Released(LeftAlone)
    "#]]);

    let mut under_way = World::settled(|value| {
        orphan(value);
        value["status"]["conditions"][0]["reason"] = json!("DeletionBlocked");
    });
    under_way.check(&expect![[r#"
        ReadObject
        RemoveFinalizer
        -> Released(LeftAlone)
    "#]]);
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
    assert!(matches!(world.pass(), Verdict::InSync { .. }));
    assert_eq!(world.judged, Some(View::NONE));
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
        -> Released(LeftAlone)
    "#]]);
    assert_eq!(world.records, before);
}

#[test]
fn a_registry_that_swr_keeps_after_its_deletion_is_asked_for_less_and_less_often() {
    let mut world = World::settled(deleting);
    world.undead = true;
    let Verdict::DeletionSettling { until } = world.pass() else {
        panic!("{:?}", world.trace);
    };
    // The queue's wait grows up to there.
    assert!(until >= at(world.now + 100), "{until}");
}
