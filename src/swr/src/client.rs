//! One account: where it is, its key, its limits. What reads is in `read`, what writes in `write`, what
//! looks at how answers are written in `survey`.

mod read;
mod survey;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use swr_operator_clock as clock;
use swr_operator_core::credential::Sealer;
use swr_operator_core::desired::{InstanceId, ProjectId, RegistryId};
use swr_operator_core::failure::{Cause, Failure};
use tokio::time::Instant;

pub use self::read::Reader;
pub use self::survey::{Look, Portion};
pub use self::write::{Audit, Writer};
use super::auth::{Authentication, Authenticator, Refusal};
use super::endpoint::Endpoint;
use super::error::Operation;
use super::exchange::{Call, Caller, Verdict, exchange};
use super::http::Transport;
use super::limit::{Limiter, Permit, Reservation};
use super::observe::ObserveAccount;
use super::sign;

/// One account: where it is, its key and its share of the cloud. A clone is another handle on it;
/// a new key is a new client.
#[derive(Clone)]
pub struct Client(Arc<Account>);

struct Account {
    transport: Transport,
    endpoint: Endpoint,
    project: ProjectId,
    authenticator: Arc<Authenticator>,
    limiter: Arc<Limiter>,
    meter: Arc<dyn ObserveAccount>,
    sealer: Arc<Sealer>,
    /// The last page of each instance's list, the last time it was read whole.
    last_pages: Mutex<HashMap<InstanceId, usize>>,
    /// Whether `total` of a LIST counts all registries, once known.
    total_counts_all: tokio::sync::OnceCell<bool>,
}

impl Client {
    /// An account that is reached with what this authenticator gives, as often as the limiter lets.
    pub fn new(
        transport: Transport,
        endpoint: Endpoint,
        project: ProjectId,
        authenticator: Arc<Authenticator>,
        limiter: Arc<Limiter>,
        sealer: Arc<Sealer>,
        meter: Arc<dyn ObserveAccount>,
    ) -> Self {
        // A new key has not been refused yet, but another account may have tried this one.
        meter.circuit_is(limiter.circuit_is_open());
        Client(Arc::new(Account {
            transport,
            endpoint,
            project,
            authenticator,
            limiter,
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

    /// What its requests are sent with.
    pub fn authenticator(&self) -> &Arc<Authenticator> {
        &self.0.authenticator
    }

    /// What only reads.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.0))
    }

    /// Room for one write within the limits of the account, kept until it is used or dropped. Who waits
    /// for it takes turns with those of other namespaces.
    ///
    /// # Errors
    /// `Throttled` or `OwnLimits` when there is none in time, and the last refusal of the key while the
    /// key is not tried.
    pub async fn reserve(&self, namespace: &str) -> Result<Reservation, Failure> {
        let begun = Instant::now();
        let reservation = self.0.limiter.reserve(namespace).await;
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

/// What one request is sent with.
struct Leave<'a> {
    credential: Arc<Authentication>,
    permit: Permit<'a>,
}

/// What came of a request.
struct Sent {
    verdict: Verdict,
    /// Its credential was refused, and there can be a newer one.
    is_worth_another: bool,
}

impl Account {
    fn path(&self, instance: &InstanceId, id: Option<RegistryId>) -> String {
        let registries = format!("{}/registries", self.path_of(instance));
        match id {
            None => registries,
            Some(id) => format!("{registries}/{id}"),
        }
    }

    fn path_of(&self, instance: &InstanceId) -> String {
        let instance = sign::escape(instance.as_str());
        format!("{}/instances/{instance}", self.path_of_project())
    }

    fn path_of_project(&self) -> String {
        format!("/v2/{}", sign::escape(self.project.as_str()))
    }

    /// Asks what changes nothing, and says when it did: after the wait for the rate limit. A credential that
    /// SWR does not take any more is renewed, and the question asked once more.
    async fn ask(
        &self,
        operation: Operation,
        path: &str,
        query: &str,
    ) -> Result<(Verdict, Timestamp), Failure> {
        let call = || Call {
            query,
            ..Call::of(operation, path)
        };
        let mut leave = self.leave(None, None).await?;
        let mut requested_at = clock::now();
        let mut sent = self.send(leave, call()).await;
        if sent.is_worth_another {
            leave = self.leave(None, None).await?;
            requested_at = clock::now();
            sent = self.send(leave, call()).await;
        }
        Ok((sent.verdict, requested_at))
    }

    /// Waits until one request may be sent.
    async fn leave(
        &self,
        not_after: Option<Timestamp>,
        reservation: Option<Reservation>,
    ) -> Result<Leave<'_>, Failure> {
        // Before the place in the limiter is taken: whoever renews may have to wait for those who have one.
        let credential = self.authenticator.current().await;
        Ok(Leave {
            credential: credential.map_err(|error| error.failure())?,
            permit: self.admit(not_after, reservation).await?,
        })
    }

    async fn send(&self, leave: Leave<'_>, call: Call<'_>) -> Sent {
        let Leave { credential, permit } = leave;
        let caller = Caller {
            transport: &self.transport,
            endpoint: &self.endpoint,
            credential: Some(&credential),
            project: Some(&self.project),
        };
        let verdict = exchange(&caller, call).await;
        let result = verdict.result.as_ref();
        let is_refused = result.is_err_and(|failure| failure.cause == Cause::AuthFailed);
        let refusal = is_refused.then(|| self.authenticator.refused(&credential));
        match refusal {
            // As many as were under way would else shut a good account off.
            Some(Refusal::Known) => drop(permit),
            Some(Refusal::Final | Refusal::New) | None => self.settle(permit, &verdict),
        }
        let can_be_renewed = matches!(refusal, Some(Refusal::New | Refusal::Known));
        Sent {
            verdict,
            is_worth_another: can_be_renewed && !self.limiter.circuit_is_open(),
        }
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

    /// Where the end was the last time.
    fn guess(&self, instance: &InstanceId) -> Option<usize> {
        let pages = self
            .last_pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pages.get(instance).copied()
    }

    /// Remembers only what SWR has listed, so there are no more entries than instances.
    fn remember(&self, instance: &InstanceId, last_page: usize) {
        self.last_pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(instance.clone(), last_page);
    }
}
