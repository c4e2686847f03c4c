//! `reconcile`, `suspend` and `resume`: what a person asks of the operator through an object.

use std::os::unix::fs::symlink;
use std::process::Command;

use harness::{Operator, eventually_blocking};
use serde_json::json;

use super::{Ran, Typed, interrupted, typed};
use crate::bed::with_site;
use crate::cloud::PATIENCE;
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
            format!(
                "{}/it: spec.suspend is true\nwaiting for the operator\n",
                site.name
            )
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
        assert_interrupted(site);
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
    asking(site, args).run()
}

fn asking(site: &Site, args: &[&str]) -> Typed {
    let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
    let place = ["--kubeconfig", &kubeconfig, "--namespace", &site.name];
    typed([args, &place].concat())
}

/// Who presses Ctrl-C while no operator answers is told how things are left.
fn assert_interrupted(site: &Site) {
    let child = asking(site, &["suspend", "it"]).spawn();
    eventually_blocking(PATIENCE, "the field is written", || {
        match site.object("it")["spec"]["suspend"] == json!(true) {
            true => Ok(()),
            false => Err("not yet".to_owned()),
        }
    });
    let ran = interrupted(child);
    let left = "interrupted; what was asked for stands, and the operator goes on\n";
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(130), ""),
        "{}",
        ran.shown()
    );
    assert!(ran.stderr.ends_with(left), "{}", ran.stderr);
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

    for name in ["kubectl-swr", "kubectl_complete-swr"] {
        symlink(Operator::executable(), folder.path().join(name)).expect("a link");
    }
    let kubectl = |args: &[&str]| {
        let kubectl = crate::cluster::Cluster::shared().plane.kubectl();
        let output = Command::new(kubectl)
            .args(args)
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", folder.path())
            .output();
        Ran::of(output.expect("kubectl runs"))
    };
    let ran = kubectl(&["swr", "validate"]);
    assert_eq!(ran.code, Some(64), "{}", ran.shown());
    assert!(
        ran.stderr.contains("nothing to validate was named"),
        "{}",
        ran.shown()
    );

    // What kubectl's own completion of a shell asks it, and gives to the shell.
    std::fs::create_dir(folder.path().join("registries")).expect("a folder");
    for (words, completed) in [
        (
            &["pl"][..],
            "plan\tShow what the operator would do in SWR, and write nothing\n:4\n",
        ),
        (
            &["plan", "--no-cl"],
            "--no-cluster\tDo not ask a cluster, even if there is a kubeconfig. A registry then counts as an object's own if its tag names namespace and name of the object\n:4\n",
        ),
        (
            &["import", "li"],
            "list\tEvery registry of an SWR instance that carries no operator's tag\n:4\n",
        ),
        (&["validate", "-f", "reg"], "registries/\n:6\n"),
        (&["plan", "--no-such-flag"], ":0\n"),
    ] {
        let ran = kubectl(&[&["__complete", "swr"], words].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), completed),
            "{words:?}"
        );
    }
    let ran = kubectl(&["__complete", "swr", "plan", "-o", ""]);
    let values = ran
        .stdout
        .lines()
        .filter_map(|line| line.split('\t').next());
    let values: Vec<&str> = values.collect();
    assert_eq!(values, ["human", "json", "yaml", "name", ":4"]);
}
