//! Arguments in, exit code out.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod config;
mod health;
mod lease;
mod listen;
mod log_line;
mod probe;
mod telemetry;
mod value;
mod verbs;

use std::io::Write as _;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use config::{Cli, Verb};
use swr_operator_cli::Exit;

fn main() -> ExitCode {
    if config::completes() {
        return verbs::complete().unwrap_or(ExitCode::FAILURE);
    }
    let parsed = config::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                // clap's own 2 is what `plan` means by "changes".
                Exit::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let done = match cli.verb {
        Verb::Run(args) => block_on(verbs::run(*args)),
        Verb::People(verb) => block_on(verbs::people(verb)),
        Verb::Probe(args) => block_on(verbs::probe(args)),
        Verb::Crd(args) => verbs::crd(&args),
        Verb::Completions(args) => verbs::completions(args.shell),
        Verb::Man(args) => verbs::man(&args.out),
        Verb::Version => verbs::version(),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

/// On one thread: nothing here computes for long, 10,000 registries are compared in some 12 ms. A second
/// thread saves no time, because API server and SWR are what is waited for, and with its share of the
/// allocator it takes a third more memory (measured: 23 MiB instead of 17 with 1,000 objects).
///
/// The allocator is that of musl. With 1,000 objects mimalloc 3 computes a sixth less and keeps 4 MiB more at rest, and
/// dlmalloc returns nothing of what a rotation took (28 MiB instead of 11).
fn block_on(
    verb: impl Future<Output = Result<ExitCode, verbs::Failed>>,
) -> Result<ExitCode, verbs::Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(verb)
}
