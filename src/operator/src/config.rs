//! Flags and environment -> what the verbs run with.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser, Resettable};
use clap::{Args, Command, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::lease::LeaseArgs;
use crate::telemetry::LogFormat;
use crate::value::{
    OrOff, account, address, address_or_off, duration, duration_or_off, log_level, namespace,
    node_url, regional_endpoint, secs, watch_secrets,
};
use swr_operator_controller::{Identity, WatchSecrets};
use swr_operator_core::reconcile::Windows;
use swr_operator_swr::{Endpoint, Endpoints, NodeUrl, Proxy};

/// Keeps the target registries of Huawei Cloud SWR Enterprise equal to ReplicationRegistry
/// objects.
#[derive(Debug, Parser)]
#[command(name = "swr-operator", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the operator.
    Run(Box<RunArgs>),
    /// The verbs for people.
    #[command(flatten)]
    People(swr_operator_cli::Verb),
    /// Print the CustomResourceDefinitions as YAML.
    Crd(CrdArgs),
    /// Ask a running operator whether it is well, as `helm test` does: exit code 0 for an answer
    /// of 2xx.
    Probe(ProbeArgs),
    /// Print a script that completes this command line in a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder.
    Man(ManArgs),
    /// Print the version.
    Version,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// What to ask for; plain HTTP.
    #[arg(long, default_value = "http://127.0.0.1:8081/readyz")]
    pub(crate) url: reqwest::Url,

    /// For how long it is asked until it is well.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell, as in `source <(swr-operator completions bash)`.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; it must exist.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

/// Which CRD to print.
#[derive(Debug, Args)]
pub(crate) struct CrdArgs {
    /// Only this kind.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
}

/// The kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// ReplicationRegistry.
    #[value(name = "ReplicationRegistry")]
    ReplicationRegistry,
    /// SwrAccount.
    #[value(name = "SwrAccount")]
    SwrAccount,
}

