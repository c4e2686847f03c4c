//! Who somebody is: the account's own credentials, what it issues to those it trusts, and what of that still counts. Must
//! not know registries.
//!
//! One module for each source of credentials. What they issue is kept here, because a request of SWR does not tell where
//! its key or token came from. All keys and tokens have the same rights.

mod agency;
mod id_token;
pub mod metadata;
pub mod pod_identity;
mod token;
mod trust;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::message::{Reply, Request};
use crate::refusal::Refusal;
use crate::route::Identity;
use crate::sign::{Flaw, Keys, access_key, hex_sha256, verify};
use crate::switches::{OnOff, Projects, Switches, TokenError};

pub use trust::Trust;

/// An IAM user who may get tokens by password. Invariant: never printed, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub domain: String,
    pub name: String,
    pub password: String,
}

/// More than five failures in a row lock a key, for five minutes.
const FAILURES_MAX: u32 = 5;
const LOCK: SignedDuration = SignedDuration::from_mins(5);

/// Documented for every token of old IAM: 24 hours.
const TOKEN_SECS: u32 = 24 * 60 * 60;

const EXPIRED_KEY: &str = "Incorrect IAM authentication information: verify aksk signature fail, the security token has expired";

/// Invariant: never printed, so it has no `Debug`. The same goes for all below.
#[derive(Clone, PartialEq, Eq)]
struct Token {
    expires_at: Timestamp,
    /// Whether it is scoped to the project. One that is not is good for nothing but a temporary key.
    scoped: bool,
}

/// A key that was issued, with its end. What is past stays, so that "expired" and "unknown" are told apart.
#[derive(Clone, PartialEq, Eq)]
struct TemporaryKey {
    keys: Keys,
    expires_at: Timestamp,
}

/// The account: one access key, at most one user, whom it trusts, and what was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Iam {
    pub keys: Keys,
    pub user: Option<User>,
    pub trust: Trust,
    region: String,
    project: String,
    tokens: BTreeMap<String, Token>,
    /// By their access key.
    temporary_keys: BTreeMap<String, TemporaryKey>,
    /// Tokens of the metadata service, with their end.
    metadata_tokens: BTreeMap<String, Timestamp>,
    n_issued: u64,
    failures: u32,
    locked_until: Option<Timestamp>,
}

impl Iam {
    pub fn new(
        keys: Keys,
        user: Option<User>,
        trust: Trust,
        region: String,
        project: String,
    ) -> Self {
        Self {
            keys,
            user,
            trust,
            region,
            project,
            tokens: BTreeMap::new(),
            temporary_keys: BTreeMap::new(),
            metadata_tokens: BTreeMap::new(),
            n_issued: 0,
            failures: 0,
            locked_until: None,
        }
    }

    /// What was issued and is not revoked, for whoever searches a log for it.
    pub fn issued_secrets(&self) -> Vec<String> {
        let keys = self.temporary_keys.values().flat_map(|key| {
            let secret = key.keys.secret_key.clone();
            std::iter::once(secret).chain(key.keys.security_token.clone())
        });
        self.tokens.keys().cloned().chain(keys).collect()
    }

    /// Every token and every temporary key issued so far is unknown from now on.
    pub fn revoke(&mut self) {
        self.tokens.clear();
        self.temporary_keys.clear();
    }

    /// The metadata service no longer knows the tokens it gave out. The keys it gave out stay valid.
    pub fn forget_metadata_tokens(&mut self) {
        self.metadata_tokens.clear();
    }

    /// Lets the request pass when it is signed, or carries a token that was issued and still lives.
    pub fn authenticate(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let unauthenticated = |message: &str| Refusal::gateway(401, "0301", message);
        match (
            request.header("authorization"),
            request.header("x-auth-token"),
        ) {
            (Some(_), _) => self
                .check_signature(request, switches, now)
                .map_err(|message| unauthenticated(&message)),
            (None, Some(token)) => match self.tokens.get(token) {
                None => Err(unauthenticated(
                    "Incorrect IAM authentication information: decrypt token fail",
                )),
                Some(token) if token.expires_at <= now => Err(match switches.token_error {
                    TokenError::Gateway => {
                        Refusal::gateway(401, "0307", "The token must be updated")
                    }
                    TokenError::Service => {
                        Refusal::service(401, "SVCSTG.SWR.4010000", "Authentication failed")
                    }
                }),
                Some(token) if !token.scoped => Err(unauthenticated(
                    "Incorrect IAM authentication information: the token has no project",
                )),
                Some(_) => Ok(()),
            },
            (None, None) => Err(unauthenticated(
                "Incorrect IAM authentication information: x-auth-token not found",
            )),
        }
    }

