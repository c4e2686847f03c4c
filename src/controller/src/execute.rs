//! Effect -> await -> outcome, one arm each. What the world answers goes to the effect's `then`
//! as it is; the credential waits here, beside the state, and goes into a request and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use swr_operator_api::registry::CreateIntent;
use swr_operator_clock as clock;
use swr_operator_core::answer::{KubeFailure, SecretProblem};
use swr_operator_core::credential::Credential;
use swr_operator_core::desired::{Desired, RegistryId};
use swr_operator_core::diff::{Changes, tag_missing};
use swr_operator_core::effect::{
    AccountAnswer, Effect, ListAnswer, Listing, Next, ReadingSecret, SecretAnswer,
};
use swr_operator_core::event::{self, Event};
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::observed::Record;
use swr_operator_core::pass::Work;
use swr_operator_core::plan::Why;
use swr_operator_core::status::{with_id, with_intent};
use swr_operator_swr::{Audit, Body, Writer};

use super::accounts::Usable;
use super::context::Context;
use super::snapshots::{Need, Own};

/// Executes the effects of one pass.
pub(super) struct Executor<'a> {
    context: &'a Context,
    account: Option<Arc<Usable>>,
    credential: Option<Credential>,
}

impl<'a> Executor<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Executor {
            context,
            account: None,
            credential: None,
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
                let keys = secret.keys.as_ref().map(|(k, s)| (k.as_str(), s.as_str()));
                let answer = self.read_secret(&secret.name, keys, &then).await;
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
                        account.snapshots.show(&reader, &instance, id).await
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
            Effect::RecordIntent { started_at, then } => {
                let object = then.work().object();
                let intent = CreateIntent {
                    attempt: then.attempt(),
                    started_at,
                };
                let status = with_intent(
                    object,
                    intent,
                    then.binding(),
                    then.forgets_id(),
                    started_at,
                );
                let answer = objects.write_status(object, &status).await;
                then.resume(answer, clock::now())
            }
            Effect::Create { intent, then } => {
                let (work, desired) = (then.work(), then.desired());
                let description = work.owner().describe(&desired.registry.description);
                let audit = audit(work, Why::Missing, String::new());
                let answer = match self.writer(intent.not_after()) {
                    Ok((writer, credential)) => {
                        let body = body(desired, &description, credential);
                        writer.create(&work.scope().instance, &body, &audit).await
                    }
                    Err(failure) => Err(failure),
                };
                if let Ok(id) = &answer {
                    if let Some(id) = id {
                        self.wrote(work, *id, Own::Created);
                    }
                    self.publish(work, event::created(desired, *id));
                }
                then.resume(answer, clock::now())
            }
            Effect::RecordId { id, then } => {
                let object = then.work().object();
                let status = with_id(object, id, then.created_at());
                let answer = objects.write_status(object, &status).await;
                then.resume(answer, clock::now())
            }
            Effect::Update {
                target,
                changes,
                then,
            } => {
                let (work, desired) = (then.work(), then.desired());
                let description = work.owner().describe(&desired.registry.description);
                let audit = audit(work, then.why(), changes.to_string());
                let answer = match self.writer(self.freshness()) {
                    Ok((writer, credential)) => {
                        let body = body(desired, &description, credential);
                        let instance = &work.scope().instance;
                        writer.update(instance, target.id(), &body, &audit).await
                    }
                    Err(failure) => Err(failure),
                };
                self.count_update(work, then.why(), &changes, answer.is_ok());
                if answer.is_ok() {
                    self.replaced(work, target.record());
                    self.publish(work, event::updated(desired, then.why(), &changes));
                }
                then.resume(answer, clock::now())
            }
            Effect::Adopt {
                intent,
                target,
                then,
            } => {
                let (work, desired) = (then.work(), then.desired());
                let description = work.owner().describe(&desired.registry.description);
                let audit = audit(work, then.why(), "description".to_owned());
                let answer = match self.writer(intent.not_after()) {
                    Ok((writer, credential)) => {
                        let body = body(desired, &description, credential);
                        let instance = &work.scope().instance;
                        let id = target.record().id;
                        writer.update(instance, id, &body, &audit).await
                    }
                    Err(failure) => Err(failure),
                };
                if answer.is_ok() {
                    self.replaced(work, target.record());
                    let changes = tag_missing(&desired.registry);
                    self.count_update(work, then.why(), &changes, true);
                    let event = event::adopted(desired, target.id(), then.why());
                    self.publish(work, event);
                }
                then.resume(answer, clock::now())
            }
            Effect::Untag { target, then } => {
                let (work, desired) = (then.work(), then.desired());
                let audit = audit(work, Why::ObjectOrphaned, "description".to_owned());
                let answer = match self.writer(self.freshness()) {
                    Ok((writer, credential)) => {
                        let body = body(desired, &desired.registry.description, credential);
                        let instance = &work.scope().instance;
                        writer.update(instance, target.id(), &body, &audit).await
                    }
                    Err(failure) => Err(failure),
                };
                if answer.is_ok() {
                    self.replaced(work, target.record());
                }
                then.resume(answer, clock::now())
            }
            Effect::Delete { target, then } => {
                let work = then.work();
                let audit = audit(work, Why::ObjectDeleted, String::new());
                let answer = match self.account() {
                    Ok(account) => {
                        let writer = account.client.writer(self.not_after(self.freshness()));
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

    fn count_update(&self, work: &Work, why: Why, changes: &Changes, is_done: bool) {
        let objects = &self.context.metrics.objects;
        let key = &work.object().key;
        if why.corrects() && is_done {
            objects.drift_detected(key, changes);
            objects.drift_corrected(key);
        }
        if why == Why::CredentialRotated && is_done {
            objects.credential_rotated(key);
        }
    }

    fn read_account(&mut self, work: &Work) -> AccountAnswer {
        // One look for the whole pass: an account that changes meanwhile leads the next pass.
        let usable = self.context.accounts.get(&work.scope().account)?;
        let account = usable.account.clone();
        self.account = Some(usable);
        Ok(account)
    }

    async fn read_secret(
        &mut self,
        name: &str,
        keys: Option<(&str, &str)>,
        then: &ReadingSecret,
    ) -> SecretAnswer {
        let object = then.work().object();
        let secret = self
            .context
            .secrets
            .read(&object.key.namespace, name)
            .await
            .map_err(secret_problem)?
            .ok_or(SecretProblem::NotFound)?;
        let credential = Credential::from_secret(&secret, keys).map_err(SecretProblem::Rejected)?;
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
        let look = account
            .snapshots
            .list(&reader, instance, started_after, need);
        let look = match then.patience_secs() {
            None => look.await,
            Some(secs) => {
                let patience = Duration::from_secs(secs.unsigned_abs());
                match tokio::time::timeout(patience, look).await {
                    Ok(look) => look,
                    Err(_) => return Ok(None),
                }
            }
        };
        look.map(Some)
    }

    fn not_after(&self, at: Timestamp) -> Timestamp {
        let end = self.context.no_write_after.get().copied();
        end.map_or(at, |end| end.min(at))
    }

    /// Until when what was just seen may be acted upon.
    fn freshness(&self) -> Timestamp {
        let write_secs = self.context.windows.write_secs.unsigned_abs();
        clock::after(Duration::from_secs(write_secs))
    }

    fn account(&self) -> Result<&Arc<Usable>, Failure> {
        // The protocol asks for the account before anything of SWR's.
        self.account
            .as_ref()
            .ok_or_else(|| Failure::new(Class::Transient, Cause::Unreachable))
    }

    /// Later looks at the instance must show this.
    fn wrote(&self, work: &Work, id: RegistryId, what: Own) {
        if let Some(account) = &self.account {
            account.snapshots.wrote(&work.scope().instance, id, what);
        }
    }

    fn replaced(&self, work: &Work, before: &Record) {
        let what = Own::Updated(Box::new(before.clone()));
        self.wrote(work, before.id, what);
    }

    /// A writer whose requests are not sent after `at`, and the credential.
    fn writer(&self, at: Timestamp) -> Result<(Writer, &Credential), Failure> {
        let writer = self.account()?.client.writer(self.not_after(at));
        let credential = self
            .credential
            .as_ref()
            .ok_or_else(|| Failure::new(Class::Transient, Cause::Unreachable))?;
        Ok((writer, credential))
    }
}

fn body<'b>(desired: &'b Desired, description: &'b str, credential: &'b Credential) -> Body<'b> {
    Body {
        registry: &desired.registry,
        description,
        credential,
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

fn audit(work: &Work, why: Why, fields: String) -> Audit {
    let object = work.object();
    Audit {
        object: object.key.to_string(),
        generation: object.generation,
        reason: why.to_string(),
        fields,
    }
}
