//! Code -> the generated parts of the documents, the CRDs and the samples, compared with what is
//! checked in. `UPDATE_EXPECT=1` writes them anew. Knows no sentence that a person wrote.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use harness::{Operator, minors};
use serde::de::DeserializeOwned;
use serde_json::Value;
use swr_operator_api as api;
use swr_operator_api::account::SwrAccount;
use swr_operator_api::reason::{EventType, Progress, Reason};
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_core::credential::{Credential, SecretData};
use swr_operator_core::desired::{Desired, Scope};
use swr_operator_core::grant;

use crate::architecture::{files, read, root};

/// `kubectl apply` without `--server-side` keeps a copy of a CRD in an annotation; beside its
/// limit of 256 KiB this leaves room, and `kubectl explain` stays readable.
const CRD_BYTES_MAX: usize = 64 * 1024;

/// What ARCHITECTURE.md may grow to before it has to be rewritten instead of added to.
const ARCHITECTURE_LINES_MAX: usize = 200;

fn updates() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1")
}

/// Compares a whole file with what it should be, or makes it so.
pub(crate) fn compare(path: &str, expected: &str) {
    if updates() {
        fs::write(root().join(path), expected).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    let found = read(path);
    let differs = found
        .lines()
        .zip(expected.lines())
        .position(|(found, expected)| found != expected)
        .unwrap_or_else(|| found.lines().count().min(expected.lines().count()));
    assert!(
        found == expected,
        "{path} is out of date from line {} on: cargo test with UPDATE_EXPECT=1 writes it anew\n\
         is:        {}\nshould be: {}",
        differs + 1,
        found.lines().nth(differs).unwrap_or("(end)"),
        expected.lines().nth(differs).unwrap_or("(end)"),
    );
}

/// Puts `part` between the markers `<!-- generated: name -->` and `<!-- end -->`.
pub(crate) fn with_part(text: &str, name: &str, part: &str) -> String {
    let marker = format!("<!-- generated: {name} -->\n");
    let (before, after) = text
        .split_once(&marker)
        .unwrap_or_else(|| panic!("no {marker}"));
    let (_, after) = after
        .split_once("<!-- end -->")
        .expect("the end of the part");
    format!("{before}{marker}{part}<!-- end -->{after}")
}

/// The schema of the only version of a CRD, and its kind.
fn schemas() -> Vec<(String, Value)> {
    api::crds()
        .iter()
        .map(|crd| {
            let crd = serde_json::to_value(crd).expect("JSON");
            let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind");
            assert_eq!(crd["spec"]["versions"].as_array().map(Vec::len), Some(1));
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            (kind.to_owned(), schema.clone())
        })
        .collect()
}

/// The schema of `spec` or `status`.
fn part_of(kind: &str, part: &str) -> Value {
    let found = schemas().into_iter().find(|(found, _)| found == kind);
    found.expect("the kind").1["properties"][part].clone()
}

/// One field of a schema, with the path from the schema's top.
struct Field<'a> {
    path: String,
    required: bool,
    schema: &'a Value,
}

impl Field<'_> {
    /// What the table says: a required field of an object that can be left out is required with it.
    fn requirement(&self, all: &[Field<'_>]) -> String {
        let is_optional_parent = |parent: &&Field<'_>| {
            !parent.required && self.path.starts_with(&format!("{}.", parent.path))
        };
        match (self.required, all.iter().rfind(is_optional_parent)) {
            (false, _) => String::new(),
            (true, None) => "yes".to_owned(),
            (true, Some(parent)) => format!("with `{}`", parent.path),
        }
    }

    /// What the table says it is for: one sentence, or one for each word that may stand there.
    fn meaning(&self) -> String {
        let said_elsewhere = ["Default:", "Required", "Can be changed"];
        let n_sentences = if self.schema["enum"].is_array() {
            usize::MAX
        } else {
            1
        };
        let sentences = sentences(self.schema).into_iter();
        sentences
            .filter(|sentence| {
                !said_elsewhere
                    .iter()
                    .any(|words| sentence.starts_with(words))
            })
            .take(n_sentences)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Every field below a schema: the required ones of an object first, children behind parents.
fn fields<'a>(schema: &'a Value, before: &str, found: &mut Vec<Field<'a>>) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort_by_key(|name| (!required.contains(&name.as_str()), (*name).clone()));
    for name in names {
        let schema = &properties[name];
        let path = format!("{before}{name}");
        found.push(Field {
            path: path.clone(),
            required: required.contains(&name.as_str()),
            schema,
        });
        fields(schema, &format!("{path}."), found);
        fields(&schema["items"], &format!("{path}[]."), found);
    }
}

