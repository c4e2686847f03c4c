//! Figures -> `docs/performance.md` and its plots. Pure: the same figures give the same page.

use std::fmt::Write as _;

use super::derive::{COMPARED, RAW, float};
use super::plot::{Line, Plot, thousands};
use super::report::{Counts, Latency, Ratio, Report, Run, Workload};

/// Where the page and the plots are, seen from the checkout.
pub(crate) const PAGE: &str = "docs/performance.md";
pub(crate) const FOLDER: &str = "docs/performance";
/// The figures that the page shows, below [`FOLDER`].
pub(crate) const FIGURES: &str = "bench.json";

/// The whole page.
pub(crate) fn page(report: &Report, plots: &[&Plot]) -> String {
    let mut text = INTRODUCTION.to_owned();
    setting(&mut text, report);
    if !plots.is_empty() {
        text += "\n## At a glance\n";
        for plot in plots {
            let _ = write!(
                text,
                "\n![{}, {}](performance/{})\n",
                plot.title, plot.figure, plot.file
            );
        }
    }
    for n in ns(report) {
        let runs: Vec<&Run> = compared(report).filter(|run| run.n == n).collect();
        let _ = write!(text, "\n## {} objects\n", thousands(n));
        text += &times(&runs);
        text += &to_raw(report, n);
        text += &requests(&runs);
        text += &failures(&runs);
    }
    text += &memory(report);
    text += &growth(report);
    text += &slow(report);
    text
}

const INTRODUCTION: &str = "\
# Performance

Written by `cargo dev bench --render`; do not edit. `cargo dev bench` measures on your machine: a real kube-apiserver and
etcd, the simulator of SWR, the operator as it ships, all on the same cores. Times depend on the machine and on what else
it does, so compare them within one run only. Requests do not depend on it; tests hold them (`cargo dev test`).

`raw` is the floor: a plain client that does nothing but the unavoidable Kubernetes requests over the same eight
connections: three writes after a create (finalizer, intent, result), a read and a write after an edit or a new Secret, a
read and a write after a delete, one paged list at the start. It asks nothing of SWR.

| Workload | From | To |
|---|---|---|
| create | the first create of the user, eight connections | the last object Ready, as a watch sees it |
| edit | the first edit of `description` | the last object Ready for its new generation |
| start | the operator, killed with all objects in sync, starts again | its last request to SWR; then it is quiet |
| rotate | the first write to SWR after the one Secret of all objects changed | the last one |
| rest | nothing happens, and the poll interval is 60 s | |
| one | one object is created beside N idle ones, 100 times in a row | each Ready |
| delete | the first delete of the user | the last object gone |

Processor time is user and system time in seconds, from the begin of the workload until the operator is quiet again, so
trailing events and lists count; of rotate, from the poll on that notices the Secret. The client is the bench itself:
user, `raw` and observer. Requests come from the audit log of kube-apiserver (level Metadata, for everybody) and from the
journal of the simulator. The limits of the account are as high as they can be: 1,000 requests a second, 64 at once.
";

fn setting(text: &mut String, report: &Report) {
    let machine = &report.machine;
    let _ = write!(
        text,
        "\n| This run | |\n|---|---|\n| begun | {} |\n",
        report.started
    );
    let _ = writeln!(
        text,
        "| machine | {} cores, {}, {} of memory, Linux {} |",
        machine.cores, machine.processor, machine.memory, machine.kernel
    );
    for (name, version) in &report.versions {
        let (name, version) = match name.as_str() {
            "operator_bytes" => (
                "size of the operator's binary",
                format!("{} bytes", thousands(version)),
            ),
            name => (name, version.clone()),
        };
        let _ = writeln!(text, "| {name} | {version} |");
    }
    for run in &report.runs {
        let [before, after] = run.load_average;
        let _ = writeln!(
            text,
            "| load average around {}, {} objects, {} | {before:.1}, {after:.1} |",
            run.contestant,
            thousands(run.n),
            run.profile
        );
    }
}

fn compared(report: &Report) -> impl Iterator<Item = &Run> {
    report.runs.iter().filter(|run| run.profile == COMPARED)
}

fn ns(report: &Report) -> Vec<usize> {
    let mut ns: Vec<usize> = compared(report).map(|run| run.n).collect();
    ns.sort_unstable();
    ns.dedup();
    ns
}

