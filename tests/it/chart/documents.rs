//! Sources -> what the chart holds of them: README and schema from the comments in values.yaml, Chart.yaml from manifests
//! and change log, copies of CRDs, rules and dashboard. `UPDATE_EXPECT=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{PodSecurityContext, ResourceRequirements, SecurityContext};
use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::CHART;
use crate::architecture::{files, read};
use crate::documents::{compare, objects};

/// Copies in the chart, which Helm cannot read outside of it, and their sources.
const COPIES: [(&str, &str); 4] = [
    (
        "files/crds/replicationregistries.swr.huaweicloud.com.yaml",
        "crds/replicationregistries.swr.huaweicloud.com.yaml",
    ),
    (
        "files/crds/swraccounts.swr.huaweicloud.com.yaml",
        "crds/swraccounts.swr.huaweicloud.com.yaml",
    ),
    (
        "files/swr-operator.rules.yaml",
        "deploy/monitoring/swr-operator.rules.yaml",
    ),
    ("files/dashboard.json", "deploy/monitoring/dashboard.json"),
];

#[test]
fn the_copies_in_the_chart_are_those_of_their_sources() {
    for (copy, source) in COPIES {
        compare(&format!("{CHART}/{copy}"), &read(source));
    }
    let found = ["yaml", "json"].map(|extension| files(&format!("{CHART}/files"), extension).len());
    assert_eq!(found.iter().sum::<usize>(), COPIES.len(), "files/");
}

/// One value as values.yaml shows it.
struct Entry {
    /// `metrics.service.port`.
    path: String,
    comment: String,
    /// `None` for a group, which has values below it.
    default: Option<Value>,
}

/// Every value of values.yaml with the comment above it. A group whose comment is followed by values without comments is
/// one value: the chart does not own its shape.
fn entries() -> Vec<Entry> {
    let text = read(&format!("{CHART}/values.yaml"));
    let [values] = &objects(&text)[..] else {
        panic!("values.yaml holds one object");
    };
    let mut found: Vec<Entry> = Vec::new();
    let mut comment = String::new();
    let mut groups: Vec<(usize, String)> = Vec::new();
    // Depth of a value whose shape is not the chart's.
    let mut foreign: Option<usize> = None;
    for line in text.lines() {
        let content = line.trim_start();
        let depth = line.len() - content.len();
        if content.is_empty() {
            comment.clear();
            continue;
        }
        if let Some(words) = content.strip_prefix("# ") {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(words);
            continue;
        }
        if foreign.is_some_and(|above| depth > above) {
            continue;
        }
        foreign = None;
        groups.retain(|(above, _)| *above < depth);
        let (key, rest) = content
            .split_once(':')
            .unwrap_or_else(|| panic!("no key: {line:?}"));
        let before = groups.last().map_or("", |(_, path)| path.as_str());
        let path = [before, key].join(".").trim_start_matches('.').to_owned();
        assert!(!comment.is_empty(), "values.yaml: {path} has no comment");
        let is_group = rest.is_empty() && next_is_comment(&text, line);
        if is_group {
            groups.push((depth, path.clone()));
        } else if rest.is_empty() {
            foreign = Some(depth);
        }
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = values.pointer(&pointer).expect("the value").clone();
        found.push(Entry {
            path,
            comment: std::mem::take(&mut comment),
            default: (!is_group).then_some(value),
        });
    }
    assert!(found.len() > 100, "only {} values", found.len());
    found
}

/// Whether a comment follows this line, which no other line equals in its place.
fn next_is_comment(text: &str, line: &str) -> bool {
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let rest = &text[start + line.len()..];
    rest.trim_start().starts_with('#')
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A group's row is bold, and its values follow.
fn value_table() -> String {
    let mut table = String::from("\n| Value | Default | Meaning |\n|---|---|---|\n");
    for entry in entries() {
        let path = match entry.default {
            Some(_) => format!("`{}`", entry.path),
            None => format!("**`{}`**", entry.path),
        };
        let default = entry
            .default
            .map(|default| format!("`{}`", cell(&default.to_string())));
        writeln!(
            table,
            "| {path} | {} | {} |",
            default.unwrap_or_default(),
            cell(&entry.comment),
        )
        .expect("a String takes everything");
    }
    table + "\n"
}

#[test]
fn the_readme_of_the_chart_shows_every_value() {
    let path = format!("{CHART}/README.md");
    let text = crate::documents::with_part(&read(&path), "values", &value_table());
    compare(&path, &text);
}

/// Values whose shape is that of a type of Kubernetes.
fn shapes_of_kubernetes() -> [(&'static str, Value); 3] {
    let shapes = [
        ("resources", schema_for!(ResourceRequirements)),
        ("podSecurityContext", schema_for!(PodSecurityContext)),
        ("securityContext", schema_for!(SecurityContext)),
    ];
    shapes.map(|(name, schema)| {
        let schema = schema.to_value();
        let definitions = schema["$defs"].as_object().cloned();
        (name, closed(&schema, &definitions.unwrap_or_default()))
    })
}

/// A schema that takes no other fields than it names, whole in itself.
fn closed(schema: &Value, definitions: &Map<String, Value>) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        if name.ends_with(".Quantity") {
            // People write both `1` and `500m`.
            return json!({"type": ["string", "number"]});
        }
        return closed(&definitions[name], definitions);
    }
    let mut found = json!({"type": schema["type"]});
    if let Some(properties) = schema["properties"].as_object() {
        let properties = properties.iter();
        let properties: Map<String, Value> = properties
            .map(|(name, schema)| (name.clone(), closed(schema, definitions)))
            .collect();
        found["properties"] = json!(properties);
        found["additionalProperties"] = json!(false);
    }
    for field in ["items", "additionalProperties"] {
        if schema[field].is_object() {
            found[field] = closed(&schema[field], definitions);
        }
    }
    if let Some(required) = schema.get("required") {
        found["required"] = required.clone();
    }
    found
}

