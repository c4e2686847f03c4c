//! Alerts, dashboard and docs/metrics.md against promtool and against a scrape of the running operator to whose objects
//! everything has happened: no name is there that the operator does not serve, no query that finds nothing.

mod dashboard;
mod promql;
mod scrape;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use harness::process::output_of;
use harness::{eventually_blocking, promtool};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::architecture::{files, read, root};
use crate::bed::{Bed, with_site};
use crate::cloud::PATIENCE;
use crate::documents::{blocks, compare, with_part};
use crate::site::{Site, registry_id, state};
use promql::uses;
use scrape::Scrape;

const RULES: &str = "deploy/monitoring/swr-operator.rules.yaml";
const METRICS: &str = "docs/metrics.md";
const JOB: &str = "swr-operator";
/// What Prometheus adds to every series; `cluster` where it is one of several.
const OF_THE_TARGET: [&str; 3] = ["cluster", "instance", "job"];
/// All series of one object together, so that a thousand objects are a small Prometheus.
const SERIES_PER_OBJECT_MAX: usize = 15;

/// promtool, which must succeed; what it says.
fn promtool(args: &[&str]) -> String {
    promtool_reading(args, Stdio::null())
}

fn promtool_reading(args: &[&str], input: Stdio) -> String {
    let program = promtool::provide().unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(input);
    let said = output_of(&mut command).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8_lossy(&said).into_owned()
}

/// A query with its place, for people.
struct Query {
    place: String,
    expression: String,
}

/// Alerts with their expressions.
fn alerts() -> Vec<(String, Value)> {
    let rules: Value = serde_saphyr::from_str(&read(RULES)).expect("YAML");
    let groups = rules["groups"].as_array().expect("groups");
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .map(|rule| {
            let name = rule["alert"].as_str().expect("an alert");
            (name.to_owned(), rule.clone())
        })
        .collect()
}

fn queries() -> Vec<Query> {
    let of_rules = alerts().into_iter().map(|(name, rule)| Query {
        place: name,
        expression: rule["expr"].as_str().expect("an expression").to_owned(),
    });
    of_rules.chain(dashboard::queries()).collect()
}

#[test]
fn the_rules_are_valid_and_every_alert_is_tested() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", RULES]);
    let tests = files("deploy/monitoring/tests", "yaml");
    let mut args = vec!["test", "rules"];
    args.extend(tests.iter().map(String::as_str));
    promtool(&args);

    // Each fires in a test, and is silent in another.
    let tests: String = tests.iter().map(|path| read(path)).collect();
    for (name, _) in alerts() {
        let places: Vec<&str> = tests.split(&format!("alertname: {name}")).skip(1).collect();
        let first_words = |place: &&str| place.split("- alertname").next().unwrap_or("").to_owned();
        let fires = |place: &&str| first_words(place).contains("exp_labels");
        assert!(places.iter().any(fires), "{name} fires in no test");
        assert!(!places.iter().all(fires), "{name} is silent in no test");
    }
}

#[test]
fn every_alert_says_what_to_type_and_where_to_read() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "a name stands twice");
    let guide = read("docs/operations.md");
    for (name, rule) in &alerts {
        let text = |pointer: &str| {
            let found = rule.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_else(|| panic!("{name} has no {pointer}"))
        };
        let heading = format!("### {name}\n");
        assert!(guide.contains(&heading), "docs/operations.md lacks {name}");
        let severity = text("/labels/severity");
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        assert!(text("/annotations/summary").ends_with('.'), "{name}");
        assert!(
            text("/annotations/description").contains("kubectl "),
            "{name}"
        );
        assert_eq!(
            text("/annotations/runbook_url"),
            format!(
                "https://swr-operator.example.com/docs/operations.md#{}",
                name.to_lowercase()
            )
        );
        // Whoever packages the rules replaces the job.
        let job = format!("job=\"{JOB}\"");
        let uses = uses(text("/expr"));
        let n_jobs = text("/expr").matches(&job).count();
        assert!(
            n_jobs >= uses.series.len(),
            "{name} reads series of any job"
        );
    }
}

/// A text with templates as a person reads it who has no alert at hand.
fn without_templates(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (template, behind) = part.split_once("}}").expect("the template ends");
        let name = template.trim().split(' ').next().unwrap_or_default();
        let name = name.trim_start_matches("$labels.").trim_start_matches('$');
        write!(shown, "*{name}*{behind}").expect("a String takes everything");
    }
    shown
}

