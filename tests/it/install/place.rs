//! An empty cluster with a cloud beside it, and a person with a shell who has this checkout, kubectl and Helm.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::bed::{ACCESS_KEY, INSTANCE_IDS, PROJECT_ID, REGION, SECRET_KEY};
use harness::process::{Process, tethered};
use harness::{
    ControlPlane, Operator, environment, eventually_blocking, kubectl_stdout,
    service_account_kubeconfig,
};
use serde_json::Value;
use swr_simulator::Keys;

use crate::architecture::root;
use crate::bed::SHUTDOWN;
use crate::cloud::{Cloud, PATIENCE};
use crate::cluster::{Audit, OPERATOR};
use crate::status;

/// As in every test: seconds show what takes minutes in production.
const WINDOWS: [(&str, &str); 6] = [
    ("SWR_OPERATOR_POLL_INTERVAL", "2s"),
    ("SWR_OPERATOR_SETTLE", "6s"),
    ("SWR_OPERATOR_WRITE_DEADLINE", "2s"),
    ("SWR_OPERATOR_READ_DEADLINE", "3s"),
    ("SWR_OPERATOR_GRACE", "2s"),
    ("SWR_OPERATOR_SECRET_RETRY", "2s"),
];

pub(super) struct Place {
    pub(super) plane: ControlPlane,
    pub(super) cloud: Cloud,
    pub(super) audit: Audit,
    /// Where the person stands.
    folder: tempfile::TempDir,
    operator: Option<Process>,
}

impl Place {
    /// The cloud is the one that the README and the samples name.
    pub(super) fn start() -> Self {
        let plane = ControlPlane::start_temporary().expect("a control plane of its own");
        let keys = Keys {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            security_token: None,
        };
        let cloud = Cloud::start(REGION, PROJECT_ID, INSTANCE_IDS.map(str::to_owned), keys);
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["charts", "crds", "deploy"] {
            symlink(root().join(name), folder.path().join(name)).expect("a link");
        }
        let place = Self {
            audit: Audit::of(&plane, OPERATOR, OPERATOR),
            plane,
            cloud,
            folder,
            operator: None,
        };
        fs::create_dir(place.path("bin")).expect("a folder");
        let helm = place.plane.helm().map(Path::to_path_buf);
        let kubectl = Some(place.plane.kubectl().to_path_buf());
        for (name, program) in [("helm", helm), ("kubectl", kubectl)] {
            if let Some(program) = program {
                symlink(program, place.path("bin").join(name)).expect("a link");
            }
        }
        place.write("access-key.txt", ACCESS_KEY);
        place.write("secret-key.txt", SECRET_KEY);
        place.write("username.txt", "robot$replication");
        place.write("password.txt", "not for production");
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// Types a block into a shell that stops at the first command that fails; what was printed.
    pub(super) fn type_in(&self, block: &str) -> String {
        let mut programs = self.path("bin").into_os_string();
        programs.push(":");
        programs.push(environment::variable("PATH").unwrap_or_default());
        let output = Command::new("/bin/sh")
            .args(["-euc", block])
            .current_dir(self.folder.path())
            .env("PATH", programs)
            .env("KUBECONFIG", self.plane.kubeconfig())
            .env("KUBECACHEDIR", self.path("kubectl-cache"))
            .env("HELM_CACHE_HOME", self.path("helm-cache"))
            .output()
            .expect("a shell");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{block}\n{}{}\n{}",
            text(&output.stdout),
            text(&output.stderr),
            self.log()
        );
        text(&output.stdout) + &text(&output.stderr)
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        kubectl_stdout(&self.plane, args, None).unwrap_or_else(|error| panic!("{error}"))
    }

    /// An object by its kind and name.
    pub(super) fn read(&self, args: &[&str]) -> Value {
        let args = [&["get", "--output=json"], args].concat();
        serde_json::from_str(&self.kubectl(&args)).expect("JSON")
    }

    /// Does what the kubelet would do: runs the container of the installed Deployment, with its arguments, its
    /// environment and its ServiceAccount. What is added is where the cloud is, and shorter times.
    pub(super) fn run_operator(&mut self) {
        let deployment = self.read(&["deployment", OPERATOR, "--namespace", OPERATOR]);
        let pod = &deployment["spec"]["template"]["spec"];
        let account = pod["serviceAccountName"].as_str().expect("an account");
        let token = self.path("operator.kubeconfig");
        service_account_kubeconfig(&self.plane, OPERATOR, account, &token).expect("a token");

        let [health, metrics] = environment::free_ports().expect("free ports");
        let health = format!("127.0.0.1:{health}");
        let mut others: BTreeMap<String, String> = WINDOWS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in [
            ("KUBECONFIG", token.display().to_string()),
            ("SWR_ENDPOINTS", self.cloud.url()),
            ("IAM_ENDPOINTS", self.cloud.url()),
            ("HEALTH_ADDRESS", health.clone()),
            ("METRICS_ADDRESS", format!("127.0.0.1:{metrics}")),
        ] {
            others.insert(format!("SWR_OPERATOR_{name}"), value);
        }

        let container = &pod["containers"][0];
        let mut command = tethered(Operator::executable());
        for argument in container["args"].as_array().into_iter().flatten() {
            let argument = argument.as_str().expect("an argument");
            let flag = argument.split('=').next().unwrap_or_default();
            let variable = flag.trim_start_matches("--").replace('-', "_");
            let variable = format!("SWR_OPERATOR_{}", variable.to_uppercase());
            // A flag wins over its variable.
            if !others.contains_key(&variable) {
                command.arg(argument);
            }
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().expect("a name");
            let of_pod = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
            let value = match (variable["value"].as_str(), of_pod) {
                (Some(value), _) => value,
                (None, Some("metadata.namespace")) => OPERATOR,
                (None, Some("metadata.name")) => "swr-operator-0123456789-abcde",
                _ => panic!("{variable} has no value here"),
            };
            command.env(name, value);
        }
        command.envs(&others);
        let log = self.path("operator.log");
        let operator = Process::spawn(OPERATOR, command, &log).expect("the operator starts");
        self.operator = Some(operator);
        let http = harness::http::Http::default();
        eventually_blocking(PATIENCE, "the operator's /readyz", || {
            match http.get(&format!("http://{health}/readyz")) {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}\n{}", self.log())),
            }
        });
    }

    pub(super) fn log(&self) -> String {
        self.operator.as_ref().map(Process::log).unwrap_or_default()
    }

    /// SIGTERM, and what every status has to keep.
    pub(super) fn stop_operator(&mut self) {
        let mut operator = self.operator.take().expect("an operator runs");
        operator.terminate().expect("SIGTERM");
        let ended = operator.wait(SHUTDOWN).expect("its end");
        assert_eq!(ended.code(), Some(0), "{}", operator.log());
        status::assert_kept(&self.audit.statuses());
    }

    /// The operator has asked for nothing that it may not have. Not while it is being uninstalled, of course.
    pub(super) fn assert_permitted(&self) {
        let mut asked = self.audit.asked();
        asked.retain(|asked| asked.code == 403);
        assert_eq!(asked, []);
    }

    /// How many registries the first instance holds.
    pub(super) fn n_registries(&self) -> usize {
        self.cloud.registries(INSTANCE_IDS[0]).len()
    }
}
