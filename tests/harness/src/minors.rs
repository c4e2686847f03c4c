//! API servers of the earlier minor versions of Kubernetes that the README claims. Their Go modules are written here and
//! not kept in the checkout, because nothing in them is chosen but the version: the dependencies are those that its own
//! go.mod names, and what is fetched is checked by Go's checksum database. The other programs are those of
//! `tests/controlplane`: the operator talks to the API server alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Error;
use crate::assets::{Assets, ldflags};
use crate::gomodule::{GoModule, Recipe, go};
use crate::process::{output_of, tethered};

/// The newest patch of each; the newest minor is that of `tests/controlplane`.
pub const VERSIONS: [&str; 5] = ["v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4"];

const KUBERNETES: &str = "k8s.io/kubernetes";

/// Finds or builds a control plane with the API server of a minor, as `1.31`. A build takes minutes and shows progress
/// on stderr.
pub fn provide(minor: &str) -> Result<Assets, Error> {
    let prefix = format!("v{minor}.");
    let Some(version) = VERSIONS.iter().find(|version| version.starts_with(&prefix)) else {
        return Err(Error::unmet(
            format!("a minor version of Kubernetes instead of {minor:?}"),
            format!(
                "of each of these one patch is known: {}",
                VERSIONS.join(", ")
            ),
            "leave --kubernetes out for the newest one",
        ));
    };
    let newest = Assets::provide()?;
    let what = format!("kube-apiserver {version}");
    let recipe = Recipe {
        what: &what,
        advice: "install Go 1.26 (https://go.dev/dl)",
        packages: &["k8s.io/kubernetes/cmd/kube-apiserver"],
        tags: "",
        mode: "mod",
        ldflags: &ldflags(version),
    };
    let name = format!("controlplane-{minor}");
    let text = module(version, &go_mod_of(&go(&recipe)?, version)?);
    let built = GoModule::write(&name, &text)?.provide(&recipe)?;
    for (name, program) in [
        ("etcd", Some(&newest.etcd)),
        ("kubectl", Some(&newest.kubectl)),
        ("helm", newest.helm.as_ref()),
        (
            "kube-controller-manager",
            newest.controller_manager.as_ref(),
        ),
    ] {
        if let Some(program) = program {
            link(program, &built.join(name))?;
        }
    }
    Assets::given(&built)
}

/// What go tells of a module that it fetched.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fetched {
    go_mod: PathBuf,
}

/// The go.mod of this version of Kubernetes.
fn go_mod_of(go: &Path, version: &str) -> Result<String, Error> {
    let mut command = tethered(go);
    command
        .args(["mod", "download", "-json"])
        .arg(format!("{KUBERNETES}@{version}"))
        // Else a module around it would have a say.
        .current_dir(std::env::temp_dir());
    let told = output_of(&mut command)?;
    let Fetched { go_mod } =
        serde_json::from_slice(&told).map_err(Error::json("what go tells of a module"))?;
    fs::read_to_string(&go_mod).map_err(Error::io(format!("read {}", go_mod.display())))
}

/// A module that builds this version: its own go.mod takes the parts that are published as modules of their own from
/// folders beside it, which others do not have.
fn module(version: &str, go_mod: &str) -> String {
    let published = version.replacen("v1.", "v0.", 1);
    let language = go_mod.lines().find(|line| line.starts_with("go "));
    let parts: BTreeSet<&str> = go_mod
        .lines()
        .filter_map(|line| line.trim().split_once(" => ./staging/"))
        .map(|(part, _)| part.trim_start_matches("replace "))
        .collect();
    let mut text = format!(
        "module swr-operator/controlplane\n\n{}\n\nrequire {KUBERNETES} {version}\n\n",
        language.unwrap_or("go 1.22.0")
    );
    for part in parts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "replace {part} => {part} {published}");
    }
    text
}

fn link(program: &Path, link: &Path) -> Result<(), Error> {
    match symlink(program, link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::io(format!("link {}", link.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_takes_every_part_at_the_version_of_the_whole() {
        let go_mod = "module k8s.io/kubernetes\n\ngo 1.22.0\n\nrequire k8s.io/api v0.0.0\n\nreplace (\n\
                      \tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/klog => k8s.io/klog v2\n)\n\
                      replace k8s.io/kms => ./staging/src/k8s.io/kms\n";
        assert_eq!(
            module("v1.31.14", go_mod),
            "module swr-operator/controlplane\n\ngo 1.22.0\n\nrequire k8s.io/kubernetes v1.31.14\n\n\
             replace k8s.io/api => k8s.io/api v0.31.14\nreplace k8s.io/kms => k8s.io/kms v0.31.14\n"
        );
    }

    #[test]
    fn a_minor_that_is_not_known_is_refused_with_those_that_are() {
        let error = provide("1.3").expect_err("no such minor").to_string();
        assert!(error.contains("v1.31.14, v1.32.13"), "{error}");
    }
}
