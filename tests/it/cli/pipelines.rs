//! The examples of deploy/ci, run as the services run them: each script in its shell, with the real binary, against SWR.
//! What they reach over the network is a program that writes down how it was called.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::Operator;
use serde_json::{Value, json};

use super::Ran;
use super::place::{Place, object};
use crate::architecture::read;
use crate::manifest;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Notes its arguments and what it was to send.
const SENDS: &str =
    "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$HOME/sent\"\ncp comment.md \"$HOME/body\"\n";

struct Pipeline<'a> {
    place: &'a Place,
    home: tempfile::TempDir,
}

impl<'a> Pipeline<'a> {
    fn new(place: &'a Place) -> Self {
        let pipeline = Pipeline {
            place,
            home: tempfile::tempdir().expect("a folder"),
        };
        fs::create_dir(pipeline.at("bin")).expect("a folder");
        symlink(Operator::executable(), pipeline.at("bin/swr-operator")).expect("a link");
        for name in ["gh", "curl"] {
            let program = pipeline.at("bin").join(name);
            fs::write(&program, SENDS).expect("written");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&program, mode).expect("a program");
        }
        pipeline
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    /// Runs a script in the folder with the manifests.
    fn run(&self, script: &str, env: &[(&str, &str)]) -> Ran {
        let mut command = Command::new("bash");
        command
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(self.place.at())
            .env_clear()
            .env("HOME", self.home.path())
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.at("bin").display()),
            )
            .env("GITHUB_OUTPUT", self.at("output"))
            .env("SWR_OPERATOR_SWR_ENDPOINTS", self.place.cloud.url())
            .env("HUAWEICLOUD_SDK_AK", &self.place.keys().access_key)
            .env("HUAWEICLOUD_SDK_SK", &self.place.keys().secret_key)
            .env("HUAWEICLOUD_SDK_REGION", "region-1")
            .env("HUAWEICLOUD_SDK_PROJECT_ID", "project-1")
            .envs(env.iter().copied());
        let ran = Ran::of(command.output().expect("bash runs"));
        self.place.assert_keeps_secrets(&ran);
        ran
    }
}

/// A folder with a registry that would be created, and maybe one that is somebody else's.
fn place(has_conflict: bool) -> Place {
    let mut place = Place::new();
    let login = place.login();
    fs::create_dir_all(place.at().join("registries/team")).expect("folders");
    place.write(
        "registries/new.yaml",
        &[object("new"), manifest::secret("images", "new", &login)],
    );
    if has_conflict {
        let theirs = object("theirs");
        let mut body = manifest::body(&theirs, &login);
        body["description"] = json!("theirs");
        place.cloud.console_create(super::place::INSTANCE, &body);
        let secret = manifest::secret("images", "theirs", &login);
        place.write("registries/team/theirs.yaml", &[theirs, secret]);
    }
    place
}

