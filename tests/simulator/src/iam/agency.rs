//! Temporary keys of old IAM and of STS. Must not know where else keys come from.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::Value;

use super::{Iam, duration, forbidden, malformed, old_body, unauthorized};
use crate::message::{Reply, Request};
use crate::refusal::Refusal;
use crate::switches::Switches;

/// Old IAM: 15 minutes to 24 hours, without a word 15 minutes.
const OLD_SECS: RangeInclusive<u32> = 900..=86_400;
const OLD_SECS_DEFAULT: u32 = 900;

/// STS: 15 minutes to 12 hours, without a word one hour, which is also all that a temporary key can pass on.
const NEW_SECS: RangeInclusive<u32> = 900..=43_200;
const NEW_SECS_CHAINED: RangeInclusive<u32> = 900..=3_600;
const NEW_SECS_DEFAULT: u32 = 3_600;

impl Iam {
    /// `POST /v3.0/OS-CREDENTIAL/securitytokens`, method `assume_role`.
    pub(super) fn create_key_by_agency(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let body = old_body(request)?;
        let identity = &body["auth"]["identity"];
        if identity["methods"] != serde_json::json!(["assume_role"]) {
            return Err(malformed(
                "The methods must be [\"assume_role\"] or [\"token\"]",
            ));
        }
        let role = &identity["assume_role"];
        let secs =
            duration(&role["duration_seconds"], &OLD_SECS, OLD_SECS_DEFAULT).map_err(malformed)?;
        self.check_agency(role)?;
        let issued = self.issue_key(secs, switches, now);
        Ok(Reply::json(201, &issued.in_old_words()))
    }

    /// The same path, method `token`: whoever holds a token, scoped or not, gets a key with the same rights.
    pub(super) fn create_key_by_token(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let body = old_body(request)?;
        let sent = &body["auth"]["identity"]["token"];
        let id = sent["id"]
            .as_str()
            .ok_or_else(|| malformed("auth.identity.token.id is missing"))?;
        let secs =
            duration(&sent["duration_seconds"], &OLD_SECS, OLD_SECS_DEFAULT).map_err(malformed)?;
        match self.tokens.get(id) {
            None => return Err(unauthorized("The token is invalid")),
            Some(token) if token.expires_at <= now => {
                return Err(unauthorized("The token has expired"));
            }
            Some(_) => {}
        }
        let issued = self.issue_key(secs, switches, now);
        Ok(Reply::json(201, &issued.in_old_words()))
    }

    /// `POST /v5/agencies/assume` of STS.
    pub(super) fn assume_agency(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let body = new_body(request)?;
        // The document ties the limit to this header, not to what the key is.
        let allowed = match request.header("x-security-token") {
            Some(_) => NEW_SECS_CHAINED,
            None => NEW_SECS,
        };
        let secs = self.check_session(&body, &allowed)?;
        let issued = self.issue_key(secs, switches, now);
        Ok(Reply::json(200, &issued.in_new_words()))
    }

    /// `POST /v5/agencies/assume-with-oidc` of STS. Left out: `policy` and `policy_ids`, which are ignored.
    pub(super) fn assume_agency_with_oidc(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let body = new_body(request)?;
        let secs = self.check_session(&body, &NEW_SECS)?;
        if body["provider_urn"] != self.trust.provider_urn() {
            return Err(sts(
                403,
                "STS.403001",
                "The identity provider is not trusted",
            ));
        }
        let id_token = body["id_token"]
            .as_str()
            .ok_or_else(|| sts(400, INVALID, "id_token is missing"))?;
        self.expected_id_token()
            .check(id_token, now)
            .map_err(|flaw| sts(401, "STS.401001", flaw.message()))?;
        let issued = self.issue_key(secs, switches, now);
        Ok(Reply::json(200, &issued.in_new_words()))
    }

    /// The agency by its name and the account it belongs to. The SDK of terraform still says `xrole_name`.
    pub(super) fn check_agency(&self, role: &Value) -> Result<(), Refusal> {
        let text = |field: &str| role[field].as_str();
        let name = text("agency_name").or(text("xrole_name"));
        // The id is preferred: beside it the name does not count.
        let account = match (text("domain_id"), text("domain_name")) {
            (Some(id), _) => Some(id == self.trust.domain_id),
            (None, Some(name)) => Some(name == self.trust.domain_name),
            (None, None) => None,
        };
        let (Some(name), Some(same_account)) = (name, account) else {
            return Err(malformed(
                "assume_role needs agency_name and domain_id or domain_name",
            ));
        };
        if same_account && name == self.trust.agency {
            Ok(())
        } else {
            Err(forbidden("You are not authorized to assume the agency"))
        }
    }

    /// What both calls of STS have in common; gives how long the session lasts.
    fn check_session(&self, body: &Value, allowed: &RangeInclusive<u32>) -> Result<u32, Refusal> {
        let invalid = |message: String| sts(400, INVALID, message);
        let secs =
            duration(&body["duration_seconds"], allowed, NEW_SECS_DEFAULT).map_err(invalid)?;
        if body["agency_session_name"]
            .as_str()
            .is_none_or(str::is_empty)
        {
            return Err(invalid("agency_session_name is missing".to_owned()));
        }
        if body["agency_urn"] == self.trust.agency_urn() {
            Ok(secs)
        } else {
            let message = "You are not authorized to assume the agency";
            Err(sts(403, "STS.403002", message))
        }
    }
}

const INVALID: &str = "STS.400001";

fn sts(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::Sts {
        status,
        code,
        message: message.into(),
    }
}

fn new_body(request: &Request) -> Result<Value, Refusal> {
    serde_json::from_slice(&request.body)
        .map_err(|_| sts(400, INVALID, "The request body is invalid"))
}
