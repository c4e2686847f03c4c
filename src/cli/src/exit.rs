//! How a verb ends: the exit codes, and an error as a person reads it.

use std::fmt;
use std::process::ExitCode;

/// The exit codes. Scripts rely on them, so they do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done, and there is nothing to say by the code.
    Done,
    /// It was not done, or something is wrong.
    Failed,
    /// There are changes; only with `--detailed-exitcode`, as Terraform has it.
    Changes,
    /// A time limit passed.
    TimedOut,
    /// The operator would not go on with an object, or does not.
    Stalled,
    /// The command line is wrong (sysexits).
    Usage,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::TimedOut => 3,
            Exit::Stalled => 4,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a verb was not carried out: what, where and why in one sentence, and what to type next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    what: String,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// One that nobody knows a cure for.
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Failure {
            what: what.to_string(),
            hint: None,
            exit: Exit::Failed,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Failure {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// What else helps, if anything does.
    pub(crate) fn or(self, other: &str) -> Self {
        Failure {
            hint: self.hint.map(|hint| format!("{hint}, or {other}")),
            ..self
        }
    }

    /// It ends with another code than 1.
    pub(crate) fn exits(self, exit: Exit) -> Self {
        Failure { exit, ..self }
    }

    /// What went wrong, without the hint.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it, if somebody knows.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The code that it ends with.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
