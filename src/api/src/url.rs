//! What the url of a target registry must be, rule by rule, each with the sentence that says so. Admission
//! checks it by these rules; the operator says the same sentences, because an older CRD may be installed.

use serde_json::{Value, json};

/// It begins with one of the two schemes that SWR knows.
pub const SCHEME: &str = "url must begin with https:// or http://";
/// It can be written into a request as it is.
pub const ASCII: &str = "url must consist of ASCII characters without blanks: write an international host name in its ASCII form, which begins with xn--";
/// A credential does not stand in it.
pub const USER: &str =
    "url must not carry a user or password: put them into the Secret of credentialSecretRef";
/// It is an address, and not a question.
pub const QUERY: &str = "url must not have a query or a fragment";
/// It can be taken apart.
pub const FORM: &str = "url must be a valid URL such as https://harbor.example.com";
/// Its host can be looked up.
pub const HOST: &str = "the host of url must be an IP address, or a name of parts that are separated by single dots: letters, digits, '-' and '_', with a letter or digit at both ends";
/// Its port exists.
pub const PORT: &str = "the port of url must be a number from 1 to 65535";

/// One part of a host name. Underscores are no part of a domain name, but of the names that container
/// networks give, as `harbor_core`.
const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?";
/// The longest name that DNS knows.
pub const HOST_BYTES_MAX: usize = 253;

/// A rule in CEL whether the expression is a host name, with what may stand before the name.
pub(crate) fn is_host(expression: &str, before: &str) -> String {
    format!(
        r"({expression}.size() <= {HOST_BYTES_MAX} && {expression}.matches('^{before}{LABEL}(\\.{LABEL})*$'))"
    )
}

/// Ports from 1 to 65535, written without leading zeros.
const PORTS: &str =
    "([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// The rules for `self`. Each lets pass what an earlier one refuses, so that one cause has one sentence. They
/// match the whole text, because what CEL takes out of a url has no known length, and so no affordable cost.
pub(crate) fn rules() -> Value {
    // Printable, without `#`, `?` and `@`.
    let is_text = "self.startsWith('http') && self.matches('^[!\"$->A-~]*$')";
    let is_url = format!("{is_text} && isURL(self)");
    let host = format!(
        r"self.matches('^https?://(\\[[0-9A-Fa-f:.]+\\]|{LABEL}(\\.{LABEL})*)(:[^/]*)?(/.*)?$')"
    );
    let is_short = format!(r"self.matches('^https?://(\\[|[^/:]{{1,{HOST_BYTES_MAX}}}([:/]|$))')");
    let port = format!(r"self.matches('^https?://(\\[[^\\]]*\\]|[^/:\\[]*)(:{PORTS}?)?(/.*)?$')");
    json!([
        {"rule": "self.startsWith('https://') || self.startsWith('http://')", "message": SCHEME},
        {"rule": "self.matches('^[!-~]*$')", "message": ASCII},
        {"rule": "!self.contains('@')", "message": USER},
        {"rule": "!self.contains('?') && !self.contains('#')", "message": QUERY},
        {"rule": format!(r"!({is_text}) || isURL(self) && !self.contains('\\')"), "message": FORM},
        {"rule": format!("!({is_url}) || {host} && {is_short}"), "message": HOST},
        {"rule": format!("!({is_url}) || {port}"), "message": PORT}
    ])
}
