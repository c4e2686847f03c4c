//! The rules of kstatus, by which Flux and Helm 4 wait, written down anew from what its code does
//! (`pkg/kstatus/status` of kubernetes-sigs/cli-utils): an independent reading. The original is asked as well, by way of
//! `helm upgrade --wait`.

use serde_json::Value;

use crate::site::condition;

/// The verdict on a custom resource.
pub(super) fn of(object: &Value) -> &'static str {
    let metadata = &object["metadata"];
    if !metadata["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    // Only a generation that is told and differs counts.
    let observed = object["status"]["observedGeneration"].as_i64();
    if observed.is_some_and(|observed| Some(observed) != metadata["generation"].as_i64()) {
        return "InProgress";
    }
    let conditions = object["status"]["conditions"].as_array();
    for condition in conditions.into_iter().flatten() {
        let is_true = condition["status"] == "True";
        match condition["type"].as_str() {
            // The first in the list wins.
            Some("Reconciling") if is_true => return "InProgress",
            Some("Stalled") if is_true => return "Failed",
            _ => {}
        }
    }
    match condition(object, "Ready")["status"].as_str() {
        Some("False" | "Unknown") => "InProgress",
        // An object that says nothing at all counts as done: the reason for the default of our status.
        _ => "Current",
    }
}
