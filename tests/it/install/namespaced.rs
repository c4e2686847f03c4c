//! An installation that watches some namespaces: it leaves the others alone, and may do exactly what it does.

use std::collections::BTreeSet;

use expect_test::expect_file;
use harness::eventually_blocking;
use serde_json::{Value, json};

use super::manifests::{built, name};
use super::place::Place;
use crate::architecture::read;
use crate::cloud::PATIENCE;
use crate::cluster::OPERATOR;
use crate::manifest;
use crate::rights::everything_allowed;
use crate::site::{registry_id, shown, state};

/// Verb, resource and namespace; no namespace for what is of the cluster.
type Permission = (String, String, String);

/// What the roles of the operator grant.
fn granted(objects: &[Value]) -> BTreeSet<Permission> {
    let mut granted = BTreeSet::new();
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    for role in objects {
        let is_role = ["Role", "ClusterRole"].contains(&role["kind"].as_str().unwrap_or_default());
        if !is_role || name(role) != OPERATOR {
            continue;
        }
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().into_iter().flatten() {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    granted.insert((verb, resource.clone(), namespace.to_owned()));
                }
            }
        }
    }
    granted
}

#[test]
fn a_namespaced_installation_does_all_it_may_and_sees_nothing_else() {
    let mut place = Place::start();
    place.type_in("kubectl create namespace images; kubectl create namespace others");
    choose_an_installation_id(&place);
    place.type_in("kubectl apply --server-side -k mine/deploy/overlays/namespaced");
    place.type_in("kubectl wait crd --all --for=condition=Established --timeout=1m");
    place.run_operator();
    place.type_in(
        "kubectl create secret generic swr-cloud --namespace swr-operator \
         --from-file=accessKey=access-key.txt --from-file=secretKey=secret-key.txt",
    );
    let instance = &place.cloud.instances[0];
    let objects = ["images", "others"].map(|namespace| {
        let mut object = manifest::registry(namespace, "default", instance, namespace, "swr-pro");
        object["spec"]["name"] = json!(namespace);
        object
    });
    let mut account: Value =
        serde_saphyr::from_str(&read("deploy/samples/accounts/account.yaml")).expect("YAML");
    account["spec"]["grants"][0]["namespaces"] = json!(["*"]);
    let list =
        json!({"apiVersion": "v1", "kind": "List", "items": [account, objects[0], objects[1]]});
    place.write("objects.json", &list.to_string());
    place.type_in("kubectl apply --server-side -f objects.json");
    let object = |namespace: &str| place.read(&["rreg", namespace, "--namespace", namespace]);
    let await_state = |wanted: &str| {
        eventually_blocking(PATIENCE, wanted, || {
            let found = object("images");
            match state(&found, "Ready") == wanted {
                true => Ok(()),
                false => Err(shown(&found)),
            }
        });
    };
    await_state("False SecretNotFound");
    for namespace in ["images", "others"] {
        place.type_in(&format!(
            "kubectl create secret generic {namespace} --namespace {namespace} --type=kubernetes.io/basic-auth \
             --from-file=username=username.txt --from-file=password=password.txt"
        ));
    }
    await_state("True Available");
    place.cloud.await_lists(instance, 2);
    assert_eq!(place.n_registries(), 1);
    assert_eq!(state(&object("others"), "Ready"), "Unknown Pending");
    drift_twice(&place, &object("images"));
    place.stop_operator();
    place.assert_permitted();
    let list = everything_allowed(&place.plane, &["images", OPERATOR, "others"]);
    expect_file!["../goldens/rights-namespaced.txt"].assert_eq(&list);

    let used: BTreeSet<Permission> = place
        .audit
        .asked()
        .into_iter()
        .map(|asked| (asked.verb, asked.resource, asked.namespace))
        .collect();
    assert_eq!(used, granted(&built("deploy/overlays/namespaced")));
}

/// What the overlay asks for before it is applied, in a copy of one's own.
fn choose_an_installation_id(place: &Place) {
    place.type_in("mkdir mine; cp -RL crds deploy mine");
    let path = "deploy/overlays/namespaced/deployment.yaml";
    let shipped = read(path);
    let chosen = shipped.replace("value: \"\"\n", "value: my-cluster/images\n");
    assert_ne!(chosen, shipped, "there is nothing to choose");
    place.write(&format!("mine/{path}"), &chosen);
}

/// The event of the second correction is the one of the first, counted up.
fn drift_twice(place: &Place, object: &Value) {
    let instance = &place.cloud.instances[0];
    let id = registry_id(object);
    for n_before in 0..2 {
        let mark = place.cloud.mark();
        let url = json!(format!("https://elsewhere-{n_before}.example.com"));
        place.cloud.console_edit(instance, id, "/url", url);
        eventually_blocking(PATIENCE, "the correction", || {
            match place.cloud.writes(mark).as_slice() {
                [] => Err("nothing written"),
                _ => Ok(()),
            }
        });
        place.cloud.await_lists(instance, 2);
    }
    eventually_blocking(PATIENCE, "an event that counts", || {
        let asked = place.audit.asked();
        let mut events = asked.iter().filter(|asked| asked.resource == "events");
        match events.any(|asked| asked.verb == "patch") {
            true => Ok(()),
            false => Err(format!("{:?}", events.collect::<Vec<_>>())),
        }
    });
}
