//! Code -> the generated parts of the documents, the CRDs and the samples, compared with what is
//! checked in. `UPDATE_EXPECT=1` writes them anew. Knows no sentence that a person wrote.
//!
//! | Module | Compares |
//! |---|---|
//! | [`kinds`] | the definitions, and the page of each kind |
//! | [`pictures`] | the pictures of a reconcile with what the tests of the core expect |
//! | [`reasons`] | the table of reasons, and that each is explained |
//! | [`flags`] | the page of flags, and the flags that other pages name |
//! | [`samples`] | samples and the objects in the pages with what the operator takes |
//! | [`names`] | names of pages, in the code, and of tests with what is there |

mod flags;
mod kinds;
mod names;
mod pictures;
mod reasons;
mod samples;

use std::fs;

use harness::minors;
use serde_json::Value;

use crate::architecture::{read, root};

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
/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
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
        ("docs/install.md", format!("Kubernetes 1.{oldest} or newer")),
        ("docs/install.md", format!("run against 1.{newest}")),
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
