//! `cargo dev node`: the control plane of the tests with a real node beside it, whose kubelet runs the images that ship.
//!
//! All of it lives in mount, network and process namespaces of its own: this process starts `unshare`, which starts this
//! binary again as the first process inside ([`inside`]). When that ends, for whatever reason, the kernel ends all that
//! came of it, and what was mounted is gone with it. Only cgroups outlast a process; they are removed from outside.
//! Each series of checks has such a cluster for itself, and they run side by side: much of the time each waits.
//!
//! | Module | Job |
//! |---|---|
//! | `needs` | what a machine must have, and what to do when it lacks it |
//! | `parts` | the node's programs and images, built or found before anything is started |
//! | `cgroups` | the cgroup below which every pod runs |
//! | `machine` | the processes of a node |
//! | `cluster` | what a person does with it: kubectl, helm, the console of the simulated cloud |
//! | `checks` | what must hold in a pod: series of checks, each one after the other |

mod cgroups;
mod checks;
mod cluster;
mod machine;
mod needs;
mod parts;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use cgroups::Cgroups;
use cluster::Cluster;
use machine::Machine;
use parts::Parts;

use crate::bed::DevFolder;
use crate::process::{seconds_since, tethered};
use crate::progress::say;
use crate::wait::until;
use crate::{Error, environment, image};

/// The name of the command that runs inside the namespaces.
pub const INSIDE: &str = "node-inside";

/// The kernel ends a few dozen processes in well under a second.
const LEFT: Duration = Duration::from_secs(10);

/// Between two looks at what runs inside.
const LOOK: Duration = Duration::from_millis(200);

/// What of it stays outside the namespaces.
pub fn run(once: bool, mut interrupted: impl FnMut(Duration) -> bool) -> Result<(), Error> {
    needs::assert_met()?;
    let folder = DevFolder::claim_for_node()?;
    // Nothing that takes minutes or a network is left to do inside.
    Parts::provide(folder.path())?;
    let mut clusters = match once {
        true => checks::SERIES
            .iter()
            .map(|series| Inside::start(Some(series.name)))
            .collect::<Result<Vec<_>, _>>()?,
        false => vec![Inside::start(None)?],
    };
    let outcome = wait(&mut clusters, &mut interrupted);
    clusters.into_iter().try_for_each(Inside::end)?;
    say("left behind: no process, no mount, no cgroup");
    if once {
        say(
            "not shown: a NetworkPolicy (networkPolicy.enabled), which needs a network plugin that enforces it; \
             the drain of a node, which needs a second one",
        );
    }
    outcome
}

/// What runs in the namespaces, as their first process: a series of checks, or a cluster for who wants to look around.
pub fn inside(cgroup: &str, series: Option<&str>) -> Result<(), Error> {
    let folder = place(series);
    let started = environment::now();
    let machine = Machine::start(&folder, cgroup, &Parts::found(&folder_of_all())?)?;
    say(&format!("node ready after {}", seconds_since(started)));
    let mut cluster = Cluster::of(machine, &folder)?;
    if let Some(name) = series {
        return checks::run(name, &mut cluster);
    }
    checks::prepare(&mut cluster)?;
    say(
        "the chart is installed and the samples are ready; everything stays up until Ctrl-C. In another terminal:",
    );
    say("   source target/dev/node/env");
    say("   kubectl get pods,rreg --all-namespaces");
    loop {
        cluster.machine.assert_running()?;
        environment::pause(LOOK);
    }
}

/// Where it all lies.
fn folder_of_all() -> PathBuf {
    environment::dev_folder().join("node")
}

/// Where a cluster has its files.
fn place(series: Option<&str>) -> PathBuf {
    series.map_or_else(folder_of_all, |name| folder_of_all().join(name))
}

/// The first process of the namespaces, and its parent outside.
struct Inside {
    child: Child,
    folder: PathBuf,
    cgroups: Cgroups,
    /// The namespace of its processes.
    pids: Option<PathBuf>,
}

impl Inside {
    fn start(series: Option<&str>) -> Result<Self, Error> {
        let folder = place(series);
        fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let cgroups = Cgroups::create(&folder)?;
        let this = std::env::current_exe().map_err(Error::io("find this program"))?;
        let mut command = tethered("unshare");
        command
            .args(["--mount", "--net", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "--"])
            .arg(this)
            .args([INSIDE, "--cgroup", cgroups.name()])
            .args(series.map(|name| format!("--series={name}")))
            .current_dir(environment::checkout());
        let child = command.spawn().map_err(Error::io("start unshare"))?;
        let inside = Self {
            child,
            folder,
            cgroups,
            pids: None,
        };
        write_programs(&inside.folder, inside.child.id())?;
        Ok(inside)
    }

