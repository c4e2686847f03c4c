//! The definition of `ReplicationRegistry` is missing when the operator starts, older or newer than the operator, or
//! removed with all its objects, on a control plane of its own. The operator is never started anew for it.

use harness::{environment, eventually_blocking};
use serde_json::{Value, json};

use crate::bed::{Bed, await_ready, site_check, with_own_plane};
use crate::cloud::PATIENCE;
use crate::guard;
use crate::manifest::API_VERSION;
use crate::site::{Site, name_of, shown, state};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const REGISTRIES: &str = "replicationregistries.swr.huaweicloud.com";

#[test]
fn a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart() {
    // Who deletes all objects by deleting their kind takes a moment.
    let windows = [("--mass-deletion-guard", "3s")];
    with_own_plane("definitions", &["it"], &windows, |bed, _| {
        let site = bed.site("it");
        site_check(site, || {
            is_missing(bed, site);
            has_no_status(bed, site);
            has_no_intent(bed, site);
            has_no_fingerprint(bed, site);
            is_newer(bed, site);
            is_removed(bed, site);
        });
    });
}

/// The one that ships.
fn definition() -> Value {
    let path = environment::checkout().join(format!("crds/{REGISTRIES}.yaml"));
    let text = std::fs::read_to_string(path).expect("the definition");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn version(definition: &mut Value) -> &mut Value {
    &mut definition["spec"]["versions"][0]
}

/// The fields of `spec` or `status`.
fn fields<'a>(definition: &'a mut Value, of: &str) -> &'a mut serde_json::Map<String, Value> {
    let schema = &mut version(definition)["schema"]["openAPIV3Schema"];
    schema["properties"][of]["properties"]
        .as_object_mut()
        .expect("fields")
}

/// While `test` runs, the definition is another one, which `is_served` tells.
fn with(
    bed: &Bed,
    change: impl FnOnce(&mut Value),
    is_served: impl Fn() -> bool,
    test: impl FnOnce(),
) {
    struct Returned<'a>(&'a Bed);
    impl Drop for Returned<'_> {
        fn drop(&mut self) {
            replace(self.0, &definition());
        }
    }
    let mut other = definition();
    change(&mut other);
    let returned = Returned(bed);
    replace(bed, &other);
    bed.upset(|| {
        await_served(true, &is_served);
        test();
        drop(returned);
        await_served(false, &is_served);
    });
}

fn await_served(wanted: bool, is_served: &impl Fn() -> bool) {
    eventually_blocking(PATIENCE, "the definition in force", || match is_served() {
        served if served == wanted => Ok(()),
        served => Err(served),
    });
}

fn replace(bed: &Bed, definition: &Value) {
    let path = format!("{DEFINITIONS}/{REGISTRIES}");
    let patch = json!({"spec": {"versions": definition["spec"]["versions"]}});
    bed.cluster
        .patch(&path, &patch)
        .expect("the definition is replaced");
}

fn install(bed: &Bed) {
    bed.cluster
        .create(DEFINITIONS, &definition())
        .expect("the definition");
}

/// Every object goes with it.
fn delete(bed: &Bed) {
    bed.cluster
        .delete(&format!("{DEFINITIONS}/{REGISTRIES}"))
        .expect("it is deleted");
}

fn await_gone(bed: &Bed) {
    eventually_blocking(PATIENCE, "the end of the definition", || {
        match bed.cluster.get(&format!("{DEFINITIONS}/{REGISTRIES}")) {
            None => Ok(()),
            Some(it) => Err(it["status"]["conditions"].clone()),
        }
    });
}

fn is_missing(bed: &Bed, site: &Site) {
    bed.terminate();
    delete(bed);
    await_gone(bed);
    told(bed, "problem", "not installed");
    let logged = bed.log().len();
    let waiting = bed.launch(&bed.cluster.operator_kubeconfig, &[]);
    bed.await_log(logged, "the watch of objects begins anew");
    install(bed);
    bed.take(await_ready(waiting));
    site.ready("first");
}

/// `swr-operator check` says it, too.
fn told(bed: &Bed, state: &str, found: &str) {
    let told = crate::cli::check::of_definition(bed.cluster);
    assert_eq!(
        (&told["state"], &told["found"]),
        (&json!(state), &json!(found)),
        "{told:#}"
    );
}

/// A registry that the operator could make, and does not; its log says why.
fn stays_unmade(bed: &Bed, site: &Site, name: &str, why: &str) {
    let instance = &site.cloud.instances[0];
    let (mark, logged) = (site.cloud.mark(), bed.log().len());
    site.put_login(name, &site.login());
    site.create(&site.registry(name, "swr-pro"));
    bed.await_log(logged, why);
    site.cloud.await_lists(instance, 4);
    let posts = site.cloud.asked(mark, "CreateInstanceRegistry").len();
    assert_eq!(posts, 0, "{}", shown(&site.object(name)));
}

/// Since a mark one was created, for the object of this name.
fn is_made_once(site: &Site, mark: u64, name: &str) {
    site.await_ready(name);
    assert_eq!(site.cloud.asked(mark, "CreateInstanceRegistry").len(), 1);
}

