//! What the operator needs to be allowed, as its manifests ask for it, and what the command line does.

use swr_operator_kube::Right;

/// Where a right must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// In every namespace that the operator serves.
    Served,
    /// In the operator's own.
    Operators,
    /// It is about what is in no namespace.
    Cluster,
    /// The same, and only an operator that serves all namespaces needs it.
    WholeCluster,
}

/// A right: group, resource, verb, name, and where.
pub(super) type Needed = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Where,
);

const OURS: &str = swr_operator_api::GROUP;

/// What the operator needs. A test compares it with deploy/base.
pub(super) const OPERATOR: [Needed; 17] = [
    (OURS, "replicationregistries", "get", None, Where::Served),
    (OURS, "replicationregistries", "list", None, Where::Served),
    (OURS, "replicationregistries", "watch", None, Where::Served),
    (OURS, "replicationregistries", "patch", None, Where::Served),
    (
        OURS,
        "replicationregistries/status",
        "patch",
        None,
        Where::Served,
    ),
    (OURS, "swraccounts/status", "patch", None, Where::Cluster),
    (OURS, "swraccounts", "list", None, Where::Cluster),
    (OURS, "swraccounts", "watch", None, Where::Cluster),
    (OURS, "swraccounts", "patch", None, Where::Cluster),
    ("", "secrets", "get", None, Where::Served),
    ("", "secrets", "get", None, Where::Operators),
    (
        "",
        "secrets",
        "patch",
        Some("swr-operator-key"),
        Where::Operators,
    ),
    ("events.k8s.io", "events", "create", None, Where::Served),
    ("events.k8s.io", "events", "patch", None, Where::Served),
    (
        "",
        "namespaces",
        "get",
        Some("kube-system"),
        Where::WholeCluster,
    ),
    ("", "namespaces", "list", None, Where::WholeCluster),
    ("", "namespaces", "watch", None, Where::WholeCluster),
];

/// What the verbs for people ask of the API server.
pub(super) const PERSON: [Needed; 7] = [
    (OURS, "replicationregistries", "get", None, Where::Served),
    (OURS, "replicationregistries", "list", None, Where::Served),
    (OURS, "replicationregistries", "create", None, Where::Served),
    (OURS, "replicationregistries", "patch", None, Where::Served),
    (OURS, "swraccounts", "get", None, Where::Cluster),
    (OURS, "swraccounts", "list", None, Where::Cluster),
    ("", "events", "list", None, Where::Served),
];

/// The question whether it holds, if it is one: of the namespaces served, all if none is named, and of the operator's.
pub(super) fn right<'a>(
    needed: &Needed,
    served: Option<&'a str>,
    operators: &'a str,
) -> Option<Right<'a>> {
    let (group, resource, verb, name, place) = *needed;
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (resource, None),
    };
    let is_asked = place != Where::WholeCluster || served.is_none();
    is_asked.then_some(Right {
        group,
        resource,
        subresource,
        verb,
        name,
        namespace: match place {
            Where::Served => served,
            Where::Operators => Some(operators),
            Where::Cluster | Where::WholeCluster => None,
        },
    })
}

/// `verb resource` in words.
pub(super) fn shown(right: &Right<'_>) -> String {
    let Right {
        resource,
        subresource,
        verb,
        name,
        namespace,
        ..
    } = right;
    let subresource = subresource.map_or_else(String::new, |it| format!("/{it}"));
    let name = name.map_or_else(String::new, |it| format!(" {it}"));
    let place = namespace.map_or_else(String::new, |it| format!(" in namespace {it}"));
    format!("{verb} {resource}{subresource}{name}{place}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_rights_that_are_asked_about_are_those_that_the_manifests_give() {
        let text = include_str!("../../../../deploy/base/rbac.yaml");
        let objects: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
        let words = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items
                .filter_map(|it| Some(it.as_str()?.to_owned()))
                .collect()
        };
        let mut given = BTreeSet::new();
        for object in &objects {
            for rule in object["rules"].as_array().into_iter().flatten() {
                let names = words(&rule["resourceNames"]);
                let names = match names.is_empty() {
                    true => vec![String::new()],
                    false => names,
                };
                for resource in words(&rule["resources"]) {
                    for verb in words(&rule["verbs"]) {
                        for name in &names {
                            let group = words(&rule["apiGroups"]).concat();
                            given.insert((group, resource.clone(), verb.clone(), name.clone()));
                        }
                    }
                }
            }
        }
        let asked: BTreeSet<_> = OPERATOR
            .iter()
            .map(|(group, resource, verb, name, _)| {
                let text = |text: &str| text.to_owned();
                (
                    text(group),
                    text(resource),
                    text(verb),
                    text(name.unwrap_or("")),
                )
            })
            .collect();
        assert_eq!(asked, given);
    }
}
