//! The one loop: what the watches show and what has ended comes in, and what is due is started.
//! Nothing is awaited here but the next of these; every reconcile and every read is a task of its own.
//! Which object is next is told by `queue`, which instance is read next by `schedule`, whose key by
//! `roster`.

mod accounts;
mod deletions;
mod leading;
mod reads;
mod watches;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::SelectAll;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::health::Health;
use swr_operator_clock as clock;
use swr_operator_core::desired::Scope;
use swr_operator_core::object::ObjectKey;
use swr_operator_core::reconcile::Witness;
use swr_operator_core::requeue::Requeue;
use swr_operator_core::time;
use swr_operator_kube::{Event, Seen, watch_accounts, watch_namespaces};

use self::accounts::Refreshed;
use super::changed_secrets::ChangedSecrets;
use super::context::Context;
use super::lanes;
use super::leadership::Leadership;
use super::mass_deletion::MassDeletionGuard;
use super::poll::{Polled, ReadSecrets};
use super::queue::Queue;
use super::reconcile;
use super::roster::Roster;
use super::schedule::{Purpose, Schedule};
use super::start::Running;
use super::turn::Ended;

/// What is due by the minute is not searched for at every event.
const ROUND: Duration = Duration::from_millis(250);
/// Between two times that what nobody uses any more is dropped.
const DROP_UNUSED_EVERY: Duration = Duration::from_secs(15);
/// The loop turns at least this often, to tell that it is alive.
const TURN_MAX: Duration = Duration::from_secs(1);

pub use self::leading::Ending;

struct EndedReconcile {
    lane: Option<Scope>,
    key: ObjectKey,
    uid: String,
    ended: Ended,
}

struct Loop {
    context: Arc<Context>,
    health: Arc<Health>,
    publishing: JoinHandle<()>,
    secret_retry: Duration,
    queue: Queue,
    /// Which deletions may go on.
    guard: MassDeletionGuard,
    reconciles: JoinSet<EndedReconcile>,
    /// Whose reconcile a task is, for the one that panics.
    of_task: HashMap<tokio::task::Id, (ObjectKey, String, Option<Scope>)>,
    /// When each instance is read.
    schedule: Schedule,
    reads: JoinSet<Polled>,
    /// Which instance a task reads, and what for, for the one that panics.
    of_read: HashMap<tokio::task::Id, (Scope, Purpose)>,
    /// What the watch of Secrets showed, if they are watched.
    changed_secrets: ChangedSecrets,
    secret_reads: JoinSet<ReadSecrets>,
    secret_read_at: Option<Timestamp>,
    /// When the key of each account is read.
    roster: Roster,
    refreshes: JoinSet<Refreshed>,
    /// Whose key a task reads, for the one that panics.
    of_refresh: HashMap<tokio::task::Id, String>,
    /// Whether an account grants by the labels of namespaces, or did: then they are watched.
    watches_namespaces: bool,
    /// The namespaces whose objects were not listed yet; `None` for all.
    unlisted: HashSet<Option<String>>,
    /// Those whose Secrets were not listed yet, if they are watched.
    unlisted_secrets: HashSet<Option<String>>,
    leadership: Leadership,
    leads: bool,
    /// When this process began to lead; `None` until it does.
    leads_since: Option<Timestamp>,
    /// Whether reconciles may begin.
    may_begin: bool,
    /// When instances and Secrets that are waited for are gone through next.
    round_at: Timestamp,
    /// When unused instances were forgotten last.
    dropped_at: Timestamp,
}

