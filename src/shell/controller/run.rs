//! The loop that owns the queue: events in, passes and polls out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::account::{AccountVerdict, Usage, account_status};
use crate::answer::KubeFailure;
use crate::api::account::SwrAccount;
use crate::desired::Scope;
use crate::object::ObjectKey;
use crate::pass::{Windows, Witness};
use crate::shell::clock;
use crate::shell::health::Health;
use crate::shell::kube::{
    Connection, Event, InstallationKeyError, Objects, Secrets, Seen, publisher, watch_accounts,
    watch_objects,
};
use crate::shell::metrics::Metrics;
use crate::shell::swr::{Endpoints, Transport};
use crate::tag::Installation;
use crate::witness::{Moves, Trust};

use super::Context;
use super::accounts::{Accounts, retries_soon};
use super::pass::{self, Ended};
use super::poll::{self, Polled, ReadSecrets};
use super::present::Present;
use super::queue::{Lane, Queue};

/// Passes under way at once. Each waits most of its time for a LIST that it shares or for its
/// turn at the account's limit: 64 writes at the default 10 per second take 6.4 s, well within
/// what an intent allows.
const PASSES_AT_ONCE: usize = 64;
/// An account's key is read again after this time, so that a rotated key is in use within it.
const ACCOUNT_REFRESH: Duration = Duration::from_secs(60);
/// For this long after the start, objects wait for the first look at every account.
const ACCOUNTS_PATIENCE: Duration = Duration::from_secs(10);
/// What is due by the minute needs no look at every event: it walks all objects.
const ROUND: Duration = Duration::from_millis(250);
/// Between two sweeps of what nobody uses any more.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_secs(15);
/// The loop turns at least this often, to tell that it is alive.
const TURN_MAX: Duration = Duration::from_secs(1);
/// Passes that are under way at SIGTERM have this time to end; a write to SWR takes 20 s at most,
/// and the process must be gone after 25.
const FAREWELL: Duration = Duration::from_secs(22);
/// What passes have told people last may take this long to be written.
const EVENTS_FAREWELL: Duration = Duration::from_secs(2);
/// A failing start is tried again after this time, doubling.
const START_GAP: Duration = Duration::from_secs(1);
const START_GAP_MAX: Duration = Duration::from_secs(30);

/// How the controller runs.
pub struct Options {
    /// Clients of the API server.
    pub connection: Connection,
    /// The operator's own namespace: key Secret, account Secrets.
    pub namespace: String,
    /// Namespaces whose objects are kept; all if empty.
    pub watch_namespaces: Vec<String>,
    /// Accounts that are served; all if empty.
    pub accounts: Vec<String>,
    /// A configured installation id.
    pub installation_id: Option<String>,
    /// Endpoints that are not derived from the region.
    pub endpoints: Endpoints,
    /// How SWR is reached.
    pub transport: Transport,
    /// The windows of time that decisions depend on.
    pub windows: Windows,
    /// Whether nothing is written to SWR.
    pub read_only: bool,
    /// Time between two looks at a Secret that is missing or unusable.
    pub secret_retry: Duration,
    /// What events give as their source.
    pub pod_name: String,
    /// Where everything is counted.
    pub metrics: Metrics,
}

/// Why the controller cannot start yet.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// There is no key for fingerprints.
    #[error(transparent)]
    Key(#[from] InstallationKeyError),
    /// The cluster cannot be told from others.
    #[error(
        "failed to read namespace kube-system, whose uid names the installation ({0:?}): grant it, or pass --installation-id"
    )]
    Cluster(KubeFailure),
    /// There is no `kube-system`.
    #[error(
        "namespace kube-system does not exist, whose uid names the installation: pass --installation-id"
    )]
    NoCluster,
}

/// A controller that is ready to run.
pub struct Running {
    context: Arc<Context>,
    options: Options,
    health: Arc<Health>,
    publishing: JoinHandle<()>,
}

