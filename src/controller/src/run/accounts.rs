//! The part of the loop that follows the accounts and reads their keys.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_api::GROUP;
use swr_operator_api::account::SwrAccount;
use swr_operator_clock as clock;
use swr_operator_core::account::{
    Hold, Recheck, Usage, account_status, account_told, deletions_allowed_until, hold_account,
    recheck,
};
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::grant;
use swr_operator_core::requeue::list_backoff_secs;
use swr_operator_core::time;
use swr_operator_kube::{Event, SeenAccount, SeenNamespace};
use tokio::task::{self, JoinError};
use tracing::Instrument as _;

use super::super::context::Context;
use super::super::roster::Meanwhile;
use super::Loop;

/// An account's key is read again after this time, so that a rotated key is in use within it.
const REFRESH: Duration = Duration::from_secs(60);
/// For this long after it begins to lead, objects wait for each other and for the accounts.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a check of an account found.
pub(super) struct Refreshed {
    /// Whether its objects should be reconciled.
    changed: bool,
    /// When it is checked again.
    recheck: Recheck,
}

impl Loop {
    /// Whether all objects were listed and every account was checked once. Before that an object would
    /// be told that its account does not exist, which costs a write per object at every start, and
    /// the first LIST of an instance would begin too early to serve them all.
    pub(super) fn may_begin(&mut self, now: Timestamp) -> bool {
        if !self.may_begin {
            let since = self.leads_since.unwrap_or(now);
            // A Secret that changes between its read and the first list would be noticed by the next poll only.
            self.may_begin = (self.unlisted.is_empty()
                && self.unlisted_secrets.is_empty()
                && self.roster.is_complete()
                && self.roster.is_each_checked())
                || now > time::after_wait(since, PATIENCE);
        }
        self.may_begin
    }

    pub(super) fn account_event(&mut self, event: Event<SeenAccount>) {
        match event {
            Event::Listing => self.roster.listing(),
            Event::Listed => {
                for name in self.roster.listed() {
                    self.forget_account(&name);
                }
                self.health.accounts_listed();
            }
            Event::Applied(SeenAccount { name, account }) => {
                if !self.context.accounts.serves(&name) {
                    return;
                }
                match account {
                    Ok(account) => {
                        self.watches_namespaces |= grant::needs_labels(&account.spec.grants);
                        let rate = account.spec.limits.requests_per_second;
                        self.queue.account_may(&name, rate);
                        self.deletions_allowed(&name, &account);
                        if self.roster.fits(&name, *account, clock::now()) {
                            self.context.accounts.fits(&name);
                        }
                    }
                    Err(error) => self.account_does_not_fit(&name, &error),
                }
            }
            Event::Deleted(SeenAccount { name, .. }) => self.forget_account(&name),
            Event::Failing(error) => tracing::warn!(error, "the watch of accounts begins anew"),
        }
    }

    /// What grants by labels holds for other namespaces, or no longer.
    pub(super) fn namespace_event(&mut self, event: Event<SeenNamespace>) {
        let namespaces = &self.context.namespaces;
        match event {
            Event::Listing => namespaces.listing(),
            Event::Listed => namespaces.listed(),
            Event::Applied(SeenNamespace { name, labels }) => {
                if namespaces.applied(&name, labels) {
                    let selects = |account: &str| self.roster.selects_namespaces(account);
                    self.queue.namespace_changed(&name, selects, clock::now());
                }
            }
            Event::Deleted(SeenNamespace { name, .. }) => namespaces.deleted(&name),
            Event::Failing(error) => tracing::warn!(error, "the watch of namespaces begins anew"),
        }
    }

    fn forget_account(&mut self, name: &str) {
        self.roster.deleted(name);
        self.guard.allow(name, None, clock::now());
        self.context.accounts.forget(name);
        self.context.metrics.objects.account_forgotten(name);
        self.queue.account_is_gone(name, clock::now());
    }

    /// An account that cannot be understood is not used, whatever it said before.
    fn account_does_not_fit(&mut self, name: &str, error: &str) {
        tracing::warn!(
            account = name,
            error,
            "this SwrAccount does not fit the CRD of this operator and is not served"
        );
        self.roster.does_not_fit(name);
        self.guard.allow(name, None, clock::now());
        self.context.metrics.objects.account_forgotten(name);
        if self.context.accounts.does_not_fit(name) {
            self.queue.account_changed(name, clock::now());
        }
    }

    pub(super) fn start_refreshes(&mut self, now: Timestamp) {
        for (name, account) in self.roster.due(now) {
            self.roster.begins(&name);
            let context = Arc::clone(&self.context);
            // Before all objects are listed nobody knows whether one names it.
            let objects = self.unlisted.is_empty().then(|| self.queue.users_of(&name));
            let span = tracing::error_span!(
                "check",
                controller = "swraccount",
                controllerGroup = GROUP,
                controllerKind = "SwrAccount",
                name,
            );
            let refresh = refresh(context, name.clone(), account, objects).instrument(span);
            let task = self.refreshes.spawn(refresh);
            self.of_refresh.insert(task.id(), name);
        }
    }

