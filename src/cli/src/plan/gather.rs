//! Manifests and cluster -> the objects that a plan is for, and the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use swr_operator_core::credential::Sealer;
use swr_operator_kube::{Refused, Session};

use super::Args;
use super::answers::Answers;
use super::report::Report;
use super::subject::{Subject, subject};
use super::whose::{self, Whose};
use crate::cloud::any_sealer;
use crate::exit::{Exit, Failure};
use crate::manifest::{API_VERSION, Document, Manifests};
use crate::validate;

/// What helps, too, where the cluster does not.
const WITHOUT_CLUSTER: &str = "plan manifests with --no-cluster";

/// Makes the plan.
pub(super) async fn plan(args: &Args) -> Result<Report, Failure> {
    let manifests = args.sources.read()?;
    Manifests::refuse(&validate::check(&manifests).findings)?;
    let session = session(args).await?;
    let mut notes = Vec::new();
    let namespace = args.namespace.clone().unwrap_or_else(|| {
        let of_context = session
            .as_ref()
            .map(|session| session.namespace().to_owned());
        of_context.unwrap_or_else(|| "default".to_owned())
    });
    let key = installation_key(session.as_ref(), args).await;
    let has_key = key.is_some();
    let sealer = Arc::new(key.unwrap_or_else(any_sealer));
    let whose = Whose::of(session.as_ref(), &args.cluster, &mut notes).await;
    let whose = whose.map_err(refused)?;
    let live = live(session.as_ref(), args, &manifests, &namespace).await?;
    let mut subjects = subjects(args, &manifests, &live, &namespace)?;
    subjects.sort_by(|one, other| one.object.key.cmp(&other.object.key));
    if subjects.is_empty() {
        notes.push("there is no ReplicationRegistry to plan for".to_owned());
    }
    let mut answers = Answers {
        cloud: args.cloud.cloud(Arc::clone(&sealer))?,
        session: session.as_ref(),
        refused,
        operator_namespace: &args.cluster.operator_namespace,
        sealer: &sealer,
        has_key,
        manifests: &manifests,
        default_namespace: &namespace,
        manners: &args.manners,
        accounts: BTreeMap::new(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        inventories: BTreeMap::new(),
        tags: live
            .values()
            .filter_map(|object| whose.tag_of(object))
            .collect(),
    };
    let planned = answers.plan_all(subjects, &whose).await?;
    if answers.compares_access_keys_only() {
        notes.push(
            "the installation's key is not known here: of credentials, only the access key is compared with SWR"
                .to_owned(),
        );
    }
    if session.is_none() {
        notes.push(
            "no cluster was asked: a registry counts as an object's own if its tag names the object, and what a \
             SwrAccount of the cluster grants is not known"
                .to_owned(),
        );
    }
    Ok(Report::new(planned, notes))
}

async fn session(args: &Args) -> Result<Option<Session>, Failure> {
    let has_manifests = !args.sources.paths.is_empty();
    if args.no_cluster && !has_manifests {
        return Err(Failure::new(
            "there is nothing to plan for: no manifest is named, and no cluster asked",
        )
        .hint("swr-operator plan -f FILE --no-cluster")
        .exits(Exit::Usage));
    }
    if args.no_cluster {
        return Ok(None);
    }
    let opened = args.cluster.open().await;
    let session = opened.map_err(|failure| failure.or(WITHOUT_CLUSTER))?;
    if session.is_none() && !has_manifests {
        return Err(
            Failure::new("there is no kubeconfig, and no manifest is named")
                .hint("swr-operator plan -f FILE, or --kubeconfig FILE"),
        );
    }
    Ok(session)
}

/// Why the cluster did not say, and what to do about it.
fn refused(refused: Refused) -> Failure {
    whose::refused(refused).or(WITHOUT_CLUSTER)
}

/// What this person may not read is done without.
async fn installation_key(session: Option<&Session>, args: &Args) -> Option<Sealer> {
    let sealer = session?.sealer(&args.cluster.operator_namespace).await;
    sealer.ok().flatten()
}

type Key = (String, String);

fn key_of(object: &Value) -> Option<Key> {
    let meta = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
    Some((meta("namespace")?, meta("name")?))
}

/// What the cluster holds, in the namespaces in question.
async fn live(
    session: Option<&Session>,
    args: &Args,
    manifests: &Manifests,
    default: &str,
) -> Result<BTreeMap<Key, Value>, Failure> {
    let Some(session) = session else {
        return Ok(BTreeMap::new());
    };
    let mut found = BTreeMap::new();
    let mut take = |objects: Vec<Value>| {
        found.extend(
            objects
                .into_iter()
                .filter_map(|it| Some((key_of(&it)?, it))),
        );
    };
    if args.sources.paths.is_empty() {
        let namespace = (!args.all_namespaces).then_some(default);
        let listed = session
            .registries(namespace, args.selector.as_deref())
            .await;
        take(listed.map_err(refused)?);
        return Ok(found);
    }
    let namespaces: BTreeSet<&str> = registries(manifests)
        .map(|document| document.namespace().unwrap_or(default))
        .collect();
    for namespace in namespaces {
        take(
            session
                .registries(Some(namespace), None)
                .await
                .map_err(refused)?,
        );
    }
    Ok(found)
}

fn registries(manifests: &Manifests) -> impl Iterator<Item = &Document> {
    manifests.of_kind(API_VERSION, "ReplicationRegistry")
}

fn subjects(
    args: &Args,
    manifests: &Manifests,
    live: &BTreeMap<Key, Value>,
    default: &str,
) -> Result<Vec<Subject>, Failure> {
    if args.sources.paths.is_empty() {
        let all = live.iter();
        return all
            .map(|((namespace, _), object)| {
                subject(object, Some(object), namespace, None, args.destroy)
            })
            .collect();
    }
    registries(manifests)
        .map(|document| {
            let namespace = document.namespace().unwrap_or(default);
            let key = (namespace.to_owned(), document.name().to_owned());
            let file = Some(document.file.clone());
            subject(
                &document.to_json(),
                live.get(&key),
                namespace,
                file,
                args.destroy,
            )
        })
        .collect()
}
