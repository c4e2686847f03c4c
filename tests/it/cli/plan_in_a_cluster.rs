//! `plan` against a cluster, beside the operator: what it says is what the operator then does.

use std::collections::BTreeSet;
use std::fs;

use harness::{environment, eventually_blocking, service_account_kubeconfig};
use serde_json::{Value, json};

use super::{Ran, typed};
use crate::bed::{Bed, say, with_site};
use crate::cloud::PATIENCE;
use crate::cluster::{Audit, OPERATOR};
use crate::manifest::{TYPES, split_tag};
use crate::site::{Site, condition, name_of, registry_id};

/// Draws the same edits again.
const SEED: &str = "SWR_PLAN_SEED";
const N_OBJECTS: usize = 30;

#[test]
fn what_a_plan_names_is_what_the_operator_reports_and_then_writes() {
    let seed = environment::variable(SEED)
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("{SEED}={seed}"));
    with_site("plan", |bed, site| {
        let mut random = Random(seed | 1);
        let mut objects: Vec<Value> = (0..N_OBJECTS)
            .map(|n| site.registry(&format!("o{n:02}"), TYPES[n % TYPES.len()]))
            .collect();
        for object in &objects {
            site.put_login(name_of(object), &site.login());
            site.create(object);
        }
        for object in &objects {
            site.await_ready(name_of(object));
        }
        at_rest(bed, site);

        bed.terminate();
        let mut before = Vec::new();
        for object in &mut objects {
            edit(site, object, &mut random);
            before.push(site.held(&site.object(name_of(object))));
        }
        let file = write(site, &objects);
        let (mark, audit) = (site.cloud.mark(), site.cluster.audit());
        let report = plan(bed, site, &["-f", &file, "-o", "json"]).json();
        assert_reads_only(site, mark, &audit);
        let planned: Vec<BTreeSet<String>> = objects
            .iter()
            .map(|object| changes_of(&report, name_of(object)))
            .collect();

        for object in &objects {
            let spec = json!({"spec": object["spec"]});
            site.patch(name_of(object), &spec);
        }
        bed.start_operator_with(&["--read-only"]);
        for (object, planned) in objects.iter().zip(&planned) {
            let reported = reported(site, name_of(object), planned);
            assert_eq!(reported, *planned, "{}", name_of(object));
        }
        bed.terminate();
        let mark = site.cloud.mark();
        bed.start_operator();
        for ((object, planned), before) in objects.iter().zip(&planned).zip(&before) {
            let object = site.await_ready(name_of(object));
            let written = written(site, mark, registry_id(&object), before);
            assert_eq!(written, *planned, "{}: {before:#}", name_of(&object));
        }
        let n_changed = planned.iter().filter(|fields| !fields.is_empty()).count();
        assert!(n_changed > N_OBJECTS / 2, "{planned:?}");
        rights(site);
    });
}

/// A cluster at rest, and what its deletion would come to.
fn at_rest(bed: &Bed, site: &Site) {
    let ran = plan(
        bed,
        site,
        &["--namespace", &site.name, "--detailed-exitcode"],
    );
    let no_changes = format!("No changes. SWR is as the specs ask ({N_OBJECTS} objects).\n");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), no_changes.as_str()),
        "{}",
        ran.shown()
    );
    let ran = plan(
        bed,
        site,
        &["--namespace", &site.name, "--destroy", "-o", "json"],
    );
    assert_eq!(
        ran.json()["summary"]["delete"],
        json!(N_OBJECTS),
        "{}",
        ran.shown()
    );
    let ran = plan(bed, site, &["--namespace", &site.name, "-l", "team=nobody"]);
    assert!(
        ran.stdout.contains("there is no ReplicationRegistry"),
        "{}",
        ran.shown()
    );
}

/// Who may read nothing is told what is missing.
fn rights(site: &Site) {
    let cluster = site.cluster;
    let path = cluster.folder.join("nobody.kubeconfig");
    let nobody = service_account_kubeconfig(cluster.plane, &site.name, "default", &path);
    let nobody = nobody.expect("a kubeconfig").display().to_string();
    let ran = typed(["plan", "--namespace", &site.name, "--kubeconfig", &nobody]).run();
    assert_eq!(ran.code, Some(1));
    let is_told = ran
        .stderr
        .starts_with("error: failed to list ReplicationRegistries in namespace ")
        && ran.stderr.contains("is forbidden")
        && ran.stderr.contains("\nhint: ask for the right");
    assert!(is_told, "{}", ran.shown());
}

/// `swr-operator plan` as an administrator types it.
fn plan(bed: &Bed, site: &Site, args: &[&str]) -> Ran {
    let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
    let endpoint = format!("{}={}", site.cloud.region, site.cloud.url());
    let place = [
        "plan",
        "--kubeconfig",
        &kubeconfig,
        "--operator-namespace",
        OPERATOR,
        "--installation-id",
        &bed.name,
        "--swr-endpoint",
        &endpoint,
    ];
    let ran = typed([&place, args].concat()).run();
    site.assert_keeps_secrets("the output of plan", &ran.shown());
    ran
}

