//! Manifests and cluster -> the objects that a plan is for, and whose registries are theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use swr_operator_clock as clock;
use swr_operator_core::credential::Sealer;
use swr_operator_core::tag::{Installation, Owner};
use swr_operator_kube::{Refusal, Refused, Session};

use super::answers::Answers;
use super::report::Report;
use super::subject::{Ownership, Subject, subject};
use super::{Args, ClusterArgs};
use crate::exit::{Exit, Failure};
use crate::manifest::{Document, Manifests};
use crate::validate;

/// Makes the plan.
pub(super) async fn plan(args: &Args) -> Result<Report, Failure> {
    let manifests = args.sources.read()?;
    Manifests::refuse(&validate::check(&manifests).findings)?;
    let session = session(args).await?;
    let mut notes = Vec::new();
    let namespace = args.cluster.namespace.clone().unwrap_or_else(|| {
        let of_context = session
            .as_ref()
            .map(|session| session.namespace().to_owned());
        of_context.unwrap_or_else(|| "default".to_owned())
    });
    let key = installation_key(session.as_ref(), args).await;
    let has_key = key.is_some();
    let sealer = Arc::new(key.unwrap_or_else(random_sealer));
    let whose = Whose::of(session.as_ref(), &args.cluster, &mut notes).await?;
    let live = live(session.as_ref(), args, &manifests, &namespace).await?;
    let mut subjects = subjects(args, &manifests, &live, &namespace)?;
    subjects.sort_by(|one, other| one.object.key.cmp(&other.object.key));
    if subjects.is_empty() {
        notes.push("there is no ReplicationRegistry to plan for".to_owned());
    }
    let mut answers = Answers {
        cloud: args.cloud.cloud(Arc::clone(&sealer))?,
        session: session.as_ref(),
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
    let cluster = &args.cluster;
    let has_manifests = !args.sources.paths.is_empty();
    if cluster.no_cluster && !has_manifests {
        return Err(Failure::new(
            "there is nothing to plan for: no manifest is named, and no cluster asked",
        )
        .hint("swr-operator plan -f FILE --no-cluster")
        .exits(Exit::Usage));
    }
    if cluster.no_cluster {
        return Ok(None);
    }
    let opened = Session::open(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await;
    let session = opened.map_err(|error| {
        Failure::new(error)
            .hint("name another with --kubeconfig, or plan manifests with --no-cluster")
    })?;
    if session.is_none() && !has_manifests {
        return Err(
            Failure::new("there is no kubeconfig, and no manifest is named")
                .hint("swr-operator plan -f FILE, or --kubeconfig FILE"),
        );
    }
    Ok(session)
}

/// Why the cluster did not say, and what to do about it.
pub(super) fn refused(refused: Refused) -> Failure {
    let hint = match refused.refusal {
        Refusal::Forbidden => "ask for the right, or plan manifests with --no-cluster",
        Refusal::UnknownKind => {
            "install the CRDs (kubectl apply --server-side -k crds), or plan manifests with --no-cluster"
        }
        Refusal::Unreachable => {
            "check --kubeconfig and --context, or plan manifests with --no-cluster"
        }
        Refusal::Other => return Failure::new(refused),
    };
    Failure::new(refused).hint(hint)
}

/// What this person may not read is done without.
async fn installation_key(session: Option<&Session>, args: &Args) -> Option<Sealer> {
    let sealer = session?.sealer(&args.cluster.operator_namespace).await;
    sealer.ok().flatten()
}

pub(super) fn random_sealer() -> Sealer {
    let mut key = vec![0; 32];
    clock::random(&mut key);
    Sealer::new(key)
}

/// Which installation owns what.
pub(super) enum Whose {
    /// It is known, and so are the uids.
    Known(Installation),
    /// Only the tags tell.
    ByName(Option<Installation>),
}

impl Whose {
    pub(super) async fn of(
        session: Option<&Session>,
        args: &ClusterArgs,
        notes: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let configured = args.installation_id.as_deref();
        let configured = configured.map(Installation::from_configured);
        let Some(session) = session else {
            return Ok(Whose::ByName(configured));
        };
        if let Some(installation) = configured {
            return Ok(Whose::Known(installation));
        }
        match session.namespace_named("kube-system").await {
            Ok(Some((uid, _))) => Ok(Whose::Known(Installation::from_cluster(
                &uid,
                &args.operator_namespace,
            ))),
            Ok(None) => Ok(Whose::ByName(None)),
            Err(error) if error.refusal == Refusal::Forbidden => {
                notes.push(
                    "namespace kube-system, whose uid names the installation, may not be read: a registry counts as \
                     an object's own if its tag names the object; --installation-id says it exactly"
                        .to_owned(),
                );
                Ok(Whose::ByName(None))
            }
            Err(error) => Err(refused(error)),
        }
    }

    pub(super) fn ownership(&self, subject: &Subject) -> Ownership {
        let key = &subject.object.key;
        match self {
            Whose::Known(installation) => Ownership::Known(Owner::new(
                installation,
                &subject.object.uid,
                &key.namespace,
                &key.name,
            )),
            Whose::ByName(installation) => Ownership::ByName(installation.clone()),
        }
    }

    /// The tag of an object of the cluster.
    pub(super) fn tag_of(&self, live: &Value) -> Option<String> {
        let Whose::Known(installation) = self else {
            return None;
        };
        let meta = |field: &str| live["metadata"][field].as_str();
        let owner = Owner::new(
            installation,
            meta("uid")?,
            meta("namespace")?,
            meta("name")?,
        );
        Some(owner.tag().to_owned())
    }
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
    of_kind(manifests, "ReplicationRegistry")
}

pub(super) fn of_kind<'a>(
    manifests: &'a Manifests,
    kind: &'static str,
) -> impl Iterator<Item = &'a Document> {
    manifests.documents.iter().filter(move |it| it.kind == kind)
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