    fn check_signature(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<(), String> {
        if let Some(temporary) = access_key(request).and_then(|key| self.temporary_keys.get(key)) {
            verify(request, &temporary.keys, now).map_err(|flaw| flaw.message().to_owned())?;
            return if temporary.expires_at <= now {
                Err(EXPIRED_KEY.to_owned())
            } else {
                Ok(())
            };
        }
        if self.locked_until.is_some_and(|end| now < end) {
            return Err(
                "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden".to_owned(),
            );
        }
        match verify(request, &self.keys, now) {
            Ok(()) => {
                self.failures = 0;
                Ok(())
            }
            Err(flaw) => {
                // A key of somebody else does not lock this one.
                if flaw != Flaw::UnknownAccessKey && switches.access_key_lock == OnOff::On {
                    self.failures += 1;
                    if self.failures > FAILURES_MAX {
                        self.failures = 0;
                        self.locked_until = now.checked_add(LOCK).ok();
                    }
                }
                Err(flaw.message().to_owned())
            }
        }
    }

    /// Answers a call that was authenticated where it has to be.
    pub fn answer(
        &mut self,
        call: Identity,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        match call {
            Identity::ListProjects => Ok(self.list_projects(request, switches)),
            Identity::CreateToken => self.create_token(request, switches, now),
            Identity::CreateAgencyToken => self.create_agency_token(request, switches, now),
            Identity::CreateKeyByAgency => self.create_key_by_agency(request, switches, now),
            Identity::CreateKeyByToken => self.create_key_by_token(request, switches, now),
            Identity::CreateUnscopedToken => self.create_unscoped_token(request, switches, now),
            Identity::AssumeAgency => self.assume_agency(request, switches, now),
            Identity::AssumeAgencyWithOidc => self.assume_agency_with_oidc(request, switches, now),
            Identity::MetadataToken => self.create_metadata_token(request, switches, now),
            Identity::MetadataKey => self.show_metadata_key(request, switches, now),
            Identity::PodIdentity => self.create_pod_key(request, switches, now),
        }
    }

    /// `GET /v3/projects?name=`: equality, as in Keystone.
    fn list_projects(&self, request: &Request, switches: &Switches) -> Reply {
        let project = |id: &str| {
            json!({
                "id": id,
                "name": self.region,
                "domain_id": self.trust.domain_id,
                "parent_id": self.trust.domain_id,
                "is_domain": false,
                "enabled": true,
                "description": "",
                "links": {"self": format!("/v3/projects/{id}")},
            })
        };
        let projects = match switches.projects {
            Projects::None => Vec::new(),
            Projects::One => vec![project(&self.project)],
            Projects::Two => vec![
                project(&self.project),
                project("ffffffffffffffffffffffffffffffff"),
            ],
        };
        let wanted = request.parameter("name");
        let projects: Vec<Value> = match wanted {
            Some(name) if name != self.region => Vec::new(),
            Some(_) | None => projects,
        };
        Reply::json(
            200,
            &json!({"projects": projects, "links": {"self": "/v3/projects"}}),
        )
    }

    /// A token of old IAM. A real one has several thousand characters.
    fn issue_token(&mut self, scoped: bool, switches: &Switches, now: Timestamp) -> Issued<String> {
        let expires_at = end_of_life(TOKEN_SECS, switches, now);
        let token = self.next_secret("token", now).repeat(40);
        self.tokens
            .insert(token.clone(), Token { expires_at, scoped });
        Issued {
            secret: token,
            expires_at,
        }
    }

    fn issue_key(&mut self, secs: u32, switches: &Switches, now: Timestamp) -> Issued<Keys> {
        let expires_at = end_of_life(secs, switches, now);
        let access_key =
            format!("HST{}", &self.next_secret("access key", now)[..17]).to_uppercase();
        let keys = Keys {
            access_key: access_key.clone(),
            secret_key: self.next_secret("secret key", now)[..40].to_owned(),
            // With what a header carries as it is and a form or a query does not; about as long as a real one.
            security_token: Some(format!(
                "gQpjbi1+/=={}",
                self.next_secret("security token", now).repeat(12)
            )),
        };
        let issued = TemporaryKey {
            keys: keys.clone(),
            expires_at,
        };
        self.temporary_keys.insert(access_key, issued);
        Issued {
            secret: keys,
            expires_at,
        }
    }

    /// 64 characters that nothing else has: not in this account, and not in that of another simulator.
    fn next_secret(&mut self, kind: &str, now: Timestamp) -> String {
        self.n_issued += 1;
        let text = format!("{kind} {} of {} at {now}", self.n_issued, self.project);
        hex_sha256(text.as_bytes())
    }
}

/// What was issued, and until when it counts.
struct Issued<T> {
    secret: T,
    expires_at: Timestamp,
}

impl Issued<Keys> {
    /// In the words of old IAM, which the metadata service shares.
    fn in_old_words(&self) -> Value {
        json!({"credential": {
            "access": self.secret.access_key,
            "secret": self.secret.secret_key,
            "securitytoken": self.secret.security_token,
            "expires_at": old_time(self.expires_at),
        }})
    }

