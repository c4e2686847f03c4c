//! Figures -> ratios to RAW and exponents of growth. Pure.

use super::report::{Exponent, Ratio, Report, Run, Workload};

/// Who keeps no promise and sets the floor.
pub(crate) const RAW: &str = "raw";

/// The profile whose figures are compared.
pub(crate) const COMPARED: &str = "unlimited";

/// Below this a figure of processor time is noise: a tick is 10 ms.
const CPU_S_MIN: f64 = 0.1;

/// Where both begin with the same request of the user. A start is more than RAW's list, and a new Secret waits for a poll.
const RACES: [&str; 4] = ["create", "edit", "one", "delete"];

impl Report {
    /// Fills what follows from the runs.
    pub fn derive(&mut self) {
        self.ratios = ratios(&self.runs);
        self.exponents = exponents(&self.runs);
    }
}

impl Run {
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|workload| workload.name == name)
    }
}

impl Workload {
    /// Of the contestant and the user, events among them.
    pub fn kubernetes_requests(&self) -> u64 {
        self.kubernetes.values().sum::<u64>() + self.events + self.user.values().sum::<u64>()
    }

    pub fn swr_requests(&self) -> u64 {
        self.swr.values().sum()
    }
}

fn ratios(runs: &[Run]) -> Vec<Ratio> {
    let compared = || runs.iter().filter(|run| run.profile == COMPARED);
    let mut ratios = Vec::new();
    for run in compared().filter(|run| run.contestant != RAW) {
        let Some(raw) = compared().find(|raw| raw.contestant == RAW && raw.n == run.n) else {
            continue;
        };
        for workload in &run.workloads {
            let Some(floor) = raw.workload(&workload.name) else {
                continue;
            };
            ratios.push(Ratio {
                contestant: run.contestant.clone(),
                n: run.n,
                workload: workload.name.clone(),
                wall: RACES
                    .contains(&workload.name.as_str())
                    .then(|| ratio(workload.wall_s, floor.wall_s))
                    .flatten(),
                apiserver_cpu: (floor.cpu_s.apiserver >= CPU_S_MIN)
                    .then(|| ratio(workload.cpu_s.apiserver, floor.cpu_s.apiserver))
                    .flatten(),
                kubernetes_requests: ratio(
                    float(workload.kubernetes_requests()),
                    float(floor.kubernetes_requests()),
                ),
            });
        }
    }
    ratios
}

fn ratio(figure: f64, floor: f64) -> Option<f64> {
    (floor > 0.0).then(|| rounded(figure / floor))
}

/// A figure that shall grow no faster than N.
struct Growing {
    name: &'static str,
    /// Of a smaller one nothing is said.
    least: f64,
    value: fn(&Workload) -> f64,
}

const GROWING: [Growing; 4] = [
    Growing {
        name: "operator CPU",
        least: CPU_S_MIN,
        value: |workload| workload.cpu_s.operator,
    },
    Growing {
        name: "API server CPU",
        least: CPU_S_MIN,
        value: |workload| workload.cpu_s.apiserver,
    },
    Growing {
        name: "Kubernetes requests",
        least: 1.0,
        value: |workload| float(workload.kubernetes_requests()),
    },
    Growing {
        name: "SWR requests",
        least: 1.0,
        value: |workload| float(workload.swr_requests()),
    },
];

const AT_REST: Growing = Growing {
    name: "RssAnon",
    least: 1.0,
    value: |workload| {
        let memory = workload.memory_kib;
        memory.map_or(0.0, |memory| float(memory.rss_anon))
    },
};

/// Where growth says something: these ask something for each object.
const GROWS: [&str; 5] = ["create", "edit", "start", "rotate", "delete"];

fn exponents(runs: &[Run]) -> Vec<Exponent> {
    let mut names: Vec<&str> = Vec::new();
    for run in runs.iter().filter(|run| run.profile == COMPARED) {
        if !names.contains(&run.contestant.as_str()) {
            names.push(&run.contestant);
        }
    }
    let mut exponents = Vec::new();
    for contestant in names {
        let mut enter = |workload: &str, growing: &Growing| {
            let of = |run: &Run| {
                Some((
                    float(run.n as u64),
                    (growing.value)(run.workload(workload)?),
                ))
            };
            let points: Vec<(f64, f64)> = runs
                .iter()
                .filter(|run| run.profile == COMPARED && run.contestant == contestant)
                .filter_map(of)
                .collect();
            if points.iter().any(|(_, figure)| *figure < growing.least) {
                return;
            }
            exponents.extend(exponent(&points).map(|power| Exponent {
                contestant: contestant.to_owned(),
                workload: workload.to_owned(),
                figure: growing.name.to_owned(),
                power: rounded(power),
            }));
        };
        for workload in GROWS {
            for growing in &GROWING {
                enter(workload, growing);
            }
        }
        enter("rest", &AT_REST);
    }
    exponents
}

