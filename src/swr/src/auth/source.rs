//! Where a credential comes from: what is asked of whom (swr-api.md 4.1, 4.3). Keeps nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::body::{Json, encode};
use super::issued::{self, Issued, Malformed};
use super::{AuthError, Authentication, Authenticator, Refusal};
use crate::circuit::Circuit;
use crate::endpoint::{Endpoint, NodeUrl};
use crate::error::{Issue, Operation, malformed};
use crate::exchange::{Call, Caller, exchange};
use crate::http::Transport;
use swr_operator_core::credential::Sensitive;
use swr_operator_core::desired::{ProjectId, Region};
use swr_operator_core::failure::{Cause, Failure};

/// Where the credential of an account comes from.
pub enum Source {
    /// It is given, and ends when whoever gave it says so.
    Given(Arc<Authentication>),
    /// IAM gives a token for a name and a password.
    Password {
        /// Whom to ask.
        iam: Endpoint,
        /// Who asks.
        login: Login,
        /// The project that the token is for.
        scope: Scope,
    },
    /// An agency is assumed with the credential of another account.
    Agency {
        /// IAM, or STS where the agency is named by a URN.
        endpoint: Endpoint,
        /// Who assumes it.
        from: Arc<Authenticator>,
        /// What is assumed.
        agency: Agency,
    },
    /// An agency is assumed with a token of an identity provider, as a cluster is one for its ServiceAccounts.
    Oidc {
        /// IAM, or STS where provider and agency are named by URNs.
        endpoint: Endpoint,
        /// Who vouches for the token.
        provider: IdentityProvider,
        /// Where the token is. It is read again each time, because the kubelet replaces it.
        token_file: PathBuf,
    },
    /// The agent of CCE gives a key to the pod.
    PodIdentity {
        /// Where the agent listens.
        url: NodeUrl,
        /// The pod's token for it.
        token_file: PathBuf,
    },
    /// The metadata service gives the key of the node's agency.
    Metadata(NodeUrl),
}

/// Name and password of an IAM user.
pub struct Login {
    /// Name of the account that the user belongs to.
    pub domain: String,
    /// Name of the user.
    pub user: String,
    /// The password.
    pub password: Sensitive,
}

/// The project that a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// By id.
    Project(ProjectId),
    /// The one that is named after the region.
    Region(Region),
}

/// What is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agency {
    /// Of IAM as it was first: by its name and the account that it belongs to.
    Named {
        /// Name of the agency.
        name: String,
        /// The account.
        domain: Domain,
    },
    /// A trust agency of the newer IAM, by URN.
    Urn(String),
}

/// An account of the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// Who vouches for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityProvider {
    /// Of IAM as it was first: the id of the provider, which says by itself what the token may do.
    Id(String),
    /// Of the newer IAM: the URNs of provider and agency.
    Urn {
        /// Of the provider.
        provider: String,
        /// Of the agency that is assumed.
        agency: String,
    },
}

/// For how long a temporary key is asked. It is short because a key that got lost should be worth little, and
/// costs one or two requests in 40 minutes.
const KEY_SECS: i64 = 3600;

/// What a session of ours is called in the cloud's audit log.
const SESSION: &str = "swr-operator";

/// A token file has a few KiB.
const TOKEN_FILE_BYTES_MAX: u64 = 64 * 1024;

impl Source {
    /// For the log.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Source::Given(_) => "given",
            Source::Password { .. } => "password",
            Source::Agency { .. } => "agency",
            Source::Oidc { .. } => "oidc",
            Source::PodIdentity { .. } => "podIdentity",
            Source::Metadata(_) => "ecsMetadata",
        }
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(self, Source::Given(_))
    }

    /// Obtains a credential.
    pub(super) async fn obtain(
        &self,
        transport: &Transport,
        circuit: &Circuit,
    ) -> Result<Issued, AuthError> {
        let ask = |endpoint| Ask {
            transport,
            circuit,
            endpoint,
        };
        match self {
            Source::Given(credential) => Ok(Issued {
                credential: Arc::clone(credential),
                lifetime_secs: None,
                project: None,
            }),
            Source::Password { iam, login, scope } => ask(iam).token(login, scope).await,
            Source::Agency {
                endpoint,
                from,
                agency,
            } => {
                // A refusal is about the credential of the other account.
                let ask = Ask {
                    transport,
                    circuit: from.circuit(),
                    endpoint,
                };
                // Boxed, because an agency's credential is a credential.
                let credential = Box::pin(from.current()).await?;
                let assumed = ask.assume(&credential, agency).await;
                if !is_auth_failed(&assumed) || from.refused(&credential) == Refusal::Final {
                    return assumed;
                }
                // As with SWR: what the other account has was revoked, and is renewed once.
                let credential = Box::pin(from.current()).await?;
                ask.assume(&credential, agency).await
            }
            Source::Oidc {
                endpoint,
                provider,
                token_file,
            } => {
                let token = read_token(token_file)?;
                ask(endpoint).assume_with(provider, &token).await
            }
            Source::PodIdentity { url, token_file } => {
                let token = read_token(token_file)?;
                ask(&url.endpoint).pod_identity(&url.path, &token).await
            }
            Source::Metadata(url) => ask(&url.endpoint).metadata().await,
        }
    }
}

