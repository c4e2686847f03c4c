//! What cannot be: each says what was attempted, where, why it did not work and what to do next, and ends with the code
//! that docs/cli.md gives.

use std::fmt::Write as _;
use std::fs;

use expect_test::expect_file;
use serde_json::json;

use super::place::{INSTANCE, Place, object};
use super::{Ran, transcript, typed};

/// Aliases that come to a billion values.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let below = format!("*a{}", n - 1);
        let ten = [below.as_str(); 10].join(", ");
        writeln!(text, "a{n}: &a{n} [{ten}]").expect("a String takes everything");
    }
    format!("apiVersion: v1\nkind: ConfigMap\n{text}")
}

/// A kubeconfig of a server that is not there.
const NO_SERVER: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
";

#[test]
fn what_cannot_be_says_where_why_and_what_next() {
    let place = Place::new();
    fs::write(place.at().join("latin.yaml"), b"kind: \xe9\n").expect("written");
    fs::write(place.at().join("bomb.yaml"), bomb()).expect("written");
    fs::write(place.at().join("nowhere.kubeconfig"), NO_SERVER).expect("written");
    place.write("new.yaml", &[object("new")]);
    place.write("twins.yaml", &[object("twin"), object("twin")]);
    let mut unknown = object("unknown");
    unknown["kind"] = json!("Registry");
    place.write("unknown.yaml", &[unknown]);
    let run = |line: &'static str| {
        let nowhere = ["--region", "region-1", "--project-id", "project-1"];
        let nowhere = [&nowhere[..], &["--swr-endpoint", "http://127.0.0.1:1"]].concat();
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let asks_swr = args[0] == "plan" || args.starts_with(&["import", "list"]);
        let args = [&args[..], if asks_swr { &nowhere } else { &[] }].concat();
        let ran = typed(args).keys(place.keys()).at(place.at()).run();
        place.assert_keeps_secrets(&ran);
        (line, ran)
    };
    let list: &'static str = "swr-operator import list 5f1c8a0e-1111-2222-3333-444455556666";
    assert!(list.ends_with(INSTANCE));
    let runs: Vec<(&str, Ran)> = [
        "swr-operator plan -f absent.yaml --no-cluster",
        "swr-operator plan -f latin.yaml --no-cluster",
        "swr-operator plan -f bomb.yaml --no-cluster",
        "swr-operator validate -f bomb.yaml",
        "swr-operator plan -f twins.yaml --no-cluster",
        "swr-operator validate -f twins.yaml",
        "swr-operator plan -f unknown.yaml --no-cluster",
        "swr-operator validate -f unknown.yaml",
        "swr-operator plan -f new.yaml --kubeconfig nowhere.kubeconfig",
        "swr-operator plan --kubeconfig nowhere.kubeconfig",
        "swr-operator orphans --kubeconfig nowhere.kubeconfig",
        "swr-operator orphans",
        "swr-operator validate -f new.yaml --server --kubeconfig nowhere.kubeconfig",
        "swr-operator reconcile it --kubeconfig nowhere.kubeconfig",
        "swr-operator suspend it",
        "swr-operator plan -f new.yaml --no-cluster",
        list,
        "swr-operator import terraform absent.json",
        "swr-operator import terraform new.yaml",
    ]
    .map(run)
    .into();
    for (line, ran) in &runs {
        assert_eq!(ran.code, Some(1), "{line}: {}", ran.shown());
        let is_finding = line.starts_with("swr-operator validate -f") && !line.contains("--server");
        let says_next = ran.shown().contains("hint: ");
        assert!(says_next || is_finding, "{line}: {}", ran.shown());
    }
    expect_file!["../goldens/cli-bad-input.txt"].assert_eq(&transcript(runs));
}
