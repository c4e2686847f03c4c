//! The loop that owns the queue: events in, passes and polls out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::health::Health;
use swr_operator_api::account::SwrAccount;
use swr_operator_clock as clock;
use swr_operator_core::account::{AccountVerdict, Usage, account_status};
use swr_operator_core::desired::Scope;
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::object::ObjectKey;
use swr_operator_core::pass::Witness;
use swr_operator_core::requeue::{Requeue, asked_secs, look_secs};
use swr_operator_core::time;
use swr_operator_core::witness::{Testimony, Trust};
use swr_operator_kube::{Event, Seen, SeenAccount, watch_accounts, watch_objects};

use super::accounts::retries_soon;
use super::context::Context;
use super::lanes::{self, Lane};
use super::pass::{self, Ended};
use super::poll::{self, Polled, ReadSecrets};
use super::queue::Queue;
use super::start::{Options, Running};

/// An account's key is read again after this time, so that a rotated key is in use within it.
const ACCOUNT_REFRESH: Duration = Duration::from_secs(60);
/// For this long after the start, objects wait for the first look at every account.
const ACCOUNTS_PATIENCE: Duration = Duration::from_secs(10);
/// What is due by the minute needs no look at every event: it walks all objects.
const ROUND: Duration = Duration::from_millis(250);
/// Between two sweeps of what nobody uses any more.
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// The loop turns at least this often, to tell that it is alive.
const TURN_MAX: Duration = Duration::from_secs(1);
/// Passes that are under way at SIGTERM have this time to end; a write to SWR takes 20 s at most,
/// and the process must be gone after 25.
const SHUTDOWN: Duration = Duration::from_secs(22);
/// What passes have told people last may take this long to be written.
const EVENTS_SHUTDOWN: Duration = Duration::from_secs(2);

struct EndedPass {
    lane: Option<Scope>,
    key: ObjectKey,
    uid: String,
    ended: Ended,
}

struct Refreshed {
    verdict: AccountVerdict,
    changed: bool,
}

struct Loop {
    context: Arc<Context>,
    health: Arc<Health>,
    publishing: JoinHandle<()>,
    secret_retry: Duration,
    queue: Queue,
    passes: JoinSet<EndedPass>,
    /// Whose pass a task is, for the one that panics.
    of_task: HashMap<tokio::task::Id, (ObjectKey, String, Option<Scope>)>,
    polls: JoinSet<Polled>,
    /// Whose instance a task looks at, and whether it is a poll, for the one that panics.
    of_poll: HashMap<tokio::task::Id, (Scope, bool)>,
    polling: HashSet<Scope>,
    poll_at: HashMap<Scope, (Timestamp, i64)>,
    /// What the polls told of each instance's `updated_at`.
    testimonies: HashMap<Scope, Testimony>,
    /// When an instance that objects wait for is looked at next, and how often that failed.
    looks: HashMap<Scope, (Timestamp, u32)>,
    secret_looks: JoinSet<ReadSecrets>,
    secret_look_at: Option<Timestamp>,
    refreshes: JoinSet<Refreshed>,
    /// Whose key a task reads, for the one that panics.
    of_refresh: HashMap<tokio::task::Id, String>,
    accounts: BTreeMap<String, SwrAccount>,
    /// Accounts that are there and do not fit our CRD.
    unfit_accounts: HashSet<String>,
    refreshing: HashSet<String>,
    refresh_at: HashMap<String, Timestamp>,
    /// Accounts that the list under way has shown.
    listed_accounts: Option<HashSet<String>>,
    accounts_were_listed: bool,
    /// Since when every account was looked at once.
    accounts_known_at: Option<Timestamp>,
    /// When polls and looked-for Secrets are gone through next.
    round_at: Timestamp,
    /// When unused instances were forgotten last.
    swept_at: Timestamp,
}

