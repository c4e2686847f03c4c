//! `check`: whether a cluster and its accounts are ready, each line with what to do about it.

use expect_test::expect_file;
use harness::service_account_kubeconfig;
use serde_json::{Value, json};

use super::place::{INSTANCE, Place};
use super::{Ran, transcript, typed};
use crate::bed::with_site;
use crate::cluster::{Cluster, OPERATOR};
use crate::site::Site;

fn check(site: &Site, kubeconfig: &str, args: &[&str]) -> Ran {
    let endpoint = format!("{}={}", site.cloud.region, site.cloud.url());
    let place = [
        "check",
        "--kubeconfig",
        kubeconfig,
        "--operator-namespace",
        OPERATOR,
        "--swr-endpoint",
        &endpoint,
    ];
    let ran = typed([&place, args].concat()).run();
    site.assert_keeps_secrets("the output of check", &ran.shown());
    ran
}

/// Versions of Kubernetes as a word.
fn without_version(ran: Ran) -> Ran {
    let is_version = |word: &&str| word.starts_with("v1.") && word.matches('.').count() == 2;
    let version = ran.stdout.split([' ', '\n', '"', ',']).find(is_version);
    let stdout = match version.map(str::to_owned) {
        Some(version) => ran.stdout.replace(&version, "VERSION"),
        None => ran.stdout.clone(),
    };
    Ran { stdout, ..ran }
}

#[test]
fn a_cluster_and_its_accounts_are_ready_or_every_line_says_what_is_missing() {
    with_site("check", |_, site| {
        let admin = site.cluster.plane.kubeconfig().display().to_string();
        let account = ["--account", &site.name];
        let one = ["--instance", &site.cloud.instances[0]];
        let at = |args: &[&str]| check(site, &admin, &[&account, args].concat());
        let mut runs = vec![("before any instance is known", at(&[]))];
        site.ready("it");
        let mark = site.cloud.mark();
        runs.push(("ready", at(&[])));
        let asked = site.cloud.requests(mark);
        let lists = asked
            .iter()
            .filter(|it| it.operation == "ListInstanceRegistries");
        assert_eq!(lists.filter(|it| it.query.contains("limit=1&")).count(), 1);
        assert!(asked.iter().all(|it| it.method == "GET"));
        runs.push(("as JSON", at(&[&one[..], &["-o", "json"]].concat())));
        runs.push((
            "another ServiceAccount",
            at(&["--service-account", "nobody", "-o", "name"]),
        ));

        let mut wrong = site.keys.clone();
        wrong.secret_key = site.canary().secret();
        site.put_account_secret(&wrong);
        runs.push(("a key that SWR refuses", at(&one)));
        site.delete_account_secret();
        runs.push(("no key", at(&one)));
        site.put_account_secret(&site.keys);
        site.cloud.switch(&json!({"deny": "list"}));
        runs.push(("a key that may not list", at(&one)));
        site.cloud
            .switch(&json!({"deny": "none", "enterprise_edition": "not_offered"}));
        runs.push(("a region without the edition", at(&one)));
        site.cloud.switch(&json!({"enterprise_edition": "offered"}));
        runs.push((
            "an instance that is not there",
            at(&["--instance", "elsewhere"]),
        ));
        runs.push((
            "an account that is not there",
            check(site, &admin, &["--account", "absent"]),
        ));

        let path = site.cluster.folder.join("check.kubeconfig");
        let nobody = service_account_kubeconfig(site.cluster.plane, &site.name, "default", &path);
        let nobody = nobody.expect("a kubeconfig").display().to_string();
        let namespace = ["--namespace", &site.name];
        runs.push(("somebody without rights", check(site, &nobody, &namespace)));
        let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
        let runs = runs
            .into_iter()
            .map(|(line, ran)| (line, without_version(ran)));
        let shown = transcript(runs);
        assert_eq!(
            codes,
            [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1].map(Some),
            "{shown}"
        );
        expect_file!["../goldens/cli-check.txt"].assert_eq(&shown);
        site.touch_account();
    });
}

#[test]
fn an_account_of_the_environment_is_checked_without_a_cluster() {
    let place = Place::new();
    let url = place.cloud.url();
    let head = [
        "check",
        "--no-cluster",
        "--region",
        "region-1",
        "--swr-endpoint",
        &url,
    ];
    let project = ["--project-id", "project-1", "--instance", INSTANCE];
    let run = |args: &[&str], keyed: bool| {
        let typed = typed([&head, args].concat());
        let ran = match keyed {
            true => typed.keys(place.keys()).run(),
            false => typed.run(),
        };
        place.assert_keeps_secrets(&ran);
        ran
    };
    let runs = [
        ("ready", run(&project, true)),
        (
            "two instances",
            run(&[&project[..], &["--instance", "another"]].concat(), true),
        ),
        ("without a key", run(&project, false)),
        (
            "without an instance",
            run(&["--project-id", "project-1"], true),
        ),
        (
            "neither kubeconfig nor --no-cluster",
            typed(["check"]).run(),
        ),
        (
            "a comparison without an instance",
            run(&["--contract"], true),
        ),
    ];
    let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
    let shown = transcript(runs);
    assert_eq!(codes, [0, 0, 1, 0, 1, 64].map(Some), "{shown}");
    expect_file!["../goldens/cli-check-environment.txt"].assert_eq(&shown);
}

/// What is said of our first definition in a cluster.
pub(crate) fn of_definition(cluster: &Cluster) -> Value {
    let kubeconfig = cluster.plane.kubeconfig().display().to_string();
    let ran = typed(["check", "--kubeconfig", &kubeconfig, "-o", "json"]).run();
    let report = ran.json();
    let checks = report["checks"].as_array().expect("checks");
    let id = "definition/replicationregistries.swr.huaweicloud.com";
    let found = checks.iter().find(|it| it["id"] == id);
    found.unwrap_or_else(|| panic!("{}", ran.shown())).clone()
}
