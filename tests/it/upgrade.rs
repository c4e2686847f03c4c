//! What operators of earlier commits left behind, in etcd and in SWR, is taken over by the operator of this checkout: no
//! second registry, no write that only the version asks for, the right conditions. `fixtures/upgrade` holds what they
//! left, by commit and moment: binaries of those commits wrote it, with their own definitions of the kinds, and were
//! killed. It is put back as a restore would, uids and the key of the installation included.
//!
//! `SWR_TEST_EARLIER` names a folder of such binaries, `COMMIT/swr-operator` each. Then the way back is tried, too: the
//! earlier operator goes on with what today's has written. With `UPDATE_EXPECT` the fixtures are written anew before. The
//! first of them stumbles over proxies of the environment, which the harness sets: a script in its place unsets them.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{ControlPlane, Operator, environment, eventually_blocking, kubectl_stdout};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bed::{Bed, Windows, in_parallel, on_own_plane, say, site_check, with_own_plane};
use crate::canary::Login;
use crate::cloud::PATIENCE;
use crate::cluster::OPERATOR;
use crate::site::{Site, condition, shown, state};

/// The first that was whole; the first of several crates; the first with seven sources of a credential.
const COMMITS: [&str; 3] = ["e60a279", "0870508", "87330b5"];

/// 32 bytes in base64, as in the Secret. Nothing but these fixtures depends on it.
const KEY: &str = "dGhlIGtleSBvZiB0aGUgdXBncmFkZSBmaXh0dXJlcy4=";

/// Where an object was when its operator was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Ready,
    /// Its POST was carried out, and nobody knows.
    Unanswered,
    /// Its POST never arrived, and nobody knows.
    Lost,
    /// The id is noted, and nothing else.
    Noted,
    WithoutSecret,
    InConflict,
    Observing,
    Deleting,
}

const MOMENTS: [Moment; 8] = [
    Moment::Ready,
    Moment::Unanswered,
    Moment::Lost,
    Moment::Noted,
    Moment::WithoutSecret,
    Moment::InConflict,
    Moment::Observing,
    Moment::Deleting,
];

/// What was left of one object.
#[derive(Deserialize, Serialize)]
struct Left {
    /// As etcd held it.
    object: Value,
    /// What SWR held, in the order of ids.
    registries: Vec<Value>,
}

