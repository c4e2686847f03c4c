//! `plan` against a cluster, beside the operator: what it says is what the operator then does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use harness::{environment, eventually_blocking, service_account_kubeconfig};
use serde_json::{Value, json};

use super::{Ran, typed};
use crate::bed::{Bed, say, with_site};
use crate::canary::Login;
use crate::cloud::PATIENCE;
use crate::cluster::{Audit, OPERATOR};
use crate::manifest::{TYPES, split_tag};
use crate::site::{Site, condition, name_of, registry_id, state};

/// Draws the same edits again.
const SEED: &str = "SWR_PLAN_SEED";

/// Pairs of a spec and a registry. Six pages of SWR.
const N_OBJECTS: usize = 510;

/// Names of fields by the name of their object.
type Fields = BTreeMap<String, BTreeSet<String>>;

#[test]
fn what_a_plan_names_is_what_the_operator_reports_and_then_writes() {
    let seed = environment::variable(SEED)
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("{SEED}={seed}"));
    with_site("plan", |bed, site| {
        let mut random = Random(seed | 1);
        site.cloud.switch(&json!({"registry_quota": N_OBJECTS}));
        // Each object has its own Secret, several the same login.
        let logins: Vec<Login> = (0..8).map(|_| site.login()).collect();
        let others: Vec<Login> = (0..8).map(|_| site.login()).collect();
        let mut objects: Vec<Value> = (0..N_OBJECTS)
            .map(|n| site.registry(&format!("o{n:03}"), TYPES[n % TYPES.len()]))
            .collect();
        for (n, object) in objects.iter().enumerate() {
            site.put_login(name_of(object), &logins[n % logins.len()]);
            site.create(object);
        }
        let created = all(site, "ready", |object| {
            state(object, "Ready") == "True Available"
        });
        at_rest(bed, site);

        bed.terminate();
        for (n, object) in objects.iter_mut().enumerate() {
            let id = registry_id(&created[name_of(object)]);
            edit(site, object, id, &others[n % others.len()], &mut random);
        }
        let before = registries(site);
        let file = write(site, &objects);
        let (mark, audit) = (site.cloud.mark(), site.cluster.audit());
        let report = plan(bed, site, &["-f", &file, "-o", "json"]).json();
        assert_reads_only(site, mark, &audit);
        let planned = changes(&report);
        assert_eq!(planned.len(), N_OBJECTS);
        let n_changed = planned.values().filter(|fields| !fields.is_empty()).count();
        assert!(
            (N_OBJECTS / 2..N_OBJECTS).contains(&n_changed),
            "{n_changed}"
        );

        for object in &mut objects {
            object["spec"]["mode"] = json!("Observe");
            site.patch(name_of(object), &json!({"spec": object["spec"]}));
        }
        bed.start_operator();
        let observed = all(site, "observed", |object| {
            // What is in sync says nothing new.
            let reason = match planned[name_of(object)].is_empty() {
                true => "Available",
                false => "DriftObserved",
            };
            condition(object, "Ready")["reason"] == reason
        });
        assert_same(&planned, &observed, |object| {
            let diff = object["status"]["diff"].as_array().into_iter().flatten();
            diff.map(|it| text(&it["field"])).collect()
        });

        let mark = site.cloud.mark();
        for object in &objects {
            site.patch(name_of(object), &json!({"spec": {"mode": "Enforce"}}));
        }
        let enforced = all(site, "ready again", |object| {
            state(object, "Ready") == "True Available"
        });
        let written = written(site, mark, &before);
        assert_eq!(written.len(), n_changed, "each by one PUT");
        assert_same(&planned, &enforced, |object| {
            let fields = written.get(&registry_id(object));
            fields.cloned().unwrap_or_default()
        });
        rights(site);
    });
}

/// Waits until this holds of all objects as they are, and gives them by name.
fn all(site: &Site, what: &str, holds: impl Fn(&Value) -> bool) -> BTreeMap<String, Value> {
    eventually_blocking(PATIENCE, what, || {
        let objects = site.objects();
        let is_newest =
            |it: &Value| it["status"]["observedGeneration"] == it["metadata"]["generation"];
        let lagging = objects.iter().find(|it| !(is_newest(it) && holds(it)));
        match lagging {
            None => Ok(objects
                .into_iter()
                .map(|it| (name_of(&it).to_owned(), it))
                .collect()),
            Some(object) => Err(format!("{}: {}", name_of(object), object["status"])),
        }
    })
}