#[test]
fn the_table_of_alerts_is_the_one_of_the_rules() {
    let mut table = String::from("\n| Alert | Severity | After | Says |\n|---|---|---|---|\n");
    for (name, rule) in alerts() {
        let summary = rule["annotations"]["summary"].as_str().unwrap_or_default();
        writeln!(
            table,
            "| `{name}` | {} | {} | {} |",
            rule["labels"]["severity"].as_str().unwrap_or_default(),
            rule["for"].as_str().unwrap_or("at once"),
            without_templates(summary),
        )
        .expect("a String takes everything");
    }
    compare(
        METRICS,
        &with_part(&read(METRICS), "alerts", &(table + "\n")),
    );
}

#[test]
fn the_examples_in_the_documents_are_valid() {
    let text = read(METRICS);
    let examples = blocks(&text, "yaml");
    let [prometheus, alertmanager, kube_state_metrics] = examples[..] else {
        panic!("{METRICS} has {} examples", examples.len());
    };
    let folder = TempDir::new().expect("a folder");
    let rules = Path::new(RULES).file_name().expect("a name");
    fs::copy(root().join(RULES), folder.path().join(rules)).expect("the rules");
    let config = folder.path().join("prometheus.yaml");
    fs::write(&config, prometheus).expect("a file");
    let said = promtool(&["check", "config", &config.display().to_string()]);
    assert!(said.contains("1 rule files found"), "{said}");

    let alertmanager: Value = serde_saphyr::from_str(alertmanager).expect("YAML");
    let names: BTreeSet<String> = alerts().into_iter().map(|(name, _)| name).collect();
    for rule in alertmanager["inhibit_rules"].as_array().expect("rules") {
        for side in ["source_matchers", "target_matchers"] {
            let matcher = rule[side][0].as_str().expect("a matcher");
            let name = matcher.strip_prefix("alertname = ").expect("a name");
            assert!(names.contains(name), "{name} is no alert");
        }
    }
    assert_in_schema(&serde_saphyr::from_str(kube_state_metrics).expect("YAML"));
}

/// Every path that kube-state-metrics is told is one of the CRD.
fn assert_in_schema(config: &Value) {
    let resources = config["spec"]["resources"].as_array().expect("resources");
    for resource in resources {
        let kind = resource["groupVersionKind"]["kind"].as_str();
        let crds = swr_operator_api::crds();
        let crd = crds
            .iter()
            .find(|crd| Some(crd.spec.names.kind.as_str()) == kind);
        let crd = serde_json::to_value(crd.expect("the kind")).expect("JSON");
        let version = &crd["spec"]["versions"][0];
        assert_eq!(resource["groupVersionKind"]["group"], crd["spec"]["group"]);
        assert_eq!(resource["groupVersionKind"]["version"], version["name"]);
        let schema = &version["schema"]["openAPIV3Schema"];
        let mut paths = labels_from_path(resource, &[]);
        for metric in resource["metrics"].as_array().expect("metrics") {
            let each = metric["each"].as_object().expect("each");
            for value in ["info", "gauge"].iter().filter_map(|kind| each.get(*kind)) {
                let base = segments(&value["path"]);
                paths.extend(labels_from_path(value, &base));
                paths.push([base, segments(&value["valueFrom"])].concat());
            }
        }
        assert!(paths.len() > 10, "{paths:?}");
        for path in paths
            .iter()
            .filter(|path| path.first().is_some_and(|p| p != "metadata"))
        {
            let found = path.iter().try_fold(schema, |schema, segment| {
                let schema = schema.get("items").unwrap_or(schema);
                schema["properties"].get(segment)
            });
            assert!(found.is_some(), "{} is not in the CRD", path.join("."));
        }
    }
}

fn segments(path: &Value) -> Vec<String> {
    let segments = path.as_array().into_iter().flatten();
    segments
        .map(|s| s.as_str().expect("a name").to_owned())
        .collect()
}

fn labels_from_path(value: &Value, base: &[String]) -> Vec<Vec<String>> {
    let labels = value["labelsFromPath"].as_object().into_iter().flatten();
    labels
        .map(|(_, path)| [base, &segments(path)].concat())
        .collect()
}

