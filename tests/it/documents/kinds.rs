//! The schemas of the two kinds -> their CRDs, and the page of each kind.

use std::fmt::Write as _;
use std::process::Command;

use harness::Operator;
use serde_json::Value;
use swr_operator_api as api;
use swr_operator_core::tag::Installation;

use super::{cell, compare, objects, with_part};
use crate::architecture::{files, read};

/// `kubectl apply` without `--server-side` keeps a copy of a CRD in an annotation; beside its
/// limit of 256 KiB this leaves room, and `kubectl explain` stays readable.
const CRD_BYTES_MAX: usize = 64 * 1024;

/// A kind, its page, and the folder with examples of it.
const PAGES: [(&str, &str, &str); 2] = [
    (
        "ReplicationRegistry",
        "docs/replicationregistry.md",
        "deploy/samples/registries",
    ),
    (
        "SwrAccount",
        "docs/swraccount.md",
        "deploy/samples/accounts",
    ),
];

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
    fn requirement(&self, all: &[Field<'_>]) -> Option<String> {
        let is_optional_parent = |parent: &&Field<'_>| {
            !parent.required && self.path.starts_with(&format!("{}.", parent.path))
        };
        self.required.then(|| {
            let parent = all.iter().rfind(is_optional_parent);
            parent.map_or("**required**".to_owned(), |parent| {
                format!("required with `{}`", parent.path)
            })
        })
    }

    /// The description without what stands in another cell or above the table.
    fn meaning(&self) -> String {
        let kept = sentences(self.schema).into_iter().filter_map(|sentence| {
            if let Some(rest) = sentence.strip_prefix("Required; ") {
                let mut letters = rest.chars();
                let first = letters.next()?.to_ascii_uppercase();
                return Some(format!("{first}{}", letters.as_str()));
            }
            let is_elsewhere = sentence.starts_with("Default:") || sentence == "Required.";
            (!is_elsewhere).then_some(sentence)
        });
        let kept = kept.filter(|sentence| sentence != "Can be changed.");
        kept.collect::<Vec<_>>().join(" ")
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
    let name = match name {
        "array" => format!("list of {}", inner(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", inner(&schema["additionalProperties"]))
        }
        _ => name.to_owned(),
    };
    match limits(schema) {
        Some(limits) => format!("{name}; {limits}"),
        None => name,
    }
}

/// The type of what is in a list or a map.
fn inner(schema: &Value) -> String {
    match type_of(schema).split_once("; ") {
        Some((name, limits)) => format!("{name} ({limits})"),
        None => type_of(schema),
    }
}

/// How long, how many, how much.
fn limits(schema: &Value) -> Option<String> {
    let bounds = [
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " entries"),
        ("minimum", "maximum", ""),
    ];
    bounds.iter().find_map(|(least, most, unit)| {
        let bound = |key: &str| schema[key].as_f64();
        match (bound(least), bound(most)) {
            (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
            (None, Some(most)) => Some(format!("at most {most}{unit}")),
            (Some(least), None) => Some(format!("at least {least}{unit}")),
            (None, None) => None,
        }
    })
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

fn spec_table(kind: &str) -> String {
    let spec = part_of(kind, "spec");
    let mut found = Vec::new();
    fields(&spec, "", &mut found);
    let mut table = String::from("\n| Field of `spec`, type, default | Meaning |\n|---|---|\n");
    for field in &found {
        let default = match (field.requirement(&found), default_of(field)) {
            (Some(required), _) => format!("<br>{required}"),
            (None, default) if default.is_empty() => default,
            (None, default) => format!("<br>default: {default}"),
        };
        writeln!(
            table,
            "| `{}`<br>{}{} | {} |",
            field.path,
            cell(&type_of(field.schema)),
            cell(&default),
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
    let mut table = String::from("\n| Field of `status`, type | Meaning |\n|---|---|\n");
    for field in &found {
        writeln!(
            table,
            "| `{}`<br>{} | {} |",
            field.path,
            cell(&type_of(field.schema)),
            cell(&description(field.schema)),
        )
        .expect("a String takes everything");
    }
    table + "\n"
}

/// What admission says beyond types and limits, by field.
fn rules(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let own = schema["x-kubernetes-validations"].as_array();
    for rule in own.into_iter().flatten() {
        let below = rule["fieldPath"].as_str().unwrap_or_default();
        let message = rule["message"].as_str().expect("a message");
        found.push((format!("{path}{below}"), message.to_owned()));
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        rules(below, &format!("{path}.{name}"), found);
    }
    if schema["items"].is_object() {
        rules(&schema["items"], &format!("{path}[]"), found);
    }
}

fn rule_table(kind: &str) -> String {
    let schema = schemas().into_iter().find(|(found, _)| found == kind);
    let mut found = Vec::new();
    rules(&schema.expect("the kind").1, "", &mut found);
    assert!(found.len() >= 10, "{found:?}");
    let mut table = String::from("\n| Field | Refused with |\n|---|---|\n");
    for (path, message) in found {
        let path = path.trim_start_matches('.');
        writeln!(table, "| `{path}` | {} |", cell(&message)).expect("a String takes everything");
    }
    table + "\n"
}

/// What `kubectl get` shows.
fn column_table(kind: &str) -> String {
    let crds = api::crds().into_iter();
    let crd = crds.map(|crd| serde_json::to_value(crd).expect("JSON"));
    let crd = crd
        .into_iter()
        .find(|crd| crd["spec"]["names"]["kind"] == kind);
    let columns = crd.expect("the kind")["spec"]["versions"][0]["additionalPrinterColumns"].clone();
    let mut table = String::from("\n| Column | Shows |\n|---|---|\n");
    for column in columns.as_array().expect("columns") {
        let text = |key: &str| column[key].as_str().expect("a text").to_owned();
        let wide = match column["priority"].as_u64() {
            Some(1..) => ", with `-o wide`",
            Some(0) | None => "",
        };
        let name = text("name").to_uppercase();
        writeln!(table, "| {name} | {}{wide} |", text("description"))
            .expect("a String takes everything");
    }
    table + "\n"
}

/// The samples of a kind as they stand in their files.
fn examples(kind: &str, folder: &str) -> String {
    let mut shown = String::from("\n");
    for path in files(folder, "yaml") {
        let text = read(&path);
        let is_of_kind = objects(&text).iter().any(|object| object["kind"] == kind);
        let is_here = path
            .rsplit_once('/')
            .is_some_and(|(above, _)| above == folder);
        if is_of_kind && is_here {
            writeln!(shown, "[{path}](../{path}):\n\n```yaml\n{text}```\n")
                .expect("a String takes everything");
        }
    }
    shown
}

#[test]
fn the_page_of_a_kind_is_what_its_definition_says() {
    for (kind, path, folder) in PAGES {
        let mut text = read(path);
        for (name, part) in [
            ("examples", examples(kind, folder)),
            ("spec", spec_table(kind)),
            ("rules", rule_table(kind)),
            ("status", status_table(kind)),
            ("columns", column_table(kind)),
        ] {
            text = with_part(&text, name, &part);
        }
        compare(path, &text);
    }
}

#[test]
fn the_page_of_a_kind_names_its_annotations_and_its_finalizer() {
    let installation = Installation::from_configured("any");
    let of_account = installation.account_finalizer();
    let of_account = of_account.replace(installation.as_str(), "<installation>");
    let names = |page: &str| -> Vec<String> {
        let text = read(page);
        let (_, table) = text
            .split_once("\n## Annotations and finalizer\n")
            .expect("its part");
        let cells = table.lines().filter_map(|line| line.split('`').nth(1));
        cells.map(str::to_owned).collect()
    };
    let [requested, by_flux] = api::REQUESTED_AT;
    assert_eq!(
        names(PAGES[0].1),
        [requested, by_flux, api::FINALIZER],
        "{}",
        PAGES[0].1
    );
    assert_eq!(
        names(PAGES[1].1),
        [api::ALLOW_DELETIONS_UNTIL, &of_account],
        "{}",
        PAGES[1].1
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
