//! Carries out effects and returns outcomes: who is looked at when, and by what. No decision
//! about a registry is made here.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod accounts;
mod execute;
mod health;
mod lanes;
pub mod metrics;
mod pass;
mod poll;
mod present;
mod queue;
mod run;
mod shared;
mod snapshots;
mod start;

pub use health::Health;
pub use start::{Options, Running, start};

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use crate::metrics::Metrics;
use swr_operator_core::credential::Sealer;
use swr_operator_core::pass::Windows;
use swr_operator_core::tag::Installation;
use swr_operator_kube::{Events, Objects, Secrets};

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
