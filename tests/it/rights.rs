//! Who may do what in the cluster, as the API server itself says it: the operator, and people by the roles that ship.

use expect_test::expect_file;
use harness::{ControlPlane, kubectl, kubectl_stdout};
use serde_json::{Value, json};

use crate::cluster::{Cluster, OPERATOR};
use crate::manifest;

/// Everything that the operator's ServiceAccount may do in each of these namespaces, by a SelfSubjectRulesReview: a
/// closed list, in the columns of `kubectl auth can-i --list`. An administrator asks in its name, so that
/// it does not count as asked by the operator.
pub(crate) fn everything_allowed(plane: &ControlPlane, namespaces: &[&str]) -> String {
    let lists = namespaces.iter().map(|namespace| {
        let args = [
            "auth",
            "can-i",
            "--list",
            "--namespace",
            namespace,
            "--as=system:serviceaccount:swr-operator:swr-operator",
            "--as-group=system:serviceaccounts",
            "--as-group=system:serviceaccounts:swr-operator",
            "--as-group=system:authenticated",
        ];
        let list = kubectl_stdout(plane, &args, None).unwrap_or_else(|error| panic!("{error}"));
        // The order is that of no list in the API server, and kubectl pads the last column, too.
        let mut lines: Vec<&str> = list.lines().map(str::trim_end).collect();
        lines[1..].sort_unstable();
        format!("namespace {namespace}\n{}\n", lines.join("\n"))
    });
    lists.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_list_of_what_the_operator_may_do_is_closed() {
    let plane = Cluster::shared().plane;
    let list = everything_allowed(plane, &["default", OPERATOR]);
    expect_file!["goldens/rights-cluster.txt"].assert_eq(&list);
}

/// The roles that `deploy/base` and the chart give to people, and the cluster's own that contain them; whether they let
/// somebody read objects, and write them.
const ROLES: [(&str, bool, bool); 5] = [
    ("swr-operator-view", true, false),
    ("swr-operator-edit", false, true),
    ("view", true, false),
    ("edit", true, true),
    ("admin", true, true),
];

#[test]
fn accounts_are_read_and_not_written_by_the_role_that_ships_for_it() {
    let cluster = Cluster::shared();
    let role = "swr-operator-account-view";
    let binding = json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "account-reader"}],
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    cluster.create(path, &binding).expect("a binding");
    let may = |verb: &str, resource: &str| {
        let args = ["auth", "can-i", verb, resource, "--as=account-reader"];
        let output = kubectl(cluster.plane, &args, None);
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    let accounts = "swraccounts.swr.huaweicloud.com";
    harness::eventually_blocking(crate::cloud::PATIENCE, "the role in force", || {
        match may("list", accounts) {
            true => Ok(()),
            false => Err("may not list"),
        }
    });
    for (verb, resource, wanted) in [
        ("get", accounts, true),
        ("watch", accounts, true),
        ("create", accounts, false),
        ("patch", accounts, false),
        ("delete", accounts, false),
        ("get", "replicationregistries.swr.huaweicloud.com", false),
        ("get", "secrets", false),
    ] {
        assert_eq!(may(verb, resource), wanted, "{verb} {resource}");
    }
}

#[test]
fn nobody_with_a_role_for_people_writes_a_status_or_an_account() {
    let plane = Cluster::shared().plane;
    let cluster = Cluster::shared();
    let namespace = "rights";
    let metadata = json!({"name": namespace});
    let namespaces = "/api/v1/namespaces";
    (cluster.create(namespaces, &json!({"metadata": metadata}))).expect("a namespace");
    let objects = format!(
        "/apis/{}/namespaces/{namespace}/replicationregistries",
        manifest::API_VERSION
    );
    let object = manifest::registry(namespace, "default", "an-instance", "it", "swr-pro");
    cluster.create(&objects, &object).expect("an object");
    let before = cluster.get(&format!("{objects}/it"));

    for (role, reads, writes) in ROLES {
        let binding = json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": format!("{role}-person")}],
        });
        let path =
            format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
        cluster.create(&path, &binding).expect("a binding");
        let person = format!("--as={role}-person");
        let ask = |args: &[&str]| {
            let common = ["--namespace", namespace, &person];
            kubectl(plane, &[args, &common].concat(), None)
        };
        let may = |verb: &str, resource: &str| {
            let output = ask(&["auth", "can-i", verb, resource]);
            String::from_utf8_lossy(&output.stdout).trim() == "yes"
        };
        let rreg = "replicationregistries.swr.huaweicloud.com";
        harness::eventually_blocking(crate::cloud::PATIENCE, "the role in force", || {
            // The cluster's own roles get ours by a controller.
            match [may("get", rreg), may("patch", rreg)] {
                may if may == [reads, writes] => Ok(()),
                may => Err(format!("{role}: {may:?}")),
            }
        });
        for (resource, verbs) in [
            (format!("{rreg}/status"), ["update", "patch"].as_slice()),
            (
                "swraccounts.swr.huaweicloud.com".to_owned(),
                &["get", "list", "create", "update", "patch", "delete"],
            ),
            (
                "swraccounts.swr.huaweicloud.com/status".to_owned(),
                &["update", "patch"],
            ),
        ] {
            for verb in verbs {
                // `can-i` takes a subresource by a flag only where it is told the resource without it.
                let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
                let flag = format!("--subresource={subresource}");
                let output = ask(&["auth", "can-i", verb, resource, &flag]);
                let answer = String::from_utf8_lossy(&output.stdout);
                assert_eq!(
                    answer.trim(),
                    "no",
                    "{role}: {verb} {resource} {subresource}"
                );
            }
        }
        let planted = json!({"status": {"registryId": 42}}).to_string();
        let refused = ask(&[
            "patch",
            rreg,
            "it",
            "--subresource=status",
            "--type=merge",
            "--patch",
            &planted,
        ]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("(Forbidden)"),
            "{role}: {said}"
        );
        // Beside a spec that they may write, a status counts as absent.
        let merged =
            json!({"spec": {"description": role}, "status": {"registryId": 42}}).to_string();
        let output = ask(&["patch", rreg, "it", "--type=merge", "--patch", &merged]);
        // kubectl reads before it writes.
        assert_eq!(
            output.status.success(),
            reads && writes,
            "{role}: {output:?}"
        );
    }
    let after = cluster.get(&format!("{objects}/it")).unwrap_or_default();
    assert_eq!(after["status"], before.unwrap_or_default()["status"]);
    assert_ne!(after["status"], Value::Null, "the schema gives it one");
}