impl Running {
    /// Runs until `shutdown` says so, and ends what is under way.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let Running {
            context,
            options,
            health,
            publishing,
        } = self;
        context.metrics.controller.at_once(lanes::ALL_AT_ONCE);
        let mut objects = object_events(&options);
        let mut accounts = watch_accounts(options.connection.watch.clone()).boxed();
        let mut unlisted: HashSet<Option<String>> = namespaces(&options).into_iter().collect();
        let mut state = Loop {
            context,
            health,
            publishing,
            secret_retry: options.secret_retry,
            queue: Queue::default(),
            passes: JoinSet::new(),
            of_task: HashMap::new(),
            polls: JoinSet::new(),
            of_poll: HashMap::new(),
            polling: HashSet::new(),
            poll_at: HashMap::new(),
            testimonies: HashMap::new(),
            looks: HashMap::new(),
            secret_looks: JoinSet::new(),
            secret_look_at: None,
            refreshes: JoinSet::new(),
            of_refresh: HashMap::new(),
            accounts: BTreeMap::new(),
            unfit_accounts: HashSet::new(),
            refreshing: HashSet::new(),
            refresh_at: HashMap::new(),
            listed_accounts: None,
            accounts_were_listed: false,
            accounts_known_at: None,
            round_at: clock::now(),
            swept_at: clock::now(),
        };
        loop {
            state.health.beat();
            if !state.contained("starting what is due", Loop::start_what_is_due) {
                // It is due again at once.
                tokio::time::sleep(TURN_MAX).await;
            }
            let nap = state.nap();
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some((namespace, event)) = objects.next() => {
                    if let Event::Listed = event {
                        unlisted.remove(&namespace);
                        if unlisted.is_empty() {
                            state.health.objects_listed();
                        }
                    }
                    state.contained("an event of an object", |state| {
                        state.object_event(namespace.as_deref(), event);
                    });
                }
                Some(event) = accounts.next() => {
                    state.contained("an event of an account", |state| state.account_event(event));
                }
                Some(ended) = state.passes.join_next_with_id() => {
                    state.contained("the end of a pass", |state| state.pass_ended(ended));
                }
                Some(polled) = state.polls.join_next_with_id() => state.poll_ended(polled),
                Some(secrets) = state.secret_looks.join_next() => state.secrets_looked_at(secrets),
                Some(refreshed) = state.refreshes.join_next_with_id() => state.account_refreshed(refreshed),
                () = tokio::time::sleep(nap) => {}
            }
        }
        state.shut_down().await;
    }
}

fn namespaces(options: &Options) -> Vec<Option<String>> {
    if options.watch_namespaces.is_empty() {
        vec![None]
    } else {
        options.watch_namespaces.iter().cloned().map(Some).collect()
    }
}

type ObjectEvents = SelectAll<BoxStream<'static, (Option<String>, Event<Seen>)>>;

fn object_events(options: &Options) -> ObjectEvents {
    futures::stream::select_all(namespaces(options).into_iter().map(|namespace| {
        watch_objects(options.connection.watch.clone(), namespace.as_deref())
            .map(move |event| (namespace.clone(), event))
            .boxed()
    }))
}

impl Loop {
    /// A panic here costs the event that it is about, which the next list brings again, and not
    /// the process. Tells whether it went well.
    fn contained(&mut self, what: &'static str, act: impl FnOnce(&mut Loop)) -> bool {
        let went_well = catch_unwind(AssertUnwindSafe(|| act(self))).is_ok();
        if !went_well {
            tracing::error!(
                what,
                "the controller panicked; this is a bug, please report it"
            );
        }
        went_well
    }

