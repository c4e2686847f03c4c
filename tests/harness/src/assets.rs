//! The binaries of the control plane: those of `KUBEBUILDER_ASSETS`, else cached ones, else built from the Go module
//! `tests/controlplane`. Starts none of them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gomodule::{GoModule, Recipe};
use crate::progress::say;
use crate::{Error, environment};

/// Names a folder with the binaries.
pub const GIVEN: &str = "KUBEBUILDER_ASSETS";

/// What `go build` makes, in the order of the module's tool lines. etcd's comes out as `server`.
const PACKAGES: [&str; 5] = [
    "go.etcd.io/etcd/server/v3",
    "helm.sh/helm/v4/cmd/helm",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kubectl",
];

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Assets {
    pub folder: PathBuf,
    pub etcd: PathBuf,
    pub apiserver: PathBuf,
    pub kubectl: PathBuf,
    /// The archives that `KUBEBUILDER_ASSETS` usually names have neither of the two.
    pub controller_manager: Option<PathBuf>,
    pub helm: Option<PathBuf>,
}

impl Assets {
    /// Finds or builds them. A build takes minutes and shows progress on stderr.
    pub fn provide() -> Result<Self, Error> {
        if let Some(folder) = environment::variable(GIVEN) {
            return Self::given(Path::new(&folder));
        }
        let module = GoModule::read("controlplane", &[])?;
        let built = module.provide(&Recipe {
            what: "the control plane",
            advice: "install Go 1.26 (https://go.dev/dl), or let KUBEBUILDER_ASSETS name a folder with etcd, \
                     kube-apiserver and kubectl",
            packages: &PACKAGES,
            tags: "",
            mode: "readonly",
            ldflags: &ldflags(module.version_of("k8s.io/kubernetes")?),
        })?;
        Ok(Self {
            etcd: built.join("server"),
            apiserver: built.join("kube-apiserver"),
            kubectl: built.join("kubectl"),
            controller_manager: Some(built.join("kube-controller-manager")),
            helm: Some(built.join("helm")),
            folder: built,
        })
    }

    /// Those of a folder whose binaries bear their usual names.
    pub(crate) fn given(folder: &Path) -> Result<Self, Error> {
        let need = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(Error::unmet(
                path.display().to_string(),
                "KUBEBUILDER_ASSETS names this folder",
                "unset KUBEBUILDER_ASSETS to have the binaries built with Go",
            ))
        };
        let controller_manager = need("kube-controller-manager").ok();
        if controller_manager.is_none() {
            say("no kube-controller-manager in KUBEBUILDER_ASSETS: namespaces will not terminate");
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            etcd: need("etcd")?,
            apiserver: need("kube-apiserver")?,
            kubectl: need("kubectl")?,
            controller_manager,
            helm: need("helm")
                .ok()
                .or_else(|| environment::find_program("helm")),
        })
    }
}

/// Without these, clients cannot parse the server's version.
pub(crate) fn ldflags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
    let package = "k8s.io/component-base/version";
    format!(
        "-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_this_checkout_names_the_version() {
        let module = GoModule::read("controlplane", &[]).expect("the module");
        let version = module.version_of("k8s.io/kubernetes").expect("a version");
        let flags = ldflags(version);
        assert!(flags.contains(&format!("gitVersion={version} ")), "{flags}");
        assert!(flags.ends_with("gitMinor=36"), "{flags}");
    }
}