/// What a plan names for each object is what is seen of it.
fn assert_same(
    planned: &Fields,
    objects: &BTreeMap<String, Value>,
    seen: impl Fn(&Value) -> BTreeSet<String>,
) {
    let seen: Fields = objects
        .iter()
        .map(|(name, object)| (name.clone(), seen(object)))
        .collect();
    let differing = planned
        .iter()
        .filter(|(name, fields)| seen[*name] != **fields);
    let differing: Vec<String> = differing
        .map(|(name, fields)| format!("{name}: planned {fields:?}, seen {:?}", seen[name]))
        .collect();
    assert_eq!(differing, Vec::<String>::new());
}

/// What SWR holds, by id.
fn registries(site: &Site) -> BTreeMap<i64, Value> {
    let all = site.cloud.registries(&site.cloud.instances[0]);
    all.into_iter()
        .map(|it| (it["id"].as_i64().expect("an id"), it))
        .collect()
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
    let asked: Vec<(&str, &str)> = asked
        .iter()
        .map(|entry| (entry.method.as_str(), entry.operation.as_str()))
        .collect();
    let n_pages = N_OBJECTS.div_ceil(100);
    assert_eq!(asked, vec![("GET", "ListInstanceRegistries"); n_pages]);
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

/// Changes fields of the manifest, of the registry in SWR and of the Secret, at random. In SWR only what a list shows: of
/// hosts and project only the operator knows that somebody changed them.
fn edit(site: &Site, object: &mut Value, id: i64, other: &Login, random: &mut Random) {
    let name = name_of(object).to_owned();
    let kind = text(&object["spec"]["type"]);
    let spec = &mut object["spec"];
    if random.one_in(4) {
        spec["url"] = json!(format!("https://new-{name}.dr.example.com"));
    }
    if random.one_in(4) && kind != "swr-pro-internal" {
        spec["insecure"] = json!(false);
    }
    if random.one_in(4) {
        spec["description"] = json!("Other words");
    }
    if random.one_in(5) {
        spec["name"] = json!(format!("{name}-renamed"));
    }
    if random.one_in(4) && kind == "swr-pro" {
        spec["dnsConf"]["hosts"]["b.example.com"] = json!("192.0.2.11");
    }
    if random.one_in(4) && kind == "swr-pro-internal" {
        spec["target"]["projectId"] = json!("00000000000000000000000000000000");
    }
    if random.one_in(5) {
        site.put_login(&name, other);
    }
    let console = |field: &str, value: Value| {
        let instance = &site.cloud.instances[0];
        site.cloud.console_edit(instance, id, field, value);
    };
    if random.one_in(6) {
        console("/url", json!("https://edited.example.com"));
    }
    if random.one_in(6) {
        console("/name", json!(format!("{name}-edited")));
    }
    // To what the spec asks for would be a change that nothing shows but `updated_at`.
    if random.one_in(6) && kind != "swr-pro-internal" && spec["insecure"] == true {
        console("/insecure", json!(false));
    }
}

/// The fields that a plan names for each object.
fn changes(report: &Value) -> Fields {
    let objects = report["objects"].as_array().expect("objects");
    let changes = objects.iter().map(|planned| {
        let fields = planned["changes"].as_array().expect("changes").iter();
        let fields: BTreeSet<String> = fields.map(|it| text(&it["field"])).collect();
        let action = match fields.is_empty() {
            true => "unchanged",
            false => "update",
        };
        assert_eq!(planned["action"], action, "{planned:#}");
        (text(&planned["name"]), fields)
    });
    changes.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// By id, the fields in which the body of each PUT differs from the registry before it. Knows SWR's names, not the
/// operator's.
fn written(
    site: &Site,
    mark: u64,
    before: &BTreeMap<i64, Value>,
) -> BTreeMap<i64, BTreeSet<String>> {
    let puts = site.cloud.asked(mark, "UpdateInstanceRegistry");
    assert_eq!(site.cloud.writes(mark).len(), puts.len(), "only PUTs");
    let n_puts = puts.len();
    let written: BTreeMap<i64, BTreeSet<String>> = puts
        .iter()
        .map(|put| {
            let id = put.path.rsplit('/').next().and_then(|id| id.parse().ok());
            let id: i64 = id.expect("an id");
            let body = serde_json::from_str(&put.request_body).expect("JSON");
            (id, differing(body, before[&id].clone()))
        })
        .collect();
    assert_eq!(written.len(), n_puts, "one PUT for each registry");
    written
}

fn differing(mut body: Value, mut before: Value) -> BTreeSet<String> {
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
