//! kill -9 before and after every request that a create, an update, a rotation, an adoption and a
//! deletion make, and SIGTERM while any request of a create to the API server hangs. The requests are those that a run
//! without a kill was seen to make, so a new one is killed, too.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::proxy::{Phase, Proxy, Seen};
use harness::{ControlPlane, eventually_blocking};
use serde_json::json;

use crate::bed::{Bed, in_parallel, with_site};
use crate::cluster::Cluster;
use crate::site::Site;
use crate::story::{STORIES, Scene, Story, assert_held};

/// A stop comes within a poll (2 s) of what it waits for; a machine under load needs more.
const STOP: Duration = Duration::from_secs(60);
/// Beds under way at once: each is an operator, a simulator and a namespace.
const AT_ONCE: usize = 8;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    /// By SIGTERM: in order, and within the time that is promised.
    Terminate,
}

type Case = (Story, Point, Phase, End);

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Kubernetes(Seen),
    /// Operation, and how many such requests came before.
    Swr(String, usize),
}

#[test]
fn a_kill_before_or_after_any_request_leaves_one_registry_and_the_right_state() {
    let mut cases = Vec::new();
    for story in STORIES {
        for (n, point) in points_of(story).into_iter().enumerate() {
            for phase in [Phase::Before, Phase::After] {
                let name = format!("kill-{story:?}-{n}-{phase:?}").to_lowercase();
                cases.push((name, (story, point.clone(), phase, End::Kill)));
            }
            if story == Story::Create && matches!(point, Point::Kubernetes(_)) {
                let name = format!("term-{story:?}-{n}").to_lowercase();
                cases.push((name, (story, point.clone(), Phase::Before, End::Terminate)));
            }
        }
    }
    crate::bed::say(&format!("{} ends of a process", cases.len()));
    assert!(cases.len() >= 60, "too few points: {cases:#?}");
    for group in cases.chunks(AT_ONCE) {
        let group: Vec<(&str, (&str, &Case))> = group
            .iter()
            .map(|(name, case)| (name.as_str(), (name.as_str(), case)))
            .collect();
        in_parallel(&group, |(name, case)| kill(name, case));
    }
}

/// The requests that a story makes, by a run without a kill.
fn points_of(story: Story) -> Vec<Point> {
    let mut points = BTreeSet::new();
    let name = format!("points-of-{story:?}").to_lowercase();
    with_site(&name, |bed, site| {
        let mut scene = prepare(site, story);
        let proxy = through_proxy(bed, site);
        let requests = proxy.of(&site.name);
        requests.stop_at(None);
        let mark = site.cloud.mark();
        scene.act(site, &site.login());
        scene.settle(site);
        points.extend(requests.seen().into_iter().map(Point::Kubernetes));
        let mut seen = Vec::<String>::new();
        for entry in site.cloud.requests(mark) {
            let nth = seen
                .iter()
                .filter(|other| **other == entry.operation)
                .count();
            points.insert(Point::Swr(entry.operation.clone(), nth));
            seen.push(entry.operation);
        }
        bed.terminate();
    });
    // Polls go on while the test looks on; the first of a kind, and the second where a reconcile
    // makes two, are all that a story itself makes.
    points.retain(|point| match point {
        // A deletion reads no Secret: this was a poll before it.
        Point::Kubernetes(seen) if story == Story::Delete && seen.what.contains("secrets/") => {
            false
        }
        Point::Kubernetes(seen) => seen.nth < 2,
        // A deletion asks each thing once; what comes besides is a poll.
        Point::Swr(_, nth) if story == Story::Delete => *nth < 1,
        Point::Swr(_, nth) => *nth < 3,
    });
    points.into_iter().collect()
}

fn kill(name: &str, (story, point, phase, end): &Case) {
    let (story, phase) = (*story, *phase);
    with_site(name, |bed, site| {
        let foreign = site.foreign("foreign", "somebody's");
        let mut scene = prepare(site, story);
        let proxy = through_proxy(bed, site);
        let requests = proxy.of(&site.name);
        let mark = site.cloud.mark();
        match point {
            Point::Kubernetes(seen) => requests.stop_at(Some((seen.clone(), phase))),
            Point::Swr(operation, nth) => site.cloud.fault(&json!({
                "match": {"operation": operation, "ordinal": nth + 1},
                "phase": match phase { Phase::Before => "before", Phase::After => "after" },
                "kind": "hang",
            })),
        }
        scene.act(site, &site.login());
        match point {
            Point::Kubernetes(seen) => {
                let stopped = requests.await_stop(STOP).expect("the request comes");
                assert_eq!(stopped, *seen);
            }
            Point::Swr(operation, nth) => {
                eventually_blocking(STOP, &format!("{operation} {nth}"), || {
                    match site.cloud.asked(mark, operation).len() {
                        n if n > *nth => Ok(()),
                        n => Err(format!("{n} so far")),
                    }
                });
            }
        }
        match end {
            End::Kill => bed.kill_9(),
            // Checks the exit code and the 25 seconds.
            End::Terminate => bed.terminate(),
        }
        site.cloud.clear_faults();
        drop(proxy);
        bed.start_operator();
        scene.settle(site);
        let held = usize::from(story != Story::Delete);
        assert_held(site, &foreign, held, 1, mark);
    });
}

/// To where the story begins.
fn prepare(site: &Site, story: Story) -> Scene {
    let scene = Scene::prepare(site, story, "it", &site.login());
    scene.begin(site);
    scene
}

fn through_proxy(bed: &Bed, site: &Site) -> Proxy {
    bed.terminate();
    let proxy = Proxy::start(ControlPlane::shared(), &[&site.name]).expect("a proxy");
    let cluster = Cluster::shared();
    let kubeconfig = proxy
        .kubeconfig(
            &cluster.operator_kubeconfig,
            &cluster
                .folder
                .join(format!("{}-proxy.kubeconfig", site.name)),
        )
        .expect("a kubeconfig");
    bed.start_operator_by(&kubeconfig);
    if !site.objects().is_empty() {
        // Its first look at what is there already is no part of the story.
        site.cloud.await_lists(&site.cloud.instances[0], 2);
    }
    proxy
}
