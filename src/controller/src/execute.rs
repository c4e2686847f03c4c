//! Effect -> await -> outcome, one arm each. What the world answers goes to the effect's `then`
//! as it is; the credential waits here, beside the state, and goes into a request and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use swr_operator_clock as clock;
use swr_operator_core::answer::{Account, KubeFailure, Labels, SecretProblem};
use swr_operator_core::credential::Credential;
use swr_operator_core::desired::{RegistryId, SecretRef};
use swr_operator_core::diff::Changes;
use swr_operator_core::effect::{
    AccountAnswer, Effect, ListAnswer, Listing, Next, RegistryWrite, ReserveAnswer, SecretAnswer,
};
use swr_operator_core::event::{self, Event};
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::observed::Record;
use swr_operator_core::plan::Why;
use swr_operator_core::reconcile::Work;
use swr_operator_swr::{Audit, Body, Reservation, Writer};

use super::accounts::Usable;
use super::context::Context;
use super::leadership::Writing;
use super::secrets;
use super::shared::Load;
use super::snapshots::{Need, Own};

/// Executes the effects of one reconcile.
pub(super) struct Executor<'a> {
    context: &'a Context,
    /// How much the object's instance has to do.
    load: Load,
    account: Option<Arc<Usable>>,
    /// Those by which the account granted it.
    namespace_labels: Labels,
    credential: Option<Credential>,
    /// Room for one write.
    reservation: Option<Reservation>,
    /// Set with the first write, until the reconcile ends.
    writing: Option<Writing>,
}

impl<'a> Executor<'a> {
    pub(super) fn new(context: &'a Context, load: Load) -> Self {
        Executor {
            context,
            load,
            account: None,
            namespace_labels: Labels::new(),
            credential: None,
            reservation: None,
            writing: None,
        }
    }

    pub(super) async fn execute(&mut self, effect: Effect) -> Next {
        let objects = &self.context.objects;
        match effect {
            Effect::ReadObject { then } => {
                let answer = objects.read(then.key()).await;
                then.resume(answer, clock::now())
            }
            Effect::ConfirmObject { then } => {
                let answer = objects.read(&then.work().object().key).await;
                then.resume(answer, clock::now())
            }
            Effect::ReadAccount { then } => {
                let answer = self.read_account(then.work());
                then.resume(answer, clock::now())
            }
            Effect::ReadSecret { secret, then } => {
                let answer = self.read_secret(&secret, then.work()).await;
                then.resume(answer, clock::now())
            }
            Effect::List {
                started_after,
                then,
            } => {
                let answer = self.list(started_after, &then).await;
                then.resume(answer, clock::now())
            }
            Effect::Show { id, then } => {
                let instance = then.work().scope().instance.clone();
                let answer = match self.account() {
                    Ok(account) if then.takes_page() => {
                        let reader = account.client.reader();
                        account
                            .snapshots
                            .show(&reader, &instance, id, self.load)
                            .await
                    }
                    Ok(account) => account.client.reader().show(&instance, id).await,
                    Err(failure) => Err(failure),
                };
                then.resume(answer, clock::now())
            }
            Effect::FindOwner { tag, then } => {
                let exists = self.context.present.owns(&tag);
                then.resume(exists, clock::now())
            }
            Effect::AddFinalizer { then } => {
                let answer = objects.add_finalizer(then.work().object()).await;
                then.resume(answer, clock::now())
            }
            Effect::Reserve { then } => {
                let answer = self.reserve(then.work(), then.creates()).await;
                then.resume(answer, clock::now())
            }
            Effect::RecordIntent { status, then } => {
                let answer = objects.write_status(then.work().object(), &status).await;
                then.resume(answer, clock::now())
            }
            Effect::Create {
                intent,
                write,
                then,
            } => {
                let work = then.work();
                let answer = self.create(work, &write, intent.not_after()).await;
                if let Ok(id) = &answer {
                    if let Some(id) = id {
                        self.wrote(work, *id, Own::Created);
                    }
                    self.publish(work, event::created(then.desired(), *id));
                }
                then.resume(answer, clock::now())
            }
            Effect::RecordId { status, then } => {
                let answer = objects.write_status(then.work().object(), &status).await;
                then.resume(answer, clock::now())
            }
            Effect::Update {
                target,
                write,
                not_after,
                then,
            } => {
                let work = then.work();
                let answer = self.put(work, target.record(), &write, not_after);
                let answer = answer.await;
                if answer.is_ok() {
                    self.publish(
                        work,
                        event::updated(then.desired(), write.why, &write.changes),
                    );
                }
                then.resume(answer, clock::now())
            }
            Effect::Adopt {
                intent,
                target,
                write,
                then,
            } => {
                let work = then.work();
                let answer = self.put(work, target.record(), &write, intent.not_after());
                let answer = answer.await;
                if answer.is_ok() {
                    let event = event::adopted(then.desired(), target.id(), write.why);
                    self.publish(work, event);
                }
                then.resume(answer, clock::now())
            }
            Effect::Untag {
                target,
                write,
                not_after,
                then,
            } => {
                let work = then.work();
                let answer = self.put(work, target.record(), &write, not_after);
                let answer = answer.await;
                then.resume(answer, clock::now())
            }
            Effect::Delete {
                target,
                not_after,
                then,
            } => {
                let work = then.work();
                let audit = audit(work, Why::ObjectDeleted, &Changes::default());
                self.begin_writing();
                let answer = match self.account() {
                    Ok(account) => {
                        let writer = account.client.writer(self.not_after(not_after));
                        let instance = &work.scope().instance;
                        writer.delete(instance, target.id(), &audit).await
                    }
                    Err(failure) => Err(failure),
                };
                if answer.is_ok() {
                    self.wrote(work, target.id(), Own::Deleted);
                }
                then.resume(answer, clock::now())
            }
            Effect::RemoveFinalizer { then } => {
                let answer = objects.remove_finalizer(then.work().object()).await;
                then.resume(answer, clock::now())
            }
        }
    }

