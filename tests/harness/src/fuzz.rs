//! `cargo dev fuzz`: each target that has a corpus, under libFuzzer for a while. The targets are tests of the crates, so
//! that they reach what is private; `cargo dev test` runs them over the corpus alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::progress::say;
use crate::tools::{self, BOLERO};
use crate::{Error, cargo, environment};

/// A test that takes bytes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    package: String,
    test: String,
}

/// Runs every target for so many seconds; inputs that reach new code join its corpus.
///
/// # Errors
/// When one of them finds an input that breaks what it promises: the input stands in `crashes/` beside the corpus.
pub fn run(seconds: u32) -> Result<(), Error> {
    let bolero = tools::provide(&BOLERO)?;
    for Target { package, test } in targets()? {
        say(&format!("\n== {package} {test}"));
        let mut command = cargo::command();
        // The program is a subcommand of cargo, and finds its own name among the arguments.
        command
            .env("PATH", with_folder_of(&bolero)?)
            .args(["bolero", "test", "--package", &package])
            // A sanitizer needs a nightly compiler, and no code of ours is unsafe.
            .args(["--sanitizer", "NONE", "--engine", "libfuzzer"])
            .args(["--time", &format!("{seconds}s"), &test]);
        cargo::stream(command)?;
    }
    Ok(())
}

fn with_folder_of(program: &Path) -> Result<std::ffi::OsString, Error> {
    let mut folders: Vec<PathBuf> = program.parent().map(Path::to_owned).into_iter().collect();
    let path = environment::variable("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|why| {
        Error::unmet(
            "PATH",
            why.to_string(),
            "remove the folder from PATH that it names",
        )
    })
}

/// By the folders of the corpora: `__fuzz__/a__b__test` beside the source is the test `a::b::test`.
fn targets() -> Result<Vec<Target>, Error> {
    let crates = environment::checkout().join("src");
    let mut targets = Vec::new();
    for name in names_in(&crates)? {
        collect(
            &crates.join(&name).join("src"),
            &format!("swr-operator-{name}"),
            &mut targets,
        )?;
    }
    targets.sort();
    Ok(targets)
}

fn collect(folder: &Path, package: &str, targets: &mut Vec<Target>) -> Result<(), Error> {
    for name in names_in(folder)? {
        let inner = folder.join(&name);
        if name == "__fuzz__" {
            targets.extend(names_in(&inner)?.into_iter().map(|target| Target {
                package: package.to_owned(),
                test: target.replace("__", "::"),
            }));
        } else {
            collect(&inner, package, targets)?;
        }
    }
    Ok(())
}

/// The folders in a folder.
fn names_in(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::io("read a folder of sources"))?;
    let folders = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir());
    Ok(folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}
