//! What a person asks of the operator through an object: a reconcile now, a pause, its end. Writes one field of the object,
//! and waits until the operator has taken it up. Decides nothing about a registry.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use swr_operator_api::REQUESTED_AT;
use swr_operator_clock as clock;
use swr_operator_kube::Session;

use crate::cluster::{ObjectArgs, duration, refused};
use crate::exit::{Exit, Failure};
use crate::output::{Color, Tone, print_as};
use crate::progress::{Progress, progress};

/// Between two looks at an object. Its status changes in less than a second where SWR is quick.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which objects, and for how long they are waited for.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct AskArgs {
    /// Names of ReplicationRegistries.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    object: ObjectArgs,

    /// Do not wait until the operator has taken it up.
    #[arg(long)]
    no_wait: bool,

    /// Give up waiting after this time. What was asked for stands.
    #[arg(long, default_value = "1m", value_parser = duration)]
    timeout: Duration,

    /// Where colour is used.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,

    /// Say nothing on stderr but errors.
    #[arg(short, long)]
    quiet: bool,
}

const AFTER_HELP: &str = "\
Exit codes: 0 the operator has taken it up; 1 it could not be asked; 3 it has not in time; 4 it does not go on with an
object (Stalled); 64 usage; 130 interrupted, while the operator goes on.";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Reconcile,
    Suspend,
    Resume,
}

/// How an object answers, with reason and message of `Ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    TakenUp(String),
    Stalled(String),
}

impl Ask {
    /// The field that asks.
    fn patch(self, at: &str) -> Value {
        match self {
            Ask::Reconcile => json!({"metadata": {"annotations": {REQUESTED_AT[0]: at}}}),
            Ask::Suspend => json!({"spec": {"suspend": true}}),
            Ask::Resume => json!({"spec": {"suspend": false}}),
        }
    }

    fn done(self) -> &'static str {
        match self {
            Ask::Reconcile => "a reconcile is asked for",
            Ask::Suspend => "spec.suspend is true",
            Ask::Resume => "spec.suspend is false",
        }
    }

    /// What the object says to a request of this time; `None` as long as it says nothing.
    fn answer(self, at: &str, object: &Value) -> Option<Ended> {
        let status = &object["status"];
        let condition = |kind: &str| {
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            conditions.find(|it| it["type"] == kind)
        };
        let holds = |kind: &str| condition(kind).is_some_and(|it| it["status"] == "True");
        let ready = condition("Ready")?;
        let reason = ready["reason"].as_str().unwrap_or_default();
        let is_newest = status["observedGeneration"] == object["metadata"]["generation"];
        let is_taken_up = match self {
            // Times of one form sort as their texts do; a later request answers an earlier one.
            Ask::Reconcile => status["lastHandledReconcileAt"].as_str() >= Some(at),
            Ask::Suspend => is_newest && reason == "Suspended",
            Ask::Resume => is_newest && reason != "Suspended" && !holds("Reconciling"),
        };
        let said = || {
            format!(
                "{reason}: {}",
                ready["message"].as_str().unwrap_or_default()
            )
        };
        match is_taken_up {
            false => None,
            true if holds("Stalled") => Some(Ended::Stalled(said())),
            true => Some(Ended::TakenUp(said())),
        }
    }
}

