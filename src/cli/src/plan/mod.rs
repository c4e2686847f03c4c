//! What the operator would do in SWR: `swr_operator_core::preview` for each object, from what manifests, cluster and
//! SWR hold. Sends GETs and nothing else.

mod answers;
mod gather;
mod human;
pub(crate) mod orphans;
mod report;
mod subject;
mod whose;

use std::path::PathBuf;
use std::time::Duration;

use swr_operator_kube::Session;

use crate::cloud::CloudArgs;
use crate::cluster::duration;
use crate::exit::{Exit, Failure};
use crate::manifest::Sources;
use crate::output::Manners;

/// Which objects, and where SWR and the cluster are.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct Args {
    #[command(flatten)]
    pub(crate) sources: Sources,

    /// Namespace of objects that name none, and of those that are listed. Default: the context's.
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,

    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,

    /// Do not ask a cluster, even if there is a kubeconfig. A registry then counts as an object's own if its
    /// tag names namespace and name of the object.
    #[arg(long, conflicts_with_all = ["kubeconfig", "context"])]
    pub(crate) no_cluster: bool,

    /// Without manifests: the objects of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "paths"])]
    pub(crate) all_namespaces: bool,

    /// Without manifests: only objects with these labels, as `team=web`.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "paths")]
    pub(crate) selector: Option<String>,

    /// Show what would happen if the objects were deleted.
    #[arg(long)]
    pub(crate) destroy: bool,

    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// Show fields that do not change, too.
    #[arg(long)]
    pub(crate) show_unchanged: bool,

    /// End with 2 if there are changes, and with 4 if the operator would stop at an object.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,

    /// Give up after this time.
    #[arg(long, default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Print the JSON schema of `--output json`, and end.
    #[arg(long, exclusive = true)]
    pub(crate) schema: bool,

    #[command(flatten)]
    pub(crate) manners: Manners,
}

const AFTER_HELP: &str = "\
Exit codes: 0 the plan was made; 1 it was not, or an instance could not be read; 3 the time limit passed; 64 usage; 130
interrupted. With --detailed-exitcode, as Terraform's: 0 no change, 2 changes, 4 the operator would stop at an object
(conflict, invalid, not granted). kubectl diff uses 1 for changes; this command does not.

Keys of the cloud are read from the environment (HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or HW_ACCESS_KEY and
HW_SECRET_KEY), else from the Secret of the SwrAccount.

Examples:
  swr-operator plan -f registries/                     manifests against cluster and SWR
  swr-operator plan -f registries/ --no-cluster --region ap-southeast-3
  swr-operator plan -A --detailed-exitcode             what the cluster holds, against SWR
  kubectl kustomize overlays/prod | swr-operator plan -f -";

/// Where the cluster is, and whose operator's.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// Kubeconfig. Default: KUBECONFIG, else ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Namespace of the operator, whose installation owns the registries.
    #[arg(long, value_name = "NAME", default_value = "swr-operator")]
    pub(crate) operator_namespace: String,

    /// Id of the installation, if the operator runs with one.
    #[arg(long, env = "SWR_OPERATOR_INSTALLATION_ID", value_name = "ID")]
    pub(crate) installation_id: Option<String>,
}

impl ClusterArgs {
    /// The cluster, if there is a kubeconfig.
    async fn open(&self) -> Result<Option<Session>, Failure> {
        let opened = Session::open(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        opened.map_err(|error| Failure::new(error).hint("name another with --kubeconfig"))
    }
}

fn timed_out(limit: Duration) -> Failure {
    Failure::new(format!(
        "there was no result within {} s; nothing was changed",
        limit.as_secs()
    ))
    .hint("a longer --timeout gives cluster and SWR more time")
    .exits(Exit::TimedOut)
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        return args
            .manners
            .print_schema(&schemars::schema_for!(report::Report));
    }
    let Ok(planned) = tokio::time::timeout(args.timeout, gather::plan(&args)).await else {
        return Err(timed_out(args.timeout));
    };
    let report = planned?;
    args.manners.print(
        &report,
        |report| human::shown(report, args.show_unchanged),
        report::Report::names_of_changed,
    )?;
    Ok(match args.detailed_exitcode {
        _ if !report.is_complete() => Exit::Failed,
        true if report.is_stopped() => Exit::Stalled,
        true if report.has_changes() => Exit::Changes,
        true | false => Exit::Done,
    })
}
