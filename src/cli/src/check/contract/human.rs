//! The table as Markdown, so that it can go into an issue as it is.

use super::super::report::{Contract, Row, Verdict};
use crate::output::Tone;

pub(super) fn table(contract: &Contract) -> String {
    let mut text = vec!["| | Id | Asked | Assumed | Found |\n|---|---|---|---|---|\n".to_owned()];
    text.extend(contract.rows.iter().map(line));
    let count = |verdict: Verdict| {
        contract
            .rows
            .iter()
            .filter(|it| it.verdict == verdict)
            .count()
    };
    let total = format!(
        "{} as assumed, {} different, {} not known.",
        count(Verdict::AsAssumed),
        count(Verdict::Differs),
        count(Verdict::NotKnown)
    );
    text.push(format!(
        "\n{}\n\nNot asked:\n\n",
        Tone::Strong.paint(&total)
    ));
    text.extend(contract.not_asked.iter().map(|it| format!("- {it}\n")));
    text.concat()
}

fn line(row: &Row) -> String {
    let (sign, tone) = match row.verdict {
        Verdict::AsAssumed => ("=", Tone::Create),
        Verdict::Differs => ("!", Tone::Change),
        Verdict::NotKnown => ("?", Tone::Faint),
    };
    let found = match (&row.found, row.why) {
        (Some(found), _) => found.clone(),
        (None, Some(why)) => format!("not known: {why}"),
        (None, None) => "not known".to_owned(),
    };
    let Row {
        id, asked, assumed, ..
    } = row;
    format!(
        "| {} | {id} | {asked} | {assumed} | {} |\n",
        tone.paint(sign),
        tone.paint(&found)
    )
}
