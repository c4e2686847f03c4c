//! IAM: credentials of the account and tokens made from them. Must not know registries.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::message::{Reply, Request};
use crate::refusal::Refusal;
use crate::sign::{Flaw, Keys, hex_sha256, verify};
use crate::switches::{OnOff, Projects, Switches, TokenError};

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

/// The account: one access key, at most one user, the tokens issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Iam {
    pub keys: Keys,
    pub user: Option<User>,
    region: String,
    project: String,
    /// Token and the end of its life.
    tokens: BTreeMap<String, Timestamp>,
    n_tokens: u64,
    failures: u32,
    locked_until: Option<Timestamp>,
}

impl Iam {
    pub fn new(keys: Keys, user: Option<User>, region: String, project: String) -> Self {
        Self {
            keys,
            user,
            region,
            project,
            tokens: BTreeMap::new(),
            n_tokens: 0,
            failures: 0,
            locked_until: None,
        }
    }

    /// Every token issued so far is unknown from now on.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
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
                Some(end) if *end <= now => Err(match switches.token_error {
                    TokenError::Gateway => {
                        Refusal::gateway(401, "0307", "The token must be updated")
                    }
                    TokenError::Service => {
                        Refusal::service(401, "SVCSTG.SWR.4010000", "Authentication failed")
                    }
                }),
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

    /// `GET /v3/projects?name=`: equality, as in Keystone.
    pub fn list_projects(&self, request: &Request, switches: &Switches) -> Reply {
        let project = |id: &str| {
            json!({
                "id": id,
                "name": self.region,
                "domain_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
                "parent_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
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

    /// `POST /v3/auth/tokens`, password method, scoped to the project.
    pub fn create_token(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let malformed = |message: &str| Refusal::Iam {
            status: 400,
            title: "Bad Request",
            message: message.to_owned(),
        };
        let unauthorized = || Refusal::Iam {
            status: 401,
            title: "Unauthorized",
            message: "The username or password is wrong.".to_owned(),
        };
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|_| malformed("The request body is invalid"))?;
        let identity = &body["auth"]["identity"];
        if identity["methods"] != json!(["password"]) {
            return Err(malformed("The methods must be [\"password\"]"));
        }
        let sent = &identity["password"]["user"];
        let user = self.user.as_ref().ok_or_else(unauthorized)?;
        if sent["name"] != user.name
            || sent["password"] != user.password
            || sent["domain"]["name"] != user.domain
        {
            return Err(unauthorized());
        }
        let scope = &body["auth"]["scope"]["project"];
        if scope["id"] != self.project && scope["name"] != self.region {
            return Err(malformed("The scope must be the project"));
        }
        let expires_at =
            now.saturating_add(SignedDuration::from_secs(i64::from(switches.token_secs.0)));
        let expires_at = expires_at.unwrap_or(Timestamp::MAX);
        self.n_tokens += 1;
        // A real token has several thousand characters.
        let token = hex_sha256(format!("token {}", self.n_tokens).as_bytes()).repeat(40);
        let reply = json!({"token": {
            "expires_at": format_time(expires_at),
            "issued_at": format_time(now),
            "methods": ["password"],
            "project": {"id": self.project, "name": self.region, "domain": {"name": user.domain}},
            "user": {"name": user.name, "domain": {"name": user.domain}},
            "roles": [],
            "catalog": [],
        }});
        self.tokens.insert(token.clone(), expires_at);
        Ok(Reply::json(201, &reply).with_header("x-subject-token", &token))
    }
}

/// IAM's own format, with microseconds.
fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