    fn object_event(&mut self, namespace: Option<&str>, event: Event<Seen>) {
        match event {
            Event::Listing => self.queue.listing(namespace),
            Event::Listed => {
                self.queue.listed(namespace);
                let objects = &self.context.metrics.objects;
                objects.retain(|key| self.queue.contains(key));
                self.context
                    .present
                    .listed(self.queue.all().map(|(_, uid)| uid));
                tracing::debug!(objects = self.queue.len(), "objects listed");
            }
            Event::Applied(seen) => {
                let now = clock::now();
                // Who was there before us may have been ready before.
                let created_at = seen.created_at.filter(|at| *at >= self.context.started_at);
                self.context.metrics.objects.seen(
                    &seen.key,
                    &seen.uid,
                    seen.generation,
                    seen.deleting,
                    created_at,
                    now,
                );
                self.context.present.seen(&seen.uid);
                self.queue.applied(seen, now);
            }
            Event::Deleted(seen) => {
                self.queue.deleted(&seen.key, &seen.uid);
                self.context.present.gone(&seen.uid);
                self.forget_series(&seen.key);
            }
            Event::Failing(error) => tracing::warn!(error, "the watch of objects begins anew"),
        }
    }

    /// Whether every account was looked at once. Before that an object would be told that its
    /// account does not exist, which costs a write per object at every start.
    fn accounts_known(&mut self, now: Timestamp) -> bool {
        if self.accounts_known_at.is_none() {
            let listed = self.listed_accounts.is_none() && self.accounts_were_listed;
            let looked_at = || {
                self.accounts
                    .keys()
                    .all(|name| self.context.accounts.knows(name))
            };
            if (listed && looked_at()) || now > later(self.context.started_at, ACCOUNTS_PATIENCE) {
                self.accounts_known_at = Some(now);
            }
        }
        self.accounts_known_at.is_some()
    }

    fn forget_series(&self, key: &ObjectKey) {
        if !self.queue.contains(key) {
            self.context.metrics.objects.forget(key);
        }
    }

    fn forget_account(&mut self, name: &str) {
        self.accounts.remove(name);
        self.unfit_accounts.remove(name);
        self.refresh_at.remove(name);
        self.context.accounts.forget(name);
        self.context.metrics.objects.account_forgotten(name);
        self.queue.account_changed(name, clock::now());
    }

    /// An account that cannot be understood is not used, whatever it said before.
    fn account_does_not_fit(&mut self, name: String, error: &str) {
        tracing::warn!(
            account = name,
            error,
            "this SwrAccount does not fit the CRD of this operator and is not served"
        );
        self.accounts.remove(&name);
        self.refresh_at.remove(&name);
        self.context.metrics.objects.account_forgotten(&name);
        if self.context.accounts.does_not_fit(&name) {
            self.queue.account_changed(&name, clock::now());
        }
        self.unfit_accounts.insert(name);
    }

    fn account_event(&mut self, event: Event<SeenAccount>) {
        match event {
            Event::Listing => self.listed_accounts = Some(HashSet::new()),
            Event::Listed => {
                let listed = self.listed_accounts.take().unwrap_or_default();
                let known = self.accounts.keys().chain(&self.unfit_accounts);
                let gone = known.filter(|name| !listed.contains(*name));
                for name in gone.cloned().collect::<Vec<_>>() {
                    self.forget_account(&name);
                }
                self.accounts_were_listed = true;
                self.health.accounts_listed();
            }
            Event::Applied(SeenAccount { name, account }) => {
                if !self.context.accounts.serves(&name) {
                    return;
                }
                if let Some(listed) = &mut self.listed_accounts {
                    listed.insert(name.clone());
                }
                let account = match account {
                    Ok(account) => *account,
                    Err(error) => {
                        self.account_does_not_fit(name, &error);
                        return;
                    }
                };
                if self.unfit_accounts.remove(&name) {
                    self.context.accounts.fits(&name);
                }
                let spec_of = |account: &SwrAccount| {
                    (account.metadata.uid.clone(), account.metadata.generation)
                };
                let asks = self.accounts.get(&name).map(spec_of) != Some(spec_of(&account));
                self.accounts.insert(name.clone(), account);
                if asks {
                    self.refresh_at.insert(name, clock::now());
                }
            }
            Event::Deleted(SeenAccount { name, .. }) => self.forget_account(&name),
            Event::Failing(error) => tracing::warn!(error, "the watch of accounts begins anew"),
        }
    }

