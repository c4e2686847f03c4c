//! Where objects stand: what the operator says of them, what was told beside them, and what SWR holds now. One screen
//! for each object that is named, one line for each otherwise. Reads only.

mod human;
mod next;
mod report;
mod swr;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use swr_operator_kube::Session;

use self::report::{Report, Shown, Told};
use crate::cloud::{CloudArgs, any_sealer};
use crate::cluster::{ObjectArgs, duration, refused};
use crate::exit::{Exit, Failure};
use crate::output::{Manners, counted};
use crate::standing::Standing;

/// Which objects.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Names of ReplicationRegistries. Without one: a line for each object of the namespace.
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    object: ObjectArgs,

    /// A line for each object of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "names"])]
    all_namespaces: bool,

    /// Only objects with these labels, as `team=web`.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "names")]
    selector: Option<String>,

    /// Namespace of the operator, where the Secrets of SwrAccounts are.
    #[arg(long, value_name = "NAME", default_value = "swr-operator")]
    operator_namespace: String,

    #[command(flatten)]
    cloud: CloudArgs,

    /// End with 4 if an object is stalled, and with 1 if another is not ready.
    #[arg(long)]
    detailed_exitcode: bool,

    /// Give up after this time.
    #[arg(long, default_value = "1m", value_parser = duration)]
    timeout: Duration,

    /// Print the JSON schema of `--output json`, and end.
    #[arg(long, exclusive = true)]
    schema: bool,

    #[command(flatten)]
    manners: Manners,
}

const AFTER_HELP: &str = "\
SWR is asked for the objects that are named, by one GET each, with a key as for `plan`. Without a key, or where SWR does
not answer, the rest is shown and says so.

Exit codes: 0 shown; 1 an object is not there, or, with --detailed-exitcode, not ready; 3 the time limit passed; 4 an object
is stalled, with --detailed-exitcode; 64 usage; 130 interrupted.

Examples:
  swr-operator status -A
  swr-operator status harbor-dr -n images";

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        return args.manners.print_schema(&schemars::schema_for!(Report));
    }
    let Ok(report) = tokio::time::timeout(args.timeout, report(&args)).await else {
        return Err(Failure::new(format!(
            "there was no result within {} s",
            args.timeout.as_secs()
        ))
        .hint("a longer --timeout gives cluster and SWR more time")
        .exits(Exit::TimedOut));
    };
    let report = report?;
    let is_list = args.names.is_empty();
    args.manners.print(
        &report,
        |report| match is_list {
            true => human::list(report),
            false => human::screens(report),
        },
        |report| report.objects.iter().map(Shown::full_name).collect(),
    )?;
    let any = |standing: Standing| report.objects.iter().any(|it| it.standing == standing);
    Ok(match args.detailed_exitcode {
        true if any(Standing::Stalled) => Exit::Stalled,
        true if any(Standing::Waiting) || any(Standing::Deleting) => Exit::Failed,
        true | false => Exit::Done,
    })
}

async fn report(args: &Args) -> Result<Report, Failure> {
    let session = args.object.session().await?;
    let namespace = args.object.namespace(&session);
    if args.names.is_empty() {
        let place = (!args.all_namespaces).then_some(namespace.as_str());
        let listed = session.registries(place, args.selector.as_deref()).await;
        let objects: Vec<Shown> = listed.map_err(refused)?.iter().map(Shown::of).collect();
        return Ok(Report::new(objects));
    }
    let mut live = Vec::new();
    for name in &args.names {
        let object = session.registry(&namespace, name).await.map_err(refused)?;
        live.push(object.ok_or_else(|| {
            Failure::new(format!(
                "there is no ReplicationRegistry {namespace}/{name}"
            ))
            .hint("swr-operator status -A lists them all")
        })?);
    }
    let asking = args.manners.begin(
        &format!(
            "asking SWR what it holds for {}",
            counted(live.len(), "object")
        ),
        live.len(),
    );
    // Nothing is compared by fingerprint here, so any key will do.
    let sealer = Arc::new(any_sealer());
    let mut asker = swr::Asker::new(
        args.cloud.cloud(sealer)?,
        &session,
        &args.operator_namespace,
    );
    let mut objects = Vec::new();
    for object in &live {
        objects.push(Shown {
            events: events(&session, object).await,
            swr: Some(asker.ask(object).await),
            ..Shown::of(object)
        });
        asking.one_is_done();
    }
    Ok(Report::new(objects))
}

/// Who may not read events does without them.
async fn events(session: &Session, object: &Value) -> Option<Vec<Told>> {
    let meta = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let events = session.events(meta("namespace"), meta("uid")).await.ok()?;
    Some(events.into_iter().map(Told::of).collect())
}