pub(crate) async fn run(ask: Ask, args: AskArgs) -> Result<Exit, Failure> {
    let session = args.object.session().await?;
    let namespace = args.object.namespace(&session);
    let at = clock::now().to_string();
    for name in &args.names {
        let patched = session.patch(&namespace, name, &ask.patch(&at)).await;
        patched.map_err(refused)?;
        progress(args.quiet, &format!("{namespace}/{name}: {}", ask.done()));
    }
    if args.no_wait {
        return Ok(Exit::Done);
    }
    let waiting = &Progress::begin(args.quiet, "waiting for the operator", args.names.len());
    let waited = tokio::time::timeout(args.timeout, async {
        let mut exit = Exit::Done;
        for name in &args.names {
            let (tone, sign, said) = match wait(&session, ask, &namespace, name, &at).await? {
                Ended::TakenUp(said) => (Tone::Create, "=", said),
                Ended::Stalled(said) => {
                    exit = Exit::Stalled;
                    (Tone::Wrong, "!", said)
                }
            };
            let title = tone.paint(&format!("{sign} {namespace}/{name}"));
            let line = format!("{title}  {said}\n");
            waiting.beside(|| print_as(&line, args.color.choice()))?;
            waiting.one_is_done();
        }
        Ok(exit)
    });
    waited.await.unwrap_or_else(|_| {
        Err(Failure::new(format!(
            "the operator has not taken it up within {} s",
            args.timeout.as_secs()
        ))
        .hint(format!(
            "kubectl get rreg -n {namespace} -o wide; it is done as soon as the operator runs"
        ))
        .exits(Exit::TimedOut))
    })
}

/// Looks at the object until it answers.
async fn wait(
    session: &Session,
    ask: Ask,
    namespace: &str,
    name: &str,
    at: &str,
) -> Result<Ended, Failure> {
    loop {
        let object = session.registry(namespace, name).await.map_err(refused)?;
        let object = object.ok_or_else(|| {
            Failure::new(format!(
                "ReplicationRegistry {namespace}/{name} was deleted meanwhile"
            ))
        })?;
        match ask.answer(at, &object) {
            None => tokio::time::sleep(LOOK_EVERY).await,
            Some(ended) => return Ok(ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(
        generation: i64,
        observed: i64,
        handled: &str,
        ready: (&str, &str),
        other: &str,
    ) -> Value {
        let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "words"});
        json!({
            "metadata": {"generation": generation},
            "status": {
                "observedGeneration": observed, "lastHandledReconcileAt": handled,
                "conditions": [condition("Ready", ready.0, ready.1), condition(other, "True", ready.1)],
            },
        })
    }

    #[test]
    fn an_answer_is_one_to_this_request() {
        let (before, at, after) = (
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
            "2026-01-03T00:00:00Z",
        );
        let taken = |reason: &str| Some(Ended::TakenUp(format!("{reason}: words")));
        let stalled = || Some(Ended::Stalled("Conflict: words".to_owned()));
        let ready = ("True", "Available");
        let paused = ("Unknown", "Suspended");
        let stuck = ("False", "Conflict");
        for (ask, object, expected) in [
            (Ask::Reconcile, json!({"metadata": {}}), None),
            (Ask::Reconcile, object(1, 1, before, ready, "Synced"), None),
            (
                Ask::Reconcile,
                object(1, 1, at, ready, "Synced"),
                taken("Available"),
            ),
            (
                Ask::Reconcile,
                object(1, 1, after, ready, "Synced"),
                taken("Available"),
            ),
            (
                Ask::Reconcile,
                object(1, 1, at, stuck, "Stalled"),
                stalled(),
            ),
            (Ask::Suspend, object(2, 1, "", paused, "Synced"), None),
            (Ask::Suspend, object(2, 2, "", ready, "Synced"), None),
            (
                Ask::Suspend,
                object(2, 2, "", paused, "Synced"),
                taken("Suspended"),
            ),
            (Ask::Resume, object(3, 2, "", ready, "Synced"), None),
            (Ask::Resume, object(3, 3, "", paused, "Synced"), None),
            (
                Ask::Resume,
                object(3, 3, "", ("Unknown", "Progressing"), "Reconciling"),
                None,
            ),
            (
                Ask::Resume,
                object(3, 3, "", ready, "Synced"),
                taken("Available"),
            ),
            (Ask::Resume, object(3, 3, "", stuck, "Stalled"), stalled()),
        ] {
            assert_eq!(ask.answer(at, &object), expected, "{ask:?} {object:#}");
        }
    }
}
