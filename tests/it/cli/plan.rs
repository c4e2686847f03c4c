//! `plan` without a cluster: manifests against SWR, with the account of flags and environment.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use expect_test::expect_file;
use harness::eventually_blocking;
use serde_json::{Value, json};

use super::place::{INSTANCE, Place, object};
use super::{interrupted, transcript, typed};
use crate::manifest::{self, STRANGERS_TAG};

#[test]
fn a_plan_shows_what_would_be_done_and_reads_only() {
    let mut place = Place::new();
    let login = place.login();
    let other = place.login();

    let equal = object("equal");
    place.left(&equal, &login);
    let mut edited = object("edited");
    place.left(&edited, &login);
    edited["spec"]["url"] = json!("https://new.dr.example.com");
    edited["spec"]["insecure"] = json!(false);
    edited["spec"]["dnsConf"]["hosts"]["b.example.com"] = json!("192.0.2.11");
    let rotated = object("rotated");
    place.left(&rotated, &other);
    let foreign = |name: &str, description: &str| {
        let mut body = manifest::body(&object(name), &login);
        body["description"] = json!(description);
        place.cloud.console_create(INSTANCE, &body)
    };
    let adopted_id = foreign("adopted", "theirs");
    let mut adopted = object("adopted");
    adopted["spec"]["adoption"] = json!({"policy": "IfUnowned", "registryId": adopted_id});
    foreign("untagged", "theirs");
    foreign("tagged", STRANGERS_TAG);
    let mut suspended = object("suspended");
    suspended["spec"]["suspend"] = json!(true);
    let mut observed = object("observed");
    observed["spec"]["mode"] = json!("Observe");
    let mut elsewhere = object("elsewhere");
    elsewhere["spec"]["instanceId"] = json!("no-such-instance");
    let secrets: Vec<Value> = [
        "equal", "edited", "rotated", "adopted", "untagged", "tagged", "new", "observed",
    ]
    .iter()
    .map(|name| manifest::secret("images", name, &login))
    .collect();
    let registries = [
        equal.clone(),
        edited,
        rotated,
        adopted,
        object("untagged"),
        object("tagged"),
        object("new"),
        object("without-secret"),
        suspended,
        observed,
    ];
    place.write("registries.yaml", &registries);
    place.write("secrets.yaml", &secrets);
    place.write("equal.yaml", &[equal, secrets[0].clone()]);
    place.write("elsewhere.yaml", &[elsewhere]);

    let mark = place.cloud.mark();
    let plan = |line: &'static str| {
        let args: Vec<&str> = line.split(' ').skip(2).collect();
        (line, place.plan(&args))
    };
    let runs = [
        plan("swr-operator plan -f ."),
        plan("swr-operator plan -f registries.yaml -f secrets.yaml"),
        plan("swr-operator plan -f registries.yaml -f secrets.yaml --detailed-exitcode -o name"),
        plan("swr-operator plan -f registries.yaml -f secrets.yaml -o json"),
        plan("swr-operator plan -f registries.yaml -f secrets.yaml -o yaml -q"),
        plan("swr-operator plan -f equal.yaml --detailed-exitcode"),
        plan("swr-operator plan -f equal.yaml --show-unchanged"),
        plan("swr-operator plan -f equal.yaml --destroy --detailed-exitcode"),
        plan("swr-operator plan -f equal.yaml --installation-id another --detailed-exitcode"),
        plan("swr-operator plan -f elsewhere.yaml --detailed-exitcode"),
    ];
    let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
    assert_eq!(
        codes,
        [1, 0, 4, 0, 0, 0, 0, 2, 4, 1].map(Some),
        "{}",
        transcript(runs)
    );
    expect_file!["../goldens/cli-plan.txt"].assert_eq(&transcript(runs));
    assert_eq!(place.cloud.writes(mark), Vec::<String>::new());
    let asked = place.cloud.requests(mark);
    let lists = asked
        .iter()
        .filter(|it| it.operation == "ListInstanceRegistries");
    // One a run, but for the first, whose manifests name an object twice.
    assert_eq!((asked.len(), lists.count()), (9, 9));
}