    fn start_what_is_due(&mut self) {
        let now = clock::now();
        while self.accounts_known(now)
            && let Some(turn) = self.queue.next(now)
        {
            let (key, uid, lane) = (turn.key.clone(), turn.uid.clone(), turn.lane.clone());
            let waited = now.duration_since(turn.queued_at).unsigned_abs();
            let counted = self.context.metrics.controller.begins(waited);
            let scope = turn.scope.as_ref();
            let testimony = scope.and_then(|scope| self.testimonies.get(scope));
            let witness = Witness {
                is_believed: testimony.is_some_and(|testimony| testimony.is_believed),
                may_send: turn.may_resend,
            };
            let context = Arc::clone(&self.context);
            let task = self.passes.spawn(async move {
                let _counted = counted;
                let (key, uid) = (turn.key.clone(), turn.uid.clone());
                let ended = Box::pin(pass::run(
                    context,
                    key,
                    uid,
                    turn.watched,
                    turn.memory,
                    witness,
                ));
                EndedPass {
                    ended: ended.await,
                    lane: turn.lane,
                    key: turn.key,
                    uid: turn.uid,
                }
            });
            self.of_task.insert(task.id(), (key, uid, lane));
        }
        let waiting = self.queue.waiting_for_turn();
        self.context.metrics.controller.waiting(waiting);
        if self.round_at <= now {
            self.round_at = later(now, ROUND);
            self.start_polls(now);
            self.start_looks(now);
            self.start_secret_look(now);
        }
        if later(self.swept_at, SWEEP_EVERY) <= now {
            self.swept_at = now;
            self.forget_unused_instances();
        }
        self.start_refreshes(now);
    }

    /// Inventories and counts of instances that no object names any more. Those that a look under
    /// way brings back go with the next sweep.
    fn forget_unused_instances(&mut self) {
        let used = self.queue.all_scopes();
        let is_used = |account: &str, instance: &str| {
            let accounts = self.accounts.contains_key(account);
            accounts && used.contains(&(account, instance))
        };
        self.context.accounts.retain_instances(is_used);
        self.context.metrics.objects.retain_instances(is_used);
        self.testimonies
            .retain(|scope, _| is_used(&scope.account, scope.instance.as_str()));
    }

    fn start_polls(&mut self, now: Timestamp) {
        let scopes = self.queue.scopes(self.context.windows.poll_secs);
        self.poll_at.retain(|scope, _| scopes.contains_key(scope));
        for (scope, secs) in scopes {
            let (at, every) = *self
                .poll_at
                .entry(scope.clone())
                .or_insert_with(|| (in_about(now, secs), secs));
            // An object with a shorter interval must not wait for the end of a longer one.
            let at = if secs < every {
                at.min(in_about(now, secs))
            } else {
                at
            };
            self.poll_at.insert(scope.clone(), (at, secs));
            if at <= now && self.polling.insert(scope.clone()) {
                self.poll_at
                    .insert(scope.clone(), (in_about(now, secs), secs));
                let secrets = poll::secrets_of(&self.queue, &scope);
                let context = Arc::clone(&self.context);
                let task = self
                    .polls
                    .spawn(poll::poll(context, scope.clone(), secrets));
                self.of_poll.insert(task.id(), (scope, true));
            }
        }
    }

    /// Looks at the instances that objects wait for: one LIST each, however many wait.
    fn start_looks(&mut self, now: Timestamp) {
        self.looks
            .retain(|scope, _| self.queue.is_waited_for(scope));
        let mut due = Vec::new();
        for (scope, not_before) in self.queue.instances_waited_for() {
            let (at, _) = self
                .looks
                .entry(scope.clone())
                .or_insert_with(|| (in_about(now, look_secs(1)), 0));
            let is_due = *at <= now && not_before.is_none_or(|at| at <= now);
            if is_due && !self.polling.contains(scope) {
                due.push(scope.clone());
            }
        }
        for scope in due {
            self.polling.insert(scope.clone());
            let context = Arc::clone(&self.context);
            let task = self.polls.spawn(poll::look(context, scope.clone()));
            self.of_poll.insert(task.id(), (scope, false));
        }
    }

