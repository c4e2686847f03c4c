//! What a scrape reads. Names and labels are those that dashboards for controllers know
//! (`controller_runtime_*`, `workqueue_*`, `rest_client_*`, `process_*`), and `swr_*` for ours.
//! docs/metrics.md lists them all.

mod accounts;
mod controller;
mod objects;
mod requests;
mod text;

use std::sync::Arc;

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
}

/// What a scrape gets.
pub struct Exposition {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub text: String,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When the operating system tells nothing of the process.
    pub fn new() -> std::io::Result<Self> {
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
        kubert_prometheus_process::register(registry.sub_registry_with_prefix("process"))?;
        let controller = Controller::register(&mut registry);
        let objects = Objects::register(&mut registry);
        let accounts = Accounts::register(&mut registry);
        let swr = SwrRequests::register(&mut registry);
        let kubernetes = KubeRequests::register(&mut registry);
        Ok(Metrics {
            registry: Arc::new(registry),
            controller,
            objects,
            accounts,
            swr,
            kubernetes,
            read_only,
        })
    }

    /// The operator writes nothing to SWR.
    pub fn reads_only(&self) {
        self.read_only.set(1);
    }

    /// All of them, in the format that `accept` asks for: OpenMetrics, or Prometheus' own text.
    /// `None` if it cannot be made.
    pub fn exposition(&self, accept: &str) -> Option<Exposition> {
        let mut open = String::new();
        prometheus_client::encoding::text::encode(&mut open, &self.registry).ok()?;
        Some(if accept.contains("application/openmetrics-text") {
            Exposition {
                content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
                text: open,
            }
        } else {
            Exposition {
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                text: text::prometheus(&open),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_tells_version_and_process_in_either_format() {
        let metrics = Metrics::new().expect("metrics");
        for (accept, end) in [
            ("application/openmetrics-text; version=1.0.0", "# EOF\n"),
            ("text/plain", "\n"),
        ] {
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
}
