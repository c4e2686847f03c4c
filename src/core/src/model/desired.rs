//! CR -> the registry that should exist. Parsed once, so that no later code checks it again.
//! Knows neither SWR's JSON nor Secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::api::TAG_OPENING;
use crate::api::registry::{
    AdoptionPolicy, DeletionPolicy, Mode, RegistryType, ReplicationRegistry,
};
use crate::url;

// The objects of an instance hold its id many times, as they do account, Secret and namespace: a clone shares the text.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// From the text that a person or SWR gave.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                $name(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// An SWR Enterprise instance: the one in the path that replicates, or the one that receives.
    InstanceId
}
id! {
    /// A project of Huawei Cloud.
    ProjectId
}
id! {
    /// A region of Huawei Cloud.
    Region
}

/// Id of a registry in SWR; int32 in the SDK's models, int64 in its references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryId(pub i64);

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a registry lives: the account that reaches it, and the instance that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Name of the `SwrAccount`.
    pub account: Arc<str>,
    /// The instance that replicates.
    pub instance: InstanceId,
}

impl Scope {
    /// The scope an object names, however invalid the rest of its spec is: a deletion needs it.
    pub fn of(object: &ReplicationRegistry) -> Self {
        Scope {
            account: object.spec.account_ref.name.as_str().into(),
            instance: InstanceId::new(object.spec.instance_id.clone()),
        }
    }
}

/// The registry that should exist, as SWR will hold it; the description without our tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Registry {
    /// Name in SWR.
    pub name: String,
    /// Address without a trailing `/`.
    pub url: String,
    /// SWR skips the verification of the target's certificate.
    pub insecure: bool,
    /// The user's part of the description.
    pub description: String,
    /// What is particular to the type.
    pub target: Target,
}

impl Registry {
    /// Hash of the fields that no document says SWR shows in a reply (swr-api.md 1.2), for the
    /// question whether they changed since they were sent.
    pub fn unshown(&self) -> String {
        let text = match &self.target {
            Target::Harbor { dns_hosts } => format!("dnsConf.hosts {dns_hosts:?}"),
            Target::SwrEnterprise { project, .. } => format!("target.projectId {project}"),
            Target::SwrBasic => String::new(),
        };
        URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..16])
    }
}

/// The three types of target, each with just what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `swr-pro`: a registry built on open-source Harbor.
    Harbor {
        /// Host names and their addresses; empty when not given.
        dns_hosts: BTreeMap<String, IpAddr>,
    },
    /// `swr-pro-internal`: another instance of SWR Enterprise.
    SwrEnterprise {
        /// The project of the receiving instance.
        project: ProjectId,
        /// The region of the receiving instance.
        region: Region,
        /// The receiving instance.
        instance: InstanceId,
    },
    /// `huawei-SWR`: SWR Basic.
    SwrBasic,
}

impl Target {
    /// SWR's own word for the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Target::Harbor { .. } => "swr-pro",
            Target::SwrEnterprise { .. } => "swr-pro-internal",
            Target::SwrBasic => "huawei-SWR",
        }
    }
}

/// Which Secret holds the credential, and under which keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    /// Name of the Secret in the object's namespace.
    pub name: Arc<str>,
    /// Keys of access key and access secret, if given.
    pub keys: Option<(Arc<str>, Arc<str>)>,
}

/// Everything an object asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Desired {
    /// The registry itself.
    pub registry: Registry,
    /// Where its credential is kept.
    pub secret: SecretRef,
    /// Whether SWR is written to.
    pub mode: Mode,
    /// Whether an existing registry may be taken over.
    pub adoption: Adoption,
    /// Seconds after which the credential is sent again.
    pub resend_secs: Option<i64>,
}

/// Which existing registry may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Adoption {
    /// What kind of registry.
    pub policy: AdoptionPolicy,
    /// Only the one with this id; else one of exactly our name.
    pub id: Option<RegistryId>,
}

impl Adoption {
    /// None.
    pub const NEVER: Adoption = Adoption {
        policy: AdoptionPolicy::Never,
        id: None,
    };

    /// Whether a registry that nobody has tagged may be taken.
    pub fn takes_untagged(self) -> bool {
        match self.policy {
            AdoptionPolicy::Never => false,
            AdoptionPolicy::IfUnowned | AdoptionPolicy::Rebuild => true,
        }
    }

    /// Whether the registry of an earlier object of our name may be taken.
    pub fn takes_predecessor(self) -> bool {
        match self.policy {
            AdoptionPolicy::Never | AdoptionPolicy::IfUnowned => false,
            AdoptionPolicy::Rebuild => true,
        }
    }
}

