//! The node's programs and images. What takes minutes or a network is done before anything is started.

use std::fs;
use std::path::{Path, PathBuf};

use super::needs;
use crate::assets::{Assets, ldflags};
use crate::gomodule::{GoModule, Recipe};
use crate::image::buildah::{self, Buildah};
use crate::image::{self, OPERATOR, SIMULATOR, VERSION};
use crate::{Error, environment};

/// The registry of the README, which no machine reaches: what is imported under its name is never pulled.
pub(super) const REGISTRY: &str = "registry.example.com";

/// Where a name without a registry leads.
const NO_REGISTRY: &str = "docker.io/library";

const PAUSE: &str = "pause";

/// Our own packages of the module, in the order of their names.
const SOURCES: [&str; 2] = ["dns", PAUSE];

const PACKAGES: [&str; 5] = [
    "./dns",
    "./pause",
    "k8s.io/kubernetes/cmd/kube-proxy",
    "k8s.io/kubernetes/cmd/kube-scheduler",
    "k8s.io/kubernetes/cmd/kubelet",
];

pub(super) struct Parts {
    /// kubelet, kube-proxy, kube-scheduler, `dns` and `pause`.
    pub(super) programs: PathBuf,
    pub(super) images: Vec<Archive>,
}

/// An image in a file, and the names by which pods ask for it.
pub(super) struct Archive {
    pub(super) path: PathBuf,
    pub(super) names: Vec<String>,
}

/// What holds the namespaces of a pod.
pub(super) fn sandbox_image() -> String {
    format!("{REGISTRY}/{PAUSE}")
}

impl Parts {
    /// Builds what is missing.
    pub(super) fn provide(folder: &Path) -> Result<Self, Error> {
        Assets::provide()?;
        let programs = programs()?;
        for program in [&OPERATOR, &SIMULATOR] {
            image::archive(program)?;
        }
        pause(&programs, folder)?;
        Self::found(folder)
    }

    /// What [`Self::provide`] has built.
    pub(super) fn found(folder: &Path) -> Result<Self, Error> {
        let mut images: Vec<Archive> = [&OPERATOR, &SIMULATOR]
            .into_iter()
            .map(|program| Archive {
                path: program.archive(),
                names: [REGISTRY, NO_REGISTRY]
                    .map(|registry| format!("{registry}/{}", program.name))
                    .to_vec(),
            })
            .collect();
        images.push(Archive {
            path: buildah::archive(folder, PAUSE),
            names: vec![sandbox_image()],
        });
        Ok(Self {
            programs: programs()?,
            images,
        })
    }
}

fn programs() -> Result<PathBuf, Error> {
    let module = GoModule::read("node", &SOURCES)?;
    module.provide(&Recipe {
        what: "the node",
        advice: "install Go 1.26 (https://go.dev/dl)",
        packages: &PACKAGES,
        tags: "",
        mode: "readonly",
        ldflags: &ldflags(module.version_of("k8s.io/kubernetes")?),
    })
}

/// The image that holds the namespaces of a pod.
fn pause(programs: &Path, folder: &Path) -> Result<(), Error> {
    let stage = folder.join("pause");
    let failed = |path: &Path| Error::io(format!("write {}", path.display()));
    fs::create_dir_all(&stage).map_err(failed(&stage))?;
    let program = stage.join(PAUSE);
    fs::copy(programs.join(PAUSE), &program).map_err(failed(&program))?;
    let buildah = Buildah::find(folder).ok_or_else(|| needs::lost("buildah"))?;
    let image = buildah.build(&buildah::Recipe {
        name: PAUSE,
        containerfile: &environment::checkout().join("tests/node/pause/Containerfile"),
        stage: &stage,
        epoch: "0",
        revision: "none",
    })?;
    buildah.push(&image, PAUSE, VERSION).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_of_the_version_of_the_control_plane() {
        let version = |name: &str, sources: &[&str]| {
            let module = GoModule::read(name, sources).expect("the module");
            module
                .version_of("k8s.io/kubernetes")
                .map(str::to_owned)
                .expect("a version")
        };
        assert_eq!(version("node", &SOURCES), version("controlplane", &[]));
    }
}
