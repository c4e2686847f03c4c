//! url of a target registry -> its host, or the rule that it breaks. The same rules stand in the CRD.

use std::net::{IpAddr, Ipv6Addr};

use crate::api::url::{ASCII, FORM, HOST, HOST_BYTES_MAX, PORT, QUERY, SCHEME, USER};

/// The host of a url without its port: a name in lower case, or an address as it is usually written.
///
/// # Errors
/// The sentence of the first rule that it breaks.
pub fn host(url: &str) -> Result<String, &'static str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or(SCHEME)?;
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ASCII);
    }
    if url.contains('@') {
        return Err(USER);
    }
    if url.contains(['?', '#']) {
        return Err(QUERY);
    }
    if url.contains('\\') || !escapes_are_whole(url) {
        return Err(FORM);
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or(FORM)?;
            let port = match after.strip_prefix(':') {
                Some(port) => port,
                None if after.is_empty() => "",
                None => return Err(FORM),
            };
            let address: Ipv6Addr = host.parse().map_err(|_| FORM)?;
            (address.to_string(), port)
        }
        None => {
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
            (host.to_ascii_lowercase(), port)
        }
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    if !is_host(&host) && !authority.starts_with('[') {
        return Err(HOST);
    }
    let is_port = !port.starts_with('0') && port.parse::<u16>().is_ok();
    match port.is_empty() || is_port {
        true => Ok(host),
        false => Err(PORT),
    }
}

/// Whether text is a host name.
pub(crate) fn is_host(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_label = |label: &str| {
        label.bytes().all(is_inner) && is_end(label.bytes().next()) && is_end(label.bytes().last())
    };
    text.len() <= HOST_BYTES_MAX && text.split('.').all(is_label)
}

/// Text that names a host in a grant -> as [`host`] gives it.
pub(crate) fn canonical_host(text: &str) -> String {
    let address: Result<IpAddr, _> = text.parse();
    address.map_or_else(|_| text.to_ascii_lowercase(), |address| address.to_string())
}

fn escapes_are_whole(url: &str) -> bool {
    url.split('%').skip(1).all(|behind| {
        let hex = behind.as_bytes().get(..2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_host_or_breaks_one_rule() {
        for (url, found) in [
            ("https://harbor.example.com", Ok("harbor.example.com")),
            (
                "http://Harbor.Example.com:8080/a/b",
                Ok("harbor.example.com"),
            ),
            ("http://harbor_core:8080", Ok("harbor_core")),
            (
                "https://xn--fiqs8s.example.com",
                Ok("xn--fiqs8s.example.com"),
            ),
            ("https://192.0.2.7", Ok("192.0.2.7")),
            ("https://[2001:DB8:0:0:0:0:0:1]:8443", Ok("2001:db8::1")),
            ("https://h:", Ok("h")),
            ("https://h/%41", Ok("h")),
            ("", Err(SCHEME)),
            ("harbor.example.com", Err(SCHEME)),
            ("ftp://h", Err(SCHEME)),
            ("HTTPS://h", Err(SCHEME)),
            ("https://仓库.example.cn", Err(ASCII)),
            ("https://h/a b", Err(ASCII)),
            ("https://h\n", Err(ASCII)),
            ("https://h/\u{a0}", Err(ASCII)),
            ("https://u:p@h", Err(USER)),
            ("https://h?a", Err(QUERY)),
            ("https://h#a", Err(QUERY)),
            ("https://h/a\\b", Err(FORM)),
            ("https://h/%4", Err(FORM)),
            ("https://h:port", Err(FORM)),
            ("https://[2001:db8::1", Err(FORM)),
            ("https://[::1]x", Err(FORM)),
            ("https://[harbor]", Err(FORM)),
            ("https://", Err(HOST)),
            ("https://:443", Err(HOST)),
            ("https:///a", Err(HOST)),
            ("https://harbor.example.com.", Err(HOST)),
            ("https://.example.com", Err(HOST)),
            ("https://a..b", Err(HOST)),
            ("https://-bad.example.com", Err(HOST)),
            ("https://bad-.example.com", Err(HOST)),
            ("https://_a", Err(HOST)),
            ("https://a*b", Err(HOST)),
            ("https://h:0", Err(PORT)),
            ("https://h:65536", Err(PORT)),
            ("https://h:99999", Err(PORT)),
            ("https://h:000080", Err(PORT)),
        ] {
            assert_eq!(host(url), found.map(str::to_owned), "{url}");
        }
        let long = format!("https://{}", "a.".repeat(127) + "a");
        assert_eq!(host(&long), Err(HOST));
    }
}