/// How the operator runs. Every flag can be given by the environment variable that its help names.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Kubeconfig to use instead of the pod's service account.
    #[arg(long, env = "SWR_OPERATOR_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The operator's own namespace, which holds its key and the Secrets of accounts.
    #[arg(long, env = "POD_NAMESPACE", default_value = "swr-operator", value_parser = namespace)]
    pub(crate) namespace: String,

    /// Keep only objects of this namespace. May be repeated. Default: all namespaces.
    #[arg(
        long = "watch-namespace",
        env = "SWR_OPERATOR_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE",
        value_parser = namespace
    )]
    pub(crate) watch_namespaces: Vec<String>,

    /// Watch the metadata of Secrets, so that a new credential is sent within seconds and not at the next poll: `off`,
    /// `all`, or a label selector such as `swr.huaweicloud.com/watch=true`. Other than `off` needs the permission to
    /// list and watch Secrets, by which the operator could read them all.
    #[arg(long, env = "SWR_OPERATOR_WATCH_SECRETS", default_value = "off", value_name = "WHICH", value_parser = watch_secrets)]
    pub(crate) watch_secrets: WatchSecrets,

    /// Serve only this SwrAccount. May be repeated. Default: all accounts.
    #[arg(
        long = "account",
        env = "SWR_OPERATOR_ACCOUNTS",
        value_delimiter = ',',
        value_name = "NAME",
        value_parser = account
    )]
    pub(crate) accounts: Vec<String>,

    /// Id of this installation, which goes into the ownership tags. Default: from the uid of
    /// namespace kube-system and the operator's namespace. Changing it makes the operator a
    /// stranger to its own registries.
    #[arg(long, env = "SWR_OPERATOR_INSTALLATION_ID", value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) installation_id: Option<String>,

    /// Compare and report, and write nothing to SWR: for a first roll-out, or while something is
    /// wrong. Deletions of objects wait.
    #[arg(long, env = "SWR_OPERATOR_READ_ONLY", value_parser = BoolishValueParser::new())]
    pub(crate) read_only: bool,

    /// Endpoint of SWR for a region, or for all if no region is given. May be repeated. Default:
    /// derived from the account's region.
    #[arg(long = "swr-endpoint", env = "SWR_OPERATOR_SWR_ENDPOINTS", value_delimiter = ',', value_name = "[REGION=]URL", value_parser = regional_endpoint)]
    pub(crate) swr_endpoints: Vec<(String, Endpoint)>,

    /// Endpoint of IAM, as for SWR.
    #[arg(long = "iam-endpoint", env = "SWR_OPERATOR_IAM_ENDPOINTS", value_delimiter = ',', value_name = "[REGION=]URL", value_parser = regional_endpoint)]
    pub(crate) iam_endpoints: Vec<(String, Endpoint)>,

    /// Endpoint of STS, as for SWR.
    #[arg(long = "sts-endpoint", env = "SWR_OPERATOR_STS_ENDPOINTS", value_delimiter = ',', value_name = "[REGION=]URL", value_parser = regional_endpoint)]
    pub(crate) sts_endpoints: Vec<(String, Endpoint)>,

    /// Metadata service of the node, for accounts with `auth.ecsMetadata`.
    #[arg(long, env = "SWR_OPERATOR_METADATA_URL", value_name = "URL", default_value = NodeUrl::METADATA, value_parser = node_url)]
    pub(crate) metadata_url: NodeUrl,

    /// File with the token of the operator's ServiceAccount for IAM, for accounts with `auth.oidc`. It is
    /// read again at each renewal.
    #[arg(
        long,
        env = "SWR_OPERATOR_OIDC_TOKEN_FILE",
        value_name = "FILE",
        default_value = "/var/run/secrets/swr.huaweicloud.com/token"
    )]
    pub(crate) oidc_token_file: PathBuf,

    /// Where the agent of pod identity gives keys, for accounts with `auth.podIdentity`. CCE sets the variable.
    #[arg(long, env = "HC_CONTAINER_CREDENTIALS_FULL_URI", value_name = "URL")]
    pub(crate) pod_identity_url: Option<String>,

    /// File with the pod's token for that agent. CCE sets the variable.
    #[arg(
        long,
        env = "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub(crate) pod_identity_token_file: Option<PathBuf>,

    /// File with additional certificate authorities for SWR and IAM, in PEM.
    #[arg(long, env = "SWR_OPERATOR_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Proxy to reach SWR and IAM through, as `http://proxy.example.com:3128`. Loopback is always
    /// reached directly. The proxy variables of the environment are not read.
    #[arg(
        long,
        env = "SWR_OPERATOR_PROXY",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) proxy: Option<String>,

    /// Hosts that are reached without the proxy, separated by commas.
    #[arg(
        long,
        env = "SWR_OPERATOR_NO_PROXY",
        value_name = "HOSTS",
        requires = "proxy"
    )]
    pub(crate) no_proxy: Option<String>,

    /// How often SWR is compared with objects that name no interval.
    #[arg(long, env = "SWR_OPERATOR_POLL_INTERVAL", default_value = "10m", value_parser = duration)]
    pub(crate) poll_interval: Duration,

    /// How often, between two polls, the newest changes of an instance are read so that drift shows
    /// early: one request each time. `off` disables these reads: drift is then found by polls only.
    #[arg(long, env = "SWR_OPERATOR_DRIFT_INTERVAL", default_value = "30s", value_parser = duration_or_off)]
    pub(crate) drift_interval: OrOff<Duration>,

    /// After this time a request without an answer has been carried out or never will be. Must be
    /// at least twice the write deadline.
    #[arg(long, env = "SWR_OPERATOR_SETTLE", default_value = "120s", value_parser = duration)]
    pub(crate) settle: Duration,

    /// Deadline of a write to SWR.
    #[arg(long, env = "SWR_OPERATOR_WRITE_DEADLINE", default_value = "20s", value_parser = duration)]
    pub(crate) write_deadline: Duration,

    /// Deadline of a read from SWR.
    #[arg(long, env = "SWR_OPERATOR_READ_DEADLINE", default_value = "30s", value_parser = duration)]
    pub(crate) read_deadline: Duration,

    /// How long after a write the operator ignores SWR's "unhealthy". SWR checks targets every
    /// few minutes.
    #[arg(long, env = "SWR_OPERATOR_GRACE", default_value = "5m", value_parser = duration)]
    pub(crate) grace: Duration,

    /// Time between two reads of a Secret that is missing or unusable.
    #[arg(long, env = "SWR_OPERATOR_SECRET_RETRY", default_value = "10s", value_parser = duration)]
    pub(crate) secret_retry: Duration,

    /// How long the operator retries to remove its tag from a registry that `deletionPolicy: Orphan`
    /// keeps. After that it releases the object and leaves the tag in place.
    #[arg(long, env = "SWR_OPERATOR_ORPHAN_PATIENCE", default_value = "10m", value_parser = duration)]
    pub(crate) orphan_patience: Duration,

    /// Pauses the deletions of an SWR instance when more than five, and more than a fifth, of its objects are
    /// being deleted within ten minutes. For this long a deletion waits for others to come; `off`
    /// disables the guard.
    #[arg(long, env = "SWR_OPERATOR_MASS_DELETION_GUARD", default_value = "3s", value_parser = duration_or_off)]
    pub(crate) mass_deletion_guard: OrOff<Duration>,

    /// Which of several replicas works.
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,

    /// Name of the pod, which events and the lease give as their source.
    #[arg(
        long,
        env = "POD_NAME",
        default_value = "swr-operator",
        value_name = "NAME"
    )]
    pub(crate) pod_name: String,

    /// Address of /livez and /readyz. `[::]` is every address, of IPv4 and IPv6; where IPv6 is switched
    /// off, every address of IPv4.
    #[arg(long, env = "SWR_OPERATOR_HEALTH_ADDRESS", default_value = "[::]:8081", value_parser = address)]
    pub(crate) health_address: SocketAddr,

    /// Address of /metrics, or `off`.
    #[arg(long, env = "SWR_OPERATOR_METRICS_ADDRESS", default_value = "[::]:8080", value_parser = address_or_off)]
    pub(crate) metrics_address: OrOff<SocketAddr>,

    /// What is logged: off, error, warn, info, debug or trace, or TARGET=LEVEL, separated by commas.
    #[arg(long, env = "SWR_OPERATOR_LOG_LEVEL", default_value = "info", value_parser = log_level)]
    pub(crate) log_level: String,

    /// How it is logged.
    #[arg(
        long,
        env = "SWR_OPERATOR_LOG_FORMAT",
        value_enum,
        default_value = "json"
    )]
    pub(crate) log_format: LogFormat,
}

