//! The ways of a release: out, up from an earlier one, and the one of who only tries. Documents are typed to the letter.

use std::fs;
use std::path::{Path, PathBuf};

use super::pod::{CHART, apply_samples, await_samples, install};
use super::{Cluster, PATIENCE, unexpected};
use crate::bed::{INSTANCE_IDS, NAMESPACE};
use crate::wait::until;
use crate::{Error, environment};

/// The newest of the commits whose statuses `tests/it/fixtures/upgrade` holds.
const EARLIER: &str = "87330b5";

/// The blocks of a page that a reader types, below one heading or all of them, as one script.
fn typed(path: &str, heading: Option<&str>) -> Result<String, Error> {
    let page = environment::checkout().join(path);
    let page = fs::read_to_string(&page).map_err(Error::io(format!("read {path}")))?;
    match script(&page, heading) {
        script if script.is_empty() => Err(unexpected(format!("commands in {path}"), "none")),
        script => Ok(script),
    }
}

fn script(page: &str, heading: Option<&str>) -> String {
    let mut below = String::new();
    let mut script = String::new();
    let mut language = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(_), Some(_)) => language = None,
            (Some(word), None) => language = Some(word),
            (None, None) if line.starts_with('#') => line.clone_into(&mut below),
            (None, Some("sh")) if heading.is_none_or(|heading| heading == below) => {
                script.push_str(line);
                script.push('\n');
            }
            (None, _) => {}
        }
    }
    script
}

/// Of what is in no namespace.
const KINDS: &str = "namespace,crd,clusterrole,clusterrolebinding,validatingadmissionpolicy";

/// Nothing of ours is left, in the cluster or in SWR.
fn assert_gone(cluster: &Cluster) -> Result<(), Error> {
    let registries = cluster.console.registries(INSTANCE_IDS[0])?;
    if !registries.is_empty() {
        return Err(unexpected(
            "no registry in SWR",
            registries.len().to_string(),
        ));
    }
    until(PATIENCE, "an empty cluster", || {
        let names = cluster.kubectl(&["get", "--output=name", KINDS])?;
        let ours: Vec<&str> = names.lines().filter(|name| name.contains("swr")).collect();
        match ours[..] {
            [] => Ok(()),
            _ => Err(unexpected("nothing", ours.join(", "))),
        }
    })
}

/// The page names no command for what the samples brought beside registries and the account.
const REST: &str = "kubectl delete namespace images";

pub(super) fn uninstalled(cluster: &mut Cluster) -> Result<String, Error> {
    let n_before = cluster.console.registries(INSTANCE_IDS[0])?.len();
    cluster.type_in(&typed("docs/uninstall.md", Some("## With Helm"))?)?;
    cluster.type_in(REST)?;
    assert_gone(cluster)?;
    Ok(format!(
        "{n_before} objects and their registries went with it"
    ))
}

/// Leaves the release and the samples.
pub(super) fn upgraded(cluster: &mut Cluster) -> Result<String, Error> {
    let earlier = cluster.path("earlier");
    let known = cluster.type_in(&format!(
        "rm -rf {0} && mkdir {0} && git archive {EARLIER} {CHART} | tar -x -C {0}",
        earlier.display()
    ));
    let (chart, outcome) = match known {
        Ok(_) => (
            earlier.join(CHART),
            format!("from the chart of {EARLIER}; one registry for each object"),
        ),
        Err(_) => (
            PathBuf::from(CHART),
            format!("skipped: this clone does not reach {EARLIER}"),
        ),
    };
    install(cluster, &chart)?;
    apply_samples(cluster)?;
    let words = format!("--namespace {NAMESPACE}");
    cluster.helm("upgrade", "swr-operator", Path::new(CHART), &words)?;
    await_samples(cluster)?;
    Ok(outcome)
}

pub(super) fn tried(cluster: &mut Cluster) -> Result<String, Error> {
    cluster.type_in(&typed("deploy/try/README.md", None)?)?;
    assert_gone(cluster)?;
    Ok("every command below `Images`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_what_a_reader_types() {
        let page = "# A\n```sh\na\n```\n## B\n```console\n$ no\n```\n```sh\nb\n# c\n```\n## C\n```yaml\nd: e\n```\n";
        assert_eq!(script(page, None), "a\nb\n# c\n");
        assert_eq!(script(page, Some("## B")), "b\n# c\n");
        assert_eq!(script(page, Some("## C")), "");
    }
}
