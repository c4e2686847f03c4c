//! Answers of IAM, STS, the metadata service and the pod identity agent -> a credential and how long it lasts
//! (swr-api.md 4.1, 4.3). They spell the same four words in many ways. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::Authentication;
use crate::sign::AccessKey;
use swr_operator_core::credential::Sensitive;
use swr_operator_core::desired::ProjectId;

/// A credential as it was issued.
pub(super) struct Issued {
    pub(super) credential: Arc<Authentication>,
    /// `None` for what does not end, or not for any reason that we know of.
    pub(super) lifetime_secs: Option<i64>,
    /// Where the credential is for one.
    pub(super) project: Option<ProjectId>,
}

/// The answer is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

#[derive(Deserialize)]
struct WrappedKey {
    #[serde(alias = "credentials")]
    credential: KeyIn,
}

#[derive(Deserialize)]
struct KeyIn {
    #[serde(alias = "access", alias = "accessKeyId")]
    access_key_id: String,
    #[serde(alias = "secret", alias = "secretAccessKey")]
    secret_access_key: String,
    #[serde(alias = "securitytoken", alias = "securityToken")]
    security_token: String,
    /// Some answers give none: then it is the duration that was asked for.
    #[serde(default, alias = "expires_at")]
    expiration: Option<String>,
}

/// A temporary key. `asked_secs` is the duration that was asked for.
pub(super) fn access_key(
    body: &[u8],
    now: Timestamp,
    asked_secs: i64,
) -> Result<Issued, Malformed> {
    // Wrapped or not, by one look after the other: serde's `untagged` would copy the secrets before it tries.
    let key: KeyIn = serde_json::from_slice(body)
        .map(|WrappedKey { credential }| credential)
        .or_else(|_| serde_json::from_slice(body))
        .map_err(|_| Malformed)?;
    let secret_key = Sensitive::new(key.secret_access_key);
    let security_token = Sensitive::new(key.security_token);
    if key.access_key_id.is_empty()
        || secret_key.expose().is_empty()
        || security_token.expose().is_empty()
    {
        return Err(Malformed);
    }
    Ok(Issued {
        credential: Arc::new(Authentication::AccessKey(AccessKey {
            access_key: key.access_key_id,
            secret_key,
            security_token: Some(security_token),
        })),
        lifetime_secs: Some(lifetime(key.expiration.as_deref(), now, asked_secs)?),
        project: None,
    })
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenIn,
}

#[derive(Deserialize)]
struct TokenIn {
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    project: Option<ProjectIn>,
}

#[derive(Deserialize)]
struct ProjectIn {
    id: String,
}

/// A token, which stands in a header; the body says when it ends and what it is for.
pub(super) fn token(
    header: Option<Sensitive>,
    body: &[u8],
    now: Timestamp,
) -> Result<Issued, Malformed> {
    /// IAM's tokens last a day.
    const DAY_SECS: i64 = 24 * 3600;
    let token = header.filter(|token| !token.expose().is_empty());
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| Malformed)?;
    let expires_at = answer.token.expires_at;
    Ok(Issued {
        credential: Arc::new(Authentication::Token(token.ok_or(Malformed)?)),
        lifetime_secs: Some(lifetime(expires_at.as_deref(), now, DAY_SECS)?),
        project: answer
            .token
            .project
            .map(|project| ProjectId::new(project.id)),
    })
}

/// From the server's own time to the end that it names, so that a wrong clock of ours does not count.
fn lifetime(expires_at: Option<&str>, now: Timestamp, asked_secs: i64) -> Result<i64, Malformed> {
    let Some(expires_at) = expires_at else {
        return Ok(asked_secs);
    };
    let end: Timestamp = expires_at.trim().parse().map_err(|_| Malformed)?;
    let secs = end.as_second().saturating_sub(now.as_second());
    if secs > 0 { Ok(secs) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn seen(issued: Result<Issued, Malformed>) -> Option<(String, Option<i64>, Option<String>)> {
        let issued = issued.ok()?;
        Some((
            issued.credential.secrets().join(" "),
            issued.lifetime_secs,
            issued.project.map(|project| project.as_str().to_owned()),
        ))
    }

    #[test]
    fn a_temporary_key_is_read_in_every_spelling() {
        let now = at("2022-10-17T18:00:00Z");
        let key = |lifetime| Some(("ak sk st".to_owned(), Some(lifetime), None));
        for (body, expected) in [
            (
                r#"{"credential":{"access":"ak","secret":"sk","securitytoken":"st","expires_at":"2022-10-17T18:51:25.231000Z"}}"#,
                key(3085),
            ),
            (
                r#"{"credentials":{"access_key_id":"ak","secret_access_key":"sk","security_token":"st","expiration":"2022-10-17T19:00:00.253Z"}}"#,
                key(3600),
            ),
            (
                r#"{"accessKeyId":"ak","secretAccessKey":"sk","securityToken":"st","expiration":"2022-10-17T18:00:01Z","x":1}"#,
                key(1),
            ),
            (
                r#"{"credentials":{"access_key_id":"ak","secret_access_key":"sk","security_token":"st"}}"#,
                key(900),
            ),
            (
                r#"{"credential":{"access":"ak","secret":"sk","securitytoken":"st","expires_at":"2022-10-17T18:00:00Z"}}"#,
                None,
            ),
            (
                r#"{"credential":{"access":"ak","secret":"sk","securitytoken":"st","expires_at":"soon"}}"#,
                None,
            ),
            (
                r#"{"credential":{"access":"ak","secret":"sk","securitytoken":""}}"#,
                None,
            ),
            (r#"{"credential":{"access":"ak","secret":"sk"}}"#, None),
            ("{}", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(
                seen(access_key(body.as_bytes(), now, 900)),
                expected,
                "{body}"
            );
        }
    }

    #[test]
    fn a_token_stands_in_the_header_and_says_its_project() {
        let now = at("2022-10-17T18:00:00Z");
        let header = |text: &str| Some(Sensitive::new(text.to_owned()));
        let body = br#"{"token":{"expires_at":"2022-10-18T18:00:00.000000Z","project":{"id":"p-1","name":"r"}}}"#;
        assert_eq!(
            seen(token(header("tok"), body, now)),
            Some(("tok  ".to_owned(), Some(86_400), Some("p-1".to_owned())))
        );
        assert_eq!(seen(token(None, body, now)), None);
        assert_eq!(seen(token(header(""), body, now)), None);
        assert_eq!(
            seen(token(header("tok"), br#"{"token":{}}"#, now)),
            Some(("tok  ".to_owned(), Some(86_400), None))
        );
        assert_eq!(seen(token(header("tok"), b"{}", now)), None);
    }

    #[test]
    fn a_credential_of_any_bytes_is_whole_or_refused() {
        bolero::check!().for_each(|body: &[u8]| {
            let (header, now) = (
                Sensitive::new("token".to_owned()),
                at("2026-01-31T10:30:00Z"),
            );
            for issued in [access_key(body, now, 3_600), token(Some(header), body, now)] {
                let Some((secrets, lifetime_secs, _)) = seen(issued) else {
                    continue;
                };
                assert!(!secrets.is_empty());
                assert!(lifetime_secs.is_some_and(|secs| secs > 0));
            }
        });
    }
}
