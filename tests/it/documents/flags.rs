//! `--help` of every verb -> the page of flags, and whether a flag that a page names exists.

use std::fmt::Write as _;
use std::process::Command;

use harness::Operator;

use super::{cell, compare, with_part};
use crate::architecture::{files, read};

/// What the binary prints, whatever the environment of the test.
fn help(verb: &str) -> String {
    let mut command = Command::new(Operator::executable());
    let words = verb.split(' ').filter(|word| !word.is_empty());
    command.args(words).arg("--help").env_clear();
    let out = command.output().expect("it runs");
    assert!(out.status.success(), "{verb} --help: {out:?}");
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// Every verb that has flags of its own, with its help: `plan`, `import list`.
fn verbs(above: &str) -> Vec<(String, String)> {
    let text = help(above);
    let Some((_, commands)) = text.split_once("\nCommands:\n") else {
        return vec![(above.to_owned(), text)];
    };
    let commands = commands.split("\n\n").next().unwrap_or_default();
    let names = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help");
    names
        .flat_map(|name| verbs(format!("{above} {name}").trim_start()))
        .collect()
}

/// An argument or a flag, as clap prints it in long form.
#[derive(Default)]
struct Flag {
    /// `--poll-interval <DURATION>`
    name: String,
    variable: String,
    default: String,
    meaning: String,
}

fn flags(help: &str) -> Vec<Flag> {
    let mut found: Vec<Flag> = Vec::new();
    let mut inside = false;
    for line in help.lines() {
        let content = line.trim();
        let depth = line.len() - line.trim_start().len();
        match (depth, content, found.last_mut()) {
            (_, "", _) => {}
            (0, heading, _) => inside = matches!(heading, "Options:" | "Arguments:"),
            // Short texts stand beside the name, long ones below it.
            (2..=6, entry, _) if inside => {
                let (name, meaning) = entry.split_once("  ").unwrap_or((entry, ""));
                found.push(Flag {
                    name: name.to_owned(),
                    meaning: meaning.trim().to_owned(),
                    ..Flag::default()
                });
            }
            (_, "Possible values:", Some(flag)) if inside => flag.meaning.push_str(". One of"),
            (_, text, Some(flag)) if inside => {
                let value = text.strip_prefix("- ").and_then(|it| it.split_once(':'));
                let text = value.map_or(text.to_owned(), |(value, meaning)| {
                    format!("`{value}` ({})", meaning.trim())
                });
                let joint = if flag.meaning.ends_with(')') {
                    ", "
                } else {
                    " "
                };
                write!(flag.meaning, "{joint}{text}").expect("a String takes everything");
            }
            (_, _, _) => {}
        }
    }
    for flag in &mut found {
        let variable = taken(&mut flag.meaning, "[env: ");
        variable
            .trim_end_matches('=')
            .clone_into(&mut flag.variable);
        flag.default = taken(&mut flag.meaning, "[default: ");
        let values = taken(&mut flag.meaning, "[possible values: ");
        if !values.is_empty() {
            write!(flag.meaning, ". One of {values}").expect("a String takes everything");
        }
    }
    found.retain(|flag| flag.name != "-h, --help");
    found
}

/// Takes what stands behind a mark in brackets out of a text.
fn taken(text: &mut String, mark: &str) -> String {
    let Some(start) = text.find(mark) else {
        return String::new();
    };
    let end = start + text[start..].find("] ").unwrap_or(text.len() - start - 1);
    let value = text[start + mark.len()..end].to_owned();
    text.replace_range(start..=end, "");
    *text = text.trim_matches([' ', ',']).to_owned();
    value
}

/// What Markdown would take for emphasis or a tag, and is neither.
fn plain(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| match n % 2 {
        0 => part.replace('*', "\\*").replace('<', "\\<"),
        _ => part.to_owned(),
    });
    cell(&parts.collect::<Vec<_>>().join("`"))
}

fn flag_tables() -> String {
    let all = verbs("");
    assert!(all.len() > 15, "{} verbs", all.len());
    let mut text = String::from("\n");
    for (verb, help) in all {
        let about = help.split("\n\n").next().unwrap_or_default();
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(text, "## {verb}\n\n{}.\n", plain(&about)).expect("a String takes everything");
        let flags = flags(&help);
        if flags.is_empty() {
            continue;
        }
        text += "| Flag, and its variable | Meaning |\n|---|---|\n";
        for flag in flags {
            let variable = match &*flag.variable {
                "" => String::new(),
                variable => format!("<br>`{variable}`"),
            };
            let default = match &*flag.default {
                "" => String::new(),
                default => format!(". Default: `{}`", cell(default)),
            };
            writeln!(
                text,
                "| `{}`{variable} | {}{default} |",
                cell(&flag.name),
                plain(&flag.meaning),
            )
            .expect("a String takes everything");
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_page_of_flags_has_what_the_binary_takes() {
    let text = with_part(&read("docs/flags.md"), "flags", &flag_tables());
    compare("docs/flags.md", &text);
}

#[test]
fn every_flag_in_the_documents_exists() {
    // Of Helm and of kube-state-metrics, which the same pages speak of.
    let others = "--wait --take-ownership --custom-resource-state-config-file ";
    let helps: Vec<String> = verbs("").into_iter().map(|(_, help)| help).collect();
    let known = helps.concat() + others;
    // The flags that these name are those of `cargo dev`.
    let of_the_project = [
        "docs/performance.md",
        "docs/release.md",
        "docs/reliability.md",
    ];
    let guides = files("docs", "md").into_iter();
    let guides = guides.filter(|path| !of_the_project.contains(&path.as_str()));
    for path in guides.chain(["README.md", "ARCHITECTURE.md"].map(str::to_owned)) {
        let text = read(&path);
        // Only in backticks; a shell block may name flags of kubectl and cargo.
        for quoted in text.split('`').skip(1).step_by(2) {
            let Some(flag) = quoted.strip_prefix("--") else {
                continue;
            };
            let flag = flag.split([' ', '=']).next().unwrap_or_default();
            assert!(
                known.contains(&format!("--{flag} ")) || known.contains(&format!("--{flag}\n")),
                "{path}: the operator has no flag --{flag}"
            );
        }
    }
}
