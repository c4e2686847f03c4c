//! The dashboard: its queries, and whether Grafana would show it as it is meant. Knows of Grafana's model what this
//! dashboard uses.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::promql::uses;
use super::{JOB, METRICS, Query};
use crate::architecture::read;
use crate::documents::{compare, with_part};

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
/// Grafana divides the width so.
const COLUMNS: u64 = 24;

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).expect("JSON")
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// What Grafana would send, with usual values of the variables.
fn filled_in(expression: &str) -> String {
    let filled = expression
        .replace("$__rate_interval", "5m")
        .replace("$cluster", ".*")
        .replace("$job", JOB)
        .replace("$namespace", ".*")
        .replace("$account", ".*");
    assert!(!filled.contains('$'), "an unknown variable: {filled}");
    filled
}

pub(super) fn queries() -> impl Iterator<Item = Query> {
    let dashboard = dashboard();
    let annotations = list(&dashboard, "/annotations/list").iter();
    let panels = list(&dashboard, "/panels").iter();
    let found: Vec<Query> = panels
        .filter(|panel| panel["type"] != "row")
        .flat_map(|panel| {
            list(panel, "/targets")
                .iter()
                .map(move |target| (panel, target))
        })
        .map(|(panel, target)| {
            let place = format!("panel {} {}", text(panel, "/title"), text(target, "/refId"));
            (place, text(target, "/expr"))
        })
        .chain(annotations.map(|annotation| {
            let place = format!("annotation {}", text(annotation, "/name"));
            (place, text(annotation, "/expr"))
        }))
        .map(|(place, expression)| Query {
            place,
            expression: filled_in(expression),
        })
        .collect();
    found.into_iter()
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "swr-operator");
    // Of Grafana 11; later ones convert it when they load it.
    assert_eq!(dashboard["schemaVersion"], 39);
    // Grafana gives it when it saves; one from elsewhere would overwrite another dashboard.
    assert_eq!(dashboard.get("id"), None);
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let mut sources = Vec::new();
    datasources(&dashboard, &mut sources);
    assert!(sources.len() > 20);
    for found in sources {
        assert_eq!(*found, source);
    }
    let variables = list(&dashboard, "/templating/list").iter();
    let variables: Vec<(&str, &str)> = variables
        .map(|variable| (text(variable, "/name"), text(variable, "/type")))
        .collect();
    assert_eq!(
        variables,
        [
            ("datasource", "datasource"),
            ("cluster", "query"),
            ("job", "query"),
            ("namespace", "query"),
            ("account", "query")
        ]
    );
    // `.*` also matches a label that is not there: most have a Prometheus of one cluster, without the label.
    for variable in list(&dashboard, "/templating/list") {
        if variable["includeAll"] == true {
            assert_eq!(variable["allValue"], ".*", "{variable}");
            assert_eq!(
                variable["current"]["value"],
                json!(["$__all"]),
                "{variable}"
            );
        }
    }
}

#[test]
fn every_query_is_of_the_clusters_and_the_job_that_are_chosen() {
    let dashboard = dashboard();
    let panels = list(&dashboard, "/panels").iter();
    let targets = panels
        .filter(|panel| panel["type"] != "row")
        .flat_map(|panel| list(panel, "/targets"));
    let annotations = list(&dashboard, "/annotations/list");
    for found in targets.chain(annotations) {
        let expression = text(found, "/expr");
        let n_selectors = expression.matches('{').count();
        let n_chosen = expression
            .matches(r#"{cluster=~"$cluster", job="$job""#)
            .count();
        assert_eq!(n_chosen, n_selectors, "{expression}");
        let n_series = uses(&filled_in(expression)).series.len();
        assert!(n_selectors >= n_series, "{expression}");
    }
}

/// Every source of data in a part of the dashboard.
fn datasources<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("datasource"));
            fields.values().for_each(|value| datasources(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| datasources(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The panels as a page shows them, below the heading of their row.
#[test]
fn the_page_shows_every_panel() {
    let dashboard = dashboard();
    let mut table = String::from("\n| Row | Panel | Shows |\n|---|---|---|\n");
    let mut row = "";
    for panel in list(&dashboard, "/panels") {
        let title = text(panel, "/title");
        if panel["type"] == "row" {
            row = title;
            continue;
        }
        let shows = text(panel, "/description").replace('|', "\\|");
        writeln!(table, "| {row} | {title} | {shows} |").expect("a String takes everything");
        // Said once.
        row = "";
    }
    compare(
        METRICS,
        &with_part(&read(METRICS), "dashboard", &(table + "\n")),
    );
}

#[test]
fn every_panel_explains_itself_and_has_its_own_place() {
    let dashboard = dashboard();
    let panels = list(&dashboard, "/panels");
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = text(panel, "/title");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title}");
        let at = |field: &str| panel["gridPos"][field].as_u64().expect("a number");
        let (x, y, width, height) = (at("x"), at("y"), at("w"), at("h"));
        assert!(x + width <= COLUMNS, "{title} is too far right");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} lies on another panel");
        }
        if panel["type"] == "row" {
            assert_eq!((x, width, height), (0, COLUMNS, 1), "{title}");
            continue;
        }
        assert!(
            ["stat", "table", "timeseries"].contains(&text(panel, "/type")),
            "{title}"
        );
        assert!(text(panel, "/description").ends_with('.'), "{title}");
        assert!(
            !text(panel, "/fieldConfig/defaults/unit").is_empty(),
            "{title}"
        );
        let mut letters = BTreeSet::new();
        for target in list(panel, "/targets") {
            assert!(letters.insert(text(target, "/refId")), "{title}");
            if panel["type"] == "table" {
                assert_eq!(target["format"], "table", "{title}");
                continue;
            }
            // A legend may only name labels that the query leaves.
            let legend = text(target, "/legendFormat");
            assert!(!legend.is_empty(), "{title}");
            let uses = uses(&filled_in(text(target, "/expr")));
            for label in legend.split("{{").skip(1) {
                let label = label.split("}}").next().unwrap_or_default();
                assert!(uses.grouped.contains(label), "{title}: {label}");
            }
        }
    }
}
