//! What every reconcile shares.

use std::sync::Arc;

use jiff::Timestamp;
use swr_operator_core::credential::Sealer;
use swr_operator_core::reconcile::Windows;
use swr_operator_core::tag::Installation;
use swr_operator_kube::{Events, Objects};

use super::accounts::Accounts;
use super::leadership::Fence;
use super::namespaces::Namespaces;
use super::present::Present;
use super::secrets::SharedSecrets;
use crate::metrics::Metrics;

/// What every reconcile shares.
pub(super) struct Context {
    pub(super) installation: Installation,
    pub(super) windows: Windows,
    pub(super) read_only: bool,
    pub(super) started_at: Timestamp,
    pub(super) objects: Objects,
    pub(super) secrets: SharedSecrets,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
    pub(super) sealer: Arc<Sealer>,
    pub(super) accounts: Accounts,
    pub(super) namespaces: Namespaces,
    pub(super) present: Present,
    /// Until when a write to SWR may begin.
    pub(super) fence: Fence,
}
