//! SIGTERM: the operator ends in time and in order, and what was under way is not lost.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, in_parallel, with_site};
use crate::cloud::PATIENCE;
use crate::site::{Site, registry_id};

/// The operation that is under way, and how SWR treats it.
type Shutdown = (&'static str, &'static str, &'static str);

#[test]
fn sigterm_during_a_write_ends_in_time_and_loses_nothing() {
    let cases: [(&str, Shutdown); 3] = [
        ("hangs", ("term-hang", "CreateInstanceRegistry", "hang")),
        ("slow", ("term-slow", "CreateInstanceRegistry", "delay")),
        ("update", ("term-update", "UpdateInstanceRegistry", "delay")),
    ];
    in_parallel(&cases, |(name, operation, kind)| {
        with_site(name, |bed, site| check(bed, site, operation, kind));
    });
}

fn check(bed: &Bed, site: &Site, operation: &str, kind: &str) {
    let instance = &site.cloud.instances[0];
    let updates = operation == "UpdateInstanceRegistry";
    site.put_login("it", &site.login());
    if updates {
        site.create(&site.registry("it", "swr-pro"));
        site.await_ready("it");
    }
    let mut fault = json!({
        "match": {"operation": operation, "ordinal": 1}, "phase": "after", "kind": kind,
    });
    if kind == "delay" {
        // Within the deadline of 2 s, but long after SIGTERM.
        fault["delayMs"] = json!(1200);
    }
    site.cloud.fault(&fault);
    let mark = site.cloud.mark();
    if updates {
        site.patch(
            "it",
            &json!({"spec": {"url": "https://changed.example.com"}}),
        );
    } else {
        site.create(&site.registry("it", "swr-pro"));
    }
    eventually_blocking(PATIENCE, "the request", || {
        if site.cloud.asked(mark, operation).is_empty() {
            Err("not asked yet")
        } else {
            Ok(())
        }
    });

    // Checks the exit code and the 25 seconds.
    bed.terminate();
    let object = site.object("it");
    if kind == "delay" && !updates {
        // The answer came while the operator was on its way out, and was written down.
        let held = site.cloud.registries(instance);
        assert_eq!(object["status"]["registryId"], held[0]["id"]);
    }
    bed.start_operator();
    let object = site.await_ready("it");
    let held = site.cloud.registries(instance);
    let ids: Vec<&Value> = held.iter().map(|registry| &registry["id"]).collect();
    assert_eq!(ids, [&json!(registry_id(&object))]);
    assert_eq!(
        site.cloud.asked(mark, "CreateInstanceRegistry").len(),
        usize::from(!updates)
    );
    if updates {
        assert_eq!(site.held(&object)["url"], "https://changed.example.com");
    }
}
