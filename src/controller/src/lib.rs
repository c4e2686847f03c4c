//! Carries out effects and returns outcomes: who is looked at when, and by what. No decision
//! about a registry is made here.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod accounts;
mod execute;
mod health;
pub mod metrics;
mod pass;
mod poll;
mod present;
mod queue;
mod run;
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
use present::Present;

/// What every pass shares.
struct Context {
    installation: Installation,
    windows: Windows,
    read_only: bool,
    started_at: Timestamp,
    objects: Objects,
    secrets: Secrets,
    events: Events,
    metrics: Metrics,
    sealer: Arc<Sealer>,
    accounts: Accounts,
    present: Present,
    /// Set when the process is to end: no write to SWR begins after this.
    no_write_after: OnceLock<Timestamp>,
}
