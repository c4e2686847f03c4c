//! Who is measured, and how its process is started. Knows an operator as a binary, or as a command with a CRD.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::objects::Kind;
use crate::bed::{self, ACCESS_KEY, INSTANCE_IDS, PROJECT_ID, REGION, SECRET_KEY, operator_flags};
use crate::process::{Process, tethered};
use crate::wait::{Look, until};
use crate::{Error, Operator, OperatorOptions, Simulator, environment};

/// An operator answers in a second; a machine that compiles beside it needs more.
const READY: Duration = Duration::from_mins(1);
/// A peer has no /readyz that is known here. Its start is over when it has had this time.
const PEER_READY: Duration = Duration::from_secs(5);

/// While objects are created and edited: the operator's own default.
pub(crate) const POLL_USUAL: &str = "10m";
/// After the restart: a rotated Secret and the cost of a poll are seen within a minute.
pub(crate) const POLL_SHORT: &str = "60s";

#[derive(Clone, Debug)]
pub(crate) enum Contestant {
    /// The harness itself.
    Raw,
    /// A build of this operator.
    Build { name: String, binary: PathBuf },
    /// Somebody else's operator.
    Peer { command: String, kind: Kind },
}

/// How SWR and the account behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// No delay, and limits as high as the CRD allows: 1,000 requests a second and 64 at once.
    Unlimited,
    /// As before, and SWR takes 50 ms for each request.
    Delayed,
    /// No delay, and the limits that an account has by default.
    DefaultLimits,
}

const DELAY_MS: u64 = 50;

/// What a process needs to find its world.
pub(crate) struct World<'a> {
    /// Of the installation's ServiceAccount, and of an administrator for a peer.
    pub(crate) kubeconfig: &'a Path,
    pub(crate) peer_kubeconfig: &'a Path,
    pub(crate) simulator: &'a Simulator,
    pub(crate) log_path: PathBuf,
}

/// A started contestant.
#[derive(Debug)]
pub(crate) enum Running {
    Build(Operator, String),
    Peer(Process),
}

impl Contestant {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Raw => "raw",
            Self::Build { name, .. } => name,
            Self::Peer { .. } => "peer",
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Raw | Self::Build { .. } => Kind::ours(),
            Self::Peer { kind, .. } => kind.clone(),
        }
    }

    /// As the audit log names its requests.
    pub(crate) fn user(&self) -> &'static str {
        match self {
            Self::Raw => "system:serviceaccount:bench:raw",
            Self::Build { .. } => "system:serviceaccount:swr-operator:swr-operator",
            Self::Peer { .. } => "system:serviceaccount:bench:peer",
        }
    }

    /// Starts its process. None for RAW, which has none.
    pub(crate) fn start(&self, world: &World<'_>, poll: &str) -> Result<Option<Running>, Error> {
        match self {
            Self::Raw => Ok(None),
            Self::Build { binary, .. } => build(binary, world, poll).map(Some),
            Self::Peer { command, .. } => peer(command, world, poll).map(Some),
        }
    }
}

fn build(binary: &Path, world: &World<'_>, poll: &str) -> Result<Running, Error> {
    let (args, addresses) = operator_flags(world.simulator, &[("--poll-interval", poll)])?;
    let operator = Operator::spawn(&OperatorOptions {
        binary: binary.to_path_buf(),
        kubeconfig: world.kubeconfig.to_path_buf(),
        args,
        log_path: world.log_path.clone(),
    })?;
    Ok(Running::Build(operator, addresses.readyz))
}

fn peer(command: &str, world: &World<'_>, poll: &str) -> Result<Running, Error> {
    let mut shell = tethered("/bin/sh");
    shell
        // The command's process takes the place of the shell, so that it is the one that is measured.
        .args(["-c", &format!("exec {command}")])
        .env("KUBECONFIG", world.peer_kubeconfig)
        .env("SWR_ENDPOINT", world.simulator.endpoint())
        .env("SWR_REGION", REGION)
        .env("SWR_PROJECT_ID", PROJECT_ID)
        .env("SWR_INSTANCE_IDS", INSTANCE_IDS.join(","))
        .env("SWR_ACCESS_KEY", ACCESS_KEY)
        .env("SWR_SECRET_KEY", SECRET_KEY)
        .env("POLL_INTERVAL", poll);
    Process::spawn("the peer", shell, &world.log_path).map(Running::Peer)
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Build(operator, _) => operator.pid(),
            Self::Peer(process) => process.pid(),
        }
    }

    pub(crate) fn assert_running(&mut self) -> Result<(), Error> {
        match self {
            Self::Build(operator, _) => operator.assert_running(),
            Self::Peer(process) => process.assert_running(),
        }
    }

    pub(crate) fn await_ready(&mut self) -> Result<(), Error> {
        match self {
            Self::Build(operator, url) => {
                let url = url.clone();
                operator.await_ready(&url, READY)
            }
            Self::Peer(process) => {
                let started = environment::now();
                until(READY, "the peer's first seconds", || {
                    if let Err(error) = process.assert_running() {
                        return Look::Hopeless(error);
                    }
                    match started.elapsed() >= PEER_READY {
                        true => Look::Ready(()),
                        false => Look::NotYet("it starts".to_owned()),
                    }
                })
            }
        }
    }

    /// SIGKILL: what it holds in memory is gone.
    pub(crate) fn kill_9(&mut self) -> Result<(), Error> {
        match self {
            Self::Build(operator, _) => operator.kill_9(),
            Self::Peer(process) => process.kill_9(),
        }
        .map(drop)
    }
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unlimited => "unlimited",
            Self::Delayed => "delay-50ms",
            Self::DefaultLimits => "default-limits",
        }
    }

    /// Makes this simulator behave so.
    pub(crate) fn set(self, simulator: &Simulator) -> Result<(), Error> {
        if self == Self::Delayed {
            simulator.fault(&json!({"kind": "delay", "delayMs": DELAY_MS}))?;
        }
        Ok(())
    }

    /// The account `default`, which grants everything, and its key; for `kubectl apply`.
    pub(crate) fn account(self) -> [serde_json::Value; 2] {
        let [secret, mut account] = bed::account();
        // What deletes everything here is no mistake, and a deletion that is let through waits for no other.
        account["metadata"]["annotations"] =
            json!({"swr.huaweicloud.com/allow-deletions-until": "2199-01-01T00:00:00Z"});
        if self != Self::DefaultLimits {
            account["spec"]["limits"] =
                json!({"requestsPerSecond": 1000, "burst": 1000, "inFlight": 64});
        }
        [secret, account]
    }
}
