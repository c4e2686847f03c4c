//! The whole bed: control plane, simulator with two instances, installation, account, and the operator with the token
//! of its own ServiceAccount. What a person may want to look at lies in `target/dev`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::assets::Assets;
use crate::cargo::{self, Executables};
use crate::kubectl::{apply, apply_folder, await_definitions, service_account_kubeconfig};
use crate::pki::write_private;
use crate::progress::say;
use crate::{
    ControlPlane, Error, Operator, OperatorOptions, Simulator, SimulatorOptions, environment,
};

pub const NAMESPACE: &str = "swr-operator";
pub const REGION: &str = "ap-southeast-3";
pub const PROJECT_ID: &str = "0123456789abcdef0123456789abcdef";
/// The first is the one that `deploy/samples` name.
pub const INSTANCE_IDS: [&str; 2] = [
    "5f1c8a0e-1111-2222-3333-444455556666",
    "7a2d9b1f-1111-2222-3333-444455556666",
];
/// Keys of a cloud that exists on loopback only.
pub const ACCESS_KEY: &str = "SWRDEVACCESSKEY00001";
pub const SECRET_KEY: &str = "swrDevSecretKeyForTheSimulatorOnly000001";

/// The operator answers in a second; a machine that compiles beside it needs more.
const OPERATOR_READY: Duration = Duration::from_mins(1);

/// How long things take in this bed, where nobody wants to wait for minutes.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    pub poll_interval: &'static str,
    pub settle: &'static str,
}

/// Of `cargo dev up`. The settle time is at least twice the write deadline of 3 s, as the operator demands.
pub const USUAL: Windows = Windows {
    poll_interval: "30s",
    settle: "10s",
};

#[derive(Debug)]
pub struct Plan {
    /// None: no operator, the person starts one.
    pub operator: Option<OperatorPlan>,
    /// A folder with a `kustomization.yaml`: the installation.
    pub install: PathBuf,
}

#[derive(Debug)]
pub struct OperatorPlan {
    pub windows: Windows,
    /// After ours, so that they win.
    pub args: Vec<String>,
}

/// Invariant: in the order in which things must end; fields drop from top to bottom.
#[derive(Debug)]
pub struct Bed {
    pub operator: Option<Operator>,
    pub simulator: Simulator,
    pub plane: ControlPlane,
    folder: DevFolder,
}

impl Bed {
    /// Builds what is missing, starts everything, and returns when it can be used.
    pub fn start(plan: &Plan) -> Result<Self, Error> {
        let folder = DevFolder::claim()?;
        let executables =
            cargo::build(&["--package", "swr-operator", "--package", "swr-simulator"])?;
        let plane = start_plane(&folder)?;
        let simulator = Simulator::spawn(&simulator_options(
            executables.get("swr-simulator")?,
            &folder.0,
        ))?;
        apply_folder(&plane, &plan.install)?;
        await_definitions(&plane)?;
        let token = folder.0.join("operator.kubeconfig");
        service_account_kubeconfig(&plane, NAMESPACE, NAMESPACE, &token)?;
        apply(&plane, &account())?;
        let mut bed = Self {
            operator: None,
            simulator,
            plane,
            folder,
        };
        let metrics = match &plan.operator {
            Some(operator) => Some(bed.start_operator(operator, &executables, &token)?),
            None => None,
        };
        bed.write_environment(&executables, metrics)?;
        Ok(bed)
    }

    /// Returns where its metrics are.
    fn start_operator(
        &mut self,
        plan: &OperatorPlan,
        executables: &Executables,
        token: &Path,
    ) -> Result<String, Error> {
        let (mut args, addresses) = operator_flags(
            &self.simulator,
            &[
                ("--poll-interval", plan.windows.poll_interval),
                ("--settle", plan.windows.settle),
                ("--write-deadline", "3s"),
                ("--read-deadline", "5s"),
            ],
        )?;
        args.extend(plan.args.iter().cloned());
        let operator = self.operator.insert(Operator::spawn(&OperatorOptions {
            binary: executables.get("swr-operator")?.to_path_buf(),
            kubeconfig: token.to_path_buf(),
            args,
            log_path: self.folder.0.join("operator.log"),
        })?);
        operator.await_ready(&addresses.readyz, OPERATOR_READY)?;
        Ok(addresses.metrics)
    }

    /// The file that a shell sources to talk with this bed.
    pub fn environment_file(&self) -> PathBuf {
        self.folder.environment_file()
    }

