//! A thousand objects in a pod with the limits of the chart.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Cluster, unexpected};
use crate::bed::INSTANCE_IDS;
use crate::kubectl::apply;
use crate::node::cluster::operator;
use crate::process::seconds_since;
use crate::wait::until;
use crate::{Error, environment};

/// The quota of an instance, the three samples among them.
const N_REGISTRIES: usize = 1_000;
const N_OBJECTS: usize = N_REGISTRIES - 3;

/// 20 s on two idle cores.
const READY: Duration = Duration::from_secs(180);

/// As docs/uninstall.md says: the guard would pause so many deletions.
const ALLOWED: &str = "kubectl annotate swraccount --all --overwrite \
     \"swr.huaweicloud.com/allow-deletions-until=$(date -u -d '+1 hour' +%FT%TZ)\"";

/// Between two looks, each of which costs the API server as much as some dozens of the operator's writes.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn thousand(cluster: &mut Cluster) -> Result<String, Error> {
    // What the chart's limits allow is measured, not what an account's do.
    let limits =
        json!({"spec": {"limits": {"requestsPerSecond": 500, "burst": 500, "inFlight": 64}}});
    let limits = limits.to_string();
    cluster.kubectl(&[
        "patch",
        "swraccount",
        "default",
        "--type=merge",
        "--patch",
        &limits,
    ])?;
    let objects: Vec<Value> = (0..N_OBJECTS).map(object).collect();
    apply(&cluster.machine.plane, &objects)?;
    let started = environment::now();
    let ready = "--output=jsonpath={range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
    until(READY, "a thousand objects that are ready", || {
        let words = [
            "get",
            "rreg",
            "--namespace=images",
            "--selector=of=thousand",
            ready,
        ];
        match cluster
            .kubectl(&words)?
            .lines()
            .filter(|line| *line == "True")
            .count()
        {
            N_OBJECTS => Ok(()),
            n => {
                environment::pause(LOOK);
                Err(unexpected("all", format!("{n}")))
            }
        }
    })?;
    let took = seconds_since(started);
    let n_registries = cluster.console.registries(INSTANCE_IDS[0])?.len();
    if n_registries != N_REGISTRIES {
        return Err(unexpected(
            format!("{N_REGISTRIES} registries"),
            n_registries.to_string(),
        ));
    }
    let pid = operator()?;
    let memory = Cgroup::of(pid, "memory")?;
    let peak = memory.number(&["memory.peak", "memory.max_usage_in_bytes"])?;
    let limit = memory.number(&["memory.max", "memory.limit_in_bytes"])?;
    if peak >= limit {
        return Err(unexpected(
            format!("less than {limit} bytes"),
            peak.to_string(),
        ));
    }
    let secs = processor_secs(pid)?;
    remove(cluster)?;
    let mib = |bytes: u64| bytes >> 20;
    Ok(format!(
        "ready {took} after the last was applied; {} of {} MiB at most, {secs} s of processor time",
        mib(peak),
        mib(limit),
    ))
}

/// By one request: kubectl waits for each object with a watch of its own, which takes minutes.
fn remove(cluster: &Cluster) -> Result<(), Error> {
    const OBJECTS: &str =
        "/apis/swr.huaweicloud.com/v1alpha1/namespaces/images/replicationregistries";
    cluster.type_in(ALLOWED)?;
    cluster.kubectl(&[
        "delete",
        "--raw",
        &format!("{OBJECTS}?labelSelector=of%3Dthousand"),
    ])?;
    until(READY, "the end of a thousand objects", || {
        match cluster.console.registries(INSTANCE_IDS[0])?.len() {
            3 => Ok(()),
            n => Err(unexpected("three registries", n.to_string())),
        }
    })
}

fn object(index: usize) -> Value {
    json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {
            "name": format!("many-{index}"),
            "namespace": "images",
            "labels": {"of": "thousand"},
        },
        "spec": {
            "instanceId": INSTANCE_IDS[0],
            "type": "swr-pro",
            "url": format!("https://many-{index}.example.com"),
            "insecure": false,
            "credentialSecretRef": {"name": "harbor-dr"},
        },
    })
}

/// Of a container, in the tree of a controller.
struct Cgroup(PathBuf);

impl Cgroup {
    fn of(pid: i32, controller: &str) -> Result<Self, Error> {
        let path = format!("/proc/{pid}/cgroup");
        let text = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
        place(&text, controller)
            .map(|place| Self(Path::new("/sys/fs/cgroup").join(place)))
            .ok_or_else(|| unexpected(format!("a cgroup of {controller}"), text))
    }

    /// Of the first of these files that is there: version 2 and version 1 name them differently.
    fn number(&self, names: &[&str]) -> Result<u64, Error> {
        let texts = names
            .iter()
            .map(|name| fs::read_to_string(self.0.join(name)));
        let text = texts.flatten().next().unwrap_or_default();
        text.trim()
            .parse()
            .map_err(|_| unexpected(format!("a number in one of {names:?}"), text))
    }
}

/// Below the mount point: with version 1 each controller has a tree, with version 2 all share one.
fn place(text: &str, controller: &str) -> Option<String> {
    let lines = || {
        text.lines()
            .filter_map(|line| line.split_once(':')?.1.split_once(':'))
    };
    let of_one = lines().find(|(controllers, _)| controllers.split(',').any(|it| it == controller));
    let of_all = || lines().find(|(controllers, _)| controllers.is_empty());
    let (controllers, path) = of_one.or_else(of_all)?;
    Some(
        format!("{controllers}{path}")
            .trim_start_matches('/')
            .to_owned(),
    )
}

/// Of a process since its start. Linux tells it in hundredths of a second.
fn processor_secs(pid: i32) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
    // The name in parentheses may contain anything; user and system time are the 12th and 13th field behind it.
    let fields = text
        .rsplit_once(") ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2);
    Ok(ticks
        .filter_map(|field| field.parse::<u64>().ok())
        .sum::<u64>()
        / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_found_in_either_version() {
        let first = "5:cpu,cpuacct:/a/b\n4:memory:/node/pod\n0::/\n";
        assert_eq!(place(first, "memory").as_deref(), Some("memory/node/pod"));
        assert_eq!(
            place("0::/node/pod\n", "memory").as_deref(),
            Some("node/pod")
        );
        assert_eq!(place("", "memory"), None);
    }
}
