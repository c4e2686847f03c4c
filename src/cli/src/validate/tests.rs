//! A good manifest, and each slip in it.

use super::*;

fn findings(text: &str) -> Vec<String> {
    let mut manifests = Manifests::default();
    manifests.parse("m.yaml", text);
    let findings = check(&manifests).findings;
    findings.iter().map(ToString::to_string).collect()
}

const GOOD: &str = "\
apiVersion: swr.huaweicloud.com/v1alpha1
kind: ReplicationRegistry
metadata:
  name: harbor-dr
  namespace: images
spec:
  instanceId: source-1
  type: swr-pro
  url: https://harbor.dr.example.com
  insecure: false
  credentialSecretRef:
    name: login
";

fn edited(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    findings(&GOOD.replace(from, to))
}

#[test]
fn a_good_manifest_has_no_finding_and_others_kinds_are_passed_over() {
    assert_eq!(findings(GOOD), Vec::<String>::new());
    let mut manifests = Manifests::default();
    manifests.parse(
        "m.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    );
    manifests.parse("m.yaml", GOOD);
    let checked = check(&manifests);
    assert_eq!((checked.n_objects, checked.n_ignored), (1, 1));
}

#[test]
fn each_slip_is_named_where_it_stands() {
    for (from, to, expected) in [
        (
            "  url:",
            "  urll:",
            &[
                "m.yaml:6:1: spec.url: Required value",
                "m.yaml:9:3: spec.urll: unknown field; did you mean url?",
            ][..],
        ),
        (
            "insecure: false",
            "insecure: \"no\"",
            &["m.yaml:10:13: spec.insecure: must be of type boolean, not string"],
        ),
        (
            "type: swr-pro",
            "type: harbor",
            &[
                "m.yaml:8:9: spec.type: must be one of \"swr-pro\", \"swr-pro-internal\", \"huawei-SWR\"",
            ],
        ),
        (
            "https://harbor.dr.example.com",
            "\"\"",
            &["m.yaml:9:8: spec.url: must have at least 1 characters"],
        ),
        (
            "    name: login",
            "    key: login",
            &[
                "m.yaml:11:3: spec.credentialSecretRef.name: Required value",
                "m.yaml:12:5: spec.credentialSecretRef.key: unknown field; did you mean keys?",
            ],
        ),
        (
            "v1alpha1",
            "v1",
            &["m.yaml:1:1: apiVersion: must be swr.huaweicloud.com/v1alpha1"],
        ),
        (
            "kind: ReplicationRegistry",
            "kind: Registry",
            &["m.yaml:2:1: kind: must be ReplicationRegistry or SwrAccount"],
        ),
        (
            "  name: harbor-dr\n",
            "",
            &[
                "m.yaml:3:1: metadata.name: Required value",
                "m.yaml:5:1: spec.name: must be 1 to 64 of Han characters, ASCII letters, digits, '_' and '-'; set it when metadata.name is not",
            ],
        ),
        (
            "spec:\n",
            "spek: 1\nspec:\n",
            &["m.yaml:6:1: spek: unknown field; did you mean spec?"],
        ),
        // What the rules at admission say, too; all at once.
        (
            "insecure: false",
            "insecure: false\n  pollInterval: 5s\n  target: {projectId: p, regionId: r, instanceId: i}\n  adoption: {registryId: 3}",
            &[
                "m.yaml:11:3: spec.pollInterval: must be a duration of at least 1m, such as 10m",
                "m.yaml:12:3: spec.target: is allowed only when type is swr-pro-internal",
                "m.yaml:13:14: spec.adoption.registryId: needs a policy other than Never",
            ],
        ),
    ] {
        assert_eq!(edited(from, to), expected, "{from} -> {to}");
    }
}

#[test]
fn two_objects_of_one_name_are_told_with_both_places() {
    assert_eq!(
        findings(&format!("{GOOD}---\n{GOOD}")),
        ["m.yaml:17:3: metadata.name: the same ReplicationRegistry is at m.yaml:4:3"]
    );
    let other = GOOD.replace("namespace: images", "namespace: other");
    assert_eq!(
        findings(&format!("{GOOD}---\n{other}")),
        Vec::<String>::new()
    );
}

#[test]
fn an_account_has_one_source_of_a_credential() {
    let account = |auth: &str| {
        findings(&format!(
            "apiVersion: swr.huaweicloud.com/v1alpha1\nkind: SwrAccount\nmetadata: {{name: default}}\nspec:\n  region: region-1\n  auth: {auth}\n"
        ))
    };
    assert_eq!(account("{podIdentity: {}}"), Vec::<String>::new());
    assert_eq!(
        account("{}"),
        ["m.yaml:6:3: spec.auth: must have exactly one source of a credential"]
    );
    assert_eq!(
        account("{podIdentity: {}, oidc: {identityProviderid: a}}"),
        [
            "m.yaml:6:34: spec.auth.oidc.identityProviderid: unknown field; did you mean identityProviderId?"
        ]
    );
}
