//! Builds packages of this workspace with cargo and says where the executables are. Cargo shows its own progress.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;

use crate::{Error, environment, process};

/// A cargo command in this checkout that ends with us. It stays the cargo that started us, if one did.
pub fn command() -> Command {
    let cargo = environment::variable("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = process::tethered(cargo);
    command.current_dir(environment::checkout());
    command
}

/// Executables by target name.
#[derive(Debug)]
pub struct Executables(BTreeMap<String, PathBuf>);

impl Executables {
    pub fn get(&self, name: &str) -> Result<&Path, Error> {
        self.0.get(name).map(PathBuf::as_path).ok_or_else(|| {
            Error::unmet(
                format!("the executable `{name}`"),
                "cargo built none of that name in this workspace",
                "look at the [[bin]] sections of the Cargo.toml files",
            )
        })
    }
}

/// The lines of `cargo build --message-format=json` that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// `cargo build` with these arguments.
pub fn build(args: &[&str]) -> Result<Executables, Error> {
    let mut command = command();
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(args);
    let printed = process::printed_by(command)?;
    Ok(Executables(
        printed.lines().filter_map(executable).collect(),
    ))
}

/// Runs a command and hands on each line that it prints on stdout, when it comes. Returns all of them, however it ended.
pub fn follow(mut command: Command, mut each: impl FnMut(&str)) -> Result<String, Error> {
    let shown = process::shown(&command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("start `{shown}`")))?;
    let lifeline = child.stdin.take();
    let mut printed = String::new();
    let stdout = child.stdout.take().map(BufReader::new);
    for line in stdout.into_iter().flat_map(BufReader::lines) {
        let line = line.map_err(Error::io(format!("read what `{shown}` prints")))?;
        each(&line);
        printed.push_str(&line);
        printed.push('\n');
    }
    child
        .wait()
        .map_err(Error::io(format!("wait for `{shown}`")))?;
    drop(lifeline);
    Ok(printed)
}

/// Runs a command whose outputs go where ours go.
pub fn stream(mut command: Command) -> Result<(), Error> {
    let shown = process::shown(&command);
    let mut child = command
        .spawn()
        .map_err(Error::io(format!("start `{shown}`")))?;
    let lifeline = child.stdin.take();
    let status = child
        .wait()
        .map_err(Error::io(format!("wait for `{shown}`")))?;
    drop(lifeline);
    succeeded(&shown, status)
}

fn succeeded(shown: &str, status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: shown.to_owned(),
        status,
        output: "its own words stand above".to_owned(),
    })
}

fn executable(line: &str) -> Option<(String, PathBuf)> {
    // Lines that are no message of cargo are somebody's print; they are not ours to judge.
    let message: Message = serde_json::from_str(line).ok()?;
    let target = message
        .target
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
    // The unit tests of an executable carry its name and kind, too.
    let is_test = message.profile.is_some_and(|profile| profile.test);
    (message.reason == "compiler-artifact" && !is_test)
        .then_some((target.name, message.executable?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"dev"},"executable":"/t/dev"}"#;
        assert_eq!(
            executable(line),
            Some(("dev".to_owned(), PathBuf::from("/t/dev")))
        );
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"x"},"executable":null}"#;
        assert_eq!(executable(library), None);
        let unit_tests = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"dev"},"profile":{"test":true},"executable":"/t/dev-1"}"#;
        assert_eq!(executable(unit_tests), None);
        assert_eq!(executable("hello"), None);
    }
}