    /// An instance was looked at, in whichever way.
    fn looked_at(&mut self, scope: &Scope, failure: Option<&Failure>, now: Timestamp) {
        let Some(failure) = failure else {
            self.looks.remove(scope);
            self.queue.instance_answers(scope, now);
            return;
        };
        if let Some((at, failures)) = self.looks.get_mut(scope) {
            *failures = failures.saturating_add(1);
            let secs = look_secs(failures.saturating_add(1)).max(i64::from(asked_secs(failure)));
            *at = in_about(now, secs);
        }
        self.queue.instance_fails(scope, failure.cause, now);
    }

    fn start_secret_look(&mut self, now: Timestamp) {
        let waits = self.queue.waiting().next().is_some();
        let at = match (waits, self.secret_look_at) {
            (false, _) => {
                self.secret_look_at = None;
                return;
            }
            (true, None) => *self.secret_look_at.insert(later(now, self.secret_retry)),
            (true, Some(at)) => at,
        };
        if at <= now && self.secret_looks.is_empty() {
            let secrets = poll::secrets_waited_for(&self.queue);
            let context = Arc::clone(&self.context);
            self.secret_looks
                .spawn(async move { poll::read_secrets(&context, secrets).await });
        }
    }

    fn start_refreshes(&mut self, now: Timestamp) {
        let due: Vec<String> = self
            .refresh_at
            .iter()
            .filter(|(name, at)| **at <= now && !self.refreshing.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(account) = self.accounts.get(&name).cloned() else {
                self.refresh_at.remove(&name);
                continue;
            };
            self.refresh_at.insert(name.clone(), Timestamp::MAX);
            self.refreshing.insert(name.clone());
            let context = Arc::clone(&self.context);
            let objects = self.queue.users_of(&name);
            let task = self
                .refreshes
                .spawn(refresh(context, name.clone(), account, objects));
            self.of_refresh.insert(task.id(), name);
        }
    }

    /// Until the next thing is due.
    fn nap(&self) -> Duration {
        let polls = self
            .poll_at
            .iter()
            .filter(|(scope, _)| !self.polling.contains(scope))
            .map(|(_, (at, _))| *at);
        let looks = self
            .queue
            .instances_waited_for()
            .filter(|(scope, _)| !self.polling.contains(*scope))
            .map(|(scope, not_before)| {
                let (at, _) = self.looks.get(scope).copied().unwrap_or_default();
                not_before.map_or(at, |not_before| at.max(not_before))
            });
        let secret_look = self.secret_look_at.filter(|_| self.secret_looks.is_empty());
        let in_a_round = polls
            .chain(looks)
            .chain(secret_look)
            .map(|at| at.max(self.round_at));
        let refreshes = self
            .refresh_at
            .iter()
            .filter(|(name, _)| !self.refreshing.contains(*name))
            .map(|(_, at)| *at);
        // What cannot begin before a pass ends is woken by that end.
        let may_begin = self.accounts_known_at.is_some();
        let due = self.queue.next_due().filter(|_| may_begin);
        in_a_round
            .chain(refreshes)
            .chain(due)
            .min()
            .map_or(TURN_MAX, |at| clock::until(at).min(TURN_MAX))
    }

