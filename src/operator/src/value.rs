//! Text of a flag or a variable -> a value, or a sentence that says what is wrong with it. Text that narrows
//! what the operator does must be right: one that is passed over would widen it.

use std::net::SocketAddr;
use std::time::Duration;

use swr_operator_controller::WatchSecrets;
use swr_operator_swr::{Endpoint, NodeUrl};
use tracing_subscriber::EnvFilter;

/// What can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrOff<T> {
    /// `off`.
    Off,
    /// It is on, with this.
    On(T),
}

impl<T> OrOff<T> {
    /// `None` for off.
    pub(crate) fn on(self) -> Option<T> {
        match self {
            OrOff::Off => None,
            OrOff::On(value) => Some(value),
        }
    }
}

fn or_off<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<OrOff<T>, String> {
    if text.trim() == "off" {
        return Ok(OrOff::Off);
    }
    parse(text)
        .map(OrOff::On)
        .map_err(|error| format!("{error}, or off"))
}

pub(crate) fn secs(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    swr_operator_core::desired::duration_secs(text.trim())
        .and_then(|secs| u64::try_from(secs).ok())
        .filter(|secs| *secs > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a duration such as 30s, 10m or 1h30m".to_owned())
}

pub(crate) fn duration_or_off(text: &str) -> Result<OrOff<Duration>, String> {
    or_off(text, duration)
}

/// What a label selector is written with. What it means the API server says.
fn is_of_selector(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./=!,() ".contains(c)
}

pub(crate) fn watch_secrets(text: &str) -> Result<WatchSecrets, String> {
    match text.trim() {
        "off" => Ok(WatchSecrets::Off),
        "all" => Ok(WatchSecrets::All),
        labels if !labels.is_empty() && labels.chars().all(is_of_selector) => {
            Ok(WatchSecrets::Labelled(labels.to_owned()))
        }
        _ => Err(
            "expected off, all, or a label selector such as swr.huaweicloud.com/watch=true"
                .to_owned(),
        ),
    }
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| {
        "expected an address and a port such as 127.0.0.1:8081 or [::]:8081".to_owned()
    })
}

pub(crate) fn address_or_off(text: &str) -> Result<OrOff<SocketAddr>, String> {
    or_off(text, address)
}

/// `URL` or `REGION=URL`.
pub(crate) fn regional_endpoint(text: &str) -> Result<(String, Endpoint), String> {
    Endpoint::regional(text).map_err(|refused| refused.to_string())
}

/// Where a service of the node is.
pub(crate) fn node_url(text: &str) -> Result<NodeUrl, String> {
    NodeUrl::parse(text.trim()).map_err(|refused| refused.to_string())
}

/// The name of a namespace.
pub(crate) fn namespace(text: &str) -> Result<String, String> {
    let name = listed(text)?;
    if !is_label(name) || name.len() > 63 {
        return Err(format!(
            "{name:?} is no name of a namespace: up to 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
        ));
    }
    Ok(name.to_owned())
}

/// The name of a SwrAccount.
pub(crate) fn account(text: &str) -> Result<String, String> {
    subdomain("SwrAccount", listed(text)?)
}

/// The name of a Lease.
pub(crate) fn lease(text: &str) -> Result<String, String> {
    subdomain("Lease", text.trim())
}

fn subdomain(kind: &str, name: &str) -> Result<String, String> {
    if !name.split('.').all(is_label) || name.len() > 253 {
        return Err(format!(
            "{name:?} is no name of a {kind}: up to 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends"
        ));
    }
    Ok(name.to_owned())
}

/// An entry of a list.
fn listed(text: &str) -> Result<&str, String> {
    match text.trim() {
        "" => Err("an entry of the list is empty: remove the comma beside it".to_owned()),
        name => Ok(name),
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A filter of the log. A word that is no level would be taken for the name of a module, of which nothing
/// is ever logged.
pub(crate) fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',').map(str::trim) {
        let level = directive
            .rsplit_once('=')
            .map_or(directive, |(_, level)| level);
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "{level:?} is no level: expected one of {}, or TARGET=LEVEL, separated by commas",
                LEVELS.join(", ")
            ));
        }
    }
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_be_for_one_region_or_for_all() {
        let parse = |text| regional_endpoint(text).map(|(region, _)| region);
        assert_eq!(parse("http://127.0.0.1:1"), Ok(String::new()));
        assert_eq!(parse(" r-1=https://swr.example.com"), Ok("r-1".to_owned()));
        assert!(parse("r-1=ftp://swr.example.com").is_err());
    }

    #[test]
    fn a_name_is_trimmed_and_refused_where_kubernetes_has_no_such_name() {
        for (text, name) in [("a", "a"), (" b ", "b"), ("0-9", "0-9")] {
            assert_eq!(namespace(text), Ok(name.to_owned()));
        }
        assert_eq!(account("eu.prod-1"), Ok("eu.prod-1".to_owned()));
        let long = "a".repeat(64);
        for text in [
            "", " ", "A", "a b", "-a", "a-", "a_b", "a.b", "team-*", "ä", &long,
        ] {
            assert!(namespace(text).is_err(), "{text:?}");
        }
        for text in ["", "a..b", ".a", "A", "*", &"a".repeat(254)] {
            assert!(account(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn secrets_are_watched_by_labels_or_all_or_not() {
        let labelled = |labels: &str| Ok(WatchSecrets::Labelled(labels.to_owned()));
        assert_eq!(watch_secrets("off"), Ok(WatchSecrets::Off));
        assert_eq!(watch_secrets(" all "), Ok(WatchSecrets::All));
        assert_eq!(
            watch_secrets("a/b=c,d in (e, f)"),
            labelled("a/b=c,d in (e, f)")
        );
        for text in ["", " ", "a=\"b\"", "a\nb", "ä"] {
            assert!(watch_secrets(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_not_taken_for_a_module() {
        for text in [
            "info",
            "WARN",
            "off",
            "swr_operator=debug",
            "info,swr_operator_swr=trace",
        ] {
            assert_eq!(log_level(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "warning",
            "5x",
            "swr_operator",
            "info,",
            "swr_operator=verbose",
        ] {
            let error = log_level(text).expect_err(text);
            assert!(
                error.contains("is no level: expected one of off, error"),
                "{error}"
            );
        }
    }
}