fn description(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sentences(schema: &Value) -> Vec<String> {
    description(schema)
        .split(". ")
        .map(|sentence| format!("{}.", sentence.trim_end_matches('.')))
        .collect()
}

fn type_of(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    let name = schema["type"].as_str().unwrap_or("any");
    match name {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        _ => name.to_owned(),
    }
}

/// The schema's default, or what the description says of one that the schema cannot know.
fn default_of(field: &Field<'_>) -> String {
    match &field.schema["default"] {
        Value::Null | Value::Object(_) | Value::Array(_) => {}
        Value::String(text) => return format!("`{text}`"),
        // A number with a fraction of nothing is written without it.
        value @ (Value::Bool(_) | Value::Number(_)) => {
            return format!("`{}`", value.to_string().trim_end_matches(".0"));
        }
    }
    let said = sentences(field.schema).into_iter().find_map(|sentence| {
        let said = sentence.strip_prefix("Default: ")?;
        Some(said.trim_end_matches('.').to_owned())
    });
    said.unwrap_or_default()
}

fn is_immutable(schema: &Value) -> bool {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules
        .into_iter()
        .flatten()
        .any(|rule| rule["rule"] == "self == oldSelf")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn field_table(kind: &str) -> String {
    let spec = part_of(kind, "spec");
    let mut found = Vec::new();
    fields(&spec, "", &mut found);
    let mut table = String::from(
        "\n| Field of `spec` | Type | Required | Default | Can be changed | Meaning |\n|---|---|---|---|---|---|\n",
    );
    for field in &found {
        writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {} |",
            field.path,
            cell(&type_of(field.schema)),
            field.requirement(&found),
            cell(&default_of(field)),
            if is_immutable(field.schema) {
                "**no**"
            } else {
                "yes"
            },
            cell(&field.meaning()),
        )
        .expect("a String takes everything");
    }
    table + "\n"
}

fn status_table(kind: &str) -> String {
    let status = part_of(kind, "status");
    let mut found = Vec::new();
    fields(&status, "", &mut found);
    let mut table = String::from("\n| Field of `status` | Type | Meaning |\n|---|---|---|\n");
    for field in &found {
        writeln!(
            table,
            "| `{}` | {} | {} |",
            field.path,
            cell(&type_of(field.schema)),
            cell(&description(field.schema)),
        )
        .expect("a String takes everything");
    }
    table + "\n"
}

fn word(progress: Progress) -> &'static str {
    match progress {
        Progress::Settled => "settled",
        Progress::Reconciling => "reconciling",
        Progress::Stalled => "stalled",
    }
}

fn reason_table() -> String {
    let mut table = String::from("\n| Reason | Progress | Event | Meaning |\n|---|---|---|---|\n");
    for reason in Reason::ALL {
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            reason.as_str(),
            word(reason.progress()),
            reason.event().map_or("", |it| match it {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            }),
            cell(reason.doc()),
        )
        .expect("a String takes everything");
    }
    table + "\n"
}

#[test]
fn the_generated_parts_of_the_readme_are_those_of_the_code() {
    let mut text = read("README.md");
    for (name, part) in [
        ("fields", field_table("ReplicationRegistry")),
        ("account fields", field_table("SwrAccount")),
    ] {
        text = with_part(&text, name, &part);
    }
    compare("README.md", &text);
}

