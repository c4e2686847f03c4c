//! What holds for every verb: help, streams, colour, exit codes.

use std::path::Path;
use std::process::{Command, Stdio};

use expect_test::expect_file;
use serde_json::json;

use super::place::{Place, object};
use super::{Ran, transcript, typed};

#[test]
fn every_verb_has_its_help() {
    for (golden, args) in [
        ("cli-help.txt", &["--help"][..]),
        ("cli-help-import.txt", &["import", "--help"]),
        ("cli-help-import-list.txt", &["import", "list", "--help"]),
        (
            "cli-help-import-terraform.txt",
            &["import", "terraform", "--help"],
        ),
        ("cli-help-check.txt", &["check", "--help"]),
        ("cli-help-apply.txt", &["apply", "--help"]),
        ("cli-help-status.txt", &["status", "--help"]),
        ("cli-help-suspend.txt", &["suspend", "--help"]),
        ("cli-help-orphans.txt", &["orphans", "--help"]),
        ("cli-help-plan.txt", &["plan", "--help"]),
        ("cli-help-validate.txt", &["validate", "--help"]),
    ] {
        let ran = typed(args).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let path = format!("{}/goldens/{golden}", env!("CARGO_MANIFEST_DIR"));
        expect_file![path].assert_eq(&ran.stdout);
    }
}

#[test]
fn a_wrong_command_line_ends_with_64_and_says_what_is_right() {
    let runs = [
        "plan --no-such-flag",
        "plan --no-cluster",
        "plan -f x --timeout soon",
        "validate",
        "apply",
        "check --write-probe x",
        "check --contract --write-probe no/name",
        "status -A one",
        "import registry no-slash",
        "import",
        "plan --no-cluster --kubeconfig x",
    ];
    let ran = runs.map(|line| (line, typed(line.split(' ')).run()));
    for (line, ran) in &ran {
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(64), ""), "{line}");
    }
    expect_file!["../goldens/cli-usage.txt"].assert_eq(&transcript(ran));
}

const BAD: &str = "apiVersion: swr.huaweicloud.com/v1alpha1\nkind: Registry\n";

/// An escape byte, in either stream.
fn is_coloured(ran: &Ran) -> bool {
    ran.stdout.contains('\u{1b}') || ran.stderr.contains('\u{1b}')
}

#[test]
fn a_pipe_gets_colour_only_when_it_is_asked_for() {
    let validate = |more: &[&str]| typed([&["validate", "-f", "-"], more].concat());
    for (env, more, coloured) in [
        (None, &[][..], false),
        (Some(("TERM", "dumb")), &[], false),
        (Some(("TERM", "xterm-256color")), &[], false),
        (Some(("NO_COLOR", "1")), &[], false),
        (
            Some(("TERM", "xterm-256color")),
            &["--color", "never"],
            false,
        ),
        (None, &["--color", "always"], true),
        (Some(("NO_COLOR", "1")), &["--color", "always"], true),
        // A program reads these.
        (None, &["--color", "always", "-o", "json"], false),
    ] {
        let mut command = validate(more);
        if let Some((name, value)) = env {
            command = command.env(name, value);
        }
        let ran = command.fed(BAD);
        assert_eq!(
            is_coloured(&ran),
            coloured,
            "{env:?} {more:?}: {}",
            ran.shown()
        );
    }
}

/// What keeps escapes away even from a terminal; the last does not.
const ENVIRONMENTS: [&[(&str, &str)]; 3] = [
    &[("TERM", "xterm-256color"), ("NO_COLOR", "1")],
    &[("TERM", "dumb")],
    &[("TERM", "xterm-256color")],
];

#[test]
fn no_verb_prints_an_escape_into_a_pipe_or_where_nobody_wants_one() {
    let help = typed(["--help"]).run().stdout;
    let verbs = help.split_once("Commands:\n").expect("verbs").1;
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        verbs.contains(&"plan") && verbs.contains(&"version"),
        "{verbs:?}"
    );
    for verb in verbs {
        for flag in ["--help", "--no-such-flag"] {
            for (environment, is_wanted) in ENVIRONMENTS.into_iter().zip([false, false, true]) {
                let mut command = typed([verb, flag]);
                for (name, value) in environment {
                    command = command.env(name, value);
                }
                let seen = on_terminal(&command.command(), None);
                assert_eq!(
                    seen.contains('\u{1b}'),
                    is_wanted,
                    "{verb} {flag} {environment:?}: {seen}"
                );
                let mut command = typed([verb, flag]);
                for (name, value) in environment {
                    command = command.env(name, value);
                }
                let ran = command.run();
                assert!(
                    !is_coloured(&ran),
                    "{verb} {flag} {environment:?}: {}",
                    ran.shown()
                );
            }
        }
    }
}

/// What a terminal gets of both streams, or of stderr alone where stdout goes to a file.
fn on_terminal(command: &Command, stdout: Option<&Path>) -> String {
    let quoted = |text: &std::ffi::OsStr| {
        let text = text.to_str().expect("UTF-8");
        format!("'{}'", text.replace('\'', "'\\''"))
    };
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut line: Vec<String> = words.map(quoted).collect();
    if let Some(path) = stdout {
        line.push(format!("> {}", quoted(path.as_os_str())));
    }
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--command", &line.join(" "), "/dev/null"])
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        script.current_dir(folder);
    }
    let output = script.output().expect("script of util-linux runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_terminal_shows_counts_while_somebody_waits_and_they_never_reach_stdout() {
    let place = Place::new();
    let mut elsewhere = object("elsewhere");
    elsewhere["spec"]["instanceId"] = json!("another");
    place.write("two.yaml", &[object("here"), elsewhere]);
    place.cloud.fault(&json!({
        "match": {"operation": "ListInstanceRegistries"}, "phase": "before",
        "kind": "delay", "delayMs": 400,
    }));
    let stdout = place.at().join("plan.txt");
    let plan = |more: &[&str], environment: &[(&str, &str)]| {
        let mut typed = place.typed(&[&["-f", "two.yaml"], more].concat());
        for (name, value) in environment {
            typed = typed.env(name, value);
        }
        let seen = on_terminal(&typed.command(), Some(&stdout));
        let printed = std::fs::read_to_string(&stdout).expect("a plan");
        assert!(printed.contains("\nPlan: 2 to create, "), "{printed}");
        assert!(
            !printed.contains("listing") && !printed.contains('\u{1b}'),
            "{printed}"
        );
        seen
    };
    let [no_color, dumb, wanted] = ENVIRONMENTS;
    let plain = "listing the registries of 2 instances\r\n";
    assert_eq!(plan(&[], no_color), plain);
    assert_eq!(plan(&[], dumb), plain);
    assert_eq!(plan(&["--quiet"], wanted), "");
    let seen = plan(&[], wanted);
    assert!(
        seen.contains("listing the registries of 2 instances: 0 of 2"),
        "{seen:?}"
    );
    // The line goes when the plan is there.
    assert!(seen.ends_with("\u{1b}[2K"), "{seen:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut command = typed(["plan", "--help"]).command();
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.stderr, "");
}