    /// Runs a verb for people as an administrator of this cluster, and returns its standard output.
    pub fn swr_operator(&self, args: &[&str], stdin: &str) -> Result<String, Error> {
        let program = self.folder.0.join("bin/swr-operator");
        let mut child = Command::new(&program)
            .args(args)
            // Keys of another cloud may be in the person's environment.
            .env_clear()
            .env("KUBECONFIG", self.plane.kubeconfig())
            .env("SWR_OPERATOR_SWR_ENDPOINTS", self.simulator.endpoint())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("run {}", program.display())))?;
        if let Some(mut pipe) = child.stdin.take() {
            // What ends without reading tells why by itself.
            let _ = pipe.write_all(stdin.as_bytes());
        }
        let output = child
            .wait_with_output()
            .map_err(Error::io("wait for swr-operator"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(Error::Command {
                command: format!("swr-operator {}", args.join(" ")),
                status: output.status,
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }

    fn write_environment(
        &self,
        executables: &Executables,
        metrics: Option<String>,
    ) -> Result<(), Error> {
        let programs = self.link_programs(executables)?;
        let mut variables = vec![
            ("KUBECONFIG", self.plane.kubeconfig().display().to_string()),
            ("SWR_ENDPOINT", self.simulator.endpoint().to_owned()),
            ("SWR_SIMULATOR", self.simulator.endpoint().to_owned()),
            // So that the verbs for people reach it, too.
            (
                "SWR_OPERATOR_SWR_ENDPOINTS",
                self.simulator.endpoint().to_owned(),
            ),
            (
                "SWR_OPERATOR_IAM_ENDPOINTS",
                self.simulator.endpoint().to_owned(),
            ),
            ("SWR_REGION", REGION.to_owned()),
            ("SWR_PROJECT_ID", PROJECT_ID.to_owned()),
            ("SWR_INSTANCE_IDS", INSTANCE_IDS.join(",")),
            ("SWR_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("SWR_SECRET_KEY", SECRET_KEY.to_owned()),
            (
                "OPERATOR_KUBECONFIG",
                self.folder
                    .0
                    .join("operator.kubeconfig")
                    .display()
                    .to_string(),
            ),
            (
                "CONTROL_PLANE_AUDIT_LOG",
                self.plane.audit_log().display().to_string(),
            ),
        ];
        if let (Some(operator), Some(metrics)) = (&self.operator, metrics) {
            variables.push(("OPERATOR_PID", operator.pid().to_string()));
            variables.push(("OPERATOR_METRICS", metrics));
        }
        let mut text = String::from("# Of the running `cargo dev`; source it in sh.\n");
        for (name, value) in variables {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "export {name}={}", quoted(&value));
        }
        let _ = writeln!(
            text,
            "export PATH={}:\"$PATH\"",
            quoted(&programs.display().to_string())
        );
        write_private(&self.environment_file(), text.as_bytes())?;
        Ok(())
    }

    /// kubectl, helm and the operator under their names; as `kubectl-swr` it is a plugin of kubectl, as
    /// `kubectl_complete-swr` its completion.
    fn link_programs(&self, executables: &Executables) -> Result<PathBuf, Error> {
        let folder = self.folder.0.join("bin");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .map_err(Error::io(format!("remove {}", folder.display())))?;
        }
        fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let operator = executables.get("swr-operator")?;
        let mut programs = vec![
            ("kubectl", self.plane.kubectl()),
            ("swr-operator", operator),
            ("kubectl-swr", operator),
            ("kubectl_complete-swr", operator),
        ];
        programs.extend(self.plane.helm().map(|helm| ("helm", helm)));
        for (name, program) in programs {
            let link = folder.join(name);
            symlink(program, &link).map_err(Error::io(format!("link {}", link.display())))?;
        }
        Ok(folder)
    }

    /// An error when something that must run has ended. The operator is not meant: people kill it to see what happens.
    pub fn assert_running(&mut self) -> Result<(), Error> {
        self.plane.assert_running()?;
        self.simulator.assert_running()
    }

    /// Ends everything in order.
    pub fn stop(self) {
        let Self {
            operator,
            mut simulator,
            plane,
            folder,
        } = self;
        if let Some(mut operator) = operator {
            operator.stop();
        }
        simulator.stop();
        plane.stop();
        drop(folder);
    }
}

/// Starts a control plane with its files in `target/dev/control-plane` and says how long that took.
pub fn start_plane(folder: &DevFolder) -> Result<ControlPlane, Error> {
    // A build says for itself how long it takes.
    Assets::provide()?;
    let started = environment::now();
    let plane = ControlPlane::start(&folder.0.join("control-plane"))?;
    say(&format!(
        "control plane ready after {}",
        crate::process::seconds_since(started)
    ));
    Ok(plane)
}

/// Simulator options of every bed: the constants of this module, logs in `folder`.
pub fn simulator_options(binary: &Path, folder: &Path) -> SimulatorOptions {
    SimulatorOptions {
        binary: binary.to_path_buf(),
        region: REGION.to_owned(),
        project_id: PROJECT_ID.to_owned(),
        instance_ids: INSTANCE_IDS.map(str::to_owned).to_vec(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        switches: Vec::new(),
        log_path: folder.join("simulator.log"),
    }
}

/// Where an operator of a bed answers.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) readyz: String,
    pub(crate) metrics: String,
}

/// Flags of an operator that finds this simulator and listens where nobody else does, and these.
pub(crate) fn operator_flags(
    simulator: &Simulator,
    more: &[(&str, &str)],
) -> Result<(Vec<String>, Addresses), Error> {
    let [health, metrics] = environment::free_ports()?;
    let [health, metrics] = [health, metrics].map(|port| format!("127.0.0.1:{port}"));
    let endpoint = simulator.endpoint();
    let flags = [
        ("--namespace", NAMESPACE),
        ("--swr-endpoint", endpoint),
        ("--iam-endpoint", endpoint),
        ("--health-address", &health),
        ("--metrics-address", &metrics),
    ];
    let words = flags.iter().chain(more);
    let words = words.flat_map(|(flag, value)| [*flag, *value].map(str::to_owned));
    let addresses = Addresses {
        readyz: format!("http://{health}/readyz"),
        metrics: format!("http://{metrics}/metrics"),
    };
    Ok((words.collect(), addresses))
}

/// The account `default`, which grants everything, and its key.
pub(crate) fn account() -> [Value; 2] {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "swr-cloud", "namespace": NAMESPACE},
        "stringData": {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY},
    });
    let account = json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "SwrAccount",
        "metadata": {"name": "default"},
        "spec": {
            "region": REGION,
            "projectId": PROJECT_ID,
            "auth": {"accessKeySecretRef": {"name": "swr-cloud"}},
            "grants": [{
                "namespaces": ["*"],
                "instances": ["*"],
                "targets": {"hosts": ["*"], "addresses": ["*"], "instances": ["*"]},
            }],
        },
    });
    [secret, account]
}

