//! What holds for every verb: help, streams, colour, exit codes.

use expect_test::expect_file;

use super::{transcript, typed};

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
fn is_coloured(ran: &super::Ran) -> bool {
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

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut command = typed(["plan", "--help"]).command();
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let ran = super::Ran::of(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.stderr, "");
}
