//! The agent of CCE Pod Identity, which runs on the node. Must not know any other source of keys.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::id_token::Expected;
use super::{Iam, new_time};
use crate::message::{Reply, Request};
use crate::refusal::Refusal;
use crate::switches::{PodIdentityReply, Switches};

/// The path of `HC_CONTAINER_CREDENTIALS_FULL_URI`. The agent chooses it, so this one is made up.
pub const PATH: &str = "/pod-identity/credentials";

/// Not documented: as long as those of the metadata service.
const KEY_SECS: u32 = 6 * 60 * 60;

impl Iam {
    pub(super) fn create_pod_key(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        // Verbatim: with "Bearer" before it, it is no token.
        let token = request
            .header("authorization")
            .ok_or_else(|| Refusal::unauthorized_in_text("Authorization is missing"))?;
        let expected = Expected {
            audience: &self.trust.pod_audience,
            issuer: self.trust.issuer.as_deref(),
            token: self.trust.pod_token.as_deref(),
        };
        expected
            .check(token, now)
            .map_err(|flaw| Refusal::unauthorized_in_text(flaw.message()))?;
        if !serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body.is_object()) {
            return Err(Refusal::Text {
                status: 400,
                message: "The body must be a JSON object",
            });
        }
        let issued = self.issue_key(KEY_SECS, switches, now);
        let reply = match switches.pod_identity_reply {
            PodIdentityReply::Credential => issued.in_old_words(),
            PodIdentityReply::Credentials => issued.in_new_words(),
            PodIdentityReply::Flat => json!({
                "accessKeyId": issued.secret.access_key,
                "secretAccessKey": issued.secret.secret_key,
                "securityToken": issued.secret.security_token,
                "expiration": new_time(issued.expires_at),
            }),
        };
        Ok(Reply::json(200, &reply))
    }
}