/// In the order in which they were measured, by workload first.
fn by_workload<'a>(runs: &[&'a Run]) -> Vec<(&'a Run, &'a Workload)> {
    const ORDER: [&str; 7] = ["create", "edit", "start", "rotate", "rest", "one", "delete"];
    let mut rows = Vec::new();
    for name in ORDER {
        rows.extend(
            runs.iter()
                .filter_map(|run| Some((*run, run.workload(name)?))),
        );
    }
    rows
}

fn times(runs: &[&Run]) -> String {
    let mut text = "
| Workload | Who | Wall, s | p50, ms | p99, ms | API server, CPU-s | etcd | operator | simulator | client |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
"
    .to_owned();
    for (run, workload) in by_workload(runs) {
        let cpu = &workload.cpu_s;
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {} | {} | {:.2} | {:.2} | {} | {:.2} | {:.2} |",
            workload.name,
            run.contestant,
            workload.wall_s,
            milliseconds(workload, |latency| latency.p50),
            milliseconds(workload, |latency| latency.p99),
            cpu.apiserver,
            cpu.etcd,
            if run.contestant == RAW {
                String::new()
            } else {
                format!("{:.2}", cpu.operator)
            },
            cpu.simulator,
            cpu.client,
        );
    }
    for (run, workload) in by_workload(runs) {
        if let Some(noticed) = workload.noticed_s {
            let _ = write!(
                text,
                "\n{} noticed the new Secret after {noticed:.0} s.\n",
                run.contestant
            );
        }
    }
    text
}

fn milliseconds(workload: &Workload, of: fn(&Latency) -> f64) -> String {
    let latency = workload.latency_ms.as_ref();
    latency.map_or_else(String::new, |latency| format!("{:.0}", of(latency)))
}

fn to_raw(report: &Report, n: usize) -> String {
    let ratios: Vec<&Ratio> = report.ratios.iter().filter(|ratio| ratio.n == n).collect();
    if ratios.is_empty() {
        return String::new();
    }
    let mut text = "
| Divided by raw | Who | Wall | API server CPU | Kubernetes requests, user and events included |
|---|---|---:|---:|---:|
"
    .to_owned();
    let shown = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    for ratio in ratios {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            ratio.workload,
            ratio.contestant,
            shown(ratio.wall),
            shown(ratio.apiserver_cpu),
            shown(ratio.kubernetes_requests),
        );
    }
    text
}

fn requests(runs: &[&Run]) -> String {
    let mut text = "
| Workload | Who | Kubernetes, per object | Kubernetes, all | events | refused | SWR |
|---|---|---:|---|---:|---:|---|
"
    .to_owned();
    for (run, workload) in by_workload(runs) {
        let n_all = workload.kubernetes.values().sum::<u64>();
        let _ = writeln!(
            text,
            "| {} | {} | {:.3} | {} | {} | {} | {} |",
            workload.name,
            run.contestant,
            float(n_all) / float(objects_of(run, workload)),
            listed(&workload.kubernetes),
            thousands(workload.events),
            thousands(workload.refused),
            listed(&workload.swr),
        );
    }
    text
}

/// Of `one`, the user creates fewer than N.
fn objects_of(run: &Run, workload: &Workload) -> u64 {
    let created: u64 = workload.user.values().sum();
    match workload.name.as_str() {
        "one" if created > 0 => created,
        _ => run.n as u64,
    }
}

/// `300 patch rreg, 1 watch rreg`; the short name is that of the CRD.
fn listed(counts: &Counts) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(what, n)| {
            let what = what.replace("replicationregistries", "rreg");
            format!("{} {what}", thousands(n))
        })
        .collect();
    parts.join(", ")
}

fn failures(runs: &[&Run]) -> String {
    let mut text = String::new();
    for run in runs {
        for why in &run.failures {
            let line = why.lines().next().unwrap_or_default();
            let _ = write!(text, "\nNot measured, {}: {line}.\n", run.contestant);
        }
    }
    text
}

