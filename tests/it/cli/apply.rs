//! `apply`: what reaches the cluster, what is waited for, and what is said when it goes wrong halfway.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use expect_test::expect_file;
use serde_json::{Value, json};

use super::{Ran, Typed, transcript, typed};
use crate::bed::with_site;
use crate::manifest;
use crate::site::Site;

fn write(site: &Site, file: &str, objects: &[Value]) {
    let documents: Vec<String> = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).expect("YAML"))
        .collect();
    fs::write(site.cluster.folder.join(file), documents.join("---\n")).expect("written");
}

fn command(site: &Site, line: &str) -> Typed {
    let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
    let place = ["--kubeconfig", &kubeconfig, "--namespace", &site.name];
    let args: Vec<&str> = line.split(' ').skip(1).chain(place).collect();
    typed(args).at(&site.cluster.folder)
}

fn run<'a>(site: &Site, line: &'a str) -> (&'a str, Ran) {
    let ran = command(site, line).run();
    site.assert_keeps_secrets(line, &ran.shown());
    (line, ran)
}

#[test]
fn manifests_are_applied_in_order_and_waited_for() {
    with_site("apply", |bed, site| {
        let it = site.registry("it", "swr-pro");
        let secret = manifest::secret(&site.name, "it", &site.login());
        // The Secret last: it is applied first.
        write(site, "it.yaml", &[it.clone(), secret]);
        let mut edited = it.clone();
        edited["spec"]["url"] = json!("https://edited.dr.example.com");
        write(site, "edited.yaml", std::slice::from_ref(&edited));
        let mut stuck = site.registry("stuck", "swr-pro");
        stuck["spec"]["name"] = json!("theirs");
        site.foreign("theirs", "theirs");
        let login = manifest::secret(&site.name, "stuck", &site.login());
        write(site, "stuck.yaml", &[login, stuck]);

        let mut runs = vec![run(site, "swr-operator apply -f it.yaml --dry-run")];
        assert_eq!(site.try_object("it"), None, "a dry run changes nothing");
        runs.push(run(site, "swr-operator apply -f it.yaml -q"));
        let object = site.object("it");
        let managers = object["metadata"]["managedFields"].to_string();
        assert!(managers.contains("\"swr-operator-cli\""), "{managers}");
        let mark = site.cloud.mark();
        runs.push(run(site, "swr-operator apply -f it.yaml -q -o json"));
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
        assert_eq!(site.object("it")["metadata"]["generation"], json!(1));

        // Somebody else has the field now.
        let url = json!({"spec": {"url": "https://theirs.dr.example.com"}});
        site.patch("it", &url);
        let (line, conflict) = run(site, "swr-operator apply -f edited.yaml");
        assert!(
            conflict.stderr.contains("conflict with") && conflict.stderr.contains(".spec.url"),
            "{}",
            conflict.shown()
        );
        assert_eq!(conflict.code, Some(1), "{line}");
        assert_eq!(site.object("it")["spec"]["url"], url["spec"]["url"]);
        runs.push(run(
            site,
            "swr-operator apply -f edited.yaml --force-conflicts -q",
        ));
        assert_eq!(site.object("it")["spec"]["url"], edited["spec"]["url"]);
        runs.push(run(site, "swr-operator apply -f stuck.yaml -q"));
        runs.push(run(
            site,
            "swr-operator apply -f stuck.yaml -q -o name --no-wait",
        ));

        bed.terminate();
        let late = site.registry("late", "swr-pro");
        write(site, "late.yaml", &[late]);
        runs.push(run(site, "swr-operator apply -f late.yaml --timeout 1s"));
        runs.push(run(site, "swr-operator apply -f late.yaml --no-wait"));
        let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
        let shown = transcript(runs);
        assert_eq!(codes, [0, 0, 0, 0, 4, 0, 3, 0].map(Some), "{shown}");
        expect_file!["../goldens/cli-apply.txt"].assert_eq(&shown);
        interrupted(site);
        bed.start_operator();
        site.delete("late");
        site.await_gone("late");
    });
}

/// Nobody serves the object, so the command waits.
fn interrupted(site: &Site) {
    let child = command(site, "swr-operator apply -f late.yaml")
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let id = child.id().to_string();
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("a line");
    assert!(said.ends_with(": applied\n"), "{said}");
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.expect("kill runs").success());
    stderr.read_to_string(&mut said).expect("text");
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{said}");
    let left = "interrupted; what was applied stands, and the operator goes on\n";
    assert!(said.ends_with(left), "{said}");
}

#[test]
fn what_was_applied_before_a_refusal_is_said_and_no_value_of_a_secret() {
    with_site("applybad", |_, site| {
        let it = site.registry("a", "swr-pro");
        site.put_login("a", &site.login());
        site.create(&it);
        let mut moved = it;
        moved["spec"]["instanceId"] = json!("elsewhere");
        let secret = manifest::secret(&site.name, "a", &site.login());
        let other = site.registry("b", "swr-pro");
        write(site, "moved.yaml", &[moved.clone(), secret.clone(), other]);
        let mut typo = moved;
        typo["spec"]["urll"] = json!("x");
        write(site, "typo.yaml", &[secret.clone(), typo]);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        write(site, "others.yaml", &[secret.clone(), map]);
        let mut wrong = secret;
        wrong["metadata"]["name"] = json!("wrong");
        wrong["stringData"]["accessSecret"] = json!(987_654_321_098_765_i64);
        write(site, "wrong.yaml", &[wrong]);

        let lines = [
            "swr-operator apply -f moved.yaml --force-conflicts",
            "swr-operator apply -f moved.yaml --force-conflicts -q -o json",
            "swr-operator apply -f typo.yaml",
            "swr-operator apply -f others.yaml",
            "swr-operator apply -f wrong.yaml",
            "swr-operator apply -f wrong.yaml -o json --dry-run",
        ];
        let runs: Vec<(&str, Ran)> = lines.into_iter().map(|line| run(site, line)).collect();
        for (line, ran) in &runs {
            assert_eq!(ran.code, Some(1), "{line}");
            assert!(!ran.shown().contains("98765"), "{}", ran.shown());
        }
        expect_file!["../goldens/cli-apply-errors.txt"].assert_eq(&transcript(runs));
        assert_eq!(site.try_object("b"), None);
    });
}
