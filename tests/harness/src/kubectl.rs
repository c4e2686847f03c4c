//! The real kubectl against a control plane: commands, the installation, kubeconfigs.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::pki::write_private;
use crate::wait::until;
use crate::{ControlPlane, Error, environment};

/// From the apply to discovery: under a second when the machine is idle.
const ESTABLISHED: Duration = Duration::from_mins(1);

/// A kubectl command for an administrator of this control plane.
pub fn command(plane: &ControlPlane) -> Command {
    let mut command = Command::new(plane.kubectl());
    command
        .env("KUBECONFIG", plane.kubeconfig())
        // The answers of discovery belong to this control plane, not to the person's home.
        .env(
            "KUBECACHEDIR",
            plane.kubeconfig().with_file_name("kubectl-cache"),
        )
        .arg("--request-timeout=30s");
    command
}

/// Runs kubectl, whatever comes of it.
///
/// # Panics
/// When kubectl itself cannot be run.
pub fn kubectl<S: AsRef<OsStr>>(plane: &ControlPlane, args: &[S], stdin: Option<&str>) -> Output {
    output(plane, args, stdin).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs kubectl and returns its standard output; an error carries the standard error.
pub fn kubectl_stdout<S: AsRef<OsStr>>(
    plane: &ControlPlane,
    args: &[S],
    stdin: Option<&str>,
) -> Result<String, Error> {
    let output = output(plane, args, stdin)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: Vec<_> = args
        .iter()
        .map(|arg| arg.as_ref().to_string_lossy())
        .collect();
    Err(Error::Command {
        command: format!("kubectl {}", words.join(" ")),
        status: output.status,
        output: String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned(),
    })
}

fn output<S: AsRef<OsStr>>(
    plane: &ControlPlane,
    args: &[S],
    stdin: Option<&str>,
) -> Result<Output, Error> {
    let mut child = command(plane)
        .args(args)
        .stdin(if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("run {}", plane.kubectl().display())))?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        // kubectl that ends without reading tells why by itself.
        let _ = pipe.write_all(text.as_bytes());
    }
    child
        .wait_with_output()
        .map_err(Error::io("wait for kubectl"))
}

/// Applies one or more objects as JSON, as server-side apply of the harness.
pub fn apply(plane: &ControlPlane, objects: &[Value]) -> Result<(), Error> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    kubectl_stdout(
        plane,
        &[
            "apply",
            "--server-side",
            "--force-conflicts",
            "--filename=-",
        ],
        Some(&list),
    )?;
    Ok(())
}

/// Applies `deploy/base` and waits until its kinds can be used. The admission policy is not bound: it would refuse the
/// deletions with which tests show what the operator itself protects. Who tests the policy binds it to a namespace.
pub fn apply_install(plane: &ControlPlane) -> Result<(), Error> {
    let folder = environment::checkout().join("deploy/base");
    let made = kubectl_stdout(plane, &[OsStr::new("kustomize"), folder.as_os_str()], None)?;
    let kept: Vec<&str> = made
        .split("\n---\n")
        .filter(|object| !object.contains("\nkind: ValidatingAdmissionPolicyBinding\n"))
        .collect();
    let args = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--filename=-",
    ];
    kubectl_stdout(plane, &args, Some(&kept.join("\n---\n")))?;
    await_definitions(plane)
}

/// Applies a folder with a `kustomization.yaml`, as a user does.
pub fn apply_folder(plane: &ControlPlane, folder: &Path) -> Result<(), Error> {
    let args = ["apply", "--server-side", "--force-conflicts", "--kustomize"].map(OsStr::new);
    kubectl_stdout(plane, &[&args[..], &[folder.as_os_str()]].concat(), None)?;
    Ok(())
}

/// Waits until every CustomResourceDefinition is established and the API server serves its kind.
pub fn await_definitions(plane: &ControlPlane) -> Result<(), Error> {
    until(
        ESTABLISHED,
        "every CustomResourceDefinition established",
        || {
            let text = kubectl_stdout(
                plane,
                &["get", "customresourcedefinitions", "--output=json"],
                None,
            )?;
            let list: Value = serde_json::from_str(&text)
                .map_err(Error::json("kubectl's list of definitions"))?;
            let definitions = list["items"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            match definitions
                .iter()
                .find(|definition| !is_established(definition))
            {
                Some(definition) => Err(Error::Unexpected {
                    expected: "condition Established".to_owned(),
                    seen: format!(
                        "{}: {}",
                        definition["metadata"]["name"], definition["status"]["conditions"]
                    ),
                }),
                None => served(plane, definitions),
            }
        },
    )
}

/// Established and served are two moments: an object posted between them is refused.
fn served(plane: &ControlPlane, definitions: &[Value]) -> Result<(), Error> {
    for definition in definitions {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        kubectl_stdout(
            plane,
            &["get", name, "--all-namespaces", "--output=name"],
            None,
        )?;
    }
    Ok(())
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Writes a kubeconfig that holds a token of this ServiceAccount (TokenRequest, 24 hours) to `path`.
pub fn service_account_kubeconfig(
    plane: &ControlPlane,
    namespace: &str,
    name: &str,
    path: &Path,
) -> Result<PathBuf, Error> {
    let args = [
        "create",
        "token",
        name,
        "--namespace",
        namespace,
        "--duration=24h",
    ];
    let token = kubectl_stdout(plane, &args, None)?;
    write_kubeconfig(
        path,
        plane.server(),
        plane.authority(),
        &User::Token(token.trim()),
    )
}

/// Who the bearer of a kubeconfig is.
pub enum User<'a> {
    Certificate {
        certificate: &'a Path,
        key: &'a Path,
    },
    Token(&'a str),
}

/// Writes a kubeconfig that needs no other file. It is JSON, which is YAML.
pub fn write_kubeconfig(
    path: &Path,
    server: &str,
    authority: &Path,
    user: &User<'_>,
) -> Result<PathBuf, Error> {
    let user = match user {
        User::Certificate { certificate, key } => json!({
            "client-certificate-data": encoded(certificate)?,
            "client-key-data": encoded(key)?,
        }),
        User::Token(token) => json!({"token": token}),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "swr-dev",
            "cluster": {"server": server, "certificate-authority-data": encoded(authority)?},
        }],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "swr-dev", "context": {"cluster": "swr-dev", "user": "user"}}],
        "current-context": "swr-dev",
    });
    let text = serde_json::to_vec_pretty(&config).map_err(Error::json("a kubeconfig"))?;
    write_private(path, &text)
}

fn encoded(path: &Path) -> Result<String, Error> {
    fs::read(path)
        .map(|bytes| STANDARD.encode(bytes))
        .map_err(Error::io(format!("read {}", path.display())))
}
