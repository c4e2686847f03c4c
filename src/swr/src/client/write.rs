//! What writes registries: create, update, delete. Repeats nothing, and leaves one audit line for each.

use std::sync::Arc;

use jiff::Timestamp;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::Failure;

use super::super::error::Operation;
use super::super::exchange::{Call, Verdict};
use super::super::limit::Reservation;
use super::super::wire::{self, Body};
use super::Account;

/// Writes once, until a time.
pub struct Writer {
    pub(super) account: Arc<Account>,
    pub(super) not_after: Timestamp,
    /// Room that was kept for it.
    pub(super) reservation: Option<Reservation>,
}

/// In whose name and why something is written; goes into the audit line and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// `namespace/name` of the object.
    pub object: String,
    /// Its generation.
    pub generation: i64,
    /// Why.
    pub reason: String,
    /// Names of the fields that change, never their values.
    pub fields: String,
}

impl Writer {
    /// The same with the room that was kept for it, so that the rate does not make it wait.
    pub fn with(self, reservation: Option<Reservation>) -> Self {
        Writer {
            reservation,
            ..self
        }
    }

    /// Creates a registry. `None`: SWR took it and gave no id.
    ///
    /// # Errors
    /// `Unknown` if nobody can tell whether it was created.
    pub async fn create(
        self,
        instance: &InstanceId,
        body: &Body<'_>,
        audit: &Audit,
    ) -> Result<Option<RegistryId>, Failure> {
        self.write(Operation::Create, instance, None, Some(body), audit)
            .await
    }

    /// Replaces a registry.
    ///
    /// # Errors
    /// `Unknown` if nobody can tell whether it was replaced.
    pub async fn update(
        self,
        instance: &InstanceId,
        id: RegistryId,
        body: &Body<'_>,
        audit: &Audit,
    ) -> Result<(), Failure> {
        self.write(Operation::Update, instance, Some(id), Some(body), audit)
            .await
            .map(|_| ())
    }

    /// Deletes a registry.
    ///
    /// # Errors
    /// `Unknown` if nobody can tell whether it was deleted.
    pub async fn delete(
        self,
        instance: &InstanceId,
        id: RegistryId,
        audit: &Audit,
    ) -> Result<(), Failure> {
        self.write(Operation::Delete, instance, Some(id), None, audit)
            .await
            .map(|_| ())
    }

    async fn write(
        self,
        operation: Operation,
        instance: &InstanceId,
        id: Option<RegistryId>,
        body: Option<&Body<'_>>,
        audit: &Audit,
    ) -> Result<Option<RegistryId>, Failure> {
        let verdict = self.send(operation, instance, id, body, audit).await?;
        let body = verdict.result?;
        Ok(id.or_else(|| wire::decode_created(&body)))
    }

    pub(super) async fn send(
        self,
        operation: Operation,
        instance: &InstanceId,
        id: Option<RegistryId>,
        body: Option<&Body<'_>>,
        audit: &Audit,
    ) -> Result<Verdict, Failure> {
        let account = &self.account;
        let leave = account
            .leave(Some(self.not_after), self.reservation)
            .await?;
        let mut line = AuditLine {
            audit,
            operation,
            instance,
            id,
            outcome: "abandoned",
            status: None,
            code: None,
            request_id: None,
        };
        let path = account.path(instance, id);
        let secrets: Vec<&str> = body.map(Body::secrets).unwrap_or_default();
        let call = Call {
            body: body.map(wire::encode),
            secrets: &secrets,
            ..Call::of(operation, &path)
        };
        let verdict = account.send(leave, call).await.verdict;
        line.status = verdict.status;
        line.request_id.clone_from(&verdict.request_id);
        match &verdict.result {
            Ok(body) => {
                line.outcome = "done";
                line.id = id.or_else(|| wire::decode_created(body));
            }
            Err(failure) => {
                line.outcome = failure.class.as_str();
                line.code = failure.code.as_ref().map(|code| code.as_str().to_owned());
            }
        }
        Ok(verdict)
    }
}

/// Writes its line when it goes out of scope, so that a write whose task was cancelled leaves one
/// too: it may have landed.
struct AuditLine<'a> {
    audit: &'a Audit,
    operation: Operation,
    instance: &'a InstanceId,
    id: Option<RegistryId>,
    outcome: &'static str,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
}

impl Drop for AuditLine<'_> {
    fn drop(&mut self) {
        tracing::info!(
            target: "audit",
            object = self.audit.object,
            generation = self.audit.generation,
            operation = self.operation.as_str(),
            reason = self.audit.reason,
            fields = self.audit.fields,
            instance = self.instance.as_str(),
            registry_id = self.id.map(|id| id.0),
            outcome = self.outcome,
            status = self.status,
            code = self.code,
            request_id = self.request_id,
            "write to SWR"
        );
    }
}
