//! Texts, and what is made of them.

use super::*;

fn parsed(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.parse("m.yaml", text);
    manifests
}

fn findings(text: &str) -> Vec<String> {
    let findings = parsed(text).findings;
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_knows_its_place_in_yaml_and_json() {
    for (text, expected) in [
        ("apiVersion: v1\nkind: A\nspec:\n  url: x\n", (4, 3)),
        (
            "---\n# words\n---\napiVersion: v1\nkind: A\nspec: {a: 1, url: x}\n",
            (6, 14),
        ),
        (
            "{\"apiVersion\": \"v1\", \"kind\": \"A\",\n \"spec\": {\"url\": \"x\"}}",
            (2, 11),
        ),
    ] {
        let document = &parsed(text).documents[0];
        let Place { line, column } = document.node.place_of("spec.url");
        assert_eq!((line, column), expected, "{text}");
        assert_eq!(
            document.node.place_of("spec.not.there").line,
            expected.0 - u64::from(expected.0 == 4)
        );
    }
}

#[test]
fn an_item_of_a_list_has_a_place_of_its_own() {
    let text =
        "apiVersion: v1\nkind: A\nspec:\n  grants:\n  - hosts: [a, b]\n  - hosts:\n    - c\n";
    let document = &parsed(text).documents[0];
    let at = |path: &str| {
        let Place { line, column } = document.node.place_of(path);
        (line, column)
    };
    assert_eq!(
        [
            at("spec.grants[0].hosts[1]"),
            at("spec.grants[1].hosts[0]"),
            at("spec.grants[7].hosts")
        ],
        [(5, 16), (7, 7), (4, 3)]
    );
}

#[test]
fn lists_and_several_documents_are_taken_apart() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n  metadata: {name: one}\n---\napiVersion: v1\nkind: B\nmetadata: {name: two, namespace: images}\n---\n";
    let documents = parsed(text).documents;
    let seen: Vec<_> = documents
        .iter()
        .map(|it| (it.kind.as_str(), it.namespace(), it.name()))
        .collect();
    assert_eq!(seen, [("A", None, "one"), ("B", Some("images"), "two")]);
}

#[test]
fn what_is_no_object_is_told_with_its_place_and_without_its_content() {
    assert_eq!(
        findings("apiVersion: v1\n"),
        ["m.yaml:1:1: is no Kubernetes object: apiVersion and kind must be set"]
    );
    let secret = "apiVersion: v1\nkind: Secret\nstringData:\n  password: hunter2-canary\n bad: [\n";
    let told = findings(secret).join("\n");
    assert!(told.starts_with("m.yaml:"), "{told}");
    assert!(told.contains("is no YAML"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_bomb_of_aliases_is_refused_quickly() {
    let line = |n: usize| {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("a{n}: &a{n} [{items}]\n")
    };
    let bomb: String = (1..20).map(line).collect();
    let told = findings(&format!("a0: &a0 [x, x]\n{bomb}"));
    let [told] = told.as_slice() else {
        panic!("{told:?}");
    };
    let words = ": holds more than any manifest, with what its aliases stand for";
    assert!(told.ends_with(words), "{told}");
}
