//! desired x observed -> what differs, field by field, and what of it a PUT would change. Knows
//! neither why nor when.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::credential::{Fingerprint, Sealed};
use crate::desired::{Registry, Target};
use crate::observed::Record;
use crate::time::after;

/// A field of a registry; the words are the spec's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// `name`.
    Name,
    /// `type`; SWR cannot change it, so it only ever shows a registry remade by hand.
    Type,
    /// `url`.
    Url,
    /// `insecure`.
    Insecure,
    /// `description` without our tag.
    Description,
    /// `dnsConf.hosts`.
    DnsHosts,
    /// `target.projectId`.
    TargetProject,
    /// `target.regionId`.
    TargetRegion,
    /// `target.instanceId`.
    TargetInstance,
    /// The credential.
    Credential,
}

impl Field {
    /// Path of the field within the spec.
    pub fn path(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::Type => "type",
            Field::Url => "url",
            Field::Insecure => "insecure",
            Field::Description => "description",
            Field::DnsHosts => "dnsConf.hosts",
            Field::TargetProject => "target.projectId",
            Field::TargetRegion => "target.regionId",
            Field::TargetInstance => "target.instanceId",
            Field::Credential => "credential",
        }
    }
}

/// One field that differs. The credential's values are never in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The field.
    pub field: Field,
    /// What the spec asks for.
    pub desired: String,
    /// What SWR holds.
    pub observed: String,
}

/// At least one change, but for what is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// `None` if there is none.
    pub fn new(changes: Vec<Change>) -> Option<Self> {
        (!changes.is_empty()).then_some(Changes(changes))
    }

    /// Every change, in the order of [`Field`].
    pub fn all(&self) -> &[Change] {
        &self.0
    }

    /// Whether only the credential differs.
    pub fn only_credential(&self) -> bool {
        self.0
            .iter()
            .all(|change| change.field == Field::Credential)
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, change) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            f.write_str(change.field.path())?;
        }
        Ok(())
    }
}

/// What is known of what SWR does not show. The secret it never gives back, so it is compared with
/// what was sent last, and the access key with what SWR reports. Name resolution and the target's
/// project it may leave out, so they are compared with what was sent last where it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SentFacts {
    /// Fingerprints of what the Secret holds.
    pub desired: Sealed,
    /// Fingerprint and time of what was sent last.
    pub sent: Option<(Fingerprint, Timestamp)>,
    /// Seconds after which it is sent again all the same.
    pub resend_secs: Option<i64>,
    /// [`Registry::unshown`] of what was sent last.
    pub applied: Option<String>,
}

impl SentFacts {
    /// Whether SWR shows nothing else than what was sent last.
    pub fn is_as_sent(&self, observed: &Record) -> bool {
        let rotated = |sent: &Fingerprint| *sent != self.desired.whole;
        let sent = self.sent.as_ref().map(|(sent, _)| sent);
        sent.is_some_and(|sent| !rotated(sent)) && !self.changed_in_swr(observed)
    }

    fn changed_in_swr(&self, observed: &Record) -> bool {
        observed
            .access_key
            .as_ref()
            .is_some_and(|access_key| *access_key != self.desired.access_key)
    }
}

/// Shown in place of both values of a credential.
pub const SENSITIVE: &str = "(sensitive)";
/// Shown in place of a value that SWR leaves out.
pub const NOT_SHOWN: &str = "(not shown)";

/// What differs between the spec and SWR, `None` if nothing does.
pub fn diff(
    desired: &Registry,
    sent: &SentFacts,
    observed: &Record,
    now: Timestamp,
) -> Option<Changes> {
    let mut changes = Vec::new();
    let mut compare = |field, desired: String, observed: String| {
        if desired != observed {
            changes.push(Change {
                field,
                desired,
                observed,
            });
        }
    };
    compare(Field::Name, desired.name.clone(), observed.name.clone());
    compare(
        Field::Type,
        desired.target.type_name().to_owned(),
        observed.type_.to_string(),
    );
    compare(
        Field::Url,
        normal_url(&desired.url),
        normal_url(&observed.url),
    );
    if let Some(insecure) = observed.insecure {
        compare(
            Field::Insecure,
            desired.insecure.to_string(),
            insecure.to_string(),
        );
    }
    compare(
        Field::Description,
        normal_text(&desired.description),
        normal_text(observed.text()),
    );
    let unshown_changed = sent
        .applied
        .as_ref()
        .is_some_and(|applied| *applied != desired.unshown());
    match &desired.target {
        Target::Harbor { dns_hosts } => {
            let wanted = dns_hosts.iter();
            let wanted = show_hosts(wanted.map(|(host, ip)| (&**host, ip.to_string())));
            match &observed.dns_hosts {
                Some(observed) => compare(
                    Field::DnsHosts,
                    wanted,
                    show_hosts(observed.pairs().map(|(host, ip)| (host, normal_ip(ip)))),
                ),
                None if unshown_changed => {
                    compare(Field::DnsHosts, wanted, NOT_SHOWN.to_owned());
                }
                None => {}
            }
        }
        Target::SwrEnterprise {
            project,
            region,
            instance,
        } => {
            for (field, desired, observed) in [
                (Field::TargetProject, project.as_str(), &observed.project),
                (Field::TargetRegion, region.as_str(), &observed.region),
                (Field::TargetInstance, instance.as_str(), &observed.instance),
            ] {
                match observed {
                    Some(observed) => compare(field, desired.to_owned(), observed.to_string()),
                    None if field == Field::TargetProject && unshown_changed => {
                        compare(field, desired.to_owned(), NOT_SHOWN.to_owned());
                    }
                    None => {}
                }
            }
        }
        Target::SwrBasic => {}
    }
    if credential_differs(sent, observed, now) {
        changes.push(Change {
            field: Field::Credential,
            desired: SENSITIVE.to_owned(),
            observed: SENSITIVE.to_owned(),
        });
    }
    Changes::new(changes)
}

