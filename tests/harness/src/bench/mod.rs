//! `cargo dev bench`: what the operator costs, beside the floor that RAW is and beside other operators. Figures, not
//! gates: the counts that must hold are tests.
//!
//! | Module | Job |
//! |---|---|
//! | `workloads` | one contestant through all workloads |
//! | `contestant` | who is measured, and its process |
//! | `actors`, `raw` | what the user does; the unavoidable Kubernetes writes and nothing else |
//! | `stage` | one control plane, its users and connections |
//! | `client`, `objects` | requests over eight connections, and what they send |
//! | `observer` | sees when objects are as wanted |
//! | `meter`, `proc` | processor time and memory |
//! | `audit`, `journal` | requests to Kubernetes and to SWR |
//! | [`report`], `derive` | the figures, as the JSON file has them, and what follows from them |
//! | `page`, `plot` | the figures, as docs/performance.md has them |

mod actors;
pub(crate) mod audit;
pub(crate) mod client;
pub(crate) mod contestant;
mod derive;
pub(crate) mod journal;
mod meter;
pub(crate) mod objects;
pub(crate) mod observer;
mod page;
mod plot;
pub(crate) mod proc;
mod raw;
pub mod report;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod workloads;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::assets::Assets;
use crate::bed::DevFolder;
use crate::process::{output_of, tethered};
use crate::progress::say;
use crate::{Error, cargo, environment, image};
use client::CONNECTIONS;
use contestant::{Contestant, Profile};
use report::{Machine, Report, Settings};
use stage::Stage;
use workloads::{Case, measure};

const USUAL: [usize; 2] = [100, 1_000];
const FULL: [usize; 3] = [100, 1_000, 10_000];
/// Of the runs that show what a slow SWR and the default limits do.
const N_SLOW: usize = 100;
/// Two polls of the restarted operator, and four reads of changes.
const REST_S: u64 = 120;
/// So that the 99th percentile is not the worst of a handful.
const N_SINGLE: usize = 100;

#[derive(Args, Debug)]
#[command(after_help = PEERS)]
pub struct Options {
    /// Also with 10,000 objects, which takes about an hour
    #[arg(long)]
    pub full: bool,
    /// How many objects; may be repeated. Default: 100 and 1000
    #[arg(short, long, value_delimiter = ',', value_name = "N")]
    pub n: Vec<usize>,
    /// Another build of this operator, measured beside this checkout's
    #[arg(long, value_name = "BINARY")]
    pub baseline: Option<PathBuf>,
    /// Another operator, measured beside this one; see below
    #[arg(long, value_name = "COMMAND", requires = "peer_crd")]
    pub peer: Option<String>,
    /// The CustomResourceDefinition that the peer serves
    #[arg(long, value_name = "FILE", requires = "peer")]
    pub peer_crd: Option<PathBuf>,
    /// Measure these alone, by name: raw, ours, baseline, peer; may be repeated
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub only: Vec<String>,
    /// Leave out the runs with a slow SWR and with the default limits
    #[arg(long)]
    pub no_slow: bool,
    /// For how many seconds nothing happens in the workload `rest`
    #[arg(long, default_value_t = REST_S, value_name = "SECONDS")]
    pub rest: u64,
    /// Measure nothing, and write docs/performance.md and its plots from this file
    #[arg(long, value_name = "FILE")]
    pub render: Option<PathBuf>,
    /// Binaries of an optimised build: operator and simulator. The command calls itself with them
    #[arg(long, num_args = 2, hide = true)]
    pub built: Vec<PathBuf>,
}

const PEERS: &str = "\
A peer is any program that serves a kind of its own:
  - COMMAND runs in a shell and must stay one process: that one is measured.
  - It finds its world in the environment: KUBECONFIG (of an administrator), SWR_ENDPOINT,
    SWR_REGION, SWR_PROJECT_ID, SWR_INSTANCE_IDS (comma separated; the first is used),
    SWR_ACCESS_KEY, SWR_SECRET_KEY, and POLL_INTERVAL (10m, and 60s after its restart), which is
    how often it should compare everything with SWR.
  - Its kind is namespaced, has the subresource status, and takes these fields of the spec of a
    ReplicationRegistry: instanceId, name, type, url, insecure, description,
    credentialSecretRef.name.
  - It sets the condition Ready to True and says for which generation, by observedGeneration of
    the condition or of the status.
  - When the Secret has changed it sends every registry to SWR by PUT. It deletes registries
    with their objects.
  - It is killed once, with all objects in sync, and started again.
A workload that it does not finish in time is noted, and the next one is measured.";

pub fn run(options: &Options) -> Result<(), Error> {
    if let Some(file) = &options.render {
        return render(file);
    }
    match &options.built[..] {
        [operator, simulator] => bench(options, operator, simulator),
        _ => run_optimised(),
    }
}

/// Builds what is measured, the operator as it ships, and the client that measures, all optimised: a slow client would be
/// a high floor. Then lets the optimised client go on with the command that this process was given.
pub(crate) fn run_optimised() -> Result<(), Error> {
    say("building operator, simulator and client, optimised");
    let operator = image::operator()?;
    let built = cargo::build(&[
        "--release",
        "--package",
        "swr-simulator",
        "--package",
        "harness",
    ])?;
    let mut command = tethered(built.get("dev")?);
    command
        .args(std::env::args_os().skip(1))
        .arg("--built")
        .arg(operator)
        .arg(built.get("swr-simulator")?);
    cargo::stream(command)
}

