//! The read that costs least: one LIST, or a page of what changed last, and one GET per distinct
//! Secret tell for every object of an instance whether its baseline still holds. Only those
//! for which it does not get a reconcile of their own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;

use crate::metrics::OfInstance;
use swr_operator_clock as clock;
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::credential::Sealer;
use swr_operator_core::desired::{InstanceId, Scope};
use swr_operator_core::object::ObjectKey;
use swr_operator_core::observed::Inventory;
use swr_operator_core::tag::{Installation, Owner};
use swr_operator_core::witness::{self, Moves, Testimony, Trust};
use swr_operator_swr::Reader;

use super::context::Context;
use super::queue::{Queue, RestingObject};
use super::schedule::Purpose;
use super::secrets::{self, ReadSecret, SecretKey};
use super::shared::Load;
use super::snapshots::{Observation, Snapshots};

/// Before a poll that failed is tried once more: longer than a failure is remembered at first.
const SECOND_TRY: Duration = Duration::from_secs(2);
/// GETs of Secrets that are under way at once.
const SECRETS_AT_ONCE: usize = 8;

/// Secrets as they were read.
pub(super) type ReadSecrets = HashMap<SecretKey, ReadSecret>;

/// What a read of an instance saw.
pub(super) struct Polled {
    pub(super) scope: Scope,
    pub(super) purpose: Purpose,
    pub(super) begun: Timestamp,
    /// `None` if the account cannot be used, or nothing but a LIST of all would have told.
    pub(super) observation: Option<Observation>,
    pub(super) secrets: ReadSecrets,
    /// Whether the order of the newest changes is not believed.
    pub(super) order_distrusted: bool,
}

impl Polled {
    /// Whether all registries were read.
    fn is_whole(&self) -> bool {
        self.purpose != Purpose::Changes
    }

    /// The inventory, if all registries were read.
    fn whole(&self) -> Option<&Inventory> {
        let observation = self.observation.as_ref().filter(|_| self.is_whole())?;
        observation.as_ref().ok().map(Arc::as_ref)
    }

    /// Whether what was read may tell more than the object's baseline. What a reconcile that ended
    /// meanwhile saw may be younger; what the two show differently, the next read tells.
    fn tells_of(&self, object: &RestingObject<'_>) -> bool {
        object.at < self.begun
    }
}

/// Reads an instance, and these Secrets.
pub(super) async fn read(
    context: Arc<Context>,
    scope: Scope,
    purpose: Purpose,
    secrets: BTreeSet<SecretKey>,
) -> Polled {
    let begun = clock::now();
    let (observation, order_distrusted) = match context.accounts.get(&scope.account) {
        Ok(account) => (
            observe(
                &account.client.reader(),
                &account.snapshots,
                &scope.instance,
                purpose,
            )
            .await,
            account.snapshots.distrusts_order(&scope.instance),
        ),
        Err(_) => (None, false),
    };
    let secrets = read_secrets(&context, secrets).await;
    Polled {
        scope,
        purpose,
        begun,
        observation,
        secrets,
        order_distrusted,
    }
}

/// Reads an instance for this purpose.
pub(super) async fn observe(
    reader: &Reader,
    snapshots: &Snapshots,
    instance: &InstanceId,
    purpose: Purpose,
) -> Option<Observation> {
    match purpose {
        Purpose::Poll => {
            let observation = snapshots.poll(reader, instance).await;
            if observation.is_ok() {
                return Some(observation);
            }
            // One lost answer must not make every object say that it cannot be verified.
            tokio::time::sleep(clock::jittered(SECOND_TRY)).await;
            Some(snapshots.poll(reader, instance).await)
        }
        Purpose::Retry => Some(snapshots.retry(reader, instance).await),
        // What it cannot tell is for the next poll.
        Purpose::Changes => snapshots.changes(reader, instance).await.map(Ok),
    }
}

/// Reads each Secret once.
pub(super) async fn read_secrets(context: &Context, secrets: BTreeSet<SecretKey>) -> ReadSecrets {
    futures::stream::iter(secrets)
        .map(|(namespace, name)| async move {
            let secret = context.secrets.read(&namespace, &name, Load::Heavy).await;
            ((namespace, name), secret)
        })
        .buffer_unordered(SECRETS_AT_ONCE)
        .collect()
        .await
}

/// The Secrets that the objects of a scope use.
pub(super) fn secrets_of(queue: &Queue, scope: &Scope) -> BTreeSet<SecretKey> {
    queue
        .resting(scope)
        .map(|it| (it.key.namespace.clone(), it.baseline.secret.name.clone()))
        .collect()
}

/// The objects whose baseline does not hold any more. Those of an instance that
/// cannot be listed are told so by a poll, not by a read for those that wait.
pub(super) fn differing(sealer: &Sealer, queue: &Queue, polled: &Polled) -> Vec<ObjectKey> {
    queue
        .resting(&polled.scope)
        .filter(|it| {
            let baseline = it.baseline;
            let same_registry = match &polled.observation {
                Some(Ok(_)) if !polled.tells_of(it) => true,
                // Between two polls nothing can have changed for it: no inventory has such a digest.
                Some(Ok(_)) if !polled.is_whole() && baseline.digest.waits_for_poll() => true,
                Some(Ok(inventory)) => baseline.concern.digest(inventory) == baseline.digest,
                // Every object has to say that it cannot be verified.
                Some(Err(_)) | None => polled.purpose != Purpose::Poll,
            };
            !(same_registry && same_credential(sealer, it, &polled.secrets))
        })
        .map(|it| it.key.clone())
        .collect()
}