/// What is read of an answer.
struct Answer {
    body: Zeroizing<Vec<u8>>,
    date: Timestamp,
    subject_token: Option<Sensitive>,
}

/// Who is asked, with what.
struct Ask<'a> {
    transport: &'a Transport,
    circuit: &'a Circuit,
    endpoint: &'a Endpoint,
}

impl Ask<'_> {
    async fn token(&self, login: &Login, scope: &Scope) -> Result<Issued, AuthError> {
        let project = match scope {
            Scope::Project(id) => ("id", Json::Text(id.as_str())),
            Scope::Region(region) => ("name", Json::Text(region.as_str())),
        };
        let user = [
            ("name", Json::Text(&login.user)),
            ("password", Json::Text(login.password.expose())),
            (
                "domain",
                Json::Object(&[("name", Json::Text(&login.domain))]),
            ),
        ];
        let identity = [
            ("methods", Json::Texts(&["password"])),
            ("password", Json::Object(&[("user", Json::Object(&user))])),
        ];
        let scope = [("project", Json::Object(&[project]))];
        let body = encode(&[(
            "auth",
            Json::Object(&[
                ("identity", Json::Object(&identity)),
                ("scope", Json::Object(&scope)),
            ]),
        )]);
        let call = Call {
            // The list of all services, which nobody reads, makes an answer many times as long.
            query: "nocatalog=true",
            body: Some(body),
            secrets: &[login.password.expose()],
            ..Call::of(Issue::Token, "/v3/auth/tokens")
        };
        let answer = self.exchange(None, call).await?;
        let issued = issued::token(answer.subject_token, &answer.body, answer.date);
        of(Issue::Token, issued)
    }

    async fn assume(
        &self,
        credential: &Authentication,
        agency: &Agency,
    ) -> Result<Issued, AuthError> {
        let (issue, path, body) = match agency {
            Agency::Named { name, domain } => {
                let (by, domain) = match domain {
                    Domain::Id(id) => ("domain_id", id),
                    Domain::Name(name) => ("domain_name", name),
                };
                let assume = [
                    ("agency_name", Json::Text(name)),
                    (by, Json::Text(domain)),
                    ("duration_seconds", Json::Number(KEY_SECS)),
                ];
                let body = identity("assume_role", &assume);
                (Issue::SecurityToken, SECURITY_TOKENS, body)
            }
            Agency::Urn(urn) => {
                let body = encode(&[
                    ("agency_urn", Json::Text(urn)),
                    ("agency_session_name", Json::Text(SESSION)),
                    ("duration_seconds", Json::Number(KEY_SECS)),
                ]);
                (Issue::AssumeAgency, "/v5/agencies/assume", body)
            }
        };
        let call = Call {
            body: Some(body),
            ..Call::of(issue, path)
        };
        self.key(Some(credential), call).await
    }

    async fn assume_with(
        &self,
        provider: &IdentityProvider,
        token: &Sensitive,
    ) -> Result<Issued, AuthError> {
        let id = match provider {
            IdentityProvider::Urn { provider, agency } => {
                let body = encode(&[
                    ("provider_urn", Json::Text(provider)),
                    ("agency_urn", Json::Text(agency)),
                    ("agency_session_name", Json::Text(SESSION)),
                    ("id_token", Json::Text(token.expose())),
                    ("duration_seconds", Json::Number(KEY_SECS)),
                ]);
                let call = Call {
                    body: Some(body),
                    secrets: &[token.expose()],
                    ..Call::of(Issue::AssumeWithOidc, "/v5/agencies/assume-with-oidc")
                };
                return self.key(None, call).await;
            }
            IdentityProvider::Id(id) => id,
        };
        let of_token = [("id", Json::Text(token.expose()))];
        let body = encode(&[(
            "auth",
            Json::Object(&[("id_token", Json::Object(&of_token))]),
        )]);
        let unscoped = Call {
            headers: &[("x-idp-id", id)],
            body: Some(body),
            secrets: &[token.expose()],
            ..Call::of(Issue::IdToken, "/v3.0/OS-AUTH/id-token/tokens")
        };
        let unscoped = self.exchange(None, unscoped).await?.subject_token;
        let unscoped = unscoped.ok_or_else(|| not_what_was_asked(Issue::IdToken))?;
        let of_token = [
            ("id", Json::Text(unscoped.expose())),
            ("duration_seconds", Json::Number(KEY_SECS)),
        ];
        let call = Call {
            body: Some(identity("token", &of_token)),
            secrets: &[unscoped.expose()],
            ..Call::of(Issue::SecurityToken, SECURITY_TOKENS)
        };
        self.key(None, call).await
    }

    async fn pod_identity(&self, path: &str, token: &Sensitive) -> Result<Issued, AuthError> {
        let call = Call {
            headers: &[("authorization", token.expose())],
            body: Some(Zeroizing::new(b"{}".to_vec())),
            secrets: &[token.expose()],
            ..Call::of(Issue::PodIdentity, path)
        };
        self.key(None, call).await
    }

    async fn metadata(&self) -> Result<Issued, AuthError> {
        let call = Call {
            headers: &[("x-metadata-token-ttl-seconds", "60")],
            ..Call::of(Issue::MetadataToken, "/meta-data/latest/api/token")
        };
        let verdict = exchange(&self.caller(None), call).await;
        let token = match (&verdict.result, verdict.status) {
            (Ok(token), _) => Sensitive::new(String::from_utf8_lossy(token).trim().to_owned()),
            // An older service knows no tokens.
            (Err(_), Some(404 | 405 | 503)) => Sensitive::new(String::new()),
            (Err(failure), _) => {
                return Err(refused(Issue::MetadataToken, failure.clone()));
            }
        };
        let header = [("x-metadata-token", token.expose())];
        let call = Call {
            headers: if token.expose().is_empty() {
                &[]
            } else {
                &header
            },
            secrets: &[token.expose()],
            ..Call::of(Issue::MetadataKey, "/openstack/latest/securitykey")
        };
        let issued = self.key(None, call).await;
        match is_auth_failed(&issued) {
            // The token is a moment old, so it is not what is refused.
            true => Err(AuthError::NoAgency),
            false => issued,
        }
    }

    async fn key(
        &self,
        credential: Option<&Authentication>,
        call: Call<'_>,
    ) -> Result<Issued, AuthError> {
        let operation = call.operation;
        let answer = self.exchange(credential, call).await?;
        let issued = issued::access_key(&answer.body, answer.date, KEY_SECS);
        of(operation, issued)
    }

    async fn exchange(
        &self,
        credential: Option<&Authentication>,
        call: Call<'_>,
    ) -> Result<Answer, AuthError> {
        let trial = self.circuit.trial().await;
        let operation = call.operation;
        let _trial = trial.map_err(|failure| refused(operation, failure))?;
        let verdict = exchange(&self.caller(credential), call).await;
        let date = verdict.date();
        let result = verdict.result.as_ref().map(|_| ());
        self.circuit.settle(Instant::now(), result);
        match verdict.result {
            Ok(body) => Ok(Answer {
                body,
                date,
                subject_token: verdict.subject_token,
            }),
            Err(failure) => Err(refused(operation, failure)),
        }
    }

    fn caller<'c>(&'c self, credential: Option<&'c Authentication>) -> Caller<'c> {
        Caller {
            transport: self.transport,
            endpoint: self.endpoint,
            credential,
            project: None,
        }
    }
}

