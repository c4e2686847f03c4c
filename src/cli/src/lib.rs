//! The verbs for people: what the operator would do, and whether manifests are right. They read SWR and Kubernetes
//! and never write to SWR. Decides nothing about a registry: `swr_operator_core::preview` does.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod cloud;
mod environment;
mod exit;
mod import;
mod manifest;
mod output;
mod plan;
mod validate;

use clap::Subcommand;

pub use exit::{Exit, Failure};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what the operator would do in SWR, and write nothing.
    Plan(Box<plan::Args>),
    /// Print manifests that adopt what exists: registries of SWR, or of a Terraform state.
    Import(import::ImportArgs),
    /// Check manifests without a cluster: every finding at once, with its place.
    Validate(validate::Args),
}

/// Carries out a verb.
///
/// # Errors
/// Whatever keeps it from being carried out, for a person.
pub async fn run(verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Plan(args) => interruptible(plan::run(*args)).await,
        Verb::Import(args) => interruptible(import::run(args)).await,
        Verb::Validate(args) => interruptible(async move { validate::run(&args) }).await,
    }
}

/// Ends at once when somebody presses Ctrl-C. These verbs only read, so there is nothing to put right.
async fn interruptible(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::select! {
        ended = verb => ended,
        _ = tokio::signal::ctrl_c() => {
            output::progress(false, "interrupted; nothing was changed");
            Ok(Exit::Interrupted)
        }
    }
}
