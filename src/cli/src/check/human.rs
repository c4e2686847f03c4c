//! What was checked, as a person reads it.

use super::report::{Check, Report, State};
use crate::output::{Tone, counted};

pub(super) fn lines(report: &Report) -> String {
    let mut text: Vec<String> = report.checks.iter().map(line).collect();
    let count = |state: State| report.checks.iter().filter(|it| it.state == state).count();
    let unknown = match count(State::Unknown) {
        0 => String::new(),
        n => format!(", {n} not known"),
    };
    let total = match count(State::Problem) {
        0 => format!(
            "{}, no problem{unknown}.",
            counted(report.checks.len(), "check")
        ),
        n => format!(
            "{}, {}{unknown}.",
            counted(report.checks.len(), "check"),
            counted(n, "problem")
        ),
    };
    text.push(format!("\n{}\n", Tone::Strong.paint(&total)));
    text.concat()
}

fn line(check: &Check) -> String {
    let (sign, tone) = match check.state {
        State::Ok => ("=", Tone::Create),
        State::Problem => ("!", Tone::Wrong),
        State::Unknown => ("?", Tone::Change),
    };
    let title = tone.paint(&format!("{sign} {}", check.id));
    let mut text = vec![format!("{title}  {}\n", check.found)];
    if let Some(why) = &check.why {
        text.push(format!("      {why}\n"));
    }
    if let Some(next) = &check.next {
        text.push(format!("      {} {next}\n", Tone::Strong.paint("hint:")));
    }
    text.concat()
}