#[test]
fn the_page_of_the_status_has_every_field() {
    let mut text = read("docs/status.md");
    for kind in ["ReplicationRegistry", "SwrAccount"] {
        let part = format!("status of {kind}");
        text = with_part(&text, &part, &status_table(kind));
    }
    compare("docs/status.md", &text);
}

#[test]
fn the_table_of_reasons_is_the_one_of_the_code() {
    let text = with_part(&read("docs/reasons.md"), "reasons", &reason_table());
    compare("docs/reasons.md", &text);
}

#[test]
fn whoever_meets_a_reason_finds_what_to_do() {
    let text = read("docs/troubleshooting.md");
    let (_, text) = text.split_once("\n## Reasons\n").expect("the reasons");
    let untold: Vec<&str> = Reason::ALL
        .iter()
        .filter(|reason| **reason != Reason::Available)
        .map(|reason| reason.as_str())
        .filter(|word| {
            let is_heading = text.contains(&format!("\n### {word}\n"));
            !is_heading && !text.contains(&format!("`{word}`"))
        })
        .collect();
    assert!(
        untold.is_empty(),
        "docs/troubleshooting.md lacks {untold:?}"
    );
}

#[test]
fn the_crds_are_what_the_binary_prints() {
    for crd in api::crds() {
        let kind = &crd.spec.names.kind;
        let printed = Command::new(Operator::executable())
            .args(["crd", "--kind", kind])
            .output()
            .expect("the binary runs");
        assert!(printed.status.success(), "{printed:?}");
        let printed = String::from_utf8(printed.stdout).expect("UTF-8");
        assert_eq!(
            printed,
            serde_saphyr::to_string(&crd).expect("YAML"),
            "{kind}"
        );
        assert!(
            printed.len() < CRD_BYTES_MAX,
            "{kind}: {} bytes",
            printed.len()
        );
        let name = crd.metadata.name.as_deref().expect("a name");
        compare(&format!("crds/{name}.yaml"), &printed);
    }
}

#[test]
fn every_field_of_both_kinds_has_a_description() {
    for (kind, schema) in schemas() {
        let mut found = Vec::new();
        fields(&schema, "", &mut found);
        assert!(found.len() > 20, "{kind} has only {} fields", found.len());
        for field in found {
            let text = description(field.schema);
            assert!(
                text.ends_with('.') && text.len() > 10,
                "{kind}: {} has no sentence for kubectl explain: {text:?}",
                field.path
            );
        }
    }
}

#[test]
fn every_field_that_can_be_left_out_says_what_happens_then() {
    for (kind, _) in schemas() {
        let spec = part_of(&kind, "spec");
        let mut found = Vec::new();
        fields(&spec, "", &mut found);
        for field in found {
            let text = description(field.schema);
            let says = field.required
                || !default_of(&field).is_empty()
                || [
                    "required for",
                    "leaving it out",
                    "can be changed",
                    "absent list",
                ]
                .iter()
                .any(|words| text.to_lowercase().contains(words));
            // What an element of a list leaves out is explained where the list is.
            assert!(
                says || field.path.contains("[]"),
                "{kind}: {} does not say its default: {text:?}",
                field.path
            );
        }
    }
}

/// Every object of a YAML text, as it is written.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    text.split(&format!("\n```{language}\n"))
        .skip(1)
        .filter_map(|block| block.split("\n```").next())
        .collect()
}

/// Takes an object for what its kind says it is. Nothing that is written may get lost: a field
/// that our types do not know is a mistake in the sample.
fn typed<T: DeserializeOwned + serde::Serialize>(origin: &str, object: &Value) -> T {
    let typed: T = serde_json::from_value(object.clone())
        .unwrap_or_else(|error| panic!("{origin}: {error}\n{object:#}"));
    let kept = serde_json::to_value(&typed).expect("JSON");
    if let Some(lost) = lost(object, &kept) {
        panic!("{origin}: {lost} is no field of the kind");
    }
    typed
}

