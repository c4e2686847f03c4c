//! What a machine must have for a node, and the command that brings what it lacks.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::folder_of_all;
use crate::{Error, environment};

/// What runs, and the package of Debian and its descendants that brings it.
const PROGRAMS: [(&str, &str); 10] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    // kube-proxy calls it.
    ("nft", "nftables"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("buildah", "buildah"),
    (PLUGIN, "containernetworking-plugins"),
];

/// The one that connects a pod with the node.
const PLUGIN: &str = "ptp";
/// Where plugins of a pod's network are: Debian's folder, and the one that everybody else uses.
const PLUGIN_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// What is laid over inside: nothing that a node reads may be below.
const HIDDEN: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// An error that says what is missing, if something is.
pub(super) fn assert_met() -> Result<(), Error> {
    let is_there = |program: &str| match program {
        PLUGIN => plugins().is_some(),
        program => environment::find_program(program).is_some(),
    };
    let folders = [folder_of_all(), environment::cache_folder()?];
    match missing(
        std::env::consts::OS,
        geteuid().is_root(),
        is_there,
        &folders,
    ) {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

/// For what [`assert_met`] has found.
pub(super) fn lost(what: &str) -> Error {
    Error::unmet(what, "it was there a moment ago", "start again")
}

/// The folder of the plugins.
pub(super) fn plugins() -> Option<PathBuf> {
    let folders = PLUGIN_FOLDERS.iter().map(PathBuf::from);
    folders
        .into_iter()
        .find(|folder| folder.join(PLUGIN).is_file())
}

fn missing(
    system: &str,
    is_root: bool,
    is_there: impl Fn(&str) -> bool,
    folders: &[PathBuf],
) -> Option<Error> {
    const ELSEWHERE: &str = "deploy/try/README.md installs the operator in a cluster that you have";
    if system != "linux" {
        return Some(Error::unmet(
            format!("Linux instead of {system}"),
            "a kubelet runs containers by namespaces and cgroups",
            ELSEWHERE,
        ));
    }
    if !is_root {
        return Some(Error::unmet(
            "root",
            "a kubelet mounts volumes and makes cgroups; all of it lives in namespaces that end with the command",
            format!("run it as root, as `sudo --preserve-env cargo dev node`; or {ELSEWHERE}"),
        ));
    }
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .collect();
    if !missing.is_empty() {
        let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        return Some(Error::unmet(
            programs.join(", "),
            "the node of a distribution runs what ships",
            format!(
                "apt-get install --no-install-recommends {}",
                packages.join(" ")
            ),
        ));
    }
    let is_hidden = |folder: &&PathBuf| {
        HIDDEN
            .iter()
            .any(|place| folder.starts_with(Path::new(place)))
    };
    folders.iter().find(is_hidden).map(|folder| {
        Error::unmet(
            format!("another place for {}", folder.display()),
            format!("a node has its own files in {}", HIDDEN.join(", ")),
            "work in a clone elsewhere, or let XDG_CACHE_HOME name another folder",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: fn(&str) -> bool = |_| true;

    fn check(found: Option<Error>, wanted: Option<&str>) {
        assert_eq!(found.map(|error| error.to_string()).as_deref(), wanted);
    }

    #[test]
    fn a_machine_that_cannot_run_a_node_is_told_what_it_lacks() {
        let at = |place: &str| [PathBuf::from(place)];
        check(missing("linux", true, ALL, &at("/home/me")), None);
        check(
            missing("macos", true, ALL, &[]),
            Some(
                "Linux instead of macos is needed: a kubelet runs containers by namespaces and cgroups\n\
                 hint: deploy/try/README.md installs the operator in a cluster that you have",
            ),
        );
        let root = missing("linux", false, ALL, &[])
            .expect("not root")
            .to_string();
        assert!(
            root.contains("sudo --preserve-env cargo dev node"),
            "{root}"
        );
        let lacks = |program: &str| !matches!(program, "containerd" | "ctr" | "ptp");
        check(
            missing("linux", true, lacks, &[]),
            Some(
                "containerd, ctr, ptp is needed: the node of a distribution runs what ships\n\
                 hint: apt-get install --no-install-recommends containerd containernetworking-plugins",
            ),
        );
        check(
            missing("linux", true, ALL, &at("/var/lib/ci/target/dev/node")),
            Some(
                "another place for /var/lib/ci/target/dev/node is needed: a node has its own files in \
                 /run, /var/lib, /var/log\n\
                 hint: work in a clone elsewhere, or let XDG_CACHE_HOME name another folder",
            ),
        );
    }
}