    /// How it ended, if it has.
    fn outcome(&mut self) -> Result<Option<ExitStatus>, Error> {
        // It is ours until unshare has made another.
        let of_children = format!("/proc/{}/ns/pid_for_children", self.child.id());
        self.pids = fs::read_link(of_children).ok().or(self.pids.take());
        self.child.try_wait().map_err(Error::io("wait for unshare"))
    }

    /// Ends it, and asserts that nothing of it is left.
    fn end(mut self) -> Result<(), Error> {
        // The lifeline. unshare ends with it, the first process inside with unshare, and the rest with that.
        drop(self.child.stdin.take());
        self.child.wait().map_err(Error::io("wait for unshare"))?;
        self.cgroups.remove()?;
        assert_nothing_left(&self.folder, self.pids.as_deref())?;
        machine::remove(&self.folder)
    }
}

/// Until all have ended, whatever becomes of each, or a signal asks for the end.
fn wait(
    clusters: &mut [Inside],
    interrupted: &mut impl FnMut(Duration) -> bool,
) -> Result<(), Error> {
    loop {
        let outcomes = clusters.iter_mut().map(Inside::outcome);
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        if let Some(ended) = outcomes.into_iter().collect::<Option<Vec<_>>>() {
            return match ended.into_iter().find(|status| !status.success()) {
                None => Ok(()),
                Some(status) => Err(Error::Command {
                    command: "cargo dev node, inside its namespaces".to_owned(),
                    status,
                    output: "its own words stand above".to_owned(),
                }),
            };
        }
        if interrupted(LOOK) {
            return Ok(());
        }
    }
}

/// What a shell sources, and the programs that it then finds: those of the control plane, inside.
fn write_programs(folder: &Path, pid: u32) -> Result<(), Error> {
    let bin = folder.join("bin");
    image::remove(&bin)?;
    fs::create_dir_all(&bin).map_err(Error::io(format!("create {}", bin.display())))?;
    let plane = crate::assets::Assets::provide()?;
    let kubeconfig = folder.join("control-plane/kubeconfig");
    let programs = [
        ("kubectl", Some(plane.kubectl)),
        ("helm", plane.helm),
        ("ctr", environment::find_program("ctr")),
    ];
    for (name, program) in programs {
        let Some(program) = program else { continue };
        let text = format!(
            "#!/bin/sh\nexport KUBECONFIG={} CONTAINERD_NAMESPACE=k8s.io\n\
             exec nsenter --target {pid} --mount --net --wd=\"$PWD\" {} \"$@\"\n",
            quoted(&kubeconfig),
            quoted(&program),
        );
        let path = bin.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .map_err(Error::io(format!("write {}", path.display())))?;
    }
    let env = folder.join("env");
    fs::write(&env, format!("export PATH={}:\"$PATH\"\n", quoted(&bin)))
        .map_err(Error::io(format!("write {}", env.display())))
}

fn quoted(path: &Path) -> String {
    crate::bed::quoted(&path.to_string_lossy())
}

/// No process of that namespace, and nothing mounted below the folder.
fn assert_nothing_left(folder: &Path, pids: Option<&Path>) -> Result<(), Error> {
    until(LEFT, "the end of all that ran inside", || {
        let left = left_over(folder, pids)?;
        match left.is_empty() {
            true => Ok(()),
            false => Err(Error::Unexpected {
                expected: "nothing left behind".to_owned(),
                seen: left.join("; "),
            }),
        }
    })
}

fn left_over(folder: &Path, pids: Option<&Path>) -> Result<Vec<String>, Error> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(MOUNTS).map_err(Error::io(format!("read {MOUNTS}")))?;
    let folder = folder.to_string_lossy();
    let mounts = mounts.lines().filter(|line| line.contains(&*folder));
    let mut left: Vec<String> = mounts.map(|line| format!("mounted: {line}")).collect();
    for process in fs::read_dir("/proc").map_err(Error::io("list processes"))? {
        let process = process.map_err(Error::io("list processes"))?.path();
        if pids.is_some() && fs::read_link(process.join("ns/pid")).ok().as_deref() == pids {
            left.push(format!("running: {}", process.display()));
        }
    }
    Ok(left)
}
