//! What pages name: files, code, tests -> whether it is there.

use crate::architecture::{files, read, root};

/// Where the links lead, `cargo dev site` finds out.
#[test]
fn every_page_has_its_place_in_the_summary() {
    let summary = read("docs/SUMMARY.md");
    let links = summary.split("](").skip(1);
    let mut named: Vec<&str> = links.filter_map(|it| it.split(')').next()).collect();
    named.sort_unstable();
    let of_the_project = [
        "ARCHITECTURE",
        "CHANGELOG",
        "CONTRIBUTING",
        "README",
        "SECURITY",
    ];
    let of_the_project = of_the_project.map(|page| format!("../{page}.md"));
    let guides = files("docs", "md").into_iter();
    let guides = guides.map(|path| path["docs/".len()..].to_owned());
    let beside = ["charts", "deploy"]
        .map(|folder| files(folder, "md"))
        .concat();
    let mut wanted: Vec<String> = guides
        .filter(|page| page != "SUMMARY.md")
        .chain(of_the_project)
        .chain(beside.iter().map(|path| format!("../{path}")))
        .collect();
    wanted.sort_unstable();
    assert_eq!(named, wanted);
}

/// Where a module may stand that documents name: below its crate, or in `core` without its folder, as in the code.
fn homes(module: &[&str]) -> Vec<String> {
    let (first, below) = module.split_first().expect("a module");
    let folders = ["", "model/", "decide/", "protocol/", "report/"];
    let mut stems = folders
        .map(|folder| format!("src/core/src/{folder}{}", module.join("/")))
        .to_vec();
    stems.push(match below {
        [] => format!("src/{first}/src/lib"),
        below => format!("src/{first}/src/{}", below.join("/")),
    });
    let files = stems
        .iter()
        .flat_map(|stem| [format!("{stem}.rs"), format!("{stem}/mod.rs")]);
    files.filter(|file| root().join(file).is_file()).collect()
}

/// Whether a path in the code, as `step::keep::intend`, leads to something of that name.
fn exists(path: &str) -> bool {
    let segments: Vec<&str> = path.split("::").collect();
    (1..segments.len()).rev().any(|n| {
        let mut texts = homes(&segments[..n]).into_iter().map(|file| read(&file));
        texts.any(|text| segments[n..].iter().all(|name| text.contains(name)))
    })
}

#[test]
fn what_the_rules_name_in_the_code_is_there() {
    assert!(exists("step::keep::intend") && !exists("step::keep::no_such_function"));
    for path in ["ARCHITECTURE.md", "docs/protocol.md"] {
        let text = read(path);
        let mut n_paths = 0;
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = quoted.contains("::")
                && quoted
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '_' || c == ':');
            let first = quoted.split("::").next().unwrap_or_default();
            if is_path && !homes(&[first]).is_empty() {
                n_paths += 1;
                assert!(exists(quoted), "{path} names {quoted}, which is not there");
            }
        }
        assert!(n_paths > 5, "{path} names no code");
    }
}

/// Whether there is a test that is named as in SECURITY.md: `it/conflict::a_sentence`.
fn is_test(named: &str) -> bool {
    let parts = named
        .rsplit_once("::")
        .and_then(|(module, name)| Some((module.split_once('/')?, name)));
    let Some(((part, file), name)) = parts else {
        return false;
    };
    let path = match part {
        "it" => format!("tests/it/{file}.rs"),
        "harness" => format!("tests/harness/src/{file}.rs"),
        package => format!("src/{package}/src/{file}.rs"),
    };
    if !root().join(&path).is_file() {
        return false;
    }
    let text = read(&path);
    let head = format!("fn {name}(");
    let mut pairs = text.lines().zip(text.lines().skip(1));
    pairs.any(|(above, line)| {
        let above = above.trim_start();
        line.contains(&head) && (above == "#[test]" || above.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_threat_has_its_row_and_every_test_that_it_names_exists() {
    let known = "it/conflict::a_foreign_registry_of_the_same_name_is_never_written";
    assert!(is_test(known) && !is_test("it/conflict::object") && !is_test("it/none::none"));
    let text = read("SECURITY.md");
    let (_, threats) = text.split_once("\n## Threats\n").expect("the threats");
    let threats = threats.split("\n## ").next().unwrap_or_default();
    let rows: Vec<Vec<&str>> = threats
        .lines()
        .filter_map(|line| line.strip_prefix("| TH")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect())
        .collect();
    let ids: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let wanted: Vec<String> = (1..=18).map(|n| format!("{n:02}")).collect();
    assert_eq!(ids, wanted, "the numbers of the threats");
    for row in &rows {
        assert_eq!(row.len(), 5, "cells of {row:?}");
        let quoted = row
            .iter()
            .flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let tests: Vec<&str> = quoted.filter(|quoted| quoted.contains("::")).collect();
        assert!(
            !tests.is_empty() || row[3].starts_with("not tested: "),
            "TH{} names no test and does not say so",
            row[0]
        );
        for test in tests {
            assert!(is_test(test), "TH{}: there is no test {test}", row[0]);
        }
    }
}
