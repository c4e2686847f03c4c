//! The moments in the life of an object: for each, what the operator wrote, and what kubectl, Argo CD, Flux and Helm
//! conclude from it.

use harness::{eventually_blocking, kubectl};
use serde_json::{Value, json};

use super::{argocd, kstatus, testdata};
use crate::bed::{Bed, in_parallel, with_bed};
use crate::cloud::PATIENCE;
use crate::cluster::Cluster;
use crate::site::{Site, condition, name_of, registry_id, shown, state};

/// What everybody makes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdicts {
    /// The states of the four conditions, `-` for one that is absent.
    conditions: [String; 4],
    kstatus: &'static str,
    argo: String,
    /// Whether `kubectl wait --for=condition=Ready` is content.
    waits_no_more: bool,
}

/// The same as they should be: `Ready`, `Synced`, `Reconciling`, `Stalled`, and the three conclusions.
type Expected = ([&'static str; 4], &'static str, &'static str, bool);

const KINDS: [&str; 4] = ["Ready", "Synced", "Reconciling", "Stalled"];

/// An attempt at a state that does not last.
const ATTEMPTS: usize = 8;

/// For how long Helm waits for what does not come.
const HELM_WAIT: &str = "3s";

fn conditions(object: &Value) -> [String; 4] {
    KINDS.map(|kind| match condition(object, kind).is_null() {
        true => "-".to_owned(),
        false => state(object, kind),
    })
}

fn path(site: &Site, object: &Value) -> String {
    match object["kind"].as_str() {
        Some("SwrAccount") => format!(
            "/apis/{}/swraccounts/{}",
            crate::manifest::API_VERSION,
            site.name
        ),
        _ => site.object_path(name_of(object)),
    }
}

/// Asks kubectl, which looks once.
fn kubectl_is_content(site: &Site, object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    let what = format!("{kind}/{}", name_of(object)).to_lowercase();
    let args = [
        "wait",
        "--for=condition=Ready",
        "--timeout=0",
        "--namespace",
        &site.name,
        &what,
    ];
    let output = kubectl(site.cluster.plane, &args, None);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || said.contains("condition not met"),
        "{said}"
    );
    output.status.success()
}

/// Everybody's verdict on one and the same version; an error when it changed meanwhile.
fn judged(site: &Site, object: &Value) -> Result<Verdicts, String> {
    let verdicts = Verdicts {
        conditions: conditions(object),
        kstatus: kstatus::of(object),
        argo: argocd::health(object).status,
        waits_no_more: kubectl_is_content(site, object),
    };
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let now = site.cluster.get(&path(site, object)).unwrap_or_default();
    match version(&now) == version(object) {
        true => Ok(verdicts),
        false => Err(format!("changed to {}", shown(&now))),
    }
}

fn expected((conditions, kstatus, argo, waits_no_more): Expected) -> Verdicts {
    Verdicts {
        conditions: conditions.map(str::to_owned),
        kstatus,
        argo: argo.to_owned(),
        waits_no_more,
    }
}

/// Waits until the object is in the moment, whose conditions come first, and compares all the rest.
fn check(site: &Site, read: impl Fn() -> Value, wanted: Expected) -> Value {
    let what = format!("{}: {wanted:?}", site.name);
    let (object, verdicts) = eventually_blocking(PATIENCE, &what, || {
        let object = read();
        if conditions(&object) != wanted.0 {
            return Err(shown(&object));
        }
        judged(site, &object).map(|verdicts| (object, verdicts))
    });
    assert_eq!(verdicts, expected(wanted), "{}", shown(&object));
    object
}

/// The same for the object `harbor-dr`; with the file of testdata that it is.
fn check_object(site: &Site, wanted: Expected, file: Option<&str>) -> Value {
    let object = check(site, || site.object(NAME), wanted);
    if let Some(file) = file {
        testdata::compare_object(site, file, &object);
    }
    object
}

const NAME: &str = "harbor-dr";

/// The object of the samples, in this site.
fn sample(site: &Site) -> Value {
    let mut object = site.registry(NAME, "swr-pro");
    object["spec"]["name"] = json!(NAME);
    object["spec"]["insecure"] = json!(false);
    object["spec"]["url"] = json!("https://harbor.dr.example.com");
    object
}

fn ready(site: &Site) -> Value {
    site.ready_with(sample(site)).0
}

/// What `helm upgrade --install --wait` of a chart with this object says: nothing, or why it gave up. Helm takes the
/// object over as it is, so it has nothing to change and only waits, by the original kstatus.
fn helm_gave_up(site: &Site, object: &Value) -> Option<String> {
    let helm = site.cluster.plane.helm()?;
    let name = name_of(object);
    let chart = Cluster::shared()
        .folder
        .join(format!("chart-{}-{name}", site.name));
    let manifest = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": {"name": name, "namespace": site.name},
        "spec": object["spec"],
    });
    let write = |path: &str, value: &Value| {
        let path = chart.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        // JSON is YAML.
        std::fs::write(path, value.to_string()).expect("a file of the chart");
    };
    write(
        "Chart.yaml",
        &json!({"apiVersion": "v2", "name": "moment", "version": "0.1.0"}),
    );
    write("templates/object.yaml", &manifest);
    let output = std::process::Command::new(helm)
        .env("KUBECONFIG", site.cluster.plane.kubeconfig())
        .args(["upgrade", "--install", "moment"])
        .arg(&chart)
        .args(["--namespace", &site.name, "--take-ownership"])
        .args(["--wait", "--timeout", HELM_WAIT])
        .output()
        .expect("helm runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Helm comes to the end that kstatus says, and names the object and its state when it is a bad one.
fn check_helm(site: &Site, object: &Value) {
    if site.cluster.plane.helm().is_none() {
        return;
    }
    let wanted = kstatus::of(object);
    let gave_up = helm_gave_up(site, object);
    match (&gave_up, wanted) {
        (None, "Current") => {}
        (Some(said), "InProgress" | "Failed") => assert!(
            said.contains(name_of(object)) && said.contains(wanted),
            "{wanted}: {said}"
        ),
        _ => panic!("{wanted}: {gave_up:?}"),
    }
}

const PENDING: Expected = (
    ["Unknown Pending", "-", "-", "-"],
    "InProgress",
    "Progressing",
    false,
);

/// A state that lasts only as long as SWR takes for an answer is tried with one object after the other.
fn first_pass(site: &Site) {
    site.cloud.fault(&json!({
        "match": {"operation": "CreateInstanceRegistry"}, "kind": "delay", "delayMs": 1900,
    }));
    let wanted: Expected = (
        [
            "Unknown Progressing",
            "False Progressing",
            "True Progressing",
            "-",
        ],
        "InProgress",
        "Progressing",
        false,
    );
    site.put_login(NAME, &site.login());
    for n in 0..ATTEMPTS {
        let mut object = sample(site);
        let name = format!("{NAME}-{n}");
        object["metadata"]["name"] = json!(name);
        object["spec"]["name"] = json!(name);
        site.create(&object);
        let seen = eventually_blocking(PATIENCE, "a first status", || {
            let object = site.object(&name);
            match object["status"]["observedGeneration"] == 1 {
                true => Ok(object),
                false => Err(shown(&object)),
            }
        });
        if let Ok(verdicts) = judged(site, &seen)
            && verdicts == expected(wanted)
        {
            return;
        }
        site.await_ready(&name);
    }
    panic!("{ATTEMPTS} first reconciles went by too quickly");
}

fn secret_missing(site: &Site) {
    site.create(&sample(site));
    let wanted: Expected = (
        [
            "False SecretNotFound",
            "Unknown SecretNotFound",
            "True ProgressingWithRetry",
            "-",
        ],
        "InProgress",
        "Progressing",
        false,
    );
    let object = check_object(site, wanted, Some("progressing_secretNotFound"));
    check_helm(site, &object);
}

fn unavailable_before_the_first_success(site: &Site) {
    site.cloud
        .fault(&json!({"kind": "status", "status": 503, "match": {}}));
    site.put_login(NAME, &site.login());
    site.create(&sample(site));
    let wanted: Expected = (
        [
            "False ApiUnavailable",
            "Unknown ApiUnavailable",
            "True ProgressingWithRetry",
            "-",
        ],
        "InProgress",
        "Progressing",
        false,
    );
    let object = check_object(site, wanted, Some("progressing_reconciling"));
    check_helm(site, &object);
}

fn refused_for_good(site: &Site) {
    site.cloud.switch(&json!({"description_limit": "refused"}));
    site.put_login(NAME, &site.login());
    let mut object = sample(site);
    object["spec"]["description"] = json!("d".repeat(250));
    site.create(&object);
    let wanted: Expected = (
        [
            "False InvalidSpec",
            "False InvalidSpec",
            "-",
            "True InvalidSpec",
        ],
        "Failed",
        "Degraded",
        false,
    );
    let object = check_object(site, wanted, Some("degraded_stalled"));
    check_helm(site, &object);
}

const STEADY: Expected = (
    ["True Available", "True Available", "-", "-"],
    "Current",
    "Healthy",
    true,
);

fn steady_and_drift(site: &Site) {
    ready(site);
    let object = check_object(site, STEADY, Some("healthy"));
    check_helm(site, &object);
    let instance = &site.cloud.instances[0];
    let mark = site.cloud.mark();
    site.cloud.console_edit(
        instance,
        registry_id(&object),
        "/url",
        json!("https://elsewhere.example.com"),
    );
    site.await_writes(mark, 1);
    site.await_sent_after(NAME, &object);
    check_object(site, STEADY, None);
    assert_eq!(site.held(&object)["url"], "https://harbor.dr.example.com");
}

fn target_unhealthy(site: &Site) {
    let object = ready(site);
    site.cloud
        .health(&site.cloud.instances[0], registry_id(&object), "unhealthy");
    let wanted: Expected = (
        ["False TargetUnhealthy", "True TargetUnhealthy", "-", "-"],
        "InProgress",
        "Degraded",
        false,
    );
    let object = check_object(site, wanted, Some("degraded_targetUnhealthy"));
    check_helm(site, &object);
}

/// Settled, and not ready: what holds it is somebody's wish.
const fn held(states: [&'static str; 2]) -> Expected {
    let [ready, synced] = states;
    ([ready, synced, "-", "-"], "InProgress", "Degraded", false)
}

fn drift_observed(site: &Site) {
    ready(site);
    let url = json!({"spec": {"mode": "Observe", "url": "https://changed.example.com"}});
    site.patch(NAME, &url);
    let wanted = held(["False DriftObserved", "False DriftObserved"]);
    let object = check_object(site, wanted, None);
    check_helm(site, &object);
}

fn updating(site: &Site) {
    ready(site);
    // SWR shows the old registry for a while, so that the operator cannot say yet.
    site.cloud
        .switch(&json!({"show_lag_after_update_millis": 5000, "list_lag_millis": 5000}));
    let url = json!({"spec": {"url": "https://changed.example.com"}});
    site.patch(NAME, &url);
    let wanted: Expected = (
        [
            "Unknown Verifying",
            "Unknown Verifying",
            "True Verifying",
            "-",
        ],
        "InProgress",
        "Progressing",
        false,
    );
    check_object(site, wanted, Some("progressing_verifying"));
    site.await_ready(NAME);
}

fn suspended(site: &Site) {
    ready(site);
    site.patch(NAME, &json!({"spec": {"suspend": true}}));
    let wanted: Expected = (
        ["True Suspended", "Unknown Suspended", "-", "-"],
        "Current",
        "Suspended",
        true,
    );
    let object = check_object(site, wanted, Some("suspended"));
    check_helm(site, &object);
}

fn deleting(site: &Site) {
    ready(site);
    site.cloud.fault(&json!({
        "match": {"operation": "DeleteInstanceRegistry"}, "kind": "status", "status": 503,
    }));
    site.delete(NAME);
    let wanted: Expected = (
        ["False Deleting", "Unknown Deleting", "True Deleting", "-"],
        "Terminating",
        "Progressing",
        false,
    );
    check_object(site, wanted, None);
    let waits = format!("rreg/{NAME}");
    let args = ["wait", "--for=delete", "--timeout=60s", "--namespace"];
    site.cloud.clear_faults();
    site.cluster
        .kubectl(&[&args[..], &[&site.name, &waits]].concat());
}

fn deletion_blocked(site: &Site) {
    let object = ready(site);
    let target = format!("policies?instance={}", site.cloud.instances[0]);
    let ids = json!({"registries": [registry_id(&object)]});
    site.cloud.control("PUT", &target, &ids);
    site.delete(NAME);
    let wanted: Expected = (
        [
            "False DeletionBlocked",
            "Unknown DeletionBlocked",
            "-",
            "True DeletionBlocked",
        ],
        "Terminating",
        "Progressing",
        false,
    );
    check_object(site, wanted, None);
    site.patch(NAME, &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.await_gone(NAME);
}

/// The account of the samples has no more to say than needed.
fn account(site: &Site, wanted: Expected, file: &str) {
    let object = check(site, || site.account_now(), wanted);
    testdata::compare_object(site, file, &object);
}

fn account_ready(site: &Site) {
    let wanted: Expected = (
        ["True Available", "-", "-", "-"],
        "Current",
        "Healthy",
        true,
    );
    account(site, wanted, "healthy");
}

fn account_without_secret(site: &Site) {
    site.delete_account_secret();
    site.touch_account();
    let wanted: Expected = (
        ["False SecretNotFound", "-", "True SecretNotFound", "-"],
        "InProgress",
        "Progressing",
        false,
    );
    account(site, wanted, "progressing_reconciling");
}

fn account_without_project(site: &Site) {
    site.cloud.switch(&json!({"projects": "none"}));
    site.patch_account(&json!({"spec": {"projectId": null}}));
    let wanted: Expected = (
        ["False InvalidSpec", "-", "-", "True InvalidSpec"],
        "Failed",
        "Degraded",
        false,
    );
    account(site, wanted, "degraded_stalled");
}

/// While no operator runs: an object that nobody has seen, and one whose last edit nobody has seen.
fn unseen(bed: &Bed, site: &Site) {
    ready(site);
    let account = site.account();
    bed.terminate();

    site.patch(NAME, &json!({"spec": {"description": "Edited"}}));
    let wanted: Expected = (
        ["True Available", "True Available", "-", "-"],
        "InProgress",
        "Progressing",
        false,
    );
    let edited = check_object(site, wanted, Some("progressing_observedGeneration"));
    check_helm(site, &edited);

    let mut object = sample(site);
    let name = format!("{NAME}-new");
    object["metadata"]["name"] = json!(name);
    site.create(&object);
    let created = check(site, || site.object(&name), PENDING);
    assert_eq!(created["status"]["observedGeneration"], -1);
    testdata::compare_object(site, "progressing_pending", &created);

    // Deleted and made anew: no operator holds an account.
    site.delete_account();
    site.create_account(&account);
    let created = check(site, || site.account_now(), PENDING);
    testdata::compare_object(site, "progressing_pending", &created);

    bed.start_operator();
    site.await_ready(NAME);
}

/// While the operator only reads.
fn read_only(bed: &Bed, site: &Site) {
    ready(site);
    bed.terminate();
    bed.start_operator_with(&["--read-only"]);
    check_object(site, STEADY, None);
    site.patch(NAME, &json!({"spec": {"description": "Edited"}}));
    let wanted = held(["False ReadOnly", "False ReadOnly"]);
    let object = check_object(site, wanted, None);
    check_helm(site, &object);
    bed.terminate();
    bed.start_operator();
    site.await_ready(NAME);
}

/// A name for the site and what happens there.
type Moment = (&'static str, fn(&Site));

const MOMENTS: [Moment; 14] = [
    ("pass", first_pass),
    ("secret", secret_missing),
    ("503", unavailable_before_the_first_success),
    ("refused", refused_for_good),
    ("steady", steady_and_drift),
    ("unhealthy", target_unhealthy),
    ("observed", drift_observed),
    ("updating", updating),
    ("suspended", suspended),
    ("deleting", deleting),
    ("blocked", deletion_blocked),
    ("account", account_ready),
    ("no-key", account_without_secret),
    ("no-project", account_without_project),
];

#[test]
fn every_moment_is_understood_by_kubectl_argo_cd_flux_and_helm() {
    let names: Vec<&str> = MOMENTS
        .iter()
        .map(|(name, _)| *name)
        .chain(["read-only", "unseen"])
        .collect();
    with_bed("moments", &names, |bed| {
        let cases: Vec<(&str, _)> = MOMENTS
            .iter()
            .zip(&bed.sites)
            .map(|((name, check), site)| (*name, (check, site)))
            .collect();
        in_parallel(&cases, |(check, site)| check(site));
        let [.., reads, unseen_by_all] = bed.sites.as_slice() else {
            panic!("a site for each name");
        };
        read_only(bed, reads);
        unseen(bed, unseen_by_all);
    });
}