    fn pass_ended(&mut self, ended: Result<(tokio::task::Id, EndedPass), JoinError>) {
        let now = clock::now();
        let ended = match ended {
            Ok((task, ended)) => {
                self.of_task.remove(&task);
                ended
            }
            // A pass contains its own panics; this is one in what contains them, or an abort.
            Err(error) => {
                if let Some((key, uid, lane)) = self.of_task.remove(&error.id()) {
                    self.queue.ended_in(lane.as_ref());
                    let ended = Ended::broken();
                    self.context.metrics.controller.ended(ended.outcome());
                    self.queue.finished(&key, &uid, ended, now, clock::jittered);
                }
                return;
            }
        };
        self.queue.ended_in(ended.lane.as_ref());
        let outcome = ended.ended.outcome();
        self.context.metrics.controller.ended(outcome);
        // A LIST that succeeded for one succeeded for all. One pass may list twice: the last counts.
        let listed = ended.ended.judged.is_some()
            && !matches!(ended.ended.requeue, Requeue::Instance { .. });
        let scope = self.queue.scope_of(&ended.key).filter(|_| listed).cloned();
        if let Some(scope) = scope.filter(|scope| self.queue.is_waited_for(scope)) {
            self.looked_at(&scope, None, now);
        }
        self.queue
            .finished(&ended.key, &ended.uid, ended.ended, now, clock::jittered);
        self.forget_series(&ended.key);
    }

    fn poll_ended(&mut self, polled: Result<(tokio::task::Id, Polled), JoinError>) {
        let now = clock::now();
        let id = polled.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((scope, is_poll)) = self.of_poll.remove(&id) else {
            return;
        };
        self.polling.remove(&scope);
        if is_poll && let Some((at, secs)) = self.poll_at.get_mut(&scope) {
            *at = in_about(now, *secs);
        }
        // What panics here costs this instance one look.
        let judged = polled.ok().and_then(|(_, polled)| {
            let judge = || {
                let before = self.testimonies.get(&scope).copied().unwrap_or_default();
                let moves = poll::moves(&self.queue, &polled, before);
                let differing = poll::differing(&self.context, &self.queue, &polled, is_poll);
                poll::count(&self.context, &self.queue, &polled, &differing, &moves, now);
                let moved: Vec<ObjectKey> = moves.moved.into_iter().cloned().collect();
                (differing, (moves.testimony, moved, moves.may_send))
            };
            let (differing, moves) = catch_unwind(AssertUnwindSafe(judge)).ok()?;
            Some((polled, differing, moves))
        });
        let Some((polled, differing, moves)) = judged else {
            tracing::error!(
                account = scope.account,
                instance = %scope.instance,
                "a look at an instance panicked; this is a bug, please report it"
            );
            let broken = Failure::new(Class::Transient, Cause::Malformed);
            self.looked_at(&scope, Some(&broken), now);
            return;
        };
        tracing::debug!(
            account = scope.account,
            instance = %scope.instance,
            differing = differing.len(),
            is_poll,
            "polled"
        );
        // Without its account an object has something else to say than that it waits.
        let failure = polled.look.as_ref().and_then(|look| look.as_ref().err());
        self.looked_at(&scope, failure, now);
        for key in differing {
            self.queue.wake(&key, Lane::Sweep, now);
        }
        // So many at a poll; looks in between are for those that wait.
        if is_poll && matches!(&polled.look, Some(Ok(_))) {
            let (testimony, moved, may_send) = moves;
            self.witness(&scope, testimony);
            for (n, key) in moved.iter().enumerate() {
                self.queue.moved(key, n < may_send, now);
            }
        }
    }

    /// Notes what a poll tells of the instance's `updated_at`, and says once that it tells nothing.
    fn witness(&mut self, scope: &Scope, testimony: Testimony) {
        let before = self.testimonies.insert(scope.clone(), testimony);
        let was_broken = before.is_some_and(|before| before.trust == Trust::Broken);
        if testimony.trust == Trust::Broken && !was_broken {
            tracing::warn!(
                account = scope.account,
                instance = %scope.instance,
                "a change of a target's health moved updated_at: what is changed in SWR without showing is not noticed in this instance until the operator starts anew"
            );
        }
    }

