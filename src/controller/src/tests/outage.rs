//! SWR is away for six hours, while people go on: for an account with several hundred objects it is asked once a minute
//! whether it is back, and when it is, everything becomes as it was asked for as quickly as the account's rate allows.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use swr_operator_clock as clock;
use swr_operator_core::time;

use super::site::{BURST, RATE, Sent, Site};

const OBJECTS: usize = 300;
/// Each in its own hour of the outage: how SWR is away, and what a probe is then.
const WAYS: [&str; 3] = [
    r#"{"kind": "status", "status": 503}"#,
    r#"{"kind": "reset"}"#,
    r#"{"kind": "hang"}"#,
];
const OUTAGE: SignedDuration = SignedDuration::from_hours(6);
/// Between two things that somebody does in the meantime.
const STEP: SignedDuration = SignedDuration::from_secs(90);
/// Until then, the waits between two LISTs grow.
const AT_FIRST: SignedDuration = SignedDuration::from_mins(5);
const LISTS_PER_HOUR_MAX: usize = 60;
/// Whether the instance runs and what it may hold, asked each half hour.
const QUESTIONS_PER_HOUR: usize = 4;
/// A minute lies between two tries, and a try takes a moment.
const NOTICED_SECS_MAX: f64 = 62.0;

fn name(n: usize) -> String {
    format!("harbor-{n:04}")
}

fn secs(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// What SWR says to everything from now on; `None` as it should.
fn says(site: &Site, way: Option<&str>) {
    site.server.with(|simulator, _| {
        simulator.faults.clear();
        if let Some(way) = way {
            let fault = serde_json::from_str(way).expect("a fault");
            simulator.faults.add(fault).expect("a fault");
        }
    });
}

/// Somebody edits a registry in the console.
fn drifts(site: &Site, name: &str) {
    let held = site.truth().into_iter().find(|held| held["name"] == name);
    let Some(mut body) = held else {
        return;
    };
    let id = body["id"].as_i64().expect("an id");
    for field in ["id", "status", "created_at", "updated_at"] {
        body.as_object_mut().expect("a registry").remove(field);
    }
    body["url"] = json!("https://drift.example.com");
    let bytes = body.to_string();
    let edited = site.server.with(|simulator, now| {
        let instance = site.instance_id();
        let world = &mut simulator.world;
        world.console_update(instance, id, bytes.as_bytes(), now)
    });
    edited.expect("an edit");
}

/// Whether SWR holds what the objects ask for, and each says so.
fn is_right(site: &Site) -> bool {
    let names = site.kubernetes.names();
    let truth = site.truth();
    names.iter().all(|name| site.is_ready(name))
        && truth.len() == names.len()
        && truth.iter().all(|held| {
            let name = held["name"].as_str().unwrap_or_default();
            held["url"] == format!("https://{name}.example.com")
        })
}

/// The most requests that were sent within such a span.
fn busiest(sent: &[Sent], span: SignedDuration) -> usize {
    let mut times: Vec<Timestamp> = sent.iter().map(|sent| sent.at).collect();
    times.sort_unstable();
    let within = |(n, from): (usize, &Timestamp)| {
        let end = time::after_span(*from, span);
        times[n..].partition_point(|at| *at < end)
    };
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn after_six_hours_without_swr_all_is_right_as_quickly_as_the_rate_allows() {
    let site = Site::start().await;
    let begun = clock::now();
    for n in 0..OBJECTS {
        site.create(&name(n));
    }
    let soon = clock::after(Duration::from_mins(10));
    site.work(soon, is_right).await;
    assert!(is_right(&site), "not made in ten minutes");
    site.work(clock::after(Duration::from_mins(20)), |_| false)
        .await;

    // Each of ninety seconds, somebody edits, creates, deletes, or changes something in the console.
    let away = clock::now();
    let back = time::after_span(away, OUTAGE);
    let (mut edited, mut created, mut deleted, mut drifted) = (0, 0, 0_usize, 0);
    let mut n = 0;
    while clock::now() < back {
        let hours = usize::try_from(clock::now().duration_since(away).as_hours()).expect("few");
        says(&site, Some(WAYS[hours % WAYS.len()]));
        match n % 8 {
            0..=3 => {
                site.describe(&name(n), "second");
                edited += 1;
            }
            4 => {
                site.create(&name(OBJECTS + n));
                created += 1;
            }
            5 => {
                site.delete(&name(n));
                deleted += 1;
            }
            _ => {
                drifts(&site, &name(n));
                drifted += 1;
            }
        }
        n += 1;
        let next = time::after_span(clock::now(), STEP).min(back);
        site.work(next, |_| false).await;
    }
    says(&site, None);
    let probes = site.sent_since(time::after_span(away, AT_FIRST));
    let mut hours = Vec::new();
    for hour in 0..6 {
        let from = time::after_span(away, SignedDuration::from_hours(hour));
        let to = time::after_span(from, SignedDuration::from_hours(1));
        let within = probes.iter().filter(|it| it.at >= from && it.at < to);
        let (lists, others): (Vec<&Sent>, Vec<&Sent>) =
            within.partition(|it| it.operation == "list");
        hours.push((lists.len(), others.len()));
    }

    let back = clock::now();
    site.work(clock::after(Duration::from_mins(30)), is_right)
        .await;
    let right = clock::now();
    assert!(is_right(&site), "not right half an hour later");
    let sent = site.sent_since(back);
    let first = sent
        .iter()
        .filter(|sent| sent.went_well)
        .map(|sent| sent.at);
    let noticed_secs = secs(back, first.min().expect("an answer"));
    let took_secs = secs(back, right);
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let may_take = NOTICED_SECS_MAX + 1.1 * sent.len() as f64 / RATE;
    let count = |operation: &str| sent.iter().filter(|it| it.operation == operation).count();
    let told = format!(
        "{edited} edits, {created} creates, {deleted} deletions, {drifted} drifts; LISTs and others by hour {hours:?}; \
         noticed after {noticed_secs:.0} s, right after {took_secs:.0} s with {} requests ({} list, {} show, {} create, \
         {} update, {} delete), may take {may_take:.0} s",
        sent.len(),
        count("list"),
        count("show"),
        count("create"),
        count("update"),
        count("delete"),
    );
    let all = site.sent_since(begun);
    let in_ten_secs = busiest(&all, SignedDuration::from_secs(10));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    let in_ten_secs_max = BURST as usize + (10.0 * RATE) as usize;
    assert!(
        in_ten_secs <= in_ten_secs_max,
        "{in_ten_secs} in ten seconds; {told}"
    );
    // A deletion asks for its registry once, and then waits with the others.
    let others_max = QUESTIONS_PER_HOUR + deleted.div_ceil(6);
    let is_quiet =
        |(lists, others): &(usize, usize)| *lists <= LISTS_PER_HOUR_MAX && *others <= others_max;
    assert!(hours.iter().all(is_quiet), "{told}");
    assert!(noticed_secs <= NOTICED_SECS_MAX, "{told}");
    assert!(took_secs <= may_take, "{told}");
    // What is needed: one write for each change and each undone drift, a SHOW before each, and reads that all share.
    assert_eq!(
        (count("create"), count("delete"), count("update")),
        (created, deleted, edited + drifted),
        "{told}"
    );
}
