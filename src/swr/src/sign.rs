//! Request, key -> `Authorization` by SDK-HMAC-SHA256 (swr-api.md 4.2). Reads no clock, sends nothing.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use swr_operator_core::credential::Sensitive;

/// The key of an account, permanent or temporary. No `Debug`, `Display`, `Clone` or `Serialize`.
pub struct AccessKey {
    /// The public half, which goes out in the clear.
    pub access_key: String,
    /// The half that signs.
    pub secret_key: Sensitive,
    /// Goes with a temporary key.
    pub security_token: Option<Sensitive>,
}

/// What a signature covers. `User-Agent` is left out on purpose: proxies change it.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    /// As on the request line.
    pub(super) path: &'a str,
    /// As [`query`] makes it.
    pub(super) query: &'a str,
    /// With the port unless it is the scheme's own.
    pub(super) host: &'a str,
    /// The project of the instance in the path; IAM takes none.
    pub(super) project: Option<&'a str>,
    /// As [`date`] makes it.
    pub(super) date: &'a str,
    /// Exactly the bytes that go out.
    pub(super) body: &'a [u8],
}

/// The media type of every request; the SDKs send and sign it even on GET and DELETE.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// Everything but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `X-Sdk-Date` for a time.
pub(super) fn date(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The canonical query, which is also the one that is sent.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// One segment of a path or one part of a query.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The value of the `Authorization` header.
pub(super) fn authorization(request: &Signable<'_>, key: &AccessKey) -> String {
    let (canonical, signed_headers) = canonical_request(request, key);
    let to_sign = format!(
        "SDK-HMAC-SHA256\n{}\n{}",
        request.date,
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret_key.expose().as_bytes())
        .expect("invariant: HMAC takes a key of any length");
    mac.update(to_sign.as_bytes());
    format!(
        "SDK-HMAC-SHA256 Access={}, SignedHeaders={signed_headers}, Signature={}",
        key.access_key,
        hex(&mac.finalize().into_bytes())
    )
}

fn canonical_request(request: &Signable<'_>, key: &AccessKey) -> (String, String) {
    // In the order of their names, as the algorithm wants them.
    let mut headers = vec![("content-type", CONTENT_TYPE), ("host", request.host)];
    headers.extend(request.project.map(|project| ("x-project-id", project)));
    headers.push(("x-sdk-date", request.date));
    headers.extend(
        key.security_token
            .as_ref()
            .map(|token| ("x-security-token", token.expose())),
    );
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut lines = String::new();
    for (name, value) in &headers {
        lines.extend([*name, ":", value.trim(), "\n"]);
    }
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        canonical_path(request.path),
        request.query,
        hex(&Sha256::digest(request.body)),
    );
    (canonical, names)
}

/// The path escaped anew, with a `/` at its end that the request line does not have.
fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut canonical = decoded.split('/').map(escape).collect::<Vec<_>>().join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
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
mod tests {
    use super::*;

    const PROJECT: &str = "0605767a3a80d5762fb2c00a1b2c3d4e";
    const REGISTRIES: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/registries";
    const REGISTRY: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/registries/7";
    const BODY: &str = r#"{"name":"test112","description":"","type":"swr-pro-internal","project_id":"0605767a3a80d5762fb2c00a1b2c3d4e","region_id":"cn-north-4","instance_id":"1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a22","url":"https://target.example.test","credential":{"type":"basic","access_key":"user1","access_secret":"p@ss"},"insecure":true}"#;

    fn key(token: Option<&str>) -> AccessKey {
        AccessKey {
            access_key: "AKIDEXAMPLE0000SWR01".to_owned(),
            secret_key: Sensitive::new("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00".to_owned()),
            security_token: token.map(|token| Sensitive::new(token.to_owned())),
        }
    }

    fn request<'a>(method: &'a str, path: &'a str, query: &'a str, body: &'a str) -> Signable<'a> {
        Signable {
            method,
            path,
            query,
            host: "swr-api.cn-north-4.myhuaweicloud.com",
            project: Some(PROJECT),
            date: "20260131T093000Z",
            body: body.as_bytes(),
        }
    }

    /// The four vectors of swr-api.md 4.2, made by the SDK's own signer.
    #[test]
    fn signatures_are_those_of_the_sdk() {
        let v1 = query(&[
            ("order_column", "created_at"),
            ("order_type", "desc"),
            ("name", "a b/c+d~é&="),
            ("offset", "0"),
            ("limit", "100"),
        ]);
        let v4 = Signable {
            host: "iam.cn-north-4.myhuaweicloud.com",
            project: None,
            ..request("GET", "/v3/projects", "name=cn-north-4", "")
        };
        for (name, request, token, headers, signature) in [
            (
                "V1",
                request("GET", REGISTRIES, &v1, ""),
                None,
                "content-type;host;x-project-id;x-sdk-date",
                "1e1f0730e256bb5153588c6eece3cacaf4b7e99149cf605609fd84dd003276a1",
            ),
            (
                "V2",
                request("PUT", REGISTRY, "", BODY),
                None,
                "content-type;host;x-project-id;x-sdk-date",
                "eb9d1706dec1928609677f0c5dd3d96315cc5ef7bf973f1be442e5be07fbc469",
            ),
            (
                "V3",
                request("DELETE", REGISTRY, "", ""),
                Some("ggpjbi1ub3J0aC00TOKEN+/=EXAMPLE"),
                "content-type;host;x-project-id;x-sdk-date;x-security-token",
                "7fa0d0b2301d9a9f2e53a9b00645d519628b32474bedc5da4b2a42ba3e9db977",
            ),
            (
                "V4",
                v4,
                None,
                "content-type;host;x-sdk-date",
                "e51a77bfb9a53d9f988ccd3daea2e46b76f194c8a02bfe40434195c70f76b6da",
            ),
        ] {
            assert_eq!(
                authorization(&request, &key(token)),
                format!(
                    "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000SWR01, SignedHeaders={headers}, Signature={signature}"
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn the_query_is_sorted_and_escaped_and_is_what_is_sent() {
        assert_eq!(
            query(&[("offset", "0"), ("limit", "100"), ("name", "a b/c+d~é&=")]),
            "limit=100&name=a%20b%2Fc%2Bd~%C3%A9%26%3D&offset=0"
        );
        assert_eq!(query(&[("a", "2"), ("a", "1"), ("b", "")]), "a=1&a=2&b=");
        assert_eq!(query(&[]), "");
    }

    #[test]
    fn the_canonical_path_is_escaped_anew_and_ends_in_a_slash() {
        for (path, canonical) in [
            ("/", "/"),
            ("/v2/p", "/v2/p/"),
            ("/v2/p/", "/v2/p/"),
            ("/v2/a%20b", "/v2/a%20b/"),
            ("/v2/a b", "/v2/a%20b/"),
        ] {
            assert_eq!(canonical_path(path), canonical);
        }
    }

    #[test]
    fn the_date_is_utc_to_the_second() {
        let at: Timestamp = "2026-01-31T09:30:00.987Z".parse().expect("a time");
        assert_eq!(date(at), "20260131T093000Z");
    }
}
