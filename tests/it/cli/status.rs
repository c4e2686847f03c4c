//! `status`: one screen for an object, one line for each of many, and what SWR holds beside it.

use expect_test::expect_file;
use serde_json::json;

use super::{Ran, transcript, typed};
use crate::bed::with_site;
use crate::cluster::OPERATOR;
use crate::site::{Site, registry_id};

fn status(site: &Site, args: &[&str]) -> Ran {
    let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
    let endpoint = format!("{}={}", site.cloud.region, site.cloud.url());
    let place = [
        "status",
        "--kubeconfig",
        &kubeconfig,
        "--operator-namespace",
        OPERATOR,
        "--swr-endpoint",
        &endpoint,
    ];
    let ran = typed([&place, args].concat()).run();
    site.assert_keeps_secrets("the output of status", &ran.shown());
    ran
}

/// Ages and SWR's times as words.
fn without_times(ran: Ran) -> Ran {
    let is_age = |word: &str| {
        let word = word.trim_end_matches(',');
        let (digits, unit) = word.split_at(word.len().saturating_sub(1));
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number && ["s", "m", "h", "d"].contains(&unit)
    };
    let is_time = |word: &str| {
        let word = word.trim_matches(['"', ',']);
        word.len() > 19 && word.parse::<jiff::Timestamp>().is_ok()
    };
    let normal = |text: &str| -> String {
        let words = text.split_inclusive([' ', '\n']).map(|word| {
            let bare = word.trim_end_matches([' ', '\n']);
            let tail = &word[bare.len()..];
            match () {
                () if is_age(bare) => format!("AGE{tail}"),
                () if is_time(bare) => format!("TIME{tail}"),
                () => word.to_owned(),
            }
        });
        words.collect()
    };
    Ran {
        stdout: normal(&ran.stdout),
        ..ran
    }
}

#[test]
fn one_screen_says_where_an_object_stands_and_what_to_do() {
    with_site("status", |_, site| {
        let instance = &site.cloud.instances[0];
        let place = ["-n", &site.name];
        let at = |args: &[&str]| status(site, &[args, &place].concat());
        let mut runs = vec![("none", at(&[]))];
        site.ready("it");
        let mut stuck = site.registry("stuck", "swr-pro");
        stuck["spec"]["name"] = json!("theirs");
        site.foreign("theirs", "theirs");
        site.put_login("stuck", &site.login());
        site.create(&stuck);
        site.await_state("stuck", "False Conflict");
        site.await_events("Conflict", 1);
        site.ready("watched");
        let other = json!({"mode": "Observe", "url": "https://other.dr.example.com"});
        site.patch("watched", &json!({"spec": other}));
        site.await_state("watched", "False DriftObserved");
        site.await_events("DriftObserved", 1);

        // The operator asks for its own reasons meanwhile, so one of some tries must show these requests and no others.
        let asks = |args: &[&str], expected: &[&str]| {
            (0..5).any(|_| {
                let mark = site.cloud.mark();
                at(args);
                let asked = site.cloud.requests(mark).into_iter();
                asked.map(|it| it.operation).eq(expected.iter().copied())
            })
        };
        runs.push(("of one that is ready", at(&["it"])));
        assert!(asks(&["it"], &["ShowInstanceRegistry"]), "one GET");
        runs.push((
            "of one that is stuck",
            at(&["stuck", "--detailed-exitcode"]),
        ));
        runs.push((
            "of one that is only watched",
            at(&["watched", "--detailed-exitcode"]),
        ));
        for (what, args) in [
            ("of all", &["--detailed-exitcode"][..]),
            ("of all, in names", &["-o", "name"]),
            ("of those with a label", &["-l", "team=nobody"]),
        ] {
            runs.push((what, at(args)));
            assert!(asks(args, &[]), "{what}: a list asks no SWR");
        }
        runs.push(("of one that is not there", at(&["absent"])));
        runs.push(("as YAML", at(&["stuck", "-q", "-o", "yaml"])));

        // Without a key, and when SWR does not answer, the rest is shown.
        site.cloud.fault(&json!({
            "match": {"operation": "ShowInstanceRegistry"}, "kind": "status", "status": 500,
        }));
        runs.push(("where SWR fails", at(&["it", "-q"])));
        site.cloud.clear_faults();
        site.delete_account_secret();
        runs.push(("without a key", at(&["it", "-q"])));
        site.put_account_secret(&site.keys);

        // SWR holds something else now, and an escape sequence at that. Last, because the operator corrects it.
        let id = registry_id(&site.object("it"));
        let text = json!("\u{1b}[31mred");
        site.cloud.console_edit(instance, id, "/description", text);
        let edited = at(&["it", "-q"]);
        assert!(
            edited.stdout.contains(r#"description = "\u{1b}[31mred""#)
                && edited.stdout.contains("tag         = none"),
            "{}",
            edited.shown()
        );
        assert!(!edited.stdout.contains('\u{1b}'), "{}", edited.shown());

        let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
        let runs = runs
            .into_iter()
            .map(|(line, ran)| (line, without_times(ran)));
        let shown = transcript(runs);
        assert_eq!(
            codes,
            [0, 0, 4, 1, 4, 0, 0, 1, 0, 0, 0].map(Some),
            "{shown}"
        );
        expect_file!["../goldens/cli-status.txt"].assert_eq(&shown);
    });
}
