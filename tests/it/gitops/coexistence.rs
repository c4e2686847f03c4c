//! Several managers of one object: people with kubectl, Argo CD and Flux apply it again and again beside the operator.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use harness::{environment, eventually_blocking, kubectl};
use serde_json::{Value, json};

use crate::bed::with_site;
use crate::site::{Site, shown, state};

/// Thirty polls.
const TOGETHER: Duration = Duration::from_secs(60);
/// Within this time a finalizer that was taken away is back: two at once, and a third one within ten seconds after them.
const PUT_BACK: Duration = Duration::from_secs(15);

const FINALIZER: &str = "swr.huaweicloud.com/registry";

/// How kubectl, Argo CD and Flux apply what is in Git.
const APPLIES: [&[&str]; 3] = [
    &["apply"],
    &[
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=argocd-controller",
    ],
    &[
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=kustomize-controller",
    ],
];

/// The object as it is in Git.
fn in_git(site: &Site, object: &Value) -> PathBuf {
    let path = site.cluster.folder.join(format!("{}.json", site.name));
    fs::write(&path, object.to_string()).expect("a file");
    path
}

fn apply(site: &Site, how: &[&str], file: &str) {
    let said = site.cluster.kubectl(&[how, &["--filename", file]].concat());
    assert!(!said.contains("Warning"), "{how:?}: {said}");
}

/// What all of them may not touch.
fn kept(object: &Value) -> Value {
    json!([
        object["metadata"]["uid"],
        object["metadata"]["generation"],
        object["metadata"]["finalizers"],
        object["spec"],
        object["status"],
    ])
}

#[test]
fn managers_of_one_object_do_not_disturb_each_other() {
    with_site("coexistence", |_, site| {
        let object = site.registry("it", "swr-pro");
        let path = in_git(site, &object);
        let file = path.to_str().expect("a path in UTF-8");
        site.put_login("it", &site.login());
        for how in APPLIES {
            apply(site, how, file);
        }
        let before = site.await_ready("it");
        let held = site.held(&before);
        let finalizers = &before["metadata"]["finalizers"];
        assert_eq!(*finalizers, json!([FINALIZER]));

        let mark = site.cloud.mark();
        let audit = site.cluster.audit();
        let started = environment::now();
        while started.elapsed() < TOGETHER {
            for how in APPLIES {
                apply(site, how, file);
                assert_eq!(kept(&site.object("it")), kept(&before), "{how:?}");
            }
            // Rests of another manager or a default that is written back would show.
            for how in [
                &["diff"][..],
                &["diff", "--server-side", "--force-conflicts"],
            ] {
                let args = [how, &["--filename", file]].concat();
                let output = kubectl(site.cluster.plane, &args, None);
                assert_eq!(output.status.code(), Some(0), "{how:?}: {output:?}");
            }
            site.cloud.await_lists(&site.cloud.instances[0], 1);
        }
        let writes = site.kubernetes_writes(&audit);
        assert_eq!(writes, [], "the operator has nothing to write");
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());

        let managers: Vec<&str> = site.object("it")["metadata"]["managedFields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["manager"].as_str())
            .map(|manager| match manager {
                "argocd-controller" => "argocd-controller",
                "kustomize-controller" => "kustomize-controller",
                "swr-operator" => "swr-operator",
                _ => "kubectl",
            })
            .collect();
        for manager in ["argocd-controller", "kustomize-controller", "swr-operator"] {
            assert!(managers.contains(&manager), "{managers:?}");
        }
        // Again and again.
        for _ in 0..3 {
            replace(site, file);
        }
        assert_eq!(site.held(&site.object("it")), held);
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
    });
}

/// What Argo CD runs for `Replace=true`: it takes the finalizer away, and the operator puts it back.
fn replace(site: &Site, file: &str) {
    let audit = site.cluster.audit();
    site.cluster.kubectl(&["replace", "--filename", file]);
    eventually_blocking(PUT_BACK, "the finalizer", || {
        let object = site.object("it");
        match object["metadata"]["finalizers"] == json!([FINALIZER]) {
            true => Ok(()),
            false => Err(shown(&object)),
        }
    });
    let patched = audit.in_namespace(&site.name);
    let patched = patched
        .iter()
        .filter(|asked| asked.verb == "patch" && asked.resource == "replicationregistries");
    assert_eq!(patched.count(), 1, "it was gone and put back");
    assert_eq!(state(&site.await_ready("it"), "Ready"), "True Available");
}
