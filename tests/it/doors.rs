//! The same input at both doors: what admission takes works, and what would not work is refused with a sentence that
//! names the cause, at admission or, for a variable, when the operator starts. Nothing is taken and then inert.

use std::process::Command;

use harness::Operator;
use serde_json::{Value, json};
use swr_operator_core::url;

use crate::cluster::Cluster;
use crate::manifest::{self, API_VERSION};

const INSTANCE: &str = "5f1c8a0e-1111-2222-3333-444455556666";

/// What admission says to it; `None` if it takes it.
fn refused(path: &str, object: &Value) -> Option<String> {
    let path = format!("/apis/{API_VERSION}/{path}?dryRun=All&fieldValidation=Strict");
    let answer = Cluster::shared().create(&path, object);
    answer.err().map(|refused| refused.message)
}

const URLS: [&str; 39] = [
    "https://harbor.example.com",
    "https://harbor.example.com/",
    "http://Harbor.Example.com:8080/a/b",
    "http://harbor_core:8080",
    "https://xn--fiqs8s.example.com",
    "https://192.0.2.7",
    "https://[2001:DB8:0:0:0:0:0:1]:8443",
    "https://h:65535",
    "https://h/%41",
    "harbor.example.com",
    "ftp://h",
    "HTTPS://h",
    "//h",
    "https://仓库.example.cn",
    "https://h/a b",
    "https://h\n",
    "https://h/\u{a0}",
    "https://u:p@h",
    "https://h?a=b",
    "https://h#a",
    "https://h/a\\b",
    "https://h/%4",
    "https://h:port",
    "https://[2001:db8::1",
    "https://[::1]x",
    "https://[harbor]",
    "https://",
    "https://:443",
    "https:///a",
    "https://harbor.example.com.",
    "https://.example.com",
    "https://a..b",
    "https://-bad.example.com",
    "https://bad-.example.com",
    "https://_a",
    "https://a*b",
    "https://h:0",
    "https://h:99999",
    "https://h:000080",
];

#[test]
fn admission_and_operator_agree_on_every_url_and_say_the_same() {
    let mut disagree = Vec::new();
    for text in URLS {
        let mut object = manifest::registry("default", "default", INSTANCE, "it", "swr-pro");
        object["spec"]["url"] = json!(text);
        let admission = refused("namespaces/default/replicationregistries", &object);
        let operator = url::host(text);
        let agree = match (&admission, &operator) {
            (None, Ok(_)) => true,
            (Some(said), Err(sentence)) => {
                said.contains(*sentence) && said.matches("spec.url").count() == 1
            }
            (None, Err(_)) | (Some(_), Ok(_)) => false,
        };
        if !agree {
            disagree.push(format!(
                "{text:?}: admission {admission:?}, operator {operator:?}"
            ));
        }
    }
    assert!(disagree.is_empty(), "\n{}", disagree.join("\n"));
}