/// The path of the first value of `written` that `kept` does not have.
pub(crate) fn lost(written: &Value, kept: &Value) -> Option<String> {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            written.iter().find_map(|(name, value)| {
                let below = match kept.get(name) {
                    None => Some(String::new()),
                    Some(kept) => lost(value, kept),
                };
                below.map(|path| format!(".{name}{path}"))
            })
        }
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => written
            .iter()
            .zip(kept)
            .enumerate()
            .find_map(|(n, (written, kept))| {
                lost(written, kept).map(|path| format!("[{n}]{path}"))
            }),
        (written, kept) => (written != kept).then(String::new),
    }
}

#[derive(Default)]
struct Samples {
    accounts: BTreeMap<String, SwrAccount>,
    registries: Vec<(String, ReplicationRegistry)>,
    secrets: BTreeMap<(String, String), SecretData>,
}

impl Samples {
    fn take(&mut self, origin: &str, text: &str) {
        for object in objects(text) {
            let name = |field: &str| {
                let found = object["metadata"][field].as_str();
                found.unwrap_or("default").to_owned()
            };
            match object["kind"].as_str() {
                Some("ReplicationRegistry") => {
                    self.registries
                        .push((origin.to_owned(), typed(origin, &object)));
                }
                Some("SwrAccount") => {
                    self.accounts.insert(name("name"), typed(origin, &object));
                }
                Some("Secret") => {
                    let data = object["stringData"].as_object().expect("stringData");
                    let secret = SecretData {
                        type_: object["type"].as_str().unwrap_or("Opaque").to_owned(),
                        data: data
                            .iter()
                            .map(|(key, value)| {
                                let value = value.as_str().expect("text").as_bytes().to_vec();
                                (key.clone(), value.into())
                            })
                            .collect(),
                    };
                    self.secrets
                        .insert((name("namespace"), name("name")), secret);
                }
                Some("Namespace" | "Kustomization") => {}
                other => panic!("{origin}: a sample of kind {other:?}"),
            }
        }
    }

    /// Everything the operator checks before it asks SWR.
    fn check(&self) {
        for (origin, registry) in &self.registries {
            let desired = Desired::parse(registry)
                .unwrap_or_else(|findings| panic!("{origin}: {findings:?}"));
            let namespace = registry.metadata.namespace.as_deref().unwrap_or("default");
            let scope = Scope::of(registry);
            let account = self
                .accounts
                .get(&*scope.account)
                .unwrap_or_else(|| panic!("{origin}: no account {:?}", scope.account));
            grant::check(
                &account.spec.grants,
                (namespace, &BTreeMap::new()),
                &scope.instance,
                &desired.registry,
            )
            .unwrap_or_else(|denied| panic!("{origin}: {}", denied.message));
            let key = (namespace.to_owned(), desired.secret.name.to_string());
            let secret = self
                .secrets
                .get(&key)
                .unwrap_or_else(|| panic!("{origin}: no Secret {key:?}"));
            let keys = desired.secret.keys.as_ref().map(|(k, s)| (&**k, &**s));
            if let Err(rejected) = Credential::from_secret(secret, keys) {
                panic!("{origin}: Secret {key:?}: {rejected}");
            }
        }
    }
}

#[test]
fn every_sample_is_one_that_the_operator_would_carry_out() {
    let mut samples = Samples::default();
    for path in files("deploy/samples", "yaml") {
        samples.take(&path, &read(&path));
    }
    assert!(samples.registries.len() >= 3 && !samples.accounts.is_empty());
    samples.check();
    // Each file is in the kustomization of its folder, and each folder in the one above it.
    for path in files("deploy/samples", "yaml") {
        let part = path.strip_suffix("/kustomization.yaml").unwrap_or(&path);
        let (folder, name) = part.rsplit_once('/').expect("a folder");
        assert!(
            part == "deploy/samples"
                || read(&format!("{folder}/kustomization.yaml")).contains(&format!("- {name}\n")),
            "{path} is in no kustomization"
        );
    }
}

