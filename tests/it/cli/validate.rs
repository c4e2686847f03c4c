//! `validate`: manifests without a cluster.

use std::fs;

use expect_test::expect_file;
use serde_json::json;

use super::{transcript, typed};
use crate::architecture::root;

const GOOD: &str = "\
apiVersion: swr.huaweicloud.com/v1alpha1
kind: ReplicationRegistry
metadata:
  name: harbor-dr
  namespace: images
spec:
  instanceId: 5f1c8a0e-1111-2222-3333-444455556666
  type: swr-pro
  url: https://harbor.dr.example.com
  insecure: false
  credentialSecretRef:
    name: harbor-dr
";

#[test]
fn every_finding_is_told_at_once_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::write(at.join("good.yaml"), GOOD).expect("written");
    let slips = GOOD
        .replace("  url:", "  urll:")
        .replace("insecure: false", "insecure: \"no\"")
        .replace("name: harbor-dr\n  namespace", "name: slips\n  namespace");
    let rules = GOOD
        .replace("https://", "ftp://")
        .replace("type: swr-pro", "type: swr-pro-internal")
        .replace("name: harbor-dr\n  namespace", "name: rules\n  namespace");
    fs::write(at.join("bad.yaml"), format!("{slips}---\n{rules}")).expect("written");
    fs::write(at.join("broken.yml"), "kind: [\n").expect("written");
    fs::write(
        at.join("other.json"),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}).to_string(),
    )
    .expect("written");
    fs::write(at.join("kustomization.yaml"), "resources: [good.yaml]\n").expect("written");
    fs::write(at.join("twice.yaml"), GOOD).expect("written");
    fs::create_dir(at.join("empty")).expect("a folder");
    let validate = |line: &'static str| {
        let args = line.split(' ').skip(1);
        (line, typed(args).at(at).run())
    };
    let runs = [
        validate("swr-operator validate -f good.yaml"),
        validate("swr-operator validate -f good.yaml -o json"),
        validate("swr-operator validate -f bad.yaml"),
        validate("swr-operator validate -f ."),
        validate("swr-operator validate -f bad.yaml -o json"),
        validate("swr-operator validate -f bad.yaml -o yaml"),
        validate("swr-operator validate -f . -o name"),
        validate("swr-operator validate -f absent.yaml"),
        validate("swr-operator validate -f empty"),
    ];
    let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
    assert_eq!(codes, [0, 0, 1, 1, 1, 1, 1, 1, 1].map(Some));
    expect_file!["../goldens/cli-validate.txt"].assert_eq(&transcript(runs));
}

#[test]
fn every_sample_is_valid() {
    let ran = typed(["validate", "--recursive", "-f", "deploy/samples"])
        .at(root())
        .run();
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(ran.stdout.contains("all valid"), "{}", ran.shown());
}

#[test]
fn what_stands_in_a_secret_is_not_shown_when_its_file_is_broken() {
    let text = "apiVersion: v1\nkind: Secret\nstringData:\n  password: c4n4ry-pass\n bad: [\n";
    for output in ["human", "json"] {
        let ran = typed(["validate", "-f", "-", "-o", output]).fed(text);
        assert_eq!(ran.code, Some(1));
        assert!(!ran.shown().contains("c4n4ry"), "{}", ran.shown());
    }
}