impl Running {
    /// Runs until `shutdown` says so or the lease is lost, and ends what is under way.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> Ending {
        let Running {
            context,
            options,
            leadership,
            health,
            publishing,
        } = self;
        context.metrics.controller.at_once(lanes::ALL_AT_ONCE);
        let mut objects = watches::objects(&options);
        let mut secrets = watches::secrets(&options);
        let mut accounts = watch_accounts(options.connection.watch.clone()).boxed();
        let mut namespaces = SelectAll::new();
        let mut state = Loop {
            context,
            health,
            publishing,
            secret_retry: options.secret_retry,
            queue: Queue::default(),
            guard: MassDeletionGuard::new(options.deletion_hold),
            reconciles: JoinSet::new(),
            of_task: HashMap::new(),
            schedule: Schedule::new(options.drift_secs, clock::jittered),
            reads: JoinSet::new(),
            of_read: HashMap::new(),
            changed_secrets: ChangedSecrets::default(),
            secret_reads: JoinSet::new(),
            secret_read_at: None,
            roster: Roster::default(),
            refreshes: JoinSet::new(),
            of_refresh: HashMap::new(),
            watches_namespaces: false,
            unlisted: watches::namespaces_of(&options).into_iter().collect(),
            unlisted_secrets: watches::namespaces_of_secrets(&options)
                .into_iter()
                .collect(),
            leadership,
            leads: false,
            leads_since: None,
            may_begin: false,
            round_at: clock::now(),
            dropped_at: clock::now(),
        };
        state.stand_by();
        while !state.leadership.is_lost() {
            state.health.beat();
            if !state.contained("starting what is due", Loop::start_what_is_due) {
                // It is due again at once.
                tokio::time::sleep(TURN_MAX).await;
            }
            if state.watches_namespaces && namespaces.is_empty() {
                namespaces.push(watch_namespaces(options.connection.watch.clone()).boxed());
            }
            let nap = state.nap();
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                () = state.leadership.changed() => {}
                Some((namespace, event)) = objects.next() => {
                    state.contained("an event of an object", |state| {
                        state.object_event(namespace, event);
                    });
                }
                Some(event) = accounts.next() => {
                    state.contained("an event of an account", |state| state.account_event(event));
                }
                Some((namespace, event)) = secrets.next() => {
                    state.contained("an event of a Secret", |state| {
                        state.secret_event(namespace, event);
                    });
                }
                Some(event) = namespaces.next() => {
                    state.contained("an event of a namespace", |state| state.namespace_event(event));
                }
                Some(ended) = state.reconciles.join_next_with_id() => {
                    state.contained("the end of a reconcile", |state| state.reconcile_ended(ended));
                }
                Some(read) = state.reads.join_next_with_id() => state.instance_read(read),
                Some(secrets) = state.secret_reads.join_next() => state.secrets_read(secrets),
                Some(refreshed) = state.refreshes.join_next_with_id() => {
                    state.account_refreshed(refreshed);
                }
                () = tokio::time::sleep(nap) => {}
            }
        }
        state.shut_down().await
    }
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

    fn object_event(&mut self, namespace: Option<String>, event: Event<Seen>) {
        match event {
            Event::Listing => self.queue.listing(namespace.as_deref()),
            Event::Listed => {
                self.queue.listed(namespace.as_deref());
                self.unlisted.remove(&namespace);
                if self.unlisted.is_empty() {
                    self.health.objects_listed();
                }
                self.guard.retain(|key, uid| self.queue.has(key, uid));
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
                if let Some(scope) = &seen.scope {
                    self.roster.is_named(&scope.account, now);
                }
                self.object_applied(seen, now);
            }
            Event::Deleted(seen) => {
                self.guard.gone(&seen.key, &seen.uid);
                self.queue.deleted(&seen.key, &seen.uid);
                if let Some(scope) = &seen.scope
                    && self.roster.is_deleting(&scope.account)
                    && self.queue.users_of(&scope.account) == 0
                {
                    self.roster.check(&scope.account, clock::now());
                }
                self.context.present.gone(&seen.uid);
                self.forget_series(&seen.key);
            }
            Event::Failing(error) => tracing::warn!(error, "the watch of objects begins anew"),
        }
    }

    fn forget_series(&self, key: &ObjectKey) {
        if !self.queue.contains(key) {
            self.context.metrics.objects.forget(key);
        }
    }

    fn start_what_is_due(&mut self) {
        let now = clock::now();
        if !self.leads(now) {
            return;
        }
        while self.may_begin(now)
            && let Some(turn) = self.queue.next(now)
        {
            let (key, uid, lane) = (turn.key.clone(), turn.uid.clone(), turn.lane.clone());
            let waited = now.duration_since(turn.queued_at).unsigned_abs();
            let counted = self.context.metrics.controller.begins(waited);
            let scope = turn.scope.as_ref();
            let testimony = scope.map(|scope| self.schedule.testimony(scope));
            let witness = Witness {
                is_believed: testimony.is_some_and(|testimony| testimony.is_believed),
                may_send: turn.may_resend,
            };
            let clearance = self.guard.clearance(&turn.key, &turn.uid, now);
            let context = Arc::clone(&self.context);
            let task = self.reconciles.spawn(async move {
                let _counted = counted;
                let (key, uid, lane) = (turn.key.clone(), turn.uid.clone(), turn.lane.clone());
                EndedReconcile {
                    ended: Box::pin(reconcile::run(context, turn, witness, clearance)).await,
                    lane,
                    key,
                    uid,
                }
            });
            self.of_task.insert(task.id(), (key, uid, lane));
        }
        let waiting = self.queue.waiting_for_turn();
        self.context.metrics.controller.waiting(waiting);
        if self.round_at <= now {
            self.round_at = time::after_wait(now, ROUND);
            self.start_reads(now);
            self.start_secret_read(now);
            self.judge_deletions(now);
            for account in self.context.accounts.news() {
                self.roster.check(&account, now);
            }
        }
        if time::after_wait(self.dropped_at, DROP_UNUSED_EVERY) <= now {
            self.dropped_at = now;
            self.forget_unused_instances();
        }
        self.start_refreshes(now);
    }

    /// Inventories and counts of instances that no object names any more. Those that a read under
    /// way brings back go the next time.
    fn forget_unused_instances(&mut self) {
        let used = self.queue.all_scopes();
        let is_used = |account: &str, instance: &str| {
            self.roster.contains(account) && used.contains(&(account, instance))
        };
        self.context.accounts.retain_instances(is_used);
        self.context.metrics.objects.retain_instances(is_used);
        self.schedule
            .retain(|scope| is_used(&scope.account, scope.instance.as_str()));
    }

    /// Until the next thing is due.
    fn nap(&mut self) -> Duration {
        if !self.leads(clock::now()) {
            return TURN_MAX;
        }
        let secret_read = self.secret_read_at.filter(|_| self.secret_reads.is_empty());
        let in_a_round = self.schedule.next_at().into_iter().chain(secret_read);
        let in_a_round = in_a_round.chain(self.guard.next_at().filter(|_| self.may_begin));
        let changed = self.changed_secrets.next_at();
        let in_a_round = in_a_round.chain(changed.filter(|_| self.secret_reads.is_empty()));
        let in_a_round = in_a_round.map(|at| at.max(self.round_at));
        // What cannot begin before a reconcile ends is woken by that end.
        let due = self.queue.next_due().filter(|_| self.may_begin);
        in_a_round
            .chain(self.roster.next_at())
            .chain(due)
            .min()
            .map_or(TURN_MAX, |at| clock::until(at).min(TURN_MAX))
    }

    fn reconcile_ended(&mut self, ended: Result<(tokio::task::Id, EndedReconcile), JoinError>) {
        let now = clock::now();
        let ended = match ended {
            Ok((task, ended)) => {
                self.of_task.remove(&task);
                ended
            }
            // A reconcile contains its own panics; this is one in what contains them, or an abort.
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
        // A LIST that succeeded for one succeeded for all. One reconcile may list twice: the last counts.
        let listed = ended.ended.baseline.is_some()
            && !matches!(ended.ended.requeue, Requeue::Instance { .. });
        let scope = self.queue.scope_of(&ended.key).filter(|_| listed).cloned();
        if let Some(scope) = scope.filter(|scope| self.queue.is_waited_for(scope)) {
            self.instance_answers(&scope, now);
        }
        self.queue
            .finished(&ended.key, &ended.uid, ended.ended, now, clock::jittered);
        self.forget_series(&ended.key);
    }
}
