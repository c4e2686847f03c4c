//! What must hold in a pod: series of checks, each in a cluster of its own, and a table of each series. A check leaves the
//! cluster as the next of its series needs it.

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

/// Checks of one cluster, one after the other.
pub(super) struct Series {
    /// For a folder and a command line.
    pub(super) name: &'static str,
    title: &'static str,
    checks: &'static [(&'static str, Check)],
}

pub(super) const SERIES: [Series; 2] = [
    Series {
        name: "pod",
        title: "in a pod",
        checks: &[
            (
                "helm install --wait where `restricted` is enforced",
                pod::installed,
            ),
            // As early as it can be: it takes the kubelet a minute and a half to restart it.
            ("a process stands still (see below)", trouble::suspended),
            ("an account and the samples become ready", pod::sampled),
            ("helm test", pod::tested),
            ("no privilege, a read-only root", pod::confined),
            ("an unconfined pod is refused there", pod::refused),
            ("kubectl logs: audit lines, no secret", pod::logged),
            ("the process is killed", trouble::killed),
            ("the pod is deleted", trouble::deleted),
            ("two replicas: the leader is deleted", trouble::handed_over),
            ("the API server is away", trouble::without_api_server),
            ("1,000 objects within the memory limit", scale::thousand),
            ("liveness restarts what stands still", trouble::restarted),
        ],
    },
    Series {
        name: "release",
        title: "the ways of a release",
        checks: &[
            ("helm upgrade with objects in flight", ways::upgraded),
            ("the token in the volume is renewed", trouble::renewed),
            ("helm uninstall in the documented order", ways::uninstalled),
            ("deploy/try/README.md to the letter", ways::tried),
        ],
    },
];

/// Runs all of a series, whatever becomes of each, and prints the table.
pub(super) fn run(name: &str, cluster: &mut Cluster) -> Result<(), Error> {
    let series = SERIES.iter().find(|series| series.name == name);
    let series = series.ok_or_else(|| unexpected("a series of checks", name))?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (name, check) in series.checks {
        let started = environment::now();
        let outcome = check(cluster);
        let took = seconds_since(started);
        let (verdict, seen) = match outcome {
            Ok(seen) => ("ok", seen),
            Err(error) => {
                failed.push(*name);
                say(&format!("{name}: {error}"));
                ("FAILED", String::new())
            }
        };
        say(&format!("{verdict:<6} {name}"));
        rows.push(format!("{verdict:<6} {took:>8}   {name:<50}   {seen}"));
    }
    say(&format!("\n== {}\n{}\n", series.title, rows.join("\n")));
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
