//! Flags and kubeconfig -> the cluster of a verb that cannot do without one.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use swr_operator_core::desired::duration_secs;
use swr_operator_kube::{Refusal, Refused, Session};

use crate::exit::Failure;

/// Requests to the API server at once: as many as kubectl sends.
pub(crate) const AT_ONCE: usize = 16;

/// Where an object is.
#[derive(Debug, Args)]
pub(crate) struct ObjectArgs {
    /// Namespace of the objects. Default: the context's.
    #[arg(short, long)]
    namespace: Option<String>,

    /// Kubeconfig. Default: KUBECONFIG, else ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ObjectArgs {
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        let opened = Session::open(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        let opened =
            opened.map_err(|error| Failure::new(error).hint("name another with --kubeconfig"))?;
        opened.ok_or_else(|| {
            Failure::new("there is no kubeconfig").hint("name one with --kubeconfig")
        })
    }

    /// The one that was named.
    pub(crate) fn given_namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(crate) fn namespace(&self, session: &Session) -> String {
        let given = self.namespace.clone();
        given.unwrap_or_else(|| session.namespace().to_owned())
    }
}

/// Why the cluster did not do it, and what to do about it.
pub(crate) fn refused(refused: Refused) -> Failure {
    let hint = match refused.refusal {
        Refusal::Forbidden => "ask an administrator for the right",
        Refusal::UnknownKind => "kubectl get rreg --all-namespaces shows what there is",
        Refusal::Unreachable => "check --kubeconfig and --context",
        Refusal::Other => return Failure::new(refused),
    };
    Failure::new(refused).hint(hint)
}

/// A duration of a flag.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    duration_secs(text.trim())
        .and_then(|secs| u64::try_from(secs).ok())
        .filter(|secs| *secs > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a duration such as 30s or 2m".to_owned())
}