/// Where in a grant, an item, and the beginning of the sentence that refuses it.
type Item = (&'static str, &'static str, Option<&'static str>);

const HOSTS: Option<&str> = Some("each of hosts must be a host name");
const ADDRESSES: Option<&str> = Some("each of addresses must be an IP address");
const NAMESPACES: Option<&str> = Some("each of namespaces must be the name of a namespace");
const INSTANCES: Option<&str> =
    Some("each of instances must be the id of an SWR Enterprise instance");

const ITEMS: [Item; 37] = [
    ("/namespaces", "*", None),
    ("/namespaces", "team-a", None),
    ("/namespaces", "team-*", NAMESPACES),
    ("/namespaces", "Team", NAMESPACES),
    ("/namespaces", "", NAMESPACES),
    ("/namespaces", " team", NAMESPACES),
    ("/instances", "*", None),
    ("/instances", INSTANCE, None),
    ("/instances", "5f1c*", INSTANCES),
    ("/instances", "", INSTANCES),
    ("/targets/hosts", "*", None),
    ("/targets/hosts", "harbor.dr.example.com", None),
    ("/targets/hosts", "Harbor.DR.example.com", None),
    ("/targets/hosts", "*.dr.example.com", None),
    ("/targets/hosts", "harbor_core", None),
    ("/targets/hosts", "192.0.2.7", None),
    ("/targets/hosts", "2001:db8::1", None),
    ("/targets/hosts", "https://harbor.dr.example.com", HOSTS),
    ("/targets/hosts", "harbor.dr.example.com:443", HOSTS),
    ("/targets/hosts", "harbor.dr.example.com/", HOSTS),
    ("/targets/hosts", "*example.com", HOSTS),
    ("/targets/hosts", "harbor.*.com", HOSTS),
    ("/targets/hosts", "*.*.com", HOSTS),
    ("/targets/hosts", "[2001:db8::1]", HOSTS),
    ("/targets/hosts", "harbor.example.com.", HOSTS),
    ("/targets/hosts", "", HOSTS),
    ("/targets/addresses", "*", None),
    ("/targets/addresses", "192.0.2.7", None),
    ("/targets/addresses", "192.0.2.0/24", None),
    ("/targets/addresses", "2001:db8::/32", None),
    ("/targets/addresses", "192.0.2.0/33", ADDRESSES),
    ("/targets/addresses", "192.0.2.0/", ADDRESSES),
    ("/targets/addresses", "192.0.2.10-192.0.2.20", ADDRESSES),
    ("/targets/addresses", "example.com", ADDRESSES),
    ("/targets/addresses", "", ADDRESSES),
    ("/targets/instances", "*", None),
    ("/targets/instances", "team-?", INSTANCES),
];

const NOTHING: Option<&str> = Some("namespaceSelector must name a label");
const KEY: Option<&str> = Some("every key of matchLabels must be the key of a label");
const VALUE: Option<&str> = Some("every value of matchLabels must be the value of a label");
const EXPRESSION_KEY: Option<&str> = Some("key must be the key of a label");
const VALUES: Option<&str> = Some("values are given for In and NotIn, and for no other operator");

/// A selector as JSON.
const SELECTORS: [(&str, Option<&str>); 13] = [
    (r#"{"matchLabels": {"team": "web"}}"#, None),
    (r#"{"matchLabels": {"example.com/team": ""}}"#, None),
    (
        r#"{"matchExpressions": [{"key": "team", "operator": "In", "values": ["web", "data"]}]}"#,
        None,
    ),
    (
        r#"{"matchExpressions": [{"key": "team", "operator": "Exists"}]}"#,
        None,
    ),
    (r"{}", NOTHING),
    (r#"{"matchLabels": {}}"#, NOTHING),
    (r#"{"matchLabels": {"team=": "web"}}"#, KEY),
    (r#"{"matchLabels": {"team": "web*"}}"#, VALUE),
    (
        r#"{"matchExpressions": [{"key": "a team", "operator": "Exists"}]}"#,
        EXPRESSION_KEY,
    ),
    (
        r#"{"matchExpressions": [{"key": "team", "operator": "In"}]}"#,
        VALUES,
    ),
    (
        r#"{"matchExpressions": [{"key": "team", "operator": "NotIn", "values": []}]}"#,
        VALUES,
    ),
    (
        r#"{"matchExpressions": [{"key": "team", "operator": "Exists", "values": ["web"]}]}"#,
        VALUES,
    ),
    (
        r#"{"matchExpressions": [{"key": "team", "operator": "in", "values": ["web"]}]}"#,
        Some("supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\""),
    ),
];

#[test]
fn an_item_of_a_grant_that_can_match_nothing_is_refused() {
    let mut wrong = Vec::new();
    let mut check = |what: &str, grant: &Value, sentence: Option<&str>| {
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": "SwrAccount",
            "metadata": {"name": "it"},
            "spec": {
                "region": "ap-southeast-3",
                "auth": {"accessKeySecretRef": {"name": "swr-cloud"}},
                "grants": [grant],
            },
        });
        let said = refused("swraccounts", &object);
        let is_right = match (&said, sentence) {
            (None, None) => true,
            (Some(said), Some(sentence)) => said.contains(sentence),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !is_right {
            wrong.push(format!("{what}: {said:?}"));
        }
    };
    for (list, item, sentence) in ITEMS {
        let mut grant = json!({"namespaces": [], "instances": [], "targets": {"hosts": [], "addresses": [], "instances": []}});
        *grant.pointer_mut(list).expect("a list") = json!([item]);
        check(&format!("{list} {item:?}"), &grant, sentence);
    }
    for (selector, sentence) in SELECTORS {
        let parsed: Value = serde_json::from_str(selector).expect("JSON");
        check(selector, &json!({"namespaceSelector": parsed}), sentence);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A variable, its value, and what is said; `None` where the operator goes on, and fails because there is no cluster.
const VARIABLES: [(&str, &str, Option<&str>); 24] = [
    ("WATCH_NAMESPACES", "a", None),
    ("WATCH_NAMESPACES", "a, b", None),
    ("WATCH_NAMESPACES", "", None),
    ("WATCH_NAMESPACES", " ", None),
    (
        "WATCH_NAMESPACES",
        "a,",
        Some("an entry of the list is empty"),
    ),
    (
        "WATCH_NAMESPACES",
        "a,,b",
        Some("an entry of the list is empty"),
    ),
    (
        "WATCH_NAMESPACES",
        "team-*",
        Some("is no name of a namespace"),
    ),
    (
        "WATCH_NAMESPACES",
        "Team",
        Some("is no name of a namespace"),
    ),
    ("ACCOUNTS", "", None),
    ("ACCOUNTS", "default, eu.prod", None),
    (
        "ACCOUNTS",
        "default,",
        Some("an entry of the list is empty"),
    ),
    ("ACCOUNTS", "*", Some("is no name of a SwrAccount")),
    ("LOG_LEVEL", "", None),
    ("LOG_LEVEL", "WARN", None),
    ("LOG_LEVEL", "swr_operator_swr=debug", None),
    ("LOG_LEVEL", "warning", Some("\"warning\" is no level")),
    ("READ_ONLY", "1", None),
    ("READ_ONLY", "yes", None),
    ("READ_ONLY", "maybe", Some("value was not a boolean")),
    ("POLL_INTERVAL", "", None),
    (
        "POLL_INTERVAL",
        "10",
        Some("expected a duration such as 30s"),
    ),
    ("HEALTH_ADDRESS", "[::]:0", None),
    (
        "HEALTH_ADDRESS",
        "localhost:8081",
        Some("expected an address and a port"),
    ),
    (
        "METRICS_ADDRESS",
        "none",
        Some("expected an address and a port such as 127.0.0.1:8081 or [::]:8081, or off"),
    ),
];

#[test]
fn a_variable_is_taken_as_it_is_meant_or_refused_with_a_sentence() {
    let mut wrong = Vec::new();
    for (name, value, sentence) in VARIABLES {
        let output = Command::new(Operator::executable())
            .args(["run", "--kubeconfig", "/nonexistent"])
            .env(format!("SWR_OPERATOR_{name}"), value)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // A usage error ends with 64; what comes later, with 1.
        let is_right = match sentence {
            None => output.status.code() == Some(1) && said.contains("/nonexistent"),
            Some(sentence) => output.status.code() == Some(64) && said.contains(sentence),
        };
        if !is_right {
            wrong.push(format!(
                "{name}={value:?}: {:?} {said}",
                output.status.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