/// Prepares the controller: installation, key for fingerprints. Waits for what is not there yet,
/// the API server, the Secret, or the permission, and says in the log what it waits for. `None` if
/// it was told to stop before.
pub async fn start(
    options: Options,
    health: Arc<Health>,
    shutdown: &mut watch::Receiver<bool>,
) -> Option<Running> {
    let secrets = Secrets::new(options.connection.unary.clone());
    let mut gap = START_GAP;
    let (installation, sealer) = loop {
        let error = match prepare(&options, &secrets).await {
            Ok(prepared) => break prepared,
            Err(error) => error,
        };
        // The Secret may come a moment after the Deployment; RBAC, too.
        tracing::warn!(%error, "cannot start yet");
        tokio::select! {
            () = tokio::time::sleep(clock::jittered(gap)) => {}
            _ = shutdown.wait_for(|stop| *stop) => return None,
        }
        gap = (gap * 2).min(START_GAP_MAX);
    };
    let (events, publishing) =
        publisher(options.connection.unary.clone(), options.pod_name.clone());
    let publishing = tokio::spawn(publishing);
    options.metrics.controller.at_once(PASSES_AT_ONCE);
    let context = Arc::new(Context {
        installation,
        windows: options.windows,
        read_only: options.read_only,
        started_at: clock::now(),
        objects: Objects::new(options.connection.unary.clone()),
        secrets,
        events,
        metrics: options.metrics.clone(),
        no_write_after: OnceLock::new(),
        sealer: Arc::new(sealer),
        present: Present::default(),
        accounts: Accounts::new(
            options.accounts.clone(),
            options.namespace.clone(),
            options.endpoints.clone(),
            options.transport.clone(),
            options.metrics.accounts.clone(),
        ),
    });
    if options.read_only {
        // A second lock behind the one in `step`: no writer sends anything.
        let _ = context.no_write_after.set(clock::now());
    }
    tracing::info!(
        installation = context.installation.as_str(),
        namespace = options.namespace,
        watch_namespaces = ?options.watch_namespaces,
        accounts = ?options.accounts,
        read_only = options.read_only,
        poll_secs = options.windows.poll_secs,
        settle_secs = options.windows.settle_secs,
        "started"
    );
    Some(Running {
        context,
        options,
        health,
        publishing,
    })
}

async fn prepare(
    options: &Options,
    secrets: &Secrets,
) -> Result<(Installation, crate::credential::Sealer), StartError> {
    let installation = match &options.installation_id {
        Some(id) => Installation::from_configured(id),
        None => {
            let uid = secrets
                .namespace_uid("kube-system")
                .await
                .map_err(StartError::Cluster)?
                .ok_or(StartError::NoCluster)?;
            Installation::from_cluster(&uid, &options.namespace)
        }
    };
    let sealer = secrets.sealer(&options.namespace).await?;
    Ok((installation, sealer))
}

struct EndedPass {
    key: ObjectKey,
    uid: String,
    ended: Ended,
}

