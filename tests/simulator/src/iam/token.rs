//! Tokens of old IAM: by password, by an agency, by an ID token. Must not know temporary keys.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::id_token::Expected;
use super::{Iam, Issued, malformed, old_body, old_time, unauthorized};
use crate::message::{Reply, Request};
use crate::refusal::Refusal;
use crate::switches::Switches;

impl Iam {
    /// `POST /v3/auth/tokens`, password method, scoped to the project.
    pub(super) fn create_token(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let wrong = || unauthorized("The username or password is wrong.");
        let body = old_body(request)?;
        let identity = &body["auth"]["identity"];
        if identity["methods"] != json!(["password"]) {
            return Err(malformed("The methods must be [\"password\"]"));
        }
        let sent = &identity["password"]["user"];
        let user = self.user.clone().ok_or_else(wrong)?;
        if sent["name"] != user.name
            || sent["password"] != user.password
            || sent["domain"]["name"] != user.domain
        {
            return Err(wrong());
        }
        self.check_scope(&body)?;
        let issued = self.issue_token(true, switches, now);
        let shown = json!({"name": user.name, "domain": {"name": user.domain}});
        Ok(self.scoped_reply("password", &user.domain, &shown, &issued, now))
    }

    /// `POST /v3/auth/tokens`, method `assume_role`: a token with the rights of the agency.
    pub(super) fn create_agency_token(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let body = old_body(request)?;
        self.check_agency(&body["auth"]["identity"]["assume_role"])?;
        self.check_scope(&body)?;
        let issued = self.issue_token(true, switches, now);
        let domain = self.trust.domain_name.clone();
        let shown = json!({
            "name": format!("{domain}/{}", self.trust.agency),
            "domain": {"id": self.trust.domain_id, "name": domain},
        });
        Ok(self.scoped_reply("assume_role", &domain, &shown, &issued, now))
    }

    /// `POST /v3.0/OS-AUTH/id-token/tokens`, without a scope.
    pub(super) fn create_unscoped_token(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let body = old_body(request)?;
        let id_token = body["auth"]["id_token"]["id"]
            .as_str()
            .ok_or_else(|| malformed("auth.id_token.id is missing"))?;
        let provider = request
            .header("x-idp-id")
            .ok_or_else(|| malformed("X-Idp-Id is missing"))?;
        if provider != self.trust.idp_id {
            return Err(Refusal::Iam {
                status: 404,
                title: "Not Found",
                message: format!("Could not find Identity Provider: {provider}"),
            });
        }
        self.expected_id_token()
            .check(id_token, now)
            .map_err(|flaw| unauthorized(flaw.message()))?;
        let issued = self.issue_token(false, switches, now);
        let reply = json!({"token": {
            "expires_at": old_time(issued.expires_at),
            "issued_at": old_time(now),
            "methods": ["mapped"],
            "user": {
                "id": "federated",
                "name": "federated",
                "domain": {"id": self.trust.domain_id, "name": self.trust.domain_name},
                "OS-FEDERATION": {
                    "identity_provider": {"id": self.trust.idp_id},
                    "protocol": {"id": "oidc"},
                    "groups": [],
                },
            },
        }});
        Ok(Reply::json(201, &reply).with_header("x-subject-token", &issued.secret))
    }

    /// What old IAM and STS ask of an ID token.
    pub(super) fn expected_id_token(&self) -> Expected<'_> {
        Expected {
            audience: &self.trust.audience,
            issuer: self.trust.issuer.as_deref(),
            token: self.trust.id_token.as_deref(),
        }
    }

    /// The project, by its id or its name. SWR is of one region: a token for the whole account is of no use.
    fn check_scope(&self, body: &Value) -> Result<(), Refusal> {
        let scope = &body["auth"]["scope"]["project"];
        if scope["id"] == self.project || scope["name"] == self.region {
            Ok(())
        } else {
            Err(malformed("The scope must be the project"))
        }
    }

    fn scoped_reply(
        &self,
        method: &str,
        domain: &str,
        user: &Value,
        issued: &Issued<String>,
        now: Timestamp,
    ) -> Reply {
        let reply = json!({"token": {
            "expires_at": old_time(issued.expires_at),
            "issued_at": old_time(now),
            "methods": [method],
            "project": {"id": self.project, "name": self.region, "domain": {"name": domain}},
            "user": user,
            "roles": [],
            "catalog": [],
        }});
        Reply::json(201, &reply).with_header("x-subject-token", &issued.secret)
    }
}
