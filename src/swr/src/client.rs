//! One account's registries: list, show, create, update, delete. Decides nothing about a registry,
//! repeats no write, and leaves one audit line for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::circuit::Circuit;
use super::endpoint::Endpoint;
use super::error::{self, Operation, malformed};
use super::exchange::{Call, Caller, Verdict, exchange};
use super::http::{Lost, Transport};
use super::limit::{Limiter, Limits, Permit, Reservation, Windows};
use super::observe::ObserveAccount;
use super::pages::{List, Next, Pages, Part};
use super::sign::{self, AccessKey};
use super::wire::{self, Body};
use swr_operator_clock as clock;
use swr_operator_core::credential::Sealer;
use swr_operator_core::desired::{InstanceId, ProjectId, RegistryId};
use swr_operator_core::failure::Failure;
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::recent::Newest;

/// A list that keeps contradicting itself is given up after this many passes.
const LIST_PASSES_MAX: usize = 3;

/// A list that takes longer is given up, however slow its pages are: others wait for it. 10,000
/// registries, 100 pages, take 10 s at the default of 10 requests per second, and 160 s at the
/// sixteenth of it that SWR can slow us down to; three minutes and two read deadlines of 30 s more
/// are enough for either. Of pages that take 25 s each it reads nine.
const LIST_DEADLINE: Duration = Duration::from_secs(240);

/// The same for a read of the newest changes: eleven pages at most take 18 s at the sixteenth of
/// the default rate, and two read deadlines of 30 s.
const NEWEST_DEADLINE: Duration = Duration::from_secs(90);

/// Why a whole list is read in this order: see `pages`.
const OLDEST_FIRST: (&str, &str) = ("created_at", "asc");

/// What changed last comes first: see `recent`.
const NEWEST_FIRST: (&str, &str) = ("updated_at", "desc");

/// One account: where it is, its key and its share of the cloud. A clone is another handle on it;
/// a new key is a new client.
#[derive(Clone)]
pub struct Client(Arc<Account>);

/// Reads. Cannot write.
#[derive(Clone)]
pub struct Reader(Arc<Account>);

/// Writes once, until a time.
pub struct Writer {
    account: Arc<Account>,
    not_after: Timestamp,
    /// Room that was kept for it.
    reservation: Option<Reservation>,
}

struct Account {
    transport: Transport,
    endpoint: Endpoint,
    project: ProjectId,
    key: AccessKey,
    limiter: Arc<Limiter>,
    meter: Arc<dyn ObserveAccount>,
    sealer: Arc<Sealer>,
    /// The last page of each instance's list, the last time it was read whole.
    last_pages: Mutex<HashMap<InstanceId, usize>>,
    /// Whether `total` of a LIST counts all registries, once known.
    total_counts_all: tokio::sync::OnceCell<bool>,
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

impl Client {
    /// An account that is reached with this key, whose circuit it is.
    pub fn new(
        transport: Transport,
        endpoint: Endpoint,
        project: ProjectId,
        (key, circuit): (AccessKey, Arc<Circuit>),
        limits: Limits,
        sealer: Arc<Sealer>,
        meter: Arc<dyn ObserveAccount>,
    ) -> Self {
        // A new key has not been refused yet, but another account may have tried this one.
        meter.circuit_is(circuit.is_open());
        Client(Arc::new(Account {
            transport,
            endpoint,
            project,
            key,
            limiter: Arc::new(Limiter::new(limits, Windows::default(), circuit)),
            meter,
            sealer,
            last_pages: Mutex::default(),
            total_counts_all: tokio::sync::OnceCell::new(),
        }))
    }

    /// Why SWR refused the key when it was used last, if it did.
    pub fn refusal(&self) -> Option<Failure> {
        self.0.tell_circuit();
        self.0.limiter.refusal()
    }

    /// What only reads.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.0))
    }

    /// Room for one write within the limits of the account, kept until it is used or dropped.
    ///
    /// # Errors
    /// `Throttled` or `OwnLimits` when there is none in time, and the last refusal of the key while the
    /// key is not tried.
    pub async fn reserve(&self) -> Result<Reservation, Failure> {
        let begun = Instant::now();
        let reservation = self.0.limiter.reserve().await;
        self.0.meter.waited(begun.elapsed());
        if reservation.is_err() {
            self.0.tell_circuit();
        }
        reservation
    }

    /// What writes. No request begins after `not_after` by [`clock::now`](swr_operator_clock::now),
    /// which counts the machine's sleep, however long it waited for the rate limit (`TooLate`,
    /// `OwnLimits`); one that has begun ends within the write deadline.
    pub fn writer(&self, not_after: Timestamp) -> Writer {
        Writer {
            account: Arc::clone(&self.0),
            not_after,
            reservation: None,
        }
    }
}

