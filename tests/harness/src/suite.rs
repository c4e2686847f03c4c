//! `cargo dev test`: builds everything, runs every test of the workspace against one control plane, and lets the
//! vendor's own SDK judge the simulator. `cargo dev faults`: the same for the tests of the scenarios. Knows no single test.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::process::nice;

use crate::assets::Assets;
use crate::bed::{
    ACCESS_KEY, DevFolder, INSTANCE_IDS, PROJECT_ID, REGION, SECRET_KEY, simulator_options,
};
use crate::cargo::{self, Executables};
use crate::gomodule::hash;
use crate::process::{output_of, seconds_since, tethered};
use crate::progress::say;
use crate::scenarios::Scenarios;
use crate::{
    ControlPlane, Error, Simulator, assets, controlplane, environment, minors, operator, promtool,
};

/// Runs everything and prints how long each part took. A part that fails does not keep the next from running, so that
/// one run tells all. Logs and the audit log stay in `target/dev/test`.
///
/// `filters` are parts of names of tests, all if there are none; `minor` is the version of Kubernetes, as `1.31`.
pub fn run(filters: &[String], minor: Option<&str>) -> Result<(), Error> {
    let folder = DevFolder::claim_for_tests()?;
    let mut summary = Summary::default();
    let outcome = parts(&mut summary, folder.path(), filters, minor);
    summary.print();
    outcome
}

fn parts(
    summary: &mut Summary,
    folder: &Path,
    filters: &[String],
    minor: Option<&str>,
) -> Result<(), Error> {
    let (executables, plane) = bed(summary, folder, minor)?;
    // Built beside the tests, which mostly wait: at the lowest priority, which is the thread's own on Linux and that of the
    // processes that it starts. Who needs it before waits for it.
    let promtool = thread::spawn(|| {
        let _ = nice(LOWEST_PRIORITY);
        promtool::provide()
    });
    let tested = summary.part("cargo test", || {
        let words = filters.iter().map(String::as_str);
        let mut command = cargo_test(&plane, folder, &executables, words)?;
        if minor.is_some() {
            // Some tests start a control plane of their own.
            command.env(assets::GIVEN, plane.assets_folder());
        }
        cargo::stream(command).map(|()| ((), OK.to_owned()))
    });
    let provided = summary.part("promtool", || {
        let provided = promtool.join().unwrap_or_else(|panic| resume_unwind(panic));
        provided.map(|_| ((), OK.to_owned()))
    });
    plane.stop();
    if minor.is_some() || !filters.is_empty() {
        return provided.and(tested);
    }
    let conforms = summary.part("conformance by the vendor's SDK", || {
        conformance(&executables, folder).map(|verdict| ((), verdict))
    });
    provided.and(tested).and(conforms)
}

/// Without executables and control plane there is nothing to test.
fn bed(
    summary: &mut Summary,
    folder: &Path,
    minor: Option<&str>,
) -> Result<(Executables, ControlPlane), Error> {
    let executables = summary.part("build", || {
        cargo::build(&["--workspace", "--all-targets"]).map(|built| (built, OK.to_owned()))
    })?;
    let plane = summary.part("control plane", || {
        let assets = match minor {
            Some(minor) => minors::provide(minor)?,
            None => Assets::provide()?,
        };
        let folder = folder.join("control-plane");
        ControlPlane::start_with(&assets, &folder).map(|plane| (plane, OK.to_owned()))
    })?;
    Ok((executables, plane))
}

/// Runs the tests that `docs/reliability.md` names, and tells which of its scenarios passed.
pub fn faults() -> Result<(), Error> {
    let folder = DevFolder::claim_for_tests()?;
    let page = environment::checkout().join(PAGE);
    let page = fs::read_to_string(page).map_err(Error::io(format!("read {PAGE}")))?;
    let scenarios = Scenarios::of_page(&page);
    let mut summary = Summary::default();
    let (executables, plane) = bed(&mut summary, folder.path(), None)?;
    let printed = summary.part("scenarios", || {
        let command = cargo_test(&plane, folder.path(), &executables, scenarios.tests())?;
        cargo::follow(command, say).map(|printed| (printed, OK.to_owned()))
    });
    plane.stop();
    summary.print();
    let printed = printed?;
    let judgement = scenarios.judge(&printed);
    say(&format!("\n== scenarios of {PAGE}\n{}", judgement.table()));
    match judgement.is_good() {
        true => Ok(()),
        false => Err(Error::unmet(
            "every scenario that is covered",
            "a test that shows one failed or did not run",
            "look at what it printed above",
        )),
    }
}

const PAGE: &str = "docs/reliability.md";

