//! Whether a cluster and an account are ready for the operator, and, on request, whether SWR behaves as the operator
//! assumes where its documents are silent. Reads only, unless a scratch registry is asked for by name.

mod accounts;
mod cluster;
mod contract;
mod human;
mod report;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use swr_operator_core::desired::InstanceId;
use swr_operator_kube::Session;

use self::report::{Report, State};
use crate::cloud::{CloudArgs, Reached, any_sealer};
use crate::cluster::{ObjectArgs, duration};
use crate::exit::{Exit, Failure};
use crate::output::Manners;

/// What is checked.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct Args {
    #[command(flatten)]
    object: ObjectArgs,

    /// Do not ask a cluster, even if there is a kubeconfig: only SWR, by flags and environment.
    #[arg(long, conflicts_with_all = ["kubeconfig", "context", "accounts"])]
    no_cluster: bool,

    /// Namespace of the operator.
    #[arg(long, value_name = "NAME", default_value = "swr-operator")]
    operator_namespace: String,

    /// ServiceAccount of the operator.
    #[arg(long, value_name = "NAME", default_value = "swr-operator")]
    service_account: String,

    /// Only this SwrAccount. May be repeated. Default: all.
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<String>,

    /// An SWR instance to ask for its registries. May be repeated. Default: those that objects and accounts name.
    #[arg(long = "instance", value_name = "ID")]
    instances: Vec<String>,

    #[command(flatten)]
    cloud: CloudArgs,

    /// Instead, compare SWR with what the operator assumes where SWR's documents are silent. Of one account and one
    /// instance.
    #[arg(long)]
    contract: bool,

    /// With --contract: also create, change and delete a scratch registry of this name, which must be free.
    #[arg(long, value_name = "NAME", requires = "contract", value_parser = contract::scratch_name)]
    write_probe: Option<String>,

    /// Target that the scratch registry names. No image is sent there.
    #[arg(long, value_name = "URL", requires = "write_probe", default_value = contract::TARGET)]
    probe_url: String,

    /// With --contract: end with 2 if SWR differs from what is assumed.
    #[arg(long, requires = "contract")]
    detailed_exitcode: bool,

    /// Give up after this time. A scratch registry is deleted all the same.
    #[arg(long, default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Print the JSON schema of `--output json`, and end.
    #[arg(long, exclusive = true)]
    schema: bool,

    #[command(flatten)]
    manners: Manners,
}

const AFTER_HELP: &str = "\
With --namespace, the rights are checked in that namespace only, as for an installation that watches some namespaces.

Exit codes: 0 no problem, or the comparison was made; 1 there is a problem, or it was not; 2 SWR differs from what is
assumed, with --contract --detailed-exitcode; 3 the time limit passed; 64 usage; 130 interrupted.

Examples:
  swr-operator check
  swr-operator check --no-cluster --region ap-southeast-3 --instance ID
  swr-operator check --contract --account default --instance ID
  swr-operator check --contract --account default --instance ID --write-probe scratch-check";

impl Args {
    /// Whether a scratch registry is written, which is deleted when somebody presses Ctrl-C.
    pub(crate) fn writes(&self) -> bool {
        self.write_probe.is_some()
    }
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        return args.manners.print_schema(&schemars::schema_for!(Report));
    }
    let place = Place::of(&args).await?;
    if args.contract {
        return contract::run(&args, &place).await;
    }
    let Ok(report) = tokio::time::timeout(args.timeout, lines(&args, &place)).await else {
        return Err(timed_out(args.timeout));
    };
    let report = report?;
    args.manners
        .print(&report, human::lines, Report::names_of_problems)?;
    match report.checks.iter().any(|it| it.state == State::Problem) {
        true => Ok(Exit::Failed),
        false => Ok(Exit::Done),
    }
}

fn timed_out(limit: Duration) -> Failure {
    Failure::new(format!("there was no result within {} s", limit.as_secs()))
        .hint("a longer --timeout gives cluster and SWR more time")
        .exits(Exit::TimedOut)
}

async fn lines(args: &Args, place: &Place) -> Result<Report, Failure> {
    let mut checks = Vec::new();
    if let Some(session) = &place.session {
        checks.extend(cluster::check(args, session).await);
    }
    checks.extend(accounts::check(args, place).await?);
    Ok(Report::of_checks(checks))
}

/// Where the cluster is, if one is asked.
struct Place {
    session: Option<Session>,
}

impl Place {
    async fn of(args: &Args) -> Result<Self, Failure> {
        let session = match args.no_cluster {
            true => None,
            false => Some(args.object.session().await.map_err(|failure| {
                failure.hint(
                    "name a kubeconfig with --kubeconfig, or check SWR alone with --no-cluster",
                )
            })?),
        };
        Ok(Place { session })
    }

    /// An account that is named, or, without a cluster, that of the environment.
    async fn reach(&self, args: &Args, account: Option<&str>) -> Result<Reached, Failure> {
        // Nothing is compared by fingerprint here, so any key will do.
        let cloud = args.cloud.cloud(Arc::new(any_sealer()))?;
        match (&self.session, account) {
            (Some(session), Some(account)) => {
                cloud
                    .of_cluster(session, account, &args.operator_namespace)
                    .await
            }
            (Some(_) | None, _) => cloud.of_environment().await,
        }
    }
}

fn instances_of(args: &Args) -> Vec<InstanceId> {
    let named = args.instances.iter();
    named.map(|id| InstanceId::new(id.clone())).collect()
}
