//! ID token -> may its bearer come in. Must not know what is issued then.
//!
//! Not verified: the signature of the token, `nbf`, `sub`, and whether the provider was registered with the right JWKS.
//! Whoever can write the claims is let in; a test that wants less names the one valid token in `Trust`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

/// Why an ID token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Malformed,
    Unknown,
    Audience,
    Issuer,
    Expired,
}

impl Flaw {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Malformed => "The ID token is not a JWT",
            Self::Unknown => "The ID token is not the one that is valid at present",
            Self::Audience => "The audience of the ID token is not trusted",
            Self::Issuer => "The issuer of the ID token is not trusted",
            Self::Expired => "The ID token has expired",
        }
    }
}

/// What is asked of an ID token.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) audience: &'a str,
    pub(super) issuer: Option<&'a str>,
    /// The only one that counts.
    pub(super) token: Option<&'a str>,
}

impl Expected<'_> {
    /// The text of the token counts as it came: a word before it or a blank behind it makes it another one.
    pub(super) fn check(self, token: &str, now: Timestamp) -> Result<(), Flaw> {
        if self.token.is_some_and(|valid| token != valid) {
            return Err(Flaw::Unknown);
        }
        let claims = match (claims(token), self.token) {
            (Some(claims), _) => claims,
            // A test may name any text, which has no claims.
            (None, Some(_)) => return Ok(()),
            (None, None) => return Err(Flaw::Malformed),
        };
        let expires_at = claims["exp"].as_i64().ok_or(Flaw::Malformed)?;
        let audience = &claims["aud"];
        let among = |all: &Vec<Value>| all.iter().any(|one| one == self.audience);
        if audience != self.audience && !audience.as_array().is_some_and(among) {
            return Err(Flaw::Audience);
        }
        if self.issuer.is_some_and(|issuer| claims["iss"] != issuer) {
            return Err(Flaw::Issuer);
        }
        if expires_at <= now.as_second() {
            return Err(Flaw::Expired);
        }
        Ok(())
    }
}

/// The payload of a JWT whose parts have the right form.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || signature.is_empty() {
        return None;
    }
    let object = |part: &str| -> Option<Value> {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        value.is_object().then_some(value)
    };
    object(header)?;
    URL_SAFE_NO_PAD.decode(signature).ok()?;
    object(payload)
}

/// A JWT with these claims and a signature that nobody checks, for tests.
#[cfg(test)]
pub(super) fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(&serde_json::json!({"alg": "RS256", "typ": "JWT"})),
        part(claims),
        URL_SAFE_NO_PAD.encode("signature")
    )
}
