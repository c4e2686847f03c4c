//! The binaries of the control plane: those of `KUBEBUILDER_ASSETS`, else cached ones, else built from the Go module
//! `tests/controlplane`. Starts none of them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::process::{shown, tail, tethered};
use crate::progress::{Progress, say};
use crate::{Error, environment};

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
        if let Some(folder) = environment::variable("KUBEBUILDER_ASSETS") {
            return Self::given(Path::new(&folder));
        }
        let module = Module::read(&environment::checkout().join("tests/controlplane"))?;
        let built = environment::cache_folder()?
            .join("controlplane")
            .join(&module.hash);
        if !built.is_dir() {
            module.build(&built)?;
        }
        Ok(Self {
            etcd: built.join("server"),
            apiserver: built.join("kube-apiserver"),
            kubectl: built.join("kubectl"),
            controller_manager: Some(built.join("kube-controller-manager")),
            helm: Some(built.join("helm")),
            folder: built,
        })
    }

    fn given(folder: &Path) -> Result<Self, Error> {
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

/// The Go module that names the binaries.
struct Module {
    folder: PathBuf,
    /// Of Kubernetes, as in go.mod: `v1.36.3`.
    version: String,
    hash: String,
}

impl Module {
    fn read(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
        };
        let (module, sums) = (read("go.mod")?, read("go.sum")?);
        let version = kubernetes_version(&module).ok_or_else(|| {
            Error::unmet(
                "a version of k8s.io/kubernetes in go.mod",
                "clients refuse a server that does not know its own version",
                "run `go mod tidy` in tests/controlplane",
            )
        })?;
        Ok(Self {
            folder: folder.to_path_buf(),
            version: version.to_owned(),
            hash: hash(&[&module, &sums]),
        })
    }

    /// Builds into a folder beside `built` and renames: others see all binaries or none.
    fn build(&self, built: &Path) -> Result<(), Error> {
        let parent = built.parent().unwrap_or(built);
        fs::create_dir_all(parent).map_err(Error::io(format!("create {}", parent.display())))?;
        let path = built.with_extension("lock");
        let lock = File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
        if lock.try_lock().is_err() {
            say("another process is building the control plane; waiting for it");
            // A second build would only halve the speed of the first.
            lock.lock()
                .map_err(Error::io(format!("lock {}", path.display())))?;
        }
        if built.is_dir() {
            return Ok(());
        }
        let go = environment::find_program("go").ok_or_else(|| {
            Error::unmet(
                "Go",
                "the Kubernetes control plane is built from source once and then cached",
                "install Go 1.26 (https://go.dev/dl), or let KUBEBUILDER_ASSETS name a folder with etcd, kube-apiserver \
                 and kubectl",
            )
        })?;
        // The lock makes it ours; what lies there was left by a build that was killed.
        let partial = built.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)
                .map_err(Error::io(format!("remove {}", partial.display())))?;
        }
        fs::create_dir(&partial).map_err(Error::io(format!("create {}", partial.display())))?;
        self.go_build(&go, &partial)?;
        fs::rename(&partial, built).map_err(Error::io(format!(
            "move the binaries to {}",
            built.display()
        )))
    }

    fn go_build(&self, go: &Path, into: &Path) -> Result<(), Error> {
        let mut output = into.as_os_str().to_owned();
        // With a trailing slash go takes it as a folder for all binaries.
        output.push("/");
        let mut command = tethered(go);
        command
            .current_dir(&self.folder)
            .args([
                "build",
                "-v",
                "-trimpath",
                "-ldflags",
                &self.ldflags(),
                "-o",
            ])
            .arg(output)
            .args(PACKAGES)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let words = shown(&command);
        let progress = Progress::start("building the control plane (once)");
        let child = command.spawn().map_err(Error::io("start go"))?;
        follow(child, &words, progress)
    }

    /// Without these, clients cannot parse the server's version.
    fn ldflags(&self) -> String {
        let mut numbers = self.version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
        let package = "k8s.io/component-base/version";
        format!(
            "-s -w -X {package}.gitVersion={} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}",
            self.version
        )
    }
}

/// Shows what go says until it ends.
fn follow(mut child: Child, words: &str, mut progress: Progress) -> Result<(), Error> {
    let said = Arc::new(Mutex::new(Vec::<String>::new()));
    let reader = child.stderr.take().map(|stderr| {
        let said = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                said.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        })
    });
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::io("wait for go"))? {
            break status;
        }
        {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            let last = said.last().map_or("starting", String::as_str);
            progress.tick(&format!("{} steps, {last}", said.len()));
        }
        environment::pause(Duration::from_millis(100));
    };
    if let Some(reader) = reader {
        // It ends with go's stderr; a panic in it would only have cost us progress lines.
        let _ = reader.join();
    }
    if status.success() {
        progress.finish("done");
        return Ok(());
    }
    progress.finish("failed");
    let said = said
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .join("\n");
    Err(Error::Command {
        command: words.to_owned(),
        status,
        output: tail(&said, 40),
    })
}

/// The version in the `require` line of k8s.io/kubernetes.
fn kubernetes_version(module: &str) -> Option<&str> {
    module.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next() == Some("k8s.io/kubernetes"))
            .then(|| words.next())
            .flatten()
    })
}

/// 16 hex digits: enough to tell the few modules apart that one machine will ever see.
pub(crate) fn hash(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        // The length keeps two texts from flowing into each other.
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    }
    digest
        .finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_this_checkout_names_the_version() {
        let module =
            Module::read(&environment::checkout().join("tests/controlplane")).expect("the module");
        let flags = module.ldflags();
        assert!(
            flags.contains(&format!("gitVersion={} ", module.version)),
            "{flags}"
        );
        assert!(flags.ends_with("gitMinor=36"), "{flags}");
    }

    #[test]
    fn the_version_is_that_of_the_require_line() {
        let module = "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n";
        assert_eq!(kubernetes_version(module), Some("v1.36.3"));
        assert_eq!(
            kubernetes_version("require k8s.io/kubernetes v1.2.3"),
            Some("v1.2.3")
        );
        assert_eq!(kubernetes_version("require k8s.io/api v1.2.3"), None);
    }

    #[test]
    fn the_hash_depends_on_every_text_and_its_borders() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_eq!(hash(&["ab", "c"]).len(), 16);
    }
}
