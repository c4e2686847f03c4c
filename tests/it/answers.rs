//! The API server, or what stands before it, answers any request of the five stories with anything but what was asked for,
//! before or after it carried it out. A hundred objects and more live at once, each with a fault of its own; the operator is
//! never restarted. In SWR the same is done by [`crate::faults`] and [`crate::kills`].

use std::time::Duration;

use harness::proxy::{Fault, Phase, Proxy, Trouble, Watched};
use harness::{ControlPlane, eventually_blocking};

use crate::bed::{Bed, Windows, in_parallel, say, site_check, with_site, with_windows};
use crate::cloud::PATIENCE;
use crate::cluster::Cluster;
use crate::site::Site;
use crate::story::{STORIES, Scene, Story, assert_held};

const TROUBLES: [Trouble; 9] = [
    Trouble::Status(500),
    Trouble::Status(503),
    Trouble::Status(504),
    // Conflict.
    Trouble::Status(409),
    Trouble::Status(429),
    Trouble::FailureInSuccess,
    Trouble::WebPage,
    Trouble::Half,
    Trouble::Reset,
];

/// Of these, each request meets so many before and so many after it was carried out; the next request meets the next ones.
const OF_EACH: usize = 4;

/// An API server with hundreds of objects in trouble is slow, and a write to SWR must not wait too long for it.
const WINDOWS: Windows<'_> = &[("--settle", "12s"), ("--write-deadline", "4s")];

/// All objects have met their fault by then.
const STRUCK: Duration = Duration::from_secs(120);

/// The site where no event can be written.
const SILENT: &str = "silent";

#[test]
fn any_answer_to_any_request_to_kubernetes_leaves_one_registry_and_the_right_state() {
    let names = STORIES.map(|story| format!("{story:?}").to_lowercase());
    let mut sites: Vec<&str> = names.iter().map(String::as_str).collect();
    sites.push(SILENT);
    with_windows("answers", &sites, WINDOWS, |bed| {
        let proxy = through_proxy(bed);
        let mut checks: Vec<(&str, Option<Story>)> = sites.iter().map(|it| (*it, None)).collect();
        for ((_, story), its) in checks.iter_mut().zip(STORIES) {
            *story = Some(its);
        }
        let checks: Vec<(&str, (&Site, Option<Story>))> = checks
            .iter()
            .map(|(name, story)| (*name, (bed.site(name), *story)))
            .collect();
        in_parallel(&checks, |(site, story)| {
            let requests = proxy.of(&site.name);
            site_check(site, || match story {
                Some(story) => check(site, *story, requests),
                None => check_silent(site, requests),
            });
        });
        bed.terminate();
    });
}

/// An operator between which and the API server stands a proxy.
fn through_proxy(bed: &Bed) -> Proxy {
    bed.terminate();
    let namespaces: Vec<&str> = bed.sites.iter().map(|site| site.name.as_str()).collect();
    let proxy = Proxy::start(ControlPlane::shared(), &namespaces).expect("a proxy");
    bed.start_operator_by(&kubeconfig(bed, &proxy));
    proxy
}

fn kubeconfig(bed: &Bed, proxy: &Proxy) -> std::path::PathBuf {
    let cluster = Cluster::shared();
    let path = cluster
        .folder
        .join(format!("{}-proxy.kubeconfig", bed.name));
    (proxy.kubeconfig(&cluster.operator_kubeconfig, &path)).expect("a kubeconfig")
}