/// Windows that contradict each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--settle ({settle_secs} s) must be at least twice --write-deadline ({write_secs} s), and two seconds longer: a request must have been sent, and answered or abandoned, before anybody believes that it was not carried out"
)]
pub(crate) struct WindowsError {
    settle_secs: u64,
    write_secs: u64,
}

impl RunArgs {
    /// The windows of time that decisions depend on.
    ///
    /// # Errors
    /// When T_settle is not at least twice as long as a write can take, or leaves no time in which one may be sent.
    pub(crate) fn windows(&self) -> Result<Windows, WindowsError> {
        let windows = Windows {
            settle_secs: secs(self.settle),
            write_secs: secs(self.write_deadline),
            grace_secs: secs(self.grace),
            poll_secs: secs(self.poll_interval),
            orphan_secs: secs(self.orphan_patience),
        };
        if self.settle < self.write_deadline * 2 || windows.send_secs() < 1 {
            return Err(WindowsError {
                settle_secs: self.settle.as_secs(),
                write_secs: self.write_deadline.as_secs(),
            });
        }
        Ok(windows)
    }

    /// The proxy, if one is configured.
    pub(crate) fn proxy(&self) -> Option<Proxy> {
        self.proxy.clone().map(|url| Proxy {
            url,
            no_proxy: self.no_proxy.clone(),
        })
    }

