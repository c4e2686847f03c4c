//! Streams: results go to stdout, all else to stderr, each with colour only where it is seen.

use std::io::Write as _;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::progress::{Progress, progress};

/// What every verb for people takes.
#[derive(Debug, Args)]
pub(crate) struct Manners {
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value = "human")]
    pub(crate) output: Format,

    /// Where colour is used. `auto`: on a terminal, unless NO_COLOR is set or TERM is dumb.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,

    /// Say nothing on stderr but errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people. Its form may change.
    Human,
    /// One document, by the schema of its `format_version`.
    Json,
    /// The same as YAML.
    Yaml,
    /// Names of the objects in question, one a line.
    Name,
}

/// Where colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Where it is seen.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// For stdout.
    pub(crate) fn choice(self) -> ColorChoice {
        match self {
            Color::Auto => AutoStream::choice(&std::io::stdout()),
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        }
    }
}

/// What a line tells by its colour as well; each has its own sign, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Create,
    Change,
    Remove,
    Wrong,
    Faint,
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Tone::Create => color(AnsiColor::Green),
            Tone::Change => color(AnsiColor::Yellow),
            Tone::Remove | Tone::Wrong => color(AnsiColor::Red),
            Tone::Faint => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        }
    }

    /// The text in this tone. Whoever prints it takes the tone off where it is not seen.
    pub(crate) fn paint(self, text: &str) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

impl Manners {
    /// Prints a result: `human` makes the text for people, `names` the names.
    pub(crate) fn print<R: Serialize>(
        &self,
        result: &R,
        human: impl FnOnce(&R) -> String,
        names: impl FnOnce(&R) -> Vec<String>,
    ) -> Result<(), Failure> {
        let text = match self.output {
            Format::Human => human(result),
            Format::Json => json(result)?,
            Format::Yaml => serde_saphyr::to_string(result).map_err(Failure::new)?,
            Format::Name => names(result)
                .iter()
                .map(|name| format!("{name}\n"))
                .collect(),
        };
        self.write(&text)
    }

    /// Prints the schema of a result.
    pub(crate) fn print_schema(&self, schema: &schemars::Schema) -> Result<Exit, Failure> {
        self.write(&json(schema)?)?;
        Ok(Exit::Done)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        print_as(text, self.color.choice())
    }

    /// Tells of something that happened.
    pub(crate) fn say(&self, text: &str) {
        progress(self.quiet, text);
    }

    /// Begins to tell of something that takes a while.
    pub(crate) fn begin(&self, text: &str, n: usize) -> Progress {
        Progress::begin(self.quiet, text, n)
    }
}

/// Prints a text without colour.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_as(text, ColorChoice::Never)
}

/// Prints a text with its colour, where that is chosen.
pub(crate) fn print_as(text: &str, choice: ColorChoice) -> Result<(), Failure> {
    let mut out = AutoStream::new(std::io::stdout().lock(), choice);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // `| head` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(format!("failed to write to stdout: {error}"))),
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    Ok(text + "\n")
}

/// `1 object`, `2 objects`.
pub(crate) fn counted(n: usize, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n if one.ends_with('y') => format!("{n} {}ies", &one[..one.len() - 1]),
        n => format!("{n} {one}s"),
    }
}
