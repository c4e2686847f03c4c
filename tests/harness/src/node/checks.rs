//! What must hold in a pod, one check after the other, and a table of them. Each leaves the cluster as the next needs it.

mod pod;
mod scale;
mod trouble;
mod ways;

use serde_json::json;

use super::cluster::{Cluster, PATIENCE};
use crate::bed::INSTANCE_IDS;
use crate::process::seconds_since;
use crate::progress::say;
use crate::wait::until;
use crate::{Error, environment};

/// What is done, and what it showed.
type Check = fn(&mut Cluster) -> Result<String, Error>;

const CHECKS: [(&str, Check); 17] = [
    (
        "helm install --wait where `restricted` is enforced",
        pod::installed,
    ),
    ("an account and the samples become ready", pod::sampled),
    ("helm test", pod::tested),
    ("no privilege, a read-only root", pod::confined),
    ("an unconfined pod is refused there", pod::refused),
    ("kubectl logs: audit lines, no secret", pod::logged),
    ("a process stands still (see below)", trouble::suspended),
    ("the process is killed", trouble::killed),
    ("the pod is deleted", trouble::deleted),
    ("two replicas: the leader is deleted", trouble::handed_over),
    ("1,000 objects within the memory limit", scale::thousand),
    // Before the API server comes back with another key and the kubelet is started again: what stands still would have to
    // wait for a new token once it is restarted, and a new kubelet has forgotten how many probes have failed.
    ("liveness restarts what stands still", trouble::restarted),
    ("the API server is away", trouble::without_api_server),
    ("the token in the volume is renewed", trouble::renewed),
    ("helm uninstall in the documented order", ways::uninstalled),
    ("helm upgrade with objects in flight", ways::upgraded),
    ("deploy/try/README.md to the letter", ways::tried),
];

/// Runs all, whatever becomes of each, and prints the table.
pub(super) fn run(cluster: &mut Cluster) -> Result<(), Error> {
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let started = environment::now();
        let outcome = check(cluster);
        let took = seconds_since(started);
        let (verdict, seen) = match outcome {
            Ok(seen) => ("ok", seen),
            Err(error) => {
                failed.push(name);
                say(&format!("{name}: {error}"));
                ("FAILED", String::new())
            }
        };
        say(&format!("{verdict:<6} {name}"));
        rows.push(format!("{verdict:<6} {took:>8}   {name:<50}   {seen}"));
    }
    say(&format!("\n== in a pod\n{}", rows.join("\n")));
    say(
        "not shown: a NetworkPolicy (networkPolicy.enabled), which needs a network plugin that enforces it; \
         the drain of a node, which needs a second one",
    );
    match failed[..] {
        [] => Ok(()),
        _ => Err(Error::Unexpected {
            expected: "every check to pass".to_owned(),
            seen: format!("{} failed: {}", failed.len(), failed.join("; ")),
        }),
    }
}

/// An operator with the samples, for who wants to look around.
pub(super) fn prepare(cluster: &mut Cluster) -> Result<(), Error> {
    pod::installed(cluster)?;
    pod::sampled(cluster).map(drop)
}

/// An edit of a sample that SWR must see: the operator is at work.
fn works(cluster: &Cluster, text: &str) -> Result<(), Error> {
    let patch = json!({"spec": {"description": text}}).to_string();
    until(PATIENCE, "an edit of a sample", || {
        cluster.kubectl(&[
            "patch",
            "rreg",
            "harbor-dr",
            "--namespace=images",
            "--type=merge",
            "--patch",
            &patch,
        ])
    })?;
    until(PATIENCE, format!("the edit {text:?} in SWR"), || {
        let registries = cluster.console.registries(INSTANCE_IDS[0])?;
        let has_it = registries.iter().any(|registry| {
            let description = registry["description"].as_str();
            description.is_some_and(|description| description.starts_with(text))
        });
        match has_it {
            true => Ok(()),
            false => Err(Error::Unexpected {
                expected: text.to_owned(),
                seen: "another description".to_owned(),
            }),
        }
    })
}

fn unexpected(expected: impl Into<String>, seen: impl Into<String>) -> Error {
    Error::Unexpected {
        expected: expected.into(),
        seen: seen.into(),
    }
}
