//! The plan as a person reads it, in Terraform's manner. Every sign says without colour what its colour says.

use super::report::{Action, Planned, Report, Totals};
use crate::output::{Tone, counted};

/// The text.
pub(super) fn shown(report: &Report, shows_unchanged: bool) -> String {
    let mut text = Vec::new();
    let told = report
        .objects
        .iter()
        .filter(|planned| planned.action != Action::Unchanged || shows_unchanged);
    for planned in told {
        text.push(object(planned, shows_unchanged));
        text.push("\n".to_owned());
    }
    let is_hidden = |planned: &&Planned| planned.action == Action::Unchanged && !shows_unchanged;
    let hidden = report.objects.iter().filter(is_hidden);
    let n_partly = hidden.filter(|planned| !planned.notes.is_empty()).count();
    let partly = format!(
        "not every field of {} could be compared (--show-unchanged)",
        counted(n_partly, "unchanged object")
    );
    let partly = (n_partly > 0).then_some(&partly);
    for note in report.notes.iter().chain(partly) {
        text.push(format!("{} {note}\n", Tone::Faint.paint("note:")));
    }
    if !report.notes.is_empty() || n_partly > 0 {
        text.push("\n".to_owned());
    }
    text.push(Tone::Strong.paint(&totals(report)) + "\n");
    text.concat()
}

fn sign(action: Action) -> (&'static str, Tone) {
    match action {
        Action::Create => ("+", Tone::Create),
        Action::Update => ("~", Tone::Change),
        Action::Adopt => (">", Tone::Change),
        Action::Release => ("<", Tone::Change),
        Action::Delete => ("-", Tone::Remove),
        Action::Unchanged | Action::Held => ("=", Tone::Faint),
        Action::Conflict | Action::Blocked | Action::Unknown => ("!", Tone::Wrong),
    }
}

fn object(planned: &Planned, shows_unchanged: bool) -> String {
    let (sign, tone) = sign(planned.action);
    let name = format!("{}/{}", planned.namespace, planned.name);
    let title = format!("{sign} {name}");
    let mut text = vec![format!("{}  {}\n", tone.paint(&title), headline(planned))];
    let width = planned.changes.iter().map(|it| it.field.len());
    let kept = planned.unchanged.iter().map(|it| it.field.len());
    let width = width
        .chain(kept.filter(|_| shows_unchanged))
        .max()
        .unwrap_or(0);
    for change in &planned.changes {
        let value = match &change.observed {
            _ if change.field == "credential" => credential(planned).to_owned(),
            None => quoted(&change.desired),
            Some(observed) => format!("{} -> {}", quoted(observed), quoted(&change.desired)),
        };
        let sign = match &change.observed {
            None => "+",
            Some(_) => "~",
        };
        text.push(format!(
            "    {} {:width$} = {value}\n",
            tone.paint(sign),
            change.field
        ));
    }
    match planned.unchanged.len() {
        0 => {}
        _ if shows_unchanged => {
            for kept in &planned.unchanged {
                text.push(format!(
                    "      {:width$} = {}\n",
                    kept.field,
                    quoted(&kept.value)
                ));
            }
        }
        n if !planned.changes.is_empty() => {
            let hidden = format!(
                "# {} not shown (--show-unchanged)",
                counted(n, "unchanged field")
            );
            text.push(format!("      {}\n", Tone::Faint.paint(&hidden)));
        }
        _ => {}
    }
    for note in &planned.notes {
        text.push(format!("      {} {note}\n", Tone::Faint.paint("note:")));
    }
    if let Some(hint) = &planned.hint {
        text.push(format!("      {} {hint}\n", Tone::Strong.paint("hint:")));
    }
    text.concat()
}

fn headline(planned: &Planned) -> String {
    let id = planned
        .registry_id
        .map_or_else(String::new, |id| format!(" (id {id})"));
    let why = match planned.reason.as_deref() {
        Some("SpecChanged") => ": the spec asks for something else",
        Some("Drift") => ": it was changed in SWR",
        Some("CredentialRotated") => ": the Secret holds another credential",
        Some("CredentialDue") => ": spec.resendCredentialEvery asks for it",
        Some("Requested") => ": an annotation asks for it",
        Some("TagRemoved") => ": its ownership tag was taken off",
        _ => "",
    };
    let wait = planned.wait_seconds.map_or_else(String::new, |secs| {
        format!(", after {secs} s in which nothing else writes it")
    });
    let message = || planned.message.clone().unwrap_or_default();
    match planned.action {
        Action::Create => format!("will be created{wait}"),
        Action::Update => format!("will be updated in place{id}{why}"),
        Action::Adopt => format!("will be adopted{id}{why}{wait}"),
        Action::Release => {
            format!("will be released{id}: the registry stays without the ownership tag")
        }
        Action::Delete => format!("will be deleted{id}"),
        Action::Unchanged => format!("is as the spec asks{id}"),
        Action::Held => match planned.reason.as_deref() {
            Some(reason) => format!("{reason}{id}: {}", message()),
            None => message(),
        },
        Action::Conflict | Action::Blocked | Action::Unknown => {
            let reason = planned.reason.as_deref().unwrap_or("Unknown");
            format!("{reason}{id}: {}", message())
        }
    }
}

fn credential(planned: &Planned) -> &'static str {
    match planned.action {
        Action::Create | Action::Adopt => "(sensitive)",
        Action::Update
        | Action::Release
        | Action::Delete
        | Action::Unchanged
        | Action::Held
        | Action::Conflict
        | Action::Blocked
        | Action::Unknown => "(sensitive) -> (sensitive)",
    }
}

/// What stands in parentheses is no value.
fn quoted(value: &str) -> String {
    let is_word = value.starts_with('(') && value.ends_with(')');
    let is_bool = matches!(value, "true" | "false");
    match is_word || is_bool {
        true => value.to_owned(),
        false => format!("{value:?}"),
    }
}

fn totals(report: &Report) -> String {
    let Totals {
        create,
        update,
        adopt,
        release,
        delete,
        unchanged,
        held,
        conflict,
        blocked,
        unknown,
    } = report.summary;
    let others = [
        (release, "to release"),
        (held, "held"),
        (conflict, "in conflict"),
        (blocked, "blocked"),
        (unknown, "not known"),
    ];
    let others: Vec<String> = others
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!(", {n} {what}"))
        .collect();
    let others = others.concat();
    if create + update + adopt + release + delete == 0 && others.is_empty() {
        return format!(
            "No changes. SWR is as the specs ask ({}).",
            counted(unchanged, "object")
        );
    }
    format!(
        "Plan: {create} to create, {update} to update, {adopt} to adopt, {delete} to delete{others}. {unchanged} unchanged."
    )
}
