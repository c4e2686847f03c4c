//! The credential of an account: given, or obtained from IAM, STS or the machine and renewed before it ends.
//! Says who asks and until when that holds; where it is obtained is the matter of `source`.

mod body;
mod issued;
mod source;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;
use tokio::time::Instant;

use swr_operator_clock as clock;
use swr_operator_core::credential::Sensitive;
use swr_operator_core::desired::ProjectId;
use swr_operator_core::failure::{Cause, Class, Failure};

use super::circuit::Circuit;
use super::http::Transport;
use super::sign::AccessKey;
use issued::Issued;

pub use self::source::{Agency, Domain, IdentityProvider, Login, Scope, Source};

/// What a request proves with who sends it. No `Debug`, `Display`, `Clone` or `Serialize`.
pub enum Authentication {
    /// It is signed with a key, permanent or temporary.
    AccessKey(AccessKey),
    /// It carries a token of IAM.
    Token(Sensitive),
}

impl Authentication {
    /// What of it must not be logged.
    pub(super) fn secrets(&self) -> [&str; 3] {
        match self {
            Authentication::AccessKey(key) => [
                key.access_key.as_str(),
                key.secret_key.expose(),
                key.security_token.as_ref().map_or("", Sensitive::expose),
            ],
            Authentication::Token(token) => [token.expose(), "", ""],
        }
    }
}

/// Why an account has no credential now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Whoever was asked did not issue one.
    #[error("no credential was issued: {}", failure.said_of(service))]
    Refused {
        /// Who was asked, as `IAM`.
        service: &'static str,
        /// How it went.
        failure: Failure,
    },
    /// The file with the token that proves the operator's identity.
    #[error("the token file {} cannot be read ({kind})", path.display())]
    TokenFile {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        kind: io::ErrorKind,
    },
    /// The metadata service answers, and has no key to give.
    #[error("the metadata service gives no key: assign an agency to the node (ECS)")]
    NoAgency,
}

impl AuthError {
    /// As a request fails that cannot be sent for it.
    pub fn failure(&self) -> Failure {
        match self {
            AuthError::Refused { failure, .. } => failure.clone(),
            AuthError::TokenFile { .. } | AuthError::NoAgency => {
                Failure::new(Class::Denied, Cause::AuthFailed)
            }
        }
    }
}

/// What it means that SWR did not take a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no other.
    Final,
    /// It is dropped, and the next request gets a new one.
    New,
    /// It was dropped before this answer came. Of all requests that were under way with it, one tells.
    Known,
}

/// After a failure nobody asks again for this time: whoever waits gets the same answer. Reconciles and
/// the check of the account come again by themselves.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The SDK renews 40 minutes before the end (swr-api.md 4.1); of an hour, that would be most of it.
const EARLY_SECS_MAX: i64 = 40 * 60;

/// A request may wait a minute for the limits of its account, and must then still be answered.
const LATE_SECS_MAX: i64 = 120;

/// The circuits of a source. They are two, because that a credential was issued does not say that SWR takes it.
#[derive(Clone, Default)]
pub struct Circuitry {
    /// Of what is issued, or given.
    pub using: Arc<Circuit>,
    /// Of what is asked to get it.
    pub issuing: Arc<Circuit>,
}

/// The credential of one account, shared by all its requests.
pub struct Authenticator {
    source: Source,
    transport: Transport,
    circuits: Circuitry,
    held: Mutex<Option<Held>>,
    /// Whoever renews has this; the others wait for what comes of it. The last failure and its time.
    renewal: tokio::sync::Mutex<Option<(Instant, AuthError)>>,
}

#[derive(Clone)]
struct Held {
    credential: Arc<Authentication>,
    project: Option<ProjectId>,
    /// `None` for what does not end.
    term: Option<Term>,
}

/// By [`clock::now`], so that neither a wrong clock nor the machine's sleep stretches it.
#[derive(Clone, Copy)]
struct Term {
    /// From here on it is renewed whenever there is an occasion.
    renew_at: Timestamp,
    /// From here on it is not used.
    ends_at: Timestamp,
}

impl Term {
    fn of(lifetime_secs: i64, now: Timestamp) -> Self {
        let early = (lifetime_secs / 3).min(EARLY_SECS_MAX);
        let late = (lifetime_secs / 10).min(LATE_SECS_MAX);
        let after = |secs: i64| {
            let second = now.as_second().saturating_add(secs);
            Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
        };
        Term {
            renew_at: after(lifetime_secs.saturating_sub(early)),
            ends_at: after(lifetime_secs.saturating_sub(late)),
        }
    }
}