impl Reader {
    /// Every registry of an instance. What exists from the beginning to the end of the call is in
    /// it, whatever others do meanwhile (see `pages`).
    ///
    /// # Errors
    /// `InstanceNotFound` and the like; `Malformed` if the list is longer than 100,000, keeps
    /// contradicting itself or has more than a few records that are too long; `TimedOut`.
    pub async fn list(&self, instance: &InstanceId) -> Result<Inventory, Failure> {
        let list = tokio::time::timeout(LIST_DEADLINE, self.list_whole(instance));
        list.await.unwrap_or_else(|_| {
            tracing::warn!(%instance, "the list of registries takes too long");
            Err(error::lost(Operation::List, Lost::TimedOut))
        })
    }

    async fn list_whole(&self, instance: &InstanceId) -> Result<Inventory, Failure> {
        for _ in 0..LIST_PASSES_MAX {
            let counts_all = self.total_counts_all(instance).await;
            let mut pages = Pages::new(self.0.guess(instance), counts_all);
            loop {
                match pages.next() {
                    Next::Read(part) => match self.part(instance, part).await? {
                        Some((page, requested_at)) => {
                            if page.total.is_some_and(|total| total > page.records.len()) {
                                let _ = self.0.total_counts_all.set(true);
                            }
                            pages.take(page, requested_at);
                        }
                        None => pages.too_long(),
                    },
                    Next::TooMany => {
                        tracing::warn!(%instance, "the list of registries has no end");
                        return Err(malformed(Operation::List, None));
                    }
                    Next::TooManyGaps => {
                        tracing::warn!(
                            %instance,
                            "too many registries are too long to be read, even one by one"
                        );
                        return Err(malformed(Operation::List, None));
                    }
                    Next::Done => break,
                }
            }
            if let Some(list) = pages.finish() {
                return Ok(self.inventory(instance, list));
            }
        }
        tracing::warn!(%instance, "the list of registries is shorter than its total");
        Err(malformed(Operation::List, None))
    }

    fn inventory(&self, instance: &InstanceId, list: List) -> Inventory {
        self.0.remember(instance, list.guess);
        if !list.gaps.is_empty() {
            // Its id and name cannot be read; the place leads to it in the console.
            tracing::warn!(
                %instance,
                skipped = list.gaps.len(),
                places_from_0_by_creation_oldest_first = ?list.gaps,
                "registries that do not fit into an answer of 4 MiB are skipped, and until they \
                 are shortened or deleted no other is known to be missing: sort the instance's \
                 registries by creation and look for an enormous description"
            );
        }
        Inventory::listed(list.records).with_gaps(list.gaps.len())
    }

    /// Whether `total` counts all registries, or only those of the page (swr-api.md 8.2, 34). Any
    /// list that is longer than a page shows it; when the first is exactly one page long, it is
    /// asked for once, by a page of one.
    async fn total_counts_all(&self, instance: &InstanceId) -> bool {
        let known = &self.0.total_counts_all;
        if self.0.guess(instance) > 0 && !known.initialized() {
            // What cannot be told now is asked again the next time.
            let first = Part {
                offset: 0,
                length: 1,
            };
            if let Ok(Some((page, _))) = self.part(instance, first).await {
                let n = page.records.len();
                let _ = known.set(page.total.is_some_and(|total| total > n));
            }
        }
        known.get().copied().unwrap_or_default()
    }

    /// What changed last in an instance, newest first, as far as `read` asks; it says itself what
    /// came of it. One request at most is under way, and nothing is decided here.
    ///
    /// # Errors
    /// As SWR answers; `TimedOut`. Nothing of the read counts then.
    pub async fn newest(&self, instance: &InstanceId, read: Newest) -> Result<Newest, Failure> {
        let reading = tokio::time::timeout(NEWEST_DEADLINE, self.newest_pages(instance, read));
        reading.await.unwrap_or_else(|_| {
            tracing::warn!(%instance, "the newest changes of registries take too long");
            Err(error::lost(Operation::List, Lost::TimedOut))
        })
    }

    async fn newest_pages(
        &self,
        instance: &InstanceId,
        mut read: Newest,
    ) -> Result<Newest, Failure> {
        while let Some(part) = read.next() {
            let part = Part {
                offset: part.offset,
                length: part.limit,
            };
            match self.sorted(instance, part, NEWEST_FIRST).await? {
                Some((page, at)) => read.take(page.records, page.total, at),
                None => read.too_long(),
            }
        }
        Ok(read)
    }

    /// A part of the list and when it was requested; `None` if it is too long to be read.
    async fn part(
        &self,
        instance: &InstanceId,
        part: Part,
    ) -> Result<Option<(wire::Page, Timestamp)>, Failure> {
        self.sorted(instance, part, OLDEST_FIRST).await
    }

