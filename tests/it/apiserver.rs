//! What befalls the API server while the operator runs, on a control plane of its own: it stands still, it is gone, it
//! refuses what it granted, its etcd is restored. The operator is never started anew for it, nothing is written to SWR
//! without proof, and what is not concerned goes on.

use harness::{ControlPlane, eventually_blocking};
use serde_json::{Value, json};

use crate::bed::{Bed, await_ready, site_check, terminate, with_own_plane};
use crate::cloud::PATIENCE;
use crate::cluster::OPERATOR;
use crate::site::{Site, registry_id, shown, state};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

#[test]
fn an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart() {
    with_own_plane("apiserver", &["it", "other"], &[], |bed, plane| {
        let (it, other) = (bed.site("it"), bed.site("other"));
        site_check(it, || {
            stands_still(bed, plane, it);
            is_gone(bed, plane, it);
            refuses_secrets(bed, it, other);
            refuses_statuses(bed, it);
            refuses_lists(bed, plane, it);
        });
    });
}

#[test]
fn an_etcd_that_is_restored_makes_no_second_registry_and_hides_no_object() {
    with_own_plane("restored", &["it"], &[], |bed, plane| {
        let site = bed.site("it");
        site_check(site, || is_restored(bed, plane, site));
    });
}

/// Undoes a trouble at the end, also of a test that failed: its report asks the API server.
struct Trouble<'a>(&'a ControlPlane, fn(&ControlPlane));

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        self.1(self.0);
    }
}

/// Connections stay open, and nothing is answered.
fn while_it_stands_still(plane: &ControlPlane, test: impl FnOnce()) {
    let _trouble = Trouble(plane, |plane: &ControlPlane| {
        plane.resume_apiserver().expect("SIGCONT");
    });
    plane.suspend_apiserver().expect("SIGSTOP");
    test();
}

/// It refuses for a moment after its start, too, before it knows the roles.
fn while_it_is_gone<T>(bed: &Bed, plane: &ControlPlane, test: impl FnOnce() -> T) -> T {
    bed.upset(|| without_it(plane, test))
}

fn without_it<T>(plane: &ControlPlane, test: impl FnOnce() -> T) -> T {
    let _trouble = Trouble(plane, |plane: &ControlPlane| {
        plane.start_apiserver().expect("it starts");
    });
    plane.kill_apiserver().expect("it is killed");
    test()
}

/// Somebody points a registry elsewhere in the console.
fn spoil(site: &Site, id: i64) {
    let elsewhere = json!("https://console.example.com");
    site.cloud
        .console_edit(&site.cloud.instances[0], id, "/url", elsewhere);
}

/// The drift is put back by one PUT.
fn put_back(site: &Site, mark: u64, object: &Value) {
    let id = registry_id(object);
    assert_eq!(site.await_writes(mark, 1), [format!("PUT registries/{id}")]);
    eventually_blocking(PATIENCE, "the url of the spec", || {
        let url = site.held(object)["url"].clone();
        if url == object["spec"]["url"] {
            Ok(())
        } else {
            Err(url)
        }
    });
}

fn stands_still(bed: &Bed, plane: &ControlPlane, site: &Site) {
    let object = site.ready("slow");
    let (mark, logged) = (site.cloud.mark(), bed.log().len());
    while_it_stands_still(plane, || {
        spoil(site, registry_id(&object));
        bed.await_log(logged, "the API server did not answer in time");
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    });
    put_back(site, mark, &object);
}

fn is_gone(bed: &Bed, plane: &ControlPlane, site: &Site) {
    let object = site.object("slow");
    let (mark, logged) = (site.cloud.mark(), bed.log().len());
    let waiting = while_it_is_gone(bed, plane, || {
        spoil(site, registry_id(&object));
        bed.await_log(logged, "client error (Connect)");
        bed.assert_operator_lives();
        bed.terminate();
        // Who starts now waits, and still ends when it is told.
        let launch = || {
            let logged = bed.log().len();
            let operator = bed.launch(&bed.cluster.operator_kubeconfig, &[]);
            bed.await_log(logged, "cannot start yet");
            operator
        };
        terminate(launch());
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
        launch()
    });
    bed.take(await_ready(waiting));
    put_back(site, mark, &object);
    site.ready("after");
}