    fn secrets_looked_at(&mut self, secrets: Result<ReadSecrets, JoinError>) {
        self.secret_look_at = None;
        let released = secrets.ok().and_then(|secrets| {
            let judge = || poll::released(&self.queue, &secrets);
            catch_unwind(AssertUnwindSafe(judge)).ok()
        });
        let Some(released) = released else {
            // It is begun anew.
            tracing::error!("a look at Secrets panicked; this is a bug, please report it");
            return;
        };
        for key in released {
            self.queue.wake(&key, Lane::Sweep, clock::now());
        }
    }

    fn account_refreshed(&mut self, refreshed: Result<(tokio::task::Id, Refreshed), JoinError>) {
        let id = refreshed.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(name) = self.of_refresh.remove(&id) else {
            return;
        };
        self.refreshing.remove(&name);
        let Ok((_, refreshed)) = refreshed else {
            tracing::error!(
                account = name,
                "a look at an account panicked; this is a bug, please report it"
            );
            if let Some(at) = self.refresh_at.get_mut(&name) {
                *at = (*at).min(later(clock::now(), clock::jittered(ACCOUNT_REFRESH)));
            }
            return;
        };
        if self.unfit_accounts.contains(&name) {
            // It was changed during this look, and is not what was looked at.
            self.context.metrics.objects.account_forgotten(&name);
            return;
        }
        if !self.accounts.contains_key(&name) {
            // It was deleted during this look, which brought it back.
            self.forget_account(&name);
            return;
        }
        let wait = if retries_soon(&refreshed.verdict) {
            self.secret_retry
        } else {
            ACCOUNT_REFRESH
        };
        let again = later(clock::now(), clock::jittered(wait));
        if let Some(at) = self.refresh_at.get_mut(&name) {
            // A change that came meanwhile asks for a look at once.
            *at = (*at).min(again);
        }
        if refreshed.changed {
            self.queue.account_changed(&name, clock::now());
        }
    }

    /// Starts nothing any more, and ends what is under way.
    async fn shut_down(mut self) {
        self.polls.abort_all();
        self.secret_looks.abort_all();
        self.refreshes.abort_all();
        // A write that begins later could be cut off half way, which costs T_settle at the start.
        let write = Duration::from_secs(self.context.windows.write_secs.unsigned_abs());
        let _ = self
            .context
            .no_write_after
            .set(clock::after(SHUTDOWN.saturating_sub(write)));
        let under_way = self.passes.len();
        tracing::info!(under_way, "stopping");
        let ended = tokio::time::timeout(SHUTDOWN, async {
            while self.passes.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            // What they would have written down is found by its tag at the next start.
            tracing::warn!(abandoned = self.passes.len(), "passes did not end in time");
        }
        let publishing = self.publishing;
        let _ = tokio::time::timeout(EVENTS_SHUTDOWN, async {
            self.context.events.end().await;
            let _ = publishing.await;
        })
        .await;
    }
}

async fn refresh(
    context: Arc<Context>,
    name: String,
    account: SwrAccount,
    objects: usize,
) -> Refreshed {
    let look = context
        .accounts
        .refresh(&account, &context.secrets, &context.sealer);
    let (verdict, changed) = look.await;
    let old = account.status.clone().unwrap_or_default();
    let generation = account.metadata.generation.unwrap_or_default();
    let usage = Usage {
        objects,
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
    if let Some(new) = new {
        // A lost race is no loss: the next look writes it.
        let written = context.objects.write_account_status(&account, &new).await;
        if written.is_ok()
            && let Some(ready) = new.conditions.first()
        {
            tracing::info!(
                account = name,
                ready = ready.status.as_str(),
                reason = ready.reason,
                message = ready.message,
                "status of account written"
            );
        }
    }
    Refreshed { verdict, changed }
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time::after_span(at, wait)
}

fn in_about(now: Timestamp, secs: i64) -> Timestamp {
    later(
        now,
        clock::jittered(Duration::from_secs(secs.unsigned_abs())),
    )
}