#[test]
fn the_objects_in_the_readme_are_valid() {
    let text = read("README.md");
    let mut samples = Samples::default();
    for path in [
        "deploy/samples/accounts/account.yaml",
        "deploy/samples/secrets/secrets.yaml",
    ] {
        samples.take(path, &read(path));
    }
    for block in blocks(&text, "yaml") {
        samples.take("README.md", block);
    }
    assert!(!samples.registries.is_empty(), "README.md shows no object");
    samples.check();
}

#[test]
fn every_flag_in_the_documents_exists() {
    let help = |args: &[&str]| {
        let binary = Operator::executable();
        let out = Command::new(binary).args(args).output().expect("it runs");
        String::from_utf8(out.stdout).expect("UTF-8")
    };
    // Helm's, which the same sentences speak of.
    let others = "--wait --take-ownership ";
    let verbs = [
        "run",
        "crd",
        "probe",
        "plan",
        "validate",
        "suspend",
        "apply",
        "check",
        "status",
        "import terraform",
    ]
    .map(|verb| {
        let words = verb.split(' ').chain(["--help"]);
        help(&words.collect::<Vec<_>>())
    });
    let known = verbs.concat() + others;
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/accounts.md",
        "docs/cli.md",
        "docs/from-terraform.md",
        "docs/gitops.md",
        "docs/operations.md",
        "docs/protocol.md",
        "docs/reasons.md",
        "docs/troubleshooting.md",
        "docs/uninstall.md",
        "docs/upgrade.md",
    ] {
        let text = read(path);
        // Only in backticks; a shell block may name flags of kubectl and cargo.
        for quoted in text.split('`').skip(1).step_by(2) {
            let Some(flag) = quoted.strip_prefix("--") else {
                continue;
            };
            let flag = flag.split([' ', '=']).next().unwrap_or_default();
            assert!(
                known.contains(&format!("--{flag} ")) || known.contains(&format!("--{flag}\n")),
                "{path}: the operator has no flag --{flag}"
            );
        }
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let documents = files("docs", "md").into_iter().chain(
        [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "SECURITY.md",
        ]
        .map(str::to_owned),
    );
    for path in documents {
        let text = read(&path);
        let folder = root().join(&path);
        let folder = folder.parent().expect("a folder");
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap_or_default();
            if !link.is_empty() && !link.contains("://") {
                assert!(folder.join(link).exists(), "{path} links to {link}");
            }
        }
    }
}

/// Where a module may stand that documents name: below its crate, or in `core` without its folder, as in the code.
fn homes(module: &[&str]) -> Vec<String> {
    let (first, below) = module.split_first().expect("a module");
    let folders = ["", "model/", "decide/", "protocol/", "report/"];
    let mut stems = folders
        .map(|folder| format!("src/core/src/{folder}{}", module.join("/")))
        .to_vec();
    stems.push(match below {
        [] => format!("src/{first}/src/lib"),
        below => format!("src/{first}/src/{}", below.join("/")),
    });
    let files = stems
        .iter()
        .flat_map(|stem| [format!("{stem}.rs"), format!("{stem}/mod.rs")]);
    files.filter(|file| root().join(file).is_file()).collect()
}

/// Whether a path in the code, as `step::keep::intend`, leads to something of that name.
fn exists(path: &str) -> bool {
    let segments: Vec<&str> = path.split("::").collect();
    (1..segments.len()).rev().any(|n| {
        let mut texts = homes(&segments[..n]).into_iter().map(|file| read(&file));
        texts.any(|text| segments[n..].iter().all(|name| text.contains(name)))
    })
}

#[test]
fn what_the_rules_name_in_the_code_is_there() {
    assert!(exists("step::keep::intend") && !exists("step::keep::no_such_function"));
    for path in ["ARCHITECTURE.md", "docs/protocol.md"] {
        let text = read(path);
        let mut n_paths = 0;
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = quoted.contains("::")
                && quoted
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '_' || c == ':');
            let first = quoted.split("::").next().unwrap_or_default();
            if is_path && !homes(&[first]).is_empty() {
                n_paths += 1;
                assert!(exists(quoted), "{path} names {quoted}, which is not there");
            }
        }
        assert!(n_paths > 5, "{path} names no code");
    }
}

