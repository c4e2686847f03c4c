//! Accounts of the cloud: whether each is reached, and lists the registries of an instance.

use std::collections::BTreeSet;

use serde_json::Value;
use swr_operator_api::account::SwrAccount;
use swr_operator_core::desired::InstanceId;
use swr_operator_core::failure::{Cause, Failure as SwrFailure};
use swr_operator_core::summary::Operation;
use swr_operator_swr::Portion;

use super::report::Check;
use super::{Args, Place, instances_of};
use crate::cloud::Reached;
use crate::cluster::refused;
use crate::exit::Failure;

pub(super) async fn check(args: &Args, place: &Place) -> Result<Vec<Check>, Failure> {
    let Some(session) = &place.session else {
        return Ok(of_account(args, place, None, instances_of(args).into_iter().collect()).await);
    };
    let accounts: Vec<SwrAccount> = match session.accounts().await.map_err(refused) {
        Ok(accounts) => accounts,
        Err(failure) => {
            let (what, next) = (failure.what(), failure.advice().unwrap_or_default());
            return Ok(vec![Check::problem("accounts", what, "", next)]);
        }
    };
    let name_of = |account: &SwrAccount| account.metadata.name.clone().unwrap_or_default();
    for wanted in &args.accounts {
        if !accounts.iter().any(|account| name_of(account) == *wanted) {
            return Err(Failure::new(format!("there is no SwrAccount {wanted}"))
                .hint("kubectl get swraccounts shows what there is"));
        }
    }
    if accounts.is_empty() {
        return Ok(vec![Check::unknown(
            "accounts",
            "there is no SwrAccount",
            "create one: docs/accounts.md",
        )]);
    }
    let objects = session.registries(None, None).await.unwrap_or_default();
    let mut checks = Vec::new();
    for account in &accounts {
        let name = name_of(account);
        if args.accounts.is_empty() || args.accounts.contains(&name) {
            let instances = known_instances(args, account, &objects);
            checks.extend(of_account(args, place, Some(&name), instances).await);
        }
    }
    Ok(checks)
}

/// Those that are named, else those of the account's status and of objects that name it.
pub(super) fn known_instances(
    args: &Args,
    account: &SwrAccount,
    objects: &[Value],
) -> BTreeSet<InstanceId> {
    if !args.instances.is_empty() {
        return instances_of(args).into_iter().collect();
    }
    let name = account.metadata.name.as_deref().unwrap_or_default();
    let status = account.status.iter().flat_map(|it| &it.instances);
    let of_status = status.map(|it| it.id.clone());
    let named = objects.iter().filter(|it| {
        let account = it["spec"]["accountRef"]["name"].as_str();
        account.unwrap_or("default") == name
    });
    let of_objects = named.filter_map(|it| it["spec"]["instanceId"].as_str().map(str::to_owned));
    of_status.chain(of_objects).map(InstanceId::new).collect()
}

async fn of_account(
    args: &Args,
    place: &Place,
    name: Option<&str>,
    instances: BTreeSet<InstanceId>,
) -> Vec<Check> {
    let id = format!("account/{}", name.unwrap_or("environment"));
    let reached = match place.reach(args, name).await {
        Ok(reached) => reached,
        Err(failure) => {
            let (what, next) = (failure.what(), failure.advice().unwrap_or_default());
            return vec![Check::problem(
                &id,
                what,
                "this command cannot ask SWR in its name",
                next,
            )];
        }
    };
    if reached.reader.is_offered().await == Some(false) {
        return vec![Check::problem(
            &id,
            format!(
                "SWR does not offer its Enterprise Edition in {}",
                reached.account.region
            ),
            "there can be no instance",
            "use a region that has it",
        )];
    }
    if instances.is_empty() {
        return vec![Check::unknown(
            &id,
            "no instance is known to ask",
            "name one with --instance",
        )];
    }
    let mut checks = Vec::new();
    for instance in instances {
        checks.push(of_instance(&id, &reached, &instance).await);
    }
    checks
}

async fn of_instance(account: &str, reached: &Reached, instance: &InstanceId) -> Check {
    let id = format!("{account}/{instance}");
    let first = Portion {
        offset: 0,
        limit: 1,
        column: "created_at",
        direction: "asc",
    };
    let look = reached.reader.look_at_list(instance, first, None).await;
    match look.result {
        Ok(listing) => {
            let held = match listing.total {
                Some(total) => format!("lists its registries, {total} in all"),
                None => "lists its registries".to_owned(),
            };
            Check::ok(&id, held)
        }
        Err(failure) => Check::problem(
            &id,
            failure.to_string(),
            "the operator reads every instance by this list",
            &next(&failure),
        ),
    }
}

/// What to do about a list that failed, beyond what the words of its cause say.
pub(super) fn next(failure: &SwrFailure) -> String {
    match failure.cause {
        Cause::Forbidden => format!("the account needs {}", Operation::List.iam_action()),
        Cause::AuthFailed => "check the access key, and whether it is enabled".to_owned(),
        Cause::InstanceNotFound | Cause::InstanceNotRunning => {
            "check the id of the instance, the region and the project".to_owned()
        }
        Cause::ApiNotFound => "check the region, and --swr-endpoint".to_owned(),
        Cause::ClockSkew { .. } => "set the clock of this machine".to_owned(),
        Cause::Unreachable | Cause::TimedOut | Cause::ServerError | Cause::Throttled => {
            "try again; docs/troubleshooting.md tells more".to_owned()
        }
        Cause::NotConnected(_)
        | Cause::OwnLimits
        | Cause::Malformed
        | Cause::ListHasGaps
        | Cause::Redirected
        | Cause::RegistryNotFound
        | Cause::AlreadyExists
        | Cause::InUse
        | Cause::QuotaExceeded
        | Cause::Rejected
        | Cause::DnsConfRejected
        | Cause::QuestionRejected
        | Cause::TargetUnreachable
        | Cause::TooLate => String::new(),
    }
}
