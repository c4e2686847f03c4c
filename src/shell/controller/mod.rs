//! Carries out effects and returns outcomes: who is looked at when, and by what. No decision
//! about a registry is made here.

mod accounts;
mod execute;
mod pass;
mod poll;
mod present;
mod queue;
mod run;
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
