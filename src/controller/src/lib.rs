//! Carries out effects and returns outcomes: who is reconciled when, and with what. No decision
//! about a registry is made here.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod accounts;
mod changed_secrets;
mod context;
mod execute;
mod health;
mod identity;
mod lanes;
mod leadership;
mod mass_deletion;
pub mod metrics;
mod namespaces;
mod poll;
mod present;
mod queue;
mod reconcile;
mod roster;
mod run;
mod schedule;
mod secrets;
mod shared;
mod snapshots;
mod start;
mod turn;

#[cfg(test)]
mod tests;

pub use health::Health;
pub use identity::Identity;
pub use run::Ending;
pub use start::{Options, Running, WatchSecrets, start};