/// Whether there is a test that is named as in SECURITY.md: `it/conflict::a_sentence`.
fn is_test(named: &str) -> bool {
    let parts = named
        .rsplit_once("::")
        .and_then(|(module, name)| Some((module.split_once('/')?, name)));
    let Some(((part, file), name)) = parts else {
        return false;
    };
    let path = match part {
        "it" => format!("tests/it/{file}.rs"),
        "harness" => format!("tests/harness/src/{file}.rs"),
        package => format!("src/{package}/src/{file}.rs"),
    };
    if !root().join(&path).is_file() {
        return false;
    }
    let text = read(&path);
    let head = format!("fn {name}(");
    let mut pairs = text.lines().zip(text.lines().skip(1));
    pairs.any(|(above, line)| {
        let above = above.trim_start();
        line.contains(&head) && (above == "#[test]" || above.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_threat_has_its_row_and_every_test_that_it_names_exists() {
    let known = "it/conflict::a_foreign_registry_of_the_same_name_is_never_written";
    assert!(is_test(known) && !is_test("it/conflict::object") && !is_test("it/none::none"));
    let text = read("SECURITY.md");
    let (_, threats) = text.split_once("\n## Threats\n").expect("the threats");
    let threats = threats.split("\n## ").next().unwrap_or_default();
    let rows: Vec<Vec<&str>> = threats
        .lines()
        .filter_map(|line| line.strip_prefix("| TH")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect())
        .collect();
    let ids: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let wanted: Vec<String> = (1..=18).map(|n| format!("{n:02}")).collect();
    assert_eq!(ids, wanted, "the numbers of the threats");
    for row in &rows {
        assert_eq!(row.len(), 5, "cells of {row:?}");
        let quoted = row
            .iter()
            .flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let tests: Vec<&str> = quoted.filter(|quoted| quoted.contains("::")).collect();
        assert!(
            !tests.is_empty() || row[3].starts_with("not tested: "),
            "TH{} names no test and does not say so",
            row[0]
        );
        for test in tests {
            assert!(is_test(test), "TH{}: there is no test {test}", row[0]);
        }
    }
}

#[test]
fn the_versions_of_kubernetes_that_are_claimed_are_those_that_the_tests_can_run() {
    let go_mod = read("tests/controlplane/go.mod");
    let newest = go_mod
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))
        .and_then(|rest| rest.split_whitespace().next())
        .expect("the version of the usual control plane");
    let earlier = minors::VERSIONS.iter().map(|version| &version[1..]);
    let minors: Vec<u32> = earlier
        .chain([newest])
        .map(|version| {
            let minor = version
                .strip_prefix("1.")
                .and_then(|rest| rest.split('.').next());
            minor
                .and_then(|minor| minor.parse().ok())
                .expect("a minor version")
        })
        .collect();
    let (oldest, newest) = (minors[0], minors[minors.len() - 1]);
    assert_eq!(minors, (oldest..=newest).collect::<Vec<u32>>());
    for (path, claim) in [
        ("README.md", format!("Kubernetes 1.{oldest} or newer")),
        ("README.md", format!("run against 1.{newest}")),
        (
            "charts/swr-operator/README.md",
            format!("Kubernetes 1.{oldest} or newer"),
        ),
        (
            "charts/swr-operator/Chart.yaml",
            format!("kubeVersion: \">=1.{oldest}.0-0\""),
        ),
        (
            "docs/upgrade.md",
            format!("| 1.{oldest} and newer, tested with 1.{newest}"),
        ),
    ] {
        assert!(read(path).contains(&claim), "{path} does not say {claim:?}");
    }
}

#[test]
fn architecture_stays_short_enough_to_be_read() {
    let n_lines = read("ARCHITECTURE.md").lines().count();
    assert!(
        n_lines <= ARCHITECTURE_LINES_MAX,
        "{n_lines} lines, more than {ARCHITECTURE_LINES_MAX}"
    );
}