#[test]
fn the_operator_serves_what_rules_dashboard_and_documents_name() {
    with_site("monitoring", |bed, site| {
        live(bed, site);
        let text = bed.scrape();
        let scrape = Scrape::parse(&text);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("the scrape");
        file.rewind().expect("its start");
        promtool_reading(&["check", "metrics"], file.into());
        assert_named(&scrape);
        assert_found(&scrape);
        assert_documented(&scrape);
        assert_few(&scrape, site);
        type_what_the_alerts_say(site);
        assert_vanish(bed, site);
    });
}

/// Everything that can happen to objects happens to some.
fn live(bed: &Bed, site: &Site) {
    let instance = &site.cloud.instances[0];
    // Created, changed, put back, given another credential, and then stalled.
    let before = site.ready("lived");
    site.patch("lived", &json!({"spec": {"description": "changed"}}));
    let object = site.await_sent_after("lived", &before);
    let id = registry_id(&object);
    site.cloud
        .console_edit(instance, id, "/url", json!("https://elsewhere.example.com"));
    let object = site.await_sent_after("lived", &object);
    site.put_login("lived", &site.login());
    site.await_sent_after("lived", &object);
    site.cloud
        .console_edit(instance, id, "/description", json!("not yours any more"));
    site.await_state("lived", "False OwnershipLost");

    site.ready("well");
    site.ready("rests");
    site.patch("rests", &json!({"spec": {"suspend": true}}));
    site.await_state("rests", "True Suspended");
    site.create(&site.registry("waits", "swr-pro"));
    site.await_status("waits", "SecretNotFound", |object| {
        state(object, "Synced") == "Unknown SecretNotFound"
    });
    site.ready("gone");
    site.delete("gone");
    site.await_gone("gone");
    site.cloud.fault(&json!({
        "match": {"operation": "ListInstanceRegistries", "ordinal": 1},
        "kind": "status", "status": 503,
    }));
    eventually_blocking(PATIENCE, "a request that failed", || {
        let scrape = Scrape::parse(&bed.scrape());
        let failed = scrape.with(&[("operation", "list"), ("code", "503")]);
        failed.first().map(|_| ()).ok_or("none")
    });
}

/// Every series and label that rules and panels name is served.
fn assert_named(scrape: &Scrape) {
    let mut missing = Vec::new();
    for Query { place, expression } in queries() {
        let uses = uses(&expression);
        assert!(!uses.series.is_empty(), "{place} reads nothing");
        let mut all: BTreeSet<&str> = OF_THE_TARGET.into();
        for (name, labels) in &uses.series {
            if name == "up" {
                continue;
            }
            let Some(family) = scrape.family_of(name) else {
                missing.push(format!("{place}: {name}"));
                continue;
            };
            let mut served = scrape.labels_of(family);
            served.extend(OF_THE_TARGET);
            if name.ends_with("_bucket") {
                served.insert("le");
            }
            for label in labels.iter().filter(|l| !served.contains(l.as_str())) {
                missing.push(format!("{place}: {name}{{{label}}}"));
            }
            all.extend(served);
        }
        for label in uses.grouped.iter().filter(|l| !all.contains(l.as_str())) {
            missing.push(format!("{place}: {label}, which none of its series has"));
        }
    }
    assert!(missing.is_empty(), "not served:\n{}", missing.join("\n"));
}

/// Every panel finds something in the scrape, and no query fails, even while two operators are scraped.
fn assert_found(scrape: &Scrape) {
    let mut input = Vec::new();
    for target in ["a:8080", "b:8080"] {
        let mut add = |series: &str, value: &str| {
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let series = format!("{name}{{job=\"{JOB}\",instance=\"{target}\",{labels}");
            input.push(json!({"series": series, "values": format!("{value}x15")}));
        };
        for sample in &scrape.samples {
            add(&sample.series, &sample.value);
        }
        add("up", "1");
    }
    let rules: Vec<Value> = dashboard::queries()
        .map(|Query { place, expression }| {
            json!({
                "alert": "Empty",
                "expr": format!("absent({expression})"),
                "labels": {"panel": place.replace(['{', '}'], "")},
            })
        })
        .collect();
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        // JSON is YAML.
        fs::write(&path, value.to_string()).expect("a file");
        path.display().to_string()
    };
    let panels = write(
        "panels.json",
        &json!({"groups": [{"name": "panels", "rules": rules}]}),
    );
    let test = write(
        "test.json",
        &json!({
            "rule_files": [panels, root().join(RULES)],
            "evaluation_interval": "1m",
            "tests": [{
                "interval": "1m",
                "input_series": input,
                "alert_rule_test": [{"alertname": "Empty", "eval_time": "15m", "exp_alerts": []}],
            }],
        }),
    );
    promtool(&["test", "rules", &test]);
}

