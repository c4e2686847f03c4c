//! What came of each manifest, for people and for programs. Holds nothing of what the manifests say.

use schemars::JsonSchema;
use serde::Serialize;
use swr_operator_kube::Applicable;

use crate::exit::{Exit, Failure};
use crate::manifest::Document;
use crate::output::{Manners, Tone, counted};

/// The result of `apply`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Version of this format: the first number changes when a field goes or means something else.
    format_version: &'static str,
    /// Whether the API server only checked, and nothing was changed.
    dry_run: bool,
    /// Every object, in the order in which they were applied.
    pub(super) objects: Vec<Outcome>,
}

/// What came of one object.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Outcome {
    /// Its kind.
    kind: String,
    /// Its namespace, if its kind has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    /// Its name.
    pub(super) name: String,
    /// The manifest that it comes from; `-` is stdin.
    file: String,
    /// What came of it.
    pub(super) state: State,
    /// Reason of its condition Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Message of its condition Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    #[serde(skip)]
    pub(super) applicable: Applicable,
}

/// What came of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The command ended before it.
    NotApplied,
    /// The API server refused it, or did not answer.
    Refused,
    /// It was applied, or, in a dry run, would be.
    Applied,
    /// It was applied, and the operator has carried it out.
    Ready,
    /// It was applied, and the operator has not carried it out yet.
    Waiting,
    /// It was applied, and the operator does not go on before somebody changes something.
    Stalled,
}

impl Outcome {
    /// `Kind namespace/name`.
    pub(super) fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

impl Report {
    pub(super) fn new(dry_run: bool, documents: &[(&Document, Applicable)], default: &str) -> Self {
        let outcomes = documents.iter().map(|(document, kind)| Outcome {
            kind: document.kind.clone(),
            namespace: kind
                .is_namespaced()
                .then(|| document.namespace().unwrap_or(default).to_owned()),
            name: document.name().to_owned(),
            file: document.file.clone(),
            state: State::NotApplied,
            reason: None,
            message: None,
            applicable: *kind,
        });
        Report {
            format_version: "1.0",
            dry_run,
            objects: outcomes.collect(),
        }
    }

    pub(super) fn print(&self, manners: &Manners) -> Result<(), Failure> {
        manners.print(self, human, |report| {
            let applied = report.objects.iter().filter(|it| it.is_applied());
            applied.map(Outcome::shown).collect()
        })
    }

    /// Says what was applied before it went wrong.
    pub(super) fn broke_off(&self, manners: &Manners, failure: Failure) -> Result<Exit, Failure> {
        self.print(manners)?;
        Err(failure)
    }
}

impl Outcome {
    fn is_applied(&self) -> bool {
        match self.state {
            State::Applied | State::Ready | State::Waiting | State::Stalled => true,
            State::NotApplied | State::Refused => false,
        }
    }
}

fn human(report: &Report) -> String {
    let mut text = Vec::new();
    for outcome in &report.objects {
        let (tone, sign, word) = match outcome.state {
            State::Ready => (Tone::Create, "=", ""),
            State::Applied if report.dry_run => (Tone::Create, "=", "would be applied"),
            State::Applied => (Tone::Create, "=", "applied"),
            State::Waiting => (Tone::Change, "~", ""),
            State::Stalled => (Tone::Wrong, "!", ""),
            State::Refused => (Tone::Wrong, "!", "not applied"),
            State::NotApplied => (Tone::Faint, " ", "not applied"),
        };
        let title = tone.paint(&format!("{sign} {}", outcome.shown()));
        let said = match (&outcome.reason, &outcome.message) {
            (Some(reason), Some(message)) => format!("{reason}: {message}"),
            (Some(reason), None) => reason.clone(),
            (None, _) => word.to_owned(),
        };
        text.push(format!("{title}  {said}\n"));
    }
    let n_applied = report.objects.iter().filter(|it| it.is_applied()).count();
    let n_all = report.objects.len();
    if n_applied < n_all {
        let done = match report.dry_run {
            true => "would be applied",
            false => "applied",
        };
        text.push(format!(
            "\n{n_applied} of {} {done}.\n",
            counted(n_all, "object")
        ));
    }
    text.concat()
}
