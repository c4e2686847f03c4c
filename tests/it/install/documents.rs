//! The commands in the documents, typed one after the other as a reader would.

use expect_test::expect_file;
use harness::eventually_blocking;

use super::place::Place;
use crate::architecture::read;
use crate::cloud::PATIENCE;
use crate::cluster::OPERATOR;
use crate::looks::without_ages;

/// The fenced blocks of a language below a heading, to the next heading of its level or a higher one.
fn blocks(path: &str, heading: &str, language: &str) -> Vec<String> {
    let text = read(path);
    let level = heading.split(' ').next().unwrap_or_default().len();
    let is_heading = |line: &str| {
        let marks = line.len() - line.trim_start_matches('#').len();
        (1..=level).contains(&marks) && line[marks..].starts_with(' ')
    };
    let mut found = Vec::new();
    let mut block: Option<(bool, String)> = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(word) = line.strip_prefix("```") {
            block = match block.take() {
                None => Some((word == language, String::new())),
                Some((true, block)) if inside => {
                    found.push(block);
                    None
                }
                Some(_) => None,
            };
        } else if let Some((_, block)) = &mut block {
            block.push_str(line);
            block.push('\n');
        } else if is_heading(line) {
            inside = line == heading;
        }
    }
    assert!(
        !found.is_empty(),
        "{path} has no {language} below {heading}"
    );
    found
}

/// Follows the page by one of its ways to install, up to an object that is ready.
fn follow_install(place: &mut Place, way: &str) {
    let page = "docs/install.md";
    place.write("account.yaml", &blocks(page, "## 4. Account", "yaml")[0]);
    place.write("registry.yaml", &blocks(page, "## 5. Registry", "yaml")[0]);
    let (ways, steps): (Vec<String>, Vec<String>) = blocks(page, "# Install", "sh")
        .into_iter()
        .partition(|block| WAYS.iter().any(|way| block.starts_with(way)));
    assert_eq!(ways.len(), WAYS.len(), "{ways:?}");
    let install = ways.iter().find(|block| block.starts_with(way));
    place.type_in(install.expect("its block"));
    place.run_operator();
    for step in steps {
        place.type_in(&step);
    }
    assert_eq!(place.n_registries(), 1);
}

/// How the block begins that installs the operator.
const WAYS: [&str; 2] = [
    "helm install ",
    "kubectl apply --server-side -k deploy/base",
];

fn type_all(place: &Place, path: &str, headings: &[&str]) {
    for heading in headings {
        for block in blocks(path, heading, "sh") {
            place.type_in(&block);
        }
    }
}

#[test]
fn the_documents_are_followed_from_the_installation_to_the_last_command() {
    let mut place = Place::start();
    follow_install(&mut place, WAYS[1]);

    let all = place.type_in("kubectl get swr --all-namespaces");
    expect_file!["../goldens/get-swr.txt"].assert_eq(&without_ages(&all));

    // The same once more changes nothing, whatever the operator has filled in meanwhile.
    place.type_in(WAYS[1]);
    place.type_in("kubectl diff -k deploy/base");
    place.type_in("kubectl diff --server-side -k deploy/base");
    place.type_in("kubectl diff --server-side -f deploy/install.yaml");

    type_all(
        &place,
        "docs/operations.md",
        &[
            "## Look",
            "## Suspend",
            "## See first, write later",
            "## Take over a registry",
            "## Delete, keep, protect",
            "## Many deletions at once",
            "## Rotate a credential",
            "## Incidents",
            "## Alerts",
        ],
    );
    place.type_in(
        "kubectl wait rreg/harbor-dr --namespace images --for=condition=Ready --timeout=1m",
    );
    type_all(&place, "docs/gitops.md", &["## Waiting"]);

    let before = place.cloud.registries(&place.cloud.instances[0]);
    type_all(
        &place,
        "docs/upgrade.md",
        &["## Order", "## Moving to another cluster"],
    );
    let after = place.cloud.registries(&place.cloud.instances[0]);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["id"], before[0]["id"], "it was taken over");

    wrong_order(&mut place);
    type_all(&place, "docs/uninstall.md", &["## In order"]);
    gone(&mut place);
}

/// The operator goes first, and everything waits for it.
fn wrong_order(place: &mut Place) {
    // The account was moved a moment ago, and could still go without asking.
    place.type_in(
        "kubectl wait swraccount/default --for=jsonpath='{.metadata.finalizers[0]}' --timeout=1m",
    );
    place.stop_operator();
    place.assert_permitted();
    place.type_in("kubectl delete -k deploy/base --wait=false");
    eventually_blocking(PATIENCE, "an object that waits", || {
        let object = place.read(&["rreg", "harbor-dr", "--namespace", "images"]);
        match object["metadata"]["deletionTimestamp"].is_string() {
            true => Ok(()),
            false => Err(object["metadata"].to_string()),
        }
    });
    assert_eq!(place.n_registries(), 1);
    let way_out = blocks("docs/uninstall.md", "## In the wrong order", "sh");
    let (wait, finish) = way_out[0]
        .rsplit_once("kubectl wait rreg")
        .expect("the wait for the objects");
    place.type_in(wait);
    place.run_operator();
    place.type_in(&format!("kubectl wait rreg{finish}"));
    assert_eq!(place.n_registries(), 0);

    // Without any operator: by hand.
    // The kinds that were being deleted end with their last object, which is the account.
    for kind in ["replicationregistries", "swraccounts"] {
        place.type_in(&format!(
            "kubectl wait crd/{kind}.swr.huaweicloud.com --for=delete --timeout=1m"
        ));
    }
    place.type_in("kubectl apply --server-side -k deploy/base");
    place.type_in("kubectl wait crd --all --for=condition=Established --timeout=1m");
    place.type_in("kubectl apply --server-side -f account.yaml");
    place.type_in("kubectl apply --server-side -f registry.yaml");
    place.type_in("kubectl wait rreg/harbor-dr --namespace images --for=jsonpath='{.metadata.finalizers[0]}' --timeout=1m");
    place.stop_operator();
    place.type_in("kubectl delete rreg harbor-dr --namespace images --wait=false");
    place.type_in(&way_out[1]);
    place.type_in("kubectl wait rreg/harbor-dr --namespace images --for=delete --timeout=1m");
    place.run_operator();
}

/// Nothing of ours is left in the cluster.
fn gone(place: &mut Place) {
    place.stop_operator();
    for (kind, name) in [
        ("crd", "replicationregistries.swr.huaweicloud.com"),
        ("crd", "swraccounts.swr.huaweicloud.com"),
        ("clusterrole", OPERATOR),
        ("namespace", OPERATOR),
        (
            "validatingadmissionpolicy",
            "swr-operator-deletion-protection",
        ),
        (
            "validatingadmissionpolicybinding",
            "swr-operator-deletion-protection",
        ),
    ] {
        let left = place.kubectl(&["get", kind, name, "--ignore-not-found", "--output=name"]);
        assert_eq!(left, "", "{kind} {name}");
    }
}

#[test]
fn the_chart_is_installed_and_removed_as_the_documents_say() {
    let mut place = Place::start();
    if place.plane.helm().is_none() {
        return;
    }
    follow_install(&mut place, WAYS[0]);
    type_all(&place, "docs/uninstall.md", &["## With Helm"]);
    assert_eq!(place.n_registries(), 0);
    gone(&mut place);
}