/// The commit, and the name of the site, which is in the fixture, too.
type Case = (&'static str, Moment, String);

fn cases(commits: &[&'static str]) -> Vec<Case> {
    let each = |commit: &'static str| {
        MOMENTS.map(|moment| {
            (
                commit,
                moment,
                format!("{commit}-{moment:?}").to_lowercase(),
            )
        })
    };
    commits.iter().flat_map(|commit| each(commit)).collect()
}

fn fixture(case: &Case) -> PathBuf {
    let (commit, moment, _) = case;
    let file = format!("{moment:?}.yaml").to_lowercase();
    environment::checkout()
        .join("tests/it/fixtures/upgrade")
        .join(commit)
        .join(file)
}

#[test]
fn what_earlier_operators_left_is_taken_over_without_a_needless_write() {
    let earlier = environment::variable("SWR_TEST_EARLIER").map(PathBuf::from);
    if let (Some(earlier), Some(_)) = (&earlier, environment::variable("UPDATE_EXPECT")) {
        for commit in COMMITS {
            write_fixtures(commit, &earlier.join(commit).join("swr-operator"));
        }
    }
    let cases = cases(&COMMITS);
    let names: Vec<&str> = cases.iter().map(|(.., name)| name.as_str()).collect();
    with_own_plane("upgrade", &names, &[], |bed, plane| {
        bed.terminate();
        set_key(bed);
        for case in &cases {
            plant(plane, bed.site(&case.2), case);
        }
        bed.start_operator();
        let items: Vec<(&str, &Case)> = cases.iter().map(|case| (case.2.as_str(), case)).collect();
        in_parallel(&items, |case| {
            let site = bed.site(&case.2);
            site_check(site, || is_taken_over(site, case));
        });
        if let Some(earlier) = &earlier {
            bed.terminate();
            // The first one refuses every object whose `status.applied` has today's form.
            for commit in &COMMITS[1..] {
                let binary = earlier.join(commit).join("swr-operator");
                bed.upset(|| goes_back(bed, &cases, commit, &binary));
            }
            bed.start_operator();
        }
    });
}

fn set_key(bed: &Bed) {
    let path = format!("/api/v1/namespaces/{OPERATOR}/secrets/swr-operator-key");
    bed.cluster
        .patch(&path, &json!({"data": {"key": KEY}}))
        .expect("the key");
}

fn login() -> Login {
    Login {
        access_key: "robot$upgrade".to_owned(),
        access_secret: "not for production".to_owned(),
    }
}

const NAME: &str = "it";

/// Puts back what was left, Secret and registries first.
fn plant(plane: &ControlPlane, site: &Site, case: &Case) {
    let path = fixture(case);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let left: Left = serde_saphyr::from_str(&text).expect("a fixture");
    if case.1 != Moment::WithoutSecret {
        site.put_login(NAME, &login());
    }
    for registry in &left.registries {
        site.cloud.restore(&site.cloud.instances[0], registry);
    }
    let key = format!(
        "/registry/swr.huaweicloud.com/replicationregistries/{}/{NAME}",
        site.name
    );
    plane
        .put(&key, &left.object.to_string())
        .expect("it is put into etcd");
    assert_eq!(
        site.object(NAME)["metadata"]["uid"],
        left.object["metadata"]["uid"]
    );
}

fn is_taken_over(site: &Site, case: &Case) {
    let (commit, moment, _) = case;
    let instance = &site.cloud.instances[0];
    let none = Vec::<String>::new();
    let ready = || {
        let object = site.await_ready(NAME);
        assert_eq!(object["status"]["registryId"], 1, "{}", shown(&object));
    };
    match *moment {
        Moment::Ready => {
            ready();
            site.cloud.await_lists(instance, 3);
            assert_eq!(site.cloud.writes(0), none);
        }
        // Nobody has noted which credential it was sent, whatever the version, so it is sent again.
        Moment::Unanswered | Moment::Noted => {
            ready();
            site.cloud.await_lists(instance, 3);
            assert_eq!(site.cloud.writes(0), ["PUT registries/1"]);
        }
        Moment::Lost => {
            ready();
            assert_eq!(site.cloud.writes(0), ["POST registries"]);
        }
        Moment::WithoutSecret => {
            site.await_state(NAME, "False SecretNotFound");
            site.put_login(NAME, &login());
            ready();
            assert_eq!(site.cloud.writes(0), ["POST registries"]);
        }
        Moment::InConflict => {
            site.await_state(NAME, "False Conflict");
            site.cloud.await_lists(instance, 3);
            assert_eq!(site.cloud.writes(0), none);
        }
        Moment::Observing => {
            let (object, _) = site.await_state(NAME, "False DriftObserved");
            let diff = json!([{
                "field": "url", "desired": "https://observed.example.com",
                "observed": "https://it.dr.example.com",
            }]);
            assert_eq!(object["status"]["diff"], diff);
            site.cloud.await_lists(instance, 3);
            assert_eq!(site.cloud.writes(0), none);
        }
        Moment::Deleting => {
            site.await_gone(NAME);
            assert_eq!(site.cloud.writes(0), ["DELETE registries/1"]);
            return;
        }
    }
    let writes = site.kubernetes_writes(&site.audit);
    let writes: Vec<&str> = writes.iter().map(|asked| asked.resource.as_str()).collect();
    match (*commit, *moment) {
        // `status.applied` had another form then, and is written in ours.
        ("e60a279", Moment::Ready) => assert_eq!(writes, ["replicationregistries/status"]),
        (_, Moment::Ready | Moment::InConflict | Moment::Observing) => {
            assert_eq!(writes, Vec::<&str>::new());
        }
        _ => {}
    }
    site.assert_rests(site.cloud.mark(), &site.cluster.audit());
}

/// An earlier operator goes on where today's has stopped.
fn goes_back(bed: &Bed, cases: &[Case], commit: &str, binary: &Path) {
    let marks: Vec<u64> = bed.sites.iter().map(|site| site.cloud.mark()).collect();
    let mut operator = launch(bed, binary, &[]);
    // Each with what came from itself: before the second one, `status.applied` had another form.
    for (site, (from, moment, _)) in bed.sites.iter().zip(cases) {
        if *from == commit && *moment != Moment::Deleting {
            site.cloud.await_lists(&site.cloud.instances[0], 3);
        }
    }
    operator.assert_running().expect("it runs");
    operator.kill_9().expect("it is killed");
    for (site, mark) in bed.sites.iter().zip(marks) {
        let writes = site.cloud.writes(mark);
        assert_eq!(writes, Vec::<String>::new(), "{commit} at {}", site.name);
    }
    say(&format!("{commit} wrote nothing to SWR on its way back"));
}

/// Starts a binary with the flags of the bed that it knows.
fn launch(bed: &Bed, binary: &Path, windows: Windows<'_>) -> Operator {
    let help = Command::new(binary)
        .args(["run", "--help"])
        .output()
        .expect("its help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let mut options = bed.options(&bed.cluster.operator_kubeconfig, &[]);
    binary.clone_into(&mut options.binary);
    // Not among the logs of the bed: earlier operators are not judged.
    options.log_path.set_extension("earlier");
    let pairs: Vec<String> = options
        .args
        .chunks(2)
        .filter(|pair| help.contains(pair[0].as_str()))
        .flatten()
        .cloned()
        .collect();
    options.args = pairs;
    for (flag, value) in windows {
        let at = options
            .args
            .iter()
            .position(|arg| arg == flag)
            .expect("a flag of the bed");
        (*value).clone_into(&mut options.args[at + 1]);
    }
    Operator::spawn(&options).expect("it starts")
}

// --- The fixtures.

/// So long that nothing under way comes to an end before the kill.
const LONG: Windows<'_> = &[
    ("--settle", "120s"),
    ("--write-deadline", "50s"),
    ("--read-deadline", "60s"),
];

fn write_fixtures(commit: &'static str, binary: &Path) {
    let cases = cases(&[commit]);
    let names: Vec<&str> = cases.iter().map(|(.., name)| name.as_str()).collect();
    on_own_plane("upgrade", &names, &[], |bed, plane| {
        bed.terminate();
        let crds = Command::new(binary)
            .arg("crd")
            .output()
            .expect("its definitions");
        let crds = String::from_utf8_lossy(&crds.stdout).into_owned();
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--filename=-",
        ];
        kubectl_stdout(plane, &apply, Some(&crds)).expect("its definitions are applied");
        set_key(&bed);
        let mut operator = launch(&bed, binary, LONG);
        let items: Vec<(&str, &Case)> = cases.iter().map(|case| (case.2.as_str(), case)).collect();
        in_parallel(&items, |case| {
            let site = bed.site(&case.2);
            site_check(site, || come_to(site, case.1));
        });
        operator.assert_running().expect("it runs");
        operator.kill_9().expect("it is killed");
        for case in &cases {
            let site = bed.site(&case.2);
            site.cloud.clear_faults();
            let mut object = site.object(NAME);
            for field in ["resourceVersion", "managedFields"] {
                object["metadata"]
                    .as_object_mut()
                    .expect("metadata")
                    .remove(field);
            }
            let left = Left {
                object,
                registries: site.cloud.registries(&site.cloud.instances[0]),
            };
            let path = fixture(case);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let text = serde_saphyr::to_string(&left).expect("YAML");
            std::fs::write(path, text).expect("a fixture");
        }
    });
}

