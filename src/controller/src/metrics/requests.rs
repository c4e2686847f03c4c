//! Requests to SWR and to the API server: how many, how they ended, how long they took.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// SWR publishes no list of its codes. Those that come first have series of their own; whatever
/// else the cloud invents shares one.
const CODES_MAX: usize = 32;

/// Requests to SWR and IAM.
#[derive(Clone)]
pub struct SwrRequests {
    total: Family<SwrLabels, Counter>,
    duration: Family<OperationLabel, Histogram, fn() -> Histogram>,
    codes: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwrLabels {
    operation: &'static str,
    code: String,
    error_code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

impl Default for SwrRequests {
    fn default() -> Self {
        SwrRequests {
            total: Family::default(),
            duration: Family::new_with_constructor(|| {
                Histogram::new([
                    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0,
                ])
            }),
            codes: Arc::default(),
        }
    }
}

impl SwrRequests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = SwrRequests::default();
        registry.register(
            "swr_api_requests",
            "Requests to SWR and IAM by operation, HTTP status (none without an answer) and error code of the cloud",
            requests.total.clone(),
        );
        registry.register(
            "swr_api_request_duration_seconds",
            "Time from sending a request to SWR or IAM to the end of its answer",
            requests.duration.clone(),
        );
        requests
    }

    fn bounded(&self, code: &str) -> String {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.contains(code) {
            return code.to_owned();
        }
        if codes.len() >= CODES_MAX {
            return "other".to_owned();
        }
        codes.insert(code.to_owned());
        code.to_owned()
    }
}

impl swr_operator_swr::ObserveRequests for SwrRequests {
    fn ended(
        &self,
        operation: &'static str,
        status: Option<u16>,
        error_code: Option<&str>,
        took: Duration,
    ) {
        let labels = SwrLabels {
            operation,
            code: status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
            error_code: error_code.map_or_else(String::new, |code| self.bounded(code)),
        };
        self.total.get_or_create(&labels).inc();
        self.duration
            .get_or_create(&OperationLabel { operation })
            .observe(took.as_secs_f64());
    }
}

/// Requests to the API server.
#[derive(Clone, Default)]
pub struct KubeRequests {
    total: Family<KubeLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KubeLabels {
    code: String,
    method: String,
    host: String,
}

impl KubeRequests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = KubeRequests::default();
        registry.register(
            "rest_client_requests",
            "Requests to the API server by HTTP status (<error> without an answer), method and host",
            requests.total.clone(),
        );
        requests
    }
}

impl swr_operator_kube::ObserveRequests for KubeRequests {
    fn ended(&self, host: &str, method: &str, status: Option<u16>) {
        let labels = KubeLabels {
            // client-go's word.
            code: status.map_or_else(|| "<error>".to_owned(), |status| status.to_string()),
            method: method.to_owned(),
            host: host.to_owned(),
        };
        self.total.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_the_cloud_invents_share_one_series_after_a_while() {
        let requests = SwrRequests::default();
        let named: BTreeSet<String> = (0..100).map(|n| requests.bounded(&n.to_string())).collect();
        assert_eq!(named.len(), CODES_MAX + 1);
        assert!(named.contains("other"));
        assert_eq!(requests.bounded("7"), "7");
    }
}