/// The model checker with all its bounds, optimised.
pub fn model() -> Result<(), Error> {
    let mut command = cargo::command();
    // As part of the workspace, it depends on what the other tests depend on: the same features, compiled once.
    command.args(["test", "--workspace", "--test", "model"]);
    command.args(["--config", "tests/model/profile.toml"]);
    // One table after the other; each takes all processors.
    command
        .args(["--", "--nocapture", "--test-threads", "1"])
        .env("SWR_MODEL_ALL", "1");
    cargo::stream(command)
}

const OK: &str = "ok";
const LOWEST_PRIORITY: i32 = 19;

#[derive(Default)]
struct Summary(Vec<(&'static str, String, String)>);

impl Summary {
    fn part<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(T, String), Error>,
    ) -> Result<T, Error> {
        say(&format!("\n== {name}"));
        let started: Instant = environment::now();
        let outcome = work();
        let took = seconds_since(started);
        let (result, verdict) = match outcome {
            Ok((value, verdict)) => (Ok(value), verdict),
            Err(error) => {
                say(&error.to_string());
                (Err(error), "FAILED".to_owned())
            }
        };
        self.0.push((name, took, verdict));
        result
    }

    fn print(&self) {
        say("\n== summary");
        for (name, took, verdict) in &self.0 {
            say(&format!("{name:<34} {took:>9}   {verdict}"));
        }
    }
}

/// `cargo test` of the tests whose names contain one of these words; of all, if there is none.
fn cargo_test<'a>(
    plane: &ControlPlane,
    folder: &Path,
    executables: &Executables,
    words: impl IntoIterator<Item = &'a str>,
) -> Result<Command, Error> {
    let facts = folder.join("control-plane.json");
    plane.describe(&facts)?;
    let mut command = cargo::command();
    command
        .args(["test", "--workspace", "--no-fail-fast", "--"])
        .args(words)
        .env(controlplane::SHARED, facts)
        .env(operator::EXECUTABLE, executables.get("swr-operator")?)
        // Each brings operators, simulators and threads of its own, and mostly waits. With four at once on two cores, the
        // watch cache of the API server that they share falls behind by minutes ("Too large resource version"); with
        // three it keeps up, and the suite takes 17 minutes instead of 24.
        .env("RUST_TEST_THREADS", "3");
    Ok(command)
}

/// The vendor's Python SDK against the simulator: neither knows our wire types.
fn conformance(executables: &Executables, folder: &Path) -> Result<String, Error> {
    let sources = environment::checkout().join("tests/conformance");
    let Some(python) = python_with_venv() else {
        let why = "python3 with venv is absent";
        if environment::variable("CI").is_some() {
            return Err(Error::unmet(
                "python3 with venv",
                "the vendor's SDK judges the simulator, and CI must not skip that",
                "install python3 and python3-venv",
            ));
        }
        say(&format!("skipped: {why}"));
        return Ok(format!("skipped: {why}"));
    };
    let python = provide_venv(&python, &sources.join("requirements.txt"))?;
    let simulator = Simulator::spawn(&simulator_options(
        executables.get("swr-simulator")?,
        folder,
    ))?;
    let mut command = tethered(python);
    command
        .arg(sources.join("swr_sdk.py"))
        .current_dir(environment::checkout())
        .env("SWR_ENDPOINT", simulator.endpoint())
        .env("SWR_SIMULATOR", simulator.endpoint())
        .env("SWR_REGION", REGION)
        .env("SWR_PROJECT_ID", PROJECT_ID)
        .env("SWR_INSTANCE_ID", INSTANCE_IDS[0])
        .env("SWR_ACCESS_KEY", ACCESS_KEY)
        .env("SWR_SECRET_KEY", SECRET_KEY);
    cargo::stream(command)?;
    Ok(OK.to_owned())
}

fn python_with_venv() -> Option<PathBuf> {
    let python = environment::find_program("python3")?;
    let mut command = tethered(&python);
    command.args(["-c", "import ensurepip, venv"]);
    output_of(&mut command).ok().map(|_| python)
}

/// A virtual environment with these requirements, kept until they change. Returns its python.
fn provide_venv(python: &Path, requirements: &Path) -> Result<PathBuf, Error> {
    let text = fs::read_to_string(requirements)
        .map_err(Error::io(format!("read {}", requirements.display())))?;
    let venv = environment::dev_folder().join(format!("venv-{}", hash(&[&text])));
    let own_python = venv.join("bin/python");
    // Written last: a venv without it was left half made.
    let complete = venv.join("complete");
    if complete.is_file() {
        return Ok(own_python);
    }
    say("installing the vendor's SDK (once)");
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(Error::io(format!("remove {}", venv.display())))?;
    }
    let mut command: Command = tethered(python);
    command.args(["-m", "venv"]).arg(&venv);
    output_of(&mut command)?;
    let mut command = tethered(&own_python);
    command
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .arg("--requirement")
        .arg(requirements);
    output_of(&mut command)?;
    fs::write(&complete, "").map_err(Error::io(format!("write {}", complete.display())))?;
    Ok(own_python)
}
