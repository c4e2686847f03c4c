//! Decides how the target registries of SWR Enterprise become equal to `ReplicationRegistry` objects.
//!
//! Everything here is pure: no runtime, no client and no clock. Time, randomness and answers are arguments. The data's
//! way through the modules:
//!
//! | From | Through | To |
//! |---|---|---|
//! | CR | [`object`], [`desired`] | [`desired::Desired`] |
//! | Secret | [`credential`] | [`credential::Credential`], [`credential::Sealed`] |
//! | SWR | [`observed`] | [`observed::Inventory`], [`observed::Claim`] |
//! | newest changes | [`recent`] | what to ask next, and what the answers may be believed for |
//! | desired x observed | [`diff`] | [`diff::Changes`] |
//! | changes, claim | [`plan`] | [`plan::Plan`] |
//! | plan, outcomes | [`step`] | [`effect::Effect`], at the end [`summary::Summary`] |
//! | the same, with answers at hand | [`preview`] | the first write, for people, before it is made |
//! | summary | [`status`], [`requeue`] | conditions, and when to reconcile again |
//! | what was done, conditions | [`event`] | what people read beside the object |
//! | an observation | [`witness`] | what is sent again although nothing shows a difference |

#![forbid(unsafe_code)]
// An instant may come from a status that somebody wrote, and jiff's operators panic when a result is out
// of range: `time` has what cannot. clippy.toml allows them on plain numbers and on the clocks of std
// and tokio; tests compute with instants of their own.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod decide;
#[cfg(test)]
mod fuzz;
mod model;
mod protocol;
pub mod recent;
mod report;
pub mod texts;
pub mod time;
pub mod witness;

// The folders are by what a reader looks for; paths leave them out.
pub use decide::{diff, grant, plan};
pub use model::{answer, credential, desired, failure, instance, object, observed, tag, url};
pub use protocol::{effect, preview, reconcile, step};
pub use report::{account, event, requeue, status, summary};

use swr_operator_api as api;
