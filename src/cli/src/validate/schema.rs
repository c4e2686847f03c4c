//! A document x the schema of its CRD -> findings, in the API server's order and, where it has some, its words. Rules
//! of CEL are not evaluated: for a ReplicationRegistry the operator's own checks say the same.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::manifest::{Document, Finding, Kind, Node, Place};

/// Names that differ by this much at most are taken for a slip: `urll`, `instanceID`.
const SLIP_SIMILARITY: f64 = 0.7;

/// Checks `spec` of a document against the version of the CRD that it names.
pub(super) fn check(document: &Document, crd: &CustomResourceDefinition) -> Vec<Finding> {
    let mut walk = Walk {
        document,
        findings: Vec::new(),
    };
    let schema = crd.spec.versions.iter().find_map(|version| {
        let validation = version.schema.as_ref()?;
        validation.open_api_v3_schema.as_ref()
    });
    let root = schema.and_then(|schema| schema.properties.as_ref());
    if let Kind::Map(entries) = &document.node.kind {
        for entry in entries {
            let known = ["apiVersion", "kind", "metadata", "spec", "status"];
            if !known.contains(&entry.name.as_str()) {
                walk.unknown(&entry.name, entry.at, &entry.name, known.into_iter());
            }
        }
    }
    match (
        document.node.get("spec"),
        root.and_then(|root| root.get("spec")),
    ) {
        (Some(entry), Some(schema)) => walk.node(&entry.value, entry.at, "spec", schema),
        (None, _) => walk.add("spec", document.node.at, "Required value"),
        (Some(_), None) => {}
    }
    walk.findings
}

struct Walk<'a> {
    document: &'a Document,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn add(&mut self, field: &str, at: Place, message: impl Into<String>) {
        self.findings.push(Finding {
            file: self.document.file.clone(),
            at,
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn unknown<'n>(
        &mut self,
        field: &str,
        at: Place,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let alike = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
        let nearest = known.max_by(|one, other| alike(one).total_cmp(&alike(other)));
        let meant = nearest.filter(|nearest| alike(nearest) >= SLIP_SIMILARITY);
        let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
        self.add(field, at, format!("unknown field{meant}"));
    }

    /// `name_at` is where a person looks for the field: at its name.
    fn node(&mut self, node: &Node, name_at: Place, path: &str, schema: &JSONSchemaProps) {
        let wanted = schema.type_.as_deref().unwrap_or_default();
        match (&node.kind, wanted) {
            (Kind::Map(_), "object") => self.object(node, name_at, path, schema),
            (Kind::List(items), "array") => self.array(items, name_at, path, schema),
            (Kind::Text(text), "string") => self.text(text, node.at, path, schema),
            (Kind::Bool(_), "boolean") => {}
            (Kind::Number(number), "integer") if number.is_i64() || number.is_u64() => {
                self.number(number.as_f64().unwrap_or_default(), node.at, path, schema);
            }
            (Kind::Number(number), "number") => {
                self.number(number.as_f64().unwrap_or_default(), node.at, path, schema);
            }
            (_, "") => {}
            (found, wanted) => {
                let found = match found {
                    Kind::Null => "null",
                    Kind::Bool(_) => "boolean",
                    Kind::Number(number) if number.is_f64() => "number",
                    Kind::Number(_) => "integer",
                    Kind::Text(_) => "string",
                    Kind::List(_) => "array",
                    Kind::Map(_) => "object",
                };
                self.add(
                    path,
                    node.at,
                    format!("must be of type {wanted}, not {found}"),
                );
            }
        }
    }

    fn object(&mut self, node: &Node, name_at: Place, path: &str, schema: &JSONSchemaProps) {
        let Kind::Map(entries) = &node.kind else {
            return;
        };
        let below = |name: &str| format!("{path}.{name}");
        let properties = schema.properties.as_ref();
        let values = match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
            Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
        };
        for entry in entries {
            let field = below(&entry.name);
            let property = properties.and_then(|properties| properties.get(&entry.name));
            match property.or(values.map(|values| &**values)) {
                // The API server takes it out, as if it were not there.
                Some(_) if entry.value.kind == Kind::Null => {}
                Some(schema) => self.node(&entry.value, entry.at, &field, schema),
                None => {
                    let known = properties.into_iter().flat_map(|it| it.keys());
                    self.unknown(&field, entry.at, &entry.name, known.map(String::as_str));
                }
            }
        }
        for name in schema.required.iter().flatten() {
            let is_there = node.get(name).is_some_and(|it| it.value.kind != Kind::Null);
            if !is_there {
                self.add(&below(name), name_at, "Required value");
            }
        }
        let n = entries.len();
        self.bounds(
            n,
            "properties",
            name_at,
            path,
            [schema.min_properties, schema.max_properties],
        );
    }

    fn array(&mut self, items: &[Node], name_at: Place, path: &str, schema: &JSONSchemaProps) {
        if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
            for (n, item) in items.iter().enumerate() {
                self.node(item, item.at, &format!("{path}[{n}]"), schema);
            }
        }
        self.bounds(
            items.len(),
            "items",
            name_at,
            path,
            [schema.min_items, schema.max_items],
        );
    }

    fn text(&mut self, text: &str, at: Place, path: &str, schema: &JSONSchemaProps) {
        let n = text.chars().count();
        self.bounds(
            n,
            "characters",
            at,
            path,
            [schema.min_length, schema.max_length],
        );
        let words: Vec<&str> = schema
            .enum_
            .iter()
            .flatten()
            .filter_map(|word| word.0.as_str())
            .collect();
        if !words.is_empty() && !words.contains(&text) {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            self.add(path, at, format!("must be one of {}", words.join(", ")));
        }
    }

    fn number(&mut self, number: f64, at: Place, path: &str, schema: &JSONSchemaProps) {
        if let Some(min) = schema.minimum.filter(|min| number < *min) {
            self.add(path, at, format!("must be at least {min}"));
        }
        if let Some(max) = schema.maximum.filter(|max| number > *max) {
            self.add(path, at, format!("must be at most {max}"));
        }
    }

    fn bounds(
        &mut self,
        n: usize,
        unit: &str,
        at: Place,
        path: &str,
        [min, max]: [Option<i64>; 2],
    ) {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        if let Some(min) = min.filter(|min| n < *min) {
            self.add(path, at, format!("must have at least {min} {unit}"));
        }
        if let Some(max) = max.filter(|max| n > *max) {
            self.add(path, at, format!("must have at most {max} {unit}"));
        }
    }
}
