//! What a scrape reads. So far of the process alone: memory, CPU, descriptors, start.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The media type of what [`Metrics::encode`] gives.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of this process.
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When the operating system tells nothing of the process.
    pub fn new() -> std::io::Result<Self> {
        let mut registry = Registry::default();
        registry.register(
            "swr_build",
            "Version of the operator",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        kubert_prometheus_process::register(registry.sub_registry_with_prefix("process"))?;
        Ok(Metrics { registry })
    }

    /// As text, in the OpenMetrics format; `None` if it cannot be made.
    pub fn encode(&self) -> Option<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_tells_version_and_process() {
        let text = Metrics::new().expect("metrics").encode().expect("text");
        for name in [
            "swr_build_info{version=",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
        ] {
            assert!(text.contains(name), "{name} is missing in:\n{text}");
        }
    }
}