/// The k of `cost = a + b N^k`. With two points a is taken as 0. None where there is nothing to fit.
pub(crate) fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    if points.iter().any(|(n, cost)| *n <= 0.0 || *cost <= 0.0) {
        return None;
    }
    match points {
        [] | [_] => None,
        [(n, cost), (more, costs)] => Some((costs / cost).ln() / (more / n).ln()),
        _ => {
            // 3 would be the cube of N; nobody grows like that and is measured at 10,000.
            let powers = (1..=300).map(|hundredths| f64::from(hundredths) / 100.0);
            let misfits = powers.map(|power| (power, misfit(points, power)));
            misfits
                .min_by(|(_, one), (_, other)| one.total_cmp(other))
                .map(|(power, _)| power)
        }
    }
}

/// The sum of squared relative errors of the best a and b for this k.
fn misfit(points: &[(f64, f64)], power: f64) -> f64 {
    // Least squares of cost/cost = a/cost + b N^k/cost, so that small N counts as much as great N.
    let rows = points
        .iter()
        .map(|(n, cost)| (1.0 / cost, n.powf(power) / cost));
    let (mut uu, mut uv, mut vv, mut u1, mut v1) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (u, v) in rows.clone() {
        uu += u * u;
        uv += u * v;
        vv += v * v;
        u1 += u;
        v1 += v;
    }
    let determinant = uu * vv - uv * uv;
    if determinant.abs() <= f64::EPSILON * uu * vv {
        return f64::INFINITY;
    }
    let a = (u1 * vv - v1 * uv) / determinant;
    let b = (v1 * uu - u1 * uv) / determinant;
    rows.map(|(u, v)| (a * u + b * v - 1.0).powi(2)).sum()
}

fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests fit in 52 bits"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::report::Cpu;
    use super::*;

    #[test]
    fn the_exponent_is_found_behind_a_constant() {
        let points = |a: f64, b: f64, k: f64| {
            [100.0, 1_000.0, 10_000.0].map(|n: f64| (n, a + b * n.powf(k)))
        };
        for (a, b, k) in [
            (0.0, 2.0, 1.0),
            (500.0, 2.0, 1.0),
            (30.0, 0.01, 1.41),
            (8.0, 1.0, 0.5),
        ] {
            let found = exponent(&points(a, b, k)).expect("an exponent");
            assert!((found - k).abs() < 0.011, "{a} + {b} N^{k}: {found}");
        }
        let two = exponent(&[(100.0, 3.0), (1_000.0, 60.0)]).expect("an exponent");
        assert!((two - 1.301).abs() < 0.001, "{two}");
        assert_eq!(exponent(&[(100.0, 3.0)]), None);
        assert_eq!(exponent(&[(100.0, 0.0), (1_000.0, 60.0)]), None);
    }

    #[test]
    fn a_ratio_is_to_raw_of_the_same_n() {
        let run = |contestant: &str, n: usize, wall_s: f64, requests: u64| Run {
            contestant: contestant.to_owned(),
            profile: COMPARED.to_owned(),
            n,
            workloads: vec![Workload {
                name: "create".to_owned(),
                wall_s,
                kubernetes: [("patch x".to_owned(), requests)].into(),
                cpu_s: Cpu {
                    apiserver: wall_s,
                    ..Cpu::default()
                },
                ..Workload::default()
            }],
            ..Run::default()
        };
        let runs = [
            run("raw", 100, 2.0, 300),
            run("raw", 10, 1.0, 30),
            run("ours", 100, 3.0, 330),
        ];
        assert_eq!(
            ratios(&runs),
            [Ratio {
                contestant: "ours".to_owned(),
                n: 100,
                workload: "create".to_owned(),
                wall: Some(1.5),
                apiserver_cpu: Some(1.5),
                kubernetes_requests: Some(1.1),
            }]
        );
    }
}
