//! Registries in SWR that carry this installation's tag, and no object in the cluster that owns them: left behind when an
//! object went without its finalizer, or when a cluster was lost. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use swr_operator_core::desired::{InstanceId, Scope};
use swr_operator_core::tag;

use super::answers::Answers;
use super::whose::{Whose, refused};
use super::{ClusterArgs, timed_out};
use crate::cloud::{CloudArgs, any_sealer, not_listed};
use crate::cluster::duration;
use crate::exit::{Exit, Failure};
use crate::manifest::Manifests;
use crate::output::{Manners, Tone, counted};

/// Whose orphans are looked for.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Only instances of this SwrAccount. May be repeated. Default: of all.
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<String>,

    #[command(flatten)]
    cloud: CloudArgs,

    /// End with 2 if there are orphans.
    #[arg(long)]
    detailed_exitcode: bool,

    /// Give up after this time.
    #[arg(long, default_value = "2m", value_parser = duration)]
    timeout: std::time::Duration,

    /// Print the JSON schema of `--output json`, and end.
    #[arg(long, exclusive = true)]
    schema: bool,

    #[command(flatten)]
    manners: Manners,
}

const AFTER_HELP: &str = "\
Looks at every instance that an object names, or that a SwrAccount's status lists. To keep an orphan, create an object of
its namespace and name with spec.adoption.policy Rebuild; else delete it in the console.

Exit codes: 0 done; 1 it was not; 2 there are orphans, with --detailed-exitcode; 3 the time limit passed; 64 usage.";

/// The result of `orphans`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Version of this format: the first number changes when a field goes or means something else.
    format_version: &'static str,
    /// How many instances were listed.
    instances: usize,
    /// Every registry without an object.
    orphans: Vec<Orphan>,
}

/// A registry without an object.
#[derive(Debug, Serialize, JsonSchema)]
struct Orphan {
    /// Name of the SwrAccount.
    account: String,
    /// Id of the SWR instance.
    instance_id: String,
    /// Id of the registry.
    registry_id: i64,
    /// Name of the registry in SWR.
    name: String,
    /// Address of the target.
    url: String,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        return args.manners.print_schema(&schemars::schema_for!(Report));
    }
    let Ok(found) = tokio::time::timeout(args.timeout, find(&args)).await else {
        return Err(timed_out(args.timeout));
    };
    let report = found?;
    args.manners.print(&report, human, |report| {
        let orphans = report.orphans.iter();
        orphans
            .map(|orphan| format!("{}/{}", orphan.instance_id, orphan.registry_id))
            .collect()
    })?;
    match args.detailed_exitcode && !report.orphans.is_empty() {
        true => Ok(Exit::Changes),
        false => Ok(Exit::Done),
    }
}

async fn find(args: &Args) -> Result<Report, Failure> {
    let session =
        args.cluster.open().await?.ok_or_else(|| {
            Failure::new("there is no kubeconfig").hint("name one with --kubeconfig")
        })?;
    let mut notes = Vec::new();
    let whose = Whose::of(Some(&session), &args.cluster, &mut notes).await;
    let whose = whose.map_err(refused)?;
    let Whose::Known(installation) = &whose else {
        return Err(Failure::new(
            "namespace kube-system, whose uid names the installation, may not be read",
        )
        .hint("pass --installation-id, if the operator runs with one"));
    };
    let objects = session.registries(None, None).await.map_err(refused)?;
    let accounts = session.accounts().await.map_err(refused)?;
    let owned: BTreeSet<String> = objects.iter().filter_map(|it| whose.tag_of(it)).collect();
    let mut scopes: BTreeMap<Scope, usize> = BTreeMap::new();
    for scope in objects.iter().filter_map(scope_of) {
        let n = scopes.entry(scope).or_default();
        *n = n.saturating_add(1);
    }
    for account in &accounts {
        let name = account.metadata.name.clone().unwrap_or_default();
        let known = account.status.iter().flat_map(|status| &status.instances);
        for instance in known {
            let scope = Scope {
                account: name.as_str().into(),
                instance: InstanceId::new(instance.id.clone()),
            };
            let n = instance.registries.and_then(|n| usize::try_from(n).ok());
            scopes.insert(scope, n.unwrap_or_default());
        }
    }
    scopes.retain(|scope, _| {
        args.accounts.is_empty() || args.accounts.iter().any(|it| **it == *scope.account)
    });
    let sealer = Arc::new(any_sealer());
    let manifests = Manifests::default();
    let mut answers = Answers {
        cloud: args.cloud.cloud(Arc::clone(&sealer))?,
        session: Some(&session),
        refused,
        operator_namespace: &args.cluster.operator_namespace,
        sealer: &sealer,
        has_key: false,
        manifests: &manifests,
        default_namespace: "",
        manners: &args.manners,
        accounts: BTreeMap::new(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        inventories: BTreeMap::new(),
        tags: Vec::new(),
    };
    let names: BTreeSet<String> = scopes
        .keys()
        .map(|scope| scope.account.to_string())
        .collect();
    for name in names {
        let reached = answers.reach(&name).await?;
        answers.accounts.insert(name, reached);
    }
    // Of an account that is gone nothing can be asked.
    scopes.retain(|scope, _| matches!(answers.accounts.get(&*scope.account), Some(Ok(_))));
    let instances = scopes.len();
    answers.list(scopes).await;
    let mut orphans = Vec::new();
    for (scope, listed) in &answers.inventories {
        let listed = listed
            .as_ref()
            .map_err(|failure| not_listed(&scope.instance, failure))?;
        for record in listed.whole().records() {
            let tag = tag::split(&record.description).1;
            let is_orphan = tag.is_some_and(|tag| installation.wrote(tag) && !owned.contains(tag));
            if is_orphan {
                orphans.push(Orphan {
                    account: scope.account.to_string(),
                    instance_id: scope.instance.as_str().to_owned(),
                    registry_id: record.id.0,
                    name: record.name.clone(),
                    url: record.url.to_string(),
                });
            }
        }
    }
    Ok(Report {
        format_version: "1.0",
        instances,
        orphans,
    })
}

fn scope_of(object: &Value) -> Option<Scope> {
    let account = object["spec"]["accountRef"]["name"].as_str();
    Some(Scope {
        account: account.unwrap_or("default").into(),
        instance: InstanceId::new(object["spec"]["instanceId"].as_str()?),
    })
}

fn human(report: &Report) -> String {
    let lines: String = report
        .orphans
        .iter()
        .map(|orphan| {
            let place = format!("{}/{}", orphan.instance_id, orphan.registry_id);
            let sign = Tone::Change.paint(&format!("? {place}"));
            format!(
                "{sign}  {:?} -> {} (account {})\n",
                orphan.name, orphan.url, orphan.account
            )
        })
        .collect();
    let listed = counted(report.instances, "instance");
    match report.orphans.len() {
        0 => format!("No registry without an object in {listed}.\n"),
        n => format!(
            "{lines}\n{} without an object in {listed}.\n",
            counted(n, "registry")
        ),
    }
}
