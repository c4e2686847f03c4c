//! Keeps the target registries of SWR Enterprise equal to `ReplicationRegistry` objects.
//!
//! The modules stand in the order of the data's way; everything outside [`shell`] is pure.
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
//! | summary | [`status`], [`requeue`] | conditions, and when to look again |
//! | what was done, conditions | [`event`] | what people read beside the object |
//! | a look at an instance | [`witness`] | what is sent again although nothing shows a difference |

#![forbid(unsafe_code)]
// An instant may come from a status that somebody wrote, and jiff's operators panic when a result is out
// of range: `time` has what cannot. clippy.toml allows them on plain numbers and on the clocks of std
// and tokio; tests compute with instants of their own.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod api;

pub mod time;

pub mod desired;
pub mod object;

pub mod credential;

pub mod tag;

pub mod observed;

pub mod recent;

pub mod diff;

pub mod grant;

pub mod plan;

pub mod failure;

pub mod answer;

pub mod pass;

pub mod summary;

pub mod event;

pub mod effect;

pub mod step;

pub mod status;

pub mod account;

pub mod requeue;

pub mod witness;

pub mod shell;
