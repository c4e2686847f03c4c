//! What ends, stands still or goes away: processes, pods, the API server, a token.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::pod::CHART;
use super::{Cluster, PATIENCE, unexpected, works};
use crate::bed::NAMESPACE;
use crate::http::Http;
use crate::node::cluster::{operator, operators};
use crate::process::seconds_since;
use crate::wait::until;
use crate::{Error, environment};

/// The release whose process stands still, in a namespace of its own, so that the other checks go on beside it.
const STILL: &str = "still";

/// Three probes, 20 s apart, and the grace of 45 s that a process which stands still uses up.
const RESTARTED: Duration = Duration::from_secs(150);

/// Longer than the operator needs to notice, and than three probes of readiness.
const AWAY: Duration = Duration::from_secs(16);

fn signal(pid: i32, signal: Signal) -> Result<(), Error> {
    let pid = Pid::from_raw(pid).ok_or_else(|| unexpected("a process", "none"))?;
    kill_process(pid, signal).map_err(|errno| Error::io("send a signal")(errno.into()))
}

fn n_restarts(pod: &Value) -> i64 {
    pod["status"]["containerStatuses"][0]["restartCount"]
        .as_i64()
        .unwrap_or_default()
}

fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && pod["status"]["containerStatuses"][0]["ready"] == true
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// The only pod, once it is ready and of this many restarts.
fn restarted_pod(
    cluster: &Cluster,
    namespace: &str,
    n: i64,
    deadline: Duration,
) -> Result<(), Error> {
    let what = format!("a pod in {namespace} that is ready after restart {n}");
    until(deadline, what, || match &cluster.pods(namespace)?[..] {
        [pod] if is_ready(pod) && n_restarts(pod) == n => Ok(()),
        pods => {
            let seen: Vec<_> = pods
                .iter()
                .map(|pod| &pod["status"]["containerStatuses"])
                .collect();
            Err(unexpected("it", format!("{seen:?}")))
        }
    })
}

pub(super) fn suspended(cluster: &mut Cluster) -> Result<String, Error> {
    let words = format!(
        "--namespace {STILL} --create-namespace --set crds.enabled=false --set 'watch.namespaces={{{STILL}}}' \
         --set installationId={STILL} --set 'accounts={{none}}' --set cloud.caBundle.configMap="
    );
    cluster.helm("install", STILL, Path::new(CHART), &words)?;
    let id = format!("--installation-id={STILL}");
    match operators(Some(&id))[..] {
        [pid] => signal(pid, Signal::STOP)?,
        ref other => return Err(unexpected("one process", format!("{other:?}"))),
    }
    Ok("of a second release, by SIGSTOP".to_owned())
}

pub(super) fn restarted(cluster: &mut Cluster) -> Result<String, Error> {
    restarted_pod(cluster, STILL, 1, RESTARTED)?;
    cluster.type_in(&format!(
        "helm uninstall {STILL} --namespace {STILL} --wait"
    ))?;
    Ok("one restart, then ready".to_owned())
}

pub(super) fn killed(cluster: &mut Cluster) -> Result<String, Error> {
    let before = cluster.pod()?;
    signal(operator()?, Signal::KILL)?;
    let started = environment::now();
    restarted_pod(cluster, NAMESPACE, n_restarts(&before) + 1, PATIENCE)?;
    let took = seconds_since(started);
    works(cluster, "after a kill")?;
    Ok(format!("ready after {took} in the same pod"))
}

pub(super) fn deleted(cluster: &mut Cluster) -> Result<String, Error> {
    let before = cluster.pod()?;
    let started = environment::now();
    cluster.kubectl(&["delete", "pod", name(&before), "--namespace", NAMESPACE])?;
    until(PATIENCE, "another pod", || {
        match &cluster.pods(NAMESPACE)?[..] {
            [pod] if is_ready(pod) && name(pod) != name(&before) => Ok(()),
            pods => Err(unexpected("it", format!("{} pods", pods.len()))),
        }
    })?;
    let took = seconds_since(started);
    works(cluster, "after a deletion")?;
    Ok(format!("another is ready after {took}"))
}

fn holder(cluster: &Cluster) -> Result<String, Error> {
    let lease = cluster.get(&["lease", "swr-operator", "--namespace", NAMESPACE])?;
    Ok(lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

pub(super) fn handed_over(cluster: &mut Cluster) -> Result<String, Error> {
    let words = format!("--namespace {NAMESPACE} --set replicaCount=2");
    cluster.helm("upgrade", "swr-operator", Path::new(CHART), &words)?;
    until(PATIENCE, "a leader", || match holder(cluster)? {
        holder if holder.is_empty() => Err(unexpected("a holder", "none")),
        _ => Ok(()),
    })?;
    works(cluster, "under one of two")?;
    let before = holder(cluster)?;
    let pods = cluster.pods(NAMESPACE)?;
    let leader = pods
        .iter()
        .find(|pod| before.contains(name(pod)))
        .ok_or_else(|| unexpected("the holder among the pods", before.clone()))?;
    let started = environment::now();
    let args = [
        "delete",
        "pod",
        name(leader),
        "--namespace",
        NAMESPACE,
        "--wait=false",
    ];
    cluster.kubectl(&args)?;
    until(PATIENCE, "another leader", || match holder(cluster)? {
        holder if holder.is_empty() || holder == before => Err(unexpected("another", holder)),
        _ => Ok(()),
    })?;
    let took = seconds_since(started);
    works(cluster, "under the other")?;
    let words = format!("--namespace {NAMESPACE}");
    cluster.helm("upgrade", "swr-operator", Path::new(CHART), &words)?;
    until(PATIENCE, "one pod", || cluster.pod())?;
    works(cluster, "alone again")?;
    Ok(format!("the other leads after {took}"))
}

pub(super) fn without_api_server(cluster: &mut Cluster) -> Result<String, Error> {
    let pod = cluster.pod()?;
    let address = pod["status"]["podIP"].as_str().unwrap_or_default();
    let url = format!("http://{address}:8081/readyz");
    let before = n_restarts(&pod);
    cluster.machine.plane.kill_apiserver()?;
    environment::pause(AWAY);
    let answer = Http::default().get(&url);
    cluster.machine.plane.start_apiserver()?;
    let (status, text) = answer?;
    let after = n_restarts(&cluster.pod()?);
    match after == before {
        true => Ok(format!(
            "/readyz answers {status} ({}), and no restart",
            text.lines().last().unwrap_or_default()
        )),
        false => Err(unexpected("no restart", format!("{}", after - before))),
    }
}

/// The API server comes back with another key, and takes no token any more that it issued before; the kubelet writes
/// another one into the volume.
pub(super) fn renewed(cluster: &mut Cluster) -> Result<String, Error> {
    let before = n_restarts(&cluster.pod()?);
    cluster.machine.plane.kill_apiserver()?;
    cluster.machine.plane.start_apiserver_with_another_key()?;
    let started = environment::now();
    cluster.machine.restart_kubelet()?;
    works(cluster, "with another token")?;
    let took = seconds_since(started);
    match n_restarts(&cluster.pod()?) {
        after if after == before => Ok(format!(
            "at work {took} after it could be, without a restart"
        )),
        after => Err(unexpected("no restart", format!("{}", after - before))),
    }
}