    /// Endpoints that are not derived from the region.
    pub(crate) fn endpoints(&self) -> Endpoints {
        let by_region = |endpoints: &[(String, Endpoint)]| -> HashMap<String, Endpoint> {
            endpoints.iter().cloned().collect()
        };
        Endpoints {
            swr: by_region(&self.swr_endpoints),
            iam: by_region(&self.iam_endpoints),
            sts: by_region(&self.sts_endpoints),
        }
    }

    /// Where accounts without a stored key get their credentials.
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            metadata_url: self.metadata_url.clone(),
            oidc_token_file: self.oidc_token_file.clone(),
            pod_identity: self.pod_identity(),
        }
    }

    /// CCE, not a person, gives these; what cannot be used stops only the accounts that need it.
    fn pod_identity(&self) -> Result<Option<(NodeUrl, PathBuf)>, String> {
        let (Some(url), Some(file)) = (&self.pod_identity_url, &self.pod_identity_token_file)
        else {
            return Ok(None);
        };
        let url = node_url(url)
            .map_err(|why| format!("HC_CONTAINER_CREDENTIALS_FULL_URI of this pod {why}"))?;
        Ok(Some((url, file.clone())))
    }
}

/// Whether kubectl asks what completes `kubectl swr`: it runs `kubectl_complete-swr` with the words so far.
pub(crate) fn completes() -> bool {
    is_called("kubectl_complete-swr")
}

/// Whether kubectl called us: it runs `kubectl-swr` for `kubectl swr`.
fn is_plugin() -> bool {
    is_called("kubectl-swr")
}

fn is_called(name: &str) -> bool {
    let called = std::env::args_os().next().map(PathBuf::from);
    called.is_some_and(|path| path.file_stem() == Some(OsStr::new(name)))
}

/// The command line, in which a variable that is set to nothing, or to blanks, counts as unset: that is how
/// manifests leave one out.
pub(crate) fn command() -> Command {
    without_empty(match is_plugin() {
        true => Cli::command().name("kubectl-swr").bin_name("kubectl swr"),
        false => Cli::command(),
    })
}

fn without_empty(command: Command) -> Command {
    let is_empty = |name: &OsStr| {
        let value = std::env::var_os(name);
        value.is_some_and(|value| value.to_string_lossy().trim().is_empty())
    };
    let command = command.mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
        true => arg.env(Resettable::Reset),
        false => arg,
    });
    command.mut_subcommands(without_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_settle_time_that_is_not_twice_a_write_is_refused() {
        let run = |settle: &str, write: &str| {
            let args = ["run", "--settle", settle, "--write-deadline", write];
            let cli = Cli::try_parse_from(["swr-operator"].iter().chain(&args)).expect("cli");
            match cli.verb {
                Verb::Run(args) => args.windows(),
                Verb::People(_)
                | Verb::Crd(_)
                | Verb::Probe(_)
                | Verb::Completions(_)
                | Verb::Man(_)
                | Verb::Version => {
                    panic!("another verb")
                }
            }
        };
        for (settle_secs, write_secs, is_taken) in
            [(40, 20, true), (39, 20, false), (3, 1, true), (2, 1, false)]
        {
            let windows = run(&format!("{settle_secs}s"), &format!("{write_secs}s"));
            let refused = windows.err();
            let wanted = WindowsError {
                settle_secs,
                write_secs,
            };
            assert_eq!(refused, (!is_taken).then_some(wanted));
        }
    }

    #[test]
    fn an_empty_installation_id_is_refused_because_everybody_would_share_it() {
        let run = |id: &str| {
            Cli::try_parse_from(["swr-operator", "run", "--installation-id", id]).is_ok()
        };
        assert_eq!((run("our-cluster"), run("")), (true, false));
    }
}
