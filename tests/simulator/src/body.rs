//! JSON body of create and update -> draft of a registry. Must not know which registries exist.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::switches::{
    DescriptionBlanks, DescriptionLimit, DescriptionNewlines, ForeignDnsConf, InsecureFalse,
    NameRule, OnOff, Strictness, Switches, UrlRule, Verdict,
};

pub const HARBOR: &str = "swr-pro";
pub const ENTERPRISE: &str = "swr-pro-internal";
pub const BASIC: &str = "huawei-SWR";

const NAME_LENGTH_MAX: usize = 64;
const DESCRIPTION_LENGTH_MAX: usize = 255;

const FIELDS: [&str; 10] = [
    "name",
    "description",
    "type",
    "project_id",
    "region_id",
    "instance_id",
    "url",
    "credential",
    "dns_conf",
    "insecure",
];
const CREDENTIAL_FIELDS: [&str; 3] = ["type", "access_key", "access_secret"];

/// How SWR logs in to the target. Invariant: never printed, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub kind: String,
    pub access_key: String,
    pub access_secret: String,
}

/// A body that has the right form. `None` is a field that was absent.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    pub description: Option<String>,
    pub kind: String,
    pub project_id: Option<String>,
    pub region_id: Option<String>,
    pub instance_id: Option<String>,
    pub url: String,
    pub credential: Credential,
    pub dns_hosts: Option<BTreeMap<String, String>>,
    pub insecure: bool,
}

impl Draft {
    /// Form only: JSON, types, required fields. The message names the field.
    pub fn parse(body: &[u8], switches: &Switches) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(body).map_err(|_| "the body is not JSON".to_owned())?;
        let object = value
            .as_object()
            .ok_or_else(|| "the body is not a JSON object".to_owned())?;
        let form = Form { object, switches };
        form.refuse_unknown(&FIELDS)?;
        let credential = form.required("credential", Value::as_object, "an object")?;
        let credential_form = Form {
            object: credential,
            switches,
        };
        credential_form.refuse_unknown(&CREDENTIAL_FIELDS)?;
        Ok(Self {
            name: form.required_text("name")?,
            description: form.optional_text("description")?,
            kind: form.required_text("type")?,
            project_id: form
                .optional_text("project_id")?
                .filter(|id| !id.is_empty()),
            region_id: form.optional_text("region_id")?.filter(|id| !id.is_empty()),
            instance_id: form
                .optional_text("instance_id")?
                .filter(|id| !id.is_empty()),
            url: form.required_text("url")?,
            credential: Credential {
                kind: credential_form.required_text("type")?,
                access_key: credential_form.required_text("access_key")?,
                access_secret: credential_form.required_text("access_secret")?,
            },
            dns_hosts: dns_hosts(&form)?,
            insecure: form.required("insecure", Value::as_bool, "a boolean")?,
        })
    }

    /// Rules on values, and what SWR makes of them before it stores them. `self` is changed into what is stored.
    pub fn settle(&mut self, switches: &Switches) -> Result<(), String> {
        check_name(&self.name, switches.name_rule)?;
        if ![HARBOR, ENTERPRISE, BASIC].contains(&self.kind.as_str()) {
            return Err(format!("type must be {HARBOR}, {ENTERPRISE} or {BASIC}"));
        }
        if self.credential.kind != "basic" {
            return Err("credential.type must be basic".to_owned());
        }
        self.description = match self.description.take() {
            Some(text) => Some(settle_description(text, switches)?),
            None => None,
        };
        self.url = settle_url(&self.url, switches.url_rule)?;
        if self.kind == ENTERPRISE {
            self.settle_enterprise(switches)?;
        }
        if self.kind == HARBOR {
            if self.dns_hosts.is_none() && switches.missing_dns_conf == Verdict::Refused {
                return Err(format!("dns_conf is required when type is {HARBOR}"));
            }
        } else if self.dns_hosts.is_some() {
            match switches.foreign_dns_conf {
                ForeignDnsConf::Ignored => self.dns_hosts = None,
                ForeignDnsConf::Refused => {
                    return Err(format!("dns_conf is only for type {HARBOR}"));
                }
                ForeignDnsConf::Stored => {}
            }
        }
        Ok(())
    }

    fn settle_enterprise(&mut self, switches: &Switches) -> Result<(), String> {
        if switches.enforce_internal_ids == OnOff::On {
            for (name, id) in [
                ("project_id", &self.project_id),
                ("region_id", &self.region_id),
                ("instance_id", &self.instance_id),
            ] {
                if id.is_none() {
                    return Err(format!("{name} is required when type is {ENTERPRISE}"));
                }
            }
        }
        if !self.insecure {
            match switches.insecure_false_internal {
                InsecureFalse::Refused => {
                    return Err(format!("insecure must be true when type is {ENTERPRISE}"));
                }
                InsecureFalse::Accepted => {}
                InsecureFalse::Coerced => self.insecure = true,
            }
        }
        Ok(())
    }
}

