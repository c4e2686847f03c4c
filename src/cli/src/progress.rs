//! What is going on while somebody waits: a spinner with counts where stderr is a terminal, else one line. Never on
//! stdout.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Ten turns in a second look alive and cost nothing.
const TURN_EVERY: Duration = Duration::from_millis(100);

/// Something that takes a while. Its spinner goes when this is dropped.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins to tell of `n` things that take a while; says nothing if nobody wants to know.
    pub(crate) fn begin(quiet: bool, text: &str, n: usize) -> Self {
        if quiet || !has_spinner() {
            progress(quiet, text);
            return Progress(None);
        }
        let bar =
            ProgressBar::with_draw_target(u64::try_from(n).ok(), ProgressDrawTarget::stderr());
        let template = match n {
            1 => "{spinner} {msg}",
            _ => "{spinner} {msg}: {pos} of {len}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(TURN_EVERY);
        Progress(Some(bar))
    }

    /// One of them is done.
    pub(crate) fn one_is_done(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Prints something meanwhile.
    pub(crate) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Says what is going on, to whoever looks at stderr.
pub(crate) fn progress(quiet: bool, text: &str) {
    if !quiet {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// A dumb terminal cannot take back what it shows, and who wants no colour wants no other escapes either.
fn has_spinner() -> bool {
    let is = |name: &str, plain: fn(&OsStr) -> bool| {
        std::env::var_os(name).is_some_and(|value| plain(&value))
    };
    let is_plain = is("TERM", |term| term == "dumb") || is("NO_COLOR", |value| !value.is_empty());
    std::io::stderr().is_terminal() && !is_plain
}
