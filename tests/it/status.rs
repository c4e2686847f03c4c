//! The contract that every status keeps, whoever reads it and whenever: what kstatus, Argo CD and kubectl rely on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::StatusWrite;
use crate::site::{condition, shown};

/// Looks at every version that was written, oldest first.
///
/// # Panics
/// When one breaks the contract.
pub(crate) fn assert_kept(writes: &[StatusWrite]) {
    // Every bed has an account that became ready.
    assert!(
        writes.iter().any(|write| write.is_of_operator),
        "the audit log tells no status"
    );
    let mut before: BTreeMap<&str, &Value> = BTreeMap::new();
    for StatusWrite {
        is_of_operator,
        at: _,
        follows_unanswered,
        object,
    } in writes
    {
        let uid = object["metadata"]["uid"].as_str().expect("a uid");
        let before = before.insert(uid, object);
        if !is_of_operator {
            continue;
        }
        if let Some(broken) = broken(object) {
            panic!("{broken}: {object:#}");
        }
        if let Some(before) = before.filter(|_| !follows_unanswered) {
            assert_moved(before, object);
        }
    }
}

/// The first rule that a status breaks.
fn broken(object: &Value) -> Option<String> {
    let status = &object["status"];
    let Some(observed) = status["observedGeneration"].as_i64() else {
        return Some("no observedGeneration".to_owned());
    };
    let generation = object["metadata"]["generation"].as_i64();
    if observed < 1 || Some(observed) > generation {
        return Some(format!("observedGeneration {observed} of {generation:?}"));
    }
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let field = |name: &str| condition[name].as_str().unwrap_or_default();
        if condition["observedGeneration"] != observed {
            return Some(format!("{} is of another generation", field("type")));
        }
        if field("reason").is_empty() || field("message").is_empty() {
            return Some(format!("{} does not say why", field("type")));
        }
        // They are there while they are true, and only then.
        if ["Reconciling", "Stalled"].contains(&field("type")) && field("status") != "True" {
            return Some(format!("{} is not True", field("type")));
        }
    }
    let has = |kind: &str| !condition(object, kind).is_null();
    let needed: &[&str] = match object["kind"].as_str() {
        Some("ReplicationRegistry") => &["Ready", "Synced"],
        _ => &["Ready"],
    };
    if let Some(absent) = needed.iter().find(|kind| !has(kind)) {
        return Some(format!("no {absent}"));
    }
    (has("Reconciling") && has("Stalled")).then(|| "Reconciling and Stalled at once".to_owned())
}

/// A write changes something, and the time of a transition moves with the condition's status and not otherwise.
fn assert_moved(before: &Value, after: &Value) {
    assert_ne!(
        before["status"], after["status"],
        "the status was written although nothing changed"
    );
    for kind in ["Ready", "Synced", "Reconciling", "Stalled"] {
        let (was, is) = (condition(before, kind), condition(after, kind));
        if was.is_null() || is.is_null() || was["status"] != is["status"] {
            continue;
        }
        assert_eq!(
            was["lastTransitionTime"],
            is["lastTransitionTime"],
            "{kind} has not changed: {} -> {}",
            shown(before),
            shown(after)
        );
    }
}
