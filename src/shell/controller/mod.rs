//! Carries out effects and returns outcomes: who is looked at when, and by what. No decision
//! about a registry is made here.

mod accounts;
mod execute;
mod pass;
mod poll;
mod present;
mod queue;
mod run;
mod shared;
mod snapshots;
mod start;

pub use start::{Options, Running, start};

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use crate::credential::Sealer;
use crate::pass::Windows;
use crate::shell::kube::{Events, Objects, Secrets};
use crate::shell::metrics::Metrics;
use crate::tag::Installation;

use accounts::Accounts;
use poll::{ReadSecret, SecretKey};
use present::Present;
use shared::SharedReads;

impl Context {
    /// A Secret as it is after this call. Everybody who waits for it shares one GET.
    async fn read_secret(&self, namespace: &str, name: &str) -> ReadSecret {
        let key = (namespace.to_owned(), name.to_owned());
        let secrets = self.secrets.clone();
        let (namespace, name) = key.clone();
        let read = async move || {
            secrets
                .read(&namespace, &name)
                .await
                .map(|it| it.map(Arc::new))
        };
        self.secret_reads.read(key, read).await
    }
}

/// What every pass shares.
struct Context {
    installation: Installation,
    windows: Windows,
    read_only: bool,
    started_at: Timestamp,
    objects: Objects,
    secrets: Secrets,
    secret_reads: SharedReads<SecretKey, ReadSecret>,
    events: Events,
    metrics: Metrics,
    sealer: Arc<Sealer>,
    accounts: Accounts,
    present: Present,
    /// Set when the process is to end: no write to SWR begins after this.
    no_write_after: OnceLock<Timestamp>,
}