const SECURITY_TOKENS: &str = "/v3.0/OS-CREDENTIAL/securitytokens";

/// What IAM is told about who asks.
fn identity(method: &str, fields: &[(&str, Json<'_>)]) -> Zeroizing<Vec<u8>> {
    let identity = [
        ("methods", Json::Texts(&[method])),
        (method, Json::Object(fields)),
    ];
    encode(&[(
        "auth",
        Json::Object(&[("identity", Json::Object(&identity))]),
    )])
}

fn is_auth_failed(result: &Result<Issued, AuthError>) -> bool {
    result.as_ref().is_err_and(|error| {
        matches!(error, AuthError::Refused { failure, .. } if failure.cause == Cause::AuthFailed)
    })
}

fn refused(operation: impl Into<Operation>, failure: Failure) -> AuthError {
    AuthError::Refused {
        service: operation.into().service(),
        failure,
    }
}

fn not_what_was_asked(operation: impl Into<Operation>) -> AuthError {
    let operation = operation.into();
    refused(operation, malformed(operation, None))
}

fn of(
    operation: impl Into<Operation>,
    issued: Result<Issued, Malformed>,
) -> Result<Issued, AuthError> {
    issued.map_err(|Malformed| not_what_was_asked(operation))
}

/// One line, as the kubelet writes it.
fn read_token(path: &Path) -> Result<Sensitive, AuthError> {
    let unreadable = |kind| AuthError::TokenFile {
        path: path.to_owned(),
        kind,
    };
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| unreadable(error.kind()))?;
    match text.trim() {
        "" => Err(unreadable(std::io::ErrorKind::UnexpectedEof)),
        token => Ok(Sensitive::new(token.to_owned())),
    }
}