fn memory(report: &Report) -> String {
    let mut text = "
## Memory

RssAnon is what the process allocated, RSS adds the pages of its file. The peak of RSS is the kernel's; that of RssAnon
is sampled every 20 ms.

After a rotation more is resident than after a start. Counted at the allocator with 4,000 objects, once the idle
connections are closed (to SWR after 30 s, to Kubernetes after 90 s): 0.8 MiB more are in use and 6 MiB more are
resident. The difference is memory that musl's allocator keeps, because it is free between small pieces still in use.

| Who | Objects | After | RssAnon, MiB | RSS, MiB | peak of RssAnon | peak of RSS |
|---|---:|---|---:|---:|---:|---:|
"
    .to_owned();
    for run in compared(report) {
        for workload in ["create", "start", "rest"]
            .iter()
            .filter_map(|name| run.workload(name))
        {
            let Some(memory) = workload.memory_kib else {
                continue;
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                run.contestant,
                thousands(run.n),
                workload.name,
                mib(memory.rss_anon),
                mib(memory.rss),
                mib(memory.rss_anon_peak),
                mib(memory.rss_peak),
            );
        }
    }
    text
}

fn mib(kib: u64) -> String {
    format!("{:.1}", float(kib) / 1024.0)
}

fn growth(report: &Report) -> String {
    if report.exponents.is_empty() {
        return String::new();
    }
    let n = ns(report);
    let mut text = format!(
        "
## Growth

The k of `figure = a + b N^k` over N = {}. With two N, a is taken as 0, and a figure with a constant part shows a k
that is too small.

| Workload | Who | Figure | k |
|---|---|---|---:|
",
        n.iter().map(thousands).collect::<Vec<_>>().join("; ")
    );
    for exponent in &report.exponents {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} |",
            exponent.workload, exponent.contestant, exponent.figure, exponent.power
        );
    }
    text
}

fn slow(report: &Report) -> String {
    let runs: Vec<&Run> = report
        .runs
        .iter()
        .filter(|run| run.profile != COMPARED)
        .collect();
    if runs.is_empty() {
        return String::new();
    }
    let mut text = "
## A slow SWR, and the default limits

`delay-50ms`: SWR takes 50 ms for each request, limits off. `default-limits`: no delay, 10 requests a second.

| Profile | Objects | Workload | Wall, s | p50, ms | p99, ms | SWR |
|---|---:|---|---:|---:|---:|---|
"
    .to_owned();
    for run in &runs {
        for workload in &run.workloads {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {} | {} | {} |",
                run.profile,
                thousands(run.n),
                workload.name,
                workload.wall_s,
                milliseconds(workload, |latency| latency.p50),
                milliseconds(workload, |latency| latency.p99),
                listed(&workload.swr),
            );
        }
    }
    text += &failures(&runs);
    text
}

/// The plots of the page.
pub(crate) fn plots(report: &Report) -> Vec<Plot> {
    let lines = |workload: &str, figure: fn(&Workload) -> f64| {
        let mut lines: Vec<Line> = Vec::new();
        for n in ns(report) {
            for run in compared(report).filter(|run| run.n == n) {
                let Some(workload) = run.workload(workload) else {
                    continue;
                };
                let point = (float(n as u64), figure(workload));
                match lines.iter_mut().find(|line| line.name == run.contestant) {
                    Some(line) => line.points.push(point),
                    None => lines.push(Line {
                        name: run.contestant.clone(),
                        points: vec![point],
                    }),
                }
            }
        }
        lines.retain(|line| line.points.iter().any(|point| point.1 > 0.0));
        lines
    };
    let anon = |workload: &Workload| {
        workload
            .memory_kib
            .map_or(0.0, |memory| float(memory.rss_anon) / 1024.0)
    };
    vec![
        Plot {
            file: "create-wall.svg",
            title: "Create: from the first request to the last Ready",
            figure: "seconds",
            lines: lines("create", |workload| workload.wall_s),
        },
        Plot {
            file: "create-apiserver.svg",
            title: "Create: processor time of the API server",
            figure: "CPU seconds",
            lines: lines("create", |workload| workload.cpu_s.apiserver),
        },
        Plot {
            file: "create-operator.svg",
            title: "Create: processor time of the operator",
            figure: "CPU seconds",
            lines: lines("create", |workload| workload.cpu_s.operator),
        },
        Plot {
            file: "create-swr.svg",
            title: "Create: requests to SWR",
            figure: "requests",
            lines: lines("create", |workload| float(workload.swr_requests())),
        },
        Plot {
            file: "rest-memory.svg",
            title: "At rest: what the operator allocated",
            figure: "RssAnon, MiB",
            lines: lines("rest", anon),
        },
        Plot {
            file: "one-p99.svg",
            title: "One object beside N idle ones: create to Ready, 99th percentile",
            figure: "milliseconds",
            lines: lines("one", |workload| {
                workload.latency_ms.map_or(0.0, |latency| latency.p99)
            }),
        },
    ]
}