fn check(site: &Site, story: Story, requests: Watched<'_>) {
    let (login, next) = (site.login(), site.login());
    let foreign = site.foreign("foreign", "somebody's");
    site.allow_deletions();
    let prepare = |name: &str| Scene::prepare(site, story, name, &login);
    let points = points_of(site, prepare("scout"), requests, &next);
    let mut scenes = Vec::new();
    let mut faults = Vec::new();
    let mut troubles = TROUBLES.into_iter().cycle();
    for (what, nth) in &points {
        for phase in [Phase::Before, Phase::After] {
            for trouble in troubles.by_ref().take(OF_EACH) {
                let scene = prepare(&format!("it-{}", scenes.len()));
                faults.push(Fault {
                    what: what.replace("/scout", &format!("/{}", scene.name)),
                    nth: Some(*nth),
                    phase,
                    trouble,
                });
                scenes.push(scene);
            }
        }
    }
    let n = scenes.len();
    say(&format!("{story:?}: {n} faults at {points:?}"));
    assert!(n >= 16, "too few points: {points:?}");
    for scene in &scenes {
        scene.begin(site);
    }
    let mark = site.cloud.mark();
    requests.answer(faults.clone());
    for scene in &mut scenes {
        scene.act(site, &next);
    }
    eventually_blocking(STRUCK, "every fault to strike", || {
        let struck = requests.struck();
        let mut left = faults.iter().filter(|fault| !struck.contains(fault));
        left.next()
            .map_or(Ok(()), |fault| Err(format!("{fault:?}")))
    });
    for scene in &scenes {
        scene.settle(site);
    }
    // The scout has one, too.
    let held = if story == Story::Delete { 0 } else { n + 1 };
    let made = if story == Story::Create { n } else { 0 };
    assert_held(site, &foreign, held, made, mark);
    if held == 0 {
        // Nobody polls what has no object.
        return;
    }
    // What went wrong last may have left something to do until the next poll.
    site.cloud.await_lists(&site.cloud.instances[0], 3);
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

/// The requests that a story makes, by a run without a fault: what is asked, and after how many of its kind.
fn points_of(
    site: &Site,
    mut scout: Scene,
    requests: Watched<'_>,
    next: &crate::canary::Login,
) -> Vec<(String, usize)> {
    scout.begin(site);
    requests.answer(Vec::new());
    scout.act(site, next);
    scout.settle(site);
    let mut seen = requests.seen();
    // The first of a kind, and the second where a reconcile makes two; what comes after that is a poll. A deletion
    // reads no Secret.
    let deleted = site.try_object(&scout.name).is_none();
    seen.retain(|seen| seen.nth < 2 && !(deleted && seen.what.contains("secrets/")));
    let mut points: Vec<(String, usize)> = seen.into_iter().map(|it| (it.what, it.nth)).collect();
    points.sort();
    points
}

/// A life without events.
fn check_silent(site: &Site, requests: Watched<'_>) {
    let denied = Fault {
        what: "POST events".to_owned(),
        nth: None,
        phase: Phase::Before,
        trouble: Trouble::Status(403),
    };
    requests.answer(vec![denied]);
    let (login, next) = (site.login(), site.login());
    let mut scene = Scene::prepare(site, Story::Update, "it", &login);
    scene.begin(site);
    scene.act(site, &next);
    scene.settle(site);
    site.delete("it");
    site.await_gone("it");
    assert!(!requests.struck().is_empty(), "no event was refused");
    assert_eq!(site.events(), Vec::<String>::new());
}

#[test]
fn an_operator_whose_first_list_fails_is_not_ready_and_writes_nothing() {
    with_site("first-list", |bed, site| {
        let before = site.ready("it");
        bed.terminate();
        let proxy = Proxy::start(ControlPlane::shared(), &[&site.name]).expect("a proxy");
        let requests = proxy.of(&site.name);
        // As when the webhook that converts objects does not answer.
        requests.answer(vec![Fault {
            what: "LIST replicationregistries".to_owned(),
            nth: None,
            phase: Phase::Before,
            trouble: Trouble::Status(500),
        }]);
        site.patch(
            "it",
            &serde_json::json!({"spec": {"description": "changed"}}),
        );
        let mark = site.cloud.mark();
        let kubeconfig = kubeconfig(bed, &proxy);
        std::thread::scope(|scope| {
            // Ends when the operator is ready.
            let starting = scope.spawn(|| bed.start_operator_by(&kubeconfig));
            eventually_blocking(PATIENCE, "two lists that fail", || {
                let n = requests.struck().len();
                (n >= 2).then_some(()).ok_or(n)
            });
            assert!(!starting.is_finished(), "it is ready without its objects");
            assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
            requests.answer(Vec::new());
            starting.join().expect("it becomes ready");
        });
        site.await_sent_after("it", &before);
        bed.terminate();
    });
}