    fn publish(&self, work: &Work, event: Event) {
        let object = work.object();
        self.context.events.publish(&object.key, &object.uid, event);
    }

    /// Keeps room for one write within the limits of the account.
    async fn reserve(&mut self, work: &Work, creates: bool) -> ReserveAnswer {
        let account = self.account()?;
        let namespace = &work.object().key.namespace;
        if creates {
            let reader = account.client.reader();
            let instance = &work.scope().instance;
            account.snapshots.room(&reader, instance).await?;
        }
        let reservation = account.client.reserve(namespace).await?;
        // That may have taken a minute: what is granted and whether writes may begin is asked anew.
        let newest = self.context.accounts.get(&work.scope().account);
        let labels = self.context.namespaces.labels_of(namespace);
        let is_same = newest.is_ok_and(|newest| Arc::ptr_eq(&newest, account))
            && labels == self.namespace_labels;
        if !is_same || clock::now() > self.not_after(Timestamp::MAX) {
            return Err(Failure::new(Class::Transient, Cause::TooLate));
        }
        self.reservation = Some(reservation);
        Ok(())
    }

    async fn create(
        &mut self,
        work: &Work,
        write: &RegistryWrite,
        not_after: Timestamp,
    ) -> Result<Option<RegistryId>, Failure> {
        let (writer, body) = self.writer(write, not_after)?;
        let audit = audit(work, write.why, &write.changes);
        writer.create(&work.scope().instance, &body, &audit).await
    }

    /// PUT of the whole registry in the place of this one.
    async fn put(
        &mut self,
        work: &Work,
        before: &Record,
        write: &RegistryWrite,
        not_after: Timestamp,
    ) -> Result<(), Failure> {
        let (writer, body) = self.writer(write, not_after)?;
        let audit = audit(work, write.why, &write.changes);
        let instance = &work.scope().instance;
        writer.update(instance, before.id, &body, &audit).await?;
        self.wrote(work, before.id, Own::Updated(Box::new(before.clone())));
        self.count_update(work, write);
        Ok(())
    }

