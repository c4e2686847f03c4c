//! The figures of one `cargo dev bench`, as its JSON file has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Requests by what they ask for: `patch replicationregistries/status`, or SWR's name of an operation.
pub type Counts = BTreeMap<String, u64>;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Report {
    pub started: String,
    pub machine: Machine,
    /// Of what was measured: `operator`, `kubernetes`, `commit` and so on.
    pub versions: BTreeMap<String, String>,
    pub settings: Settings,
    pub runs: Vec<Run>,
    /// Follows from the runs, as does what comes after it.
    #[serde(default)]
    pub ratios: Vec<Ratio>,
    #[serde(default)]
    pub exponents: Vec<Exponent>,
}

/// A figure divided by RAW's at the same N. Absent where RAW has none.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ratio {
    pub contestant: String,
    pub n: usize,
    pub workload: String,
    pub wall: Option<f64>,
    pub apiserver_cpu: Option<f64>,
    /// The user's own and events included.
    pub kubernetes_requests: Option<f64>,
}

/// The k of `figure = a + b N^k` over all N.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Exponent {
    pub contestant: String,
    pub workload: String,
    pub figure: String,
    pub power: f64,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub memory: String,
    pub kernel: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Settings {
    /// Of the client that plays the user, and of RAW.
    pub connections: usize,
    pub rest_s: u64,
    /// How many objects are created one after the other beside N idle ones.
    pub n_single: usize,
}

/// One contestant, one N, one profile of SWR.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Run {
    /// `raw`, `ours`, `baseline`, or the name of a peer.
    pub contestant: String,
    pub profile: String,
    pub n: usize,
    /// Of the last minute, before the first and after the last workload.
    pub load_average: [f64; 2],
    pub workloads: Vec<Workload>,
    /// Why a workload is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Workload {
    pub name: String,
    /// From the first request of the user (or the start of the operator) to the last object that is as wanted.
    pub wall_s: f64,
    /// Per object, from the user's request to the object as wanted. Absent where no request of the user is per object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latency>,
    /// For `rotate`: from the change of the Secret to the first request to SWR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noticed_s: Option<f64>,
    /// Of the contestant, without events.
    pub kubernetes: Counts,
    pub events: u64,
    /// Of the contestant, answered with 400 and above; they are among the others, too.
    pub refused: u64,
    /// Of the user.
    pub user: Counts,
    pub swr: Counts,
    /// From the begin of the workload until the contestant is quiet again.
    pub measured_s: f64,
    pub cpu_s: Cpu,
    /// Absent for RAW, which is part of the harness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_kib: Option<Memory>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// User and system time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Cpu {
    pub operator: f64,
    pub apiserver: f64,
    pub etcd: f64,
    pub simulator: f64,
    /// The harness: the user, RAW and the observer.
    pub client: f64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Memory {
    /// When the contestant is quiet again.
    pub rss: u64,
    pub rss_anon: u64,
    pub rss_peak: u64,
    pub rss_anon_peak: u64,
}

impl Latency {
    /// None for no samples.
    pub fn of(mut samples_ms: Vec<f64>) -> Option<Self> {
        samples_ms.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (samples_ms.len() * percent).div_ceil(100).max(1);
            let sample = samples_ms.get(rank - 1)?;
            // To a thousandth: a microsecond.
            Some((sample * 1000.0).round() / 1000.0)
        };
        Some(Self {
            p50: at(50)?,
            p99: at(99)?,
            max: at(100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_sample_at_its_rank() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let latency = Latency::of(samples).expect("samples");
        assert_eq!(
            latency,
            Latency {
                p50: 100.0,
                p99: 198.0,
                max: 200.0
            }
        );
        assert_eq!(Latency::of(vec![]), None);
    }
}
