//! promtool, the checker that comes with Prometheus: cached, or built from the Go module `tests/promtool`.

use std::path::PathBuf;

use crate::Error;
use crate::gomodule::{GoModule, Recipe};

/// Finds or builds it. A build takes minutes and shows progress on stderr.
pub fn provide() -> Result<PathBuf, Error> {
    let built = GoModule::read("promtool", &[])?.provide(&Recipe {
        what: "promtool",
        advice: "install Go 1.26 (https://go.dev/dl)",
        packages: &["github.com/prometheus/prometheus/cmd/promtool"],
        // docs/metrics.md finds its targets by Kubernetes; the clients of two dozen clouds are of no use here.
        tags: "remove_all_sd,enable_kubernetes_sd",
        mode: "readonly",
        ldflags: "",
    })?;
    Ok(built.join("promtool"))
}
