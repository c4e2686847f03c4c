//! Somebody copies a registry in the console, tag included. Two registries with one tag are said so; only the known one
//! is ever written.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, BedCase, check_on, with_bed};
use crate::cloud::PATIENCE;
use crate::site::{Site, condition, registry_id, state};

#[test]
fn a_copy_of_a_registry_is_named_and_never_taken_for_the_registry() {
    let checks: [BedCase; 3] = [
        ("stays", a_clone_is_named_and_left_alone),
        ("taken", |_, site| {
            the_only_clone_is_taken_when_the_known_one_is_gone(site);
        }),
        ("several", several_clones_are_left_to_a_person),
    ];
    let sites = checks.map(|(name, _)| name);
    with_bed("clones", &sites, |bed| check_on(bed, &checks));
}

/// The warnings about one tag on several registries.
fn warnings(site: &Site) -> Vec<String> {
    let mut events = site.events();
    events.retain(|event| event.contains("Warning DuplicateTag: "));
    events
}

fn await_duplicates(bed: &Bed, site: &Site, n_surplus: &str) {
    let labels = [site.name.as_str(), site.cloud.instances[0].as_str()];
    bed.await_series("swr_duplicate_tags", &labels, n_surplus);
}

fn a_clone_is_named_and_left_alone(bed: &Bed, site: &Site) {
    let object = site.ready("it");
    let known = registry_id(&object);
    let mark = site.cloud.mark();
    let (clone, before) = site.clone_of(&site.held(&object), "by-hand");
    site.await_events("DuplicateTag", 1);
    let warnings = warnings(site);
    assert!(
        warnings.len() == 1
            && warnings[0].contains(&known.to_string())
            && warnings[0].contains(&clone.to_string()),
        "{warnings:?}"
    );
    await_duplicates(bed, site, "1");
    let now = site.await_ready("it");
    assert_eq!(registry_id(&now), known);
    site.assert_rests(mark, &site.cluster.audit());

    site.patch("it", &json!({"spec": {"description": "changed"}}));
    site.await_sent_after("it", &now);
    assert_eq!(site.cloud.writes(mark), [format!("PUT registries/{known}")]);
    site.assert_untouched(clone, &before);

    let mark = site.cloud.mark();
    site.delete("it");
    site.await_gone("it");
    assert_eq!(
        site.cloud.writes(mark),
        [format!("DELETE registries/{known}")]
    );
    site.assert_untouched(clone, &before);
}

fn the_only_clone_is_taken_when_the_known_one_is_gone(site: &Site) {
    let object = site.ready("it");
    let known = registry_id(&object);
    let held = site.held(&object);
    let mark = site.cloud.mark();
    let (clone, _) = site.clone_of(&held, "by-hand");
    site.await_events("DuplicateTag", 1);
    site.cloud.console_delete(&site.cloud.instances[0], known);
    let object = site.await_status("it", "Ready with the clone", |object| {
        object["status"]["registryId"] == clone && state(object, "Ready") == "True Available"
    });
    // The name is put right by PUT, and nothing is made or deleted.
    let put = format!("PUT registries/{clone}");
    let writes = site.cloud.writes(mark);
    assert!(
        !writes.is_empty() && writes.iter().all(|write| *write == put),
        "{writes:?}"
    );
    let mut after = site.held(&object);
    for field in ["id", "created_at", "updated_at"] {
        after[field] = held[field].clone();
    }
    assert_eq!(after, held);
    // An event may come a moment after what it tells.
    eventually_blocking(
        PATIENCE,
        &format!("an event that {clone} was taken"),
        || {
            let said = site.events();
            let tells = |event: &String| {
                !event.contains(" DuplicateTag: ") && event.contains(&clone.to_string())
            };
            if said.iter().any(tells) {
                Ok(())
            } else {
                Err(format!("{said:?}"))
            }
        },
    );
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

fn several_clones_are_left_to_a_person(bed: &Bed, site: &Site) {
    let object = site.ready("it");
    let held = site.held(&object);
    let mark = site.cloud.mark();
    let clones: Vec<(i64, Value)> = ["one", "two"]
        .iter()
        .map(|name| site.clone_of(&held, name))
        .collect();
    await_duplicates(bed, site, "2");
    site.cloud
        .console_delete(&site.cloud.instances[0], registry_id(&object));
    let (object, message) = site.await_state("it", "False DuplicateTag");
    assert_eq!(state(&object, "Stalled"), "True DuplicateTag");
    for (clone, _) in &clones {
        assert!(message.contains(&clone.to_string()), "{message}");
    }
    site.assert_rests(mark, &site.cluster.audit());
    for (clone, before) in &clones {
        site.assert_untouched(*clone, before);
    }

    // A person decides which of them is the one.
    site.cloud
        .console_delete(&site.cloud.instances[0], clones[0].0);
    let object = site.await_status("it", "Ready with the one that is left", |object| {
        object["status"]["registryId"] == clones[1].0 && state(object, "Ready") == "True Available"
    });
    assert!(condition(&object, "Stalled").is_null());
    await_duplicates(bed, site, "0");
}
