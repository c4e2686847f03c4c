//! An expression of PromQL -> the series that it reads and the labels that it speaks of. Whether it is PromQL at all,
//! promtool says; this only finds names in it.

use std::collections::{BTreeMap, BTreeSet};

/// What an expression uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Names of series, each with the labels of its selectors.
    pub(super) series: BTreeMap<String, BTreeSet<String>>,
    /// Labels after `by`, `on`, `group_left` and the like.
    pub(super) grouped: BTreeSet<String>,
}

/// Words that a list of labels follows.
const GROUPINGS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Words that may stand where a series may.
const OPERATORS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

pub(super) fn uses(expression: &str) -> Uses {
    let mut uses = Uses::default();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() || first == '.' {
            // `5m` and `1e3` are no names.
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if is_word(first) {
            let (word, behind) = word(rest);
            rest = behind.trim_start();
            if GROUPINGS.contains(&word) {
                if let Some(list) = rest.strip_prefix('(') {
                    let (list, behind) = list.split_once(')').expect("the list ends");
                    let labels = list.split(',').map(str::trim).filter(|l| !l.is_empty());
                    uses.grouped.extend(labels.map(str::to_owned));
                    rest = behind;
                }
                continue;
            }
            let is_called = rest.starts_with('(') || GROUPINGS.contains(&self::word(rest).0);
            if OPERATORS.contains(&word) || is_called {
                continue;
            }
            let labels = uses.series.entry(word.to_owned()).or_default();
            if let Some(matchers) = rest.strip_prefix('{') {
                rest = matched(matchers, labels);
            }
        } else if matches!(first, '"' | '\'' | '`') {
            rest = after_string(rest);
        } else if first == '[' {
            rest = rest.split_once(']').expect("the range ends").1;
        } else {
            rest = &rest[first.len_utf8()..];
        }
        rest = rest.trim_start();
    }
    uses
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The word at the start, which may be empty, and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// Takes the labels of a selector, and gives what follows the selector.
fn matched<'a>(mut rest: &'a str, labels: &mut BTreeSet<String>) -> &'a str {
    loop {
        rest = rest.trim_start_matches([' ', '\n', ',', '=', '!', '~']);
        match rest.chars().next().expect("the selector ends") {
            '}' => return &rest[1..],
            '"' | '\'' | '`' => rest = after_string(rest),
            _ => {
                let (label, behind) = word(rest);
                assert!(!label.is_empty(), "no label: {rest}");
                labels.insert(label.to_owned());
                rest = behind;
            }
        }
    }
}

/// What follows the string that `text` begins with.
fn after_string(text: &str) -> &str {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next().expect("a quote");
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            chars.next();
        } else if c == quote {
            return &text[at + 1..];
        }
    }
    panic!("the string does not end: {text}")
}

/// A series and the labels of its selector.
type Series = (&'static str, &'static [&'static str]);

#[test]
fn series_and_labels_are_found_wherever_they_stand() {
    let sets = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let cases: [(&str, &[Series], &[&str]); 5] = [
        ("time() - up > 1.5e3", &[("up", &[])], &[]),
        (
            r#"sum by (a, b) (rate(x_total{job="by (y) {", c!~'2..|\'4'}[5m])) / on () group_left () z"#,
            &[("x_total", &["c", "job"]), ("z", &[])],
            &["a", "b"],
        ),
        (
            "histogram_quantile(0.95, sum(rate(d_bucket[1h])) without (le)) offset 5m",
            &[("d_bucket", &[])],
            &["le"],
        ),
        (
            "max(a{x=\"1\"}) unless on (n) (a{y=\"\"} == bool 1) or inf",
            &[("a", &["x", "y"])],
            &["n"],
        ),
        (
            "count(a:b{} and ignoring (c) d)",
            &[("a:b", &[]), ("d", &[])],
            &["c"],
        ),
    ];
    for (expression, series, grouped) in cases {
        let expected = Uses {
            series: series
                .iter()
                .map(|(name, labels)| ((*name).to_owned(), sets(labels)))
                .collect(),
            grouped: sets(grouped),
        };
        assert_eq!(uses(expression), expected, "{expression}");
    }
}
