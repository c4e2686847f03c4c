//! The verbs of the command line, each from its arguments to its exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::{self, CrdArgs, Kind, ProbeArgs, RunArgs};
use crate::health;
use crate::probe;
use crate::telemetry;
use crate::value::secs;
use swr_operator_api as api;
use swr_operator_controller::metrics::Metrics;
use swr_operator_controller::{Ending, Health, Options, start};
use swr_operator_kube::connect;
use swr_operator_swr::{Settings, Transport};

/// After SIGTERM the process is gone after this time, whatever still hangs (E15, E16).
const LAST_EXIT: Duration = Duration::from_secs(25);

/// Why a verb failed; the text goes to stderr.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// What a person must mend before it can run.
pub(crate) async fn run(args: RunArgs) -> Result<ExitCode, Failed> {
    telemetry::init(&args.log_level, args.log_format)?;
    let windows = args.windows()?;
    let lease = (args.lease).options(args.write_deadline, &args.namespace, &args.pod_name)?;
    let ca_bundle =
        match &args.ca_file {
            Some(path) => Some(tokio::fs::read(path).await.map_err(|error| {
                format!("failed to read --ca-file {}: {error}", path.display())
            })?),
            None => None,
        };
    let metrics = Metrics::default();
    if args.read_only {
        metrics.reads_only();
    }
    let transport = Transport::new(Settings {
        read_deadline: args.read_deadline,
        write_deadline: args.write_deadline,
        ca_bundle,
        proxy: args.proxy(),
        requests: Arc::new(metrics.swr.clone()),
    })
    .map_err(|error| match &args.ca_file {
        Some(path) if error.is_of_ca_bundle() => format!("--ca-file {}: {error}", path.display()),
        Some(_) | None => error.to_string(),
    })?;
    let connection = connect(
        args.kubeconfig.as_deref(),
        Arc::new(metrics.kubernetes.clone()),
    )
    .await?;
    let health = Arc::new(Health::default());
    let cannot_listen = |flag: &str, address: SocketAddr, error: std::io::Error| {
        format!("failed to listen on {flag} {address}: {error}")
    };
    let address = health::serve(args.health_address, Arc::clone(&health))
        .await
        .map_err(|error| cannot_listen("--health-address", args.health_address, error))?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(%address, version, "listening for health checks");
    if let Some(address) = args.metrics_address.on() {
        let address = health::serve_metrics(address, metrics.clone())
            .await
            .map_err(|error| cannot_listen("--metrics-address", address, error))?;
        tracing::info!(%address, "listening for scrapes");
    }

    let mut shutdown = on_signal()?;
    let (endpoints, identity) = (args.endpoints(), args.identity());
    let options = Options {
        connection,
        namespace: args.namespace,
        watch_namespaces: args.watch_namespaces,
        watch_secrets: args.watch_secrets,
        accounts: args.accounts,
        installation_id: args.installation_id,
        endpoints,
        identity,
        transport,
        windows,
        read_only: args.read_only,
        secret_retry: args.secret_retry,
        deletion_hold: args.mass_deletion_guard.on(),
        drift_secs: args.drift_interval.on().map(secs),
        lease,
        pod_name: args.pod_name,
        metrics,
    };
    let ending = match start(options, health, &mut shutdown).await {
        Some(running) => running.run(shutdown).await,
        None => Ending::Told,
    };
    match ending {
        Ending::Told => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        // As client-go does: a new process knows nothing that is out of date.
        Ending::LeaseLost => {
            tracing::error!("stopped because another process leads; it is to be started anew");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Carries out a verb for people, and says what kept it from that.
///
/// # Errors
/// None: what went wrong is said here, with what to do about it.
pub(crate) async fn people(verb: swr_operator_cli::Verb) -> Result<ExitCode, Failed> {
    let exit = swr_operator_cli::run(verb).await.unwrap_or_else(|failure| {
        let _ = writeln!(std::io::stderr(), "error: {failure}");
        failure.exit()
    });
    Ok(exit.into())
}

/// Turns the first signal into a request to stop, and makes sure of the end: a second signal ends
/// the process at once, and time ends it in any case.
fn on_signal() -> Result<watch::Receiver<bool>, Failed> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        // A thread of its own: an executor that is stuck must not keep the process alive.
        std::thread::spawn(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "the last resort needs no executor"
            )]
            std::thread::sleep(LAST_EXIT);
            exit();
        });
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        exit();
    });
    Ok(stopped)
}

#[expect(
    clippy::exit,
    reason = "after SIGTERM nothing may keep the process alive"
)]
fn exit() -> ! {
    std::process::exit(0)
}

/// Prints the CRDs.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn crd(args: &CrdArgs) -> Result<ExitCode, Failed> {
    let crds = match args.kind {
        None => api::crds().to_vec(),
        Some(Kind::ReplicationRegistry) => vec![api::replication_registry_crd()],
        Some(Kind::SwrAccount) => vec![api::swr_account_crd()],
    };
    let mut out = std::io::stdout().lock();
    for (n, crd) in crds.iter().enumerate() {
        if n > 0 {
            writeln!(out, "---")?;
        }
        write!(out, "{}", serde_saphyr::to_string(crd)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks a running operator whether it is well, and prints its answer.
///
/// # Errors
/// When it is not, or does not answer.
pub(crate) async fn probe(args: ProbeArgs) -> Result<ExitCode, Failed> {
    let answer = probe::probe(&args.url, args.timeout).await?;
    write!(std::io::stdout(), "{answer}")?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what completes the command line in a shell.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Failed> {
    let mut command = config::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// After the candidates no file names are wanted (cobra's `ShellCompDirectiveNoFileComp`).
const NO_FILES: u8 = 4;
/// A folder is completed further (cobra's `ShellCompDirectiveNoSpace`).
const NO_SPACE: u8 = 2;

/// Prints what completes the last word of the command line, as kubectl reads it from a plugin: a candidate and what it
/// is on each line, and a directive of cobra's at the end.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn complete() -> Result<ExitCode, Failed> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let last = words.len().saturating_sub(1);
    let folder = std::env::current_dir().ok();
    let mut command = config::command();
    let found = clap_complete::engine::complete(&mut command, words, last, folder.as_deref())?;
    let mut out = std::io::stdout().lock();
    let mut directive = if found.is_empty() { 0 } else { NO_FILES };
    for candidate in found {
        let value = candidate.get_value().to_string_lossy();
        if value.ends_with('/') {
            directive |= NO_SPACE;
        }
        let help = candidate.get_help().map(ToString::to_string);
        match help.iter().flat_map(|help| help.lines()).next() {
            Some(help) => writeln!(out, "{value}\t{help}")?,
            None => writeln!(out, "{value}")?,
        }
    }
    writeln!(out, ":{directive}")?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a manual page for every verb.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn man(folder: &Path) -> Result<ExitCode, Failed> {
    clap_mangen::generate_to(config::command(), folder)
        .map_err(|error| format!("failed to write to {}: {error}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the version.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn version() -> Result<ExitCode, Failed> {
    writeln!(
        std::io::stdout(),
        "swr-operator {}",
        env!("CARGO_PKG_VERSION")
    )?;
    Ok(ExitCode::SUCCESS)
}
