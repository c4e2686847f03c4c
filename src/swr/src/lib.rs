//! Speaks HTTP with SWR. Knows no Kubernetes, no plan and no step: it is told what to ask, and says
//! what came of it.
//!
//! A [`Transport`] is the process's connection pool; a [`Client`] is one account on it, with its
//! [`Endpoint`], project, [`Authenticator`] and [`Limits`]. It gives a [`Reader`], and a [`Writer`] to
//! those who may write. Every failure is a [`Failure`](swr_operator_core::failure::Failure), and `error` is
//! the one place that makes one of an answer.
//!
//! A request goes `client` -> `limit` and `circuit` (may it go) -> `exchange` -> `sign` -> `http` -> `error` ->
//! `wire`. `pages` says in which order a list is read, `secrets` what of an answer may be logged, and `shape` how
//! an answer is written.

#![forbid(unsafe_code)]
// As in swr-operator-core: no operator on jiff's types outside tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod auth;
mod circuit;
mod client;
mod connect;
mod endpoint;
mod error;
mod exchange;
mod http;
mod iam;
mod limit;
mod observe;
mod pages;
mod resolver;
mod secrets;
mod shape;
mod sign;
mod wire;

pub use self::auth::{
    Agency, AuthError, Authentication, Authenticator, Circuitry, Domain, IdentityProvider, Login,
    Scope, Source,
};
pub use self::circuit::{Circuit, Circuits};
pub use self::client::{Audit, Client, Look, Portion, Reader, Writer};
pub use self::endpoint::{Endpoint, Endpoints, NodeUrl, Refused};
pub use self::http::{BODY_BYTES_MAX, Proxy, Settings, Transport, TransportError};
pub use self::iam::{ProjectError, project_of};
pub use self::limit::{Limiter, Limits, Reservation};
pub use self::observe::{ObserveAccount, ObserveRequests, Unobserved};
pub use self::shape::{Echo, Listing, Member, Reply, Sight};
pub use self::sign::AccessKey;
pub use self::wire::Body;

#[cfg(test)]
mod tests;
