//! Requests whose answers are looked at for how they are written, for who compares SWR with its documents. Repeats
//! nothing, and decides nothing.

use swr_operator_core::credential::Sensitive;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::Failure;

use super::super::error::{Operation, malformed};
use super::super::exchange::Verdict;
use super::super::shape::{self, Listing, Reply, Sight};
use super::super::sign;
use super::super::wire::{Body, Malformed};
use super::{Audit, Reader, Writer};

/// An answer, and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look<T> {
    /// What it says.
    pub result: Result<T, Failure>,
    /// Status of HTTP, if there was an answer.
    pub status: Option<u16>,
    /// Whether it came with an id of the request.
    pub has_request_id: bool,
}

/// Which part of a list, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion<'a> {
    /// The first, from 0; a multiple of `limit`.
    pub offset: usize,
    /// How many at most.
    pub limit: usize,
    /// By which column.
    pub column: &'a str,
    /// `asc` or `desc`.
    pub direction: &'a str,
}

impl<T> Look<T> {
    fn failed(failure: Failure) -> Self {
        Look {
            result: Err(failure),
            status: None,
            has_request_id: false,
        }
    }

    fn of(
        operation: Operation,
        verdict: Verdict,
        read: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Self {
        Look {
            status: verdict.status,
            has_request_id: verdict.request_id.is_some(),
            result: verdict
                .result
                .and_then(|body| read(&body).map_err(|Malformed| malformed(operation, None))),
        }
    }
}

impl Reader {
    /// A part of the list of an instance; `sent` is the secret of our own registry in it.
    pub async fn look_at_list(
        &self,
        instance: &InstanceId,
        portion: Portion<'_>,
        sent: Option<&Sensitive>,
    ) -> Look<Listing> {
        let query = sign::query(&[
            ("limit", &portion.limit.to_string()),
            ("offset", &portion.offset.to_string()),
            ("order_column", portion.column),
            ("order_type", portion.direction),
        ]);
        let path = self.0.path(instance, None);
        match self.0.ask(Operation::List, &path, &query).await {
            Ok((verdict, _)) => Look::of(Operation::List, verdict, |body| {
                shape::decode_listing(body, sent)
            }),
            Err(failure) => Look::failed(failure),
        }
    }

    /// One registry.
    pub async fn look_at(
        &self,
        instance: &InstanceId,
        id: RegistryId,
        sent: Option<&Sensitive>,
    ) -> Look<Sight> {
        let path = self.0.path(instance, Some(id));
        match self.0.ask(Operation::Show, &path, "").await {
            Ok((verdict, _)) => Look::of(Operation::Show, verdict, |body| {
                shape::decode_sight(body, sent)
            }),
            Err(failure) => Look::failed(failure),
        }
    }

    /// A path that no API is published for.
    pub async fn look_at_nothing(&self) -> Look<()> {
        let path = format!("{}/no-such-api", self.0.path_of_project());
        match self.0.ask(Operation::FeatureGates, &path, "").await {
            Ok((verdict, _)) => Look::of(Operation::FeatureGates, verdict, |_| Ok(())),
            Err(failure) => Look::failed(failure),
        }
    }
}

impl Writer {
    /// Creates a registry, as [`Writer::create`] does.
    pub async fn try_create(
        self,
        instance: &InstanceId,
        body: &Body<'_>,
        audit: &Audit,
    ) -> Look<Reply> {
        self.look(Operation::Create, instance, None, Some(body), audit)
            .await
    }

    /// Replaces a registry, as [`Writer::update`] does.
    pub async fn try_update(
        self,
        instance: &InstanceId,
        id: RegistryId,
        body: &Body<'_>,
        audit: &Audit,
    ) -> Look<Reply> {
        self.look(Operation::Update, instance, Some(id), Some(body), audit)
            .await
    }

    /// Deletes a registry, as [`Writer::delete`] does.
    pub async fn try_delete(
        self,
        instance: &InstanceId,
        id: RegistryId,
        audit: &Audit,
    ) -> Look<Reply> {
        self.look(Operation::Delete, instance, Some(id), None, audit)
            .await
    }

    async fn look(
        self,
        operation: Operation,
        instance: &InstanceId,
        id: Option<RegistryId>,
        body: Option<&Body<'_>>,
        audit: &Audit,
    ) -> Look<Reply> {
        match self.send(operation, instance, id, body, audit).await {
            Ok(verdict) => Look::of(operation, verdict, |body| Ok(shape::decode_reply(body))),
            Err(failure) => Look::failed(failure),
        }
    }
}