/// While `test` runs, the operator's rights in the whole cluster are those that `change` leaves.
fn without(bed: &Bed, change: impl Fn(&mut Vec<Value>), test: impl FnOnce()) {
    struct Returned<'a>(&'a Bed, Value);
    impl Drop for Returned<'_> {
        fn drop(&mut self) {
            set_rules(self.0, &self.1);
        }
    }
    bed.upset(|| {
        let path = format!("{RBAC}/clusterroles/{OPERATOR}");
        let role = bed.cluster.get(&path).expect("the role of the operator");
        let mut rules = role["rules"].as_array().cloned().expect("rules");
        let _returned = Returned(bed, role["rules"].clone());
        change(&mut rules);
        set_rules(bed, &json!(rules));
        test();
    });
}

fn set_rules(bed: &Bed, rules: &Value) {
    let path = format!("{RBAC}/clusterroles/{OPERATOR}");
    bed.cluster
        .patch(&path, &json!({"rules": rules}))
        .expect("the role is changed");
}

/// What others hold in their namespaces they keep.
fn refuses_secrets(bed: &Bed, site: &Site, other: &Site) {
    site.ready("refused");
    other.ready("it");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "secrets"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    });
    bed.cluster
        .create(&format!("{RBAC}/clusterroles"), &role)
        .expect("a role");
    for namespace in [OPERATOR, &other.name] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "secrets", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "secrets"},
            "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": OPERATOR}],
        });
        let path = format!("{RBAC}/namespaces/{namespace}/rolebindings");
        bed.cluster.create(&path, &binding).expect("a binding");
    }
    let mark = site.cloud.mark();
    let is_of_secrets = |rule: &Value| rule["resources"] == json!(["secrets"]);
    without(
        bed,
        |rules| rules.retain(|rule| !is_of_secrets(rule)),
        || {
            site.patch(
                "refused",
                &json!({"spec": {"description": "not to be sent"}}),
            );
            site.put_login("new", &site.login());
            site.create(&site.registry("new", "swr-pro"));
            for name in ["refused", "new"] {
                let message = format!(
                    "the operator may not read Secret {name:?} in this namespace: check its RBAC"
                );
                site.await_saying(name, "False Forbidden", &message);
            }
            edit(other, "it", "goes on");
            assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
        },
    );
    for name in ["refused", "new"] {
        site.await_ready(name);
    }
    let mut writes = site.cloud.writes(mark);
    writes.sort();
    assert_eq!(writes, ["POST registries", "PUT registries/3"]);
}

/// An edit arrives in SWR.
fn edit(site: &Site, name: &str, description: &str) {
    site.patch(name, &json!({"spec": {"description": description}}));
    site.await_status(name, description, |object| {
        object["status"]["observed"]["description"] == description
            && state(object, "Ready") == "True Available"
    });
}

/// Without an intent there is no POST; what is there already is kept equal.
fn refuses_statuses(bed: &Bed, site: &Site) {
    let instance = &site.cloud.instances[0];
    let mark = site.cloud.mark();
    let rotated = site.object("refused");
    without(
        bed,
        |rules| {
            for rule in rules {
                if rule["resources"]
                    == json!(["replicationregistries/status", "swraccounts/status"])
                {
                    rule["resources"] = json!(["swraccounts/status"]);
                }
            }
        },
        || {
            let logged = bed.log().len();
            site.put_login("unwritten", &site.login());
            site.create(&site.registry("unwritten", "swr-pro"));
            site.put_login("refused", &site.login());
            site.request("refused", "rotated");
            bed.await_log(logged, "write status");
            site.cloud.await_lists(instance, 5);
            assert_eq!(site.cloud.asked(mark, "CreateInstanceRegistry").len(), 0);
            // What cannot be noted is sent again, but less and less often.
            let n = site.cloud.asked(mark, "UpdateInstanceRegistry").len();
            assert!((1..=4).contains(&n), "{n} updates");
        },
    );
    site.await_ready("unwritten");
    site.await_sent_after("refused", &rotated);
    assert_eq!(site.cloud.asked(mark, "CreateInstanceRegistry").len(), 1);
}

