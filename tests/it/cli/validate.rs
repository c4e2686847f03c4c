//! `validate`: manifests without a cluster.

use std::fs;

use expect_test::expect_file;
use serde_json::json;

use super::{transcript, typed};
use crate::architecture::root;
use crate::bed::with_site;

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
fn the_api_server_is_asked_for_what_only_it_knows() {
    with_site("validate", |_, site| {
        let object = site.registry("it", "swr-pro");
        site.create(&object);
        let mut moved = object.clone();
        moved["spec"]["instanceId"] = json!("elsewhere");
        moved["spec"]["url"] = json!("https://new.example.com");
        let mut account = site.account();
        account["spec"]["grants"][0]["targets"]["addresses"] = json!(["no address"]);
        let at = tempfile::tempdir().expect("a folder");
        let written = [
            ("same.yaml", &object),
            ("moved.yaml", &moved),
            ("account.yaml", &account),
        ];
        for (file, object) in written {
            let text = serde_saphyr::to_string(object).expect("YAML");
            fs::write(at.path().join(file), text).expect("written");
        }
        let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
        let validate = |file: &str, more: &[&str]| {
            let args = ["validate", "-f", file];
            typed([&args[..], more].concat()).at(at.path()).run()
        };
        let server = ["--server", "--kubeconfig", &kubeconfig];
        let before = site.object("it");
        for (file, expected) in [
            ("same.yaml", ""),
            (
                "moved.yaml",
                "spec.instanceId: Invalid value: \"elsewhere\": instanceId is immutable",
            ),
            ("account.yaml", "spec.grants[0].targets.addresses"),
        ] {
            assert_eq!(
                validate(file, &[]).code,
                Some(0),
                "{file}: only the API server knows"
            );
            let ran = validate(file, &server);
            let code = i32::from(!expected.is_empty());
            assert_eq!(ran.code, Some(code), "{}", ran.shown());
            assert!(ran.stdout.contains(expected), "{}", ran.shown());
        }
        assert_eq!(
            site.object("it")["spec"],
            before["spec"],
            "nothing was applied"
        );
        let ran = validate("same.yaml", &["--server"]);
        assert_eq!(
            ran.stderr,
            "error: there is no kubeconfig\nhint: name one with --kubeconfig\n"
        );
    });
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
