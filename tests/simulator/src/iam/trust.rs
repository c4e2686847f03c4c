//! Whom the account trusts beside its own keys and user. Must not know what they get.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names that a request must bring, in the JSON of the control surface. Invariant: never printed, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trust {
    /// The account that the agency belongs to.
    pub domain_id: String,
    pub domain_name: String,
    /// The name of the one agency; STS knows it by its URN, `iam::<domain_id>:agency:<name>`.
    pub agency: String,
    /// The identity provider of old IAM, as `X-Idp-Id` names it.
    pub idp_id: String,
    /// The identity provider of STS; its URN is `iam::<domain_id>:oidcProvider:<name>`.
    pub oidc_provider: String,
    /// Of ID tokens: `aud` must be or contain it.
    pub audience: String,
    /// Of ID tokens: what `iss` must be; null takes any.
    pub issuer: Option<String>,
    /// The one ID token that is valid at present, which need not be a JWT; null takes each whose claims are right.
    pub id_token: Option<String>,
    /// The same for tokens of Pod Identity. No document names the real audience.
    pub pod_audience: String,
    pub pod_token: Option<String>,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            domain_id: "0a1b2c3d4e5f60718293a4b5c6d7e8f9".to_owned(),
            domain_name: "swr-example".to_owned(),
            agency: "swr-agency".to_owned(),
            idp_id: "cce-idp".to_owned(),
            oidc_provider: "cce-oidc".to_owned(),
            audience: "swr-operator".to_owned(),
            issuer: None,
            id_token: None,
            pod_audience: "pod-identity.example.com".to_owned(),
            pod_token: None,
        }
    }
}

impl Trust {
    pub fn agency_urn(&self) -> String {
        format!("iam::{}:agency:{}", self.domain_id, self.agency)
    }

    pub fn provider_urn(&self) -> String {
        format!(
            "iam::{}:oidcProvider:{}",
            self.domain_id, self.oidc_provider
        )
    }

    /// Changes the fields that the JSON object names and leaves the others; nothing is changed when one is unknown.
    pub fn set_json(&mut self, named: Value) -> Result<(), serde_json::Error> {
        let named: serde_json::Map<String, Value> = serde_json::from_value(named)?;
        let mut next = serde_json::to_value(&*self)?;
        if let Some(fields) = next.as_object_mut() {
            fields.extend(named);
        }
        *self = serde_json::from_value(next)?;
        Ok(())
    }
}
