//! Flags and cluster -> which installation a registry belongs to, and with which tag.

use serde_json::Value;
use swr_operator_core::tag::{Installation, Owner};
use swr_operator_kube::{Refusal, Refused, Session};

use super::ClusterArgs;
use super::subject::{Ownership, Subject};
use crate::exit::Failure;

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
    ) -> Result<Self, Refused> {
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
            Err(error) => Err(error),
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

/// Why the cluster did not say, and what to do about it.
pub(super) fn refused(refused: Refused) -> Failure {
    let hint = match refused.refusal {
        Refusal::Forbidden => "ask for the right",
        Refusal::UnknownKind => "install the CRDs (kubectl apply --server-side -k crds)",
        Refusal::Unreachable => "check --kubeconfig and --context",
        Refusal::Other => return Failure::new(refused),
    };
    Failure::new(refused).hint(hint)
}
