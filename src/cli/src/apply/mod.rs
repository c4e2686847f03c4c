//! Manifests -> the cluster, by server-side apply, and the wait until the operator has carried them out. Stops at the
//! first object that is refused, and says what was applied before it. What stands in a Secret is never printed.

mod report;
mod wait;

use std::time::Duration;

use serde_json::Value;
use swr_operator_kube::{Applicable, Applied, ApplyOptions, Objection, Session};

use self::report::{Outcome, Report, State};
use crate::cluster::{ObjectArgs, duration, refused};
use crate::exit::{Exit, Failure};
use crate::manifest::{Document, Manifests, Sources};
use crate::output::Manners;
use crate::validate;

/// Which manifests, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    object: ObjectArgs,

    /// Let the API server check everything, and change nothing.
    #[arg(long)]
    dry_run: bool,

    /// Take over fields that somebody else manages.
    #[arg(long)]
    force_conflicts: bool,

    /// Do not wait until the operator has carried it out.
    #[arg(long)]
    no_wait: bool,

    /// Give up waiting after this time. What was applied stands.
    #[arg(long, default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Print the JSON schema of `--output json`, and end.
    #[arg(long, exclusive = true)]
    schema: bool,

    #[command(flatten)]
    manners: Manners,
}

const AFTER_HELP: &str = "\
Applies Namespaces, Secrets, SwrAccounts and ReplicationRegistries, in this order; with any other kind among the manifests
nothing is applied. `plan` shows before what would come of it in SWR.

Exit codes: 0 everything is ready, or applied with --no-wait; 1 it was refused, or a manifest is not valid; 3 it is not
ready in time; 4 the operator does not go on with an object (Stalled); 64 usage; 130 interrupted, while the operator goes
on.

Examples:
  swr-operator apply -f registries/
  swr-operator apply -f registries/ --dry-run
  kubectl kustomize overlays/prod | swr-operator apply -f - --no-wait";

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        return args.manners.print_schema(&schemars::schema_for!(Report));
    }
    if args.sources.paths.is_empty() {
        return Err(Failure::new("nothing to apply was named")
            .hint("swr-operator apply -f FILE, a folder, or - for stdin")
            .exits(Exit::Usage));
    }
    let manifests = args.sources.read()?;
    Manifests::refuse(&validate::check(&manifests).findings)?;
    let documents = in_order(&manifests)?;
    let session = args.object.session().await?;
    let namespace = args.object.namespace(&session);
    let mut report = Report::new(args.dry_run, &documents, &namespace);
    let options = ApplyOptions {
        dry_run: args.dry_run,
        force_conflicts: args.force_conflicts,
    };
    for (n, (document, kind)) in documents.iter().enumerate() {
        let outcome = &mut report.objects[n];
        let shown = outcome.shown();
        match apply(&session, document, *kind, &namespace, options).await {
            Ok(()) => {
                outcome.state = State::Applied;
                let done = match args.dry_run {
                    true => "would be applied",
                    false => "applied",
                };
                args.manners.say(&format!("{shown}: {done}"));
            }
            Err(failure) => {
                outcome.state = State::Refused;
                return report.broke_off(&args.manners, failure);
            }
        }
    }
    if args.dry_run || args.no_wait {
        report.print(&args.manners)?;
        return Ok(Exit::Done);
    }
    let exit = wait::wait(&session, &mut report, &args.manners, args.timeout).await?;
    report.print(&args.manners)?;
    match exit {
        Exit::TimedOut => Err(late(&report, args.timeout)),
        Exit::Done
        | Exit::Failed
        | Exit::Changes
        | Exit::Stalled
        | Exit::Usage
        | Exit::Interrupted => Ok(exit),
    }
}

/// What can be applied, first what others need.
fn in_order(manifests: &Manifests) -> Result<Vec<(&Document, Applicable)>, Failure> {
    let mut documents = Vec::new();
    let mut findings = Vec::new();
    for document in &manifests.documents {
        match Applicable::of(&document.api_version, &document.kind) {
            Some(_) if document.name().is_empty() => {
                findings.push(document.finding("metadata.name", "Required value"));
            }
            Some(kind) => documents.push((document, kind)),
            None => findings.push(document.finding(
                "kind",
                "is not applied by this command; kubectl apply --server-side -f applies it",
            )),
        }
    }
    Manifests::refuse(&findings)?;
    if documents.is_empty() {
        return Err(Failure::new("the manifests hold no object"));
    }
    documents.sort_by_key(|(_, kind)| *kind);
    Ok(documents)
}

async fn apply(
    session: &Session,
    document: &Document,
    kind: Applicable,
    default: &str,
    options: ApplyOptions,
) -> Result<(), Failure> {
    let namespace = document.namespace().unwrap_or(default);
    let object: Value = document.to_json();
    let applied = session.apply(kind, &object, namespace, options).await;
    let name = format!("{} {}", document.kind, document.name());
    match applied.map_err(refused)? {
        Applied::Taken(_) => Ok(()),
        Applied::Conflict(words) => Err(Failure::new(format!("{name}: {words}"))
            .hint("take the fields over with --force-conflicts, or take them out of the manifest")),
        Applied::Objections(objections) => Err(objected(document, kind, &name, &objections)),
    }
}

fn objected(
    document: &Document,
    kind: Applicable,
    name: &str,
    objections: &[Objection],
) -> Failure {
    if kind == Applicable::Secret {
        // The API server quotes values in what it says of a field of the wrong type.
        return Failure::new(format!(
            "{}: the API server refuses {name}; its words are withheld, because they may quote a value",
            document.file
        ))
        .hint("values of data are base64, those of stringData are text in quotes, and type cannot be changed");
    }
    let lines = objections.iter();
    let lines: Vec<String> = lines
        .map(|it| format!("\n  {}", document.finding(&it.field, &it.message)))
        .collect();
    Failure::new(format!("the API server refuses {name}:{}", lines.concat()))
}

fn late(report: &Report, timeout: Duration) -> Failure {
    let waits = |outcome: &&Outcome| outcome.state == State::Waiting;
    let waiting: Vec<String> = report
        .objects
        .iter()
        .filter(waits)
        .map(Outcome::shown)
        .collect();
    Failure::new(format!(
        "not ready within {} s: {}",
        timeout.as_secs(),
        waiting.join(", ")
    ))
    .hint("what was applied stands, and the operator goes on; swr-operator status NAME tells more")
    .exits(Exit::TimedOut)
}