/// One thing wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invalid {
    /// Path of the field, as `spec.url`.
    pub field: &'static str,
    /// What is wrong and what would be right. Repeats a value only where the whole spec does not fit the CRD.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Desired {
    /// Parses an object. Admission refuses all of this already; but an older CRD may be installed.
    ///
    /// # Errors
    /// Every finding at once, in the order of the spec.
    pub fn parse(object: &ReplicationRegistry) -> Result<Desired, Vec<Invalid>> {
        let spec = &object.spec;
        let mut findings = Findings::default();

        let name = spec
            .name
            .clone()
            .or_else(|| object.metadata.name.clone())
            .unwrap_or_default();
        findings.check(
            "spec.name",
            is_registry_name(&name),
            "must be 1 to 64 of Han characters, ASCII letters, digits, '_' and '-'; set it when metadata.name is not",
        );
        findings.check(
            "spec.instanceId",
            is_id(&spec.instance_id),
            "must be the id of an SWR Enterprise instance: letters, digits and '-' only",
        );
        let url = spec.url.trim_end_matches('/').to_owned();
        if let Err(broken) = url::host(&spec.url) {
            findings.add("spec.url", broken);
        }
        let description = spec.description.clone().unwrap_or_default();
        findings.check(
            "spec.description",
            !description.contains(TAG_OPENING),
            "must not contain '[swr-operator:', which opens the ownership tag",
        );
        let target = parse_target(object, &mut findings);
        let adoption = spec
            .adoption
            .as_ref()
            .map_or(Adoption::NEVER, |adoption| Adoption {
                policy: adoption.policy,
                id: adoption.registry_id.map(RegistryId),
            });
        findings.check(
            "spec.adoption.registryId",
            adoption.id.is_none() || adoption.takes_untagged(),
            "needs a policy other than Never",
        );
        // The poll interval is not part of what is desired, but a wrong one must be reported.
        let _ = parse_duration(
            spec.poll_interval.as_deref(),
            "spec.pollInterval",
            60,
            "must be a duration of at least 1m, such as 10m",
            &mut findings,
        );
        let resend_secs = parse_duration(
            spec.resend_credential_every.as_deref(),
            "spec.resendCredentialEvery",
            3600,
            "must be a duration of at least 1h, such as 168h",
            &mut findings,
        );

        match target {
            Some(target) if findings.0.is_empty() => Ok(Desired {
                registry: Registry {
                    name,
                    url,
                    insecure: spec.insecure,
                    description,
                    target,
                },
                secret: SecretRef {
                    name: spec.credential_secret_ref.name.as_str().into(),
                    keys: spec.credential_secret_ref.keys.as_ref().map(|keys| {
                        (
                            keys.access_key.as_str().into(),
                            keys.access_secret.as_str().into(),
                        )
                    }),
                },
                mode: spec.mode,
                adoption,
                resend_secs,
            }),
            Some(_) | None => Err(findings.0),
        }
    }
}

/// Seconds between two comparisons with SWR, when the object says so.
pub fn poll_secs(object: &ReplicationRegistry) -> Option<i64> {
    object
        .spec
        .poll_interval
        .as_deref()
        .and_then(duration_secs)
        .filter(|secs| *secs >= 60)
}

/// What the object wants done with its registry when it goes.
pub fn deletion_policy(object: &ReplicationRegistry) -> DeletionPolicy {
    object.spec.deletion_policy
}

#[derive(Default)]
struct Findings(Vec<Invalid>);

impl Findings {
    fn add(&mut self, field: &'static str, message: &str) {
        self.0.push(Invalid {
            field,
            message: message.to_owned(),
        });
    }

    fn check(&mut self, field: &'static str, holds: bool, message: &str) {
        if !holds {
            self.add(field, message);
        }
    }
}

fn parse_target(object: &ReplicationRegistry, findings: &mut Findings) -> Option<Target> {
    let spec = &object.spec;
    if spec.type_ != RegistryType::SwrPro && spec.dns_conf.is_some() {
        findings.add("spec.dnsConf", "is allowed only when type is swr-pro");
    }
    if spec.type_ != RegistryType::SwrProInternal && spec.target.is_some() {
        findings.add(
            "spec.target",
            "is allowed only when type is swr-pro-internal",
        );
    }
    match spec.type_ {
        RegistryType::SwrPro => {
            let mut dns_hosts = BTreeMap::new();
            for (host, address) in spec.dns_conf.iter().flat_map(|conf| &conf.hosts) {
                match address.parse() {
                    Ok(ip) if url::is_host(host) => {
                        dns_hosts.insert(host.clone(), ip);
                    }
                    Ok(_) => findings.add("spec.dnsConf.hosts", "every key must be a host name"),
                    Err(_) => {
                        findings.add("spec.dnsConf.hosts", "every value must be an IP address");
                    }
                }
            }
            Some(Target::Harbor { dns_hosts })
        }
        RegistryType::SwrProInternal => {
            findings.check(
                "spec.insecure",
                spec.insecure,
                "must be true when type is swr-pro-internal: SWR supports nothing else there",
            );
            let Some(target) = &spec.target else {
                findings.add(
                    "spec.target",
                    "(projectId, regionId, instanceId) is required when type is swr-pro-internal",
                );
                return None;
            };
            for (field, value) in [
                ("spec.target.projectId", &target.project_id),
                ("spec.target.regionId", &target.region_id),
                ("spec.target.instanceId", &target.instance_id),
            ] {
                findings.check(
                    field,
                    is_id(value),
                    "must be an id: letters, digits and '-' only",
                );
            }
            Some(Target::SwrEnterprise {
                project: ProjectId::new(target.project_id.clone()),
                region: Region::new(target.region_id.clone()),
                instance: InstanceId::new(target.instance_id.clone()),
            })
        }
        RegistryType::HuaweiSwr => Some(Target::SwrBasic),
    }
}

/// Han characters as SWR's Chinese page allows them: the unified ideographs of the basic plane
/// with extension A, and the supplementary planes 2 and 3, which hold nothing else.
fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

fn is_registry_name(name: &str) -> bool {
    (1..=64).contains(&name.chars().count())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || is_han(c))
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn parse_duration(
    text: Option<&str>,
    field: &'static str,
    min_secs: i64,
    message: &str,
    findings: &mut Findings,
) -> Option<i64> {
    let text = text?;
    let secs = duration_secs(text).filter(|secs| *secs >= min_secs);
    findings.check(field, secs.is_some(), message);
    secs
}

/// `1h30m` -> 5400. `None` for anything else than numbers each followed by `h`, `m` or `s`.
pub fn duration_secs(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut number: Option<i64> = None;
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                let digit = i64::from(c.to_digit(10)?);
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
