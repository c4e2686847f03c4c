//! What can go wrong in the harness, each with the words a person needs: what, where, why, what next.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine or the checkout lacks something.
    #[error("{what} is needed: {why}\nhint: {next}")]
    Unmet {
        what: String,
        why: String,
        next: String,
    },

    #[error("failed to {what}: {source}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },

    #[error("`{command}` failed ({status}):\n{output}")]
    Command {
        command: String,
        status: ExitStatus,
        output: String,
    },

    #[error("{name} ended too early ({status}); the end of {}:\n{tail}", log.display())]
    EndedEarly {
        name: String,
        status: ExitStatus,
        log: PathBuf,
        tail: String,
    },

    #[error("{what}: not within {deadline:?}; last seen: {seen}")]
    Deadline {
        what: String,
        deadline: Duration,
        seen: String,
    },

    #[error("failed to make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),

    #[error("{method} {url} failed: {why}")]
    Http {
        method: &'static str,
        url: String,
        why: String,
    },

    #[error("failed to read {what}: {source}")]
    Json {
        what: String,
        #[source]
        source: serde_json::Error,
    },

    /// The demo's story went otherwise than told.
    #[error("expected {expected}; saw {seen}")]
    Unexpected { expected: String, seen: String },
}

impl Error {
    pub fn unmet(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Unmet {
            what: what.into(),
            why: why.into(),
            next: next.into(),
        }
    }

    /// For `map_err`: `what` completes the sentence "failed to ...".
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}