/// The watch that is open stays so until it ends; the API server that is started anew refuses the next one.
fn refuses_lists(bed: &Bed, plane: &ControlPlane, site: &Site) {
    let object = site.object("slow");
    let watches = |rule: &Value| rule["resources"] == json!(["replicationregistries"]);
    without(
        bed,
        |rules| {
            for rule in rules {
                if watches(rule) {
                    rule["verbs"] = json!(["get", "patch"]);
                }
            }
        },
        || {
            let logged = bed.log().len();
            while_it_is_gone(bed, plane, || ());
            bed.await_log(logged, "cannot list resource");
            // What is known is still kept equal.
            let mark = site.cloud.mark();
            spoil(site, registry_id(&object));
            put_back(site, mark, &object);
            site.patch("slow", &json!({"spec": {"description": "seen later"}}));
            site.put_login("unseen", &site.login());
            site.create(&site.registry("unseen", "swr-pro"));
            bed.assert_operator_lives();
        },
    );
    site.await_ready("unseen");
    edit(site, "slow", "seen");
}

fn is_restored(bed: &Bed, plane: &ControlPlane, site: &Site) {
    let instance = &site.cloud.instances[0];
    let kept = site.ready("kept");
    let back = site.ready("back");
    let gone = site.ready("gone");
    let snapshot = plane.snapshot().expect("a snapshot");

    let lost = site.ready("lost");
    edit(site, "kept", "later");
    site.allow_deletions();
    site.delete("gone");
    site.await_gone("gone");
    assert_eq!(site.cloud.registries(instance).len(), 3);
    // Its registry was made anew since, so the restored status names one that is gone.
    site.cloud.console_delete(instance, registry_id(&back));
    let known = registry_id(&back);
    site.await_status("back", "a new registry", |object| {
        state(object, "Ready") == "True Available" && object["status"]["registryId"] != known
    });

    let mark = site.cloud.mark();
    bed.upset(|| plane.restore(&snapshot).expect("it is restored"));
    site.ready("new");

    for (object, name) in [(&kept, "kept"), (&back, "back"), (&gone, "gone")] {
        // The restored status says that it is Ready, and may name a registry that is gone.
        eventually_blocking(PATIENCE, &format!("{name} and its registry"), || {
            let restored = site.object(name);
            assert_eq!(restored["metadata"]["uid"], object["metadata"]["uid"]);
            let ours = site.tagged(instance, &restored);
            assert!(ours.len() <= 1, "{name}: {ours:#?}");
            let is_right = state(&restored, "Ready") == "True Available"
                && ours.first().is_some_and(|ours| {
                    ours["id"] == restored["status"]["registryId"]
                        && ours["url"] == restored["spec"]["url"]
                });
            if is_right {
                Ok(())
            } else {
                Err(shown(&restored))
            }
        });
    }
    site.cloud.await_lists(instance, 3);
    // A registry of which the status of old does not know what it was sent may be sent its object once more.
    let sent_again = format!("PUT registries/{}", registry_id(&site.object("back")));
    let mut writes = site.cloud.writes(mark);
    assert!(writes.iter().filter(|write| **write == sent_again).count() <= 1);
    writes.retain(|write| *write != sent_again);
    writes.sort();
    // For the new object and for the one that was deleted since, and the spec of old.
    let update = format!("PUT registries/{}", registry_id(&kept));
    assert_eq!(writes, ["POST registries", "POST registries", &update]);
    assert_eq!(site.try_object("lost"), None);
    assert_eq!(site.held(&lost)["id"], registry_id(&lost));
    bed.await_series("swr_orphans", &[&site.name, instance], "1");
    bed.assert_operator_lives();
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}
