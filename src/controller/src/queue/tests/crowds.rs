//! Ten thousand events, ten thousand objects, and one object that is a giant.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Events of a hundred objects, each of another generation.
const OBJECTS: usize = 100;
const EVENTS: usize = 10_000;

/// A reconcile ends, and there is room for another.
fn end(queue: &mut Queue, name: &str, now: i64) {
    queue.ended_in(None);
    finish(queue, name, Requeue::Poll, now);
}

#[test]
fn ten_thousand_events_in_any_order_end_with_a_reconcile_of_each_object() {
    // Prime to the number of events, so that each comes once, and far from its neighbours.
    for step in [1, 7_919, 9_973] {
        let mut queue = Queue::default();
        let mut under_way: BTreeSet<String> = BTreeSet::new();
        let mut begun: BTreeMap<String, usize> = BTreeMap::new();
        let mut newest: BTreeMap<String, usize> = BTreeMap::new();
        for n in 0..EVENTS {
            let event = n * step % EVENTS;
            let name = format!("o{}", event % OBJECTS);
            let generation = i64::try_from(event / OBJECTS).expect("small");
            let now = i64::try_from(n / 1_000).expect("small");
            // Every third comes twice.
            for _ in 0..=usize::from(n % 3 == 0) {
                queue.applied(seen(&name, generation), at(now));
            }
            newest.insert(name, n);
            if n % 2 == 0
                && let Some(name) = take(&mut queue, now)
            {
                assert!(under_way.insert(name.clone()), "{name} has two reconciles");
                begun.insert(name, n);
            }
            if n % 5 == 0
                && let Some(name) = under_way.pop_first()
            {
                end(&mut queue, &name, now);
            }
        }
        // The storms are over.
        let mut now = 1_000;
        loop {
            while let Some(name) = under_way.pop_first() {
                end(&mut queue, &name, now);
            }
            now += 1;
            while let Some(name) = take(&mut queue, now) {
                assert!(under_way.insert(name.clone()), "{name} has two reconciles");
                begun.insert(name, EVENTS);
            }
            if under_way.is_empty() && now > 1_100 {
                break;
            }
        }
        let late = newest
            .iter()
            .filter(|(name, n)| begun.get(*name) <= Some(n));
        assert_eq!(late.collect::<Vec<_>>(), [], "step {step}");
    }
}

#[test]
fn a_namespace_with_few_objects_has_its_turn_among_ten_thousand() {
    let mut queue = Queue::default();
    let of = |namespace: &str, n: usize| {
        let mut seen = seen_in(&format!("o{n}"), "busy");
        seen.key.namespace = namespace.into();
        seen.uid = format!("uid-{namespace}-{n}");
        seen
    };
    for n in 0..1_000 {
        for namespace in 0..10 {
            queue.applied(of(&format!("many-{namespace}"), n), at(0));
        }
    }
    queue.applied(of("few", 0), at(0));
    let turns = std::iter::from_fn(|| queue.next(at(0)));
    let namespaces = turns.map(|turn| turn.key.namespace.to_string());
    let namespaces: Vec<String> = namespaces.take(100).collect();
    let few = namespaces.iter().position(|namespace| namespace == "few");
    assert_eq!(few, Some(10), "after one of each other");
    // The others share the rest alike.
    let of_first = namespaces.iter().filter(|it| *it == "many-0");
    assert_eq!(of_first.count(), 10);
}

#[test]
fn a_giant_of_annotations_and_managers_is_kept_small() {
    let mut giant = shown("giant", "1", 100);
    let object = giant.object.as_mut().expect("an object");
    let annotations = (0..4).map(|n| (format!("a{n}"), "x".repeat(64 * 1024)));
    object.metadata.annotations = Some(annotations.collect());
    let manager =
        serde_json::json!({"manager": "m", "operation": "Apply", "fieldsV1": {"f:a": {}}});
    let managers = vec![manager; 10_000];
    object.metadata.managed_fields =
        serde_json::from_value(serde_json::json!(managers)).expect("managers");
    let mut queue = Queue::default();
    queue.applied(giant, at(0));
    let usual = 4 * 1024;
    assert!(
        (1..usual).contains(&queue.watched_bytes),
        "{} bytes",
        queue.watched_bytes
    );
    assert!(queue.next(at(0)).expect("a turn").watched.is_some());
}
