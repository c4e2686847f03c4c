//! Programs of others that judge or describe what we build, installed from crates once where they outlast the checkout.

use std::path::PathBuf;

use crate::process::tethered;
use crate::progress::say;
use crate::{Error, cargo, environment};

pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// For cargo, when it builds it.
    options: &'static [&'static str],
}

pub(crate) const CYCLONEDX: Tool = Tool {
    name: "cargo-cyclonedx",
    version: "0.5.9",
    options: &[],
};
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    options: &[],
};
pub(crate) const BOLERO: Tool = Tool {
    name: "cargo-bolero",
    version: "0.13.5",
    // Its other engines need C libraries.
    options: &["--no-default-features"],
};
/// Without its server and its watch, and what these need.
pub(crate) const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    options: &["--no-default-features", "--features", "search"],
};
/// Follows the links of pages that are built, anchors included, and asks nobody outside.
pub(crate) const HYPERLINK: Tool = Tool {
    name: "hyperlink",
    version: "0.3.2",
    options: &[],
};
const MUTANTS: Tool = Tool {
    name: "cargo-mutants",
    version: "27.1.0",
    options: &[],
};

/// The rules of `deny.toml` that need nothing from outside; advisories are the workflows' part.
pub fn deny() -> Result<(), Error> {
    // It judges the crates of every platform; builds have fetched those of this one.
    let mut fetch = cargo::command();
    fetch.args(["fetch", "--locked"]);
    cargo::stream(fetch)?;
    let mut command = tethered(provide(&DENY)?);
    command
        .current_dir(environment::checkout())
        .args(["--locked", "--offline", "check", "--deny", "warnings"])
        .args(["bans", "licenses", "sources"]);
    cargo::stream(command)
}

/// Breaks the pure crate in one place after the other, and shows which breakages no test of it notices. `shard` is
/// `k/n`: the k-th of n equal parts, which are the same in every run.
pub fn mutants(shard: &str) -> Result<(), Error> {
    let mut command = tethered(provide(&MUTANTS)?);
    command
        .current_dir(environment::checkout())
        .args([
            "mutants",
            "--package",
            "swr-operator-core",
            "--shard",
            shard,
            // Each part takes from every file, so that one is a sample of all.
            "--sharding",
            "round-robin",
        ])
        .args([
            "--output",
            "target/mutants",
            "--no-shuffle",
            "--colors",
            "never",
        ])
        // A loop that a breakage makes endless is noticed; the tests take 10 s.
        .args(["--timeout", "60", "--cargo-test-arg=--lib"]);
    cargo::stream(command)
}

/// The program's path.
pub(crate) fn provide(tool: &Tool) -> Result<PathBuf, Error> {
    let Tool {
        name,
        version,
        options,
    } = tool;
    let folder = environment::cache_folder()?.join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        say(&format!("installing {name} {version} (once)"));
        let mut command = cargo::command();
        // cargo puts the finished program there in one step, and holds a lock while it builds.
        command
            .args(["install", "--locked", name, "--version", version, "--root"])
            .arg(&folder)
            .args(*options)
            // Each runs for seconds: optimised, it takes minutes more to build than it ever saves.
            .args(["--profile", "dev"])
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo::stream(command)?;
    }
    Ok(program)
}