struct Refreshed {
    name: String,
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
    of_task: HashMap<tokio::task::Id, (ObjectKey, String)>,
    polls: JoinSet<Polled>,
    polling: HashSet<Scope>,
    poll_at: HashMap<Scope, (Timestamp, i64)>,
    /// What the `updated_at` of each instance is worth.
    trust: HashMap<Scope, Trust>,
    secret_looks: JoinSet<ReadSecrets>,
    secret_look_at: Option<Timestamp>,
    refreshes: JoinSet<Refreshed>,
    accounts: BTreeMap<String, SwrAccount>,
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
            polling: HashSet::new(),
            poll_at: HashMap::new(),
            trust: HashMap::new(),
            secret_looks: JoinSet::new(),
            secret_look_at: None,
            refreshes: JoinSet::new(),
            accounts: BTreeMap::new(),
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
            state.start_what_is_due();
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
                    state.object_event(namespace.as_deref(), event);
                }
                Some(event) = accounts.next() => state.account_event(event),
                Some(ended) = state.passes.join_next_with_id() => state.pass_ended(ended),
                Some(polled) = state.polls.join_next() => state.poll_ended(polled),
                Some(secrets) = state.secret_looks.join_next() => state.secrets_looked_at(secrets),
                Some(refreshed) = state.refreshes.join_next() => state.account_refreshed(refreshed),
                () = tokio::time::sleep(nap) => {}
            }
        }
        state.farewell().await;
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
            let patience = SignedDuration::try_from(ACCOUNTS_PATIENCE).unwrap_or_default();
            if (listed && looked_at()) || now > self.context.started_at + patience {
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
        self.refresh_at.remove(name);
        self.context.accounts.forget(name);
        self.context.metrics.objects.account_forgotten(name);
        self.queue.account_changed(name, clock::now());
    }

    fn account_event(&mut self, event: Event<SwrAccount>) {
        match event {
            Event::Listing => self.listed_accounts = Some(HashSet::new()),
            Event::Listed => {
                let listed = self.listed_accounts.take().unwrap_or_default();
                let gone = self.accounts.keys().filter(|name| !listed.contains(*name));
                for name in gone.cloned().collect::<Vec<_>>() {
                    self.forget_account(&name);
                }
                self.accounts_were_listed = true;
                self.health.accounts_listed();
            }
            Event::Applied(account) => {
                let name = account.metadata.name.clone().unwrap_or_default();
                if !self.context.accounts.serves(&name) {
                    return;
                }
                if let Some(listed) = &mut self.listed_accounts {
                    listed.insert(name.clone());
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
            Event::Deleted(account) => {
                self.forget_account(&account.metadata.name.unwrap_or_default());
            }
            Event::Failing(error) => tracing::warn!(error, "the watch of accounts begins anew"),
        }
    }

    fn start_what_is_due(&mut self) {
        let now = clock::now();
        while self.accounts_known(now)
            && self.passes.len() < PASSES_AT_ONCE
            && let Some(turn) = self.queue.next(now)
        {
            let (key, uid) = (turn.key.clone(), turn.uid.clone());
            let waited = now.duration_since(turn.queued_at).unsigned_abs();
            let counted = self.context.metrics.controller.begins(waited);
            let trust = turn.scope.as_ref().and_then(|scope| self.trust.get(scope));
            let witness = Witness {
                is_believed: trust != Some(&Trust::Broken),
                may_send: turn.may_resend,
            };
            let context = Arc::clone(&self.context);
            let task = self.passes.spawn(async move {
                let _counted = counted;
                let (key, uid) = (turn.key.clone(), turn.uid.clone());
                let ended = pass::run(context, key, uid, turn.memory, witness);
                EndedPass {
                    ended: ended.await,
                    key: turn.key,
                    uid: turn.uid,
                }
            });
            self.of_task.insert(task.id(), (key, uid));
        }
        let waiting = self.queue.waiting_for_turn();
        self.context.metrics.controller.waiting(waiting);
        if self.round_at <= now {
            self.round_at = now + SignedDuration::try_from(ROUND).unwrap_or_default();
            self.start_polls(now);
            self.start_secret_look(now);
        }
        if self.swept_at + SWEEP_EVERY <= now {
            self.swept_at = now;
            self.forget_unused_instances();
        }
        self.start_refreshes(now);
    }

    /// Inventories and counts of instances that no object names any more. Those that a look under
    /// way brings back go with the next sweep.
    fn forget_unused_instances(&self) {
        let used = self.queue.all_scopes();
        let is_used = |account: &str, instance: &str| {
            let accounts = self.accounts.contains_key(account);
            accounts && used.contains(&(account, instance))
        };
        self.context.accounts.retain_instances(is_used);
        self.context.metrics.objects.retain_instances(is_used);
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
                self.polls.spawn(poll::poll(context, scope, secrets));
            }
        }
    }

    fn start_secret_look(&mut self, now: Timestamp) {
        let waits = self.queue.waiting().next().is_some();
        let at = match (waits, self.secret_look_at) {
            (false, _) => {
                self.secret_look_at = None;
                return;
            }
            (true, None) => {
                let retry = SignedDuration::try_from(self.secret_retry)
                    .unwrap_or(SignedDuration::from_secs(10));
                *self.secret_look_at.insert(now + retry)
            }
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
            self.refreshes
                .spawn(refresh(context, name, account, objects));
        }
    }

    /// Until the next thing is due.
    fn nap(&self) -> Duration {
        let polls = self
            .poll_at
            .iter()
            .filter(|(scope, _)| !self.polling.contains(scope))
            .map(|(_, (at, _))| *at);
        let secret_look = self.secret_look_at.filter(|_| self.secret_looks.is_empty());
        let in_a_round = polls.chain(secret_look).map(|at| at.max(self.round_at));
        let refreshes = self
            .refresh_at
            .iter()
            .filter(|(name, _)| !self.refreshing.contains(*name))
            .map(|(_, at)| *at);
        // What cannot begin before a pass ends is woken by that end.
        let has_room = self.passes.len() < PASSES_AT_ONCE && self.accounts_known_at.is_some();
        let due = self.queue.next_due().filter(|_| has_room);
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
                if let Some((key, uid)) = self.of_task.remove(&error.id()) {
                    let ended = Ended::broken();
                    self.context.metrics.controller.ended(ended.outcome());
                    self.queue.finished(&key, &uid, ended, now, clock::jittered);
                }
                return;
            }
        };
        let outcome = ended.ended.outcome();
        self.context.metrics.controller.ended(outcome);
        self.queue
            .finished(&ended.key, &ended.uid, ended.ended, now, clock::jittered);
        self.forget_series(&ended.key);
    }

    fn poll_ended(&mut self, polled: Result<Polled, JoinError>) {
        let Ok(polled) = polled else {
            // A poll that panics is begun anew after its interval, which began with it.
            tracing::error!("a poll panicked; this is a bug, please report it");
            self.polling.clear();
            return;
        };
        let now = clock::now();
        self.polling.remove(&polled.scope);
        if let Some((at, secs)) = self.poll_at.get_mut(&polled.scope) {
            *at = in_about(now, *secs);
        }
        let differing = poll::differing(&self.context, &self.queue, &polled);
        tracing::debug!(
            account = polled.scope.account,
            instance = %polled.scope.instance,
            differing = differing.len(),
            "polled"
        );
        let moves = self.moves(&polled);
        poll::count(&self.context, &self.queue, &polled, &differing, &moves, now);
        for key in differing {
            self.queue.wake(&key, Lane::Sweep, now);
        }
        for key in moves.resend {
            self.queue.resend(&key, now);
        }
    }

    /// What a poll tells of changes that SWR does not show, and says once that it tells nothing.
    fn moves(&mut self, polled: &Polled) -> Moves<ObjectKey> {
        let trust = self.trust.entry(polled.scope.clone()).or_default();
        let moves = poll::moves(&self.queue, polled, *trust);
        if moves.trust == Trust::Broken && *trust != Trust::Broken {
            tracing::warn!(
                account = polled.scope.account,
                instance = %polled.scope.instance,
                "a change of a target's health moved updated_at: what is changed in SWR without showing is not noticed in this instance until the operator starts anew"
            );
        }
        *trust = moves.trust;
        moves
    }

    fn secrets_looked_at(&mut self, secrets: Result<ReadSecrets, JoinError>) {
        self.secret_look_at = None;
        if let Ok(secrets) = secrets {
            for key in poll::released(&self.queue, &secrets) {
                self.queue.wake(&key, Lane::Sweep, clock::now());
            }
        }
    }

    fn account_refreshed(&mut self, refreshed: Result<Refreshed, JoinError>) {
        let Ok(refreshed) = refreshed else {
            tracing::error!("a look at an account panicked; this is a bug, please report it");
            let again =
                clock::now() + SignedDuration::try_from(ACCOUNT_REFRESH).unwrap_or_default();
            for name in self.refreshing.drain() {
                self.refresh_at.insert(name, again);
            }
            return;
        };
        self.refreshing.remove(&refreshed.name);
        if !self.accounts.contains_key(&refreshed.name) {
            // It was deleted during this look, which brought it back.
            self.forget_account(&refreshed.name);
            return;
        }
        let wait = if retries_soon(&refreshed.verdict) {
            self.secret_retry
        } else {
            ACCOUNT_REFRESH
        };
        let wait = SignedDuration::try_from(clock::jittered(wait)).unwrap_or_default();
        if let Some(at) = self.refresh_at.get_mut(&refreshed.name) {
            // A change that came meanwhile asks for a look at once.
            *at = (*at).min(clock::now() + wait);
        }
        if refreshed.changed {
            self.queue.account_changed(&refreshed.name, clock::now());
        }
    }

    /// Starts nothing any more, and ends what is under way.
    async fn farewell(mut self) {
        self.polls.abort_all();
        self.secret_looks.abort_all();
        self.refreshes.abort_all();
        // A write that begins later could be cut off half way, which costs T_settle at the start.
        let write = Duration::from_secs(self.context.windows.write_secs.unsigned_abs());
        let _ = self
            .context
            .no_write_after
            .set(clock::after(FAREWELL.saturating_sub(write)));
        let under_way = self.passes.len();
        tracing::info!(under_way, "stopping");
        let ended = tokio::time::timeout(FAREWELL, async {
            while self.passes.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            // What they would have written down is found by its tag at the next start.
            tracing::warn!(abandoned = self.passes.len(), "passes did not end in time");
        }
        let publishing = self.publishing;
        let _ = tokio::time::timeout(EVENTS_FAREWELL, async {
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
    Refreshed {
        name,
        verdict,
        changed,
    }
}

fn in_about(now: Timestamp, secs: i64) -> Timestamp {
    let wait = clock::jittered(Duration::from_secs(secs.unsigned_abs()));
    now.checked_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX))
        .unwrap_or(Timestamp::MAX)
}