/// Whether the object's credential is the one that its baseline tells of, as far as its Secret was read.
fn same_credential(sealer: &Sealer, it: &RestingObject<'_>, secrets: &ReadSecrets) -> bool {
    let baseline = it.baseline;
    let secret_key = (it.key.namespace.clone(), baseline.secret.name.clone());
    match secrets.get(&secret_key) {
        Some(Ok(secret)) => secrets::credential(secret.as_deref(), &baseline.secret)
            .is_ok_and(|credential| sealer.seal(it.uid, &credential).whole == baseline.credential),
        // A permission that is gone concerns the object; the API server being slow does not.
        Some(Err(KubeFailure::Forbidden)) => false,
        Some(Err(_)) | None => true,
    }
}

/// The objects whose Secret holds another credential than their registry has.
pub(super) fn rotated(sealer: &Sealer, queue: &Queue, secrets: &ReadSecrets) -> Vec<ObjectKey> {
    let rotated = queue.all_resting();
    let rotated = rotated.filter(|it| !same_credential(sealer, it, secrets));
    rotated.map(|it| it.key.clone()).collect()
}

/// What a poll tells metrics: who was verified, and what is ours without an object.
pub(super) fn count(
    context: &Context,
    queue: &Queue,
    polled: &Polled,
    differing: &[ObjectKey],
    moves: &Moves<&ObjectKey>,
    now: Timestamp,
) {
    // What a read of the newest changes does not show may be gone.
    let Some(inventory) = polled.whole() else {
        return;
    };
    let objects = &context.metrics.objects;
    let differing: HashSet<&ObjectKey> = differing.iter().collect();
    for it in queue.resting(&polled.scope) {
        if !differing.contains(it.key) {
            objects.verified(it.key, now);
        }
    }
    let Scope { account, instance } = &polled.scope;
    let installation = &context.installation;
    let tags = inventory.tags().filter(|(tag, _)| installation.wrote(tag));
    let found = OfInstance {
        orphans: orphans(installation, queue, &polled.scope, inventory),
        duplicates: tags.map(|(_, carriers)| carriers.saturating_sub(1)).sum(),
        unexplained: moves.unexplained,
        distrusted: moves.testimony.trust == Trust::Broken,
        order_distrusted: polled.order_distrusted,
    };
    objects.observed(account, instance.as_str(), found);
}

/// What the instance's `updated_at` tells of changes that SWR does not show.
pub(super) fn moves<'q>(
    queue: &'q Queue,
    polled: &'q Polled,
    before: Testimony,
) -> Moves<&'q ObjectKey> {
    let Some(inventory) = polled.whole() else {
        return Moves::none(before);
    };
    let objects = queue.resting(&polled.scope);
    let objects = objects.filter(|it| polled.tells_of(it));
    witness::examine(before, objects.map(|it| (it.key, it.baseline)), inventory)
}

/// How many registries carry our installation's tag and that of no object.
fn orphans(
    installation: &Installation,
    queue: &Queue,
    scope: &Scope,
    inventory: &Inventory,
) -> usize {
    let known: HashSet<&str> = queue
        .resting(scope)
        .map(|it| it.baseline.concern.owner.tag())
        .collect();
    let mut unknown: HashMap<&str, usize> = inventory
        .tags()
        .filter(|(tag, _)| installation.wrote(tag) && !known.contains(tag))
        .collect();
    // Hashing every object's name is for the rare poll that needs it.
    if !unknown.is_empty() {
        for (key, uid) in queue.all() {
            let owner = Owner::new(installation, uid, &key.namespace, &key.name);
            unknown.remove(owner.tag());
        }
    }
    unknown.values().sum()
}

/// Those of the Secrets that an object uses or waits for.
pub(super) fn secrets_in_use(
    queue: &Queue,
    mut secrets: BTreeSet<SecretKey>,
) -> BTreeSet<SecretKey> {
    let mut in_use = BTreeSet::new();
    if secrets.is_empty() {
        return in_use;
    }
    let resting = queue.all_resting();
    let resting = resting.map(|it| (it.key, &it.baseline.secret.name));
    let waiting = queue.waiting();
    let waiting = waiting.map(|(key, _, waiting)| (key, &waiting.secret.name));
    for (key, name) in resting.chain(waiting) {
        if let Some(secret) = secrets.take(&(key.namespace.clone(), name.clone())) {
            in_use.insert(secret);
        }
    }
    in_use
}

/// The Secrets that objects wait for.
pub(super) fn secrets_waited_for(queue: &Queue) -> BTreeSet<SecretKey> {
    queue
        .waiting()
        .map(|(key, _, waiting)| (key.namespace.clone(), waiting.secret.name.clone()))
        .collect()
}

/// The objects whose Secret is not any more as it was when they began to wait.
pub(super) fn released(queue: &Queue, secrets: &ReadSecrets) -> Vec<ObjectKey> {
    queue
        .waiting()
        .filter(|(key, _, waiting)| {
            let secret_key = (key.namespace.clone(), waiting.secret.name.clone());
            match secrets.get(&secret_key) {
                Some(Ok(secret)) => match secrets::credential(secret.as_deref(), &waiting.secret) {
                    Ok(_) => true,
                    Err(problem) => problem != waiting.problem,
                },
                Some(Err(_)) | None => false,
            }
        })
        .map(|(key, _, _)| key.clone())
        .collect()
}
