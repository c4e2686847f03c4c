//! Objects as a person reads them: one screen each, or one line each. What others wrote is shown without control
//! characters.

use jiff::Timestamp;
use swr_operator_clock as clock;

use super::report::{Registry, Report, Shown, Swr, Tag, Told};
use crate::output::{Tone, counted};
use crate::standing::Standing;

/// More are in `--output json`.
const EVENTS_MAX: usize = 5;

fn sign(standing: Standing) -> (&'static str, Tone) {
    match standing {
        Standing::Ready => ("=", Tone::Create),
        Standing::Waiting => ("~", Tone::Change),
        Standing::Deleting => ("-", Tone::Remove),
        Standing::Stalled => ("!", Tone::Wrong),
    }
}

/// In one line, and nothing that a terminal obeys.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c.is_control() {
            true => ' ',
            false => c,
        })
        .collect()
}

/// How long ago, as kubectl writes it.
fn age(at: &str, now: Timestamp) -> String {
    let Ok(at) = at.parse::<Timestamp>() else {
        return "some time".to_owned();
    };
    let secs = now.as_second().saturating_sub(at.as_second()).max(0);
    match secs {
        0..=119 => format!("{secs}s"),
        120..=7_199 => format!("{}m", secs / 60),
        7_200..=172_799 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// One line for each object.
pub(super) fn list(report: &Report) -> String {
    let objects = &report.objects;
    if objects.is_empty() {
        return "There is no ReplicationRegistry.\n".to_owned();
    }
    let names: Vec<String> = objects.iter().map(Shown::full_name).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = Vec::new();
    for (object, name) in objects.iter().zip(&names) {
        let (sign, tone) = sign(object.standing);
        let title = tone.paint(&format!("{sign} {name:width$}"));
        text.push(format!(
            "{title}  {}: {}\n",
            plain(&object.reason),
            plain(&object.message)
        ));
    }
    let count = |standing: Standing| objects.iter().filter(|it| it.standing == standing).count();
    let others = [
        (count(Standing::Waiting), "not ready"),
        (count(Standing::Stalled), "stalled"),
        (count(Standing::Deleting), "being deleted"),
    ];
    let others: Vec<String> = others
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!(", {n} {what}"))
        .collect();
    let total = format!(
        "{}: {} ready{}.",
        counted(objects.len(), "object"),
        count(Standing::Ready),
        others.concat()
    );
    text.push(format!("\n{}\n", Tone::Strong.paint(&total)));
    text.concat()
}

/// One screen for each object.
pub(super) fn screens(report: &Report) -> String {
    let now = clock::now();
    let screens = report.objects.iter().map(|object| screen(object, now));
    screens.collect::<Vec<_>>().join("\n")
}

fn screen(object: &Shown, now: Timestamp) -> String {
    let (sign, tone) = sign(object.standing);
    let title = tone.paint(&format!("{sign} {}", object.full_name()));
    let registry = match object.registry_id {
        Some(id) => format!("registry {id}"),
        None => "no registry".to_owned(),
    };
    let mut text = vec![
        format!(
            "{title}  {}: {}\n",
            plain(&object.reason),
            plain(&object.message)
        ),
        format!(
            "    account {}, instance {}, {registry}\n",
            plain(&object.account),
            plain(&object.instance_id)
        ),
    ];
    let head = |text: &mut Vec<String>, words: &str| {
        text.push(format!("  {}\n", Tone::Strong.paint(words)));
    };
    head(&mut text, "Conditions");
    for condition in &object.conditions {
        let reason = plain(&condition.reason);
        let for_ = age(&condition.since, now);
        text.push(format!(
            "    {:11} {:7} {reason}, for {for_}\n",
            condition.type_, condition.status
        ));
        if condition.message != object.message {
            text.push(format!("      {}\n", plain(&condition.message)));
        }
    }
    if !object.differences.is_empty() {
        head(&mut text, "Differs, and is not written");
        for it in &object.differences {
            text.push(format!(
                "    {} {} = {:?} -> {:?}\n",
                Tone::Change.paint("~"),
                it.field,
                it.observed,
                it.desired
            ));
        }
    }
    if let Some(swr) = &object.swr {
        head(&mut text, "In SWR now");
        text.extend(in_swr(swr));
    }
    match &object.events {
        None => {}
        Some(events) if events.is_empty() => {
            head(&mut text, "Events");
            text.push("    none within the last hour\n".to_owned());
        }
        Some(events) => {
            head(&mut text, "Events");
            let first = events.len().saturating_sub(EVENTS_MAX);
            text.extend(events[first..].iter().map(|event| told(event, now)));
        }
    }
    if let Some(advice) = &object.advice {
        text.push(format!("  {} {advice}\n", Tone::Strong.paint("meaning:")));
    }
    if let Some(next) = &object.next {
        text.push(format!(
            "  {} {}\n",
            Tone::Strong.paint("hint:"),
            plain(next)
        ));
    }
    text.concat()
}

fn told(event: &Told, now: Timestamp) -> String {
    let ago = event
        .at
        .as_deref()
        .map_or_else(String::new, |at| age(at, now));
    let times = match event.count {
        ..=1 => String::new(),
        n => format!(" (x{n})"),
    };
    let kind = match event.type_.as_str() {
        "Warning" => Tone::Change.paint("Warning"),
        other => plain(other),
    };
    format!(
        "    {ago} ago  {kind}  {}{times}: {}\n",
        plain(&event.reason),
        plain(&event.note)
    )
}

fn in_swr(swr: &Swr) -> Vec<String> {
    match swr {
        Swr::Registry(registry) => registry_lines(registry),
        Swr::Missing => vec!["    no registry\n".to_owned()],
        Swr::Unknown { why, hint } => {
            let mut lines = vec![format!("    not known: {}\n", plain(why))];
            if let Some(hint) = hint {
                lines.push(format!("    {} {hint}\n", Tone::Strong.paint("hint:")));
            }
            lines
        }
    }
}

fn registry_lines(registry: &Registry) -> Vec<String> {
    let not_shown = || "(not shown)".to_owned();
    let quoted = |text: &str| format!("{text:?}");
    let tag = match registry.tag {
        Tag::Own => "of this object",
        Tag::Other => "of another object",
        Tag::None => "none",
    };
    let fields = [
        ("id", registry.id.to_string()),
        ("name", quoted(&registry.name)),
        ("type", quoted(&registry.type_)),
        ("url", quoted(&registry.url)),
        (
            "insecure",
            registry
                .insecure
                .map_or_else(not_shown, |it| it.to_string()),
        ),
        ("description", quoted(&registry.description)),
        (
            "health",
            registry.health.map_or_else(not_shown, str::to_owned),
        ),
        (
            "changed",
            registry.updated_at.as_deref().map_or_else(not_shown, plain),
        ),
        ("tag", tag.to_owned()),
    ];
    let lines = fields.into_iter();
    lines
        .map(|(field, value)| format!("    {field:11} = {value}\n"))
        .collect()
}
