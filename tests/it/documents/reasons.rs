//! The closed list of reasons -> its table, and whether people find what to do.

use std::fmt::Write as _;

use swr_operator_api::reason::{EventType, Progress, Reason};

use super::{cell, compare, with_part};
use crate::architecture::read;

fn word(progress: Progress) -> &'static str {
    match progress {
        Progress::Settled => "settled",
        Progress::Reconciling => "reconciling",
        Progress::Stalled => "stalled",
    }
}

fn reason_table() -> String {
    let mut table = String::from("\n| Reason | Progress | Event | Meaning |\n|---|---|---|---|\n");
    for reason in Reason::ALL {
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            reason.as_str(),
            word(reason.progress()),
            reason.event().map_or("", |it| match it {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            }),
            cell(reason.doc()),
        )
        .expect("a String takes everything");
    }
    table + "\n"
}

#[test]
fn the_table_of_reasons_is_the_one_of_the_code() {
    let text = with_part(&read("docs/reasons.md"), "reasons", &reason_table());
    compare("docs/reasons.md", &text);
}

#[test]
fn whoever_meets_a_reason_finds_what_to_do() {
    let text = read("docs/troubleshooting.md");
    let (_, text) = text.split_once("\n## Reasons\n").expect("the reasons");
    let untold: Vec<&str> = Reason::ALL
        .iter()
        .filter(|reason| **reason != Reason::Available)
        .map(|reason| reason.as_str())
        .filter(|word| {
            let is_heading = text.contains(&format!("\n### {word}\n"));
            !is_heading && !text.contains(&format!("`{word}`"))
        })
        .collect();
    assert!(
        untold.is_empty(),
        "docs/troubleshooting.md lacks {untold:?}"
    );
}
