//! `docs/reliability.md` and what cargo printed -> which scenarios passed. Runs nothing, and knows no single test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A row of the page.
#[derive(Debug, PartialEq, Eq)]
struct Scenario {
    /// Its letter says where it comes from.
    id: String,
    /// What shows it.
    tests: Vec<String>,
}

/// The scenarios of the page.
pub struct Scenarios(Vec<Scenario>);

impl Scenarios {
    /// Reads the rows of the page, `| K01 | what happens | by which tests |`.
    pub fn of_page(page: &str) -> Self {
        let rows = page.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, id, _, by, _] = cells[..] else {
                return None;
            };
            let is_id = id.len() == 3 && id.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            let names = by.split('`').skip(1).step_by(2).map(str::to_owned);
            is_id.then(|| Scenario {
                id: id.to_owned(),
                tests: names.collect(),
            })
        });
        Self(rows.collect())
    }

    /// The names of all tests, each once.
    pub fn tests(&self) -> BTreeSet<&str> {
        let tests = self.0.iter().flat_map(|scenario| &scenario.tests);
        tests.map(String::as_str).collect()
    }

    /// What cargo printed of them.
    pub fn judge(&self, printed: &str) -> Judgement<'_> {
        let mut outcomes: BTreeMap<&str, bool> = BTreeMap::new();
        for line in printed.lines() {
            let Some((path, outcome)) = line
                .strip_prefix("test ")
                .and_then(|line| line.split_once(" ... "))
            else {
                continue;
            };
            let name = path.rsplit("::").next().unwrap_or(path);
            // Tests of one name in two places count as one.
            let passed = outcomes.entry(name).or_insert(true);
            *passed &= outcome == "ok";
        }
        let mut judgement = Judgement::default();
        for Scenario { id, tests } in &self.0 {
            let part = judgement.parts.entry(&id[..1]).or_default();
            part.total += 1;
            let failed = tests
                .iter()
                .filter(|test| outcomes.get(test.as_str()) != Some(&true));
            let failed: Vec<&str> = failed.map(String::as_str).collect();
            match failed.is_empty() && !tests.is_empty() {
                true => part.passed += 1,
                false => judgement.failed.push((id, failed)),
            }
        }
        judgement
    }
}

/// How the scenarios went.
#[derive(Default)]
pub struct Judgement<'a> {
    parts: BTreeMap<&'a str, Part>,
    /// Ids, and the tests of each that failed or did not run.
    failed: Vec<(&'a str, Vec<&'a str>)>,
}

#[derive(Default)]
struct Part {
    passed: usize,
    total: usize,
}

impl Judgement<'_> {
    /// Whether nothing failed.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    /// A line for each letter, and one for each scenario that failed.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("a String takes everything");
        let sum = |of: fn(&Part) -> usize| self.parts.values().map(of).sum::<usize>();
        for (letter, part) in &self.parts {
            let Part { passed, total } = part;
            line(format!("{letter:<4} {passed:>3} / {total}"));
        }
        let (passed, total) = (sum(|part| part.passed), sum(|part| part.total));
        line(format!("all  {passed:>3} / {total}"));
        for (id, tests) in &self.failed {
            line(format!("{id} FAILED: {}", tests.join(", ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::checkout;

    const PAGE: &str = "\
| | Scenarios | Covered |
|---|---|---|
| K: Kubernetes | 44 | 3 |
| K01 | It breaks: it goes on with `--flag`. | `one` in src/a.rs; `two` in tests/it/b.rs, case three |
| K02 | It ends: nothing. | `one` in src/a.rs |
| P01 | It dies: it lives. | `two` in tests/it/b.rs |
";

    const PRINTED: &str = "\
running 3 tests
test part::one ... ok
test it::two ... FAILED
test other ... ok
";

    #[test]
    fn the_page_names_tests_and_the_output_tells_how_they_went() {
        let scenarios = Scenarios::of_page(PAGE);
        assert_eq!(Vec::from_iter(scenarios.tests()), ["one", "two"]);
        let judgement = scenarios.judge(PRINTED);
        assert!(!judgement.is_good());
        assert_eq!(
            judgement.table(),
            "\
K      1 / 2
P      0 / 1
all    1 / 3
K01 FAILED: two
P01 FAILED: two
"
        );
        let good = PRINTED.replace("FAILED", "ok");
        let judgement = scenarios.judge(&good);
        assert!(judgement.is_good());
        assert!(judgement.table().contains("K      2 / 2"));
        // What did not run shows nothing.
        assert!(!scenarios.judge("test part::one ... ok\n").is_good());
    }

    #[test]
    fn every_scenario_of_the_page_of_this_checkout_is_read() {
        let page = std::fs::read_to_string(checkout().join("docs/reliability.md")).expect("a page");
        let Scenarios(rows) = Scenarios::of_page(&page);
        let count = |letter| rows.iter().filter(|row| row.id.starts_with(letter)).count();
        assert_eq!(["K", "C", "P", "U"].map(count), [44, 46, 18, 20]);
    }
}