    /// In the words of STS.
    fn in_new_words(&self) -> Value {
        json!({"credentials": {
            "access_key_id": self.secret.access_key,
            "secret_access_key": self.secret.secret_key,
            "security_token": self.secret.security_token,
            "expiration": new_time(self.expires_at),
        }})
    }
}

/// The end of what is issued now and lives so long by its document.
fn end_of_life(secs: u32, switches: &Switches, now: Timestamp) -> Timestamp {
    let secs = match switches.credential_ttl_seconds.0 {
        0 => secs,
        switched => switched,
    };
    now.saturating_add(SignedDuration::from_secs(i64::from(secs)))
        .unwrap_or(Timestamp::MAX)
}

/// `duration_seconds` of a body, within its limits; the message of a refusal says which.
fn duration(named: &Value, allowed: &RangeInclusive<u32>, default: u32) -> Result<u32, String> {
    if named.is_null() {
        return Ok(default);
    }
    named
        .as_u64()
        .and_then(|secs| u32::try_from(secs).ok())
        .filter(|secs| allowed.contains(secs))
        .ok_or_else(|| {
            format!(
                "duration_seconds must be from {} to {}",
                allowed.start(),
                allowed.end()
            )
        })
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::Iam {
        status: 400,
        title: "Bad Request",
        message: message.into(),
    }
}

fn unauthorized(message: impl Into<String>) -> Refusal {
    Refusal::Iam {
        status: 401,
        title: "Unauthorized",
        message: message.into(),
    }
}

fn forbidden(message: impl Into<String>) -> Refusal {
    Refusal::Iam {
        status: 403,
        title: "Forbidden",
        message: message.into(),
    }
}

/// The body of a request to old IAM.
fn old_body(request: &Request) -> Result<Value, Refusal> {
    serde_json::from_slice(&request.body).map_err(|_| malformed("The request body is invalid"))
}

/// Old IAM's format, with microseconds.
fn old_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// STS's format, with milliseconds.
fn new_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Where bodies carry what proves somebody.
const SECRETS: [&str; 4] = [
    "/auth/identity/password/user/password",
    "/auth/identity/token/id",
    "/auth/id_token/id",
    "/id_token",
];

/// A body of a call about identity, without the secrets. What is no JSON may hold one anywhere, so nothing of it is shown.
pub fn without_secrets(body: &[u8]) -> Vec<u8> {
    let Ok(mut body) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    for pointer in SECRETS {
        if let Some(secret) = body.pointer_mut(pointer) {
            *secret = Value::from("***");
        }
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