fn has_no_status(bed: &Bed, site: &Site) {
    let mark = site.cloud.mark();
    let is_served = || {
        let kinds = bed
            .cluster
            .get(&format!("/apis/{API_VERSION}"))
            .unwrap_or_default();
        !kinds
            .to_string()
            .contains("\"replicationregistries/status\"")
    };
    let change = |definition: &mut Value| {
        version(definition)
            .as_object_mut()
            .expect("a version")
            .remove("subresources");
    };
    with(bed, change, is_served, || {
        let why = "the definition of ReplicationRegistry has no status: apply the CustomResourceDefinitions";
        stays_unmade(bed, site, "unwritten", why);
        told(bed, "problem", "it has no status");
    });
    is_made_once(site, mark, "unwritten");
}

/// Whether the API server forgets a field of the status.
fn forgets<'a>(site: &'a Site, field: &'static str, value: Value) -> impl Fn() -> bool + 'a {
    let mut object = site.registry("probe", "swr-pro");
    object["spec"]["suspend"] = json!(true);
    if site.try_object("probe").is_none() {
        site.create(&object);
    }
    move || {
        site.patch_status("probe", &json!({field: value}));
        site.object("probe")["status"][field].is_null()
    }
}

fn has_no_intent(bed: &Bed, site: &Site) {
    let mark = site.cloud.mark();
    let intent = json!({"attempt": 1, "startedAt": "2026-01-01T00:00:00Z"});
    let is_served = forgets(site, "createIntent", intent);
    let change = |definition: &mut Value| {
        fields(definition, "status").remove("createIntent");
    };
    with(bed, change, is_served, || {
        let why = "does not keep these fields of the status: apply the CustomResourceDefinitions";
        stays_unmade(bed, site, "unrecorded", why);
        let lacks = "older than this version: it lacks status.createIntent and 2 more";
        told(bed, "problem", lacks);
    });
    is_made_once(site, mark, "unrecorded");
}

/// What was sent last is remembered while the process lives, so nothing is sent again at each poll.
fn has_no_fingerprint(bed: &Bed, site: &Site) {
    let mark = site.cloud.mark();
    let sent = json!({"secretName": "s", "fingerprint": "f", "sentAt": "2026-01-01T00:00:00Z"});
    let is_served = forgets(site, "credential", sent);
    let change = |definition: &mut Value| {
        fields(definition, "status").remove("credential");
    };
    with(bed, change, is_served, || {
        site.cloud.await_lists(&site.cloud.instances[0], 3);
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    });
}

fn is_newer(bed: &Bed, site: &Site) {
    let change = |definition: &mut Value| {
        let kind = fields(definition, "spec").get_mut("type").expect("a type");
        kind["enum"]
            .as_array_mut()
            .expect("values")
            .push(json!("swr-next"));
        fields(definition, "spec").insert("priority".to_owned(), json!({"type": "integer"}));
        fields(definition, "status").insert("next".to_owned(), json!({"type": "string"}));
    };
    let probed = forgets(site, "next", json!("kept"));
    with(
        bed,
        change,
        || !probed(),
        || {
            let mut next = site.registry("next", "huawei-SWR");
            next["spec"]["type"] = json!("swr-next");
            site.put_login("next", &site.login());
            site.create(&next);
            site.await_saying(
            "next",
            "False InvalidSpec",
            "spec: does not fit the CRD of this operator: unknown variant `swr-next`, expected one of `swr-pro`, `swr-pro-internal`, `huawei-SWR`",
        );
            told(bed, "ok", "v1alpha1, with every field of this version");
            // Others go on, fields that only others know included.
            site.patch_status("first", &json!({"next": "theirs"}));
            site.patch(
                "first",
                &json!({"spec": {"priority": 7, "description": "edited"}}),
            );
            let first = site.await_status("first", "edited", |object| {
                object["status"]["observed"]["description"] == "edited"
                    && state(object, "Ready") == "True Available"
            });
            assert_eq!(first["status"]["next"], "theirs");
            assert_eq!(first["spec"]["priority"], 7);
            site.delete("next");
            site.await_gone("next");
        },
    );
}

fn is_removed(bed: &Bed, site: &Site) {
    site.delete("probe");
    site.await_gone("probe");
    guard::ready(site, 6);
    let objects = site.objects();
    let mark = site.cloud.mark();
    delete(bed);
    for object in &objects {
        site.await_state(name_of(object), "False DeletionPaused");
    }
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    site.allow_deletions();
    await_gone(bed);
    assert_eq!(
        site.cloud.registries(&site.cloud.instances[0]),
        Vec::<Value>::new()
    );
    bed.assert_operator_lives();
    install(bed);
    eventually_blocking(PATIENCE, "the kind", || {
        bed.cluster
            .create(&site.objects_path(), &site.registry("anew", "swr-pro"))
    });
    site.put_login("anew", &site.login());
    // The watch of what is gone is silent, and ends after a minute.
    site.await_ready_within(2 * PATIENCE, "anew");
}