    pub(super) fn account_refreshed(
        &mut self,
        refreshed: Result<(task::Id, Refreshed), JoinError>,
    ) {
        let now = clock::now();
        let id = refreshed.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(name) = self.of_refresh.remove(&id) else {
            return;
        };
        let recheck = refreshed
            .as_ref()
            .map_or(Recheck::Refresh, |(_, refreshed)| refreshed.recheck);
        let failures = self.roster.checked(&name, recheck);
        let wait = match recheck {
            Recheck::Refresh => clock::jittered(REFRESH),
            Recheck::Soon => clock::jittered(self.secret_retry),
            Recheck::Backoff { min_secs } => {
                let wait = Duration::from_secs(list_backoff_secs(failures).unsigned_abs());
                clock::jittered(wait).max(Duration::from_secs(min_secs.into()))
            }
        };
        let meanwhile = self.roster.read(&name, time::after_wait(now, wait));
        let Ok((_, refreshed)) = refreshed else {
            tracing::error!(
                account = name,
                "a check of an account panicked; this is a bug, please report it"
            );
            return;
        };
        match meanwhile {
            Meanwhile::Stayed if refreshed.changed => self.queue.account_changed(&name, now),
            Meanwhile::Stayed => {}
            Meanwhile::Unfit => self.context.metrics.objects.account_forgotten(&name),
            // The check brought it back.
            Meanwhile::Gone => self.forget_account(&name),
        }
    }
}

async fn refresh(
    context: Arc<Context>,
    name: String,
    account: SwrAccount,
    objects: Option<usize>,
) -> Refreshed {
    let (account, is_held_right) = match hold(&context, &account, objects).await {
        Ok(Held::Released) => {
            return Refreshed {
                changed: false,
                recheck: Recheck::Refresh,
            };
        }
        Ok(Held::AsItIs) => (account, true),
        Ok(Held::Changed(account)) => (*account, true),
        Err(_) => (account, false),
    };
    let (secrets, namespaces) = (&context.secrets, &context.namespaces);
    let check = context
        .accounts
        .refresh(&account, secrets, &context.sealer, namespaces);
    let (verdict, changed) = check.await;
    let old = account.status.clone().unwrap_or_default();
    let generation = account.metadata.generation.unwrap_or_default();
    let usage = Usage {
        objects: objects.unwrap_or_default(),
        deleting: account.metadata.deletion_timestamp.is_some(),
        misdated: deletions_allowed_until(&account).is_err(),
        instances: context
            .accounts
            .get(&name)
            .map(|usable| usable.instances())
            .unwrap_or_default(),
    };
    let new = account_status(&verdict, &usage, &old, generation, clock::now());
    let shown = new.as_ref().unwrap_or(&old);
    context
        .metrics
        .objects
        .account_shown(&name, &shown.conditions);
    let mut is_written = true;
    if let Some(new) = new {
        // After a lost race the next check writes it.
        let written = context.objects.write_account_status(&account, &new).await;
        is_written = written.is_ok();
        if is_written && let Some(ready) = new.conditions.first() {
            if let Some(event) = account_told(&old, &new) {
                let uid = account.metadata.uid.as_deref().unwrap_or_default();
                context.events.publish_of_account(&name, uid, event);
            }
            tracing::info!(
                ready = ready.status.as_str(),
                reason = ready.reason,
                because = ready.message,
                "status of account written"
            );
        }
    }
    let recheck = match recheck(&verdict) {
        Recheck::Refresh if !is_held_right || !is_written => Recheck::Soon,
        recheck @ (Recheck::Refresh | Recheck::Soon | Recheck::Backoff { .. }) => recheck,
    };
    Refreshed { changed, recheck }
}

enum Held {
    AsItIs,
    Changed(Box<SwrAccount>),
    /// Nothing of ours keeps it any more, and it was to be deleted.
    Released,
}

/// Puts our finalizer on the account or takes it off, as the objects that name it ask for.
async fn hold(
    context: &Context,
    account: &SwrAccount,
    objects: Option<usize>,
) -> Result<Held, KubeFailure> {
    let finalizer = context.installation.account_finalizer();
    let mut finalizers = account.metadata.finalizers.iter().flatten();
    let is_held = finalizers.any(|name| *name == finalizer);
    let deleting = account.metadata.deletion_timestamp.is_some();
    let hold = match hold_account(objects, is_held, deleting) {
        Hold::AsItIs => return Ok(Held::AsItIs),
        Hold::Begin => true,
        Hold::End => false,
    };
    let changed = context.objects.hold_account(account, &finalizer, hold);
    let changed = Box::new(changed.await?);
    Ok(match deleting {
        true => Held::Released,
        false => Held::Changed(changed),
    })
}
