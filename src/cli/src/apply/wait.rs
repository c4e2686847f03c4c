//! Waits until every object of ours is ready or stalled, by the rules of kstatus.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use swr_operator_kube::{Applicable, Session};

use super::report::{Outcome, Report, State};
use crate::cluster::refused;
use crate::exit::{Exit, Failure};
use crate::output::Manners;
use crate::standing::{Standing, of_ready};

/// Between two looks. Each is one list for a namespace, however many objects it has.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// By namespace, which accounts do not have, and name.
type Live = BTreeMap<(Option<String>, String), Value>;

/// Waits, and keeps in the report what was seen last.
pub(super) async fn wait(
    session: &Session,
    report: &mut Report,
    manners: &Manners,
    limit: Duration,
) -> Result<Exit, Failure> {
    for outcome in &mut report.objects {
        outcome.state = match outcome.applicable {
            Applicable::Account | Applicable::Registry => State::Waiting,
            Applicable::Namespace | Applicable::Secret => outcome.state,
        };
    }
    let is_over = tokio::time::timeout(limit, async {
        loop {
            let live = look(session, report).await?;
            for outcome in &mut report.objects {
                take(outcome, &live, manners)?;
            }
            let mut states = report.objects.iter().map(|it| it.state);
            if states.all(|state| state != State::Waiting) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    match is_over.await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => return Err(failure),
        Err(_) => return Ok(Exit::TimedOut),
    }
    let mut states = report.objects.iter().map(|it| it.state);
    match states.any(|state| state == State::Stalled) {
        true => Ok(Exit::Stalled),
        false => Ok(Exit::Done),
    }
}

/// The objects that are waited for: one list of accounts, and one of each namespace.
async fn look(session: &Session, report: &Report) -> Result<Live, Failure> {
    let mut live = Live::new();
    let mut waits = report
        .objects
        .iter()
        .filter(|it| it.state == State::Waiting);
    if waits.any(|it| it.applicable == Applicable::Account) {
        for account in session.accounts().await.map_err(refused)? {
            let name = account.metadata.name.clone().unwrap_or_default();
            let account = serde_json::to_value(account).map_err(Failure::new)?;
            live.insert((None, name), account);
        }
    }
    let mut namespaces: Vec<&String> = report
        .objects
        .iter()
        .filter(|it| it.state == State::Waiting)
        .filter_map(|it| it.namespace.as_ref())
        .collect();
    namespaces.sort();
    namespaces.dedup();
    for namespace in namespaces {
        let listed = session.registries(Some(namespace), None).await;
        for object in listed.map_err(refused)? {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            live.insert((Some(namespace.clone()), name.to_owned()), object);
        }
    }
    Ok(live)
}

fn take(outcome: &mut Outcome, live: &Live, manners: &Manners) -> Result<(), Failure> {
    if outcome.state != State::Waiting {
        return Ok(());
    }
    let shown = outcome.shown();
    let key = (outcome.namespace.clone(), outcome.name.clone());
    let object = live
        .get(&key)
        .ok_or_else(|| Failure::new(format!("{shown} was deleted meanwhile")))?;
    let (reason, message) = (of_ready(object, "reason"), of_ready(object, "message"));
    if outcome.reason.as_ref() != Some(&reason) || outcome.message.as_ref() != Some(&message) {
        manners.say(&format!("{shown}: {reason}: {message}"));
    }
    outcome.state = match Standing::of(object) {
        Standing::Ready => State::Ready,
        Standing::Stalled => State::Stalled,
        Standing::Waiting | Standing::Deleting => State::Waiting,
    };
    (outcome.reason, outcome.message) = (Some(reason), Some(message));
    Ok(())
}
