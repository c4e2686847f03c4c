//! What a user sees: `kubectl get`, `kubectl explain`, and the status of a Ready object.

use expect_test::expect_file;
use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::with_site;
use crate::cloud::PATIENCE;
use crate::cluster::Cluster;
use crate::site::Site;

#[test]
fn kubectl_shows_what_a_user_needs() {
    with_site("looks", |_, site| {
        site.ready("harbor-dr");
        let mut other = site.registry("archive", "huawei-SWR");
        other["spec"]["name"] = json!(null);
        site.create(&other);
        site.await_state("archive", "False SecretNotFound");

        let namespace = ["--namespace", site.name.as_str()];
        let get = |more: &[&str]| {
            let args = [&["get"], more, &namespace[..]].concat();
            without_ages(&site.cluster.kubectl(&args))
        };
        let seen = [
            ("kubectl get rreg", get(&["rreg"])),
            ("kubectl get rreg -o wide", get(&["rreg", "-o", "wide"])),
            ("kubectl get swraccount", get(&["swraccount", &site.name])),
            ("kubectl get rreg --field-selector spec.type=huawei-SWR", {
                get(&["rreg", "--field-selector", "spec.type=huawei-SWR"])
            }),
        ];
        let seen: Vec<String> = seen
            .iter()
            .map(|(typed, answer)| format!("$ {typed}\n{answer}"))
            .collect();
        expect_file!["goldens/get.txt"].assert_eq(&seen.concat());

        expect_file!["goldens/status.yaml"].assert_eq(&status(site, "harbor-dr"));
        expect_file!["goldens/status-without-secret.yaml"].assert_eq(&status(site, "archive"));
        expect_file!["goldens/status-account.yaml"].assert_eq(&status_of_account(site));

        let describe = |what: &[&str]| {
            let args = [&["describe"], what, &namespace[..]].concat();
            described(&site.cluster.kubectl(&args))
        };
        expect_file!["goldens/describe.txt"].assert_eq(&describe(&["rreg", "harbor-dr"]));
        let text = describe(&["rreg", "archive"]);
        expect_file!["goldens/describe-without-secret.txt"].assert_eq(&text);
        let text = describe(&["swraccount", &site.name]);
        expect_file!["goldens/describe-account.txt"].assert_eq(&text);

        // Whoever waits with kubectl gets through.
        let wait = [
            "wait",
            "rreg/harbor-dr",
            "--for=condition=Ready",
            "--timeout=10s",
        ];
        site.cluster.kubectl(&[&wait[..], &namespace[..]].concat());
    });
}

fn status(site: &Site, name: &str) -> String {
    masked(site, site.object(name)["status"].clone())
}

/// The status as YAML; what differs from run to run is masked, but has to be of its form.
fn masked(site: &Site, mut status: Value) -> String {
    mask(&mut status);
    let text = serde_saphyr::to_string(&status).expect("YAML");
    text.replace(&site.name, "SITE")
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let text = value.as_str().map(str::to_owned);
                match (name.as_str(), text) {
                    ("fingerprint", Some(text)) => {
                        assert_eq!(text.len(), 22, "128 bits as base64url: {text}");
                        *value = json!("FINGERPRINT");
                    }
                    (_, Some(text)) if text.parse::<jiff::Timestamp>().is_ok() => {
                        *value = json!("TIME");
                    }
                    _ => mask(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What `kubectl describe` shows, without what differs from run to run: times, and the numbers of an account, which are
/// as of its newest check. The width of the columns of events depends on their ages, so it goes too.
fn described(text: &str) -> String {
    let mut is_event = false;
    let line = |line: &str| {
        is_event |= line.starts_with("Events:");
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        if is_event {
            let ages = without_ages(&line.replace('(', "( ").replace(')', " )"));
            let words: Vec<&str> = ages.split_whitespace().collect();
            return words.join(" ").replace("( ", "(").replace(" )", ")");
        }
        let of_a_run = [
            "UID",
            "Resource Version",
            "Fingerprint",
            "Registries",
            "Used By",
        ];
        if of_a_run.contains(&key.trim()) || value.parse::<jiff::Timestamp>().is_ok() {
            return line.replace(value, "...");
        }
        line.to_owned()
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n") + "\n"
}

/// Every age, such as `7s` or `12s`, as `#s` of the same width: it differs from run to run.
pub(crate) fn without_ages(table: &str) -> String {
    let is_age = |word: &str| {
        let digits = word.trim_end_matches('s');
        digits.len() + 1 == word.len() && digits.chars().all(|c| c.is_ascii_digit())
    };
    let masked = |line: &str| {
        let words = line.split(' ').map(|word| match is_age(word) {
            true => format!("{:<width$}", "#s", width = word.len()),
            false => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ").trim_end().to_owned() + "\n"
    };
    table.lines().map(masked).collect()
}

#[test]
fn kubectl_explains_every_field() {
    let cluster = Cluster::shared();
    let explain = |what: &str| cluster.kubectl(&["explain", what]);
    expect_file!["goldens/explain-spec.txt"].assert_eq(&explain("rreg.spec"));
    expect_file!["goldens/explain-account.txt"].assert_eq(&explain("swraccount.spec"));
    for kind in ["rreg", "swraccount"] {
        let all = cluster.kubectl(&["explain", kind, "--recursive"]);
        for part in ["spec", "status"] {
            let fields = cluster.kubectl(&["explain", &format!("{kind}.{part}")]);
            assert!(
                !fields.contains("<no description>"),
                "{kind}.{part}: {fields}"
            );
        }
        assert!(all.contains("conditions"), "{all}");
    }
}

#[test]
fn an_object_in_the_status_of_nobody_looks_pending() {
    // A namespace that no operator of these tests watches.
    let cluster = Cluster::shared();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "unwatched"}});
    cluster
        .create("/api/v1/namespaces", &namespace)
        .expect("a namespace");
    let object = crate::manifest::registry("unwatched", "default", "instance", "it", "swr-pro");
    let path = format!(
        "/apis/{}/namespaces/unwatched/replicationregistries",
        crate::manifest::API_VERSION
    );
    cluster.create(&path, &object).expect("it is valid");
    let table = cluster.kubectl(&["get", "rreg", "--namespace", "unwatched"]);
    expect_file!["goldens/get-pending.txt"].assert_eq(&without_ages(&table));
}

/// Once it tells of its instance. The numbers are as of that moment.
fn status_of_account(site: &Site) -> String {
    let mut status = eventually_blocking(PATIENCE, "the account tells of its instance", || {
        let status = site.account_now()["status"].clone();
        match status["instances"].is_null() {
            true => Err(status),
            false => Ok(status),
        }
    });
    for number in ["/usedBy", "/instances/0/registries"] {
        let number = status.pointer_mut(number).expect("a number");
        assert!(number.is_i64(), "{number}");
        *number = json!("NUMBER");
    }
    masked(site, status)
}