/// Brings an object to where it is to be found.
fn come_to(site: &Site, moment: Moment) {
    let mut object = site.registry(NAME, "swr-pro");
    if moment != Moment::WithoutSecret {
        site.put_login(NAME, &login());
    }
    let create = "CreateInstanceRegistry";
    // Before or after SWR has carried it out.
    let phase = if matches!(moment, Moment::Lost | Moment::Deleting) {
        "before"
    } else {
        "after"
    };
    let fault = |operation: &str, kind: &str| {
        let mut fault = json!({"match": {"operation": operation}, "phase": phase, "kind": kind});
        if kind == "delay" {
            fault["delayMs"] = json!(2000);
        }
        site.cloud.fault(&fault);
    };
    match moment {
        Moment::Ready | Moment::Observing | Moment::Deleting | Moment::WithoutSecret => {}
        Moment::Unanswered | Moment::Lost => fault(create, "hang"),
        Moment::Noted => fault(create, "delay"),
        Moment::InConflict => {
            let name = object["spec"]["name"].as_str().expect("a name");
            site.foreign(name, "by hand");
        }
    }
    object["spec"]["description"] = json!("taken over");
    site.create(&object);
    let until = |what: &str, is: &dyn Fn(&Value) -> bool| {
        eventually_blocking(PATIENCE, what, || match site.object(NAME) {
            object if is(&object) => Ok(()),
            object => Err(shown(&object)),
        });
    };
    let is_ready = |object: &Value| condition(object, "Ready")["status"] == "True";
    match moment {
        Moment::Ready => until("ready", &is_ready),
        Moment::Unanswered | Moment::Lost => {
            site.await_asked(0, create);
            let has_intent = |object: &Value| !object["status"]["createIntent"].is_null();
            until("an intent", &has_intent);
        }
        Moment::Noted => {
            site.await_asked(0, create);
            fault("ListInstanceRegistries", "hang");
            until("an id", &|object| {
                object["status"]["registryId"] == 1 && !is_ready(object)
            });
        }
        Moment::WithoutSecret => {
            until("no Secret", &|object| {
                state(object, "Ready") == "False SecretNotFound"
            });
        }
        Moment::InConflict => until("a conflict", &|object| {
            state(object, "Ready") == "False Conflict"
        }),
        Moment::Observing => {
            until("ready", &is_ready);
            let spec = json!({"mode": "Observe", "url": "https://observed.example.com"});
            site.patch(NAME, &json!({"spec": spec}));
            until("a difference", &|object| {
                state(object, "Ready") == "False DriftObserved"
            });
        }
        Moment::Deleting => {
            until("ready", &is_ready);
            fault("DeleteInstanceRegistry", "hang");
            let mark = site.cloud.mark();
            site.delete(NAME);
            site.await_asked(mark, "DeleteInstanceRegistry");
        }
    }
}
