//! The operator as a process of its own, to be started, killed and asked. Knows none of its types.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::http::Http;
use crate::process::{Process, tethered};
use crate::wait::{Look, until};
use crate::{Error, cargo, environment};

/// Of the package and of its executable.
const NAME: &str = "swr-operator";

#[derive(Clone, Debug)]
pub struct OperatorOptions {
    pub binary: PathBuf,
    pub kubeconfig: PathBuf,
    /// What follows `run --kubeconfig FILE`.
    pub args: Vec<String>,
    /// Takes both outputs; emptied first.
    pub log_path: PathBuf,
}

#[derive(Debug)]
pub struct Operator {
    process: Process,
}

/// Names the executable that [`Operator::executable`] gives.
pub const EXECUTABLE: &str = "SWR_TEST_OPERATOR";

impl Operator {
    /// The operator of this test run: the one that `cargo dev test` has built, else the one that cargo builds now, since
    /// it builds no executable of another package for a test.
    ///
    /// # Panics
    /// When it cannot be built; the message says why.
    pub fn executable() -> &'static Path {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        BUILT.get_or_init(|| {
            let named = environment::variable(EXECUTABLE).map(PathBuf::from);
            let built = || {
                cargo::build(&["--package", NAME])?
                    .get(NAME)
                    .map(Path::to_path_buf)
            };
            named
                .map_or_else(built, Ok)
                .unwrap_or_else(|error| panic!("no operator for the tests: {error}"))
        })
    }

    /// Starts `swr-operator run`.
    pub fn spawn(options: &OperatorOptions) -> Result<Self, Error> {
        let mut command = tethered(&options.binary);
        command
            .arg("run")
            .arg("--kubeconfig")
            .arg(&options.kubeconfig)
            .args(&options.args);
        // Nobody listens there: an operator that reads the proxies of the environment reaches nothing.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"] {
            command.env(name, "http://127.0.0.1:9");
        }
        Ok(Self {
            process: Process::spawn(NAME, command, &options.log_path)?,
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn log_path(&self) -> &Path {
        self.process.log_path()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.process.ended()
    }

    /// An error with the end of the log when it has ended.
    pub fn assert_running(&mut self) -> Result<(), Error> {
        self.process.assert_running()
    }

    /// Waits until the log says where the operator listens: the address in the line with this message, which tells the
    /// port when 0 was asked for.
    pub fn await_address(&mut self, message: &str, deadline: Duration) -> Result<String, Error> {
        until(
            deadline,
            format!("{message:?} in the operator's log"),
            || {
                if let Err(error) = self.assert_running() {
                    return Look::Hopeless(error);
                }
                let log = self.log();
                let lines = log
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok());
                let address = lines
                    .filter(|line: &Value| line["msg"] == message)
                    .find_map(|line| line["address"].as_str().map(str::to_owned));
                match address {
                    Some(address) => Look::Ready(address),
                    None => Look::NotYet("no such line".to_owned()),
                }
            },
        )
    }

    /// Waits until this address answers 200 (`http://127.0.0.1:PORT/readyz`).
    pub fn await_ready(&mut self, url: &str, deadline: Duration) -> Result<(), Error> {
        let http = Http::default();
        until(deadline, format!("{url} of the operator"), || {
            if let Err(error) = self.assert_running() {
                return Look::Hopeless(error);
            }
            match http.get(url) {
                Ok((200, _)) => Look::Ready(()),
                Ok((status, body)) => Look::NotYet(format!("status {status}: {}", body.trim())),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
    }

    /// SIGKILL: the crash that every protocol here must survive.
    pub fn kill_9(&mut self) -> Result<ExitStatus, Error> {
        self.process.kill_9()
    }

    /// SIGTERM; see [`Self::wait`] for the end.
    pub fn terminate(&mut self) -> Result<(), Error> {
        self.process.terminate()
    }

    /// SIGSTOP: it stands still, as on a node without time for it.
    pub fn suspend(&mut self) -> Result<(), Error> {
        self.process.suspend()
    }

    /// SIGCONT: it goes on where it stood.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.process.resume()
    }

    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        self.process.wait(deadline)
    }

    /// SIGTERM, then SIGKILL if it takes too long.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}