impl Held {
    fn is_due(&self, now: Timestamp) -> bool {
        self.term.is_some_and(|term| term.renew_at <= now)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.term.is_some_and(|term| term.ends_at <= now)
    }
}

impl Authenticator {
    /// Obtains nothing yet.
    pub fn new(source: Source, transport: Transport, circuits: Circuitry) -> Self {
        Authenticator {
            source,
            transport,
            circuits,
            held: Mutex::default(),
            renewal: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn circuit(&self) -> &Arc<Circuit> {
        &self.circuits.using
    }

    /// Sees to it that there is a credential, and renews one that ends soon. One that still holds is kept
    /// when it cannot be renewed.
    ///
    /// # Errors
    /// There is none.
    pub async fn keep_fresh(&self) -> Result<(), AuthError> {
        let now = clock::now();
        match self.held() {
            Some(held) if !held.is_due(now) => Ok(()),
            held => match self.renew(Held::is_due).await {
                Err(_) if held.is_some_and(|held| !held.is_over(clock::now())) => Ok(()),
                renewed => renewed.map(|_| ()),
            },
        }
    }

    /// The project that the credential is for, where it says so itself.
    pub fn project(&self) -> Option<ProjectId> {
        self.held()?.project
    }

    /// What a request is sent with now.
    ///
    /// # Errors
    /// There is none, and none is to be had.
    pub(super) async fn current(&self) -> Result<Arc<Authentication>, AuthError> {
        match self.held() {
            Some(held) if !held.is_over(clock::now()) => Ok(held.credential),
            Some(_) | None => self.renew(Held::is_over).await,
        }
    }

    /// SWR did not take this credential: the next request gets another, if there can be one.
    pub(super) fn refused(&self, credential: &Arc<Authentication>) -> Refusal {
        if self.source.is_given() {
            return Refusal::Final;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = held.take_if(|held| Arc::ptr_eq(&held.credential, credential));
        dropped.map_or(Refusal::Known, |_| Refusal::New)
    }

    /// One at a time; who came while another renewed takes what that one got.
    async fn renew(
        &self,
        is_needed: fn(&Held, Timestamp) -> bool,
    ) -> Result<Arc<Authentication>, AuthError> {
        let mut failed = self.renewal.lock().await;
        if let Some(held) = self.held().filter(|held| !is_needed(held, clock::now())) {
            return Ok(held.credential);
        }
        if let Some((at, error)) = failed.as_ref()
            && at.elapsed() < AFTER_FAILURE
        {
            return Err(error.clone());
        }
        // The time of an answer counts from before the question.
        let asked_at = clock::now();
        match self
            .source
            .obtain(&self.transport, &self.circuits.issuing)
            .await
        {
            Ok(Issued {
                credential,
                lifetime_secs,
                project,
            }) => {
                if let Some(secs) = lifetime_secs {
                    tracing::info!(source = self.source.as_str(), secs, "credential obtained");
                }
                *failed = None;
                let held = Held {
                    credential: Arc::clone(&credential),
                    project,
                    term: lifetime_secs.map(|secs| Term::of(secs, asked_at)),
                };
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
                Ok(credential)
            }
            Err(error) => {
                // What was asked and refused is told where it was asked.
                if !matches!(error, AuthError::Refused { .. }) {
                    tracing::warn!(source = self.source.as_str(), "{error}");
                }
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn held(&self) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_renewed_early_and_not_used_to_its_last_moment() {
        let now = Timestamp::from_second(1_000_000).expect("time");
        for (lifetime, renewed_after, used_for) in [
            (24 * 3600, 24 * 3600 - 2400, 24 * 3600 - 120),
            (3600, 2400, 3480),
            (900, 600, 810),
            (10, 7, 9),
            (0, 0, 0),
            (i64::MAX, i64::MAX, i64::MAX),
        ] {
            let term = Term::of(lifetime, now);
            let at = |secs: i64| {
                let second = 1_000_000_i64.saturating_add(secs);
                Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
            };
            assert_eq!(
                (term.renew_at, term.ends_at),
                (at(renewed_after), at(used_for)),
                "{lifetime}"
            );
        }
    }
}