/// Every object in a schema that takes fields of any name.
fn open_objects(path: &str, schema: &Value, found: &mut Vec<String>) {
    let takes_objects = schema["type"]
        .as_array()
        .map_or(schema["type"] == "object", |types| {
            types.contains(&json!("object"))
        });
    if takes_objects && schema.get("additionalProperties").is_none() {
        found.push(path.to_owned());
        return;
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        open_objects(path.trim_start_matches('.'), schema, found);
    }
    for field in ["items", "additionalProperties"] {
        if schema[field].is_object() {
            open_objects(path, &schema[field], found);
        }
    }
}

#[test]
fn the_readme_of_the_chart_names_every_value_that_is_handed_on_as_it_is() {
    let schema = read(&format!("{CHART}/values.schema.json"));
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let mut open = Vec::new();
    open_objects("", &schema, &mut open);
    let readme = read(&format!("{CHART}/README.md"));
    let (_, sentence) = readme.split_once("\nA misspelt value ").expect("it");
    let (_, list) = sentence.split_once(": ").expect("a list");
    let (list, _) = list.split_once(".\n\n").expect("its end");
    let named: Vec<&str> = list
        .split(',')
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    assert_eq!(named, open);
}

/// Walks schema and values together; every difference is a breach.
fn compare_shapes(path: &str, schema: &Value, value: &Value, breaches: &mut Vec<String>) {
    let is_kubernetes = |(name, _): &(&str, Value)| path == format!(".{name}");
    if shapes_of_kubernetes().iter().any(is_kubernetes) {
        return;
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    if schema["additionalProperties"] != json!(false) {
        breaches.push(format!("{path} takes any name"));
    }
    let values = value.as_object().cloned().unwrap_or_default();
    for name in values.keys().filter(|name| !properties.contains_key(*name)) {
        breaches.push(format!("{path}.{name} is not in the schema"));
    }
    for (name, schema) in properties {
        match values.get(name) {
            Some(value) => compare_shapes(&format!("{path}.{name}"), schema, value, breaches),
            None => breaches.push(format!("{path}.{name} is not in values.yaml")),
        }
    }
}

/// The schema is written by hand but for the descriptions, which editors show, and what is of Kubernetes' own shape.
#[test]
fn the_schema_is_strict_and_describes_every_value() {
    let path = format!("{CHART}/values.schema.json");
    let mut schema: Value = serde_json::from_str(&read(&path)).expect("JSON");
    let values = objects(&read(&format!("{CHART}/values.yaml"))).remove(0);
    let mut breaches = Vec::new();
    compare_shapes("", &schema, &values, &mut breaches);
    assert!(breaches.is_empty(), "{breaches:#?}");
    for (name, shape) in shapes_of_kubernetes() {
        schema["properties"][name] = shape;
    }
    for entry in entries() {
        let pointer = format!("/properties/{}", entry.path.replace('.', "/properties/"));
        let place = schema
            .pointer_mut(&pointer)
            .unwrap_or_else(|| panic!("no {pointer} in the schema"));
        place["description"] = json!(entry.comment);
    }
    let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    compare(&path, &text);
}

/// What the manifests say of the operator.
fn package(field: &str) -> String {
    let text = read("Cargo.toml") + &read("src/operator/Cargo.toml");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field} = ")))
        .unwrap_or_else(|| panic!("no {field}"));
    line.trim_matches('"').to_owned()
}

