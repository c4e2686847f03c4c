//! The verbs for people: what the operator would do, whether manifests are right, and what to ask of the operator. They
//! read SWR and Kubernetes, and write objects; to SWR they write a scratch registry where a person names one, and nothing
//! else. Decides nothing about a registry: `swr_operator_core::preview` does.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod apply;
mod ask;
mod check;
mod cloud;
mod cluster;
mod environment;
mod exit;
mod import;
mod manifest;
mod output;
mod plan;
mod progress;
mod standing;
mod status;
mod validate;

use clap::Subcommand;

use ask::Ask;

pub use exit::{Exit, Failure};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what the operator would do in SWR, and write nothing.
    Plan(Box<plan::Args>),
    /// Check whether cluster and accounts are ready, and, with `--contract`, whether SWR does what is assumed of it.
    Check(Box<check::Args>),
    /// Apply manifests on the server's side, and wait until the operator has carried them out.
    Apply(apply::Args),
    /// Show where objects stand, what SWR holds for them, and what to do next.
    Status(Box<status::Args>),
    /// Show registries that the operator made and that no object owns any more.
    Orphans(Box<plan::orphans::Args>),
    /// Print manifests that adopt what exists: registries of SWR, or of a Terraform state.
    Import(import::ImportArgs),
    /// Ask the operator to compare objects with SWR now, and to send their credentials again.
    Reconcile(ask::AskArgs),
    /// Stop every request to SWR for objects (spec.suspend), until `resume`.
    Suspend(ask::AskArgs),
    /// End what `suspend` began.
    Resume(ask::AskArgs),
    /// Check manifests: every finding at once, with its place. Without a cluster, or with `--server`.
    Validate(validate::Args),
}

/// Carries out a verb.
///
/// # Errors
/// Whatever keeps it from being carried out, for a person.
pub async fn run(verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Plan(args) => Box::pin(interruptible(plan::run(*args))).await,
        // A probe ends its scratch registry before it ends.
        Verb::Check(args) if args.writes() => Box::pin(check::run(*args)).await,
        Verb::Check(args) => Box::pin(interruptible(check::run(*args))).await,
        Verb::Apply(args) => applying(apply::run(args)).await,
        Verb::Status(args) => Box::pin(interruptible(status::run(*args))).await,
        Verb::Orphans(args) => Box::pin(interruptible(plan::orphans::run(*args))).await,
        Verb::Import(args) => interruptible(import::run(args)).await,
        Verb::Reconcile(args) => waiting(ask::run(Ask::Reconcile, args)).await,
        Verb::Suspend(args) => waiting(ask::run(Ask::Suspend, args)).await,
        Verb::Resume(args) => waiting(ask::run(Ask::Resume, args)).await,
        Verb::Validate(args) => interruptible(validate::run(args)).await,
    }
}

/// A verb that only reads: whoever presses Ctrl-C has nothing to put right.
async fn interruptible(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    or_ctrl_c(verb, "interrupted; nothing was changed").await
}

/// A verb that asks the operator for something, and waits.
async fn waiting(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    or_ctrl_c(
        verb,
        "interrupted; what was asked for stands, and the operator goes on",
    )
    .await
}

/// A verb that writes objects, and waits.
async fn applying(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    or_ctrl_c(
        verb,
        "interrupted; what was applied stands, and the operator goes on",
    )
    .await
}

/// Ends at once when somebody presses Ctrl-C, and says how things are left.
async fn or_ctrl_c(
    verb: impl Future<Output = Result<Exit, Failure>>,
    left: &str,
) -> Result<Exit, Failure> {
    tokio::select! {
        ended = verb => ended,
        _ = tokio::signal::ctrl_c() => {
            progress::progress(false, left);
            Ok(Exit::Interrupted)
        }
    }
}
