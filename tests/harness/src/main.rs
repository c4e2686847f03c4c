//! `cargo dev`: arguments in, exit code out.

#![forbid(unsafe_code)]

mod signals;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use harness::bed::{self, Bed, DevFolder, OperatorPlan, Plan, USUAL};
use harness::progress::say;
use harness::{Error, bench, demo, environment, fuzz, image, node, sbom, site, soak, suite, tools};
use signals::Signals;

/// Runs this project on your machine: a real Kubernetes control plane, a simulated SWR, and the operator.
#[derive(Parser)]
#[command(name = "dev", bin_name = "cargo dev")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell the operator's story step by step, then stay up for your own kubectl
    Demo {
        /// End after the story
        #[arg(long)]
        once: bool,
    },
    /// Run every test of the workspace and the conformance of the simulator
    Test {
        /// Run only the tests whose names contain one of these; `node` alone is `cargo dev node --once`
        filters: Vec<String>,
        /// With the API server of an earlier minor version of Kubernetes, as `1.31`; its first build takes minutes
        #[arg(long, value_name = "VERSION")]
        kubernetes: Option<String>,
    },
    /// Run the tests that docs/reliability.md names, and print which of its scenarios passed
    Faults,
    /// Explore every interleaving of the operator's decisions with a hostile world, and print a table
    Model,
    /// Measure what the operator costs, beside the floor and other operators; writes target/bench/bench.json
    Bench(bench::Options),
    /// Let the operator reconcile a hundred thousand times while SWR fails, and judge what it holds and what it left
    Soak(soak::Options),
    /// Start everything, print `ready`, and stay until Ctrl-C; `target/dev/env` tells a shell where things are
    Up {
        /// Everything but the operator
        #[arg(long)]
        no_operator: bool,
        /// The installation: a folder with a kustomization.yaml
        #[arg(long, value_name = "FOLDER")]
        install: Option<PathBuf>,
        /// Arguments for the operator
        #[arg(last = true)]
        operator_args: Vec<String>,
    },
    /// Start a control plane and a real node, whose kubelet runs the images that ship; root on Linux
    Node {
        /// Run the checks that need a pod, print their table, and end
        #[arg(long)]
        once: bool,
    },
    /// What `node` starts inside its namespaces
    #[command(name = node::INSIDE, hide = true)]
    NodeInside {
        #[arg(long)]
        cgroup: String,
        #[arg(long)]
        series: Option<String>,
    },
    /// Build operator and simulator as they ship, look at what their images hold, and make these where buildah is
    Image {
        /// Build the operator alone, again elsewhere, too, and compare the bytes
        #[arg(long)]
        twice: bool,
    },
    /// Write the bill of materials of what ships, and compare it with Cargo.lock
    Sbom {
        /// Of which build, as `aarch64-unknown-linux-musl`
        #[arg(long)]
        target: Option<String>,
        /// Where to
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Build the pages of docs/SUMMARY.md as a site in target/site, and follow every link
    Site {
        /// Show it in a browser
        #[arg(long)]
        open: bool,
    },
    /// Give a fuzzer each test that takes bytes; `cargo dev test` runs them over what it found earlier
    Fuzz {
        /// For each of them
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
    /// Break the pure crate in many places, one at a time, and show what no test of it notices
    Mutants {
        /// Which part of all places: 3/10 is the fourth of ten parts
        #[arg(long, default_value = "0/10", value_name = "K/N")]
        shard: String,
    },
    /// Judge the dependencies by deny.toml: licences, sources, duplicates
    Deny,
    /// Start only the control plane, print the path of its kubeconfig, and stay until Ctrl-C
    ControlPlane,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Signals::listen().and_then(|signals| match arguments.command {
        Command::Demo { once } => tell(&signals, once),
        Command::Test {
            filters,
            kubernetes,
        } => match &filters[..] {
            [word] if word == "node" => node::run(true, |length| signals.arrived(length)),
            _ => suite::run(&filters, kubernetes.as_deref()),
        },
        Command::Node { once } => node::run(once, |length| signals.arrived(length)),
        Command::NodeInside { cgroup, series } => node::inside(&cgroup, series.as_deref()),
        Command::Faults => suite::faults(),
        Command::Model => suite::model(),
        Command::Bench(options) => bench::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Up {
            no_operator,
            install,
            operator_args,
        } => {
            let operator = (!no_operator).then_some(OperatorPlan {
                windows: USUAL,
                args: operator_args,
            });
            up(
                &signals,
                &Plan {
                    operator,
                    install: install.unwrap_or_else(default_install),
                },
            )
        }
        Command::Image { twice } => image::run(twice),
        Command::Sbom { target, output } => sbom::run(target, output),
        Command::Site { open } => site::run(open),
        Command::Fuzz { seconds } => fuzz::run(seconds),
        Command::Mutants { shard } => tools::mutants(&shard),
        Command::Deny => tools::deny(),
        Command::ControlPlane => control_plane(&signals),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn default_install() -> PathBuf {
    environment::checkout().join("deploy/base")
}

#[expect(clippy::print_stdout, reason = "`ready` is what a script waits for")]
fn up(signals: &Signals, plan: &Plan) -> Result<(), Error> {
    let mut bed = Bed::start(plan)?;
    say(&format!(
        "environment: source {}",
        relative(&bed.environment_file())
    ));
    println!("ready");
    stay(signals, &mut bed)?;
    bed.stop();
    Ok(())
}

fn tell(signals: &Signals, once: bool) -> Result<(), Error> {
    let mut bed = Bed::start(&demo::plan(default_install()))?;
    demo::tell(&bed)?;
    if !once {
        demo::stay_up(&bed)?;
        stay(signals, &mut bed)?;
    }
    bed.stop();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the path is what a script reads")]
fn control_plane(signals: &Signals) -> Result<(), Error> {
    let folder = DevFolder::claim()?;
    let plane = bed::start_plane(&folder)?;
    println!("{}", plane.kubeconfig().display());
    while !signals.arrived(LOOK) {
        plane.assert_running()?;
    }
    plane.stop();
    Ok(())
}

/// Between two looks at processes that should run.
const LOOK: Duration = Duration::from_millis(500);

/// Until a signal arrives. Without control plane or simulator there is nothing to stay for; the operator may end.
fn stay(signals: &Signals, bed: &mut Bed) -> Result<(), Error> {
    let mut told = false;
    while !signals.arrived(LOOK) {
        bed.assert_running()?;
        let Some(operator) = &mut bed.operator else {
            continue;
        };
        if let (Some(status), false) = (operator.ended()?, told) {
            told = true;
            say(&format!(
                "the operator has ended ({status}); its log: {}",
                relative(operator.log_path())
            ));
        }
    }
    Ok(())
}

/// As seen from the checkout.
fn relative(path: &std::path::Path) -> String {
    path.strip_prefix(environment::checkout())
        .unwrap_or(path)
        .display()
        .to_string()
}
