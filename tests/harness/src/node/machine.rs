//! The processes of a node: containerd from the distribution, kubelet, kube-scheduler, kube-proxy and a cluster DNS, with
//! the control plane beside them. They end with the namespaces that they run in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::needs;
use super::parts::{Parts, sandbox_image};
use crate::image::{self, VERSION};
use crate::kubectl::kubectl_stdout;
use crate::pki::write_private;
use crate::process::{Process, output_of, tethered};
use crate::wait::{Look, until};
use crate::{ControlPlane, Error};

/// The node's own address; pods reach the API server and the DNS there. Apart from the range of Services, 10.0.0.0/24.
pub(super) const ADDRESS: &str = "10.0.1.1";
const PODS: &str = "10.0.2.0/24";
/// Of the node.
const NAME: &str = "node";

const SOCKET: &str = "/run/containerd/containerd.sock";

/// 6 s on two idle cores; a machine that compiles beside it needs more.
const READY: Duration = Duration::from_secs(90);

const GROUND: &str = include_str!("ground.sh");

/// Invariant: in the order in which they must end; fields drop from top to bottom.
pub(super) struct Machine {
    kubelet: Process,
    others: Vec<Process>,
    pub(super) plane: ControlPlane,
    premises: Premises,
}

/// What its processes are started from.
struct Premises {
    folder: PathBuf,
    programs: PathBuf,
    kubeconfig: PathBuf,
}

impl Machine {
    pub(super) fn start(folder: &Path, cgroup: &str, parts: &Parts) -> Result<Self, Error> {
        remove(folder)?;
        let mut ground = tethered("/bin/sh");
        ground
            .args(["-c", GROUND, "ground.sh"])
            .arg(folder)
            .arg(ADDRESS);
        output_of(&mut ground)?;
        let containerd = start_containerd(folder)?;
        let plane = ControlPlane::start_for_pods(&folder.join("control-plane"), ADDRESS)?;
        let premises = Premises {
            folder: folder.to_path_buf(),
            programs: parts.programs.clone(),
            kubeconfig: plane.kubeconfig().to_path_buf(),
        };
        import(parts)?;
        premises.write("kubelet.json", &kubelet(plane.authority(), cgroup))?;
        let corefile = corefile(&premises.kubeconfig);
        write_private(&folder.join("Corefile"), corefile.as_bytes())?;
        let others = vec![
            premises.spawn("kube-scheduler", |command| {
                command.args(["--leader-elect=false", "--secure-port=0"])
            })?,
            premises.spawn("kube-proxy", |command| {
                command
                    .args(["--proxy-mode=nftables", "--hostname-override", NAME])
                    // The table of connections is the whole machine's.
                    .args(["--conntrack-max-per-core=0", "--conntrack-min=0"])
            })?,
            premises.process("dns", |command| {
                command.arg("-conf").arg(folder.join("Corefile"))
            })?,
            containerd,
        ];
        let mut machine = Self {
            kubelet: premises.start_kubelet()?,
            others,
            plane,
            premises,
        };
        machine.await_ready()?;
        Ok(machine)
    }

