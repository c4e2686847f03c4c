//! `reconcile`, `suspend` and `resume`: what a person asks of the operator through an object.

use std::os::unix::fs::symlink;
use std::process::Command;

use harness::Operator;
use serde_json::json;

use super::{Ran, typed};
use crate::bed::with_site;
use crate::site::Site;

#[test]
fn the_operator_takes_up_what_a_person_asks_for() {
    with_site("ask", |bed, site| {
        site.ready("it");
        let instance = &site.cloud.instances[0];
        let ran = ask(site, &["suspend", "it"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (
                Some(0),
                format!(
                    "= {}/it  Suspended: spec.suspend is true: SWR is neither read nor written\n",
                    site.name
                )
                .as_str()
            )
        );
        assert_eq!(
            ran.stderr,
            format!("{}/it: spec.suspend is true\n", site.name)
        );
        assert_eq!(site.object("it")["spec"]["suspend"], json!(true));

        let ran = ask(site, &["resume", "it", "-q"]);
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{}",
            ran.shown()
        );
        assert!(
            ran.stdout
                .starts_with(&format!("= {}/it  Available", site.name)),
            "{}",
            ran.shown()
        );

        let mark = site.cloud.mark();
        let ran = ask(site, &["reconcile", "it"]);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        // The credential goes once more, as docs/operations.md says of the annotation.
        assert_eq!(site.cloud.asked(mark, "UpdateInstanceRegistry").len(), 1);
        let manager = &site.object("it")["metadata"]["managedFields"];
        assert!(
            manager.to_string().contains("swr-operator-cli"),
            "{manager}"
        );

        let mut stuck = site.registry("stuck", "swr-pro");
        stuck["spec"]["name"] = json!("theirs");
        site.foreign("theirs", "theirs");
        site.put_login("stuck", &site.login());
        site.create(&stuck);
        site.await_state("stuck", "False Conflict");
        let ran = ask(site, &["reconcile", "stuck"]);
        assert_eq!(ran.code, Some(4), "{}", ran.shown());
        assert!(
            ran.stdout
                .starts_with(&format!("! {}/stuck  Conflict: ", site.name)),
            "{}",
            ran.shown()
        );

        let ran = ask(site, &["suspend", "absent"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(
            ran.stderr.contains("\"absent\" not found\nhint: "),
            "{}",
            ran.stderr
        );

        bed.terminate();
        let ran = ask(site, &["suspend", "it", "--timeout", "1s"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(3), ""),
            "{}",
            ran.shown()
        );
        let ran = ask(site, &["resume", "it", "--no-wait"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), ""),
            "{}",
            ran.shown()
        );
        bed.start_operator();
        site.await_ready("it");
        assert_eq!(site.cloud.registries(instance).len(), 2);
    });
}

fn ask(site: &Site, args: &[&str]) -> Ran {
    let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
    let place = ["--kubeconfig", &kubeconfig, "--namespace", &site.name];
    typed([args, &place].concat()).run()
}

#[test]
fn shells_complete_it_man_explains_it_and_kubectl_runs_it() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = typed(["completions", shell]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["plan", "no-cluster", "validate", "suspend"] {
            assert!(
                ran.stdout.contains(word),
                "{shell} does not complete {word}"
            );
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    assert_eq!(typed(["man", "--out", &out]).run().code, Some(0));
    for page in [
        "swr-operator.1",
        "swr-operator-plan.1",
        "swr-operator-import-terraform.1",
    ] {
        let text = std::fs::read_to_string(folder.path().join(page));
        let text = text.unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(
        typed(["man", "--out", "/nonexistent/folder"]).run().code,
        Some(1)
    );

    symlink(Operator::executable(), folder.path().join("kubectl-swr")).expect("a link");
    let kubectl = crate::cluster::Cluster::shared().plane.kubectl();
    let output = Command::new(kubectl)
        .args(["swr", "validate"])
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", folder.path())
        .output();
    let ran = Ran::of(output.expect("kubectl runs"));
    assert_eq!(ran.code, Some(64), "{}", ran.shown());
    assert!(
        ran.stderr.contains("nothing to validate was named"),
        "{}",
        ran.shown()
    );
}
