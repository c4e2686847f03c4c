//! What a scrape reads. Names and labels are those that dashboards for controllers know
//! (`controller_runtime_*`, `workqueue_*`, `rest_client_*`, `process_*`), and `swr_*` for ours.
//! docs/metrics.md lists them all.

mod accounts;
mod controller;
mod objects;
mod process;
mod requests;

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use self::accounts::{AccountMeter, Accounts};
pub use self::controller::{Controller, Outcome, Waiting};
pub use self::objects::{Objects, OfInstance, Shown};
pub use self::requests::{KubeRequests, SwrRequests};

/// Of the binary's source, if whoever built it said so.
const REVISION: &str = match option_env!("SWR_OPERATOR_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The metrics of this process. A clone is another handle on them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Of the loop and its queue.
    pub controller: Controller,
    /// Of every object and account that is watched.
    pub objects: Objects,
    /// Of every account that is used.
    pub accounts: Accounts,
    /// Of requests to SWR and IAM.
    pub swr: SwrRequests,
    /// Of requests to the API server.
    pub kubernetes: KubeRequests,
    read_only: Gauge,
    leader: Family<LeaseLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabel {
    name: String,
}

/// What a scrape gets.
pub struct Exposition {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub text: String,
}

impl Default for Metrics {
    /// Registers them.
    fn default() -> Self {
        let mut registry = Registry::default();
        let build = Info::new(vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", REVISION),
        ]);
        registry.register("swr_build", "Version of the operator", build);
        let read_only = Gauge::default();
        registry.register(
            "swr_read_only",
            "1 if the operator runs with --read-only, else 0",
            read_only.clone(),
        );
        let leader = Family::default();
        registry.register(
            "leader_election_master_status",
            "1 if this process works, because it holds the lease or runs without one; 0 while it waits",
            leader.clone(),
        );
        process::register(&mut registry);
        let controller = Controller::register(&mut registry);
        let objects = Objects::register(&mut registry);
        let accounts = Accounts::register(&mut registry);
        let swr = SwrRequests::register(&mut registry);
        let kubernetes = KubeRequests::register(&mut registry);
        Metrics {
            registry: Arc::new(registry),
            controller,
            objects,
            accounts,
            swr,
            kubernetes,
            read_only,
            leader,
        }
    }
}

impl Metrics {
    /// The operator writes nothing to SWR.
    pub fn reads_only(&self) {
        self.read_only.set(1);
    }

    /// Whether this process leads, by the lease of this name if there is one.
    pub fn leads(&self, lease: &str, leads: bool) {
        let name = lease.to_owned();
        let leader = self.leader.get_or_create(&LeaseLabel { name });
        leader.set(i64::from(leads));
    }

    /// All of them, in the format that `accept` asks for: OpenMetrics, or Prometheus' own text.
    /// `None` if it cannot be made.
    pub fn exposition(&self, accept: &str) -> Option<Exposition> {
        let mut exposed = String::new();
        let content_type = if accept.contains("application/openmetrics-text") {
            text::encode(&mut exposed, &self.registry).ok()?;
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            prometheus_text::encode(&mut exposed, &self.registry).ok()?;
            prometheus_text::CONTENT_TYPE
        };
        Some(Exposition {
            content_type,
            text: exposed,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use swr_operator_api::{Condition, ConditionStatus};

    use super::*;

    const FORMATS: [(&str, &str); 2] = [
        ("application/openmetrics-text; version=1.0.0", "# EOF\n"),
        ("text/plain", "\n"),
    ];

    #[test]
    fn a_scrape_tells_version_and_process_in_either_format() {
        let metrics = Metrics::default();
        for (accept, end) in FORMATS {
            let text = metrics.exposition(accept).expect("text").text;
            assert!(text.ends_with(end), "{text}");
            for name in [
                "swr_build_info{version=",
                "swr_read_only 0",
                "process_cpu_seconds_total",
                "process_resident_memory_bytes",
                "process_open_fds",
                "workqueue_depth{name=\"replicationregistry\"} 0",
            ] {
                assert!(text.contains(name), "{name} is missing in:\n{text}");
            }
        }
    }

    #[test]
    fn anybody_may_write_a_quote_into_a_status_and_the_scrape_stays_whole() {
        let metrics = Metrics::default();
        metrics.accounts.meter("quote\" backslash\\ line\n");
        let condition = Condition {
            type_: "Ready".to_owned(),
            status: ConditionStatus::False,
            reason: "\"} 1\n\\".to_owned(),
            message: String::new(),
            last_transition_time: Timestamp::UNIX_EPOCH,
            observed_generation: None,
        };
        metrics.objects.account_shown("cloud", &[condition]);
        for (accept, _) in FORMATS {
            let text = metrics.exposition(accept).expect("text").text;
            for line in [
                r#"swr_api_circuit_open{account="quote\" backslash\\ line\n"} 0"#,
                r#"swr_resource_condition{kind="SwrAccount",namespace="",name="cloud",type="Ready",status="False",reason="\"} 1\n\\"} 1"#,
            ] {
                assert!(
                    text.lines().any(|known| known == line),
                    "{line} is missing in:\n{text}"
                );
            }
        }
    }
}