/// A change as users of the chart can read it: no sentence about work on the operator itself, and no link to a file that
/// only the repository has.
fn for_users(change: &str) -> String {
    let kept = change
        .split_inclusive(". ")
        .filter(|sentence| !sentence.contains("`cargo "));
    let mut shown = String::new();
    let text: String = kept.collect();
    let mut rest = text.trim_end();
    while let Some((before, behind)) = rest.split_once('[') {
        let link = behind
            .split_once("](")
            .filter(|(name, _)| !name.contains(['[', ']']))
            .and_then(|(name, behind)| Some((name, behind.split_once(')')?)));
        shown.push_str(before);
        match link {
            Some((name, (target, behind))) if !target.contains("://") => {
                shown.push_str(name);
                rest = behind;
            }
            Some(_) | None => {
                shown.push('[');
                rest = behind;
            }
        }
    }
    shown + rest
}

#[test]
fn a_change_is_shown_without_what_only_the_repository_has() {
    for (change, shown) in [
        (
            "Alerts, in [docs/a.md](docs/a.md) too.",
            "Alerts, in docs/a.md too.",
        ),
        (
            "See [it](https://example.com), [0-9] and [docs](docs).",
            "See [it](https://example.com), [0-9] and docs.",
        ),
        ("An image. `cargo dev image` shows it.", "An image."),
        ("`cargo dev demo`: a demo.", ""),
    ] {
        assert_eq!(for_users(change), shown, "{change}");
    }
}

/// The bullets of a release in CHANGELOG.md, or of what is not released yet, by the heading above them.
fn changes(version: &str) -> Vec<Value> {
    let text = read("CHANGELOG.md");
    let of = |name: &str| {
        let section = text.split(&format!("\n## [{name}]")).nth(1)?;
        section.split("\n## ").next()
    };
    let section = of(version).or_else(|| of("Unreleased")).expect("a section");
    let mut found: Vec<Value> = Vec::new();
    let mut kind = String::new();
    for line in section.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            kind = heading.trim().to_lowercase();
        } else if let Some(words) = line.strip_prefix("- ") {
            found.push(json!({"kind": kind, "description": words.trim()}));
        } else if let (Some(words), Some(last)) = (line.strip_prefix("  "), found.last_mut()) {
            let before = last["description"].as_str().unwrap_or_default();
            last["description"] = json!(format!("{before} {}", words.trim()));
        }
    }
    let kinds = [
        "added",
        "changed",
        "deprecated",
        "removed",
        "fixed",
        "security",
    ];
    found.retain_mut(|change| {
        let shown = for_users(change["description"].as_str().unwrap_or_default());
        let is_for_users = !shown.is_empty();
        change["description"] = json!(shown);
        is_for_users
    });
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|change| kinds.contains(&change["kind"].as_str().unwrap_or_default()))
    );
    found
}

/// What Artifact Hub shows, each as YAML in a text.
fn annotations() -> BTreeMap<&'static str, Value> {
    let version = package("version");
    let crds: Vec<Value> = files("crds", "yaml")
        .iter()
        .flat_map(|path| objects(&read(path)))
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .map(|crd| {
            let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind");
            let schema = &crd["spec"]["versions"][0];
            let description = &schema["schema"]["openAPIV3Schema"]["description"];
            json!({
                "kind": kind,
                "version": schema["name"],
                "name": crd["metadata"]["name"],
                "displayName": kind,
                "description": description.as_str().expect("a description"),
            })
        })
        .collect();
    let examples: Vec<Value> = files("deploy/samples", "yaml")
        .iter()
        .flat_map(|path| objects(&read(path)))
        .filter(|object| {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            version.starts_with("swr.huaweicloud.com/")
        })
        .collect();
    assert!(crds.len() == 2 && examples.len() >= 4);
    BTreeMap::from([
        ("crds", json!(crds)),
        ("crdsExamples", json!(examples)),
        (
            "images",
            json!([{"name": "swr-operator", "image": format!("swr-operator:{version}")}]),
        ),
        ("changes", json!(changes(&version))),
    ])
}

#[test]
fn the_chart_has_the_version_of_the_operator_and_shows_its_kinds_and_changes() {
    let path = format!("{CHART}/Chart.yaml");
    let (version, description) = (package("version"), package("description"));
    let mut part = String::new();
    for (name, value) in annotations() {
        writeln!(part, "  artifacthub.io/{name}: |").expect("a String takes everything");
        for line in serde_saphyr::to_string(&value).expect("YAML").lines() {
            writeln!(part, "    {line}").expect("a String takes everything");
        }
    }
    let text = read(&path);
    let marker = "  # Generated from crds/, deploy/samples/ and CHANGELOG.md.\n";
    let (by_hand, _) = text.split_once(marker).expect("the marker");
    let by_hand: String = by_hand
        .lines()
        .map(|line| match line.split_once(':') {
            Some((key @ ("version" | "appVersion"), _)) => format!("{key}: {version}\n"),
            Some(("description", _)) => format!("description: {description}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    compare(&path, &format!("{by_hand}{marker}{part}"));
    for annotation in objects(&read(&path))[0]["annotations"]
        .as_object()
        .expect("annotations")
        .values()
    {
        assert!(annotation.is_string(), "{annotation}");
    }
}
