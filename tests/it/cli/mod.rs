//! The verbs for people, as a person types them: what they print, where, and how they end.

mod apply;
mod ask;
mod bad_input;
pub(crate) mod check;
mod contract;
mod from_terraform;
mod import;
mod manners;
mod picture;
mod pipelines;
mod place;
mod plan;
mod plan_in_a_cluster;
mod status;
mod validate;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::Operator;

/// How a command ended, and what it printed.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command of a person who has nothing in the environment and no kubeconfig at home.
pub(crate) struct Typed(Command);

pub(crate) fn typed<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Typed {
    let mut command = Command::new(Operator::executable());
    command
        .args(args)
        .env_clear()
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    Typed(command)
}

impl Typed {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// With these variables of Huawei's SDKs.
    pub(crate) fn keys(self, keys: &swr_simulator::Keys) -> Self {
        self.env("HUAWEICLOUD_SDK_AK", &keys.access_key)
            .env("HUAWEICLOUD_SDK_SK", &keys.secret_key)
    }

    pub(crate) fn at(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn run(mut self) -> Ran {
        Ran::of(self.0.output().expect("it starts"))
    }

    /// With this on stdin.
    pub(crate) fn fed(mut self, text: &str) -> Ran {
        self.0.stdin(Stdio::piped());
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().expect("a pipe");
        // Who refuses the flags does not read.
        let _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        Ran::of(child.wait_with_output().expect("it ends"))
    }

    /// Starts it, and reads along.
    pub(crate) fn spawn(mut self) -> Child {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.0.spawn().expect("it starts")
    }

    pub(crate) fn command(self) -> Command {
        self.0
    }
}

/// How a command ends at which somebody presses Ctrl-C.
pub(crate) fn interrupted(child: Child) -> Ran {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
    Ran::of(child.wait_with_output().expect("it ends"))
}

impl Ran {
    pub(crate) fn of(output: std::process::Output) -> Self {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// As a golden shows it.
    pub(crate) fn shown(&self) -> String {
        let part = |name: &str, text: &str| match text {
            "" => String::new(),
            text => format!("--- {name}\n{text}"),
        };
        let code = self
            .code
            .map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!(
            "{}{}--- exit code {code}\n",
            part("stdout", &self.stdout),
            part("stderr", &self.stderr)
        )
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.shown()))
    }
}

/// Several commands and how each ended.
pub(crate) fn transcript<'a>(runs: impl IntoIterator<Item = (&'a str, Ran)>) -> String {
    let shown = runs.into_iter();
    let shown: Vec<String> = shown
        .map(|(typed, ran)| format!("$ {typed}\n{}", ran.shown()))
        .collect();
    shown.join("\n")
}