fn example(path: &str) -> Value {
    let text = read(path);
    let archive = format!("swr-operator-{VERSION}-linux-amd64.tar.gz");
    assert!(path.contains("gitlab") || text.contains(&archive), "{path}");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn assert_comment(pipeline: &Pipeline<'_>, has_conflict: bool) {
    let body = pipeline.text("body");
    let wanted = match has_conflict {
        true => {
            "Plan: 1 to create, 0 to update, 0 to adopt, 0 to delete, 1 in conflict. 0 unchanged."
        }
        false => "Plan: 1 to create, 0 to update, 0 to adopt, 0 to delete. 0 unchanged.",
    };
    let is_whole = body
        .starts_with("### swr-operator plan\n```diff\n+ images/new  will be created\n")
        && body.ends_with(&format!("{wanted}\n```\n"));
    assert!(is_whole, "{body}");
    let planned = fs::read_to_string(pipeline.place.at().join("plan.json")).expect("a plan");
    let planned: Value = serde_json::from_str(&planned).expect("JSON");
    assert_eq!(planned["summary"]["create"], 1);
}

#[test]
fn the_workflow_for_github_comments_the_plan_and_refuses_a_conflict() {
    let workflow = example("deploy/ci/github.yaml");
    assert_eq!(workflow["permissions"], json!({}));
    let job = &workflow["jobs"]["plan"];
    let steps = job["steps"].as_array().expect("steps");
    let script = |name: &str| -> String {
        let step = steps.iter().find(|step| step["name"] == name);
        let script = step.and_then(|step| step["run"].as_str());
        let script = script.unwrap_or_else(|| panic!("no step {name}"));
        // An expression in a script is text that the shell runs.
        assert!(!script.contains("${{"), "{script}");
        script.to_owned()
    };
    for has_conflict in [false, true] {
        let place = place(has_conflict);
        let pipeline = Pipeline::new(&place);
        for name in ["Validate", "Plan"] {
            let ran = pipeline.run(&script(name), &[]);
            assert_eq!(ran.code, Some(0), "{name}: {}", ran.shown());
        }
        let ran = pipeline.run(&script("Comment"), &[("NUMBER", "7")]);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        let sent = pipeline.text("sent");
        let wanted = "pr\ncomment\n7\n--body-file\ncomment.md\n--edit-last\n--create-if-none\n";
        assert_eq!(sent, wanted);
        assert_comment(&pipeline, has_conflict);
        let output = pipeline.text("output");
        let code = output.trim().strip_prefix("code=").expect("a code");
        assert_eq!(code, if has_conflict { "4" } else { "2" });
        let ran = pipeline.run(
            &script("Refuse what the operator would stop at"),
            &[("CODE", code)],
        );
        assert_eq!(ran.code == Some(0), !has_conflict, "{}", ran.shown());
        assert_eq!(place.cloud.writes(0).len(), 0);
    }
    installs(&script("Install swr-operator"));
}

/// The binary comes from the archive, if that is the one.
fn installs(script: &str) {
    let place = place(false);
    let pipeline = Pipeline::new(&place);
    let pack = |name: &str| {
        let status = Command::new("tar")
            .args(["-czf", &pipeline.at("archive").display().to_string(), "-C"])
            .arg(pipeline.at(""))
            .arg(name)
            .status();
        assert!(status.expect("tar runs").success());
    };
    fs::write(pipeline.at("swr-operator"), "the binary").expect("written");
    pack("./swr-operator");
    let loads = format!(
        "#!/bin/sh\nfor last; do :; done\ntest \"$last\" = address\ncp {} swr-operator.tar.gz\n",
        pipeline.at("archive").display()
    );
    fs::write(pipeline.at("bin/curl"), loads).expect("written");
    fs::remove_file(pipeline.at("bin/swr-operator")).expect("unlinked");
    let sum = Command::new("sha256sum")
        .arg(pipeline.at("archive"))
        .output();
    let sum = String::from_utf8(sum.expect("sha256sum runs").stdout).expect("text");
    let sum = sum.split(' ').next().expect("a sum");
    let path = pipeline.at("path").display().to_string();
    let env = |sum| {
        [
            ("SWR_OPERATOR_ARCHIVE", "address"),
            ("SWR_OPERATOR_SHA256", sum),
            ("GITHUB_PATH", path.as_str()),
        ]
    };
    let other = "0".repeat(64);
    assert_ne!(pipeline.run(script, &env(&other)).code, Some(0));
    assert!(!pipeline.at("bin/swr-operator").exists());
    let ran = pipeline.run(script, &env(sum));
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert_eq!(pipeline.text("bin/swr-operator"), "the binary");
    assert_eq!(Path::new(pipeline.text("path").trim()), pipeline.at("bin"));
}

#[test]
fn the_job_for_gitlab_notes_the_plan_and_refuses_a_conflict() {
    let pipelines = example("deploy/ci/gitlab.yaml");
    let lines = pipelines["registries"]["script"].as_array().expect("lines");
    let lines: Vec<&str> = lines.iter().map(|it| it.as_str().expect("text")).collect();
    // GitLab runs all of them in one shell.
    let script = lines.join("\n");
    for has_conflict in [false, true] {
        let place = place(has_conflict);
        let pipeline = Pipeline::new(&place);
        let ran = pipeline.run(
            &script,
            &[
                ("CI_API_V4_URL", "https://git.example.com/api/v4"),
                ("CI_PROJECT_ID", "3"),
                ("CI_MERGE_REQUEST_IID", "7"),
                ("NOTES_TOKEN", "token"),
            ],
        );
        assert_eq!(ran.code == Some(0), !has_conflict, "{}", ran.shown());
        let sent = pipeline.text("sent");
        let wanted = "PRIVATE-TOKEN: token\n--data-urlencode\nbody@comment.md\nhttps://git.example.com/api/v4/projects/3/merge_requests/7/notes\n";
        assert!(sent.ends_with(wanted), "{sent}");
        assert_comment(&pipeline, has_conflict);
        assert_eq!(place.cloud.writes(0).len(), 0);
    }
}

#[test]
fn a_manifest_that_is_not_valid_ends_a_pipeline_before_the_plan() {
    for (path, pointer) in [
        ("deploy/ci/github.yaml", "/jobs/plan/steps"),
        ("deploy/ci/gitlab.yaml", "/registries/script"),
    ] {
        let example = example(path);
        let text = example.pointer(pointer).expect("steps").to_string();
        let validates = text.find("swr-operator validate -f registries/ --recursive");
        assert!(
            validates.is_some() && validates < text.find("swr-operator plan"),
            "{path}"
        );
    }
    let place = place(false);
    let mut typo = object("typo");
    typo["spec"]["urll"] = json!("x");
    place.write("registries/team/typo.yaml", &[typo]);
    let ran = Pipeline::new(&place).run("swr-operator validate -f registries/ --recursive", &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
}
