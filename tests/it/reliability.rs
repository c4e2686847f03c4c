//! What may befall the operator, scenario by scenario: what happens, what must hold, and the tests that show it.
//! `docs/reliability.md` says so, and `cargo dev faults` runs what it names. Must not know what the tests do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::architecture::{files, read};
use crate::coverage::place;
use crate::documents::compare;

mod cloud;
mod kubernetes;
mod process;
mod users;

struct Scenario {
    id: &'static str,
    /// What happens, and what must hold then.
    tells: &'static str,
    by: &'static [Evidence],
}

struct Evidence {
    test: &'static str,
    /// Which of its cases, where these are data.
    case: Option<&'static str>,
}

const fn shown(id: &'static str, tells: &'static str, by: &'static [Evidence]) -> Scenario {
    Scenario { id, tells, by }
}

const fn test(test: &'static str) -> Evidence {
    Evidence { test, case: None }
}

const fn case(test: &'static str, case: &'static str) -> Evidence {
    let case = Some(case);
    Evidence { test, case }
}

/// What comes from where: the letter of the ids, the title and the scenarios.
fn parts() -> [(char, &'static str, &'static [Scenario]); 4] {
    [
        ('K', "Kubernetes", &kubernetes::SCENARIOS),
        ('C', "The cloud", &cloud::SCENARIOS),
        ('P', "The process", &process::SCENARIOS),
        ('U', "People and their tools", &users::SCENARIOS),
    ]
}

fn all() -> impl Iterator<Item = &'static Scenario> {
    parts().into_iter().flat_map(|(_, _, scenarios)| scenarios)
}

const HEAD: &str = "\
# What may happen to the operator, and the test that shows that it holds

Written by `cargo test` from `tests/it/reliability/` (`UPDATE_EXPECT=1` writes it anew). `cargo dev faults` runs every
test that this page names, and tells by scenario what passed.

What is real: the operator as it ships, in a process of its own that is killed, stopped and starved; kube-apiserver and
etcd; sockets, TLS and proxies on loopback. What is not: SWR and IAM are our simulator, written from Huawei's documents.
Tests below `src` take a part of the operator and canned bytes, some under a clock that is made to jump. The model
(`tests/model`) runs the decisions as they ship in a world of its own; `cargo dev faults` explores its small bounds, and
`cargo dev model` all of them. Nothing here was measured against the real cloud.

What shows only in the long run, `cargo dev soak` looks for: 500 objects are created, edited and asked for again until the
operator has reconciled them 100,000 times, and deleted, while 2 % of the requests to SWR are answered with an error or a
web page, break off, or hang, before or after they are carried out. It fails when memory grows by 1 MiB or open files by 10
in 100,000 reconciles, by least squares after a warm-up of half as many, and when in the end an object is not Ready, or
SWR holds anything but what the objects ask for and what others have made.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut line = |text: String| writeln!(page, "{text}").expect("a String takes everything");
    line("| | Scenarios |\n|---|---|".to_owned());
    for (letter, title, scenarios) in parts() {
        line(format!("| {letter}: {title} | {} |", scenarios.len()));
    }
    line(format!("| all | {} |", all().count()));
    for (_, title, scenarios) in parts() {
        line(format!("\n## {title}\n"));
        line("| | What happens, and what must hold | Shown by |\n|---|---|---|".to_owned());
        for scenario in scenarios {
            let by = scenario.by.iter().map(Evidence::told);
            let by = by.collect::<Vec<_>>().join("; ");
            line(format!("| {} | {} | {by} |", scenario.id, scenario.tells));
        }
    }
    page
}

impl Evidence {
    fn told(&self) -> String {
        let Evidence { test, case } = self;
        let path = place(test).unwrap_or_default();
        match case {
            Some(case) => format!("`{test}` in {path}, case {case}"),
            None => format!("`{test}` in {path}"),
        }
    }

    /// What keeps it from being evidence.
    fn fault(&self) -> Option<String> {
        let Evidence { test, case } = self;
        let Some(path) = place(test) else {
            return Some(format!("there is no test {test}"));
        };
        if !is_test(&read(&path), test) {
            return Some(format!("{test} in {path} is no test"));
        }
        let case = (*case)?;
        let has_case = around(&path).any(|path| read(&path).contains(case));
        (!has_case).then(|| format!("{test} in {path} has no case {case}"))
    }
}

/// Whether an attribute says so of the function of this name.
fn is_test(text: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let Some((before, _)) = text.split_once(&head) else {
        return false;
    };
    // Attributes stand between the end of what comes before and the function.
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    attributes.contains("#[test]") || attributes.contains("#[tokio::test")
}

/// The file of a test and those of its modules, where its cases stand.
fn around(path: &str) -> impl Iterator<Item = String> {
    let of_folder = ["/main.rs", "/mod.rs"];
    let folder = of_folder.iter().find_map(|name| path.strip_suffix(name));
    let modules = folder.map_or_else(|| path.trim_end_matches(".rs").to_owned(), str::to_owned);
    let modules = match crate::architecture::root().join(&modules).is_dir() {
        true => files(&modules, "rs"),
        false => Vec::new(),
    };
    std::iter::once(path.to_owned()).chain(modules)
}

#[test]
fn the_page_of_scenarios_is_the_one_of_the_table() {
    compare("docs/reliability.md", &page());
}

#[test]
fn every_scenario_has_tests_that_exist() {
    let mut faults = Vec::new();
    for (letter, _, scenarios) in parts() {
        for (n, scenario) in (1..).zip(scenarios) {
            assert_eq!(scenario.id, format!("{letter}{n:02}"));
        }
    }
    let mut told = BTreeSet::new();
    for Scenario { id, tells, by } in all() {
        let is_told = tells.ends_with('.') && tells.contains(": ") && !tells.contains('|');
        assert!(is_told && told.insert(tells), "{id}: {tells}");
        assert!(!by.is_empty(), "{id}");
        let found = by.iter().filter_map(Evidence::fault);
        faults.extend(found.map(|fault| format!("{id}: {fault}")));
    }
    assert_eq!(faults, Vec::<String>::new());
}