/// A folder below `target`, claimed by this process until it ends.
#[derive(Debug)]
pub struct DevFolder(
    PathBuf,
    #[expect(dead_code, reason = "held, not read: it is the claim")] File,
);

impl DevFolder {
    /// `target/dev`: there is one bed in a checkout.
    pub fn claim() -> Result<Self, Error> {
        let claimed = Self::claim_at(environment::dev_folder())?;
        claimed.forget_environment();
        Ok(claimed)
    }

    /// `target/dev/test`: tests run beside a bed.
    pub fn claim_for_tests() -> Result<Self, Error> {
        Self::claim_at(environment::dev_folder().join("test"))
    }

    /// `target/dev/bench`.
    pub fn claim_for_bench() -> Result<Self, Error> {
        Self::claim_at(environment::dev_folder().join("bench"))
    }

    /// `target/dev/node`: a node runs beside a bed.
    pub(crate) fn claim_for_node() -> Result<Self, Error> {
        Self::claim_at(environment::dev_folder().join("node"))
    }

    fn claim_at(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
        if lock.try_lock().is_err() {
            return Err(Error::unmet(
                format!("{} for this process alone", folder.display()),
                "another `cargo dev` is running in this checkout",
                "end it, or work in a second clone",
            ));
        }
        Ok(Self(folder, lock))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn environment_file(&self) -> PathBuf {
        self.0.join("env")
    }

    /// Who waits for the file must not find that of a bed that is gone.
    fn forget_environment(&self) {
        let _ = fs::remove_file(self.environment_file());
    }
}

impl Drop for DevFolder {
    fn drop(&mut self) {
        self.forget_environment();
    }
}

/// One word for sh, whatever it contains.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_one_word_for_sh() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
