//! Two operators without a lease between them serve the same objects: a second release by mistake, or two that both
//! believe that they lead.

use serde_json::{Value, json};

use crate::bed::{Bed, SHUTDOWN, with_site};
use crate::cluster::Cluster;
use crate::site::Site;

const OBJECTS: usize = 20;

#[test]
fn two_operators_at_once_make_one_registry_for_each_object() {
    with_site("duel", |bed, site| {
        let mut other = bed.spawn(&Cluster::shared().operator_kubeconfig, &[]);
        live(site);
        let operator = &mut other.operator;
        // It has served as well, and was in nobody's way.
        let worked = operator.log().contains("\"audit\"");
        operator.terminate().expect("SIGTERM");
        let status = operator.wait(SHUTDOWN).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", operator.log());
        assert!(worked, "it wrote nothing: {}", operator.log());
        assert_first_served(bed, site);
    });
}

fn live(site: &Site) {
    let instance = &site.cloud.instances[0];
    let (foreign, before) = site.foreign("foreign", "somebody's");
    let login = site.login();
    site.put_login("shared", &login);
    site.allow_deletions();
    let mark = site.cloud.mark();
    let names: Vec<String> = (0..OBJECTS).map(|n| format!("it-{n}")).collect();
    for name in &names {
        let mut object = site.registry(name, "huawei-SWR");
        object["spec"]["credentialSecretRef"]["name"] = json!("shared");
        site.create(&object);
    }
    let assert_one_each = |objects: &[Value]| {
        for object in objects {
            let ours = site.tagged(instance, object);
            let ids: Vec<&Value> = ours.iter().map(|registry| &registry["id"]).collect();
            assert_eq!(ids, [&object["status"]["registryId"]]);
        }
        assert_eq!(site.cloud.registries(instance).len(), OBJECTS + 1);
    };
    let objects: Vec<Value> = names.iter().map(|name| site.await_ready(name)).collect();
    assert_one_each(&objects);

    let url = json!("https://changed.example.com");
    for name in &names {
        site.patch(name, &json!({"spec": {"url": url}}));
    }
    let changed = |object: &Value| object["status"]["observed"]["url"] == url;
    for name in &names {
        site.await_status(name, "the change", changed);
    }
    let objects: Vec<Value> = names.iter().map(|name| site.await_ready(name)).collect();
    assert_one_each(&objects);
    let creates = site.cloud.asked(mark, "CreateInstanceRegistry");
    assert_eq!(creates.len(), OBJECTS, "{}", site.cloud.shown());

    for name in &names {
        site.delete(name);
    }
    for name in &names {
        site.await_gone(name);
    }
    assert_eq!(site.cloud.registries(instance).len(), 1);
    site.assert_untouched(foreign, &before);
}

/// The bed's own operator still does.
fn assert_first_served(bed: &Bed, site: &Site) {
    bed.assert_operator_lives();
    site.ready("last");
}