fn assert_reads_only(site: &Site, mark: u64, audit: &Audit) {
    let asked = site.cloud.requests(mark);
    let asked: Vec<&str> = asked.iter().map(|entry| entry.operation.as_str()).collect();
    assert_eq!(
        asked,
        ["ListInstanceRegistries"],
        "30 registries are one page"
    );
    let writes: Vec<String> = audit
        .in_namespace(&site.name)
        .iter()
        .filter(|asked| asked.is_write())
        .map(ToString::to_string)
        .collect();
    assert_eq!(writes, Vec::<String>::new());
}

fn write(site: &Site, objects: &[Value]) -> String {
    let documents: Vec<String> = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).expect("YAML"))
        .collect();
    let path = site.cluster.folder.join(format!("{}.yaml", site.name));
    fs::write(&path, documents.join("---\n")).expect("written");
    path.display().to_string()
}

/// Changes fields of the manifest, of the registry in SWR and of the Secret, at random.
fn edit(site: &Site, object: &mut Value, random: &mut Random) {
    let name = name_of(object).to_owned();
    let kind = object["spec"]["type"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let spec = &mut object["spec"];
    if random.one_in(3) {
        spec["url"] = json!(format!("https://new-{name}.dr.example.com"));
    }
    if random.one_in(3) && kind != "swr-pro-internal" {
        spec["insecure"] = json!(false);
    }
    if random.one_in(3) {
        spec["description"] = json!("Other words");
    }
    if random.one_in(4) {
        spec["name"] = json!(format!("{name}-renamed"));
    }
    if random.one_in(3) && kind == "swr-pro" {
        spec["dnsConf"]["hosts"]["b.example.com"] = json!("192.0.2.11");
    }
    if random.one_in(3) && kind == "swr-pro-internal" {
        spec["target"]["projectId"] = json!("00000000000000000000000000000000");
    }
    if random.one_in(4) {
        site.put_login(&name, &site.login());
    }
    let instance = &site.cloud.instances[0];
    let id = registry_id(&site.object(&name));
    if random.one_in(4) {
        let url = json!("https://edited.example.com");
        site.cloud.console_edit(instance, id, "/url", url);
    }
    if random.one_in(5) && kind != "swr-pro-internal" {
        site.cloud
            .console_edit(instance, id, "/insecure", json!(false));
    }
}

/// The fields that a plan names for an object.
fn changes_of(report: &Value, name: &str) -> BTreeSet<String> {
    let objects = report["objects"].as_array().expect("objects");
    let planned = objects.iter().find(|it| it["name"] == name);
    let planned = planned.unwrap_or_else(|| panic!("no plan for {name}: {report:#}"));
    let fields = planned["changes"].as_array().expect("changes").iter();
    let fields: BTreeSet<String> = fields.map(|it| text(&it["field"])).collect();
    let action = if fields.is_empty() {
        "unchanged"
    } else {
        "update"
    };
    assert_eq!(planned["action"], action, "{planned:#}");
    fields
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The fields in `status.diff` of an operator that only reads. What is in sync says nothing new, so nothing is
/// expected of it but that it stays so.
fn reported(site: &Site, name: &str, planned: &BTreeSet<String>) -> BTreeSet<String> {
    let what = format!("{name} is judged");
    let object = eventually_blocking(PATIENCE, &what, || {
        let object = site.object(name);
        let ready = condition(&object, "Ready");
        let reason = if planned.is_empty() {
            "Available"
        } else {
            "ReadOnly"
        };
        let is_judged = ready["observedGeneration"] == object["metadata"]["generation"]
            && ready["reason"] == reason;
        match is_judged {
            true => Ok(object),
            false => Err(object["status"].to_string()),
        }
    });
    let diff = object["status"]["diff"].as_array().into_iter().flatten();
    diff.map(|it| text(&it["field"])).collect()
}

/// The fields in which the body of the PUT differs from the registry before it. Knows SWR's names, not the operator's.
fn written(site: &Site, mark: u64, id: i64, before: &Value) -> BTreeSet<String> {
    let puts = site.cloud.asked(mark, "UpdateInstanceRegistry");
    let put = puts
        .iter()
        .find(|entry| entry.path.ends_with(&format!("/{id}")));
    let Some(put) = put else {
        return BTreeSet::new();
    };
    let mut body: Value = serde_json::from_str(&put.request_body).expect("JSON");
    let mut before = before.clone();
    split_tag(&mut body);
    split_tag(&mut before);
    let fields = [
        ("name", "/name"),
        ("type", "/type"),
        ("url", "/url"),
        ("insecure", "/insecure"),
        ("description", "/description"),
        ("dnsConf.hosts", "/dns_conf/hosts"),
        ("target.projectId", "/project_id"),
        ("target.regionId", "/region_id"),
        ("target.instanceId", "/instance_id"),
        ("credential", "/credential"),
    ];
    let is_set = |value: Option<&Value>| -> Option<Value> {
        let value = value.filter(|value| !value.is_null())?;
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        (!is_empty && value != "").then(|| value.clone())
    };
    let differs = |path: &str| is_set(body.pointer(path)) != is_set(before.pointer(path));
    let differing = fields.iter().filter(|(_, path)| differs(path));
    differing.map(|(field, _)| (*field).to_owned()).collect()
}

/// xorshift64: enough to draw edits.
struct Random(u64);

impl Random {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(n)
    }
}
