//! What a person sees on stderr while something long is going on: one line that updates on a terminal, else a line
//! now and then.

#![expect(
    clippy::print_stderr,
    reason = "progress is for the person at the terminal, not for a log"
)]

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::environment;

/// Often enough to look alive.
const REDRAW: Duration = Duration::from_millis(250);
/// Rare enough for a log: a six-minute build leaves 24 lines.
const REPORT: Duration = Duration::from_secs(15);
/// Narrower than the usual terminal, so that the line never wraps.
const WIDTH: usize = 78;

pub struct Progress {
    title: String,
    started: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub fn start(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            started: environment::now(),
            shown: None,
            terminal: stderr().is_terminal(),
        }
    }

    /// Call it as often as you like; it decides whether to show something.
    pub fn tick(&mut self, detail: &str) {
        let now = environment::now();
        let interval = if self.terminal { REDRAW } else { REPORT };
        if self
            .shown
            .is_some_and(|shown| now.duration_since(shown) < interval)
        {
            return;
        }
        self.shown = Some(now);
        let line = format!(
            "{} {} {detail}",
            self.title,
            clock(now.duration_since(self.started))
        );
        if self.terminal {
            eprint!("\r\x1b[2K{}", cut(&line, WIDTH));
            // A terminal that is gone is no reason to stop a build.
            let _ = stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    pub fn finish(self, outcome: &str) {
        let clear = if self.terminal && self.shown.is_some() {
            "\r\x1b[2K"
        } else {
            ""
        };
        eprintln!(
            "{clear}{} {} {outcome}",
            self.title,
            clock(self.started.elapsed())
        );
    }
}

/// Something a person should know, between two steps.
pub fn say(text: &str) {
    eprintln!("{text}");
}

fn clock(length: Duration) -> String {
    format!("[{}:{:02}]", length.as_secs() / 60, length.as_secs() % 60)
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_the_terminal() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(clock(Duration::from_secs(125)), "[2:05]");
    }
}
