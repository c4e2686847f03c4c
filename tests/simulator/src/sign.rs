//! Request + keys -> is the signature right. Must not know operations, tokens or any signer of a client.

use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::message::{Request, decode};

const ALGORITHM: &str = "SDK-HMAC-SHA256";
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The gateway refuses a clock difference over 15 minutes.
pub const SKEW_SECS_MAX: i64 = 15 * 60;

/// RFC 3986 unreserved characters stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// An access key of the account. Invariant: never printed, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub access_key: String,
    pub secret_key: String,
    /// Set when the keys are temporary; each request must then carry it.
    pub security_token: Option<String>,
}

/// Why a request is not signed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    Malformed,
    UnknownAccessKey,
    Clock,
    SecurityToken,
    Payload,
    Mismatch,
}

impl Flaw {
    /// What the gateway says about it. The first half is the documented text for every signature that fails.
    pub fn message(self) -> &'static str {
        match self {
            Self::Malformed => {
                "Incorrect IAM authentication information: verify aksk signature fail, the Authorization header is incomplete"
            }
            Self::UnknownAccessKey => {
                "Incorrect IAM authentication information: verify aksk signature fail, the access key does not exist"
            }
            Self::Clock => {
                "Incorrect IAM authentication information: verify aksk signature fail, x-sdk-date differs from the current time by more than 15 minutes"
            }
            Self::SecurityToken => {
                "Incorrect IAM authentication information: verify aksk signature fail, the security token is missing or wrong"
            }
            Self::Payload => {
                "Incorrect IAM authentication information: verify aksk signature fail, x-sdk-content-sha256 is not the hash of the body"
            }
            Self::Mismatch => {
                "Incorrect IAM authentication information: verify aksk signature fail"
            }
        }
    }
}

/// The three parts of an `Authorization` header.
struct Authorization<'a> {
    access: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let rest = header.trim().strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let (mut access, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            match name {
                "Access" => access = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                "Signature" => signature = Some(value),
                _ => return None,
            }
        }
        Some(Self {
            access: access?,
            signed_headers: signed_headers?,
            signature: signature?,
        })
    }
}

/// The access key that the request claims, for the journal.
pub fn access_key(request: &Request) -> Option<&str> {
    Authorization::parse(request.header("authorization")?).map(|its| its.access)
}

/// The headers that the request claims to be signed, for the journal.
pub fn signed_headers(request: &Request) -> Option<&str> {
    Authorization::parse(request.header("authorization")?).map(|its| its.signed_headers)
}

/// Computes the signature anew from the request's own list of signed headers. Further headers may be unsigned;
/// neither Host nor Content-Type has to be in the list (terraform leaves both out).
pub fn verify(request: &Request, keys: &Keys, now: Timestamp) -> Result<(), Flaw> {
    let header = request.header("authorization").ok_or(Flaw::Malformed)?;
    let authorization = Authorization::parse(header).ok_or(Flaw::Malformed)?;
    if authorization.access != keys.access_key {
        return Err(Flaw::UnknownAccessKey);
    }
    let date = request.header("x-sdk-date").ok_or(Flaw::Malformed)?;
    if !authorization
        .signed_headers
        .split(';')
        .any(|name| name == "x-sdk-date")
    {
        return Err(Flaw::Malformed);
    }
    let signed_at = parse_date(date).ok_or(Flaw::Malformed)?;
    if (now.as_second() - signed_at.as_second()).abs() > SKEW_SECS_MAX {
        return Err(Flaw::Clock);
    }
    if let Some(token) = &keys.security_token
        && request.header("x-security-token") != Some(token)
    {
        return Err(Flaw::SecurityToken);
    }
    let payload = payload_hash(request)?;
    let canonical =
        canonical_request(request, authorization.signed_headers, &payload).ok_or(Flaw::Mismatch)?;
    if signature(&canonical, date, &keys.secret_key) == authorization.signature {
        Ok(())
    } else {
        Err(Flaw::Mismatch)
    }
}

/// Signs a request over all headers it has by then, as the Python SDK does. For tests and tools without an SDK.
pub fn sign(request: &mut Request, keys: &Keys, now: Timestamp) {
    let date = now.strftime(DATE_FORMAT).to_string();
    request
        .headers
        .push(("x-sdk-date".to_owned(), date.clone()));
    if let Some(token) = &keys.security_token {
        request
            .headers
            .push(("x-security-token".to_owned(), token.clone()));
    }
    let mut names: Vec<&str> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let signed_headers = names.join(";");
    let Some(canonical) = canonical_request(request, &signed_headers, &hex_sha256(&request.body))
    else {
        return; // Cannot happen: every listed header was just read from the request.
    };
    let value = format!(
        "{ALGORITHM} Access={}, SignedHeaders={signed_headers}, Signature={}",
        keys.access_key,
        signature(&canonical, &date, &keys.secret_key),
    );
    request.headers.push(("authorization".to_owned(), value));
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(DATE_FORMAT, text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// A client may send the hash itself; then it must be the body's, unless it says that the body is not signed.
fn payload_hash(request: &Request) -> Result<String, Flaw> {
    let hash = hex_sha256(&request.body);
    match request.header("x-sdk-content-sha256") {
        Some(UNSIGNED_PAYLOAD) if !request.body.is_empty() => Ok(UNSIGNED_PAYLOAD.to_owned()),
        Some(sent) if !request.body.is_empty() && sent != hash => Err(Flaw::Payload),
        Some(_) | None => Ok(hash),
    }
}

/// `None` when a header of the list is not in the request.
fn canonical_request(request: &Request, signed_headers: &str, payload: &str) -> Option<String> {
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let value = request.header(name)?;
        headers.push_str(name);
        headers.push(':');
        headers.push_str(value.trim());
        headers.push('\n');
    }
    Some(format!(
        "{}\n{}\n{}\n{headers}\n{signed_headers}\n{payload}",
        request.method.to_ascii_uppercase(),
        canonical_path(&request.path),
        canonical_query(request),
    ))
}

fn canonical_path(path: &str) -> String {
    let mut canonical: String = decode(path)
        .split('/')
        .map(encode)
        .collect::<Vec<_>>()
        .join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

fn canonical_query(request: &Request) -> String {
    let mut parameters = request.parameters();
    parameters.sort();
    parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn signature(canonical: &str, date: &str, secret_key: &str) -> String {
    let text = format!("{ALGORITHM}\n{date}\n{}", hex_sha256(canonical.as_bytes()));
    match Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()) {
        Ok(mut mac) => {
            mac.update(text.as_bytes());
            hex(&mac.finalize().into_bytes())
        }
        // HMAC takes keys of any length; an empty answer matches no signature.
        Err(_) => String::new(),
    }
}

pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests;