/// Every field of a registry that is not empty, in the words of a change.
pub fn fields(registry: &Registry) -> Vec<(Field, String)> {
    let mut fields = vec![
        (Field::Name, registry.name.clone()),
        (Field::Type, registry.target.type_name().to_owned()),
        (Field::Url, registry.url.clone()),
        (Field::Insecure, registry.insecure.to_string()),
        (Field::Description, registry.description.clone()),
    ];
    match &registry.target {
        Target::Harbor { dns_hosts } => {
            let hosts = dns_hosts.iter();
            let hosts = hosts.map(|(host, ip)| (&**host, ip.to_string()));
            fields.push((Field::DnsHosts, show_hosts(hosts)));
        }
        Target::SwrEnterprise {
            project,
            region,
            instance,
        } => fields.extend([
            (Field::TargetProject, project.as_str().to_owned()),
            (Field::TargetRegion, region.as_str().to_owned()),
            (Field::TargetInstance, instance.as_str().to_owned()),
        ]),
        Target::SwrBasic => {}
    }
    fields.push((Field::Credential, SENSITIVE.to_owned()));
    fields.retain(|(_, value)| !value.is_empty());
    fields
}

/// What may differ without SWR showing it, for a registry that is sent again for that reason.
pub fn unshown(desired: &Registry) -> Changes {
    let change = |field, desired| Change {
        field,
        desired,
        observed: NOT_SHOWN.to_owned(),
    };
    let field = match &desired.target {
        Target::Harbor { dns_hosts } if !dns_hosts.is_empty() => {
            let hosts = dns_hosts.iter();
            let hosts = hosts.map(|(host, ip)| (&**host, ip.to_string()));
            Some(change(Field::DnsHosts, show_hosts(hosts)))
        }
        Target::SwrEnterprise { project, .. } => {
            Some(change(Field::TargetProject, project.as_str().to_owned()))
        }
        Target::Harbor { .. } | Target::SwrBasic => None,
    };
    let credential = change(Field::Credential, SENSITIVE.to_owned());
    Changes(field.into_iter().chain([credential]).collect())
}

/// The tag that was taken off our registry.
pub fn tag_missing(desired: &Registry) -> Changes {
    Changes(vec![Change {
        field: Field::Description,
        desired: format!("{} (with the ownership tag)", desired.description),
        observed: "(without the ownership tag)".to_owned(),
    }])
}

/// Our tag, where it is to come off.
pub fn tag_present(desired: &Registry) -> Changes {
    Changes(vec![Change {
        field: Field::Description,
        desired: desired.description.clone(),
        observed: format!("{} (with the ownership tag)", desired.description),
    }])
}

fn credential_differs(facts: &SentFacts, observed: &Record, now: Timestamp) -> bool {
    let Some((fingerprint, sent_at)) = &facts.sent else {
        // Nobody knows what SWR holds: a registry that was found or adopted gets ours once.
        return true;
    };
    let rotated = *fingerprint != facts.desired.whole;
    // A time that lies ahead is another clock's, and counts as now.
    let due = facts
        .resend_secs
        .is_some_and(|secs| after((*sent_at).min(now), secs) <= now);
    rotated || facts.changed_in_swr(observed) || due
}

/// SWR, like Harbor underneath, trims trailing slashes and lower-cases nothing by contract; hosts
/// and schemes are case-insensitive by RFC 3986, so they are compared in lower case.
fn normal_url(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            format!(
                "{}://{}{path}",
                scheme.to_ascii_lowercase(),
                authority.to_ascii_lowercase()
            )
        }
        None => url.to_owned(),
    }
}

/// Line breaks that come back as blanks, and blanks that are trimmed, are no difference.
fn normal_text(text: &str) -> String {
    text.replace("\r\n", " ")
        .replace(['\r', '\n'], " ")
        .trim_end()
        .to_owned()
}

fn normal_ip(ip: &str) -> String {
    ip.parse::<IpAddr>()
        .map_or_else(|_| ip.to_owned(), |ip| ip.to_string())
}

fn show_hosts<'a>(hosts: impl Iterator<Item = (&'a str, String)>) -> String {
    let sorted: BTreeMap<String, String> = hosts
        .map(|(host, ip)| (host.to_ascii_lowercase(), ip))
        .collect();
    sorted
        .iter()
        .map(|(host, ip)| format!("{host}={ip}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
