//! The chart with its defaults, in a pod.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Cluster, unexpected};
use crate::bed::{INSTANCE_IDS, NAMESPACE, SECRET_KEY};
use crate::image::{OPERATOR, VERSION};
use crate::node::cluster::operator;
use crate::node::parts::REGISTRY;
use crate::{Error, environment};

pub(super) const CHART: &str = "charts/swr-operator";
const SAMPLES: [&str; 3] = ["basic-archive", "enterprise-eu", "harbor-dr"];

/// What of `/proc/PID/status` says how a process is confined, as `restricted` demands: the user of the image, no
/// capability, none to be gained, and a filter of system calls.
/// The group is not compared: a kubelet takes the user of the image and leaves the group to the runtime.
const CONFINED: [(&str, &str); 5] = [
    ("Uid", "65532 65532 65532 65532"),
    ("CapEff", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
];

pub(super) fn installed(cluster: &mut Cluster) -> Result<String, Error> {
    install(cluster, Path::new(CHART))?;
    Ok("nothing set but image.registry and where the cloud is".to_owned())
}

pub(super) fn install(cluster: &Cluster, chart: &Path) -> Result<(), Error> {
    let into = format!("--namespace {NAMESPACE}");
    cluster
        .helm("install", "swr-operator", chart, &into)
        .map(drop)
}

/// Applies account, Secrets and registries.
pub(super) fn apply_samples(cluster: &Cluster) -> Result<(), Error> {
    cluster
        .type_in("kubectl apply --server-side -k deploy/samples")
        .map(drop)
}

/// Waits until they are ready, and each has one registry and no more.
pub(super) fn await_samples(cluster: &Cluster) -> Result<(), Error> {
    cluster.type_in(
        "kubectl wait rreg --all --namespace images --for=condition=Ready --timeout=90s",
    )?;
    let registries = cluster.console.registries(INSTANCE_IDS[0])?;
    let mut names: Vec<&str> = registries
        .iter()
        .filter_map(|registry| registry["name"].as_str())
        .collect();
    names.sort_unstable();
    match names == SAMPLES {
        true => Ok(()),
        false => Err(unexpected(
            format!("{SAMPLES:?} in SWR"),
            format!("{names:?}"),
        )),
    }
}

pub(super) fn sampled(cluster: &mut Cluster) -> Result<String, Error> {
    apply_samples(cluster)?;
    await_samples(cluster)?;
    Ok("three registries in SWR".to_owned())
}

pub(super) fn tested(cluster: &mut Cluster) -> Result<String, Error> {
    cluster.type_in(&format!(
        "helm test swr-operator --namespace {NAMESPACE} --timeout 90s"
    ))?;
    Ok("by the Service's name in the cluster's DNS".to_owned())
}

pub(super) fn confined(_: &mut Cluster) -> Result<String, Error> {
    let process = Path::new("/proc").join(operator()?.to_string());
    let read = |name: &str| {
        let path = process.join(name);
        fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
    };
    let status = read("status")?;
    let found = |field: &str| {
        let of = |line: &str| {
            let value = line.strip_prefix(field)?.strip_prefix(':')?;
            Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        status.lines().find_map(of).unwrap_or_default()
    };
    let seen = CONFINED.map(|(field, _)| (field, found(field)));
    let wanted = CONFINED.map(|(field, value)| (field, value.to_owned()));
    if seen != wanted {
        return Err(unexpected(format!("{wanted:?}"), format!("{seen:?}")));
    }
    let mounts = read("mountinfo")?;
    // `id parent device root place options ...`
    let root = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|words| words.get(4) == Some(&"/"));
    let options = root.as_ref().and_then(|words| words.get(5)).copied();
    match options.unwrap_or_default().split(',').next() {
        Some("ro") => Ok("user 65532, no capability, seccomp".to_owned()),
        other => Err(unexpected(
            "a root that is mounted ro",
            format!("{other:?}"),
        )),
    }
}

pub(super) fn refused(cluster: &mut Cluster) -> Result<String, Error> {
    let image = format!("--image={REGISTRY}/{}:{VERSION}", OPERATOR.name);
    let namespace = format!("--namespace={NAMESPACE}");
    match cluster.kubectl(&["run", "unconfined", &image, &namespace]) {
        Err(error)
            if error
                .to_string()
                .contains("violates PodSecurity \"restricted") =>
        {
            Ok("by the API server, which took the operator's own".to_owned())
        }
        Err(error) => Err(error),
        Ok(_) => Err(unexpected("a refusal", "a pod that is not confined")),
    }
}

pub(super) fn logged(cluster: &mut Cluster) -> Result<String, Error> {
    let log = cluster.type_in(&format!(
        "kubectl logs deployment/swr-operator --namespace {NAMESPACE}"
    ))?;
    let mut n_audited = 0;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).map_err(Error::json("a line of the log"))?;
        n_audited += usize::from(line["logger"] == "audit" && line["operation"] == "create");
    }
    if n_audited != SAMPLES.len() {
        return Err(unexpected(
            format!("{} audit lines of creations", SAMPLES.len()),
            format!("{n_audited} of {} lines", log.lines().count()),
        ));
    }
    let samples = environment::checkout().join("deploy/samples/secrets/secrets.yaml");
    let samples = fs::read_to_string(&samples).map_err(Error::io("read the samples' Secrets"))?;
    let values = samples.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once(": ")?;
        matches!(key, "password" | "accessSecret").then_some(value)
    });
    let secrets: Vec<&str> = values.chain([SECRET_KEY]).collect();
    match secrets.iter().find(|secret| log.contains(**secret)) {
        None => Ok(format!(
            "{} lines, none with one of {} secrets",
            log.lines().count(),
            secrets.len()
        )),
        Some(_) => Err(unexpected("no secret in the log", "one")),
    }
}