    fn count_update(&self, work: &Work, write: &RegistryWrite) {
        let objects = &self.context.metrics.objects;
        let key = &work.object().key;
        if write.why.corrects() {
            objects.drift_detected(key, &write.changes);
            objects.drift_corrected(key);
        }
        if write.why == Why::CredentialRotated {
            objects.credential_rotated(key);
        }
    }

    fn read_account(&mut self, work: &Work) -> AccountAnswer {
        // One check of the account for the whole reconcile: an account that changes meanwhile leads the next reconcile.
        let usable = self.context.accounts.get(&work.scope().account)?;
        let account = Account {
            namespace_labels: self
                .context
                .namespaces
                .labels_of(&work.object().key.namespace),
            ..usable.account.clone()
        };
        self.account = Some(usable);
        self.namespace_labels.clone_from(&account.namespace_labels);
        Ok(account)
    }

    async fn read_secret(&mut self, by: &SecretRef, work: &Work) -> SecretAnswer {
        let object = work.object();
        let secrets = &self.context.secrets;
        let secret = secrets
            .read(&object.key.namespace, &by.name, self.load)
            .await;
        let credential = secrets::credential(secret.map_err(secret_problem)?.as_deref(), by)?;
        let sealed = self.context.sealer.seal(&object.uid, &credential);
        self.credential = Some(credential);
        Ok(sealed)
    }

    async fn list(&self, started_after: Timestamp, then: &Listing) -> ListAnswer {
        let account = self.account()?;
        let reader = account.client.reader();
        let instance = &then.work().scope().instance;
        let need = if then.needs_whole() {
            Need::Whole
        } else {
            Need::Changes
        };
        let observation = account
            .snapshots
            .list(&reader, instance, started_after, need, self.load);
        let observation = match then.patience_secs() {
            None => observation.await,
            Some(secs) => {
                let patience = Duration::from_secs(secs.unsigned_abs());
                match tokio::time::timeout(patience, observation).await {
                    Ok(observation) => observation,
                    Err(_) => return Ok(None),
                }
            }
        };
        observation.map(Some)
    }

    fn not_after(&self, at: Timestamp) -> Timestamp {
        self.context.fence.not_after(at)
    }

    fn begin_writing(&mut self) {
        let fence = &self.context.fence;
        self.writing.get_or_insert_with(|| fence.begin_writing());
    }

    fn account(&self) -> Result<&Arc<Usable>, Failure> {
        // The protocol asks for the account before anything of SWR's.
        self.account
            .as_ref()
            .ok_or_else(|| Failure::new(Class::Transient, Cause::Unreachable))
    }

    /// Later observations of the instance must show this.
    fn wrote(&self, work: &Work, id: RegistryId, what: Own) {
        if let Some(account) = &self.account {
            account.snapshots.wrote(&work.scope().instance, id, what);
        }
    }

    /// A writer whose request is not sent after `at`, with the reservation that was made for it if there is
    /// one, and what it sends.
    fn writer<'b>(
        &'b mut self,
        write: &'b RegistryWrite,
        at: Timestamp,
    ) -> Result<(Writer, Body<'b>), Failure> {
        self.begin_writing();
        let reservation = self.reservation.take();
        let writer = self.account()?.client.writer(self.not_after(at));
        let credential = self
            .credential
            .as_ref()
            .ok_or_else(|| Failure::new(Class::Transient, Cause::Unreachable))?;
        let body = Body {
            registry: &write.registry,
            credential,
        };
        Ok((writer.with(reservation), body))
    }
}

fn secret_problem(failure: KubeFailure) -> SecretProblem {
    match failure {
        KubeFailure::NotFound => SecretProblem::NotFound,
        KubeFailure::Forbidden => SecretProblem::Forbidden,
        KubeFailure::Conflict | KubeFailure::Rejected | KubeFailure::Unavailable => {
            SecretProblem::Unavailable
        }
    }
}

fn audit(work: &Work, why: Why, changes: &Changes) -> Audit {
    let object = work.object();
    Audit {
        object: object.key.to_string(),
        generation: object.generation,
        reason: why.to_string(),
        fields: changes.to_string(),
    }
}