/// Reads fields of one object by the rules for null and unknown ones.
struct Form<'a> {
    object: &'a Map<String, Value>,
    switches: &'a Switches,
}

impl<'a> Form<'a> {
    fn refuse_unknown(&self, known: &[&str]) -> Result<(), String> {
        match self.switches.unknown_fields {
            Strictness::Ignored => Ok(()),
            Strictness::Refused => match self
                .object
                .keys()
                .find(|name| !known.contains(&name.as_str()))
            {
                Some(name) => Err(format!("unknown field {name}")),
                None => Ok(()),
            },
        }
    }

    fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        form: &str,
    ) -> Result<Option<T>, String> {
        match self.object.get(name) {
            None => Ok(None),
            Some(Value::Null) => match self.switches.null_fields {
                Verdict::Accepted => Ok(None),
                Verdict::Refused => Err(format!("{name} must not be null")),
            },
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(format!("{name} must be {form}")),
            },
        }
    }

    fn required<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        form: &str,
    ) -> Result<T, String> {
        self.optional(name, read, form)?
            .ok_or_else(|| format!("{name} is required"))
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self
            .optional(name, Value::as_str, "a string")?
            .map(str::to_owned))
    }

    fn required_text(&self, name: &str) -> Result<String, String> {
        Ok(self.required(name, Value::as_str, "a string")?.to_owned())
    }
}

/// `{"hosts": {"<domain>": "<ip>"}}`; no hosts is an empty map.
fn dns_hosts(form: &Form<'_>) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(object) = form.optional("dns_conf", Value::as_object, "an object")? else {
        return Ok(None);
    };
    let dns_form = Form {
        object,
        switches: form.switches,
    };
    dns_form.refuse_unknown(&["hosts"])?;
    let Some(hosts) = dns_form.optional("hosts", Value::as_object, "an object")? else {
        return Ok(Some(BTreeMap::new()));
    };
    hosts
        .iter()
        .map(|(domain, ip)| match ip.as_str() {
            Some(ip) => Ok((domain.clone(), ip.to_owned())),
            None => Err(format!("dns_conf.hosts.{domain} must be a string")),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

fn check_name(name: &str, rule: NameRule) -> Result<(), String> {
    let (length, han) = match rule {
        NameRule::Han => (name.chars().count(), true),
        NameRule::Ascii => (name.chars().count(), false),
        NameRule::HanBytes => (name.len(), true),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || (han && is_han(c));
    if length == 0 || length > NAME_LENGTH_MAX || !name.chars().all(allowed) {
        return Err("name must be 1 to 64 letters, digits, underscores or hyphens".to_owned());
    }
    Ok(())
}

/// The blocks of CJK unified ideographs in use: the basic one, extension A, and the compatibility block.
fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

fn settle_description(mut text: String, switches: &Switches) -> Result<String, String> {
    if switches.description_brackets == Verdict::Refused && text.contains(['[', ']']) {
        return Err("description contains characters that are not allowed".to_owned());
    }
    match switches.description_newlines {
        DescriptionNewlines::Kept => {}
        DescriptionNewlines::Space => text = text.replace('\n', " "),
    }
    match switches.description_blanks {
        DescriptionBlanks::Kept => {}
        DescriptionBlanks::Trimmed => text.truncate(text.trim_end().len()),
    }
    let end = text
        .char_indices()
        .nth(DESCRIPTION_LENGTH_MAX)
        .map(|(end, _)| end);
    match (switches.description_limit, end) {
        (DescriptionLimit::Refused, Some(_)) => {
            return Err(format!(
                "description must be at most {DESCRIPTION_LENGTH_MAX} characters"
            ));
        }
        (DescriptionLimit::Truncated, Some(end)) => text.truncate(end),
        (DescriptionLimit::None, _)
        | (DescriptionLimit::Refused | DescriptionLimit::Truncated, None) => {}
    }
    Ok(text)
}

/// Harbor's way with addresses: blanks and trailing slashes go, query and fragment are dropped, `http://` is put in
/// front of what has no scheme.
fn settle_url(url: &str, rule: UrlRule) -> Result<String, String> {
    let invalid = || "url is invalid".to_owned();
    if rule == UrlRule::AsSent {
        return if url.is_empty() {
            Err(invalid())
        } else {
            Ok(url.to_owned())
        };
    }
    let url = url.trim();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if rule == UrlRule::SchemeRequired => return Err("url must have a scheme".to_owned()),
        None => ("http".to_owned(), url),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !["http", "https"].contains(&scheme.as_str())
        || host.is_empty()
        || host.contains(char::is_whitespace)
    {
        return Err(invalid());
    }
    let host = match rule {
        UrlRule::LowerHost => host.to_ascii_lowercase(),
        UrlRule::TrimSlash | UrlRule::AsSent | UrlRule::SchemeRequired => host.to_owned(),
    };
    Ok(format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests;