fn bench(options: &Options, operator: &Path, simulator: &Path) -> Result<(), Error> {
    let folder = DevFolder::claim_for_bench()?;
    let output = environment::checkout().join("target/bench/bench.json");
    let settings = Settings {
        connections: CONNECTIONS,
        rest_s: options.rest,
        n_single: N_SINGLE,
    };
    let mut report = Report {
        started: environment::timestamp().to_string(),
        machine: machine(),
        versions: versions(operator)?,
        settings: settings.clone(),
        ..Report::default()
    };
    let ns: &[usize] = match (&options.n[..], options.full) {
        ([], false) => &USUAL,
        ([], true) => &FULL,
        (given, _) => given,
    };
    for n in ns {
        let stage = Stage::start(folder.path(), options.peer_crd.as_deref())?;
        let version = stage.version()?;
        report.versions.insert("kubernetes".to_owned(), version);
        for contestant in &contestants(options, operator, &stage) {
            let profile = Profile::Unlimited;
            let case = Case { n: *n, profile };
            announce(contestant, case);
            let run = measure(&stage, contestant, case, simulator, &settings)?;
            report.runs.push(run);
            report.derive();
            write(&report, &output)?;
        }
    }
    if !options.no_slow {
        let stage = Stage::start(folder.path(), None)?;
        let ours = ours(operator);
        for profile in [Profile::Delayed, Profile::DefaultLimits] {
            let case = Case { n: N_SLOW, profile };
            announce(&ours, case);
            let run = measure(&stage, &ours, case, simulator, &settings)?;
            report.runs.push(run);
            report.derive();
            write(&report, &output)?;
        }
    }
    say(&format!("figures: {}", output.display()));
    Ok(())
}

/// Writes the page, its plots, and the figures beside them: another reader can draw another conclusion.
fn render(file: &Path) -> Result<(), Error> {
    let text = fs::read_to_string(file).map_err(Error::io(format!("read {}", file.display())))?;
    let mut report: Report =
        serde_json::from_str(&text).map_err(Error::json(file.display().to_string()))?;
    report.derive();
    for (path, text) in rendered(&report)? {
        let path = environment::checkout().join(path);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(Error::io(format!("create {}", folder.display())))?;
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        say(&path.display().to_string());
    }
    Ok(())
}

/// The files of the page by their paths in the checkout.
fn rendered(report: &Report) -> Result<BTreeMap<String, String>, Error> {
    let mut files = BTreeMap::new();
    let plots = page::plots(report);
    let mut drawn = Vec::new();
    for plot in &plots {
        if let Some(svg) = plot.svg()? {
            files.insert(format!("{}/{}", page::FOLDER, plot.file), svg);
            drawn.push(plot);
        }
    }
    let figures = format!("{}/{}", page::FOLDER, page::FIGURES);
    files.insert(figures, json(report)?);
    files.insert(page::PAGE.to_owned(), page::page(report, &drawn));
    Ok(files)
}

fn ours(operator: &Path) -> Contestant {
    Contestant::Build {
        name: "ours".to_owned(),
        binary: operator.to_path_buf(),
    }
}

/// RAW first: the others are measured on a server that has served as many requests as it.
fn contestants(options: &Options, operator: &Path, stage: &Stage) -> Vec<Contestant> {
    let mut all = vec![Contestant::Raw, ours(operator)];
    all.extend(options.baseline.clone().map(|binary| Contestant::Build {
        name: "baseline".to_owned(),
        binary,
    }));
    let peer = options.peer.clone().zip(stage.peer_kind.clone());
    all.extend(peer.map(|(command, kind)| Contestant::Peer { command, kind }));
    let is_measured =
        |name: &str| options.only.is_empty() || options.only.iter().any(|it| it == name);
    all.retain(|contestant| is_measured(contestant.name()));
    all
}

fn announce(contestant: &Contestant, case: Case) {
    say(&format!(
        "\n== {}, {} objects, {}",
        contestant.name(),
        case.n,
        case.profile.name()
    ));
}

fn write(report: &Report, path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(Error::io(format!("create {}", folder.display())))?;
    fs::write(path, json(report)?).map_err(Error::io(format!("write {}", path.display())))
}

fn json(report: &Report) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(report).map_err(Error::json("the report"))?;
    Ok(text + "\n")
}

fn machine() -> Machine {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Machine {
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        processor: proc::machine_fact("/proc/cpuinfo", "model name"),
        memory: proc::machine_fact("/proc/meminfo", "MemTotal"),
        kernel: kernel.trim().to_owned(),
    }
}

fn versions(operator: &Path) -> Result<BTreeMap<String, String>, Error> {
    let first_line = |command: &mut std::process::Command| {
        output_of(command).map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.lines().next().unwrap_or_default().trim().to_owned()
        })
    };
    let mut version = tethered(operator);
    version.arg("version");
    let mut etcd = tethered(Assets::provide()?.etcd);
    etcd.arg("--version");
    let mut commit = tethered("git");
    commit
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(environment::checkout());
    let binary = fs::metadata(operator).map_err(Error::io("read the size of the operator"))?;
    Ok(BTreeMap::from([
        ("operator".to_owned(), first_line(&mut version)?),
        ("operator_bytes".to_owned(), binary.len().to_string()),
        (
            "etcd".to_owned(),
            first_line(&mut etcd)?.replace("etcd Version: ", "v"),
        ),
        // An archive of the sources has no commit.
        (
            "commit".to_owned(),
            first_line(&mut commit).unwrap_or_default(),
        ),
    ]))
}