/// docs/metrics.md has the table of what is served.
fn assert_documented(scrape: &Scrape) {
    let mut table = String::from("\n| Metric, type, labels | Meaning |\n|---|---|\n");
    for (name, family) in &scrape.families {
        let labels = scrape.labels_of(name).into_iter();
        let labels: Vec<String> = labels.map(|label| format!("`{label}`")).collect();
        let by = match &*labels {
            [] => String::new(),
            labels => format!(" by {}", labels.join(", ")),
        };
        assert!(family.help.len() > 10, "{name} has no HELP");
        let help = family.help.trim_end_matches('.');
        let help = help.replace('|', "\\|").replace('<', "\\<");
        writeln!(table, "| `{name}`<br>{}{by} | {help}. |", family.kind)
            .expect("a String takes everything");
    }
    compare(
        METRICS,
        &with_part(&read(METRICS), "metrics", &(table + "\n")),
    );
}

/// The series of one object are few, and each condition has one.
fn assert_few(scrape: &Scrape, site: &Site) {
    let of = |name: &str| scrape.with(&[("namespace", &site.name), ("name", name)]);
    for name in ["lived", "well", "rests", "waits"] {
        let samples = of(name);
        let series: Vec<&str> = samples.iter().map(|s| s.series.as_str()).collect();
        assert!(
            (8..=SERIES_PER_OBJECT_MAX).contains(&series.len()),
            "{name} has {} series:\n{}",
            series.len(),
            series.join("\n")
        );
        let mut types = BTreeSet::new();
        for condition in samples
            .iter()
            .filter(|s| s.name == "swr_resource_condition")
        {
            assert_eq!(condition.value, "1", "{}", condition.series);
            let type_ = condition.labels["type"].as_str();
            assert!(types.insert(type_), "{name} has two states of {type_}");
        }
        assert!(types.contains("Ready"), "{name} has no Ready");
    }
    let lived = of("lived");
    for counter in [
        "swr_drift_detected_total",
        "swr_drift_corrected_total",
        "swr_credential_rotations_total",
    ] {
        let found = lived.iter().find(|sample| sample.name == counter);
        assert_eq!(
            found.map(|sample| sample.value.as_str()),
            Some("1"),
            "{counter}"
        );
    }
    assert!(of("gone").is_empty(), "{:?}", of("gone"));
}

/// Every alert's description ends with a command; kubectl takes it as it stands.
fn type_what_the_alerts_say(site: &Site) {
    for (name, rule) in alerts() {
        let description = rule["annotations"]["description"].as_str();
        let (_, command) = description
            .and_then(|text| text.rsplit_once("kubectl "))
            .expect("a command");
        let object = if name == "SwrAccountNotReady" {
            &site.name
        } else {
            "lived"
        };
        let command = command
            .replace("{{ $labels.namespace }}", &site.name)
            .replace("{{ $labels.account }}", &site.name)
            .replace("{{ $labels.name }}", object);
        // No argument has a space in its quotes.
        let words: Vec<&str> = command.split_whitespace().collect();
        let words: Vec<&str> = words.iter().map(|word| word.trim_matches('\'')).collect();
        let said = site.cluster.kubectl(&words);
        if name == "SwrDriftRecurring" {
            assert!(said.contains("DriftCorrected"), "{said}");
        }
    }
}

/// With an object, its series go.
fn assert_vanish(bed: &Bed, site: &Site) {
    // An alert's command has set its deletionPolicy to Orphan, so the lost registry holds nothing up.
    site.delete("lived");
    site.await_gone("lived");
    eventually_blocking(PATIENCE, "the end of the series of lived", || {
        let scrape = Scrape::parse(&bed.scrape());
        let left = scrape.with(&[("namespace", &site.name), ("name", "lived")]);
        left.first()
            .map_or(Ok(()), |sample| Err(sample.series.clone()))
    });
}
