//! kill -9 before and after every request that a create, an update, a rotation, an adoption and a
//! deletion make. The requests are those that a run without a kill was seen to make, so a new one
//! is killed, too.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::proxy::{Phase, Proxy, Seen};
use harness::{ControlPlane, eventually_blocking};
use serde_json::{Value, json};

use crate::bed::{Bed, in_parallel, with_site};
use crate::canary::Login;
use crate::cluster::Cluster;
use crate::manifest::{body, split_tag};
use crate::site::Site;

/// A stop comes within a poll (2 s) of what it waits for; a machine under load needs more.
const STOP: Duration = Duration::from_secs(60);
/// Beds under way at once: each is an operator, a simulator and a namespace.
const AT_ONCE: usize = 8;

/// What is under way when the operator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Story {
    Create,
    Update,
    Rotate,
    Adopt,
    Delete,
}

const STORIES: [Story; 5] = [
    Story::Create,
    Story::Update,
    Story::Rotate,
    Story::Adopt,
    Story::Delete,
];

type Case = (Story, Point, Phase);

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
                cases.push((name, (story, point.clone(), phase)));
            }
        }
    }
    crate::bed::say(&format!("{} kills", cases.len()));
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
        proxy.stop_at(None);
        let mark = site.cloud.mark();
        act(site, story, &mut scene);
        settle(site, story, &scene);
        points.extend(proxy.seen().into_iter().map(Point::Kubernetes));
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

fn kill(name: &str, (story, point, phase): &Case) {
    let (story, phase) = (*story, *phase);
    with_site(name, |bed, site| {
        let mut scene = prepare(site, story);
        let proxy = through_proxy(bed, site);
        let mark = site.cloud.mark();
        match point {
            Point::Kubernetes(seen) => proxy.stop_at(Some((seen.clone(), phase))),
            Point::Swr(operation, nth) => site.cloud.fault(&json!({
                "match": {"operation": operation, "ordinal": nth + 1},
                "phase": match phase { Phase::Before => "before", Phase::After => "after" },
                "kind": "hang",
            })),
        }
        act(site, story, &mut scene);
        match point {
            Point::Kubernetes(seen) => {
                let stopped = proxy.await_stop(STOP).expect("the request comes");
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
        bed.kill_9();
        site.cloud.clear_faults();
        drop(proxy);
        bed.start_operator();
        settle(site, story, &scene);
        assert_at_most_one_create(site, mark);
    });
}

fn through_proxy(bed: &Bed, site: &Site) -> Proxy {
    bed.terminate();
    let proxy = Proxy::start(ControlPlane::shared(), &site.name).expect("a proxy");
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

/// What a story is told about.
struct Scene {
    /// A registry that nobody may touch.
    untouched: Value,
    /// What the Secret holds.
    login: Login,
}

/// Brings the world to where the story begins.
fn prepare(site: &Site, story: Story) -> Scene {
    let instance = &site.cloud.instances[0];
    let foreign = json!({
        "name": "foreign", "type": "swr-pro", "url": "https://foreign.example.com",
        "insecure": true, "description": "somebody's",
        "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs"},
    });
    let target = format!("registries?instance={instance}");
    let id = site.cloud.control("POST", &target, &foreign)["id"].clone();
    let login = site.login();
    site.put_login("it", &login);
    match story {
        Story::Create => {}
        Story::Update | Story::Rotate | Story::Delete => {
            site.create(&site.registry("it", "swr-pro"));
            site.await_ready("it");
        }
        Story::Adopt => {
            let mut found = foreign.clone();
            found["name"] = site.registry("it", "swr-pro")["spec"]["name"].clone();
            site.cloud.control("POST", &target, &found);
        }
    }
    let id = id.as_i64().expect("an id");
    Scene {
        untouched: site.cloud.registry(instance, id).expect("the foreign one"),
        login,
    }
}

fn act(site: &Site, story: Story, scene: &mut Scene) {
    match story {
        Story::Create => {
            site.create(&site.registry("it", "swr-pro"));
        }
        Story::Update => {
            let spec = json!({"url": "https://changed.example.com", "description": "changed"});
            site.patch("it", &json!({"spec": spec}));
        }
        Story::Rotate => {
            scene.login = site.login();
            site.put_login("it", &scene.login);
        }
        Story::Adopt => {
            let mut object = site.registry("it", "swr-pro");
            object["spec"]["adoption"] = json!({"policy": "IfUnowned"});
            site.create(&object);
        }
        Story::Delete => site.delete("it"),
    }
}

/// Waits for the end, and checks that it is the right one.
fn settle(site: &Site, story: Story, scene: &Scene) {
    let instance = &site.cloud.instances[0];
    let ours = || -> Vec<Value> {
        let mut all = site.cloud.registries(instance);
        all.retain(|registry| registry["id"] != scene.untouched["id"]);
        all
    };
    if story == Story::Delete {
        site.await_gone("it");
        assert_eq!(ours(), Vec::<Value>::new());
    } else {
        // Ready of an earlier generation or with an earlier credential is not the end.
        eventually_blocking(STOP, "the registry as the spec and the Secret ask", || {
            let object = site.try_object("it").ok_or("no object")?;
            let observed = &object["status"]["observedGeneration"];
            if *observed != object["metadata"]["generation"] {
                return Err(format!("observed generation {observed}"));
            }
            let mut held = ours();
            let tagged = |registry: &Value| registry.to_string().contains("[swr-operator:");
            if held.len() != 1 || !tagged(&held[0]) {
                return Err(format!("held: {held:#?}"));
            }
            split_tag(&mut held[0]);
            let mut wanted = body(&object, &scene.login);
            wanted["id"] = object["status"]["registryId"].clone();
            for (field, value) in wanted.as_object().into_iter().flatten() {
                if held[0][field] != *value {
                    return Err(format!("{field} is {}", held[0][field]));
                }
            }
            Ok(())
        });
        site.await_ready("it");
    }
    let id = scene.untouched["id"].as_i64().expect("an id");
    let foreign = site.cloud.registry(instance, id);
    assert_eq!(
        foreign.as_ref(),
        Some(&scene.untouched),
        "a foreign registry changed"
    );
}

/// However often the operator asked, SWR made one registry at most.
fn assert_at_most_one_create(site: &Site, mark: u64) {
    let made = site
        .cloud
        .asked(mark, "CreateInstanceRegistry")
        .into_iter()
        .filter(|entry| entry.status.is_some_and(|status| status < 300))
        .count();
    assert!(made <= 1, "{made} registries were made");
}