#[test]
fn a_plan_that_cannot_be_made_says_why_and_what_to_do() {
    let place = Place::new();
    place.write("new.yaml", &[object("new")]);
    place.write(
        "typo.yaml",
        &[{
            let mut typo = object("typo");
            typo["spec"]["urll"] = typo["spec"]["url"].take();
            typo
        }],
    );
    let bare = |line: &'static str| (line, typed(line.split(' ').skip(1)).at(place.at()));
    let run = |(line, typed): (&'static str, super::Typed)| (line, typed.run());
    let placed = |line: &'static str| {
        let args: Vec<&str> = line.split(' ').skip(2).collect();
        (line, place.typed(&args))
    };
    let mut runs = vec![
        run(bare("swr-operator plan")),
        run(bare("swr-operator plan -f new.yaml")),
        run(bare("swr-operator plan -f new.yaml --region region-1")),
        run(bare("swr-operator plan -f absent.yaml")),
        run(bare("swr-operator plan --kubeconfig absent.kubeconfig")),
        run(placed("swr-operator plan -f typo.yaml")),
    ];
    let (line, half) = bare("swr-operator plan -f new.yaml --region region-1");
    runs.push((line, half.env("HW_ACCESS_KEY", "half").run()));
    let denied = json!({
        "kind": "status", "status": 403,
        "body": {"error_code": "SVCSTG.SWR.4030170", "error_msg": "Insufficient permissions"},
    });
    for mut fault in [denied, json!({"kind": "reset"})] {
        fault["match"] = json!({"operation": "ListInstanceRegistries"});
        place.cloud.fault(&fault);
        runs.push(run(placed("swr-operator plan -f new.yaml")));
        place.cloud.clear_faults();
    }
    place.cloud.fault(&json!({
        "match": {"operation": "ListInstanceRegistries"}, "phase": "before", "kind": "hang",
    }));
    runs.push(run(placed("swr-operator plan -f new.yaml --timeout 1s")));
    let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
    assert_eq!(
        codes,
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 3].map(Some),
        "{}",
        transcript(runs)
    );
    for (_, ran) in &runs {
        place.assert_keeps_secrets(ran);
    }
    expect_file!["../goldens/cli-plan-errors.txt"].assert_eq(&transcript(runs));
}

#[test]
fn ctrl_c_ends_a_plan_at_once() {
    let place = Place::new();
    place.write("new.yaml", &[object("new")]);
    place.cloud.fault(&json!({
        "match": {"operation": "ListInstanceRegistries"}, "phase": "before", "kind": "hang",
    }));
    let child = place.typed(&["-f", "new.yaml"]).spawn();
    eventually_blocking(Duration::from_secs(20), "it asks SWR", || {
        match place.cloud.requests(0).is_empty() {
            true => Err("nothing was asked".to_owned()),
            false => Ok(()),
        }
    });
    let ran = interrupted(child);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(130), ""),
        "{}",
        ran.shown()
    );
    assert!(
        ran.stderr.ends_with("interrupted; nothing was changed\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_thousand_registries_cost_ten_requests() {
    let mut place = Place::new();
    let login = place.login();
    let mut text = String::new();
    for n in 0..1_000 {
        let mut object = object(&format!("r{n:04}"));
        object["spec"]["credentialSecretRef"]["name"] = json!("login");
        place.left(&object, &login);
        if n % 100 == 0 {
            object["spec"]["url"] = json!("https://new.dr.example.com");
        }
        write!(
            text,
            "---\n{}",
            serde_saphyr::to_string(&object).expect("YAML")
        )
        .expect("text");
    }
    fs::write(place.at().join("many.yaml"), text).expect("written");
    place.write("login.yaml", &[manifest::secret("images", "login", &login)]);
    let mark = place.cloud.mark();
    let ran = place.plan(&["-f", ".", "-o", "json"]);
    let report = ran.json();
    assert_eq!(
        (
            &report["summary"]["update"],
            &report["summary"]["unchanged"]
        ),
        (&json!(10), &json!(990)),
        "{}",
        ran.stderr
    );
    let asked = place.cloud.requests(mark).into_iter();
    let asked: Vec<String> = asked.map(|entry| entry.operation).collect();
    assert_eq!(asked, vec!["ListInstanceRegistries"; 10]);
}

#[test]
fn the_schemas_of_the_reports_are_committed_and_hold() {
    for verb in ["orphans", "apply", "check", "status"] {
        let schema = typed([verb, "--schema"]).run();
        crate::documents::compare(&format!("docs/schemas/{verb}.json"), &schema.stdout);
    }
    let place = Place::new();
    place.write("new.yaml", &[object("new")]);
    for (verb, ran) in [
        ("plan", place.plan(&["-f", "new.yaml", "-o", "json"])),
        (
            "validate",
            typed(["validate", "-f", "new.yaml", "-o", "json"])
                .at(place.at())
                .run(),
        ),
    ] {
        let schema = typed([verb, "--schema"]).run();
        assert_eq!(schema.code, Some(0), "{}", schema.shown());
        crate::documents::compare(&format!("docs/schemas/{verb}.json"), &schema.stdout);
        let (schema, report) = (schema.json(), ran.json());
        let fields = |value: &Value| -> Vec<String> {
            let fields = value.as_object().expect("an object");
            fields.keys().cloned().collect()
        };
        assert_eq!(fields(&schema["properties"]), fields(&report), "{verb}");
        let major = report["format_version"].as_str().expect("a version");
        assert_eq!(major.split('.').next(), Some("1"), "{verb}");
    }
}
