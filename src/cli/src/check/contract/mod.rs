//! What the operator assumes of SWR where its documents are silent, beside what SWR does. Reads an instance; a scratch
//! registry of its own is written only where a person named it.

mod human;
mod probe;
mod read;
mod rounds;
mod rows;

use swr_operator_core::desired::InstanceId;

use self::probe::Probe;
use self::rows::Findings;
use super::accounts::{known_instances, next};
use super::report::{Contract, Report, Verdict};
use super::{Args, Place, instances_of, timed_out};
use crate::cloud::Reached;
use crate::cluster::refused;
use crate::exit::{Exit, Failure};
use crate::progress::progress;

/// Nobody has this host.
pub(super) const TARGET: &str = "https://swr-operator-check.invalid";

/// Room for what is put behind it, in the 64 characters of a name.
const SCRATCH_CHARS_MAX: usize = 40;

/// A name of a scratch registry.
pub(super) fn scratch_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match (1..=SCRATCH_CHARS_MAX).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "expected 1 to {SCRATCH_CHARS_MAX} letters, digits, - and _"
        )),
    }
}

pub(super) async fn run(args: &Args, place: &Place) -> Result<Exit, Failure> {
    let (account, instance) = subject(args, place).await?;
    let reached = place.reach(args, account.as_deref()).await?;
    let mut findings = Findings::default();
    let reading = args
        .manners
        .begin(&format!("reading instance {instance}"), 1);
    let exit = crate::interruptible(read_only(args, &reached, &instance, &mut findings)).await?;
    drop(reading);
    if exit == Exit::Interrupted {
        return Ok(exit);
    }
    if let Some(name) = &args.write_probe {
        let mut probe = Probe::new(args, &reached, &instance, name);
        let ended = write(args, &mut probe, &mut findings).await;
        // However it ended, nothing of it stays.
        let cleaned = probe.clean().await;
        let exit = match (ended, cleaned) {
            (Err(failure), Ok(())) => return Err(failure),
            (_, Err(left)) => return Err(left),
            (Ok(exit), Ok(())) => exit,
        };
        if exit == Exit::Interrupted {
            progress(false, "interrupted; the scratch registry is deleted");
            return Ok(exit);
        }
    }
    let rows = findings.rows(args.write_probe.is_some());
    let differs = rows.iter().any(|row| row.verdict == Verdict::Differs);
    let report = Report::of_contract(Contract {
        instance_id: instance.as_str().to_owned(),
        wrote: args.write_probe.is_some(),
        rows,
        not_asked: rows::NOT_ASKED.to_vec(),
    });
    args.manners.print(
        &report,
        |report| {
            report
                .contract
                .as_ref()
                .map_or_else(String::new, human::table)
        },
        |report| {
            let rows = report.contract.iter().flat_map(|it| &it.rows);
            let differing = rows.filter(|row| row.verdict == Verdict::Differs);
            differing.map(|row| row.id.to_owned()).collect()
        },
    )?;
    match args.detailed_exitcode && differs {
        true => Ok(Exit::Changes),
        false => Ok(Exit::Done),
    }
}

async fn read_only(
    args: &Args,
    reached: &Reached,
    instance: &InstanceId,
    findings: &mut Findings,
) -> Result<Exit, Failure> {
    let reading = read::read(reached, instance, findings);
    let Ok(read) = tokio::time::timeout(args.timeout, reading).await else {
        return Err(timed_out(args.timeout));
    };
    match read {
        Ok(()) => Ok(Exit::Done),
        Err(failure) => {
            let told = Failure::new(format!("instance {instance}: {failure}"));
            Err(match next(&failure).as_str() {
                "" => told,
                hint => told.hint(hint),
            })
        }
    }
}

/// The probe, until it ends, its time is up, or somebody presses Ctrl-C.
async fn write(
    args: &Args,
    probe: &mut Probe<'_>,
    findings: &mut Findings,
) -> Result<Exit, Failure> {
    tokio::select! {
        ended = tokio::time::timeout(args.timeout, probe.run(findings)) => match ended {
            Ok(Ok(())) => Ok(Exit::Done),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(timed_out(args.timeout)),
        },
        _ = tokio::signal::ctrl_c() => {
            progress(false, "interrupted; deleting the scratch registry");
            Ok(Exit::Interrupted)
        }
    }
}

/// The one account, `None` for that of the environment, and the one instance.
async fn subject(args: &Args, place: &Place) -> Result<(Option<String>, InstanceId), Failure> {
    let usage = |what: &str, hint: &str| Failure::new(what).hint(hint).exits(Exit::Usage);
    let one_instance = |mut instances: Vec<InstanceId>| match instances.pop() {
        Some(instance) if instances.is_empty() => Ok(instance),
        Some(_) | None => Err(usage(
            "--contract is about one instance",
            "name it with --instance",
        )),
    };
    let Some(session) = &place.session else {
        return Ok((None, one_instance(instances_of(args))?));
    };
    let mut accounts = session.accounts().await.map_err(refused)?;
    let name_of =
        |it: &swr_operator_api::account::SwrAccount| it.metadata.name.clone().unwrap_or_default();
    accounts.retain(|it| args.accounts.is_empty() || args.accounts.contains(&name_of(it)));
    match accounts.pop() {
        Some(account) if accounts.is_empty() => {
            let objects = session.registries(None, None).await.unwrap_or_default();
            let known = known_instances(args, &account, &objects);
            let instance = one_instance(known.into_iter().collect())?;
            Ok((Some(name_of(&account)), instance))
        }
        Some(_) | None => Err(usage(
            "--contract is about one SwrAccount",
            "name one with --account, or ask SWR alone with --no-cluster",
        )),
    }
}