    async fn sorted(
        &self,
        instance: &InstanceId,
        part: Part,
        (column, direction): (&str, &str),
    ) -> Result<Option<(wire::Page, Timestamp)>, Failure> {
        // Sorted by column and direction together, limit and offset together, and the offset a
        // multiple of the limit (swr-api.md 1.3).
        let query = sign::query(&[
            ("limit", &part.length.to_string()),
            ("offset", &part.offset.to_string()),
            ("order_column", column),
            ("order_type", direction),
        ]);
        let path = self.0.path(instance, None);
        let (verdict, requested_at) = self.0.ask(Operation::List, &path, &query).await?;
        if verdict.is_too_long {
            return Ok(None);
        }
        wire::decode_page(&verdict.result?, &self.0.sealer)
            .map(|page| Some((page, requested_at)))
            .map_err(|wire::Malformed| undecodable(Operation::List, instance))
    }

    /// One registry. `RegistryNotFound` alone does not prove that it is gone (rule 7).
    ///
    /// # Errors
    /// As SWR answers.
    pub async fn show(&self, instance: &InstanceId, id: RegistryId) -> Result<Record, Failure> {
        let path = self.0.path(instance, Some(id));
        let (verdict, _) = self.0.ask(Operation::Show, &path, "").await?;
        let body = verdict.result?;
        wire::decode_record(&body, &self.0.sealer)
            .ok()
            // A record of another id is an answer to another question.
            .filter(|record| record.id == id)
            .ok_or_else(|| undecodable(Operation::Show, instance))
    }
}

fn undecodable(operation: Operation, instance: &InstanceId) -> Failure {
    let failure = malformed(operation, None);
    tracing::warn!(operation = operation.as_str(), %instance, "{}", failure.cause.words());
    failure
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
        let account = &self.account;
        let permit = account
            .admit(Some(self.not_after), self.reservation)
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
        let secrets: Vec<&str> = body.map(Body::secrets).unwrap_or_default();
        let call = Call {
            operation,
            path: &account.path(instance, id),
            query: "",
            body: body.map(wire::encode),
            secrets: &secrets,
        };
        let verdict = exchange(&account.caller(), call).await;
        account.settle(permit, &verdict);
        line.status = verdict.status;
        line.request_id = verdict.request_id;
        match verdict.result {
            Ok(body) => {
                line.outcome = "done";
                line.id = id.or_else(|| wire::decode_created(&body));
                Ok(line.id)
            }
            Err(failure) => {
                line.outcome = failure.class.as_str();
                line.code = failure.code.as_ref().map(|code| code.as_str().to_owned());
                Err(failure)
            }
        }
    }
}

impl Account {
    fn caller(&self) -> Caller<'_> {
        Caller {
            transport: &self.transport,
            endpoint: &self.endpoint,
            key: &self.key,
            project: Some(&self.project),
        }
    }

    fn path(&self, instance: &InstanceId, id: Option<RegistryId>) -> String {
        let project = sign::escape(self.project.as_str());
        let instance = sign::escape(instance.as_str());
        let registries = format!("/v2/{project}/instances/{instance}/registries");
        match id {
            None => registries,
            Some(id) => format!("{registries}/{id}"),
        }
    }

    /// Asks what changes nothing, and says when it did: after the wait for the rate limit.
    async fn ask(
        &self,
        operation: Operation,
        path: &str,
        query: &str,
    ) -> Result<(Verdict, Timestamp), Failure> {
        let permit = self.admit(None, None).await?;
        let requested_at = clock::now();
        let call = Call {
            operation,
            path,
            query,
            body: None,
            secrets: &[],
        };
        let verdict = exchange(&self.caller(), call).await;
        self.settle(permit, &verdict);
        Ok((verdict, requested_at))
    }

    async fn admit(
        &self,
        not_after: Option<Timestamp>,
        reservation: Option<Reservation>,
    ) -> Result<Permit<'_>, Failure> {
        let begun = Instant::now();
        let permit = self.limiter.admit(not_after, reservation).await;
        self.meter.waited(begun.elapsed());
        if permit.is_err() {
            self.tell_circuit();
        }
        permit
    }

    fn settle(&self, permit: Permit<'_>, verdict: &Verdict) {
        permit.settle(verdict.result.as_ref().map(|_| ()));
        self.tell_circuit();
    }

    /// Another account with the same key may have opened or closed the circuit.
    fn tell_circuit(&self) {
        self.meter.circuit_is(self.limiter.circuit_is_open());
    }

    fn guess(&self, instance: &InstanceId) -> usize {
        let pages = self
            .last_pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pages.get(instance).copied().unwrap_or(0)
    }

    /// Remembers only what SWR has listed, so there are no more entries than instances.
    fn remember(&self, instance: &InstanceId, last_page: usize) {
        self.last_pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(instance.clone(), last_page);
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
