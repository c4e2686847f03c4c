//! What only reads: an installation (`--read-only`), an object (`mode: Observe`).

use super::*;
use crate::summary::Held;

/// A reconcile that must leave everything in SWR and Kubernetes but the status as it is.
fn check(mut world: World, expected: &Expect) {
    world.read_only = true;
    let records = world.records.clone();
    let finalizers = |world: &World| {
        world
            .object
            .as_ref()
            .map(|object| object.finalizers.clone())
    };
    let before = finalizers(&world);
    world.check(expected);
    assert_eq!(world.records, records);
    assert_eq!(finalizers(&world), before);
}

fn deleting(value: &mut serde_json::Value) {
    value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
}

#[test]
fn what_is_missing_is_not_created_and_gets_no_finalizer() {
    check(
        World::new(|_| {}),
        &expect![[r#"
            ReadObject
            ReadAccount
            ReadSecret
            List
            -> ReadOnly(Create)
        "#]],
    );
}

#[test]
fn what_could_be_adopted_is_not() {
    let mut world = World::new(|value| value["spec"]["adoption"] = json!({"policy": "IfUnowned"}));
    world.records.insert(3, record(3, "harbor-dr", "theirs"));
    check(
        world,
        &expect![[r#"
            ReadObject
            ReadAccount
            ReadSecret
            List
            List
            -> ReadOnly(Adopt)
        "#]],
    );
}

#[test]
fn what_differs_is_named_and_not_written() {
    let mut world = World::settled(|_| {});
    world.records.get_mut(&1).expect("there").url = "https://other.example.com".into();
    world.read_only = true;
    let before = world.records.clone();
    let verdict = world.reconcile();
    let Verdict::ReadOnly(Held::Update(changes)) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(changes.to_string(), "url");
    assert_eq!(world.records, before);
    // And is written once the installation may write again.
    world.read_only = false;
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
}

#[test]
fn what_is_equal_is_in_sync() {
    check(
        World::settled(|_| {}),
        &expect![[r#"
            ReadObject
            ReadAccount
            ReadSecret
            List
            -> InSync { health: Healthy }
        "#]],
    );
}

#[test]
fn a_credential_that_is_only_due_again_leaves_the_registry_in_sync() {
    let mut world = World::settled(|value| value["spec"]["resendCredentialEvery"] = json!("1h"));
    world.now += 4_000;
    check(
        world,
        &expect![[r#"
            ReadObject
            ReadAccount
            ReadSecret
            List
            -> InSync { health: Healthy }
        "#]],
    );
}

#[test]
fn a_deletion_waits_whatever_becomes_of_the_registry() {
    for policy in ["Delete", "Orphan"] {
        let world = World::settled(|value| {
            deleting(value);
            value["spec"]["deletionPolicy"] = json!(policy);
        });
        check(
            world,
            &expect![[r#"
                ReadObject
                -> DeletionReadOnly
            "#]],
        );
    }
}

#[test]
fn an_object_that_only_observes_goes_because_nothing_is_written_for_it() {
    let mut world = World::settled(|value| {
        deleting(value);
        value["spec"]["mode"] = json!("Observe");
    });
    world.read_only = true;
    let records = world.records.clone();
    world.check(&expect![[r#"
        ReadObject
        RemoveFinalizer
        -> Released { removed: LeftAlone, clones: [] }
    "#]]);
    assert_eq!(world.records, records);
}

#[test]
fn observing_writes_nothing_to_swr_and_no_finalizer() {
    let mut world = World::new(|value| value["spec"]["mode"] = json!("Observe"));
    assert_eq!(world.reconcile(), Verdict::MissingObserved);
    world
        .records
        .insert(3, record(3, "harbor-dr", &owner().describe("")));
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    world.records.get_mut(&3).expect("there").url = "https://other.example.com".into();
    let before = world.records.clone();
    assert!(matches!(world.reconcile(), Verdict::DriftObserved(_)));
    assert_eq!(world.records, before);
    assert!(!world.object.expect("object").has_finalizer());
}

#[test]
fn observing_tells_how_a_registry_that_could_be_adopted_differs_and_does_not_adopt_it() {
    let mut world = World::new(|value| {
        value["spec"]["mode"] = json!("Observe");
        value["spec"]["adoption"] = json!({"policy": "IfUnowned"});
    });
    world.records.insert(3, record(3, "harbor-dr", ""));
    assert!(matches!(
        world.reconcile(),
        Verdict::Conflict(crate::plan::Foreign::Untagged)
    ));
    world.records.get_mut(&3).expect("there").url = "https://other.example.com".into();
    assert!(matches!(world.reconcile(), Verdict::DriftObserved(_)));
    assert_eq!(world.records[&3].description, "");
}