    fn await_ready(&mut self) -> Result<(), Error> {
        const IS_READY: &str = "{.status.conditions[?(@.type==\"Ready\")].status}";
        until(READY, "a node that is ready", || {
            if let Err(error) = self.assert_running() {
                return Look::Hopeless(error);
            }
            let output = format!("--output=jsonpath={IS_READY}");
            match kubectl_stdout(&self.plane, &["get", "node", NAME, &output], None) {
                Ok(status) if status == "True" => Look::Ready(()),
                Ok(status) => Look::NotYet(format!("Ready is {status:?}")),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
    }

    /// An error that says which of its processes has ended, if one has.
    pub(super) fn assert_running(&mut self) -> Result<(), Error> {
        self.plane.assert_running()?;
        self.kubelet.assert_running()?;
        self.others.iter_mut().try_for_each(Process::assert_running)
    }

    /// As after a crash: it forgets the tokens that it issued, and its pods run on.
    pub(super) fn restart_kubelet(&mut self) -> Result<(), Error> {
        self.kubelet.kill_9()?;
        self.kubelet = self.premises.start_kubelet()?;
        Ok(())
    }
}

impl Premises {
    fn write(&self, name: &str, config: &Value) -> Result<(), Error> {
        write_private(&self.folder.join(name), config.to_string().as_bytes()).map(drop)
    }

    fn process(
        &self,
        name: &str,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Process, Error> {
        let mut command = tethered(self.programs.join(name));
        arguments(&mut command);
        Process::spawn(name, command, &self.folder.join(format!("{name}.log")))
    }

    /// One that is told where the API server is.
    fn spawn(
        &self,
        name: &str,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Process, Error> {
        self.process(name, |command| {
            command.arg("--kubeconfig").arg(&self.kubeconfig);
            arguments(command)
        })
    }

    fn start_kubelet(&self) -> Result<Process, Error> {
        self.spawn("kubelet", |command| {
            command
                .arg("--config")
                .arg(self.folder.join("kubelet.json"))
                .args(["--hostname-override", NAME, "--node-ip", ADDRESS])
        })
    }
}

/// What ground.sh mounts: images, containers and volumes. Logs and settings stay, for who wonders.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    let mut mounted = ["containerd", "kubelet"].iter();
    mounted.try_for_each(|name| image::remove(&folder.join(name)))
}

fn start_containerd(folder: &Path) -> Result<Process, Error> {
    let plugins = needs::plugins().ok_or_else(|| needs::lost("the plugins of a pod's network"))?;
    let networks = folder.join("networks");
    fs::create_dir_all(&networks).map_err(Error::io(format!("create {}", networks.display())))?;
    let network = network().to_string();
    write_private(&networks.join("node.conflist"), network.as_bytes())?;
    let config = folder.join("containerd.toml");
    let text = containerd(&plugins, &networks);
    write_private(&config, text.as_bytes())?;
    let mut command = tethered("containerd");
    command.arg("--config").arg(&config);
    let mut process = Process::spawn("containerd", command, &folder.join("containerd.log"))?;
    until(READY, "containerd", || {
        if let Err(error) = process.assert_running() {
            return Look::Hopeless(error);
        }
        Look::from(output_of(&mut ctr(&["version"])))
    })?;
    Ok(process)
}

fn ctr(args: &[&str]) -> Command {
    let mut command = tethered("ctr");
    command.args(["--address", SOCKET, "--namespace", "k8s.io"]);
    command.args(args);
    command
}

fn import(parts: &Parts) -> Result<(), Error> {
    for archive in &parts.images {
        for name in &archive.names {
            let path = archive.path.to_string_lossy();
            output_of(&mut ctr(&["images", "import", "--base-name", name, &path]))?;
        }
    }
    Ok(())
}

fn containerd(plugins: &Path, networks: &Path) -> String {
    // A string of JSON is one of TOML.
    let [plugins, networks] = [plugins, networks].map(|path| json!(path));
    let sandbox = json!(format!("{}:{VERSION}", sandbox_image()));
    format!(
        "version = 2\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n\
         sandbox_image = {sandbox}\n\
         # Without the right to make itself more important, it would start no pod.\n\
         restrict_oom_score_adj = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n\
         bin_dir = {plugins}\n\
         conf_dir = {networks}\n"
    )
}

/// A pair of interfaces for each pod, routed by the node.
fn network() -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "node",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

fn kubelet(authority: &Path, cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        // A full disk or little memory is the machine's business, not the operator's.
        "evictionHard": {"memory.available": "1%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": false,
        // How often a pod's volumes are compared with what they should hold: a minute would be usual.
        "syncFrequency": "10s",
        "failCgroupV1": false,
        "failSwapOn": false,
        // Nobody outside is asked for a name.
        "resolvConf": "",
    })
}

fn corefile(kubeconfig: &Path) -> String {
    format!(
        ".:53 {{\n errors\n bind {ADDRESS}\n kubernetes cluster.local {{\n  kubeconfig {}\n }}\n}}\n",
        kubeconfig.display()
    )
}

/// The processes whose command line is so.
pub(super) fn pids(is_it: impl Fn(&str) -> bool) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pid = |name: &std::ffi::OsStr| name.to_str()?.parse::<i32>().ok();
    processes
        .filter_map(|process| {
            let words = fs::read(process.path().join("cmdline")).ok()?;
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            is_it(words.trim())
                .then(|| pid(&process.file_name()))
                .flatten()
        })
        .collect()
}
