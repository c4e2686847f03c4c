//! The page of a small report whole, and the page of this checkout against its own figures.

use std::fs;

use expect_test::expect;

use super::report::{Counts, Cpu, Latency, Memory, Run, Workload};
use super::*;

fn counts(pairs: &[(&str, u64)]) -> Counts {
    let owned = pairs.iter().map(|(what, n)| ((*what).to_owned(), *n));
    owned.collect()
}

fn create(wall_s: f64, patches: u64) -> Workload {
    Workload {
        name: "create".to_owned(),
        wall_s,
        latency_ms: Some(Latency {
            p50: 20.4,
            p99: 31.0,
            max: 40.0,
        }),
        kubernetes: counts(&[("patch replicationregistries/status", patches)]),
        user: counts(&[("create replicationregistries", 100)]),
        measured_s: wall_s + 1.0,
        cpu_s: Cpu {
            apiserver: 2.0 * wall_s,
            etcd: 0.5,
            client: 0.25,
            ..Cpu::default()
        },
        ..Workload::default()
    }
}

fn report() -> Report {
    let run = |contestant: &str, profile: Profile, workload: Workload| Run {
        contestant: contestant.to_owned(),
        profile: profile.name().to_owned(),
        n: 100,
        load_average: [0.5, 1.25],
        workloads: vec![workload],
        failures: Vec::new(),
    };
    let ours = Workload {
        events: 100,
        swr: counts(&[("CreateInstanceRegistry", 100)]),
        memory_kib: Some(Memory {
            rss: 20_480,
            rss_anon: 8_192,
            rss_peak: 22_528,
            rss_anon_peak: 9_216,
        }),
        ..create(3.0, 300)
    };
    let mut slow = run("ours", Profile::Delayed, ours.clone());
    slow.failures.push("edit: not within 60s".to_owned());
    let mut report = Report {
        started: "2026-11-26T12:00:00Z".to_owned(),
        versions: [("kubernetes".to_owned(), "v1.36.3".to_owned())].into(),
        runs: vec![
            run("raw", Profile::Unlimited, create(2.0, 200)),
            run("ours", Profile::Unlimited, ours),
            slow,
        ],
        ..Report::default()
    };
    report.derive();
    report
}

/// Below the introduction, which is the same for all figures.
#[test]
fn a_page_shows_all_figures_with_their_units() {
    let page = page::page(&report(), &[]);
    let (_, figures) = page
        .split_once("| This run")
        .expect("the introduction ends");
    expect![[r#"
         | |
        |---|---|
        | begun | 2026-11-26T12:00:00Z |
        | machine | 0 cores, ,  of memory, Linux  |
        | kubernetes | v1.36.3 |
        | load average around raw, 100 objects, unlimited | 0.5, 1.2 |
        | load average around ours, 100 objects, unlimited | 0.5, 1.2 |
        | load average around ours, 100 objects, delay-50ms | 0.5, 1.2 |

        ## 100 objects

        | Workload | Who | Wall, s | p50, ms | p99, ms | API server, CPU-s | etcd | operator | simulator | client |
        |---|---|---:|---:|---:|---:|---:|---:|---:|---:|
        | create | raw | 2.00 | 20 | 31 | 4.00 | 0.50 |  | 0.00 | 0.25 |
        | create | ours | 3.00 | 20 | 31 | 6.00 | 0.50 | 0.00 | 0.00 | 0.25 |

        | Divided by raw | Who | Wall | API server CPU | Kubernetes requests, user and events included |
        |---|---|---:|---:|---:|
        | create | ours | 1.50 | 1.50 | 1.67 |

        | Workload | Who | Kubernetes, per object | Kubernetes, all | events | refused | SWR |
        |---|---|---:|---|---:|---:|---|
        | create | raw | 2.000 | 200 patch rreg/status | 0 | 0 |  |
        | create | ours | 3.000 | 300 patch rreg/status | 100 | 0 | 100 CreateInstanceRegistry |

        ## Memory

        RssAnon is what the process allocated, RSS adds the pages of its file. The peak of RSS is the kernel's; that of RssAnon
        is sampled every 20 ms.

        After a rotation more is resident than after a start. Counted at the allocator with 4,000 objects, once the idle
        connections are closed (to SWR after 30 s, to Kubernetes after 90 s): 0.8 MiB more are in use and 6 MiB more are
        resident. The difference is memory that musl's allocator keeps, because it is free between small pieces still in use.

        | Who | Objects | After | RssAnon, MiB | RSS, MiB | peak of RssAnon | peak of RSS |
        |---|---:|---|---:|---:|---:|---:|
        | ours | 100 | create | 8.0 | 20.0 | 9.0 | 22.0 |

        ## A slow SWR, and the default limits

        `delay-50ms`: SWR takes 50 ms for each request, limits off. `default-limits`: no delay, 10 requests a second.

        | Profile | Objects | Workload | Wall, s | p50, ms | p99, ms | SWR |
        |---|---:|---|---:|---:|---:|---|
        | delay-50ms | 100 | create | 3.00 | 20 | 31 | 100 CreateInstanceRegistry |

        Not measured, ours: edit: not within 60s.
    "#]].assert_eq(figures);
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let text = json(&report()).expect("JSON");
    let read: Report = serde_json::from_str(&text).expect("the same");
    assert_eq!(read, report());
}

#[test]
fn the_page_of_this_checkout_is_that_of_its_figures() {
    let folder = environment::checkout();
    let figures = folder.join(page::FOLDER).join(page::FIGURES);
    let text = fs::read_to_string(figures).expect("the figures");
    let report: Report = serde_json::from_str(&text).expect("figures");
    for (path, text) in rendered(&report).expect("a page") {
        let written = fs::read_to_string(folder.join(&path)).unwrap_or_default();
        assert!(
            written == text,
            "{path} is older than the figures: cargo dev bench --render {}/{}",
            page::FOLDER,
            page::FIGURES
        );
    }
}
